/* SPDX-License-Identifier: BSD-2-Clause */
/* The endpoints of the kernel's MPTCP path manager, of this network namespace. */
#ifndef MG_SYS_ENDPOINTS_H
#define MG_SYS_ENDPOINTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "sys/genl.h"

/* The kernel has room for eight; other lists of them may be longer. */
#define MG_PM_ENDPOINTS_MAX 64

struct mg_pm_endpoint {
	struct mg_ep ep; /* port 0: any */
	int ifindex;	 /* 0: any */
	uint8_t id;
	uint32_t flags; /* MPTCP_PM_ADDR_FLAG_… */
};

struct mg_pm_endpoints {
	struct mg_pm_endpoint at[MG_PM_ENDPOINTS_MAX];
	size_t n;
};

/* What is beyond MG_PM_ENDPOINTS_MAX is left out. */
void mg_pm_endpoints_append(struct mg_pm_endpoints *l, const struct mg_pm_endpoint *one);
/* An address of either family, from its attribute; others change nothing. */
void mg_pm_endpoint_set_ip(struct in6_addr *ip, const struct nlattr *a);

/* All of the kernel's behind those that are in the list. g: opened for MPTCP_PM_NAME; what changes
 * something needs CAP_NET_ADMIN. 0 or -errno. */
int mg_pm_endpoints_read(struct mg_genl *g, struct mg_pm_endpoints *l);
int mg_pm_endpoint_add(struct mg_genl *g, const struct mg_pm_endpoint *one);
/* Subflows from there are closed. */
int mg_pm_endpoint_del(struct mg_genl *g, uint8_t id);

#endif
