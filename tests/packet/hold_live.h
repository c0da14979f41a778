/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Holding on real interfaces: px0 and the TAP device with their programs, a client behind px0 in a
 * namespace of its own. Failures end the test.
 */
#ifndef MG_TESTS_HOLD_LIVE_H
#define MG_TESTS_HOLD_LIVE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "hold_run.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define PORT  8080
#define TRIES 500 /* of 2 ms */

struct hold_live {
	struct hold_run run;
	int own_ns, client_ns;
};

extern struct hold_live live;

/* Fixtures for cmocka: of the program, of each test. */
int live_set_up(void **state);
int live_tear_down(void **state);
int live_fresh(void **state);

/* The program on px0 instead of the one that is there: 0 or -errno. */
int live_attach(const struct bpf_program *door);
/* From here on sockets and commands are in this namespace. */
void live_enter(int ns);

socklen_t live_address(struct sockaddr_storage *to, const char *ip, uint16_t port);
/* A socket of the client's that has begun to connect to FAR, from its first address. */
int live_client(bool v6, int protocol, uint16_t from, uint16_t to);
void live_send(const uint8_t *frame, size_t len);

/* The one record that comes next. */
const struct hold_record *live_record(void);
struct mg_replay live_trailer(const struct hold_record *r, enum mg_replay_how how);
/* Brings a frame back with this trailer, checksums put right as the daemon does. */
void live_replay(const struct hold_record *r, const struct mg_replay *tail);

#endif
