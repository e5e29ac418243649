/* SPDX-License-Identifier: Apache-2.0 */
#include "control/compare.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundle/diff.h"

struct rg_compare {
	int done_fd;
	bool started;
	pthread_t thread;
	_Atomic bool done; /* stored with release by the thread after the result; acquired by the
			      loop before it reads it */
	struct rg_compare_request request;
	struct rg_compare_result result;
};

static int difference(const struct rg_compare_request *request, char **json, struct rg_error *err)
{
	struct rg_bundle *from = NULL, *to = NULL;
	struct rg_json_writer writer;
	int rc = rg_bundle_load(request->from_path, NULL, &from, err);

	if (!rc)
		rc = rg_bundle_load(request->to_path, NULL, &to, err);
	if (!rc) {
		rg_json_writer_init(&writer, false);
		rc = rg_bundle_diff(from, to, &writer, err);
		if (rc)
			rg_json_writer_free(&writer);
		else
			*json = writer.text;
	}
	rg_bundle_free(from);
	rg_bundle_free(to);
	return rc;
}

static void *compare_thread(void *argument)
{
	struct rg_compare *compare = argument;
	struct rg_compare_result *result = &compare->result;
	uint64_t one = 1;

	memset(result, 0, sizeof(*result));
	result->ticket = compare->request.ticket;
	result->from = compare->request.from;
	result->to = compare->request.to;
	result->status = difference(&compare->request, &result->difference, &result->error);
	atomic_store_explicit(&compare->done, true, memory_order_release);
	if (compare->done_fd >= 0 && write(compare->done_fd, &one, sizeof(one)) < 0)
		return NULL; /* the loop looks now and then anyway */
	return NULL;
}

struct rg_compare *rg_compare_new(int done_fd)
{
	struct rg_compare *compare = calloc(1, sizeof(*compare));

	if (compare)
		compare->done_fd = done_fd;
	return compare;
}

int rg_compare_start(struct rg_compare *compare, const struct rg_compare_request *request,
		     struct rg_error *err)
{
	sigset_t all, before;
	int failed;

	if (compare->started)
		return rg_error_set(err, RG_EAGAIN,
				    "two policies are being compared already: ask again");
	compare->request = *request;
	atomic_store_explicit(&compare->done, false,
			      memory_order_relaxed); /* before the thread exists */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
	failed = pthread_create(&compare->thread, NULL, compare_thread, compare);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed)
		return rg_error_set_errno(err, RG_ENOMEM, failed,
					  "starting a thread to compare policies");
	compare->started = true;
	return RG_OK;
}

int rg_compare_take(struct rg_compare *compare, struct rg_compare_result *result)
{
	if (!compare->started || !atomic_load_explicit(&compare->done, memory_order_acquire))
		return RG_EAGAIN;
	pthread_join(compare->thread, NULL);
	compare->started = false;
	*result = compare->result;
	compare->result.difference = NULL;
	return RG_OK;
}

void rg_compare_delete(struct rg_compare *compare)
{
	if (!compare)
		return;
	if (compare->started) {
		pthread_join(compare->thread, NULL);
		free(compare->result.difference);
	}
	free(compare);
}
