/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riskgate-loadgen: sends requests over a DPDK port or a kernel UDP socket and measures the
 * answers.
 *
 * One thread does everything: it encodes the requests first, then steps the load (load.h) until it
 * is done, then prints. Time is CLOCK_MONOTONIC, which the kernel serves from the time stamp
 * counter without a system call.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "config/config.h"
#include "config/huge_pages.h"
#include "tools/loadgen/answer_log.h"
#include "tools/loadgen/csv.h"
#include "tools/loadgen/generator.h"
#include "tools/loadgen/load.h"
#include "tools/loadgen/mapping.h"
#include "tools/loadgen/options.h"
#include "tools/loadgen/progress.h"
#include "tools/loadgen/request_pool.h"

#define EXIT_FAILED    1
#define EXIT_WRONG_USE 2
/* With --yield: spin when the next request is due within this time, sleep until then otherwise. */
#define SPIN_NS 20000u
/* With --yield: spin so long for an answer before the core is offered to others between two looks.
 */
#define ANSWER_SPIN_NS 200000u
/* Longest sleep when nothing is due or awaited. */
#define SLEEP_NS_MAX 1000000u

static volatile sig_atomic_t stop_signals;

static void on_stop_signal(int number)
{
	(void)number;
	stop_signals++;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t monotonic_ns(void *context)
{
	(void)context;
	return clock_ns(CLOCK_MONOTONIC);
}

/* ---- preparing ---- */

static int load_schema(const struct rg_options *options, struct rg_schema **schema,
		       struct rg_error *err)
{
	struct rg_config *config;
	int status;

	if (options->schema)
		return rg_schema_load(options->schema, schema, err);
	status = rg_config_load(options->config, &config, err);
	if (status != RG_OK)
		return status;
	status = rg_schema_load(config->schema, schema, err);
	rg_config_free(config);
	return status == RG_OK
		       ? RG_OK
		       : rg_error_prefix(err,
					 "the schema of riskgate.yaml (or give --schema FILE)");
}

static int read_rows(struct rg_csv *csv, const struct rg_mapping *mapping,
		     const struct rg_field_table *table, struct rg_request_pool *pool,
		     struct rg_error *err)
{
	const struct rg_csv_value *values;
	uint8_t *block;
	int status;

	while ((status = rg_csv_next(csv, &values, err)) == RG_OK) {
		status = rg_request_pool_add(pool, table, &block, err);
		if (status == RG_OK)
			status = rg_mapping_encode(mapping, csv, values, block, err);
		if (status != RG_OK)
			return status;
	}
	if (status != RG_EAGAIN)
		return status;
	return pool->count ? RG_OK
			   : rg_error_set(err, RG_EINVAL, "%s: no row after the header",
					  rg_csv_path(csv));
}

static int fill_from_csv(const struct rg_options *options, const struct rg_schema *schema,
			 struct rg_request_pool *pool, struct rg_error *err)
{
	struct rg_mapping *mapping = NULL;
	struct rg_csv *csv = NULL;
	int status = rg_mapping_load(options->map, schema, &mapping, err);

	if (status == RG_OK)
		status = rg_csv_open(options->csv, &csv, err);
	if (status == RG_OK)
		status = rg_mapping_bind(mapping, csv, err);
	if (status == RG_OK)
		status = rg_request_pool_init(pool, rg_mapping_template(mapping), err);
	if (status == RG_OK)
		status = read_rows(csv, mapping, rg_schema_fields(schema), pool, err);
	rg_csv_close(csv);
	rg_mapping_free(mapping);
	return status;
}

static int fill_from_generator(const struct rg_options *options, const struct rg_schema *schema,
			       struct rg_request_pool *pool, struct rg_error *err)
{
	const struct rg_template *template = rg_schema_template_by_name(schema, options->template);
	struct rg_generator *generator;
	uint8_t *block;
	int status;

	if (!template || !rg_schema_is_request(template))
		return rg_error_set(err, RG_EINVAL, "--template %s: the schema has no such request",
				    options->template);
	status = rg_generator_new(schema, template, options->seed, options->settings,
				  options->setting_count, &generator, err);
	if (status != RG_OK)
		return status;
	status = rg_request_pool_init(pool, template, err);
	for (uint64_t i = 0; status == RG_OK && i < options->generated_count; i++) {
		status = rg_request_pool_add(pool, rg_schema_fields(schema), &block, err);
		if (status == RG_OK)
			rg_generator_fill(generator, block);
	}
	rg_generator_free(generator);
	return status;
}

/* Run on one core only. Threads that DPDK starts stay there too. */
static int pin(struct rg_options *options, struct rg_error *err)
{
	cpu_set_t allowed, one;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return rg_error_set_errno(err, RG_EIO, errno,
					  "cannot tell which cores may be used");
	if (options->core < 0 && !options->dpdk.device)
		return RG_OK;
	if (options->core < 0)
		for (options->core = 0; !CPU_ISSET(options->core, &allowed);)
			options->core++;
	if (!CPU_ISSET(options->core, &allowed))
		return rg_error_set(
			err, RG_EINVAL,
			"--core %d: this process may not run there: see taskset(1), cgroups",
			options->core);
	CPU_ZERO(&one);
	CPU_SET(options->core, &one);
	if (sched_setaffinity(0, sizeof(one), &one) != 0)
		return rg_error_set_errno(err, RG_EIO, errno, "--core %d", options->core);
	options->dpdk.core = (uint32_t)options->core;
	return RG_OK;
}

static int open_transport(struct rg_options *options, struct rg_transport **transport,
			  struct rg_error *err)
{
	if (!options->dpdk.device)
		return rg_transport_open_udp(&options->endpoint, transport, err);
	if (options->dpdk.huge_pages &&
	    rg_huge_pages_free_bytes(NULL) >> 20 < options->dpdk.memory_mib) {
		fprintf(stderr,
			"riskgate-loadgen: fewer than %u MiB of huge pages are free: using "
			"ordinary memory\n",
			options->dpdk.memory_mib);
		options->dpdk.huge_pages = false;
	}
	return rg_transport_open_dpdk(&options->dpdk, &options->endpoint, transport, err);
}

/* ---- running ---- */

/* Leave the core to others while nothing is due and no answer expected at once. */
static void idle(const struct rg_load *load, uint64_t now_ns)
{
	uint64_t due_ns = rg_load_next_due_ns(load);
	uint64_t until_ns = now_ns + SLEEP_NS_MAX;

	if (due_ns < now_ns + SPIN_NS)
		return;
	if (load->outstanding.waiting) {
		if (now_ns - load->last_send_ns > ANSWER_SPIN_NS)
			sched_yield();
		return;
	}
	if (due_ns - SPIN_NS < until_ns)
		until_ns = due_ns - SPIN_NS;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME,
			&(struct timespec){.tv_sec = (time_t)(until_ns / 1000000000u),
					   .tv_nsec = (long)(until_ns % 1000000000u)},
			NULL);
}

/* Step the load until it is done. The first signal stops sending, a second one also the waiting. */
static void run(const struct rg_options *options, struct rg_load *load)
{
	struct rg_progress progress;

	rg_progress_init(&progress, stderr, options->quiet, load->begin_ns);
	while (load->phase != RG_LOAD_DONE && stop_signals < 2) {
		uint32_t worked = rg_load_step(load);

		rg_progress_update(&progress, load, load->last_step_ns);
		if (stop_signals)
			rg_load_stop(load);
		if (options->yield && !worked)
			idle(load, load->last_step_ns);
	}
	rg_load_finish(load);
	rg_progress_finish(&progress);
}

static int write_json(const char *path, const struct rg_tally *tally, struct rg_error *err)
{
	int64_t unix_offset_ns = (int64_t)(clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC));
	FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
	bool failed;

	if (!file)
		return rg_error_set_errno(err, RG_EIO, errno, "--json %s: cannot create", path);
	failed = rg_tally_write_json(tally, unix_offset_ns, file) != 0;
	failed |= (file == stdout ? fflush(file) : fclose(file)) != 0;
	if (failed)
		return rg_error_set_errno(err, RG_EIO, errno, "--json %s: cannot write", path);
	return RG_OK;
}

static int report(const struct rg_options *options, const struct rg_tally *tally,
		  struct rg_error *err)
{
	if (!options->json || strcmp(options->json, "-") != 0)
		rg_tally_print(tally, stdout);
	return options->json ? write_json(options->json, tally, err) : RG_OK;
}

/* What the exit code says about a load that ran. */
static int judge(const struct rg_options *options, const struct rg_tally *tally,
		 struct rg_error *err)
{
	if (tally->answered == 0)
		return rg_error_set(err, RG_EAGAIN,
				    "no request was answered: is riskgate-dataplane running, and "
				    "%s one of its addresses?",
				    options->endpoint.target);
	if (options->require_all && (tally->lost || tally->unsent))
		return rg_error_set(err, RG_EAGAIN,
				    "%" PRIu64 " requests were lost, %" PRIu64 " not sent",
				    tally->lost, tally->unsent);
	return RG_OK;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_stop_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	prctl(PR_SET_TIMERSLACK, 1);
}

/* Everything but the command line. */
static int send_load(struct rg_options *options, struct rg_error *err)
{
	static struct rg_load load; /* large: not for the stack */
	struct rg_request_pool pool = {0};
	struct rg_schema *schema = NULL;
	struct rg_transport *transport = NULL;
	struct rg_answer_log *log = NULL;
	struct rg_error log_error;
	int status = load_schema(options, &schema, err);

	if (status == RG_OK)
		status = options->csv ? fill_from_csv(options, schema, &pool, err)
				      : fill_from_generator(options, schema, &pool, err);
	if (status == RG_OK && options->log_answers)
		status = rg_answer_log_open(options->log_answers, &log, err);
	if (status == RG_OK)
		status = pin(options, err);
	if (status == RG_OK)
		status = open_transport(options, &transport, err);
	if (status == RG_OK) {
		if (options->once)
			options->load.message_limit = pool.count;
		catch_signals();
		status = rg_load_init(&load, &options->load,
				      (struct rg_load_clock){.now_ns = monotonic_ns}, transport,
				      &pool, log, err);
	}
	if (status == RG_OK) {
		run(options, &load);
		status = report(options, &load.tally, err);
		if (status == RG_OK)
			status = judge(options, &load.tally, err);
		rg_load_free(&load);
	}
	if (rg_answer_log_close(log, &log_error) != RG_OK && status == RG_OK)
		status = rg_error_set(err, log_error.status, "%s", log_error.text);
	rg_transport_close(transport);
	rg_request_pool_free(&pool);
	rg_schema_free(schema);
	return status;
}

int main(int argc, char **argv)
{
	static struct rg_options options;
	struct rg_error err;

	if (rg_options_parse(argc, argv, &options, &err) != RG_OK) {
		fprintf(stderr, "riskgate-loadgen: %s\n", err.text);
		return EXIT_WRONG_USE;
	}
	if (options.help) {
		fputs(rg_options_help(), stdout);
		return EXIT_SUCCESS;
	}
	if (options.version) {
		printf("riskgate-loadgen %s\n", RG_VERSION);
		return EXIT_SUCCESS;
	}
	if (send_load(&options, &err) != RG_OK) {
		fprintf(stderr, "riskgate-loadgen: %s\n", err.text);
		return EXIT_FAILED;
	}
	return EXIT_SUCCESS;
}
