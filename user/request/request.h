/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asking a converter for a server: the client's half of RFC 8803, as a state machine that never
 * blocks. The client library and the daemon's own side towards a converter share it.
 *
 * The sockets are the caller's: it opens one for each attempt, hands it to mg_request_start, waits
 * for it (mg_request_wants_write) and steps, and closes it when the attempt is over, with a reset
 * unless the server accepted. So are time and memory: nothing here waits, logs, or remembers.
 */
#ifndef MG_REQUEST_REQUEST_H
#define MG_REQUEST_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "wire/convert.h"

#define MG_REQUEST_COOKIE_MAX_BYTES  128
#define MG_REQUEST_OPTIONS_MAX_BYTES 40
#define MG_REQUEST_ASIDE_S	     600 /* how long a converter is left alone that cannot be used */

enum mg_request_outcome {
	MG_REQUEST_WAIT,     /* nothing yet */
	MG_REQUEST_ACCEPTED, /* the server accepted; what comes next on the socket is its own. Of
				`ask`: there is an answer */
	MG_REQUEST_AGAIN,    /* the cookie changed: once more, on a new socket */
	MG_REQUEST_SERVER,   /* the server failed (error_code), and would fail without us, too */
	MG_REQUEST_USELESS,  /* so is the converter: this time, or (aside_s) for so many seconds */
};

struct mg_request {
	/* The caller's to set. */
	struct mg_ep converter, server;
	uint8_t cookie[MG_REQUEST_COOKIE_MAX_BYTES]; /* to show; a step may change it */
	size_t cookie_len;			     /* 0: none */
	bool cookie_fixed;			     /* configured: no other one is asked for */
	uint8_t tcp_options[MG_REQUEST_OPTIONS_MAX_BYTES]; /* wanted of the server connection */
	size_t tcp_options_len;
	/* Instead of a connection to `server`: what may we use? The value of a Provision TLV */
	struct mg_span ask;
	uint8_t *out;	 /* room for MG_CONVERT_MAX_BYTES; behind it the user's data, to go along */
	size_t data_len; /* bytes of it */

	/* How it goes. */
	int fd;		/* of this attempt */
	bool answering; /* the handshake is over, the answer is not there yet */
	bool zero_rtt;	/* the SYN's data was acknowledged by the SYN+ACK */
	unsigned int attempts;

	/* How it went. */
	const char *why; /* it did not, in words */
	int err;	 /* positive errno, where no Error TLV told */
	int error_code;	 /* of the last Error TLV; -1: none */
	struct mg_span error_value;
	unsigned int aside_s;
	struct mg_span synack_options; /* of the server, with their padding */
	struct mg_span answer;	       /* to `ask` */

	size_t out_off, syn_bytes; /* out: what is still to be sent, what the SYN took */
	uint8_t in[MG_CONVERT_MAX_BYTES];
	size_t in_len;
};

/* Starts an attempt on the socket: 0, or -errno if the converter cannot be reached. */
int mg_request_start(struct mg_request *r, int fd, bool data_in_syn);
/* Goes on, as far as the socket lets it. */
enum mg_request_outcome mg_request_step(struct mg_request *r);
/* The caller has waited long enough: MG_REQUEST_USELESS. */
enum mg_request_outcome mg_request_timeout(struct mg_request *r);
bool mg_request_wants_write(const struct mg_request *r);

/* Accepted, and the server's SYN+ACK had MP_CAPABLE in it. */
bool mg_request_server_speaks_mptcp(const struct mg_request *r);

#endif
