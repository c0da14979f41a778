// SPDX-License-Identifier: BSD-2-Clause
/* One session, one subflow: the programs that charge and release, run by whatever thread asks. */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/log.h"
#include "skel/policy.skel.h"
#include "sys/admission_maps.h"
#include "sys/dp_maps.h"

/* Somebody else is at work on the same entry: packets of the same subscriber on another CPU, which
 * takes no longer than a packet does. */
#define TRIES 10000

static int run(struct mg_admission *a, const struct bpf_program *program, struct mg_admit *ask)
{
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = ask, .ctx_size_in = sizeof(*ask));
	int fd = bpf_program__fd(program), answer = -EAGAIN;

	for (int i = 0; i < TRIES && answer == -EAGAIN; i++) {
		if (i)
			sched_yield();
		pthread_rwlock_rdlock(&a->lock);
		answer = bpf_prog_test_run_opts(fd, &opts) ? -errno : (int)opts.retval;
		pthread_rwlock_unlock(&a->lock);
	}
	return answer;
}

int mg_admission_open_session(struct mg_admission *a, struct mg_admit *ask)
{
	if (a)
		return run(a, a->bpf->progs.mg_session_open, ask);
	ask->ticket = (struct mg_ticket){ 0 };
	ask->wait_ns = 0;
	return MG_ADMITTED;
}

int mg_admission_test(struct mg_admission *a, struct mg_admit *ask)
{
	ask->flags |= MG_ADMIT_DRY;
	return mg_admission_open_session(a, ask);
}

int mg_admission_token(struct mg_admission *a, const struct mg_ticket *ticket, uint32_t token,
		       const struct mg_ep *client, const struct mg_ep *local)
{
	struct mg_admit ask = { .ticket = *ticket, .token = token };

	if (!a || !ticket->charged)
		return 0;
	mg_endpoint_from_ep(&ask.client, client);
	mg_endpoint_from_ep(&ask.local, local);
	return run(a, a->bpf->progs.mg_session_token, &ask);
}

void mg_admission_close_session(struct mg_admission *a, struct mg_ticket *ticket, uint32_t token)
{
	struct mg_admit ask = { .ticket = *ticket, .token = token };
	int err;

	if (!a || !ticket->charged)
		return;
	err = run(a, a->bpf->progs.mg_session_close, &ask);
	if (err < 0)
		mg_error("a session's place cannot be given back: %s", strerror(-err));
	ticket->charged = 0;
}

int mg_admission_reserve(struct mg_admission *a, struct mg_ticket *ticket, int n)
{
	struct mg_admit ask = { .ticket = *ticket, .n = n };

	return a ? run(a, a->bpf->progs.mg_reserve, &ask) : MG_ADMITTED;
}

int mg_admission_joined(struct mg_admission *a, uint32_t token, const struct mg_ep *local,
			const struct mg_ep *remote)
{
	struct mg_admit ask = { .token = token };

	if (!a)
		return MG_ADMITTED;
	mg_endpoint_from_ep(&ask.client, remote);
	mg_endpoint_from_ep(&ask.local, local);
	return run(a, a->bpf->progs.mg_subflow_join, &ask);
}

void mg_admission_parted(struct mg_admission *a, const struct mg_ep *local,
			 const struct mg_ep *remote)
{
	struct mg_admit ask = { 0 };

	if (!a)
		return;
	mg_endpoint_from_ep(&ask.client, remote);
	mg_endpoint_from_ep(&ask.local, local);
	run(a, a->bpf->progs.mg_subflow_part, &ask);
}

void mg_admission_sweep(struct mg_admission *a)
{
	struct mg_admit ask = { 0 };
	int err = a ? run(a, a->bpf->progs.mg_sweep, &ask) : 0;

	if (err < 0)
		mg_debug("subflows that came to nothing cannot be swept: %s", strerror(-err));
}
