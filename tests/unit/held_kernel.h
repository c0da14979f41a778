/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's side of held SYNs, played by the test: what would be in the ring is put there by the
 * test, what is decided about it is kept in a log.
 */
#ifndef MG_TESTS_HELD_KERNEL_H
#define MG_TESTS_HELD_KERNEL_H

#include "faults.h"

#include <sys/eventfd.h>

#include "sys/hold.h"

#define LISTEN_IP    0x0a090400U /* 10.9.4.0 + worker + 1 */
#define MPTCP_SERVER "10.9.2.2:80"
#define STUCK	     "10.9.3.1:81"
#define CALLS_MAX    4096
#define RECORDS_MAX  64
#define FRAME_MAX    2048

enum held_call {
	HELD_TAKE,
	HELD_PASS,
	HELD_RELEASE,
	HELD_RESET,
	HELD_UNREACHABLE,
	HELD_LEARN,
	HELD_TOKEN_ADD,
	HELD_TOKEN_DEL,
	HELD_ABORT, /* of any socket */
};

struct held_event {
	enum held_call call;
	struct mg_ep client, server;
	uint32_t isn;
	int value; /* why, code, mptcp, token */
	unsigned int worker;
};

struct held_record {
	struct mg_held_syn syn;
	union {
		struct mg_frame frame;
		uint8_t room[sizeof(struct mg_frame) + FRAME_MAX];
	};
};

/* What the kernel would know */
static struct {
	pthread_mutex_t lock;
	int ring[2]; /* eventfd per worker */
	struct held_record queue[2][RECORDS_MAX];
	int first[2], last[2];
	struct held_event log[CALLS_MAX];
	int n;
	int held;   /* SYNs held and not let go */
	int tokens; /* registered */
	int take_err, stand_in_err;
	in_port_t stand_in; /* the listener for port 80, where that one is not to be had */
	int announced;
	unsigned int syn_repeats; /* of any connection to a server */
	uint64_t received_bytes;  /* from any server; 0: that cannot be told */
} kernel = { .lock = PTHREAD_MUTEX_INITIALIZER };

static _Atomic unsigned int held_beats;

static inline void held_note(struct held_event e)
{
	pthread_mutex_lock(&kernel.lock);
	if (e.call == HELD_RELEASE || e.call == HELD_PASS)
		kernel.held--;
	if (e.call == HELD_TOKEN_ADD)
		kernel.tokens++;
	if (e.call == HELD_TOKEN_DEL)
		kernel.tokens--;
	if (kernel.n < CALLS_MAX)
		kernel.log[kernel.n++] = e;
	pthread_mutex_unlock(&kernel.lock);
}

/* ---- the calls, as the proxy makes them ------------------------------------------------------ */

#define WRAP(type, name, ...)            \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

WRAP(struct mg_holder *, mg_dp_holder, struct mg_dp *dp)
{
	return (struct mg_holder *)dp;
}

/* The rig has one of its own. */
WRAP(struct mg_admission *, mg_dp_admission, struct mg_dp *dp)
{
	(void)dp;
	return NULL;
}

WRAP(int, mg_dp_synack_take, struct mg_dp *dp, const struct mg_ep *local, const struct mg_ep *peer,
     const uint8_t opts[40])
{
	(void)dp, (void)local, (void)peer, (void)opts;
	return -ENOENT;
}

WRAP(int, mg_hold_fd, const struct mg_holder *h, unsigned int worker)
{
	(void)h;
	return kernel.ring[worker];
}

WRAP(int, mg_hold_read, struct mg_holder *h, unsigned int worker,
     void (*fn)(void *ctx, const struct mg_held_syn *syn), void *ctx)
{
	uint64_t n;
	int told = 0;

	(void)h;
	if (read(kernel.ring[worker], &n, sizeof(n)) < 0)
		return 0;
	for (;;) {
		struct held_record *r;

		pthread_mutex_lock(&kernel.lock);
		r = kernel.first[worker] < kernel.last[worker]
			    ? &kernel.queue[worker][kernel.first[worker]++ % RECORDS_MAX]
			    : NULL;
		pthread_mutex_unlock(&kernel.lock);
		if (!r)
			return told;
		r->syn.frame = r->syn.type == MG_HELD_RESET ? NULL : &r->frame;
		fn(ctx, &r->syn);
		told++;
	}
}

WRAP(void, mg_hold_beat, struct mg_holder *h, unsigned int worker)
{
	(void)h, (void)worker;
	atomic_fetch_add(&held_beats, 1);
}

WRAP(void, mg_hold_listen_ip, struct in6_addr *ip, unsigned int worker, bool v4)
{
	struct in6_addr mapped = { .s6_addr = { [10] = 0xff, [11] = 0xff } };
	uint32_t at = htonl(LISTEN_IP + worker + 1);

	assert_true(v4);
	memcpy(&mapped.s6_addr[12], &at, 4);
	*ip = mapped;
}

WRAP(void, mg_hold_announce, struct mg_holder *h)
{
	(void)h;
	kernel.announced++;
}

WRAP(int, mg_hold_stand_in, struct mg_holder *h, unsigned int worker, bool v4, in_port_t port,
     in_port_t real)
{
	(void)h, (void)worker;
	assert_true(v4);
	assert_int_equal(port, htons(80));
	if (kernel.stand_in_err)
		return kernel.stand_in_err;
	kernel.stand_in = real;
	return 0;
}

WRAP(int, mg_hold_take, struct mg_holder *h, const struct mg_frame *f, unsigned int worker)
{
	(void)h;
	assert_int_equal(f->data[0], 0x45);
	if (kernel.take_err)
		return kernel.take_err;
	held_note((struct held_event){ .call = HELD_TAKE, .worker = worker });
	return 0;
}

WRAP(int, mg_hold_pass, struct mg_holder *h, const struct mg_ep *client, const struct mg_ep *server,
     uint32_t isn, enum mg_passed_why why, const struct mg_frame *f)
{
	(void)h;
	assert_int_equal(f->data[0], 0x45);
	held_note((struct held_event){ .call = HELD_PASS,
				       .client = *client,
				       .server = *server,
				       .isn = isn,
				       .value = (int)why });
	return 0;
}

WRAP(void, mg_hold_release, struct mg_holder *h, const struct mg_ep *client,
     const struct mg_ep *server, uint32_t isn)
{
	(void)h;
	held_note((struct held_event){
		.call = HELD_RELEASE, .client = *client, .server = *server, .isn = isn });
}

WRAP(int, mg_hold_reset, struct mg_holder *h, const struct mg_frame *f)
{
	(void)h;
	assert_int_equal(f->data[0], 0x45);
	held_note((struct held_event){ .call = HELD_RESET });
	return 0;
}

WRAP(int, mg_hold_unreachable, struct mg_holder *h, const struct mg_frame *f, uint8_t code,
     const struct in6_addr *from)
{
	(void)h, (void)from;
	assert_int_equal(f->data[0], 0x45);
	held_note((struct held_event){ .call = HELD_UNREACHABLE, .value = code });
	return 0;
}

WRAP(int, mg_hold_learn, struct mg_holder *h, const struct mg_ep *server, bool mptcp)
{
	(void)h;
	held_note((struct held_event){ .call = HELD_LEARN, .server = *server, .value = mptcp });
	return 0;
}

WRAP(int, mg_hold_token_add, struct mg_holder *h, uint32_t token, unsigned int worker)
{
	(void)h;
	held_note((struct held_event){ .call = HELD_TOKEN_ADD, .isn = token, .worker = worker });
	return 0;
}

WRAP(void, mg_hold_token_del, struct mg_holder *h, uint32_t token)
{
	(void)h;
	held_note((struct held_event){ .call = HELD_TOKEN_DEL, .isn = token });
}

void __real_mg_sock_abort(int fd);
WRAP(void, mg_sock_abort, int fd)
{
	held_note((struct held_event){ .call = HELD_ABORT });
	__real_mg_sock_abort(fd);
}

WRAP(unsigned int, mg_sock_syn_repeats, int fd)
{
	(void)fd;
	return kernel.syn_repeats;
}

WRAP(int, mg_mptcp_received_bytes, int fd, uint64_t *bytes)
{
	(void)fd;
	*bytes = kernel.received_bytes;
	return kernel.received_bytes ? 0 : -EOPNOTSUPP;
}

static inline bool accepted_is(int fd)
{
	struct mg_ep peer;

	return !mg_sock_peer(fd, &peer);
}

/* What the worker's listener took was sent to the server, and to its port. */
int __real_mg_sock_local(int fd, struct mg_ep *ep);
WRAP(int, mg_sock_local, int fd, struct mg_ep *ep)
{
	int err = __real_mg_sock_local(fd, ep);

	if (err || ep->ip.s6_addr[12] != 10 || ep->ip.s6_addr[13] != 9 || ep->ip.s6_addr[14] != 4)
		return err;
	ep->ip = ep->port == htons(5124) ? ep_of(CONVERTER).ip : ep_of(SERVER).ip;
	if (kernel.stand_in && ep->port == kernel.stand_in && accepted_is(fd))
		ep->port = htons(80);
	return err;
}

/* ---- the log --------------------------------------------------------------------------------- */

static inline int held_count(enum held_call call)
{
	int n = 0;

	pthread_mutex_lock(&kernel.lock);
	for (int i = 0; i < kernel.n; i++)
		n += kernel.log[i].call == call;
	pthread_mutex_unlock(&kernel.lock);
	return n;
}

/* The latest such call; fails the test if there is none. */
static inline struct held_event held_last(enum held_call call, int *place)
{
	struct held_event e = { 0 };
	int i;

	pthread_mutex_lock(&kernel.lock);
	for (i = kernel.n - 1; i >= 0 && kernel.log[i].call != call; i--)
		;
	if (i >= 0)
		e = kernel.log[i];
	pthread_mutex_unlock(&kernel.lock);
	assert_true(i >= 0);
	if (place)
		*place = i;
	return e;
}

#define held_wait(call, count) assert_true(wait_until(held_count(call) == (count)))

#endif
