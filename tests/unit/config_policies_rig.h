/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of policies in the configuration share: one of each. */
#ifndef MG_TEST_CONFIG_POLICIES_RIG_H
#define MG_TEST_CONFIG_POLICIES_RIG_H

#include "config_rig.h"

/* Lines 1 to 6 of everything below */
#define HOST                                                                            \
	"interfaces: [ { name: a0, role: access }, { name: c0, role: core } ]\n" LISTEN \
	"proxies: [ { name: px1, address: 10.3.0.3 } ]\n"                               \
	"groups: [ { name: metro, members: [ px1 ] } ]\n"                               \
	"virtual: [ { address: '10.9.0.1:5124', group: metro } ]\n"                     \
	"access_networks: [ { name: cellular, prefixes: [ 10.1.0.0/16 ] }, { name: wlan } ]\n"
#define WHO                                                                          \
	"services: [ { name: video, match: [ '203.0.113.0/24:80-90', '::/0' ] } ]\n" \
	"subscribers: [ { name: gold, match: [ 10.1.0.0/20, 'id:26201*' ] }, "       \
	"{ name: iron, match: [ 10.1.16.0/20 ] } ]\n"
#define POLICIES                                                                                 \
	HOST WHO "policies:\n"                                                                   \
		 "  - { name: p1, subscribers: gold, services: [ video ], mode: hybrid, group: " \
		 "metro,\n"                                                                      \
		 "      limits: { sessions: 100, new_per_s: 20, subflows_per_session: 4 },\n"    \
		 "      split: { cellular: 30, wlan: 70 }, strict: true }\n"                     \
		 "  - { name: p2, access: wlan, mode: deny }\n"

#endif
