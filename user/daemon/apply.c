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
#include "sys/admission.h"
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

static uint32_t group_number(void *ctx, const char *name)
{
	const struct mg_daemon *d = ctx;

	return d->gate ? mg_gate_group_number(d->gate, name) : 0;
}

void mg_daemon_free_policy(struct mg_policy *p)
{
	if (!p)
		return;
	free(p->policies);
	free(p->services);
	free(p->access);
	free(p->classes);
	free(p);
}

/* ---- from one configuration to the next ------------------------------------------------------ */

struct bridging {
	struct mg_daemon *d;
	const struct mg_config *config;
};

static uint32_t group_of_bridging(void *ctx, const char *name)
{
	const struct bridging *b = ctx;

	return group_number(b->d, name);
}

static struct mg_policy *make_coming(const struct mg_config *c,
				     const struct mg_admission_coming *coming)
{
	const struct mg_config_policies *all = &c->policies;
	struct mg_policy *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	*p = (struct mg_policy){ .config = c, .generation = coming->generation };
	p->policies = calloc(coming->n_policies, sizeof(struct mg_config_policy *));
	p->services = calloc(coming->n_services, sizeof(struct mg_config_service *));
	if (!p->policies || !p->services) {
		mg_daemon_free_policy(p);
		return NULL;
	}
	p->n_policies = coming->n_policies;
	p->n_services = coming->n_services;
	for (uint32_t i = 0; i < p->n_policies; i++)
		if (coming->policies[i] < all->n_policies)
			p->policies[i] = &all->policies[coming->policies[i]];
	for (uint32_t i = 0; i < p->n_services; i++)
		if (coming->services[i] < all->n_services)
			p->services[i] = &all->services[coming->services[i]];
	return p;
}

static void free_bridge(struct mg_policy *bridge)
{
	if (bridge)
		mg_daemon_free_policy((struct mg_policy *)bridge->coming);
	free(bridge); /* the rest is the policy's in force */
}

/* The policy in force, for the tickets it has given, and for the next ones what they will mean. On
 * the way back there is one already: numbers are what they were. */
static int build_bridge(void *ctx, const struct mg_admission_coming *coming)
{
	const struct bridging *b = ctx;
	struct mg_daemon *d = b->d;
	struct mg_policy *bridge;

	if (!d->proxy_running || d->bridge)
		return 0;
	bridge = calloc(1, sizeof(*bridge));
	if (!bridge)
		return -ENOMEM;
	*bridge = *d->policy;
	bridge->coming = make_coming(b->config, coming);
	if (!bridge->coming) {
		free(bridge);
		return -ENOMEM;
	}
	d->bridge = bridge;
	mg_proxy_set_policy(&d->proxy, bridge);
	return 0;
}

void mg_daemon_drop_bridge(struct mg_daemon *d)
{
	if (!d->bridge)
		return;
	mg_proxy_set_policy(&d->proxy, d->policy);
	free_bridge(d->bridge);
	d->bridge = NULL;
}

int mg_daemon_set_policies(struct mg_daemon *d, const struct mg_config *c)
{
	struct bridging b = { .d = d, .config = c };
	bool back = d->bridge != NULL;
	int err = mg_admission_apply_ready(mg_dp_admission(d->dp), c, group_of_bridging,
					   build_bridge, &b);

	/* No ticket is of the generation that has not come: the next attempt will be that. */
	if (err && !back)
		mg_daemon_drop_bridge(d);
	return err;
}

/* ---- the policy of all workers --------------------------------------------------------------- */

/* By number, as sessions' tickets name them. */
static int make_tables(struct mg_policy *p, const struct mg_admission *a)
{
	const struct mg_config_policies *all = &p->config->policies;

	p->policies = calloc(MG_POLICIES_MAX, sizeof(struct mg_config_policy *));
	p->services = calloc(MG_SERVICES_MAX, sizeof(struct mg_config_service *));
	p->access = calloc(MG_ACCESS_MAX, sizeof(*p->access));
	p->classes = calloc(MG_CLASSES_MAX, sizeof(*p->classes));
	if (!p->policies || !p->services || !p->access || !p->classes)
		return -ENOMEM;
	for (uint32_t i = 0; i < MG_POLICIES_MAX; i++) {
		size_t at = mg_admission_policy(a, i);

		p->policies[i] = at < all->n_policies ? &all->policies[at] : NULL;
	}
	for (uint32_t i = 0; i < MG_SERVICES_MAX; i++) {
		size_t at = mg_admission_service(a, i);

		p->services[i] = at < all->n_services ? &all->services[at] : NULL;
	}
	for (uint32_t i = 0; i < MG_ACCESS_MAX; i++)
		p->access[i] = mg_admission_access(a, i);
	for (uint32_t i = 0; i < MG_CLASSES_MAX; i++)
		p->classes[i] = mg_admission_class(a, i);
	p->n_policies = MG_POLICIES_MAX;
	p->n_services = MG_SERVICES_MAX;
	p->n_access = MG_ACCESS_MAX;
	p->n_classes = MG_CLASSES_MAX;
	return 0;
}

static struct mg_policy *make_policy(struct mg_daemon *d, const struct mg_rtnl_own *own)
{
	struct mg_policy *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	*p = (struct mg_policy){
		.config = d->config,
		.own = own->ips,
		.n_own = own->n_ips,
		.own_nets = own->nets,
		.n_own_nets = own->n_nets,
		.draining = d->state == MG_DAEMON_DRAINING,
		.sack = mg_sysctl_read("net/ipv4/tcp_sack", 0) != 0,
		.timestamps = mg_sysctl_read("net/ipv4/tcp_timestamps", 0) != 0,
	};
	if (!make_tables(p, mg_dp_admission(d->dp)))
		return p;
	mg_daemon_free_policy(p);
	return NULL;
}

/* XDP judges third parties' cookies whether the converter asks others for them or not. */
static int tell_cookies(struct mg_daemon *d, const struct mg_cookie_keys *keys)
{
	int err = mg_admission_set_cookies(mg_dp_admission(d->dp), keys);

	if (err)
		mg_error("cannot tell the kernel's side the keys of cookies: %s", strerror(-err));
	return err;
}

/* What called for a new policy still does. */
static void try_again(struct mg_daemon *d)
{
	mg_timer_arm(&d->loop.timers, &d->cookie_timer, mg_clock_ms() + RETRY_MS);
}

int mg_daemon_apply(struct mg_daemon *d)
{
	struct mg_policy *next = NULL, *last = d->policy;
	struct mg_rtnl_own own = { 0 }, last_own = d->own;
	int err = mg_rtnl_own(&own);

	if (err) {
		mg_error("policy: cannot read this host's addresses: %s", strerror(-err));
		try_again(d);
		return err;
	}
	next = make_policy(d, &own);
	if (!next) {
		mg_error("policy: out of memory");
		mg_rtnl_own_free(&own);
		try_again(d);
		return -ENOMEM;
	}
	make_cookie_keys(d, &next->cookies);
	if (tell_cookies(d, &next->cookies))
		try_again(d);
	d->policy = next;
	d->own = own;
	if (d->proxy_running)
		mg_proxy_set_policy(&d->proxy, next);
	free_bridge(d->bridge);
	d->bridge = NULL;
	mg_daemon_free_policy(last);
	mg_rtnl_own_free(&last_own);
	return 0;
}
