// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_COLUMNS 16
#define GAP	    2

struct cell {
	char *text;
	enum mg_style style;
};

struct mg_table {
	const char *heads[MAX_COLUMNS];
	bool right[MAX_COLUMNS];
	size_t widths[MAX_COLUMNS];
	size_t n_columns;
	struct cell *cells;
	size_t n;
	size_t allocated;
	bool incomplete;
};

static const char *const styles[] = {
	[MG_PLAIN] = "",	 [MG_BOLD] = "\033[1m",	   [MG_DIM] = "\033[2m",
	[MG_GREEN] = "\033[32m", [MG_YELLOW] = "\033[33m", [MG_RED] = "\033[31m",
};

bool mg_colours(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !getenv("NO_COLOR") && term && strcmp(term, "dumb") != 0;
}

const char *mg_style_on(enum mg_style style)
{
	return mg_colours() ? styles[style] : "";
}

const char *mg_style_off(enum mg_style style)
{
	return style != MG_PLAIN && mg_colours() ? "\033[0m" : "";
}

struct mg_table *mg_table_new(const char *const *heads)
{
	struct mg_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	for (; heads[t->n_columns] && t->n_columns < MAX_COLUMNS; t->n_columns++) {
		const char *head = heads[t->n_columns];

		t->right[t->n_columns] = *head == '>';
		t->heads[t->n_columns] = head + (*head == '>');
		t->widths[t->n_columns] = strlen(t->heads[t->n_columns]);
	}
	return t;
}

void mg_table_cell(struct mg_table *t, enum mg_style style, const char *fmt, ...)
{
	struct cell *cell;
	size_t column, len;
	va_list ap;
	int n;

	if (!t)
		return;
	if (t->n == t->allocated) {
		size_t want = t->allocated ? t->allocated * 2 : 64;
		struct cell *more = reallocarray(t->cells, want, sizeof(*more));

		if (!more) {
			t->incomplete = true;
			return;
		}
		t->cells = more;
		t->allocated = want;
	}
	cell = &t->cells[t->n];
	cell->style = style;
	va_start(ap, fmt);
	n = vasprintf(&cell->text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		t->incomplete = true;
		return;
	}
	for (char *p = cell->text; *p; p++) {
		if (*p < ' ' || *p > '~')
			*p = '?';
	}
	len = (size_t)n;
	column = t->n++ % t->n_columns;
	if (len > t->widths[column])
		t->widths[column] = len;
}

/* Takes what the text needs out of what is left of the line, and prints that much of it. */
static void print_part(const char *text, size_t len, size_t *left)
{
	size_t n = len < *left ? len : *left;

	fwrite(text, 1, n, stdout);
	*left -= n;
}

static void print_blanks(size_t n, size_t *left)
{
	for (; n && *left; n--, (*left)--)
		putchar(' ');
}

static void print_row(const struct mg_table *t, const struct cell *cells, size_t width)
{
	size_t left = width ? width : SIZE_MAX;

	for (size_t i = 0; i < t->n_columns && left; i++) {
		const char *text = cells ? cells[i].text : t->heads[i];
		enum mg_style style = cells ? cells[i].style : MG_BOLD;
		size_t len = strlen(text), pad = t->widths[i] - len;

		if (t->right[i])
			print_blanks(pad, &left);
		fputs(mg_style_on(style), stdout);
		print_part(text, len, &left);
		fputs(mg_style_off(style), stdout);
		if (i + 1 < t->n_columns)
			print_blanks((t->right[i] ? 0 : pad) + GAP, &left);
	}
	putchar('\n');
}

static bool has_heads(const struct mg_table *t)
{
	for (size_t i = 0; i < t->n_columns; i++) {
		if (*t->heads[i])
			return true;
	}
	return false;
}

size_t mg_table_print(const struct mg_table *t, size_t max_rows, size_t width)
{
	size_t rows, i;

	if (!t || t->incomplete) {
		fputs("mpgatectl: out of memory\n", stderr);
		if (!t)
			return 0;
	}
	rows = t->n / t->n_columns;
	if (max_rows && rows > max_rows)
		rows = max_rows;
	if (has_heads(t))
		print_row(t, NULL, width);
	for (i = 0; i < rows; i++)
		print_row(t, t->cells + i * t->n_columns, width);
	return rows;
}

void mg_table_free(struct mg_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		free(t->cells[i].text);
	free(t->cells);
	free(t);
}
