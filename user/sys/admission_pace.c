// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "skel/policy.skel.h"
#include "sys/admission_maps.h"
#include "sys/dp_maps.h"

/* 0: no ACK of any connection looks for a pace. */
static int tell_whether_any(const struct mg_admission *a)
{
	__u32 zero = 0, any = a->n_paces != 0;

	return bpf_map_update_elem(bpf_map__fd(a->bpf->maps.mg_pace_now), &zero, &any, BPF_ANY)
		       ? -errno
		       : 0;
}

static struct mg_connection key_of(const struct mg_ep *local, const struct mg_ep *remote)
{
	struct mg_connection key;

	mg_endpoint_from_ep(&key.local, local);
	mg_endpoint_from_ep(&key.peer, remote);
	return key;
}

int mg_admission_pace(struct mg_admission *a, const struct mg_ep *local, const struct mg_ep *remote,
		      uint64_t bytes_per_s)
{
	struct mg_connection key = key_of(local, remote);
	struct mg_pace pace = { .bytes_per_s = bytes_per_s };
	int map, err = 0;

	if (!a)
		return 0;
	map = bpf_map__fd(a->bpf->maps.mg_paces);
	if (!bpf_map_update_elem(map, &key, &pace, BPF_EXIST))
		return 0;
	pthread_mutex_lock(&a->pace_lock);
	/* Another thread may have been first. */
	if (!bpf_map_update_elem(map, &key, &pace, BPF_NOEXIST)) {
		if (!a->n_paces++)
			err = tell_whether_any(a);
	} else if (errno != EEXIST || bpf_map_update_elem(map, &key, &pace, BPF_ANY)) {
		err = -errno;
	}
	pthread_mutex_unlock(&a->pace_lock);
	return err;
}

void mg_admission_pace_del(struct mg_admission *a, const struct mg_ep *local,
			   const struct mg_ep *remote)
{
	struct mg_connection key = key_of(local, remote);

	if (!a)
		return;
	pthread_mutex_lock(&a->pace_lock);
	if (!bpf_map_delete_elem(bpf_map__fd(a->bpf->maps.mg_paces), &key) && !--a->n_paces)
		tell_whether_any(a);
	pthread_mutex_unlock(&a->pace_lock);
}
