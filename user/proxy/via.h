/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all workers remember of cpe.converter: its cookie, and whether it is left alone for a while
 * (RFC 8803 sections 6.2.7, 6.2.8 and 8). Another converter, after a reload, starts anew.
 */
#ifndef MG_PROXY_VIA_H
#define MG_PROXY_VIA_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "request/request.h"

struct mg_via_memory {
	pthread_mutex_t lock;
	struct mg_ep converter;
	uint8_t cookie[MG_REQUEST_COOKIE_MAX_BYTES];
	size_t cookie_len;
	bool no_mptcp_option; /* Connect may not ask for MPTCP towards the server */
	uint64_t aside_until_ms;
};

void mg_via_memory_init(struct mg_via_memory *m);

#endif
