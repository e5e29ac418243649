/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/counters.h"

#include <string.h>

#include "base/crc32c.h"

#define COUNTERS_MAGIC	0x53544e434b475252ull /* "RRGKCNTS" */
#define CATALOGUE_MAGIC 0x474c54434b475252ull /* "RRGKCTLG" */

static const struct rg_object_kind counters_kind = {"counters", COUNTERS_MAGIC, RG_COUNTERS_VERSION,
						    RG_SHM_LINE};
static const struct rg_object_kind catalogue_kind = {"metric catalogue", CATALOGUE_MAGIC,
						     RG_CATALOGUE_VERSION, RG_SHM_LINE};

/* The metrics as this program knows them; the initialisers do not compile if a text is too long. */
static const struct rg_metric metrics[] = {
#define RG_WORKER_COUNTER(symbol, name, label, unit, help)                                         \
	{RG_METRIC_WORKER, RG_METRIC_COUNTER, RG_WORKER_##symbol, name, label, unit, help},
#define RG_WORKER_GAUGE(symbol, name, label, unit, help)                                           \
	{RG_METRIC_WORKER, RG_METRIC_GAUGE, RG_WORKER_##symbol, name, label, unit, help},
#define RG_WORKER_HISTOGRAM(symbol, name, label, unit, help)                                       \
	{RG_METRIC_WORKER,                                                                         \
	 RG_METRIC_HISTOGRAM,                                                                      \
	 RG_WORKER_HISTOGRAM_##symbol,                                                             \
	 name,                                                                                     \
	 label,                                                                                    \
	 unit,                                                                                     \
	 help},
#define RG_PUBLISHER_COUNTER(symbol, name, label, unit, help)                                      \
	{RG_METRIC_PUBLISHER, RG_METRIC_COUNTER, RG_PUBLISHER_##symbol, name, label, unit, help},
#define RG_PUBLISHER_GAUGE(symbol, name, label, unit, help)                                        \
	{RG_METRIC_PUBLISHER, RG_METRIC_GAUGE, RG_PUBLISHER_##symbol, name, label, unit, help},
#define RG_PUBLISHER_HISTOGRAM(symbol, name, label, unit, help)                                    \
	{RG_METRIC_PUBLISHER,                                                                      \
	 RG_METRIC_HISTOGRAM,                                                                      \
	 RG_PUBLISHER_HISTOGRAM_##symbol,                                                          \
	 name,                                                                                     \
	 label,                                                                                    \
	 unit,                                                                                     \
	 help},
#define RG_CONTROL_COUNTER(symbol, name, label, unit, help)                                        \
	{RG_METRIC_CONTROL, RG_METRIC_COUNTER, RG_CONTROL_##symbol, name, label, unit, help},
#define RG_CONTROL_GAUGE(symbol, name, label, unit, help)                                          \
	{RG_METRIC_CONTROL, RG_METRIC_GAUGE, RG_CONTROL_##symbol, name, label, unit, help},
#define RG_CONTROL_HISTOGRAM(symbol, name, label, unit, help)                                      \
	{RG_METRIC_CONTROL,                                                                        \
	 RG_METRIC_HISTOGRAM,                                                                      \
	 RG_CONTROL_HISTOGRAM_##symbol,                                                            \
	 name,                                                                                     \
	 label,                                                                                    \
	 unit,                                                                                     \
	 help},
#include "shm/metrics.def"
};
#define METRIC_COUNT (sizeof(metrics) / sizeof(metrics[0]))
static_assert(METRIC_COUNT <= RG_METRICS_MAX,
	      "metrics.def has grown: raise RG_METRICS_MAX and RG_REGION_VERSION");

static const uint32_t group_counts[RG_METRIC_GROUP_COUNT] = {
	[RG_METRIC_WORKER] = RG_WORKER_COUNTERS,
	[RG_METRIC_PUBLISHER] = RG_PUBLISHER_COUNTERS,
	[RG_METRIC_CONTROL] = RG_CONTROL_COUNTERS,
};

/* ---- catalogue ---- */

uint64_t rg_catalogue_align(void)
{
	return RG_SHM_LINE;
}

uint64_t rg_catalogue_footprint(void)
{
	return sizeof(struct rg_catalogue);
}

struct rg_catalogue *rg_catalogue_new(void *sh_catalogue)
{
	struct rg_catalogue *catalogue = sh_catalogue;

	if (!catalogue || (uintptr_t)sh_catalogue & (RG_SHM_LINE - 1))
		return NULL;
	memset(catalogue, 0, sizeof(*catalogue));
	memcpy(catalogue->metrics, metrics, sizeof(metrics));
	catalogue->fingerprint = rg_catalogue_fingerprint();
	rg_object_publish(&catalogue->object, &catalogue_kind, (uint32_t)METRIC_COUNT,
			  sizeof(*catalogue));
	return catalogue;
}

int rg_catalogue_join(const void *sh_catalogue, uint64_t mapped_bytes, struct rg_error *err)
{
	int status = rg_object_join(sh_catalogue, mapped_bytes, &catalogue_kind, err);

	if (!status && mapped_bytes < sizeof(struct rg_catalogue))
		status = rg_error_set(
			err, RG_ECORRUPT, "metric catalogue: %llu bytes are mapped, it has %zu",
			(unsigned long long)mapped_bytes, sizeof(struct rg_catalogue));
	return status;
}

void *rg_catalogue_leave(struct rg_catalogue *catalogue)
{
	return catalogue;
}

void rg_catalogue_delete(struct rg_catalogue *catalogue)
{
	rg_object_unpublish(&catalogue->object);
}

uint32_t rg_catalogue_count(const struct rg_catalogue *catalogue)
{
	uint32_t count = catalogue->object.parameter;

	return count < RG_METRICS_MAX ? count : RG_METRICS_MAX;
}

uint32_t rg_catalogue_fingerprint(void)
{
	return rg_crc32c(0, metrics, sizeof(metrics));
}

int rg_catalogue_read(const struct rg_catalogue *catalogue, uint32_t index,
		      struct rg_metric *metric)
{
	if (index >= rg_catalogue_count(catalogue))
		return RG_EINVAL;
	memcpy(metric, &catalogue->metrics[index], sizeof(*metric));
	metric->name[sizeof(metric->name) - 1] = '\0';
	metric->label[sizeof(metric->label) - 1] = '\0';
	metric->unit[sizeof(metric->unit) - 1] = '\0';
	metric->help[sizeof(metric->help) - 1] = '\0';
	return RG_OK;
}

/* ---- a block ---- */

static uint32_t block_parameter(enum rg_metric_group group)
{
	return (uint32_t)group << 16 | group_counts[group];
}

uint64_t rg_counters_align(void)
{
	return RG_SHM_LINE;
}

uint64_t rg_counters_footprint(enum rg_metric_group group)
{
	return (uint32_t)group < RG_METRIC_GROUP_COUNT ? sizeof(struct rg_counters) : 0;
}

struct rg_counters *rg_counters_new(void *sh_counters, enum rg_metric_group group)
{
	struct rg_counters *counters = sh_counters;

	if (!counters || (uintptr_t)sh_counters & (RG_SHM_LINE - 1) ||
	    !rg_counters_footprint(group))
		return NULL;
	memset(counters, 0, sizeof(*counters));
	rg_object_publish(&counters->object, &counters_kind, block_parameter(group),
			  sizeof(*counters));
	return counters;
}

int rg_counters_join(const void *sh_counters, uint64_t mapped_bytes, struct rg_error *err)
{
	int status = rg_object_join(sh_counters, mapped_bytes, &counters_kind, err);

	if (!status && mapped_bytes < sizeof(struct rg_counters))
		status = rg_error_set(err, RG_ECORRUPT,
				      "counters: %llu bytes are mapped, they have %zu",
				      (unsigned long long)mapped_bytes, sizeof(struct rg_counters));
	return status;
}

void *rg_counters_leave(struct rg_counters *counters)
{
	return counters;
}

void rg_counters_delete(struct rg_counters *counters)
{
	rg_object_unpublish(&counters->object);
}

uint32_t rg_counters_count(const struct rg_counters *counters)
{
	uint32_t count = counters->object.parameter & 0xffff;

	return count < RG_COUNTERS_MAX ? count : RG_COUNTERS_MAX;
}

uint64_t rg_counters_read(const struct rg_counters *counters, uint32_t id)
{
	if (id >= rg_counters_count(counters))
		return 0;
	/* relaxed: a number of its own */
	return atomic_load_explicit(&counters->values[id], memory_order_relaxed);
}

static bool is_gauge(enum rg_metric_group group, uint32_t id)
{
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		if (metrics[i].group == group && metrics[i].type == RG_METRIC_GAUGE &&
		    metrics[i].id == id)
			return true;
	}
	return false;
}

int rg_counters_writer_join(struct rg_counters_writer *writer, struct rg_counters *counters,
			    enum rg_metric_group group, struct rg_error *err)
{
	if (!rg_counters_footprint(group))
		return rg_error_set(err, RG_EINVAL, "counters: no group %d", (int)group);
	if (counters->object.parameter != block_parameter(group))
		return rg_error_set(err, RG_EVERSION,
				    "counters: the block holds group %u with %u values, wanted "
				    "group %u with %u",
				    counters->object.parameter >> 16,
				    counters->object.parameter & 0xffff, (unsigned)group,
				    group_counts[group]);
	memset(writer, 0, sizeof(*writer));
	writer->counters = counters;
	writer->count = group_counts[group];
	for (uint32_t id = 0; id < writer->count; id++)
		writer->values[id] = is_gauge(group, id) ? 0 : rg_counters_read(counters, id);
	return RG_OK;
}

void rg_counters_flush(const struct rg_counters_writer *writer)
{
	for (uint32_t id = 0; id < writer->count; id++)
		/* relaxed: a number of its own; pairs with rg_counters_read() */
		atomic_store_explicit(&writer->counters->values[id], writer->values[id],
				      memory_order_relaxed);
}
