// SPDX-License-Identifier: BSD-2-Clause
/*
 * Maps with up to millions of entries, read a batch at a time: walking an LRU map key by key starts
 * over whenever it drops one, and takes a call for each.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "sys/steer_maps.h"

#define BATCH	  4096
#define BATCH_MAX (1U << 20) /* of one bucket: more than any map has */
#define POSITION  64	     /* as long as the longest key */

struct batch {
	struct bpf_map_info info;
	unsigned char *keys, *values;
	__u32 room;
};

static int make_room(struct batch *b, __u32 room)
{
	free(b->keys);
	free(b->values);
	b->keys = calloc(room, b->info.key_size);
	b->values = calloc(room, b->info.value_size);
	b->room = room;
	return b->keys && b->values ? 0 : -ENOMEM;
}

static int begin(struct batch *b, int map)
{
	__u32 size = sizeof(b->info);

	*b = (struct batch){ 0 };
	if (bpf_obj_get_info_by_fd(map, &b->info, &size))
		return -errno;
	return b->info.key_size > POSITION ? -E2BIG : make_room(b, BATCH);
}

static void end(struct batch *b)
{
	free(b->keys);
	free(b->values);
}

/* Hands over n entries at a time. */
static int each_batch(int map, struct batch *b, int (*fn)(void *ctx, struct batch *b, __u32 n),
		      void *ctx)
{
	unsigned char at[POSITION], next[POSITION];
	bool started = false;
	int err = 0;

	for (;;) {
		__u32 n = b->room;
		int last = bpf_map_lookup_batch(map, started ? at : NULL, next, b->keys, b->values,
						&n, NULL)
				   ? errno
				   : 0;

		/* ENOSPC: a bucket holds more than that. ENOENT: those were the last. */
		if (last == ENOSPC && b->room < BATCH_MAX) {
			err = make_room(b, b->room * 2);
			if (err)
				return err;
			continue;
		}
		if (last && last != ENOENT)
			return -last;
		err = n ? fn(ctx, b, n) : 0;
		if (err || last)
			return err;
		memcpy(at, next, sizeof(at));
		started = true;
	}
}

struct each {
	int (*fn)(void *ctx, const void *key, const void *value);
	void *ctx;
};

static int hand_over(void *ctx, struct batch *b, __u32 n)
{
	const struct each *e = ctx;
	int err = 0;

	for (__u32 i = 0; i < n && !err; i++)
		err = e->fn(e->ctx, b->keys + (size_t)i * b->info.key_size,
			    b->values + (size_t)i * b->info.value_size);
	return err;
}

int mg_map_each(int map, int (*fn)(void *ctx, const void *key, const void *value), void *ctx)
{
	struct each each = { .fn = fn, .ctx = ctx };
	struct batch b;
	int err = begin(&b, map);

	if (!err)
		err = each_batch(map, &b, hand_over, &each);
	end(&b);
	return err;
}

struct copy {
	int to;
	bool only_missing;
	void *there; /* room for a value */
	long lost;
};

static int copy_one(void *ctx, const void *key, const void *value)
{
	struct copy *c = ctx;

	if (c->only_missing && !bpf_map_lookup_elem(c->to, key, c->there))
		return 0;
	/* E2BIG: a hash that is full, or an array that is shorter. */
	if (bpf_map_update_elem(c->to, key, value, BPF_ANY)) {
		if (errno != E2BIG)
			return -errno;
		c->lost++;
	}
	return 0;
}

/* One call for all of them, but where one has no room or may be there already. */
static int copy_batch(void *ctx, struct batch *b, __u32 n)
{
	struct copy *c = ctx;
	struct each each = { .fn = copy_one, .ctx = c };
	__u32 done = n;

	if (!c->only_missing && !bpf_map_update_batch(c->to, b->keys, b->values, &done, NULL))
		return 0;
	return hand_over(&each, b, n);
}

long mg_map_copy(int from, int to, bool only_missing)
{
	struct copy c = { .to = to, .only_missing = only_missing };
	struct batch b;
	int err = begin(&b, from);

	c.there = err ? NULL : calloc(1, b.info.value_size);
	if (!err && !c.there)
		err = -ENOMEM;
	if (!err)
		err = each_batch(from, &b, copy_batch, &c);
	free(c.there);
	end(&b);
	return err ? err : c.lost;
}
