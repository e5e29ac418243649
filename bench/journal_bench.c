/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records a second from a worker's ring to a durable journal, beside what the same disk takes.
 *
 *	journal_bench FOLDER [RECORDS [ROUNDS]]      FOLDER is on the disk to measure
 *
 * A thread does what a worker does: bursts of 32 records of 458 bytes into a ring of 16 MiB in
 * shared memory, and waits when it is full. The other is control's loop without the rest of
 * control: drain, flush, step, with a sync every 50 ms or 16 MiB, and one sync at the end that
 * counts. The baseline writes as many bytes with plain writes of 1 MiB and one fdatasync. They take
 * turns, in the same folder; medians of all rounds are printed, and the processor time of the
 * loop's thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "control/drain.h"

#define RECORD_BYTES 458u
#define BURST	     32
#define ROUNDS_MAX   15
#define BLOCK_BYTES  (1u << 20)
#define IDLE_US	     100 /* 10 % of what the ring holds at 1,000,000 records a second: 3,500 */

struct figures {
	double seconds, cpu_seconds;
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

static struct figures measure_journal(struct setting *setting)
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
	uint64_t begin_ns, cpu_ns;
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
	cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
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
	figures.cpu_seconds = seconds_since(CLOCK_THREAD_CPUTIME_ID, cpu_ns);
	pthread_join(thread, NULL);
	rg_drain_delete(drain);
	rg_journal_writer_close(writer);
	rg_region_close(control);
	rg_region_close(setting->dataplane);
	remove_folder(setting->region);
	remove_folder(setting->journal);
	return figures;
}

/* ---- the disk ---- */

static double measure_disk(const struct setting *setting)
{
	uint64_t left = setting->records * ((RECORD_BYTES + 16 + 7) & ~7u), begin_ns;
	uint8_t *block = malloc(BLOCK_BYTES);
	double seconds;
	int fd = open(setting->journal, O_WRONLY | O_CREAT | O_TRUNC, 0640);

	if (fd < 0 || !block) {
		perror(setting->journal);
		exit(1);
	}
	memset(block, 0x5a, BLOCK_BYTES);
	begin_ns = clock_ns(CLOCK_MONOTONIC);
	while (left) {
		ssize_t n = write(fd, block, left < BLOCK_BYTES ? left : BLOCK_BYTES);

		if (n <= 0) {
			perror(setting->journal);
			exit(1);
		}
		left -= (uint64_t)n;
	}
	if (fdatasync(fd)) {
		perror(setting->journal);
		exit(1);
	}
	seconds = seconds_since(CLOCK_MONOTONIC, begin_ns);
	close(fd);
	free(block);
	remove_folder(setting->journal);
	return seconds;
}

/* ---- rounds ---- */

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), compare);
	return values[count / 2];
}

static void print(const char *name, double rate, double cpu_ns)
{
	printf("%-34s %10.0f records/s %8.1f MB/s", name, rate,
	       rate * ((RECORD_BYTES + 16 + 7) & ~7u) / 1e6);
	if (cpu_ns > 0)
		printf("  %5.0f ns of the loop's thread a record", cpu_ns);
	putchar('\n');
}

int main(int argc, char **argv)
{
	struct setting setting = {.records = argc > 2 ? strtoull(argv[2], NULL, 10) : 4000000};
	int rounds = argc > 3 ? atoi(argv[3]) : 5;
	double disk[ROUNDS_MAX], rate[2][ROUNDS_MAX], cpu[2][ROUNDS_MAX];

	if (argc < 2 || argc > 4 || !setting.records || rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: journal_bench FOLDER [RECORDS [ROUNDS 1..%d]]\n",
			ROUNDS_MAX);
		return 2;
	}
	snprintf(setting.region, sizeof(setting.region), "/dev/shm/journal-bench-%d", getpid());
	snprintf(setting.journal, sizeof(setting.journal), "%s/journal-bench-%d", argv[1],
		 getpid());
	for (int i = 0; i < rounds; i++) {
		disk[i] = (double)setting.records / measure_disk(&setting);
		for (int chain = 0; chain < 2; chain++) {
			struct figures figures;

			setting.chain = chain;
			figures = measure_journal(&setting);
			rate[chain][i] = (double)setting.records / figures.seconds;
			cpu[chain][i] = figures.cpu_seconds * 1e9 / (double)setting.records;
		}
	}
	print("the disk: write, fdatasync", median(disk, rounds), 0);
	print("journal", median(rate[0], rounds), median(cpu[0], rounds));
	print("journal, chained", median(rate[1], rounds), median(cpu[1], rounds));
	printf("journal / disk: %.2f; chained / disk: %.2f\n",
	       rate[0][rounds / 2] / disk[rounds / 2], rate[1][rounds / 2] / disk[rounds / 2]);
	return 0;
}
