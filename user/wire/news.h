/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What hosts tell each other through the shared store (gateway/store.h), as text:
 *
 *   own NAME +TOKEN -TOKEN …   sessions of the proxy NAME that came and went
 *   resync NAME                all its tokens were written anew
 *   leave NAME                 it ends, and its sessions with it
 *   drain NAME 0|1             it takes no new sessions; or does again
 *
 * One space between words. A token is 8 hex digits, lower case, in the order of its bytes on the
 * wire; a name is 1 to 63 printable ASCII characters. Whoever can write to the store can send
 * anything: what is not exactly this is refused.
 */
#ifndef MG_WIRE_NEWS_H
#define MG_WIRE_NEWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/steer.h"

#define MG_NEWS_TOKEN_DIGITS 8
#define MG_NEWS_TOKENS_MAX   400
/* Of the longest message, without a terminating NUL: "own ", name, " +TOKEN" each */
#define MG_NEWS_BYTES_MAX (4 + MG_MEMBER_NAME - 1 + MG_NEWS_TOKENS_MAX * (MG_NEWS_TOKEN_DIGITS + 2))

enum mg_news_kind { MG_NEWS_OWN, MG_NEWS_RESYNC, MG_NEWS_LEAVE, MG_NEWS_DRAIN };

struct mg_news_token {
	uint32_t token;
	bool owned;
};

struct mg_news {
	enum mg_news_kind kind;
	char name[MG_MEMBER_NAME];
	bool on;	 /* DRAIN */
	size_t n_tokens; /* OWN: at least one */
	struct mg_news_token tokens[MG_NEWS_TOKENS_MAX];
};

bool mg_news_name_ok(const char *name, size_t len);
/* 0 or -EINVAL; exactly len bytes are the token, or the name. */
int mg_news_parse_token(uint32_t *token, const char *text, size_t len);
int mg_news_parse_name(char name[MG_MEMBER_NAME], const char *text, size_t len);
/* Without a NUL */
void mg_news_format_token(char text[MG_NEWS_TOKEN_DIGITS], uint32_t token);

/* 0 or -EINVAL */
int mg_news_parse(struct mg_news *out, const char *text, size_t len);
/* Returns the length; of what parse accepts, no other. */
size_t mg_news_format(char text[MG_NEWS_BYTES_MAX], const struct mg_news *news);

#endif
