/* SPDX-License-Identifier: BSD-2-Clause */
/* The arguments of requests, by their keys. Inside of wire. */
#ifndef MG_WIRE_CONTROL_KEYS_H
#define MG_WIRE_CONTROL_KEYS_H

#include "wire/control.h"

struct mg_control_key {
	const char *name;
	int (*read)(struct mg_control_request *req, const json_t *value); /* 0 or -EINVAL */
	json_t *(*write)(const struct mg_control_request *req);		  /* NULL: left out */
	const char *what;						  /* it has to be */
	bool listed; /* `what` lists all there is */
};

/* NULL for a key that is not known. */
const struct mg_control_key *mg_control_find_key(const char *name, size_t len);

#endif
