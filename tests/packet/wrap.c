// SPDX-License-Identifier: BSD-2-Clause
#include "wrap.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void put16(uint8_t *at, size_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

size_t wrap_link(const uint8_t *frame, bool *v6)
{
	size_t link = 14;

	while (get16(frame + link - 2) == 0x8100 || get16(frame + link - 2) == 0x88a8)
		link += 4;
	*v6 = get16(frame + link - 2) == 0x86dd;
	return link;
}

size_t wrap_ip_bytes(const uint8_t *ip)
{
	return ip[0] >> 4 == 6 ? 40U + get16(ip + 4) : get16(ip + 2);
}

uint32_t wrap_add(uint32_t sum, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	return sum;
}

uint16_t wrap_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint16_t wrap_sum(const uint8_t *ip, uint8_t protocol)
{
	bool v6 = ip[0] >> 4 == 6;
	size_t header = v6 ? 40 : 20, len = wrap_ip_bytes(ip) - header;
	uint32_t sum = v6 ? wrap_add(0, ip + 8, 32) : wrap_add(0, ip + 12, 8);

	return wrap_fold(wrap_add(sum + protocol + (uint32_t)len, ip + header, len));
}

static void sum_ip4(uint8_t *ip)
{
	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t)~wrap_fold(wrap_add(0, ip, 20)));
}

void wrap_set_class(uint8_t *ip, uint8_t class)
{
	if (ip[0] >> 4 == 6) {
		ip[0] = (uint8_t)(0x60 | class >> 4);
		ip[1] = (uint8_t)(class << 4 | (ip[1] & 0xf));
		return;
	}
	ip[1] = class;
	sum_ip4(ip);
}

uint8_t wrap_class(const uint8_t *ip)
{
	return ip[0] >> 4 == 6 ? (uint8_t)(ip[0] << 4 | ip[1] >> 4) : ip[1];
}

void wrap_tcp(uint8_t *ip)
{
	bool v6 = ip[0] >> 4 == 6;
	uint8_t *sum = ip + (v6 ? 40 : 20) + 16;

	if (!v6)
		sum_ip4(ip);
	put16(sum, 0);
	put16(sum, (uint16_t)~wrap_sum(ip, 6));
}

void wrap_set_macs(uint8_t *frame, const uint8_t to[6], const uint8_t from[6])
{
	memcpy(frame, to, 6);
	memcpy(frame + 6, from, 6);
}

size_t wrap_frame(uint8_t *frame, size_t len, const char *from, const char *to)
{
	bool inner_v6, v6 = strchr(to, ':');
	size_t link = wrap_link(frame, &inner_v6), header = v6 ? 40 : 20;
	size_t ip_bytes = wrap_ip_bytes(frame + link);
	uint8_t class = wrap_class(frame + link), *ip = frame + link;

	assert(len + header <= FRAME_MAX);
	memmove(ip + header, ip, len - link);
	memset(ip, 0, header);
	if (v6) {
		ip[0] = 0x60;
		put16(ip + 4, ip_bytes);
		ip[6] = inner_v6 ? 41 : 4;
		ip[7] = 64;
		assert(inet_pton(AF_INET6, from, ip + 8) == 1);
		assert(inet_pton(AF_INET6, to, ip + 24) == 1);
	} else {
		ip[0] = 0x45;
		put16(ip + 2, ip_bytes + header);
		ip[6] = 0x40;
		ip[8] = 64;
		ip[9] = inner_v6 ? 41 : 4;
		assert(inet_pton(AF_INET, from, ip + 12) == 1);
		assert(inet_pton(AF_INET, to, ip + 16) == 1);
	}
	wrap_set_class(ip, class);
	put16(frame + link - 2, v6 ? 0x86dd : 0x0800);
	return len + header;
}
