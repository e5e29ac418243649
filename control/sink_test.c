/* SPDX-License-Identifier: Apache-2.0 */
/* The common part of sinks, on a store in memory that fails in every way a store can. */
#include "control/sink.h"

#include <time.h>

#include "base/log.h"
#include "control/test_journal.h"

#define RECORDS_MAX 4000

/* A store: what is committed, and what the open transaction holds. */
struct store {
	struct rg_sink_checkpoint checkpoint, saved_checkpoint;
	uint8_t rows[RECORDS_MAX], saved_rows[RECORDS_MAX]; /* times each request was stored */
	uint64_t open_rows[RECORDS_MAX];
	uint32_t open_count;
	bool in_transaction, opened, closed, commit_fails;
	uint32_t failure_percent;
	char revision[32], reason[32], row_reason[32];
	uint32_t tidied;
};

static struct store store;

static int fail_sometimes(struct rg_error *err)
{
	return (uint32_t)(rand() % 100) < store.failure_percent
		       ? rg_error_set(err, RG_EIO, "the store is away")
		       : RG_OK;
}

static int fake_open(void *context, struct rg_sink_checkpoint *checkpoint,
		     struct rg_sink_names *names, struct rg_error *err)
{
	struct store *s = context;
	int status = fail_sometimes(err);

	assert(!s->in_transaction);
	if (status)
		return status;
	s->opened = true;
	*checkpoint = s->checkpoint;
	if (s->revision[0])
		assert(rg_sink_learn_policy(names, 1, s->revision));
	if (s->reason[0])
		assert(rg_sink_learn_reason(names, 1, s->reason));
	return RG_OK;
}

static int fake_begin(void *context, struct rg_error *err)
{
	struct store *s = context;

	assert(s->opened && !s->in_transaction);
	s->in_transaction = true;
	s->open_count = 0;
	return fail_sometimes(err);
}

static int fake_policy(void *context, const struct rg_sink_policy *policy, struct rg_error *err)
{
	struct store *s = context;

	assert(s->in_transaction && policy->sequence == 1);
	snprintf(s->revision, sizeof(s->revision), "%s", policy->revision);
	return fail_sometimes(err);
}

static int fake_reason(void *context, uint32_t id, const char *name, struct rg_error *err)
{
	struct store *s = context;

	assert(s->in_transaction);
	if (id == 1)
		snprintf(s->reason, sizeof(s->reason), "%s", name);
	return fail_sometimes(err);
}

static int fake_row(void *context, const struct rg_sink_row *row, struct rg_error *err)
{
	struct store *s = context;

	assert(s->in_transaction && row->template && row->request_id < RECORDS_MAX);
	s->open_rows[s->open_count++] = row->request_id;
	if (row->reason_count)
		snprintf(s->row_reason, sizeof(s->row_reason), "%s", row->reasons[0]);
	/* one in a thousand: there are many rows in a batch */
	return rand() % 10 == 0 ? fail_sometimes(err) : RG_OK;
}

static int fake_commit(void *context, const struct rg_sink_checkpoint *before,
		       struct rg_sink_checkpoint *after, struct rg_error *err)
{
	struct store *s = context;

	assert(s->in_transaction);
	assert(before->position.index == s->checkpoint.position.index);
	if (s->commit_fails)
		return rg_error_set(err, RG_EIO, "the store is full");
	if (fail_sometimes(err))
		return RG_EIO; /* it did not happen */
	if ((uint32_t)(rand() % 100) < s->failure_percent)
		return rg_error_set(err, RG_EAGAIN, "once more");
	for (uint32_t i = 0; i < s->open_count; i++)
		s->rows[s->open_rows[i]]++;
	after->stored = before->stored + s->open_count;
	s->checkpoint = *after;
	s->in_transaction = false;
	return fail_sometimes(err); /* it happened, and the answer got lost */
}

static void fake_roll_back(void *context)
{
	struct store *s = context;

	s->in_transaction = s->opened = false;
}

static int fake_tidy(void *context, uint64_t now_unix_ns, struct rg_error *err)
{
	struct store *s = context;

	assert(!s->in_transaction && now_unix_ns);
	s->tidied++;
	return fail_sometimes(err) ? RG_EIO : s->tidied % 3 != 0;
}

static void fake_close(void *context)
{
	((struct store *)context)->closed = true;
}

static const struct rg_sink_driver driver = {
	.name = "memory",
	.open = fake_open,
	.begin = fake_begin,
	.policy = fake_policy,
	.reason = fake_reason,
	.row = fake_row,
	.commit = fake_commit,
	.roll_back = fake_roll_back,
	.tidy = fake_tidy,
	.close = fake_close,
};

static struct rg_sink *make_sink(uint32_t batch, uint32_t keep_s)
{
	struct rg_sink_options options = {
		.journal_directory = journal, .schema = schema, .batch = batch, .keep_s = keep_s};
	struct rg_sink *sink;
	struct rg_error err;

	assert(rg_sink_new(&options, &driver, &store, &sink, &err) == RG_OK);
	return sink;
}

/* Failures of every kind, answers that get lost, a store that is put back to an older state, the
 * sink made anew at any time: in the end each record is there once. */
static void test_exactly_once(unsigned seed)
{
	struct rg_journal_writer *writer;
	struct rg_journal_position end;
	struct rg_sink *sink;
	uint64_t written = 0;

	srand(seed);
	fresh_folder();
	memset(&store, 0, sizeof(store));
	writer = open_journal();
	sink = make_sink(1 + (uint32_t)rand() % 60, 0);
	for (int turn = 0; turn < 3000; turn++) {
		store.failure_percent = turn / 500 % 2 ? 5 : 0;
		for (int i = rand() % 8; i > 0 && written < RECORDS_MAX; i--)
			append(writer, written++, 1, 0);
		flush(writer);
		rg_journal_writer_end(writer, &end);
		rg_sink_follow(sink, &end, 1);
		rg_sink_work(sink, 1 + (uint64_t)turn * 1000000000, NULL);
		if (rand() % 50 == 0) {
			store.saved_checkpoint = store.checkpoint;
			memcpy(store.saved_rows, store.rows, sizeof(store.rows));
		}
		if (rand() % 200 == 0) {
			rg_sink_close(sink);
			fake_roll_back(&store);
			sink = make_sink(1 + (uint32_t)rand() % 60, 0);
		}
		if (rand() % 200 == 0 && store.saved_checkpoint.position.index) {
			/* a standby that was behind takes over: the connection breaks with it */
			store.checkpoint = store.saved_checkpoint;
			memcpy(store.rows, store.saved_rows, sizeof(store.rows));
			store.failure_percent = 100;
			append(writer, written < RECORDS_MAX ? written++ : written - 1, 1, 0);
			flush(writer);
			rg_journal_writer_end(writer, &end);
			rg_sink_follow(sink, &end, 1);
			rg_sink_work(sink, 1, NULL);
		}
	}
	store.failure_percent = 0;
	rg_sink_work(sink, 1, NULL); /* what a break left to be opened anew */
	drain(sink);
	for (uint64_t i = 0; i < written; i++)
		assert(store.rows[i] == 1);
	assert(store.checkpoint.stored == written && written == RECORDS_MAX);
	assert(store.tidied > 0);
	rg_sink_close(sink);
	assert(store.closed);
	rg_journal_writer_close(writer);
}

/* Three lanes with stores of their own: each record is in one of them, once, and each has its part. */
static void test_lanes(void)
{
	static struct store stores[3];
	struct rg_journal_writer *writer;
	struct rg_sink *sinks[3];
	struct rg_journal_position end;
	uint64_t stored = 0;
	struct rg_error err;

	fresh_folder();
	memset(stores, 0, sizeof(stores));
	writer = open_journal();
	append_policy(writer, "{\"sequence\":1,\"bundle\":\"b\",\"revision\":\"r-1\",\"ns\":5,"
			      "\"reasons\":[\"first\"]}");
	for (uint32_t lane = 0; lane < 3; lane++) {
		struct rg_sink_options options = {.journal_directory = journal,
						  .schema = schema,
						  .batch = 100,
						  .lane = lane,
						  .lanes = 3};

		stores[lane].failure_percent = 3;
		assert(rg_sink_new(&options, &driver, &stores[lane], &sinks[lane], &err) == RG_OK);
	}
	for (uint64_t i = 0; i < RECORDS_MAX; i++) {
		append(writer, i, 1, 1);
		if (i % 100 == 0) {
			flush(writer);
			rg_sink_work(sinks[rand() % 3], 1, NULL);
		}
	}
	flush(writer);
	rg_journal_writer_end(writer, &end);
	for (uint32_t lane = 0; lane < 3; lane++) {
		stores[lane].failure_percent = 0;
		rg_sink_work(sinks[lane], 1, NULL);
		drain(sinks[lane]);
		assert(stores[lane].checkpoint.position.index == end.index);
		assert(stores[lane].checkpoint.stored >= RG_SINK_LANE_FRAMES / 2);
		assert(!strcmp(stores[lane].row_reason, "first")); /* all know the names */
		stored += stores[lane].checkpoint.stored;
	}
	assert(stored == RECORDS_MAX);
	for (uint64_t i = 0; i < RECORDS_MAX; i++)
		assert(stores[0].rows[i] + stores[1].rows[i] + stores[2].rows[i] == 1);
	for (uint32_t lane = 0; lane < 3; lane++)
		rg_sink_close(sinks[lane]);
	rg_journal_writer_close(writer);
}

/* The frame that names a reason is behind the checkpoint when the row comes: the store tells. */
static void test_names(void)
{
	struct rg_journal_writer *writer;
	struct rg_sink *sink;
	struct rg_error err;

	fresh_folder();
	memset(&store, 0, sizeof(store));
	writer = open_journal();
	append_policy(writer, "{\"sequence\":1,\"bundle\":\"b\",\"revision\":\"r-1\",\"ns\":5,"
			      "\"reasons\":[\"first\"]}");
	flush(writer);
	sink = make_sink(10, 0);
	assert(rg_sink_work(sink, 1, &err) == 0);
	rg_sink_close(sink);
	assert(!strcmp(store.revision, "r-1") && !strcmp(store.reason, "first"));
	append(writer, 0, 1, 1);
	flush(writer);
	sink = make_sink(10, 0);
	assert(rg_sink_work(sink, 1, &err) == 1);
	assert(!strcmp(store.row_reason, "first"));
	append(writer, 1, 1, 7);
	flush(writer);
	assert(rg_sink_work(sink, 1, &err) == 1);
	assert(!strcmp(store.row_reason, "reason-7"));
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

/* Lag in frames and seconds while the store is away, and when it has caught up. */
static void test_figures(void)
{
	static const uint64_t second = 1000000000, first_ns = 1700000000 * second;
	struct rg_sink_statistics figures;
	struct rg_journal_writer *writer;
	struct rg_journal_position end;
	struct rg_sink *sink;
	struct rg_error err;

	fresh_folder();
	memset(&store, 0, sizeof(store));
	writer = open_journal();
	for (uint64_t i = 0; i < 10; i++)
		append(writer, i, 1, 0);
	flush(writer);
	rg_journal_writer_end(writer, &end);
	sink = make_sink(100, 0);
	rg_sink_follow(sink, &end, first_ns + 2 * second);
	assert(rg_sink_work(sink, first_ns + 2 * second, &err) == 10);
	rg_sink_statistics(sink, first_ns + 3 * second, &figures);
	assert(!figures.lag_frames && figures.lag_s == 0 && figures.stored == 10);
	assert(figures.records == 10 && figures.batches == 1 && figures.records_per_s > 0);

	/* an hour of quiet, then records that cannot be stored */
	store.failure_percent = 100;
	for (uint64_t i = 10; i < 15; i++)
		append(writer, i, 1, 0);
	flush(writer);
	rg_journal_writer_end(writer, &end);
	rg_sink_follow(sink, &end, first_ns + 3600 * second);
	assert(rg_sink_work(sink, first_ns + 3600 * second, &err) == RG_EIO);
	assert(!strcmp(err.text, "the store is away"));
	rg_sink_statistics(sink, first_ns + 3604 * second, &figures);
	assert(figures.away && figures.failures == 1 && figures.lag_frames == 5);
	assert(figures.lag_s > 3.9 && figures.lag_s < 4.1);
	assert(!strcmp(figures.last_error, "the store is away"));
	assert(figures.last_error_ns == first_ns + 3600 * second);

	store.failure_percent = 0;
	assert(rg_sink_work(sink, first_ns + 3605 * second, &err) == 5);
	rg_sink_statistics(sink, first_ns + 3605 * second, &figures);
	assert(!figures.away && !figures.lag_frames && figures.lag_s == 0 && figures.stored == 15);
	assert(!figures.last_error[0] && figures.last_error_ns);
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

/* The lag is that of the records, not of the program that was started again: their receive times are
 * just after first_ns. */
static void test_lag_after_restart(void)
{
	static const uint64_t second = 1000000000, first_ns = 1700000000 * second;
	struct rg_sink_statistics figures;
	struct rg_journal_writer *writer;
	struct rg_journal_position end;
	struct rg_sink *sink;
	struct rg_error err;

	fresh_folder();
	memset(&store, 0, sizeof(store));
	writer = open_journal();
	append_policy(writer, "{\"sequence\":1,\"bundle\":\"b\",\"revision\":\"r-1\",\"ns\":5}");
	for (uint64_t i = 0; i < 10; i++)
		append(writer, i, 1, 0);
	flush(writer);
	rg_journal_writer_end(writer, &end);
	/* a store that is never reached */
	store.failure_percent = 100;
	sink = make_sink(100, 0);
	rg_sink_follow(sink, &end, first_ns + 7200 * second);
	assert(rg_sink_work(sink, first_ns + 7200 * second, &err) == RG_EIO);
	rg_sink_statistics(sink, first_ns + 7201 * second, &figures);
	assert(figures.lag_s > 7200.9 && figures.lag_s < 7201.1);
	rg_sink_close(sink);
	/* one that is reached and takes nothing */
	store.failure_percent = 0;
	store.commit_fails = true;
	sink = make_sink(100, 0);
	rg_sink_follow(sink, &end, first_ns + 7300 * second);
	assert(rg_sink_work(sink, first_ns + 7300 * second, &err) == RG_EIO);
	rg_sink_statistics(sink, first_ns + 7301 * second, &figures);
	assert(figures.lag_s > 7300.9 && figures.lag_s < 7301.1);
	store.commit_fails = false;
	store.in_transaction = false;
	assert(rg_sink_work(sink, first_ns + 7302 * second, &err) == 10);
	rg_sink_statistics(sink, first_ns + 7302 * second, &figures);
	assert(!figures.lag_frames && figures.lag_s == 0);
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

/* A wall clock that jumps, in both directions: everything is stored once, and tidying goes on. */
static void test_clock_jumps(void)
{
	static const uint64_t hour = 3600000000000ull, first_ns = 1700000000000000000ull;
	const uint64_t clock[] = {first_ns, first_ns + hour, first_ns, first_ns - hour, first_ns};
	struct rg_sink_statistics figures;
	struct rg_journal_writer *writer;
	struct rg_journal_position end;
	struct rg_sink *sink;
	struct rg_error err;
	uint32_t tidied = 0;

	fresh_folder();
	memset(&store, 0, sizeof(store));
	writer = open_journal();
	sink = make_sink(100, 0);
	for (uint64_t i = 0; i < 5; i++) {
		append(writer, i, 1, 0);
		flush(writer);
		rg_journal_writer_end(writer, &end);
		rg_sink_follow(sink, &end, clock[i]);
		rg_sink_statistics(sink, clock[i], &figures);
		assert(figures.lag_s >= 0 && figures.lag_s <= 3600);
		assert(rg_sink_work(sink, clock[i], &err) == 1);
		assert(store.tidied > tidied);
		tidied = store.tidied;
	}
	rg_sink_statistics(sink, clock[0], &figures);
	assert(figures.stored == 5 && !figures.lag_frames && figures.lag_s == 0);
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

/* Nothing at or beyond the limit is read. */
static void test_limit(void)
{
	struct rg_journal_writer *writer;
	struct rg_journal_position limit, end;
	struct rg_sink *sink;
	struct rg_error err;

	fresh_folder();
	memset(&store, 0, sizeof(store));
	writer = open_journal();
	for (uint64_t i = 0; i < 10; i++)
		append(writer, i, 1, 0);
	flush(writer);
	rg_journal_writer_end(writer, &limit);
	for (uint64_t i = 10; i < 20; i++)
		append(writer, i, 1, 0);
	flush(writer);
	rg_journal_writer_end(writer, &end);
	sink = make_sink(100, 0);
	rg_sink_follow(sink, &limit, 1);
	assert(rg_sink_work(sink, 1, &err) == 10 && rg_sink_work(sink, 1, &err) == 0);
	rg_sink_follow(sink, &end, 1);
	assert(rg_sink_work(sink, 1, &err) == 10);
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

/* From where the journal is kept: the checkpoint, or where it was some time ago. */
static void test_keep(void)
{
	struct rg_journal_position position, first;
	struct rg_journal_writer *writer;
	struct rg_sink *sink;
	struct rg_error err;

	fresh_folder();
	memset(&store, 0, sizeof(store));
	writer = open_journal();
	append(writer, 0, 1, 0);
	flush(writer);
	sink = make_sink(10, 0);
	assert(!rg_sink_keep(sink, &position)); /* nothing is known yet */
	assert(rg_sink_work(sink, 1, &err) == 1);
	assert(rg_sink_keep(sink, &position));
	assert(position.index == store.checkpoint.position.index && position.index > 0);
	rg_sink_close(sink);

	sink = make_sink(10, 1);
	assert(rg_sink_work(sink, 1, &err) == 0);
	assert(!rg_sink_keep(sink, &position)); /* a standby may be behind what was committed */
	usleep(1050000);
	assert(rg_sink_keep(sink, &first) && first.index == position.index);
	for (uint64_t i = 1; i < 5; i++) {
		append(writer, i, 1, 0);
		flush(writer);
		assert(rg_sink_work(sink, 1, &err) == 1);
	}
	assert(rg_sink_keep(sink, &position) && position.index == first.index);
	usleep(1050000);
	assert(rg_sink_keep(sink, &position));
	assert(position.index == store.checkpoint.position.index);
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

int main(void)
{
	unsigned seed = (unsigned)time(NULL);

	rg_log_set_level(RG_LOG_ERROR); /* hundreds of failures are wanted here */
	begin_test("sink-test");
	printf("seed %u\n", seed);
	test_exactly_once(seed);
	test_lanes();
	test_names();
	test_figures();
	test_lag_after_restart();
	test_clock_jumps();
	test_limit();
	test_keep();
	end_test();
	return 0;
}
