// SPDX-License-Identifier: BSD-2-Clause
/* What a client may use of its converter, asked before it acts. */
#include "mpgate/mpgate.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "client/lib/conn.h"
#include "wire/provision.h"

static void copy_names(struct mpgate_quota *quota, const struct mg_provision_answer *answer)
{
	for (size_t i = 0; i < answer->n_access; i++) {
		memcpy(quota->access[i], answer->access[i].data, answer->access[i].len);
		quota->access[i][answer->access[i].len] = '\0';
	}
	quota->n_access = (unsigned int)answer->n_access;
}

static int read_answer(struct mpgate_quota *out, struct mg_span value)
{
	struct mg_provision_answer answer;
	size_t size = out->size < sizeof(*out) ? out->size : sizeof(*out);
	struct mpgate_quota quota = { .size = size };

	if (mg_provision_parse_answer(&answer, value))
		return -EPROTO;
	quota.sessions_left = answer.sessions_left;
	quota.sessions_limit = answer.sessions_limit;
	quota.subflows = answer.subflows;
	quota.wait_s = answer.wait_s;
	quota.reservation = answer.reservation;
	quota.reserved = answer.reserved;
	quota.reserved_s = answer.reserved_s;
	quota.any_access = answer.any_access;
	quota.access_cut = answer.cut;
	copy_names(&quota, &answer);
	memcpy(out, &quota, size);
	return 0;
}

int mpgate_quota(const struct mpgate_options *options, int reserve, unsigned int seconds,
		 struct mpgate_quota *quota, struct mpgate_result *result)
{
	const struct mg_provision_request ask = { .reserve = reserve >= 0,
						  .sessions = (uint16_t)reserve,
						  .seconds = (uint16_t)seconds };
	uint8_t value[MG_PROVISION_REQUEST_BYTES];
	struct mpgate_result own = { .size = sizeof(own) };
	struct mpgate_conn *c;
	int fd, err;

	if (reserve > UINT16_MAX || seconds > UINT16_MAX)
		return -EINVAL;
	err = mg_conn_ask(&c, options,
			  (struct mg_span){ value, mg_provision_build_request(value, &ask) });
	if (err)
		return err;
	while ((err = mpgate_step(c)) == -EAGAIN) {
		struct pollfd p = { .fd = mpgate_fd(c), .events = mpgate_events(c) };

		poll(&p, 1, mpgate_timeout_ms(c));
	}
	if (!err)
		err = read_answer(quota, mg_conn_answer(c));
	result = result ? result : &own;
	fd = mpgate_finish(c, result);
	if (fd >= 0)
		close(fd);
	/* Whoever knows nothing of this says that it does not. */
	return err && result->error_code == MG_CE_UNSUPPORTED_MESSAGE ? -EOPNOTSUPP : err;
}
