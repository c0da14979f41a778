// SPDX-License-Identifier: BSD-2-Clause
#include "sys/hold.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/log.h"
#include "sys/diag.h"
#include "sys/dp_maps.h"
#include "sys/holder.h"
#include "wire/segment.h"

/* Records told in one call: a flood of SYNs must not keep a worker from everything else. */
#define READ_MAX 128

static uint64_t now_ns(void)
{
	struct timespec t;

	/* What bpf_ktime_get_ns reads */
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

static int release(const struct mg_holder *h, const struct mg_release *what)
{
	struct mg_release ctx = *what;
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));

	return bpf_prog_test_run_opts(h->release, &opts) ? -errno : 0;
}

/* ---- reading --------------------------------------------------------------------------------- */
static int frame_of(struct mg_frame *f, const struct mg_held *rec, size_t len)
{
	struct mg_segment s;

	if (rec->frame_bytes > MG_HELD_FRAME_BYTES || rec->frame_bytes > len - sizeof(*rec))
		return -EBADMSG;
	*f = (struct mg_frame){
		.ifindex = rec->ifindex,
		.vlan_tci = rec->vlan_tci,
		.vlan_proto = rec->vlan_proto,
		.ip_offset = rec->ip_offset,
		.tcp_offset = rec->tcp_offset,
		.payload_offset = rec->payload_offset,
		.bytes = rec->frame_bytes,
		.time_wait = rec->time_wait,
	};
	memcpy(f->data, rec + 1, rec->frame_bytes);
	if (mg_segment_at(&s, f->data, f->bytes, f->ip_offset, f->tcp_offset, f->payload_offset))
		return -EBADMSG;
	return mg_segment_sums(&s);
}

/* Damaged on its way here: it was never sent. What was sent comes again, and is then held anew. */
static void drop(struct mg_hold_ring *r, const struct mg_held *rec)
{
	const struct mg_release what = { .tuple = rec->tuple, .isn = rec->isn };

	mg_debug("a held SYN of %u bytes is damaged, and dropped", rec->frame_bytes);
	if (rec->type == MG_HELD_SYN)
		release(r->holder, &what);
}

/*
 * What the kernel gave up on while we gave no sign of life went past us, or will: what opens such a
 * connection once more breaks it.
 */
static bool is_held(const struct mg_holder *h, const struct mg_tuple *tuple, uint32_t isn)
{
	struct mg_hold hold;

	return !bpf_map_lookup_elem(h->maps.held, tuple, &hold) && hold.isn == isn;
}

static void tell(struct mg_hold_ring *r, const struct mg_held *rec, size_t len)
{
	struct mg_held_syn syn = {
		.type = (enum mg_held_type)rec->type,
		.kind = (enum mg_hold_kind)rec->kind,
		.mode = (enum mg_mode)rec->mode,
		.known = (enum mg_known)rec->known,
		.mp_capable = rec->mp_capable,
		.isn = rec->isn,
	};

	if (rec->type == MG_HELD_SYN && !is_held(r->holder, &rec->tuple, rec->isn))
		return;
	mg_endpoint_to_ep(&rec->tuple.client, &syn.client);
	mg_endpoint_to_ep(&rec->tuple.server, &syn.server);
	if (rec->type != MG_HELD_RESET) {
		if (frame_of(r->frame, rec, len)) {
			drop(r, rec);
			return;
		}
		syn.frame = r->frame;
	}
	r->fn(r->ctx, &syn);
}

int mg_hold_on_record(void *ctx, void *record, size_t len)
{
	const struct mg_held *rec = record;
	struct mg_hold_ring *r = ctx;

	if (len >= sizeof(*rec) && rec->type >= MG_HELD_SYN && rec->type <= MG_HELD_RESET &&
	    rec->kind < MG_HOLD_KIND_COUNT)
		tell(r, rec, len);
	r->n_read++;
	return --r->left ? 0 : -EAGAIN;
}

int mg_hold_fd(const struct mg_holder *h, unsigned int worker)
{
	return ring_buffer__epoll_fd(h->rings[worker].ring);
}

int mg_hold_read(struct mg_holder *h, unsigned int worker,
		 void (*fn)(void *ctx, const struct mg_held_syn *syn), void *ctx)
{
	struct mg_hold_ring *r = &h->rings[worker];
	int n;

	r->fn = fn;
	r->ctx = ctx;
	r->n_read = 0;
	r->left = READ_MAX;
	n = ring_buffer__consume(r->ring);
	/* What is left keeps the fd readable. */
	return n < 0 && n != -EAGAIN ? n : r->n_read;
}

void mg_hold_beat(struct mg_holder *h, unsigned int worker)
{
	__atomic_store_n(&h->beats[worker], now_ns(), __ATOMIC_RELAXED);
}

uint64_t mg_hold_beat_age_ms(const struct mg_holder *h, unsigned int worker)
{
	uint64_t beat = __atomic_load_n(&h->beats[worker], __ATOMIC_RELAXED), now = now_ns();

	if (!beat)
		return UINT64_MAX;
	return now > beat ? (now - beat) / 1000000 : 0;
}

void mg_hold_listen_ip(struct in6_addr *ip, unsigned int worker, bool v4)
{
	const uint64_t hi = v4 ? 0 : MG_LISTEN_V6_HI;
	const uint64_t lo =
		v4 ? 0xffff00000000ULL | (MG_LISTEN_V4 + worker) : MG_LISTEN_V6_LO + worker;

	for (int i = 0; i < 8; i++) {
		ip->s6_addr[i] = (uint8_t)(hi >> (56 - 8 * i));
		ip->s6_addr[8 + i] = (uint8_t)(lo >> (56 - 8 * i));
	}
}

int mg_hold_stand_in(struct mg_holder *h, unsigned int worker, bool v4, in_port_t port,
		     in_port_t real)
{
	const struct mg_listen_key key = {
		.worker = (__u16)(v4 ? worker : worker | MG_LISTEN_KEY_V6),
		.port = ntohs(port),
	};
	__u32 value = ntohs(real);

	if (!real)
		return bpf_map_delete_elem(h->maps.listen_ports, &key) ? -errno : 0;
	return bpf_map_update_elem(h->maps.listen_ports, &key, &value, BPF_ANY) ? -errno : 0;
}

void mg_hold_set_announce(struct mg_holder *h, struct mg_announce *a)
{
	h->announce = a;
}

void mg_hold_announce(struct mg_holder *h)
{
	if (h->announce)
		mg_announce_on(h->announce);
}

struct mg_frame *mg_frame_copy(const struct mg_frame *f)
{
	struct mg_frame *copy = malloc(sizeof(*copy) + f->bytes);

	if (copy)
		memcpy(copy, f, sizeof(*copy) + f->bytes);
	return copy;
}

/* ---- writing --------------------------------------------------------------------------------- */
static int replay(const struct mg_holder *h, const struct mg_frame *f, const void *frame,
		  size_t bytes, enum mg_replay_how how, unsigned int worker)
{
	const struct mg_replay tail = {
		.magic = MG_REPLAY_MAGIC,
		.how = how,
		.ifindex = f->ifindex,
		.worker = worker,
	};
	const struct mg_tap_tag tag = { f->vlan_proto, f->vlan_tci };

	return mg_tap_write(&h->tap, frame, bytes, tag, &tail, sizeof(tail));
}

static int segment_of(struct mg_segment *s, const struct mg_frame *f,
		      uint8_t copy[MG_HELD_FRAME_BYTES])
{
	if (f->bytes > MG_HELD_FRAME_BYTES)
		return -EMSGSIZE;
	memcpy(copy, f->data, f->bytes);
	return mg_segment_at(s, copy, f->bytes, f->ip_offset, f->tcp_offset, f->payload_offset);
}

/* May the SYN go into a listener? */
static int clear_the_way(const struct mg_holder *h, const struct mg_frame *f,
			 const struct mg_segment *s)
{
	struct mg_tuple tuple;
	struct mg_ep client, server;
	int err;

	mg_segment_endpoints(s, &client, &server);
	mg_endpoint_from_ep(&tuple.client, &client);
	mg_endpoint_from_ep(&tuple.server, &server);
	if (!is_held(h, &tuple, mg_segment_isn(s)))
		return -ESTALE;
	err = f->time_wait ? mg_diag_end_time_wait(&server, &client) : 0;
	return err == -ENOENT ? 0 : err;
}

int mg_hold_take(struct mg_holder *h, const struct mg_frame *f, unsigned int worker)
{
	uint8_t frame[MG_HELD_FRAME_BYTES];
	struct mg_segment s;
	int err = segment_of(&s, f, frame);

	if (!err)
		err = clear_the_way(h, f, &s);
	if (err)
		return err;
	/* XDP does it for SYNs to converters only, and not where it is off. */
	mg_segment_mend_window(&s);
	return replay(h, f, frame, f->bytes, MG_REPLAY_TAKE, worker);
}

static void release_of(struct mg_release *what, const struct mg_ep *client,
		       const struct mg_ep *server, uint32_t isn)
{
	*what = (struct mg_release){ .isn = isn, .how = MG_RELEASE };
	mg_endpoint_from_ep(&what->tuple.client, client);
	mg_endpoint_from_ep(&what->tuple.server, server);
}

int mg_hold_pass(struct mg_holder *h, const struct mg_ep *client, const struct mg_ep *server,
		 uint32_t isn, enum mg_passed_why why, const struct mg_frame *f)
{
	struct mg_release what;
	int err;

	release_of(&what, client, server, isn);
	what.how = MG_RELEASE_PASSED;
	what.why = why;
	err = release(h, &what);
	return err || !f ? err : replay(h, f, f->data, f->bytes, MG_REPLAY_PASS, 0);
}

void mg_hold_release(struct mg_holder *h, const struct mg_ep *client, const struct mg_ep *server,
		     uint32_t isn)
{
	struct mg_release what;
	int err;

	release_of(&what, client, server, isn);
	err = release(h, &what);
	if (err)
		mg_warn("a held SYN stays held: %s", strerror(-err));
}

int mg_hold_reset(struct mg_holder *h, const struct mg_frame *f)
{
	uint8_t frame[MG_HELD_FRAME_BYTES], answer[MG_SEGMENT_ANSWER_MAX];
	struct mg_segment s;
	int err = segment_of(&s, f, frame);

	if (err)
		return err;
	return replay(h, f, answer, mg_segment_reset(answer, &s), MG_REPLAY_ANSWER, 0);
}

int mg_hold_unreachable(struct mg_holder *h, const struct mg_frame *f, uint8_t code,
			const struct in6_addr *from)
{
	uint8_t frame[MG_HELD_FRAME_BYTES], answer[MG_SEGMENT_ANSWER_MAX];
	struct mg_segment s;
	int err = segment_of(&s, f, frame);
	size_t bytes = err ? 0 : mg_segment_unreachable(answer, &s, code, from);

	if (err || !bytes)
		return err;
	return replay(h, f, answer, bytes, MG_REPLAY_ANSWER, 0);
}

/* ---- what is known --------------------------------------------------------------------------- */
int mg_hold_learn(struct mg_holder *h, const struct mg_ep *server, bool mptcp)
{
	return mg_hold_maps_learn(&h->maps, server, mptcp,
				  now_ns() + atomic_load(&h->learn_ttl_ns));
}

int mg_hold_forget(struct mg_holder *h, const struct mg_ep *server)
{
	return mg_hold_maps_forget(&h->maps, server);
}

int mg_hold_forget_all(struct mg_holder *h)
{
	return mg_hold_maps_forget_all(&h->maps);
}

long mg_hold_servers(struct mg_holder *h, struct mg_server_row **rows)
{
	return mg_hold_maps_servers(&h->maps, now_ns(), rows);
}

int mg_hold_token_add(struct mg_holder *h, uint32_t token, unsigned int worker)
{
	const struct mg_token value = { .worker = worker };

	return bpf_map_update_elem(h->maps.tokens, &token, &value, BPF_ANY) ? -errno : 0;
}

void mg_hold_token_del(struct mg_holder *h, uint32_t token)
{
	bpf_map_delete_elem(h->maps.tokens, &token);
}

int mg_hold_counters_read(struct mg_holder *h, struct mg_hold_counters *out)
{
	return mg_map_sum(h->maps.stats, h->maps.n_cpus, (uint64_t *)out,
			  sizeof(*out) / sizeof(uint64_t));
}
