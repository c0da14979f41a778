/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mpgated as a whole. main.c starts it, room by room, and takes it down in the opposite order;
 * everything here runs on the main thread, whose loop also serves the control socket and the
 * kernel's events.
 */
#ifndef MG_DAEMON_DAEMON_H
#define MG_DAEMON_DAEMON_H

#include "access/access.h"
#include "config/config.h"
#include "gateway/gateway.h"
#include "gateway/publish.h"
#include "proxy/proxy.h"
#include "proxy/sessionlog.h"
#include "proxy/tokens.h"
#include "sys/announce.h"
#include "sys/dp.h"
#include "sys/subflows.h"
#include "sys/pm.h"
#include "sys/probe.h"
#include "sys/rtnl.h"

struct mg_control;

#define MG_DAEMON_STATES(X) X(STARTING, starting) X(RUNNING, running) X(DRAINING, draining)

enum mg_daemon_state {
#define X(sym, name) MG_DAEMON_##sym,
	MG_DAEMON_STATES(X)
#undef X
};

struct mg_daemon {
	const char *config_path;
	struct mg_config *config;
	enum mg_daemon_state state;
	uint64_t started_ms;
	struct mg_features features;
	struct mg_loop loop;
	bool loop_ready;

	int lock_fd; /* of runtime_dir */
	struct mg_dp *dp;
	struct mg_announce announce;
	struct mg_access access;
	struct mg_sessionlog_names names; /* of its identities */
	int rules_claim; /* of the routing rules of preserved sources; -1 without them */
	struct mg_proxy proxy;
	bool proxy_running;
	struct mg_policy *policy; /* in force */
	struct mg_policy *bridge; /* it, and what is coming: during a reload; else NULL */
	struct mg_rtnl_own own;	  /* of the policy */
	uint8_t cookie_master[16];
	struct mg_control *control;
	struct mg_pm *pm;
	struct mg_tokens tokens;
	struct mg_subflows *subflows; /* of a CPE's own connections; NULL without */
	struct mg_gate *gate;	      /* NULL: no gateways, no proxies */
	struct mg_publish *publish;   /* NULL: nobody brings joins here */

	struct mg_io signal_io, pm_io, dp_io, address_io;
	struct mg_timer cookie_timer, drain_timer, reload_timer, announce_timer, sweep_timer;
	bool paths_lost; /* events of the path manager were; not yet made good for */
	uint64_t drain_deadline_ms;
};

/* daemon.c. 0 or -errno; the error is logged. */
int mg_daemon_start(struct mg_daemon *d);
/* Until a signal or a request ended it. */
void mg_daemon_run(struct mg_daemon *d);
/* Whatever start did, also when it failed half way. */
void mg_daemon_stop(struct mg_daemon *d);

/* No new sessions; the daemon ends when the last one did, or drain_timeout_s is over. Asked a
 * second time, it ends at once. */
void mg_daemon_drain(struct mg_daemon *d);
/* reload.c. Not within a batch of events: what a change takes away may have some in it. 0, or
 * -errno and nothing has changed; what is wrong is logged, and goes to `findings` (NULL: nobody
 * asked). */
/* Takes the configuration file again. */
int mg_daemon_reload(struct mg_daemon *d, FILE *findings);
/* Changes one policy of the running configuration, mg_config_set_policy's text or a name; the file
 * keeps what it says. */
int mg_daemon_set_policy(struct mg_daemon *d, const char *text, FILE *findings);
int mg_daemon_del_policy(struct mg_daemon *d, const char *name, FILE *findings);

/* apply.c: makes a policy of config, addresses, cookie keys and state, and puts it in force. */
int mg_daemon_apply(struct mg_daemon *d);
void mg_daemon_free_policy(struct mg_policy *p); /* NULL is allowed */
/* Puts a configuration's policies and limits in force in the kernel; the workers' side of them is
 * mg_daemon_apply's. Until that, workers go by the former configuration, and for sessions let in by
 * this one by this one: it is to live until mg_daemon_apply or mg_daemon_drop_bridge. 0 or -errno,
 * logged. */
int mg_daemon_set_policies(struct mg_daemon *d, const struct mg_config *c);
/* Workers go by the policy in force alone. */
void mg_daemon_drop_bridge(struct mg_daemon *d);
/* Reads cookie_key_file, or makes a key of its own. */
int mg_daemon_load_cookie_key(struct mg_daemon *d);

/* detach.c: removes what daemons with this configuration left. -EBUSY: one of them lives; -errno.
 * Logged. */
int mg_daemon_detach(const struct mg_config *c);

/* runtime.c: the runtime directory, and that only one daemon uses it. */
int mg_runtime_lock(const char *dir);
void mg_runtime_unlock(const char *dir, int lock_fd);

#endif
