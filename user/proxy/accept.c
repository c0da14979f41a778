// SPDX-License-Identifier: BSD-2-Clause
/*
 * The accept room: the held SYN is let in, and becomes a socket of ours when the client's handshake
 * is over, or at once if it brought data. The message that was judged from the SYN is then taken
 * out of the stream, however late it comes: SYN data that the kernel did not want is repeated.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/proxy.h"

enum mg_step mg_accept_start(struct mg_session *s)
{
	struct mg_worker *w = s->worker;
	const struct mg_ep *to = mg_held_at(s);
	int err = mg_ports_use(w, &s->port, mg_ip_is_v4(&to->ip), to->port, s->kind != MG_HOLD_CPE);

	if (!err)
		err = mg_hold_take(w->proxy->holder, s->frame, w->index);
	if (err) {
		s->reason = MG_CLOSE_PASSED;
		s->pass_why = MG_PASSED_OVERLOAD;
		return MG_STEP_PASS;
	}
	s->taken = true;
	w->stats.hold_replayed++;
	return MG_STEP_WAIT;
}

static enum mg_step over(struct mg_session *s, enum mg_close_reason reason)
{
	s->reason = reason;
	return MG_STEP_CLOSE;
}

static enum mg_step skip_message(struct mg_session *s)
{
	uint8_t bytes[MG_CONVERT_MAX_BYTES];
	struct mg_span data = mg_held_payload(s);
	ssize_t n;

	do {
		n = recv(s->client.io.fd, bytes, s->skip_bytes - s->skipped_bytes, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN) {
		s->client.readable = false;
		return MG_STEP_WAIT;
	}
	if (n <= 0)
		return over(s, MG_CLOSE_CLIENT_GONE);
	/* What we judged is what it said. */
	if (memcmp(bytes, data.data + s->skipped_bytes, (size_t)n) != 0)
		return over(s, MG_CLOSE_NOT_CONVERT);
	s->skipped_bytes += (uint32_t)n;
	return MG_STEP_NEXT;
}

enum mg_step mg_accept_step(struct mg_session *s)
{
	if (s->client.io.fd < 0)
		return MG_STEP_WAIT;
	/* Data in its SYN may be anybody's, in anybody's name. Against that Convert has cookies. */
	if (s->early && s->kind != MG_HOLD_CONVERT)
		return MG_STEP_WAIT;
	/* Whatever it says, the answer stands. */
	if (s->final)
		return MG_STEP_NEXT;
	while (s->skipped_bytes < s->skip_bytes) {
		enum mg_step said = skip_message(s);

		if (said != MG_STEP_NEXT)
			return said;
	}
	return MG_STEP_NEXT;
}
