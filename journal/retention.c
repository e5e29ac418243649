/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/retention.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "journal/segment.h"

/* Bytes of all segments, and how many there are. */
static int measure(int directory, struct rg_journal_removal *removal, struct rg_error *err)
{
	uint64_t first = 0;
	int rc;

	for (;;) {
		char name[RG_JOURNAL_NAME_BYTES];
		struct stat status;

		rc = rg_journal_segment_find(directory, first, &first, err);
		if (rc)
			return rc == RG_EAGAIN ? RG_OK : rc;
		rg_journal_segment_name(first++, name);
		if (fstatat(directory, name, &status, 0))
			continue; /* somebody removed it meanwhile */
		removal->segments++;
		removal->bytes += (uint64_t)status.st_size;
	}
}

/* When a segment was begun, unix ns; 0: its header cannot be read. */
static uint64_t begun_ns(int directory, uint64_t first_index)
{
	struct rg_journal_segment_header header;
	char name[RG_JOURNAL_NAME_BYTES];
	ssize_t n;
	int fd;

	rg_journal_segment_name(first_index, name);
	fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = pread(fd, &header, sizeof(header), 0);
	close(fd);
	if (n < 0 || rg_journal_segment_header_check(&header, (uint64_t)n, first_index, NULL))
		return 0;
	return header.created_ns;
}

/* The oldest segment, which ends where the next begins: may it go? *needed: somebody still needs
 * some of it. */
static bool may_go(int directory, const struct rg_journal_retention *retention, uint64_t next,
		   uint64_t now_ns, uint64_t bytes, bool *needed)
{
	uint64_t ended_ns;

	*needed = next > retention->keep_index;
	if (retention->bytes_max && bytes > retention->bytes_max)
		return true;
	if (*needed)
		return false;
	if (retention->bytes && bytes > retention->bytes)
		return true;
	if (!retention->age_ns)
		return false;
	ended_ns = begun_ns(directory, next);
	return ended_ns && now_ns > ended_ns && now_ns - ended_ns > retention->age_ns;
}

static int remove_segment(int directory, uint64_t first_index, uint64_t *bytes,
			  struct rg_error *err)
{
	char name[RG_JOURNAL_NAME_BYTES];
	struct stat status;

	rg_journal_segment_name(first_index, name);
	if (fstatat(directory, name, &status, 0) || RG_FAILPOINT_FAILS("retention.remove") ||
	    unlinkat(directory, name, 0))
		return rg_error_set_errno(err, RG_EIO, errno, "removing journal segment %s", name);
	RG_FAILPOINT("retention.removed");
	*bytes = (uint64_t)status.st_size;
	return RG_OK;
}

int rg_journal_retention_apply(int directory, const struct rg_journal_retention *retention,
			       uint64_t now_ns, struct rg_journal_removal *removal,
			       struct rg_error *err)
{
	uint64_t first = 0, next, bytes = 0;
	bool needed;
	int rc;

	memset(removal, 0, sizeof(*removal));
	rc = measure(directory, removal, err);
	if (!rc && removal->segments > 1)
		rc = rg_journal_segment_find(directory, 0, &first, err);
	while (!rc && removal->segments > 1) {
		rc = rg_journal_segment_find(directory, first + 1, &next, err);
		if (rc || !may_go(directory, retention, next, now_ns, removal->bytes, &needed))
			break;
		rc = remove_segment(directory, first, &bytes, err);
		if (rc)
			break;
		removal->segments--;
		removal->bytes -= bytes < removal->bytes ? bytes : removal->bytes;
		removal->removed_segments++;
		removal->removed_bytes += bytes;
		if (needed)
			removal->abandoned_frames +=
				next -
				(retention->keep_index > first ? retention->keep_index : first);
		first = next;
	}
	if (removal->removed_segments && fsync(directory) && !rc)
		rc = rg_error_set_errno(err, RG_EIO, errno,
					"syncing the journal's folder after removing segments");
	return rc == RG_EAGAIN ? RG_OK : rc;
}
