// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/servers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "abi/siphash.h"

#define BUCKETS 4096
/* What was in the ring when the verdict came, is out of it by then. */
#define KEEP_MS 500

struct mg_probe {
	struct mg_probe *next;
	struct mg_list kept_node;
	struct mg_list waiters;
	const struct mg_asker *asker; /* who is to tell; not looked into */
	struct mg_ep server;
	enum mg_known verdict; /* NOTHING while it is under way */
	uint64_t until_ms;
	uint64_t place; /* of the verdict among all */
};

int mg_servers_init(struct mg_servers *s)
{
	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
	mg_list_init(&s->kept);
	if (getrandom(s->key, sizeof(s->key), 0) != sizeof(s->key))
		return -EIO;
	s->n_buckets = BUCKETS;
	s->buckets = calloc(BUCKETS, sizeof(struct mg_probe *));
	return s->buckets ? 0 : -ENOMEM;
}

static struct mg_probe **find(struct mg_servers *s, const struct mg_ep *server)
{
	uint8_t bytes[sizeof(server->ip) + sizeof(server->port)];
	struct mg_probe **at;

	memcpy(bytes, &server->ip, sizeof(server->ip));
	memcpy(bytes + sizeof(server->ip), &server->port, sizeof(server->port));
	at = &s->buckets[mg_siphash24(s->key, bytes, sizeof(bytes)) % s->n_buckets];
	while (*at && !mg_ep_equal(&(*at)->server, server))
		at = &(*at)->next;
	return at;
}

static void drop(struct mg_servers *s, struct mg_probe **at)
{
	struct mg_probe *gone = *at;

	if (!gone)
		return;
	*at = gone->next;
	mg_list_remove(&gone->kept_node);
	free(gone);
	s->n--;
}

static void drop_kept(struct mg_servers *s, uint64_t until_ms)
{
	while (!mg_list_empty(&s->kept)) {
		struct mg_probe *p = mg_container_of(s->kept.next, struct mg_probe, kept_node);

		if (p->until_ms > until_ms)
			return;
		mg_list_remove(&p->kept_node);
		drop(s, find(s, &p->server));
	}
}

void mg_servers_free(struct mg_servers *s)
{
	if (s->buckets)
		drop_kept(s, UINT64_MAX);
	free(s->buckets);
	s->buckets = NULL;
	pthread_mutex_destroy(&s->lock);
}

enum mg_ask mg_servers_ask(struct mg_servers *s, struct mg_asker *a, struct mg_inbox *inbox,
			   const struct mg_ep *server, uint64_t known, uint64_t now_ms)
{
	enum mg_ask ask = MG_ASK_WAIT;
	struct mg_probe *p, **at;

	pthread_mutex_lock(&s->lock);
	drop_kept(s, now_ms);
	at = find(s, server);
	if (*at && (*at)->verdict != MG_KNOWN_NOTHING && (*at)->place <= known)
		drop(s, at);
	p = *at;
	if (!p) {
		p = *at = calloc(1, sizeof(*p));
		ask = p ? MG_ASK_PROBE : MG_ASK_ALONE;
		if (p) {
			p->server = *server;
			p->asker = a;
			mg_list_init(&p->waiters);
			mg_list_init(&p->kept_node);
			s->n++;
			a->asks = true;
		}
	} else if (p->verdict != MG_KNOWN_NOTHING) {
		a->verdict = p->verdict;
		ask = MG_ASK_KNOWN;
	} else {
		a->inbox = inbox;
		mg_list_append(&p->waiters, &a->node);
	}
	pthread_mutex_unlock(&s->lock);
	return ask;
}

static void wake_one(struct mg_probe *p, enum mg_known verdict)
{
	struct mg_asker *a = mg_container_of(mg_list_pop(&p->waiters), struct mg_asker, node);
	bool first = mg_list_empty(&a->inbox->told);
	uint64_t one = 1;

	a->verdict = verdict;
	mg_list_append(&a->inbox->told, &a->node);
	while (first && write(a->inbox->io.fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void wake(struct mg_probe *p, enum mg_known verdict)
{
	while (!mg_list_empty(&p->waiters))
		wake_one(p, verdict);
}

/* Who waited longest is the one to tell from now on. */
static void choose(struct mg_probe *p)
{
	struct mg_asker *next = mg_container_of(p->waiters.next, struct mg_asker, node);

	next->asks = true;
	p->asker = next;
	wake_one(p, MG_KNOWN_NOTHING);
}

void mg_servers_tell(struct mg_servers *s, const struct mg_ep *server, enum mg_known verdict,
		     uint64_t now_ms)
{
	struct mg_probe *p;

	pthread_mutex_lock(&s->lock);
	p = *find(s, server);
	if (p) {
		p->verdict = verdict;
		p->place = atomic_fetch_add(&s->n_told, 1) + 1;
		p->until_ms = now_ms + KEEP_MS;
		mg_list_remove(&p->kept_node);
		mg_list_append(&s->kept, &p->kept_node);
		wake(p, verdict);
	}
	pthread_mutex_unlock(&s->lock);
}

uint64_t mg_servers_told(struct mg_servers *s)
{
	return atomic_load(&s->n_told);
}

static void leave(struct mg_servers *s, struct mg_asker *a, const struct mg_ep *server,
		  bool hand_on)
{
	/* As long as it waits, others may make it the one that asks. */
	if (!a->inbox && !a->asks)
		return;
	pthread_mutex_lock(&s->lock);
	if (a->inbox)
		mg_list_remove(&a->node);
	if (a->asks) {
		struct mg_probe **at = find(s, server);

		/* Another one may ask by now, or somebody else have told. */
		if (*at && (*at)->asker == a && (*at)->verdict == MG_KNOWN_NOTHING) {
			if (hand_on && !mg_list_empty(&(*at)->waiters)) {
				choose(*at);
			} else {
				wake(*at, MG_KNOWN_NOTHING);
				drop(s, at);
			}
		}
	}
	pthread_mutex_unlock(&s->lock);
	a->asks = false;
	a->inbox = NULL;
}

void mg_servers_leave(struct mg_servers *s, struct mg_asker *a, const struct mg_ep *server)
{
	leave(s, a, server, false);
}

void mg_servers_hand_on(struct mg_servers *s, struct mg_asker *a, const struct mg_ep *server)
{
	leave(s, a, server, true);
}

void mg_servers_forget(struct mg_servers *s, const struct mg_ep *server)
{
	struct mg_probe **at;

	pthread_mutex_lock(&s->lock);
	if (!server) {
		drop_kept(s, UINT64_MAX);
	} else {
		at = find(s, server);
		if (*at && (*at)->verdict != MG_KNOWN_NOTHING)
			drop(s, at);
	}
	pthread_mutex_unlock(&s->lock);
}

int mg_inbox_open(struct mg_inbox *in, void (*ready)(struct mg_io *io, uint32_t events))
{
	mg_list_init(&in->told);
	in->io.ready = ready;
	in->io.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return in->io.fd < 0 ? -errno : 0;
}

void mg_inbox_close(struct mg_inbox *in)
{
	if (in->io.fd >= 0)
		close(in->io.fd);
	in->io.fd = -1;
}

struct mg_asker *mg_inbox_take(struct mg_servers *s, struct mg_inbox *in)
{
	struct mg_asker *a = NULL;
	uint64_t n;

	pthread_mutex_lock(&s->lock);
	if (!mg_list_empty(&in->told)) {
		a = mg_container_of(mg_list_pop(&in->told), struct mg_asker, node);
		a->told = true;
		a->inbox = NULL;
	} else if (read(in->io.fd, &n, sizeof(n)) < 0) {
		errno = 0; /* woken for nothing */
	}
	pthread_mutex_unlock(&s->lock);
	return a;
}
