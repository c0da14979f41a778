// SPDX-License-Identifier: BSD-2-Clause
/* What can be said against `intercept` and `cpe` without looking at the host. */
#include "config/schema.h"

#include <string.h>

bool mg_config_has_role(const struct mg_config *c, enum mg_role role)
{
	for (size_t i = 0; i < c->n_interfaces; i++) {
		if (c->interfaces[i].role == role)
			return true;
	}
	return false;
}

/* Those that did not parse are 0, and have had their finding. */
static bool in_list(const uint16_t *ports, size_t n, uint16_t port)
{
	for (size_t i = 0; i < n; i++) {
		if (ports[i] == port)
			return true;
	}
	return false;
}

static void check_once(const char *key, const uint16_t *ports, size_t n, struct mg_findings *f)
{
	char path[64];

	for (size_t i = 0; i < n; i++) {
		if (!ports[i])
			continue;
		for (size_t j = 0; j < i; j++) {
			if (ports[i] != ports[j])
				continue;
			snprintf(path, sizeof(path), "%s[%zu]", key, i);
			mg_finding_path(f, path, "%u is already %s[%zu], expected it once",
					ports[i], key, j);
			break;
		}
	}
}

static void check_ports(const struct mg_config_intercept *c, struct mg_findings *f)
{
	bool some = c->any_port;
	char path[64];

	check_once("intercept.ports", c->ports, c->n_ports, f);
	check_once("intercept.except", c->except, c->n_except, f);
	for (size_t i = 0; !c->any_port && i < c->n_except; i++) {
		if (!c->except[i] || in_list(c->ports, c->n_ports, c->except[i]))
			continue;
		snprintf(path, sizeof(path), "intercept.except[%zu]", i);
		mg_finding_path(f, path,
				"%u has no effect, expected a port that intercept.ports has",
				c->except[i]);
	}
	for (size_t i = 0; !some && i < c->n_ports; i++)
		some = !c->ports[i] || !in_list(c->except, c->n_except, c->ports[i]);
	if (!some)
		mg_finding_path(f, "intercept.except",
				"leaves none of intercept.ports, expected at least one");
}

void mg_config_check_intercept(const struct mg_config *c, struct mg_findings *f)
{
	const struct mg_config_intercept *i = &c->intercept;
	bool core = mg_config_has_role(c, MG_ROLE_CORE);

	check_ports(i, f);
	if (i->mode == MG_MODE_OFF)
		return;
	if (!mg_config_has_role(c, MG_ROLE_ACCESS))
		mg_finding_path(f, "intercept.mode",
				"is %s without an interface of role access, expected one: what is "
				"intercepted comes in there",
				mg_name_of(mg_mode_names, CYAML_ARRAY_LEN(mg_mode_names), i->mode));
	if (i->mode == MG_MODE_HYBRID && !core)
		mg_finding_path(
			f, "intercept.mode",
			"is hybrid without an interface of role core, expected one: "
			"servers' answers come in there, and tell whether they speak MPTCP");
	else if (i->source == MG_SOURCE_PRESERVED && !core)
		mg_finding_path(f, "intercept.source",
				"is preserved without an interface of role core, expected one: "
				"replies to the clients' own addresses come in there");
}

static void check_lan(const struct mg_config *c, size_t at, struct mg_findings *f)
{
	const char *name = c->cpe.lan[at];
	char path[64];

	snprintf(path, sizeof(path), "cpe.lan[%zu]", at);
	for (size_t i = 0; i < at; i++) {
		if (strcmp(name, c->cpe.lan[i]) != 0)
			continue;
		mg_finding_path(f, path, "%s is already cpe.lan[%zu], expected it once", name, i);
		return;
	}
	for (size_t i = 0; i < c->n_interfaces; i++) {
		if (strcmp(name, c->interfaces[i].name) != 0)
			continue;
		mg_finding_path(f, path,
				"%s is also interfaces[%zu], expected it in one of the two", name,
				i);
		return;
	}
}

static void check_isp(const struct mg_config *c, struct mg_findings *f)
{
	const struct mg_ep *ep = &c->cpe.converter;
	char text[MG_EP_STRLEN];

	if (!ep->port)
		return;
	mg_ep_format(text, ep);
	if (mg_ip_is_unspecified(&ep->ip) || mg_ip_is_multicast(&ep->ip) ||
	    mg_ip_is_broadcast(&ep->ip) || (mg_ip_is_linklocal(&ep->ip) && !mg_ip_is_v4(&ep->ip)))
		mg_finding_path(f, "cpe.converter",
				"%s is no address that all links lead to, expected the converter's "
				"own",
				text);
	for (size_t i = 0; i < c->converter.n_listen; i++) {
		if (mg_ep_equal(ep, &c->converter.listen[i]))
			mg_finding_path(f, "cpe.converter",
					"%s is converter.listen[%zu], expected another host's",
					text, i);
	}
}

void mg_config_check_cpe(const struct mg_config *c, struct mg_findings *f)
{
	const struct mg_config_cpe *cpe = &c->cpe;

	for (size_t i = 0; i < cpe->n_lan; i++) {
		if (*cpe->lan[i])
			check_lan(c, i, f);
	}
	if (cpe->n_lan && !mg_config_has_role(c, MG_ROLE_ACCESS))
		mg_finding_path(f, "cpe.lan",
				"is there without an interface of role access, expected the links "
				"that MPTCP goes out on");
	if (cpe->has_converter) {
		check_isp(c, f);
		if (!cpe->n_lan)
			mg_finding_path(f, "cpe.converter",
					"has no effect without cpe.lan, expected both");
	} else if (!cpe->direct) {
		mg_finding_path(f, "cpe.direct",
				"is false without cpe.converter, expected true: there is no other "
				"way to a server");
	}
}
