/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Privileges after set-up. Kept, of all capabilities: NET_ADMIN (transparent sources, detaching XDP
 * and TC, removing rules), NET_BIND_SERVICE (a UE's source port below 1024), BPF (its maps), and
 * those in `extra`, bits by number.
 */
#ifndef MG_SYS_CAPS_H
#define MG_SYS_CAPS_H

#include <stdint.h>

/* For the calling thread and those it starts later. 0 or -EPERM. */
int mg_caps_drop(uint64_t extra);

#endif
