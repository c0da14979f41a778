/* SPDX-License-Identifier: BSD-2-Clause */
/* Who a subscriber is and what is known of it, as text: for reports and logs. */
#ifndef MG_DAEMON_WHO_H
#define MG_DAEMON_WHO_H

#include <netinet/in.h>

#include "abi/policy.h"

struct mg_daemon;

#define MG_WHO_STRLEN 800 /* an identity may be long, and written as %XX */

/* key_bits: how much of its address it is (that was reloaded, perhaps); 0: what is configured.
 * "10.1.2.3", "2001:db8::/64", or MG_WHO_ID and the text of an identity: its number, in 16 hex
 * digits, if that is no longer known. Written into text and returned. */
#define MG_WHO_ID "id:"
const char *mg_who_format(char text[MG_WHO_STRLEN], const struct mg_daemon *d,
			  const struct mg_subscriber *who, uint8_t key_bits);
/* The log of sessions names identities alike, for as long as proxy and access feed are there. */
void mg_who_name_sessions(struct mg_daemon *d);
/* Names of what tickets and addresses stand for; NULL: nothing that has a name. */
const char *mg_who_service(const struct mg_daemon *d, uint32_t number);
const char *mg_who_access(const struct mg_daemon *d, uint32_t number);
/* The access network that an address is in, as the kernel's side would say. */
const char *mg_who_access_of(const struct mg_daemon *d, const struct in6_addr *ip);

#endif
