/* SPDX-License-Identifier: Apache-2.0 */
/* Images that come and go under evaluators that are lent: who sees which, and what is refused. */
#include "control/api/engine.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundle/bundle.h"
#include "policy/compile/compile.h"

#define SCRATCH (8u << 20)
#define TURNS	2000

static char directory[] = "/dev/shm/riskgate-engine-XXXXXX";
static struct rg_bundle *bundle;
static struct rg_error err;

static void write_image(uint64_t sequence, bool documents)
{
	struct rg_reason_list reasons = {0};
	struct rg_compile_options options = {.plan_json = bundle->plan_json,
					     .plan_bytes = bundle->plan_bytes,
					     .data_json = bundle->data_json,
					     .data_bytes = bundle->data_bytes,
					     .bundle = "b",
					     .revision = "r",
					     .sequence = sequence,
					     .default_verdict = RG_VERDICT_REVIEW,
					     .failure_verdict = RG_VERDICT_DENY,
					     .reasons = &reasons,
					     .documents = documents};
	size_t bytes;
	void *image;

	assert(!rg_compile(&options, &image, &bytes, &err));
	assert(!rg_image_file_write(directory, RG_IMAGE_FILE_IMAGE, sequence, image, bytes, NULL,
				    &err));
	free(image);
	rg_reason_list_free(&reasons);
}

static void remove_image(uint64_t sequence)
{
	char path[256];

	assert(!rg_image_file_path(directory, RG_IMAGE_FILE_IMAGE, sequence, path, sizeof(path),
				   &err));
	unlink(path);
}

static void damage_image(uint64_t sequence)
{
	char path[256];
	int fd;

	assert(!rg_image_file_path(directory, RG_IMAGE_FILE_IMAGE, sequence, path, sizeof(path),
				   &err));
	fd = open(path, O_WRONLY);
	assert(fd >= 0 && pwrite(fd, "damaged", 7, 2048) == 7);
	close(fd);
}

static struct rg_engine *make(uint32_t evaluators)
{
	struct rg_engine *engine;

	assert(!rg_engine_new(directory, evaluators, SCRATCH, &engine, &err));
	return engine;
}

static void expect_sequence(struct rg_engine *engine, uint64_t sequence)
{
	struct rg_loan loan;

	assert(!rg_engine_lend(engine, &loan, &err) && loan.view->sequence == sequence);
	rg_engine_return(engine, &loan);
}

static void check_lending(void)
{
	struct rg_engine *engine = make(2);
	struct rg_loan first, second, third;

	assert(rg_engine_lend(engine, &first, &err) == RG_ENOENT && !first.view);
	write_image(1, true);
	rg_engine_want(engine, 1);
	assert(!rg_engine_lend(engine, &first, &err) && first.view->sequence == 1);
	assert(!rg_engine_lend(engine, &second, &err) && second.view == first.view &&
	       second.eval != first.eval);
	assert(rg_engine_lend(engine, &third, &err) == RG_EAGAIN);
	rg_engine_return(engine, &second);
	/* one goes on with the image before, also when its file is gone */
	write_image(2, true);
	rg_engine_want(engine, 2);
	expect_sequence(engine, 2);
	remove_image(1);
	assert(first.view->sequence == 1 && rg_view_child(first.view, 0, "payments", 8));
	rg_engine_return(engine, &first);
	expect_sequence(engine, 2);
	rg_engine_want(engine, 0);
	assert(rg_engine_lend(engine, &first, &err) == RG_ENOENT);
	rg_engine_want(engine, 2);
	expect_sequence(engine, 2);
	rg_engine_delete(engine);
}

static void check_refusals(void)
{
	struct rg_engine *engine = make(1);
	struct rg_loan loan;

	rg_engine_want(engine, 7); /* there is no such file */
	assert(rg_engine_lend(engine, &loan, &err) && err.status != RG_ENOENT);
	rg_engine_want(engine, 2);
	expect_sequence(engine, 2);
	write_image(3, true);
	damage_image(3);
	rg_engine_want(engine, 3); /* the good one stays */
	expect_sequence(engine, 2);
	expect_sequence(engine, 2);
	write_image(4, true);
	rg_engine_want(engine, 4);
	expect_sequence(engine, 4);
	rg_engine_delete(engine);
	engine = make(1); /* one that has no good one says why */
	rg_engine_want(engine, 3);
	assert(rg_engine_lend(engine, &loan, &err) && err.text[0]);
	rg_engine_delete(engine);
	rg_engine_delete(NULL);
}

static void check_documents(void)
{
	struct rg_engine *engine = make(1);
	struct rg_loan loan;
	uint32_t package, rule;

	rg_engine_want(engine, 4);
	assert(!rg_engine_lend(engine, &loan, &err));
	assert(loan.view->data_plan != RG_NO_PLAN && !strcmp(loan.view->info.revision, "r"));
	package = rg_view_child(loan.view, 0, "payments", 8);
	rule = rg_view_child(loan.view, package, "deny", 4);
	assert(package && loan.view->documents[package].plan == RG_NO_PLAN);
	assert(rule && loan.view->documents[rule].plan != RG_NO_PLAN);
	assert(!rg_view_child(loan.view, 0, "payment", 7) &&
	       !rg_view_child(loan.view, 0, "payments", 7) &&
	       !rg_view_child(loan.view, package, "nowhere", 7));
	rg_engine_return(engine, &loan);
	write_image(5, false); /* of an older riskgate-control */
	rg_engine_want(engine, 5);
	assert(!rg_engine_lend(engine, &loan, &err) && loan.view->data_plan == RG_NO_PLAN);
	rg_engine_return(engine, &loan);
	rg_engine_delete(engine);
}

/* Threads that borrow while the image changes: each sees a whole one, and never an older one than
 * before. */
static void *borrow(void *context)
{
	struct rg_engine *engine = context;
	uint64_t newest = 0;

	for (int turn = 0; turn < TURNS; turn++) {
		struct rg_error error;
		struct rg_loan loan;

		if (rg_engine_lend(engine, &loan, &error))
			continue; /* others have both */
		assert(loan.view->sequence >= newest);
		newest = loan.view->sequence;
		assert(rg_view_child(loan.view, 0, "payments", 8));
		assert(rg_eval_plan_count(loan.eval) > 0);
		rg_engine_return(engine, &loan);
	}
	return NULL;
}

static void check_threads(void)
{
	struct rg_engine *engine = make(2);
	pthread_t threads[3];

	write_image(10, true);
	rg_engine_want(engine, 10);
	expect_sequence(engine, 10);
	for (int i = 0; i < 3; i++)
		assert(!pthread_create(&threads[i], NULL, borrow, engine));
	for (uint64_t sequence = 11; sequence < 20; sequence++) {
		write_image(sequence, true);
		rg_engine_want(engine, sequence);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	expect_sequence(engine, 19);
	rg_engine_delete(engine);
	for (uint64_t sequence = 2; sequence < 20; sequence++)
		remove_image(sequence);
}

int main(void)
{
	assert(mkdtemp(directory));
	assert(!rg_bundle_load(RG_BUNDLE, NULL, &bundle, &err));
	check_lending();
	check_refusals();
	check_documents();
	check_threads();
	rg_bundle_free(bundle);
	assert(!rmdir(directory));
	puts("engine: ok");
	return 0;
}
