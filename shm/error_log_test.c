/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/error_log.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/test_random.h"
#include "shm/test_ritual.h"

static void *make(void *sh_log)
{
	return rg_error_log_new(sh_log);
}

static void remove_log(void *log)
{
	rg_error_log_delete(log);
}

static struct rg_error_log *new_log(void)
{
	return rg_error_log_new(aligned_alloc(4096, rg_align_up(rg_error_log_footprint(), 4096)));
}

static void test_texts(void)
{
	struct rg_error_log *log = new_log();
	struct rg_error_entry entry;
	char lengthy[400];

	assert(rg_error_log_read(log, 0, &entry) == RG_ENOENT);
	assert(rg_error_log_read(log, RG_ERROR_LOG_SLOTS, &entry) == RG_EINVAL);
	rg_error_log_add(log, 100, "queue is gone");
	rg_error_log_addf(log, 110, "port %d: link is down", 3);
	rg_error_log_add(log, 120, "queue is gone");
	assert(rg_error_log_read(log, 0, &entry) == RG_OK);
	assert(entry.first_ns == 100 && entry.last_ns == 120 && entry.count == 2 &&
	       !strcmp(entry.text, "queue is gone"));
	assert(rg_error_log_read(log, 1, &entry) == RG_OK);
	assert(entry.count == 1 && !strcmp(entry.text, "port 3: link is down"));
	memset(lengthy, 'x', sizeof(lengthy));
	lengthy[sizeof(lengthy) - 1] = '\0';
	rg_error_log_add(log, 130, lengthy);
	lengthy[300] = 'y'; /* the same after cutting */
	rg_error_log_add(log, 140, lengthy);
	assert(rg_error_log_read(log, 2, &entry) == RG_OK);
	assert(entry.count == 2 && strlen(entry.text) == RG_ERROR_LOG_TEXT_BYTES - 1);
	assert(rg_error_log_read(log, 3, &entry) == RG_ENOENT);
	free(rg_error_log_leave(log));
}

/* Random texts beside a plain table: the first RG_ERROR_LOG_SLOTS distinct ones have a slot, the
 * others are counted. */
static void test_model(void)
{
	enum { TEXTS = 60 };
	struct test_random random = test_random_start("error log model");
	struct rg_error_log *log = new_log();
	struct {
		uint64_t first, last, count;
	} model[TEXTS] = {0};
	int order[TEXTS], known = 0;
	uint64_t overflow = 0;

	for (uint64_t now = 1; now <= 20000; now++) {
		int text = (int)test_random_below(&random, TEXTS);

		rg_error_log_addf(log, now, "error %d", text);
		if (!model[text].count && known == RG_ERROR_LOG_SLOTS) {
			overflow++;
			continue;
		}
		if (!model[text].count) {
			model[text].first = now;
			order[known++] = text;
		}
		model[text].last = now;
		model[text].count++;
	}
	assert(known == RG_ERROR_LOG_SLOTS && rg_error_log_overflow(log) == overflow && overflow);
	for (int i = 0; i < known; i++) {
		struct rg_error_entry entry;
		char text[32];

		snprintf(text, sizeof(text), "error %d", order[i]);
		assert(rg_error_log_read(log, (uint32_t)i, &entry) == RG_OK);
		assert(!strcmp(entry.text, text) && entry.first_ns == model[order[i]].first &&
		       entry.last_ns == model[order[i]].last &&
		       entry.count == model[order[i]].count);
	}
	free(log);
}

/* The writer is killed after each of the words it stores: readers give up, the successor repairs.
 */
static void test_killed_at_each_word(void)
{
	enum { WORDS = sizeof(struct rg_error_entry) / 8 };

	for (int is_new = 0; is_new < 2; is_new++) {
		for (int stored = 0; stored <= WORDS; stored++) {
			struct rg_error_log *log = new_log(), *full = new_log();
			struct rg_error_entry entry;

			if (!is_new) {
				rg_error_log_add(log, 5, "an error with a text of some length");
				rg_error_log_add(full, 5, "an error with a text of some length");
			}
			rg_error_log_add(full, 6, "an error with a text of some length");
			atomic_fetch_add(&log->slots[0].version, 1);
			for (int i = 0; i < stored; i++)
				atomic_store(&log->slots[0].words[i],
					     atomic_load(&full->slots[0].words[i]));
			assert(rg_error_log_read(log, 0, &entry) == RG_EAGAIN);
			rg_error_log_repair(log);
			if (is_new && stored < WORDS) {
				assert(rg_error_log_read(log, 0, &entry) == RG_ENOENT);
			} else {
				assert(rg_error_log_read(log, 0, &entry) == RG_OK);
				assert(!strcmp(entry.text, "an error with a text of some length"));
				assert(entry.count == (is_new || stored < WORDS ? 1u : 2u));
			}
			free(full);
			free(log);
		}
	}
}

enum { ADDS = 60000 };

static void *add_many(void *argument)
{
	for (uint64_t now = 1; now <= ADDS; now++)
		rg_error_log_addf(argument, now, "error %02d", (int)(now % 20));
	return NULL;
}

static void test_threads(void)
{
	struct rg_error_log *log = new_log();
	uint64_t last[20] = {0}, seen = 0;
	pthread_t thread;

	assert(!pthread_create(&thread, NULL, add_many, log));
	while (seen < 20 * (ADDS / 20)) {
		seen = 0;
		for (uint32_t i = 0; i < 20; i++) {
			struct rg_error_entry entry;
			char text[32];

			if (rg_error_log_read(log, i, &entry))
				continue;
			snprintf(text, sizeof(text), "error %02d", (int)(entry.first_ns % 20));
			assert(!strcmp(entry.text, text));
			assert(entry.last_ns == entry.first_ns + 20 * (entry.count - 1));
			assert(entry.count >= last[i]);
			last[i] = entry.count;
			seen += entry.count;
		}
	}
	assert(!pthread_join(thread, NULL));
	free(log);
}

int main(void)
{
	const struct test_ritual ritual = {rg_error_log_align(), rg_error_log_footprint(), make,
					   rg_error_log_join, remove_log};

	test_ritual(&ritual);
	test_texts();
	test_model();
	test_killed_at_each_word();
	test_threads();
	return 0;
}
