/* SPDX-License-Identifier: BSD-2-Clause */
/* Members of a JSON object, in the words of the daemon. */
#ifndef MG_DAEMON_PUT_H
#define MG_DAEMON_PUT_H

#include <jansson.h>

#include "base/addr.h"

static inline void put_number(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

static inline void put_text(json_t *o, const char *key, const char *text)
{
	json_object_set_new(o, key, json_string(text));
}

/* null for what has none */
static inline void put_name(json_t *o, const char *key, const char *name)
{
	json_object_set_new(o, key, name ? json_string(name) : json_null());
}

static inline void put_bool(json_t *o, const char *key, bool yes)
{
	json_object_set_new(o, key, json_boolean(yes));
}

static inline void put_ep(json_t *o, const char *key, const struct mg_ep *ep)
{
	char text[MG_EP_STRLEN];

	put_text(o, key, mg_ep_format(text, ep));
}

#endif
