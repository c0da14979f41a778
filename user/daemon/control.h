/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket, <runtime_dir>/control.sock, mode 0660: the protocol of wire/control.h on the
 * daemon's loop. The group may look, only root may change.
 */
#ifndef MG_DAEMON_CONTROL_H
#define MG_DAEMON_CONTROL_H

#include <stdbool.h>

#include "daemon/daemon.h"
#include "wire/control.h"

struct mg_control;

/* 0 or -errno after logging. */
int mg_control_open(struct mg_control **out, struct mg_daemon *d);
void mg_control_close(struct mg_control *c);

/* control_change.c: what puts another configuration in force, which must not happen within a batch
 * of events. The answer, as mg_control_format_result gives it. */
bool mg_control_is_change(enum mg_command cmd);
char *mg_control_change(struct mg_daemon *d, const struct mg_control_request *req);

#endif
