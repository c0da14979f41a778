/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The session rig with SYNs that are held.
 *
 * A client is a socket with its port that has not connected yet. Letting its SYN in is the test's,
 * too: the worker's listener is at LISTEN_IP, what is accepted there says that it was sent to
 * SERVER's address.
 */
#ifndef MG_TESTS_HELD_RIG_H
#define MG_TESTS_HELD_RIG_H

#include "held_kernel.h"

/* ---- clients --------------------------------------------------------------------------------- */

struct held_client {
	int fd; /* bound, not connected */
	struct mg_held_syn syn;
	char payload[1024];
	size_t payload_bytes;
};

static inline void held_client(struct held_client *c, const char *server, int protocol)
{
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a090101) };
	struct sockaddr_storage ss;
	struct mg_ep ep;
	socklen_t len;

	memset(c, 0, sizeof(*c));
	c->fd = rig_socket(server, protocol, &ep, &ss, &len);
	assert_int_equal(bind(c->fd, (struct sockaddr *)&from, sizeof(from)), 0);
	c->syn = (struct mg_held_syn){ .type = MG_HELD_SYN,
				       .kind = MG_HOLD_INTERCEPT,
				       .mode = MG_MODE_TAKE_OVER,
				       .mp_capable = protocol == IPPROTO_MPTCP,
				       .server = ep,
				       .isn = 1000 };
	assert_int_equal(__real_mg_sock_local(c->fd, &c->syn.client), 0);
}

/* As the kernel would: held, and a record of it in the worker's ring. */
static inline void held_put(const struct held_client *c, enum mg_held_type type,
			    unsigned int worker)
{
	struct held_record *r;
	size_t bytes = 40 + c->payload_bytes;
	uint64_t one = 1;

	pthread_mutex_lock(&kernel.lock);
	r = &kernel.queue[worker][kernel.last[worker] % RECORDS_MAX];
	r->syn = c->syn;
	r->syn.type = type;
	/* No link layer, two bare headers, the data, and padding that is none of it. */
	r->frame = (struct mg_frame){ .tcp_offset = 20,
				      .payload_offset = 40,
				      .bytes = (uint16_t)(bytes + 6) };
	memset(r->frame.data, 0xee, FRAME_MAX);
	r->frame.data[0] = 0x45;
	r->frame.data[2] = (uint8_t)(bytes >> 8);
	r->frame.data[3] = (uint8_t)bytes;
	memcpy(r->frame.data + 40, c->payload, c->payload_bytes);
	kernel.last[worker]++;
	kernel.held += type == MG_HELD_SYN;
	pthread_mutex_unlock(&kernel.lock);
	assert_int_equal(write(kernel.ring[worker], &one, sizeof(one)), sizeof(one));
}

static inline bool held_heard(void)
{
	bool heard = true;

	pthread_mutex_lock(&kernel.lock);
	for (int i = 0; i < 2; i++)
		heard = heard && kernel.first[i] == kernel.last[i];
	pthread_mutex_unlock(&kernel.lock);
	return heard;
}

static inline void held_say(struct rig *r, const struct held_client *c, enum mg_held_type type)
{
	held_put(c, type, 0);
	assert_true(wait_until(held_heard()));
	rig_sync(r);
}

static inline void held_syn(struct rig *r, const struct held_client *c)
{
	held_say(r, c, MG_HELD_SYN);
}

/* The SYN that was let in arrives at the listener of worker `w`, without data. */
static inline void held_arrive_at(const struct held_client *c, unsigned int w)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port =
					  kernel.stand_in ? kernel.stand_in : c->syn.server.port,
				  .sin_addr.s_addr = htonl(LISTEN_IP + w + 1) };

	if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)))
		fail_msg("the SYN that was let in: %s", strerror(errno));
}

static inline void held_arrive(const struct held_client *c)
{
	held_arrive_at(c, 0);
}

/* ---- servers --------------------------------------------------------------------------------- */

static int held_stuck, held_filler[3];

/* A server whose queue is full does not answer SYNs. */
static inline void held_stuck_open(void)
{
	struct sockaddr_storage ss;
	struct mg_ep ep = ep_of(STUCK);
	socklen_t len = mg_ep_to_sockaddr(&ep, &ss);

	held_stuck = rig_listen(STUCK, 0);
	for (size_t i = 0; i < 3; i++) {
		held_filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(held_filler[i], (struct sockaddr *)&ss, len);
	}
}

static inline void held_stuck_close(void)
{
	rig_close(&held_stuck);
	for (size_t i = 0; i < 3; i++)
		rig_close(&held_filler[i]);
}

/* ---- sessions -------------------------------------------------------------------------------- */

static inline void held_ends(struct rig *r, enum mg_close_reason reason)
{
	rig_ends(r, reason, NO_ERROR);
}

static inline void held_finish(struct rig *r, struct held_client *c)
{
	rig_close(&c->fd);
	rig_hear_end(r->server);
	rig_close(&r->server);
	held_ends(r, MG_CLOSE_FINISHED);
}

static inline void held_relays(struct rig *r, const struct held_client *c)
{
	rig_say(c->fd, "up", 2);
	rig_hear(r->server, "up");
	rig_say(r->server, "down", 4);
	rig_hear(c->fd, "down");
	rig_sync(r);
}

/* From the SYN to the end, as if nothing had been. */
static inline void held_works(struct rig *r)
{
	int before = held_count(HELD_TAKE);
	struct held_client c;

	held_client(&c, SERVER, IPPROTO_MPTCP);
	held_syn(r, &c);
	r->server = rig_accept(r->listener);
	held_wait(HELD_TAKE, before + 1);
	held_arrive(&c);
	held_relays(r, &c);
	held_finish(r, &c);
}

/* ---- Convert --------------------------------------------------------------------------------- */

static inline void held_put_message(struct held_client *c, struct mg_convert_buf *b,
				    const char *data)
{
	int len = mg_convert_end(b);

	assert_true(len > 0);
	memcpy(c->payload, b->data, (size_t)len);
	memcpy(c->payload + len, data, strlen(data));
	c->payload_bytes = (size_t)len + strlen(data);
}

static inline void held_asks(struct held_client *c, const char *server, const char *data)
{
	struct mg_convert_buf b;

	held_client(c, CONVERTER, IPPROTO_MPTCP);
	c->syn.kind = MG_HOLD_CONVERT;
	rig_put_connect(&b, server);
	held_put_message(c, &b, data);
}

static inline void held_let_in(struct rig *r, int n)
{
	held_wait(HELD_TAKE, n);
	rig_sync(r);
}

/* All that the SYN brought, as the client sends it when the SYN's data was not taken. */
static inline void held_says_it_again(const struct held_client *c)
{
	rig_say(c->fd, c->payload, c->payload_bytes);
}

static inline void held_hears_error(struct rig *r, struct held_client *c, uint8_t code)
{
	held_arrive(c);
	held_says_it_again(c);
	rig_hear_error(c->fd, code, NULL);
	rig_close(&c->fd);
	rig_ends(r, MG_CLOSE_REFUSED, code);
	assert_int_equal(kernel.held, 0);
}

/* ---- start and end --------------------------------------------------------------------------- */

static inline int held_setup_workers(void **state, unsigned int workers)
{
	struct rig *r;

	memset(faults, 0, sizeof(faults));
	pthread_mutex_lock(&kernel.lock);
	kernel.n = kernel.held = kernel.tokens = kernel.take_err = kernel.stand_in_err = 0;
	kernel.stand_in = 0;
	kernel.announced = 0;
	kernel.syn_repeats = 0;
	kernel.received_bytes = 0;
	for (int i = 0; i < 2; i++) {
		kernel.ring[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		kernel.first[i] = kernel.last[i] = 0;
	}
	pthread_mutex_unlock(&kernel.lock);
	rig_setup(state);
	r = *state;
	rig_stop(r);
	r->dp = (struct mg_dp *)r;
	r->config.converter.hold_max_ms = 800;
	r->config.intercept = (struct mg_config_intercept){ .mode = MG_MODE_HYBRID,
							    .any_port = true,
							    .source = MG_SOURCE_PRESERVED,
							    .stale_ms = 200000 };
	rig_start(r, workers);
	return 0;
}

static inline int held_setup(void **state)
{
	return held_setup_workers(state, 1);
}

static inline int held_setup_two(void **state)
{
	return held_setup_workers(state, 2);
}

/* Whatever was held was let go, once; whatever was registered is no more. */
static inline int held_teardown(void **state)
{
	int err = rig_teardown(state);

	assert_int_equal(kernel.held, 0);
	assert_int_equal(kernel.tokens, 0);
	close(kernel.ring[0]);
	close(kernel.ring[1]);
	return err;
}

#define HELD_TEST(name)	    cmocka_unit_test_setup_teardown(name, held_setup, held_teardown)
#define HELD_TEST_TWO(name) cmocka_unit_test_setup_teardown(name, held_setup_two, held_teardown)

#endif
