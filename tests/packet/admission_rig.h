/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Policies for tests of sys/admission.h: a configuration made by hand, as the parser would make it,
 * and questions to the program.
 */
#ifndef MG_TESTS_ADMISSION_RIG_H
#define MG_TESTS_ADMISSION_RIG_H

#include "config/config.h"
#include "sys/admission.h"

/* Classes gold (10.1.0.0/20, 2001:db8:1::/48) and blocked (10.1.9.0/24), service video
 * (203.0.113.0/24:443), access networks cellular (10.1.0.0/16) and wlan (interface lo,
 * third-party); policies premium (gold, video; at most 3 sessions), plain (gold), no (blocked:
 * deny), else 1000 sessions. */
struct rig_config {
	struct mg_config c;
	struct mg_prefix gold[2], blocked[1], cellular[1];
	char interfaces[1][IFNAMSIZ];
	struct mg_config_match video[1];
	struct mg_config_subscribers subscribers[2];
	struct mg_config_service services[1];
	struct mg_config_access access[2];
	struct mg_config_policy policies[3];
	size_t of_gold[1], of_blocked[1], of_video[1];
};
void rig_configure(struct rig_config *r);

/* A question about a client and a server, as texts */
struct mg_admit rig_ask(const char *client, const char *server);
/* The number it has been given */
uint32_t rig_policy(struct mg_admission *a, const char *client, const char *server);

/* n prefixes of one class, all /32 of 10.0.0.0/8 and up; for free() */
struct mg_prefix *rig_prefixes(size_t n);

#endif
