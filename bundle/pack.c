/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/members.h"

static int add_member(struct archive *archive, const struct rg_member *member)
{
	struct archive_entry *entry = archive_entry_new();
	int rc;

	if (!entry)
		return ARCHIVE_FATAL;
	archive_entry_set_pathname(entry, member->name);
	archive_entry_set_size(entry, (la_int64_t)member->size);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0640);
	rc = archive_write_header(archive, entry);
	archive_entry_free(entry);
	if (rc == ARCHIVE_OK && archive_write_data(archive, member->bytes, member->size) < 0)
		rc = ARCHIVE_FATAL;
	return rc;
}

static int write_archive(const struct rg_member_list *list, void *bytes, size_t bytes_max,
			 size_t *byte_count, struct rg_error *err)
{
	struct archive *archive = archive_write_new();
	int rc = archive ? ARCHIVE_OK : ARCHIVE_FATAL;

	if (!rc)
		rc = archive_write_set_format_ustar(archive);
	if (!rc)
		rc = archive_write_add_filter_gzip(archive);
	if (!rc)
		rc = archive_write_set_options(archive, "gzip:!timestamp,gzip:compression-level=6");
	if (!rc)
		rc = archive_write_open_memory(archive, bytes, bytes_max, byte_count);
	for (uint32_t i = 0; !rc && i < list->count; i++) {
		if (list->members[i].kind != RG_MEMBER_IGNORED)
			rc = add_member(archive, &list->members[i]);
	}
	if (!rc)
		rc = archive_write_close(archive);
	if (rc)
		rg_error_set(err, RG_ELIMIT, "cannot be packed into %zu bytes: %s", bytes_max,
			     archive && archive_error_string(archive)
				     ? archive_error_string(archive)
				     : "out of memory");
	archive_write_free(archive);
	return rc ? RG_ELIMIT : RG_OK;
}

int rg_bundle_pack(const char *path, size_t bytes_max, void **bytes, size_t *byte_count,
		   struct rg_error *err)
{
	struct rg_member_list list;
	int rc;

	rg_member_list_init(&list, NULL);
	*bytes = NULL;
	rc = rg_member_list_read_folder(&list, path, err);
	if (!rc)
		rc = rg_member_list_sort(&list, err);
	if (!rc) {
		*bytes = malloc(bytes_max);
		rc = *bytes ? write_archive(&list, *bytes, bytes_max, byte_count, err)
			    : rg_error_set(err, RG_ENOMEM, "out of memory for a bundle");
	}
	rg_member_list_free(&list);
	if (!rc)
		return RG_OK;
	free(*bytes);
	*bytes = NULL;
	return rg_error_prefix(err, "%s", path);
}
