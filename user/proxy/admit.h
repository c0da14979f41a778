/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a session is charged for (sys/admission.h): once, by the room that knows its server; its
 * subflows from the moment on that its token is known; given back at its end. Without admission in
 * the kernel only converter.max_sessions counts.
 *
 * On the session's worker, but for mg_admit_subflow.
 */
#ifndef MG_PROXY_ADMIT_H
#define MG_PROXY_ADMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/policy.h"
#include "base/addr.h"

struct mg_admission;
struct mg_session;

/* What became of it. `refusal` is enum mg_refusal, or -errno where it could not be counted. */
struct mg_admit_said {
	int refusal;
	uint64_t wait_ns; /* of OVER_RATE */
};

/* s->server_ep is known. `cookie`: a valid one came along. s->ticket tells the policy in any case;
 * who was charged already stays so. */
struct mg_admit_said mg_admit_session(struct mg_session *s, bool cookie);
/* Does its client come from somebody else's access network? Nothing is charged or counted. */
bool mg_admit_is_third_party(struct mg_session *s);
/* What Convert's client is told to wait (RFC 8803 section 6.2.8, error 64), from 1 to 255. */
uint8_t mg_admit_delay_s(const struct mg_session *s, const struct mg_admit_said *said);

/* Once its socket is there, and again when its handshake is over; until then there may be no token.
 */
void mg_admit_token(struct mg_session *s);
/* Subflows that the kernel let in while nobody counted: they count now, or end. */
void mg_admit_joined(struct mg_session *s);
/* From mg_session_close and nowhere else. */
void mg_admit_release(struct mg_session *s);

/* A subflow that has joined, and may stay or not: true if it may. Any thread. */
bool mg_admit_subflow(struct mg_admission *a, uint32_t token, const struct mg_ep *local,
		      const struct mg_ep *remote);

#endif
