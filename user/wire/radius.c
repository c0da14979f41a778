// SPDX-License-Identifier: BSD-2-Clause
#include "wire/radius.h"

#include <string.h>

#include <nettle/hmac.h>
#include <nettle/md5.h>
#include <nettle/memops.h>

#include "wire/cursor.h"

#define CODE_REQUEST  4
#define CODE_RESPONSE 5

#define VENDOR_3GPP 10415
#define VSA_IMSI    1
#define VSA_RAT	    21

/* RFC 2865 section 5.8: not addresses, but who chooses one */
#define IP_BY_USER 0xffffffffU
#define IP_BY_NAS  0xfffffffeU

#define AUTHENTICATOR_AT 4

enum attribute {
	USER_NAME = 1,
	NAS_IP_ADDRESS = 4,
	FRAMED_IP_ADDRESS = 8,
	FRAMED_IP_NETMASK = 9,
	VENDOR_SPECIFIC = 26,
	CALLING_STATION_ID = 31,
	NAS_IDENTIFIER = 32,
	PROXY_STATE = 33,
	ACCT_STATUS_TYPE = 40,
	ACCT_DELAY_TIME = 41,
	ACCT_SESSION_ID = 44,
	ACCT_TERMINATE_CAUSE = 49,
	EVENT_TIMESTAMP = 55,
	NAS_PORT_TYPE = 61,
	MESSAGE_AUTHENTICATOR = 80,
	NAS_IPV6_ADDRESS = 95,
	FRAMED_IPV6_PREFIX = 97,
	DELEGATED_IPV6_PREFIX = 123,
	FRAMED_IPV6_ADDRESS = 168,
};

const char *mg_radius_error_label(enum mg_radius_error error)
{
	static const char *const labels[] = { "ok",
#define X(sym, label, doc) #label,
					      MG_RADIUS_ERRORS(X)
#undef X
	};

	return labels[error];
}

static uint32_t number_of(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* ---- prefixes ------------------------------------------------------------------------------ */

static void mask(struct mg_prefix *p)
{
	for (unsigned int bit = p->len; bit < 128; bit++)
		p->ip.s6_addr[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

static bool same_prefix(const struct mg_prefix *a, const struct mg_prefix *b)
{
	return a->len == b->len && mg_ip_equal(&a->ip, &b->ip);
}

static void add_prefix(struct mg_radius_request *r, uint8_t attribute, struct mg_prefix p)
{
	mask(&p);
	for (size_t i = 0; i < r->n_prefixes; i++) {
		if (same_prefix(&r->prefixes[i].prefix, &p))
			return;
	}
	if (r->n_prefixes < MG_RADIUS_PREFIXES_MAX)
		r->prefixes[r->n_prefixes++] =
			(struct mg_radius_prefix){ .prefix = p, .attribute = attribute };
}

/* RFC 3162 section 2.3, and RFC 4818 section 3: a reserved byte, the length, and as many bytes of
 * the prefix as it takes. Of length 0 it would be everybody. */
static bool add_ipv6_prefix(struct mg_radius_request *r, uint8_t attribute, struct mg_span v)
{
	struct mg_prefix p = { 0 };

	if (v.len < 2 || v.len > 18 || v.data[1] > 128 || v.len - 2 < (v.data[1] + 7U) / 8)
		return false;
	p.len = v.data[1];
	memcpy(&p.ip, v.data + 2, v.len - 2);
	if (p.len)
		add_prefix(r, attribute, p);
	return true;
}

static struct in6_addr from_ipv4(uint32_t ip)
{
	return (struct in6_addr){
		.s6_addr = { [10] = 0xff,
			     0xff,
			     (uint8_t)(ip >> 24),
			     (uint8_t)(ip >> 16),
			     (uint8_t)(ip >> 8),
			     (uint8_t)ip },
	};
}

/*
 * RFC 2865 section 5.9: of a router, the mask says what network is behind it. Of a host it says
 * what link it is on, with its neighbours: so it counts only with the address of a network.
 */
static void add_ipv4(struct mg_radius_request *r, uint32_t ip, uint32_t netmask)
{
	struct mg_prefix p = { .ip = from_ipv4(ip), .len = 128 };
	uint32_t host = ~netmask;
	bool contiguous = !(host & (host + 1));

	if (!ip || ip == IP_BY_USER || ip == IP_BY_NAS)
		return;
	if (contiguous && netmask && !(ip & host))
		p.len = (unsigned char)(96 + __builtin_popcount(netmask));
	add_prefix(r, FRAMED_IP_ADDRESS, p);
}

/* ---- attributes ---------------------------------------------------------------------------- */

struct parsing {
	struct mg_radius_request *r;
	const uint8_t *start;
	bool has_ip, has_status;
	uint32_t ip, netmask;
};

/* Some gateways end texts with a NUL. */
static struct mg_span text_of(struct mg_span v)
{
	while (v.len && !v.data[v.len - 1])
		v.len--;
	return v;
}

/* TS 29.061 section 16.4.7. What is malformed in here is the vendor's own affair (RFC 2865 section
 * 5.26): the rest of it is passed over. */
static void read_3gpp(struct mg_radius_request *r, struct mg_span v)
{
	struct mg_cursor c = mg_cursor_over(v.data, v.len);

	while (mg_cursor_left(&c)) {
		uint8_t type = mg_cursor_u8(&c), len = mg_cursor_u8(&c);
		struct mg_span value = { .len = len >= 2 ? len - 2U : 0 };

		value.data = mg_cursor_take(&c, value.len);
		if (c.failed || len < 2) {
			r->vsas_malformed++;
			return;
		}
		if (type == VSA_IMSI && !r->imsi.len) {
			r->imsi = text_of(value);
		} else if (type == VSA_RAT && value.len == 1) {
			r->has_rat_type = true;
			r->rat_type = value.data[0];
		} else if (type == VSA_RAT) {
			r->vsas_malformed++;
		}
	}
}

static bool read_vendor(struct mg_radius_request *r, struct mg_span v)
{
	if (v.len < 5)
		return false;
	if (number_of(v.data) == VENDOR_3GPP)
		read_3gpp(r, (struct mg_span){ .data = v.data + 4, .len = v.len - 4 });
	return true;
}

static bool set_number(uint32_t *number, bool *has, struct mg_span v)
{
	if (v.len != 4)
		return false;
	*number = number_of(v.data);
	*has = true;
	return true;
}

/* None is none, though RFC 2865 section 5 wants an empty one left out. */
static bool set_text(struct mg_span *text, struct mg_span v)
{
	*text = text_of(v);
	return true;
}

static bool set_nas_ip(struct mg_radius_request *r, struct mg_span v, size_t bytes)
{
	if (v.len != bytes)
		return false;
	if (bytes == 4)
		r->nas_ip = from_ipv4(number_of(v.data));
	else if (!r->has_nas_ip)
		memcpy(&r->nas_ip, v.data, bytes);
	r->has_nas_ip = true;
	return true;
}

static bool set_message(struct parsing *p, struct mg_span v)
{
	if (v.len != MD5_DIGEST_SIZE || p->r->message_at)
		return false;
	p->r->message_at = (size_t)(v.data - p->start);
	return true;
}

static bool add_ipv6_address(struct mg_radius_request *r, struct mg_span v)
{
	struct mg_prefix p = { .len = 128 };

	if (v.len != 16)
		return false;
	memcpy(&p.ip, v.data, 16);
	if (!mg_ip_is_unspecified(&p.ip))
		add_prefix(r, FRAMED_IPV6_ADDRESS, p);
	return true;
}

/* False: of a length it cannot have. */
static bool read_attribute(struct parsing *p, uint8_t type, struct mg_span v)
{
	struct mg_radius_request *r = p->r;
	bool has;

	switch (type) {
	case USER_NAME:
		return set_text(&r->user_name, v);
	case CALLING_STATION_ID:
		return set_text(&r->calling_station, v);
	case NAS_IDENTIFIER:
		return set_text(&r->nas_identifier, v);
	case ACCT_SESSION_ID:
		r->session_id = v;
		return true;
	case NAS_IP_ADDRESS:
		return set_nas_ip(r, v, 4);
	case NAS_IPV6_ADDRESS:
		return set_nas_ip(r, v, 16);
	case FRAMED_IP_ADDRESS:
		return set_number(&p->ip, &p->has_ip, v);
	case FRAMED_IP_NETMASK:
		return set_number(&p->netmask, &has, v);
	case FRAMED_IPV6_PREFIX:
	case DELEGATED_IPV6_PREFIX:
		return add_ipv6_prefix(r, type, v);
	case FRAMED_IPV6_ADDRESS:
		return add_ipv6_address(r, v);
	case ACCT_STATUS_TYPE:
		return set_number(&r->status, &p->has_status, v);
	case ACCT_DELAY_TIME:
		return set_number(&r->delay_s, &r->has_delay, v);
	case ACCT_TERMINATE_CAUSE:
		return set_number(&r->cause, &r->has_cause, v);
	case EVENT_TIMESTAMP:
		return set_number(&r->event_time_s, &r->has_event_time, v);
	case NAS_PORT_TYPE:
		return set_number(&r->nas_port_type, &r->has_nas_port_type, v);
	case MESSAGE_AUTHENTICATOR:
		return set_message(p, v);
	case VENDOR_SPECIFIC:
		return read_vendor(r, v);
	default:
		return true;
	}
}

/* RFC 2866 section 4.1: a Start, Stop or Interim without a session is none. */
static bool is_complete(const struct parsing *p)
{
	switch (p->r->status) {
	case MG_RADIUS_START:
	case MG_RADIUS_STOP:
	case MG_RADIUS_INTERIM:
		return p->r->session_id.len > 0;
	default:
		return p->has_status;
	}
}

enum mg_radius_error mg_radius_parse(struct mg_radius_request *r, const uint8_t *bytes, size_t len)
{
	struct mg_cursor c = mg_cursor_over(bytes, len);
	struct parsing p = { .r = r, .start = bytes, .netmask = UINT32_MAX };
	uint8_t code = mg_cursor_u8(&c);

	memset(r, 0, sizeof(*r));
	r->id = mg_cursor_u8(&c);
	r->packet = (struct mg_span){ .data = bytes, .len = mg_cursor_u16(&c) };
	if (c.failed || r->packet.len < MG_RADIUS_MIN_BYTES || r->packet.len > len ||
	    r->packet.len > MG_RADIUS_MAX_BYTES)
		return MG_RADIUS_BAD_LENGTH;
	if (code != CODE_REQUEST)
		return MG_RADIUS_BAD_CODE;
	r->authenticator = mg_cursor_take(&c, MG_RADIUS_AUTHENTICATOR_BYTES);
	c.end = bytes + r->packet.len;
	while (mg_cursor_left(&c)) {
		uint8_t type = mg_cursor_u8(&c), size = mg_cursor_u8(&c);
		struct mg_span v = { .len = size >= 2 ? size - 2U : 0 };

		v.data = mg_cursor_take(&c, v.len);
		if (c.failed || size < 2 || !read_attribute(&p, type, v))
			return MG_RADIUS_BAD_ATTRIBUTE;
	}
	if (p.has_ip)
		add_ipv4(r, p.ip, p.netmask);
	return is_complete(&p) ? MG_RADIUS_OK : MG_RADIUS_BAD_ATTRIBUTE;
}

/* ---- authenticators ------------------------------------------------------------------------ */

static const uint8_t zeros[MD5_DIGEST_SIZE];

/* RFC 2866 section 3: of the packet with a zeroed authenticator, then the secret. */
static bool authenticator_ok(const struct mg_radius_request *r, const uint8_t *secret, size_t len)
{
	uint8_t digest[MD5_DIGEST_SIZE];
	struct md5_ctx md5;

	md5_init(&md5);
	md5_update(&md5, AUTHENTICATOR_AT, r->packet.data);
	md5_update(&md5, sizeof(zeros), zeros);
	md5_update(&md5, r->packet.len - MG_RADIUS_MIN_BYTES, r->packet.data + MG_RADIUS_MIN_BYTES);
	md5_update(&md5, len, secret);
	md5_digest(&md5, sizeof(digest), digest);
	return memeql_sec(digest, r->authenticator, sizeof(digest));
}

/* RFC 2869 section 5.14, of a request whose authenticator is a checksum, and so zeroed as well
 * (as RFC 5176 section 3.3 has it for its own). */
static bool message_ok(const struct mg_radius_request *r, const uint8_t *secret, size_t len)
{
	size_t after = r->message_at + MD5_DIGEST_SIZE;
	uint8_t digest[MD5_DIGEST_SIZE];
	struct hmac_md5_ctx hmac;

	hmac_md5_set_key(&hmac, len, secret);
	hmac_md5_update(&hmac, AUTHENTICATOR_AT, r->packet.data);
	hmac_md5_update(&hmac, sizeof(zeros), zeros);
	hmac_md5_update(&hmac, r->message_at - MG_RADIUS_MIN_BYTES,
			r->packet.data + MG_RADIUS_MIN_BYTES);
	hmac_md5_update(&hmac, sizeof(zeros), zeros);
	hmac_md5_update(&hmac, r->packet.len - after, r->packet.data + after);
	hmac_md5_digest(&hmac, sizeof(digest), digest);
	return memeql_sec(digest, r->packet.data + r->message_at, sizeof(digest));
}

enum mg_radius_error mg_radius_verify(const struct mg_radius_request *r, const uint8_t *secret,
				      size_t secret_len)
{
	if (!authenticator_ok(r, secret, secret_len))
		return MG_RADIUS_BAD_AUTHENTICATOR;
	if (r->message_at && !message_ok(r, secret, secret_len))
		return MG_RADIUS_BAD_MESSAGE;
	return MG_RADIUS_OK;
}

size_t mg_radius_answer(uint8_t out[MG_RADIUS_MAX_BYTES], const struct mg_radius_request *r,
			const uint8_t *secret, size_t secret_len)
{
	size_t len = MG_RADIUS_MIN_BYTES;
	struct md5_ctx md5;

	for (size_t at = MG_RADIUS_MIN_BYTES; at < r->packet.len; at += r->packet.data[at + 1]) {
		size_t size = r->packet.data[at + 1];

		if (r->packet.data[at] != PROXY_STATE)
			continue;
		memcpy(out + len, r->packet.data + at, size);
		len += size;
	}
	out[0] = CODE_RESPONSE;
	out[1] = r->id;
	out[2] = (uint8_t)(len >> 8);
	out[3] = (uint8_t)len;
	/* RFC 2866 section 3: the request's authenticator takes the place of ours meanwhile. */
	memcpy(out + AUTHENTICATOR_AT, r->authenticator, MG_RADIUS_AUTHENTICATOR_BYTES);
	md5_init(&md5);
	md5_update(&md5, len, out);
	md5_update(&md5, secret_len, secret);
	md5_digest(&md5, MG_RADIUS_AUTHENTICATOR_BYTES, out + AUTHENTICATOR_AT);
	return len;
}
