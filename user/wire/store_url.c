// SPDX-License-Identifier: BSD-2-Clause
#include "wire/store_url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* %XX undone; control characters have no business in any part of it. */
static bool unescape(char *out, size_t room, const char *from, const char *end)
{
	size_t n = 0;

	for (const char *c = from; c < end; c++) {
		char byte = *c;

		if (byte == '%') {
			int high = end - c > 2 ? digit(c[1]) : -1;
			int low = high >= 0 ? digit(c[2]) : -1;

			if (low < 0 || !(high | low))
				return false;
			byte = (char)(high << 4 | low);
			c += 2;
		} else if (byte <= ' ' || byte == 0x7f) {
			return false;
		}
		if (n + 1 >= room)
			return false;
		out[n++] = byte;
	}
	out[n] = '\0';
	return true;
}

static bool number(uint32_t *out, const char *from, const char *end, uint32_t max)
{
	uint32_t value = 0;

	if (from == end || end - from > 6)
		return false;
	for (const char *c = from; c < end; c++) {
		if (*c < '0' || *c > '9')
			return false;
		value = value * 10 + (uint32_t)(*c - '0');
	}
	*out = value;
	return value <= max;
}

/* user[:password]; the last '@' ends it, as one in a password need not be escaped. */
static const char *take_auth(struct mg_store_url *out, const char *from, const char *end,
			     const char **why)
{
	const char *at = memrchr(from, '@', (size_t)(end - from)), *colon;

	if (!at)
		return from;
	colon = memchr(from, ':', (size_t)(at - from));
	out->auth = true;
	if (!unescape(out->user, sizeof(out->user), from, colon ? colon : at) ||
	    (colon && !unescape(out->password, sizeof(out->password), colon + 1, at)))
		*why = "user or password is malformed or too long";
	else if (!out->user[0] && !out->password[0])
		*why = "there is nothing before the @";
	return at + 1;
}

static bool host_ok(const char *host)
{
	size_t len = strlen(host);

	if (!len)
		return false;
	return strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") ==
	       len;
}

static const char *take_host(struct mg_store_url *out, const char *from, const char *end)
{
	const char *close = from;
	size_t len;
	struct in6_addr ip;

	if (from < end && *from == '[') {
		close = memchr(from, ']', (size_t)(end - from));
		if (!close)
			return NULL;
		from++;
		len = (size_t)(close++ - from);
	} else {
		close = memchr(from, ':', (size_t)(end - from));
		if (!close)
			close = end;
		len = (size_t)(close - from);
	}
	if (len >= sizeof(out->address))
		return NULL;
	memcpy(out->address, from, len);
	out->address[len] = '\0';
	if (close > from + len)
		return inet_pton(AF_INET6, out->address, &ip) == 1 ? close : NULL;
	return host_ok(out->address) ? close : NULL;
}

static const char *parse_tcp(struct mg_store_url *out, const char *rest)
{
	const char *end = strchrnul(rest, '/'), *slash, *why = NULL, *at;
	uint32_t port = MG_STORE_PORT;

	/* A password may hold a '/', unless it stands for the database's. */
	slash = strrchr(rest, '@');
	if (slash && slash > end)
		end = strchrnul(slash, '/');
	rest = take_auth(out, rest, end, &why);
	if (why)
		return why;
	at = take_host(out, rest, end);
	if (!at)
		return "no host, expected redis://[user[:password]@]host[:port][/db]";
	if (at < end && (*at != ':' || !number(&port, at + 1, end, UINT16_MAX) || !port))
		return "port is none, expected 1..65535";
	out->port = (uint16_t)port;
	if (*end && end[1] && !number(&out->db, end + 1, end + strlen(end), MG_STORE_DB_MAX))
		return "database is none, expected a number";
	return NULL;
}

static const char *parse_unix(struct mg_store_url *out, const char *rest)
{
	const char *end = strrchr(rest, '?'), *why = NULL;
	const char *slash = strstr(rest, "@/");

	if (end && strncmp(end, "?db=", 4) != 0)
		return "only ?db=N may follow the path";
	if (end && !number(&out->db, end + 4, end + strlen(end), MG_STORE_DB_MAX))
		return "database is none, expected a number";
	if (!end)
		end = rest + strlen(rest);
	if (*rest != '/' && slash && slash < end)
		rest = take_auth(out, rest, slash + 1, &why);
	if (why)
		return why;
	if (*rest != '/' ||
	    !unescape(out->address, sizeof(((struct sockaddr_un *)0)->sun_path), rest, end))
		return "no path, expected redis+unix:///path of at most 107 characters";
	return NULL;
}

int mg_store_url_parse(struct mg_store_url *out, const char *text, const char **why)
{
	*out = (struct mg_store_url){ 0 };
	*why = NULL;
	if (strcmp(text, "memory") == 0)
		return 0;
	if (strncmp(text, "rediss://", 9) == 0) {
		*why = "rediss:// needs a TLS that this hiredis has not, expected redis+unix:// or "
		       "redis:// to a TLS proxy on this host";
		return -EPROTONOSUPPORT;
	}
	if (strncmp(text, "redis://", 8) == 0) {
		out->kind = MG_STORE_TCP;
		*why = parse_tcp(out, text + 8);
	} else if (strncmp(text, "redis+unix://", 13) == 0) {
		out->kind = MG_STORE_UNIX;
		*why = parse_unix(out, text + 13);
	} else {
		*why = "is of no known kind, expected memory, redis:// or redis+unix://";
	}
	return *why ? -EINVAL : 0;
}

const char *mg_store_url_format(char buf[MG_STORE_URL_STRLEN], const struct mg_store_url *url)
{
	bool brackets = strchr(url->address, ':') != NULL;
	int n;

	if (url->kind == MG_STORE_MEMORY) {
		snprintf(buf, MG_STORE_URL_STRLEN, "memory");
		return buf;
	}
	if (url->kind == MG_STORE_UNIX)
		n = snprintf(buf, MG_STORE_URL_STRLEN, "redis+unix://%s", url->address);
	else
		n = snprintf(buf, MG_STORE_URL_STRLEN, "redis://%s%s%s:%u", brackets ? "[" : "",
			     url->address, brackets ? "]" : "", url->port);
	if (url->db)
		snprintf(buf + n, MG_STORE_URL_STRLEN - (size_t)n,
			 url->kind == MG_STORE_UNIX ? "?db=%u" : "/%u", url->db);
	return buf;
}

const char *mg_store_url_hide(char buf[MG_STORE_URL_STRLEN], const char *text)
{
	struct mg_store_url url;
	const char *why, *rest;

	if (mg_store_url_parse(&url, text, &why))
		return "";
	if (!url.auth)
		return text;
	rest = strstr(text, "://") + 3;
	snprintf(buf, MG_STORE_URL_STRLEN, "%.*s***%s", (int)(rest - text), text,
		 strrchr(rest, '@'));
	return buf;
}
