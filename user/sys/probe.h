/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What this kernel can do, found by doing it, never by its version.
 */
#ifndef MG_SYS_PROBE_H
#define MG_SYS_PROBE_H

#include <stdbool.h>

/* X(symbol, label, what is lost without it) */
#define MG_FEATURES(X)                                                                         \
	X(MPTCP, mptcp, "clients are served over plain TCP only")                              \
	X(MPTCP_SYN_DATA, mptcp_syn_data,                                                      \
	  "Convert messages in the SYN are not taken from MPTCP clients; they come after the " \
	  "handshake, one round trip later")                                                   \
	X(PATH_EVENTS, path_events, "joins are not counted, backup flags not shown")           \
	X(PATH_PRIORITY, path_priority,                                                        \
	  "no path is made a backup: steering other than by split only slows paths down")      \
	X(SYNACK_OPTIONS, synack_options, "the Extended TCP Header TLV stays empty")           \
	X(XDP, xdp, "packets are not classified")                                              \
	X(XDP_DISPATCHER, xdp_dispatcher, "another XDP program cannot share an interface")     \
	X(TRANSPARENT_SOURCE, transparent_source, "source: preserved does not work")           \
	X(HOLD, hold,                                                                          \
	  "no SYN is held: intercept and cpe do not work, and converter.reply is at-once")

enum mg_feature {
#define X(sym, label, lost) MG_FEATURE_##sym,
	MG_FEATURES(X)
#undef X
		MG_FEATURE_COUNT
};

struct mg_features {
	bool have[MG_FEATURE_COUNT];
};

/* The socket features; the rest is for those who load and attach. Loopback has to be up for
 * MPTCP_SYN_DATA to be found. */
void mg_probe_sockets(struct mg_features *f);
const char *mg_feature_label(enum mg_feature feature);
const char *mg_feature_lost(enum mg_feature feature);
/* A line for every one that is missing. */
void mg_features_log(const struct mg_features *f);

#endif
