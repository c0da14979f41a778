// SPDX-License-Identifier: BSD-2-Clause
/* Whose addresses servers see. */
#include "config/schema.h"

bool mg_config_borrows(const struct mg_config *c)
{
	return mg_config_any_preserved(c) || c->policies.sharing.n_pool;
}

bool mg_config_may_borrow(const struct mg_config *c)
{
	return mg_config_borrows(c) || (c->policies.any && mg_config_has_role(c, MG_ROLE_CORE));
}
