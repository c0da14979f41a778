// SPDX-License-Identifier: BSD-2-Clause
#include "config/tree.h"

#include <limits.h>
#include <stdarg.h>
#include <string.h>

static void tell_of(struct mg_findings *f, const char *file, const char *path, uint32_t line,
		    const char *fmt, va_list ap)
{
	if (f->count++ >= MG_TREE_MAX_FINDINGS)
		return;
	fputs(file, f->out);
	if (line)
		fprintf(f->out, ":%u", line);
	fprintf(f->out, ": %s: ", *path ? path : "(document)");
	vfprintf(f->out, fmt, ap);
	fputc('\n', f->out);
}

static void tell(struct mg_findings *f, const char *path, uint32_t line, const char *fmt,
		 va_list ap)
{
	tell_of(f, f->tree ? f->tree->name : "config", path, line, fmt, ap);
}

void mg_finding_in(struct mg_findings *f, const char *file, uint32_t line, const struct mg_node *at,
		   const char *fmt, ...)
{
	char path[MG_TREE_PATH_BYTES], plain[PATH_MAX];
	size_t n;
	va_list ap;

	/* The name of that file is text from this one. */
	for (n = 0; file[n] && n < sizeof(plain) - 1; n++)
		plain[n] = file[n] >= ' ' && file[n] <= '~' ? file[n] : '?';
	plain[n] = '\0';
	va_start(ap, fmt);
	tell_of(f, plain, mg_tree_path(path, f->tree, at), line, fmt, ap);
	va_end(ap);
}

void mg_finding_line(struct mg_findings *f, const struct mg_node *at, uint32_t line,
		     const char *fmt, ...)
{
	char path[MG_TREE_PATH_BYTES] = "";
	va_list ap;

	if (at)
		mg_tree_path(path, f->tree, at);
	va_start(ap, fmt);
	tell(f, path, line, fmt, ap);
	va_end(ap);
}

void mg_finding(struct mg_findings *f, const struct mg_node *at, const char *fmt, ...)
{
	char path[MG_TREE_PATH_BYTES];
	va_list ap;

	va_start(ap, fmt);
	tell(f, mg_tree_path(path, f->tree, at), at->line, fmt, ap);
	va_end(ap);
}

void mg_finding_path(struct mg_findings *f, const char *path, const char *fmt, ...)
{
	bool whole;
	const struct mg_node *near = mg_tree_nearest(f->tree, path, &whole);
	va_list ap;

	va_start(ap, fmt);
	tell(f, path, near ? near->line : 0, fmt, ap);
	va_end(ap);
}

void mg_findings_end(struct mg_findings *f)
{
	if (f->count > MG_TREE_MAX_FINDINGS)
		fprintf(f->out, "%s: %u more findings\n", f->tree ? f->tree->name : "config",
			f->count - MG_TREE_MAX_FINDINGS);
}

const char *mg_plain(char buf[MG_QUOTE_BYTES], const char *text)
{
	size_t n;

	for (n = 0; text[n] && n < MG_QUOTE_BYTES - 4 - 2; n++)
		buf[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
	snprintf(buf + n, MG_QUOTE_BYTES - n, "%s", text[n] ? "..." : "");
	return buf;
}

const char *mg_quote(char buf[MG_QUOTE_BYTES], const char *text)
{
	char plain[MG_QUOTE_BYTES];

	snprintf(buf, MG_QUOTE_BYTES, "\"%.*s\"", MG_QUOTE_BYTES - 3, mg_plain(plain, text));
	return buf;
}
