/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers to what is asked about policies, limits and cookies: control.c hands it over. */
#ifndef MG_DAEMON_CONTROL_ASK_H
#define MG_DAEMON_CONTROL_ASK_H

#include "daemon/daemon.h"
#include "wire/control.h"

/* A line to send, for free(); NULL without memory. */
char *mg_control_ask(struct mg_daemon *d, const struct mg_control_request *req);

#endif
