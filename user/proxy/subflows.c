// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/subflows.h"

#include "proxy/proxy.h"
#include "sys/admission.h"

#define ACCESS_AGE_MS 50 /* whose an address is, the feed may change */
#define SILENT_MS     500
#define LOSSY_LOOK_MS 1000
#define LOSSY_BYTES   65536
#define LOSSY_PARTS   5 /* one of so many bytes was sent again */
#define LOSSY_FOR_MS  10000

static size_t access_of(const struct mg_session *s, const struct mg_ep *remote)
{
	uint32_t number = mg_admission_access_of(s->worker->proxy->admission, &remote->ip);

	return number ? mg_policy_access(s->worker->policy, number) : MG_CONFIG_NONE;
}

/* Those in no named network are a path each, told apart by their addresses. */
static unsigned int path_of(struct mg_subflows_now *all, const struct mg_subflow_now *sub)
{
	size_t key = sub->access;

	if (key == MG_CONFIG_NONE) {
		const uint8_t *ip = sub->now.ends.remote.ip.s6_addr;

		for (int i = 0; i < 16; i++)
			key = key * 31 + ip[i];
		key |= (size_t)1 << (8 * sizeof(key) - 1);
	}
	for (unsigned int i = 0; i < all->n_paths; i++) {
		if (all->access[i] == key)
			return i;
	}
	if (all->n_paths == MG_SPLIT_PATHS_MAX)
		return MG_SPLIT_PATHS_MAX - 1;
	all->access[all->n_paths] = key;
	return all->n_paths++;
}

static bool is_of(const struct mg_subflow_now *sub, const struct mg_mptcp_subflow *ends)
{
	return mg_ep_equal(&sub->now.ends.remote, &ends->remote) &&
	       mg_ep_equal(&sub->now.ends.local, &ends->local);
}

static struct mg_subflow_now *find_or_add(struct mg_subflows_now *all,
					  const struct mg_mptcp_subflow *ends)
{
	struct mg_subflow_now *sub;

	for (unsigned int i = 0; i < all->n; i++) {
		sub = &all->sub[i];
		if (is_of(sub, ends))
			return sub;
	}
	if (all->n == MG_MPTCP_SUBFLOWS_MAX)
		return NULL;
	sub = &all->sub[all->n++];
	*sub = (struct mg_subflow_now){ .cap = UINT64_MAX,
					.access = MG_CONFIG_NONE,
					.former_path = -1 };
	return sub;
}

/* Losses count from the second window on: at first the kernel tries how much a link takes. */
static void look_for_losses(struct mg_subflow_now *sub, uint64_t now_ms)
{
	const struct mg_mptcp_path *p = &sub->now;
	uint64_t sent = p->sent_bytes - sub->window_sent;
	uint64_t resent = p->resent_bytes - sub->window_resent;
	bool lost = sent >= LOSSY_BYTES && resent * LOSSY_PARTS >= sent;

	if (now_ms - sub->window_ms < LOSSY_LOOK_MS)
		return;
	if (sub->window_ms && lost && sub->lost_before)
		sub->lossy_until_ms = now_ms + LOSSY_FOR_MS;
	sub->lost_before = sub->window_ms && lost;
	sub->window_ms = now_ms;
	sub->window_sent = p->sent_bytes;
	sub->window_resent = p->resent_bytes;
}

static enum mg_health health_of(struct mg_subflow_now *sub, uint64_t now_ms)
{
	const struct mg_mptcp_path *p = &sub->now;

	look_for_losses(sub, now_ms);
	if (p->timeouts && p->silent_ms >= SILENT_MS + 4 * (p->rtt_us / 1000))
		return MG_HEALTH_SILENT;
	return now_ms < sub->lossy_until_ms ? MG_HEALTH_LOSSY : MG_HEALTH_WELL;
}

static void forget_gone(struct mg_subflows_now *all)
{
	struct mg_admission *a = all->session->worker->proxy->admission;

	for (unsigned int i = 0; i < all->n;) {
		struct mg_subflow_now *sub = &all->sub[i];

		if (sub->seen) {
			i++;
			continue;
		}
		if (sub->told)
			mg_admission_pace_del(a, &sub->now.ends.local, &sub->now.ends.remote);
		*sub = all->sub[--all->n];
	}
}

/* All subflows as they are now; false: that cannot be told now. */
bool mg_subflows_see(struct mg_subflows_now *all, uint64_t now_ms)
{
	const struct mg_session *s = all->session;
	struct mg_mptcp_path list[MG_MPTCP_SUBFLOWS_MAX];
	int n = mg_mptcp_paths(s->client.io.fd, list, MG_MPTCP_SUBFLOWS_MAX);

	if (n <= 0)
		return false;
	for (unsigned int i = 0; i < all->n; i++)
		all->sub[i].seen = false;
	for (int i = 0; i < n; i++) {
		struct mg_subflow_now *sub = find_or_add(all, &list[i].ends);

		if (!sub)
			continue;
		sub->now = list[i];
		sub->seen = true;
		if (!sub->access_ms || now_ms - sub->access_ms >= ACCESS_AGE_MS) {
			sub->access = access_of(s, &sub->now.ends.remote);
			sub->access_ms = now_ms;
			sub->path = path_of(all, sub);
		}
		sub->health = health_of(sub, now_ms);
	}
	forget_gone(all);
	all->unsent_bytes = mg_mptcp_unsent_bytes(s->client.io.fd);
	return true;
}

void mg_subflows_note_shares(struct mg_subflows_now *all)
{
	for (unsigned int i = 0; i < all->n; i++) {
		struct mg_subflow_now *sub = &all->sub[i];
		uint64_t sent = sub->now.sent_bytes - sub->now.resent_bytes;

		sub->lately = sub->lately * 0.75 + (double)(sent - sub->last_sent) * 0.25;
		sub->last_sent = sent;
	}
}

/* ---- pacing --------------------------------------------------------------------------------- */

void mg_subflows_pace(struct mg_subflows_now *all, struct mg_subflow_now *sub, uint64_t cap)
{
	struct mg_admission *a = all->session->worker->proxy->admission;
	uint64_t apart = cap > sub->cap ? cap - sub->cap : sub->cap - cap;

	/* Little is not worth a system call. */
	if (cap == sub->cap || (cap != UINT64_MAX && sub->cap != UINT64_MAX && apart < cap / 64))
		return;
	if (mg_admission_pace(a, &sub->now.ends.local, &sub->now.ends.remote, cap))
		return;
	sub->cap = cap;
	sub->told = true;
}

/* Several subflows of one path share its cap as they share its bytes, and none is left without. */
void mg_subflows_pace_path(struct mg_subflows_now *all, unsigned int path, uint64_t cap)
{
	unsigned int n = 0;
	double lately = 0;

	for (unsigned int i = 0; i < all->n; i++) {
		n += all->sub[i].path == path;
		lately += all->sub[i].path == path ? all->sub[i].lately : 0;
	}
	for (unsigned int i = 0; i < all->n; i++) {
		struct mg_subflow_now *sub = &all->sub[i];
		double part = 1;

		if (sub->path != path)
			continue;
		if (n > 1)
			part = lately > 0 ? 0.8 * sub->lately / lately + 0.4 / n : 1.0 / n;
		mg_subflows_pace(all, sub,
				 cap == UINT64_MAX ? cap : (uint64_t)((double)cap * part) + 1);
	}
}

void mg_subflows_pace_none(struct mg_subflows_now *all)
{
	for (unsigned int i = 0; i < all->n; i++) {
		if (all->sub[i].told)
			mg_subflows_pace(all, &all->sub[i], UINT64_MAX);
	}
}

void mg_subflows_forget_paths(struct mg_subflows_now *all)
{
	/* A reload may have given access networks other numbers. */
	for (unsigned int i = 0; i < all->n; i++) {
		all->sub[i].access_ms = 0;
		all->sub[i].former_path = (int)all->sub[i].path;
	}
	all->n_paths = 0;
}

bool mg_subflows_any_busy(const struct mg_subflows_now *all)
{
	for (unsigned int i = 0; i < all->n; i++) {
		if (all->sub[i].now.held_bytes)
			return true;
	}
	return all->unsent_bytes != 0;
}

void mg_subflows_free(struct mg_subflows_now *all)
{
	for (unsigned int i = 0; i < all->n; i++)
		all->sub[i].seen = false;
	forget_gone(all);
}
