// SPDX-License-Identifier: BSD-2-Clause
/* Who writes to the store, or is the store, means ill: it is counted, refused, and bounded. */
#include "store_rig.h"

#include <sys/un.h>

/* ---- hostile content ------------------------------------------------------------------------- */

static void test_nonsense_on_the_channel(void **state)
{
	static struct redis_rig r;
	static struct host gw;
	static char huge[200000];
	uint64_t ignored;

	(void)state;
	redis_up(&r, NULL);
	gateway_up(&gw, r.url);
	assert_true(wait_until(host_reaches(&gw)));
	ignored = host_status(&gw).ignored;
	memset(huge, 'x', sizeof(huge));
	redis_ask(&r, "PUBLISH mpgate:events %s", "");
	redis_ask(&r, "PUBLISH mpgate:events %s", "hello");
	redis_ask(&r, "PUBLISH mpgate:events %s", "own px1 +0123ABCD");
	redis_ask(&r, "PUBLISH mpgate:events %s", "own px1 +0123abcd ");
	redis_ask(&r, "PUBLISH mpgate:events %b", "leave p\0x", (size_t)9);
	redis_ask(&r, "PUBLISH mpgate:events %b", huge, sizeof(huge));
	assert_true(wait_until(host_status(&gw).ignored == ignored + 6));
	/* It goes on hearing. */
	redis_ask(&r, "PUBLISH mpgate:events %s", "own px1 +9e3779b1");
	assert_true(wait_until(host_knows(&gw, "px1", 1, 1)));
	assert_int_equal(host_status(&gw).reconnects, 0);
	host_down(&gw);
	redis_down(&r);
}

static void test_nonsense_in_the_keys(void **state)
{
	static struct redis_rig r;
	static struct host px, gw;
	static char name[100];

	(void)state;
	redis_up(&r, NULL);
	memset(name, 'n', sizeof(name) - 1);
	redis_ask(&r, "SADD mpgate:members %s %b two\\ words a b c", name, "\0\1", (size_t)2);
	redis_ask(&r, "SADD mpgate:drain %s %b", name, "\n\n", (size_t)2);
	redis_ask(&r, "HSET mpgate:member:a sessions -1 told 0123456789abcdef");
	redis_ask(&r, "HSET mpgate:member:b sessions 99999999999999999999999 told x");
	redis_ask(&r, "HSET mpgate:member:c sessions 5 told 0123456789abcdef");
	redis_ask(&r, "SADD mpgate:tokens:c 9e3779b1 9E3779B1 x %s 9e3779b", name);
	redis_ask(&r, "SET mpgate:epoch nonsense");
	gateway_up(&gw, r.url);
	proxy_up(&px, r.url, "px1");
	host_own(&px, 1, 5, true);
	assert_true(wait_until(host_knows(&gw, "px1", 1, 5)));
	assert_true(wait_until(host_knows(&gw, "c", 1, 1)));
	assert_true(host_told(&gw, "c").alive);
	assert_false(host_told(&gw, "a").alive);
	assert_false(host_told(&gw, "b").alive);
	assert_int_equal(host_status(&gw).reconnects, 0);
	assert_true(host_status(&gw).ignored >= 8);
	host_down(&px);
	host_down(&gw);
	redis_down(&r);
}

/* More members and flags than can be: the first are taken, memory stays, the rest is counted. */
static void test_too_many_names(void **state)
{
	static struct redis_rig r;
	static struct host gw;

	(void)state;
	redis_up(&r, NULL);
	for (int i = 0; i < 20; i++)
		redis_ask(&r, "EVAL %s 0 %d",
			  "for i=1,1000 do local n='x'..ARGV[1]..'_'..i; "
			  "redis.call('SADD','mpgate:members',n); "
			  "redis.call('SADD','mpgate:drain',n); "
			  "redis.call('HSET','mpgate:member:'..n,'sessions',1) end",
			  i);
	gateway_up(&gw, r.url);
	assert_true(wait_until(host_status(&gw).ignored >= 2 * (20000 - 1024)));
	assert_true(host_reaches(&gw));
	assert_int_equal(host_status(&gw).reconnects, 0);
	/* All that it took it tells a store that was emptied. */
	redis_ask(&r, "FLUSHALL");
	assert_true(wait_until(redis_ask(&r, "SCARD mpgate:drain") == 1024));
	assert_true(host_reaches(&gw));
	assert_int_equal(host_status(&gw).reconnects, 0);
	host_down(&gw);
	redis_down(&r);
}

/* Somebody else's data under our names: an error, not an end. */
static void test_keys_of_another_type(void **state)
{
	static struct redis_rig r;
	static struct host px, gw;
	struct log_rig log;

	(void)state;
	redis_up(&r, NULL);
	redis_ask(&r, "SET mpgate:members x");
	log_catch(&log);
	gateway_up(&gw, r.url);
	proxy_up(&px, r.url, "px1");
	host_own(&px, 1, 5, true);
	assert_true(wait_until(log_lines(&log, "WRONGTYPE") == 2));
	redis_ask(&r, "DEL mpgate:members");
	assert_true(wait_until(host_knows(&gw, "px1", 1, 5)));
	log_release(&log);
	host_down(&px);
	host_down(&gw);
	redis_down(&r);
}

/* ---- a hostile store ------------------------------------------------------------------------- */

#define GREETING "+PONG\r\n"

struct fake {
	char dir[64], path[96], url[128];
	int fd;
	pthread_t thread;
	const char *start; /* said at once, then `more` for as long as it is taken */
	const char *more;
	_Atomic int clients, dropped;
	_Atomic bool stop;
};

static void serve(struct fake *f, int fd)
{
	struct timeval tv = { .tv_usec = 200000 };
	size_t len = strlen(f->more);
	bool open = true;

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	send(fd, f->start, strlen(f->start), MSG_NOSIGNAL);
	while (open && !f->stop) {
		if (len && send(fd, f->more, len, MSG_NOSIGNAL) < 0)
			open = errno == EAGAIN;
		if (!len) {
			char c[4096];

			setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
			ssize_t n = recv(fd, c, sizeof(c), 0);

			open = n > 0 || (n < 0 && errno == EAGAIN);
		}
	}
	f->dropped += !open;
	close(fd);
}

static void *accept_loop(void *arg)
{
	struct fake *f = arg;

	while (!f->stop) {
		int fd = accept(f->fd, NULL, NULL);

		if (fd < 0)
			continue;
		f->clients++;
		serve(f, fd);
	}
	return NULL;
}

static void fake_up(struct fake *f, const char *start, const char *more)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct timeval tv = { .tv_usec = 100000 };

	*f = (struct fake){ .dir = "/tmp/mpgate-store-XXXXXX", .start = start, .more = more };
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/sock", f->dir);
	snprintf(f->url, sizeof(f->url), "redis+unix://%s", f->path);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", f->path);
	f->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	setsockopt(f->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	assert_int_equal(bind(f->fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(f->fd, 8), 0);
	assert_int_equal(pthread_create(&f->thread, NULL, accept_loop, f), 0);
}

static void fake_down(struct fake *f)
{
	f->stop = true;
	pthread_join(f->thread, NULL);
	close(f->fd);
	unlink(f->path);
	rmdir(f->dir);
}

/* It is dropped, tried again, and dropped again; the host lives. */
static void assert_dropped(const char *start, const char *more, const char *why)
{
	static struct fake f;
	static struct host px;
	struct log_rig log;
	bool said;

	log_catch(&log);
	fake_up(&f, start, more);
	proxy_up(&px, f.url, "px1");
	host_own(&px, 0, 10, true);
	said = wait_until(f.dropped >= 2) && log_lines(&log, why) >= 1;
	log_release(&log);
	if (!said)
		fail_msg("not dropped for: %s", why);
	host_own(&px, 0, 10, false);
	host_down(&px);
	fake_down(&f);
}

static void test_stores_that_are_none(void **state)
{
	(void)state;
	assert_dropped("HTTP/1.1 400 Bad Request\r\n\r\n", "", "does not speak as Redis does");
	assert_dropped(GREETING "+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n"
				"+OK\r\n+OK\r\n",
		       "+OK\r\n", "answers what was not asked");
	assert_dropped(GREETING "$1000000000\r\n",
		       "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "an answer without end");
	assert_dropped(GREETING "*2147483647\r\n", "*2147483647\r\n",
		       "does not speak as Redis does");
	assert_dropped(GREETING "*60000\r\n", "*60000\r\n", "does not speak as Redis does");
	assert_dropped(GREETING "*-5\r\n", "", "does not speak as Redis does");
	assert_dropped(GREETING "-ERR \x1b[31mred\r\n", "", "ERR ?[31mred");
	assert_dropped("-NOAUTH Authentication required.\r\n", "", "NOAUTH");
	assert_dropped("", "", "does not answer");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nonsense_on_the_channel),
		cmocka_unit_test(test_nonsense_in_the_keys),
		cmocka_unit_test(test_too_many_names),
		cmocka_unit_test(test_keys_of_another_type),
		cmocka_unit_test(test_stores_that_are_none),
	};

	return cmocka_run_group_tests(tests, own_network, NULL);
}
