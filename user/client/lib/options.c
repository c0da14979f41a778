// SPDX-License-Identifier: BSD-2-Clause
#include "mpgate/mpgate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "client/lib/conn.h"
#include "client/lib/hex.h"

#define DEFAULT_TIMEOUT_MS 30000

void mpgate_options_init(struct mpgate_options *options)
{
	memset(options, 0, sizeof(*options));
	options->size = sizeof(*options);
	options->timeout_ms = DEFAULT_TIMEOUT_MS;
}

static int flag_from_env(struct mpgate_options *options, const char *name, unsigned int flag)
{
	const char *text = secure_getenv(name);

	if (!text || !*text || strcmp(text, "0") == 0)
		return 0;
	if (strcmp(text, "1") != 0)
		return -EINVAL;
	options->flags |= flag;
	return 0;
}

static int timeout_from_env(struct mpgate_options *options)
{
	const char *text = secure_getenv("MPGATE_TIMEOUT_MS");
	char *end;
	long ms;

	if (!text || !*text)
		return 0;
	errno = 0;
	ms = strtol(text, &end, 10);
	if (errno || *end || ms <= 0 || ms > 3600 * 1000)
		return -EINVAL;
	options->timeout_ms = (int)ms;
	return 0;
}

static int cookie_from_env(struct mpgate_options *options)
{
	const char *text = secure_getenv("MPGATE_COOKIE");
	int len;

	if (!text || !*text)
		return 0;
	len = mg_hex_parse(options->cookie, sizeof(options->cookie), text);
	if (len < 0)
		return len;
	options->cookie_len = (size_t)len;
	return 0;
}

int mpgate_options_from_env(struct mpgate_options *options)
{
	const char *text = secure_getenv("MPGATE_CONVERTER");
	struct mg_ep converter;
	int err;

	if (!text || !*text)
		return -ENOENT;
	err = mg_ep_parse(&converter, text);
	if (err)
		return err;
	mg_ep_to_sockaddr(&converter, &options->converter);
	err = cookie_from_env(options);
	if (!err)
		err = timeout_from_env(options);
	if (!err)
		err = flag_from_env(options, "MPGATE_FALLBACK", MPGATE_FALLBACK);
	if (!err)
		err = flag_from_env(options, "MPGATE_NO_0RTT", MPGATE_NO_0RTT);
	if (!err)
		err = flag_from_env(options, "MPGATE_NO_MPTCP", MPGATE_NO_MPTCP);
	return err;
}

int mg_options_check(const struct mpgate_options *o, const struct sockaddr *dest, size_t data_len)
{
	if (o->size != sizeof(*o) || o->timeout_ms <= 0 || o->cookie_len > sizeof(o->cookie) ||
	    o->tcp_options_len > sizeof(o->tcp_options))
		return -EINVAL;
	if (dest->sa_family != AF_INET && dest->sa_family != AF_INET6)
		return -EAFNOSUPPORT;
	return data_len > MPGATE_DATA_MAX_BYTES ? -EMSGSIZE : 0;
}
