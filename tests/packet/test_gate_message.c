// SPDX-License-Identifier: BSD-2-Clause
/*
 * What admission reads of a Convert message in a SYN, which may lie: cookies of third parties, and
 * the peer, whose service has a limit. And policies that change while packets come.
 */
#include <net/if.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include <bpf/bpf.h>
#include <cmocka.h>
#include <linux/bpf.h>

#include "gate_run.h"
#include "rows.h"

#define WORD 4

static struct gate_run r;

/* ---- messages -------------------------------------------------------------------------------- */

struct message {
	uint8_t bytes[1024];
	size_t len;
};

static void put_bytes(struct message *m, const void *bytes, size_t len)
{
	memcpy(m->bytes + m->len, bytes, len);
	m->len += len;
	m->bytes[1] = (uint8_t)(m->len / WORD);
}

static struct message begin(void)
{
	static const uint8_t header[] = { 1, 1, 0x22, 0x63 };
	struct message m = { .len = 0 };

	put_bytes(&m, header, sizeof(header));
	return m;
}

static void put_connect(struct message *m)
{
	static const uint8_t connect[] = { CONNECT };

	put_bytes(m, connect, sizeof(connect));
}

static void put_cookie(struct message *m, const char *client, uint32_t epoch)
{
	uint8_t tlv[16] = { 0x16, 4 };

	gate_cookie(tlv + 4, client, epoch);
	put_bytes(m, tlv, sizeof(tlv));
}

/* An Info TLV, then others that nobody knows, of so many words */
static void put_other(struct message *m, uint8_t words)
{
	uint8_t tlv[1020] = { 0x01, words };

	put_bytes(m, tlv, (size_t)words * WORD);
}

static struct frame syn_with(const struct message *m, bool v6)
{
	static const uint8_t capable[] = { LINUX_SYN, MPC_V1 };

	return (struct frame){
		.v6 = v6,
		.dst = v6 ? CONVERTER6 : CONVERTER4,
		.flags = F_SYN,
		.opts = { capable, sizeof(capable) },
		.payload = { m->bytes, m->len },
	};
}

static void lets_in(const struct message *m)
{
	struct frame f = syn_with(m, false);

	gate_expect_pass(&r, &f);
}

static void refuses(const struct message *m, enum mg_refusal refusal)
{
	struct frame f = syn_with(m, false);

	gate_expect_drop(&r, &f, refusal);
}

/* All come from a third party's network. */
static int third_party(void **state)
{
	struct admit_tables *t = admit_tables();

	(void)state;
	gate_run_reset(&r);
	gate_put_cookie_keys(&r);
	admit_prefix(t, MG_TABLE_ACCESS, "10.1.0.0/16", 1);
	admit_prefix(t, MG_TABLE_ACCESS, "fd00:1::/32", 1);
	t->set.access[1].trust = MG_TRUST_THIRD_PARTY;
	admit_put(&r.admit, t);
	return 0;
}

/* ---- cookies --------------------------------------------------------------------------------- */

static void test_cookies(void **state)
{
	struct message before = begin(), behind = begin(), alone = begin(), none = begin();
	struct message m;

	(void)state;
	put_cookie(&before, UE4, 7);
	put_connect(&before);
	lets_in(&before);
	put_connect(&behind);
	put_cookie(&behind, UE4, 6);
	lets_in(&behind);
	put_cookie(&alone, UE4, 7);
	lets_in(&alone);
	put_connect(&none);
	refuses(&none, MG_REFUSAL_NO_COOKIE);
	/* an epoch that is over, one to come, somebody else's */
	m = begin();
	put_cookie(&m, UE4, 5);
	refuses(&m, MG_REFUSAL_BAD_COOKIE);
	m = begin();
	put_cookie(&m, UE4, 8);
	refuses(&m, MG_REFUSAL_BAD_COOKIE);
	m = begin();
	put_cookie(&m, "10.1.0.2", 7);
	refuses(&m, MG_REFUSAL_BAD_COOKIE);
	/* one bit */
	for (size_t bit = 0; bit < 12U * 8; bit++) {
		m = behind;
		m.bytes[m.len - 12 + bit / 8] ^= (uint8_t)(1U << bit % 8);
		refuses(&m, MG_REFUSAL_BAD_COOKIE);
	}
}

static void test_cookies_v6(void **state)
{
	struct message m = begin(), stolen = begin();
	struct frame f;

	(void)state;
	put_connect(&m);
	put_cookie(&m, UE6, 7);
	f = syn_with(&m, true);
	gate_expect_pass(&r, &f);
	put_cookie(&stolen, "fd00:1::2", 7);
	f = syn_with(&stolen, true);
	gate_expect_drop(&r, &f, MG_REFUSAL_BAD_COOKIE);
}

static void test_no_keys(void **state)
{
	struct mg_cookie_epochs none = { .epoch = 7 };
	struct message m = begin();
	uint32_t zero = 0;

	(void)state;
	put_cookie(&m, UE4, 7);
	lets_in(&m);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(r.admit.skel->maps.mg_cookie_keys), &zero,
					     &none, BPF_ANY),
			 0);
	refuses(&m, MG_REFUSAL_BAD_COOKIE);
}

/* Cut off anywhere: the cookie is whole, or it is none. */
static void test_cut(void **state)
{
	struct message m = begin();
	size_t whole, len;

	(void)state;
	put_cookie(&m, UE4, 7);
	whole = m.len;
	put_connect(&m);
	len = m.len;
	for (m.len = 0; m.len <= len; m.len++) {
		if (m.len < whole)
			refuses(&m, MG_REFUSAL_NO_COOKIE);
		else
			lets_in(&m);
	}
	/* its length cuts it off, and not where it ends */
	m.len = len;
	for (m.bytes[1] = 0; m.bytes[1] < len / WORD; m.bytes[1]++) {
		if (m.bytes[1] * WORD < whole)
			refuses(&m, MG_REFUSAL_NO_COOKIE);
		else
			lets_in(&m);
	}
	m.bytes[1] = 255;
	lets_in(&m);
}

static void test_lies(void **state)
{
	struct message m = begin();

	(void)state;
	/* A TLV of no length, of more than there is, of less than a cookie */
	put_connect(&m);
	put_cookie(&m, UE4, 7);
	m.bytes[5] = 0;
	refuses(&m, MG_REFUSAL_NO_COOKIE);
	m.bytes[5] = 255;
	refuses(&m, MG_REFUSAL_NO_COOKIE);
	m.bytes[5] = 5;
	m.bytes[25] = 3;
	refuses(&m, MG_REFUSAL_NO_COOKIE);
	m.bytes[25] = 5;
	refuses(&m, MG_REFUSAL_NO_COOKIE);
	m.bytes[25] = 4;
	lets_in(&m);
	/* a longer one, whose rest is the daemon's to judge */
	put_bytes(&m, "\0\0\0\0", 4);
	m.bytes[25] = 5;
	lets_in(&m);
	/* Of two the first counts. */
	m = begin();
	put_cookie(&m, "10.1.0.2", 7);
	put_cookie(&m, UE4, 7);
	refuses(&m, MG_REFUSAL_BAD_COOKIE);
	/* not Convert at all */
	m = begin();
	put_cookie(&m, UE4, 7);
	m.bytes[3] = 0;
	refuses(&m, MG_REFUSAL_NO_COOKIE);
}

/* Behind more TLVs than any client has reason to send, nobody looks. */
static void test_many(void **state)
{
	struct message m = begin();

	(void)state;
	for (int i = 0; i < 7; i++)
		put_other(&m, 1);
	put_cookie(&m, UE4, 7);
	lets_in(&m);
	m = begin();
	for (int i = 0; i < 8; i++)
		put_other(&m, 1);
	put_cookie(&m, UE4, 7);
	refuses(&m, MG_REFUSAL_NO_COOKIE);
	m = begin();
	put_other(&m, 240);
	put_cookie(&m, UE4, 7);
	lets_in(&m);
}

/* A SYN that only repeats itself without data, as Linux does, is not let in again. */
static void test_without_message(void **state)
{
	struct message m = { .len = 0 };

	(void)state;
	refuses(&m, MG_REFUSAL_NO_COOKIE);
}

/* ---- the peer -------------------------------------------------------------------------------- */

static void test_peer(void **state)
{
	static const struct mg_port_range web[] = { { 80, 80, 1 }, { 0 } };
	struct admit_tables *t = admit_tables();
	struct message m = begin();
	struct frame f;

	(void)state;
	gate_run_reset(&r);
	admit_service(t, PEER4 "/32", web);
	admit_cell(t, 0, 1, 0, 5);
	admit_terms(t, 5)->deny = 1;
	t->set.answers_per_s = 0;
	admit_put(&r.admit, t);
	put_connect(&m);
	refuses(&m, MG_REFUSAL_DENIED);
	m.bytes[7] = 81; /* another port, another address, another kind of TLV */
	lets_in(&m);
	m.bytes[7] = 80;
	m.bytes[23]++;
	lets_in(&m);
	m.bytes[23]--;
	m.bytes[4] = 0x0b;
	lets_in(&m);
	m.bytes[4] = 0x0a;
	/* behind something else, and cut off */
	m = begin();
	put_other(&m, 3);
	put_connect(&m);
	refuses(&m, MG_REFUSAL_DENIED);
	m.len -= 4;
	lets_in(&m);
	m.len += 4;
	/* to whoever it is not to be read by */
	f = syn_with(&m, false);
	f.dport = 443;
	f.dst = FAR4;
	gate_expect_pass(&r, &f);
}

/* ---- what only the interface tells ----------------------------------------------------------- */

static uint32_t seen_at(const char *client)
{
	const struct mg_subscriber who = admit_subscriber(client);
	uint32_t access = 0;

	bpf_map_lookup_elem(bpf_map__fd(r.admit.skel->maps.mg_seen_at), &who, &access);
	return access;
}

static struct admit_tables *by_interface(uint8_t trust)
{
	struct admit_tables *t = admit_tables();

	gate_run_reset(&r);
	gate_put_cookie_keys(&r);
	t->set.n_interfaces = 1;
	t->set.interfaces[0] = (struct mg_access_interface){ if_nametoindex("px0"), 2 };
	t->set.access[2].trust = trust;
	admit_put(&r.admit, t);
	return t;
}

static void test_seen_at(void **state)
{
	static const uint8_t join[] = { 30, 12, 0x10, 2, 1, 2, 3, 4, 9, 9, 9, 9 };
	struct message m = begin(), bare = begin();
	struct admit_tables *t;
	struct mg_admit ask = { 0 };
	struct frame f;

	(void)state;
	by_interface(MG_TRUST_THIRD_PARTY);
	put_connect(&bare);
	refuses(&bare, MG_REFUSAL_NO_COOKIE);
	assert_int_equal(seen_at(UE4), 0);
	put_cookie(&m, UE4, 7);
	lets_in(&m);
	assert_int_equal(seen_at(UE4), 2);
	/* a join that is let in; one that nobody knows */
	by_interface(MG_TRUST_TRUSTED);
	assert_int_equal(admit_open(&r.admit, &ask, "10.1.0.7", PEER4), MG_ADMITTED);
	assert_int_equal(admit_token(&r.admit, &ask, GATE_TOKEN), 0);
	f = syn_with(&bare, false);
	f.payload.len = 0;
	f.opts = (struct bytes){ join, sizeof(join) };
	gate_expect_pass(&r, &f);
	assert_int_equal(seen_at(UE4), 2);
	gate_run_reset(&r);
	t = by_interface(MG_TRUST_TRUSTED);
	gate_expect_pass(&r, &f);
	assert_int_equal(seen_at(UE4), 0);
	/* What a prefix tells, or the feed, needs no memory. */
	admit_prefix(t, MG_TABLE_ACCESS, "10.1.0.0/16", 1);
	admit_put(&r.admit, t);
	lets_in(&bare);
	assert_int_equal(seen_at(UE4), 0);
}

/* ---- reloads --------------------------------------------------------------------------------- */

static struct admit_tables denied_and_reset, full_and_dropped;
static atomic_bool done;
static atomic_int flips;

#define FLIPS	  30 /* each waits for the kernel, several times */
#define FLIPS_MAX 3000

/* All is denied with a RST, or dropped as one has enough: nobody drops what is denied. */
static void make_sets(void)
{
	denied_and_reset = *admit_tables();
	denied_and_reset.terms[0].mode = MG_TERMS_MODE_DEFAULT;
	full_and_dropped = denied_and_reset;
	denied_and_reset.terms[0].deny = 1;
	denied_and_reset.terms[0].refuse = MG_REFUSE_RESET;
	full_and_dropped.terms[0].sessions = 1;
	full_and_dropped.terms[0].refuse = MG_REFUSE_DROP;
}

static void *flip(void *arg)
{
	(void)arg;
	while (!atomic_load(&done))
		admit_put(&r.admit,
			  atomic_fetch_add(&flips, 1) & 1 ? &denied_and_reset : &full_and_dropped);
	return NULL;
}

static void test_flips(void **state)
{
	static const uint8_t capable[] = { MPC_V1 };
	struct frame f = {
		.dst = FAR4, .dport = 443, .flags = F_SYN, .opts = { capable, sizeof(capable) }
	};
	int n_denied = 0, n_full = 0;
	struct mg_admit ask = { 0 };
	pthread_t thread;

	(void)state;
	gate_run_reset(&r);
	make_sets();
	admit_put(&r.admit, &full_and_dropped);
	assert_int_equal(admit_open(&r.admit, &ask, UE4, PEER4), MG_ADMITTED);
	atomic_store(&done, false);
	atomic_store(&flips, 0);
	assert_int_equal(pthread_create(&thread, NULL, flip, NULL), 0);
	/* On a busy machine one of the two may be seldom in force while a frame is looked at. */
	while (atomic_load(&flips) < (n_denied && n_full ? FLIPS : FLIPS_MAX)) {
		const struct gate_said *said = gate_run_frame(&r, MG_SIDE_ACCESS, &f);

		if (said->action == XDP_TX) {
			assert_int_equal(said->reason, MG_REASON_DENIED);
			n_denied++;
		} else {
			assert_int_equal(said->action, XDP_DROP);
			assert_int_equal(said->reason, MG_REASON_OVER_SESSIONS);
			n_full++;
		}
	}
	atomic_store(&done, true);
	pthread_join(thread, NULL);
	assert_true(n_denied > 0 && n_full > 0);
}

static int set_up(void **state)
{
	(void)state;
	return gate_run_open(&r);
}

static int tear_down(void **state)
{
	(void)state;
	gate_run_close(&r);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_cookies, third_party),
		cmocka_unit_test_setup(test_cookies_v6, third_party),
		cmocka_unit_test_setup(test_no_keys, third_party),
		cmocka_unit_test_setup(test_cut, third_party),
		cmocka_unit_test_setup(test_lies, third_party),
		cmocka_unit_test_setup(test_many, third_party),
		cmocka_unit_test_setup(test_without_message, third_party),
		cmocka_unit_test(test_peer),
		cmocka_unit_test(test_seen_at),
		cmocka_unit_test(test_flips),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
