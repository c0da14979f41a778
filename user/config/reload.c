// SPDX-License-Identifier: BSD-2-Clause
/* The configuration against the one that is running. */
#include "config/schema.h"

#include <errno.h>
#include <string.h>

static bool same_value(const struct mg_key *k, const struct mg_config *a, const struct mg_config *b)
{
	const char *x, *y;

	if (k->kind != MG_KEY_TEXT)
		return mg_key_number(k, a) == mg_key_number(k, b);
	x = mg_key_text(k, a);
	y = mg_key_text(k, b);
	return x && y ? strcmp(x, y) == 0 : x == y;
}

static void refuse_change(const struct mg_key *k, const struct mg_config *running,
			  struct mg_findings *f)
{
	static const char why[] = "cannot change while running, expected";
	char plain[MG_QUOTE_BYTES];
	uint32_t value;

	if (strcmp(k->path, "store") == 0) {
		/* It may hold a password. */
		mg_finding_path(f, k->path, "%s the same as before", why);
		return;
	}
	if (k->kind == MG_KEY_TEXT) {
		const char *text = mg_key_text(k, running);

		mg_finding_path(f, k->path, "%s %s as before", why,
				text ? mg_plain(plain, text) : "none");
		return;
	}
	value = mg_key_number(k, running);
	if (k->kind == MG_KEY_NUMBER)
		mg_finding_path(f, k->path, "%s %u as before", why, value);
	else
		mg_finding_path(f, k->path, "%s %s as before", why,
				mg_name_of(k->names, k->n_names, value));
}

static bool same_interfaces(const struct mg_config *a, const struct mg_config *b)
{
	if (a->n_interfaces != b->n_interfaces)
		return false;
	for (size_t i = 0; i < a->n_interfaces; i++) {
		const struct mg_config_interface *x = &a->interfaces[i], *y = &b->interfaces[i];

		if (strcmp(x->name, y->name) != 0 || x->role != y->role || x->xdp != y->xdp)
			return false;
	}
	return true;
}

static bool same_eps(const struct mg_ep *a, size_t n_a, const struct mg_ep *b, size_t n_b)
{
	for (size_t i = 0; n_a == n_b && i < n_a; i++) {
		if (!mg_ep_equal(&a[i], &b[i]))
			return false;
	}
	return n_a == n_b;
}

static bool same_cpe(const struct mg_config_cpe *a, const struct mg_config_cpe *b)
{
	if (a->n_lan != b->n_lan || a->has_converter != b->has_converter)
		return false;
	for (size_t i = 0; i < a->n_lan; i++) {
		if (strcmp(a->lan[i], b->lan[i]) != 0)
			return false;
	}
	return !a->has_converter || mg_ep_equal(&a->converter, &b->converter);
}

/* Lists, and what is live but for one step. */
static void check_reload_rest(const struct mg_config *running, const struct mg_config *next,
			      struct mg_findings *f)
{
	static const char same_list[] =
		"cannot change while running, expected the same list as before";

	if ((running->intercept.mode == MG_MODE_OFF) != (next->intercept.mode == MG_MODE_OFF))
		refuse_change(mg_key_find("intercept.mode"), running, f);
	if (mg_config_borrows(next) && !mg_config_may_borrow(running) &&
	    running->intercept.mode == MG_MODE_OFF &&
	    running->converter.source == next->converter.source)
		mg_finding_path(f, next->policies.sharing.n_pool ? "sharing.pool" : "policies",
				"cannot be the first to use addresses that are not this host's own "
				"while running, expected a restart");
	if (!same_interfaces(running, next))
		mg_finding_path(f, "interfaces", "%s", same_list);
	if (!same_eps(running->converter.listen, running->converter.n_listen,
		      next->converter.listen, next->converter.n_listen))
		mg_finding_path(f, "converter.listen", "%s", same_list);
	if (!same_eps(running->converter.signal, running->converter.n_signal,
		      next->converter.signal, next->converter.n_signal))
		mg_finding_path(f, "converter.signal", "%s", same_list);
	if (!same_cpe(&running->cpe, &next->cpe))
		mg_finding_path(f, "cpe",
				"cannot change while running, expected the same as before");
}

static bool is_steered(const struct mg_config_steer *s)
{
	return s->n_proxies || s->n_gateways;
}

/*
 * Proxies, groups, virtual addresses, rules and gateways come and go. What does not is what was
 * decided at the start: which program runs, and how large its maps are.
 */
static void check_reload_steer(const struct mg_config *running, const struct mg_config *next,
			       struct mg_findings *f)
{
	if (is_steered(&running->steer) != is_steered(&next->steer))
		mg_finding_path(f, next->steer.n_gateways ? "gateways" : "proxies",
				"cannot change while running from or to none, expected %s",
				is_steered(&running->steer) ? "some" : "none as before");
	if (next->steer.n_groups > running->steer.n_groups)
		mg_finding_path(f, "groups",
				"cannot become more while running, expected at most %zu",
				running->steer.n_groups);
}

int mg_config_check_reload(const struct mg_config *running, const struct mg_config *next,
			   FILE *errors)
{
	struct mg_findings f = { .out = errors, .tree = next->tree };

	for (size_t i = 0; i < mg_keys_count; i++) {
		const struct mg_key *k = &mg_keys[i];

		if (k->live || same_value(k, running, next))
			continue;
		/* Neither file names it: only the host's name can have changed behind our back. */
		if (running->tree && next->tree && !mg_tree_find(running->tree, k->path) &&
		    !mg_tree_find(next->tree, k->path))
			continue;
		refuse_change(k, running, &f);
	}
	check_reload_rest(running, next, &f);
	check_reload_steer(running, next, &f);
	mg_findings_end(&f);
	return f.count ? -EBUSY : 0;
}
