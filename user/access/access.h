/* SPDX-License-Identifier: BSD-2-Clause */
/* The access feed as the daemon has it: who is where, and whoever tells it. */
#ifndef MG_ACCESS_ACCESS_H
#define MG_ACCESS_ACCESS_H

#include "access/feed.h"
#include "access/radius.h"

struct mg_access {
	struct mg_feed *feed;
	struct mg_accounting *accounting;
	struct mg_radius_server *radius;
};

/* 0 or -errno, logged. To be closed in any case; may be closed twice. */
int mg_access_open(struct mg_access *a, struct mg_loop *l, struct mg_admission *admission,
		   const struct mg_config *c);
void mg_access_close(struct mg_access *a);
/* After mg_admission_apply. `c` lives until the next reload, also after an error: -errno, logged,
 * and the last configuration is to be put in force again. */
int mg_access_reload(struct mg_access *a, const struct mg_config *c);

#endif
