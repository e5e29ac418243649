/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What --fix set: written down before it is set, so that whatever happens in between, --undo knows
 * what was there. The file is replaced as a whole each time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_member.h"
#include "tools/riskctl/doctor.h"
#include "tools/riskctl/document.h"

#define PATH_BYTES 600
#define BOOT_ID	   "/proc/sys/kernel/random/boot_id"

/* ---- the file ---- */

static void free_change(struct rg_change *change)
{
	free(change->path);
	free(change->before);
	free(change->after);
}

static int add(struct rg_changes *changes, const char *path, const char *before, const char *after,
	       struct rg_error *err)
{
	struct rg_change change = {strdup(path), strdup(before), strdup(after)};

	if (changes->count == changes->capacity) {
		uint32_t capacity = 2 * changes->capacity + 16;
		struct rg_change *larger =
			realloc(changes->items, capacity * sizeof(*changes->items));

		if (larger) {
			changes->items = larger;
			changes->capacity = capacity;
		}
	}
	if (!change.path || !change.before || !change.after ||
	    changes->count == changes->capacity) {
		free_change(&change);
		return rg_error_set(err, RG_ENOMEM, "no memory");
	}
	changes->items[changes->count++] = change;
	return RG_OK;
}

/* Nothing else is ever set, so nothing else is put back, whatever the file says. */
static bool is_setting(const char *path)
{
	return (strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/sys/", 5) == 0) &&
	       !strstr(path, "/../");
}

static int take_over(struct rg_changes *changes, struct rg_document *document, const char *path,
		     struct rg_error *err)
{
	char boot_id[RG_HOST_TEXT_BYTES];
	int status = RG_OK;

	rg_host_read(changes->host, boot_id, BOOT_ID);
	if (rg_document_number(document, document->root, "version", 0) != 1)
		return rg_error_set(err, RG_ECORRUPT,
				    "%s: is not of this version of riskctl: undo with the one that "
				    "wrote it, or remove it",
				    path);
	if (strcmp(rg_document_text(document, document->root, "boot_id"), boot_id) != 0)
		return RG_OK; /* the settings went with the boot that they were made in */
	for (uint32_t i = 0; !status && i < rg_document_count(document, document->root, "changes");
	     i++) {
		struct rg_value change =
			rg_document_element(document, document->root, "changes", i);

		if (!is_setting(rg_document_text(document, change, "path")))
			return rg_error_set(err, RG_ECORRUPT,
					    "%s: \"%s\" is no setting of /proc or /sys", path,
					    rg_document_text(document, change, "path"));
		status = add(changes, rg_document_text(document, change, "path"),
			     rg_document_text(document, change, "before"),
			     rg_document_text(document, change, "after"), err);
	}
	return status;
}

static int load(struct rg_changes *changes, struct rg_error *err)
{
	struct rg_document document;
	char path[PATH_BYTES], *text;
	size_t bytes;
	int status;

	rg_host_path(changes->host, path, sizeof(path), RG_CHANGES_FILE);
	if (access(path, F_OK))
		return RG_OK;
	status = rg_cli_read_file(path, &text, &bytes, err);
	if (status)
		return status;
	status = rg_document_parse(&document, text, bytes, err);
	if (status) {
		rg_error_prefix(err, "%s", path);
	} else {
		status = take_over(changes, &document, path, err);
		rg_document_free(&document);
	}
	free(text);
	return status;
}

static int write_durably(const char *path, const char *text, size_t bytes, struct rg_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	int failed = 0;

	if (fd < 0 || write(fd, text, bytes) != (ssize_t)bytes || fsync(fd))
		failed = errno ? errno : EIO;
	if (fd >= 0)
		close(fd);
	return failed ? rg_error_set_errno(err, RG_EIO, failed, "%s: cannot be written", path)
		      : RG_OK;
}

static int save(const struct rg_changes *changes, struct rg_error *err)
{
	char path[PATH_BYTES], temporary[PATH_BYTES], boot_id[RG_HOST_TEXT_BYTES];
	struct rg_json_writer writer;
	int status;

	rg_host_path(changes->host, path, sizeof(path), RG_CHANGES_FILE);
	if (!changes->count) {
		unlink(path);
		return RG_OK;
	}
	rg_host_path(changes->host, temporary, sizeof(temporary), RG_CHANGES_FILE ".new");
	rg_host_read(changes->host, boot_id, BOOT_ID);
	rg_json_writer_init(&writer, true);
	rg_json_write_object_begin(&writer);
	rg_json_member_uint(&writer, "version", 1);
	rg_json_member_text(&writer, "boot_id", boot_id);
	rg_json_member_array(&writer, "changes");
	for (uint32_t i = 0; i < changes->count; i++) {
		rg_json_write_object_begin(&writer);
		rg_json_member_text(&writer, "path", changes->items[i].path);
		rg_json_member_text(&writer, "before", changes->items[i].before);
		rg_json_member_text(&writer, "after", changes->items[i].after);
		rg_json_write_object_end(&writer);
	}
	rg_json_write_array_end(&writer);
	rg_json_write_object_end(&writer);
	status = writer.failed ? rg_error_set(err, RG_ENOMEM, "no memory")
			       : write_durably(temporary, writer.text, writer.bytes, err);
	rg_json_writer_free(&writer);
	if (!status && rename(temporary, path))
		status = rg_error_set_errno(err, RG_EIO, errno, "%s: cannot be written", path);
	return status;
}

int rg_changes_open(struct rg_changes *changes, const struct rg_host *host, struct rg_error *err)
{
	char path[PATH_BYTES];
	struct stat st;
	int status;

	*changes = (struct rg_changes){.host = host, .lock = -1};
	rg_host_path(host, path, sizeof(path), "/run");
	mkdir(path, 0755); /* of a tree that has none; errors show below */
	rg_host_path(host, path, sizeof(path), RG_CHANGES_DIRECTORY);
	if (mkdir(path, 0755) && errno != EEXIST)
		return rg_error_set_errno(err, RG_EIO, errno,
					  "%s: cannot be made; --fix and --undo need root", path);
	changes->lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (changes->lock < 0 || fstat(changes->lock, &st)) {
		status = rg_error_set_errno(err, RG_EIO, errno, "%s", path);
		rg_changes_close(changes);
		return status;
	}
	if (flock(changes->lock, LOCK_EX | LOCK_NB)) {
		close(changes->lock);
		changes->lock = -1;
		return rg_error_set(err, RG_EAGAIN, "%s: another riskctl doctor is at work", path);
	}
	if (st.st_uid != geteuid() && geteuid() == 0) {
		status = rg_error_set(
			err, RG_ECONFLICT,
			"%s: belongs to user %u: what somebody else wrote there is not "
			"put back as root; remove it",
			path, (unsigned)st.st_uid);
	} else if (st.st_mode & (S_IWGRP | S_IWOTH)) {
		status = rg_error_set(
			err, RG_ECONFLICT,
			"%s: others may write there; remove it, or chmod 755 if nobody "
			"did",
			path);
	} else if (access(path, W_OK)) {
		status = rg_error_set_errno(err, RG_EIO, errno,
					    "%s: --fix and --undo need root, to write what they "
					    "change there and in /proc and /sys",
					    path);
	} else {
		status = load(changes, err);
	}
	changes->first = changes->count;
	if (status)
		rg_changes_close(changes);
	return status;
}

void rg_changes_close(struct rg_changes *changes)
{
	for (uint32_t i = 0; i < changes->count; i++)
		free_change(&changes->items[i]);
	free(changes->items);
	if (changes->lock >= 0)
		close(changes->lock); /* gives the lock back */
	*changes = (struct rg_changes){.lock = -1};
}

/* ---- setting ---- */

/* A kernel file takes a value with one write, and refuses it with the errno of that. */
static int write_setting(const struct rg_host *host, const char *setting, const char *value,
			 struct rg_error *err)
{
	char path[PATH_BYTES], line[RG_HOST_TEXT_BYTES];
	int length = snprintf(line, sizeof(line), "%s\n", value), failed = 0;
	int fd = open(rg_host_path(host, path, sizeof(path), "%s", setting),
		      O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0 || write(fd, line, (size_t)length) != length)
		failed = errno ? errno : EIO;
	if (fd >= 0 && close(fd) && !failed)
		failed = errno;
	return failed ? rg_error_set_errno(err, RG_EIO, failed, "%s: does not take \"%s\"", path,
					   value)
		      : RG_OK;
}

static struct rg_change *find(struct rg_changes *changes, const char *path)
{
	for (uint32_t i = 0; i < changes->count; i++)
		if (strcmp(changes->items[i].path, path) == 0)
			return &changes->items[i];
	return NULL;
}

static void forget(struct rg_changes *changes, uint32_t index)
{
	free_change(&changes->items[index]);
	memmove(&changes->items[index], &changes->items[index + 1],
		(--changes->count - index) * sizeof(*changes->items));
}

int rg_changes_set(struct rg_changes *changes, const char *path, const char *value,
		   struct rg_error *err)
{
	char before[RG_HOST_TEXT_BYTES], after[RG_HOST_TEXT_BYTES];
	struct rg_change *change = find(changes, path);
	bool is_new = !change;
	int status = RG_OK, saved;

	if (!rg_host_setting(changes->host, before, "%s", path))
		return rg_error_set_errno(err, RG_EIO, errno, "%s", path);
	if (strcmp(before, value) == 0)
		return RG_OK;
	if (is_new)
		status = add(changes, path, before, value, err);
	if (!status && is_new)
		status = save(changes, err);
	if (status)
		return status;
	status = write_setting(changes->host, path, value, err);
	if (!rg_host_setting(changes->host, after, "%s", path))
		snprintf(after, sizeof(after), "%s", value);
	change = find(changes, path);
	if (strcmp(after, before) == 0 && is_new) {
		forget(changes, (uint32_t)(change - changes->items));
	} else {
		char *text = strdup(after);

		if (text) {
			free(change->after);
			change->after = text;
		}
	}
	saved = save(changes, status ? NULL : err);
	return status ? status : saved;
}

/* ---- undoing ---- */

static int put_back(const struct rg_changes *changes, const struct rg_change *change,
		    rg_undo_teller tell, void *context, struct rg_error *err)
{
	char met[RG_HOST_TEXT_BYTES], now[RG_HOST_TEXT_BYTES], what[RG_HOST_TEXT_BYTES + 64];
	int status;

	if (!rg_host_exists(changes->host, "%s", change->path)) {
		tell(context, change, "is no longer there");
		return RG_OK;
	}
	rg_host_setting(changes->host, met, "%s", change->path);
	status = write_setting(changes->host, change->path, change->before, err);
	if (status)
		return status;
	if (!rg_host_setting(changes->host, now, "%s", change->path) ||
	    strcmp(now, change->before) != 0)
		return rg_error_set(err, RG_EIO, "%s: is %s now, not %s", change->path, now,
				    change->before);
	snprintf(what, sizeof(what), "was %s meanwhile, set by somebody else", met);
	tell(context, change,
	     strcmp(met, change->after) != 0 && strcmp(met, change->before) != 0 ? what : NULL);
	return RG_OK;
}

int rg_changes_undo(struct rg_changes *changes, rg_undo_teller tell, void *context,
		    struct rg_error *err)
{
	int result = RG_OK, status;

	for (uint32_t i = changes->count; i-- > 0;) {
		struct rg_error failure = {0};

		status = put_back(changes, &changes->items[i], tell, context, &failure);
		if (!status) {
			forget(changes, i);
			continue;
		}
		if (!result)
			rg_error_set(err, status, "%s", failure.text);
		result = status;
	}
	status = save(changes, result ? NULL : err);
	return result ? result : status;
}
