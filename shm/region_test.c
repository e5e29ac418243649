/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/region.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/record.h"
#include "shm/test_directory.h"
#include "shm/test_random.h"

#define PAGES_NEEDED 12
#define RING_BYTES   65536u
#define NOW	     1000000u /* ns; clocks are passed in */

static struct test_directory directory;

static struct rg_region_config config_of(uint32_t worker_count)
{
	return (struct rg_region_config){.worker_count = worker_count,
					 .ring_bytes = RING_BYTES,
					 .instance = "test",
					 .node = 9};
}

static struct rg_region *open_dataplane(uint32_t worker_count, uint64_t now_ns)
{
	struct rg_region_config config = config_of(worker_count);
	struct rg_region *region;
	struct rg_error err;
	int status = rg_region_create_dataplane(directory.path, &config, now_ns, &region, &err);

	if (status)
		fprintf(stderr, "%s\n", err.text);
	assert(status == RG_OK);
	return region;
}

static struct rg_region *open_control(uint64_t now_ns)
{
	struct rg_region *region;

	assert(rg_region_create_control(directory.path, "test", 9, now_ns, &region, NULL) == RG_OK);
	return region;
}

static void path_of(const char *name, char path[400])
{
	snprintf(path, 400, "%s/%s", directory.path, name);
}

/* Map a file of the directory for writing, to damage it. */
static struct rg_mapping damage(const char *name)
{
	struct rg_mapping map;
	char path[400];
	int fd;

	path_of(name, path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert(fd >= 0 && rg_mapping_attach(fd, true, path, &map, NULL) == RG_OK);
	return map;
}

static struct rg_region_header *header_of(struct rg_mapping *map)
{
	return (struct rg_region_header *)(void *)map->at;
}

/* ---- parameters ---- */

static void test_parameters(void)
{
	static const char *const bad[] = {
		"",	    ".",
		"..",	    ".x",
		"a/b",	    "a b",
		"\xc3\xa4", "0123456789012345678901234567890123456789012345678901234567890123"};
	struct rg_region_config config = config_of(1);
	struct rg_region *region;
	struct rg_error err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		config.instance = bad[i];
		assert(rg_region_create_dataplane(directory.path, &config, NOW, &region, &err) ==
		       RG_EINVAL);
		assert(!region && strstr(err.text, "instance"));
	}
	config.instance = NULL;
	assert(rg_region_create_dataplane(directory.path, &config, NOW, &region, &err) ==
	       RG_EINVAL);
	config = config_of(0);
	assert(!rg_region_dataplane_bytes(&config));
	config = config_of(RG_WORKERS_MAX + 1);
	assert(!rg_region_dataplane_bytes(&config));
	assert(rg_region_create_dataplane(directory.path, &config, NOW, &region, &err) ==
	       RG_EINVAL);
	config = config_of(1);
	config.ring_bytes = 5000;
	assert(!rg_region_dataplane_bytes(&config));
	config.ring_bytes = RING_BYTES;
	assert(rg_region_create_dataplane("/nonexistent", &config, NOW, &region, &err) == RG_EIO);
	assert(rg_region_dataplane_bytes(&config) % 4096 == 0 &&
	       rg_region_control_bytes() % 4096 == 0);
	assert(!test_directory_files(&directory));
}

static void test_no_room(void)
{
	struct rg_region_config config = config_of(1);
	struct rg_region *region;
	struct rg_error err;

	config.ring_bytes = RG_RING_BYTES_MAX;
	assert(rg_region_create_dataplane(directory.path, &config, NOW, &region, &err) ==
	       RG_ENOMEM);
	assert(strstr(err.text, "no room") && !test_directory_files(&directory));
}

/* ---- who starts first ---- */

static void test_orders(void)
{
	struct rg_region *dataplane, *control;
	struct rg_error err;
	bool changed;

	for (int control_first = 0; control_first < 2; control_first++) {
		if (control_first) {
			control = open_control(NOW);
			assert(rg_region_join_dataplane(control, &changed, &err) == RG_EAGAIN);
			assert(strstr(err.text, "not there yet"));
			dataplane = open_dataplane(2, NOW);
		} else {
			dataplane = open_dataplane(2, NOW);
			assert(rg_region_join_control(dataplane, &changed, &err) == RG_EAGAIN);
			assert(!rg_region_running(dataplane, RG_REGION_CONTROL));
			control = open_control(NOW);
		}
		assert(rg_region_join_control(dataplane, &changed, &err) == RG_OK && changed);
		assert(rg_region_join_control(dataplane, &changed, &err) == RG_OK && !changed);
		assert(rg_region_join_dataplane(control, &changed, &err) == RG_OK && changed);
		assert(rg_region_join_dataplane(control, NULL, &err) == RG_OK);
		assert(rg_region_dataplane(control)->worker_count == 2);
		assert(rg_region_epoch(control, RG_REGION_DATAPLANE) == NOW);
		assert(rg_region_pid(dataplane, RG_REGION_CONTROL) == (uint64_t)getpid());
		assert(rg_region_running(control, RG_REGION_DATAPLANE) &&
		       rg_region_running(dataplane, RG_REGION_CONTROL) &&
		       rg_region_running(dataplane, RG_REGION_DATAPLANE));
		rg_region_beat(dataplane, NOW + 5);
		assert(atomic_load(&rg_region_dataplane(control)->header->heartbeat_ns) == NOW + 5);
		rg_region_close(control);
		assert(!rg_region_running(dataplane, RG_REGION_CONTROL));
		assert(!rg_region_pid(dataplane, RG_REGION_CONTROL));
		rg_region_close(dataplane);
		test_directory_clear(&directory);
	}
	rg_region_close(NULL);
}

static void test_modes(void)
{
	struct rg_region *dataplane = open_dataplane(1, NOW), *control = open_control(NOW);
	struct stat st;
	char path[400];

	path_of("dataplane", path);
	assert(!stat(path, &st) && (st.st_mode & 0777) == 0640);
	path_of("control", path);
	assert(!stat(path, &st) && (st.st_mode & 0777) == 0640);
	rg_region_delete(control);
	rg_region_delete(dataplane);
	assert(!test_directory_files(&directory));
}

static void test_conflict(void)
{
	struct rg_region_config config = config_of(1);
	struct rg_region *dataplane = open_dataplane(1, NOW), *control = open_control(NOW), *second;
	struct rg_error err;
	char pid[32];

	snprintf(pid, sizeof(pid), "pid %d", (int)getpid());
	assert(rg_region_create_dataplane(directory.path, &config, NOW, &second, &err) ==
	       RG_ECONFLICT);
	assert(!second && strstr(err.text, pid));
	assert(rg_region_create_control(directory.path, "test", 9, NOW, &second, &err) ==
	       RG_ECONFLICT);
	assert(!second && strstr(err.text, pid));
	rg_region_close(dataplane);
	rg_region_close(control);
	/* The same directory under another name. */
	config.instance = "other";
	assert(rg_region_create_dataplane(directory.path, &config, NOW, &second, &err) ==
	       RG_ECONFLICT);
	assert(strstr(err.text, "\"test\"") && strstr(err.text, "\"other\""));
	assert(test_directory_files(&directory) == 2);
	test_directory_clear(&directory);
}

/* ---- restarts ---- */

static void write_records(struct rg_region *region, uint32_t worker, uint64_t from, uint64_t to)
{
	struct rg_ring_producer producer;

	assert(rg_region_producer(region, worker, &producer, NULL) == RG_OK);
	for (uint64_t sequence = from; sequence <= to; sequence++) {
		uint64_t *record = (uint64_t *)(void *)rg_ring_reserve(&producer, 8);

		assert(record);
		*record = sequence;
	}
	rg_ring_commit(&producer);
	assert(rg_ring_reserve(&producer, 100)); /* and one that is never committed */
}

/* Read all there is; it must be from..to. */
static void read_records(struct rg_ring_consumer *consumer, uint64_t from, uint64_t to)
{
	const uint8_t *record;
	uint64_t next = from;
	uint32_t bytes;

	while ((record = rg_ring_peek(consumer, &bytes))) {
		assert(bytes == 8 && *(const uint64_t *)(const void *)record == next);
		next++;
		rg_ring_advance(consumer);
	}
	assert(next == to + 1 && !consumer->errors);
}

static void test_dataplane_restart(void)
{
	struct rg_region *dataplane = open_dataplane(2, NOW), *control = open_control(NOW);
	struct rg_ring_consumer consumer;
	struct rg_counters_writer counters;
	struct rg_error err;
	uint64_t generation;
	bool changed;

	assert(rg_region_join_dataplane(control, &changed, &err) == RG_OK && changed);
	generation = rg_region_dataplane(control)->generation;
	assert(rg_region_consumer(control, 1, &consumer, &err) == RG_OK);
	assert(rg_region_consumer(control, 2, &consumer, &err) == RG_EINVAL);
	assert(rg_region_consumer(control, 1, &consumer, &err) == RG_OK);
	assert(rg_counters_writer_join(&counters,
				       rg_region_dataplane(dataplane)->workers[1].counters,
				       RG_METRIC_WORKER, &err) == RG_OK);
	counters.values[RG_WORKER_REQUESTS] = 42;
	rg_counters_flush(&counters);
	rg_worker_set_state(rg_region_dataplane(dataplane)->workers[1].status, RG_WORKER_RUNNING);
	rg_error_log_add(rg_region_dataplane(dataplane)->errors, NOW, "an error");
	write_records(dataplane, 1, 1, 100);
	rg_region_close(dataplane);
	/* The clock went back: the epoch does not. */
	dataplane = open_dataplane(2, NOW / 2);
	assert(rg_region_epoch(dataplane, RG_REGION_DATAPLANE) == NOW + 1);
	assert(rg_region_dataplane(dataplane)->generation == generation);
	assert(rg_worker_state(rg_region_dataplane(dataplane)->workers[1].status) ==
	       RG_WORKER_STOPPED);
	assert(rg_region_join_dataplane(control, &changed, &err) == RG_OK &&
	       changed); /* its epoch */
	assert(rg_region_join_dataplane(control, &changed, &err) == RG_OK && !changed);
	assert(rg_counters_read(rg_region_dataplane(control)->workers[1].counters,
				RG_WORKER_REQUESTS) == 42);
	write_records(dataplane, 1, 101, 200);
	read_records(&consumer, 1, 200); /* the same consumer goes on */
	rg_ring_release(&consumer);
	rg_region_close(dataplane);
	rg_region_close(control);
	test_directory_clear(&directory);
}

static void test_control_restart(void)
{
	const struct rg_mailbox_announcement announcement = {.sequence = 7, .image_bytes = 5};
	struct rg_mailbox_announcement got;
	struct rg_region *dataplane = open_dataplane(1, NOW), *control = open_control(NOW);
	struct rg_ring_consumer consumer;
	struct rg_error err;

	assert(rg_region_join_control(dataplane, NULL, &err) == RG_OK);
	assert(rg_region_join_dataplane(control, NULL, &err) == RG_OK);
	assert(rg_region_consumer(control, 0, &consumer, &err) == RG_OK);
	assert(rg_mailbox_announce(rg_region_control(control)->request, &announcement, &err) ==
	       RG_OK);
	write_records(dataplane, 0, 1, 10);
	read_records(&consumer, 1, 10);
	rg_ring_release(&consumer);
	write_records(dataplane, 0, 11, 20);
	read_records(&consumer, 11, 20); /* and is killed before it releases */
	rg_region_close(control);
	control = open_control(NOW);
	assert(rg_region_epoch(control, RG_REGION_CONTROL) == NOW + 1);
	assert(rg_mailbox_read_request(rg_region_control(dataplane)->request, &got) == RG_OK);
	assert(got.sequence == 7);
	assert(rg_region_join_dataplane(control, NULL, &err) == RG_OK);
	assert(rg_region_consumer(control, 0, &consumer, &err) == RG_OK);
	read_records(&consumer, 11, 20); /* again */
	rg_region_close(dataplane);
	rg_region_close(control);
	test_directory_clear(&directory);
}

/* Control's file is lost while the data plane runs: the producers get the new cursors. */
static void test_control_file_replaced(void)
{
	struct rg_region *dataplane = open_dataplane(1, NOW), *control = open_control(NOW);
	struct rg_ring_producer producer;
	struct rg_ring_consumer consumer;
	struct rg_error err;
	bool changed;

	assert(rg_region_producer(dataplane, 0, &producer, &err) == RG_OK);
	for (int round = 0; round < 3; round++) {
		uint64_t count = 0;
		uint32_t bytes;

		assert(rg_region_join_control(dataplane, &changed, &err) == RG_OK && changed);
		assert(rg_region_join_dataplane(control, NULL, &err) == RG_OK);
		assert(rg_region_consumer(control, 0, &consumer, &err) == RG_OK);
		while (rg_ring_reserve(&producer, 1000))
			count++;
		rg_ring_commit(&producer);
		assert(count);
		while (rg_ring_peek(&consumer, &bytes))
			rg_ring_advance(&consumer);
		rg_ring_release(&consumer);
		assert(rg_ring_reserve(&producer, 1000)); /* it sees the new cursor */
		rg_ring_abandon(&producer);
		rg_region_delete(control);
		assert(rg_region_join_control(dataplane, &changed, &err) == RG_EAGAIN);
		control = open_control(NOW);
	}
	rg_region_close(dataplane);
	rg_region_close(control);
	test_directory_clear(&directory);
}

static void test_epoch_is_remembered(void)
{
	struct rg_region *dataplane = open_dataplane(1, 50 * NOW), *control = open_control(NOW);

	assert(rg_region_join_dataplane(control, NULL, NULL) == RG_OK);
	rg_region_delete(dataplane); /* the file is lost, and the clock goes back */
	dataplane = open_dataplane(1, NOW);
	assert(rg_region_epoch(dataplane, RG_REGION_DATAPLANE) == 50 * NOW + 1);
	rg_region_close(dataplane);
	rg_region_close(control);
	test_directory_clear(&directory);
}

/* ---- another layout ---- */

static void test_retired(void)
{
	struct rg_region *dataplane = open_dataplane(2, NOW), *control = open_control(NOW);
	struct rg_region_retired *retired;
	struct rg_ring_consumer consumer;
	struct rg_error err;
	bool changed;

	assert(rg_region_open_retired(control, &retired, &err) == RG_ENOENT);
	assert(rg_region_join_dataplane(control, NULL, &err) == RG_OK);
	assert(rg_region_consumer(control, 1, &consumer, &err) == RG_OK);
	write_records(dataplane, 1, 1, 30);
	for (int i = 0; i < 10; i++) {
		uint32_t bytes;

		assert(rg_ring_peek(&consumer, &bytes));
		rg_ring_advance(&consumer);
	}
	rg_ring_release(&consumer);
	rg_region_close(dataplane);
	for (uint32_t workers = 1; workers <= 3; workers += 2) { /* twice, control does not look */
		dataplane = open_dataplane(workers, NOW);
		assert(rg_region_open_retired(control, &retired, &err) == RG_EAGAIN);
		assert(strstr(err.text, "still joined"));
		write_records(dataplane, 0, 1000 * workers, 1000 * workers + 50);
		rg_region_close(dataplane);
	}
	assert(test_directory_files(&directory) == 4);
	dataplane = open_dataplane(3, NOW);
	assert(rg_region_epoch(dataplane, RG_REGION_DATAPLANE) == NOW + 3);
	assert(rg_region_join_dataplane(control, &changed, &err) == RG_OK && changed);
	assert(rg_region_consumer(control, 0, &consumer, &err) == RG_EAGAIN);
	assert(strstr(err.text, "drained first"));
	/* The oldest: its cursor still stands at 10. */
	assert(rg_region_open_retired(control, &retired, &err) == RG_OK);
	assert(retired->dataplane.worker_count == 2);
	assert(rg_region_remove_retired(retired, &err) == RG_EAGAIN &&
	       strstr(err.text, "worker 1"));
	read_records(&retired->consumers[1], 11, 30);
	assert(rg_region_remove_retired(retired, &err) == RG_EAGAIN); /* read, not released */
	rg_region_close_retired(retired);
	assert(rg_region_open_retired(control, &retired, &err) == RG_OK);
	read_records(&retired->consumers[1], 11, 30);
	rg_ring_release(&retired->consumers[1]);
	assert(rg_region_remove_retired(retired, &err) == RG_OK);
	assert(rg_region_open_retired(control, &retired, &err) == RG_OK);
	assert(retired->dataplane.worker_count == 1);
	read_records(&retired->consumers[0], 1000, 1050);
	rg_ring_release(&retired->consumers[0]);
	assert(rg_region_remove_retired(retired, &err) == RG_OK);
	assert(rg_region_open_retired(control, &retired, &err) == RG_ENOENT);
	assert(rg_region_consumer(control, 0, &consumer, &err) == RG_OK);
	read_records(&consumer, 3000, 3050);
	rg_region_close_retired(NULL);
	rg_region_close(dataplane);
	rg_region_close(control);
	test_directory_clear(&directory);
}

/* A data plane that was killed between renaming a file and making its own leaves no file but the retired one; when that is
 * drained and removed, control alone knows its epoch. */
static void test_epoch_of_a_removed_file(void)
{
	struct rg_region *dataplane = open_dataplane(1, NOW), *control;
	char from[RG_REGION_PATH_BYTES + 16], to[RG_REGION_PATH_BYTES + 48];
	struct rg_region_retired *retired;
	struct rg_error err;

	assert(rg_region_epoch(dataplane, RG_REGION_DATAPLANE) == NOW);
	rg_region_close(dataplane);
	snprintf(from, sizeof(from), "%s/dataplane", directory.path);
	snprintf(to, sizeof(to), "%s/dataplane.%llu", directory.path, (unsigned long long)NOW);
	assert(!rename(from, to));
	control = open_control(NOW);
	assert(rg_region_open_retired(control, &retired, &err) == RG_OK);
	assert(rg_region_remove_retired(retired, &err) == RG_OK);
	dataplane = open_dataplane(1, NOW - 5); /* the clock went back, too */
	assert(rg_region_epoch(dataplane, RG_REGION_DATAPLANE) == NOW + 1);
	rg_region_close(dataplane);
	rg_region_close(control);
	test_directory_clear(&directory);
}

static void test_retired_of_another_version(void)
{
	struct rg_region *dataplane = open_dataplane(1, NOW), *control = open_control(NOW);
	struct rg_region_retired *retired;
	struct rg_ring_consumer consumer;
	struct rg_mapping map = damage("dataplane");
	struct rg_error err;

	header_of(&map)->object.version++;
	rg_region_close(dataplane);
	dataplane = open_dataplane(1, NOW);
	assert(rg_region_open_retired(control, &retired, &err) == RG_EVERSION);
	assert(!retired && strstr(err.text, "dataplane.1000000.version") &&
	       strstr(err.text, "release"));
	/* Out of the way, and there. */
	assert(rg_region_open_retired(control, &retired, &err) == RG_ENOENT);
	assert(rg_region_join_dataplane(control, NULL, &err) == RG_OK);
	assert(rg_region_consumer(control, 0, &consumer, &err) == RG_OK);
	assert(test_directory_files(&directory) == 3);
	rg_mapping_close(&map);
	rg_region_close(dataplane);
	/* And control's own: kept beside the new one. */
	map = damage("control");
	header_of(&map)->object.version++;
	rg_region_close(control);
	control = open_control(NOW);
	assert(rg_region_epoch(control, RG_REGION_CONTROL) == NOW + 1);
	assert(test_directory_files(&directory) == 4);
	rg_mapping_close(&map);
	rg_region_close(control);
	test_directory_clear(&directory);
}

/* A file made by a program with another metrics.def: counters begin again, all else goes on. */
static void test_other_metrics(void)
{
	struct rg_region *dataplane = open_dataplane(1, NOW);
	struct rg_counters_writer counters;
	struct rg_error err;

	assert(rg_counters_writer_join(&counters,
				       rg_region_dataplane(dataplane)->workers[0].counters,
				       RG_METRIC_WORKER, &err) == RG_OK);
	counters.values[0] = 5;
	rg_counters_flush(&counters);
	rg_region_dataplane(dataplane)->catalogue->fingerprint++;
	write_records(dataplane, 0, 1, 3);
	rg_region_close(dataplane);
	dataplane = open_dataplane(1, NOW);
	assert(!rg_counters_read(rg_region_dataplane(dataplane)->workers[0].counters, 0));
	assert(rg_region_dataplane(dataplane)->catalogue->fingerprint ==
	       rg_catalogue_fingerprint());
	assert(atomic_load(&rg_region_dataplane(dataplane)->workers[0].ring->messages) == 3);
	rg_region_close(dataplane);
	test_directory_clear(&directory);
}

/* ---- broken files ---- */

static void test_unfinished_and_foreign(void)
{
	struct rg_region_config config = config_of(1);
	struct rg_region *dataplane = open_dataplane(1, NOW), *region;
	struct rg_mapping map = damage("dataplane");
	struct rg_error err;

	/* Its maker died before it published. */
	rg_object_unpublish(&header_of(&map)->object);
	rg_region_close(dataplane);
	region = open_control(NOW);
	assert(rg_region_join_dataplane(region, NULL, &err) == RG_EAGAIN);
	assert(strstr(err.text, "not published"));
	dataplane = open_dataplane(1, NOW);
	assert(rg_region_join_dataplane(region, NULL, &err) == RG_OK);
	rg_mapping_close(&map);
	rg_region_delete(region);
	/* It is something else: left alone. */
	map = damage("dataplane");
	atomic_store(&header_of(&map)->object.magic, 12345);
	rg_region_close(dataplane);
	assert(rg_region_create_dataplane(directory.path, &config, NOW, &region, &err) ==
	       RG_ECORRUPT);
	assert(strstr(err.text, "not a region"));
	/* A ring that contradicts itself: the file is retired, not used. */
	atomic_store(&header_of(&map)->object.magic, 0);
	rg_mapping_close(&map);
	dataplane = open_dataplane(1, NOW);
	atomic_store(&rg_region_dataplane(dataplane)->workers[0].ring->consumed_hint, 1ull << 40);
	rg_region_close(dataplane);
	dataplane = open_dataplane(1, NOW);
	assert(test_directory_files(&directory) == 2);
	rg_region_close(dataplane);
	test_directory_clear(&directory);
}

/* Any bits of the peer's file may be wrong: joining says so or succeeds, and reading stays inside.
 */
static void test_noise(void)
{
	struct test_random random = test_random_start("region noise");
	struct rg_region *dataplane = open_dataplane(2, NOW);
	struct rg_mapping map = damage("dataplane");
	uint8_t *sound = malloc(map.bytes);
	uint64_t refused = 0;

	assert(sound);
	memcpy(sound, map.at, map.bytes);
	for (int round = 0; round < 300; round++) {
		struct rg_region *reader;
		uint64_t at = test_random_below(&random, 2) ? test_random_below(&random, 400)
							    : test_random_below(&random, map.bytes);

		map.at[at] ^= (uint8_t)(1u << test_random_below(&random, 8));
		assert(rg_region_open_readonly(directory.path, &reader, NULL) == RG_OK);
		refused += !rg_region_dataplane(reader)->header;
		for (uint32_t i = 0; i < rg_region_dataplane(reader)->worker_count; i++) {
			const struct rg_region_dataplane *view = rg_region_dataplane(reader);
			struct rg_ring_consumer consumer;
			struct rg_worker_progress progress;
			struct rg_error_entry entry;
			uint32_t bytes;

			for (uint32_t id = 0; id < rg_counters_count(view->workers[i].counters);
			     id++)
				rg_counters_read(view->workers[i].counters, id);
			rg_worker_read_progress(view->workers[i].status, &progress);
			rg_error_log_read(view->workers[i].errors, 0, &entry);
			assert(rg_ring_consumer_join(&consumer, view->workers[i].ring,
						     view->ring_bytes, view->generation, NULL,
						     NULL) == RG_OK);
			while (rg_ring_peek(&consumer, &bytes))
				rg_ring_advance(&consumer);
		}
		rg_region_close(reader);
		map.at[at] = sound[at];
	}
	assert(refused);
	free(sound);
	rg_mapping_close(&map);
	rg_region_close(dataplane);
	test_directory_clear(&directory);
}

/* ---- tools ---- */

static void test_readonly(void)
{
	struct rg_region *dataplane, *control, *reader;
	struct rg_error err;

	assert(rg_region_open_readonly("/nonexistent", &reader, &err) == RG_ENOENT && !reader);
	assert(rg_region_open_readonly(directory.path, &reader, &err) == RG_OK);
	assert(!rg_region_dataplane(reader)->header && !rg_region_control(reader)->header);
	assert(strstr(rg_region_absence(reader, RG_REGION_DATAPLANE), "not there yet"));
	assert(!rg_region_epoch(reader, RG_REGION_CONTROL) &&
	       !rg_region_running(reader, RG_REGION_CONTROL));
	rg_region_close(reader);
	dataplane = open_dataplane(1, NOW);
	assert(rg_region_open_readonly(directory.path, &reader, &err) == RG_OK);
	assert(rg_region_dataplane(reader)->header && !rg_region_control(reader)->header);
	assert(!*rg_region_absence(reader, RG_REGION_DATAPLANE) &&
	       *rg_region_absence(reader, RG_REGION_CONTROL));
	assert(rg_region_running(reader, RG_REGION_DATAPLANE));
	assert(!rg_region_dataplane(reader)->map.writable);
	rg_region_close(dataplane);
	assert(!rg_region_running(reader, RG_REGION_DATAPLANE));
	rg_region_close(reader);
	control = open_control(NOW);
	assert(rg_region_open_readonly(directory.path, &reader, &err) == RG_OK);
	assert(rg_region_dataplane(reader)->header && rg_region_control(reader)->header);
	assert(!strcmp(rg_region_directory_of(reader), directory.path));
	rg_region_delete(reader); /* a reader deletes nothing */
	assert(test_directory_files(&directory) == 2);
	rg_region_close(control);
	test_directory_clear(&directory);
}

static void test_readonly_refresh(void)
{
	struct rg_region *dataplane, *control, *reader;
	const struct rg_region_dataplane *view;
	uint64_t generation;
	struct rg_error err;

	assert(rg_region_open_readonly(directory.path, &reader, &err) == RG_OK);
	view = rg_region_dataplane(reader);
	rg_region_refresh_readonly(reader);
	assert(!view->header &&
	       strstr(rg_region_absence(reader, RG_REGION_DATAPLANE), "not there"));
	dataplane = open_dataplane(1, NOW);
	rg_region_refresh_readonly(reader);
	assert(view->header && view->worker_count == 1 && !view->map.writable);
	assert(!*rg_region_absence(reader, RG_REGION_DATAPLANE));
	assert(!rg_region_control(reader)->header);
	generation = view->generation;
	/* Taken over: the same file, mapped once; only the epoch is another one. */
	rg_region_close(dataplane);
	dataplane = open_dataplane(1, NOW + 1);
	rg_region_refresh_readonly(reader);
	assert(view->generation == generation &&
	       rg_region_epoch(reader, RG_REGION_DATAPLANE) > generation);
	/* Another layout: another file. */
	rg_region_close(dataplane);
	dataplane = open_dataplane(2, NOW + 2);
	assert(view->worker_count == 1);
	control = open_control(NOW);
	rg_region_refresh_readonly(reader);
	assert(view->worker_count == 2 && view->generation > generation);
	assert(rg_region_control(reader)->header && rg_region_running(reader, RG_REGION_CONTROL));
	rg_region_delete(dataplane);
	rg_region_refresh_readonly(reader);
	assert(!view->header && *rg_region_absence(reader, RG_REGION_DATAPLANE));
	rg_region_close(reader);
	rg_region_delete(control);
	test_directory_clear(&directory);
}

/* ---- where ---- */

static void test_directory_choice(void)
{
	char instance[64], chosen[300], again[300];
	struct rg_region *region;
	struct rg_error err;
	struct stat st;

	snprintf(instance, sizeof(instance), "test-%d", (int)getpid());
	assert(rg_region_directory("auto", "a/b", 1, chosen, sizeof(chosen), &err) == RG_EINVAL);
	assert(rg_region_directory(NULL, instance, 1 << 20, chosen, sizeof(chosen), &err) == RG_OK);
	assert(!stat(chosen, &st) && S_ISDIR(st.st_mode) && (st.st_mode & 0777) == 0750);
	/* What one process has chosen holds for the other, whatever it needs. */
	assert(rg_region_create_control(chosen, instance, 1, NOW, &region, &err) == RG_OK);
	assert(rg_region_directory("auto", instance, 1ull << 50, again, sizeof(again), &err) ==
	       RG_OK);
	assert(!strcmp(chosen, again));
	rg_region_delete(region);
	/* Nowhere is that much room: said, and nothing left behind. */
	assert(!rmdir(chosen));
	assert(rg_region_directory("auto", instance, 1ull << 50, chosen, sizeof(chosen), &err) ==
	       RG_ENOMEM);
	assert(stat(chosen, &st));
	assert(rg_region_directory("auto", instance, 1, chosen, 10, &err) == RG_ELIMIT);
	/* A path of one's own. */
	snprintf(again, sizeof(again), "%s/own", directory.path);
	assert(rg_region_directory(again, instance, 1, chosen, sizeof(chosen), &err) == RG_OK);
	assert(!strcmp(again, chosen) && !stat(again, &st) && !rmdir(again));
	assert(rg_region_directory("/nonexistent/x", instance, 1, chosen, sizeof(chosen), &err) ==
	       RG_EIO);
	assert(rg_region_directory("/dev/null", instance, 1, chosen, sizeof(chosen), &err) ==
	       RG_EINVAL);
}

/* ---- killed at any moment ---- */

enum { LIVES = 60, BATCH = 16, JOURNAL_MAX = 1 << 20, MESSAGE_WORDS = 12 };

/* What both children and their parent see: the journal as a disk would keep it, and what clients
 * were answered. */
struct world {
	_Atomic bool stop;
	_Atomic uint64_t consumer_starts;
	struct {
		_Atomic uint64_t epoch, answered[2]; /* by worker */
	} lives[LIVES];
	_Atomic uint64_t journaled;
	struct entry {
		uint64_t epoch, worker, sequence;
	} journal[JOURNAL_MAX];
};

static struct world *world;

/* A data plane: decide, record, commit, answer. Its layout changes between lives. */
static void dataplane_child(int life)
{
	uint32_t workers = (uint32_t)(1 + life / 7 % 2);
	struct rg_region *region = open_dataplane(workers, NOW);
	uint64_t epoch = rg_region_epoch(region, RG_REGION_DATAPLANE), sequences[2] = {0};
	struct rg_ring_producer producers[2];

	atomic_store(&world->lives[life].epoch, epoch);
	for (uint32_t i = 0; i < workers; i++)
		assert(rg_region_producer(region, i, &producers[i], NULL) == RG_OK);
	for (uint64_t burst = 0; !atomic_load(&world->stop); burst++) {
		uint32_t worker = (uint32_t)(burst % workers);

		if (burst % 64 == 0)
			rg_region_join_control(region, NULL, NULL);
		if (atomic_load(&world->journaled) > JOURNAL_MAX / 2) {
			usleep(100);
			continue;
		}
		for (uint64_t i = 0; i < 1 + burst % 8; i++) {
			uint64_t *message = (uint64_t *)(void *)rg_ring_reserve(
				&producers[worker], MESSAGE_WORDS * 8 + burst % 100);

			if (!message)
				break;
			sequences[worker]++;
			for (int word = 0; word < MESSAGE_WORDS; word += 3) {
				message[word] = epoch;
				message[word + 1] = worker;
				message[word + 2] = sequences[worker];
			}
		}
		rg_ring_commit(&producers[worker]);
		atomic_store(&world->lives[life].answered[worker], sequences[worker]);
	}
	_exit(0);
}

/* Journal what a ring has, at most a batch, then release it. True: there was something. */
static bool drain(struct rg_ring_consumer *consumer)
{
	int count = 0;

	for (; count < BATCH; count++) {
		uint64_t at = atomic_load(&world->journaled);
		uint32_t bytes;
		const uint64_t *message =
			(const uint64_t *)(const void *)rg_ring_peek(consumer, &bytes);

		if (!message)
			break;
		assert(bytes >= MESSAGE_WORDS * 8 && at < JOURNAL_MAX);
		for (int word = 3; word < MESSAGE_WORDS; word++)
			assert(message[word] == message[word - 3]);
		world->journal[at] = (struct entry){message[0], message[1], message[2]};
		atomic_store(&world->journaled, at + 1);
		rg_ring_advance(consumer);
	}
	rg_ring_release(consumer);
	assert(!consumer->errors);
	return count != 0;
}

static bool drain_retired(struct rg_region *region)
{
	struct rg_region_retired *retired;

	if (rg_region_open_retired(region, &retired, NULL))
		return false;
	for (uint32_t i = 0; i < retired->dataplane.worker_count; i++) {
		while (drain(&retired->consumers[i]))
			;
	}
	assert(rg_region_remove_retired(retired, NULL) == RG_OK);
	return true;
}

static void control_child(void)
{
	struct rg_region *region = open_control(NOW);
	struct rg_ring_consumer consumers[2];
	uint32_t joined = 0; /* consumers that are joined */
	bool last_round = false;

	atomic_fetch_add(&world->consumer_starts, 1);
	for (;;) {
		bool changed, any = drain_retired(region), stop = atomic_load(&world->stop);

		if (!rg_region_join_dataplane(region, &changed, NULL)) {
			uint32_t workers = rg_region_dataplane(region)->worker_count;

			if (changed)
				joined = 0;
			while (joined < workers &&
			       !rg_region_consumer(region, joined, &consumers[joined], NULL))
				joined++;
			any |= joined < workers;
		}
		for (uint32_t i = 0; i < joined; i++)
			any |= drain(&consumers[i]);
		if (stop && !any && last_round)
			_exit(0);
		last_round = stop && !any; /* once more, after stop was seen */
	}
}

static pid_t start(int dataplane_life)
{
	pid_t pid = fork();

	assert(pid >= 0);
	if (!pid && dataplane_life >= 0)
		dataplane_child(dataplane_life);
	if (!pid)
		control_child();
	return pid;
}

static void kill_and_reap(pid_t pid)
{
	int status;

	assert(!kill(pid, SIGKILL) && waitpid(pid, &status, 0) == pid);
	assert(WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGKILL); /* not an assertion of its own */
}

static void finish(pid_t pid)
{
	int status;

	assert(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status));
}

static int by_key(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->epoch != y->epoch)
		return x->epoch < y->epoch ? -1 : 1;
	if (x->worker != y->worker)
		return x->worker < y->worker ? -1 : 1;
	return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

static uint64_t answered_of(uint64_t epoch, uint64_t worker)
{
	for (int life = 0; life < LIVES; life++) {
		if (atomic_load(&world->lives[life].epoch) == epoch)
			return atomic_load(&world->lives[life].answered[worker]);
	}
	fprintf(stderr, "a record of epoch %llu, which never was\n", (unsigned long long)epoch);
	abort();
}

/* The journal, sorted: each epoch and worker has 1, 2, 3, ... at least up to what was answered. */
static void check_journal(void)
{
	uint64_t count = atomic_load(&world->journaled), repeated = 0, found = 0, expected = 0;
	const struct entry *last = NULL;

	qsort(world->journal, count, sizeof(struct entry), by_key);
	for (uint64_t i = 0; i < count; i++) {
		const struct entry *at = &world->journal[i];
		bool same = last && last->epoch == at->epoch && last->worker == at->worker;

		if (same && last->sequence == at->sequence) {
			repeated++;
			continue;
		}
		assert(at->sequence == (same ? last->sequence + 1 : 1));
		if (!same) {
			found++;
			assert(!last || last->sequence >= answered_of(last->epoch, last->worker));
		}
		last = at;
	}
	assert(!last || last->sequence >= answered_of(last->epoch, last->worker));
	for (int life = 0; life < LIVES; life++) {
		for (int worker = 0; worker < 2; worker++)
			expected += atomic_load(&world->lives[life].answered[worker]) != 0;
	}
	assert(found >= expected);
	assert(repeated <= atomic_load(&world->consumer_starts) * BATCH);
	printf("killed: %llu records of %llu rings and epochs, %llu came again, %llu starts of "
	       "control\n",
	       (unsigned long long)count, (unsigned long long)found, (unsigned long long)repeated,
	       (unsigned long long)atomic_load(&world->consumer_starts));
}

static void test_killed(void)
{
	struct test_random random = test_random_start("region kill");
	pid_t dataplane, control;
	int life = 0;

	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert(world != MAP_FAILED);
	dataplane = start(life++);
	control = start(-1);
	while (life < LIVES) {
		usleep((useconds_t)test_random_below(&random, 5000));
		if (test_random_below(&random, 3)) {
			kill_and_reap(dataplane);
			dataplane = start(life++);
		} else {
			kill_and_reap(control);
			control = start(-1);
		}
	}
	usleep(2000);
	atomic_store(&world->stop, true);
	finish(dataplane);
	finish(control);
	/* Control may have seen `stop` before the data plane's last burst: what is left, by one
	 * more. */
	finish(start(-1));
	check_journal();
	munmap(world, sizeof(*world));
	test_directory_clear(&directory);
}

int main(int argc, char **argv)
{
	test_directory_make(&directory, argc, argv, PAGES_NEEDED);
	test_parameters();
	test_no_room();
	test_orders();
	test_modes();
	test_conflict();
	test_dataplane_restart();
	test_control_restart();
	test_control_file_replaced();
	test_epoch_is_remembered();
	test_retired();
	test_epoch_of_a_removed_file();
	test_retired_of_another_version();
	test_other_metrics();
	test_unfinished_and_foreign();
	test_noise();
	test_readonly();
	test_readonly_refresh();
	test_directory_choice();
	test_killed();
	test_directory_remove(&directory);
	return 0;
}
