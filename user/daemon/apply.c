// SPDX-License-Identifier: BSD-2-Clause
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "abi/siphash.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "sys/rtnl.h"
#include "sys/sysctl.h"

#define RETRY_MS 1000

int mg_daemon_load_cookie_key(struct mg_daemon *d)
{
	const char *path = d->config->converter.cookie_key_file;
	int err = 0;

	if (path)
		err = mg_config_cookie_key(d->config, d->cookie_master);
	else if (getrandom(d->cookie_master, 16, 0) != 16)
		err = -EIO;
	if (err)
		mg_error("converter.cookie_key_file: %s: %s", path ? path : "(random)",
			 strerror(-err));
	return err;
}

/* The key of an epoch follows from the master key and the epoch, so that proxies with the same
 * cookie_key_file, and a restarted one, take each other's cookies. */
static void epoch_key(uint8_t key[16], const uint8_t master[16], uint32_t epoch)
{
	for (uint8_t half = 0; half < 2; half++) {
		uint8_t input[5];
		uint32_t wire = htobe32(epoch);
		uint64_t word;

		memcpy(input, &wire, 4);
		input[4] = half;
		word = htobe64(mg_siphash24(master, input, sizeof(input)));
		memcpy(key + 8 * half, &word, 8);
	}
}

static void make_cookie_keys(struct mg_daemon *d, struct mg_cookie_keys *keys)
{
	uint32_t rotate_s = d->config->converter.cookie_rotate_s;
	uint64_t now_s = (uint64_t)time(NULL);
	uint32_t epoch = (uint32_t)(now_s / rotate_s);
	uint8_t key[16];

	epoch_key(key, d->cookie_master, epoch - 1);
	mg_cookie_keys_init(keys, epoch - 1, key);
	epoch_key(key, d->cookie_master, epoch);
	mg_cookie_keys_rotate(keys, key);
	mg_timer_arm(&d->loop.timers, &d->cookie_timer,
		     d->loop.now_ms + ((uint64_t)(epoch + 1) * rotate_s - now_s) * 1000);
}

int mg_daemon_apply(struct mg_daemon *d)
{
	struct mg_policy *next = calloc(1, sizeof(*next)), *last = d->policy;
	struct mg_rtnl_own own = { 0 }, last_own = d->own;
	int err = next ? mg_rtnl_own(&own) : -ENOMEM;

	if (err) {
		mg_error("policy: cannot read this host's addresses: %s", strerror(-err));
		free(next);
		/* What called for a new policy still does. */
		mg_timer_arm(&d->loop.timers, &d->cookie_timer, mg_clock_ms() + RETRY_MS);
		return err;
	}
	*next = (struct mg_policy){
		.config = d->config,
		.own = own.ips,
		.n_own = own.n_ips,
		.own_nets = own.nets,
		.n_own_nets = own.n_nets,
		.draining = d->state == MG_DAEMON_DRAINING,
		.sack = mg_sysctl_read("net/ipv4/tcp_sack", 0) != 0,
		.timestamps = mg_sysctl_read("net/ipv4/tcp_timestamps", 0) != 0,
	};
	make_cookie_keys(d, &next->cookies);
	d->policy = next;
	d->own = own;
	if (d->proxy_running)
		mg_proxy_set_policy(&d->proxy, next);
	free(last);
	mg_rtnl_own_free(&last_own);
	return 0;
}
