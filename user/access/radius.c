// SPDX-License-Identifier: BSD-2-Clause
#include "access/radius.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "access/duplicates.h"
#include "base/log.h"

#define SECRET_MAX 256
/* So many datagrams, then others have their turn. */
#define AT_ONCE 128
/* What waits while we are busy with something else: some 10,000 requests. */
#define RECEIVE_BYTES (8 << 20)

struct client {
	struct in6_addr address;
	size_t secret_len;
	uint8_t secret[SECRET_MAX];
};

struct clients {
	size_t n;
	struct client all[]; /* by address */
};

struct mg_radius_server {
	struct mg_loop *loop;
	struct mg_accounting *accounting;
	struct mg_io io;
	struct mg_ep listen;
	struct clients *clients;
	struct mg_duplicates duplicates;
	struct mg_radius_counters counters;
};

/* ---- clients --------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	return memcmp(&((const struct client *)a)->address, &((const struct client *)b)->address,
		      sizeof(struct in6_addr));
}

/* The first line of the file. */
static int read_secret(struct client *c, const char *path)
{
	char line[SECRET_MAX + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, line, sizeof(line));
	close(fd);
	if (n < 0)
		return -errno;
	c->secret_len = (size_t)n;
	for (size_t i = 0; i < (size_t)n; i++) {
		if (line[i] == '\n') {
			c->secret_len = i;
			break;
		}
	}
	if (c->secret_len && c->secret_len <= SECRET_MAX && line[c->secret_len - 1] == '\r')
		c->secret_len--;
	if (!c->secret_len || c->secret_len > SECRET_MAX)
		return -EINVAL;
	memcpy(c->secret, line, c->secret_len);
	explicit_bzero(line, sizeof(line));
	return 0;
}

static void free_clients(struct clients *clients)
{
	if (clients)
		explicit_bzero(clients->all, clients->n * sizeof(clients->all[0]));
	free(clients);
}

static int load_clients(struct clients **out, const struct mg_config_radius *r)
{
	struct clients *clients =
		calloc(1, sizeof(*clients) + r->n_clients * sizeof(struct client));

	*out = clients;
	if (!clients)
		return -ENOMEM;
	for (size_t i = 0; i < r->n_clients; i++) {
		const char *path = r->clients[i].secret_file;
		int err = read_secret(&clients->all[i], path);

		clients->n++;
		clients->all[i].address = r->clients[i].address;
		if (!err)
			continue;
		mg_error("radius.clients: %s: %s", path,
			 err == -EINVAL ? "no secret of 1 to 256 bytes in its first line"
					: strerror(-err));
		free_clients(clients);
		*out = NULL;
		return err;
	}
	qsort(clients->all, clients->n, sizeof(clients->all[0]), compare);
	return 0;
}

static const struct client *find_client(const struct clients *clients, const struct in6_addr *ip)
{
	struct client key = { .address = *ip };

	return clients ? bsearch(&key, clients->all, clients->n, sizeof(key), compare) : NULL;
}

/* ---- datagrams ------------------------------------------------------------------------------- */

struct datagram {
	uint8_t bytes[MG_RADIUS_MAX_BYTES]; /* what is beyond can only be padding */
	struct sockaddr_storage from;
	/* Where it came to, for the answer to come from there */
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	struct iovec iov;
	struct msghdr msg;
};

static ssize_t receive(int fd, struct datagram *d)
{
	d->iov = (struct iovec){ d->bytes, sizeof(d->bytes) };
	d->msg = (struct msghdr){
		.msg_name = &d->from,
		.msg_namelen = sizeof(d->from),
		.msg_iov = &d->iov,
		.msg_iovlen = 1,
		.msg_control = d->control,
		.msg_controllen = sizeof(d->control),
	};
	return recvmsg(fd, &d->msg, MSG_DONTWAIT);
}

/* The kernel takes what it gave us as the source. Over which interface the answer goes, routing
 * knows better, but for addresses that are of one link. */
static void forget_interface(struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo *info = (struct in_pktinfo *)(void *)CMSG_DATA(c);

			info->ipi_ifindex = 0;
			info->ipi_spec_dst = info->ipi_addr;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo *info = (struct in6_pktinfo *)(void *)CMSG_DATA(c);

			if (!mg_ip_is_linklocal(&info->ipi6_addr))
				info->ipi6_ifindex = 0;
		}
	}
}

static void answer(struct mg_radius_server *s, struct datagram *d, struct mg_span bytes)
{
	d->iov = (struct iovec){ (void *)bytes.data, bytes.len };
	d->msg.msg_flags = 0;
	forget_interface(&d->msg);
	if (sendmsg(s->io.fd, &d->msg, MSG_DONTWAIT) == (ssize_t)bytes.len)
		s->counters.answered++;
	d->iov = (struct iovec){ 0 };
}

static void handle(struct mg_radius_server *s, struct datagram *d, size_t len)
{
	uint8_t out[MG_RADIUS_MAX_BYTES];
	struct mg_radius_request r;
	const struct client *client;
	enum mg_radius_error error;
	struct mg_span again;
	struct mg_ep from;

	s->counters.received++;
	if (mg_ep_from_sockaddr(&from, (struct sockaddr *)&d->from) ||
	    !(client = find_client(s->clients, &from.ip))) {
		s->counters.unknown_client++;
		return;
	}
	error = mg_radius_parse(&r, d->bytes, len);
	if (!error)
		error = mg_radius_verify(&r, client->secret, client->secret_len);
	if (error) {
		s->counters.bad[error]++;
		return;
	}
	s->counters.vsa_malformed += r.vsas_malformed;
	again = mg_duplicates_find(&s->duplicates, &from, &r, s->loop->now_ms);
	if (again.len) {
		s->counters.duplicate++;
		answer(s, d, again);
		return;
	}
	/* Who is not answered asks again. */
	if (mg_accounting_apply(s->accounting, &from.ip, &r))
		return;
	again.data = out;
	again.len = mg_radius_answer(out, &r, client->secret, client->secret_len);
	mg_duplicates_note(&s->duplicates, &from, &r, again, s->loop->now_ms);
	answer(s, d, again);
}

static void ready(struct mg_io *io, uint32_t events)
{
	struct mg_radius_server *s = mg_container_of(io, struct mg_radius_server, io);
	struct datagram d;

	(void)events;
	for (int i = 0; i < AT_ONCE; i++) {
		ssize_t n = receive(io->fd, &d);

		/* An ICMP error about an answer is told here, and means nothing. */
		if (n < 0 && (errno == EINTR || errno == ECONNREFUSED || errno == EHOSTUNREACH ||
			      errno == ENETUNREACH))
			continue;
		if (n < 0)
			return;
		handle(s, &d, (size_t)n);
	}
}

/* ---- the socket ------------------------------------------------------------------------------ */

static int set_options(int fd, const struct mg_ep *listen)
{
	int on = 1, bytes = RECEIVE_BYTES;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (mg_ip_is_v4(&listen->ip))
		return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) ? -errno : 0;
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)))
		return -errno;
	return 0;
}

/* The socket, or -errno, logged. */
static int listen_at(const struct mg_ep *listen)
{
	struct sockaddr_storage ss;
	socklen_t len = mg_ep_to_sockaddr(listen, &ss);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;
	char text[MG_EP_STRLEN];

	err = fd < 0 ? -errno : set_options(fd, listen);
	if (!err && bind(fd, (struct sockaddr *)&ss, len))
		err = -errno;
	if (!err)
		return fd;
	mg_error("radius.listen: cannot use %s: %s", mg_ep_format(text, listen), strerror(-err));
	if (fd >= 0)
		close(fd);
	return err;
}

static void stop_listening(struct mg_radius_server *s)
{
	if (s->io.fd < 0)
		return;
	mg_loop_remove(s->loop, &s->io);
	close(s->io.fd);
	s->io.fd = -1;
}

/* Of whom is no client any more nothing counts. */
static void forget_former(struct mg_radius_server *s, const struct clients *next)
{
	for (size_t i = 0; s->clients && i < s->clients->n; i++) {
		if (!find_client(next, &s->clients->all[i].address))
			mg_accounting_forget(s->accounting, &s->clients->all[i].address);
	}
}

int mg_radius_reload(struct mg_radius_server *s, const struct mg_config *c)
{
	const struct mg_config_radius *r = &c->policies.radius;
	struct clients *clients = NULL;
	bool same = r->on && s->io.fd >= 0 && mg_ep_equal(&r->listen, &s->listen);
	int fd = -1, err = r->on ? load_clients(&clients, r) : 0;

	if (!err && r->on && !same) {
		fd = listen_at(&r->listen);
		err = fd < 0 ? fd : 0;
	}
	if (err) {
		free_clients(clients);
		return err;
	}
	if (!same)
		stop_listening(s);
	if (fd >= 0) {
		s->io.fd = fd;
		s->listen = r->listen;
		err = mg_loop_add(s->loop, &s->io, EPOLLIN);
		if (err)
			mg_error("radius.listen: %s", strerror(-err));
	}
	forget_former(s, clients);
	free_clients(s->clients);
	s->clients = clients;
	return err;
}

int mg_radius_open(struct mg_radius_server **out, struct mg_loop *l,
		   struct mg_accounting *accounting, const struct mg_config *c)
{
	struct mg_radius_server *s = calloc(1, sizeof(*s));
	int err;

	*out = s;
	if (!s)
		return -ENOMEM;
	s->loop = l;
	s->accounting = accounting;
	s->io = (struct mg_io){ .fd = -1, .ready = ready };
	err = mg_duplicates_init(&s->duplicates);
	if (!err)
		err = mg_radius_reload(s, c);
	if (err) {
		mg_radius_close(s);
		*out = NULL;
	}
	return err;
}

void mg_radius_close(struct mg_radius_server *s)
{
	if (!s)
		return;
	stop_listening(s);
	free_clients(s->clients);
	mg_duplicates_free(&s->duplicates);
	free(s);
}

const struct mg_radius_counters *mg_radius_counters(const struct mg_radius_server *s)
{
	return &s->counters;
}
