/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control protocol: one JSON object a line over a UNIX stream socket, an answer a line.
 *
 *   -> {"cmd":"session","id":7}
 *   <- {"ok":true,"result":{…}}   or   {"ok":false,"error":"no session 7","code":"ENOENT"}
 *
 * A connection may carry any number of requests, one after the other. Keys of a request that are
 * not known are refused; keys of a result that are not known are to be ignored, more come with
 * time.
 *
 * Results: status, counters: an object. sessions: an array; session: one of its objects, with more
 * keys. servers: an array. config: a string, the running configuration as YAML. drain, close,
 * log-level, servers-forget: an object, possibly empty.
 */
#ifndef MG_WIRE_CONTROL_H
#define MG_WIRE_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/addr.h"
#include "base/log.h"

#define MG_CONTROL_REQUEST_MAX_BYTES 4096

/* X(symbol, name, root only, argument key or NULL) */
#define MG_COMMANDS(X)                              \
	X(STATUS, "status", false, NULL)            \
	X(SESSIONS, "sessions", false, NULL)        \
	X(SESSION, "session", false, "id")          \
	X(SERVERS, "servers", false, NULL)          \
	X(COUNTERS, "counters", false, NULL)        \
	X(CONFIG, "config", false, NULL)            \
	X(DRAIN, "drain", true, NULL)               \
	X(CLOSE, "close", true, "id")               \
	X(FORGET, "servers-forget", true, "server") \
	X(LOG_LEVEL, "log-level", true, "level")

enum mg_command {
#define X(sym, name, root, arg) MG_CMD_##sym,
	MG_COMMANDS(X)
#undef X
		MG_CMD_COUNT
};

struct mg_control_request {
	enum mg_command cmd;
	uint64_t id;		 /* session, close */
	enum mg_log_level level; /* log-level */
	bool all;		 /* servers-forget: "all" of them… */
	struct mg_ep server;	 /* …or this one */
};

const char *mg_command_name(enum mg_command cmd);
bool mg_command_needs_root(enum mg_command cmd);

/* "all" or ADDRESS:PORT, for servers-forget. 0 or -EINVAL. */
int mg_control_parse_server(struct mg_control_request *req, const char *text);
/* One line without its newline. 0; or -EINVAL with what is wrong, for the answer, in `why`. */
int mg_control_parse_request(struct mg_control_request *req, const char *line, size_t len,
			     char *why, size_t why_size);
/* A line to send, newline included, for free(); NULL without memory. */
char *mg_control_format_request(const struct mg_control_request *req);
/* Takes over the reference on result. */
char *mg_control_format_result(json_t *result);
char *mg_control_format_error(int err, const char *text);
/* 0 with *result to be decref'ed; -errno as answered, text in `why`; -EPROTO for nonsense. */
int mg_control_parse_answer(json_t **result, const char *line, size_t len, char *why,
			    size_t why_size);

#endif
