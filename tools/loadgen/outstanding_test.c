/* SPDX-License-Identifier: Apache-2.0 */
/* The table of outstanding requests: bounds, each way a request can end, and random operations
 * against a plain model. */
#include "tools/loadgen/outstanding.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void test_bounds(void)
{
	struct rg_outstanding table;
	struct rg_error err;

	assert(rg_outstanding_init(&table, 1, 0, &err) == RG_EINVAL);
	assert(rg_outstanding_init(&table, (1ull << 28) + 1, 0, &err) == RG_EINVAL);
	assert(rg_outstanding_init(&table, 3, 0, &err) == RG_OK);
	assert(table.mask == 3);
	rg_outstanding_free(&table);
}

static void test_each_end(void)
{
	struct rg_outstanding table;
	uint64_t intended = 0;

	assert(rg_outstanding_init(&table, 4, 100, NULL) == RG_OK);
	assert(rg_outstanding_answer(&table, 100, &intended) == RG_ANSWER_UNKNOWN);
	assert(rg_outstanding_send(&table, 7) == 100);
	assert(rg_outstanding_answer(&table, 99, &intended) == RG_ANSWER_UNKNOWN);
	assert(rg_outstanding_answer(&table, 101, &intended) == RG_ANSWER_UNKNOWN);
	assert(rg_outstanding_answer(&table, 100, &intended) == RG_ANSWER_FIRST && intended == 7);
	assert(rg_outstanding_answer(&table, 100, &intended) == RG_ANSWER_DUPLICATE);
	assert(rg_outstanding_send(&table, 10) == 101);
	assert(rg_outstanding_send(&table, 20) == 102);
	rg_outstanding_expire(&table, 10);
	assert(table.waiting == 1 && table.expired == 1 && table.oldest == 102);
	assert(rg_outstanding_answer(&table, 101, &intended) == RG_ANSWER_LATE);
	rg_outstanding_expire(&table, 19);
	assert(table.expired == 1);
	/* Four more push out the one still waiting. */
	for (uint64_t i = 0; i < 4; i++)
		rg_outstanding_send(&table, 30 + i);
	assert(table.expired == 2 && table.waiting == 4 && table.oldest == 103);
	assert(rg_outstanding_answer(&table, 102, &intended) == RG_ANSWER_LATE);
	assert(rg_outstanding_answer(&table, 100, &intended) == RG_ANSWER_LATE); /* forgotten */
	rg_outstanding_free(&table);
}

/* The plain model: every id's history. */
enum { NEVER, WAITING, ANSWERED, EXPIRED };
#define MODEL_IDS 20000

static struct {
	int state[MODEL_IDS];
	uint64_t time[MODEL_IDS];
	uint64_t next, waiting, expired;
} model;

static void model_expire(uint64_t id)
{
	if (model.state[id] != WAITING)
		return;
	model.state[id] = EXPIRED;
	model.waiting--;
	model.expired++;
}

static void model_check_answer(struct rg_outstanding *table, uint64_t id, uint64_t capacity)
{
	uint64_t intended = UINT64_MAX;
	enum rg_answer_match match = rg_outstanding_answer(table, id, &intended), expected;

	if (id >= model.next)
		expected = RG_ANSWER_UNKNOWN;
	else if (model.next - id > capacity || model.state[id] == EXPIRED)
		expected = RG_ANSWER_LATE;
	else
		expected = model.state[id] == WAITING ? RG_ANSWER_FIRST : RG_ANSWER_DUPLICATE;
	assert(match == expected);
	if (match == RG_ANSWER_FIRST) {
		assert(intended == model.time[id]);
		model.state[id] = ANSWERED;
		model.waiting--;
	}
}

static void test_against_model(unsigned seed)
{
	enum { CAPACITY = 64 };
	struct rg_outstanding table;
	uint64_t now = 1;

	printf("seed %u\n", seed);
	srand(seed);
	assert(rg_outstanding_init(&table, CAPACITY, 0, NULL) == RG_OK);
	while (model.next < MODEL_IDS - 1) {
		int action = rand() % 100;

		now += (uint64_t)(rand() % 3);
		if (action < 45) {
			if (model.next >= CAPACITY)
				model_expire(model.next - CAPACITY);
			model.state[model.next] = WAITING;
			model.time[model.next] = now;
			model.waiting++;
			assert(rg_outstanding_send(&table, now) == model.next);
			model.next++;
		} else if (action < 97) {
			uint64_t back = (uint64_t)(rand() % (CAPACITY + 8));

			model_check_answer(&table,
					   model.next + 2 > back ? model.next + 2 - back : 0,
					   CAPACITY);
		} else {
			uint64_t limit = now > 40 ? now - 40 : 0;

			for (uint64_t id = 0; id < model.next; id++)
				if (model.time[id] <= limit)
					model_expire(id);
			rg_outstanding_expire(&table, limit);
		}
		assert(table.waiting == model.waiting && table.expired == model.expired);
	}
	rg_outstanding_free(&table);
}

int main(void)
{
	test_bounds();
	test_each_end();
	test_against_model(20261122);
	return 0;
}
