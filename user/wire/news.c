// SPDX-License-Identifier: BSD-2-Clause
#include "wire/news.h"

#include <errno.h>
#include <string.h>

#include "wire/cursor.h"

static const char *const words[] = {
	[MG_NEWS_OWN] = "own",
	[MG_NEWS_RESYNC] = "resync",
	[MG_NEWS_LEAVE] = "leave",
	[MG_NEWS_DRAIN] = "drain",
};
#define WORDS (sizeof(words) / sizeof(words[0]))

bool mg_news_name_ok(const char *name, size_t len)
{
	if (!len || len >= MG_MEMBER_NAME)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	}
	return true;
}

int mg_news_parse_name(char name[MG_MEMBER_NAME], const char *text, size_t len)
{
	if (!mg_news_name_ok(text, len))
		return -EINVAL;
	memcpy(name, text, len);
	name[len] = '\0';
	return 0;
}

int mg_news_parse_token(uint32_t *token, const char *text, size_t len)
{
	uint32_t value = 0;

	if (len != MG_NEWS_TOKEN_DIGITS)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c >= '0' && c <= '9')
			value = value << 4 | (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (uint32_t)(c - 'a' + 10);
		else
			return -EINVAL;
	}
	*token = value;
	return 0;
}

void mg_news_format_token(char text[MG_NEWS_TOKEN_DIGITS], uint32_t token)
{
	for (size_t i = 0; i < MG_NEWS_TOKEN_DIGITS; i++)
		text[i] = "0123456789abcdef"[token >> (28 - 4 * i) & 0xf];
}

/* The next word, and the space behind it. A space that nothing follows fails. */
static const char *word(struct mg_cursor *c, size_t *len)
{
	size_t left = mg_cursor_left(c);
	const char *at = (const char *)c->pos;
	const char *space = left ? memchr(at, ' ', left) : NULL;

	*len = space ? (size_t)(space - at) : left;
	mg_cursor_take(c, *len);
	if (space) {
		mg_cursor_take(c, 1);
		if (!mg_cursor_left(c))
			c->failed = true;
	}
	return at;
}

static int parse_tokens(struct mg_news *out, struct mg_cursor *c)
{
	while (mg_cursor_left(c)) {
		struct mg_news_token *t = &out->tokens[out->n_tokens];
		size_t len;
		const char *text = word(c, &len);

		if (out->n_tokens == MG_NEWS_TOKENS_MAX || len < 1 ||
		    (text[0] != '+' && text[0] != '-') ||
		    mg_news_parse_token(&t->token, text + 1, len - 1))
			return -EINVAL;
		t->owned = text[0] == '+';
		out->n_tokens++;
	}
	return out->n_tokens ? 0 : -EINVAL;
}

static int parse_switch(struct mg_news *out, struct mg_cursor *c)
{
	size_t len;
	const char *text = word(c, &len);

	if (len != 1 || (text[0] != '0' && text[0] != '1'))
		return -EINVAL;
	out->on = text[0] == '1';
	return 0;
}

int mg_news_parse(struct mg_news *out, const char *text, size_t len)
{
	struct mg_cursor c = mg_cursor_over((const uint8_t *)text, len);
	size_t n, kind = 0;
	const char *at = word(&c, &n);
	int err;

	while (kind < WORDS && !(n == strlen(words[kind]) && memcmp(at, words[kind], n) == 0))
		kind++;
	if (kind == WORDS)
		return -EINVAL;
	out->kind = (enum mg_news_kind)kind;
	out->on = false;
	out->n_tokens = 0;
	at = word(&c, &n);
	err = mg_news_parse_name(out->name, at, n);
	if (!err && out->kind == MG_NEWS_OWN)
		err = parse_tokens(out, &c);
	else if (!err && out->kind == MG_NEWS_DRAIN)
		err = parse_switch(out, &c);
	return err || c.failed || mg_cursor_left(&c) ? -EINVAL : 0;
}

static char *put(char *at, const char *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

size_t mg_news_format(char text[MG_NEWS_BYTES_MAX], const struct mg_news *news)
{
	const char *verb = words[news->kind];
	char *at = put(text, verb, strlen(verb));

	*at++ = ' ';
	at = put(at, news->name, strlen(news->name));
	if (news->kind == MG_NEWS_DRAIN)
		at = put(at, news->on ? " 1" : " 0", 2);
	for (size_t i = 0; news->kind == MG_NEWS_OWN && i < news->n_tokens; i++) {
		at = put(at, news->tokens[i].owned ? " +" : " -", 2);
		mg_news_format_token(at, news->tokens[i].token);
		at += MG_NEWS_TOKEN_DIGITS;
	}
	return (size_t)(at - text);
}
