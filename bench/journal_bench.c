/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records a second from a worker's ring to a durable journal: what bench/records measures.
 *
 *	journal_bench FOLDER RECORDS [chain]      FOLDER is on the disk to measure
 *
 * A thread does what a worker does: bursts of 32 records of 458 bytes into a ring of 16 MiB in
 * shared memory, and waits when it is full. The other is control's loop without the rest of
 * control: drain, flush, step, with a sync every 50 ms or 16 MiB, and one sync at the end that
 * counts. Prints one JSON object: records, bytes in the journal, seconds, and of the loop's thread
 * the CPU seconds and how many of them were the kernel's.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "control/drain.h"

#define RECORD_BYTES 458u
#define BURST	     32
#define IDLE_US	     100 /* 10 % of what the ring holds at 1,000,000 records a second: 3,500 */

struct figures {
	uint64_t bytes;
	double seconds, cpu_seconds, kernel_seconds;
};

struct setting {
	char region[64], journal[512];
	uint64_t records;
	bool chain;
	struct rg_region *dataplane;
};

static void must(int rc, const struct rg_error *err)
{
	if (!rc)
		return;
	fprintf(stderr, "journal_bench: %s\n", err->text);
	exit(1);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static double seconds_since(clockid_t clock, uint64_t begin_ns)
{
	return (double)(clock_ns(clock) - begin_ns) / 1e9;
}

static double in_seconds(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* Of this thread, so far; *kernel: the kernel's part of it. */
static double cpu_seconds(double *kernel)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	*kernel = in_seconds(usage.ru_stime);
	return in_seconds(usage.ru_utime) + *kernel;
}

static void remove_folder(const char *path)
{
	char command[600];

	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	if (system(command))
		exit(1);
}

/* ---- the worker ---- */

static void *produce(void *context)
{
	struct setting *setting = context;
	_Alignas(8) uint8_t image[RECORD_BYTES] = {0};
	struct rg_record *record = (struct rg_record *)image;
	struct rg_ring_producer producer;
	struct rg_error err;

	must(rg_region_producer(setting->dataplane, 0, &producer, &err), &err);
	*record = (struct rg_record){.length = RECORD_BYTES,
				     .kind = RG_RECORD_DECISION,
				     .version = RG_RECORD_VERSION,
				     .epoch = 1,
				     .verdict = 1,
				     .request_bytes = RECORD_BYTES - sizeof(*record)};
	for (size_t i = sizeof(*record); i < RECORD_BYTES; i++)
		image[i] = (uint8_t)(i * 31);
	while (record->sequence < setting->records) {
		uint8_t *at = rg_ring_reserve(&producer, RECORD_BYTES);

		if (at) {
			record->sequence++;
			memcpy(at, image, RECORD_BYTES);
		}
		if (!at || record->sequence % BURST == 0)
			rg_ring_commit(&producer);
		if (!at) {
			rg_region_join_control(setting->dataplane, NULL, &err);
			sched_yield();
		}
	}
	rg_ring_commit(&producer);
	return NULL;
}

/* ---- the journal ---- */

static struct figures measure(struct setting *setting)
{
	const struct rg_region_config wanted = {1, 16ull << 20, "bench", 0};
	const struct rg_journal_writer_options options = {.directory = setting->journal,
							  .segment_bytes = 256ull << 20,
							  .sync_interval_ns = 50000000,
							  .sync_bytes = 16ull << 20,
							  .chain = setting->chain};
	struct rg_drain_statistics statistics = {0};
	struct rg_journal_recovery recovery;
	struct rg_journal_writer *writer;
	struct rg_region *control;
	struct rg_drain *drain;
	struct figures figures;
	struct rg_error err;
	struct rg_journal_statistics written;
	double cpu_before, kernel_before;
	uint64_t begin_ns;
	pthread_t thread;

	if (mkdir(setting->region, 0750))
		must(rg_error_set_errno(&err, RG_EIO, errno, "%s", setting->region), &err);
	must(rg_region_create_dataplane(setting->region, &wanted, clock_ns(CLOCK_REALTIME),
					&setting->dataplane, &err),
	     &err);
	must(rg_region_create_control(setting->region, "bench", 0, clock_ns(CLOCK_REALTIME),
				      &control, &err),
	     &err);
	must(rg_journal_writer_open(&options, &writer, &recovery, &err), &err);
	drain = rg_drain_new(control, writer);
	begin_ns = clock_ns(CLOCK_MONOTONIC);
	cpu_before = cpu_seconds(&kernel_before);
	if (!drain || pthread_create(&thread, NULL, produce, setting))
		exit(1);
	while (statistics.records < setting->records) {
		uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

		if (!rg_drain_do_work(drain, now_ns, clock_ns(CLOCK_REALTIME)))
			usleep(IDLE_US);
		rg_journal_writer_step(writer, now_ns, &err);
		must(err.status, &err);
		rg_drain_statistics(drain, &statistics);
	}
	must(rg_journal_writer_sync(writer, &err), &err);
	figures.seconds = seconds_since(CLOCK_MONOTONIC, begin_ns);
	rg_journal_writer_statistics(writer, &written);
	figures.bytes = written.bytes_written;
	figures.cpu_seconds = cpu_seconds(&figures.kernel_seconds) - cpu_before;
	figures.kernel_seconds -= kernel_before;
	pthread_join(thread, NULL);
	rg_drain_delete(drain);
	rg_journal_writer_close(writer);
	rg_region_close(control);
	rg_region_close(setting->dataplane);
	remove_folder(setting->region);
	remove_folder(setting->journal);
	return figures;
}

int main(int argc, char **argv)
{
	struct setting setting = {.records = argc > 2 ? strtoull(argv[2], NULL, 10) : 0,
				  .chain = argc == 4 && !strcmp(argv[3], "chain")};
	struct figures figures;

	if (argc < 3 || argc > 4 || !setting.records || (argc == 4 && !setting.chain)) {
		fputs("usage: journal_bench FOLDER RECORDS [chain]\n", stderr);
		return 2;
	}
	rg_log_set_level(RG_LOG_ERROR);
	snprintf(setting.region, sizeof(setting.region), "/dev/shm/journal-bench-%d", getpid());
	snprintf(setting.journal, sizeof(setting.journal), "%s/journal-bench-%d", argv[1],
		 getpid());
	figures = measure(&setting);
	printf("{\"records\": %llu, \"bytes\": %llu, \"seconds\": %.3f, \"cpu_s\": %.3f, "
	       "\"kernel_s\": %.3f}\n",
	       (unsigned long long)setting.records, (unsigned long long)figures.bytes,
	       figures.seconds, figures.cpu_seconds, figures.kernel_seconds);
	return 0;
}
