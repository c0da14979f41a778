// SPDX-License-Identifier: BSD-2-Clause
/*
 * The linger room: an answer that ends the session is on its way. RFC 8803 section 6.2.8 forbids a
 * RST here, and closing a socket with unread bytes would send one: so what the client still sends
 * is read and thrown away until it ends, too.
 */
#include <errno.h>
#include <sys/socket.h>

#include "proxy/flow.h"
#include "proxy/worker.h"

#define DISCARD_READS_MAX 64
/* More than a client has on the way when the answer reaches it; who goes on is reset. */
#define DISCARD_BYTES_MAX (16 * 1024 * 1024)

enum mg_step mg_linger_step(struct mg_session *s)
{
	struct mg_leg *c = &s->client;
	enum mg_flow_state sent = mg_flow_flush(s, &s->down, c);

	if (sent == MG_FLOW_TO_FAILED || s->worker->loop.now_ms >= s->deadline_ms)
		return MG_STEP_CLOSE;
	if (sent == MG_FLOW_MORE && mg_list_empty(&s->ready_node))
		mg_list_append(&s->worker->ready, &s->ready_node);
	if (sent != MG_FLOW_ENDED)
		return MG_STEP_WAIT;
	if (!c->shut) {
		c->shut = true;
		shutdown(c->io.fd, SHUT_WR);
	}
	for (int i = 0; i < DISCARD_READS_MAX && c->readable; i++) {
		ssize_t n =
			recv(c->io.fd, s->worker->scratch->data, MG_POOL_BUF_BYTES, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n > 0)
			s->discarded += (uint64_t)n;
		if (n <= 0)
			c->readable = false;
		if (n == 0)
			c->ended = true;
		else if (n < 0 && errno != EAGAIN)
			c->failed = true;
	}
	if (c->ended || c->failed || s->discarded > DISCARD_BYTES_MAX)
		return MG_STEP_CLOSE;
	if (c->readable && mg_list_empty(&s->ready_node))
		mg_list_append(&s->worker->ready, &s->ready_node);
	return MG_STEP_WAIT;
}
