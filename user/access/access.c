// SPDX-License-Identifier: BSD-2-Clause
#include "access/access.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"

int mg_access_open(struct mg_access *a, struct mg_loop *l, struct mg_admission *admission,
		   const struct mg_config *c)
{
	int err = mg_feed_open(&a->feed, l, admission, c);

	if (!err)
		err = mg_accounting_open(&a->accounting, l, a->feed, c);
	if (err) {
		mg_error("access: cannot keep who is where: %s", strerror(-err));
		return err;
	}
	return mg_radius_open(&a->radius, l, a->accounting, c);
}

void mg_access_close(struct mg_access *a)
{
	mg_radius_close(a->radius);
	mg_accounting_close(a->accounting);
	mg_feed_close(a->feed);
	memset(a, 0, sizeof(*a));
}

int mg_access_reload(struct mg_access *a, const struct mg_config *c)
{
	int err = mg_feed_reload(a->feed, c);

	if (err)
		mg_error("access: cannot look up anew who is where: %s", strerror(-err));
	mg_accounting_reload(a->accounting, c);
	/* The only one that may fail with the configuration of before, too: so the others keep none
	 * that is about to be freed. */
	return err ? err : mg_radius_reload(a->radius, c);
}
