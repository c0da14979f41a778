/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The addresses that converters listen on, and those that are announced for joins only: map
 * mg_converters, written by the daemon.
 */
#ifndef MG_BPF_CONVERTERS_H
#define MG_BPF_CONVERTERS_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "abi/maps.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MG_CONVERTERS_MAP_ENTRIES);
	__type(key, struct mg_endpoint);
	__type(value, struct mg_converter);
} mg_converters SEC(".maps");

static __always_inline const struct mg_converter *mg_converter_at(const struct mg_endpoint *ep)
{
	/* Verifiers of 6.1 take no key from memory a global function was given. */
	struct mg_endpoint key = *ep;

	return key.port ? bpf_map_lookup_elem(&mg_converters, &key) : NULL;
}

static __always_inline bool mg_is_converter(const struct mg_endpoint *ep)
{
	const struct mg_converter *c = mg_converter_at(ep);

	return c && c->listener != MG_CONVERTER_JOINS;
}

/* Is nothing but joins wanted there? */
static __always_inline bool mg_is_for_joins(const struct mg_endpoint *ep)
{
	const struct mg_converter *c = mg_converter_at(ep);

	return c && c->listener == MG_CONVERTER_JOINS;
}

/* Is `ep`, without a port and in a map, the address of one, or one for joins? */
static __always_inline bool mg_converter_has_ip(const struct mg_endpoint *ep)
{
	return bpf_map_lookup_elem(&mg_converters, ep) != NULL;
}

#endif
