// SPDX-License-Identifier: BSD-2-Clause
#include "holder_rig.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "lab.h"
#include "rows.h"

static const uint8_t mp_capable[] = { LINUX_SYN, MPC_V1 };
struct mg_dp *rig_dp;
struct mg_holder *rig_holder;

int rig_enter(void **state)
{
	(void)state;
	mg_log_set_level(MG_LOG_ERROR);
	return far_enter();
}

struct mg_config *rig_config(void)
{
	struct mg_config *cfg = lab_config("px0", "px1");

	cfg->workers = 1;
	cfg->interfaces[0].xdp = MG_XDP_OFF;
	cfg->interfaces[1].xdp = MG_XDP_OFF;
	cfg->intercept = (struct mg_config_intercept){
		.mode = MG_MODE_TAKE_OVER,
		.any_port = true,
		.source = MG_SOURCE_PRESERVED,
		.learn_ttl_s = 600,
		.held_max = 1024,
		.held_per_subscriber = 16,
		.stale_ms = 60000,
	};
	return cfg;
}

int rig_open_with(const struct mg_config *cfg)
{
	static uint8_t frame[FRAME_MAX];
	int err = mg_dp_open(&rig_dp, cfg);

	if (err)
		return err;
	rig_holder = mg_dp_holder(rig_dp);
	if (!rig_holder)
		return -1;
	mg_hold_beat(rig_holder, 0);
	while (far_take(ue0, frame) > 0 || far_take(ue1, frame) > 0)
		;
	return 0;
}

int rig_open(void **state)
{
	(void)state;
	return rig_open_with(rig_config());
}

int rig_close(void **state)
{
	(void)state;
	mg_dp_close(rig_dp);
	rig_dp = NULL;
	return 0;
}

/* ---- what the daemon is told ------------------------------------------------------------------
 */
static void note(void *ctx, const struct mg_held_syn *syn)
{
	struct told *t = ctx;

	t->n++;
	t->syn = *syn;
	free(t->frame);
	t->frame = syn->frame ? mg_frame_copy(syn->frame) : NULL;
}

struct told rig_told(int wait_ms)
{
	struct pollfd p = { .fd = mg_hold_fd(rig_holder, 0), .events = POLLIN };
	struct told t = { 0 };

	if (poll(&p, 1, wait_ms) == 1)
		assert_true(mg_hold_read(rig_holder, 0, note, &t) >= 0);
	return t;
}

void rig_send(const uint8_t *frame, size_t len)
{
	assert_int_equal(send(ue0, frame, len, 0), (ssize_t)len);
}

struct frame rig_syn4(void)
{
	return (struct frame){ .dst = "10.4.0.2",
			       .dport = 80,
			       .seq = ISN,
			       .flags = F_SYN,
			       .opts = { mp_capable, sizeof(mp_capable) } };
}

struct frame rig_syn6(void)
{
	struct frame f = rig_syn4();

	f.v6 = true;
	f.dst = "fd00:4::2";
	return f;
}

/* Sends it, and is told of it. */
struct told rig_held(const struct frame *f, bool partial, uint8_t *frame, size_t *len)
{
	struct told t;

	*len = far_build(frame, f, partial);
	rig_send(frame, *len);
	t = rig_told(WAIT_MS);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.syn.type, MG_HELD_SYN);
	assert_int_equal(t.syn.isn, ISN);
	assert_non_null(t.frame);
	return t;
}

void rig_forget(struct told *t)
{
	mg_hold_release(rig_holder, &t->syn.client, &t->syn.server, t->syn.isn);
	free(t->frame);
}

/* What was sent, but for what a router changes. */
void rig_is_forwarded(const uint8_t *frame, size_t len)
{
	uint8_t got[FRAME_MAX];
	size_t ip = ETH_BYTES;
	int n = far_next(ue1, got, WAIT_MS);

	assert_int_equal(n, len);
	if (frame[ip] >> 4 == 4) {
		assert_int_equal(got[ip + 8], frame[ip + 8] - 1);
		assert_memory_equal(got + ip, frame + ip, 8);
		assert_memory_equal(got + ip + 12, frame + ip + 12, len - ip - 12);
	} else {
		assert_int_equal(got[ip + 7], frame[ip + 7] - 1);
		assert_memory_equal(got + ip, frame + ip, 7);
		assert_memory_equal(got + ip + 8, frame + ip + 8, len - ip - 8);
	}
	far_nothing_at(ue1);
}

void rig_passes(struct frame f, uint16_t sport)
{
	uint8_t frame[FRAME_MAX];
	size_t len;

	f.sport = sport;
	len = far_build(frame, &f, false);
	rig_send(frame, len);
	rig_is_forwarded(frame, len);
	assert_int_equal(rig_told(QUIET_MS).n, 0);
}
