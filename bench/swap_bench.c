/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control's part of many policy swaps: bench/publish runs it in place of riskgate-control.
 *
 *	swap_bench FOLDER INSTANCE IMAGE PER_SECOND SECONDS
 *
 * FOLDER is the region of a running data plane, IMAGE a policy image that some riskgate-control
 * wrote for it. PER_SECOND times a second the image is written under the next sequence and
 * announced; an announcement waits for the one before. With PER_SECOND 0 it is announced once, at
 * the beginning. Records are let go unread, so that the ring never fills, whatever the load. Prints
 * "ready" once the first is active, and at the end, or at SIGTERM, one JSON object: how many swaps
 * became active in how many seconds, and the median, the 99th percentile and the most of two times:
 * from when the publisher took an image up, and from when it exchanged the pointer, to when it knew
 * of the last worker's quiescent state.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "policy/image/image.h"
#include "shm/image_file.h"
#include "shm/region.h"

#define NS_A_SECOND   1000000000ull
#define POLL_US	      50
#define DRAIN_NS      5000000ull
#define ACTIVE_NS_MAX (5 * NS_A_SECOND)

struct bench {
	const char *directory;
	struct rg_region *region;
	struct rg_ring_consumer consumers[RG_WORKERS_MAX];
	uint32_t consumer_count;
	uint8_t *image;
	uint64_t image_bytes;
	uint64_t swaps, next_drain_ns;
	uint64_t *publish_ns, *swap_ns; /* of each swap */
	uint64_t capacity;
};

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	stop = 1;
}

static void must(int status, const struct rg_error *err)
{
	if (status == RG_OK)
		return;
	fprintf(stderr, "swap_bench: %s\n", err->text);
	exit(1);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_A_SECOND + (uint64_t)now.tv_nsec;
}

static void read_image(struct bench *bench, const char *path)
{
	FILE *file = fopen(path, "re");
	long bytes;

	if (!file || fseek(file, 0, SEEK_END) || (bytes = ftell(file)) < 0) {
		fprintf(stderr, "swap_bench: %s cannot be read\n", path);
		exit(1);
	}
	rewind(file);
	bench->image = malloc((size_t)bytes);
	if (!bench->image || fread(bench->image, 1, (size_t)bytes, file) != (size_t)bytes ||
	    (size_t)bytes < sizeof(struct rg_image_header)) {
		fprintf(stderr, "swap_bench: %s cannot be read\n", path);
		exit(1);
	}
	fclose(file);
	bench->image_bytes = rg_image_header(bench->image)->image_bytes;
	if (bench->image_bytes > (uint64_t)bytes) {
		fprintf(stderr, "swap_bench: %s is no policy image\n", path);
		exit(1);
	}
}

/* The data plane looks for our file ten times a second: until then its cursors are the old ones. */
static void join_rings(struct bench *bench)
{
	const struct rg_region_dataplane *dataplane;
	struct rg_error err;

	must(rg_region_join_dataplane(bench->region, NULL, &err), &err);
	dataplane = rg_region_dataplane(bench->region);
	for (uint32_t i = 0; i < dataplane->worker_count; i++) {
		int status;

		while ((status = rg_region_consumer(bench->region, i, &bench->consumers[i],
						    &err)) == RG_EAGAIN)
			usleep(1000);
		must(status, &err);
	}
	bench->consumer_count = dataplane->worker_count;
}

/* Everything committed so far is given back unread. */
static void drain(struct bench *bench, uint64_t now_ns)
{
	if (now_ns < bench->next_drain_ns)
		return;
	bench->next_drain_ns = now_ns + DRAIN_NS;
	for (uint32_t i = 0; i < bench->consumer_count; i++) {
		struct rg_ring_consumer *consumer = &bench->consumers[i];

		/* acquire: as rg_ring_peek() reads it */
		consumer->position =
			atomic_load_explicit(&consumer->ring->position, memory_order_acquire);
		rg_ring_release(consumer);
	}
}

static void wait_until_active(struct bench *bench, uint64_t sequence)
{
	const struct rg_mailbox_reply *reply = rg_region_dataplane(bench->region)->reply;
	uint64_t deadline = clock_ns(CLOCK_MONOTONIC) + ACTIVE_NS_MAX;
	struct rg_mailbox_progress progress;
	struct rg_error err;

	while (rg_mailbox_result(reply, sequence, &progress) != RG_OK ||
	       !rg_mailbox_state_final((enum rg_mailbox_state)progress.state)) {
		if (clock_ns(CLOCK_MONOTONIC) > deadline)
			must(rg_error_set(&err, RG_EAGAIN,
					  "sequence %" PRIu64 " is not active after %llu s",
					  sequence, ACTIVE_NS_MAX / NS_A_SECOND),
			     &err);
		drain(bench, clock_ns(CLOCK_MONOTONIC));
		usleep(POLL_US);
	}
	if (progress.state != RG_MAILBOX_ACTIVE)
		must(rg_error_set(&err, RG_EINVAL, "refused: %s", progress.text), &err);
	bench->swap_ns[bench->swaps] =
		progress.entered_ns[RG_MAILBOX_ACTIVE] - progress.entered_ns[RG_MAILBOX_SWAPPING];
	bench->publish_ns[bench->swaps] =
		progress.entered_ns[RG_MAILBOX_ACTIVE] - progress.entered_ns[RG_MAILBOX_COPYING];
}

static void swap_once(struct bench *bench)
{
	struct rg_mailbox_request *request = rg_region_control(bench->region)->request;
	struct rg_image_header *header = (struct rg_image_header *)bench->image;
	struct rg_mailbox_announcement announcement = {.image_bytes = bench->image_bytes};
	struct rg_error err;
	uint32_t crc32c;

	announcement.sequence = rg_mailbox_next_sequence(
		request, rg_region_dataplane(bench->region)->reply, header->sequence);
	header->sequence = announcement.sequence;
	header->crc32c = rg_image_checksum(bench->image, bench->image_bytes);
	must(rg_image_file_write(bench->directory, RG_IMAGE_FILE_IMAGE, announcement.sequence,
				 bench->image, bench->image_bytes, &crc32c, &err),
	     &err);
	announcement.crc32c = crc32c;
	announcement.announced_ns = clock_ns(CLOCK_REALTIME);
	must(rg_mailbox_announce(request, &announcement, &err), &err);
	wait_until_active(bench, announcement.sequence);
	bench->swaps++;
	must(rg_image_file_remove_older(bench->directory, RG_IMAGE_FILE_IMAGE,
					announcement.sequence, NULL, &err),
	     &err);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void print_times(const char *name, uint64_t *times, uint64_t count)
{
	qsort(times, count, sizeof(*times), compare);
	printf(", \"%s\": {\"p50\": %" PRIu64 ", \"p99\": %" PRIu64 ", \"max\": %" PRIu64 "}", name,
	       times[count / 2], times[count * 99 / 100], times[count - 1]);
}

static void run(struct bench *bench, uint64_t per_second, uint64_t seconds)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), end = now + seconds * NS_A_SECOND;
	uint64_t period = per_second ? NS_A_SECOND / per_second : UINT64_MAX - end;
	uint64_t due = now + period;

	while (now < end && !stop) {
		if (now >= due && bench->swaps < bench->capacity) {
			due += period;
			swap_once(bench);
		}
		drain(bench, now);
		usleep(1000);
		now = clock_ns(CLOCK_MONOTONIC);
		rg_region_beat(bench->region, clock_ns(CLOCK_REALTIME));
	}
}

int main(int argc, char **argv)
{
	uint64_t per_second = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
	uint64_t seconds = argc > 5 ? strtoull(argv[5], NULL, 10) : 0;
	struct bench bench = {.directory = argc > 1 ? argv[1] : "",
			      .capacity = per_second * seconds + 1};
	struct rg_error err;
	uint64_t began_ns;

	if (argc != 6 || per_second > 1000 || seconds < 1 || seconds > 3600) {
		fputs("usage: swap_bench FOLDER INSTANCE IMAGE PER_SECOND SECONDS   "
		      "(PER_SECOND 0 to 1000, SECONDS 1 to 3600)\n",
		      stderr);
		return 2;
	}
	bench.publish_ns = calloc(bench.capacity, sizeof(*bench.publish_ns));
	bench.swap_ns = calloc(bench.capacity, sizeof(*bench.swap_ns));
	if (!bench.publish_ns || !bench.swap_ns)
		must(rg_error_set(&err, RG_ENOMEM, "no memory for %" PRIu64 " times",
				  bench.capacity),
		     &err);
	read_image(&bench, argv[3]);
	signal(SIGTERM, on_signal);
	must(rg_region_create_control(bench.directory, argv[2], 0, clock_ns(CLOCK_REALTIME),
				      &bench.region, &err),
	     &err);
	join_rings(&bench);
	swap_once(&bench);
	began_ns = clock_ns(CLOCK_MONOTONIC);
	puts("ready");
	fflush(stdout);
	run(&bench, per_second, seconds);
	printf("{\"swaps\": %" PRIu64 ", \"seconds\": %.3f", bench.swaps,
	       (double)(clock_ns(CLOCK_MONOTONIC) - began_ns) / 1e9);
	print_times("publish_ns", bench.publish_ns, bench.swaps);
	print_times("swap_ns", bench.swap_ns, bench.swaps);
	puts("}");
	rg_region_close(bench.region);
	free(bench.image);
	free(bench.publish_ns);
	free(bench.swap_ns);
	return 0;
}
