// SPDX-License-Identifier: GPL-2.0-only
/*
 * What XDP and TC ask the rooms of admission, one question a program: the question is the packet,
 * struct mg_question of doors.h, and comes back in it. Shares its maps with bpf/policy.bpf.c as the
 * other objects do.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "admit.bpf.h"
#include "cookies.bpf.h"

#include "doors.h"

static __always_inline struct mg_question *mg_question_of(struct xdp_md *ctx)
{
	struct mg_question *q = (void *)(long)ctx->data;

	return (void *)(q + 1) <= (void *)(long)ctx->data_end ? q : NULL;
}

static __always_inline void mg_ask_who(struct mg_who *who, const struct mg_question *q)
{
	struct mg_endpoint client = q->tuple.client, server = q->tuple.server;

	mg_who_is(who, &client, &server, q->ifindex);
}

/* Each returns what the room said, plus MG_SAID. */
SEC("xdp")
int mg_ask_look(struct xdp_md *ctx)
{
	struct mg_question *q = mg_question_of(ctx);
	struct mg_who who = {};

	if (!q)
		return 0;
	mg_ask_who(&who, q);
	q->by_interface = who.by_interface;
	q->drop_transit = who.drop_transit;
	if (who.by_interface)
		mg_seen_at_put(q->tuple.client.ip, who.access);
	return MG_SAID + mg_admit_look(&who, q->flags);
}

SEC("xdp")
int mg_ask_join(struct xdp_md *ctx)
{
	struct mg_question *q = mg_question_of(ctx);
	struct mg_who who = {};
	struct mg_tuple tuple;
	int ret;

	if (!q)
		return 0;
	mg_ask_who(&who, q);
	tuple = q->tuple;
	ret = mg_admit_join(&who, &tuple, q->token, q->ifindex);
	if (ret > 0)
		mg_admit_refused(&who, ret);
	q = mg_question_of(ctx);
	if (q)
		q->refuse_join = who.refuse_join;
	return MG_SAID + ret;
}

SEC("xdp")
int mg_ask_answered(struct xdp_md *ctx)
{
	struct mg_question *q = mg_question_of(ctx);
	struct mg_who who = {};

	if (!q)
		return 0;
	mg_ask_who(&who, q);
	return MG_SAID + mg_admit_answered(&who);
}

SEC("xdp")
int mg_ask_cookie(struct xdp_md *ctx)
{
	struct mg_question *q = mg_question_of(ctx);
	struct mg_endpoint client;
	struct mg_cookie cookie;

	if (!q)
		return 0;
	client = q->tuple.client;
	__builtin_memcpy(cookie.bytes, q->cookie, sizeof(cookie.bytes));
	return MG_SAID + mg_cookie_ok(&client, &cookie);
}

char LICENSE[] SEC("license") = "GPL";
