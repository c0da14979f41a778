/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the shared store is:
 *
 *   memory
 *   redis://[user[:password]@]host[:port][/db]
 *   redis+unix://[user[:password]@]/path[?db=N]
 *
 * %XX stands for any byte but 0 in user, password and path. An empty user with a password is Redis'
 * default user. A host is a name, an IPv4 address, or an IPv6 address in brackets.
 */
#ifndef MG_WIRE_STORE_URL_H
#define MG_WIRE_STORE_URL_H

#include <stdbool.h>
#include <stdint.h>

#define MG_STORE_PORT	     6379
#define MG_STORE_URL_STRLEN  512
#define MG_STORE_DB_MAX	     65535
#define MG_STORE_SECRET_MAX  256
#define MG_STORE_ADDRESS_MAX 254

enum mg_store_kind { MG_STORE_MEMORY, MG_STORE_TCP, MG_STORE_UNIX };

struct mg_store_url {
	enum mg_store_kind kind;
	bool auth;
	char user[MG_STORE_SECRET_MAX]; /* "": the default one */
	char password[MG_STORE_SECRET_MAX];
	char address[MG_STORE_ADDRESS_MAX]; /* host without brackets, or path */
	uint16_t port;
	uint32_t db;
};

/* 0; or -EINVAL, with *why: what is wrong, in static text that fits "store: …"; or
 * -EPROTONOSUPPORT for rediss:// alike. */
int mg_store_url_parse(struct mg_store_url *out, const char *text, const char **why);
/* For logs: no user, no password. Returns buf. */
const char *mg_store_url_format(char buf[MG_STORE_URL_STRLEN], const struct mg_store_url *url);
/* For reports: `text`, which parses, with *** for user and password. Returns text or buf. */
const char *mg_store_url_hide(char buf[MG_STORE_URL_STRLEN], const char *text);

#endif
