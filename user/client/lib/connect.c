// SPDX-License-Identifier: BSD-2-Clause
/* The state machine with plain sockets, and with somebody waiting for it. */
#include "mpgate/mpgate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "client/lib/conn.h"

int mpgate_start(struct mpgate_conn **conn, const struct mpgate_options *options,
		 const struct sockaddr *dest, const void *data, size_t data_len)
{
	return mg_conn_start(conn, options, dest, data, data_len, NULL);
}

int mpgate_connect(const struct mpgate_options *options, const struct sockaddr *dest,
		   const void *data, size_t data_len, struct mpgate_result *result)
{
	struct mpgate_conn *c;
	int fd, err = mpgate_start(&c, options, dest, data, data_len);

	if (err)
		return err;
	while (mpgate_step(c) == -EAGAIN) {
		struct pollfd p = { .fd = mpgate_fd(c), .events = mpgate_events(c) };

		/* Interrupted or not, the step finds out. */
		poll(&p, 1, mpgate_timeout_ms(c));
	}
	fd = mpgate_finish(c, result);
	if (fd >= 0 && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}
