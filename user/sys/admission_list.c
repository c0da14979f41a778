// SPDX-License-Identifier: BSD-2-Clause
/* What is shown: read a batch at a time, as there may be a million. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "skel/policy.skel.h"
#include "sys/admission_maps.h"
#include "sys/dp_maps.h"
#include "sys/steer_maps.h"

struct rows {
	struct mg_account_row *at;
	size_t n, room;
};

static struct mg_account_row *add_row(struct rows *rows, const void *subscriber)
{
	struct mg_account_row *row;

	if (rows->n == rows->room) {
		size_t room = rows->room ? rows->room * 2 : 256;
		void *at = realloc(rows->at, room * sizeof(*rows->at));

		if (!at)
			return NULL;
		rows->at = at;
		rows->room = room;
	}
	row = &rows->at[rows->n++];
	memset(row, 0, sizeof(*row));
	memcpy(&row->subscriber, subscriber, sizeof(row->subscriber));
	return row;
}

static int add_account(void *ctx, const void *key, const void *value)
{
	struct mg_account_row *row = add_row(ctx, key);
	struct mg_account_entry entry;

	if (!row)
		return -ENOMEM;
	memcpy(&entry, value, sizeof(entry));
	row->account = mg_account_read(&entry);
	row->key_bits = entry.key_bits;
	return 0;
}

static int add_refused(void *ctx, const void *key, const void *value)
{
	struct mg_account_row *row = add_row(ctx, key);

	if (!row)
		return -ENOMEM;
	memcpy(row->refused, value, sizeof(row->refused));
	return 0;
}

static int compare(const void *one, const void *other)
{
	const struct mg_account_row *a = one, *b = other;

	return memcmp(&a->subscriber, &b->subscriber, sizeof(a->subscriber));
}

static void merge(struct mg_account_row *into, const struct mg_account_row *from)
{
	/* Of a map that changes meanwhile, the same key may come twice. */
	if (from->account.sessions || from->account.subflows || from->account.reserved) {
		into->account = from->account;
		into->key_bits = from->key_bits;
	}
	for (int i = 0; i < MG_REFUSAL_COUNT; i++)
		if (from->refused[i] > into->refused[i])
			into->refused[i] = from->refused[i];
}

static bool is_empty(const struct mg_account_row *row)
{
	bool refused = false;

	for (int i = 0; i < MG_REFUSAL_COUNT; i++)
		refused |= row->refused[i] != 0;
	return !refused && !row->account.sessions && !row->account.subflows &&
	       !row->account.reserved;
}

/* One row for each; those that are just being made or taken away say nothing yet. */
static size_t join_rows(struct mg_account_row *rows, size_t n)
{
	size_t kept = 0;

	qsort(rows, n, sizeof(*rows), compare);
	for (size_t i = 0; i < n; i++) {
		if (kept && !compare(&rows[kept - 1], &rows[i]))
			merge(&rows[kept - 1], &rows[i]);
		else if (!is_empty(&rows[i]))
			rows[kept++] = rows[i];
	}
	return kept;
}

long mg_admission_accounts(struct mg_admission *a, struct mg_account_row **rows)
{
	struct rows all = { 0 };
	int err = mg_map_each(bpf_map__fd(a->bpf->maps.mg_accounts), add_account, &all);

	*rows = NULL;
	if (!err)
		err = mg_map_each(bpf_map__fd(a->bpf->maps.mg_refused), add_refused, &all);
	if (err) {
		free(all.at);
		return err;
	}
	*rows = all.at;
	return all.at ? (long)join_rows(all.at, all.n) : 0;
}

int mg_admission_account(struct mg_admission *a, const struct mg_subscriber *subscriber,
			 struct mg_account_row *row)
{
	struct mg_account_entry entry = { 0 };
	bool has_account =
		!bpf_map_lookup_elem(bpf_map__fd(a->bpf->maps.mg_accounts), subscriber, &entry);
	bool was_refused;

	*row = (struct mg_account_row){ .subscriber = *subscriber,
					.account = mg_account_read(&entry),
					.key_bits = entry.key_bits };
	was_refused = !bpf_map_lookup_elem(bpf_map__fd(a->bpf->maps.mg_refused), subscriber,
					   row->refused);
	return has_account || was_refused ? 0 : -ENOENT;
}

int mg_admission_counters(struct mg_admission *a, struct mg_admit_counters *out)
{
	return mg_map_sum(bpf_map__fd(a->bpf->maps.mg_admit_stats), a->n_cpus, (uint64_t *)out,
			  sizeof(*out) / sizeof(uint64_t));
}

uint32_t mg_admission_service_sessions(struct mg_admission *a, uint32_t number)
{
	__u32 sessions = 0;

	bpf_map_lookup_elem(bpf_map__fd(a->bpf->maps.mg_svc_count), &number, &sessions);
	return sessions;
}
