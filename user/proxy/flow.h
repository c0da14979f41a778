/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One direction of a session: bytes from one socket to another, never reordered, lost or doubled,
 * with at most one buffer in between.
 */
#ifndef MG_PROXY_FLOW_H
#define MG_PROXY_FLOW_H

#include "proxy/session.h"

enum mg_flow_state {
	MG_FLOW_WAIT,	     /* until one of the sockets is ready again */
	MG_FLOW_MORE,	     /* had its turn, could go on */
	MG_FLOW_ENDED,	     /* the source ended, and all it sent is with the receiver */
	MG_FLOW_FROM_FAILED, /* the source broke, and all it sent before is with the receiver */
	MG_FLOW_TO_FAILED,   /* the receiver broke */
};

/* Moves what can be moved, at most about a MiB. */
enum mg_flow_state mg_flow_pump(struct mg_session *s, struct mg_flow *f, struct mg_leg *from,
				struct mg_leg *to);
/* Puts bytes of our own ahead of everything else; the flow's buffer must be free. -ENOMEM. */
int mg_flow_prepend(struct mg_session *s, struct mg_flow *f, const void *data, size_t len);
/* Only what is in the buffer: MG_FLOW_ENDED when it is empty, or WAIT, MORE, TO_FAILED. */
enum mg_flow_state mg_flow_flush(struct mg_session *s, struct mg_flow *f, struct mg_leg *to);
/* Forgets what is in the buffer. */
void mg_flow_drop(struct mg_session *s, struct mg_flow *f);

#endif
