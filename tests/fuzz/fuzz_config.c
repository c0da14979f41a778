// SPDX-License-Identifier: BSD-2-Clause
/*
 * Arbitrary bytes as a configuration file:
 *   - refused: at least one finding, each a line of its own without control characters;
 *   - accepted: no finding; printed, it is accepted again, prints the same and needs no reload.
 */
#include <errno.h>
#include <string.h>

#include "config/config.h"
#include "fuzz.h"

struct text {
	char *at;
	size_t len;
	FILE *file;
};

static void text_open(struct text *t)
{
	t->file = open_memstream(&t->at, &t->len);
	FUZZ_CHECK(t->file);
}

static void text_end(struct text *t)
{
	FUZZ_CHECK(fclose(t->file) == 0);
}

static void check_findings(const struct text *t)
{
	FUZZ_CHECK(t->len && t->at[t->len - 1] == '\n');
	/* Or the name of a file of prefixes, which is absolute */
	FUZZ_CHECK(strncmp(t->at, "f:", 2) == 0 || *t->at == '/');
	for (size_t i = 0; i < t->len; i++)
		FUZZ_CHECK(t->at[i] == '\n' || (t->at[i] >= ' ' && t->at[i] <= '~'));
}

static void check_reprint(const struct mg_config *c)
{
	struct mg_config *again;
	struct text first, second, findings;

	text_open(&first);
	FUZZ_CHECK(mg_config_print(c, first.file) == 0);
	text_end(&first);
	text_open(&findings);
	FUZZ_CHECK(mg_config_parse(&again, "f", first.at, first.len, findings.file) == 0);
	FUZZ_CHECK(mg_config_check_reload(c, again, findings.file) == 0);
	text_end(&findings);
	FUZZ_CHECK(findings.len == 0);
	text_open(&second);
	FUZZ_CHECK(mg_config_print(again, second.file) == 0);
	text_end(&second);
	FUZZ_CHECK(first.len == second.len && memcmp(first.at, second.at, first.len) == 0);
	mg_config_free(again);
	free(first.at);
	free(second.at);
	free(findings.at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct mg_config *c;
	struct text findings;
	int err;

	text_open(&findings);
	err = mg_config_parse(&c, "f", (const char *)data, len, findings.file);
	text_end(&findings);
	if (err) {
		FUZZ_CHECK(err == -EINVAL && !c);
		check_findings(&findings);
	} else {
		FUZZ_CHECK(findings.len == 0);
		check_reprint(c);
	}
	mg_config_free(c);
	free(findings.at);
	return 0;
}
