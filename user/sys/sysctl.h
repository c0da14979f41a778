/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel settings mpgated stands on, in its own network namespace. What is not as it must be is
 * set, and the log says so; what may not be set is named, with the command that would.
 */
#ifndef MG_SYS_SYSCTL_H
#define MG_SYS_SYSCTL_H

#include <stdbool.h>

#define MG_SYSCTL_JOIN_ANYWHERE "net/mptcp/allow_join_initial_addr_port"

/* All that the converter needs. deny_initial_joins: clients are told to join at announced addresses
 * only. 0, or -EPERM after logging everything that is missing. */
int mg_sysctl_prepare(bool deny_initial_joins);

/* A number from /proc/sys ("net/ipv4/tcp_sack"); `missing` if it cannot be read. */
long mg_sysctl_read(const char *path, long missing);
/* 0 or -errno */
int mg_sysctl_write(const char *path, long value);

/* Warns of settings that are the operator's, and as they are keep intercepted packets from where
 * they have to go. */
void mg_sysctl_look_at_forwarding(void);

#endif
