/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What every header of the kernel/user boundary rests on: the fixed-width types, from vmlinux.h on
 * one side and from <linux/types.h> on the other, and asserts on layout.
 */
#ifndef MG_ABI_ABI_H
#define MG_ABI_ABI_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#define MG_ABI_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), "size of " #type)
#define MG_ABI_OFFSET(type, field, bytes) \
	_Static_assert(__builtin_offsetof(type, field) == (bytes), "offset of " #type "." #field)

#endif
