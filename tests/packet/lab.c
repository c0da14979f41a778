// SPDX-License-Identifier: BSD-2-Clause
#include "lab.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/magic.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "sys/dp.h"

int lab_sh(const char *command)
{
	int status = system(command); /* NOLINT(cert-env33-c): ip and tc, no input from outside */

	if (status)
		fprintf(stderr, "failed: %s\n", command);
	return status ? -EIO : 0;
}

bool lab_shows(const char *command, const char *text)
{
	char line[512];
	bool shows = false;
	FILE *f = popen(command, "re"); /* NOLINT(cert-env33-c): as above */

	while (f && fgets(line, sizeof(line), f))
		shows |= strstr(line, text) != NULL;
	if (f)
		pclose(f);
	return shows;
}

int lab_enter(void)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS))
		return -errno;
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	while (!umount2("/sys/fs/bpf", MNT_DETACH))
		;
	return lab_sh("ip link set lo up && "
		      "for i in 0 1; do "
		      "ip link add px$i type veth peer name ue$i && "
		      "ip link set px$i up && ip link set ue$i up && "
		      "ip addr add 10.3.$i.2/24 dev px$i || exit 1; done");
}

struct mg_config *lab_config(const char *a, const char *b)
{
	static struct mg_config cfg;
	static struct mg_config_interface ifs[2];
	static char node[] = "test", runtime_dir[64], bpffs[64];

	snprintf(runtime_dir, sizeof(runtime_dir), "/tmp/mpgate-packet-%d", (int)getpid());
	snprintf(bpffs, sizeof(bpffs), "/sys/fs/bpf/mpgate-packet-%d", (int)getpid());
	memset(ifs, 0, sizeof(ifs));
	snprintf(ifs[0].name, sizeof(ifs[0].name), "%s", a);
	if (b)
		snprintf(ifs[1].name, sizeof(ifs[1].name), "%s", b);
	ifs[1].role = MG_ROLE_CORE;
	cfg = (struct mg_config){
		.node = node,
		.runtime_dir = runtime_dir,
		.bpffs = bpffs,
		.interfaces = ifs,
		.n_interfaces = b ? 2 : 1,
		.policies.fallback = { .name = "default", .group = MG_CONFIG_NONE },
	};
	return &cfg;
}

bool lab_is_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

bool lab_is_pinned(const struct mg_config *cfg, const char *map)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", cfg->bpffs, map);
	return !access(path, F_OK);
}

int lab_send(const char *interface, const void *frame, size_t len)
{
	struct sockaddr_ll ll = {
		.sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex(interface),
		.sll_halen = ETH_ALEN,
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	if (sendto(fd, frame, len, 0, (struct sockaddr *)&ll, sizeof(ll)) != (ssize_t)len)
		err = -errno;
	close(fd);
	return err;
}

uint32_t lab_xdp_id(const char *interface)
{
	__u32 id = 0;

	return bpf_xdp_query_id((int)if_nametoindex(interface), 0, &id) ? 0 : id;
}

int lab_attach_foreign_xdp(const char *interface)
{
	const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "foreign", "GPL", pass, 2, NULL), err;

	if (fd < 0)
		return -errno;
	err = bpf_xdp_attach((int)if_nametoindex(interface), fd, 0, NULL);
	close(fd);
	return err;
}

void lab_detach_xdp(const char *interface)
{
	bpf_xdp_detach((int)if_nametoindex(interface), 0, NULL);
}

pid_t lab_daemon(const struct mg_config *cfg)
{
	struct mg_dp *dp;
	int ready[2], err = -EIO;
	pid_t pid;

	if (pipe(ready))
		return -errno;
	pid = fork();
	if (!pid) {
		close(ready[0]);
		err = mg_dp_open(&dp, cfg);
		if (write(ready[1], &err, sizeof(err)) != sizeof(err) || err)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &err, sizeof(err)) != sizeof(err))
		err = -EIO;
	close(ready[0]);
	if (!err)
		return pid;
	waitpid(pid, NULL, 0);
	return err;
}

void lab_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
