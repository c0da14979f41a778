// SPDX-License-Identifier: BSD-2-Clause
/* libc's functions behind ours, and what the environment configures. */
#include "client/preload/shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shim_real shim_real;
struct shim_config shim_config;
atomic_bool shim_ready;

static void resolve(void)
{
	/* Those an older libc lacks stay NULL; nobody can call them there. */
#define X(result, name, args) *(void **)&shim_real.name = dlsym(RTLD_NEXT, #name);
	SHIM_REALS(X)
#undef X
}

/* MPGATE_DIRECT: prefixes, separated by commas. */
static int read_direct(struct shim_config *c)
{
	const char *text = secure_getenv("MPGATE_DIRECT");

	while (text && *text) {
		size_t n = strcspn(text, ",");
		char one[MG_PREFIX_STRLEN];

		if (n >= sizeof(one) || c->n_direct == sizeof(c->direct) / sizeof(c->direct[0]))
			return -E2BIG;
		memcpy(one, text, n);
		one[n] = '\0';
		if (mg_prefix_parse(&c->direct[c->n_direct], one))
			return -EINVAL;
		c->n_direct++;
		text += n + (text[n] == ',');
	}
	return 0;
}

static void configure(void)
{
	struct shim_config *c = &shim_config;
	int err;

	mpgate_options_init(&c->options);
	err = mpgate_options_from_env(&c->options);
	if (err == -ENOENT)
		return;
	if (!err)
		err = read_direct(c);
	if (err)
		fprintf(stderr, "mpgate: the environment's MPGATE_ settings: %s\n", strerror(-err));
	c->active = true;
	c->bad = err;
	mg_ep_from_sockaddr(&c->converter, (struct sockaddr *)&c->options.converter);
}

void shim_init(void)
{
	static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&once);
	if (!atomic_load(&shim_ready)) {
		resolve();
		atomic_store_explicit(&shim_ready, true, memory_order_release);
		shim_busy++;
		configure();
		shim_log_init();
		shim_busy--;
	}
	pthread_mutex_unlock(&once);
}

__attribute__((constructor)) static void at_load(void)
{
	shim_init();
}
