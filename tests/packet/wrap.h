/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames in tunnels, made by the book: what the data plane's own are compared with.
 */
#ifndef MG_TESTS_WRAP_H
#define MG_TESTS_WRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"

/* Bytes before IP, and whether it is IPv6 */
size_t wrap_link(const uint8_t *frame, bool *v6);
/* Bytes that IP covers, its header included */
size_t wrap_ip_bytes(const uint8_t *ip);

/* Sets the traffic class, and the checksum of an IPv4 header without options. */
void wrap_set_class(uint8_t *ip, uint8_t class);
uint8_t wrap_class(const uint8_t *ip);

/* Puts one more IP header before the frame's, as from a gateway. The new length */
size_t wrap_frame(uint8_t *frame, size_t len, const char *from, const char *to);
void wrap_set_macs(uint8_t *frame, const uint8_t to[6], const uint8_t from[6]);

/* RFC 1071, over bytes in network order; the sum of what is right is 0xffff. */
uint32_t wrap_add(uint32_t sum, const uint8_t *bytes, size_t len);
uint16_t wrap_fold(uint32_t sum);
/* Over the pseudo header and all that IP carries, which begins after its fixed header */
uint16_t wrap_sum(const uint8_t *ip, uint8_t protocol);
/* Fills in the checksums of IP and of the TCP segment right behind its fixed header. */
void wrap_tcp(uint8_t *ip);

#endif
