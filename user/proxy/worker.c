// SPDX-License-Identifier: BSD-2-Clause
#include "proxy/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/proxy.h"

/* Each session that could go on gets one more turn; what closed in this round is freed. */
static bool after_round(void *ctx)
{
	struct mg_worker *w = ctx;
	struct mg_list turn;

	mg_held_beat(w);
	if (!mg_list_empty(&w->ready)) {
		/* Sessions that ask for yet another turn go to a list of their own. */
		turn = w->ready;
		turn.next->prev = turn.prev->next = &turn;
		mg_list_init(&w->ready);
		while (!mg_list_empty(&turn)) {
			struct mg_list *node = mg_list_pop(&turn);

			mg_session_walk(mg_container_of(node, struct mg_session, ready_node));
		}
	}
	while (!mg_list_empty(&w->dead))
		free(mg_container_of(mg_list_pop(&w->dead), struct mg_session, node));
	mg_ports_reap(&w->ports);
	return !mg_list_empty(&w->ready);
}

static void *run(void *arg)
{
	struct mg_worker *w = arg;
	char name[16];

	snprintf(name, sizeof(name), "mpgated/%u", w->index);
	pthread_setname_np(pthread_self(), name);
	mg_loop_run(&w->loop);
	return NULL;
}

int mg_worker_start(struct mg_worker *w, struct mg_proxy *proxy, unsigned int index)
{
	int err;

	w->proxy = proxy;
	w->index = index;
	w->next_id = index + 1;
	w->spare_fd = -1;
	mg_list_init(&w->sessions);
	mg_list_init(&w->ready);
	mg_list_init(&w->dead);
	mg_ports_init(&w->ports);
	err = mg_loop_init(&w->loop, after_round, w);
	if (err)
		return err;
	w->scratch = mg_pool_get(&w->pool);
	err = w->scratch ? mg_listen_open(w) : -ENOMEM;
	if (!err)
		err = mg_held_open(w);
	if (!err)
		err = -pthread_create(&w->thread, NULL, run, w);
	if (err) {
		mg_held_close(w);
		mg_listen_close(w);
		if (w->scratch)
			mg_pool_put(&w->pool, w->scratch);
		mg_pool_free(&w->pool);
		mg_loop_free(&w->loop);
	}
	return err;
}

static void end_all(void *arg)
{
	struct mg_worker *w = arg;

	mg_listen_close(w);
	/* What is held and not let in goes on its way when its session is closed. */
	mg_held_read(w);
	while (!mg_list_empty(&w->sessions))
		mg_session_close(mg_container_of(w->sessions.next, struct mg_session, node),
				 MG_CLOSE_DRAINED);
	mg_held_close(w);
	mg_ports_close(w);
	w->loop.stop = true;
}

void mg_worker_stop(struct mg_worker *w)
{
	mg_loop_call(&w->loop, end_all, w);
	pthread_join(w->thread, NULL);
	after_round(w);
	mg_pool_put(&w->pool, w->scratch);
	mg_pool_free(&w->pool);
	mg_loop_free(&w->loop);
}
