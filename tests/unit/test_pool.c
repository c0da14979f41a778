// SPDX-License-Identifier: BSD-2-Clause
/* Relay buffers: lent, kept spare up to a limit, given back. */
#include "mg_test.h"

#include <string.h>

#include "base/pool.h"

#define MANY (MG_POOL_SPARE_MAX + 10)

static void buffers_are_whole_and_distinct(void **state)
{
	struct mg_pool p = { 0 };
	struct mg_pool_buf *b[8];

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		b[i] = mg_pool_get(&p);
		assert_non_null(b[i]);
		memset(b[i]->data, (int)i, MG_POOL_BUF_BYTES);
		assert_int_equal(p.n_lent, i + 1);
	}
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(b[i]->data[0], i);
		assert_int_equal(b[i]->data[MG_POOL_BUF_BYTES - 1], i);
		mg_pool_put(&p, b[i]);
	}
	assert_int_equal(p.n_lent, 0);
	assert_int_equal(p.n_spare, 8);
	mg_pool_free(&p);
}

static void a_spare_buffer_is_used_again(void **state)
{
	struct mg_pool p = { 0 };
	struct mg_pool_buf *first = mg_pool_get(&p), *second;

	(void)state;
	mg_pool_put(&p, first);
	second = mg_pool_get(&p);
	assert_ptr_equal(first, second);
	assert_int_equal(p.n_spare, 0);
	mg_pool_put(&p, second);
	mg_pool_free(&p);
	assert_null(p.spare);
	assert_int_equal(p.n_spare, 0);
	/* and it can go on after that */
	first = mg_pool_get(&p);
	assert_non_null(first);
	mg_pool_put(&p, first);
	mg_pool_free(&p);
}

/* A burst's memory goes back to the system. */
static void few_are_kept_spare(void **state)
{
	struct mg_pool p = { 0 };
	struct mg_pool_buf *b[MANY], *walk;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		b[i] = mg_pool_get(&p);
	assert_int_equal(p.n_lent, MANY);
	for (size_t i = 0; i < MANY; i++)
		mg_pool_put(&p, b[i]);
	for (walk = p.spare; walk; walk = walk->next)
		n++;
	assert_int_equal(n, MG_POOL_SPARE_MAX);
	assert_int_equal(p.n_spare, MG_POOL_SPARE_MAX);
	assert_int_equal(p.n_lent, 0);
	mg_pool_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers_are_whole_and_distinct),
		cmocka_unit_test(a_spare_buffer_is_used_again),
		cmocka_unit_test(few_are_kept_spare),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
