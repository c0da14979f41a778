/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of sessions with shared addresses (RFC 6888 section 4, RFC 6302): who used which external
 * address and port when, towards whom. A JSON line when a session's connection leaves for its
 * server, and one when the session is over, so that either is there however long it lasted.
 *
 * Workers put records into rings of their own and never wait: a record that finds its ring full is
 * dropped, counted, and the gap told in the log itself. A thread of its own writes lines to a file,
 * or to syslog(3). While the disk is full they wait in the rings.
 */
#ifndef MG_PROXY_SESSIONLOG_H
#define MG_PROXY_SESSIONLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/hold.h"
#include "base/addr.h"
#include "config/config.h"

struct mg_sessionlog;

/* X(symbol, name) */
#define MG_SESSIONLOG_EVENTS(X) X(CONNECT, connect) X(CLOSE, close)
enum mg_sessionlog_event {
#define X(sym, name) MG_SESSIONLOG_##sym,
	MG_SESSIONLOG_EVENTS(X)
#undef X
};

struct mg_sessionlog_record {
	uint64_t time_ms; /* since 1970; 0: now */
	uint64_t session;
	uint64_t bytes_up, bytes_down; /* of CLOSE, as is: */
	const char *reason;	       /* static */
	struct mg_subscriber subscriber;
	uint8_t subscriber_bits; /* of an address; 128: all of it */
	struct mg_ep client, external, server;
	enum mg_sessionlog_event event;
};

struct mg_sessionlog_stats {
	uint64_t lines;	  /* written */
	uint64_t dropped; /* for want of room */
	uint64_t errors;  /* writes and rotations that failed; the lines were kept */
};

/* What the number of an identity stands for: into text, and true; false: not known. Called on the
 * log's thread. */
#define MG_SESSIONLOG_WHO_STRLEN 800 /* an identity may be long, and written as %XX */
struct mg_sessionlog_names {
	bool (*text_of)(void *ctx, uint64_t number, char text[MG_SESSIONLOG_WHO_STRLEN]);
	void *ctx;
};

/* Nothing is logged yet. 0 or -errno. */
int mg_sessionlog_open(struct mg_sessionlog **out, unsigned int n_workers);
/*
 * Where to and how from now on. Also to be called when nothing has changed: the file is opened
 * anew, somebody may have renamed it. 0, or -errno, logged, with all as it was. The main thread's.
 */
int mg_sessionlog_set(struct mg_sessionlog *log, const struct mg_config_sharing *cfg);
/* Who says what identities are from now on, for as long as the log is open; without one they are
 * told as numbers. Any thread. */
void mg_sessionlog_name_by(struct mg_sessionlog *log, const struct mg_sessionlog_names *names);
/* From worker number `worker`; others must not use that number. */
void mg_sessionlog_put(struct mg_sessionlog *log, unsigned int worker,
		       const struct mg_sessionlog_record *record);
/* Any thread. */
void mg_sessionlog_stats(struct mg_sessionlog *log, struct mg_sessionlog_stats *out);
/* Writes what is there still. NULL is allowed. */
void mg_sessionlog_close(struct mg_sessionlog *log);

/* One line, newline included; its length. `names` may be NULL. */
#define MG_SESSIONLOG_LINE_MAX_BYTES (640 + 2 * MG_SESSIONLOG_WHO_STRLEN)
int mg_sessionlog_format(char line[MG_SESSIONLOG_LINE_MAX_BYTES],
			 const struct mg_sessionlog_record *record,
			 const struct mg_sessionlog_names *names);

#endif
