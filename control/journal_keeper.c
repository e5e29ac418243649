/* SPDX-License-Identifier: Apache-2.0 */
#include "control/journal_keeper.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "control/state.h"

#define RETENTION_PERIOD_NS 1000000000ull
#define HOUR_NS		    3600000000000ull

/* The file's bytes as they are. */
static int read_key(const char *path, uint8_t key[RG_JOURNAL_KEY_BYTES_MAX], uint32_t *bytes,
		    struct rg_error *err)
{
	FILE *file = fopen(path, "re");
	int rc = RG_OK;

	if (!file)
		return rg_error_set_errno(err, RG_EIO, errno, "journal.chain_key: %s", path);
	*bytes = (uint32_t)fread(key, 1, RG_JOURNAL_KEY_BYTES_MAX, file);
	if (ferror(file))
		rc = rg_error_set_errno(err, RG_EIO, errno, "journal.chain_key: %s", path);
	else if (!*bytes || fgetc(file) != EOF)
		rc = rg_error_set(err, RG_EINVAL,
				  "journal.chain_key: %s must have 1 to %d bytes: make one with "
				  "`openssl rand 32`",
				  path, RG_JOURNAL_KEY_BYTES_MAX);
	fclose(file);
	return rc;
}

static int open_writer(struct rg_control *control, const uint8_t *key, uint32_t key_bytes,
		       struct rg_journal_recovery *recovery, struct rg_error *err)
{
	const struct rg_config *config = control->config;
	const struct rg_journal_writer_options options = {
		.directory = control->journal_directory,
		.node = config->node,
		.segment_bytes = config->journal.segment_bytes,
		.sync_interval_ns = config->journal.sync_interval_ms * 1000000ull,
		.sync_bytes = config->journal.sync_bytes,
		.sync_by_hand = control->by_hand,
		.chain = config->journal.chain,
		.key = key_bytes ? key : NULL,
		.key_bytes = key_bytes,
		.sync_times = rg_region_control(control->region)
				      ->histograms[RG_CONTROL_HISTOGRAM_JOURNAL_SYNC]};
	int rc = rg_journal_writer_open(&options, &control->journal, recovery, err);

	return rc ? rg_error_prefix(err, "journal.directory") : RG_OK;
}

static void report_recovery(struct rg_control *control, const struct rg_journal_recovery *recovery)
{
	if (recovery->torn_bytes)
		rg_log(RG_LOG_WARNING, "journal torn_bytes=%llu cut from file=%s offset=%llu",
		       (unsigned long long)recovery->torn_bytes, recovery->torn_file,
		       (unsigned long long)recovery->torn_offset);
	if (recovery->damage[0])
		rg_control_note(control, "journal_damaged", recovery->damage);
	rg_log(RG_LOG_INFO, "journal directory=%s segments=%llu records=%llu",
	       control->journal_directory, (unsigned long long)recovery->segments,
	       (unsigned long long)recovery->records);
}

int rg_journal_keeper_open(struct rg_control *control, struct rg_error *err)
{
	const struct rg_config *config = control->config;
	const char *key_path = config->journal.chain_key;
	struct rg_journal_recovery recovery;
	uint8_t key[RG_JOURNAL_KEY_BYTES_MAX];
	uint32_t key_bytes = 0;
	int rc = RG_OK;

	if (config->journal.directory && *config->journal.directory)
		snprintf(control->journal_directory, sizeof(control->journal_directory), "%s",
			 config->journal.directory);
	else
		snprintf(control->journal_directory, sizeof(control->journal_directory),
			 "%s/journal", config->control.state_directory);
	if (key_path && *key_path)
		rc = read_key(key_path, key, &key_bytes, err);
	if (!rc)
		rc = open_writer(control, key, key_bytes, &recovery, err);
	OPENSSL_cleanse(key, sizeof(key));
	if (!rc)
		report_recovery(control, &recovery);
	return rc;
}

/* The first frame that a sink has not stored. */
static uint64_t needed_from(struct rg_control *control)
{
	struct rg_journal_position position;

	return rg_sinks_keep(control->sinks, &position) ? position.index : 0;
}

static void report_abandoned(struct rg_control *control)
{
	struct rg_journal_statistics statistics;
	char text[160];

	rg_journal_writer_statistics(control->journal, &statistics);
	if (statistics.frames_abandoned == control->keeper.abandoned_frames)
		return;
	snprintf(text, sizeof(text),
		 "%llu frames were removed before every sink had stored them: journal.max_bytes is "
		 "reached; see why the sink is behind",
		 (unsigned long long)(statistics.frames_abandoned -
				      control->keeper.abandoned_frames));
	control->keeper.abandoned_frames = statistics.frames_abandoned;
	rg_control_note(control, "journal_abandoned", text);
}

void rg_journal_keeper_do_work(struct rg_control *control)
{
	const struct rg_config *config = control->config;
	struct rg_journal_retention retention;
	struct rg_error err;

	if (control->now.monotonic_ns < control->keeper.next_ns)
		return;
	control->keeper.next_ns = control->now.monotonic_ns + RETENTION_PERIOD_NS;
	retention = (struct rg_journal_retention){
		.age_ns = config->journal.retention_hours * HOUR_NS,
		.bytes = config->journal.retention_bytes,
		.bytes_max = config->journal.max_bytes,
		.keep_index = needed_from(control),
	};
	if (rg_journal_writer_retain(control->journal, &retention, &err))
		rg_control_note(control, "journal_retention_failed", err.text);
	report_abandoned(control);
}
