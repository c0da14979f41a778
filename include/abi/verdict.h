/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the data plane says about a packet: its class (what it is), its verdict (what is done with
 * it) and one reason (why). Every packet counts once in each of the three lists.
 *
 * A line here is at once the number in the program, the counter in the maps, the label on the
 * command line and the text in the documents: X(SYMBOL, label, "doc"). Append; the order is ABI.
 */
#ifndef MG_ABI_VERDICT_H
#define MG_ABI_VERDICT_H

#define MG_CLASSES(X)                                                                       \
	X(OTHER, other, "not TCP, or TCP that cannot be looked into (fragments)")           \
	X(DATA, data, "TCP beyond the opening SYN, a SYN+ACK included")                     \
	X(SYN, syn, "opening SYN of plain TCP")                                             \
	X(MP_CAPABLE, mp_capable, "opening SYN of an MPTCP v1 connection")                  \
	X(MP_JOIN, mp_join, "SYN of a further MPTCP subflow")                               \
	X(CONVERT, convert, "SYN to a converter address with a Convert message (RFC 8803)") \
	X(MALFORMED, malformed, "headers that lie or end too early")

#define MG_VERDICTS(X)                                     \
	X(PASS, pass, "goes on to the kernel")             \
	X(DROP, drop, "goes no further")                   \
	X(STEER, steer, "goes to a proxy of another host") \
	X(ANSWER, answer, "is answered from here")

/* Why a session or subflow is not admitted: the last of the reasons, and a list of their own for
 * what no packet shows (abi/policy.h) */
#define MG_REFUSALS(X)                                                                      \
	X(DENIED, denied, "the policy is deny")                                             \
	X(OVER_SESSIONS, over_sessions, "the subscriber has as many sessions as it may")    \
	X(OVER_RATE, over_rate, "the subscriber opens sessions faster than it may")         \
	X(OVER_HELD, over_held, "too many of the subscriber's SYNs are held")               \
	X(OVER_SUBFLOWS, over_subflows, "the subscriber has as many subflows as it may")    \
	X(OVER_SESSION_SUBFLOWS, over_session_subflows, "the session has as many subflows") \
	X(OVER_SERVICE, over_service, "the service has as many sessions as it may")         \
	X(OVER_SERVICE_SUBSCRIBER, over_service_subscriber,                                 \
	  "the subscriber has as many sessions of this service as it may")                  \
	X(OVER_PROXY, over_proxy, "this proxy has max_sessions")                            \
	X(NO_COOKIE, no_cookie, "third-party access: no Convert message with a cookie")     \
	X(BAD_COOKIE, bad_cookie, "third-party access: a cookie that is not valid")         \
	X(NO_TOKEN, no_token, "third-party access: a join whose token is not known")        \
	X(TRANSIT, transit, "third-party access: MPTCP to others than us, not wanted")      \
	X(UNREADABLE, unreadable, "third-party access: TCP to us that hides what it is, or lies")

#define MG_REASONS(X)                                                                           \
	/* class other */                                                                       \
	X(NOT_IP, not_ip, "neither IPv4 nor IPv6")                                              \
	X(VLAN_DEPTH, vlan_depth, "more than two VLAN tags")                                    \
	X(NOT_TCP, not_tcp, "an IP protocol other than TCP")                                    \
	X(FRAGMENT, fragment, "a fragment, first or later")                                     \
	X(EXT_HEADER_LIMIT, ext_header_limit, "more IPv6 extension headers than are walked")    \
	X(NOT_LINEAR, not_linear, "headers beyond the packet's first buffer")                   \
	/* class data */                                                                        \
	X(TCP_SEGMENT, tcp_segment, "no SYN flag")                                              \
	X(TCP_SYNACK, tcp_synack, "SYN and ACK")                                                \
	/* opening SYNs */                                                                      \
	X(PLAIN_SYN, plain_syn, "SYN without an MPTCP option")                                  \
	X(MPTCP_VERSION, mptcp_version, "MP_CAPABLE of a version other than 1: plain TCP")      \
	X(MPTCP_IGNORED, mptcp_ignored, "MPTCP option RFC 8684 says to ignore: plain TCP")      \
	X(MP_CAPABLE, mp_capable, "MP_CAPABLE, version 1")                                      \
	X(MP_JOIN, mp_join, "MP_JOIN")                                                          \
	X(CONVERT_SYN, convert_syn, "to a converter, with a Convert fixed header")              \
	X(CONVERT_NO_PAYLOAD, convert_no_payload, "to a converter, the message not in the SYN") \
	X(CONVERT_BAD_HEADER, convert_bad_header,                                               \
	  "to a converter, with something else in the SYN")                                     \
	/* class malformed */                                                                   \
	X(ETH_TRUNCATED, eth_truncated, "Ethernet header or VLAN tag cut short")                \
	X(IP_TRUNCATED, ip_truncated, "IP header cut short, or length beyond the frame")        \
	X(IP_BAD_HEADER, ip_bad_header, "IP version, header length or total length impossible") \
	X(EXT_TRUNCATED, ext_truncated, "IPv6 extension header cut short")                      \
	X(TCP_TRUNCATED, tcp_truncated, "TCP header cut short")                                 \
	X(TCP_BAD_OFFSET, tcp_bad_offset, "TCP data offset below 5 or beyond the packet")       \
	X(TCP_BAD_FLAGS, tcp_bad_flags, "SYN together with FIN or RST")                         \
	X(TCP_OPTION_OVERRUN, tcp_option_overrun,                                               \
	  "TCP option of length 0 or 1, or past the header")                                    \
	/* what steering does not let through */                                                \
	X(UNKNOWN_JOIN, unknown_join, "MP_JOIN whose token nobody knows")                       \
	X(NO_PROXY, no_proxy, "for a group or a proxy that cannot be reached")                  \
	X(TUNNEL_FORGED, tunnel_forged, "in a tunnel, from where no gateway is")                \
	X(TUNNEL_TOO_BIG, tunnel_too_big, "longer than the tunnel to its proxy takes")          \
	MG_REFUSALS(X)

enum mg_class {
#define X(sym, label, doc) MG_CLASS_##sym,
	MG_CLASSES(X)
#undef X
		MG_CLASS_COUNT
};

enum mg_verdict {
#define X(sym, label, doc) MG_VERDICT_##sym,
	MG_VERDICTS(X)
#undef X
		MG_VERDICT_COUNT
};

enum mg_reason {
#define X(sym, label, doc) MG_REASON_##sym,
	MG_REASONS(X)
#undef X
		MG_REASON_COUNT
};

/* Reasons that go with class malformed; all others of parsing go with class other. */
static inline int mg_reason_is_malformed(enum mg_reason reason)
{
	return reason >= MG_REASON_ETH_TRUNCATED && reason <= MG_REASON_TCP_OPTION_OVERRUN;
}

#ifndef __bpf__
/* Labels by number; NULL for a number that is not on the list. */
static inline const char *mg_class_label(unsigned int class)
{
	static const char *const labels[] = {
#define X(sym, label, doc) #label,
		MG_CLASSES(X)
#undef X
	};
	return class < MG_CLASS_COUNT ? labels[class] : (const char *)0;
}

static inline const char *mg_verdict_label(unsigned int verdict)
{
	static const char *const labels[] = {
#define X(sym, label, doc) #label,
		MG_VERDICTS(X)
#undef X
	};
	return verdict < MG_VERDICT_COUNT ? labels[verdict] : (const char *)0;
}

static inline const char *mg_reason_label(unsigned int reason)
{
	static const char *const labels[] = {
#define X(sym, label, doc) #label,
		MG_REASONS(X)
#undef X
	};
	return reason < MG_REASON_COUNT ? labels[reason] : (const char *)0;
}
#endif

#endif
