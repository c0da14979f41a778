/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a host knows of gateways and proxies, and the corridor between the rooms of this folder: the
 * configuration, health (check.h), the ways to proxies (sys/nexthop.h), the store (store.h) and its
 * directory come in; what goes out is in the maps of sys/steer.h. XDP does the rest, with or
 * without us.
 *
 * On a gateway: numbers for proxies and groups by name (numbers.c), states and rings (states.c),
 * ways (ways.c). On a proxy: who it is, who may send it tunnelled packets, and its own tokens.
 * Everything runs on one loop.
 */
#ifndef MG_GATEWAY_GATEWAY_H
#define MG_GATEWAY_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/steer.h"
#include "base/list.h"
#include "base/loop.h"
#include "config/config.h"
#include "gateway/check.h"
#include "gateway/directory.h"
#include "gateway/store.h"
#include "sys/rtnl.h"
#include "sys/steer.h"

/* By number. A number that was given to a name stays its own, also while that is not configured. */
struct mg_gate_proxy {
	const struct mg_config_proxy *config; /* NULL: not configured */
	bool drained;			      /* by an operator */
	bool drain_presumed;		      /* …as a former daemon left it; nobody told yet */
	bool refuses;			      /* new sessions, as its checks say */
	bool checked;			      /* a group asks it */
	bool on_link;			      /* the MAC address is its own */
	int way_err;			      /* 0: its way is known */
	unsigned int way_tries;		      /* in vain, in a row */
	struct mg_steer_proxy record;	      /* as in the map */
};

struct mg_gate_group {
	const struct mg_config_group *config; /* NULL: not configured */
	struct mg_slot *slots;
	struct mg_steer_group record; /* as in the map */
	uint32_t changed_s;	      /* CLOCK_REALTIME: slots changed hands last; 0: not by us */
	bool filled;		      /* its ring, for these: */
	bool takes[MG_PROXIES_MAX];
};

struct mg_gate {
	struct mg_loop *loop;
	struct mg_steer *steer;
	const struct mg_config *config;
	const struct mg_rtnl_own *own; /* this host's addresses */
	struct mg_gate_proxy proxies[MG_PROXIES_MAX];
	struct mg_gate_group groups[MG_GROUPS_MAX];
	uint16_t self;			       /* this host's own number; 0: it ends no sessions */
	struct mg_list askers[MG_PROXIES_MAX]; /* states.c: by the number of who is asked */
	__be16 ask_ports[MG_GROUPS_MAX];       /* by the group's place in config */
	struct mg_directory *directory;
	struct mg_store *store;
	bool joined;		    /* the store as a proxy */
	bool store_open;	    /* its first words come before mg_store_open returns */
	struct mg_gateway settings; /* as in the map, once `settled` */
	bool settled;
	struct mg_io ways_io;
	struct mg_timer ways_timer, drains_timer;
	uint16_t *owners; /* room to fill a ring in */
};

/* own: this host's addresses, to be kept up to date until close. 0 or -errno, logged. `config` has
 * to stay until a reload or close. */
int mg_gate_open(struct mg_gate **out, struct mg_loop *loop, struct mg_steer *steer,
		 const struct mg_config *config, const struct mg_rtnl_own *own);
/* What is in the maps stays. NULL is allowed. */
void mg_gate_close(struct mg_gate *g);

/* A configuration that may be reloaded to. 0; or -errno, logged: then the caller goes back to the
 * last one by another call. Not from within an event of the loop, as others may be waiting in the
 * same batch for what goes away here: from a timer. NULL is allowed for g. */
int mg_gate_reload(struct mg_gate *g, const struct mg_config *config);
/* Addresses, links or routes of this host changed. NULL is allowed for g. */
void mg_gate_look(struct mg_gate *g);

/* One of this host's own sessions came or went; all of them. NULL is allowed for g. */
void mg_gate_own(struct mg_gate *g, uint32_t token, bool owned);
void mg_gate_own_all(struct mg_gate *g, const uint32_t *tokens, size_t n);

/* At all gateways of the store. -ENOENT: no such proxy is configured; or -errno. */
int mg_gate_drain(struct mg_gate *g, const char *proxy, bool on);

/* 0: no such name. */
uint16_t mg_gate_proxy_number(const struct mg_gate *g, const char *name);
uint16_t mg_gate_group_number(const struct mg_gate *g, const char *name);

/* ---- between the files of the corridor ---------------------------------------------------------
 */

/* gateway.c: what XDP is told of the configuration. 0 or -errno, logged. */
int mg_gate_settings(struct mg_gate *g);

/* numbers.c: takes over what the maps say, then gives every configured name its number. */
void mg_numbers_load(struct mg_gate *g);
int mg_numbers_assign(struct mg_gate *g);
/* Frees what is not configured any more; names stay, and with them the numbers. */
int mg_numbers_release(struct mg_gate *g);
/* Writes the record, if it is another one than before. 0 or -errno, logged. */
int mg_numbers_put_proxy(struct mg_gate *g, uint16_t number, const struct mg_steer_proxy *record);
int mg_numbers_put_group(struct mg_gate *g, uint16_t number, const struct mg_steer_group *record);

/* states.c: one that asks for each proxy and kind of question of its groups. */
int mg_states_ask(struct mg_gate *g);
void mg_states_stop(struct mg_gate *g);
/* Brings states and rings up to date. */
int mg_states_apply(struct mg_gate *g);
/* What a group's checks say of a member; NULL: nobody asks it. */
const struct mg_check *mg_states_check(const struct mg_gate *g, const struct mg_config_group *group,
				       const struct mg_config_proxy *proxy);

/* ways.c: looks for all ways, and goes on looking. */
int mg_ways_open(struct mg_gate *g);
void mg_ways_close(struct mg_gate *g);
void mg_ways_look(struct mg_gate *g);
/* Where tunnels end, and from where they may come. 0 or -errno, logged. */
int mg_ways_tunnels(struct mg_gate *g);
/* What ICMP errors of ours come from. */
void mg_ways_sources(const struct mg_gate *g, struct mg_gateway *settings);

#endif
