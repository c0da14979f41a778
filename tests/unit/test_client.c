// SPDX-License-Identifier: BSD-2-Clause
/*
 * libmpgate: messages, errno mapping, settings, cache; connections to a converter of a few lines in
 * a network namespace of its own (skipped without the right to make one).
 */
#include "mg_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/lib/cache.h"
#include "client/lib/hex.h"
#include "hex.h"
#include "mpgate/mpgate.h"
#include "sys/sock.h"

/* ---- messages ------------------------------------------------------------------------------ */

static void message_to_bytes_and_back(void **state)
{
	static const uint8_t opts[] = { 30, 2 }, cookie[] = { 1, 2, 3, 4 };
	struct mpgate_message msg = {
		.info = true,
		.connect = true,
		.tcp_options = opts,
		.tcp_options_len = sizeof(opts),
		.cookie_present = true,
		.cookie = cookie,
		.cookie_len = sizeof(cookie),
	};
	struct mpgate_message back;
	uint8_t buf[MPGATE_MESSAGE_MAX_BYTES];
	int len, error;

	(void)state;
	inet_pton(AF_INET6, "::ffff:192.0.2.1", &msg.peer.sin6_addr);
	msg.peer.sin6_port = htons(443);
	len = mpgate_message_build(&msg, buf, sizeof(buf));
	assert_int_equal(len, 4 + 4 + 8 + 24);
	assert_int_equal(mpgate_message_build(&msg, buf, (size_t)len - 1), -EMSGSIZE);
	assert_int_equal(
		mpgate_message_parse(&back, &error, MPGATE_FROM_CLIENT, buf, (size_t)len - 1),
		-EAGAIN);
	assert_int_equal(mpgate_message_parse(&back, &error, MPGATE_FROM_CLIENT, buf, (size_t)len),
			 len);
	assert_int_equal(error, -1);
	assert_true(back.info && back.connect && back.cookie_present && !back.error_present);
	assert_int_equal(back.peer.sin6_family, AF_INET6);
	assert_int_equal(back.peer.sin6_port, htons(443));
	assert_memory_equal(&back.peer.sin6_addr, &msg.peer.sin6_addr, 16);
	assert_int_equal(back.tcp_options_len, 4);
	assert_memory_equal(back.tcp_options, "\x1e\x02\x00\x00", 4);
	assert_memory_equal(back.cookie, cookie, 4);
	/* the other way these TLVs do not travel */
	mpgate_message_parse(&back, &error, MPGATE_FROM_CONVERTER, buf, (size_t)len);
	assert_int_equal(error, 2);
}

static void answer_to_bytes_and_back(void **state)
{
	static const uint8_t value = 30, synack[] = { 2, 4, 5, 0xb4 }, kinds[] = { 4, 8, 30, 0 };
	struct mpgate_message none = { 0 }, back,
			      failed = {
				      .error_present = true,
				      .error_code = 64,
				      .error_value = &value,
				      .error_value_len = 1,
			      };
	struct mpgate_message done = {
		.ext_tcp_header_present = true,
		.ext_tcp_header = synack,
		.ext_tcp_header_len = 4,
		.supported_present = true,
		.supported = kinds,
		.supported_len = 4,
	};
	uint8_t buf[64];
	int len, error;

	(void)state;
	assert_int_equal(mpgate_message_build(&none, buf, sizeof(buf)), -EINVAL);
	len = mpgate_message_build(&failed, buf, sizeof(buf));
	assert_int_equal(len, 8);
	assert_memory_equal(buf, "\x01\x02\x22\x63\x1e\x01\x40\x1e", 8);
	len = mpgate_message_build(&done, buf, sizeof(buf));
	assert_int_equal(
		mpgate_message_parse(&back, &error, MPGATE_FROM_CONVERTER, buf, (size_t)len), len);
	assert_true(back.ext_tcp_header_present && back.supported_present);
	assert_memory_equal(back.ext_tcp_header, synack, 4);
	assert_memory_equal(back.supported, kinds, 4);
}

static void errors_become_errno(void **state)
{
	static const struct {
		unsigned int code;
		int value, family, err; /* value -1: none */
	} cases[] = {
		{ 0, 1, AF_INET, EPROTO },	   { 1, -1, AF_INET, EPROTO },
		{ 2, -1, AF_INET, EPROTO },	   { 3, 0, AF_INET, EACCES },
		{ 32, 0, AF_INET, EACCES },	   { 33, 34, AF_INET, ENOPROTOOPT },
		{ 64, 30, AF_INET, ENOBUFS },	   { 65, 30, AF_INET, ETIMEDOUT },
		{ 96, 0, AF_INET, ECONNREFUSED },  { 97, -1, AF_INET, EHOSTUNREACH },
		{ 97, 0, AF_INET, ENETUNREACH },   { 97, 1, AF_INET, EHOSTUNREACH },
		{ 97, 2, AF_INET, ENOPROTOOPT },   { 97, 3, AF_INET, ECONNREFUSED },
		{ 97, 13, AF_INET, EHOSTUNREACH }, { 97, 0, AF_INET6, ENETUNREACH },
		{ 97, 1, AF_INET6, EACCES },	   { 97, 3, AF_INET6, EHOSTUNREACH },
		{ 97, 4, AF_INET6, ECONNREFUSED }, { 200, 0, AF_INET, EPROTO },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t value = (uint8_t)cases[i].value;
		int err = mpgate_error_errno(cases[i].code, &value, cases[i].value >= 0,
					     cases[i].family);

		if (err != cases[i].err)
			fail_msg("error %u/%d: errno %d instead of %d", cases[i].code,
				 cases[i].value, err, cases[i].err);
	}
	assert_string_equal(mpgate_error_text(3), "Missing Cookie");
	assert_string_equal(mpgate_error_text(255), "Unknown Error");
}

/* ---- settings and cache -------------------------------------------------------------------- */

static int from_env(struct mpgate_options *o, const char *name, const char *value)
{
	int err;

	mpgate_options_init(o);
	setenv("MPGATE_CONVERTER", "192.0.2.1:5124", 1);
	setenv(name, value, 1);
	err = mpgate_options_from_env(o);
	unsetenv(name);
	unsetenv("MPGATE_CONVERTER");
	return err;
}

static void settings_from_the_environment(void **state)
{
	struct mpgate_options o;

	(void)state;
	mpgate_options_init(&o);
	assert_int_equal(mpgate_options_from_env(&o), -ENOENT);
	assert_int_equal(from_env(&o, "MPGATE_COOKIE", "00ff1A"), 0);
	assert_int_equal(o.converter.ss_family, AF_INET);
	assert_int_equal(o.cookie_len, 3);
	assert_memory_equal(o.cookie, "\x00\xff\x1a", 3);
	assert_int_equal(o.timeout_ms, 30000);
	assert_int_equal(from_env(&o, "MPGATE_CONVERTER", "[2001:db8::1]:1"), 0);
	assert_int_equal(o.converter.ss_family, AF_INET6);
	assert_int_equal(from_env(&o, "MPGATE_FALLBACK", "1"), 0);
	assert_int_equal(o.flags, MPGATE_FALLBACK);
	assert_int_equal(from_env(&o, "MPGATE_NO_0RTT", "0"), 0);
	assert_int_equal(o.flags, 0);
	assert_int_equal(from_env(&o, "MPGATE_TIMEOUT_MS", "250"), 0);
	assert_int_equal(o.timeout_ms, 250);
	assert_int_equal(from_env(&o, "MPGATE_CONVERTER", "192.0.2.1"), -EINVAL);
	assert_int_equal(from_env(&o, "MPGATE_COOKIE", "0"), -EINVAL);
	assert_int_equal(from_env(&o, "MPGATE_COOKIE", "0g"), -EINVAL);
	assert_int_equal(from_env(&o, "MPGATE_FALLBACK", "yes"), -EINVAL);
	assert_int_equal(from_env(&o, "MPGATE_TIMEOUT_MS", "0"), -EINVAL);
	assert_int_equal(from_env(&o, "MPGATE_TIMEOUT_MS", "5s"), -EINVAL);
}

static void cache_keeps_what_it_is_told(void **state)
{
	char dir[] = "/tmp/mpgate-test-cache-XXXXXX", path[64];
	struct mg_ep a = ep_of("192.0.2.1:5124"), b = ep_of("[2001:db8::1]:5124");
	struct mg_cache_entry in = { .cookie = { 1, 2, 3 },
				     .cookie_len = 3,
				     .aside_since_ms = 10,
				     .aside_until_ms = 20,
				     .aside_err = EPROTO },
			      out;
	struct stat st;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/cache", dir);
	mg_cache_get(path, &a, &out);
	assert_int_equal(out.cookie_len, 0);
	mg_cache_set(path, &a, &in);
	in.cookie[0] = 9;
	in.aside_until_ms = 0;
	mg_cache_set(path, &b, &in);
	mg_cache_get(path, &a, &out);
	assert_memory_equal(out.cookie, "\x01\x02\x03", 3);
	assert_int_equal(out.aside_until_ms, 20);
	mg_cache_get(path, &b, &out);
	assert_memory_equal(out.cookie, "\x09\x02\x03", 3);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	/* lines that make no sense are no harm, and what the file says counts */
	f = fopen(path, "w");
	fputs("nonsense\n1 2 3\n", f);
	fclose(f);
	mg_cache_get(path, &a, &out);
	assert_int_equal(out.cookie_len, 3); /* from memory */
	/* a file that is not ours, or no file, is not read */
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	mg_cache_get(path, &a, &out);
	assert_int_equal(out.cookie_len, 3);
	unlink(path);
	rmdir(dir);
	mg_cache_set(path, &a, &in);
	mg_cache_get(path, &a, &out);
	assert_memory_equal(out.cookie, "\x09\x02\x03", 3);
}

/* ---- a converter --------------------------------------------------------------------------- */

struct converter {
	int listener;
	const char *answer; /* hex; then it echoes */
	uint8_t received[2048];
	size_t n_received;
	size_t expect; /* bytes to wait for before it answers */
	pthread_t thread;
};

static void *converter_main(void *arg)
{
	struct converter *c = arg;
	int fd = accept(c->listener, NULL, NULL);
	size_t len;
	uint8_t *answer = hex_bytes(c->answer, &len);
	ssize_t n = 1;

	while (c->n_received < c->expect && n > 0) {
		n = recv(fd, c->received + c->n_received, sizeof(c->received) - c->n_received, 0);
		c->n_received += n > 0 ? (size_t)n : 0;
	}
	/* What MPTCP is given before the third ACK stays there until the client speaks again. */
	(void)wait_until(!mg_sock_in_handshake(fd));
	if (len > 0)
		send(fd, answer, len, MSG_NOSIGNAL);
	free(answer);
	for (char byte; recv(fd, &byte, 1, 0) == 1;)
		send(fd, &byte, 1, MSG_NOSIGNAL);
	close(fd);
	return NULL;
}

static void start_converter(struct converter *c, struct mpgate_options *o, const char *answer,
			    size_t expect)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(in);
	int queue = 16;

	memset(c, 0, sizeof(*c));
	c->answer = answer;
	c->expect = expect;
	c->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	if (c->listener < 0)
		c->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(c->listener, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue));
	assert_int_equal(bind(c->listener, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(c->listener, 16), 0);
	getsockname(c->listener, (struct sockaddr *)&in, &len);
	mpgate_options_init(o);
	memcpy(&o->converter, &in, sizeof(in));
	o->cache_path = "";
	o->timeout_ms = 5000;
	assert_int_equal(pthread_create(&c->thread, NULL, converter_main, c), 0);
}

static void stop_converter(struct converter *c)
{
	pthread_join(c->thread, NULL);
	close(c->listener);
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err = -errno;
	if (fd >= 0)
		close(fd);
	return err;
}

/* SYN data without cookie on loopback needs sysctls, and those a namespace. */
static bool own_network(void)
{
	static int made = -1;
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	if (made >= 0)
		return made;
	made = 0;
	if (unshare(CLONE_NEWNET) < 0)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	made = ioctl(fd, SIOCSIFFLAGS, &lo) == 0 &&
	       write_text("/proc/sys/net/ipv4/tcp_fastopen", "1539") == 0;
	close(fd);
	return made;
}

static const struct sockaddr *server(void)
{
	static struct sockaddr_in in = { .sin_family = AF_INET };

	in.sin_port = htons(80);
	inet_pton(AF_INET, "192.0.2.1", &in.sin_addr);
	return (struct sockaddr *)&in;
}

#define CONNECT_HEX "010622630a050050 00000000000000000000ffffc0000201"
#define ANSWER_HEX  "0103226314020000020405b4"

static void connects_with_data_in_the_syn(void **state)
{
	struct mpgate_result result = { .size = sizeof(result) };
	struct mpgate_options o;
	struct converter c;
	char buf[8];
	size_t len;
	uint8_t *expected = hex_bytes(CONNECT_HEX "68656c6c6f", &len);
	int fd;

	(void)state;
	if (!own_network())
		skip();
	start_converter(&c, &o, ANSWER_HEX, len);
	fd = mpgate_connect(&o, server(), "hello", 5, &result);
	assert_true(fd >= 0);
	assert_int_equal(result.via, MPGATE_VIA_CONVERTER);
	assert_int_equal(result.error_code, -1);
	assert_true(result.zero_rtt);
	assert_int_equal(result.attempts, 1);
	assert_null(result.why);
	assert_int_equal(result.synack_options_len, 4);
	assert_memory_equal(result.synack_options, "\x02\x04\x05\xb4", 4);
	/* the socket is blocking, and the answer is not in front of the data */
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(send(fd, "abc", 3, 0), 3);
	assert_int_equal(recv(fd, buf, 3, MSG_WAITALL), 3);
	assert_memory_equal(buf, "abc", 3);
	close(fd);
	stop_converter(&c);
	assert_int_equal(c.n_received, len);
	assert_memory_equal(c.received, expected, len);
	free(expected);
}

static int drive(struct mpgate_conn *conn)
{
	int err;

	while ((err = mpgate_step(conn)) == -EAGAIN) {
		struct pollfd p = { .fd = mpgate_fd(conn), .events = mpgate_events(conn) };
		int ms = mpgate_timeout_ms(conn);

		assert_true(p.fd >= 0 && p.events && ms >= 0 && ms <= 5000);
		poll(&p, 1, ms);
	}
	return err;
}

static void connects_without_blocking(void **state)
{
	struct mpgate_result result = { .size = sizeof(result) };
	struct mpgate_options o;
	struct mpgate_conn *conn;
	struct converter c;
	int fd;

	(void)state;
	if (!own_network())
		skip();
	start_converter(&c, &o, ANSWER_HEX, 24);
	o.flags = MPGATE_NO_0RTT | MPGATE_NO_MPTCP;
	assert_int_equal(mpgate_start(&conn, &o, server(), NULL, 0), 0);
	assert_int_equal(drive(conn), 0);
	assert_int_equal(mpgate_step(conn), 0); /* and stays so */
	fd = mpgate_finish(conn, &result);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_false(result.mptcp || result.zero_rtt);
	close(fd);
	stop_converter(&c);
}

static void error_tlv_ends_it(void **state)
{
	struct mpgate_result result = { .size = sizeof(result) };
	struct mpgate_options o;
	struct converter c;

	(void)state;
	if (!own_network())
		skip();
	start_converter(&c, &o, "010222631e016000", 24);
	assert_int_equal(mpgate_connect(&o, server(), NULL, 0, &result), -ECONNREFUSED);
	assert_int_equal(result.error_code, 96);
	assert_string_equal(result.why, "Connection Reset");
	assert_int_equal(result.via, MPGATE_VIA_NONE);
	stop_converter(&c);
}

static void can_be_cancelled(void **state)
{
	struct mpgate_options o;
	struct mpgate_conn *conn;
	struct converter c;

	(void)state;
	if (!own_network())
		skip();
	start_converter(&c, &o, "", 24);
	assert_int_equal(mpgate_start(&conn, &o, server(), NULL, 0), 0);
	assert_int_equal(mpgate_finish(conn, NULL), -ECANCELED);
	stop_converter(&c);
}

static int refuse(int fd, void *arg)
{
	assert_true(fd >= 0);
	*(int *)arg += 1;
	return -EPERM;
}

static void setup_can_refuse(void **state)
{
	struct mpgate_options o;
	int calls = 0;

	(void)state;
	mpgate_options_init(&o);
	((struct sockaddr_in *)&o.converter)->sin_family = AF_INET;
	o.cache_path = "";
	o.setup = refuse;
	o.setup_arg = &calls;
	assert_int_equal(mpgate_connect(&o, server(), NULL, 0, NULL), -EPERM);
	assert_int_equal(calls, 1);
}

static void refuses_bad_arguments(void **state)
{
	static uint8_t data[MPGATE_DATA_MAX_BYTES + 1];
	struct sockaddr other = { .sa_family = AF_UNIX };
	struct mpgate_options o;
	struct mpgate_conn *conn;

	(void)state;
	mpgate_options_init(&o);
	assert_int_equal(mpgate_start(&conn, &o, server(), NULL, 0), -EAFNOSUPPORT);
	((struct sockaddr_in *)&o.converter)->sin_family = AF_INET;
	assert_int_equal(mpgate_start(&conn, &o, &other, NULL, 0), -EAFNOSUPPORT);
	assert_int_equal(mpgate_start(&conn, &o, server(), data, sizeof(data)), -EMSGSIZE);
	o.cookie_len = sizeof(o.cookie) + 1;
	assert_int_equal(mpgate_start(&conn, &o, server(), NULL, 0), -EINVAL);
	mpgate_options_init(&o);
	o.size--;
	assert_int_equal(mpgate_start(&conn, &o, server(), NULL, 0), -EINVAL);
	assert_null(conn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_to_bytes_and_back),
		cmocka_unit_test(answer_to_bytes_and_back),
		cmocka_unit_test(errors_become_errno),
		cmocka_unit_test(settings_from_the_environment),
		cmocka_unit_test(cache_keeps_what_it_is_told),
		cmocka_unit_test(setup_can_refuse),
		cmocka_unit_test(refuses_bad_arguments),
		cmocka_unit_test(connects_with_data_in_the_syn),
		cmocka_unit_test(connects_without_blocking),
		cmocka_unit_test(error_tlv_ends_it),
		cmocka_unit_test(can_be_cancelled),
	};

	return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
