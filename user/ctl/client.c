// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static void explain_connect(int err, const char *path, char *why, size_t why_size)
{
	if (err == ENOENT || err == ECONNREFUSED)
		snprintf(why, why_size, "no daemon at %s (is mpgated running?)", path);
	else if (err == EACCES || err == EPERM)
		snprintf(why, why_size, "no permission for %s (run as root, or join its group)",
			 path);
	else
		snprintf(why, why_size, "cannot connect to %s: %s", path, strerror(err));
}

int mg_ctl_connect(const char *path, char *why, size_t why_size)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = MG_CTL_TIMEOUT_S };
	int fd, err;

	if (strlen(path) >= sizeof(at.sun_path)) {
		snprintf(why, why_size, "the path of a socket has at most %zu bytes: %s",
			 sizeof(at.sun_path) - 1, path);
		return -ENAMETOOLONG;
	}
	memcpy(at.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0 &&
	    connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	err = errno;
	explain_connect(err, path, why, why_size);
	if (fd >= 0)
		close(fd);
	return -err;
}

static int send_line(int fd, const char *line)
{
	size_t len = strlen(line);

	while (len) {
		ssize_t n = send(fd, line, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		line += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Up to a newline, which is where an answer ends. *line is for free(), also after an error. */
static int receive_line(int fd, char **line, size_t *len)
{
	size_t room = 0;

	*line = NULL;
	*len = 0;
	for (;;) {
		ssize_t n;

		if (*len == room) {
			char *more;

			if (room == MG_CTL_ANSWER_MAX_BYTES)
				return -EMSGSIZE;
			room = room ? room * 2 : 65536;
			more = realloc(*line, room);
			if (!more)
				return -ENOMEM;
			*line = more;
		}
		n = recv(fd, *line + *len, room - *len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n == 0)
			return -ECONNRESET;
		*len += (size_t)n;
		if ((*line)[*len - 1] == '\n')
			return 0;
	}
}

static const char *explain_loss(int err)
{
	switch (err) {
	case -ETIMEDOUT:
	case -EAGAIN:
		return "the daemon does not answer";
	case -ECONNRESET:
	case -EPIPE:
		return "the daemon closed the connection";
	case -EMSGSIZE:
		return "the daemon's answer is too long";
	default:
		return strerror(-err);
	}
}

int mg_ctl_ask(int fd, const struct mg_control_request *req, json_t **result, char *why,
	       size_t why_size)
{
	char *request = mg_control_format_request(req), *answer = NULL;
	size_t len;
	int err;

	*result = NULL;
	err = request ? send_line(fd, request) : -ENOMEM;
	free(request);
	if (!err)
		err = receive_line(fd, &answer, &len);
	if (err)
		snprintf(why, why_size, "%s", explain_loss(err));
	else
		err = mg_control_parse_answer(result, answer, len, why, why_size);
	free(answer);
	return err;
}
