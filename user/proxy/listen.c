// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "proxy/proxy.h"
#include "sys/sock.h"

/* So many at a time, then the sessions get their turn. */
#define ACCEPTS_MAX 64

/* Nothing can be accepted, and asking again at once would be all this thread does. */
#define REST_MS 100

static void listen_again(struct mg_timer *t)
{
	struct mg_listener *l = mg_container_of(t, struct mg_listener, rest);

	mg_loop_add(&l->worker->loop, &l->io, EPOLLIN);
}

static void rest(struct mg_listener *l)
{
	struct mg_loop *loop = &l->worker->loop;

	if (!mg_timer_arm(&loop->timers, &l->rest, loop->now_ms + REST_MS))
		mg_loop_remove(loop, &l->io);
}

/* Out of descriptors: use the spare one to take the client off the queue and turn it away, or it
 * would wake us for ever. */
static void turn_away(struct mg_listener *l)
{
	struct mg_worker *w = l->worker;
	struct mg_ep client;
	bool mptcp;
	int fd;

	/* Another thread may have been quicker the last time. */
	if (w->spare_fd < 0)
		w->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (w->spare_fd < 0) {
		rest(l);
		return;
	}
	close(w->spare_fd);
	fd = mg_sock_accept(l->io.fd, &client, &mptcp);
	if (fd >= 0) {
		w->stats.accepted++;
		l->accepted(l, fd, &client, mptcp, false);
	}
	w->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void accept_ready(struct mg_io *io, uint32_t events)
{
	struct mg_listener *l = mg_container_of(io, struct mg_listener, io);

	(void)events;
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		struct mg_ep client;
		bool mptcp;
		int fd = mg_sock_accept(io->fd, &client, &mptcp);

		if (fd == -EMFILE || fd == -ENFILE) {
			turn_away(l);
			return;
		}
		if (fd == -ENOBUFS || fd == -ENOMEM) {
			rest(l);
			return;
		}
		if (fd == -EAGAIN)
			return;
		if (fd < 0)
			continue; /* that client is gone already */
		l->worker->stats.accepted++;
		l->accepted(l, fd, &client, mptcp, !mg_sock_in_reserve(fd));
	}
}

int mg_listener_open(struct mg_listener *l, struct mg_worker *w, int fd, const struct mg_ep *ep,
		     mg_accepted_fn *accepted)
{
	*l = (struct mg_listener){ .io = { .fd = fd, .ready = accept_ready },
				   .worker = w,
				   .ep = *ep,
				   .rest.fire = listen_again,
				   .accepted = accepted };
	return mg_loop_add(&w->loop, &l->io, EPOLLIN);
}

void mg_listener_close(struct mg_listener *l)
{
	mg_timer_disarm(&l->worker->loop.timers, &l->rest);
	close(l->io.fd);
}

static void converter_accepted(struct mg_listener *l, int fd, const struct mg_ep *client,
			       bool mptcp, bool room)
{
	if (room) {
		mg_session_open(l->worker, fd, client, &l->ep, mptcp);
		return;
	}
	mg_sock_abort(fd);
	mg_account_turned_away(l->worker);
}

int mg_listen_open(struct mg_worker *w)
{
	const struct mg_config_converter *c = &w->policy->config->converter;

	w->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	w->listeners = calloc(c->n_listen ? c->n_listen : 1, sizeof(*w->listeners));
	if (!w->listeners)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_listen; i++) {
		char text[MG_EP_STRLEN];
		bool mptcp;
		int fd = mg_sock_listen(&c->listen[i], (int)c->fastopen_queue, &mptcp);
		int err = fd;

		if (fd >= 0) {
			err = mg_listener_open(&w->listeners[w->n_listeners++], w, fd,
					       &c->listen[i], converter_accepted);
		}
		if (err < 0) {
			mg_error("converter.listen: cannot listen on %s: %s",
				 mg_ep_format(text, &c->listen[i]), strerror(-err));
			mg_listen_close(w);
			return err;
		}
		if (!mptcp && w->index == 0)
			mg_warn("converter.listen: %s takes plain TCP only: no MPTCP in this "
				"kernel",
				mg_ep_format(text, &c->listen[i]));
	}
	return 0;
}

void mg_listen_close(struct mg_worker *w)
{
	for (size_t i = 0; i < w->n_listeners; i++)
		mg_listener_close(&w->listeners[i]);
	free(w->listeners);
	w->listeners = NULL;
	w->n_listeners = 0;
	if (w->spare_fd >= 0)
		close(w->spare_fd);
	w->spare_fd = -1;
}
