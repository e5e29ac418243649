/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a bundle, in memory, whatever they came in: a folder, a tar or tar.gz, one file.
 *
 * Only files that a bundle gives meaning to are kept (see enum rg_member_kind); the others count
 * against the limits and are left out. Names have no leading '/' or "./". Each member's bytes are
 * followed by a NUL that does not count. A list is sorted by name before it is used.
 *
 * Thread-safety: a list belongs to one thread.
 */
#ifndef RG_BUNDLE_MEMBERS_H
#define RG_BUNDLE_MEMBERS_H

#include "bundle/bundle.h"

enum rg_member_kind {
	RG_MEMBER_IGNORED = 0,
	RG_MEMBER_PLAN,	      /* /plan.json */
	RG_MEMBER_MANIFEST,   /* /.manifest */
	RG_MEMBER_SIGNATURES, /* /.signatures.json */
	RG_MEMBER_DATA_JSON,  /* data.json at any depth */
	RG_MEMBER_DATA_YAML,  /* data.yaml, data.yml at any depth */
	RG_MEMBER_REGO,	      /* *.rego */
	RG_MEMBER_PATCH	      /* /patch.json, of a delta bundle */
};

struct rg_member {
	char *name;
	char *bytes;
	size_t size;
	enum rg_member_kind kind;
};

struct rg_member_list {
	struct rg_member *members;
	uint32_t count, capacity;
	struct rg_bundle_limits limits; /* resolved: none is 0 */
	bool keep_ignored;		/* keep the bytes of all files: a signature covers them */
	uint32_t seen_count;		/* members met, kept or not */
	uint64_t seen_bytes;
};

/* limits NULL or with zeros: the defaults. */
void rg_member_list_init(struct rg_member_list *list, const struct rg_bundle_limits *limits);
void rg_member_list_free(struct rg_member_list *list);

/* What a name (without leading '/') means. Pure. */
enum rg_member_kind rg_member_kind_of(const char *name);

/* Normalise a name in place: leading '/' and "./" go. RG_EINVAL for an empty name, a ".." or empty
 * segment, a NUL, backslash or control character, or more than RG_BUNDLE_NAME_BYTES_MAX bytes.
 * Pure. */
int rg_member_name_normalise(char *name, struct rg_error *err);

/* Read all files below a folder. Symbolic links to files are followed (mounted configuration is
 * made of them), to folders not; folders whose names begin with '.' are passed over. */
int rg_member_list_read_folder(struct rg_member_list *list, const char *path, struct rg_error *err);

/* Read a tar, gzip-compressed or not. `label` is for errors. */
int rg_member_list_read_archive(struct rg_member_list *list, const char *label, const void *bytes,
				size_t byte_count, struct rg_error *err);

/* Add one file that was read already; takes over bytes (malloc'ed, with room for a NUL behind it)
 * even on error. */
int rg_member_list_add(struct rg_member_list *list, const char *name, char *bytes, size_t size,
		       struct rg_error *err);

/* Sort by name. RG_ECONFLICT when two members have the same name. */
int rg_member_list_sort(struct rg_member_list *list, struct rg_error *err);

/* Let go of the ignored members that keep_ignored kept. */
void rg_member_list_drop_ignored(struct rg_member_list *list);

/* Write the members as a tar.gz to path, durable before it returns. */
int rg_member_list_write_archive(const struct rg_member_list *list, const char *path,
				 struct rg_error *err);

/* The only member of that kind, or NULL. */
const struct rg_member *rg_member_list_find(const struct rg_member_list *list,
					    enum rg_member_kind kind);

/* Read a whole file of at most bytes_max bytes into malloc'ed, NUL-terminated memory. */
int rg_member_read_file(int at, const char *path, uint64_t bytes_max, char **bytes, size_t *size,
			struct rg_error *err);

#endif
