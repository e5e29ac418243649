/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters and gauges in the region, and the table that describes them.
 *
 * A block holds one group's values (metrics.def) of one writer. The writer counts in its own
 * memory, plain (struct rg_counters_writer), and stores the values with rg_counters_flush() in its
 * housekeeping; readers load them and sum over workers. No read-modify-write, no shared line on the
 * hot path.
 *
 * The catalogue in the same file says what each value is (group, id, type, name, label, unit,
 * help), so that a tool built from other sources, or later ones, prints the region without knowing
 * metrics.def.
 *
 * ORDERING. Values are relaxed: each is a number of its own and none guards another; two values
 * read together may be from different flushes. The catalogue is written before its object is
 * published and constant afterwards.
 *
 * Counters survive a restart of their writer in the same file: rg_counters_writer_join() goes on
 * from the stored values.
 *
 * Thread-safety: one writer a block; any number of readers.
 */
#ifndef RG_SHM_COUNTERS_H
#define RG_SHM_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/object.h"

#define RG_COUNTERS_VERSION  1
#define RG_CATALOGUE_VERSION 1
/* Room for growth that changes no layout. */
#define RG_COUNTERS_MAX	  128 /* values in a block */
#define RG_HISTOGRAMS_MAX 4   /* histograms in a group */
#define RG_METRICS_MAX	  256 /* entries of the catalogue */

/* RG_WORKER_RX_PACKETS, ..., RG_WORKER_COUNTERS */
enum rg_worker_counter {
#define RG_WORKER_COUNTER(symbol, name, label, unit, help) RG_WORKER_##symbol,
#define RG_WORKER_GAUGE(symbol, name, label, unit, help)   RG_WORKER_##symbol,
#include "shm/metrics.def"
	RG_WORKER_COUNTERS
};
enum rg_publisher_counter {
#define RG_PUBLISHER_COUNTER(symbol, name, label, unit, help) RG_PUBLISHER_##symbol,
#define RG_PUBLISHER_GAUGE(symbol, name, label, unit, help)   RG_PUBLISHER_##symbol,
#include "shm/metrics.def"
	RG_PUBLISHER_COUNTERS
};
enum rg_control_counter {
#define RG_CONTROL_COUNTER(symbol, name, label, unit, help) RG_CONTROL_##symbol,
#define RG_CONTROL_GAUGE(symbol, name, label, unit, help)   RG_CONTROL_##symbol,
#include "shm/metrics.def"
	RG_CONTROL_COUNTERS
};
/* RG_WORKER_HISTOGRAM_LATENCY, ..., RG_WORKER_HISTOGRAMS */
enum rg_worker_histogram {
#define RG_WORKER_HISTOGRAM(symbol, name, label, unit, help) RG_WORKER_HISTOGRAM_##symbol,
#include "shm/metrics.def"
	RG_WORKER_HISTOGRAMS
};
enum rg_publisher_histogram {
#define RG_PUBLISHER_HISTOGRAM(symbol, name, label, unit, help) RG_PUBLISHER_HISTOGRAM_##symbol,
#include "shm/metrics.def"
	RG_PUBLISHER_HISTOGRAMS
};
enum rg_control_histogram {
#define RG_CONTROL_HISTOGRAM(symbol, name, label, unit, help) RG_CONTROL_HISTOGRAM_##symbol,
#include "shm/metrics.def"
	RG_CONTROL_HISTOGRAMS
};
static_assert((int)RG_WORKER_COUNTERS <= RG_COUNTERS_MAX &&
		      (int)RG_PUBLISHER_COUNTERS <= RG_COUNTERS_MAX &&
		      (int)RG_CONTROL_COUNTERS <= RG_COUNTERS_MAX,
	      "metrics.def has grown: raise RG_COUNTERS_MAX and RG_REGION_VERSION");
static_assert((int)RG_WORKER_HISTOGRAMS <= RG_HISTOGRAMS_MAX &&
		      (int)RG_PUBLISHER_HISTOGRAMS <= RG_HISTOGRAMS_MAX &&
		      (int)RG_CONTROL_HISTOGRAMS <= RG_HISTOGRAMS_MAX,
	      "metrics.def has grown: raise RG_HISTOGRAMS_MAX and RG_REGION_VERSION");

enum rg_metric_group {
	RG_METRIC_WORKER = 0,
	RG_METRIC_PUBLISHER,
	RG_METRIC_CONTROL,
	RG_METRIC_GROUP_COUNT
};
enum rg_metric_type { RG_METRIC_COUNTER = 0, RG_METRIC_GAUGE, RG_METRIC_HISTOGRAM };

/* ---- catalogue ---- */

struct rg_metric {
	uint16_t group; /* enum rg_metric_group */
	uint16_t type;	/* enum rg_metric_type */
	uint32_t id;	/* index of the value in its block, or of the histogram in its group */
	char name[40];	/* all NUL-terminated */
	char label[40];
	char unit[16];
	char help[152];
};
static_assert(sizeof(struct rg_metric) == 256,
	      "layout of the catalogue: raise RG_CATALOGUE_VERSION and RG_REGION_VERSION");

/* object.parameter: number of metrics. Written once, by new(); read by tools. */
struct rg_catalogue {
	struct rg_object object;
	uint32_t fingerprint; /* CRC32C of the metrics: another one is another layout of the counter
				 blocks */
	uint32_t reserved[25];
	struct rg_metric metrics[RG_METRICS_MAX];
};
static_assert(offsetof(struct rg_catalogue, metrics) == 128,
	      "layout of the catalogue: raise RG_CATALOGUE_VERSION and RG_REGION_VERSION");

uint64_t rg_catalogue_align(void);
uint64_t rg_catalogue_footprint(void);
/* Fill in all of metrics.def. */
struct rg_catalogue *rg_catalogue_new(void *sh_catalogue);
int rg_catalogue_join(const void *sh_catalogue, uint64_t mapped_bytes, struct rg_error *err);
void *rg_catalogue_leave(struct rg_catalogue *catalogue);
void rg_catalogue_delete(struct rg_catalogue *catalogue);
uint32_t rg_catalogue_count(const struct rg_catalogue *catalogue);
/* Fingerprint of this program's metrics.def. */
uint32_t rg_catalogue_fingerprint(void);
/* Copy metric `index` (0..count-1), with every string terminated whatever the file holds.
 * RG_EINVAL: out of range. */
int rg_catalogue_read(const struct rg_catalogue *catalogue, uint32_t index,
		      struct rg_metric *metric);

/* ---- a block ---- */

/* object.parameter: group << 16 | number of values. */
struct rg_counters {
	struct rg_object object; /* written once; read by every join */

	/* its writer: each flush (about 1 ms to 1 s); tools: when asked */
	_Alignas(RG_SHM_LINE) _Atomic uint64_t values[RG_COUNTERS_MAX];
};
static_assert(offsetof(struct rg_counters, values) == 128,
	      "layout of counters: raise RG_COUNTERS_VERSION and RG_REGION_VERSION");

uint64_t rg_counters_align(void);
/* 0: no such group. */
uint64_t rg_counters_footprint(enum rg_metric_group group);
struct rg_counters *rg_counters_new(void *sh_counters, enum rg_metric_group group);
int rg_counters_join(const void *sh_counters, uint64_t mapped_bytes, struct rg_error *err);
void *rg_counters_leave(struct rg_counters *counters);
void rg_counters_delete(struct rg_counters *counters);
uint32_t rg_counters_count(const struct rg_counters *counters);
/* Value `id` as last flushed; 0 when the block has no such id. Any thread, any mapping. */
uint64_t rg_counters_read(const struct rg_counters *counters, uint32_t id);

/* The writer's own values: add to them as you like. */
struct rg_counters_writer {
	struct rg_counters *counters;
	uint32_t count;
	uint64_t values[RG_COUNTERS_MAX];
};
/* Go on from what the block holds; gauges begin at 0. RG_EVERSION: the block is not of this group
 * as this program knows it. */
int rg_counters_writer_join(struct rg_counters_writer *writer, struct rg_counters *counters,
			    enum rg_metric_group group, struct rg_error *err);
/* Store all values. */
void rg_counters_flush(const struct rg_counters_writer *writer);

#endif
