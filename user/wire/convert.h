/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RFC 8803 messages: bytes to struct and back. Touches bytes only: no socket, no allocation, no
 * log line. Used by the daemon and by the client library.
 */
#ifndef MG_WIRE_CONVERT_H
#define MG_WIRE_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define MG_CONVERT_MAGIC     0x2263
#define MG_CONVERT_VERSION   1
#define MG_CONVERT_HDR_BYTES 4
#define MG_CONVERT_MAX_BYTES 1020 /* 255 words, RFC 8803 section 6.1 */

enum mg_convert_tlv {
	MG_TLV_INFO = 0x01,
	MG_TLV_CONNECT = 0x0a,
	MG_TLV_EXT_TCP_HDR = 0x14,
	MG_TLV_SUPPORTED_TCP_EXT = 0x15,
	MG_TLV_COOKIE = 0x16,
	MG_TLV_ERROR = 0x1e,
	MG_TLV_PROVISION = 0xc8, /* of the range for private use; wire/provision.h */
};

/*
 * Error codes of RFC 8803 section 6.2.8: X(symbol, code, label, what it says). The label names the
 * counter and the log word.
 */
#define MG_CONVERT_ERRORS(X)                                                            \
	X(UNSUPPORTED_VERSION, 0, unsupported_version, "Unsupported Version")           \
	X(MALFORMED, 1, malformed_message, "Malformed Message")                         \
	X(UNSUPPORTED_MESSAGE, 2, unsupported_message, "Unsupported Message")           \
	X(MISSING_COOKIE, 3, missing_cookie, "Missing Cookie")                          \
	X(NOT_AUTHORIZED, 32, not_authorized, "Not Authorized")                         \
	X(UNSUPPORTED_TCP_OPTION, 33, unsupported_tcp_option, "Unsupported TCP Option") \
	X(RESOURCE_EXCEEDED, 64, resource_exceeded, "Resource Exceeded")                \
	X(NETWORK_FAILURE, 65, network_failure, "Network Failure")                      \
	X(CONNECTION_RESET, 96, connection_reset, "Connection Reset")                   \
	X(DEST_UNREACHABLE, 97, destination_unreachable, "Destination Unreachable")

enum mg_convert_error {
#define X(sym, code, label, text) MG_CE_##sym = (code),
	MG_CONVERT_ERRORS(X)
#undef X
		MG_CE_NONE = 256, /* no error; outside the wire's range */
};

/* Label of a code ("missing_cookie"); NULL for codes the RFC does not define. */
const char *mg_convert_error_label(unsigned int code);
/* What a code says ("Missing Cookie"); "Unknown Error" for codes the RFC does not define. */
const char *mg_convert_error_text(unsigned int code);
/* Place of a code in MG_CONVERT_ERRORS, 0-based, for counters; -ENOENT for unknown codes. */
int mg_convert_error_index(unsigned int code);

struct mg_span {
	const uint8_t *data;
	size_t len;
};

/* A parsed message. Spans point into the bytes that were parsed. */
struct mg_convert_msg {
	uint8_t version;
	size_t total_bytes; /* Total Length in bytes: user data starts here */

	bool info;

	bool connect;
	struct mg_ep peer;	 /* Remote Peer of Connect */
	struct mg_span tcp_opts; /* Connect's options; empty for a Base Connect */

	bool cookie_present;
	struct mg_span cookie;

	bool ext_tcp_hdr_present;
	struct mg_span ext_tcp_hdr; /* still with its padding: options end at EOL or the end */

	bool supported_present;
	struct mg_span supported; /* option kinds, zero-padded */

	bool error_present;
	uint8_t error_code;
	struct mg_span error_value; /* from byte 3 of the TLV on */

	bool provision_present;
	struct mg_span provision; /* from byte 2 of the TLV on */
};

/*
 * TLVs come in any order, each type once (a second one: Malformed). Unknown types, type 0 and types
 * that travel the other way are Unsupported Message. From a client: Info, Connect, Cookie beside
 * one of them, and Error 0. From a converter: Extended TCP Header, Supported TCP Extensions, Error,
 * and Connect for incoming connections; an Error and an Extended TCP Header contradict each other.
 */
enum mg_convert_from { MG_FROM_CLIENT, MG_FROM_CONVERTER };

/*
 * Parses the message at the start of a bytestream.
 *
 * Returns the message's length in bytes (4..1020) when it is complete, with *error MG_CE_NONE or
 * the code that has to answer it (section 6.2.8: 0, 1 or 2; a client resets instead); msg is valid
 * as far as it was parsed. -EAGAIN: what is there is a good beginning, more bytes are needed.
 * -EPROTO: not Convert, or Total Length 0 (section 6.1: reset).
 */
int mg_convert_parse(struct mg_convert_msg *msg, enum mg_convert_error *error,
		     enum mg_convert_from from, const uint8_t *data, size_t len);

/*
 * The same for who knows the Provision TLV, too: from a client beside Info and without Connect,
 * from a converter beside Supported TCP Extensions, else Malformed. To all others it is a type like
 * any they do not know.
 */
int mg_convert_parse_provision(struct mg_convert_msg *msg, enum mg_convert_error *error,
			       enum mg_convert_from from, const uint8_t *data, size_t len);

/*
 * Remote Peers no Connect may name, to be answered Malformed: multicast, broadcast, loopback
 * (section 6.2.5), and what cannot be connected to at all: the unspecified address and port 0.
 * Link-local addresses are well-formed; whether they are served is policy (Not Authorized).
 */
bool mg_convert_peer_malformed(const struct mg_ep *peer);

/* What Connect's TCP options ask for (section 6.2.5). */
struct mg_connect_opts {
	bool sack_permitted; /* kind 4 */
	bool timestamps;     /* kind 8, without value */
	bool mptcp;	     /* kind 30, without value */
	uint8_t unsupported[40];
	size_t n_unsupported; /* >0: answer error 33 with these kinds */
};
/*
 * 0, or -EBADMSG for an option list that lies about its lengths (answer: Malformed). Kinds 1, 2, 3
 * and 5 are ignored, 0 ends the list; a kind the converter could only honour by copying a value
 * into its own SYN is unsupported. Each unsupported kind is listed once, the first 40 of them.
 */
int mg_convert_parse_opts(struct mg_connect_opts *opts, struct mg_span list);

/* Builder with a sticky error: put what belongs in, check once at the end. */
struct mg_convert_buf {
	uint8_t data[MG_CONVERT_MAX_BYTES];
	size_t len;
	bool overflow;
};
void mg_convert_begin(struct mg_convert_buf *b);
void mg_convert_put_info(struct mg_convert_buf *b);
/* tcp_opts may be empty (Base Connect) */
void mg_convert_put_connect(struct mg_convert_buf *b, const struct mg_ep *peer,
			    struct mg_span tcp_opts);
void mg_convert_put_cookie(struct mg_convert_buf *b, struct mg_span cookie);
void mg_convert_put_ext_tcp_hdr(struct mg_convert_buf *b, struct mg_span synack_opts);
void mg_convert_put_supported(struct mg_convert_buf *b, const uint8_t *kinds, size_t n);
/* Error 0, 33: value is a list. 64, 65: one byte of seconds. 97: ICMP code. */
void mg_convert_put_error(struct mg_convert_buf *b, uint8_t code, struct mg_span value);
/* Errors 1 and 2: byte 3 zero, then the message received, cut to what fits. */
void mg_convert_put_error_echo(struct mg_convert_buf *b, uint8_t code, struct mg_span received);
/* Error 3: byte 3 zero, then the cookie. */
void mg_convert_put_error_cookie(struct mg_convert_buf *b, struct mg_span cookie);
/* What wire/provision.h builds; from byte 2 of the TLV on */
void mg_convert_put_provision(struct mg_convert_buf *b, struct mg_span value);
/* Fills in Total Length; returns the bytes to send, or -EMSGSIZE if something did not fit; -EINVAL
 * for a message without any TLV. */
int mg_convert_end(struct mg_convert_buf *b);

#endif
