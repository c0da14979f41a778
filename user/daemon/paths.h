/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The path manager's events, for whoever keeps accounts of sessions and subflows: what is shown,
 * what gateways are told, and what subscribers are charged for (sys/admission.h). Where events got
 * lost, the accounts are put right by what the sessions themselves say they have.
 */
#ifndef MG_DAEMON_PATHS_H
#define MG_DAEMON_PATHS_H

struct mg_daemon;

/* Kernels without such events are no error. 0 or -errno. */
int mg_paths_open(struct mg_daemon *d);
void mg_paths_close(struct mg_daemon *d);

#endif
