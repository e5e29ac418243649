/* SPDX-License-Identifier: Apache-2.0 */
/* Checking a journal: every frame, every index, and the chain. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "journal/chain.h"
#include "journal/reader.h"

struct check {
	struct rg_journal_reader *reader;
	struct rg_journal_report *report;
	const struct rg_journal_head *anchor;
	struct rg_journal_chain *chain;
	uint64_t segment;      /* the one counted last; UINT64_MAX: none */
	uint64_t batch_frames; /* since the last seal */
	bool chained;	       /* the segment is */
	bool interrupted;      /* damage lies in the batch: its seal cannot be checked */
};

static void first_bad_place(struct rg_journal_report *report,
			    const struct rg_journal_reader *reader, uint64_t offset,
			    const char *why)
{
	const char *reason = strstr(why, ": offset ");

	if (report->bad_places++)
		return;
	snprintf(report->bad_file, sizeof(report->bad_file), "%s", reader->name);
	report->bad_offset = offset;
	if (reason) {
		reason += strlen(": offset ");
		reason += strcspn(reason, ":");
		reason += *reason ? 2 : 0;
	}
	snprintf(report->bad_reason, sizeof(report->bad_reason), "%s", reason ? reason : why);
}

static uint64_t bytes_behind(const struct rg_journal_reader *reader)
{
	struct stat status;

	if (reader->fd < 0 || fstat(reader->fd, &status) ||
	    (uint64_t)status.st_size <= reader->offset)
		return 0;
	return (uint64_t)status.st_size - reader->offset;
}

/* ---- the chain ---- */

static void meet_link(struct check *check, uint64_t index, const uint8_t *link)
{
	struct rg_journal_head *end = &check->report->chain_end;

	end->index = index;
	memcpy(end->link, link, sizeof(end->link));
	if (check->anchor && check->anchor->index == index &&
	    !memcmp(check->anchor->link, link, sizeof(end->link)))
		check->report->anchor_found = true;
}

/* The reader is in a new segment whose header is whole. */
static void begin_segment(struct check *check)
{
	const struct rg_journal_segment_header *header = &check->reader->header;
	struct rg_journal_report *report = check->report;
	bool chained = header->chain != RG_JOURNAL_UNCHAINED;

	if (check->chained && !chained)
		first_bad_place(report, check->reader, 0,
				"the segment is not chained, and the one before it is");
	if (check->chained && chained && !check->interrupted && !check->batch_frames &&
	    memcmp(rg_journal_chain_link(check->chain), header->link, sizeof(header->link)))
		first_bad_place(report, check->reader, 0,
				"the chain is broken: the segment does not continue the one before "
				"it");
	if (check->chained && chained && !check->interrupted && check->batch_frames)
		first_bad_place(report, check->reader, 0,
				"the chain is broken: the segment before it does not end with a "
				"seal");
	check->chained = chained;
	check->interrupted = false;
	check->batch_frames = 0;
	if (!chained)
		return;
	if (report->chain_begin.index == UINT64_MAX) {
		report->chain_begin.index = header->first_index;
		memcpy(report->chain_begin.link, header->link, sizeof(header->link));
	}
	meet_link(check, header->first_index, header->link);
	rg_journal_chain_begin(check->chain, header);
}

static void check_seal(struct check *check, const struct rg_journal_frame *frame)
{
	const struct rg_journal_seal *seal = frame->payload;
	struct rg_journal_report *report = check->report;
	bool keyed = false;
	const char *why = rg_journal_chain_check(check->chain, seal, &keyed);

	if (check->interrupted)
		why = NULL; /* the damage was reported; the chain goes on from this seal */
	else if (!why)
		report->sealed_frames += check->batch_frames + 1;
	if (why)
		first_bad_place(report, check->reader, frame->offset, why);
	report->keyed_seals += keyed;
	check->batch_frames = 0;
	check->interrupted = false;
	meet_link(check, frame->index + 1, seal->link);
}

static void check_chain(struct check *check, const struct rg_journal_frame *frame)
{
	const uint8_t *bytes =
		(const uint8_t *)frame->payload - sizeof(struct rg_journal_frame_header);

	if (!check->chained) {
		check->report->unchained_frames++;
		return;
	}
	if (frame->kind == RG_JOURNAL_SEAL &&
	    frame->payload_bytes == sizeof(struct rg_journal_seal)) {
		check_seal(check, frame);
		return;
	}
	check->batch_frames++;
	rg_journal_chain_add(check->chain, bytes, rg_journal_frame_bytes(frame->payload_bytes));
}

/* ---- all frames ---- */

static void count_frame(struct rg_journal_report *report, const struct rg_journal_frame *frame)
{
	report->frames++;
	report->records += frame->kind == RG_JOURNAL_RECORD;
	report->policies += frame->kind == RG_JOURNAL_POLICY;
}

static void meet_segment(struct check *check)
{
	struct rg_journal_reader *reader = check->reader;
	struct stat status;

	if (!reader->placed || reader->fd < 0 || check->segment == reader->segment)
		return;
	if (!check->report->segments++)
		check->report->first_index = reader->segment;
	check->segment = reader->segment;
	if (!fstat(reader->fd, &status))
		check->report->bytes += (uint64_t)status.st_size;
	if (reader->header.magic)
		begin_segment(check);
	else
		check->interrupted = true;
}

/* Read from the reader's place to the end. RG_EAGAIN: the end was reached; else what stopped it. */
static int check_frames(struct check *check, struct rg_error *err)
{
	struct rg_journal_reader *reader = check->reader;
	struct rg_journal_report *report = check->report;

	for (;;) {
		struct rg_error why = {RG_ECORRUPT, "the last frame is cut off"};
		struct rg_journal_frame frame;
		struct rg_journal_reader place;
		uint64_t lost, bytes;
		int rc = rg_journal_reader_next(reader, &frame, &why);

		meet_segment(check);
		bytes = bytes_behind(reader);
		if (!rc) {
			count_frame(report, &frame);
			check_chain(check, &frame);
			continue;
		}
		if (rc == RG_EAGAIN && !bytes)
			return rc;
		if (rc != RG_EAGAIN && rc != RG_ECORRUPT)
			return rg_error_set(err, rc, "%s", why.text);
		/* Not a whole frame. If none follows, it is the torn tail; else it is damage. */
		place = *reader;
		rc = rg_journal_reader_skip_damage(reader, &lost, err);
		if (rc == RG_EAGAIN)
			report->torn_bytes = bytes_behind(reader);
		if (rc)
			return rc;
		first_bad_place(report, &place, place.fd < 0 ? 0 : place.offset, why.text);
		report->lost_frames += lost;
		check->interrupted = true;
	}
}

static int verify_from(const char *directory, const struct rg_journal_position *from,
		       const struct rg_journal_verify_options *options,
		       struct rg_journal_report *report, struct rg_error *err)
{
	struct check check = {.report = report,
			      .anchor = options ? options->anchor : NULL,
			      .segment = UINT64_MAX};
	int rc;

	memset(report, 0, sizeof(*report));
	report->chain_begin.index = UINT64_MAX;
	rc = rg_journal_reader_open(directory, from, &check.reader, err);
	if (rc)
		return rc;
	rc = rg_journal_chain_new(options ? options->key : NULL, options ? options->key_bytes : 0,
				  &check.chain, err);
	if (!rc)
		rc = check_frames(&check, err);
	report->next_index = check.reader->index;
	report->unsealed_frames = check.chained ? check.batch_frames : 0;
	rg_journal_chain_free(check.chain);
	rg_journal_reader_close(check.reader);
	if (rc != RG_EAGAIN)
		return rc;
	if (report->bad_places)
		return rg_error_set(err, RG_ECORRUPT,
				    "%s: offset %llu: %s (%llu damaged places in all)",
				    report->bad_file, (unsigned long long)report->bad_offset,
				    report->bad_reason, (unsigned long long)report->bad_places);
	return RG_OK;
}

int rg_journal_verify(const char *directory, const struct rg_journal_verify_options *options,
		      struct rg_journal_report *report, struct rg_error *err)
{
	int rc = verify_from(directory, NULL, options, report, err);

	if (!rc && options && options->anchor && !report->anchor_found)
		return rg_error_set(
			err, RG_ECORRUPT,
			"the chain has no such link before frame %llu: what was there "
			"when that head was taken was altered or taken out, or is older "
			"than what retention has left (the chain begins before frame "
			"%llu)",
			(unsigned long long)options->anchor->index,
			(unsigned long long)report->chain_begin.index);
	return rc;
}

/* The last segment that there is. */
static int find_last(const char *directory, struct rg_journal_position *from, struct rg_error *err)
{
	struct rg_journal_reader *reader;
	uint64_t count;
	int rc = rg_journal_reader_open(directory, NULL, &reader, err);

	if (rc)
		return rc;
	rc = rg_journal_segment_last(reader->directory, &from->segment, &count, err);
	rg_journal_reader_close(reader);
	from->index = from->segment;
	return rc;
}

int rg_journal_head(const char *directory, const struct rg_journal_verify_options *options,
		    struct rg_journal_head *head, struct rg_error *err)
{
	struct rg_journal_position from = {0};
	struct rg_journal_report report;
	int rc = find_last(directory, &from, err);

	if (!rc)
		rc = verify_from(directory, &from, options, &report, err);
	if (rc)
		return rc;
	if (report.chain_begin.index == UINT64_MAX)
		return RG_EAGAIN;
	*head = report.chain_end;
	return RG_OK;
}
