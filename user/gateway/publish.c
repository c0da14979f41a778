// SPDX-License-Identifier: BSD-2-Clause
#include "gateway/publish.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "sys/diag.h"

#define AGAIN_MS 1000

struct mg_publish {
	struct mg_loop *loop;
	struct mg_publish_to to;
	struct mg_timer all;
	bool failed; /* said once */
};

struct list {
	uint32_t *tokens;
	size_t n, room;
	int err;
};

static void note(void *ctx, uint32_t token)
{
	struct list *l = ctx;

	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 4096;
		uint32_t *more = reallocarray(l->tokens, room, sizeof(*more));

		if (!more) {
			l->err = -ENOMEM;
			return;
		}
		l->tokens = more;
		l->room = room;
	}
	l->tokens[l->n++] = token;
}

/*
 * Not while events are read: those that were waiting when others were lost are older than the list
 * would be. What happens while the list is made comes as an event after it. Sessions this host
 * began are in it, too, as the kernel does not tell them apart: a token too many is an entry, one
 * too few would be a session without joins.
 */
static void tell_all(struct mg_timer *t)
{
	struct mg_publish *p = mg_container_of(t, struct mg_publish, all);
	struct list l = { 0 };
	int err = mg_diag_mptcp_tokens(note, &l);

	if (!err)
		err = l.err;
	if (!err) {
		p->to.own_all(p->to.ctx, l.tokens, l.n);
		p->failed = false;
	} else {
		if (!p->failed)
			mg_warn("sessions cannot be listed: %s; joins to some may be lost",
				strerror(-err));
		p->failed = true;
		/* A kernel that has no such list will not get one. */
		if (err != -ENOENT && err != -EOPNOTSUPP)
			mg_timer_arm(&p->loop->timers, t, mg_clock_ms() + AGAIN_MS);
	}
	free(l.tokens);
}

int mg_publish_open(struct mg_publish **out, struct mg_loop *loop, const struct mg_publish_to *to)
{
	struct mg_publish *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->loop = loop;
	p->to = *to;
	p->all.fire = tell_all;
	err = mg_timer_arm(&loop->timers, &p->all, 0);
	if (err)
		free(p);
	else
		*out = p;
	return err;
}

void mg_publish_close(struct mg_publish *p)
{
	if (!p)
		return;
	mg_timer_disarm(&p->loop->timers, &p->all);
	free(p);
}

void mg_publish_event(struct mg_publish *p, const struct mg_pm_event *ev, bool ours)
{
	if (!p)
		return;
	switch (ev->kind) {
	case MG_PM_CREATED:
		if (ours || ev->server_side)
			p->to.own(p->to.ctx, ev->token, true);
		break;
	case MG_PM_CLOSED:
		p->to.own(p->to.ctx, ev->token, false);
		break;
	case MG_PM_LOST:
		mg_timer_arm(&p->loop->timers, &p->all, 0);
		break;
	default:
		break;
	}
}
