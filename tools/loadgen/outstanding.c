/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loadgen/outstanding.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

/* Marks above any time; a time is below 2^62. */
#define ENTRY_ANSWERED (UINT64_MAX - 1)
#define ENTRY_EXPIRED  UINT64_MAX
#define TIME_LIMIT     (1ull << 62)

static uint64_t *entry_of(const struct rg_outstanding *table, uint64_t id)
{
	return &table->entries[id & table->mask];
}

static bool is_outstanding(uint64_t entry)
{
	return entry < TIME_LIMIT;
}

int rg_outstanding_init(struct rg_outstanding *table, uint64_t capacity, uint64_t first,
			struct rg_error *err)
{
	uint64_t entry_count = 2;
	void *memory;

	if (capacity < 2 || capacity > 1ull << 28)
		return rg_error_set(
			err, RG_EINVAL,
			"table of outstanding requests: %llu entries is outside 2..268435456: "
			"lower the rate, the window or the timeout",
			(unsigned long long)capacity);
	while (entry_count < capacity)
		entry_count *= 2;
	/* Untouched pages cost nothing: a large table is only paid for as far as it is used. */
	memory = mmap(NULL, entry_count * sizeof(uint64_t), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return rg_error_set(err, RG_ENOMEM, "no memory for %llu outstanding requests",
				    (unsigned long long)entry_count);
	memset(table, 0, sizeof(*table));
	table->entries = memory;
	table->mask = entry_count - 1;
	table->first = table->next = table->oldest = first;
	return RG_OK;
}

void rg_outstanding_free(struct rg_outstanding *table)
{
	if (table->entries)
		munmap(table->entries, (table->mask + 1) * sizeof(uint64_t));
	table->entries = NULL;
}

/* Move `oldest` over what is settled. */
static void skip_settled(struct rg_outstanding *table)
{
	while (table->oldest < table->next && !is_outstanding(*entry_of(table, table->oldest)))
		table->oldest++;
}

static void expire_oldest(struct rg_outstanding *table)
{
	*entry_of(table, table->oldest) = ENTRY_EXPIRED;
	table->oldest++;
	table->waiting--;
	table->expired++;
	skip_settled(table);
}

uint64_t rg_outstanding_send(struct rg_outstanding *table, uint64_t intended_ns)
{
	assert(intended_ns < TIME_LIMIT);
	if (table->next - table->oldest > table->mask)
		expire_oldest(table);
	*entry_of(table, table->next) = intended_ns;
	table->waiting++;
	return table->next++;
}

enum rg_answer_match rg_outstanding_answer(struct rg_outstanding *table, uint64_t id,
					   uint64_t *intended_ns)
{
	uint64_t *entry = entry_of(table, id);

	if (id < table->first || id >= table->next)
		return RG_ANSWER_UNKNOWN;
	if (table->next - id > table->mask + 1 || *entry == ENTRY_EXPIRED)
		return RG_ANSWER_LATE;
	if (*entry == ENTRY_ANSWERED)
		return RG_ANSWER_DUPLICATE;
	*intended_ns = *entry;
	*entry = ENTRY_ANSWERED;
	table->waiting--;
	if (id == table->oldest)
		skip_settled(table);
	return RG_ANSWER_FIRST;
}

void rg_outstanding_expire(struct rg_outstanding *table, uint64_t at_or_before_ns)
{
	while (table->oldest < table->next && *entry_of(table, table->oldest) <= at_or_before_ns)
		expire_oldest(table);
}
