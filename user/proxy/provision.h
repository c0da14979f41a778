/* SPDX-License-Identifier: BSD-2-Clause */
/* What a client may use of us, told when it asks (wire/provision.h), and sessions held for it. */
#ifndef MG_PROXY_PROVISION_H
#define MG_PROXY_PROVISION_H

#include "wire/convert.h"
#include "wire/provision.h"

struct mg_session;

/* Does what is asked, and puts the Provision TLV into the answer. cookie: the client showed a valid
 * one. */
void mg_provision_answer(struct mg_session *s, const struct mg_provision_request *req, bool cookie,
			 struct mg_convert_buf *answer);

#endif
