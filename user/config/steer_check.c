// SPDX-License-Identifier: BSD-2-Clause
/* What can be said against gateways and proxies without looking at the host. */
#include "config/schema.h"

#include <string.h>

static void check_rules(const struct mg_config_steer *s, struct mg_findings *f)
{
	char path[64];

	for (size_t i = 0; i < s->n_rules; i++) {
		if (s->rules[i].group_is_named || s->rules[i].group != MG_CONFIG_NO_GROUP)
			continue;
		snprintf(path, sizeof(path), "selection[%zu]", i);
		mg_finding_path(f, path, "leads to no group, expected group, or expect and groups");
	}
}

void mg_config_check_steer(const struct mg_config *c, struct mg_findings *f)
{
	check_rules(&c->steer, f);
}
