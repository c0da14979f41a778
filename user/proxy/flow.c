// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/flow.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/worker.h"

/* A turn: enough to make wake-ups cheap, little enough that other sessions do not wait long. */
#define TURN_READS 16

/* Bytes taken, 0 if the socket takes no more now, or -1 once it failed. */
static ssize_t give(struct mg_leg *to, const void *data, size_t len)
{
	ssize_t n;

	do {
		n = send(to->io.fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN && errno != ENOBUFS) {
		to->failed = true;
		to->err = errno;
		return -1;
	}
	/* A short count means that the send buffer is full: epoll will tell when it is not. Of
	 * memory that is there again it does not tell. */
	if (n < (ssize_t)len && !(n < 0 && errno == ENOBUFS))
		to->writable = false;
	return n < 0 ? 0 : n;
}

static void count(struct mg_session *s, struct mg_flow *f, size_t n)
{
	struct mg_stats *stats = &s->worker->stats;

	uint32_t *not_sent = f == &s->up ? &s->header_bytes : &s->answer_bytes;
	size_t ours = n < *not_sent ? n : *not_sent;

	s->active_ms = s->worker->loop.now_ms;
	*not_sent -= (uint32_t)ours;
	n -= ours;
	if (f == &s->up) {
		stats->bytes_up += n;
		stats->header_bytes += ours;
	} else {
		stats->bytes_down += n;
	}
	f->bytes += n;
}

void mg_flow_drop(struct mg_session *s, struct mg_flow *f)
{
	if (f->buf)
		mg_pool_put(&s->worker->pool, f->buf);
	f->buf = NULL;
	f->off = f->len = 0;
}

int mg_flow_prepend(struct mg_session *s, struct mg_flow *f, const void *data, size_t len)
{
	f->buf = mg_pool_get(&s->worker->pool);
	if (!f->buf)
		return -ENOMEM;
	memcpy(f->buf->data, data, len);
	f->off = 0;
	f->len = (uint32_t)len;
	return 0;
}

enum mg_flow_state mg_flow_flush(struct mg_session *s, struct mg_flow *f, struct mg_leg *to)
{
	if (f->len) {
		ssize_t n;

		if (to->failed)
			return MG_FLOW_TO_FAILED;
		if (!to->writable)
			return MG_FLOW_WAIT;
		n = give(to, f->buf->data + f->off, f->len);
		if (n < 0)
			return MG_FLOW_TO_FAILED;
		count(s, f, (size_t)n);
		f->off += (uint32_t)n;
		f->len -= (uint32_t)n;
		if (f->len)
			return to->writable ? MG_FLOW_MORE : MG_FLOW_WAIT;
	}
	mg_flow_drop(s, f);
	return MG_FLOW_ENDED;
}

/* Bytes read; 0 when there is nothing more to read now or ever, see from->ended and ->failed. */
static size_t take(struct mg_leg *from, void *data, size_t len)
{
	ssize_t n;

	do {
		n = recv(from->io.fd, data, len, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		return (size_t)n;
	from->readable = false;
	if (n == 0) {
		from->ended = true;
	} else if (errno != EAGAIN) {
		from->failed = true;
		from->err = errno;
	}
	return 0;
}

static enum mg_flow_state source_state(const struct mg_leg *from)
{
	/* After an error the kernel reports an end of data; it is none. */
	if (from->failed)
		return MG_FLOW_FROM_FAILED;
	return from->ended ? MG_FLOW_ENDED : MG_FLOW_WAIT;
}

/* What the receiver did not take stays in the buffer it is in; the worker gets a fresh one. */
static bool keep(struct mg_session *s, struct mg_flow *f, size_t off, size_t len)
{
	struct mg_worker *w = s->worker;
	struct mg_pool_buf *fresh = mg_pool_get(&w->pool);

	if (!fresh)
		return false;
	f->buf = w->scratch;
	f->off = (uint32_t)off;
	f->len = (uint32_t)len;
	w->scratch = fresh;
	return true;
}

enum mg_flow_state mg_flow_pump(struct mg_session *s, struct mg_flow *f, struct mg_leg *from,
				struct mg_leg *to)
{
	enum mg_flow_state flushed = f->len ? mg_flow_flush(s, f, to) : MG_FLOW_ENDED;

	if (flushed != MG_FLOW_ENDED)
		return flushed;
	/* Nothing would leave, and a full send buffer would hide the end of the handshake. */
	if (s->early && s->mptcp && to == &s->client)
		return MG_FLOW_WAIT;
	for (int turn = 0; turn < TURN_READS; turn++) {
		size_t n;
		ssize_t sent;

		if (to->failed)
			return MG_FLOW_TO_FAILED;
		if (!from->readable || from->ended)
			return source_state(from);
		if (!to->writable)
			return MG_FLOW_WAIT;
		n = take(from, s->worker->scratch->data, MG_POOL_BUF_BYTES);
		if (!n)
			return source_state(from);
		sent = give(to, s->worker->scratch->data, n);
		if (sent < 0)
			return MG_FLOW_TO_FAILED;
		count(s, f, (size_t)sent);
		if ((size_t)sent == n)
			continue;
		if (keep(s, f, (size_t)sent, n - (size_t)sent))
			return to->writable ? MG_FLOW_MORE : MG_FLOW_WAIT;
		/* Bytes that cannot be kept are lost, and the sender has to know. */
		to->failed = true;
		to->err = ENOMEM;
		return MG_FLOW_TO_FAILED;
	}
	return MG_FLOW_MORE;
}
