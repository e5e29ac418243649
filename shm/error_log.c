/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/error_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shm/snapshot.h"

#define ERROR_LOG_MAGIC 0x474f4c454b475252ull /* "RRGKELOG" */
#define ENTRY_WORDS	(sizeof(struct rg_error_entry) / 8)

static const struct rg_object_kind kind = {"error log", ERROR_LOG_MAGIC, RG_ERROR_LOG_VERSION,
					   RG_SHM_LINE};

/* An entry as the words that a snapshot copies. */
union entry_words {
	struct rg_error_entry entry;
	uint64_t words[ENTRY_WORDS];
};

uint64_t rg_error_log_align(void)
{
	return RG_SHM_LINE;
}

uint64_t rg_error_log_footprint(void)
{
	return sizeof(struct rg_error_log);
}

struct rg_error_log *rg_error_log_new(void *sh_log)
{
	struct rg_error_log *log = sh_log;

	if (!log || (uintptr_t)sh_log & (RG_SHM_LINE - 1))
		return NULL;
	memset(log, 0, sizeof(*log));
	rg_object_publish(&log->object, &kind, RG_ERROR_LOG_SLOTS, sizeof(*log));
	return log;
}

int rg_error_log_join(const void *sh_log, uint64_t mapped_bytes, struct rg_error *err)
{
	int status = rg_object_join(sh_log, mapped_bytes, &kind, err);

	if (!status && mapped_bytes < sizeof(struct rg_error_log))
		status = rg_error_set(
			err, RG_ECORRUPT, "error log: %llu bytes are mapped, it has %zu",
			(unsigned long long)mapped_bytes, sizeof(struct rg_error_log));
	return status;
}

void *rg_error_log_leave(struct rg_error_log *log)
{
	return log;
}

void rg_error_log_delete(struct rg_error_log *log)
{
	rg_object_unpublish(&log->object);
}

void rg_error_log_repair(struct rg_error_log *log)
{
	for (uint32_t i = 0; i < RG_ERROR_LOG_SLOTS; i++) {
		struct rg_error_slot *slot = &log->slots[i];
		union entry_words at = {0};

		/* relaxed: the writer is gone */
		if (!(atomic_load_explicit(&slot->version, memory_order_relaxed) & 1))
			continue;
		rg_snapshot_read_torn(slot->words, at.words, ENTRY_WORDS);
		/* The words are stored in order, count last: without it the text may be half. */
		if (!at.entry.count)
			memset(&at, 0, sizeof(at));
		rg_snapshot_write(&slot->version, slot->words, at.words, ENTRY_WORDS);
	}
}

void rg_error_log_add(struct rg_error_log *log, uint64_t now_ns, const char *text)
{
	char cut[RG_ERROR_LOG_TEXT_BYTES] = "";

	snprintf(cut, sizeof(cut), "%s", text);
	for (uint32_t i = 0; i < RG_ERROR_LOG_SLOTS; i++) {
		struct rg_error_slot *slot = &log->slots[i];
		union entry_words at;

		rg_snapshot_read_torn(slot->words, at.words, ENTRY_WORDS); /* our own words */
		if (at.entry.count && memcmp(at.entry.text, cut, sizeof(cut)))
			continue;
		if (!at.entry.count) {
			at.entry.first_ns = now_ns;
			memcpy(at.entry.text, cut, sizeof(cut));
		}
		at.entry.last_ns = now_ns;
		at.entry.count++;
		rg_snapshot_write(&slot->version, slot->words, at.words, ENTRY_WORDS);
		return;
	}
	/* relaxed, and a load and a store: a number of its own with one writer */
	atomic_store_explicit(&log->overflow, rg_error_log_overflow(log) + 1, memory_order_relaxed);
}

void rg_error_log_addf(struct rg_error_log *log, uint64_t now_ns, const char *format, ...)
{
	char text[RG_ERROR_LOG_TEXT_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	rg_error_log_add(log, now_ns, text);
}

int rg_error_log_read(const struct rg_error_log *log, uint32_t index, struct rg_error_entry *entry)
{
	const struct rg_error_slot *slot;
	union entry_words at;

	if (index >= RG_ERROR_LOG_SLOTS)
		return RG_EINVAL;
	slot = &log->slots[index];
	if (!rg_snapshot_read(&slot->version, slot->words, at.words, ENTRY_WORDS))
		return RG_EAGAIN;
	if (!at.entry.count)
		return RG_ENOENT;
	*entry = at.entry;
	entry->text[sizeof(entry->text) - 1] = '\0';
	return RG_OK;
}

uint64_t rg_error_log_overflow(const struct rg_error_log *log)
{
	/* relaxed: a number of its own */
	return atomic_load_explicit(&log->overflow, memory_order_relaxed);
}
