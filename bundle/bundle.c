/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/bundle.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "bundle/data.h"
#include "bundle/members.h"
#include "bundle/opa.h"
#include "bundle/parts.h"
#include "bundle/signature.h"
#include "bundle/yaml_json.h"

#define ROOTS_MAX 1024

void rg_bundle_free(struct rg_bundle *bundle)
{
	if (!bundle)
		return;
	for (uint32_t i = 0; i < bundle->root_count; i++)
		free(bundle->roots[i]);
	free(bundle->roots);
	for (uint32_t i = 0; i < bundle->source_count; i++) {
		free(bundle->sources[i].name);
		free(bundle->sources[i].text);
	}
	free(bundle->sources);
	free(bundle->name);
	free(bundle->revision);
	free(bundle->plan_json);
	free(bundle->data_json);
	free(bundle->manifest_json);
	free(bundle->metadata_json);
	free(bundle);
}

static int out_of_memory(struct rg_error *err)
{
	return rg_error_set(err, RG_ENOMEM, "out of memory for a bundle");
}

static char *copy_bytes(const char *text, size_t bytes)
{
	char *copy = malloc(bytes + 1);

	if (copy) {
		memcpy(copy, text, bytes);
		copy[bytes] = '\0';
	}
	return copy;
}

/* ---- name and hash ---- */

static bool cut_ending(char *name, const char *ending)
{
	size_t length = strlen(name), n = strlen(ending);

	if (length <= n || strcmp(name + length - n, ending))
		return false;
	name[length - n] = '\0';
	return true;
}

/* "x/payments.tar.gz" and "x/payments/" are payments; "x/payments/bundle.tar.gz" and
 * "x/payments/plan.json" as well. */
static char *name_of(const char *path)
{
	static const char *const endings[] = {".tar.gz", ".tgz", ".tar", ".json", ".rego"};
	char *whole = realpath(path, NULL), *name, *slash;

	if (!whole)
		whole = strdup(path);
	if (!whole)
		return NULL;
	for (;;) {
		slash = strrchr(whole, '/');
		name = slash ? slash + 1 : whole;
		for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
			if (cut_ending(name, endings[i]))
				break;
		}
		if (slash && slash > whole &&
		    (!*name || !strcmp(name, "bundle") || !strcmp(name, "plan")))
			*slash = '\0';
		else
			break;
	}
	name = strdup(*name ? name : "bundle");
	free(whole);
	return name;
}

static int hash_members(const struct rg_member_list *list, char sha256[65], struct rg_error *err)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned digest_bytes = 0;
	bool ok = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL);

	for (uint32_t i = 0; ok && i < list->count; i++) {
		const struct rg_member *member = &list->members[i];
		uint64_t size = member->size;

		if (member->kind == RG_MEMBER_IGNORED)
			continue;
		ok = EVP_DigestUpdate(context, member->name, strlen(member->name) + 1) &&
		     EVP_DigestUpdate(context, &size, sizeof(size)) &&
		     EVP_DigestUpdate(context, member->bytes, member->size);
	}
	ok = ok && EVP_DigestFinal_ex(context, digest, &digest_bytes) && digest_bytes == 32;
	EVP_MD_CTX_free(context);
	if (!ok)
		return rg_error_set(err, RG_EIO, "SHA-256 is not available from libcrypto");
	for (unsigned i = 0; i < 32; i++)
		snprintf(sha256 + 2 * i, 3, "%02x", digest[i]);
	return RG_OK;
}

/* ---- manifest ---- */

static int manifest_bad(const struct rg_json_reader *reader, const char *what, struct rg_error *err)
{
	uint32_t line, column;

	if (reader->error.status)
		return rg_error_set(err, RG_EINVAL, ".manifest: %s", reader->error.text);
	rg_json_place(reader, &line, &column);
	return rg_error_set(err, RG_EINVAL, ".manifest: line %u column %u: %s", line, column, what);
}

static char *decoded(const struct rg_json_reader *reader)
{
	char *text = malloc(reader->text_bytes * 3 + 1);

	if (text)
		text[rg_json_decode(reader, text)] = '\0';
	return text;
}

static int add_root(struct rg_bundle *bundle, const char *root, struct rg_error *err)
{
	char **grown = reallocarray(bundle->roots, bundle->root_count + 1, sizeof(*grown));
	size_t length;
	char *copy;

	if (!grown)
		return out_of_memory(err);
	bundle->roots = grown;
	while (*root == '/')
		root++;
	length = strlen(root);
	while (length && root[length - 1] == '/')
		length--;
	copy = copy_bytes(root, length);
	if (!copy)
		return out_of_memory(err);
	bundle->roots[bundle->root_count++] = copy;
	return RG_OK;
}

bool rg_bundle_roots_overlap(const char *a, const char *b)
{
	size_t n = strlen(a) < strlen(b) ? strlen(a) : strlen(b);

	if (!n)
		return true;
	return !strncmp(a, b, n) && (a[n] == '/' || !a[n]) && (b[n] == '/' || !b[n]);
}

static int read_roots(struct rg_bundle *bundle, struct rg_json_reader *reader, struct rg_error *err)
{
	enum rg_json_token token = rg_json_next(reader);

	if (token == RG_JSON_NULL)
		return RG_OK;
	if (token != RG_JSON_ARRAY_BEGIN)
		return manifest_bad(reader, "roots must be an array of strings", err);
	while ((token = rg_json_next(reader)) == RG_JSON_STRING) {
		char *root = decoded(reader);
		int rc = root ? RG_OK : out_of_memory(err);

		if (!rc && bundle->root_count == ROOTS_MAX)
			rc = rg_error_set(err, RG_ELIMIT, ".manifest: more than %d roots",
					  ROOTS_MAX);
		for (uint32_t i = 0; !rc && i < bundle->root_count; i++) {
			if (rg_bundle_roots_overlap(bundle->roots[i], root + strspn(root, "/")))
				rc = rg_error_set(err, RG_EINVAL,
						  ".manifest: overlapping roots \"%s\" and \"%s\"",
						  bundle->roots[i], root);
		}
		if (!rc)
			rc = add_root(bundle, root, err);
		free(root);
		if (rc)
			return rc;
	}
	return token == RG_JSON_ARRAY_END
		       ? RG_OK
		       : manifest_bad(reader, "roots must be an array of strings", err);
}

static int read_revision(struct rg_bundle *bundle, struct rg_json_reader *reader,
			 struct rg_error *err)
{
	if (rg_json_next(reader) != RG_JSON_STRING)
		return manifest_bad(reader, "revision must be a string", err);
	free(bundle->revision);
	bundle->revision = decoded(reader);
	if (!bundle->revision)
		return out_of_memory(err);
	if (strlen(bundle->revision) > RG_BUNDLE_REVISION_BYTES_MAX)
		return rg_error_set(err, RG_ELIMIT,
				    ".manifest: the revision has more than %d bytes",
				    RG_BUNDLE_REVISION_BYTES_MAX);
	bundle->has_manifest_revision = bundle->revision[0] != '\0';
	return RG_OK;
}

static int read_rego_version(struct rg_bundle *bundle, struct rg_json_reader *reader,
			     struct rg_error *err)
{
	int64_t version;

	if (rg_json_next(reader) != RG_JSON_NUMBER ||
	    !rg_json_int64(reader->text, reader->text_bytes, &version) || version < 0 ||
	    version > 1)
		return manifest_bad(reader, "rego_version must be 0 or 1", err);
	bundle->rego_version = (int)version;
	return RG_OK;
}

/* metadata.riskgate_version: a number that only grows. */
static int read_version(struct rg_bundle *bundle, struct rg_error *err)
{
	struct rg_json_reader reader;

	rg_json_reader_init(&reader, bundle->metadata_json, strlen(bundle->metadata_json));
	if (rg_json_next(&reader) != RG_JSON_OBJECT_BEGIN)
		return RG_OK;
	while (rg_json_next(&reader) == RG_JSON_KEY) {
		if (!rg_json_equals(&reader, "riskgate_version")) {
			rg_json_next(&reader);
			rg_json_skip(&reader);
			continue;
		}
		if (rg_json_next(&reader) != RG_JSON_NUMBER ||
		    !rg_json_int64(reader.text, reader.text_bytes, &bundle->version) ||
		    bundle->version < 0)
			return rg_error_set(
				err, RG_EINVAL,
				".manifest: metadata.riskgate_version must be an integer "
				"from 0");
	}
	return RG_OK;
}

static int read_metadata(struct rg_bundle *bundle, struct rg_json_reader *reader,
			 struct rg_error *err)
{
	const char *start;

	if (rg_json_next(reader) == RG_JSON_ERROR)
		return manifest_bad(reader, "", err);
	start = reader->token_at;
	if (rg_json_skip(reader))
		return manifest_bad(reader, "", err);
	free(bundle->metadata_json);
	bundle->metadata_json = copy_bytes(start, (size_t)(reader->at - start));
	return bundle->metadata_json ? read_version(bundle, err) : out_of_memory(err);
}

static int read_manifest(struct rg_bundle *bundle, struct rg_error *err)
{
	struct rg_json_reader reader;
	enum rg_json_token token;
	int rc = RG_OK;

	rg_json_reader_init(&reader, bundle->manifest_json, bundle->manifest_bytes);
	if (rg_json_next(&reader) != RG_JSON_OBJECT_BEGIN)
		return manifest_bad(&reader, "must be an object", err);
	while (!rc && (token = rg_json_next(&reader)) == RG_JSON_KEY) {
		if (rg_json_equals(&reader, "revision"))
			rc = read_revision(bundle, &reader, err);
		else if (rg_json_equals(&reader, "roots"))
			rc = read_roots(bundle, &reader, err);
		else if (rg_json_equals(&reader, "rego_version"))
			rc = read_rego_version(bundle, &reader, err);
		else if (rg_json_equals(&reader, "metadata"))
			rc = read_metadata(bundle, &reader, err);
		else if (rg_json_next(&reader) == RG_JSON_ERROR || rg_json_skip(&reader))
			rc = manifest_bad(&reader, "", err);
	}
	if (!rc && rg_json_next(&reader) != RG_JSON_END)
		rc = manifest_bad(&reader, "", err);
	return rc;
}

static int take_manifest(struct rg_bundle *bundle, const struct rg_member *manifest,
			 struct rg_error *err)
{
	int rc = RG_OK;

	bundle->rego_version = -1;
	bundle->version = -1;
	if (manifest) {
		bundle->manifest_json = copy_bytes(manifest->bytes, manifest->size);
		bundle->manifest_bytes = manifest->size;
		rc = bundle->manifest_json ? read_manifest(bundle, err) : out_of_memory(err);
	}
	if (!rc && !bundle->root_count)
		rc = add_root(bundle, "", err);
	if (!rc && !bundle->has_manifest_revision) {
		free(bundle->revision);
		bundle->revision = copy_bytes(bundle->sha256, 12);
		rc = bundle->revision ? RG_OK : out_of_memory(err);
	}
	return rc;
}

/* ---- data ---- */

/* YAML members become JSON in place, so that merging sees one form. */
static int convert_yaml(struct rg_member_list *list, struct rg_error *err)
{
	for (uint32_t i = 0; i < list->count; i++) {
		struct rg_member *member = &list->members[i];
		struct rg_json_writer writer;

		if (member->kind != RG_MEMBER_DATA_YAML)
			continue;
		rg_json_writer_init(&writer, false);
		if (rg_yaml_to_json(member->bytes, member->size, list->limits.file_bytes_max,
				    &writer, err)) {
			rg_json_writer_free(&writer);
			return rg_error_prefix(err, "%s", member->name);
		}
		free(member->bytes);
		member->bytes = writer.text;
		member->size = writer.bytes;
		member->kind = RG_MEMBER_DATA_JSON;
	}
	return RG_OK;
}

static bool is_data(const struct rg_member *member)
{
	return member->kind == RG_MEMBER_DATA_JSON;
}

int rg_bundle_merge_data(struct rg_member_list *list, struct rg_data_tree *tree,
			 struct rg_error *err)
{
	int rc = convert_yaml(list, err);

	for (uint32_t i = 0; !rc && i < list->count; i++) {
		if (is_data(&list->members[i]))
			rc = rg_data_tree_merge(tree, list->members[i].name, list->members[i].bytes,
						list->members[i].size, err);
	}
	return rc;
}

static int merge_data(struct rg_bundle *bundle, struct rg_member_list *list, struct rg_error *err)
{
	struct rg_data_tree *tree = rg_data_tree_new();
	struct rg_json_writer writer;
	int rc = tree ? rg_bundle_merge_data(list, tree, err) : out_of_memory(err);

	if (!rc)
		rc = rg_data_tree_check_roots(tree, bundle->roots, bundle->root_count, err);
	if (!rc) {
		rg_json_writer_init(&writer, false);
		rg_data_tree_write(tree, &writer);
		bundle->data_json = writer.text;
		bundle->data_bytes = writer.bytes;
		if (writer.failed)
			rc = out_of_memory(err);
	}
	rg_data_tree_free(tree);
	return rc;
}

/* One document at the root and roots that permit everything: it is the merged document as it
 * stands. */
static int take_data(struct rg_bundle *bundle, struct rg_member_list *list, struct rg_error *err)
{
	struct rg_member *only = NULL;
	struct rg_json_reader reader;
	enum rg_json_token token;
	int rc = convert_yaml(list, err);
	uint32_t count = 0;

	for (uint32_t i = 0; i < list->count; i++) {
		if (is_data(&list->members[i])) {
			only = &list->members[i];
			count++;
		}
	}
	if (rc || count != 1 || strchr(only->name, '/') || bundle->roots[0][0])
		return rc ? rc : merge_data(bundle, list, err);
	rg_json_reader_init(&reader, only->bytes, only->size);
	if (rg_json_next(&reader) != RG_JSON_OBJECT_BEGIN && !reader.error.status)
		return rg_error_set(err, RG_EINVAL, "%s: a data document must be a JSON object",
				    only->name);
	while ((token = rg_json_next(&reader)) != RG_JSON_END) {
		if (token == RG_JSON_ERROR)
			return rg_error_set(err, RG_EINVAL, "%s: %s", only->name,
					    reader.error.text);
	}
	bundle->data_json = only->bytes;
	bundle->data_bytes = only->size;
	only->bytes = NULL;
	return RG_OK;
}

/* ---- sources ---- */

/* The members' texts move to the bundle; their names are copied. */
static int take_sources(struct rg_bundle *bundle, struct rg_member_list *list, struct rg_error *err)
{
	bundle->sources = calloc(list->count + 1, sizeof(*bundle->sources));
	if (!bundle->sources)
		return out_of_memory(err);
	for (uint32_t i = 0; i < list->count; i++) {
		struct rg_member *member = &list->members[i];
		struct rg_bundle_source *source = &bundle->sources[bundle->source_count];

		if (member->kind != RG_MEMBER_REGO)
			continue;
		source->name = strdup(member->name);
		if (!source->name)
			return out_of_memory(err);
		source->text = member->bytes;
		member->bytes = NULL;
		bundle->source_count++;
	}
	return RG_OK;
}

/* ---- putting it together ---- */

static int take_plan(struct rg_bundle *bundle, struct rg_member_list *list, struct rg_error *err)
{
	struct rg_member *plan = (struct rg_member *)rg_member_list_find(list, RG_MEMBER_PLAN);

	if (!plan)
		return rg_error_set(err, RG_EINVAL, "has neither plan.json nor Rego: not a bundle");
	bundle->plan_json = plan->bytes;
	bundle->plan_bytes = plan->size;
	plan->bytes = NULL;
	return RG_OK;
}

/* The members (sorted, with a plan) become the bundle. */
static int assemble(struct rg_bundle *bundle, struct rg_member_list *list, struct rg_error *err)
{
	int rc = take_manifest(bundle, rg_member_list_find(list, RG_MEMBER_MANIFEST), err);

	if (!rc)
		rc = take_plan(bundle, list, err);
	return rc ? rc : take_data(bundle, list, err);
}

static int verify(struct rg_bundle *bundle, struct rg_member_list *list,
		  const struct rg_signature_policy *signing, struct rg_error *err)
{
	struct rg_signature_claims claims;
	int rc = signing ? rg_signature_verify(list, signing, &claims, err) : RG_OK;

	if (rc || !signing)
		return rc;
	bundle->is_verified = true;
	bundle->issued_at = claims.issued_at;
	rg_member_list_drop_ignored(list);
	return RG_OK;
}

/* A bundle that has its name, verified members and their hash. */
static int begin(const char *name, struct rg_member_list *list,
		 const struct rg_signature_policy *signing, struct rg_bundle **out,
		 struct rg_error *err)
{
	struct rg_bundle *bundle = calloc(1, sizeof(*bundle));
	int rc = bundle ? rg_member_list_sort(list, err) : out_of_memory(err);

	if (rc)
		rg_error_prefix(err, "bundle %s", name);
	if (!rc) {
		bundle->name = strdup(name);
		bundle->file_count = list->count;
		bundle->is_signed = rg_member_list_find(list, RG_MEMBER_SIGNATURES) != NULL;
		rc = bundle->name ? verify(bundle, list, signing, err) : out_of_memory(err);
	}
	if (!rc)
		rc = hash_members(list, bundle->sha256, err);
	if (rc)
		rg_bundle_free(bundle);
	else
		*out = bundle;
	return rc;
}

int rg_bundle_begin(const char *name, struct rg_member_list *list,
		    const struct rg_signature_policy *signing, struct rg_bundle **out,
		    struct rg_error *err)
{
	int rc = begin(name, list, signing, out, err);

	if (rc)
		return rc;
	rc = take_manifest(*out, rg_member_list_find(list, RG_MEMBER_MANIFEST), err);
	if (rc) {
		rg_bundle_free(*out);
		*out = NULL;
	}
	return rc;
}

int rg_bundle_from_members(const char *name, struct rg_member_list *list,
			   const struct rg_bundle_options *options, struct rg_bundle **out,
			   struct rg_error *err)
{
	static const struct rg_bundle_options defaults;
	struct rg_bundle *bundle = NULL;
	struct rg_member_list built;
	int rc;

	if (!options)
		options = &defaults;
	rg_member_list_init(&built, &options->limits);
	rc = begin(name, list, options->signing, &bundle, err);
	if (rc)
		rg_error_prefix(err, "bundle %s", name);
	if (!rc && !rg_member_list_find(list, RG_MEMBER_PLAN) &&
	    rg_member_list_find(list, RG_MEMBER_REGO)) {
		rc = rg_opa_build(list, name, options, &built, err);
		bundle->built = true;
	}
	if (!rc) {
		rc = assemble(bundle, bundle->built ? &built : list, err);
		if (rc)
			rg_error_prefix(err, "bundle %s", name);
	}
	if (!rc)
		rc = take_sources(bundle, list, err);
	rg_member_list_free(&built);
	if (rc)
		rg_bundle_free(bundle);
	else
		*out = bundle;
	return rc;
}

static bool looks_like_archive(const unsigned char *bytes, size_t size)
{
	return (size > 2 && bytes[0] == 0x1f && bytes[1] == 0x8b) ||
	       (size > 262 && !memcmp(bytes + 257, "ustar", 5));
}

static bool looks_like_json(const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (!strchr(" \t\r\n", bytes[i]) || !bytes[i])
			return bytes[i] == '{';
	}
	return false;
}

/* One file's bytes (malloc'ed, taken over) as members: an archive's, or the file itself under the
 * name it means. */
static int members_of_file(struct rg_member_list *list, const char *path, char *bytes, size_t size,
			   struct rg_error *err)
{
	size_t length = strlen(path);
	int rc;

	if (looks_like_archive((const unsigned char *)bytes, size)) {
		rc = rg_member_list_read_archive(list, path, bytes, size, err);
		free(bytes);
		return rc;
	}
	if (length > 5 && !strcmp(path + length - 5, ".rego")) {
		const char *slash = strrchr(path, '/');

		return rg_member_list_add(list, slash ? slash + 1 : path, bytes, size, err);
	}
	if (looks_like_json(bytes, size))
		return rg_member_list_add(list, "plan.json", bytes, size, err);
	free(bytes);
	return rg_error_set(err, RG_EINVAL,
			    "%s: is neither a tar, a tar.gz, a plan.json nor a .rego file", path);
}

int rg_bundle_load_memory(const char *name, const void *bytes, size_t byte_count,
			  const struct rg_bundle_options *options, struct rg_bundle **bundle,
			  struct rg_error *err)
{
	struct rg_member_list list;
	char *copy = copy_bytes(bytes, byte_count);
	int rc;

	rg_member_list_init(&list, options ? &options->limits : NULL);
	list.keep_ignored = options && options->signing;
	rc = copy ? members_of_file(&list, name, copy, byte_count, err) : out_of_memory(err);
	if (!rc)
		rc = rg_bundle_from_members(name, &list, options, bundle, err);
	rg_member_list_free(&list);
	return rc;
}

int rg_bundle_read_members(struct rg_member_list *list, const char *path, struct rg_error *err)
{
	struct stat status;
	size_t size;
	char *bytes;
	int rc;

	if (!stat(path, &status) && S_ISDIR(status.st_mode)) {
		rc = rg_member_list_read_folder(list, path, err);
		return rc ? rg_error_prefix(err, "%s", path) : RG_OK;
	}
	rc = rg_member_read_file(AT_FDCWD, path, list->limits.total_bytes_max, &bytes, &size, err);
	return rc ? rc : members_of_file(list, path, bytes, size, err);
}

int rg_bundle_load(const char *path, const struct rg_bundle_options *options,
		   struct rg_bundle **bundle, struct rg_error *err)
{
	struct rg_member_list list;
	char *name;
	int rc;

	if (!path || !*path)
		return rg_error_set(err, RG_EINVAL, "the path of a bundle is empty");
	rg_member_list_init(&list, options ? &options->limits : NULL);
	list.keep_ignored = options && options->signing;
	rc = rg_bundle_read_members(&list, path, err);
	name = rc ? NULL : name_of(path);
	if (!rc)
		rc = name ? rg_bundle_from_members(name, &list, options, bundle, err)
			  : out_of_memory(err);
	free(name);
	rg_member_list_free(&list);
	return rc;
}
