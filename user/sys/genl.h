/* SPDX-License-Identifier: BSD-2-Clause */
/* Generic netlink, as far as the MPTCP path manager needs it. */
#ifndef MG_SYS_GENL_H
#define MG_SYS_GENL_H

#include <libmnl/libmnl.h>
#include <stdint.h>

struct mg_genl {
	struct mnl_socket *nl;
	uint16_t family;
	uint8_t version;
	uint32_t group, seq;
	char buf[32768];
};

/* A socket, and the numbers of the family and, unless it is NULL, of its multicast group. 0,
 * -ENOENT on kernels without it, or -errno. */
int mg_genl_open(struct mg_genl *g, const char *family, uint8_t version, const char *group);
void mg_genl_close(struct mg_genl *g);

/* A request in g->buf, to be filled with attributes; flags beside NLM_F_REQUEST. */
struct nlmsghdr *mg_genl_request(struct mg_genl *g, uint8_t command, uint16_t flags);
/* Sends it, and hands each message of the answer to fn (NULL: there is none but the
 * acknowledgement, which NLM_F_ACK asks for). 0 or -errno. */
int mg_genl_talk(struct mg_genl *g, struct nlmsghdr *nlh, mnl_cb_t fn, void *ctx);

#endif
