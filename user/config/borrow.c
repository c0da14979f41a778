// SPDX-License-Identifier: BSD-2-Clause
/* Whose addresses servers see. */
#include "config/config.h"

bool mg_config_borrows(const struct mg_config *c)
{
	return mg_config_any_preserved(c) || c->policies.sharing.n_pool;
}
