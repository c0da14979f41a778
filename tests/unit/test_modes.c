// SPDX-License-Identifier: BSD-2-Clause
/* Steering modes (TS 23.501 section 5.32.8): who carries data, who is for backup, and since when.
 */
#include "mg_test.h"

#include <string.h>

#include "proxy/modes.h"

static struct mg_modes m;
static uint64_t now_ms;

static void begin(enum mg_steering steering, unsigned int n)
{
	memset(&m, 0, sizeof(m));
	now_ms = 1000000;
	m.n = n;
	for (unsigned int i = 0; i < n; i++)
		m.path[i] = (struct mg_modes_path){
			.present = true, .health = MG_HEALTH_WELL, .rank = i, .rtt_us = 20000
		};
	mg_modes_begin(&m, steering);
}

static void run(uint64_t ms, bool waiting)
{
	for (uint64_t end = now_ms + ms; now_ms < end; now_ms += 50)
		mg_modes_look(&m, now_ms, waiting);
}

/* "A" carries, "b" is for backup, "-" is not there */
static const char *who(void)
{
	static char text[MG_MODES_PATHS_MAX + 1];

	for (unsigned int i = 0; i < m.n; i++)
		text[i] = (char)(!m.path[i].present ? '-' : m.path[i].backup ? 'b' : 'A');
	text[m.n] = 0;
	return text;
}

static void without_a_mode_all_carry(void **state)
{
	(void)state;
	begin(MG_STEERING_DEFAULT, 3);
	run(100, true);
	assert_string_equal(who(), "AAA");
	begin(MG_STEERING_LOAD_BALANCING, 2);
	run(100, true);
	assert_string_equal(who(), "AA");
}

static void standby_carries_when_the_active_one_fails(void **state)
{
	(void)state;
	begin(MG_STEERING_ACTIVE_STANDBY, 3);
	run(50, true);
	assert_string_equal(who(), "Abb");
	m.path[0].health = MG_HEALTH_SILENT;
	run(50, true);
	assert_string_equal(who(), "bAb");
	m.path[1].present = false;
	run(50, true);
	assert_string_equal(who(), "b-A");
}

static void the_better_one_comes_back_after_a_while(void **state)
{
	(void)state;
	begin(MG_STEERING_ACTIVE_STANDBY, 2);
	run(50, true);
	m.path[0].health = MG_HEALTH_SILENT;
	run(1000, true);
	assert_string_equal(who(), "bA");
	m.path[0].health = MG_HEALTH_WELL;
	run(MG_MODES_RETURN_MS - 100, true);
	assert_string_equal(who(), "bA");
	/* Once more: the wait begins anew */
	m.path[0].health = MG_HEALTH_SILENT;
	run(50, true);
	m.path[0].health = MG_HEALTH_WELL;
	run(MG_MODES_RETURN_MS - 100, true);
	assert_string_equal(who(), "bA");
	run(200, true);
	assert_string_equal(who(), "Ab");
}

static void a_better_one_that_joins_is_used_at_once(void **state)
{
	(void)state;
	begin(MG_STEERING_ACTIVE_STANDBY, 2);
	m.path[0].present = false;
	run(1000, true);
	assert_string_equal(who(), "-A");
	m.path[0].present = true;
	run(50, true);
	assert_string_equal(who(), "Ab");
}

static void with_none_that_works_one_carries_all_the_same(void **state)
{
	(void)state;
	begin(MG_STEERING_ACTIVE_STANDBY, 2);
	m.path[0].health = m.path[1].health = MG_HEALTH_SILENT;
	run(500, true);
	assert_string_equal(who(), "Ab");
	begin(MG_STEERING_PRIORITY, 2);
	m.path[0].health = m.path[1].health = MG_HEALTH_SILENT;
	run(500, true);
	assert_string_equal(who(), "Ab");
}

static void smallest_delay_has_to_be_clearly_smaller(void **state)
{
	(void)state;
	begin(MG_STEERING_SMALLEST_DELAY, 2);
	m.path[0].rtt_us = 10000;
	run(50, true);
	assert_string_equal(who(), "Ab");
	m.path[0].rtt_us = 22000;
	run(5000, true);
	assert_string_equal(who(), "Ab");
	m.path[0].rtt_us = 40000;
	run(MG_MODES_DELAY_MS - 100, true);
	assert_string_equal(who(), "Ab");
	run(200, true);
	assert_string_equal(who(), "bA");
	/* Less than two milliseconds are chance, however many times they are */
	m.path[1].rtt_us = 1900;
	m.path[0].rtt_us = 100;
	run(5000, true);
	assert_string_equal(who(), "bA");
	m.path[1].health = MG_HEALTH_SILENT;
	run(50, true);
	assert_string_equal(who(), "Ab");
}

static void priority_overflows_and_comes_back(void **state)
{
	(void)state;
	begin(MG_STEERING_PRIORITY, 3);
	run(1000, false);
	assert_string_equal(who(), "Abb");
	run(MG_MODES_FULL_MS - 100, true);
	assert_string_equal(who(), "Abb");
	run(200, true);
	assert_string_equal(who(), "AAb");
	run(MG_MODES_FULL_MS + 100, true);
	assert_string_equal(who(), "AAA");
	run(MG_MODES_NARROW_MS + 100, false);
	assert_string_equal(who(), "AAb");
	run(MG_MODES_NARROW_MS + 100, false);
	assert_string_equal(who(), "Abb");
	m.path[0].health = MG_HEALTH_SILENT;
	run(100, false);
	assert_string_equal(who(), "bAb");
}

static void priority_tries_less_often_what_was_wrong(void **state)
{
	unsigned int narrowed = 0;

	(void)state;
	begin(MG_STEERING_PRIORITY, 2);
	run(MG_MODES_FULL_MS + 100, true);
	/* Two carry it easily, one does not */
	for (unsigned int i = 0; i < 60000 / 50; i++) {
		bool one = m.width == 1;

		run(50, one);
		narrowed += !one && m.width == 1;
	}
	assert_in_range(narrowed, 2, 8);
}

static void lossy_is_better_than_silent(void **state)
{
	(void)state;
	begin(MG_STEERING_ACTIVE_STANDBY, 2);
	run(50, true);
	m.path[0].health = MG_HEALTH_LOSSY;
	run(50, true);
	assert_string_equal(who(), "bA");
	m.path[1].health = MG_HEALTH_SILENT;
	run(50, true);
	assert_string_equal(who(), "Ab");
	m.path[0].health = MG_HEALTH_SILENT;
	m.path[1].health = MG_HEALTH_LOSSY;
	run(50, true);
	assert_string_equal(who(), "bA");
}

static void nothing_is_there(void **state)
{
	(void)state;
	begin(MG_STEERING_ACTIVE_STANDBY, 2);
	m.path[0].present = m.path[1].present = false;
	run(1000, true);
	assert_string_equal(who(), "--");
	m.path[1].present = true;
	run(50, true);
	assert_string_equal(who(), "-A");
	m.n = 0;
	mg_modes_begin(&m, MG_STEERING_PRIORITY);
	run(1000, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_mode_all_carry),
		cmocka_unit_test(standby_carries_when_the_active_one_fails),
		cmocka_unit_test(the_better_one_comes_back_after_a_while),
		cmocka_unit_test(a_better_one_that_joins_is_used_at_once),
		cmocka_unit_test(with_none_that_works_one_carries_all_the_same),
		cmocka_unit_test(smallest_delay_has_to_be_clearly_smaller),
		cmocka_unit_test(priority_overflows_and_comes_back),
		cmocka_unit_test(priority_tries_less_often_what_was_wrong),
		cmocka_unit_test(lossy_is_better_than_silent),
		cmocka_unit_test(nothing_is_there),
	};

	return cmocka_run_group_tests_name("modes", tests, NULL, NULL);
}
