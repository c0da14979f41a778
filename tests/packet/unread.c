// SPDX-License-Identifier: BSD-2-Clause
#include "unread.h"

#include <assert.h>
#include <string.h>

#include "rows.h"

#define WHY(reason_) .reason = MG_REASON_##reason_
#define SIXTEEN	     B(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)

const struct unread unread[] = {
	/* SYNs that Linux answers */
	{ WHY(TCP_OPTION_OVERRUN), { .flags = F_SYN, .opts = B(MSS, 253, 1, 0, 0) } },
	{ WHY(TCP_OPTION_OVERRUN), { .flags = F_SYN, .opts = B(MSS, MPC_V1, 253, 1, 0, 0) } },
	{ WHY(TCP_OPTION_OVERRUN),
	  { .flags = F_SYN, .opts = B(LINUX_SYN, MPC_V1, 253, 9, 0, 0), .payload = B(CONVERT) } },
	{ WHY(TCP_OPTION_OVERRUN), { .v6 = true, .flags = F_SYN, .opts = B(MSS, 253, 0) } },
	{ WHY(FRAGMENT), { .frag = 0x2000, .flags = F_SYN, .opts = B(MSS, MPC_V1) } },
	{ WHY(FRAGMENT), { .frag = 0x2003, .body = SIXTEEN } },
	{ WHY(FRAGMENT), { .frag = 0x0003, .body = SIXTEEN } },
	{ WHY(FRAGMENT), { .vlan = { 0x8100 }, .frag = 0x0003, .body = SIXTEEN } },
	{ WHY(FRAGMENT),
	  { .v6 = true,
	    .ext = { { .kind = 44, .len = 8, .frag = 1 } },
	    .flags = F_SYN,
	    .opts = B(MSS) } },
	{ WHY(FRAGMENT),
	  { .v6 = true, .ext = { { .kind = 44, .len = 8, .frag = 0x0018 } }, .body = SIXTEEN } },
	{ WHY(FRAGMENT),
	  { .v6 = true,
	    .ext = { EXT8(0), EXT8(60), { .kind = 44, .len = 8, .frag = 0x0019 } },
	    .body = SIXTEEN } },
	/* …of which TCP may be behind more headers */
	{ WHY(FRAGMENT),
	  { .v6 = true,
	    .ext = { { .kind = 44, .len = 8, .frag = 1 }, EXT8(60) },
	    .flags = F_SYN } },
	{ WHY(EXT_HEADER_LIMIT),
	  { .v6 = true,
	    .ext = { EXT8(60), EXT8(60), EXT8(60), EXT8(60), EXT8(60), EXT8(60), EXT8(60) },
	    .flags = F_SYN,
	    .opts = B(MSS) } },
	{ WHY(NOT_LINEAR),
	  { .v6 = true,
	    .ext = { { .kind = 60, .len = 2048 }, { .kind = 60, .len = 2048 } },
	    .flags = F_SYN } },
	{ WHY(VLAN_DEPTH), { .vlan = { 0x88a8, 0x8100, 0x8100 }, .flags = F_SYN } },
	{ WHY(VLAN_DEPTH), { .v6 = true, .vlan = { 0x88a8, 0x8100, 0x8100 }, .flags = F_SYN } },
	/* what it drops itself */
	{ WHY(TCP_BAD_FLAGS), { .flags = F_SYN | F_FIN, .opts = B(MSS) } },
	{ WHY(TCP_BAD_FLAGS), { .v6 = true, .flags = F_SYN | F_RST } },
	{ WHY(TCP_BAD_OFFSET), { .flags = F_SYN, .doff = 15 } },
	{ WHY(IP_TRUNCATED), { .flags = F_SYN, .ip_len = 400 } },
};
const size_t n_unread = sizeof(unread) / sizeof(unread[0]);

const struct unread unread_others[] = {
	{ WHY(FRAGMENT), { .protocol = 17, .frag = 0x2000, .body = SIXTEEN } },
	{ WHY(FRAGMENT), { .protocol = 17, .frag = 0x0003, .body = SIXTEEN } },
	{ WHY(FRAGMENT),
	  { .v6 = true,
	    .ext = { { .kind = 44, .len = 8, .frag = 0x0018 } },
	    .protocol = 17,
	    .body = SIXTEEN } },
	{ WHY(VLAN_DEPTH),
	  { .vlan = { 0x88a8, 0x8100, 0x8100 }, .protocol = 17, .body = SIXTEEN } },
	{ WHY(VLAN_DEPTH), { .vlan = { 0x8100, 0x8100, 0x8100 }, .ethertype = 0x0806 } },
	{ WHY(NOT_TCP), { .protocol = 17, .body = SIXTEEN } },
	{ WHY(NOT_IP), { .ethertype = 0x0806 } },
	{ WHY(TCP_SEGMENT), { .flags = F_ACK, .opts = B(MSS, 253, 1, 0, 0) } },
	{ WHY(TCP_SEGMENT), { .v6 = true, .flags = F_ACK } },
};
const size_t n_unread_others = sizeof(unread_others) / sizeof(unread_others[0]);

size_t unread_tagged(uint8_t *buf, const struct frame *f, size_t tags)
{
	static const uint8_t tag[4] = { 0x81, 0, 0, 0 };
	size_t len = frame_build(buf, f);

	assert(len + tags * sizeof(tag) <= FRAME_MAX);
	memmove(buf + 12 + tags * sizeof(tag), buf + 12, len - 12);
	for (size_t i = 0; i < tags; i++)
		memcpy(buf + 12 + i * sizeof(tag), tag, sizeof(tag));
	return len + tags * sizeof(tag);
}
