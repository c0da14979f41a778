/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of mpgatectl share: the connection to the daemon, and what each command prints.
 * Results come from a daemon that may be newer: keys that are missing show as "-" or 0, keys that
 * are not known are passed over.
 */
#ifndef MG_CTL_CTL_H
#define MG_CTL_CTL_H

#include <jansson.h>

#include "ctl/table.h"
#include "wire/control.h"

#define MG_CTL_DEFAULT_SOCKET	"/run/mpgate/control.sock"
#define MG_CTL_ANSWER_MAX_BYTES (256U * 1024 * 1024)
#define MG_CTL_TIMEOUT_S	10

/* A file descriptor, or -errno with a line for the user in `why`. */
int mg_ctl_connect(const char *path, char *why, size_t why_size);
/* 0 with *result to be decref'ed, or -errno with a line for the user in `why`. */
int mg_ctl_ask(int fd, const struct mg_control_request *req, json_t **result, char *why,
	       size_t why_size);

/* Human output on stdout. */
void mg_show_status(const json_t *result);
void mg_show_sessions(const json_t *result);
void mg_show_session(const json_t *result);
void mg_show_servers(const json_t *result);
void mg_show_counters(const json_t *result);
void mg_show_config(const json_t *result);
/* show_steer.c */
void mg_show_proxies(const json_t *result);
void mg_show_tokens(const json_t *result);
void mg_show_ring(const json_t *result);
/* access.c */
void mg_show_access(const json_t *result);
/* What `access set` was given, NULL where nothing was: what is wrong with it, or NULL. */
const char *mg_ctl_access_set(struct mg_control_request *req, const char *prefix, const char *name,
			      const char *subscriber, const char *ttl);
void mg_show_located(const json_t *result);
/* limits.c */
void mg_show_limits(const json_t *result);
void mg_show_policy_test(const json_t *result);
void mg_show_cookie(const json_t *result);
/* What they were given, NULL where nothing was: what is missing, or NULL. */
const char *mg_ctl_policy_test(struct mg_control_request *req, const char *from, const char *to,
			       const char *via);
const char *mg_ctl_limits(struct mg_control_request *req, const char *subscriber);
const char *mg_ctl_cookie(struct mg_control_request *req, const char *address);
/* show_policies.c */
void mg_show_policies(const json_t *result);
void mg_show_changed(const json_t *result);
/* The part of status about gateways; nothing if there is none. */
void mg_show_gateway(const json_t *gateway);

/* Redraws the sessions every second until q or a signal. 0, or -errno with a line in `why`. */
int mg_top(int fd, char *why, size_t why_size);

void mg_print_styled(enum mg_style style, const char *text);
const char *mg_get_text(const json_t *object, const char *key);
uint64_t mg_get_number(const json_t *object, const char *key);
/* How a session's client speaks: "mptcp", "fallback" or "tcp". */
const char *mg_session_mode(const json_t *session);

#endif
