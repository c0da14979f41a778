// SPDX-License-Identifier: BSD-2-Clause
#include "sys/tc.h"

#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <libmnl/libmnl.h>

#include "base/log.h"

#define FILTER_HANDLE	0x6d67
#define FILTER_PRIORITY 1

/* What mpgated attaches */
static const char *const programs[] = { "mg_tc", "mg_hold", "mg_hold_lan", "mg_hold_core",
					"mg_replay" };

static struct bpf_tc_hook hook_of(unsigned int ifindex)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
			    .attach_point = BPF_TC_INGRESS);
	return hook;
}

static struct bpf_tc_opts opts_of(void)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE,
			    .priority = FILTER_PRIORITY);
	return opts;
}

static int count_filter(const struct nlmsghdr *nlh, void *data)
{
	if (nlh->nlmsg_type == RTM_NEWTFILTER)
		++*(int *)data;
	return MNL_CB_OK;
}

/* Filters at one side of clsact, or -errno. */
static int count_filters(struct mnl_socket *nl, unsigned int ifindex, uint32_t parent)
{
	char buf[8192];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct tcmsg *tc = mnl_nlmsg_put_extra_header(nlh, sizeof(*tc));
	unsigned int port = mnl_socket_get_portid(nl), seq = parent;
	ssize_t n;
	int filters = 0, more = MNL_CB_OK;

	nlh->nlmsg_type = RTM_GETTFILTER;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = seq;
	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = (int)ifindex;
	tc->tcm_parent = parent;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (more == MNL_CB_OK) {
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		more = mnl_cb_run(buf, (size_t)n, seq, port, count_filter, &filters);
	}
	return more < 0 ? -errno : filters;
}

static bool clsact_is_idle(unsigned int ifindex)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	bool idle;

	if (!nl)
		return false;
	idle = !mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) &&
	       !count_filters(nl, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)) &&
	       !count_filters(nl, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS));
	mnl_socket_close(nl);
	return idle;
}

static void remove_idle_clsact(unsigned int ifindex)
{
	struct bpf_tc_hook hook = hook_of(ifindex);

	if (!clsact_is_idle(ifindex))
		return;
	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	bpf_tc_hook_destroy(&hook);
}

static bool is_ours(__u32 prog_id)
{
	int fd = bpf_prog_get_fd_by_id(prog_id);
	struct bpf_prog_info info = { 0 };
	__u32 size = sizeof(info);
	bool ours = false;

	if (fd < 0)
		return false;
	if (!bpf_obj_get_info_by_fd(fd, &info, &size)) {
		for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++)
			ours |= !strcmp(info.name, programs[i]);
	}
	close(fd);
	return ours;
}

/* Of a daemon that was killed */
static bool has_stale(const struct bpf_tc_hook *hook)
{
	struct bpf_tc_opts opts = opts_of();

	return !bpf_tc_query(hook, &opts) && is_ours(opts.prog_id);
}

void mg_tc_remove_stale(unsigned int ifindex)
{
	struct bpf_tc_hook hook = hook_of(ifindex);
	struct bpf_tc_opts opts = opts_of();

	if (!has_stale(&hook))
		return;
	if (!bpf_tc_detach(&hook, &opts))
		remove_idle_clsact(ifindex);
}

int mg_tc_attach(struct mg_tc *t, const char *interface, unsigned int ifindex, int prog_fd)
{
	struct bpf_tc_hook hook = hook_of(ifindex);
	struct bpf_tc_opts opts = opts_of();
	int err;

	*t = (struct mg_tc){ 0 };
	err = bpf_tc_hook_create(&hook);
	if (!err || err == -EEXIST) {
		/* In one step: a SYN that passes in between is forgotten, its repetition held. */
		opts.flags = has_stale(&hook) ? BPF_TC_F_REPLACE : 0;
		opts.prog_fd = prog_fd;
		err = bpf_tc_attach(&hook, &opts);
	}
	if (err) {
		mg_error("interface %s: cannot attach the TC filter: %s", interface,
			 strerror(-err));
		return err;
	}
	t->ifindex = ifindex;
	t->prog_id = opts.prog_id;
	return 0;
}

bool mg_tc_is_attached(const struct mg_tc *t)
{
	struct bpf_tc_hook hook = hook_of(t->ifindex);
	struct bpf_tc_opts opts = opts_of();

	return !bpf_tc_query(&hook, &opts) && opts.prog_id == t->prog_id;
}

void mg_tc_detach(struct mg_tc *t)
{
	struct bpf_tc_hook hook = hook_of(t->ifindex);
	struct bpf_tc_opts opts = opts_of();
	int err;

	if (!t->ifindex)
		return;
	err = bpf_tc_detach(&hook, &opts);
	/* The interface may be gone, and the filter with it. */
	if (err && err != -ENODEV && err != -ENOENT && err != -EINVAL)
		mg_warn("interface %u: cannot detach the TC filter: %s", t->ifindex,
			strerror(-err));
	remove_idle_clsact(t->ifindex);
	t->ifindex = 0;
}
