// SPDX-License-Identifier: BSD-2-Clause
/* A class of subscribers by a file of its own: a prefix a line, a million of them. */
#include "config/policies.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX_BYTES (128U * 1024 * 1024)
#define LINE_MAX_BYTES 128

/* The whole of it, ended by a NUL; NULL after a finding. */
static char *read_whole(struct mg_reading *r, const struct mg_node *node, const char *path,
			size_t *len)
{
	/* Not to wait for a writer, should it be a FIFO. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = NULL, plain[MG_QUOTE_BYTES];
	const char *trouble = NULL;
	struct stat st = { 0 };
	ssize_t n = 1;

	*len = 0;
	if (fd < 0 || fstat(fd, &st))
		trouble = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		trouble = "it is no regular file";
	else if (st.st_size > FILE_MAX_BYTES)
		trouble = "it is larger than 128 MiB";
	if (!trouble) {
		text = malloc((size_t)st.st_size + 1);
		r->err = text ? r->err : -ENOMEM;
	}
	while (text && n > 0 && *len < (size_t)st.st_size) {
		n = read(fd, text + *len, (size_t)st.st_size - *len);
		if (n < 0)
			trouble = strerror(errno);
		else
			*len += (size_t)n;
	}
	if (trouble) {
		mg_finding(r->f, node, "%s cannot be read: %s, expected a file of prefixes",
			   mg_plain(plain, path), trouble);
		free(text);
		text = NULL;
	}
	if (text)
		text[*len] = '\0';
	if (fd >= 0)
		close(fd);
	return text;
}

static size_t count_lines(const char *text, size_t len)
{
	const char *end = text + len;
	size_t n = 1;

	while ((text = memchr(text, '\n', (size_t)(end - text)))) {
		text++;
		n++;
	}
	return n;
}

/* Without its comment and the blanks around it; NULL: nothing is left. */
static const char *strip(char *line)
{
	char *end;

	line[strcspn(line, "#")] = '\0';
	line += strspn(line, " \t\r");
	end = line + strlen(line);
	while (end > line && strchr(" \t\r", end[-1]))
		*--end = '\0';
	return *line ? line : NULL;
}

static void take(struct mg_reading *r, const struct mg_node *node, size_t owner, uint32_t line,
		 const char *text)
{
	struct mg_config_subscribers *s = &r->p->subscribers[owner];
	struct mg_prefix *p = &s->prefixes[s->n_prefixes];
	char quoted[MG_QUOTE_BYTES];
	uint32_t other;

	if (strlen(text) >= LINE_MAX_BYTES || mg_prefix_parse(p, text)) {
		mg_finding_in(r->f, s->match_file, line, node,
			      "is %s, expected a prefix such as 192.0.2.0/24 or 2001:db8::/32",
			      mg_quote(quoted, text));
		return;
	}
	other = mg_claim_prefix(r, p, 0, 0, (uint32_t)owner);
	if (other == MG_UNCLAIMED)
		s->n_prefixes++;
	else if (other != owner)
		mg_finding_in(r->f, s->match_file, line, node,
			      "%s is already of %s, expected it in one of the two",
			      mg_quote(quoted, text), r->p->subscribers[other].name);
}

void mg_read_match_file(struct mg_reading *r, const struct mg_node *node, size_t owner)
{
	struct mg_config_subscribers *s = &r->p->subscribers[owner];
	size_t len, lines;
	char *text = read_whole(r, node, s->match_file, &len), *line = text, *end;
	struct mg_prefix *more;
	uint32_t number = 0;

	if (!text)
		return;
	lines = count_lines(text, len);
	more = reallocarray(s->prefixes, s->n_prefixes + lines, sizeof(*more));
	if (more) {
		s->prefixes = more;
		mg_claims_expect(r, lines);
	} else {
		r->err = -ENOMEM;
	}
	for (; !r->err && line; line = end ? end + 1 : NULL) {
		size_t left = len - (size_t)(line - text);
		const char *prefix;

		end = memchr(line, '\n', left);
		if (end)
			*end = '\0';
		number++;
		if (strlen(line) != (end ? (size_t)(end - line) : left)) {
			mg_finding_in(r->f, s->match_file, number, node,
				      "has a NUL byte, expected text");
			break;
		}
		prefix = strip(line);
		if (prefix)
			take(r, node, owner, number, prefix);
	}
	free(text);
}
