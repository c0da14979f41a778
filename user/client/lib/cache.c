// SPDX-License-Identifier: BSD-2-Clause
#include "client/lib/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/lib/hex.h"

#define CACHE_LINES_MAX 64
#define MEMORY_ENTRIES	8
#define LINE_BYTES	512

struct record {
	uint64_t netns;
	struct mg_ep converter;
	struct mg_cache_entry entry;
};

static pthread_mutex_t memory_lock = PTHREAD_MUTEX_INITIALIZER;
static struct record memory[MEMORY_ENTRIES];
static size_t memory_next; /* the place that is overwritten next */

/* Cookies are bound to addresses, and another namespace has others. */
static uint64_t this_netns(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) == 0 ? (uint64_t)st.st_ino : 0;
}

static bool same_place(const struct record *a, const struct record *b)
{
	return a->netns == b->netns && mg_ep_equal(&a->converter, &b->converter);
}

/* ---- memory -------------------------------------------------------------------------------- */

static void memory_get(struct record *r)
{
	pthread_mutex_lock(&memory_lock);
	for (size_t i = 0; i < MEMORY_ENTRIES; i++)
		if (same_place(&memory[i], r))
			r->entry = memory[i].entry;
	pthread_mutex_unlock(&memory_lock);
}

static void memory_set(const struct record *r)
{
	size_t place;

	pthread_mutex_lock(&memory_lock);
	place = memory_next;
	for (size_t i = 0; i < MEMORY_ENTRIES; i++)
		if (same_place(&memory[i], r))
			place = i;
	if (place == memory_next)
		memory_next = (memory_next + 1) % MEMORY_ENTRIES;
	memory[place] = *r;
	pthread_mutex_unlock(&memory_lock);
}

/* ---- the file ------------------------------------------------------------------------------ */

static int default_path(char *out, size_t size)
{
	const char *given = secure_getenv("MPGATE_CACHE"), *dir = secure_getenv("XDG_RUNTIME_DIR");
	int n;

	if (given) {
		n = snprintf(out, size, "%s", given);
	} else if (dir && *dir) {
		n = snprintf(out, size, "%s/mpgate-client", dir);
	} else {
		dir = secure_getenv("HOME");
		if (!dir || !*dir)
			return -ENOENT;
		snprintf(out, size, "%s/.cache", dir);
		mkdir(out, 0700); /* there already, or the file will not open either */
		n = snprintf(out, size, "%s/.cache/mpgate-client", dir);
	}
	return n <= 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int resolve_path(char *out, size_t size, const char *path)
{
	if (!path)
		return default_path(out, size);
	if (!*path)
		return -ENOENT;
	return (size_t)snprintf(out, size, "%s", path) < size ? 0 : -ENAMETOOLONG;
}

static bool next_number(char **rest, int64_t *number)
{
	char *word = strtok_r(NULL, " \n", rest), *end;

	if (!word)
		return false;
	errno = 0;
	*number = strtoll(word, &end, 10);
	return errno == 0 && *end == '\0';
}

static int parse_line(struct record *r, char *line)
{
	char *rest, *netns = strtok_r(line, " ", &rest), *end;
	char *converter = strtok_r(NULL, " ", &rest), *cookie = strtok_r(NULL, " ", &rest);
	int64_t err;
	int len = 0;

	memset(r, 0, sizeof(*r));
	if (!cookie || mg_ep_parse(&r->converter, converter))
		return -EINVAL;
	r->netns = strtoull(netns, &end, 10);
	if (*end || !next_number(&rest, &r->entry.aside_since_ms) ||
	    !next_number(&rest, &r->entry.aside_until_ms) || !next_number(&rest, &err))
		return -EINVAL;
	if (strcmp(cookie, "-") != 0)
		len = mg_hex_parse(r->entry.cookie, sizeof(r->entry.cookie), cookie);
	if (len < 0 || err < 0 || err > INT_MAX)
		return -EINVAL;
	r->entry.aside_err = (int)err;
	r->entry.cookie_len = (size_t)len;
	return 0;
}

static void print_line(FILE *f, const struct record *r)
{
	char converter[MG_EP_STRLEN], cookie[2 * MPGATE_COOKIE_MAX_BYTES + 1] = "-";

	if (r->entry.cookie_len > 0)
		mg_hex_format(cookie, r->entry.cookie, r->entry.cookie_len);
	fprintf(f, "%" PRIu64 " %s %s %" PRId64 " %" PRId64 " %d\n", r->netns,
		mg_ep_format(converter, &r->converter), cookie, r->entry.aside_since_ms,
		r->entry.aside_until_ms, r->entry.aside_err);
}

/* Only a regular file of this user: a cookie is a credential of sorts. */
static FILE *open_own(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	FILE *f;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid()) {
		close(fd);
		return NULL;
	}
	f = fdopen(fd, "r");
	if (!f)
		close(fd);
	return f;
}

static size_t load(const char *path, struct record *records, size_t max)
{
	FILE *f = open_own(path);
	char line[LINE_BYTES];
	size_t n = 0;

	if (!f)
		return 0;
	while (n < max && fgets(line, sizeof(line), f))
		if (parse_line(&records[n], line) == 0)
			n++;
	fclose(f);
	return n;
}

/* The new record first, so that the oldest lines are the ones that fall off. */
static void store(const char *path, const struct record *r)
{
	char temp[PATH_MAX + 16];
	struct record *old = calloc(CACHE_LINES_MAX, sizeof(*old));
	size_t n;
	FILE *f;
	int fd;

	if (!old)
		return;
	n = load(path, old, CACHE_LINES_MAX);
	snprintf(temp, sizeof(temp), "%s.%d", path, (int)getpid());
	unlink(temp); /* of a process that died half way */
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (f) {
		print_line(f, r);
		for (size_t i = 0; i < n && i < CACHE_LINES_MAX - 1; i++)
			if (!same_place(&old[i], r))
				print_line(f, &old[i]);
		if (fclose(f) != 0 || rename(temp, path) < 0)
			unlink(temp);
	} else if (fd >= 0) {
		close(fd);
		unlink(temp);
	}
	free(old);
}

/* ---- both ---------------------------------------------------------------------------------- */

void mg_cache_get(const char *path, const struct mg_ep *converter, struct mg_cache_entry *entry)
{
	struct record r = { .netns = this_netns(), .converter = *converter }, *found;
	char file[PATH_MAX];
	size_t n;

	memory_get(&r);
	found = resolve_path(file, sizeof(file), path) ? NULL
						       : calloc(CACHE_LINES_MAX, sizeof(*found));
	if (found) {
		n = load(file, found, CACHE_LINES_MAX);
		for (size_t i = n; i > 0; i--)
			if (same_place(&found[i - 1], &r))
				r.entry = found[i - 1].entry;
		free(found);
	}
	*entry = r.entry;
}

void mg_cache_set(const char *path, const struct mg_ep *converter,
		  const struct mg_cache_entry *entry)
{
	struct record r = { .netns = this_netns(), .converter = *converter, .entry = *entry };
	char file[PATH_MAX];

	memory_set(&r);
	if (resolve_path(file, sizeof(file), path) == 0)
		store(file, &r);
}

/* ---- put aside ------------------------------------------------------------------------------ */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void mg_cache_put_aside(struct mg_cache_entry *entry, int err, int seconds)
{
	entry->aside_since_ms = now_ms();
	entry->aside_until_ms = entry->aside_since_ms + seconds * 1000LL;
	entry->aside_err = err;
}

bool mg_cache_is_aside(const struct mg_cache_entry *entry)
{
	const char *since = secure_getenv("MPGATE_SINCE");

	return entry->aside_until_ms > now_ms() &&
	       entry->aside_since_ms >= (since ? strtoll(since, NULL, 10) : 0);
}
