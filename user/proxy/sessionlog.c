// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/sessionlog.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "abi/policy.h"
#include "base/log.h"
#include "base/logfile.h"

#define RING_RECORDS   16384 /* a power of two */
#define BATCH_BYTES    65536
#define RETRY_MS       1000
#define ESCAPED_STRLEN (sizeof("id:") + 2 * MG_SESSIONLOG_WHO_STRLEN)
#define TIME_STRLEN    sizeof("2026-11-21T00:00:00.000Z")

/* One worker writes, the log's thread reads. */
struct ring {
	_Atomic uint32_t head, tail;
	_Atomic uint64_t dropped;
	uint64_t told; /* of those dropped; the reader's */
	struct mg_sessionlog_record at[RING_RECORDS];
};

struct target {
	enum mg_log_to to;
	struct mg_logfile file;
};

struct mg_sessionlog {
	struct ring *rings; /* calloc'ed: memory comes with the records */
	unsigned int n_rings, next_ring;
	_Atomic bool on;
	_Atomic(const struct mg_sessionlog_names *) names;
	int wake_fd;
	_Atomic bool asleep, stop;
	_Atomic uint64_t lines, errors;
	pthread_t thread;
	pthread_mutex_t lock; /* of the next two */
	struct target next;
	bool has_next;
	/* The thread's own */
	struct target now;
	bool failing;
	bool torn; /* the batch begins in the middle of a line */
	char batch[BATCH_BYTES + 1];
	size_t batch_len;
};

/* ---- lines ----------------------------------------------------------------------------------- */

static const char *const events[] = {
#define X(sym, name) [MG_SESSIONLOG_##sym] = #name,
	MG_SESSIONLOG_EVENTS(X)
#undef X
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* RFC 3339, in UTC */
static const char *format_time(char buf[TIME_STRLEN], uint64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm;
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(buf, TIME_STRLEN, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, TIME_STRLEN - n, ".%03uZ", (unsigned int)(ms % 1000));
	return buf;
}

/* Of good UTF-8 without control characters only these two have to be escaped. */
static void escape(char *to, const char *text)
{
	while (*text) {
		if (*text == '"' || *text == '\\')
			*to++ = '\\';
		*to++ = *text++;
	}
	*to = '\0';
}

static const char *format_identity(char buf[ESCAPED_STRLEN], uint64_t number,
				   const struct mg_sessionlog_names *names)
{
	char text[MG_SESSIONLOG_WHO_STRLEN];

	snprintf(buf, ESCAPED_STRLEN, "id:");
	if (names && names->text_of(names->ctx, number, text))
		escape(buf + 3, text);
	else
		snprintf(buf + 3, MG_SESSIONLOG_WHO_STRLEN, "%016" PRIx64, number);
	return buf;
}

/* As mpgatectl limits has it. */
static const char *format_subscriber(char buf[ESCAPED_STRLEN], const struct mg_sessionlog_record *r,
				     const struct mg_sessionlog_names *names)
{
	const struct mg_subscriber *who = &r->subscriber;
	struct mg_prefix prefix = { .len = r->subscriber_bits };
	__be64 words[2];

	memcpy(words, who->ip, sizeof(words));
	if (be64toh(words[0]) == MG_SUBSCRIBER_IDENTITY)
		return format_identity(buf, (uint64_t)be64toh(words[1]), names);
	memcpy(&prefix.ip, who->ip, sizeof(prefix.ip));
	return prefix.len < 128 ? mg_prefix_format(buf, &prefix) : mg_ip_format(buf, &prefix.ip);
}

/* But for identities nothing in it needs an escape: addresses, numbers, names of our own. */
int mg_sessionlog_format(char line[MG_SESSIONLOG_LINE_MAX_BYTES],
			 const struct mg_sessionlog_record *r,
			 const struct mg_sessionlog_names *names)
{
	char time[TIME_STRLEN], client[MG_EP_STRLEN], external[MG_EP_STRLEN], server[MG_EP_STRLEN];
	char who[ESCAPED_STRLEN];
	int n = snprintf(line, MG_SESSIONLOG_LINE_MAX_BYTES,
			 "{\"time\":\"%s\",\"event\":\"%s\",\"session\":%" PRIu64
			 ",\"subscriber\":\"%s\",\"client\":\"%s\",\"external\":\"%s\","
			 "\"server\":\"%s\"",
			 format_time(time, r->time_ms), events[r->event], r->session,
			 format_subscriber(who, r, names), mg_ep_format(client, &r->client),
			 mg_ep_format(external, &r->external), mg_ep_format(server, &r->server));

	if (r->event == MG_SESSIONLOG_CLOSE)
		n += snprintf(line + n, MG_SESSIONLOG_LINE_MAX_BYTES - (size_t)n,
			      ",\"reason\":\"%s\",\"bytes_up\":%" PRIu64 ",\"bytes_down\":%" PRIu64,
			      r->reason ? r->reason : "", r->bytes_up, r->bytes_down);
	n += snprintf(line + n, MG_SESSIONLOG_LINE_MAX_BYTES - (size_t)n, "}\n");
	return n;
}

static int format_gap(char *line, uint64_t n)
{
	char time[TIME_STRLEN];

	return snprintf(line, MG_SESSIONLOG_LINE_MAX_BYTES,
			"{\"time\":\"%s\",\"event\":\"lost\",\"lines\":%" PRIu64 "}\n",
			format_time(time, now_ms()), n);
}

/* ---- workers --------------------------------------------------------------------------------- */

static void wake(struct mg_sessionlog *log)
{
	uint64_t one = 1;

	if (write(log->wake_fd, &one, sizeof(one)) < 0)
		return; /* it is awake then */
}

void mg_sessionlog_put(struct mg_sessionlog *log, unsigned int worker,
		       const struct mg_sessionlog_record *record)
{
	struct ring *r = &log->rings[worker];
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	struct mg_sessionlog_record *at = &r->at[head % RING_RECORDS];

	if (!atomic_load_explicit(&log->on, memory_order_relaxed))
		return;
	if (head - atomic_load_explicit(&r->tail, memory_order_acquire) == RING_RECORDS) {
		atomic_fetch_add_explicit(&r->dropped, 1, memory_order_relaxed);
		return;
	}
	*at = *record;
	if (!at->time_ms)
		at->time_ms = now_ms();
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
	/* Either the thread sees the record before it sleeps, or we see that it sleeps. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&log->asleep) && atomic_exchange(&log->asleep, false))
		wake(log);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void add(struct mg_sessionlog *log, const struct mg_sessionlog_record *record, uint64_t gap)
{
	char *line = log->batch + log->batch_len;

	if (gap)
		log->batch_len += (size_t)format_gap(line, gap);
	else
		log->batch_len +=
			(size_t)mg_sessionlog_format(line, record, atomic_load(&log->names));
}

static bool has_room(const struct mg_sessionlog *log)
{
	return log->batch_len + MG_SESSIONLOG_LINE_MAX_BYTES <= BATCH_BYTES;
}

static void read_ring(struct mg_sessionlog *log, struct ring *r)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	uint32_t head = atomic_load_explicit(&r->head, memory_order_acquire);
	uint64_t dropped;

	for (; tail != head && has_room(log); tail++) {
		add(log, &r->at[tail % RING_RECORDS], 0);
		atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
	}
	dropped = atomic_load(&r->dropped);
	/* What was dropped came after what was in the ring. */
	if (tail == head && dropped != r->told && has_room(log)) {
		add(log, NULL, dropped - r->told);
		r->told = dropped;
	}
}

/* In turns, so that a busy worker does not keep the others' from being read. */
static bool fill(struct mg_sessionlog *log)
{
	for (unsigned int i = 0; i < log->n_rings && has_room(log); i++)
		read_ring(log, &log->rings[log->next_ring++ % log->n_rings]);
	return log->batch_len > 0;
}

static void failed(struct mg_sessionlog *log, int err)
{
	atomic_fetch_add(&log->errors, 1);
	if (!log->failing)
		mg_error("session log: %s: %s; lines wait, and are lost when there are too many",
			 log->now.file.path, strerror(-err));
	log->failing = true;
}

static void written(struct mg_sessionlog *log, size_t n)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < n; i++)
		lines += log->batch[i] == '\n';
	log->torn = log->batch[n - 1] != '\n';
	log->batch_len -= n;
	memmove(log->batch, log->batch + n, log->batch_len);
	atomic_fetch_add(&log->lines, lines);
}

static bool flush_to_file(struct mg_sessionlog *log)
{
	struct mg_logfile *f = &log->now.file;
	int err = log->torn ? 0 : mg_logfile_make_room(f, log->batch_len);
	long n;

	if (err)
		failed(log, err);
	n = mg_logfile_write(f, log->batch, log->batch_len);
	if (n > 0)
		written(log, (size_t)n);
	if (log->batch_len) {
		failed(log, n < 0 ? (int)n : -ENOSPC);
		return false;
	}
	if (log->failing && !err) {
		mg_info("session log: %s is written to again", f->path);
		log->failing = false;
	}
	return true;
}

static bool flush_to_syslog(struct mg_sessionlog *log)
{
	char *save = NULL;

	log->batch[log->batch_len] = '\0';
	for (char *line = strtok_r(log->batch, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		syslog(LOG_DAEMON | LOG_INFO, "%s", line);
		atomic_fetch_add(&log->lines, 1);
	}
	log->batch_len = 0;
	return true;
}

/* False: try again later. */
static bool flush(struct mg_sessionlog *log)
{
	switch (log->now.to) {
	case MG_LOG_TO_FILE:
		return flush_to_file(log);
	case MG_LOG_TO_SYSLOG:
		return flush_to_syslog(log);
	case MG_LOG_TO_NOTHING:
		break;
	}
	log->batch_len = 0;
	return true;
}

/* The file that has its beginning takes the rest of a line, or nothing does. */
static void mend(struct mg_sessionlog *log)
{
	size_t rest;

	flush(log);
	if (!log->torn)
		return;
	rest = (size_t)((char *)memchr(log->batch, '\n', log->batch_len) - log->batch) + 1;
	log->batch_len -= rest;
	memmove(log->batch, log->batch + rest, log->batch_len);
	log->torn = false;
}

static void take_next(struct mg_sessionlog *log)
{
	struct target last = { .file.fd = -1 };

	pthread_mutex_lock(&log->lock);
	if (log->has_next) {
		if (log->torn)
			mend(log);
		last = log->now;
		log->now = log->next;
		log->has_next = false;
	}
	pthread_mutex_unlock(&log->lock);
	mg_logfile_close(&last.file);
}

static bool anything_new(struct mg_sessionlog *log)
{
	bool is = atomic_load(&log->stop);

	for (unsigned int i = 0; i < log->n_rings && !is; i++) {
		struct ring *r = &log->rings[i];

		is = atomic_load(&r->head) != atomic_load(&r->tail) ||
		     atomic_load(&r->dropped) != r->told;
	}
	pthread_mutex_lock(&log->lock);
	is |= log->has_next;
	pthread_mutex_unlock(&log->lock);
	return is;
}

static void sleep_until_woken(struct mg_sessionlog *log, int timeout_ms)
{
	struct pollfd fd = { .fd = log->wake_fd, .events = POLLIN };
	uint64_t count;

	atomic_store(&log->asleep, true);
	atomic_thread_fence(memory_order_seq_cst);
	/* Who waits for the disk has something to do already, only not now. */
	if (timeout_ms >= 0 || !anything_new(log))
		poll(&fd, 1, timeout_ms);
	atomic_store(&log->asleep, false);
	if (read(log->wake_fd, &count, sizeof(count)) < 0)
		return;
}

static void *run(void *arg)
{
	struct mg_sessionlog *log = arg;

	pthread_setname_np(pthread_self(), "mpgated/log");
	for (;;) {
		bool stopping = atomic_load(&log->stop), done = true;

		take_next(log);
		while (done && fill(log))
			done = flush(log);
		if (stopping)
			break;
		sleep_until_woken(log, done ? -1 : RETRY_MS);
	}
	if (log->batch_len)
		mg_error("session log: %zu bytes could not be written", log->batch_len);
	mg_logfile_close(&log->now.file);
	return NULL;
}

/* ---- the main thread ------------------------------------------------------------------------- */

int mg_sessionlog_open(struct mg_sessionlog **out, unsigned int n_workers)
{
	struct mg_sessionlog *log = calloc(1, sizeof(*log));
	int err = log ? 0 : -ENOMEM;

	*out = NULL;
	if (err)
		return err;
	log->n_rings = n_workers;
	log->now.file.fd = log->next.file.fd = -1;
	pthread_mutex_init(&log->lock, NULL);
	log->rings = calloc(n_workers, sizeof(*log->rings));
	log->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!log->rings)
		err = -ENOMEM;
	else if (log->wake_fd < 0)
		err = -errno;
	else
		err = -pthread_create(&log->thread, NULL, run, log);
	if (!err) {
		*out = log;
		return 0;
	}
	if (log->wake_fd >= 0)
		close(log->wake_fd);
	free(log->rings);
	free(log);
	return err;
}

int mg_sessionlog_set(struct mg_sessionlog *log, const struct mg_config_sharing *cfg)
{
	struct target next = { .to = cfg->log, .file.fd = -1 };
	int err = 0;

	if (cfg->log == MG_LOG_TO_FILE)
		err = mg_logfile_open(&next.file, cfg->log_file, cfg->log_rotate_mib * 1048576ULL,
				      cfg->log_keep);
	if (err) {
		mg_error("sharing: log file %s: %s", cfg->log_file, strerror(-err));
		return err;
	}
	pthread_mutex_lock(&log->lock);
	if (log->has_next)
		mg_logfile_close(&log->next.file);
	log->next = next;
	log->has_next = true;
	pthread_mutex_unlock(&log->lock);
	atomic_store(&log->on, cfg->log != MG_LOG_TO_NOTHING);
	wake(log);
	return 0;
}

void mg_sessionlog_name_by(struct mg_sessionlog *log, const struct mg_sessionlog_names *names)
{
	atomic_store(&log->names, names);
}

void mg_sessionlog_stats(struct mg_sessionlog *log, struct mg_sessionlog_stats *out)
{
	*out = (struct mg_sessionlog_stats){ .lines = atomic_load(&log->lines),
					     .errors = atomic_load(&log->errors) };
	for (unsigned int i = 0; i < log->n_rings; i++)
		out->dropped += atomic_load(&log->rings[i].dropped);
}

void mg_sessionlog_close(struct mg_sessionlog *log)
{
	if (!log)
		return;
	atomic_store(&log->stop, true);
	wake(log);
	pthread_join(log->thread, NULL);
	if (log->has_next)
		mg_logfile_close(&log->next.file);
	close(log->wake_fd);
	pthread_mutex_destroy(&log->lock);
	free(log->rings);
	free(log);
}
