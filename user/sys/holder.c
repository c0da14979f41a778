// SPDX-License-Identifier: BSD-2-Clause
#include "sys/holder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/log.h"
#include "skel/hold.skel.h"
#include "sys/claim.h"
#include "sys/dp.h"
#include "sys/xdp.h"

#define NS_PER_SEC    1000000000ULL
#define BEACON_FD_MAX 65535 /* a table of descriptors is as long as the highest of them */

bool mg_holder_is_needed(const struct mg_config *cfg)
{
	return cfg->intercept.mode != MG_MODE_OFF || cfg->cpe.n_lan;
}

bool mg_holder_is_for_access(const struct mg_config *cfg)
{
	return cfg->intercept.mode != MG_MODE_OFF ||
	       (cfg->converter.n_listen && cfg->converter.reply == MG_REPLY_AFTER_CONNECT);
}

bool mg_holder_is_wanted(const struct mg_config *cfg)
{
	return mg_holder_is_needed(cfg) || mg_holder_is_for_access(cfg);
}

/* Where nothing is held XDP finds nothing, and needs no room. */
int mg_holder_prepare(struct bpf_object *shared, const struct mg_config *cfg,
		      const struct mg_bpffs *bpffs)
{
	static const char *const sized[] = { "mg_held", "mg_held_subs" };
	static const char *const kept[] = { "mg_servers", "mg_passed" };
	uint32_t held = mg_holder_is_wanted(cfg) ? cfg->intercept.held_max : 1;
	int err = 0;

	for (size_t i = 0; i < sizeof(sized) / sizeof(sized[0]) && !err; i++)
		err = bpf_map__set_max_entries(bpf_object__find_map_by_name(shared, sized[i]),
					       held);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]) && !err; i++)
		mg_bpffs_adopt(bpffs, bpf_object__find_map_by_name(shared, kept[i]));
	return err;
}

static int load(struct mg_holder *h, const struct mg_bpffs *bpffs, const struct bpf_object *shared)
{
	struct mg_hold_bpf *s = mg_hold_bpf__open();
	int err;

	if (!s)
		return -errno;
	h->bpf = s;
	err = mg_xdp_share_maps(s->obj, shared);
	mg_bpffs_adopt(bpffs, s->maps.mg_hold_stats);
	if (!err)
		err = mg_hold_bpf__load(s);
	if (err) {
		mg_error("cannot load the programs that hold SYNs: %s", strerror(-err));
		return err;
	}
	h->release = bpf_program__fd(s->progs.mg_release);
	h->maps = (struct mg_hold_maps){
		.intercept = bpf_map__fd(s->maps.mg_intercept),
		.ports = bpf_map__fd(s->maps.mg_ports),
		.held = bpf_map__fd(s->maps.mg_held),
		.rings = bpf_map__fd(s->maps.mg_hold_rings),
		.servers = bpf_map__fd(s->maps.mg_servers),
		.tokens = bpf_map__fd(s->maps.mg_tokens),
		.listen_ports = bpf_map__fd(s->maps.mg_listen_ports),
		.stats = bpf_map__fd(s->maps.mg_hold_stats),
		.n_cpus = (unsigned int)libbpf_num_possible_cpus(),
	};
	return 0;
}

static int map_beats(struct mg_holder *h)
{
	int map = bpf_map__fd(h->bpf->maps.mg_beats);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t bytes = (MG_WORKERS_MAX * sizeof(*h->beats) + page - 1) / page * page;
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);

	if (at == MAP_FAILED)
		return -errno;
	h->beats = at;
	h->beats_bytes = bytes;
	return 0;
}

static int make_ring(struct mg_holder *h, unsigned int worker)
{
	struct mg_hold_ring *r = &h->rings[worker];

	*r = (struct mg_hold_ring){ .holder = h, .worker = worker };
	r->map = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "mg_hold_ring", 0, 0, MG_HOLD_RING_BYTES,
				NULL);
	if (r->map < 0)
		return -errno;
	r->frame = malloc(sizeof(*r->frame) + MG_HELD_FRAME_BYTES);
	r->ring = ring_buffer__new(r->map, mg_hold_on_record, r, NULL);
	if (!r->frame || !r->ring)
		return -ENOMEM;
	return mg_hold_maps_set_ring(&h->maps, worker, r->map);
}

static int make_rings(struct mg_holder *h, unsigned int n)
{
	int err = 0;

	h->rings = calloc(n, sizeof(*h->rings));
	if (!h->rings)
		return -ENOMEM;
	for (unsigned int i = 0; i < n; i++)
		h->rings[i].map = -1;
	h->n_workers = n;
	for (unsigned int i = 0; i < n && !err; i++)
		err = make_ring(h, i);
	return err;
}

/*
 * Of a dead process the kernel closes the highest descriptor first (task work is last in, first
 * out). Sessions and programs take their time, in which SYNs would still be held for it.
 */
static void raise_beacon(struct mg_holder *h)
{
	struct rlimit most;
	int high;

	if (getrlimit(RLIMIT_NOFILE, &most) || !most.rlim_cur)
		return;
	high = fcntl(h->beacon, F_DUPFD_CLOEXEC,
		     most.rlim_cur > BEACON_FD_MAX ? BEACON_FD_MAX : (int)most.rlim_cur - 1);
	if (high < 0)
		return;
	close(h->beacon);
	h->beacon = high;
}

/* TC takes its loss for the daemon's. */
static int light_beacon(struct mg_holder *h)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(MG_BEACON_V4) };
	socklen_t len = sizeof(at);

	h->beacon = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (h->beacon < 0 || bind(h->beacon, (struct sockaddr *)&at, len) || listen(h->beacon, 1) ||
	    getsockname(h->beacon, (struct sockaddr *)&at, &len))
		return -errno;
	h->beacon_port = ntohs(at.sin_port);
	raise_beacon(h);
	return 0;
}

static int equip_device(struct mg_holder *h)
{
	int err = 0;

	if (h->replay.ifindex != h->tap.ifindex || !mg_tc_is_attached(&h->replay))
		err = mg_tc_attach(&h->replay, MG_TAP_NAME, h->tap.ifindex,
				   bpf_program__fd(h->bpf->progs.mg_replay));
	return err ? err : mg_tap_up(&h->tap);
}

static int make_device(struct mg_holder *h)
{
	int err = mg_tap_open(&h->tap);

	return err ? err : equip_device(h);
}

void mg_holder_look(struct mg_holder *h)
{
	int err;

	if (h->broken || (mg_tap_is_up(&h->tap) && mg_tc_is_attached(&h->replay)))
		return;
	err = mg_tap_exists(&h->tap) ? 0 : mg_tap_make(&h->tap);
	if (!err)
		err = equip_device(h);
	if (!err) {
		mg_warn("interface %s: somebody deleted it, set it down, or took its TC filter "
			"off; it is back",
			MG_TAP_NAME);
		return;
	}
	h->broken = true;
	mg_holder_stop(h);
	mg_warn("interface %s: lost, no SYN is held; restart mpgated to have it back", MG_TAP_NAME);
}

int mg_holder_set(struct mg_holder *h, const struct mg_config *cfg)
{
	int err = h->broken ? 0 : mg_hold_maps_set(&h->maps, cfg, h->n_workers, h->beacon_port);

	if (err)
		mg_error("cannot tell the kernel's side what to intercept: %s", strerror(-err));
	else
		atomic_store(&h->learn_ttl_ns, cfg->intercept.learn_ttl_s * NS_PER_SEC);
	return err;
}

void mg_holder_stop(struct mg_holder *h)
{
	int err = mg_hold_maps_set_nothing(&h->maps, h->n_workers);

	if (err)
		mg_warn("cannot stop holding SYNs: %s", strerror(-err));
}

static void pass(void *ctx, const struct mg_held_syn *syn)
{
	if (syn->frame)
		mg_hold_pass(ctx, &syn->client, &syn->server, syn->isn, MG_PASSED_FAILURE,
			     syn->frame);
}

void mg_holder_pass_all(struct mg_holder *h)
{
	mg_holder_stop(h);
	for (unsigned int i = 0; i < h->n_workers; i++)
		while (mg_hold_read(h, i, pass, h) > 0)
			;
}

bool mg_holder_loads(void)
{
	struct mg_hold_bpf *s = mg_hold_bpf__open();
	struct bpf_map *map;
	bool loads;

	if (!s)
		return false;
	/* It is to be loaded, not used. */
	bpf_object__for_each_map(map, s->obj)
	{
		if (bpf_map__type(map) == BPF_MAP_TYPE_HASH ||
		    bpf_map__type(map) == BPF_MAP_TYPE_LRU_HASH)
			bpf_map__set_max_entries(map, 1);
	}
	loads = !mg_hold_bpf__load(s);
	mg_hold_bpf__destroy(s);
	return loads;
}

int mg_holder_open(struct mg_holder *h, const struct mg_config *cfg, const struct mg_bpffs *bpffs,
		   const struct bpf_object *shared)
{
	int err;

	*h = (struct mg_holder){ .tap.fd = -1, .release = -1, .beacon = -1 };
	h->claim = mg_claim_hold(&h->rival);
	if (h->claim < 0)
		return h->claim;
	err = load(h, bpffs, shared);
	if (err)
		return err;
	err = map_beats(h);
	if (!err)
		err = make_rings(h, mg_dp_workers(cfg));
	if (!err)
		err = light_beacon(h);
	if (err) {
		mg_error("cannot make what SYNs are held in: %s", strerror(-err));
		return err;
	}
	err = mg_holder_set(h, cfg);
	return err ? err : make_device(h);
}

void mg_holder_close(struct mg_holder *h)
{
	mg_tc_detach(&h->replay);
	mg_tap_close(&h->tap);
	for (unsigned int i = 0; i < h->n_workers; i++) {
		ring_buffer__free(h->rings[i].ring);
		free(h->rings[i].frame);
		if (h->rings[i].map >= 0)
			close(h->rings[i].map);
	}
	free(h->rings);
	if (h->beats)
		munmap(h->beats, h->beats_bytes);
	mg_hold_bpf__destroy(h->bpf);
	if (h->beacon >= 0)
		close(h->beacon);
	if (h->claim >= 0)
		close(h->claim);
	*h = (struct mg_holder){ .tap.fd = -1, .release = -1, .beacon = -1, .claim = -1 };
}
