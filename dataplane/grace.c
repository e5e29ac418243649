/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/grace.h"

#include <urcu/urcu-qsbr.h>

static void *wait_for_readers(void *arg)
{
	struct rg_grace *grace = arg;
	uint64_t ticket;

	pthread_mutex_lock(&grace->lock);
	for (;;) {
		while (grace->requested == grace->completed && !grace->stop)
			pthread_cond_wait(&grace->wake, &grace->lock);
		if (grace->requested == grace->completed)
			break;
		ticket = grace->requested;
		pthread_mutex_unlock(&grace->lock);
		urcu_qsbr_synchronize_rcu();
		pthread_mutex_lock(&grace->lock);
		grace->completed = ticket;
	}
	pthread_mutex_unlock(&grace->lock);
	return NULL;
}

int rg_grace_start(struct rg_grace *grace, struct rg_error *err)
{
	int rc;

	grace->requested = 0;
	grace->completed = 0;
	grace->stop = false;
	pthread_mutex_init(&grace->lock, NULL);
	pthread_cond_init(&grace->wake, NULL);
	rc = pthread_create(&grace->thread, NULL, wait_for_readers, grace);
	if (rc != 0)
		return rg_error_set_errno(err, RG_EIO, rc,
					  "cannot start the thread that waits for grace periods");
	pthread_setname_np(grace->thread, "rg-grace");
	return RG_OK;
}

uint64_t rg_grace_begin(struct rg_grace *grace)
{
	uint64_t ticket;

	pthread_mutex_lock(&grace->lock);
	ticket = ++grace->requested;
	pthread_cond_signal(&grace->wake);
	pthread_mutex_unlock(&grace->lock);
	return ticket;
}

bool rg_grace_done(struct rg_grace *grace, uint64_t ticket)
{
	bool done;

	pthread_mutex_lock(&grace->lock);
	done = grace->completed >= ticket;
	pthread_mutex_unlock(&grace->lock);
	return done;
}

void rg_grace_stop(struct rg_grace *grace)
{
	pthread_mutex_lock(&grace->lock);
	grace->stop = true;
	pthread_cond_signal(&grace->wake);
	pthread_mutex_unlock(&grace->lock);
	pthread_join(grace->thread, NULL);
	pthread_cond_destroy(&grace->wake);
	pthread_mutex_destroy(&grace->lock);
}
