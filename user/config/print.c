// SPDX-License-Identifier: BSD-2-Clause
#include "config/schema.h"

#include <errno.h>

/* Double-quoted YAML: whatever the text holds, it reads back as the same. */
static void print_quoted(FILE *out, const char *text)
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

static void print_key(FILE *out, const struct mg_config *c, const struct mg_key *k,
		      const char *indent, const char *name)
{
	const char *text;

	fprintf(out, "%s%s: ", indent, name);
	if (k->kind == MG_KEY_TEXT) {
		text = mg_key_text(k, c);
		print_quoted(out, text ? text : "");
	} else if (k->kind == MG_KEY_NUMBER) {
		fprintf(out, "%u", mg_key_number(k, c));
	} else {
		fputs(mg_name_of(k->names, k->n_names, mg_key_number(k, c)), out);
	}
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
		print_quoted(out, at->name);
		fprintf(out, ", role: %s, xdp: %s }\n",
			mg_name_of(mg_role_names, CYAML_ARRAY_LEN(mg_role_names), at->role),
			mg_name_of(mg_xdp_names, CYAML_ARRAY_LEN(mg_xdp_names), at->xdp));
	}
}

static void print_listen(FILE *out, const struct mg_config *c)
{
	char text[MG_EP_STRLEN];

	fprintf(out, "  listen:%s\n", c->converter.n_listen ? "" : " []");
	for (size_t i = 0; i < c->converter.n_listen; i++)
		fprintf(out, "    - \"%s\"\n", mg_ep_format(text, &c->converter.listen[i]));
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
		print_quoted(out, cpe->lan[i]);
		fputc('\n', out);
	}
	if (cpe->has_converter)
		mg_ep_format(text, &cpe->converter);
	fprintf(out, "  converter: \"%s\"\n", text);
}

static void print_prefixes(FILE *out, const char *name, const struct mg_prefix *list, size_t n)
{
	char text[MG_PREFIX_STRLEN];

	fprintf(out, "  %s:%s\n", name, n ? "" : " []");
	for (size_t i = 0; i < n; i++)
		fprintf(out, "    - \"%s\"\n", mg_prefix_format(text, &list[i]));
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
	print_listen(out, c);
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
#undef INDENT
#define SECTION ""
#define INDENT	""
	fputs("destinations:\n", out);
	print_prefixes(out, "allow", c->destinations.allow, c->destinations.n_allow);
	print_prefixes(out, "deny", c->destinations.deny, c->destinations.n_deny);
	MG_CONFIG_LAST_KEYS(PRINT, PRINT, PRINT)
	return ferror(out) ? -EIO : 0;
}
