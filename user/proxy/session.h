/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One session: a client's connection, the server's, and what flows between them.
 *
 * session.c is the corridor; it alone changes the state. The rooms do their part and say where to
 * go next, and never call each other:
 *
 *   greet    reads and judges the Convert message          greet.c, policy.c
 *   connect  opens the connection to the server            connect.c
 *   relay    moves bytes both ways                         relay.c
 *   linger   an Error TLV is on its way; wait for the end  linger.c
 *   reset    one side broke; deliver what it sent, then break the other   reset.c
 *   account  counts, and describes                         account.c
 *
 * All of a session happens on its worker's thread. Times are milliseconds of the loop's clock.
 */
#ifndef MG_PROXY_SESSION_H
#define MG_PROXY_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/list.h"
#include "base/loop.h"
#include "base/pool.h"
#include "base/timer.h"
#include "wire/convert.h"

struct mg_worker;

/* X(symbol, name) */
#define MG_SESSION_STATES(X) \
	X(GREET, greet)      \
	X(CONNECT, connect)  \
	X(RELAY, relay)      \
	X(LINGER, linger)    \
	X(RESET, reset)      \
	X(CLOSED, closed)

enum mg_session_state {
#define X(sym, name) MG_SESSION_##sym,
	MG_SESSION_STATES(X)
#undef X
};

/* Why a session ended: X(symbol, label, doc). The label names the counter. */
#define MG_CLOSE_REASONS(X)                                                                  \
	X(FINISHED, finished, "both sides ended in order")                                   \
	X(CLIENT_RESET, client_reset, "the client reset the connection")                     \
	X(SERVER_RESET, server_reset, "the server reset the connection")                     \
	X(CLIENT_LOST, client_lost, "the client could not be reached any more")              \
	X(SERVER_LOST, server_lost, "the server could not be reached any more")              \
	X(IDLE, idle, "nothing moved for idle_timeout_s")                                    \
	X(HALF_OPEN, half_open, "one side ended, nothing moved for half_open_timeout_s")     \
	X(GREET_TIMEOUT, greet_timeout, "no whole Convert message within greet_timeout_ms")  \
	X(NOT_CONVERT, not_convert, "what came was not Convert")                             \
	X(CLIENT_GONE, client_gone, "the client left before the server had answered")        \
	X(REFUSED, refused, "answered with an Error TLV")                                    \
	X(INFORMED, informed, "an Info request, answered")                                   \
	X(OVERLOAD, overload, "no room to answer: descriptors, memory, or too many pending") \
	X(OPERATOR, operator, "closed by mpgatectl")                                         \
	X(DRAINED, drained, "still open when drain_timeout_s was over")

enum mg_close_reason {
#define X(sym, label, doc) MG_CLOSE_##sym,
	MG_CLOSE_REASONS(X)
#undef X
		MG_CLOSE_COUNT
};

/* What a room says when it is done with its step. */
enum mg_step {
	MG_STEP_WAIT,	/* nothing more to do before the next event */
	MG_STEP_NEXT,	/* on to the next room */
	MG_STEP_ANSWER, /* an answer is in the down flow, and ends the session (s->reason says why)
			 */
	MG_STEP_RESET,	/* a side broke (s->broken) */
	MG_STEP_CLOSE,	/* it is over, s->reason says why */
};

/* One of the two sockets. io.fd is -1 while there is none. */
struct mg_leg {
	struct mg_io io;
	bool readable; /* epoll said so, and no read came up empty since */
	bool writable;
	bool ended;  /* it sent its end of data */
	bool shut;   /* we sent ours */
	bool half;   /* epoll said that it will send no more; there may be bytes to read yet */
	bool failed; /* an error was seen; what it had sent before may still be read */
	int err;     /* positive errno of the failure, once a call has returned it */
};

/* One direction. The buffer is there only while bytes wait for a socket that takes no more. */
struct mg_flow {
	struct mg_pool_buf *buf;
	uint32_t off, len; /* what of buf is still to be sent */
	uint64_t bytes;	   /* user data taken over by the receiving socket */
};

struct mg_session {
	struct mg_list node;	   /* in the worker's sessions, later in its dead */
	struct mg_list ready_node; /* in the worker's ready list while work was put off */
	struct mg_worker *worker;
	uint64_t id;
	uint64_t opened_ms, active_ms;
	struct mg_timer timer; /* of the current state */
	enum mg_session_state state;
	enum mg_close_reason reason;

	struct mg_leg client, server;
	struct mg_flow up, down; /* client to server, server to client */
	uint32_t answer_bytes;	 /* Convert bytes not yet sent; they do not count as user data */
	struct mg_leg *broken;	 /* in RESET: the side that broke */
	uint32_t reset_wait_ms;	 /* in RESET: the next look at what is unacknowledged */
	uint64_t deadline_ms;	 /* of RESET and LINGER */
	uint64_t discarded;	 /* in LINGER: bytes read for nobody */

	struct mg_ep client_ep, converter_ep, server_ep, source_ep;
	bool mptcp;	 /* the client's handshake was MPTCP */
	bool early;	 /* the handshake was not over when last looked at */
	bool fallback;	 /* and then, or because of it, became TCP */
	bool want_mptcp; /* towards the server */
	bool want_info;	 /* Info came along with Connect */
	bool pending;	 /* charged to the client's pending requests */
};

/* Takes over the client's socket. Failing closes it. */
void mg_session_open(struct mg_worker *w, int fd, const struct mg_ep *client,
		     const struct mg_ep *converter, bool mptcp);

/* Goes on where the session stands, after an event or when put-off work is due. */
void mg_session_walk(struct mg_session *s);

/* The configuration changed: so did perhaps the time-out the session waits for. */
void mg_session_reloaded(struct mg_session *s);

/* The only way out, from any state. Nothing of the session may be touched by the caller after it.
 */
void mg_session_close(struct mg_session *s, enum mg_close_reason reason);

const char *mg_session_state_name(enum mg_session_state state);
const char *mg_close_reason_label(enum mg_close_reason reason);

/*
 * The rooms. greet, connect: `answer` is what the client gets when they return MG_STEP_ANSWER, and
 * for connect also with MG_STEP_NEXT.
 */
enum mg_step mg_greet_step(struct mg_session *s, struct mg_convert_buf *answer);
enum mg_step mg_connect_start(struct mg_session *s, struct mg_convert_buf *answer);
enum mg_step mg_connect_step(struct mg_session *s, struct mg_convert_buf *answer);
enum mg_step mg_connect_timeout(struct mg_session *s, struct mg_convert_buf *answer);
enum mg_step mg_relay_step(struct mg_session *s);
/* What the timer of a relaying session found: MG_STEP_WAIT rearms at *next_ms. */
enum mg_step mg_relay_idle(struct mg_session *s, uint64_t *next_ms);
enum mg_step mg_linger_step(struct mg_session *s);
enum mg_step mg_reset_step(struct mg_session *s);

#endif
