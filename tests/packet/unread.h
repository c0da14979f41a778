/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames with TCP that the data plane cannot look into, or that lies, and with what looks alike but
 * is no TCP.
 */
#ifndef MG_TESTS_UNREAD_H
#define MG_TESTS_UNREAD_H

#include "abi/verdict.h"
#include "packet.h"

struct unread {
	enum mg_reason reason; /* as it passes */
	struct frame frame;
};

extern const struct unread unread[];
extern const size_t n_unread;
extern const struct unread unread_others[];
extern const size_t n_unread_others;

/* The frame with so many priority tags in front; its length. */
size_t unread_tagged(uint8_t *buf, const struct frame *f, size_t tags);

#endif
