/* SPDX-License-Identifier: Apache-2.0 */
#include "control/policy_set.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/signing.h"

#define FILE_SCHEME "file://"

/* What an entry of the set needs while it is loaded. */
struct paths {
	char candidate[RG_POLICY_SET_PATH_BYTES], active[RG_POLICY_SET_PATH_BYTES],
		snapshot[RG_POLICY_SET_PATH_BYTES];
	struct rg_signing signing;
};

struct rg_policy_set *rg_policy_set_new(const struct rg_config_opa_sections *config, uint32_t count)
{
	struct rg_policy_set *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	set->config = config;
	set->count = count;
	set->members = calloc(count, sizeof(*set->members));
	if (!set->members) {
		free(set);
		return NULL;
	}
	return set;
}

void rg_policy_set_free(struct rg_policy_set *set)
{
	if (!set)
		return;
	for (uint32_t i = 0; i < set->count; i++)
		free(set->members[i].body);
	free(set->members);
	free(set);
}

void rg_policy_set_path(const struct rg_policy_set_member *member, const char *file,
			char path[static RG_POLICY_SET_PATH_BYTES])
{
	snprintf(path, RG_POLICY_SET_PATH_BYTES, "%s/%s", member->folder, file);
}

static int write_candidate(const struct rg_policy_set_member *member, const char *path,
			   struct rg_error *err)
{
	FILE *file = fopen(path, "we");
	bool ok = file && fwrite(member->body, 1, member->body_bytes, file) == member->body_bytes;

	if (file && fclose(file))
		ok = false;
	return ok ? RG_OK : rg_error_set_errno(err, RG_EIO, errno, "%s", path);
}

static int prepare(const struct rg_policy_set *set, struct rg_policy_set_member *member,
		   struct paths *paths, struct rg_bundle_set_entry *entry, struct rg_error *err)
{
	const struct rg_config_bundle *bundle = member->bundle;
	int rc = RG_OK;

	rg_policy_set_path(member, "candidate", paths->candidate);
	rg_policy_set_path(member, "active.tar.gz", paths->active);
	rg_policy_set_path(member, "snapshot", paths->snapshot);
	*entry = (struct rg_bundle_set_entry){.name = bundle->name, .path = paths->active};
	if (!member->is_fresh)
		return RG_OK; /* it was verified when it became active */
	entry->path = paths->candidate;
	entry->base = member->has_active ? paths->active : NULL;
	entry->snapshot = paths->snapshot;
	entry->is_opa_answer = !strcmp(bundle->source, "opa");
	entry->age = &member->age;
	entry->allow_older = bundle->allow_older;
	entry->size_limit_bytes = bundle->size_limit_bytes;
	if (bundle->signing.required) {
		rc = rg_signing_open(set->config, &bundle->signing, &paths->signing, err);
		entry->signing = &paths->signing.policy;
	}
	if (!rc && member->body)
		rc = write_candidate(member, paths->candidate, err);
	else if (!rc)
		entry->path = bundle->resource + strlen(FILE_SCHEME);
	return rc ? rg_error_prefix(err, "bundle %s", bundle->name) : RG_OK;
}

int rg_policy_set_load(struct rg_policy_set *set, const struct rg_bundle_options *options,
		       struct rg_bundle **bundle, struct rg_error *err)
{
	struct rg_bundle_set_entry *entries = calloc(set->count, sizeof(*entries));
	struct rg_bundle_found *found = calloc(set->count, sizeof(*found));
	struct paths *paths = calloc(set->count, sizeof(*paths));
	int rc = entries && found && paths ? RG_OK : rg_error_set(err, RG_ENOMEM, "out of memory");

	for (uint32_t i = 0; !rc && i < set->count; i++)
		rc = prepare(set, &set->members[i], &paths[i], &entries[i], err);
	if (!rc)
		rc = rg_bundle_set_load(entries, set->count, options, found, bundle, err);
	for (uint32_t i = 0; paths && i < set->count; i++) {
		struct rg_policy_set_member *member = &set->members[i];

		if (!rc)
			member->found = found[i];
		if (paths[i].candidate[0])
			unlink(paths[i].candidate);
		rg_signing_close(&paths[i].signing);
		free(member->body);
		member->body = NULL;
	}
	free(entries);
	free(found);
	free(paths);
	return rc;
}
