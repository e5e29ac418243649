/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/members.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_DEPTH_MAX 32

void rg_member_list_init(struct rg_member_list *list, const struct rg_bundle_limits *limits)
{
	memset(list, 0, sizeof(*list));
	if (limits)
		list->limits = *limits;
	if (!list->limits.members_max)
		list->limits.members_max = RG_BUNDLE_MEMBERS_MAX;
	if (!list->limits.file_bytes_max)
		list->limits.file_bytes_max = RG_BUNDLE_FILE_BYTES_MAX;
	if (!list->limits.total_bytes_max)
		list->limits.total_bytes_max = RG_BUNDLE_TOTAL_BYTES_MAX;
}

void rg_member_list_free(struct rg_member_list *list)
{
	for (uint32_t i = 0; i < list->count; i++) {
		free(list->members[i].name);
		free(list->members[i].bytes);
	}
	free(list->members);
	memset(list, 0, sizeof(*list));
}

enum rg_member_kind rg_member_kind_of(const char *name)
{
	const char *slash = strrchr(name, '/');
	const char *base = slash ? slash + 1 : name;
	size_t length = strlen(base);

	if (!strcmp(base, "data.json"))
		return RG_MEMBER_DATA_JSON;
	if (!strcmp(base, "data.yaml") || !strcmp(base, "data.yml"))
		return RG_MEMBER_DATA_YAML;
	if (length > 5 && !strcmp(base + length - 5, ".rego"))
		return RG_MEMBER_REGO;
	if (!strcmp(name, "plan.json"))
		return RG_MEMBER_PLAN;
	if (!strcmp(name, ".manifest"))
		return RG_MEMBER_MANIFEST;
	if (!strcmp(name, ".signatures.json"))
		return RG_MEMBER_SIGNATURES;
	if (!strcmp(name, "patch.json"))
		return RG_MEMBER_PATCH;
	return RG_MEMBER_IGNORED;
}

int rg_member_name_normalise(char *name, struct rg_error *err)
{
	char *from = name;
	size_t length;

	while (*from == '/' || (from[0] == '.' && from[1] == '/'))
		from++;
	length = strlen(from);
	if (!length)
		return rg_error_set(err, RG_EINVAL, "a member without a name");
	if (length > RG_BUNDLE_NAME_BYTES_MAX)
		return rg_error_set(
			err, RG_ELIMIT,
			"member \"%.64s...\": its name has %zu bytes, at most %d are allowed", from,
			length, RG_BUNDLE_NAME_BYTES_MAX);
	memmove(name, from, length + 1);
	for (const char *at = name; *at; at++) {
		if ((unsigned char)*at < 0x20 || *at == 0x7f || *at == '\\')
			return rg_error_set(
				err, RG_EINVAL,
				"member %u characters long: its name holds the character 0x%02x",
				(unsigned)length, (unsigned char)*at);
	}
	for (const char *segment = name;;) {
		const char *end = strchrnul(segment, '/');
		size_t n = (size_t)(end - segment);

		if (!n || (n == 1 && segment[0] == '.') ||
		    (n == 2 && segment[0] == '.' && segment[1] == '.'))
			return rg_error_set(
				err, RG_EINVAL,
				"member \"%s\": its name leaves the bundle or has an empty part",
				name);
		if (!*end)
			return RG_OK;
		segment = end + 1;
	}
}

/* One more member of `size` bytes has been met: do the limits allow it? */
static int count_member(struct rg_member_list *list, const char *name, uint64_t size,
			struct rg_error *err)
{
	const struct rg_bundle_limits *limits = &list->limits;

	if (list->seen_count >= limits->members_max)
		return rg_error_set(err, RG_ELIMIT, "%s: the bundle has more than %u files", name,
				    limits->members_max);
	list->seen_count++;
	if (size > limits->file_bytes_max)
		return rg_error_set(err, RG_ELIMIT,
				    "%s: has more than %llu bytes, the limit for one file", name,
				    (unsigned long long)limits->file_bytes_max);
	if (size > limits->total_bytes_max - list->seen_bytes)
		return rg_error_set(err, RG_ELIMIT,
				    "%s: with it the bundle has more than %llu bytes", name,
				    (unsigned long long)limits->total_bytes_max);
	list->seen_bytes += size;
	return RG_OK;
}

/* Keep a counted member. Takes over bytes. */
static int keep(struct rg_member_list *list, const char *name, char *bytes, size_t size,
		struct rg_error *err)
{
	struct rg_member *member;
	char *copy = strdup(name);

	if (list->count == list->capacity) {
		uint32_t capacity = list->capacity ? list->capacity * 2 : 16;
		struct rg_member *grown = reallocarray(list->members, capacity, sizeof(*grown));

		if (grown) {
			list->members = grown;
			list->capacity = capacity;
		}
	}
	if (!copy || list->count == list->capacity) {
		free(copy);
		free(bytes);
		return rg_error_set(err, RG_ENOMEM, "%s: out of memory", name);
	}
	member = &list->members[list->count++];
	*member = (struct rg_member){copy, bytes, size, rg_member_kind_of(name)};
	bytes[size] = '\0';
	return RG_OK;
}

int rg_member_list_add(struct rg_member_list *list, const char *name, char *bytes, size_t size,
		       struct rg_error *err)
{
	int rc = count_member(list, name, size, err);

	if (rc) {
		free(bytes);
		return rc;
	}
	return keep(list, name, bytes, size, err);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct rg_member *)a)->name, ((const struct rg_member *)b)->name);
}

int rg_member_list_sort(struct rg_member_list *list, struct rg_error *err)
{
	if (list->count)
		qsort(list->members, list->count, sizeof(list->members[0]), by_name);
	for (uint32_t i = 1; i < list->count; i++) {
		if (!strcmp(list->members[i - 1].name, list->members[i].name))
			return rg_error_set(err, RG_ECONFLICT, "%s: is in the bundle twice",
					    list->members[i].name);
	}
	return RG_OK;
}

void rg_member_list_drop_ignored(struct rg_member_list *list)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < list->count; i++) {
		struct rg_member *member = &list->members[i];

		if (member->kind != RG_MEMBER_IGNORED) {
			list->members[kept++] = *member;
			continue;
		}
		free(member->name);
		free(member->bytes);
	}
	list->count = kept;
}

const struct rg_member *rg_member_list_find(const struct rg_member_list *list,
					    enum rg_member_kind kind)
{
	for (uint32_t i = 0; i < list->count; i++) {
		if (list->members[i].kind == kind)
			return &list->members[i];
	}
	return NULL;
}

/* ---- files and folders ---- */

static int read_fd(int fd, const char *path, uint64_t bytes_max, char **bytes, size_t *size,
		   struct rg_error *err)
{
	struct stat status;
	size_t capacity, used = 0;
	char *text;

	if (fstat(fd, &status))
		return rg_error_set_errno(err, RG_EIO, errno, "%s", path);
	if (!S_ISREG(status.st_mode))
		return rg_error_set(err, RG_EINVAL, "%s: is not a regular file", path);
	if ((uint64_t)status.st_size > bytes_max)
		return rg_error_set(err, RG_ELIMIT, "%s: has %llu bytes, the limit is %llu", path,
				    (unsigned long long)status.st_size,
				    (unsigned long long)bytes_max);
	capacity = (size_t)status.st_size;
	text = malloc(capacity + 1);
	if (!text)
		return rg_error_set(err, RG_ENOMEM, "%s: out of memory for %zu bytes", path,
				    capacity);
	while (used < capacity) {
		ssize_t n = read(fd, text + used, capacity - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int rc = rg_error_set_errno(err, RG_EIO, errno, "%s", path);

			free(text);
			return rc;
		}
		if (!n)
			break; /* it became shorter */
		used += (size_t)n;
	}
	text[used] = '\0';
	*bytes = text;
	*size = used;
	return RG_OK;
}

int rg_member_read_file(int at, const char *path, uint64_t bytes_max, char **bytes, size_t *size,
			struct rg_error *err)
{
	int fd = openat(at, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int rc;

	if (fd < 0)
		return rg_error_set_errno(err,
					  errno == ENOENT || errno == ENOTDIR ? RG_ENOENT : RG_EIO,
					  errno, "%s", path);
	rc = read_fd(fd, path, bytes_max, bytes, size, err);
	close(fd);
	return rc;
}

static int read_folder(struct rg_member_list *list, int folder, const char *prefix, unsigned depth,
		       struct rg_error *err);

/* One entry of a folder: `name` in it, `path` in the bundle. */
static int read_entry(struct rg_member_list *list, int folder, const char *name, const char *path,
		      unsigned depth, struct rg_error *err)
{
	struct stat status, target;
	size_t size;
	char *bytes;
	int rc;

	if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW))
		return rg_error_set_errno(err, RG_EIO, errno, "%s", path);
	if (S_ISDIR(status.st_mode)) {
		int fd;

		if (name[0] == '.')
			return RG_OK;
		if (depth >= FOLDER_DEPTH_MAX)
			return rg_error_set(err, RG_ELIMIT,
					    "%s: folders are nested more than %d deep", path,
					    FOLDER_DEPTH_MAX);
		fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0)
			return rg_error_set_errno(err, RG_EIO, errno, "%s", path);
		return read_folder(list, fd, path, depth + 1, err); /* closes fd */
	}
	if (S_ISLNK(status.st_mode) &&
	    (fstatat(folder, name, &target, 0) || !S_ISREG(target.st_mode)))
		return RG_OK;
	if (!S_ISLNK(status.st_mode) && !S_ISREG(status.st_mode))
		return RG_OK;
	if (!list->keep_ignored && rg_member_kind_of(path) == RG_MEMBER_IGNORED)
		return count_member(list, path, 0, err); /* its bytes are never read */
	rc = rg_member_read_file(folder, name, list->limits.file_bytes_max, &bytes, &size, err);
	if (rc)
		return rg_error_prefix(err, "in folder \"%.*s\"",
				       (int)(strlen(path) - strlen(name)), path);
	return rg_member_list_add(list, path, bytes, size, err);
}

static int read_folder(struct rg_member_list *list, int folder, const char *prefix, unsigned depth,
		       struct rg_error *err)
{
	char path[RG_BUNDLE_NAME_BYTES_MAX + 1];
	DIR *stream = fdopendir(folder);
	struct dirent *entry;
	int rc = RG_OK;

	if (!stream) {
		rc = rg_error_set_errno(err, RG_EIO, errno, "%s", prefix);
		close(folder);
		return rc;
	}
	while (!rc && (entry = readdir(stream))) {
		int n;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		n = snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "/" : "",
			     entry->d_name);
		if (n >= (int)sizeof(path))
			rc = rg_error_set(err, RG_ELIMIT, "%s/%s: name of more than %d bytes",
					  prefix, entry->d_name, RG_BUNDLE_NAME_BYTES_MAX);
		else
			rc = read_entry(list, folder, entry->d_name, path, depth, err);
	}
	closedir(stream);
	return rc;
}

int rg_member_list_read_folder(struct rg_member_list *list, const char *path, struct rg_error *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return rg_error_set_errno(err,
					  errno == ENOENT || errno == ENOTDIR ? RG_ENOENT : RG_EIO,
					  errno, "%s", path);
	return read_folder(list, fd, "", 0, err);
}

/* ---- archives ---- */

static int archive_failed(struct archive *archive, const char *label, const char *member,
			  struct rg_error *err)
{
	const char *why = archive_error_string(archive);

	return rg_error_set(err, RG_EINVAL, "%s%s%s: %s", label, *member ? ": " : "", member,
			    why ? why : "the archive is malformed");
}

/* Inflate one entry of at most `limit` bytes; a header that understates the size changes nothing.
 */
static int inflate_member(struct rg_member_list *list, struct archive *archive, const char *label,
			  const char *name, uint64_t declared, struct rg_error *err)
{
	uint64_t room = list->limits.total_bytes_max - list->seen_bytes;
	uint64_t limit = list->limits.file_bytes_max < room ? list->limits.file_bytes_max : room;
	bool wanted = list->keep_ignored || rg_member_kind_of(name) != RG_MEMBER_IGNORED;
	size_t used = 0, capacity = declared < (1u << 20) ? (size_t)declared + 1 : 1u << 20;
	char *bytes = malloc(capacity + 1);
	int rc;

	while (bytes) {
		ssize_t n = archive_read_data(archive, bytes + (wanted ? used : 0),
					      wanted ? capacity - used : capacity);

		if (n < 0) {
			free(bytes);
			return archive_failed(archive, label, name, err);
		}
		if (!n)
			break;
		used += (size_t)n;
		if (used > limit)
			break; /* count_member() says which limit */
		if (wanted && used == capacity) {
			char *grown = realloc(bytes, capacity * 2 + 1);

			if (!grown) {
				free(bytes);
				bytes = NULL;
				break;
			}
			bytes = grown;
			capacity *= 2;
		}
	}
	if (!bytes)
		return rg_error_set(err, RG_ENOMEM, "%s: %s: out of memory", label, name);
	if (wanted) {
		rc = rg_member_list_add(list, name, bytes, used, err);
	} else {
		free(bytes);
		rc = count_member(list, name, used, err);
	}
	return rc ? rg_error_prefix(err, "%s", label) : RG_OK;
}

static int read_archive_entry(struct rg_member_list *list, struct archive *archive,
			      struct archive_entry *entry, const char *label, struct rg_error *err)
{
	const char *raw = archive_entry_pathname_utf8(entry);
	char name[RG_BUNDLE_NAME_BYTES_MAX + 8];
	int64_t size = archive_entry_size(entry);
	int rc;

	if (!raw)
		raw = archive_entry_pathname(entry);
	if (!raw)
		return rg_error_set(err, RG_EINVAL, "%s: member %u has an unreadable name", label,
				    list->seen_count + 1);
	if (strlen(raw) >= sizeof(name))
		return rg_error_set(err, RG_ELIMIT,
				    "%s: member \"%.64s...\": its name has more than %d bytes",
				    label, raw, RG_BUNDLE_NAME_BYTES_MAX);
	strcpy(name, raw);
	if (archive_entry_filetype(entry) == AE_IFDIR && !archive_entry_hardlink(entry)) {
		rc = count_member(list, raw, 0, err);
		return rc ? rg_error_prefix(err, "%s", label) : RG_OK;
	}
	if (rg_member_name_normalise(name, err))
		return rg_error_prefix(err, "%s", label);
	if (archive_entry_hardlink(entry) || archive_entry_symlink(entry) ||
	    archive_entry_filetype(entry) != AE_IFREG)
		return rg_error_set(
			err, RG_EINVAL,
			"%s: %s: is a link or a device; a bundle holds only regular files", label,
			name);
	if (size < 0)
		return rg_error_set(err, RG_EINVAL, "%s: %s: negative size", label, name);
	return inflate_member(list, archive, label, name, (uint64_t)size, err);
}

int rg_member_list_read_archive(struct rg_member_list *list, const char *label, const void *bytes,
				size_t byte_count, struct rg_error *err)
{
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;
	int rc = RG_OK;

	if (!archive)
		return rg_error_set(err, RG_ENOMEM, "%s: out of memory", label);
	archive_read_support_filter_gzip(archive);
	archive_read_support_format_tar(archive);
	if (archive_read_open_memory(archive, bytes, byte_count) != ARCHIVE_OK)
		rc = archive_failed(archive, label, "", err);
	while (!rc) {
		int step = archive_read_next_header(archive, &entry);

		if (step == ARCHIVE_EOF)
			break;
		if (step != ARCHIVE_OK && step != ARCHIVE_WARN)
			rc = archive_failed(archive, label, "", err);
		else
			rc = read_archive_entry(list, archive, entry, label, err);
	}
	archive_read_free(archive);
	return rc;
}

static bool write_member(struct archive *archive, const struct rg_member *member)
{
	struct archive_entry *entry = archive_entry_new();
	bool ok = entry != NULL;

	if (!ok)
		return false;
	archive_entry_set_pathname(entry, member->name);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0640);
	archive_entry_set_size(entry, (int64_t)member->size);
	ok = archive_write_header(archive, entry) == ARCHIVE_OK &&
	     archive_write_data(archive, member->bytes, member->size) == (ssize_t)member->size;
	archive_entry_free(entry);
	return ok;
}

int rg_member_list_write_archive(const struct rg_member_list *list, const char *path,
				 struct rg_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	struct archive *archive = archive_write_new();
	bool ok = fd >= 0 && archive;

	if (ok) {
		archive_write_add_filter_gzip(archive);
		archive_write_set_filter_option(archive, "gzip", "compression-level", "1");
		archive_write_set_format_ustar(archive);
		ok = archive_write_open_fd(archive, fd) == ARCHIVE_OK;
	}
	for (uint32_t i = 0; ok && i < list->count; i++)
		ok = write_member(archive, &list->members[i]);
	ok = ok && archive_write_close(archive) == ARCHIVE_OK && !fsync(fd);
	if (!ok)
		rg_error_set(err, RG_EIO, "%s: cannot be written: %s", path,
			     fd < 0 || !archive ? strerror(errno) : archive_error_string(archive));
	archive_write_free(archive);
	if (fd >= 0)
		close(fd);
	return ok ? RG_OK : RG_EIO;
}
