/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One session: a client's connection, the server's, and what flows between them.
 *
 * session.c is the corridor; it alone changes the state. The rooms do their part and say where to
 * go next, and never call each other:
 *
 *   hold     a SYN is held: what is it, may it end here?   held.c, servers.c
 *   greet    reads and judges the Convert message          greet.c, policy.c
 *   via      opens it through the provider's converter     via.c
 *   connect  opens the connection to the server            connect.c, source.c
 *   accept   the held SYN is let in; wait for its socket   accept.c, ports.c
 *   relay    moves bytes both ways                         relay.c
 *   linger   an Error TLV is on its way; wait for the end  linger.c
 *   reset    one side broke; deliver what it sent, then break the other   reset.c
 *   account  counts, and describes                         account.c
 *
 * A session begins with a socket that was accepted (greet), or with a SYN that TC holds (hold). How
 * the client hears of what the rooms found is tell.c's: in Convert's words, or as the server would
 * have said it.
 *
 * All of a session happens on its worker's thread. Times are milliseconds of the loop's clock.
 */
#ifndef MG_PROXY_SESSION_H
#define MG_PROXY_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/policy.h"
#include "base/addr.h"
#include "base/list.h"
#include "base/loop.h"
#include "base/pool.h"
#include "base/timer.h"
#include "config/config.h"
#include "proxy/servers.h"
#include "proxy/sharing.h"
#include "sys/hold.h"
#include "sys/sock.h"
#include "wire/convert.h"

struct mg_port;
struct mg_spread;
struct mg_via;
struct mg_worker;

/* X(symbol, name) */
#define MG_SESSION_STATES(X) \
	X(HOLD, hold)        \
	X(GREET, greet)      \
	X(VIA, via)          \
	X(CONNECT, connect)  \
	X(ACCEPT, accept)    \
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
	X(STEPPED_ASIDE, stepped_aside, "the server speaks MPTCP: the SYN went on to it")    \
	X(PASSED, passed, "the SYN went on: no room, nothing for us, or out of reach")       \
	X(GAVE_UP, gave_up, "the client gave up, or repeated its SYN without MPTCP")         \
	X(DECLINED, declined, "the server refused, and the client heard so: RST or ICMP")    \
	X(UNANSWERED, unanswered, "the server did not answer, and neither did we")           \
	X(ACCEPT_TIMEOUT, accept_timeout, "the client did not end its handshake")            \
	X(NOT_ADMITTED, not_admitted, "a held SYN that a policy denies, or a limit refuses") \
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
	MG_STEP_FAILED, /* via, connect: no connection to the server (s->failure says why) */
	MG_STEP_BYPASS, /* via: the converter is of no use, ask the server itself */
	MG_STEP_PASS,	/* the held SYN goes on (s->reason, s->pass_why); not after it was let in */
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
	uint32_t header_bytes;	 /* nor do these, of a PROXY header to the server */
	struct mg_leg *broken;	 /* in RESET: the side that broke */
	uint32_t reset_wait_ms;	 /* in RESET: the next look at what is unacknowledged */
	uint64_t deadline_ms;	 /* of RESET and LINGER */
	uint64_t discarded;	 /* in LINGER: bytes read for nobody */

	struct mg_ep client_ep, converter_ep, server_ep, source_ep;
	struct mg_ticket ticket; /* what it was charged for; of nothing until then */
	uint32_t counted_token;	 /* its subflows are charged by it; 0: they are not */
	bool mptcp;		 /* the client's handshake was MPTCP */
	bool early;		 /* the handshake was not over when last looked at */
	bool fallback;		 /* and then, or because of it, became TCP */
	bool want_mptcp;	 /* towards the server */
	bool want_info;		 /* Info came along with Connect */
	bool pending;		 /* charged to the client's pending requests */
	struct mg_lease lease;	 /* of an external address, and ports */
	bool logged;		 /* the session log has its beginning */

	/* Of a SYN that TC held; `frame` is ours, and there from hold to the end of accept. */
	enum mg_hold_kind kind; /* MG_HOLD_CONVERT also for what was accepted and never held */
	enum mg_mode mode;
	enum mg_known known; /* of the server, when the SYN came */
	struct mg_frame *frame;
	uint32_t isn;
	bool offered;	   /* it carried MP_CAPABLE */
	bool held;	   /* the kernel holds it: to be let go once */
	bool taken;	   /* it was let in */
	bool unaccepted;   /* counted in the proxy's */
	bool final;	   /* the answer that waits for the client's socket ends the session */
	bool probe;	   /* the connection to the server is to tell whether it speaks MPTCP */
	bool server_mptcp; /* it does: seen on our connection to it */
	enum mg_passed_why pass_why;
	struct mg_session *held_next;	/* in the worker's table of held SYNs */
	struct mg_asker asker;		/* towards servers.c */
	struct mg_timer hold_timer;	/* converter.hold_max_ms */
	struct mg_port *port;		/* the listener it was let into, and joins come to */
	uint32_t token;			/* registered for joins; 0: none */
	uint32_t skip_bytes;		/* the message that was judged from the SYN… */
	uint32_t skipped_bytes;		/* …and what of it is out of the socket */
	struct mg_sock_failure failure; /* of the connection to the server… */
	bool timed_out;			/* …which did not answer at all */
	struct mg_spread *spread; /* over its paths, spread.c's own; NULL: as the kernel does */
	struct mg_via *via;	  /* via.c's own, freed by mg_via_free */
};

/* Takes over the client's socket. Failing closes it. */
void mg_session_open(struct mg_worker *w, int fd, const struct mg_ep *client,
		     const struct mg_ep *converter, bool mptcp);

/* A SYN is held for us. Takes a copy of the frame. */
void mg_session_hold(struct mg_worker *w, const struct mg_held_syn *syn);
/* A held SYN's connection was accepted; takes over the socket. */
void mg_session_adopt(struct mg_session *s, int fd, bool mptcp);
/* Its client has a socket, or will never have one. */
void mg_session_accepted(struct mg_session *s);
/* Answers a held SYN with a RST, and forgets it; the session is the caller's to close. */
void mg_session_refuse(struct mg_session *s);
/* The client ends a held attempt: with a RST, or by a SYN without MP_CAPABLE, which goes on. */
void mg_session_give_up(struct mg_session *s, const struct mg_held_syn *how);

/* For begin.c: a session without sockets, NULL without memory; and the way on from its first step.
 */
struct mg_session *mg_session_new(struct mg_worker *w, enum mg_session_state state);
void mg_session_follow(struct mg_session *s, enum mg_step said, struct mg_convert_buf *answer);

/* Goes on where the session stands, after an event or when put-off work is due. */
void mg_session_walk(struct mg_session *s);

/* The configuration changed: so did perhaps the time-out the session waits for. */
void mg_session_reloaded(struct mg_session *s);

/* The only way out, from any state. Nothing of the session may be touched by the caller after it.
 */
void mg_session_close(struct mg_session *s, enum mg_close_reason reason);

/* What holds for it now: a reload may change it. The default policy before it was charged. */
const struct mg_config_policy *mg_session_policy(const struct mg_session *s);
/* From whose address its server hears: as its policy has it, else what it began as. */
enum mg_source mg_session_source(const struct mg_session *s);

const char *mg_session_state_name(enum mg_session_state state);
const char *mg_close_reason_label(enum mg_close_reason reason);

/*
 * The rooms. `answer` is what the client gets when they return MG_STEP_ANSWER, and if a room that
 * fills it returns MG_STEP_NEXT, then too.
 */
enum mg_step mg_held_start(struct mg_session *s);
enum mg_step mg_held_step(struct mg_session *s);
enum mg_step mg_held_timeout(struct mg_session *s);
enum mg_step mg_greet_step(struct mg_session *s, struct mg_convert_buf *answer);
/* From the SYN's own bytes. */
enum mg_step mg_greet_held(struct mg_session *s, struct mg_convert_buf *answer);
/* The way through cpe.converter: NEXT, FAILED, BYPASS or WAIT. s->server is its connection; on NEXT
 * it carries the server's bytes and nothing else. */
bool mg_via_wanted(const struct mg_session *s);
enum mg_step mg_via_start(struct mg_session *s);
enum mg_step mg_via_step(struct mg_session *s);
enum mg_step mg_via_timeout(struct mg_session *s);
/* After a bypass the server itself accepted. */
void mg_via_reached(struct mg_session *s);
void mg_via_free(struct mg_session *s);
/* NEXT, FAILED, WAIT, or PASS when the server turns out to speak MPTCP. */
enum mg_step mg_connect_start(struct mg_session *s);
enum mg_step mg_connect_step(struct mg_session *s);
enum mg_step mg_connect_timeout(struct mg_session *s);
/* Lets the SYN in: WAIT, or PASS if that cannot be. */
enum mg_step mg_accept_start(struct mg_session *s);
enum mg_step mg_accept_step(struct mg_session *s);
enum mg_step mg_relay_step(struct mg_session *s);
/* What the timer of a relaying session found: MG_STEP_WAIT rearms at *next_ms. */
enum mg_step mg_relay_idle(struct mg_session *s, uint64_t *next_ms);
enum mg_step mg_linger_step(struct mg_session *s);
enum mg_step mg_reset_step(struct mg_session *s);

/* tell.c: what the client hears of the server. ANSWER, CLOSE or PASS. */
enum mg_step mg_tell_failed(struct mg_session *s, struct mg_convert_buf *answer);
void mg_tell_connected(struct mg_session *s, struct mg_convert_buf *answer);

#endif
