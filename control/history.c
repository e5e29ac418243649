/* SPDX-License-Identifier: Apache-2.0 */
#include "control/history.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_member.h"

#define DIGEST_TEXT_BYTES 65

struct rg_history {
	int fd;
	char *path;
	uint64_t bytes;		      /* of whole lines */
	uint64_t count;		      /* of lines: the number of the last */
	char last[DIGEST_TEXT_BYTES]; /* digest of the last line; "" while there is none */
};

const char *rg_history_event_name(enum rg_history_event event)
{
	static const char *const names[] = {"waiting", "approved", "rejected", "expired",
					    "active",  "refused",  "halted"};

	return names[event];
}

/* ---- reading ---- */

/* The file's whole lines, mapped; empty: begin == NULL. */
struct view {
	const char *begin;
	size_t bytes;
};

static int map(const struct rg_history *history, struct view *view, struct rg_error *err)
{
	*view = (struct view){NULL, history->bytes};
	if (!history->bytes)
		return RG_OK;
	view->begin = mmap(NULL, history->bytes, PROT_READ, MAP_SHARED, history->fd, 0);
	if (view->begin == MAP_FAILED)
		return rg_error_set_errno(err, RG_EIO, errno, "reading %s", history->path);
	return RG_OK;
}

static void unmap(const struct view *view)
{
	if (view->begin)
		munmap((void *)view->begin, view->bytes);
}

/* Where the line that ends at `end` (behind its newline) begins. */
static size_t line_before(const struct view *view, size_t end)
{
	const char *newline = end > 1 ? memrchr(view->begin, '\n', end - 1) : NULL;

	return newline ? (size_t)(newline - view->begin) + 1 : 0;
}

static int digest_of(const char *line, size_t bytes, char text[static DIGEST_TEXT_BYTES],
		     struct rg_error *err)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned digest_bytes;

	if (EVP_Digest(line, bytes, digest, &digest_bytes, EVP_sha256(), NULL) != 1)
		return rg_error_set(err, RG_EIO, "SHA-256 is not available from libcrypto");
	for (unsigned i = 0; i < digest_bytes; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	return RG_OK;
}

/* The number and `previous` of a line. */
static bool read_line(const char *line, size_t bytes, uint64_t *number,
		      char previous[static DIGEST_TEXT_BYTES])
{
	struct rg_json_reader reader;
	enum rg_json_token token;
	int64_t value = 0;
	bool has_previous = false;

	rg_json_reader_init(&reader, line, bytes);
	if (rg_json_next(&reader) != RG_JSON_OBJECT_BEGIN)
		return false;
	while ((token = rg_json_next(&reader)) == RG_JSON_KEY) {
		bool is_number = rg_json_equals(&reader, "n"),
		     is_previous = rg_json_equals(&reader, "previous");

		token = rg_json_next(&reader);
		if (is_number && (token != RG_JSON_NUMBER ||
				  !rg_json_int64(reader.text, reader.text_bytes, &value)))
			return false;
		if (is_previous) {
			if (token != RG_JSON_STRING || reader.text_bytes >= DIGEST_TEXT_BYTES)
				return false;
			memcpy(previous, reader.text, reader.text_bytes);
			previous[reader.text_bytes] = '\0';
			has_previous = true;
		}
		if (rg_json_skip(&reader))
			return false;
	}
	*number = (uint64_t)value;
	return token == RG_JSON_OBJECT_END && value > 0 && has_previous;
}

int rg_history_verify(const struct rg_history *history, struct rg_error *err)
{
	char wanted[DIGEST_TEXT_BYTES] = "", previous[DIGEST_TEXT_BYTES];
	struct view view;
	uint64_t number, line = 0;
	size_t at = 0;
	int rc = map(history, &view, err);

	while (!rc && at < view.bytes) {
		const char *newline = memchr(view.begin + at, '\n', view.bytes - at);
		size_t bytes = (size_t)(newline - view.begin) - at;

		line++;
		if (!read_line(view.begin + at, bytes, &number, previous) || number != line ||
		    strcmp(previous, wanted))
			rc = rg_error_set(err, RG_ECORRUPT,
					  "%s: line %llu is not the one that was written there: "
					  "it or the one before was altered or taken out",
					  history->path, (unsigned long long)line);
		else
			rc = digest_of(view.begin + at, bytes, wanted, err);
		at += bytes + 1;
	}
	unmap(&view);
	return rc;
}

uint64_t rg_history_count(const struct rg_history *history)
{
	return history->count;
}

int rg_history_write_newest(const struct rg_history *history, uint64_t limit,
			    struct rg_json_writer *writer, struct rg_error *err)
{
	struct view view;
	int rc = map(history, &view, err);

	if (rc)
		return rc;
	rg_json_write_array_begin(writer);
	for (size_t end = view.bytes; end && limit; limit--) {
		size_t begin = line_before(&view, end);

		rg_json_write_raw(writer, view.begin + begin, end - 1 - begin);
		end = begin;
	}
	rg_json_write_array_end(writer);
	unmap(&view);
	return RG_OK;
}

/* ---- opening ---- */

/* Find the last whole line; what follows it is what a crash left, and is cut. */
static int find_end(struct rg_history *history, struct rg_error *err)
{
	char previous[DIGEST_TEXT_BYTES];
	struct view view;
	struct stat status;
	size_t begin, whole;
	int rc;

	if (fstat(history->fd, &status))
		return rg_error_set_errno(err, RG_EIO, errno, "%s", history->path);
	history->bytes = (uint64_t)status.st_size;
	rc = map(history, &view, err);
	if (rc || !view.bytes)
		return rc;
	whole = view.begin[view.bytes - 1] == '\n' ? view.bytes : line_before(&view, view.bytes);
	begin = line_before(&view, whole);
	if (whole && !read_line(view.begin + begin, whole - 1 - begin, &history->count, previous))
		rc = rg_error_set(err, RG_ECORRUPT,
				  "%s: its last line is no event: restore the file from a backup, "
				  "or move it away to begin a new history",
				  history->path);
	else if (whole)
		rc = digest_of(view.begin + begin, whole - 1 - begin, history->last, err);
	unmap(&view);
	history->bytes = whole;
	if (!rc && whole < (size_t)status.st_size && ftruncate(history->fd, (off_t)whole))
		rc = rg_error_set_errno(err, RG_EIO, errno, "%s", history->path);
	return rc;
}

int rg_history_open(const char *state_directory, struct rg_history **out, struct rg_error *err)
{
	struct rg_history *history = calloc(1, sizeof(*history));
	int rc = RG_OK;

	if (!history)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	history->fd = -1;
	if (asprintf(&history->path, "%s/history.jsonl", state_directory) < 0) {
		history->path = NULL;
		rc = rg_error_set(err, RG_ENOMEM, "out of memory");
	}
	if (!rc) {
		history->fd = open(history->path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
		if (history->fd < 0)
			rc = rg_error_set_errno(err, RG_EIO, errno, "%s", history->path);
	}
	if (!rc)
		rc = find_end(history, err);
	if (rc)
		rg_history_close(history);
	else
		*out = history;
	return rc;
}

void rg_history_close(struct rg_history *history)
{
	if (!history)
		return;
	if (history->fd >= 0)
		close(history->fd);
	free(history->path);
	free(history);
}

/* ---- appending ---- */

static int write_line(struct rg_history *history, const char *line, size_t bytes,
		      struct rg_error *err)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = pwrite(history->fd, line + done, bytes - done,
				   (off_t)(history->bytes + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return rg_error_set_errno(err, RG_EIO, errno, "%s", history->path);
		done += (size_t)n;
	}
	if (fdatasync(history->fd))
		return rg_error_set_errno(err, RG_EIO, errno, "%s", history->path);
	return RG_OK;
}

static int append_line(struct rg_history *history, struct rg_json_writer *line,
		       struct rg_error *err)
{
	char digest[DIGEST_TEXT_BYTES];
	int rc = digest_of(line->text, line->bytes, digest, err);

	if (!rc) {
		line->text[line->bytes] = '\n'; /* in place of the NUL that ends a writer's text */
		rc = write_line(history, line->text, line->bytes + 1, err);
	}
	if (rc) {
		if (ftruncate(history->fd, (off_t)history->bytes)) /* the next one overwrites it */
			return rg_error_prefix(err, "%s cannot be shortened either", history->path);
		return rc;
	}
	history->bytes += line->bytes + 1;
	history->count++;
	memcpy(history->last, digest, sizeof(digest));
	return RG_OK;
}

int rg_history_append(struct rg_history *history, enum rg_history_event event,
		      const struct rg_policy_meta *meta, const char *user, const char *text,
		      uint64_t now_ns, struct rg_error *err)
{
	struct rg_json_writer line;
	int rc;

	rg_json_writer_init(&line, false);
	rg_json_write_object_begin(&line);
	rg_json_member_uint(&line, "n", history->count + 1);
	rg_json_member_uint(&line, "time_ns", now_ns);
	rg_json_member_text(&line, "event", rg_history_event_name(event));
	rg_json_member_uint(&line, "sequence", meta->sequence);
	rg_json_member_text(&line, "bundle", meta->bundle);
	rg_json_member_text(&line, "revision", meta->revision);
	rg_json_member_text(&line, "sha256", meta->sha256);
	rg_json_member_text(&line, "user", user);
	rg_json_member_text(&line, "pushed_by", meta->user);
	rg_json_member_text(&line, "source", meta->source);
	rg_json_member_text(&line, "why", meta->why);
	rg_json_member_text(&line, "reason", meta->reason);
	rg_json_member_text(&line, "text", text);
	rg_json_member_text(&line, "previous", history->last);
	rg_json_write_object_end(&line);
	rc = line.failed ? rg_error_set(err, RG_ENOMEM, "out of memory for an event of the history")
			 : append_line(history, &line, err);
	rg_json_writer_free(&line);
	return rc ? rg_error_prefix(err, "history of policies") : RG_OK;
}
