// SPDX-License-Identifier: BSD-2-Clause
#include "config/policies.h"

#include <errno.h>
#include <string.h>

/* Double-quoted YAML: whatever the text holds, it reads back as the same. */
void mg_print_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		unsigned char ch = (unsigned char)*text;

		if (ch == '"' || ch == '\\')
			fprintf(out, "\\%c", ch);
		else if (ch < ' ' || ch == 0x7f)
			fprintf(out, "\\x%02x", ch);
		else
			fputc(ch, out);
	}
	fputc('"', out);
}

void mg_print_value(FILE *out, const void *in, const struct mg_key *k)
{
	const char *text;

	if (k->kind == MG_KEY_TEXT || k->kind == MG_KEY_ARRAY) {
		text = mg_key_text(k, in);
		mg_print_quoted(out, text ? text : "");
	} else if (k->kind == MG_KEY_NUMBER) {
		fprintf(out, "%u", mg_key_number(k, in));
	} else {
		fputs(mg_name_of(k->names, k->n_names, mg_key_number(k, in)), out);
	}
}

static void print_key(FILE *out, const struct mg_config *c, const struct mg_key *k,
		      const char *indent, const char *name)
{
	fprintf(out, "%s%s: ", indent, name);
	mg_print_value(out, c, k);
	fputc('\n', out);
}

static void print_interfaces(FILE *out, const struct mg_config *c)
{
	if (!c->n_interfaces) {
		fputs("interfaces: []\n", out);
		return;
	}
	fputs("interfaces:\n", out);
	for (size_t i = 0; i < c->n_interfaces; i++) {
		const struct mg_config_interface *at = &c->interfaces[i];

		fputs("  - { name: ", out);
		mg_print_quoted(out, at->name);
		fprintf(out, ", role: %s, xdp: %s }\n",
			mg_name_of(mg_role_names, CYAML_ARRAY_LEN(mg_role_names), at->role),
			mg_name_of(mg_xdp_names, CYAML_ARRAY_LEN(mg_xdp_names), at->xdp));
	}
}

static void print_eps(FILE *out, const char *name, const struct mg_ep *list, size_t n)
{
	char text[MG_EP_STRLEN];

	fprintf(out, "  %s:%s\n", name, n ? "" : " []");
	for (size_t i = 0; i < n; i++)
		fprintf(out, "    - \"%s\"\n", mg_ep_format(text, &list[i]));
}

static void print_ports(FILE *out, const char *name, const uint16_t *ports, size_t n)
{
	fprintf(out, "  %s: [", name);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s%u", i ? ", " : " ", ports[i]);
	fputs(n ? " ]\n" : "]\n", out);
}

static void print_intercepted(FILE *out, const struct mg_config_intercept *i)
{
	if (i->any_port)
		fputs("  ports: any\n", out);
	else
		print_ports(out, "ports", i->ports, i->n_ports);
	print_ports(out, "except", i->except, i->n_except);
}

static void print_lan(FILE *out, const struct mg_config_cpe *cpe)
{
	char text[MG_EP_STRLEN] = "";

	fprintf(out, "  lan:%s\n", cpe->n_lan ? "" : " []");
	for (size_t i = 0; i < cpe->n_lan; i++) {
		fputs("    - ", out);
		mg_print_quoted(out, cpe->lan[i]);
		fputc('\n', out);
	}
	if (cpe->has_converter)
		mg_ep_format(text, &cpe->converter);
	fprintf(out, "  converter: \"%s\"\n", text);
}

static void print_prefixes(FILE *out, const char *indent, const char *name,
			   const struct mg_prefix *list, size_t n)
{
	char text[MG_PREFIX_STRLEN];

	fprintf(out, "%s%s:%s\n", indent, name, n ? "" : " []");
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s  - \"%s\"\n", indent, mg_prefix_format(text, &list[i]));
}

/* ", weight: 1" and so on: keys of one item, told by how their paths begin. */
static void print_item_keys(FILE *out, const void *item, const char *section, const char *before,
			    const char *glue)
{
	size_t len = strlen(section);

	for (size_t i = 0; i < mg_item_keys_count; i++) {
		const char *name = mg_item_keys[i].path + len;

		if (strncmp(mg_item_keys[i].path, section, len) != 0 || strchr(name, '.'))
			continue;
		fprintf(out, "%s%s: ", before, name);
		mg_print_value(out, item, &mg_item_keys[i]);
		before = glue;
	}
}

static void print_proxies(FILE *out, const struct mg_config_steer *s)
{
	char text[MG_IP_STRLEN];

	fprintf(out, "proxies:%s\n", s->n_proxies ? "" : " []");
	for (size_t i = 0; i < s->n_proxies; i++) {
		fputs("  - { name: ", out);
		mg_print_quoted(out, s->proxies[i].name);
		fprintf(out, ", address: \"%s\"", mg_ip_format(text, &s->proxies[i].address));
		print_item_keys(out, &s->proxies[i], "proxies[].", ", ", ", ");
		fputs(" }\n", out);
	}
}

static void print_groups(FILE *out, const struct mg_config_steer *s)
{
	fprintf(out, "groups:%s\n", s->n_groups ? "" : " []");
	for (size_t i = 0; i < s->n_groups; i++) {
		const struct mg_config_group *g = &s->groups[i];

		fputs("  - name: ", out);
		mg_print_quoted(out, g->name);
		fputs("\n    members: [", out);
		for (size_t m = 0; m < g->n_members; m++) {
			fputs(m ? ", " : " ", out);
			mg_print_quoted(out, s->proxies[g->members[m]].name);
		}
		fputs(" ]", out);
		print_item_keys(out, g, "groups[].", "\n    ", "\n    ");
		fputs("\n    check: {", out);
		print_item_keys(out, g, "groups[].check.", " ", ", ");
		fputs(" }\n", out);
	}
}

static void print_virtuals(FILE *out, const struct mg_config_steer *s)
{
	char text[MG_EP_STRLEN];

	fprintf(out, "virtual:%s\n", s->n_virtuals ? "" : " []");
	for (size_t i = 0; i < s->n_virtuals; i++) {
		fprintf(out, "  - { address: \"%s\", group: ",
			mg_ep_format(text, &s->virtuals[i].address));
		mg_print_quoted(out, s->groups[s->virtuals[i].group].name);
		fputs(" }\n", out);
	}
}

static void print_service(FILE *out, const struct mg_config_rule *r)
{
	char text[MG_PREFIX_STRLEN];

	mg_prefix_format(text, &r->service);
	if (!r->port)
		fprintf(out, "\"%s\"", text);
	else if (strchr(text, ':'))
		fprintf(out, "\"[%s]:%u\"", text, r->port);
	else
		fprintf(out, "\"%s:%u\"", text, r->port);
}

static void print_rule(FILE *out, const struct mg_config_steer *s, const struct mg_config_rule *r)
{
	const char *glue = " ";
	char text[MG_PREFIX_STRLEN];

	if (*r->interface) {
		fputs(" interface: ", out);
		mg_print_quoted(out, r->interface);
		glue = ", ";
	}
	if (!r->any_access) {
		fprintf(out, "%saccess: \"%s\"", glue, mg_prefix_format(text, &r->access));
		glue = ", ";
	}
	if (!r->any_service) {
		fprintf(out, "%sservice: ", glue);
		print_service(out, r);
		glue = ", ";
	}
	if (r->expect != MG_EXPECT_NONE) {
		fprintf(out, "%sexpect: %s", glue,
			mg_name_of(mg_expect_names, CYAML_ARRAY_LEN(mg_expect_names), r->expect));
		glue = ", ";
	}
	if (r->group_is_named) {
		fprintf(out, "%sgroup: ", glue);
		mg_print_quoted(out, s->groups[r->group].name);
	}
}

static void print_rules(FILE *out, const struct mg_config_steer *s)
{
	fprintf(out, "selection:%s\n", s->n_rules ? "" : " []");
	for (size_t i = 0; i < s->n_rules; i++) {
		fputs("  - {", out);
		print_rule(out, s, &s->rules[i]);
		fputs(" }\n", out);
	}
}

static void print_steer(FILE *out, const struct mg_config_steer *s)
{
	print_proxies(out, s);
	print_groups(out, s);
	print_virtuals(out, s);
	print_rules(out, s);
	print_prefixes(out, "", "gateways", s->gateways, s->n_gateways);
}

#define PRINT(key, ...) print_key(out, c, mg_key_find(SECTION #key), INDENT, #key);

int mg_config_print(const struct mg_config *c, FILE *out)
{
#define SECTION ""
#define INDENT	""
	MG_CONFIG_TOP_KEYS(PRINT, PRINT, PRINT)
	print_interfaces(out, c);
#undef SECTION
#undef INDENT
#define SECTION "converter."
#define INDENT	"  "
	fputs("converter:\n", out);
	print_eps(out, "listen", c->converter.listen, c->converter.n_listen);
	print_eps(out, "signal", c->converter.signal, c->converter.n_signal);
	MG_CONFIG_CONVERTER_KEYS(PRINT, PRINT, PRINT)
#undef SECTION
#define SECTION "intercept."
	fputs("intercept:\n", out);
	MG_CONFIG_INTERCEPT_KEYS(PRINT, PRINT, PRINT)
	print_intercepted(out, &c->intercept);
#undef SECTION
#define SECTION "cpe."
	fputs("cpe:\n", out);
	print_lan(out, &c->cpe);
	MG_CONFIG_CPE_KEYS(PRINT, PRINT, PRINT)
#undef SECTION
#define SECTION "gateway."
	fputs("gateway:\n", out);
	MG_CONFIG_GATEWAY_KEYS(PRINT, PRINT, PRINT)
#undef SECTION
#undef INDENT
#define SECTION ""
#define INDENT	""
	print_steer(out, &c->steer);
	MG_CONFIG_STORE_KEYS(PRINT, PRINT, PRINT)
	mg_policies_print(out, c);
	fputs("destinations:\n", out);
	print_prefixes(out, "  ", "allow", c->destinations.allow, c->destinations.n_allow);
	print_prefixes(out, "  ", "deny", c->destinations.deny, c->destinations.n_deny);
	MG_CONFIG_LAST_KEYS(PRINT, PRINT, PRINT)
	return ferror(out) ? -EIO : 0;
}
