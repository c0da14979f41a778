// SPDX-License-Identifier: BSD-2-Clause
/*
 * Small TCP packets as fast as one thread can send them, and where they end: `blast send` opens
 * flows with MP_CAPABLE SYNs to one address, a client each, and then goes through them round and
 * round; `blast sink` counts and drops, by XDP, whatever was sent like that, tunnelled or not.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

/* In the IP header of all of them, and of the tunnel, which copies it */
#define MARK	   0x28
#define MARK_AT	   15
#define FLOWS_MAX  65536
#define BATCH	   64
#define LOOK_EVERY 16	      /* batches, at the clock */
#define CLIENT_NET 0x0b000000 /* 11.0.0.0 */

struct packet {
	struct ether_header eth;
	struct iphdr ip;
	struct tcphdr tcp;
	uint8_t rest[12]; /* a SYN's options, or data */
} __attribute__((packed));

struct blast {
	int fd;
	struct packet like; /* all are */
	struct packet *packets;
	struct iovec *iovs;
	struct mmsghdr *msgs;
	uint32_t n_flows;
	uint64_t sent;
};

/* ---- sending --------------------------------------------------------------------------------- */

static uint16_t ip_sum(const struct iphdr *ip)
{
	uint16_t words[10];
	uint32_t sum = 0;

	memcpy(words, ip, sizeof(words));
	for (int i = 0; i < 10; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

/* The TCP checksum stays 0: nobody reads it on the way. */
static void shape(struct blast *b, bool syn)
{
	static const uint8_t options[12] = { 2, 4, 5, 0xb4, 30, 4, 1, 1, 1, 1, 4, 2 };

	for (uint32_t i = 0; i < b->n_flows; i++) {
		struct packet *p = &b->packets[i];
		struct iphdr ip = b->like.ip;

		ip.saddr = htonl(CLIENT_NET + i);
		ip.check = ip_sum(&ip);
		*p = b->like;
		p->ip = ip;
		p->tcp.syn = syn;
		p->tcp.ack = !syn;
		p->tcp.doff = syn ? 8 : 5;
		p->tcp.seq = htonl(syn ? 1 : 2);
		if (syn)
			memcpy(p->rest, options, sizeof(options));
		b->iovs[i] = (struct iovec){ p, sizeof(*p) };
		b->msgs[i] =
			(struct mmsghdr){ .msg_hdr = { .msg_iov = &b->iovs[i], .msg_iovlen = 1 } };
	}
}

/* What there is no room for is not sent, and not counted. */
static void send_some(struct blast *b, uint32_t at)
{
	uint32_t n = b->n_flows - at < BATCH ? b->n_flows - at : BATCH;
	int sent = sendmmsg(b->fd, b->msgs + at, n, 0);

	if (sent < 0 && errno != ENOBUFS && errno != EAGAIN)
		BENCH_DIE("sendmmsg");
	if (sent > 0)
		b->sent += (uint64_t)sent;
}

static void open_flows(struct blast *b)
{
	shape(b, true);
	for (uint32_t at = 0; at < b->n_flows; at += BATCH) {
		send_some(b, at);
		usleep(200); /* or some are lost, and their data is nobody's */
	}
	if (b->sent != b->n_flows) {
		fprintf(stderr, "blast: %llu of %u flows were opened\n",
			(unsigned long long)b->sent, b->n_flows);
		exit(1);
	}
}

static double cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void send_data(struct blast *b, double seconds)
{
	double start, now, cpu;
	uint32_t at = 0;

	shape(b, false);
	usleep(50000);
	b->sent = 0;
	cpu = cpu_s();
	start = now = bench_now_s();
	while (now - start < seconds) {
		for (int i = 0; i < LOOK_EVERY; i++) {
			send_some(b, at);
			at = at + BATCH < b->n_flows ? at + BATCH : 0;
		}
		now = bench_now_s();
	}
	printf("{\"sent\": %llu, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n",
	       (unsigned long long)b->sent, now - start, cpu_s() - cpu);
}

static void *array(size_t n, size_t bytes)
{
	void *got = calloc(n, bytes);

	if (!got)
		BENCH_DIE("calloc");
	return got;
}

static void open_socket(struct blast *b, const char *interface)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET,
				  .sll_ifindex = (int)if_nametoindex(interface) };
	int on = 1;

	b->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (b->fd < 0 || !ll.sll_ifindex || bind(b->fd, (struct sockaddr *)&ll, sizeof(ll)) ||
	    setsockopt(b->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)))
		BENCH_DIE("%s", interface);
}

/* INTERFACE MAC ADDR:PORT FLOWS SECONDS */
static int send_main(char **argv)
{
	static struct blast b;
	struct mg_ep to = bench_ep(argv[2]);

	if (!ether_aton_r(argv[1], (struct ether_addr *)b.like.eth.ether_dhost)) {
		errno = EINVAL;
		BENCH_DIE("%s", argv[1]);
	}
	b.like.eth.ether_shost[0] = 2;
	b.like.eth.ether_type = htons(ETHERTYPE_IP);
	b.like.ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tos = MARK,
		.tot_len = htons(sizeof(struct packet) - sizeof(struct ether_header)),
		.ttl = 64,
		.protocol = IPPROTO_TCP,
	};
	memcpy(&b.like.ip.daddr, to.ip.s6_addr + 12, 4);
	b.like.tcp.source = htons(40000);
	b.like.tcp.dest = to.port;
	b.n_flows = (uint32_t)bench_number(argv[3], FLOWS_MAX);
	b.packets = array(b.n_flows, sizeof(*b.packets));
	b.iovs = array(b.n_flows, sizeof(*b.iovs));
	b.msgs = array(b.n_flows, sizeof(*b.msgs));
	open_socket(&b, argv[0]);
	open_flows(&b);
	send_data(&b, (double)bench_number(argv[4], 3600));
	return 0;
}

/* ---- where they end -------------------------------------------------------------------------- */

/* Drops, and counts in the map's one entry, what has the mark; all else passes. */
static int load_sink(int map)
{
	const struct bpf_insn insns[] = {
#define INSN(...) { __VA_ARGS__ }
		INSN(.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1, .off = 0),
		INSN(.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 3, .src_reg = 1, .off = 4),
		INSN(.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 4, .src_reg = 2),
		INSN(.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 4, .imm = MARK_AT + 1),
		INSN(.code = BPF_JMP | BPF_JGT | BPF_X, .dst_reg = 4, .src_reg = 3, .off = 8),
		INSN(.code = BPF_LDX | BPF_MEM | BPF_B, .dst_reg = 2, .src_reg = 2, .off = MARK_AT),
		INSN(.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 2, .imm = MARK, .off = 6),
		INSN(.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1,
		     .src_reg = BPF_PSEUDO_MAP_VALUE, .imm = map),
		INSN(.imm = 0),
		INSN(.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 1),
		INSN(.code = BPF_STX | BPF_ATOMIC | BPF_DW, .dst_reg = 1, .src_reg = 2,
		     .imm = BPF_ADD),
		INSN(.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_DROP),
		INSN(.code = BPF_JMP | BPF_EXIT),
		INSN(.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS),
		INSN(.code = BPF_JMP | BPF_EXIT),
#undef INSN
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "sink", "GPL", insns, sizeof(insns) / 8, NULL);
}

/* Answers every line of the input with how many have ended here so far. */
static int sink_main(const char *interface)
{
	int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "sink", 4, 8, 1, NULL), prog = -1;
	uint32_t zero = 0;
	uint64_t count;

	if (map >= 0)
		prog = load_sink(map);
	errno = prog < 0 ? errno : -bpf_xdp_attach((int)if_nametoindex(interface), prog, 0, NULL);
	if (errno)
		BENCH_DIE("%s", interface);
	puts("listening");
	fflush(stdout);
	for (int c; (c = getchar()) != EOF;) {
		if (c != '\n')
			continue;
		if (bpf_map_lookup_elem(map, &zero, &count))
			BENCH_DIE("sink");
		printf("%llu\n", (unsigned long long)count);
		fflush(stdout);
	}
	return 0;
}

int main(int argc, char **argv)
{
	libbpf_set_print(NULL);
	if (argc == 7 && !strcmp(argv[1], "send"))
		return send_main(argv + 2);
	if (argc == 3 && !strcmp(argv[1], "sink"))
		return sink_main(argv[2]);
	fprintf(stderr, "usage: blast send INTERFACE MAC ADDR:PORT FLOWS SECONDS |\n"
			"       blast sink INTERFACE\n");
	return 2;
}
