// SPDX-License-Identifier: BSD-2-Clause
#include "gateway/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "wire/convert.h"

/* So long the newest question may be without an answer. */
#define VERDICT_MS 80

enum question_state { NEVER_ASKED, OPEN, ANSWERED, FAILED };

struct question {
	struct mg_io io;
	struct mg_check *check;
	enum question_state state;
	bool sent;
	uint64_t asked_ms;
	size_t in_len;
	uint8_t in[MG_CONVERT_MAX_BYTES];
};

struct mg_check {
	struct mg_loop *loop;
	struct mg_check_options options;
	struct mg_timer ask, verdict;
	struct mg_check_state state;
	bool known;	 /* it was up or down before */
	uint32_t in_row; /* answers */
	struct question *newest;
	struct question questions[]; /* in turns */
};

/* reset: the other side is to forget the connection, too, whatever it waits for. */
static void hang_up(struct question *q, bool reset)
{
	const struct linger at_once = { .l_onoff = 1 };

	if (q->io.fd < 0)
		return;
	if (reset)
		setsockopt(q->io.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(q->io.fd);
	q->io.fd = -1;
}

static void set_up(struct mg_check *c, bool up)
{
	char to[MG_EP_STRLEN];

	if (!up && c->state.up)
		mg_debug("check %s: %s", mg_ep_format(to, &c->options.to), c->state.last_fault);
	if (up)
		c->state.last_fault = "";
	c->state.up = up;
	c->known = true;
}

static uint32_t verdict_ms(const struct mg_check *c)
{
	uint32_t interval_ms = c->options.how.interval_ms;

	return interval_ms < VERDICT_MS ? interval_ms : VERDICT_MS;
}

/* None of the last `fall` questions was answered, and the newest had its chance. */
static bool looks_dead(struct mg_check *c)
{
	if (c->state.asked < c->options.how.fall)
		return false;
	for (uint32_t i = 0; i < c->options.how.fall; i++) {
		if (c->questions[i].state == ANSWERED)
			return false;
	}
	return c->newest->state == FAILED || c->loop->now_ms >= c->newest->asked_ms + verdict_ms(c);
}

static void judge(struct mg_check *c)
{
	if (!c->state.up || !looks_dead(c))
		return;
	if (!*c->state.last_fault)
		c->state.last_fault = "no answer";
	c->in_row = 0;
	set_up(c, false);
	c->options.changed(c->options.ctx);
}

static void time_for_verdict(struct mg_timer *t)
{
	judge(mg_container_of(t, struct mg_check, verdict));
}

static void fail(struct question *q, const char *why)
{
	struct mg_check *c = q->check;

	hang_up(q, true);
	q->state = FAILED;
	c->in_row = 0;
	c->state.failed++;
	c->state.last_fault = why;
	judge(c);
}

static void succeed(struct question *q, bool refuses)
{
	struct mg_check *c = q->check;
	bool changed = c->state.refuses != refuses && c->state.up;

	hang_up(q, false);
	q->state = ANSWERED;
	c->in_row++;
	c->state.answered++;
	c->state.answer_ms = (uint32_t)(c->loop->now_ms - q->asked_ms);
	c->state.refuses = refuses;
	if (!c->state.up && (!c->known || c->in_row >= c->options.how.rise)) {
		set_up(c, true);
		changed = true;
	}
	if (changed)
		c->options.changed(c->options.ctx);
}

/* Over when the message is whole, or can become none any more. */
static void hear(struct question *q)
{
	for (;;) {
		enum mg_convert_error error;
		struct mg_convert_msg msg;
		ssize_t n = recv(q->io.fd, q->in + q->in_len, sizeof(q->in) - q->in_len, 0);
		int len;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			fail(q, n ? "reset" : "ended without an answer");
			return;
		}
		q->in_len += (size_t)n;
		len = mg_convert_parse(&msg, &error, MG_FROM_CONVERTER, q->in, q->in_len);
		if (len == -EAGAIN && q->in_len < sizeof(q->in))
			continue;
		if (len < 0 || error != MG_CE_NONE)
			fail(q, "what it says is not Convert");
		else
			succeed(q, msg.error_present && msg.error_code == MG_CE_RESOURCE_EXCEEDED);
		return;
	}
}

static bool send_info(struct question *q)
{
	struct mg_convert_buf message;
	int len;

	mg_convert_begin(&message);
	mg_convert_put_info(&message);
	len = mg_convert_end(&message);
	/* Eight bytes into an empty buffer: all or nothing. */
	return len > 0 && send(q->io.fd, message.data, (size_t)len, MSG_NOSIGNAL) == len;
}

/* Of an earlier socket of the question, perhaps: only what the socket says counts. */
static void question_ready(struct mg_io *io, uint32_t events)
{
	struct question *q = mg_container_of(io, struct question, io);
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int err = 0;

	(void)events;
	if (q->state != OPEN || io->fd < 0)
		return;
	if (getpeername(io->fd, (struct sockaddr *)&peer, &len)) {
		len = sizeof(err);
		if (!getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &err, &len) && err)
			fail(q, strerrordesc_np(err));
		return;
	}
	if (q->check->options.how.by == MG_CHECK_TCP) {
		succeed(q, false);
		return;
	}
	if (!q->sent && !send_info(q)) {
		fail(q, "reset");
		return;
	}
	q->sent = true;
	hear(q);
}

static int begin(struct question *q, const struct mg_ep *to)
{
	struct sockaddr_storage ss;
	socklen_t len = mg_ep_to_sockaddr(to, &ss);

	q->io.fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (q->io.fd < 0)
		return -errno;
	if (connect(q->io.fd, (struct sockaddr *)&ss, len) && errno != EINPROGRESS)
		return -errno;
	return mg_loop_add(q->check->loop, &q->io, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

/* The place of the one asked `fall` intervals ago: it had all the time it gets. */
static void ask(struct mg_check *c)
{
	struct question *q = c->newest + 1;
	int err;

	if (q == c->questions + c->options.how.fall)
		q = c->questions;
	if (q->state == OPEN)
		fail(q, "no answer");
	c->newest = q;
	c->state.asked++;
	q->state = OPEN;
	q->sent = false;
	q->in_len = 0;
	q->asked_ms = c->loop->now_ms;
	err = begin(q, &c->options.to);
	if (err) {
		fail(q, strerrordesc_np(-err));
		return;
	}
	mg_timer_arm(&c->loop->timers, &c->verdict, q->asked_ms + verdict_ms(c));
}

static void time_to_ask(struct mg_timer *t)
{
	struct mg_check *c = mg_container_of(t, struct mg_check, ask);
	uint64_t next_ms = t->deadline_ms + c->options.how.interval_ms;

	/* A loop that was held up does not make up for what it left out. */
	if (next_ms <= c->loop->now_ms)
		next_ms = c->loop->now_ms + c->options.how.interval_ms;
	mg_timer_arm(&c->loop->timers, t, next_ms);
	ask(c);
}

int mg_check_open(struct mg_check **out, struct mg_loop *loop, const struct mg_check_options *o)
{
	struct mg_check *c = calloc(1, sizeof(*c) + o->how.fall * sizeof(struct question));

	if (!c)
		return -ENOMEM;
	c->loop = loop;
	c->options = *o;
	c->state.refuses = o->presumed == MG_CHECK_REFUSING;
	c->state.up = o->presumed == MG_CHECK_UP || c->state.refuses;
	c->state.last_fault = "";
	c->newest = &c->questions[o->how.fall - 1];
	c->known = o->presumed != MG_CHECK_UNKNOWN;
	c->ask.fire = time_to_ask;
	c->verdict.fire = time_for_verdict;
	for (uint32_t i = 0; i < o->how.fall; i++) {
		c->questions[i].check = c;
		c->questions[i].io = (struct mg_io){ .fd = -1, .ready = question_ready };
	}
	if (mg_timer_arm(&loop->timers, &c->ask, loop->now_ms) ||
	    mg_timer_arm(&loop->timers, &c->verdict, loop->now_ms + verdict_ms(c))) {
		mg_check_close(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

void mg_check_close(struct mg_check *c)
{
	if (!c)
		return;
	mg_timer_disarm(&c->loop->timers, &c->ask);
	mg_timer_disarm(&c->loop->timers, &c->verdict);
	for (uint32_t i = 0; i < c->options.how.fall; i++)
		hang_up(&c->questions[i], true);
	free(c);
}

void mg_check_state(const struct mg_check *c, struct mg_check_state *out)
{
	*out = c->state;
}
