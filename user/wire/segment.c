// SPDX-License-Identifier: BSD-2-Clause
#include "wire/segment.h"

#include <errno.h>
#include <string.h>

#define V4_BYTES   20
#define V6_BYTES   40
#define TCP_BYTES  20
#define ICMP_BYTES 8
#define P_ICMP	   1
#define P_TCP	   6
#define P_ICMPV6   58
#define HOPS	   64
/* An answer quotes what fits: RFC 1812 section 4.3.2.3, RFC 4443 section 2.4 (c). */
#define V4_ERROR_MAX 576
#define V6_ERROR_MAX 1280
/* From bpf/packet.bpf.h: two tags at most */
#define LINK_MAX 64

/* Of a TCP header */
#define AT_SEQ	  4
#define AT_ACK	  8
#define AT_DOFF	  12
#define AT_FLAGS  13
#define AT_WINDOW 14
#define AT_SUM	  16
#define F_SYN	  0x02
#define F_FIN	  0x01
#define F_RST	  0x04
#define F_ACK	  0x10

#define OPT_EOL	      0
#define OPT_NOP	      1
#define OPT_SCALE     3
#define OPT_MPTCP     30
#define MP_CAPABLE    0
#define SCALE_MAX     14
#define SUBTYPE_SHIFT 4

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}

/* ---- ones' complement sums (RFC 1071) ---------------------------------------------------------
 */
static uint32_t add(uint32_t sum, const uint8_t *p, size_t n)
{
	for (; n > 1; p += 2, n -= 2)
		sum += get16(p);
	if (n)
		sum += (uint32_t)p[0] << 8;
	return sum;
}

/* 9216 bytes of 0xff stay below 2^29: one word of carries is enough. */
static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static uint32_t pseudo(const uint8_t *ip, bool v6, uint8_t protocol, size_t bytes)
{
	uint32_t sum = v6 ? add(0, ip + 8, 32) : add(0, ip + 12, 8);

	return sum + protocol + (uint32_t)bytes;
}

/* 0 and 0xffff are the same number. */
static bool same(uint16_t a, uint16_t b)
{
	return a % 0xffff == b % 0xffff;
}

/* ---- the frame --------------------------------------------------------------------------------
 */
static int check_v4(struct mg_segment *s, size_t bytes)
{
	const uint8_t *ip = s->frame + s->ip;
	size_t total = get16(ip + 2), header = (size_t)(ip[0] & 0x0f) * 4;

	if (ip[0] >> 4 != 4 || header < V4_BYTES || s->tcp != s->ip + header || ip[9] != P_TCP ||
	    (get16(ip + 6) & 0x3fff) || total > bytes - s->ip)
		return -EBADMSG;
	s->end = s->ip + total;
	return 0;
}

/* What is between the two headers the kernel's side has walked. */
static int check_v6(struct mg_segment *s, size_t bytes)
{
	const uint8_t *ip = s->frame + s->ip;
	size_t total = (size_t)get16(ip + 4) + V6_BYTES;

	if (ip[0] >> 4 != 6 || s->tcp < s->ip + V6_BYTES || total > bytes - s->ip ||
	    (s->tcp == s->ip + V6_BYTES && ip[6] != P_TCP))
		return -EBADMSG;
	s->end = s->ip + total;
	s->v6 = true;
	return 0;
}

int mg_segment_at(struct mg_segment *s, uint8_t *frame, size_t bytes, size_t ip, size_t tcp,
		  size_t payload)
{
	*s = (struct mg_segment){ .frame = frame, .ip = ip, .tcp = tcp, .payload = payload };
	if (ip < MG_SEGMENT_MAC_BYTES + 2 || ip > LINK_MAX || ip + V4_BYTES > tcp || tcp > bytes ||
	    bytes - tcp < TCP_BYTES || payload > bytes)
		return -EBADMSG;
	if (get16(frame + ip - 2) == 0x86dd ? check_v6(s, bytes) : check_v4(s, bytes))
		return -EBADMSG;
	if (payload != tcp + (size_t)(frame[tcp + AT_DOFF] >> 4) * 4 || payload < tcp + TCP_BYTES ||
	    payload > s->end || (frame[tcp + AT_FLAGS] & (F_SYN | F_ACK | F_RST | F_FIN)) != F_SYN)
		return -EBADMSG;
	return 0;
}

static void set_ep(struct mg_ep *ep, const uint8_t *ip, bool v6, const uint8_t *port)
{
	memset(&ep->ip, 0, sizeof(ep->ip));
	if (!v6)
		memset(ep->ip.s6_addr + 10, 0xff, 2);
	memcpy(ep->ip.s6_addr + (v6 ? 0 : 12), ip, v6 ? 16 : 4);
	memcpy(&ep->port, port, sizeof(ep->port));
}

void mg_segment_endpoints(const struct mg_segment *s, struct mg_ep *from, struct mg_ep *to)
{
	const uint8_t *ip = s->frame + s->ip, *tcp = s->frame + s->tcp;

	set_ep(from, ip + (s->v6 ? 8 : 12), s->v6, tcp);
	set_ep(to, ip + (s->v6 ? 24 : 16), s->v6, tcp + 2);
}

uint32_t mg_segment_isn(const struct mg_segment *s)
{
	return get32(s->frame + s->tcp + AT_SEQ);
}

/* Where an option of this kind begins, at least `bytes` long; 0 if there is none. */
static size_t option_at(const struct mg_segment *s, uint8_t kind, uint8_t bytes)
{
	size_t at = s->tcp + TCP_BYTES;

	while (at < s->payload && s->frame[at] != OPT_EOL) {
		size_t len = 1;

		if (s->frame[at] != OPT_NOP) {
			if (at + 1 >= s->payload)
				return 0;
			len = s->frame[at + 1];
			if (len < 2 || len > s->payload - at)
				return 0;
			if (s->frame[at] == kind && len >= bytes)
				return at;
		}
		at += len;
	}
	return 0;
}

static uint8_t scale_of(const struct mg_segment *s)
{
	size_t at = option_at(s, OPT_SCALE, 3);
	uint8_t scale = at ? s->frame[at + 2] : 0;

	return scale > SCALE_MAX ? SCALE_MAX : scale;
}

static bool has_window_to_mend(const struct mg_segment *s)
{
	size_t mptcp = option_at(s, OPT_MPTCP, 4);

	return mptcp && s->frame[mptcp + 2] >> SUBTYPE_SHIFT == MP_CAPABLE && scale_of(s) &&
	       s->end > s->payload;
}

static uint16_t mended_window(const struct mg_segment *s, uint16_t window)
{
	uint16_t mended = (uint16_t)(window >> scale_of(s));

	return mended ? mended : 1;
}

/* Is what the sum exceeds the pseudo-header's by the window before it was mended, less that now?
 * The lower bits of the one are lost, the upper are the other. */
static bool is_mended_partial(const struct mg_segment *s, uint16_t sum, uint16_t partial)
{
	uint16_t now = get16(s->frame + s->tcp + AT_WINDOW);
	uint16_t before = fold((uint32_t)sum + (uint16_t)~partial + now);

	return has_window_to_mend(s) && now == mended_window(s, before);
}

static int tcp_sum(struct mg_segment *s)
{
	uint8_t *at = s->frame + s->tcp + AT_SUM;
	uint32_t head = pseudo(s->frame + s->ip, s->v6, P_TCP, s->end - s->tcp);
	uint16_t now = get16(at), good;

	if (fold(add(head, s->frame + s->tcp, s->end - s->tcp)) == 0xffff)
		return 0;
	if (!same(now, fold(head)) && !is_mended_partial(s, now, fold(head)))
		return -EBADMSG;
	put16(at, 0);
	good = (uint16_t)~fold(add(head, s->frame + s->tcp, s->end - s->tcp));
	put16(at, good);
	return 0;
}

int mg_segment_sums(struct mg_segment *s)
{
	if (!s->v6 && fold(add(0, s->frame + s->ip, s->tcp - s->ip)) != 0xffff)
		return -EBADMSG;
	return tcp_sum(s);
}

void mg_segment_mend_window(struct mg_segment *s)
{
	uint8_t *tcp = s->frame + s->tcp;
	uint16_t window = get16(tcp + AT_WINDOW), mended;

	if (!has_window_to_mend(s))
		return;
	mended = mended_window(s, window);
	put16(tcp + AT_WINDOW, mended);
	/* RFC 1624 section 3: HC' = ~(~HC + ~m + m') */
	put16(tcp + AT_SUM, (uint16_t)~fold((uint32_t)(uint16_t)~get16(tcp + AT_SUM) +
					    (uint16_t)~window + mended));
}

/* ---- answers ----------------------------------------------------------------------------------
 */
/* The link header as it came, the other way. Its length. */
static size_t turn_link(uint8_t *out, const struct mg_segment *s)
{
	memcpy(out, s->frame + 6, 6);
	memcpy(out + 6, s->frame, 6);
	memcpy(out + MG_SEGMENT_MAC_BYTES, s->frame + MG_SEGMENT_MAC_BYTES,
	       s->ip - MG_SEGMENT_MAC_BYTES);
	return s->ip;
}

/* An IP header in front of `bytes`, from `from` to the SYN's source. */
static size_t put_ip(uint8_t *ip, const struct mg_segment *s, const uint8_t *from, uint8_t protocol,
		     size_t bytes)
{
	const uint8_t *syn = s->frame + s->ip;

	if (s->v6) {
		memset(ip, 0, 8);
		ip[0] = 6 << 4;
		put16(ip + 4, (uint16_t)bytes);
		ip[6] = protocol;
		ip[7] = HOPS;
		memcpy(ip + 8, from, 16);
		memcpy(ip + 24, syn + 8, 16);
		return V6_BYTES;
	}
	memset(ip, 0, V4_BYTES);
	ip[0] = 4 << 4 | V4_BYTES / 4;
	put16(ip + 2, (uint16_t)(V4_BYTES + bytes));
	put16(ip + 6, 0x4000);
	ip[8] = HOPS;
	ip[9] = protocol;
	memcpy(ip + 12, from, 4);
	memcpy(ip + 16, syn + 12, 4);
	/* RFC 1812 section 4.3.2.5: errors go out with precedence 6. */
	ip[1] = protocol == P_ICMP ? 0xc0 : 0;
	put16(ip + 10, (uint16_t)~fold(add(0, ip, V4_BYTES)));
	return V4_BYTES;
}

static const uint8_t *destination(const struct mg_segment *s)
{
	return s->frame + s->ip + (s->v6 ? 24 : 16);
}

size_t mg_segment_reset(uint8_t out[MG_SEGMENT_ANSWER_MAX], const struct mg_segment *s)
{
	const uint8_t *syn = s->frame + s->tcp;
	size_t ip = turn_link(out, s);
	size_t at = ip + put_ip(out + ip, s, destination(s), P_TCP, TCP_BYTES);
	uint8_t *tcp = out + at;

	memset(tcp, 0, TCP_BYTES);
	memcpy(tcp, syn + 2, 2);
	memcpy(tcp + 2, syn, 2);
	put32(tcp + AT_ACK, get32(syn + AT_SEQ) + 1 + (uint32_t)(s->end - s->payload));
	tcp[AT_DOFF] = (TCP_BYTES / 4) << 4;
	tcp[AT_FLAGS] = F_RST | F_ACK;
	put16(tcp + AT_SUM,
	      (uint16_t)~fold(add(pseudo(out + ip, s->v6, P_TCP, TCP_BYTES), tcp, TCP_BYTES)));
	return at + TCP_BYTES;
}

/* Not to who is nobody, or many; not about what was sent to many, on the link or beyond. */
static bool may_be_told(const struct mg_segment *s)
{
	struct mg_ep from, to;

	mg_segment_endpoints(s, &from, &to);
	return !(s->frame[0] & 1) && !mg_ip_is_multicast(&from.ip) &&
	       !mg_ip_is_broadcast(&from.ip) && !mg_ip_is_unspecified(&from.ip) &&
	       !mg_ip_is_loopback(&from.ip) && !mg_ip_is_multicast(&to.ip) &&
	       !mg_ip_is_broadcast(&to.ip);
}

size_t mg_segment_unreachable(uint8_t out[MG_SEGMENT_ANSWER_MAX], const struct mg_segment *s,
			      uint8_t code, const struct in6_addr *from)
{
	size_t room = s->v6 ? V6_ERROR_MAX - V6_BYTES : V4_ERROR_MAX - V4_BYTES;
	size_t quoted = s->end - s->ip, ip, at;
	const uint8_t *source = destination(s);
	uint8_t *icmp;

	if (!may_be_told(s) || (from && mg_ip_is_v4(from) == s->v6))
		return 0;
	if (quoted > room - ICMP_BYTES)
		quoted = room - ICMP_BYTES;
	if (from)
		source = from->s6_addr + (s->v6 ? 0 : 12);
	ip = turn_link(out, s);
	at = ip + put_ip(out + ip, s, source, s->v6 ? P_ICMPV6 : P_ICMP, ICMP_BYTES + quoted);
	icmp = out + at;
	memset(icmp, 0, ICMP_BYTES);
	icmp[0] = s->v6 ? 1 : 3;
	icmp[1] = code;
	memcpy(icmp + ICMP_BYTES, s->frame + s->ip, quoted);
	put16(icmp + 2,
	      (uint16_t)~fold(add(s->v6 ? pseudo(out + ip, true, P_ICMPV6, ICMP_BYTES + quoted) : 0,
				  icmp, ICMP_BYTES + quoted)));
	return at + ICMP_BYTES + quoted;
}
