/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libmpgate: reach TCP servers through an RFC 8803 Transport Converter.
 *
 * Two layers. Messages: Convert messages to bytes and back, for those who do their own transport.
 * Connections: one call (mpgate_connect) or a non-blocking sequence (mpgate_start … mpgate_finish)
 * that gives a connected MPTCP socket, with the Convert message in the SYN and the answer already
 * taken off the bytestream.
 *
 * Every function returns 0 or more on success and -errno on failure; errno itself is not set.
 * A struct mpgate_conn belongs to one thread at a time; everything else may be used from any
 * thread. Link with -lmpgate. See libmpgate(3).
 */
#ifndef MPGATE_MPGATE_H
#define MPGATE_MPGATE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MPGATE_API __attribute__((visibility("default")))

#define MPGATE_MESSAGE_MAX_BYTES     1020
#define MPGATE_COOKIE_MAX_BYTES	     128
#define MPGATE_TCP_OPTIONS_MAX_BYTES 40
#define MPGATE_DATA_MAX_BYTES	     16384

/* ---- messages ---------------------------------------------------------------------------------
 */

/* A Convert message; what is absent is false. Pointers of a parsed one lead into its bytes. */
struct mpgate_message {
	bool info; /* Info TLV */

	bool connect;		  /* Connect TLV */
	struct sockaddr_in6 peer; /* its Remote Peer, IPv4 as ::ffff:a.b.c.d */
	const void *tcp_options;
	size_t tcp_options_len; /* bytes; 0 for a Base Connect */

	bool cookie_present; /* Cookie TLV */
	const void *cookie;
	size_t cookie_len; /* bytes, as parsed with the padding to a word */

	bool ext_tcp_header_present; /* Extended TCP Header TLV: options of the server's SYN+ACK */
	const void *ext_tcp_header;
	size_t ext_tcp_header_len;

	bool supported_present; /* Supported TCP Extensions TLV: option kinds, zero-padded */
	const void *supported;
	size_t supported_len;

	bool error_present; /* Error TLV */
	uint8_t error_code;
	const void *error_value; /* from byte 3 of the TLV on */
	size_t error_value_len;
};

enum mpgate_from { MPGATE_FROM_CLIENT, MPGATE_FROM_CONVERTER };

/*
 * Parses the message at the start of a bytestream. Returns its length in bytes when it is complete,
 * with *error -1, or the code of the Error TLV that has to answer it (a client resets instead).
 * -EAGAIN: a good beginning, more bytes are needed. -EPROTO: not a Convert message.
 */
MPGATE_API int mpgate_message_parse(struct mpgate_message *msg, int *error, enum mpgate_from from,
				    const void *data, size_t len);

/* Writes the message; returns its length, -EMSGSIZE if buf or RFC 8803 has no room for it, or
 * -EINVAL if it says nothing. */
MPGATE_API int mpgate_message_build(const struct mpgate_message *msg, void *buf, size_t size);

/* "Missing Cookie"; "Unknown Error" for codes RFC 8803 does not define. */
MPGATE_API const char *mpgate_error_text(unsigned int code);

/*
 * The errno (positive) a program expects for an Error TLV: ECONNREFUSED for Connection Reset,
 * ETIMEDOUT for Network Failure, the ICMP code's for Destination Unreachable (family AF_INET or
 * AF_INET6 tells how to read it), EACCES, ENOPROTOOPT, ENOBUFS, and EPROTO for the rest.
 */
MPGATE_API int mpgate_error_errno(unsigned int code, const void *value, size_t value_len,
				  int family);

/* ---- connections ------------------------------------------------------------------------------
 */

#define MPGATE_FALLBACK 0x1U /* connect directly, in plain TCP, when the converter is of no use */
#define MPGATE_NO_0RTT	0x2U /* send the message after the handshake, nothing in the SYN */
#define MPGATE_NO_MPTCP 0x4U /* plain TCP towards the converter */
#define MPGATE_NO_CACHE 0x8U /* neither read nor write the cache file */

struct mpgate_options {
	size_t size; /* of this struct, for later versions; mpgate_options_init() fills it in */
	struct sockaddr_storage converter;
	unsigned int flags; /* MPGATE_FALLBACK … */
	int timeout_ms;	    /* for the converter's answer; default 30,000 */

	uint8_t cookie[MPGATE_COOKIE_MAX_BYTES]; /* length 0: one from the cache, if any */
	size_t cookie_len;

	/* Wanted of the server connection: Kind, Length, Value, …; length 0: Base Connect */
	uint8_t tcp_options[MPGATE_TCP_OPTIONS_MAX_BYTES];
	size_t tcp_options_len;

	/* Cookies and put-aside converters; NULL: $MPGATE_CACHE, or mpgate-client under
	 * $XDG_RUNTIME_DIR or ~/.cache. Not copied: must outlive the connection attempt. */
	const char *cache_path;

	/* Called with each new socket before it connects, to set socket options or bind. Anything
	 * but 0 ends the attempt with that (negative) errno. */
	int (*setup)(int fd, void *arg);
	void *setup_arg;
};

enum mpgate_via { MPGATE_VIA_NONE, MPGATE_VIA_CONVERTER, MPGATE_VIA_DIRECT };

struct mpgate_result {
	size_t size;	     /* set by the caller: sizeof(struct mpgate_result) */
	enum mpgate_via via; /* NONE when nothing was reached */
	bool mptcp;	     /* the connection speaks MPTCP now */
	bool zero_rtt;	     /* the SYN's data was acknowledged by the SYN+ACK */
	int error_code;	     /* of the last Error TLV received; -1: none */
	const char *why;     /* what went wrong, in words; NULL if nothing did */
	unsigned int attempts;

	/* The options of the server's SYN+ACK, zero-padded */
	uint8_t synack_options[MPGATE_TCP_OPTIONS_MAX_BYTES];
	size_t synack_options_len;
};

/* Defaults, and no converter. */
MPGATE_API void mpgate_options_init(struct mpgate_options *options);

/*
 * From MPGATE_CONVERTER (address:port), MPGATE_COOKIE (hex), MPGATE_FALLBACK, MPGATE_NO_0RTT,
 * MPGATE_NO_MPTCP (each "1") and MPGATE_TIMEOUT_MS, on top of what is in *options. -ENOENT without
 * MPGATE_CONVERTER, -EINVAL for values that cannot be read. Set-user-ID programs see none of them.
 */
MPGATE_API int mpgate_options_from_env(struct mpgate_options *options);

/*
 * Connects to dest through the converter and waits for the outcome. The data (may be NULL, 0) rides
 * in the SYN behind the message, as far as it fits. Returns the connected socket, blocking and
 * close-on-exec, or -errno as a direct connection would fail; -EPROTO when the converter cannot be
 * used. result may be NULL.
 */
MPGATE_API int mpgate_connect(const struct mpgate_options *options, const struct sockaddr *dest,
			      const void *data, size_t data_len, struct mpgate_result *result);

/*
 * The same without blocking:
 *   mpgate_start; then until mpgate_step returns something else than -EAGAIN: wait for
 * mpgate_events on mpgate_fd (which changes when an attempt is repeated: ask again after each step)
 * for at most mpgate_timeout_ms (-1: for ever), and step; then mpgate_finish.
 */
struct mpgate_conn;
MPGATE_API int mpgate_start(struct mpgate_conn **conn, const struct mpgate_options *options,
			    const struct sockaddr *dest, const void *data, size_t data_len);
MPGATE_API int mpgate_fd(const struct mpgate_conn *conn);
MPGATE_API short mpgate_events(const struct mpgate_conn *conn); /* POLLIN, POLLOUT */
MPGATE_API int mpgate_timeout_ms(const struct mpgate_conn *conn);
/* 0: connected. -EAGAIN: wait again. Any other: failed for good. */
MPGATE_API int mpgate_step(struct mpgate_conn *conn);
/*
 * Ends the attempt and frees conn. Returns the socket (non-blocking, close-on-exec), what
 * mpgate_step failed with, or -ECANCELED if it was still under way.
 */
MPGATE_API int mpgate_finish(struct mpgate_conn *conn, struct mpgate_result *result);

/* ---- what may be used -------------------------------------------------------------------------
 */

#define MPGATE_UNLIMITED	UINT32_MAX
#define MPGATE_ACCESS_MAX	64
#define MPGATE_ACCESS_NAME_SIZE 64

/* What a converter of mpgate's says a client may use of it now (docs/provision.md). */
struct mpgate_quota {
	size_t size;		 /* set by the caller: sizeof(struct mpgate_quota) */
	uint32_t sessions_left;	 /* those reserved among them; MPGATE_UNLIMITED */
	uint32_t sessions_limit; /* MPGATE_UNLIMITED; 0: none at all */
	uint32_t subflows;	 /* per session; MPGATE_UNLIMITED */
	uint32_t wait_s;	 /* until a new session is let in; 0: now */
	bool reservation;	 /* one was asked for, or is there: */
	uint16_t reserved;	 /* so many sessions are held… */
	uint16_t reserved_s;	 /* …for so many seconds more */
	bool any_access;	 /* there is no list of access networks: by any */
	bool access_cut;	 /* there are more than the answer had room for */
	unsigned int n_access;
	char access[MPGATE_ACCESS_MAX][MPGATE_ACCESS_NAME_SIZE]; /* names of those to come by */
};

/*
 * Asks the converter, and waits for the answer. With reserve >= 0 also asks it to hold so many
 * sessions for `seconds` (both up to 65535), in place of what it held before; 0 gives back. Returns
 * 0; -EOPNOTSUPP: the converter does not tell; else as mpgate_connect, with result (may be NULL)
 * telling more.
 */
MPGATE_API int mpgate_quota(const struct mpgate_options *options, int reserve, unsigned int seconds,
			    struct mpgate_quota *quota, struct mpgate_result *result);

#ifdef __cplusplus
}
#endif

#endif
