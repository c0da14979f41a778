/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which class of subscribers an identity belongs to: "id:TEXT" or "id:TEXT*" of `subscribers`. The
 * whole text goes before any beginning of it, a longer beginning before a shorter one, then the
 * order in the file.
 */
#ifndef MG_ACCESS_CLASSES_H
#define MG_ACCESS_CLASSES_H

#include <stdint.h>

#include "config/config.h"

struct mg_classes;

/* The number of a class by its name */
typedef uint32_t mg_class_number_fn(void *ctx, const char *name);

/* 0 or -ENOMEM */
int mg_classes_make(struct mg_classes **out, const struct mg_config_policies *p,
		    mg_class_number_fn *number, void *ctx);
void mg_classes_free(struct mg_classes *c); /* NULL is allowed */
/* 0: of none */
uint32_t mg_classes_of(const struct mg_classes *c, const char *identity);

#endif
