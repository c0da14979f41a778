/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libmpgate-preload.so: takes the TCP connections of any dynamically linked program through a
 * Transport Converter.
 *
 * How it works. connect() on a TCP socket puts an MPTCP socket in its place, on the same descriptor
 * and with the same options, and starts a connection attempt of libmpgate on it. While the
 * converter's answer is outstanding the descriptor has a flow in state PENDING: the functions a
 * program can wait with (poll, select, epoll, and blocking connect itself) wait for the answer
 * instead of the handshake, take it off the bytestream and only then say "writable". From then on
 * the descriptor is an ordinary socket and nothing stands between program and kernel; the flow
 * stays for getpeername() and the like.
 *
 * Why so. A helper thread or a socketpair would have to survive fork, exec and programs that close
 * every descriptor, and would copy each byte. A socket that really is the connection keeps
 * getsockopt, splice, shutdown, passing it to children and its speed. The waiting functions are
 * few, and a program that waits by other means (a raw system call) still gets it right: asking for
 * SO_ERROR, reading or writing first completes the attempt.
 *
 * Epoll: an epoll set holds a file, not a number, so whenever the file behind a descriptor changes
 * its registrations are renewed; while PENDING they carry our data (a pointer to struct reg), and
 * what the program asked for is put back when the answer is there.
 *
 * Threads and signals: flows change under one lock, held with all signals blocked and never while
 * waiting. The fast path of every wrapper is one load. `shim_busy` says that this thread is inside:
 * wrappers it reaches then go straight to libc.
 *
 * A process after exec() knows nothing of flows made before it: its sockets work, but getpeername()
 * names the converter.
 */
#ifndef MG_PRELOAD_SHIM_H
#define MG_PRELOAD_SHIM_H

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include "base/addr.h"
#include "mpgate/mpgate.h"

#define EXPORT __attribute__((visibility("default")))

/* ---- libc's own functions (real.c) --------------------------------------------------------------
 */

/* X(result, name, arguments) */
#define SHIM_REALS(X)                                                                            \
	X(int, connect, (int, const struct sockaddr *, socklen_t))                               \
	X(int, close, (int))                                                                     \
	X(int, close_range, (unsigned int, unsigned int, int))                                   \
	X(void, closefrom, (int))                                                                \
	X(int, dup, (int))                                                                       \
	X(int, dup2, (int, int))                                                                 \
	X(int, dup3, (int, int, int))                                                            \
	X(int, fcntl, (int, int, ...))                                                           \
	X(int, getpeername, (int, struct sockaddr *, socklen_t *))                               \
	X(int, getsockname, (int, struct sockaddr *, socklen_t *))                               \
	X(int, getsockopt, (int, int, int, void *, socklen_t *))                                 \
	X(int, setsockopt, (int, int, int, const void *, socklen_t))                             \
	X(int, shutdown, (int, int))                                                             \
	X(int, poll, (struct pollfd *, nfds_t, int))                                             \
	X(int, ppoll, (struct pollfd *, nfds_t, const struct timespec *, const sigset_t *))      \
	X(int, select, (int, fd_set *, fd_set *, fd_set *, struct timeval *))                    \
	X(int, pselect,                                                                          \
	  (int, fd_set *, fd_set *, fd_set *, const struct timespec *, const sigset_t *))        \
	X(int, epoll_ctl, (int, int, int, struct epoll_event *))                                 \
	X(int, epoll_wait, (int, struct epoll_event *, int, int))                                \
	X(int, epoll_pwait, (int, struct epoll_event *, int, int, const sigset_t *))             \
	X(int, epoll_pwait2,                                                                     \
	  (int, struct epoll_event *, int, const struct timespec *, const sigset_t *))           \
	X(ssize_t, read, (int, void *, size_t))                                                  \
	X(ssize_t, readv, (int, const struct iovec *, int))                                      \
	X(ssize_t, recv, (int, void *, size_t, int))                                             \
	X(ssize_t, recvfrom, (int, void *, size_t, int, struct sockaddr *, socklen_t *))         \
	X(ssize_t, recvmsg, (int, struct msghdr *, int))                                         \
	X(int, recvmmsg, (int, struct mmsghdr *, unsigned int, int, struct timespec *))          \
	X(ssize_t, write, (int, const void *, size_t))                                           \
	X(ssize_t, writev, (int, const struct iovec *, int))                                     \
	X(ssize_t, send, (int, const void *, size_t, int))                                       \
	X(ssize_t, sendto, (int, const void *, size_t, int, const struct sockaddr *, socklen_t)) \
	X(ssize_t, sendmsg, (int, const struct msghdr *, int))                                   \
	X(int, sendmmsg, (int, struct mmsghdr *, unsigned int, int))                             \
	X(ssize_t, sendfile, (int, int, off_t *, size_t))                                        \
	X(ssize_t, splice, (int, off64_t *, int, off64_t *, size_t, unsigned int))

struct shim_real {
#define X(result, name, args) result(*name) args;
	SHIM_REALS(X)
#undef X
};
extern struct shim_real shim_real;
extern atomic_bool shim_ready;
void shim_init(void);

static inline const struct shim_real *libc_(void)
{
	if (!atomic_load_explicit(&shim_ready, memory_order_acquire))
		shim_init();
	return &shim_real;
}
/* libc's function of that name */
#define REAL(name) (libc_()->name)

/* What the environment says; read once. */
struct shim_config {
	bool active; /* a converter is configured */
	int bad;     /* -errno: configured, but not understood: nothing connects */
	struct mpgate_options options;
	struct mg_ep converter;
	struct mg_prefix direct[32]; /* MPGATE_DIRECT: left alone */
	size_t n_direct;
};
extern struct shim_config shim_config;

/* ---- flows (flow.c) -----------------------------------------------------------------------------
 */

#define SHIM_MAX_FD 65536
#define FLOW_REGS   4

enum flow_state {
	FLOW_NONE,
	FLOW_WATCHED, /* an unconnected socket in epoll sets: remembered for its connect() */
	FLOW_PENDING, /* waiting for the converter's answer */
	FLOW_FAILED,  /* err not yet told; the descriptor is an unconnected socket again */
	FLOW_DONE,    /* connected through the converter */
};

/* A registration in an epoll set, as the program made it. Its address is our epoll data. */
struct reg {
	int epfd; /* -1: unused */
	int fd;
	struct epoll_event wanted;
};

struct flow {
	_Atomic(unsigned char) state;
	bool bound;	    /* the program had bound its socket, to local */
	sa_family_t family; /* the program's socket */
	int fd;
	int err;	     /* positive, when FAILED */
	pid_t owner;	     /* a child of vfork() must not touch its parent's flows */
	unsigned int serial; /* tells two flows on one descriptor apart */
	uint64_t so_cookie;  /* the kernel's id of the socket: a stale flow shows */
	struct mg_ep peer, local;
	int rcvbuf, sndbuf; /* as the program set them; 0: not set */
	struct mpgate_conn *conn;
	int64_t started_ms;
	struct flow *next; /* of the pending ones */
	struct reg regs[FLOW_REGS];
};

extern struct flow shim_flows[SHIM_MAX_FD];
extern atomic_int shim_hot; /* flows in state PENDING or FAILED */
extern __thread int shim_busy __attribute__((tls_model("initial-exec")));

/* The state of a descriptor, without lock: NONE for most. */
static inline enum flow_state flow_state(int fd)
{
	if (fd < 0 || fd >= SHIM_MAX_FD || shim_busy)
		return FLOW_NONE;
	return atomic_load_explicit(&shim_flows[fd].state, memory_order_relaxed);
}

static inline bool flow_is_hot(int fd)
{
	enum flow_state s = flow_state(fd);

	return s == FLOW_PENDING || s == FLOW_FAILED;
}

void flow_lock(sigset_t *saved);
void flow_unlock(const sigset_t *saved);

/* All below: with the lock held. */
struct flow *flow_get(int fd); /* NULL: none, or its socket is gone */
struct flow *flow_new(int fd); /* keeps the registrations of a WATCHED one */
void flow_set_state(struct flow *f, enum flow_state state);
void flow_drop(struct flow *f);	     /* forget it, the descriptor stays */
uint64_t flow_so_cookie(int fd);     /* 0: not a socket */
int flow_timeout_ms(int timeout_ms); /* the shorter of this and what pending flows wait for */
void flow_step_due(void);	     /* step the pending flows whose time is up */
/* 0: connected. -EAGAIN: still pending. Any other: failed (or the flow is gone). */
int flow_step(struct flow *f);

/* Without the lock: waits until fd is not PENDING. 0; or -errno, -EINTR and -EINPROGRESS leaving
 * it pending (deadline_ms: CLOCK_MONOTONIC, -1 none). */
int flow_wait(int fd, int64_t deadline_ms);

int64_t shim_now_ms(void);

/* ---- sockets (socket.c) -------------------------------------------------------------------------
 */

/* Hooks of the connection attempt; arg is the flow. */
int sock_open(void *arg, int family, int protocol, int old);
void sock_close(void *arg, int fd);
/* Before the first attempt: what of the program's socket cannot be told later. */
void sock_remember(struct flow *f);
/* A flow became connected: epoll sets get what the program wants. */
void sock_release(struct flow *f);

/* ---- the rest -----------------------------------------------------------------------------------
 */

/* connect.c: whether a TCP connection of fd to this address goes through the converter. */
bool connect_is_ours(int fd, const struct sockaddr *addr, socklen_t len, struct mg_ep *dest);
/* 0 or -errno, as connect(); with data for the SYN. */
int connect_through(int fd, const struct mg_ep *dest, const void *data, size_t len, bool nonblock);

/* wait.c: poll() where some descriptors have hot flows. timeout_ms -1: for ever. */
int wait_poll(struct pollfd *fds, nfds_t n, int timeout_ms, const sigset_t *mask);

/* epoll.c: the events to register with the kernel for a pending flow. */
struct epoll_event epoll_pending_event(const struct flow *f, struct reg *r);

/* names.c: addr in the family the program knows its socket to have. */
void name_store(const struct mg_ep *ep, sa_family_t family, struct sockaddr *addr, socklen_t *len);

/* log.c: a line for the outcome of a flow, if asked for. */
void shim_log_init(void);
void shim_log_outcome(const struct flow *f, const struct mpgate_result *result, int err);

#endif
