/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RADIUS accounting (RFC 2866, attributes also of RFC 2865, 2869, 3162, 4818, 6911 and 3GPP TS
 * 29.061): requests as gateways send them, and the answers. Bytes only; what was parsed points into
 * them.
 */
#ifndef MG_WIRE_RADIUS_H
#define MG_WIRE_RADIUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "wire/convert.h"

#define MG_RADIUS_MIN_BYTES	      20
#define MG_RADIUS_MAX_BYTES	      4096
#define MG_RADIUS_AUTHENTICATOR_BYTES 16
#define MG_RADIUS_PREFIXES_MAX	      8

/* Acct-Status-Type, RFC 2866 section 5.1. Others are answered, and mean nothing here. */
enum mg_radius_status {
	MG_RADIUS_START = 1,
	MG_RADIUS_STOP = 2,
	MG_RADIUS_INTERIM = 3,
	MG_RADIUS_ON = 7,
	MG_RADIUS_OFF = 8,
};

/* X(SYMBOL, label, "doc"): why a datagram is dropped without an answer */
#define MG_RADIUS_ERRORS(X)                                                                    \
	X(LENGTH, bad_length, "shorter than it says, or than 20 bytes, or longer than 4096")   \
	X(CODE, bad_code, "no Accounting-Request")                                             \
	X(ATTRIBUTE, bad_attribute,                                                            \
	  "an attribute of a length it cannot have, or one that must"                          \
	  " be there is not")                                                                  \
	X(AUTHENTICATOR, bad_authenticator, "made with another secret, or changed on its way") \
	X(MESSAGE, bad_message_authenticator, "the same of attribute 80")
enum mg_radius_error {
	MG_RADIUS_OK,
#define X(sym, label, doc) MG_RADIUS_BAD_##sym,
	MG_RADIUS_ERRORS(X)
#undef X
		MG_RADIUS_ERROR_COUNT
};

/* Where a prefix came from: an Interim replaces what the same attribute said before. */
struct mg_radius_prefix {
	struct mg_prefix prefix;
	uint8_t attribute;
};

struct mg_radius_request {
	struct mg_span packet; /* without padding */
	uint8_t id;
	const uint8_t *authenticator;
	uint32_t status;
	struct mg_span session_id; /* empty only if the status needs none */
	/* Empty: not there */
	struct mg_span user_name, calling_station, imsi, nas_identifier;
	bool has_nas_ip; /* NAS-IP-Address, else NAS-IPv6-Address */
	struct in6_addr nas_ip;
	struct mg_radius_prefix prefixes[MG_RADIUS_PREFIXES_MAX]; /* none twice */
	size_t n_prefixes;
	bool has_nas_port_type, has_rat_type, has_event_time, has_delay, has_cause;
	uint32_t nas_port_type;
	uint8_t rat_type;
	uint32_t event_time_s; /* Event-Timestamp: seconds of UTC, of the NAS's clock */
	uint32_t delay_s;      /* Acct-Delay-Time */
	uint32_t cause;	       /* Acct-Terminate-Cause */
	size_t message_at;     /* of the value of Message-Authenticator in packet; 0: none */
	size_t vsas_malformed; /* of 3GPP's: their rest was passed over */
};

/*
 * MG_RADIUS_OK, or which rule the datagram breaks. A prefix beyond MG_RADIUS_PREFIXES_MAX is left
 * out. Nothing is true of a request before mg_radius_verify says so.
 */
enum mg_radius_error mg_radius_parse(struct mg_radius_request *r, const uint8_t *bytes, size_t len);
/* MG_RADIUS_OK, BAD_AUTHENTICATOR or BAD_MESSAGE. */
enum mg_radius_error mg_radius_verify(const struct mg_radius_request *r, const uint8_t *secret,
				      size_t secret_len);
/*
 * The Accounting-Response: Proxy-State copied, signed. Returns its length, at most that of the
 * request.
 */
size_t mg_radius_answer(uint8_t out[MG_RADIUS_MAX_BYTES], const struct mg_radius_request *r,
			const uint8_t *secret, size_t secret_len);

const char *mg_radius_error_label(enum mg_radius_error error);

#endif
