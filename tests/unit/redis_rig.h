/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A real Redis of the test's own, which dies with it, and a connection to look into it.
 */
#ifndef MG_TESTS_REDIS_RIG_H
#define MG_TESTS_REDIS_RIG_H

#include "mg_test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

struct redis_rig {
	char dir[64];
	char url[128]; /* its socket */
	pid_t pid;
	redisContext *c;
};

static inline void redis_run(struct redis_rig *r, const char *const options[])
{
	const char *argv[24] = { "tests/tools/redis.sh", r->dir };
	char path[96];
	size_t n = 2;

	for (size_t i = 0; options && options[i] && n < 23; i++)
		argv[n++] = options[i];
	r->pid = fork();
	if (r->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* with a test that failed */
		execv(argv[0], (char **)argv);
		_exit(127);
	}
	snprintf(path, sizeof(path), "%s/redis.sock", r->dir);
	snprintf(r->url, sizeof(r->url), "redis+unix://%s", path);
	assert_true(wait_until({
		r->c = redisConnectUnix(path);
		bool yes = r->c && !r->c->err;
		if (!yes && r->c)
			redisFree(r->c);
		yes;
	}));
}

static inline void redis_up(struct redis_rig *r, const char *const options[])
{
	*r = (struct redis_rig){ .dir = "/tmp/mpgate-store-XXXXXX" };
	assert_non_null(mkdtemp(r->dir));
	redis_run(r, options);
}

static inline void redis_kill(struct redis_rig *r)
{
	kill(r->pid, SIGKILL);
	kill(r->pid, SIGCONT);
	assert_int_equal(waitpid(r->pid, NULL, 0), r->pid);
	redisFree(r->c);
	r->c = NULL;
}

static inline void redis_down(struct redis_rig *r)
{
	char path[96];

	redis_kill(r);
	snprintf(path, sizeof(path), "%s/redis.sock", r->dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/redis-server", r->dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/redis.log", r->dir);
	unlink(path);
	rmdir(r->dir);
}

/* The answer as a number: an integer, or how many elements it has; -1 for anything else. */
static inline long redis_ask(struct redis_rig *r, const char *format, ...)
{
	redisReply *reply;
	long n = -1;
	va_list ap;

	va_start(ap, format);
	reply = redisvCommand(r->c, format, ap);
	va_end(ap);
	assert_non_null(reply);
	if (reply->type == REDIS_REPLY_ERROR)
		print_message("redis: %s\n", reply->str);
	if (reply->type == REDIS_REPLY_INTEGER)
		n = (long)reply->integer;
	else if (reply->type == REDIS_REPLY_ARRAY)
		n = (long)reply->elements;
	else if (reply->type == REDIS_REPLY_STATUS)
		n = 0;
	freeReplyObject(reply);
	return n;
}

/* The number behind "name" and `between` in the text that INFO gives. */
static inline long redis_info(struct redis_rig *r, const char *section, const char *name)
{
	redisReply *reply = redisCommand(r->c, "INFO %s", section);
	const char *at;
	long n = -1;

	assert_non_null(reply);
	at = strstr(reply->str, name);
	if (at)
		n = strtol(at + strlen(name), NULL, 10);
	freeReplyObject(reply);
	return n;
}

#endif
