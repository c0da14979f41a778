/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is a proxy there? Asked at the application, every interval_ms: a Convert Info exchange (RFC 8803
 * section 6.2.3; whatever is well-formed is an answer, an Error TLV too), or a connection that is
 * accepted.
 *
 * A question stays open until it is answered, or for interval_ms * fall: a slow answer is none the
 * less one. What is refused, reset or garbage has failed at once. Down: the last `fall` questions
 * have failed or are not answered yet, the newest for at least min(interval_ms, 80 ms). So a proxy
 * that dies is down within interval_ms * fall + 100 ms. Up: `rise` answers in a row.
 *
 * Connections are plain TCP, from here, past the data plane: what is asked is the proxy itself.
 */
#ifndef MG_GATEWAY_CHECK_H
#define MG_GATEWAY_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/loop.h"
#include "config/config.h"

struct mg_check;

enum mg_check_presumed {
	MG_CHECK_UNKNOWN, /* down, and up with the first answer */
	MG_CHECK_UP,	  /* as it was found before */
	MG_CHECK_DOWN,
	MG_CHECK_REFUSING, /* up, but for new sessions */
};

struct mg_check_options {
	struct mg_ep to;
	struct mg_config_check how; /* its port is not looked at */
	enum mg_check_presumed presumed;
	/* It came, it went, or (up as before) it begins or stops to refuse new sessions itself. */
	void (*changed)(void *ctx);
	void *ctx;
};

/* 0 or -ENOMEM. The first question is asked at once. */
int mg_check_open(struct mg_check **out, struct mg_loop *loop, const struct mg_check_options *o);
void mg_check_close(struct mg_check *c);

struct mg_check_state {
	bool up;
	bool refuses; /* new sessions: its last answer was error 64, as while it drains */
	uint64_t asked, answered, failed;
	uint32_t answer_ms;	/* how long the last answer took */
	const char *last_fault; /* "": none since it came up */
};
void mg_check_state(const struct mg_check *c, struct mg_check_state *out);

#endif
