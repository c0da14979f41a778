// SPDX-License-Identifier: BSD-2-Clause
/* A configuration once more. */
#include "config/policies.h"

#include <stdlib.h>
#include <string.h>

/* `pointer` is of a pointer to n things of `size` bytes, which becomes one to a copy of them; NULL,
 * and *ok false, without memory: so that all of a copy can be freed, however far it got. */
static bool copy_list(void *pointer, size_t n, size_t size, bool *ok)
{
	void *from, *to = NULL;

	memcpy(&from, pointer, sizeof(from));
	if (from && *ok) {
		to = malloc(n * size + 1);
		*ok = to != NULL;
	}
	if (to)
		memcpy(to, from, n * size);
	memcpy(pointer, &to, sizeof(to));
	return to != NULL;
}

static void copy_text(char **text, bool *ok)
{
	copy_list(text, *text ? strlen(*text) + 1 : 0, 1, ok);
}

/* Lists whose items own something: 0 of them where the list itself has no copy. */
#define COPY_OWNING(list, n, ok)                                     \
	do {                                                         \
		if (!copy_list(&(list), (n), sizeof(*(list)), (ok))) \
			(n) = 0;                                     \
	} while (0)
#define COPY(list, n, ok) copy_list(&(list), (n), sizeof(*(list)), (ok))

static void copy_policy(struct mg_config_policy *policy, bool *ok)
{
	COPY(policy->subscribers, policy->n_subscribers, ok);
	COPY(policy->services, policy->n_services, ok);
	COPY(policy->access, policy->n_access, ok);
	COPY(policy->split, policy->n_split, ok);
	COPY(policy->order, policy->n_order, ok);
}

static void copy_subscribers(struct mg_config_subscribers *s, bool *ok)
{
	COPY(s->prefixes, s->n_prefixes, ok);
	COPY_OWNING(s->identities, s->n_identities, ok);
	for (size_t i = 0; i < s->n_identities; i++)
		copy_text(&s->identities[i], ok);
	copy_text(&s->match_file, ok);
}

static void copy_policies(struct mg_config_policies *p, bool *ok)
{
	COPY_OWNING(p->access, p->n_access, ok);
	for (size_t i = 0; i < p->n_access; i++) {
		COPY(p->access[i].prefixes, p->access[i].n_prefixes, ok);
		COPY(p->access[i].interfaces, p->access[i].n_interfaces, ok);
	}
	COPY_OWNING(p->services, p->n_services, ok);
	for (size_t i = 0; i < p->n_services; i++)
		COPY(p->services[i].match, p->services[i].n_match, ok);
	COPY_OWNING(p->subscribers, p->n_subscribers, ok);
	for (size_t i = 0; i < p->n_subscribers; i++)
		copy_subscribers(&p->subscribers[i], ok);
	COPY_OWNING(p->policies, p->n_policies, ok);
	for (size_t i = 0; i < p->n_policies; i++)
		copy_policy(&p->policies[i], ok);
	copy_policy(&p->fallback, ok);
	COPY_OWNING(p->radius.clients, p->radius.n_clients, ok);
	for (size_t i = 0; i < p->radius.n_clients; i++)
		copy_text(&p->radius.clients[i].secret_file, ok);
	COPY(p->radius.types, p->radius.n_types, ok);
	COPY(p->sharing.pool, p->sharing.n_pool, ok);
	copy_text(&p->sharing.log_file, ok);
}

static void copy_steer(struct mg_config_steer *s, bool *ok)
{
	COPY_OWNING(s->groups, s->n_groups, ok);
	for (size_t i = 0; i < s->n_groups; i++)
		COPY(s->groups[i].members, s->groups[i].n_members, ok);
	copy_text(&s->gateway.location, ok);
	COPY(s->proxies, s->n_proxies, ok);
	COPY(s->virtuals, s->n_virtuals, ok);
	COPY(s->rules, s->n_rules, ok);
	COPY(s->gateways, s->n_gateways, ok);
	copy_text(&s->store, ok);
}

struct mg_config *mg_config_copy(const struct mg_config *c)
{
	struct mg_config *to = malloc(sizeof(*to));
	bool ok = true;

	if (!to)
		return NULL;
	*to = *c;
	to->tree = c->tree ? mg_tree_copy(c->tree) : NULL;
	ok = !c->tree || to->tree;
	copy_text(&to->node, &ok);
	copy_text(&to->runtime_dir, &ok);
	copy_text(&to->bpffs, &ok);
	COPY(to->interfaces, to->n_interfaces, &ok);
	COPY(to->converter.listen, to->converter.n_listen, &ok);
	COPY(to->converter.signal, to->converter.n_signal, &ok);
	copy_text(&to->converter.cookie_key_file, &ok);
	COPY(to->intercept.ports, to->intercept.n_ports, &ok);
	COPY(to->intercept.except, to->intercept.n_except, &ok);
	COPY(to->cpe.lan, to->cpe.n_lan, &ok);
	copy_steer(&to->steer, &ok);
	copy_policies(&to->policies, &ok);
	COPY(to->destinations.allow, to->destinations.n_allow, &ok);
	COPY(to->destinations.deny, to->destinations.n_deny, &ok);
	if (ok)
		return to;
	mg_config_free(to);
	return NULL;
}
