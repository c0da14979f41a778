/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text for people: aligned columns, and numbers with units. Colours are used on a terminal only,
 * unless NO_COLOR is set or TERM is "dumb". Text from elsewhere is made fit for a terminal.
 */
#ifndef MG_CTL_TABLE_H
#define MG_CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mg_style { MG_PLAIN, MG_BOLD, MG_DIM, MG_GREEN, MG_YELLOW, MG_RED };

struct mg_table;

/* Heads end with NULL; one that starts with '>' makes its column right-aligned, and so does an
 * empty head that is ">". NULL without memory. */
struct mg_table *mg_table_new(const char *const *heads);
/* Cells come row by row. Without memory a cell is left out, and the table says so when printed. */
__attribute__((format(printf, 3, 4))) void mg_table_cell(struct mg_table *t, enum mg_style style,
							 const char *fmt, ...);
/* At most max_rows rows (0: all) of at most `width` columns (0: any). Returns the rows printed. */
size_t mg_table_print(const struct mg_table *t, size_t max_rows, size_t width);
void mg_table_free(struct mg_table *t);

bool mg_colours(void);
const char *mg_style_on(enum mg_style style);
const char *mg_style_off(enum mg_style style);

#define MG_HUMAN_STRLEN 32
const char *mg_human_bytes(char buf[MG_HUMAN_STRLEN], uint64_t bytes);
const char *mg_human_rate(char buf[MG_HUMAN_STRLEN], double bytes_per_s);
const char *mg_human_ms(char buf[MG_HUMAN_STRLEN], uint64_t ms);
const char *mg_human_s(char buf[MG_HUMAN_STRLEN], uint64_t seconds);
const char *mg_human_count(char buf[MG_HUMAN_STRLEN], uint64_t n); /* 1,234,567 */

#endif
