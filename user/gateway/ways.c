// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ways out: XDP sends to MAC addresses and looks nothing up, so what the kernel's routes and
 * neighbours say is kept in the records of the proxies; and what comes back is known by the same
 * MAC addresses.
 */
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/log.h"
#include "gateway/gateway.h"
#include "sys/nexthop.h"

/* Neighbours' entries age without a word to us; the kernel asks again only for what it sends. */
#define LOOK_MS	      5000
#define LOOK_SOON_MS  100
#define LOOK_AGAIN_MS 1000
#define TRIES_SOON    20

static void say_once(struct mg_gate_proxy *p, int err, const char *why)
{
	if (p->way_err != err && err)
		mg_warn("proxy %s: no way to it: %s", p->record.name, why ? why : strerror(-err));
	else if (p->way_err && !err)
		mg_info("proxy %s: there is a way to it", p->record.name);
	p->way_err = err;
}

static void fill(struct mg_steer_proxy *record, const struct mg_config_proxy *c,
		 const struct mg_nexthop *hop)
{
	record->deliver = (uint8_t)(hop->local ? MG_DELIVER_LOCAL : c->deliver);
	memcpy(record->source, &hop->source, sizeof(record->source));
	record->mtu_bytes = hop->mtu_bytes;
	record->ifindex = hop->ifindex;
	memcpy(record->dmac, hop->dmac, sizeof(record->dmac));
	memcpy(record->smac, hop->smac, sizeof(record->smac));
}

static int find(struct mg_gate_proxy *p, struct mg_nexthop *hop)
{
	int err = mg_nexthop_find(&p->config->address, hop);

	if (err == -EAGAIN) {
		p->way_tries++;
		return err;
	}
	p->way_tries = 0;
	if (!err && !hop->local && p->config->deliver == MG_DELIVER_L2 && !hop->on_link) {
		err = -EXDEV;
		say_once(p, err, "deliver: l2 needs it on the same link, it is behind a router");
	} else {
		say_once(p, err, NULL);
	}
	return err;
}

/* Says how soon to look again. */
static uint64_t look_for(struct mg_gate *g, uint16_t number)
{
	struct mg_gate_proxy *p = &g->proxies[number];
	struct mg_steer_proxy next = p->record;
	struct mg_nexthop hop = { 0 };
	int err = find(p, &hop);

	memcpy(next.ip, &p->config->address, sizeof(next.ip));
	next.used = 1;
	if (!err) {
		fill(&next, p->config, &hop);
		p->on_link = hop.on_link;
	} else if (err != -EAGAIN || memcmp(next.ip, p->record.ip, sizeof(next.ip)) != 0) {
		next.ifindex = 0;
		next.deliver = (uint8_t)p->config->deliver;
	} /* else the last way may still be right, and is all there is */
	mg_numbers_put_proxy(g, number, &next);
	if (err == -EAGAIN && p->way_tries <= TRIES_SOON)
		return LOOK_SOON_MS;
	return err ? LOOK_AGAIN_MS : LOOK_MS;
}

struct neighbours {
	struct mg_neighbour at[MG_NEIGHBOURS_MAX];
	uint16_t proxies[MG_NEIGHBOURS_MAX];
	size_t n;
};

static void add_neighbour(struct neighbours *ns, const struct mg_gate_proxy *p, uint16_t number)
{
	struct mg_neighbour at = { .ifindex = p->record.ifindex };

	memcpy(at.mac, p->record.dmac, sizeof(at.mac));
	for (size_t i = 0; i < ns->n; i++) {
		if (memcmp(&ns->at[i], &at, sizeof(at)) == 0) {
			ns->proxies[i] = 0;
			return;
		}
	}
	if (ns->n == MG_NEIGHBOURS_MAX)
		return;
	ns->at[ns->n] = at;
	ns->proxies[ns->n++] = p->on_link ? number : 0;
}

/* Of a family: what faces the proxies, before any other address of ours. */
static void note_source(struct mg_gateway *settings, const struct in6_addr *source)
{
	uint8_t *to = mg_ip_is_v4(source) ? settings->ip4 : settings->ip6;
	static const uint8_t none[16];

	if (memcmp(to, none, sizeof(none)) == 0)
		memcpy(to, source, sizeof(none));
}

static bool ends_tunnels(const struct in6_addr *ip)
{
	return !mg_ip_is_loopback(ip) && !mg_ip_is_linklocal(ip) && !mg_ip_is_multicast(ip) &&
	       !mg_ip_is_unspecified(ip) && !mg_ip_is_broadcast(ip);
}

void mg_ways_sources(const struct mg_gate *g, struct mg_gateway *settings)
{
	for (uint16_t i = 1; i < MG_PROXIES_MAX; i++) {
		const struct mg_gate_proxy *p = &g->proxies[i];
		struct in6_addr source;

		if (!p->config || !p->record.ifindex)
			continue;
		memcpy(&source, p->record.source, sizeof(source));
		note_source(settings, &source);
	}
	for (size_t i = 0; i < g->own->n_ips; i++) {
		if (ends_tunnels(&g->own->ips[i]))
			note_source(settings, &g->own->ips[i]);
	}
}

void mg_ways_look(struct mg_gate *g)
{
	struct neighbours ns = { .n = 0 };
	uint64_t soon_ms = LOOK_MS;
	int err;

	for (uint16_t i = 1; i < MG_PROXIES_MAX; i++) {
		const struct mg_gate_proxy *p = &g->proxies[i];
		uint64_t again_ms;

		if (!p->config)
			continue;
		again_ms = look_for(g, i);
		if (again_ms < soon_ms)
			soon_ms = again_ms;
		if (p->record.ifindex && p->record.deliver != MG_DELIVER_LOCAL)
			add_neighbour(&ns, p, i);
	}
	mg_gate_settings(g);
	err = mg_steer_set_neighbours(g->steer, ns.at, ns.proxies, ns.n);
	if (err)
		mg_error("gateway: cannot tell the kernel of proxies' MAC addresses: %s",
			 strerror(-err));
	mg_timer_arm(&g->loop->timers, &g->ways_timer, g->loop->now_ms + soon_ms);
}

static void time_to_look(struct mg_timer *t)
{
	mg_ways_look(mg_container_of(t, struct mg_gate, ways_timer));
}

static void ways_changed(struct mg_io *io, uint32_t events)
{
	struct mg_gate *g = mg_container_of(io, struct mg_gate, ways_io);

	(void)events;
	/* Many changes come at once, and each look asks the kernel about every proxy. */
	if (mg_nexthop_watch_drain(io->fd) &&
	    (!mg_timer_armed(&g->ways_timer) ||
	     g->ways_timer.deadline_ms > g->loop->now_ms + LOOK_SOON_MS / 10))
		mg_timer_arm(&g->loop->timers, &g->ways_timer, g->loop->now_ms + LOOK_SOON_MS / 10);
}

int mg_ways_open(struct mg_gate *g)
{
	int err;

	g->ways_timer.fire = time_to_look;
	g->ways_io = (struct mg_io){ .fd = mg_nexthop_watch(), .ready = ways_changed };
	err = g->ways_io.fd < 0 ? g->ways_io.fd : mg_loop_add(g->loop, &g->ways_io, EPOLLIN);
	if (err)
		mg_error("gateway: cannot watch routes and neighbours: %s", strerror(-err));
	return err;
}

void mg_ways_close(struct mg_gate *g)
{
	mg_timer_disarm(&g->loop->timers, &g->ways_timer);
	if (g->ways_io.fd >= 0)
		close(g->ways_io.fd);
	g->ways_io.fd = -1;
}

int mg_ways_tunnels(struct mg_gate *g)
{
	const struct mg_config_steer *c = &g->config->steer;
	struct in6_addr mine[MG_MINE_MAX];
	size_t n = 0;
	int err;

	for (size_t i = 0; i < g->own->n_ips && n < MG_MINE_MAX; i++) {
		if (ends_tunnels(&g->own->ips[i]))
			mine[n++] = g->own->ips[i];
	}
	if (n == MG_MINE_MAX)
		mg_warn("gateways: tunnels end at the first %d addresses of this host only",
			MG_MINE_MAX);
	err = mg_steer_set_mine(g->steer, mine, n);
	if (!err)
		err = mg_steer_set_peers(g->steer, c->gateways, c->n_gateways);
	if (err)
		mg_error("gateways: cannot tell the kernel of them: %s", strerror(-err));
	return err;
}
