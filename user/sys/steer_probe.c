// SPDX-License-Identifier: BSD-2-Clause
/*
 * Asking where a packet would go: a frame with just enough in it, handed to mg_locate.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "skel/steer.skel.h"
#include "sys/steer_maps.h"

#define FRAME_BYTES 128 /* headers, and options of 12 bytes at most */
#define HOPS	    64
#define WINDOW	    65535

/* RFC 8684 section 3.1, version 1, with HMAC-SHA256; section 3.2, address id 0 */
static size_t put_options(uint8_t *to, const struct mg_steer_probe *probe)
{
	static const uint8_t capable[] = { 30, 4, 0x01, 0x01 };
	const uint8_t join[] = {
		30,
		12,
		0x10,
		0,
		(uint8_t)(probe->token >> 24),
		(uint8_t)(probe->token >> 16),
		(uint8_t)(probe->token >> 8),
		(uint8_t)probe->token,
		0,
		0,
		0,
		0,
	};

	if (probe->kind == MG_PROBE_CAPABLE) {
		memcpy(to, capable, sizeof(capable));
		return sizeof(capable);
	}
	if (probe->kind != MG_PROBE_JOIN)
		return 0;
	memcpy(to, join, sizeof(join));
	return sizeof(join);
}

static size_t put_tcp(uint8_t *to, const struct mg_steer_probe *probe)
{
	size_t options = put_options(to + sizeof(struct tcphdr), probe);
	struct tcphdr tcp = {
		.source = probe->client.port,
		.dest = probe->server.port,
		.doff = (sizeof(tcp) + options) / 4,
		.syn = probe->kind != MG_PROBE_DATA,
		.ack = probe->kind == MG_PROBE_DATA,
		.window = htons(WINDOW),
	};

	memcpy(to, &tcp, sizeof(tcp));
	return sizeof(tcp) + options;
}

static size_t put_ip4(uint8_t *to, const struct mg_steer_probe *probe, size_t l4_bytes)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = sizeof(ip) / 4,
		.tot_len = htons((uint16_t)(sizeof(ip) + l4_bytes)),
		.frag_off = htons(IP_DF),
		.ttl = HOPS,
		.protocol = IPPROTO_TCP,
	};

	memcpy(&ip.saddr, probe->client.ip.s6_addr + 12, 4);
	memcpy(&ip.daddr, probe->server.ip.s6_addr + 12, 4);
	memcpy(to, &ip, sizeof(ip));
	return sizeof(ip);
}

static size_t put_ip6(uint8_t *to, const struct mg_steer_probe *probe, size_t l4_bytes)
{
	struct ip6_hdr ip = {
		.ip6_flow = htonl(6U << 28),
		.ip6_plen = htons((uint16_t)l4_bytes),
		.ip6_nxt = IPPROTO_TCP,
		.ip6_hlim = HOPS,
		.ip6_src = probe->client.ip,
		.ip6_dst = probe->server.ip,
	};

	memcpy(to, &ip, sizeof(ip));
	return sizeof(ip);
}

/* No sum is filled in: nothing looks at them. */
static size_t build(uint8_t frame[FRAME_BYTES], const struct mg_steer_probe *probe)
{
	bool v4 = mg_ip_is_v4(&probe->client.ip);
	struct ether_header eth = { .ether_type = htons(v4 ? ETHERTYPE_IP : ETHERTYPE_IPV6) };
	size_t ip_at = sizeof(eth);
	size_t tcp_at = ip_at + (v4 ? sizeof(struct iphdr) : sizeof(struct ip6_hdr));
	size_t l4_bytes;

	memset(frame, 0, FRAME_BYTES);
	memcpy(frame, &eth, sizeof(eth));
	l4_bytes = put_tcp(frame + tcp_at, probe);
	if (v4)
		put_ip4(frame + ip_at, probe, l4_bytes);
	else
		put_ip6(frame + ip_at, probe, l4_bytes);
	return tcp_at + l4_bytes;
}

static const struct mg_steer_port *port_of(const struct mg_steer *s, const char *interface)
{
	for (size_t i = 0; i < s->n_ports; i++) {
		const struct mg_steer_port *p = &s->ports[i];

		if (interface ? !strcmp(p->name, interface) : p->side == MG_SIDE_ACCESS)
			return p;
	}
	return NULL;
}

int mg_steer_locate(const struct mg_steer *s, const struct mg_steer_probe *probe,
		    struct mg_decision *out)
{
	const struct mg_steer_port *port = port_of(s, probe->interface);
	uint8_t frame[FRAME_BYTES], answer[FRAME_BYTES];
	struct xdp_md md = { 0 };
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_out = answer,
			    .data_size_out = sizeof(answer), .ctx_in = &md,
			    .ctx_size_in = sizeof(md), .repeat = 1);

	if (!port)
		return -ENODEV;
	if (mg_ip_is_v4(&probe->client.ip) != mg_ip_is_v4(&probe->server.ip))
		return -EAFNOSUPPORT;
	opts.data_size_in = (uint32_t)build(frame, probe);
	md.data_end = opts.data_size_in;
	md.ingress_ifindex = port->ifindex;
	if (bpf_prog_test_run_opts(bpf_program__fd(s->bpf[port->side]->progs.mg_locate), &opts))
		return -errno;
	if (opts.retval != XDP_PASS || opts.data_size_out < sizeof(*out))
		return -EIO;
	memcpy(out, answer, sizeof(*out));
	return 0;
}
