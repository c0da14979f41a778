// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/control.h"
#include "daemon/paths.h"
#include "daemon/who.h"
#include "sys/caps.h"
#include "sys/claim.h"
#include "sys/rtnl.h"
#include "sys/sock.h"
#include "sys/sysctl.h"

#define DRAIN_LOOK_MS	  20
#define ANNOUNCE_AGAIN_MS 1000
/* Two sockets a session, and some. */
#define DESCRIPTORS_SPARE 1024

static void signal_ready(struct mg_io *io, uint32_t events)
{
	struct mg_daemon *d = mg_container_of(io, struct mg_daemon, signal_io);
	struct signalfd_siginfo info;

	(void)events;
	while (read(io->fd, &info, sizeof(info)) == sizeof(info)) {
		/* Not within a batch of events: what a reload takes away may have some in it. */
		if (info.ssi_signo == SIGHUP)
			mg_timer_arm(&d->loop.timers, &d->reload_timer, 0);
		else
			mg_daemon_drain(d);
	}
}

static void syn_seen(void *ctx, const struct mg_dp_syn *syn)
{
	struct mg_daemon *d = ctx;

	if (syn->mp_capable)
		mg_offers_note(&d->proxy.offers, &syn->client);
}

static void dp_ready(struct mg_io *io, uint32_t events)
{
	struct mg_daemon *d = mg_container_of(io, struct mg_daemon, dp_io);

	(void)events;
	mg_dp_events_poll(d->dp, syn_seen, d);
}

static void addresses_changed(struct mg_io *io, uint32_t events)
{
	struct mg_daemon *d = mg_container_of(io, struct mg_daemon, address_io);

	(void)events;
	if (!mg_rtnl_watch_drain(io->fd))
		return;
	mg_dp_look(d->dp);
	mg_subflows_look(d->subflows);
	mg_daemon_apply(d);
	mg_gate_look(d->gate);
}

static void cookie_epoch(struct mg_timer *t)
{
	mg_daemon_apply(mg_container_of(t, struct mg_daemon, cookie_timer));
}

static void drain_look(struct mg_timer *t)
{
	struct mg_daemon *d = mg_container_of(t, struct mg_daemon, drain_timer);
	uint64_t left = atomic_load(&d->proxy.sessions);

	if (left && d->loop.now_ms < d->drain_deadline_ms) {
		mg_timer_arm(&d->loop.timers, t, d->loop.now_ms + DRAIN_LOOK_MS);
		return;
	}
	if (left)
		mg_warn("drain: %llu sessions are cut off after drain_timeout_s",
			(unsigned long long)left);
	d->loop.stop = true;
}

void mg_daemon_drain(struct mg_daemon *d)
{
	if (d->state == MG_DAEMON_DRAINING) {
		d->loop.stop = true;
		return;
	}
	d->state = MG_DAEMON_DRAINING;
	sd_notify(0, "STOPPING=1\nSTATUS=Draining");
	mg_info("draining: no new sessions, %llu to finish within %u s",
		(unsigned long long)atomic_load(&d->proxy.sessions), d->config->drain_timeout_s);
	mg_daemon_apply(d);
	d->drain_deadline_ms = mg_clock_ms() + d->config->drain_timeout_s * 1000ULL;
	mg_timer_arm(&d->loop.timers, &d->drain_timer, 0);
}

static void time_to_reload(struct mg_timer *t)
{
	mg_daemon_reload(mg_container_of(t, struct mg_daemon, reload_timer), NULL);
}

static int raise_descriptors(const struct mg_config *c)
{
	rlim_t want = (rlim_t)c->converter.max_sessions * 2 + DESCRIPTORS_SPARE;
	struct rlimit now, next;

	if (getrlimit(RLIMIT_NOFILE, &now))
		return -errno;
	next.rlim_cur = now.rlim_cur > want ? now.rlim_cur : want;
	next.rlim_max = now.rlim_max > want ? now.rlim_max : want;
	if (!setrlimit(RLIMIT_NOFILE, &next))
		return 0;
	next.rlim_cur = next.rlim_max = now.rlim_max;
	setrlimit(RLIMIT_NOFILE, &next);
	mg_warn("descriptors: %llu may be open, converter.max_sessions %u wants %llu",
		(unsigned long long)now.rlim_max, c->converter.max_sessions,
		(unsigned long long)want);
	return 0;
}

static int watch(struct mg_daemon *d, struct mg_io *io, int fd,
		 void (*fn)(struct mg_io *io, uint32_t events))
{
	*io = (struct mg_io){ .fd = fd, .ready = fn };
	return mg_loop_add(&d->loop, io, EPOLLIN);
}

static int start_signals(struct mg_daemon *d)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	/* Before any thread starts, so that all inherit it. */
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return fd < 0 ? -errno : watch(d, &d->signal_io, fd, signal_ready);
}

static void announce_look(struct mg_timer *t)
{
	struct mg_daemon *d = mg_container_of(t, struct mg_daemon, announce_timer);

	if (mg_announce_look(&d->announce))
		mg_timer_arm(&d->loop.timers, t, mg_clock_ms() + ANNOUNCE_AGAIN_MS);
}

static int start_announcing(struct mg_daemon *d)
{
	int err = mg_announce_open(&d->announce, d->config, &d->loop);

	d->announce_timer.fire = announce_look;
	if (!err)
		mg_timer_arm(&d->loop.timers, &d->announce_timer,
			     mg_clock_ms() + ANNOUNCE_AGAIN_MS);
	return err;
}

static int start_dp(struct mg_daemon *d)
{
	const struct mg_dp_interface *ifs;
	size_t n;
	int err = mg_dp_open(&d->dp, d->config);

	if (err)
		return err;
	if (mg_dp_holder(d->dp))
		mg_hold_set_announce(mg_dp_holder(d->dp), &d->announce);
	n = mg_dp_interfaces(d->dp, &ifs);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(ifs[i].xdp_mode, "off") != 0)
			d->features.have[MG_FEATURE_XDP] = true;
		if (strstr(ifs[i].xdp_mode, "dispatcher"))
			d->features.have[MG_FEATURE_XDP_DISPATCHER] = true;
	}
	d->features.have[MG_FEATURE_SYNACK_OPTIONS] = mg_dp_has_synack(d->dp);
	d->features.have[MG_FEATURE_HOLD] = mg_dp_can_hold(d->dp);
	return watch(d, &d->dp_io, mg_dp_events_fd(d->dp), dp_ready);
}

static void stop_rules(struct mg_daemon *d)
{
	if (d->rules_claim < 0)
		return;
	mg_rtnl_del_local_rules(MG_DP_MARK);
	close(d->rules_claim);
	d->rules_claim = -1;
}

/* Packets of clients that are not addressed to us, but ours to answer */
static bool intercepts(const struct mg_config *c)
{
	return c->intercept.mode != MG_MODE_OFF || c->cpe.n_lan;
}

static int start_rules(struct mg_daemon *d)
{
	const struct mg_config *c = d->config;
	bool needed = mg_config_borrows(c) || intercepts(c);
	bool wanted = needed || mg_config_may_borrow(c);
	pid_t owner;

	d->rules_claim = mg_claim_rules(&owner);
	if (needed && d->rules_claim < 0) {
		mg_error("%s: the routing rules for it are in use in this network namespace by "
			 "mpgated, pid %d: %s",
			 intercepts(c)		      ? "intercept"
			 : c->policies.sharing.n_pool ? "sharing.pool"
						      : "source: preserved",
			 owner, strerror(-d->rules_claim));
		return d->rules_claim;
	}
	if (intercepts(c))
		mg_sysctl_look_at_forwarding();
	/* Of two daemons in a network namespace, one can do without. */
	if (wanted && d->rules_claim >= 0)
		return mg_rtnl_add_local_rules(MG_DP_MARK);
	/* Nobody living uses them: what is there, a killed daemon left. */
	stop_rules(d);
	return 0;
}

/* What needs all privileges. */
static int start_kernel_side(struct mg_daemon *d)
{
	int err = mg_sysctl_prepare(d->config->converter.deny_initial_joins);

	if (!err)
		err = raise_descriptors(d->config);
	mg_sock_keep_reserve();
	if (!err)
		err = start_announcing(d);
	if (!err)
		err = start_dp(d);
	if (!err)
		err = start_rules(d);
	if (!err)
		err = mg_paths_open(d);
	if (!err && d->config->cpe.n_lan)
		err = mg_subflows_open(&d->subflows, d->config);
	if (err)
		return err;
	mg_probe_sockets(&d->features);
	d->features.have[MG_FEATURE_PATH_PRIORITY] = mg_prio_is_possible();
	mg_features_log(&d->features);
	err = mg_caps_drop(mg_dp_extra_caps(d->dp));
	if (err)
		mg_error("privileges: cannot drop them: %s", strerror(-err));
	return err;
}

static int start_proxy(struct mg_daemon *d)
{
	int err = mg_daemon_load_cookie_key(d);

	if (!err)
		err = mg_access_open(&d->access, &d->loop, mg_dp_admission(d->dp), d->config);
	if (!err)
		err = mg_daemon_apply(d);
	if (!err)
		err = mg_proxy_start(&d->proxy, d->dp, mg_dp_workers(d->config), d->policy);
	d->proxy_running = !err;
	if (!err)
		mg_who_name_sessions(d);
	if (!err)
		err = mg_dp_set_converters(
			d->dp, d->config->converter.listen, d->config->converter.n_listen,
			d->config->converter.signal, d->config->converter.n_signal);
	return err;
}

static void own(void *ctx, uint32_t token, bool owned)
{
	mg_gate_own(ctx, token, owned);
}

static void own_all(void *ctx, const uint32_t *tokens, size_t n)
{
	mg_gate_own_all(ctx, tokens, n);
}

static int start_gate(struct mg_daemon *d)
{
	struct mg_publish_to to = { .own = own, .own_all = own_all };
	struct mg_steer *steer = mg_dp_steer(d->dp);
	int err = steer ? mg_gate_open(&d->gate, &d->loop, steer, d->config, &d->own) : 0;

	to.ctx = d->gate;
	if (err || !d->gate)
		return err;
	err = mg_daemon_set_policies(d, d->config);
	if (err)
		return err;
	err = mg_publish_open(&d->publish, &d->loop, &to);
	if (err)
		mg_error("gateways: cannot tell them of sessions: %s", strerror(-err));
	return err;
}

int mg_daemon_start(struct mg_daemon *d)
{
	int err, fd;

	d->started_ms = mg_clock_ms();
	d->rules_claim = d->lock_fd = d->address_io.fd = d->signal_io.fd = -1;
	d->cookie_timer.fire = cookie_epoch;
	d->drain_timer.fire = drain_look;
	d->reload_timer.fire = time_to_reload;
	err = mg_loop_init(&d->loop, NULL, NULL);
	if (err)
		return err;
	d->loop_ready = true;
	err = start_signals(d);
	if (err)
		return err;
	d->lock_fd = mg_runtime_lock(d->config->runtime_dir);
	if (d->lock_fd < 0)
		return d->lock_fd;
	err = start_kernel_side(d);
	if (err)
		return err;
	fd = mg_rtnl_watch_own();
	err = fd < 0 ? fd : watch(d, &d->address_io, fd, addresses_changed);
	if (!err)
		err = start_proxy(d);
	if (!err)
		err = start_gate(d);
	if (!err)
		err = mg_control_open(&d->control, d);
	if (err)
		return err;
	d->state = MG_DAEMON_RUNNING;
	mg_info("mpgated " MG_VERSION " runs as %s with %u workers", d->config->node,
		d->proxy.n_workers);
	sd_notify(0, "READY=1");
	return 0;
}

void mg_daemon_run(struct mg_daemon *d)
{
	mg_loop_run(&d->loop);
}

void mg_daemon_stop(struct mg_daemon *d)
{
	mg_control_close(d->control);
	mg_publish_close(d->publish);
	mg_gate_close(d->gate);
	/* Before the workers go: nobody would decide about what is held from here on. */
	mg_dp_stop_holding(d->dp);
	if (d->proxy_running)
		mg_proxy_stop(&d->proxy);
	mg_subflows_close(d->subflows);
	mg_paths_close(d);
	stop_rules(d);
	mg_access_close(&d->access);
	mg_dp_close(d->dp);
	mg_announce_close(&d->announce);
	if (d->address_io.fd >= 0)
		close(d->address_io.fd);
	if (d->signal_io.fd >= 0)
		close(d->signal_io.fd);
	if (d->lock_fd >= 0)
		mg_runtime_unlock(d->config->runtime_dir, d->lock_fd);
	if (d->loop_ready)
		mg_loop_free(&d->loop);
	mg_daemon_free_policy(d->policy);
	mg_rtnl_own_free(&d->own);
}
