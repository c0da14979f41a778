/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket, <runtime_dir>/control.sock, mode 0660: the protocol of wire/control.h on the
 * daemon's loop. The group may look, only root may change.
 */
#ifndef MG_DAEMON_CONTROL_H
#define MG_DAEMON_CONTROL_H

struct mg_control;
struct mg_daemon;

/* 0 or -errno after logging. */
int mg_control_open(struct mg_control **out, struct mg_daemon *d);
void mg_control_close(struct mg_control *c);

#endif
