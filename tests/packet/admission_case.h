/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every program of tests about sys/admission.h begins with: one admission, opened anew for
 * each test, and the rig's policies.
 */
#ifndef MG_TESTS_ADMISSION_CASE_H
#define MG_TESTS_ADMISSION_CASE_H

#include <cmocka.h>

#include "admission_rig.h"
#include "base/log.h"
#include "lab.h"

#define VIDEO "203.0.113.7:443"
#define OTHER "198.51.100.1:80"

static struct mg_admission *a;
static struct rig_config rig;

static int set_up(void **state)
{
	int err;

	(void)state;
	mg_log_set_level(MG_LOG_ERROR);
	err = lab_enter();
	rig_configure(&rig);
	return err ? err : mg_admission_open(&a, &rig.c);
}

static int tear_down(void **state)
{
	(void)state;
	mg_admission_close(a);
	return 0;
}

static int fresh(void **state)
{
	(void)state;
	mg_admission_close(a);
	rig_configure(&rig);
	return mg_admission_open(&a, &rig.c);
}

static void apply(void)
{
	assert_int_equal(mg_admission_apply(a, &rig.c, NULL, NULL), 0);
}

#endif
