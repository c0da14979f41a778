// SPDX-License-Identifier: BSD-2-Clause
#include "base/pool.h"

#include <stdlib.h>

struct mg_pool_buf *mg_pool_get(struct mg_pool *p)
{
	struct mg_pool_buf *buf = p->spare;

	if (buf) {
		p->spare = buf->next;
		p->n_spare--;
	} else {
		buf = malloc(sizeof(*buf));
		if (!buf)
			return NULL;
	}
	p->n_lent++;
	return buf;
}

void mg_pool_put(struct mg_pool *p, struct mg_pool_buf *buf)
{
	p->n_lent--;
	if (p->n_spare >= MG_POOL_SPARE_MAX) {
		free(buf);
		return;
	}
	buf->next = p->spare;
	p->spare = buf;
	p->n_spare++;
}

void mg_pool_free(struct mg_pool *p)
{
	while (p->spare) {
		struct mg_pool_buf *next = p->spare->next;

		free(p->spare);
		p->spare = next;
	}
	p->n_spare = 0;
}
