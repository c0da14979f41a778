// SPDX-License-Identifier: BSD-2-Clause
#include "gateway/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mg_resolve {
	atomic_int holders; /* the thread, and whoever waits for it */
	struct mg_io answered;
	struct mg_loop *loop;
	void (*done)(void *ctx, const struct mg_ep *eps, size_t n, const char *why);
	void *ctx;
	uint16_t port;
	struct mg_ep eps[MG_RESOLVE_MAX];
	size_t n;
	const char *why;
	char host[]; /* a copy */
};

static void let_go(struct mg_resolve *r)
{
	if (atomic_fetch_sub(&r->holders, 1) > 1)
		return;
	close(r->answered.fd);
	free(r);
}

static void *ask(void *arg)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct mg_resolve *r = arg;
	struct addrinfo *list = NULL;
	uint64_t one = 1;
	int err = getaddrinfo(r->host, NULL, &hints, &list);

	if (err)
		r->why = err == EAI_SYSTEM ? "no answer from a name server" : gai_strerror(err);
	for (const struct addrinfo *at = list; at && r->n < MG_RESOLVE_MAX; at = at->ai_next) {
		if (mg_ep_from_sockaddr(&r->eps[r->n], at->ai_addr))
			continue;
		r->eps[r->n++].port = htons(r->port);
	}
	if (list)
		freeaddrinfo(list);
	while (write(r->answered.fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	let_go(r);
	return NULL;
}

static void answered(struct mg_io *io, uint32_t events)
{
	struct mg_resolve *r = mg_container_of(io, struct mg_resolve, answered);

	(void)events;
	mg_loop_remove(r->loop, io);
	r->done(r->ctx, r->eps, r->n, r->why ? r->why : "it has no address");
	let_go(r);
}

static int start_thread(struct mg_resolve *r)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = pthread_create(&thread, &attr, ask, r);
	pthread_attr_destroy(&attr);
	return -err;
}

int mg_resolve_start(struct mg_resolve **out, struct mg_loop *loop, const char *host, uint16_t port,
		     void (*done)(void *ctx, const struct mg_ep *eps, size_t n, const char *why),
		     void *ctx)
{
	size_t room = strlen(host) + 1;
	struct mg_resolve *r = calloc(1, sizeof(*r) + room);
	int err;

	if (!r)
		return -ENOMEM;
	memcpy(r->host, host, room);
	r->loop = loop;
	r->done = done;
	r->ctx = ctx;
	r->port = port;
	r->answered =
		(struct mg_io){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = answered };
	atomic_init(&r->holders, 2);
	err = r->answered.fd < 0 ? -errno : mg_loop_add(loop, &r->answered, EPOLLIN);
	if (!err) {
		err = start_thread(r);
		if (err)
			mg_loop_remove(loop, &r->answered);
	}
	if (err) {
		if (r->answered.fd >= 0)
			close(r->answered.fd);
		free(r);
		return err;
	}
	*out = r;
	return 0;
}

void mg_resolve_cancel(struct mg_resolve *r)
{
	if (!r)
		return;
	mg_loop_remove(r->loop, &r->answered);
	let_go(r);
}
