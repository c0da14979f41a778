// SPDX-License-Identifier: BSD-2-Clause
#include "packet.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

#define P_TCP  6
#define P_FRAG 44
#define P_AUTH 51

struct writer {
	uint8_t *buf;
	size_t len;
};

static void put(struct writer *w, const void *data, size_t len)
{
	assert(w->len + len <= FRAME_MAX);
	if (len)
		memcpy(w->buf + w->len, data, len);
	w->len += len;
}

static void put8(struct writer *w, uint8_t v)
{
	put(w, &v, 1);
}

static void put16(struct writer *w, uint16_t v)
{
	put8(w, (uint8_t)(v >> 8));
	put8(w, (uint8_t)v);
}

static void put_zero(struct writer *w, size_t n)
{
	static const uint8_t zero[4096];

	put(w, zero, n);
}

static void put_ip(struct writer *w, int family, const char *text, const char *otherwise)
{
	uint8_t ip[16];

	assert(inet_pton(family, text ? text : otherwise, ip) == 1);
	put(w, ip, family == AF_INET ? 4 : 16);
}

static void patch16(struct writer *w, size_t at, size_t v)
{
	w->buf[at] = (uint8_t)(v >> 8);
	w->buf[at + 1] = (uint8_t)v;
}

static void put_ethernet(struct writer *w, const struct frame *f)
{
	static const uint8_t macs[12] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1 };

	put(w, macs, sizeof(macs));
	for (int i = 0; i < 3 && f->vlan[i]; i++) {
		put16(w, f->vlan[i]);
		put16(w, (uint16_t)(100 + i));
	}
	put16(w, f->ethertype ? f->ethertype : f->v6 ? 0x86dd : 0x0800);
}

static uint8_t protocol_of(const struct frame *f)
{
	return f->protocol ? f->protocol : P_TCP;
}

/* Where the length field stands. */
static size_t put_ipv4(struct writer *w, const struct frame *f)
{
	size_t at = w->len;
	uint8_t ihl = f->ihl ? f->ihl : (uint8_t)(5 + f->ip_opts.len / 4);

	put8(w, (uint8_t)((f->version ? f->version : 4) << 4 | ihl));
	put_zero(w, 5);
	put16(w, f->frag);
	put8(w, 64);
	put8(w, protocol_of(f));
	put16(w, 0);
	put_ip(w, AF_INET, f->src, "10.1.0.1");
	put_ip(w, AF_INET, f->dst, "10.3.0.2");
	put(w, f->ip_opts.data, f->ip_opts.len);
	return at + 2;
}

static void put_extension(struct writer *w, const struct extension *e, uint8_t next)
{
	put8(w, next);
	if (e->kind == P_FRAG) {
		put8(w, 0);
		put16(w, e->frag);
		put_zero(w, 4);
		return;
	}
	put8(w, (uint8_t)(e->kind == P_AUTH ? e->len / 4 - 2 : e->len / 8 - 1));
	put_zero(w, e->len - 2U);
}

static size_t put_ipv6(struct writer *w, const struct frame *f)
{
	size_t at = w->len, n = 0;

	while (n < 8 && f->ext[n].len)
		n++;
	put8(w, (uint8_t)((f->version ? f->version : 6) << 4));
	put_zero(w, 5);
	put8(w, n ? f->ext[0].kind : protocol_of(f));
	put8(w, 64);
	put_ip(w, AF_INET6, f->src, "fd00:1::1");
	put_ip(w, AF_INET6, f->dst, "fd00:3::2");
	for (size_t i = 0; i < n; i++)
		put_extension(w, &f->ext[i], i + 1 < n ? f->ext[i + 1].kind : protocol_of(f));
	return at + 4;
}

static void put_tcp(struct writer *w, const struct frame *f)
{
	size_t padded = (f->opts.len + 3) / 4 * 4;
	uint8_t doff = f->doff || f->doff_zero ? f->doff : (uint8_t)(5 + padded / 4);

	put16(w, f->sport ? f->sport : 40000);
	put16(w, f->dport ? f->dport : 5124);
	put16(w, f->seq >> 16);
	put16(w, f->seq & 0xffff);
	put16(w, f->ack >> 16);
	put16(w, f->ack & 0xffff);
	put8(w, (uint8_t)(doff << 4));
	put8(w, f->flags);
	put16(w, 65535);
	put_zero(w, 4);
	put(w, f->opts.data, f->opts.len);
	put_zero(w, padded - f->opts.len);
	put(w, f->payload.data, f->payload.len);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): written through the writer */
size_t frame_build(uint8_t *buf, const struct frame *f)
{
	struct writer w = { .buf = buf };
	size_t ip, length_at;

	put_ethernet(&w, f);
	ip = w.len;
	length_at = f->v6 ? put_ipv6(&w, f) : put_ipv4(&w, f);
	if (f->body.data)
		put(&w, f->body.data, f->body.len);
	else if (protocol_of(f) == P_TCP)
		put_tcp(&w, f);
	if (f->ip_len || f->ip_len_zero)
		patch16(&w, length_at, f->ip_len);
	else
		patch16(&w, length_at, w.len - ip - (f->v6 ? 40 : 0));
	put_zero(&w, f->pad);
	return f->cut && f->cut < w.len ? f->cut : w.len;
}
