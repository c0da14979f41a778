// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/ports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "proxy/proxy.h"
#include "sys/sock.h"

#define IDLE_MS 60000
/* A scan opens ports that nobody uses again: of those, no more than so many. */
#define IDLE_MAX 256

struct mg_port {
	struct mg_listener listener; /* its ep has the port that is intercepted */
	bool stands_in;		     /* the socket is on another one */
	struct mg_port *next;
	struct mg_list idle_node;
	unsigned int users;
	uint64_t idle_since_ms;
};

void mg_ports_init(struct mg_ports *ports)
{
	memset(ports, 0, sizeof(*ports));
	mg_list_init(&ports->idle);
	mg_list_init(&ports->dead);
}

static struct mg_port **find(struct mg_ports *ports, bool v4, in_port_t port)
{
	struct mg_port **at = &ports->buckets[ntohs(port) % MG_PORTS_BUCKETS];

	while (*at &&
	       !((*at)->listener.ep.port == port && mg_ip_is_v4(&(*at)->listener.ep.ip) == v4))
		at = &(*at)->next;
	return at;
}

static void forget(struct mg_worker *w, struct mg_port *p)
{
	struct mg_port **at = find(&w->ports, mg_ip_is_v4(&p->listener.ep.ip), p->listener.ep.port);

	*at = p->next;
	w->ports.n--;
	mg_list_remove(&p->idle_node);
	w->ports.n_idle--;
	mg_listener_close(&p->listener);
	if (p->stands_in)
		mg_hold_stand_in(w->proxy->holder, w->index, mg_ip_is_v4(&p->listener.ep.ip),
				 p->listener.ep.port, 0);
	/* Events of this round may still point here. */
	mg_list_append(&w->ports.dead, &p->idle_node);
}

static struct mg_port *oldest(struct mg_ports *ports)
{
	return mg_container_of(ports->idle.next, struct mg_port, idle_node);
}

static void age(struct mg_timer *t)
{
	struct mg_worker *w = mg_container_of(t, struct mg_worker, ports.age);
	struct mg_ports *ports = &w->ports;
	while (ports->n_idle && oldest(ports)->idle_since_ms + IDLE_MS <= w->loop.now_ms)
		forget(w, oldest(ports));
	if (ports->n_idle)
		mg_timer_arm(&w->loop.timers, t, oldest(ports)->idle_since_ms + IDLE_MS);
}

static void accepted(struct mg_listener *l, int fd, const struct mg_ep *client, bool mptcp,
		     bool room)
{
	struct mg_worker *w = l->worker;
	struct mg_session *s = NULL;
	struct mg_ep server;

	if (!mg_sock_local(fd, &server))
		s = mg_held_find(w, client, &server);
	if (s && s->taken && room) {
		mg_session_adopt(s, fd, mptcp);
		return;
	}
	/* Its session is over, or has to be. */
	mg_sock_abort(fd);
	if (s && s->taken)
		mg_session_close(s, MG_CLOSE_OVERLOAD);
}

/* A line a port, whoever comes first. */
static bool first_to_tell(struct mg_worker *w, in_port_t port)
{
	_Atomic uint64_t *word = &w->proxy->ports_told[ntohs(port) / 64];
	uint64_t bit = 1ULL << (ntohs(port) % 64);

	return !(atomic_fetch_or(word, bit) & bit);
}

/* On another port than the connections'. The fd or -errno. */
static int listen_elsewhere(struct mg_worker *w, const struct mg_ep *ep, int queue)
{
	struct mg_ep other = { .ip = ep->ip };
	bool mptcp;
	int fd = mg_sock_listen_transparent(&other, queue, &mptcp);
	int err = fd < 0 ? fd : mg_sock_local(fd, &other);

	if (!err)
		err = mg_hold_stand_in(w->proxy->holder, w->index, mg_ip_is_v4(&ep->ip), ep->port,
				       other.port);
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	return err;
}

static void announce(struct mg_worker *w, in_port_t port)
{
	mg_hold_announce(w->proxy->holder);
	if (first_to_tell(w, port))
		mg_info("port %u: this host listens there itself; intercepted connections to it "
			"come in on another port, and their further subflows where it is "
			"announced",
			ntohs(port));
}

static int listen_at(struct mg_worker *w, struct mg_port *p, const struct mg_ep *ep, bool joined)
{
	int queue = (int)w->policy->config->converter.fastopen_queue, fd = -EADDRINUSE, err;
	bool mptcp;

	if (joined)
		fd = mg_sock_listen_transparent(ep, queue, &mptcp);
	if (fd == -EADDRINUSE) {
		fd = listen_elsewhere(w, ep, queue);
		p->stands_in = fd >= 0;
	}
	if (fd < 0)
		return fd;
	err = mg_sock_in_reserve(fd) ? -EMFILE
				     : mg_listener_open(&p->listener, w, fd, ep, accepted);
	if (!err)
		return 0;
	close(fd);
	if (p->stands_in)
		mg_hold_stand_in(w->proxy->holder, w->index, mg_ip_is_v4(&ep->ip), ep->port, 0);
	return err;
}

static int make(struct mg_worker *w, struct mg_port **at, bool v4, in_port_t port, bool joined)
{
	struct mg_port *p = calloc(1, sizeof(*p));
	struct mg_ep ep = { .port = port };
	int err;

	if (!p)
		return -ENOMEM;
	mg_hold_listen_ip(&ep.ip, w->index, v4);
	err = listen_at(w, p, &ep, joined);
	if (err) {
		free(p);
		return err;
	}
	mg_list_init(&p->idle_node);
	*at = p;
	w->ports.n++;
	return 0;
}

/* The same port fails for every client, and for every worker. */
static void complain(struct mg_worker *w, in_port_t port, int err)
{
	if (first_to_tell(w, port))
		mg_warn("port %u: cannot listen for intercepted connections, they pass: %s",
			ntohs(port), strerror(-err));
}

int mg_ports_use(struct mg_worker *w, struct mg_port **out, bool v4, in_port_t port, bool joined)
{
	struct mg_port **at = find(&w->ports, v4, port);
	int err = *at ? 0 : make(w, at, v4, port, joined);

	if (err) {
		complain(w, port, err);
		return err;
	}
	if (joined && (*at)->stands_in)
		announce(w, port);
	*out = *at;
	if ((*out)->users++ == 0 && !mg_list_empty(&(*out)->idle_node)) {
		mg_list_remove(&(*out)->idle_node);
		w->ports.n_idle--;
	}
	return 0;
}

void mg_ports_done(struct mg_worker *w, struct mg_port *p)
{
	struct mg_ports *ports = &w->ports;

	if (--p->users)
		return;
	p->idle_since_ms = w->loop.now_ms;
	mg_list_append(&ports->idle, &p->idle_node);
	ports->n_idle++;
	if (ports->n_idle > IDLE_MAX)
		forget(w, oldest(ports));
	if (!mg_timer_armed(&ports->age)) {
		ports->age.fire = age;
		mg_timer_arm(&w->loop.timers, &ports->age, p->idle_since_ms + IDLE_MS);
	}
}

void mg_ports_close(struct mg_worker *w)
{
	while (w->ports.n_idle)
		forget(w, oldest(&w->ports));
	mg_timer_disarm(&w->loop.timers, &w->ports.age);
}

void mg_ports_reap(struct mg_ports *ports)
{
	while (!mg_list_empty(&ports->dead))
		free(mg_container_of(mg_list_pop(&ports->dead), struct mg_port, idle_node));
}
