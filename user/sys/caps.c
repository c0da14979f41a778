// SPDX-License-Identifier: BSD-2-Clause
#include "sys/caps.h"

#include <cap-ng.h>
#include <errno.h>
#include <sys/prctl.h>

#ifndef CAP_BPF
#define CAP_BPF 39
#endif

int mg_caps_drop(uint64_t extra)
{
	capng_clear(CAPNG_SELECT_BOTH);
	capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
		      CAP_NET_ADMIN, CAP_NET_BIND_SERVICE, CAP_BPF, -1);
	for (unsigned int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (extra >> cap & 1)
			capng_update(CAPNG_ADD,
				     CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, cap);
	if (capng_apply(CAPNG_SELECT_BOTH) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -EPERM;
	return 0;
}
