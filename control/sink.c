/* SPDX-License-Identifier: Apache-2.0 */
#include "control/sink.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "control/sink_names.h"
#include "shm/probes.h"

#define WAKE_MS		  100
#define BACKOFF_MS_MIN	  200 /* doubled at each failure */
#define BACKOFF_MS_MAX	  5000
#define TIDY_PERIOD_NS	  60000000000ull
#define RATE_PERIOD_NS	  1000000000ull
#define KEEP_SAMPLES	  32
#define OLDEST_FRAMES_MAX 1000 /* looked through for a record */
#define NS_PER_S	  1000000000ull

/* A place, and when it was the checkpoint. */
struct sample {
	uint64_t monotonic_ns;
	struct rg_journal_position position;
};

struct rg_sink {
	/* of whoever works: the thread, or a test that steps by hand */
	const struct rg_sink_driver *driver;
	void *store;
	struct rg_sink_options options;
	char *journal_directory;
	struct rg_journal_reader *reader; /* NULL: to be opened at the checkpoint */
	struct rg_sink_names names;
	struct rg_sink_checkpoint checkpoint; /* as the store has it */
	bool opened;			      /* the store's checkpoint and names are those above */
	uint64_t next_tidy_ns;		      /* unix */
	uint64_t last_receive_ns;	      /* of the newest record in the open transaction */
	uint64_t rate_began_ns, rate_records;
	uint32_t backoff_ms;

	pthread_mutex_t lock; /* the rest */
	pthread_cond_t woken;
	pthread_t thread;
	bool started; /* the thread is to be joined; of start's and stop's caller */
	bool running, stopping, wake;
	struct timespec stop_at;
	bool limited, known; /* known: statistics.position is the store's */
	struct rg_journal_position limit;
	uint64_t behind_since_ns; /* unix, when it was last seen to fall behind; 0: before the
				     start, or it is not behind */
	/* receive time of the oldest record that waits, or else of the newest that is stored; 0: not
	 * known yet */
	uint64_t waiting_since_ns;
	uint64_t began_ns; /* unix, of the first look */
	uint64_t rate_ended_ns;
	struct rg_sink_statistics statistics;
	struct sample samples[KEEP_SAMPLES + 1]; /* oldest first; the last is the checkpoint */
	uint32_t sample_count;
};

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t unix_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

int rg_sink_new(const struct rg_sink_options *options, const struct rg_sink_driver *driver,
		void *store, struct rg_sink **out, struct rg_error *err)
{
	struct rg_sink *sink = calloc(1, sizeof(*sink));
	char *directory = strdup(options->journal_directory);
	pthread_condattr_t monotonic;

	if (!sink || !directory) {
		free(sink);
		free(directory);
		driver->close(store);
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	}
	pthread_mutex_init(&sink->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&sink->woken, &monotonic);
	pthread_condattr_destroy(&monotonic);
	sink->driver = driver;
	sink->store = store;
	sink->options = *options;
	sink->journal_directory = directory;
	sink->statistics.name = driver->name;
	*out = sink;
	return RG_OK;
}

void rg_sink_close(struct rg_sink *sink)
{
	if (!sink)
		return;
	rg_sink_stop(sink, 0);
	sink->driver->close(sink->store);
	rg_journal_reader_close(sink->reader);
	rg_sink_names_forget(&sink->names);
	pthread_cond_destroy(&sink->woken);
	pthread_mutex_destroy(&sink->lock);
	free(sink->journal_directory);
	free(sink);
}

/* ---- where the journal must be kept ---- */

/* The checkpoint moved: remember where it was, in steps of a 32nd of the time to look back. */
static void remember(struct rg_sink *sink, const struct rg_journal_position *position)
{
	uint64_t step_ns = sink->options.keep_s * NS_PER_S / KEEP_SAMPLES, now_ns = monotonic_ns();
	uint32_t last = sink->sample_count ? sink->sample_count - 1 : 0;

	if (sink->sample_count && position->index < sink->samples[last].position.index)
		sink->sample_count = last = 0; /* it went back: what is remembered is not stored */
	/* the last sample may be replaced when the one before it is near enough */
	if (last && now_ns - sink->samples[last - 1].monotonic_ns < step_ns) {
		sink->samples[last] = (struct sample){now_ns, *position};
		return;
	}
	if (sink->sample_count == KEEP_SAMPLES + 1) {
		memmove(sink->samples, sink->samples + 1, KEEP_SAMPLES * sizeof(sink->samples[0]));
		sink->sample_count--;
	}
	sink->samples[sink->sample_count++] = (struct sample){now_ns, *position};
}

bool rg_sink_keep(struct rg_sink *sink, struct rg_journal_position *position)
{
	uint64_t back_ns = sink->options.keep_s * NS_PER_S, now_ns = monotonic_ns();
	bool found = false;

	pthread_mutex_lock(&sink->lock);
	for (uint32_t i = sink->sample_count; !found && i-- > 0;) {
		found = now_ns - sink->samples[i].monotonic_ns >= back_ns;
		if (found)
			*position = sink->samples[i].position;
	}
	pthread_mutex_unlock(&sink->lock);
	return found;
}

/* ---- storing ---- */

static int open_store(struct rg_sink *sink, struct rg_error *err)
{
	struct rg_sink_checkpoint checkpoint = {0};
	int status;

	rg_sink_names_forget(&sink->names);
	status = sink->driver->open(sink->store, &checkpoint, &sink->names, err);
	if (status)
		return status;
	rg_journal_reader_close(sink->reader);
	sink->reader = NULL;
	sink->checkpoint = checkpoint;
	sink->opened = true;
	pthread_mutex_lock(&sink->lock);
	if (sink->known && checkpoint.position.index < sink->statistics.position.index)
		rg_log(RG_LOG_WARNING,
		       "sink=%s: the store went back from frame %llu to frame %llu (restored, or a "
		       "standby that was behind): storing again from there",
		       sink->driver->name, (unsigned long long)sink->statistics.position.index,
		       (unsigned long long)checkpoint.position.index);
	sink->known = true;
	sink->statistics.position = checkpoint.position;
	sink->statistics.stored = checkpoint.stored;
	sink->statistics.refused = checkpoint.refused;
	sink->statistics.dropped = checkpoint.dropped;
	remember(sink, &checkpoint.position);
	pthread_mutex_unlock(&sink->lock);
	return RG_OK;
}

int rg_sink_open(struct rg_sink *sink, struct rg_error *err)
{
	return open_store(sink, err);
}

static int store_record(struct rg_sink *sink, const struct rg_record *record, struct rg_error *err)
{
	char unknown[RG_RECORD_REASONS_MAX][16];
	struct rg_sink_row row = {
		.record = record,
		.revision = rg_sink_names_revision(&sink->names, record->policy_sequence),
		.reason_count = record->reason_count,
	};

	if (record->kind == RG_RECORD_DECISION) {
		row.template = rg_schema_template_by_id(sink->options.schema, record->schema_id,
							record->template_id);
		if (record->request_bytes >= sizeof(row.request_id)) /* its first field */
			memcpy(&row.request_id, rg_record_request(record), sizeof(row.request_id));
	}
	for (uint32_t i = 0; i < row.reason_count; i++) {
		uint16_t id = record->reasons[i];

		row.reasons[i] = rg_sink_names_reason(&sink->names, id);
		if (row.reasons[i])
			continue;
		row.reasons[i] = unknown[i];
		if (id == UINT16_MAX)
			strcpy(unknown[i], "other");
		else
			snprintf(unknown[i], sizeof(unknown[i]), "reason-%u", id);
	}
	sink->last_receive_ns = record->receive_time_ns;
	return sink->driver->row(sink->store, &row, err);
}

/* Another lane stores it. */
static bool is_anothers(const struct rg_sink *sink, const struct rg_journal_frame *frame)
{
	const struct rg_sink_options *options = &sink->options;

	return frame->kind == RG_JOURNAL_RECORD && options->lanes > 1 &&
	       frame->index / RG_SINK_LANE_FRAMES % options->lanes != options->lane;
}

static int store_frame(struct rg_sink *sink, const struct rg_journal_frame *frame,
		       struct rg_error *err)
{
	if (frame->kind == RG_JOURNAL_RECORD &&
	    rg_record_check(frame->payload, frame->payload_bytes, NULL) == RG_OK)
		return store_record(sink, frame->payload, err);
	if (frame->kind == RG_JOURNAL_POLICY)
		return rg_sink_names_take(&sink->names, frame->payload, frame->payload_bytes,
					  sink->driver, sink->store, err);
	return RG_OK;
}

/* What a batch did. */
struct batch {
	uint32_t frames, records;
	uint64_t lost; /* frames passed over */
};

/* The reader met damage, or a segment that is gone: go to the next whole frame. */
static int pass_over(struct rg_sink *sink, struct batch *batch, struct rg_error *err)
{
	char why[RG_ERROR_TEXT_BYTES] = "";
	uint64_t passed = 0;
	int status;

	if (err)
		memcpy(why, err->text, sizeof(why));
	status = rg_journal_reader_skip_damage(sink->reader, &passed, err);
	if (status)
		return status;
	rg_log(RG_LOG_ERROR, "sink=%s passed_over=%llu frames of the journal: %s",
	       sink->driver->name, (unsigned long long)passed, why);
	batch->lost += passed;
	batch->frames++;
	return RG_OK;
}

/* What waits has been waiting since this time, whether it is stored now or not. */
static void note_oldest(struct rg_sink *sink, const struct rg_journal_frame *frame)
{
	const struct rg_record *record = frame->payload;

	pthread_mutex_lock(&sink->lock);
	sink->waiting_since_ns = record->receive_time_ns;
	pthread_mutex_unlock(&sink->lock);
}

/* The store was never reached, so nobody knows what is in it: at worst, nothing of the journal. */
static void find_oldest(struct rg_sink *sink, const struct rg_journal_position *limit)
{
	struct rg_journal_reader *reader;
	struct rg_journal_frame frame;

	if (sink->waiting_since_ns || /* written by this thread alone */
	    rg_journal_reader_open(sink->journal_directory, NULL, &reader, NULL))
		return;
	rg_journal_reader_limit(reader, limit);
	for (int i = 0; i < OLDEST_FRAMES_MAX; i++) {
		if (rg_journal_reader_next(reader, &frame, NULL))
			break;
		if (frame.kind == RG_JOURNAL_RECORD &&
		    !rg_record_check(frame.payload, frame.payload_bytes, NULL)) {
			note_oldest(sink, &frame);
			break;
		}
	}
	rg_journal_reader_close(reader);
}

/* Read up to a batch of frames into the store's transaction. */
static int read_batch(struct rg_sink *sink, struct batch *batch, struct rg_error *err)
{
	struct rg_journal_frame frame;
	bool begun = false;
	int status = RG_OK;

	while (!status && batch->records < sink->options.batch) {
		status = rg_journal_reader_next(sink->reader, &frame, err);
		if (status == RG_ECORRUPT || status == RG_ENOENT) {
			status = pass_over(sink, batch, err);
			if (!status)
				continue;
		}
		if (status)
			break;
		if (frame.kind == RG_JOURNAL_RECORD && !batch->records &&
		    !rg_record_check(frame.payload, frame.payload_bytes, NULL))
			note_oldest(sink, &frame);
		if (!begun)
			status = sink->driver->begin(sink->store, err);
		begun = true;
		batch->frames++;
		if (status || is_anothers(sink, &frame))
			continue;
		status = store_frame(sink, &frame, err);
		batch->records += frame.kind == RG_JOURNAL_RECORD;
	}
	if (status == RG_EAGAIN)
		status = RG_OK;
	if (!status && batch->frames && !begun)
		status = sink->driver->begin(sink->store, err);
	return status;
}

/* The checkpoint lies beyond the journal's end: it speaks of another journal (its folder was changed
 * or emptied). Nothing of this one would be stored until it is as long: begin at its first frame.
 * The key makes harmless what is stored already. */
static void begin_again(struct rg_sink *sink, struct rg_journal_position *position,
			const struct rg_journal_position *end)
{
	rg_log(RG_LOG_WARNING,
	       "sink=%s: its checkpoint is frame %llu, the journal in %s ends at frame %llu: "
	       "another journal; storing it from its beginning",
	       sink->driver->name, (unsigned long long)position->index, sink->journal_directory,
	       (unsigned long long)end->index);
	rg_journal_reader_close(sink->reader);
	sink->reader = NULL;
	*position = (struct rg_journal_position){0};
}

static int store_batch(struct rg_sink *sink, const struct rg_journal_position *limit,
		       struct batch *batch, struct rg_error *err)
{
	struct rg_journal_position position = sink->checkpoint.position;
	struct rg_sink_checkpoint after;
	uint64_t probe = rg_probe_io_begin(), commit_probe;
	int status = RG_OK;

	*batch = (struct batch){0};
	if (limit && limit->index && position.index > limit->index)
		begin_again(sink, &position, limit);
	if (!sink->reader)
		status = rg_journal_reader_open(sink->journal_directory, &position, &sink->reader,
						err);
	if (status)
		return status;
	rg_journal_reader_limit(sink->reader, limit);
	status = read_batch(sink, batch, err);
	if (status || !batch->frames)
		return status;
	rg_journal_reader_position(sink->reader, &position);
	after = sink->checkpoint;
	after.position = position;
	commit_probe = rg_probe_io_begin();
	status = sink->driver->commit(sink->store, &sink->checkpoint, &after, err);
	rg_probe_io_end(commit_probe, RG_IO_COMMIT, sink->driver->name, batch->records, status);
	rg_probe_io_end(probe, RG_IO_BATCH, sink->driver->name, batch->records, status);
	if (!status)
		sink->checkpoint = after;
	return status;
}

/* Back to what the store says, at the next turn. */
static void roll_back(struct rg_sink *sink)
{
	sink->driver->roll_back(sink->store);
	sink->opened = false;
	rg_journal_reader_close(sink->reader);
	sink->reader = NULL;
}

static void count_rate(struct rg_sink *sink, uint32_t records, uint64_t began_ns, uint64_t ended_ns)
{
	if (ended_ns - sink->rate_began_ns > 2 * RATE_PERIOD_NS) {
		sink->rate_began_ns = began_ns;
		sink->rate_records = 0;
	}
	sink->rate_records += records;
	sink->rate_ended_ns = ended_ns;
	sink->statistics.records_per_s =
		(double)sink->rate_records / ((double)(ended_ns - sink->rate_began_ns + 1) / 1e9);
	if (ended_ns - sink->rate_began_ns >= RATE_PERIOD_NS) {
		sink->rate_began_ns = ended_ns;
		sink->rate_records = 0;
	}
}

static void note_success(struct rg_sink *sink, const struct batch *batch, uint64_t began_ns)
{
	struct rg_sink_statistics *statistics = &sink->statistics;
	uint64_t ended_ns = monotonic_ns(), took_ns = ended_ns - began_ns;

	if (statistics->away)
		rg_log(RG_LOG_INFO, "sink=%s is back at frame %llu", sink->driver->name,
		       (unsigned long long)sink->checkpoint.position.index);
	sink->backoff_ms = 0;
	statistics->away = false;
	statistics->last_error[0] = '\0';
	if (batch->frames) {
		statistics->records += sink->checkpoint.stored - statistics->stored;
		statistics->position = sink->checkpoint.position;
		statistics->stored = sink->checkpoint.stored;
		statistics->records_refused += sink->checkpoint.refused - statistics->refused;
		statistics->refused = sink->checkpoint.refused;
		statistics->records_dropped += sink->checkpoint.dropped - statistics->dropped;
		statistics->dropped = sink->checkpoint.dropped;
		statistics->batches++;
		statistics->passed_over += batch->lost;
		statistics->transaction_ns_last = took_ns;
		if (took_ns > statistics->transaction_ns_max)
			statistics->transaction_ns_max = took_ns;
		if (batch->records)
			sink->waiting_since_ns = sink->last_receive_ns;
		remember(sink, &statistics->position);
		count_rate(sink, batch->records, began_ns, ended_ns);
	}
	if (statistics->position.index >= sink->limit.index)
		sink->behind_since_ns = 0;
}

static void note_failure(struct rg_sink *sink, uint64_t now_unix_ns, const struct rg_error *err)
{
	struct rg_sink_statistics *statistics = &sink->statistics;

	/* once for each new reason: a store can be away for days */
	if (!statistics->away || strcmp(statistics->last_error, err->text) != 0)
		rg_log(RG_LOG_WARNING, "sink=%s error=\"%s\"", sink->driver->name, err->text);
	sink->backoff_ms = sink->backoff_ms ? sink->backoff_ms * 2 : BACKOFF_MS_MIN;
	if (sink->backoff_ms > BACKOFF_MS_MAX)
		sink->backoff_ms = BACKOFF_MS_MAX;
	statistics->away = true;
	statistics->failures++;
	statistics->last_error_ns = now_unix_ns;
	memcpy(statistics->last_error, err->text, sizeof(err->text));
}

/* Retention and the like. It failing does not keep records from being stored. */
static void tidy(struct rg_sink *sink, uint64_t now_unix_ns)
{
	struct rg_error err;
	int status = sink->driver->tidy(sink->store, now_unix_ns, &err);

	sink->next_tidy_ns = status > 0 ? now_unix_ns : now_unix_ns + TIDY_PERIOD_NS;
	if (status >= 0)
		return;
	rg_log(RG_LOG_WARNING, "sink=%s retention error=\"%s\"", sink->driver->name, err.text);
	roll_back(sink);
	pthread_mutex_lock(&sink->lock);
	sink->statistics.failures++;
	sink->statistics.last_error_ns = now_unix_ns;
	memcpy(sink->statistics.last_error, err.text, sizeof(err.text));
	pthread_mutex_unlock(&sink->lock);
}

int rg_sink_work(struct rg_sink *sink, uint64_t now_unix_ns, struct rg_error *caller_err)
{
	uint64_t began_ns = monotonic_ns();
	struct rg_journal_position limit;
	struct rg_error err = {0};
	struct batch batch = {0};
	int status = RG_EAGAIN;
	bool limited;

	pthread_mutex_lock(&sink->lock);
	limited = sink->limited;
	limit = sink->limit;
	if (!sink->began_ns)
		sink->began_ns = now_unix_ns;
	pthread_mutex_unlock(&sink->lock);
	/* the second time: the driver asked for another go at the same batch */
	for (int attempt = 0; attempt < 2 && status == RG_EAGAIN; attempt++) {
		status = sink->opened ? RG_OK : open_store(sink, &err);
		if (status && !sink->known)
			find_oldest(sink, limited ? &limit : NULL);
		if (!status)
			status = store_batch(sink, limited ? &limit : NULL, &batch, &err);
		if (status)
			roll_back(sink);
	}
	pthread_mutex_lock(&sink->lock);
	if (status)
		note_failure(sink, now_unix_ns, &err);
	else
		note_success(sink, &batch, began_ns);
	pthread_mutex_unlock(&sink->lock);
	/* a clock that went back does not keep things from being tidied */
	if (!status && sink->driver->tidy &&
	    (now_unix_ns >= sink->next_tidy_ns ||
	     now_unix_ns + TIDY_PERIOD_NS < sink->next_tidy_ns))
		tidy(sink, now_unix_ns);
	if (caller_err)
		*caller_err = err;
	return status ? status : (int)batch.records;
}

/* ---- thread ---- */

static struct timespec after_ms(uint32_t ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	return at;
}

static bool is_past(const struct timespec *at)
{
	return (uint64_t)at->tv_sec * NS_PER_S + (uint64_t)at->tv_nsec <= monotonic_ns();
}

/* Wait until there may be something to do after a turn that stored so many records (negative: that
 * failed). False: stop now. */
static bool pause_thread(struct rg_sink *sink, int stored)
{
	uint32_t ms = stored > 0 ? 0 : stored < 0 ? sink->backoff_ms : WAKE_MS;
	struct timespec until = after_ms(ms);
	bool go_on, woken;

	pthread_mutex_lock(&sink->lock);
	while ((stored < 0 || !sink->wake) && !sink->stopping &&
	       pthread_cond_timedwait(&sink->woken, &sink->lock, &until) != ETIMEDOUT)
		;
	/* something came since the last look: one more is due, also when stopping */
	woken = sink->wake;
	sink->wake = false;
	go_on = !sink->stopping || ((stored > 0 || (!stored && woken)) && !is_past(&sink->stop_at));
	pthread_mutex_unlock(&sink->lock);
	return go_on;
}

static void *thread_main(void *context)
{
	struct rg_sink *sink = context;
	int stored;

	do
		stored = rg_sink_work(sink, unix_ns(), NULL);
	while (pause_thread(sink, stored));
	pthread_mutex_lock(&sink->lock);
	sink->running = false;
	pthread_cond_broadcast(&sink->woken);
	pthread_mutex_unlock(&sink->lock);
	return NULL;
}

int rg_sink_start(struct rg_sink *sink, struct rg_error *err)
{
	int errnum;

	sink->stopping = false;
	sink->running = true;
	errnum = pthread_create(&sink->thread, NULL, thread_main, sink);
	sink->running = sink->started = !errnum;
	return errnum ? rg_error_set_errno(err, RG_EIO, errnum, "cannot start the %s sink's thread",
					   sink->driver->name)
		      : RG_OK;
}

void rg_sink_follow(struct rg_sink *sink, const struct rg_journal_position *durable,
		    uint64_t now_unix_ns)
{
	pthread_mutex_lock(&sink->lock);
	if (sink->known && sink->limited && sink->statistics.position.index >= sink->limit.index &&
	    durable->index > sink->limit.index)
		sink->behind_since_ns = now_unix_ns;
	sink->limited = true;
	sink->limit = *durable;
	sink->wake = true;
	pthread_cond_broadcast(&sink->woken);
	pthread_mutex_unlock(&sink->lock);
}

void rg_sink_stop(struct rg_sink *sink, uint32_t drain_ms)
{
	pthread_mutex_lock(&sink->lock);
	sink->stopping = sink->wake = true;
	sink->stop_at = after_ms(drain_ms);
	pthread_cond_broadcast(&sink->woken);
	while (sink->running &&
	       pthread_cond_timedwait(&sink->woken, &sink->lock, &sink->stop_at) != ETIMEDOUT)
		;
	if (sink->running && sink->driver->abandon)
		sink->driver->abandon(sink->store);
	pthread_mutex_unlock(&sink->lock);
	if (sink->started)
		pthread_join(sink->thread, NULL);
	sink->started = false;
}

/* ---- figures ---- */

void rg_sink_statistics(struct rg_sink *sink, uint64_t now_unix_ns,
			struct rg_sink_statistics *statistics)
{
	uint64_t since_ns;

	pthread_mutex_lock(&sink->lock);
	*statistics = sink->statistics;
	statistics->lag_frames = sink->limit.index > statistics->position.index
					 ? sink->limit.index - statistics->position.index
					 : 0;
	/* the oldest waiting record came after the newest stored one, and after it fell behind */
	since_ns = sink->waiting_since_ns > sink->behind_since_ns ? sink->waiting_since_ns
								  : sink->behind_since_ns;
	if (!since_ns)
		since_ns = sink->began_ns;
	if (statistics->lag_frames && since_ns && now_unix_ns > since_ns)
		statistics->lag_s = (double)(now_unix_ns - since_ns) / 1e9;
	if (monotonic_ns() - sink->rate_ended_ns > 2 * RATE_PERIOD_NS)
		statistics->records_per_s = 0;
	pthread_mutex_unlock(&sink->lock);
}
