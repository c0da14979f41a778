/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's side as the access feed has it: rows that were set and not deleted, and numbers of
 * names. For tests that wrap these functions (Makefile).
 */
#ifndef MG_TESTS_ACCESS_RIG_H
#define MG_TESTS_ACCESS_RIG_H

#include "mg_test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "access/feed.h"
#include "sys/admission.h"

#define ROWS_MAX 64

static struct mg_feed_row rows[ROWS_MAX];
static size_t n_rows, n_sets;
static int set_error; /* of the next feed_set */

int __wrap_mg_admission_feed_set(struct mg_admission *a, const struct mg_feed_row *row);
int __wrap_mg_admission_feed_del(struct mg_admission *a, const struct mg_prefix *prefix);
uint32_t __wrap_mg_admission_access_number(const struct mg_admission *a, const char *name);
uint32_t __wrap_mg_admission_class_number(const struct mg_admission *a, const char *name);

static struct mg_feed_row *row_of(const char *prefix)
{
	struct mg_prefix p = prefix_of(prefix);

	for (size_t i = 0; i < n_rows; i++) {
		if (rows[i].prefix.len == p.len && mg_ip_equal(&rows[i].prefix.ip, &p.ip))
			return &rows[i];
	}
	return NULL;
}

static struct mg_feed_row *row_at(const struct mg_prefix *p)
{
	char text[MG_PREFIX_STRLEN];

	return row_of(mg_prefix_format(text, p));
}

int __wrap_mg_admission_feed_set(struct mg_admission *a, const struct mg_feed_row *row)
{
	struct mg_feed_row *at = row_at(&row->prefix);
	int err = set_error;

	(void)a;
	n_sets++;
	set_error = 0;
	if (err)
		return err;
	if (!at && n_rows == ROWS_MAX)
		return -ENOSPC;
	if (!at)
		at = &rows[n_rows++];
	*at = *row;
	return 0;
}

int __wrap_mg_admission_feed_del(struct mg_admission *a, const struct mg_prefix *prefix)
{
	struct mg_feed_row *at = row_at(prefix);

	(void)a;
	if (!at)
		return -ENOENT;
	*at = rows[--n_rows];
	return 0;
}

/* "wlan" is 1, "cellular" 2, "gold" 3, "iot" 4 */
static uint32_t number_of_name(const char *name)
{
	static const char *const names[] = { "wlan", "cellular", "gold", "iot" };

	for (uint32_t i = 0; i < 4; i++) {
		if (strcmp(names[i], name) == 0)
			return i + 1;
	}
	return 0;
}

uint32_t __wrap_mg_admission_access_number(const struct mg_admission *a, const char *name)
{
	(void)a;
	return number_of_name(name);
}

uint32_t __wrap_mg_admission_class_number(const struct mg_admission *a, const char *name)
{
	(void)a;
	return number_of_name(name);
}

static struct mg_admission *const admission = (struct mg_admission *)rows; /* not looked into */

static struct mg_config_access networks[] = { { .name = "cellular" }, { .name = "wlan" } };
static char *gold_ids[] = { "alice", "00101*", "*@gold", NULL },
	    *iot_ids[] = { "001019*", "alice" };
static struct mg_config_subscribers classes[] = {
	{ .name = "gold", .identities = gold_ids, .n_identities = 2 },
	{ .name = "iot", .identities = iot_ids, .n_identities = 2 },
};
static struct mg_config_radius_type types[] = {
	{ .access = 1, .nas_port_types = { 19 }, .rat_types = { 3 }, 1, 1 },
	{ .access = 0, .nas_port_types = { 5, 18 }, .rat_types = { 6, 10 }, 2, 2 },
};
static struct mg_config config;

static void rig_reset(void)
{
	memset(&config, 0, sizeof(config));
	config.policies.access = networks;
	config.policies.n_access = 2;
	config.policies.subscribers = classes;
	config.policies.n_subscribers = 2;
	config.policies.radius.types = types;
	config.policies.radius.n_types = 2;
	n_rows = n_sets = 0;
	set_error = 0;
}

#endif
