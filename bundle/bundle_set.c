/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/bundle_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/delta.h"
#include "bundle/opa.h"
#include "bundle/opa_answer.h"
#include "bundle/parts.h"

/* A source that was read: a snapshot's members, and what its manifest says. */
struct loaded {
	const struct rg_bundle_set_entry *source;
	struct rg_member_list list;
	struct rg_member_list delta; /* its members: the data may point into its patch.json */
	struct rg_bundle *bundle;    /* without plan and data */
	struct rg_data_tree *tree;
	bool has_plan, has_rego;
};

static int out_of_memory(struct rg_error *err)
{
	return rg_error_set(err, RG_ENOMEM, "out of memory for a bundle");
}

static void free_loaded(struct loaded *loaded)
{
	rg_data_tree_free(loaded->tree);
	rg_bundle_free(loaded->bundle);
	rg_member_list_free(&loaded->list);
	rg_member_list_free(&loaded->delta);
}

static int add_text(struct rg_member_list *list, const char *name, const char *text, size_t bytes,
		    struct rg_error *err)
{
	char *copy = malloc(bytes + 1);

	if (!copy)
		return out_of_memory(err);
	memcpy(copy, text, bytes);
	return rg_member_list_add(list, name, copy, bytes, err);
}

/* The tree's document as the member data.json. */
static int add_data(struct rg_member_list *list, const struct rg_data_tree *tree,
		    struct rg_error *err)
{
	struct rg_json_writer writer;
	int rc;

	rg_json_writer_init(&writer, false);
	rg_data_tree_write(tree, &writer);
	if (writer.failed) {
		rg_json_writer_free(&writer);
		return out_of_memory(err);
	}
	rc = rg_member_list_add(list, "data.json", writer.text, writer.bytes, err);
	return rc;
}

/* ---- deltas ---- */

static bool same_roots(const struct rg_bundle *a, const struct rg_bundle *b)
{
	if (a->root_count != b->root_count)
		return false;
	for (uint32_t i = 0; i < a->root_count; i++) {
		bool found = false;

		for (uint32_t j = 0; j < b->root_count; j++)
			found = found || !strcmp(a->roots[i], b->roots[j]);
		if (!found)
			return false;
	}
	return true;
}

/* The snapshot's files, with the data of the tree and the delta's manifest. */
static int rebuild(struct loaded *loaded, struct rg_error *err)
{
	const struct rg_member *manifest = rg_member_list_find(&loaded->delta, RG_MEMBER_MANIFEST);
	struct rg_member_list *list = &loaded->list;
	struct rg_member_list fresh;
	int rc;

	rg_member_list_init(&fresh, &list->limits);
	rc = add_data(&fresh, loaded->tree, err);
	for (uint32_t i = 0; !rc && i < list->count; i++) {
		const struct rg_member *member = &list->members[i];

		if (member->kind == RG_MEMBER_DATA_JSON || member->kind == RG_MEMBER_SIGNATURES ||
		    member->kind == RG_MEMBER_PATCH ||
		    (member->kind == RG_MEMBER_MANIFEST && manifest))
			continue;
		rc = add_text(&fresh, member->name, member->bytes, member->size, err);
	}
	if (!rc && manifest)
		rc = add_text(&fresh, ".manifest", manifest->bytes, manifest->size, err);
	rg_data_tree_free(loaded->tree);
	loaded->tree = NULL;
	rg_member_list_free(list);
	*list = fresh;
	return rc;
}

/* loaded->list is a delta: it becomes the base with the delta's changes. */
static int apply_delta(struct loaded *loaded, struct rg_error *err)
{
	const struct rg_bundle_set_entry *source = loaded->source;
	struct rg_bundle *delta = loaded->bundle, *base = NULL;
	bool has_manifest;
	int rc;

	loaded->bundle = NULL;
	loaded->delta = loaded->list;
	rg_member_list_init(&loaded->list, &loaded->delta.limits);
	has_manifest = rg_member_list_find(&loaded->delta, RG_MEMBER_MANIFEST) != NULL;
	rc = source->base ? rg_bundle_read_members(&loaded->list, source->base, err)
			  : rg_error_set(err, RG_ENOENT,
					 "it is a delta, and there is no active snapshot of this "
					 "bundle: the server must send a snapshot");
	if (!rc)
		rc = rg_bundle_begin(source->name, &loaded->list, NULL, &base, err);
	if (!rc && has_manifest && !same_roots(delta, base))
		rc = rg_error_set(err, RG_ECONFLICT,
				  "the delta's manifest has other roots than the active snapshot");
	loaded->tree = rc ? NULL : rg_data_tree_new();
	if (!rc)
		rc = loaded->tree ? rg_bundle_merge_data(&loaded->list, loaded->tree, err)
				  : out_of_memory(err);
	if (!rc)
		rc = rg_delta_apply(&loaded->delta, base->roots, base->root_count, loaded->tree,
				    err);
	if (!rc)
		rc = rebuild(loaded, err);
	if (!rc)
		rc = rg_bundle_begin(source->name, &loaded->list, NULL, &loaded->bundle, err);
	if (!rc) {
		loaded->bundle->is_verified = delta->is_verified;
		loaded->bundle->is_signed = delta->is_signed;
		loaded->bundle->issued_at = delta->issued_at;
	}
	rg_bundle_free(delta);
	rg_bundle_free(base);
	return rc;
}

/* ---- one source ---- */

/* Older than what is active, or was? */
static int check_age(const struct rg_bundle *bundle, const struct rg_bundle_set_entry *source,
		     struct rg_error *err)
{
	const struct rg_bundle_age *age = source->age;
	static const char remedy[] = "allow_older permits it";

	if (!age || source->allow_older || !age->revision_count)
		return RG_OK;
	if (bundle->version >= 0 && age->version >= 0)
		return bundle->version >= age->version
			       ? RG_OK
			       : rg_error_set(err, RG_EVERSION,
					      "its riskgate_version %lld is older than the active "
					      "one's %lld; %s",
					      (long long)bundle->version, (long long)age->version,
					      remedy);
	if (age->version >= 0)
		return rg_error_set(err, RG_EVERSION,
				    "it has no metadata.riskgate_version, the active one has %lld; "
				    "%s",
				    (long long)age->version, remedy);
	if (bundle->issued_at && age->issued_at)
		return bundle->issued_at >= age->issued_at
			       ? RG_OK
			       : rg_error_set(err, RG_EVERSION,
					      "it was signed %lld s before the active one: it is "
					      "older; %s",
					      (long long)(age->issued_at - bundle->issued_at),
					      remedy);
	/* one without a revision goes by its content: that may well become what it was */
	for (uint32_t i = 1; bundle->has_manifest_revision && i < age->revision_count; i++) {
		if (!strcmp(age->revisions[i], bundle->revision) &&
		    strcmp(age->revisions[0], bundle->revision))
			return rg_error_set(err, RG_EVERSION,
					    "its revision \"%s\" was active before \"%s\": it is "
					    "older; %s",
					    bundle->revision, age->revisions[0], remedy);
	}
	return RG_OK;
}

/* Rego must be of a package under the roots. */
static int check_packages(const struct loaded *loaded, struct rg_error *err)
{
	const struct rg_bundle *bundle = loaded->bundle;

	for (uint32_t i = 0; i < loaded->list.count; i++) {
		const struct rg_member *member = &loaded->list.members[i];
		char path[512];
		bool inside = false;

		if (member->kind != RG_MEMBER_REGO ||
		    !rg_opa_package_of(member->bytes, path, sizeof(path)))
			continue;
		for (uint32_t r = 0; r < bundle->root_count; r++) {
			size_t n = strlen(bundle->roots[r]);

			inside = inside || !n ||
				 (!strncmp(path, bundle->roots[r], n) &&
				  (!path[n] || path[n] == '/'));
		}
		if (!inside)
			return rg_error_set(err, RG_ECONFLICT,
					    "%s: its package %s is outside the manifest's roots",
					    member->name, path);
	}
	return RG_OK;
}

static int check_content(struct loaded *loaded, struct rg_error *err)
{
	const struct rg_bundle *bundle = loaded->bundle;
	int rc;

	loaded->has_plan = rg_member_list_find(&loaded->list, RG_MEMBER_PLAN) != NULL;
	loaded->has_rego = rg_member_list_find(&loaded->list, RG_MEMBER_REGO) != NULL;
	loaded->tree = rg_data_tree_new();
	rc = loaded->tree ? rg_bundle_merge_data(&loaded->list, loaded->tree, err)
			  : out_of_memory(err);
	if (!rc)
		rc = rg_data_tree_check_roots(loaded->tree, bundle->roots, bundle->root_count, err);
	return rc ? rc : check_packages(loaded, err);
}

static int read_source(struct loaded *loaded, const struct rg_bundle_options *options,
		       struct rg_error *err)
{
	const struct rg_bundle_set_entry *source = loaded->source;
	struct rg_bundle_limits limits = options->limits;

	if (source->size_limit_bytes)
		limits.file_bytes_max = source->size_limit_bytes;
	rg_member_list_init(&loaded->list, &limits);
	loaded->list.keep_ignored = source->signing != NULL;
	if (source->is_opa_answer)
		return rg_opa_answer_read(&loaded->list, source->path, err);
	return rg_bundle_read_members(&loaded->list, source->path, err);
}

static int load_source(struct loaded *loaded, const struct rg_bundle_options *options,
		       struct rg_bundle_found *found, struct rg_error *err)
{
	const struct rg_bundle_set_entry *source = loaded->source;
	bool is_delta = false;
	int rc = read_source(loaded, options, err);

	if (!rc)
		rc = rg_bundle_begin(source->name, &loaded->list, source->signing, &loaded->bundle,
				     err);
	if (!rc)
		rc = rg_delta_is(&loaded->list, &is_delta, err);
	if (!rc && is_delta)
		rc = apply_delta(loaded, err);
	if (!rc)
		rc = check_age(loaded->bundle, source, err);
	if (!rc)
		rc = check_content(loaded, err);
	if (!rc && source->snapshot)
		rc = rg_member_list_write_archive(&loaded->list, source->snapshot, err);
	if (rc)
		return rg_error_prefix(err, "bundle %s", source->name);
	if (!found)
		return RG_OK;
	snprintf(found->revision, sizeof(found->revision), "%s", loaded->bundle->revision);
	snprintf(found->sha256, sizeof(found->sha256), "%s", loaded->bundle->sha256);
	found->version = loaded->bundle->version;
	found->issued_at = loaded->bundle->issued_at;
	found->is_delta = is_delta;
	found->size = loaded->list.seen_bytes;
	return RG_OK;
}

/* ---- the set ---- */

static int check_overlap(const struct loaded *loaded, uint32_t count, struct rg_error *err)
{
	for (uint32_t a = 0; a < count; a++) {
		for (uint32_t b = a + 1; b < count; b++) {
			const struct rg_bundle *x = loaded[a].bundle, *y = loaded[b].bundle;

			for (uint32_t i = 0; i < x->root_count * y->root_count; i++) {
				const char *root = x->roots[i / y->root_count],
					   *other = y->roots[i % y->root_count];

				if (rg_bundle_roots_overlap(root, other))
					return rg_error_set(
						err, RG_ECONFLICT,
						"the roots of the bundles %s (\"%s\") and %s "
						"(\"%s\") overlap: each part of data must belong "
						"to "
						"one bundle",
						x->name, root, y->name, other);
			}
		}
	}
	return RG_OK;
}

/* The rules of the set: of the only bundle that has any, or all Rego. */
static int add_rules(const struct loaded *loaded, uint32_t count, struct rg_member_list *combined,
		     int *rego_version, struct rg_error *err)
{
	uint32_t with_rules = 0;
	int rc = RG_OK;

	for (uint32_t i = 0; i < count; i++)
		with_rules += loaded[i].has_plan || loaded[i].has_rego;
	if (!with_rules)
		return rg_error_set(err, RG_EINVAL, "none of the bundles has plan.json or Rego");
	*rego_version = -1;
	for (uint32_t i = 0, first = UINT32_MAX; !rc && i < count; i++) {
		const struct loaded *at = &loaded[i];

		if (!at->has_plan && !at->has_rego)
			continue;
		if (with_rules > 1 && !at->has_rego)
			return rg_error_set(
				err, RG_EINVAL,
				"bundle %s has a plan.json but no Rego: where several "
				"bundles have rules, they are built together from their "
				"Rego",
				at->bundle->name);
		if (first != UINT32_MAX && at->bundle->rego_version != *rego_version)
			return rg_error_set(err, RG_ECONFLICT,
					    "the bundles %s and %s have different rego_versions in "
					    "their manifests",
					    loaded[first].bundle->name, at->bundle->name);
		first = first == UINT32_MAX ? i : first;
		*rego_version = at->bundle->rego_version;
		for (uint32_t m = 0; !rc && m < at->list.count; m++) {
			const struct rg_member *member = &at->list.members[m];
			char name[RG_BUNDLE_NAME_BYTES_MAX + 80];

			if (member->kind != RG_MEMBER_REGO &&
			    (member->kind != RG_MEMBER_PLAN || with_rules > 1))
				continue;
			snprintf(name, sizeof(name), "%s%s%s",
				 with_rules > 1 ? at->bundle->name : "", with_rules > 1 ? "/" : "",
				 member->name);
			rc = add_text(combined, name, member->bytes, member->size, err);
		}
	}
	return rc;
}

/* "a=3,b=7"; where that is too long the tail is left out: the SHA-256 tells sets apart. */
static void join_revisions(const struct loaded *loaded, uint32_t count, char *revision,
			   size_t bytes)
{
	size_t used = 0;

	for (uint32_t i = 0; i < count && used < bytes; i++)
		used += (size_t)snprintf(revision + used, bytes - used, "%s%s=%s", i ? "," : "",
					 loaded[i].bundle->name, loaded[i].bundle->revision);
}

static int add_manifest(const struct loaded *loaded, uint32_t count, int rego_version,
			struct rg_member_list *combined, struct rg_error *err)
{
	char revision[RG_BUNDLE_REVISION_BYTES_MAX + 1] = "";
	struct rg_json_writer writer;

	join_revisions(loaded, count, revision, sizeof(revision));
	rg_json_writer_init(&writer, false);
	rg_json_write_object_begin(&writer);
	rg_json_write_key(&writer, "revision");
	rg_json_write_string(&writer, revision);
	rg_json_write_key(&writer, "roots");
	rg_json_write_array_begin(&writer);
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t r = 0; r < loaded[i].bundle->root_count; r++)
			rg_json_write_string(&writer, loaded[i].bundle->roots[r]);
	}
	rg_json_write_array_end(&writer);
	if (rego_version >= 0) {
		rg_json_write_key(&writer, "rego_version");
		rg_json_write_int(&writer, rego_version);
	}
	rg_json_write_object_end(&writer);
	if (writer.failed) {
		rg_json_writer_free(&writer);
		return out_of_memory(err);
	}
	return rg_member_list_add(combined, ".manifest", writer.text, writer.bytes, err);
}

static int add_all_data(struct loaded *loaded, uint32_t count, struct rg_member_list *combined,
			struct rg_error *err)
{
	struct rg_data_tree *tree = rg_data_tree_new();
	int rc = tree ? RG_OK : out_of_memory(err);

	for (uint32_t i = 0; !rc && i < count; i++) {
		rc = rg_bundle_merge_data(&loaded[i].list, tree, err);
		if (rc)
			rg_error_prefix(err, "bundle %s", loaded[i].bundle->name);
	}
	if (!rc)
		rc = add_data(combined, tree, err);
	rg_data_tree_free(tree);
	return rc;
}

static int combine(struct loaded *loaded, uint32_t count, const struct rg_bundle_options *options,
		   struct rg_bundle **bundle, struct rg_error *err)
{
	struct rg_member_list combined;
	char name[256] = "";
	int rego_version = -1, rc = check_overlap(loaded, count, err);

	rg_member_list_init(&combined, &options->limits);
	for (uint32_t i = 0; i < count; i++) {
		size_t used = strlen(name);

		snprintf(name + used, sizeof(name) - used, "%s%s", i ? "+" : "",
			 loaded[i].bundle->name);
	}
	if (!rc)
		rc = add_all_data(loaded, count, &combined, err);
	if (!rc)
		rc = add_rules(loaded, count, &combined, &rego_version, err);
	if (!rc)
		rc = add_manifest(loaded, count, rego_version, &combined, err);
	if (!rc)
		rc = rg_bundle_from_members(name, &combined, options, bundle, err);
	rg_member_list_free(&combined);
	return rc;
}

int rg_bundle_set_load(const struct rg_bundle_set_entry *sources, uint32_t count,
		       const struct rg_bundle_options *options, struct rg_bundle_found *found,
		       struct rg_bundle **bundle, struct rg_error *err)
{
	struct rg_bundle_options unsigned_options = *options;
	struct loaded *loaded;
	bool is_signed = true, is_verified = true;
	int rc = RG_OK;

	if (!count || count > RG_BUNDLE_SET_MAX)
		return rg_error_set(err, RG_ELIMIT, "a set must have 1 to %d bundles, not %u",
				    RG_BUNDLE_SET_MAX, count);
	loaded = calloc(count, sizeof(*loaded));
	if (!loaded)
		return out_of_memory(err);
	unsigned_options.signing = NULL; /* each source has its own */
	for (uint32_t i = 0; !rc && i < count; i++) {
		loaded[i].source = &sources[i];
		rc = load_source(&loaded[i], options, found ? &found[i] : NULL, err);
		is_signed = is_signed && !rc && loaded[i].bundle->is_signed;
		is_verified = is_verified && !rc && loaded[i].bundle->is_verified;
	}
	if (!rc && count == 1)
		rc = rg_bundle_from_members(sources[0].name, &loaded[0].list, &unsigned_options,
					    bundle, err);
	else if (!rc)
		rc = combine(loaded, count, &unsigned_options, bundle, err);
	if (!rc) {
		(*bundle)->is_signed = is_signed;
		(*bundle)->is_verified = is_verified;
	}
	for (uint32_t i = 0; i < count; i++)
		free_loaded(&loaded[i]);
	free(loaded);
	return rc;
}
