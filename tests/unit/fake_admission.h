/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Admission, played by the test: what would be charged in the kernel is counted here. Every session
 * of every test is charged at most once and released once, or the test fails; what is refused, and
 * why, the test says. Subflows, too, and their ends by order of the daemon.
 */
#ifndef MG_TESTS_FAKE_ADMISSION_H
#define MG_TESTS_FAKE_ADMISSION_H

#include "mg_test.h"

#include <pthread.h>
#include <string.h>

#include "sys/admission.h"
#include "sys/diag.h"
#include "sys/mptcp.h"

#define FAKE_SUBFLOWS_MAX 8

static struct {
	pthread_mutex_t lock;
	const uint32_t *max_sessions;
	/* What is answered to the next ones: enum mg_refusal, or -errno. */
	int refusal, token_err, join_refusal;
	uint64_t wait_ns;
	uint32_t policy, service, access, generation;
	enum mg_trust trust;
	/* What happened. */
	uint32_t serial;
	int sessions, opened, dry, tokens, tokens_told, joined, ended;
	struct mg_admit last; /* charged or refused */
	struct mg_ep token_client, token_local, ended_remote;
	/* What the kernel says a client's socket has, besides what it has; see mg_mptcp_subflows */
	struct mg_mptcp_subflow more[FAKE_SUBFLOWS_MAX];
	int n_more;
} fake = { .lock = PTHREAD_MUTEX_INITIALIZER };

#define FAKE(type, name, ...)            \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

static inline struct mg_admission *fake_admission(void)
{
	return (struct mg_admission *)&fake;
}

static inline int fake_judge(const struct mg_admit *ask)
{
	if (fake.refusal)
		return fake.refusal;
	if (fake.trust == MG_TRUST_THIRD_PARTY && !(ask->flags & MG_ADMIT_COOKIE))
		return MG_REFUSAL_NO_COOKIE;
	return (uint32_t)fake.sessions < *fake.max_sessions ? MG_ADMITTED : MG_REFUSAL_OVER_PROXY;
}

FAKE(int, mg_admission_open_session, struct mg_admission *a, struct mg_admit *ask)
{
	int said;

	assert_ptr_equal(a, fake_admission());
	pthread_mutex_lock(&fake.lock);
	said = fake_judge(ask);
	ask->wait_ns = said == MG_REFUSAL_OVER_RATE ? fake.wait_ns : 0;
	ask->ticket = (struct mg_ticket){ .policy = fake.policy,
					  .service = fake.service,
					  .access = fake.access,
					  .generation = fake.generation,
					  .trust = (__u8)fake.trust };
	if (ask->flags & MG_ADMIT_DRY) {
		fake.dry++;
	} else {
		if (said == MG_ADMITTED) {
			ask->ticket.charged = 1;
			ask->ticket.serial = ++fake.serial;
			fake.sessions++;
			fake.opened++;
		}
		fake.last = *ask;
	}
	pthread_mutex_unlock(&fake.lock);
	return said;
}

FAKE(int, mg_admission_token, struct mg_admission *a, const struct mg_ticket *ticket,
     uint32_t token, const struct mg_ep *client, const struct mg_ep *local)
{
	int err;

	(void)a;
	assert_int_equal(ticket->charged, 1);
	assert_int_not_equal(token, 0);
	pthread_mutex_lock(&fake.lock);
	err = fake.token_err;
	fake.tokens += !err;
	fake.tokens_told++;
	fake.token_client = *client;
	fake.token_local = *local;
	pthread_mutex_unlock(&fake.lock);
	return err;
}

FAKE(void, mg_admission_close_session, struct mg_admission *a, struct mg_ticket *ticket,
     uint32_t token)
{
	if (!ticket->charged) {
		assert_int_equal(token, 0);
		return;
	}
	assert_ptr_equal(a, fake_admission());
	pthread_mutex_lock(&fake.lock);
	fake.sessions--;
	fake.tokens -= token != 0;
	pthread_mutex_unlock(&fake.lock);
	memset(ticket, 0, sizeof(*ticket));
}

FAKE(int, mg_admission_joined, struct mg_admission *a, uint32_t token, const struct mg_ep *local,
     const struct mg_ep *remote)
{
	int said;

	(void)a, (void)local, (void)remote;
	assert_int_not_equal(token, 0);
	pthread_mutex_lock(&fake.lock);
	said = fake.join_refusal;
	fake.joined++;
	pthread_mutex_unlock(&fake.lock);
	return said;
}

FAKE(int, mg_diag_end_connection, const struct mg_ep *local, const struct mg_ep *peer)
{
	(void)local;
	pthread_mutex_lock(&fake.lock);
	fake.ended++;
	fake.ended_remote = *peer;
	pthread_mutex_unlock(&fake.lock);
	return 0;
}

int __real_mg_mptcp_subflows(int fd, struct mg_mptcp_subflow *list, size_t max);
FAKE(int, mg_mptcp_subflows, int fd, struct mg_mptcp_subflow *list, size_t max)
{
	int n = __real_mg_mptcp_subflows(fd, list, max);

	pthread_mutex_lock(&fake.lock);
	for (int i = 0; i < fake.n_more && n >= 0 && (size_t)n < max; i++)
		list[n++] = fake.more[i];
	pthread_mutex_unlock(&fake.lock);
	return n;
}

static inline void fake_reset(const uint32_t *max_sessions)
{
	pthread_mutex_lock(&fake.lock);
	memset((char *)&fake + sizeof(fake.lock), 0, sizeof(fake) - sizeof(fake.lock));
	fake.max_sessions = max_sessions;
	pthread_mutex_unlock(&fake.lock);
}

/* Nothing is charged for sessions that are over. */
static inline void fake_assert_empty(void)
{
	assert_int_equal(fake.sessions, 0);
	assert_int_equal(fake.tokens, 0);
}

#endif
