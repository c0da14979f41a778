/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A BPF filter at the ingress of an interface (clsact). Its place there is fixed, so that it takes
 * the place of a killed daemon's.
 */
#ifndef MG_SYS_TC_H
#define MG_SYS_TC_H

#include <stdbool.h>

struct mg_tc {
	unsigned int ifindex; /* 0: not attached */
	unsigned int prog_id;
};

/* 0 or -errno, logged; *t is then empty. */
int mg_tc_attach(struct mg_tc *t, const char *interface, unsigned int ifindex, int prog_fd);
/* False once someone took it off, or the interface is gone. */
bool mg_tc_is_attached(const struct mg_tc *t);
/* Takes clsact away too when nothing else is on it. CAP_NET_ADMIN. */
void mg_tc_detach(struct mg_tc *t);
/* Takes away what a killed daemon left. */
void mg_tc_remove_stale(unsigned int ifindex);

#endif
