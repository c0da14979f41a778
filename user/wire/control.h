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
 * Results: status, counters, ring, locate, policy-test, cookie: an object. sessions, servers,
 * proxies, tokens, limits, policies, access: an array.
 * session: one of sessions' objects, with more keys. config: a string, the running configuration as
 * YAML. drain, undrain, close, log-level, servers-forget, access-set, access-del, policy-set,
 * policy-del, reload: an object, possibly empty; of the last three an error's text is findings, a
 * line each.
 */
#ifndef MG_WIRE_CONTROL_H
#define MG_WIRE_CONTROL_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "abi/steer.h"
#include "base/addr.h"
#include "base/log.h"

#define MG_CONTROL_REQUEST_MAX_BYTES 32768
#define MG_CONTROL_POLICY	     16000 /* one policy, as text; in JSON at most twice as long */
#define MG_CONTROL_SUBSCRIBER	     256   /* an address, a prefix, or an identity, as text */

/* X(symbol, name, root only, keys of its arguments: those that may be left out end with '?') */
#define MG_COMMANDS(X)                                                        \
	X(STATUS, "status", false, "")                                        \
	X(SESSIONS, "sessions", false, "")                                    \
	X(SESSION, "session", false, "id")                                    \
	X(SERVERS, "servers", false, "")                                      \
	X(PROXIES, "proxies", false, "")                                      \
	X(TOKENS, "tokens", false, "token?")                                  \
	X(RING, "ring", false, "group")                                       \
	X(LOCATE, "locate", false, "client to in? kind? token?")              \
	X(COUNTERS, "counters", false, "")                                    \
	X(LIMITS, "limits", false, "subscriber?")                             \
	X(POLICY_TEST, "policy-test", false, "from to via?")                  \
	X(ACCESS, "access", false, "prefix?")                                 \
	X(ACCESS_SET, "access-set", true, "prefix access subscriber? ttl_s?") \
	X(ACCESS_DEL, "access-del", true, "prefix")                           \
	X(COOKIE, "cookie", true, "address")                                  \
	X(CONFIG, "config", false, "")                                        \
	X(POLICIES, "policies", false, "")                                    \
	X(POLICY_SET, "policy-set", true, "policy")                           \
	X(POLICY_DEL, "policy-del", true, "name")                             \
	X(RELOAD, "reload", true, "")                                         \
	X(DRAIN, "drain", true, "proxy?")                                     \
	X(UNDRAIN, "undrain", true, "proxy")                                  \
	X(CLOSE, "close", true, "id")                                         \
	X(FORGET, "servers-forget", true, "server")                           \
	X(LOG_LEVEL, "log-level", true, "level")

enum mg_command {
#define X(sym, name, root, args) MG_CMD_##sym,
	MG_COMMANDS(X)
#undef X
		MG_CMD_COUNT
};

/* What kind of packet `locate` is about. X(symbol, name) */
#define MG_LOCATE_KINDS(X) X(CAPABLE, capable) X(JOIN, join) X(SYN, syn) X(DATA, data)
enum mg_locate_kind {
#define X(sym, name) MG_LOCATE_##sym,
	MG_LOCATE_KINDS(X)
#undef X
		MG_LOCATE_KIND_COUNT
};

struct mg_control_request {
	enum mg_command cmd;
	uint64_t id;		    /* session, close */
	enum mg_log_level level;    /* log-level */
	bool all;		    /* servers-forget: "all" of them… */
	struct mg_ep server;	    /* …or this one */
	char proxy[MG_MEMBER_NAME]; /* undrain; drain: "" is the daemon itself */
	char group[MG_MEMBER_NAME]; /* ring */
	bool has_token;		    /* tokens: this one only; locate: of the join */
	uint32_t token;
	struct mg_ep client, to;  /* locate: from there, to there */
	char interface[IFNAMSIZ]; /* locate: it comes in there; "": on some access interface */
	enum mg_locate_kind kind; /* locate; join needs a token, no other takes one */
	char subscriber[MG_CONTROL_SUBSCRIBER]; /* limits: of this one; "": of all; access-set: it
						   is that one's */
	struct in6_addr address; /* cookie: for it; policy-test: from there, to `to` */
	char via[IFNAMSIZ];	 /* policy-test: in over it; "": not known */
	bool has_prefix;
	struct mg_prefix prefix;	/* access, access-set, access-del */
	char access[MG_MEMBER_NAME];	/* access-set: the network's name */
	uint32_t ttl_s;			/* access-set; 0: for as long as we run */
	char name[MG_MEMBER_NAME];	/* policy-del */
	char policy[MG_CONTROL_POLICY]; /* policy-set: a mapping, in YAML or JSON */
};

const char *mg_command_name(enum mg_command cmd);
bool mg_command_needs_root(enum mg_command cmd);

/* "all" or ADDRESS:PORT, for servers-forget. 0 or -EINVAL. */
int mg_control_parse_server(struct mg_control_request *req, const char *text);
/* Up to eight hexadecimal digits. 0 or -EINVAL. */
int mg_control_parse_token(uint32_t *token, const char *text);
/* 0 or -EINVAL. */
int mg_control_parse_kind(enum mg_locate_kind *kind, const char *name);
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
