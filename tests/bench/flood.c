// SPDX-License-Identifier: BSD-2-Clause
/*
 * Opening SYNs as fast as one thread can send them, no two alike.
 *
 *   flood send [OPTION...] KIND INTERFACE MAC ADDR:PORT
 *   flood drop INTERFACE    XDP_DROP and nothing else there, until the end of stdin
 *   flood watch INTERFACE   answers every line of stdin with what the XDP program there has taken
 *
 * KIND is plain (a SYN of TCP), convert (MP_CAPABLE and a Convert message without a cookie), cookie
 * (the same with one) or join (MP_JOIN with a random token). `send` goes on until SIGTERM and
 * prints one JSON object. Only IPv4, and only what the device has taken is counted as sent.
 *
 *   --from ADDR    the one source; without it each SYN has a random one
 *   --cookie HEX   that of kind cookie; without it, zeros
 *   --count N      so many, at a pace at which veth loses none
 *   --by xdp       from an XDP program, without a socket: several times as many a second
 */
#include "bench.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/random.h>
#include <sys/resource.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define BATCH	   64
#define ROUNDS	   1024 /* of an XDP program, per call */
#define PACE_US	   100	/* after a batch, where none is to be lost */
#define REST_BYTES 128
#define COUNT_MAX  1000000000ULL

struct packet {
	struct ether_header eth;
	struct iphdr ip;
	struct tcphdr tcp;
	uint8_t rest[REST_BYTES]; /* options, message */
} __attribute__((packed));

/* Where what differs stands. Fields that nobody reads take the complement, so that the TCP checksum
 * stays as it is: of the source the number acknowledged, of the port the urgent pointer, of a
 * join's token the sequence number. */
#define AT_SOURCE offsetof(struct packet, ip.saddr)
#define AT_PORT	  offsetof(struct packet, tcp.source)
#define AT_SEQ	  offsetof(struct packet, tcp.seq)
#define AT_ACK	  offsetof(struct packet, tcp.ack_seq)
#define AT_URGENT offsetof(struct packet, tcp.urg_ptr)
#define AT_TOKEN  (offsetof(struct packet, rest) + 8)

enum kind { PLAIN, CONVERT, COOKIE, JOIN, KINDS };

static const char *const kinds[KINDS] = { "plain", "convert", "cookie", "join" };

struct flood {
	enum kind kind;
	const char *interface;
	struct packet like;
	size_t bytes;	/* of it */
	in_addr_t from; /* 0: random */
	uint8_t cookie[12];
	uint64_t count; /* 0: until SIGTERM */
	bool by_xdp;
	uint64_t sent;
	uint64_t random;
};

static volatile sig_atomic_t over;

static void on_signal(int nr)
{
	(void)nr;
	over = 1;
}

/* ---- what is sent ---------------------------------------------------------------------------- */

static uint32_t sum_words(uint32_t sum, const void *data, size_t bytes)
{
	const uint8_t *at = data;

	for (size_t i = 0; i + 1 < bytes; i += 2)
		sum += (uint32_t)at[i] << 8 | at[i + 1];
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t) ~(sum + (sum >> 16)));
}

/* A Connect for 10.4.0.2:9003, what the benchmark's clients ask for, and perhaps a cookie (RFC 8803
 * sections 6.2.5 and 6.2.7) */
static size_t put_message(uint8_t *to, const struct flood *f)
{
	static const uint8_t connect[] = { 1, 6, 0x22, 0x63, 10, 5, 0x23, 0x2b, 0,  0, 0, 0,
					   0, 0, 0,    0,    0,	 0, 0xff, 0xff, 10, 4, 0, 2 };
	static const uint8_t cookie[] = { 22, 4, 0, 0 };

	memcpy(to, connect, sizeof(connect));
	if (f->kind != COOKIE)
		return sizeof(connect);
	to[1] = 10; /* words in all */
	memcpy(to + sizeof(connect), cookie, sizeof(cookie));
	memcpy(to + sizeof(connect) + sizeof(cookie), f->cookie, sizeof(f->cookie));
	return sizeof(connect) + sizeof(cookie) + sizeof(f->cookie);
}

static void put_tcp(struct flood *f)
{
	static const uint8_t plain[] = { 2, 4, 5, 0xb4, 4, 2, 1, 1 };
	static const uint8_t capable[] = { 2, 4, 5, 0xb4, 30, 4, 1, 1 };
	static const uint8_t join[16] = { 2, 4, 5, 0xb4, 30, 12, 0x10, 1 };
	struct packet *p = &f->like;
	size_t options = sizeof(plain), message = 0;

	memcpy(p->rest, f->kind == PLAIN ? plain : capable, sizeof(plain));
	if (f->kind == JOIN) {
		memcpy(p->rest, join, sizeof(join));
		options = sizeof(join);
	} else if (f->kind != PLAIN) {
		message = put_message(p->rest + options, f);
	}
	p->tcp.syn = 1;
	p->tcp.doff = (unsigned int)((sizeof(p->tcp) + options) / 4) & 15;
	p->tcp.window = htons(64240);
	f->bytes = offsetof(struct packet, rest) + options + message;
}

static void shape(struct flood *f, const struct mg_ep *to)
{
	struct packet *p = &f->like;
	size_t tcp_bytes;
	uint32_t sum;

	put_tcp(f);
	tcp_bytes = f->bytes - offsetof(struct packet, tcp);
	p->eth.ether_shost[0] = 2;
	p->eth.ether_type = htons(ETHERTYPE_IP);
	p->ip.version = 4;
	p->ip.ihl = 5;
	p->ip.ttl = 64;
	p->ip.protocol = IPPROTO_TCP;
	p->ip.tot_len = htons((uint16_t)(sizeof(p->ip) + tcp_bytes));
	p->ip.saddr = f->from;
	memcpy(&p->ip.daddr, to->ip.s6_addr + 12, sizeof(p->ip.daddr));
	p->tcp.dest = to->port;
	p->ip.check = fold(sum_words(0, &p->ip, sizeof(p->ip)));
	sum = sum_words(IPPROTO_TCP + (uint32_t)tcp_bytes, &p->ip.saddr, 8);
	p->tcp.check = fold(sum_words(sum, &p->tcp, tcp_bytes));
}

/* ---- by a socket ----------------------------------------------------------------------------- */

static uint32_t next_random(struct flood *f) /* splitmix64 */
{
	uint64_t z = f->random += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (uint32_t)(z ^ (z >> 31));
}

static void put(struct packet *p, size_t at, uint32_t value, size_t bytes)
{
	memcpy((uint8_t *)p + at, &value, bytes);
}

/* Makes it one of its own. */
static void vary(struct flood *f, struct packet *p)
{
	uint32_t random = next_random(f) | 0x80;

	put(p, AT_PORT, random, 2);
	put(p, AT_URGENT, ~random, 2);
	if (!f->from) {
		random = next_random(f);
		put(p, AT_SOURCE, random, 4);
		put(p, AT_ACK, ~random, 4);
		p->ip.check = 0;
		p->ip.check = fold(sum_words(0, &p->ip, sizeof(p->ip)));
	}
	if (f->kind == JOIN) {
		random = next_random(f);
		put(p, AT_TOKEN, random, 4);
		put(p, AT_SEQ, ~random, 4);
	}
}

static int open_socket(const char *interface)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET,
				  .sll_ifindex = (int)if_nametoindex(interface) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0 || !ll.sll_ifindex || bind(fd, (struct sockaddr *)&ll, sizeof(ll)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)))
		BENCH_DIE("%s", interface);
	return fd;
}

static void send_by_socket(struct flood *f)
{
	static struct packet packets[BATCH];
	static struct iovec iovs[BATCH];
	static struct mmsghdr msgs[BATCH];
	int fd = open_socket(f->interface), sent;
	unsigned int n = BATCH;

	for (int i = 0; i < BATCH; i++) {
		packets[i] = f->like;
		iovs[i] = (struct iovec){ &packets[i], f->bytes };
		msgs[i].msg_hdr = (struct msghdr){ .msg_iov = &iovs[i], .msg_iovlen = 1 };
	}
	while (!over && (!f->count || f->sent < f->count)) {
		if (f->count && f->count - f->sent < n)
			n = (unsigned int)(f->count - f->sent);
		for (unsigned int i = 0; i < n; i++)
			vary(f, &packets[i]);
		sent = sendmmsg(fd, msgs, n, 0);
		if (sent < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			BENCH_DIE("sendmmsg");
		if (sent > 0)
			f->sent += (uint64_t)sent;
		if (f->count)
			usleep(PACE_US);
	}
	close(fd);
}

/* ---- by an XDP program ----------------------------------------------------------------------- */

#define INSN(...)           \
	(struct bpf_insn)   \
	{                   \
		__VA_ARGS__ \
	}
#define MOVE(to, reg) INSN(.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (to), .src_reg = (reg))
#define LOAD(to, at) \
	INSN(.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = (to), .src_reg = BPF_REG_1, .off = (at))
#define STORE(at, size)                                                                      \
	INSN(.code = BPF_STX | BPF_MEM | (size), .dst_reg = BPF_REG_7, .src_reg = BPF_REG_0, \
	     .off = (short)(at))
#define IMM(op, to, value) INSN(.code = BPF_ALU64 | (op) | BPF_K, .dst_reg = (to), .imm = (value))
#define CALL(nr)	   INSN(.code = BPF_JMP | BPF_CALL, .imm = (nr))

struct text {
	struct bpf_insn insns[64];
	size_t n;
};

static void add(struct text *t, struct bpf_insn insn)
{
	t->insns[t->n++] = insn;
}

/* A random number `at`, its complement at another place */
static void add_random(struct text *t, size_t at, size_t complement_at, int bits, int size)
{
	add(t, CALL(BPF_FUNC_get_prandom_u32));
	add(t, IMM(BPF_OR, BPF_REG_0, bits));
	add(t, STORE(at, size));
	add(t, IMM(BPF_XOR, BPF_REG_0, -1));
	add(t, STORE(complement_at, size));
}

/* Does what vary() does, but for the IP checksum, and sends it off. */
static int load_sender(const struct flood *f)
{
	int ifindex = (int)if_nametoindex(f->interface);
	struct text t = { .n = 0 };

	add(&t, LOAD(BPF_REG_7, offsetof(struct xdp_md, data)));
	add(&t, LOAD(BPF_REG_8, offsetof(struct xdp_md, data_end)));
	add(&t, MOVE(BPF_REG_2, BPF_REG_7));
	add(&t, IMM(BPF_ADD, BPF_REG_2, (int)f->bytes));
	add(&t, IMM(BPF_MOV, BPF_REG_0, XDP_ABORTED));
	add(&t, INSN(.code = BPF_JMP | BPF_JLE | BPF_X, .dst_reg = BPF_REG_2, .src_reg = BPF_REG_8,
		     .off = 1));
	add(&t, INSN(.code = BPF_JMP | BPF_EXIT));
	add_random(&t, AT_PORT, AT_URGENT, 0x80, BPF_H);
	if (!f->from)
		add_random(&t, AT_SOURCE, AT_ACK, 0, BPF_W);
	if (f->kind == JOIN)
		add_random(&t, AT_TOKEN, AT_SEQ, 0, BPF_W);
	add(&t, IMM(BPF_MOV, BPF_REG_1, ifindex));
	add(&t, IMM(BPF_MOV, BPF_REG_2, 0));
	add(&t, CALL(BPF_FUNC_redirect));
	add(&t, INSN(.code = BPF_JMP | BPF_EXIT));
	return bpf_prog_load(BPF_PROG_TYPE_XDP, "flood", "GPL", t.insns, t.n, NULL);
}

/* How many were sent is for the other end's counters to say: what its queue has no room for is lost
 * without a word. */
static void send_by_xdp(struct flood *f)
{
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &f->like,
			    .data_size_in = (__u32)f->bytes, .repeat = BATCH * ROUNDS,
			    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH);
	int prog = load_sender(f);

	if (prog < 0)
		BENCH_DIE("the program that floods");
	while (!over) {
		errno = -bpf_prog_test_run_opts(prog, &opts);
		if (errno == EINTR)
			break;
		if (errno)
			BENCH_DIE("packets by XDP");
		f->sent += BATCH * ROUNDS;
	}
	close(prog);
}

/* ---- the programs ---------------------------------------------------------------------------- */

static double cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int send_all(struct flood *f)
{
	double start, cpu;

	signal(SIGTERM, on_signal);
	if (getrandom(&f->random, sizeof(f->random), 0) != sizeof(f->random))
		BENCH_DIE("getrandom");
	printf("flooding\n");
	fflush(stdout);
	start = bench_now_s();
	cpu = cpu_s();
	if (f->by_xdp)
		send_by_xdp(f);
	else
		send_by_socket(f);
	printf("{\"sent\": %llu, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n",
	       (unsigned long long)f->sent, bench_now_s() - start, cpu_s() - cpu);
	return 0;
}

static int drop_main(const char *interface)
{
	const struct bpf_insn drop[] = { IMM(BPF_MOV, BPF_REG_0, XDP_DROP),
					 INSN(.code = BPF_JMP | BPF_EXIT) };
	int prog = bpf_prog_load(BPF_PROG_TYPE_XDP, "drop", "GPL", drop, 2, NULL);

	errno = prog < 0 ? errno : -bpf_xdp_attach((int)if_nametoindex(interface), prog, 0, NULL);
	if (errno)
		BENCH_DIE("%s", interface);
	puts("listening");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}

/* The kernel counts a program's runs and time while anybody wants it to, at some cost. */
static int watch_main(const char *interface)
{
	struct bpf_prog_info info;
	__u32 id = 0, len = sizeof(info);
	int prog, stats = bpf_enable_stats(BPF_STATS_RUN_TIME);

	if (stats < 0 || bpf_xdp_query_id((int)if_nametoindex(interface), 0, &id) || !id)
		BENCH_DIE("%s", interface);
	prog = bpf_prog_get_fd_by_id(id);
	if (prog < 0)
		BENCH_DIE("program %u", id);
	puts("listening");
	fflush(stdout);
	for (int c; (c = getchar()) != EOF;) {
		if (c != '\n')
			continue;
		memset(&info, 0, sizeof(info));
		if (bpf_obj_get_info_by_fd(prog, &info, &len))
			BENCH_DIE("program %u", id);
		printf("{\"runs\": %llu, \"ns\": %llu}\n", (unsigned long long)info.run_cnt,
		       (unsigned long long)info.run_time_ns);
		fflush(stdout);
	}
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: flood send [--from ADDR] [--cookie HEX] [--count N] [--by xdp]\n"
			"                  plain|convert|cookie|join INTERFACE MAC ADDR:PORT |\n"
			"       flood drop|watch INTERFACE\n");
	return 2;
}

static bool take_cookie(struct flood *f, const char *hex)
{
	static const char digits[] = "0123456789abcdef";

	if (strlen(hex) != 2 * sizeof(f->cookie))
		return false;
	for (size_t i = 0; i < 2 * sizeof(f->cookie); i++) {
		const char *digit = strchr(digits, hex[i]);

		if (!digit)
			return false;
		f->cookie[i / 2] = (uint8_t)(f->cookie[i / 2] << 4 | (digit - digits));
	}
	return true;
}

static bool take_option(struct flood *f, const char *name, const char *value)
{
	if (!strcmp(name, "--from"))
		return inet_pton(AF_INET, value, &f->from) == 1;
	if (!strcmp(name, "--cookie"))
		return take_cookie(f, value);
	if (!strcmp(name, "--count"))
		f->count = bench_number(value, COUNT_MAX);
	else if (!strcmp(name, "--by") && !strcmp(value, "xdp"))
		f->by_xdp = true;
	else
		return false;
	return true;
}

static int send_main(int argc, char **argv)
{
	static struct flood f;
	struct mg_ep to;

	for (; argc > 1 && argv[0][0] == '-'; argc -= 2, argv += 2)
		if (!take_option(&f, argv[0], argv[1]))
			return usage();
	for (f.kind = 0; argc == 4 && f.kind < KINDS; f.kind++)
		if (!strcmp(argv[0], kinds[f.kind]))
			break;
	if (argc != 4 || f.kind == KINDS || (f.by_xdp && f.count))
		return usage();
	f.interface = argv[1];
	to = bench_ep(argv[3]);
	if (!mg_ip_is_v4(&to.ip) ||
	    !ether_aton_r(argv[2], (struct ether_addr *)f.like.eth.ether_dhost))
		return usage();
	shape(&f, &to);
	return send_all(&f);
}

int main(int argc, char **argv)
{
	libbpf_set_print(NULL);
	if (argc > 2 && !strcmp(argv[1], "send"))
		return send_main(argc - 2, argv + 2);
	if (argc == 3 && !strcmp(argv[1], "drop"))
		return drop_main(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "watch"))
		return watch_main(argv[2]);
	return usage();
}
