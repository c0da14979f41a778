// SPDX-License-Identifier: BSD-2-Clause
/*
 * Arbitrary bytes as news from the store, as a name, as a token, and as the store's URL:
 *   - what is accepted says the same when it is written again, byte for byte;
 *   - accepted names and tokens are of the length and the characters they may have;
 *   - an accepted URL has an address in bounds, a refused one a reason.
 */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "wire/news.h"
#include "wire/store_url.h"

static void as_news(const char *text, size_t len)
{
	static struct mg_news news, again;
	char back[MG_NEWS_BYTES_MAX];
	size_t n;

	if (mg_news_parse(&news, text, len)) {
		FUZZ_CHECK(mg_news_parse(&again, text, len) == -EINVAL);
		return;
	}
	FUZZ_CHECK(mg_news_name_ok(news.name, strlen(news.name)));
	FUZZ_CHECK(news.n_tokens <= MG_NEWS_TOKENS_MAX);
	FUZZ_CHECK((news.kind == MG_NEWS_OWN) == (news.n_tokens > 0));
	n = mg_news_format(back, &news);
	FUZZ_CHECK(n == len && memcmp(back, text, n) == 0);
}

static void as_words(const char *text, size_t len)
{
	char name[MG_MEMBER_NAME], digits[MG_NEWS_TOKEN_DIGITS];
	uint32_t token;

	if (!mg_news_parse_name(name, text, len))
		FUZZ_CHECK(strlen(name) == len && memcmp(name, text, len) == 0);
	if (!mg_news_parse_token(&token, text, len)) {
		mg_news_format_token(digits, token);
		FUZZ_CHECK(len == sizeof(digits) && memcmp(digits, text, len) == 0);
	}
}

static void as_url(const char *text, size_t len)
{
	char *copy = malloc(len + 1), buf[MG_STORE_URL_STRLEN];
	struct mg_store_url url, again;
	const char *why;
	int err;

	if (!copy)
		return;
	memcpy(copy, text, len);
	copy[len] = '\0';
	err = mg_store_url_parse(&url, copy, &why);
	FUZZ_CHECK((err == 0) == (why == NULL));
	if (!err) {
		FUZZ_CHECK(strlen(url.user) < sizeof(url.user));
		FUZZ_CHECK((url.kind == MG_STORE_MEMORY) == !url.address[0]);
		FUZZ_CHECK(url.kind != MG_STORE_TCP || url.port);
		FUZZ_CHECK(strlen(mg_store_url_format(buf, &url)) < sizeof(buf));
	}
	if (!err && url.kind == MG_STORE_TCP) {
		FUZZ_CHECK(mg_store_url_parse(&again, buf, &why) == 0);
		FUZZ_CHECK(!again.auth && again.port == url.port && again.db == url.db);
		FUZZ_CHECK(strcmp(again.address, url.address) == 0);
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	as_news((const char *)data, len);
	as_words((const char *)data, len);
	as_url((const char *)data, len);
	return 0;
}
