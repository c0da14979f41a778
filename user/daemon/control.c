// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/control_access.h"
#include "daemon/control_ask.h"
#include "daemon/report.h"
#include "wire/control.h"

#define CLIENTS_MAX 64
/* So many of them only for root: the group must not be able to lock it out. */
#define ROOT_CLIENTS 8
/* So many answers at a time, then signals and other clients get their turn. */
#define ANSWERS_MAX 8
/* Out of descriptors or memory: so long until the next client is accepted. */
#define PAUSE_MS 100

struct client {
	struct mg_list node;
	struct mg_io io;
	struct mg_control *control;
	bool root;
	struct mg_timer later;		    /* for a change, after this batch of events */
	struct mg_control_request *waiting; /* the change; no request is read meanwhile */
	char in[MG_CONTROL_REQUEST_MAX_BYTES];
	size_t in_len;
	char *out; /* the answer that is on its way; no request is read before it is gone */
	size_t out_len, out_off;
};

struct mg_control {
	struct mg_daemon *daemon;
	struct mg_io io;
	struct mg_timer pause;
	struct mg_list clients;
	size_t n_clients;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static char *done(bool ok)
{
	json_t *o = json_object();

	json_object_set_new(o, "done", json_boolean(ok));
	return mg_control_format_result(o);
}

static char *result_or_memory(json_t *result)
{
	if (!result)
		return mg_control_format_error(-ENOMEM, "out of memory");
	return mg_control_format_result(result);
}

static char *no_session(uint64_t id)
{
	char text[64];

	snprintf(text, sizeof(text), "no session %llu", (unsigned long long)id);
	return mg_control_format_error(-ENOENT, text);
}

static char *one_session(struct mg_daemon *d, uint64_t id)
{
	int err;
	json_t *o = mg_report_session(d, id, &err);

	return err == -ENOENT ? no_session(id) : result_or_memory(o);
}

static char *forget(struct mg_daemon *d, const struct mg_control_request *req)
{
	char text[MG_EP_STRLEN + 32], server[MG_EP_STRLEN];
	int err = mg_daemon_forget(d, req->all ? NULL : &req->server);

	if (!err)
		return done(true);
	if (err == -ENOENT)
		snprintf(text, sizeof(text), "nothing is known of %s",
			 mg_ep_format(server, &req->server));
	else
		snprintf(text, sizeof(text), "cannot forget: %s", strerror(-err));
	return mg_control_format_error(err, text);
}

static char *one_ring(struct mg_daemon *d, const char *group)
{
	char text[MG_MEMBER_NAME + 32];
	int err;
	json_t *o = mg_report_ring(d, group, &err);

	if (!err)
		return result_or_memory(o);
	snprintf(text, sizeof(text), "no group %s", group);
	return mg_control_format_error(err, text);
}

static char *tokens(struct mg_daemon *d, const struct mg_control_request *req)
{
	char text[96];
	int err;
	json_t *all = mg_report_tokens(d, req->has_token ? &req->token : NULL, &err);

	if (!err)
		return result_or_memory(all);
	if (err == -E2BIG)
		snprintf(text, sizeof(text), "too many tokens to list them all, ask for one");
	else
		snprintf(text, sizeof(text), "cannot read tokens: %s", strerror(-err));
	return mg_control_format_error(err, text);
}

static char *locate(struct mg_daemon *d, const struct mg_control_request *req)
{
	char text[96];
	int err;
	json_t *o = mg_report_locate(d, req, &err);

	if (!err)
		return result_or_memory(o);
	if (err == -ENODEV && *req->interface && d->gate)
		snprintf(text, sizeof(text), "nothing is steered on %s", req->interface);
	else if (err == -ENODEV)
		snprintf(text, sizeof(text), "nothing is steered on this host");
	else if (err == -EAFNOSUPPORT)
		snprintf(text, sizeof(text), "both addresses have to be IPv4, or both IPv6");
	else
		snprintf(text, sizeof(text), "cannot run the program: %s", strerror(-err));
	return mg_control_format_error(err, text);
}

static char *drain_proxy(struct mg_daemon *d, const char *proxy, bool on)
{
	char text[MG_MEMBER_NAME + 64];
	int err = d->gate ? mg_gate_drain(d->gate, proxy, on) : -ENOENT;

	if (!err)
		return done(true);
	if (err == -ENOENT)
		snprintf(text, sizeof(text), "this host steers to no proxy %s", proxy);
	else
		snprintf(text, sizeof(text), "cannot %s %s: %s", on ? "drain" : "undrain", proxy,
			 strerror(-err));
	return mg_control_format_error(err, text);
}

static char *drain(struct mg_daemon *d, const struct mg_control_request *req)
{
	if (*req->proxy)
		return drain_proxy(d, req->proxy, true);
	if (d->state != MG_DAEMON_DRAINING)
		mg_daemon_drain(d);
	return done(true);
}

static char *carry_out(struct mg_daemon *d, const struct mg_control_request *req)
{
	switch (req->cmd) {
	case MG_CMD_STATUS:
		return result_or_memory(mg_report_status(d));
	case MG_CMD_SESSIONS:
		return result_or_memory(mg_report_sessions(d));
	case MG_CMD_SESSION:
		return one_session(d, req->id);
	case MG_CMD_SERVERS:
		return result_or_memory(mg_report_servers(d));
	case MG_CMD_FORGET:
		return forget(d, req);
	case MG_CMD_PROXIES:
		return result_or_memory(mg_report_proxies(d));
	case MG_CMD_TOKENS:
		return tokens(d, req);
	case MG_CMD_RING:
		return one_ring(d, req->group);
	case MG_CMD_LOCATE:
		return locate(d, req);
	case MG_CMD_COUNTERS:
		return result_or_memory(mg_report_counters(d));
	case MG_CMD_CONFIG:
		return result_or_memory(mg_report_config(d));
	case MG_CMD_POLICIES:
		return result_or_memory(mg_report_policies(d));
	case MG_CMD_LIMITS:
	case MG_CMD_POLICY_TEST:
	case MG_CMD_COOKIE:
		return mg_control_ask(d, req);
	case MG_CMD_ACCESS:
	case MG_CMD_ACCESS_SET:
	case MG_CMD_ACCESS_DEL:
		return mg_control_access(d, req);
	case MG_CMD_DRAIN:
		return drain(d, req);
	case MG_CMD_UNDRAIN:
		return drain_proxy(d, req->proxy, false);
	case MG_CMD_CLOSE:
		if (mg_proxy_close_session(&d->proxy, req->id))
			return no_session(req->id);
		return done(true);
	case MG_CMD_LOG_LEVEL:
		mg_log_set_level(req->level);
		mg_info("log level is now %s", mg_log_level_name(req->level));
		return done(true);
	case MG_CMD_POLICY_SET: /* mg_control_change */
	case MG_CMD_POLICY_DEL:
	case MG_CMD_RELOAD:
	case MG_CMD_COUNT:
		break;
	}
	return mg_control_format_error(-EINVAL, "unknown command");
}

/* NULL: the answer comes later. */
static char *put_off(struct client *c, const struct mg_control_request *req)
{
	struct mg_loop *l = &c->control->daemon->loop;

	c->waiting = malloc(sizeof(*req));
	if (!c->waiting || mg_timer_arm(&l->timers, &c->later, 0)) {
		free(c->waiting);
		c->waiting = NULL;
		return mg_control_format_error(-ENOMEM, "out of memory");
	}
	*c->waiting = *req;
	return NULL;
}

static char *answer(struct client *c, const char *line, size_t len)
{
	struct mg_control_request req;
	char why[160] = "";
	int err = mg_control_parse_request(&req, line, len, why, sizeof(why));

	if (err)
		return mg_control_format_error(err, why);
	if (mg_command_needs_root(req.cmd) && !c->root) {
		snprintf(why, sizeof(why), "%s is for root only", mg_command_name(req.cmd));
		return mg_control_format_error(-EPERM, why);
	}
	return mg_control_is_change(req.cmd) ? put_off(c, &req)
					     : carry_out(c->control->daemon, &req);
}

static void client_close(struct client *c)
{
	mg_timer_disarm(&c->control->daemon->loop.timers, &c->later);
	free(c->waiting);
	mg_list_remove(&c->node);
	c->control->n_clients--;
	close(c->io.fd);
	free(c->out);
	free(c);
}

/* True when all of it is sent. */
static bool flush(struct client *c, bool *gone)
{
	while (c->out) {
		ssize_t n = send(c->io.fd, c->out + c->out_off, c->out_len - c->out_off,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return false;
		if (n < 0) {
			*gone = true;
			return false;
		}
		c->out_off += (size_t)n;
		if (c->out_off < c->out_len)
			continue;
		free(c->out);
		c->out = NULL;
	}
	return true;
}

static void put_answer(struct client *c, char *line)
{
	c->out = line;
	c->out_off = 0;
	c->out_len = line ? strlen(line) : 0;
}

/* True if there was a whole line to answer. */
static bool next_request(struct client *c)
{
	char *end = memchr(c->in, '\n', c->in_len);
	size_t len;

	if (!end && c->in_len < sizeof(c->in))
		return false;
	len = end ? (size_t)(end - c->in) : c->in_len;
	put_answer(c, end ? answer(c, c->in, len)
			  : mg_control_format_error(-EMSGSIZE, "the request is too long"));
	c->in_len -= end ? len + 1 : len;
	memmove(c->in, c->in + len + 1, c->in_len);
	return true;
}

static int watch_client(struct client *c)
{
	return mg_loop_add(&c->control->daemon->loop, &c->io,
			   EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

static void client_ready(struct mg_io *io, uint32_t events)
{
	struct client *c = mg_container_of(io, struct client, io);
	bool gone = (events & EPOLLERR) != 0;
	int answers = 0;

	while (!gone && flush(c, &gone)) {
		ssize_t n;

		if (answers == ANSWERS_MAX) {
			/* Registered anew, what is ready is told anew. */
			mg_loop_remove(&c->control->daemon->loop, io);
			gone = watch_client(c) != 0;
			break;
		}
		/* What else it says, and that it went, is seen when its change is made. */
		if (c->waiting)
			return;
		if (next_request(c)) {
			answers++;
			continue;
		}
		n = recv(io->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);
		if (n > 0)
			c->in_len += (size_t)n;
		else if (n < 0 && errno == EAGAIN)
			return;
		else
			gone = true;
	}
	if (gone)
		client_close(c);
}

static void time_to_change(struct mg_timer *t)
{
	struct client *c = mg_container_of(t, struct client, later);

	put_answer(c, mg_control_change(c->control->daemon, c->waiting));
	free(c->waiting);
	c->waiting = NULL;
	client_ready(&c->io, 0);
}

static void watch_again(struct mg_timer *t)
{
	struct mg_control *ctl = mg_container_of(t, struct mg_control, pause);
	struct mg_loop *l = &ctl->daemon->loop;

	if (mg_loop_add(l, &ctl->io, EPOLLIN))
		mg_timer_arm(&l->timers, t, l->now_ms + PAUSE_MS);
}

/* Who cannot be accepted now would wake us again at once, for as long as that lasts. */
static void rest(struct mg_control *ctl)
{
	struct mg_loop *l = &ctl->daemon->loop;

	mg_loop_remove(l, &ctl->io);
	mg_timer_arm(&l->timers, &ctl->pause, l->now_ms + PAUSE_MS);
}

static bool has_room(const struct mg_control *ctl, bool root)
{
	return ctl->n_clients < CLIENTS_MAX - (root ? 0 : ROOT_CLIENTS);
}

static void accept_ready(struct mg_io *io, uint32_t events)
{
	struct mg_control *ctl = mg_container_of(io, struct mg_control, io);
	int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct ucred who = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(who);
	struct client *c;

	(void)events;
	if (fd < 0) {
		if (errno != EAGAIN && errno != ECONNABORTED)
			rest(ctl);
		return;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) || !has_room(ctl, who.uid == 0)) {
		close(fd);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return;
	}
	c->control = ctl;
	c->root = who.uid == 0;
	c->io = (struct mg_io){ .fd = fd, .ready = client_ready };
	c->later.fire = time_to_change;
	mg_list_append(&ctl->clients, &c->node);
	ctl->n_clients++;
	if (watch_client(c))
		client_close(c);
}

static int listen_at(struct mg_control *c)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	mode_t mask;
	int err = 0;

	memcpy(sa.sun_path, c->path, sizeof(sa.sun_path));
	/* We hold the lock of runtime_dir: what lies there is a killed daemon's. */
	unlink(c->path);
	c->io.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->io.fd < 0)
		return -errno;
	mask = umask(0117);
	if (bind(c->io.fd, (struct sockaddr *)&sa, sizeof(sa)) || listen(c->io.fd, CLIENTS_MAX))
		err = -errno;
	umask(mask);
	return err;
}

int mg_control_open(struct mg_control **out, struct mg_daemon *d)
{
	struct mg_control *c = calloc(1, sizeof(*c));
	int n, err;

	if (!c)
		return -ENOMEM;
	c->daemon = d;
	c->io = (struct mg_io){ .fd = -1, .ready = accept_ready };
	c->pause.fire = watch_again;
	mg_list_init(&c->clients);
	n = snprintf(c->path, sizeof(c->path), "%s/control.sock", d->config->runtime_dir);
	err = n < (int)sizeof(c->path) ? listen_at(c) : -ENAMETOOLONG;
	if (!err)
		err = mg_loop_add(&d->loop, &c->io, EPOLLIN);
	if (err) {
		mg_error("control: cannot listen on %s: %s", c->path, strerror(-err));
		if (c->io.fd >= 0)
			close(c->io.fd);
		free(c);
		return err;
	}
	*out = c;
	return 0;
}

void mg_control_close(struct mg_control *c)
{
	if (!c)
		return;
	while (!mg_list_empty(&c->clients))
		client_close(mg_container_of(mg_list_pop(&c->clients), struct client, node));
	mg_timer_disarm(&c->daemon->loop.timers, &c->pause);
	unlink(c->path);
	close(c->io.fd);
	free(c);
}
