/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes from the network as text that may be shown: UTF-8 without control characters. */
#ifndef MG_ACCESS_TEXT_H
#define MG_ACCESS_TEXT_H

#include <stddef.h>

/* `out` has room for 3 * len + 1. What is good text stays as it is; of any other, all that is no
 * visible ASCII becomes %XX. */
void mg_text_clean(char *out, const void *bytes, size_t len);

#endif
