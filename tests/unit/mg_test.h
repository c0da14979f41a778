/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every unit test of base and proxy needs: cmocka with the headers it wants before it,
 * addresses from text, a repeatable source of random numbers, and waiting with a deadline.
 */
#ifndef MG_TESTS_MG_TEST_H
#define MG_TESTS_MG_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/clock.h"

#define WAIT_MS 10000

static inline struct in6_addr ip_of(const char *text)
{
	struct in6_addr ip;

	if (mg_ip_parse(&ip, text))
		fail_msg("the test names a bad address: %s", text);
	return ip;
}

static inline struct mg_ep ep_of(const char *text)
{
	struct mg_ep ep;

	if (mg_ep_parse(&ep, text))
		fail_msg("the test names a bad endpoint: %s", text);
	return ep;
}

static inline struct mg_prefix prefix_of(const char *text)
{
	struct mg_prefix p;

	if (mg_prefix_parse(&p, text))
		fail_msg("the test names a bad prefix: %s", text);
	return p;
}

/* xorshift64*: the same sequence on every run, so that a failure can be looked at again. */
struct chance {
	uint64_t x;
};

static inline uint64_t chance_next(struct chance *c)
{
	c->x ^= c->x >> 12;
	c->x ^= c->x << 25;
	c->x ^= c->x >> 27;
	return c->x * 0x2545f4914f6cdd1dULL;
}

/* 0 … n - 1 */
static inline size_t chance_below(struct chance *c, size_t n)
{
	return (size_t)((chance_next(c) >> 33) % n);
}

/* Looks again every millisecond until the condition holds; false when it does not in time. */
#define wait_until(condition)                                                      \
	({                                                                         \
		uint64_t until_ms = mg_clock_ms() + WAIT_MS;                       \
		bool held;                                                         \
		while (!(held = (condition)) && mg_clock_ms() < until_ms)          \
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL); \
		held;                                                              \
	})

#endif
