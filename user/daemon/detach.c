// SPDX-License-Identifier: BSD-2-Clause
/*
 * Being rid of what a daemon left that is not going to be started again.
 */
#include <unistd.h>

#include "base/log.h"
#include "daemon/daemon.h"
#include "sys/claim.h"

int mg_daemon_detach(const struct mg_config *c)
{
	int err = mg_dp_detach(c), rules;
	pid_t owner;

	if (err)
		return err;
	rules = mg_claim_rules(&owner);
	/* A daemon of another configuration may have them. */
	if (rules >= 0) {
		mg_rtnl_del_local_rules(MG_DP_MARK);
		close(rules);
	}
	mg_info("nothing of mpgated's is left on the interfaces and in %s", c->bpffs);
	return 0;
}
