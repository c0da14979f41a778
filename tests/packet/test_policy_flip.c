// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets in a flood through mg_xdp, on one CPU, while reloads put one set of policies after the
 * other in force, on the others: none sees half of one and half of the other, none is lost.
 *
 * The client is let in by both configurations, but is of another class in each; by the class of one
 * and the policy of the other it would be refused. With 100,000 prefixes beside its own, so that
 * there is time for it.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "admission_rig.h"
#include "base/log.h"
#include "lab.h"
#include "packet.h"
#include "skel/xdp.skel.h"
#include "sys/dp_maps.h"

#define PREFIXES 100000
#define REPEAT	 20000 /* packets of one call */

static struct mg_admission *a;
static struct mg_xdp_bpf *xdp;
static struct rig_config one, other;
static struct mg_prefix *prefixes;

/* ---- two configurations ---------------------------------------------------------------------- */

static void configure(struct rig_config *r, size_t n)
{
	rig_configure(r);
	/* Of what is refused, nothing is let through for the daemon to answer. */
	r->c.policies.answers_per_s = 0;
	r->policies[0].sessions = 0;
	/* Test runs come in by lo. */
	r->access[1].trust = MG_TRUST_TRUSTED;
	prefixes[0] = r->gold[0];
	r->subscribers[0].prefixes = prefixes;
	r->subscribers[0].n_prefixes = n;
}

/* In `other`, gold is what blocked was, and the other way round; and gold is denied. */
static void configure_both(size_t n)
{
	configure(&one, n);
	configure(&other, n);
	other.subscribers[0] = one.subscribers[1];
	other.subscribers[1] = one.subscribers[0];
	strcpy(other.subscribers[0].name, "gold");
	strcpy(other.subscribers[1].name, "blocked");
	other.policies[0].deny = other.policies[1].deny = true;
	other.policies[2].deny = false;
}

static int set_up(void **state)
{
	struct mg_converter converter = { 0 };
	struct mg_endpoint at = { .port = 5124 };
	struct in6_addr ip;
	int err;

	(void)state;
	mg_log_set_level(MG_LOG_ERROR);
	prefixes = rig_prefixes(PREFIXES + 1);
	err = lab_enter();
	rig_configure(&one);
	if (!err)
		err = mg_admission_open(&a, &one.c);
	if (err)
		return err;
	xdp = mg_xdp_bpf__open();
	if (!xdp)
		return -errno;
	err = mg_admission_share(a, xdp->obj);
	if (!err)
		err = mg_xdp_bpf__load(xdp);
	if (err || mg_ip_parse(&ip, "10.3.0.2"))
		return -1;
	memcpy(at.ip, &ip, sizeof(at.ip));
	return bpf_map_update_elem(bpf_map__fd(xdp->maps.mg_converters), &at, &converter, BPF_ANY);
}

static int tear_down(void **state)
{
	(void)state;
	mg_xdp_bpf__destroy(xdp);
	mg_admission_close(a);
	free(prefixes);
	return 0;
}

/* ---- the flood ------------------------------------------------------------------------------- */

/* RFC 8803: a Connect for 198.51.100.1:80, in a SYN with MP_CAPABLE */
static size_t build(uint8_t *buf)
{
	const struct frame f = {
		.flags = F_SYN,
		.opts = B(30, 4, 0x01, 0x01),
		.payload = B(1, 6, 0x22, 0x63, 10, 5, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff,
			     0xff, 198, 51, 100, 1),
	};

	return frame_build(buf, &f);
}

static int flood(uint32_t repeat)
{
	static uint8_t frame[FRAME_MAX];
	size_t len = build(frame);
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (__u32)len,
			    .repeat = (int)repeat);

	return bpf_prog_test_run_opts(bpf_program__fd(xdp->progs.mg_xdp), &opts) ? -errno
										 : (int)opts.retval;
}

static uint64_t counted(struct bpf_map *map, size_t n, size_t index)
{
	uint64_t sum[64];

	assert_true(n <= 64);
	assert_int_equal(
		mg_map_sum(bpf_map__fd(map), (unsigned int)libbpf_num_possible_cpus(), sum, n), 0);
	return sum[index];
}

static uint64_t dropped(void)
{
	return counted(xdp->maps.mg_verdicts, MG_VERDICT_COUNT, MG_VERDICT_DROP);
}

static uint64_t passed(void)
{
	return counted(xdp->maps.mg_verdicts, MG_VERDICT_COUNT, MG_VERDICT_PASS);
}

static void pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	/* Where there is but one, they take turns. */
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static atomic_bool stop;
static _Atomic uint64_t sent;
static _Atomic int failed;

static void *flood_on(void *ctx)
{
	(void)ctx;
	pin_to(1);
	while (!atomic_load(&stop)) {
		int ret = flood(REPEAT);

		if (ret < 0)
			atomic_store(&failed, ret);
		atomic_fetch_add(&sent, REPEAT);
	}
	return NULL;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void expect_one_set(size_t n, int reloads)
{
	uint64_t passed_before, dropped_before, started_ms, took_ms;
	pthread_t thread;

	configure_both(n);
	assert_int_equal(mg_admission_apply(a, &one.c, NULL, NULL), 0);
	passed_before = passed();
	dropped_before = dropped();
	atomic_store(&stop, false);
	atomic_store(&sent, 0);
	atomic_store(&failed, 0);
	assert_int_equal(pthread_create(&thread, NULL, flood_on, NULL), 0);
	pin_to(0);
	started_ms = now_ms();
	for (int i = 0; i < reloads; i++)
		assert_int_equal(mg_admission_apply(a, i % 2 ? &one.c : &other.c, NULL, NULL), 0);
	took_ms = now_ms() - started_ms;
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	print_message("%zu prefixes: %llu packets during %d reloads of %llu ms each\n", n,
		      (unsigned long long)sent, reloads, (unsigned long long)took_ms / reloads);
	assert_int_equal(failed, 0);
	assert_true(sent > 100000);
	assert_int_equal(dropped() - dropped_before, 0);
	assert_int_equal(passed() - passed_before, sent);
}

static void no_packet_sees_two_sets(void **state)
{
	(void)state;
	expect_one_set(1, 60);
}

static void nor_with_many_prefixes(void **state)
{
	(void)state;
	expect_one_set(PREFIXES, 10);
}

/* Or the flood would show nothing: the class of one with the policies of the other is refused. */
static void what_is_half_and_half_is_refused(void **state)
{
	(void)state;
	configure_both(1);
	assert_int_equal(mg_admission_apply(a, &one.c, NULL, NULL), 0);
	assert_int_equal(flood(1), XDP_PASS);
	one.policies[1].deny = true;
	one.policies[2].deny = false;
	assert_int_equal(mg_admission_apply(a, &one.c, NULL, NULL), 0);
	assert_int_equal(flood(1), XDP_DROP);
	other.policies[1].deny = false;
	other.policies[2].deny = true;
	assert_int_equal(mg_admission_apply(a, &other.c, NULL, NULL), 0);
	assert_int_equal(flood(1), XDP_DROP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_half_and_half_is_refused),
		cmocka_unit_test(no_packet_sees_two_sets),
		cmocka_unit_test(nor_with_many_prefixes),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
