/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/service.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "base/log.h"
#include "base/notify.h"
#include "config/cores.h"
#include "config/huge_pages.h"
#include "dataplane/clock.h"
#include "dataplane/eal_arguments.h"
#include "dataplane/memif_socket.h"
#include "dataplane/port.h"
#include "dataplane/publisher.h"
#include "dataplane/worker.h"
#include "shm/region.h"
#include "wire/schema.h"

#define NS_A_MS		   1000000ull
#define CLOCK_PERIOD_NS	   (10 * NS_A_MS)
#define SLOW_PERIOD_NS	   (100 * NS_A_MS)
#define LINK_WAIT_MS	   5000
#define WORKER_SILENCE_NS  (2000 * NS_A_MS) /* a loop that does not turn for so long is stuck */
#define WORKER_DEADLINE_NS (5000 * NS_A_MS)
#define SOCKET_PATH_BYTES  108

struct rg_service {
	const struct rg_config *config;
	char directory[RG_REGION_PATH_BYTES];
	struct rg_cores cores;
	struct rg_schema *schema;
	struct rg_region *region;
	struct rg_clock clock;
	struct rg_counters_writer counters;
	struct rg_policy_publisher *publisher;
	struct rg_eal_arguments eal;
	struct rg_ports ports;
	struct rg_ports_totals totals;
	struct rg_worker_loop *workers[RG_WORKERS_MAX];
	struct rg_notify notify;
	bool publisher_started, eal_started, workers_started, control_joined;
	uint64_t clock_next_ns, slow_next_ns;
	struct {
		uint64_t passes, moved_ns; /* when its loop counter was last seen to have moved */
		bool silent;
	} watched[RG_WORKERS_MAX];
	int control_status; /* why control's file is not joined, as last logged */
};

/* ---- time ---- */

static uint64_t now_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static uint64_t unix_ns(void)
{
	return now_ns(CLOCK_REALTIME);
}

static uint64_t monotonic_ns(void)
{
	return now_ns(CLOCK_MONOTONIC);
}

static uint64_t read_tick(void)
{
	return rte_rdtsc();
}

/* ---- start: region and policy ---- */

static int start_region(struct rg_service *service, struct rg_error *err)
{
	const struct rg_config *config = service->config;
	struct rg_region_config wanted = {
		.worker_count = config->dataplane.workers,
		.ring_bytes = config->region.ring_bytes,
		.instance = config->instance,
		.node = config->node,
	};
	uint64_t bytes = rg_region_dataplane_bytes(&wanted);
	int rc;

	if (bytes == 0)
		return rg_error_set(
			err, RG_EINVAL,
			"region.ring_bytes: %" PRIu64 " is no power of two between %llu and %llu",
			config->region.ring_bytes, RG_RING_BYTES_MIN, RG_RING_BYTES_MAX);
	rc = rg_region_directory(config->region.directory, config->instance,
				 rg_region_needed_bytes(&wanted), service->directory,
				 sizeof(service->directory), err);
	if (rc == RG_OK)
		rc = rg_region_create_dataplane(service->directory, &wanted, unix_ns(),
						&service->region, err);
	if (rc != RG_OK)
		return rg_error_prefix(err, "region.directory: \"%s\" (instance \"%s\")",
				       config->region.directory, config->instance);
	rc = rg_counters_writer_join(&service->counters,
				     rg_region_dataplane(service->region)->counters,
				     RG_METRIC_PUBLISHER, err);
	if (rc == RG_OK)
		rg_log(RG_LOG_INFO, "region=%s epoch=%" PRIu64 " bytes=%" PRIu64,
		       service->directory, rg_region_epoch(service->region, RG_REGION_DATAPLANE),
		       bytes);
	return rc;
}

static int start_schema(struct rg_service *service, struct rg_error *err)
{
	int rc = rg_schema_load(service->config->schema, &service->schema, err);

	return rc == RG_OK ? RG_OK : rg_error_prefix(err, "schema");
}

/* The publisher needs the workers' loop counters, which do not exist yet: start_workers() fills
 * them in. */
static int start_publisher(struct rg_service *service, struct rg_error *err)
{
	const struct rg_config *config = service->config;
	struct rg_policy_publisher_config wanted = {
		.directory = service->directory,
		.shared = rg_region_dataplane(service->region),
		.counters = &service->counters,
		.schema_fingerprint = rg_schema_fields(service->schema)->fingerprint,
		.scratch_bytes = config->decision.scratch_bytes,
		.grace_deadline_ns = config->dataplane.grace_deadline_ms * NS_A_MS,
		.unix_ns = unix_ns,
		.monotonic_ns = monotonic_ns,
	};
	int rc;

	service->publisher =
		aligned_alloc(RG_SHM_LINE, rg_align_up(sizeof(*service->publisher), RG_SHM_LINE));
	if (!service->publisher)
		return rg_error_set(err, RG_ENOMEM, "no memory for the publisher");
	rc = rg_policy_publisher_start(service->publisher, &wanted, err);
	service->publisher_started = rc == RG_OK;
	return rc;
}

/* ---- start: DPDK and ports ---- */

/* Look whether there are huge pages when they are asked for. */
static bool choose_huge_pages(const struct rg_config *config)
{
	uint64_t wanted = (uint64_t)config->dataplane.memory_mib << 20,
		 free_bytes = rg_huge_pages_free_bytes(NULL);

	if (!config->dataplane.huge_pages) {
		rg_log(RG_LOG_INFO, "memory=ordinary dataplane.huge_pages=false");
		return false;
	}
	if (free_bytes >= wanted)
		return true;
	rg_log(RG_LOG_WARNING,
	       "memory=ordinary dataplane.huge_pages=true: %" PRIu64
	       " MiB of huge pages are free and dataplane.memory_mib asks for %u: runs slower, on "
	       "ordinary memory; reserve pages (`riskctl doctor` says how many and how), or set "
	       "dataplane.huge_pages: false",
	       free_bytes >> 20, config->dataplane.memory_mib);
	return false;
}

static bool has_device(const struct rg_config *config, const char *prefix)
{
	for (uint32_t i = 0; i < config->dataplane.ports_count; i++)
		if (strncmp(config->dataplane.ports[i].device, prefix, strlen(prefix)) == 0)
			return true;
	return false;
}

static int clear_sockets(const struct rg_config *config, struct rg_error *err)
{
	char path[SOCKET_PATH_BYTES];
	int rc = RG_OK;

	for (uint32_t i = 0; i < config->dataplane.ports_count && rc == RG_OK; i++) {
		const char *device = config->dataplane.ports[i].device;

		if (!rg_memif_socket_path(device, path, sizeof(path)))
			continue;
		rc = rg_memif_socket_clear(path, err);
		if (rc != RG_OK)
			rg_error_prefix(err, "dataplane.ports[%u].device: \"%s\"", i, device);
	}
	return rc;
}

static int start_eal(struct rg_service *service, struct rg_error *err)
{
	const struct rg_config *config = service->config;
	int rc = clear_sockets(config, err);

	if (rc == RG_OK)
		rc = rg_eal_arguments_build(config, &service->cores, choose_huge_pages(config),
					    &service->eal, err);
	if (rc != RG_OK)
		return rc;
	if (has_device(config, "net_af_xdp"))
		setenv("LIBXDP_SKIP_DISPATCHER", "1",
		       0); /* riskgate owns its interfaces: no sharing of XDP programs is wanted */
	for (int i = 1; i < service->eal.count; i++)
		rg_log(RG_LOG_DEBUG, "eal argument=%s", service->eal.values[i]);
	if (rte_eal_init(service->eal.count, service->eal.values) < 0)
		return rg_error_set(err, RG_EIO,
				    "DPDK does not start: %s; its own messages stand above "
				    "(--log-level debug for more); look at dataplane.memory_mib, "
				    "dataplane.eal_arguments and dataplane.ports",
				    rte_strerror(rte_errno));
	service->eal_started = true;
	return rg_ports_start(&service->ports, config, err);
}

/* ---- start: workers ---- */

static void give_queues(const struct rg_service *service, struct rg_worker_config *wanted)
{
	const struct rg_ports *ports = &service->ports;

	for (uint32_t p = 0; p < ports->count; p++)
		for (uint16_t q = 0; q < ports->port[p].queue_count; q++)
			if (rg_ports_worker_of(ports, p, q, service->config->dataplane.workers) ==
			    wanted->index)
				wanted->queues[wanted->queue_count++] =
					(struct rg_port_queue){.port = &ports->port[p], .queue = q};
}

static int make_worker(struct rg_service *service, uint32_t index, struct rg_error *err)
{
	const struct rg_config *config = service->config;
	struct rg_worker_config wanted = {
		.index = (uint16_t)index,
		.node = config->node,
		.epoch = rg_region_epoch(service->region, RG_REGION_DATAPLANE),
		.burst = config->dataplane.burst,
		.idle_sleep_us = config->dataplane.idle_sleep_us,
		.overload_after_us = config->dataplane.overload_after_us,
		.tx_wait_us = config->dataplane.tx_wait_us,
		.failure_verdict = (uint8_t)config->decision.failure_verdict,
		.recorder_full_verdict = (uint8_t)config->decision.recorder_full_verdict,
		.scratch_bytes = config->decision.scratch_bytes,
		.socket = (int)rte_lcore_to_socket_id(index + 1),
		.schema = service->schema,
		.publisher = service->publisher,
		.clock = &service->clock,
		.shared = &rg_region_dataplane(service->region)->workers[index],
	};
	int rc;

	give_queues(service, &wanted);
	if (wanted.queue_count == 0)
		rg_log(RG_LOG_WARNING,
		       "worker=%u has no queue: the ports have fewer queues than there are "
		       "workers; lower dataplane.workers or add a port",
		       index);
	rc = rg_worker_loop_new(&wanted, &service->workers[index], err);
	if (rc == RG_OK)
		rc = rg_region_producer(service->region, index, &service->workers[index]->ring,
					err);
	if (rc == RG_OK && config->dataplane.idle_sleep_us) {
		bool interrupts = rg_worker_loop_listen(service->workers[index]);

		rg_log(RG_LOG_INFO, "worker=%u idle_sleep_us=%u receive_interrupts=%s", index,
		       config->dataplane.idle_sleep_us, interrupts ? "yes" : "no");
	}
	if (rc == RG_OK)
		service->publisher->config.passes[service->publisher->config.worker_count++] =
			&service->workers[index]->passes;
	return rc;
}

static int start_workers(struct rg_service *service, struct rg_error *err)
{
	uint32_t count = service->config->dataplane.workers;
	uint64_t tick, real;
	int rc = RG_OK;

	rg_clock_sample(read_tick, &tick, &real);
	rg_clock_init(&service->clock, tick, real, rte_get_tsc_hz());
	for (uint32_t i = 0; i < count && rc == RG_OK; i++)
		rc = make_worker(service, i, err);
	for (uint32_t i = 0; i < count && rc == RG_OK; i++) {
		if (rte_eal_remote_launch(rg_worker_loop_run, service->workers[i], i + 1) != 0)
			rc = rg_error_set(err, RG_EIO, "worker %u cannot be started on core %u", i,
					  service->cores.worker[i]);
		service->workers_started = true;
	}
	return rc;
}

/* ---- control's file ---- */

static void watch_control(struct rg_service *service)
{
	struct rg_error err = {0};
	bool changed = false;
	int rc = rg_region_join_control(service->region, &changed, &err);

	if (rc == RG_OK && changed) {
		service->counters.values[RG_PUBLISHER_CONTROL_JOINS]++;
		rg_log(RG_LOG_INFO, "control joined pid=%" PRIu64,
		       rg_region_pid(service->region, RG_REGION_CONTROL));
	} else if (rc != RG_OK && rc != service->control_status) {
		/* RG_EAGAIN is an ordinary day: control has not started yet. */
		rg_log(rc == RG_EAGAIN ? RG_LOG_INFO : RG_LOG_ERROR,
		       "control not joined reason=\"%s\"", err.text);
	}
	service->control_status = rc;
	service->control_joined = rg_region_control(service->region)->header != NULL;
}

/* ---- start ---- */

static int choose_cores(struct rg_service *service, struct rg_error *err)
{
	const struct rg_config *config = service->config;
	cpu_set_t allowed;
	int rc;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return rg_error_set_errno(err, RG_EIO, errno,
					  "the cores of this process are not to be had");
	rc = rg_cores_choose(config->dataplane.cores, config->dataplane.workers, &allowed,
			     &service->cores, err);
	if (rc != RG_OK)
		return rc;
	/* From here on: threads made before DPDK pins its own (the one that waits for grace
	 * periods) stay off the workers' cores. */
	CPU_ZERO(&allowed);
	CPU_SET(service->cores.main, &allowed);
	if (sched_setaffinity(0, sizeof(allowed), &allowed) < 0)
		return rg_error_set_errno(
			err, RG_EIO, errno,
			"dataplane.cores: the main thread cannot be bound to core %u",
			service->cores.main);
	if (service->cores.shared)
		rg_log(RG_LOG_WARNING,
		       "core=%u is shared by the main thread and a worker: latency will show it; "
		       "give the process one core more than workers (dataplane.cores, "
		       "dataplane.workers)",
		       service->cores.main);
	return RG_OK;
}

static void tell_ready(struct rg_service *service)
{
	const struct rg_policy *policy = rg_policy_publisher_current(service->publisher);
	char sequence[24] = "none";

	if (policy)
		snprintf(sequence, sizeof(sequence), "%" PRIu64, policy->sequence);
	rg_log(RG_LOG_INFO, "ready instance=%s workers=%u ports=%u policy=%s",
	       service->config->instance, service->config->dataplane.workers, service->ports.count,
	       sequence);
	rg_notify_open(&service->notify);
	rg_notify_send(&service->notify, "READY=1\nSTATUS=deciding");
}

static int start_all(struct rg_service *service, struct rg_error *err)
{
	int rc = choose_cores(service, err);

	if (rc == RG_OK)
		rc = start_schema(service, err);
	if (rc == RG_OK)
		rc = start_region(service, err);
	if (rc == RG_OK)
		rc = start_publisher(service, err);
	if (rc == RG_OK)
		rc = start_eal(service, err);
	if (rc != RG_OK)
		return rc;
	rg_ports_wait_links(&service->ports, LINK_WAIT_MS);
	rc = start_workers(service, err);
	if (rc != RG_OK)
		return rc;
	watch_control(service);
	tell_ready(service);
	return RG_OK;
}

int rg_service_start(const struct rg_config *config, struct rg_service **out, struct rg_error *err)
{
	struct rg_service *service =
		aligned_alloc(RG_SHM_LINE, rg_align_up(sizeof(*service), RG_SHM_LINE));
	struct rg_error stopping;
	int rc;

	*out = NULL;
	if (!service)
		return rg_error_set(err, RG_ENOMEM, "no memory for the service");
	memset(service, 0, sizeof(*service));
	service->config = config;
	service->notify.fd = -1;
	rc = start_all(service, err);
	if (rc != RG_OK) {
		if (rg_service_stop(service, &stopping) != RG_OK)
			rg_log(RG_LOG_ERROR, "%s", stopping.text);
		return rc;
	}
	*out = service;
	return RG_OK;
}

/* ---- the main thread's loop ---- */

static void update_clock(struct rg_service *service)
{
	uint64_t tick, real;

	rg_clock_sample(read_tick, &tick, &real);
	rg_clock_update(&service->clock, tick, real);
}

static void watch_worker(struct rg_service *service, uint32_t worker, uint64_t now)
{
	/* Relaxed: only to see it move. */
	uint64_t passes =
		atomic_load_explicit(&service->workers[worker]->passes, memory_order_relaxed);
	bool was_silent = service->watched[worker].silent;

	if (passes != service->watched[worker].passes || service->watched[worker].moved_ns == 0) {
		service->watched[worker].passes = passes;
		service->watched[worker].moved_ns = now;
	}
	service->watched[worker].silent =
		now - service->watched[worker].moved_ns > WORKER_SILENCE_NS;
	if (service->watched[worker].silent && !was_silent)
		rg_log(RG_LOG_ERROR,
		       "worker=%u core=%u is stuck: its loop has not turned for %llu ms", worker,
		       service->cores.worker[worker], WORKER_SILENCE_NS / NS_A_MS);
	else if (!service->watched[worker].silent && was_silent)
		rg_log(RG_LOG_INFO, "worker=%u moves again", worker);
}

static bool workers_move(const struct rg_service *service)
{
	for (uint32_t i = 0; i < service->config->dataplane.workers; i++)
		if (service->watched[i].silent)
			return false;
	return true;
}

/* What is enough ten times a second. */
static void slow_work(struct rg_service *service, uint64_t now)
{
	for (uint32_t i = 0; i < service->config->dataplane.workers; i++)
		watch_worker(service, i, now);
	watch_control(service);
	rg_ports_watch(&service->ports, &service->totals);
	service->counters.values[RG_PUBLISHER_LINK_CHANGES] = service->totals.link_changes;
	service->counters.values[RG_PUBLISHER_PORT_MISSED] = service->totals.missed;
	service->counters.values[RG_PUBLISHER_PORT_ERRORS] = service->totals.errors;
	service->counters.values[RG_PUBLISHER_PORT_NO_BUFFER] = service->totals.no_buffer;
	rg_counters_flush(&service->counters);
	rg_region_beat(service->region, unix_ns());
}

static void turn(struct rg_service *service)
{
	uint64_t now = monotonic_ns();

	rg_policy_publisher_step(service->publisher, rg_region_control(service->region)->request);
	rg_policy_publisher_tell(service->publisher, service->control_joined);
	if (now >= service->clock_next_ns) {
		service->clock_next_ns = now + CLOCK_PERIOD_NS;
		update_clock(service);
	}
	if (now >= service->slow_next_ns) {
		service->slow_next_ns = now + SLOW_PERIOD_NS;
		slow_work(service, now);
	}
	if (workers_move(service)) /* else systemd's watchdog restarts us: from the active image */
		rg_notify_watchdog(&service->notify, now);
}

int rg_service_run(struct rg_service *service, const sigset_t *stop_signals)
{
	uint32_t poll_ms = service->config->dataplane.publish_poll_ms;
	struct timespec pause = {.tv_sec = poll_ms / 1000,
				 .tv_nsec = (long)(poll_ms % 1000 * NS_A_MS)};
	int signal_number;

	do {
		turn(service);
		signal_number = sigtimedwait(stop_signals, NULL, &pause);
	} while (signal_number < 0);
	return signal_number;
}

/* ---- stop ---- */

static int stop_workers(struct rg_service *service, struct rg_error *err)
{
	uint64_t deadline = monotonic_ns() + WORKER_DEADLINE_NS;

	for (uint32_t i = 0; i < service->config->dataplane.workers; i++)
		if (service->workers[i])
			atomic_store_explicit(
				&service->workers[i]->stop, true,
				memory_order_relaxed); /* pairs with rg_worker_loop_run() */
	for (uint32_t i = 0; i < service->config->dataplane.workers && service->workers_started;
	     i++) {
		while (rte_eal_get_lcore_state(i + 1) == RUNNING && monotonic_ns() < deadline)
			rte_delay_us_sleep(100);
		if (rte_eal_get_lcore_state(i + 1) == RUNNING)
			return rg_error_set(err, RG_EAGAIN,
					    "worker %u on core %u did not stop within %llu ms", i,
					    service->cores.worker[i], WORKER_DEADLINE_NS / NS_A_MS);
		rte_eal_wait_lcore(i + 1);
	}
	return RG_OK;
}

static void remove_sockets(const struct rg_config *config)
{
	char path[SOCKET_PATH_BYTES];

	for (uint32_t i = 0; i < config->dataplane.ports_count; i++)
		if (rg_memif_socket_path(config->dataplane.ports[i].device, path, sizeof(path)))
			unlink(path); /* DPDK may have done it */
}

int rg_service_stop(struct rg_service *service, struct rg_error *err)
{
	int rc;

	rg_notify_send(&service->notify, "STOPPING=1");
	rc = stop_workers(service, err);
	if (rc != RG_OK)
		return rc; /* it may still use everything: nothing can be freed */
	if (service->publisher_started)
		rg_policy_publisher_stop(service->publisher);
	for (uint32_t i = 0; i < RG_WORKERS_MAX; i++)
		rg_worker_loop_free(service->workers[i]);
	if (service->eal_started) {
		rg_ports_stop(&service->ports);
		rte_eal_cleanup();
		remove_sockets(service->config);
	}
	rg_eal_arguments_free(&service->eal);
	if (service->region)
		rg_counters_flush(&service->counters);
	rg_region_close(service->region);
	rg_schema_free(service->schema);
	rg_notify_close(&service->notify);
	free(service->publisher);
	free(service);
	return RG_OK;
}
