/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/bundle.h"

#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle/data.h"
#include "bundle/members.h"
#include "bundle/opa.h"
#include "bundle/yaml_json.h"

#define PLAN "{\"static\":{},\"plans\":{\"plans\":[]},\"funcs\":{\"funcs\":[]}}"

static char directory[64];

static const char *path_in(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void write_file(const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s", path_in(name));
	for (char *slash = path + strlen(directory) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	file = fopen(path, "w");
	assert(file);
	fputs(text, file);
	assert(!fclose(file));
}

/* ---- archives in memory ---- */

struct blob {
	char *bytes;
	size_t used, capacity;
	struct archive *archive;
};

static void blob_open(struct blob *blob, size_t capacity, bool gzip)
{
	blob->capacity = capacity;
	blob->bytes = malloc(capacity);
	assert(blob->bytes);
	blob->archive = archive_write_new();
	archive_write_set_format_pax_restricted(blob->archive);
	if (gzip)
		archive_write_add_filter_gzip(blob->archive);
	archive_write_set_bytes_in_last_block(blob->archive, 1);
	assert(archive_write_open_memory(blob->archive, blob->bytes, capacity, &blob->used) ==
	       ARCHIVE_OK);
}

static void blob_add_n(struct blob *blob, const char *name, const char *text, size_t bytes)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0644);
	archive_entry_set_size(entry, (int64_t)bytes);
	assert(archive_write_header(blob->archive, entry) == ARCHIVE_OK);
	assert(archive_write_data(blob->archive, text, bytes) == (ssize_t)bytes);
	archive_entry_free(entry);
}

static void blob_add(struct blob *blob, const char *name, const char *text)
{
	blob_add_n(blob, name, text, strlen(text));
}

static void blob_add_special(struct blob *blob, const char *name, unsigned type,
			     const char *symlink_to, const char *hardlink_to)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, type);
	archive_entry_set_perm(entry, 0644);
	archive_entry_set_size(entry, 0);
	if (symlink_to)
		archive_entry_set_symlink(entry, symlink_to);
	if (hardlink_to)
		archive_entry_set_hardlink(entry, hardlink_to);
	assert(archive_write_header(blob->archive, entry) == ARCHIVE_OK);
	archive_entry_free(entry);
}

static void blob_close(struct blob *blob)
{
	assert(archive_write_close(blob->archive) == ARCHIVE_OK);
	archive_write_free(blob->archive);
}

/* Close the blob, load it, want this status and a text that holds `what`. */
static void want_refused(struct blob *blob, const struct rg_bundle_options *options, int status,
			 const char *what)
{
	struct rg_bundle *bundle = NULL;
	struct rg_error err;
	int rc;

	blob_close(blob);
	rc = rg_bundle_load_memory("test", blob->bytes, blob->used, options, &bundle, &err);
	if (rc != status || !strstr(err.text, what))
		fprintf(stderr, "status %d, text: %s; wanted %d, \"%s\"\n", rc, rc ? err.text : "",
			status, what);
	assert(rc == status && !bundle && strstr(err.text, what));
	free(blob->bytes);
}

static void test_names(void)
{
	static const char *const good[][2] = {{"/data.json", "data.json"},
					      {"./a/b.rego", "a/b.rego"},
					      {"a..b/c", "a..b/c"},
					      {"//x", "x"}};
	static const char *const refused[] = {"",   "/",   "../x", "a/../b", "a//b",
					      "a/", "a/.", "./.",  "a\\b",   "a\nb"};
	char name[2 * RG_BUNDLE_NAME_BYTES_MAX];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		strcpy(name, good[i][0]);
		assert(!rg_member_name_normalise(name, NULL) && !strcmp(name, good[i][1]));
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		strcpy(name, refused[i]);
		assert(rg_member_name_normalise(name, NULL) == RG_EINVAL);
	}
	memset(name, 'x', sizeof(name));
	name[RG_BUNDLE_NAME_BYTES_MAX] = '\0';
	assert(!rg_member_name_normalise(name, NULL));
	memset(name, 'x', sizeof(name));
	name[RG_BUNDLE_NAME_BYTES_MAX + 1] = '\0';
	assert(rg_member_name_normalise(name, NULL) == RG_ELIMIT);

	assert(rg_member_kind_of("plan.json") == RG_MEMBER_PLAN &&
	       rg_member_kind_of("a/plan.json") == RG_MEMBER_IGNORED);
	assert(rg_member_kind_of("a/data.json") == RG_MEMBER_DATA_JSON &&
	       rg_member_kind_of("x.json") == RG_MEMBER_IGNORED);
	assert(rg_member_kind_of("data.yml") == RG_MEMBER_DATA_YAML &&
	       rg_member_kind_of(".rego") == RG_MEMBER_IGNORED);
	assert(rg_member_kind_of(".manifest") == RG_MEMBER_MANIFEST &&
	       rg_member_kind_of("a/.manifest") == RG_MEMBER_IGNORED);
}

/* ---- data ---- */

static void want_merged(const char *const (*files)[2], size_t count, int status, const char *wanted)
{
	struct rg_data_tree *tree = rg_data_tree_new();
	struct rg_json_writer writer;
	struct rg_error err = {0};
	int rc = RG_OK;

	for (size_t i = 0; i < count && !rc; i++)
		rc = rg_data_tree_merge(tree, files[i][0], files[i][1], strlen(files[i][1]), &err);
	if (rc) {
		if (rc != status || !strstr(err.text, wanted))
			fprintf(stderr, "%s\n", err.text);
		assert(rc == status && strstr(err.text, wanted));
	} else {
		rg_json_writer_init(&writer, false);
		rg_data_tree_write(tree, &writer);
		if (status || strcmp(writer.text, wanted))
			fprintf(stderr, "%s\n", writer.text);
		assert(!status && !strcmp(writer.text, wanted));
		rg_json_writer_free(&writer);
	}
	rg_data_tree_free(tree);
}

#define MERGED(status, wanted, ...)                                                                \
	do {                                                                                       \
		static const char *const files[][2] = {__VA_ARGS__};                               \
		want_merged(files, sizeof(files) / sizeof(files[0]), status, wanted);              \
	} while (0)

static void test_data(void)
{
	MERGED(RG_OK, "{}", {"data.json", "{}"});
	MERGED(RG_OK, "{\"a\":1.50,\"b\":[1, 2]}", {"data.json", "{\"a\": 1.50, \"b\": [1, 2]}"});
	MERGED(RG_OK, "{\"x\":{\"y\":{\"k\":1}}}", {"x/y/data.json", "{\"k\":1}"});
	MERGED(RG_OK, "{\"x\":{\"a\":1,\"y\":{\"k\":1},\"z\":{}}}",
	       {"data.json", "{\"x\":{\"a\":1}}"}, {"x/y/data.json", "{\"k\":1}"},
	       {"x/z/data.json", "{}"});
	MERGED(RG_OK, "{\"x\":{\"y\":{\"k\":1,\"l\":2}}}", {"x/y/data.json", "{\"k\":1}"},
	       {"data.json", "{\"x\":{\"y\":{\"l\":2}}}"});
	MERGED(RG_OK, "{\"a\":2}", {"data.json", "{\"a\":{\"b\":1},\"a\":2}"}); /* the last wins */
	MERGED(RG_OK, "{\"a\":{\"c\":2}}", {"data.json", "{\"a\":{\"b\":1},\"a\":{\"c\":2}}"});
	MERGED(RG_OK, "{\"é\":1}", {"data.json", "{\"\\u00e9\":1}"});
	MERGED(RG_OK, "{\"é\":{\"a\":1,\"b\":2}}", {"data.json", "{\"\\u00e9\":{\"a\":1}}"},
	       {"é/data.json", "{\"b\":2}"});
	MERGED(RG_ECONFLICT, "data.json and x/data.json both give data at \"x/k\"",
	       {"data.json", "{\"x\":{\"k\":1}}"}, {"x/data.json", "{\"k\":1}"});
	MERGED(RG_ECONFLICT, "both give data at \"x\"", {"data.json", "{\"x\":[]}"},
	       {"x/data.json", "{}"});
	MERGED(RG_EINVAL, "a/data.json: a data document must be", {"a/data.json", "[]"});
	MERGED(RG_EINVAL, "a/data.json: line 1 column 6", {"a/data.json", "{\"a\":}"});
	MERGED(RG_EINVAL, "text after the document", {"data.json", "{}{}"});
	MERGED(RG_EINVAL, "ends too early", {"data.json", "{\"a\":{\"b\":"});
}

/* Random documents, merged in pieces, give what one document gives. */
static void test_data_random(void)
{
	const unsigned seed = 20260722;
	const int keys = 400;

	printf("random data, seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < 20; round++) {
		struct rg_data_tree *tree = rg_data_tree_new();
		char names[400][32], texts[400][64];
		struct rg_json_writer writer;
		uint32_t seen = 0;

		for (int i = 0; i < keys; i++) {
			snprintf(names[i], sizeof(names[i]), "g%d/data.json", rand() % 7);
			snprintf(texts[i], sizeof(texts[i]), "{\"k%d\":%d,\"o\":{\"k%d\":[%d]}}", i,
				 i, i, i);
			assert(!rg_data_tree_merge(tree, names[i], texts[i], strlen(texts[i]),
						   NULL));
		}
		rg_json_writer_init(&writer, false);
		rg_data_tree_write(tree, &writer);
		for (int i = 0; i < keys; i++) {
			char wanted[64];

			snprintf(wanted, sizeof(wanted), "\"k%d\":%d", i, i);
			seen += strstr(writer.text, wanted) != NULL;
			snprintf(wanted, sizeof(wanted), "\"k%d\":[%d]", i, i);
			seen += strstr(writer.text, wanted) != NULL;
		}
		assert(seen == 2 * (uint32_t)keys);
		rg_json_writer_free(&writer);
		rg_data_tree_free(tree);
	}
}

static void test_roots(void)
{
	static const char text[] = "{\"a\":{\"b\":1,\"c\":2},\"d\":{}}";
	struct rg_data_tree *tree = rg_data_tree_new();
	char *everything[] = {""}, *both[] = {"a", "d"}, *part[] = {"a/b", "d"},
	     *narrow[] = {"a/b/x", "a/c", "d"}, *alike[] = {"a", "dd"};
	struct rg_error err;

	assert(!rg_data_tree_merge(tree, "data.json", text, strlen(text), NULL));
	assert(!rg_data_tree_check_roots(tree, everything, 1, NULL) &&
	       !rg_data_tree_check_roots(tree, both, 2, NULL));
	assert(rg_data_tree_check_roots(tree, part, 2, &err) == RG_ECONFLICT &&
	       strstr(err.text, "\"a/c\""));
	assert(rg_data_tree_check_roots(tree, narrow, 3, &err) == RG_ECONFLICT &&
	       strstr(err.text, "\"a/b\""));
	assert(rg_data_tree_check_roots(tree, alike, 2, &err) == RG_ECONFLICT &&
	       strstr(err.text, "\"d\""));
	rg_data_tree_free(tree);
}

/* ---- YAML ---- */

static void want_yaml(const char *yaml, int status, const char *wanted)
{
	struct rg_json_writer writer;
	struct rg_error err = {0};
	int rc;

	rg_json_writer_init(&writer, false);
	rc = rg_yaml_to_json(yaml, strlen(yaml), 1000, &writer, &err);
	if (rc != status || !strstr(rc ? err.text : writer.text, wanted))
		fprintf(stderr, "%d: %s\n", rc, rc ? err.text : writer.text);
	assert(rc == status &&
	       (rc ? strstr(err.text, wanted) != NULL : !strcmp(writer.text, wanted)));
	rg_json_writer_free(&writer);
}

static void test_yaml(void)
{
	want_yaml("a: 1\nb: -07\nc: +3.50\nd: .5\ne: 5.\nf: 1e3\n", RG_OK,
		  "{\"a\":1,\"b\":-7,\"c\":3.50,\"d\":0.5,\"e\":5,\"f\":1e3}");
	want_yaml("a: yes\nb: on\nc: True\nd: FALSE\ne: ~\nf:\ng: 0x1F\nh: 0o17\ni: 0x\n", RG_OK,
		  "{\"a\":\"yes\",\"b\":\"on\",\"c\":true,\"d\":false,\"e\":null,\"f\":null,\"g\":"
		  "31,\"h\":15,\"i\":\"0x\"}");
	want_yaml("a: '1'\nb: \"true\"\nc: |\n  x\n  y\nd: 1.2.3\ne: 12345678901234567890123\nf: "
		  "'+'\ng: -\n",
		  RG_EINVAL, "line");
	want_yaml("a: '1'\nb: \"true\"\nc: |\n  x\n  y\nd: 1.2.3\ne: 12345678901234567890123\nf: "
		  "+\n1: x\n",
		  RG_OK,
		  "{\"a\":\"1\",\"b\":\"true\",\"c\":\"x\\ny\\n\",\"d\":\"1.2.3\",\"e\":"
		  "12345678901234567890123,\"f\":\"+\",\"1\":\"x\"}");
	want_yaml("a: &x [1, 2]\nb: *x\nc: {d: [e, !!int 7]}\n", RG_OK,
		  "{\"a\":[1,2],\"b\":[1,2],\"c\":{\"d\":[\"e\",7]}}");
	want_yaml("{\"json\": [1, \"two\", null]}", RG_OK, "{\"json\":[1,\"two\",null]}");
	want_yaml("", RG_OK, "null");
	want_yaml("a: .inf\n", RG_EINVAL, "line 1 column 4: JSON has no infinity");
	want_yaml("a: 1\n---\nb: 2\n", RG_EINVAL, "more than one");
	want_yaml("a: {<<: {b: 1}}\n", RG_EINVAL, "merge keys");
	want_yaml("? [a]\n: 1\n", RG_EINVAL, "a key must be a scalar");
	want_yaml("a: !!binary abc\n", RG_EINVAL, "a tag");
	want_yaml("a: [1\n", RG_EINVAL, "line");
	/* every level doubles: the bound on the output stops it */
	want_yaml("a: &a [xxxxxxxxxx, xxxxxxxxxx]\nb: &b [*a, *a, *a, *a]\nc: &c [*b, *b, *b, "
		  "*b]\nd: &d [*c, *c, *c, *c]\n",
		  RG_ELIMIT, "expands");
}

/* ---- whole bundles ---- */

static void test_folder(void)
{
	struct rg_bundle *bundle, *again;
	struct rg_error err;
	char sha256[65];

	write_file("payments/plan.json", PLAN);
	write_file("payments/data.json", "{\"limits\": {\"max\": 10.10}}");
	assert(!rg_bundle_load(path_in("payments"), NULL, &bundle, &err));
	assert(!strcmp(bundle->name, "payments") && !strcmp(bundle->plan_json, PLAN) &&
	       bundle->plan_bytes == strlen(PLAN));
	assert(!strcmp(bundle->data_json, "{\"limits\": {\"max\": 10.10}}"));
	assert(strlen(bundle->revision) == 12 && !strncmp(bundle->revision, bundle->sha256, 12));
	assert(!bundle->has_manifest_revision && !bundle->is_signed && !bundle->built &&
	       bundle->rego_version == -1);
	assert(bundle->root_count == 1 && !bundle->roots[0][0]);
	strcpy(sha256, bundle->sha256);
	rg_bundle_free(bundle);

	/* ignored files and folders change nothing; content does */
	write_file("payments/README.md", "hello");
	write_file("payments/.git/data.json", "{\"x\":1}");
	assert(!rg_bundle_load(path_in("payments/"), NULL, &again, &err) &&
	       !strcmp(again->sha256, sha256));
	rg_bundle_free(again);
	write_file("payments/limits/more/data.yaml", "rate: 5\n");
	write_file("payments/.manifest",
		   "{\"revision\":\"r7\",\"roots\":[\"limits\"],\"rego_version\":1,\"metadata\":{"
		   "\"a\":[1]},\"other\":{\"x\":[]}}");
	write_file("payments/.signatures.json", "{}");
	assert(!rg_bundle_load(path_in("payments"), NULL, &bundle, &err));
	assert(strcmp(bundle->sha256, sha256) && !strcmp(bundle->revision, "r7") &&
	       bundle->has_manifest_revision);
	assert(!strcmp(bundle->data_json, "{\"limits\":{\"max\":10.10,\"more\":{\"rate\":5}}}"));
	assert(bundle->is_signed && bundle->rego_version == 1 &&
	       !strcmp(bundle->metadata_json, "{\"a\":[1]}"));
	assert(bundle->root_count == 1 && !strcmp(bundle->roots[0], "limits"));
	rg_bundle_free(bundle);

	write_file("payments/.manifest", "{\"roots\":[\"other\"]}");
	assert(rg_bundle_load(path_in("payments"), NULL, &bundle, &err) == RG_ECONFLICT);
	assert(strstr(err.text, "outside the manifest's roots"));
	write_file("payments/.manifest", "{\"roots\":[\"limits\",\"limits/more\"]}");
	assert(rg_bundle_load(path_in("payments"), NULL, &bundle, &err) == RG_EINVAL &&
	       strstr(err.text, "overlapping roots"));
	write_file("payments/.manifest", "{\"revision\":7}");
	assert(rg_bundle_load(path_in("payments"), NULL, &bundle, &err) == RG_EINVAL);
	assert(strstr(err.text, ".manifest: line 1 column 13: revision must be a string"));
	write_file("payments/.manifest", "{\"rego_version\":2}");
	assert(rg_bundle_load(path_in("payments"), NULL, &bundle, &err) == RG_EINVAL &&
	       strstr(err.text, "rego_version"));
	write_file("payments/.manifest", "{");
	assert(rg_bundle_load(path_in("payments"), NULL, &bundle, &err) == RG_EINVAL &&
	       strstr(err.text, "too early"));
	write_file("payments/.manifest", "{}");
	write_file("payments/limits/data.json", "{\"max\":1}");
	assert(rg_bundle_load(path_in("payments"), NULL, &bundle, &err) == RG_ECONFLICT);
	assert(strstr(err.text, "data.json and limits/data.json both give data at \"limits/max\""));

	assert(rg_bundle_load(path_in("absent"), NULL, &bundle, &err) == RG_ENOENT);
	assert(rg_bundle_load("", NULL, &bundle, &err) == RG_EINVAL &&
	       rg_bundle_load(NULL, NULL, &bundle, &err) == RG_EINVAL);
	mkdir(path_in("empty"), 0700);
	assert(rg_bundle_load(path_in("empty"), NULL, &bundle, &err) == RG_EINVAL &&
	       strstr(err.text, "neither plan.json nor Rego"));
	assert(rg_bundle_load("/dev/zero", NULL, &bundle, &err) == RG_EINVAL &&
	       strstr(err.text, "not a regular file"));
	rg_bundle_free(NULL);
}

static void test_single_files(void)
{
	struct rg_bundle *bundle;
	struct rg_error err;

	write_file("only/plan.json", "\n" PLAN);
	assert(!rg_bundle_load(path_in("only/plan.json"), NULL, &bundle, &err));
	assert(!strcmp(bundle->name, "only") && !strcmp(bundle->data_json, "{}") &&
	       bundle->file_count == 1);
	rg_bundle_free(bundle);
	write_file("strange.bin", "what");
	assert(rg_bundle_load(path_in("strange.bin"), NULL, &bundle, &err) == RG_EINVAL &&
	       strstr(err.text, "is neither a tar"));
	write_file("nothing.json", "");
	assert(rg_bundle_load(path_in("nothing.json"), NULL, &bundle, &err) == RG_EINVAL);
}

static void test_archive(void)
{
	struct rg_bundle *bundle, *plain;
	struct rg_error err;
	struct blob blob;

	for (int gzip = 0; gzip < 2; gzip++) {
		blob_open(&blob, 1 << 16, gzip);
		blob_add_special(&blob, "a/", AE_IFDIR, NULL, NULL);
		blob_add(&blob, "/data.json", "{\"a\":1}");
		blob_add(&blob, "/x/p.rego", "package p");
		blob_add(&blob, "./plan.json", PLAN);
		blob_add(&blob, "b/data.json", "{\"c\":2}");
		blob_add(&blob, ".manifest", "{\"revision\":\"seven\"}");
		blob_close(&blob);
		assert(!rg_bundle_load_memory("dir/pay.tar.gz", blob.bytes, blob.used, NULL,
					      &bundle, &err));
		assert(!strcmp(bundle->revision, "seven") &&
		       !strcmp(bundle->data_json, "{\"b\":{\"c\":2},\"a\":1}"));
		assert(!strcmp(bundle->plan_json, PLAN) && bundle->file_count == 5 &&
		       !bundle->built);
		/* every truncation is refused or, past the last member, the same bundle; none
		 * crashes */
		for (size_t cut = 0; cut < blob.used; cut += 7) {
			if (!rg_bundle_load_memory("cut", blob.bytes, cut, NULL, &plain, &err)) {
				assert(!strcmp(plain->plan_json, PLAN));
				rg_bundle_free(plain);
			}
		}
		rg_bundle_free(bundle);
		free(blob.bytes);
	}
}

static void test_hostile_archives(void)
{
	struct rg_bundle_options small = {
		.limits = {.members_max = 3, .file_bytes_max = 4096, .total_bytes_max = 6000}};
	char *zeros = calloc(1, 64 << 20);
	struct blob blob;

	blob_open(&blob, 1 << 16, true);
	blob_add(&blob, "../plan.json", PLAN);
	want_refused(&blob, NULL, RG_EINVAL, "leaves the bundle");
	blob_open(&blob, 1 << 16, true);
	blob_add(&blob, "a/../../data.json", "{}");
	want_refused(&blob, NULL, RG_EINVAL, "leaves the bundle");
	blob_open(&blob, 1 << 16, true);
	blob_add_special(&blob, "data.json", AE_IFLNK, "/etc/passwd", NULL);
	want_refused(&blob, NULL, RG_EINVAL, "link or a device");
	blob_open(&blob, 1 << 16, true);
	blob_add(&blob, "plan.json", PLAN);
	blob_add_special(&blob, "data.json", AE_IFREG, NULL, "plan.json");
	want_refused(&blob, NULL, RG_EINVAL, "link or a device");
	blob_open(&blob, 1 << 16, true);
	blob_add_special(&blob, "data.json", AE_IFCHR, NULL, NULL);
	want_refused(&blob, NULL, RG_EINVAL, "link or a device");
	blob_open(&blob, 1 << 16, true);
	blob_add_special(&blob, "data.json", AE_IFIFO, NULL, NULL);
	want_refused(&blob, NULL, RG_EINVAL, "link or a device");
	blob_open(&blob, 1 << 16, true);
	blob_add(&blob, "/plan.json", PLAN);
	blob_add(&blob, "plan.json", PLAN);
	want_refused(&blob, NULL, RG_ECONFLICT, "plan.json: is in the bundle twice");
	for (int i = 0; i < 2; i++) { /* a member too many, kept or ignored */
		blob_open(&blob, 1 << 16, true);
		blob_add(&blob, "a/data.json", "{}");
		blob_add(&blob, "b/data.json", "{}");
		blob_add(&blob, "c/data.json", "{}");
		blob_add(&blob, i ? "ignored" : "plan.json", PLAN);
		want_refused(&blob, &small, RG_ELIMIT, "more than 3 files");
	}
	for (int i = 0; i < 2;
	     i++) { /* a bomb, wanted or ignored: 64 MiB of zeros in some 64 KiB */
		blob_open(&blob, 1 << 20, true);
		blob_add_n(&blob, i ? "ignored" : "data.json", zeros, 64 << 20);
		assert(blob.used < (1 << 18));
		want_refused(&blob, &small, RG_ELIMIT, "the limit for one file");
	}
	blob_open(&blob, 1 << 20, true);
	blob_add_n(&blob, "a/data.json", zeros, 4000);
	blob_add_n(&blob, "b/data.json", zeros, 4000);
	want_refused(&blob, &small, RG_ELIMIT, "with it the bundle has more than 6000 bytes");
	memset(zeros, 'n', 2000);
	zeros[2000] = '\0';
	blob_open(&blob, 1 << 20, true);
	blob_add(&blob, zeros, "{}");
	want_refused(&blob, NULL, RG_ELIMIT, "its name has");
	free(zeros);
}

/* ---- opa ---- */

static void test_package_names(void)
{
	static const struct {
		const char *rego, *path;
	} cases[] = {{"package payments\nallow := true", "payments"},
		     {"# METADATA\n# title: x\n\npackage a.b.c # end", "a/b/c"},
		     {"\xef\xbb\xbfpackage a[\"b c\"].d\n", "a/b c/d"},
		     {"package\n  x", "x"},
		     {"packages x", NULL},
		     {"import x", NULL},
		     {"package", NULL},
		     {"package a.", NULL},
		     {"package a[\"b\\n\"]", NULL},
		     {"", NULL}};
	char path[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool found = rg_opa_package_of(cases[i].rego, path, sizeof(path));

		assert(found == (cases[i].path != NULL) &&
		       (!found || !strcmp(path, cases[i].path)));
	}
	assert(!rg_opa_package_of("package abcdefghij", path, 8));
}

/* A stand-in for opa: behaves as the first line of the policy tells it to. */
static void write_fake_opa(void)
{
	write_file("fake-opa",
		   "#!/bin/sh\n"
		   "case $(cat p.rego) in\n"
		   "*hang*) sleep 100 ;;\n"
		   "*silent*) exec >&- 2>&-; sleep 100 ;;\n"
		   "*refuse*) echo 'error: p.rego:3: rego_parse_error: no' >&2; exit 1 ;;\n"
		   "*nothing*) exit 0 ;;\n"
		   "esac\n"
		   "out=; while [ $# -gt 0 ]; do [ \"$1\" = --output ] && out=$2; echo \"$1\" >> "
		   "ARGS; shift; done\n"
		   "cp PLAN plan.json && tar cf \"$out\" plan.json\n");
}

static void fake_opa_for(const char *plan)
{
	char script[4096], *at;
	size_t size;
	char *text;

	write_fake_opa();
	assert(!rg_member_read_file(-100, path_in("fake-opa"), 4096, &text, &size, NULL));
	/* ARGS and PLAN are files of the test's folder */
	script[0] = '\0';
	for (char *from = text; *from; from = at) {
		at = from + 1;
		if (!strncmp(from, "ARGS", 4) || !strncmp(from, "PLAN", 4)) {
			snprintf(script + strlen(script), sizeof(script) - strlen(script),
				 "%s/%.4s", directory, from);
			at = from + 4;
		} else {
			snprintf(script + strlen(script), sizeof(script) - strlen(script), "%c",
				 *from);
		}
	}
	free(text);
	write_file("fake-opa", script);
	assert(!chmod(path_in("fake-opa"), 0700));
	write_file("PLAN", plan);
	write_file("ARGS", "");
}

static void test_fake_opa(void)
{
	static const char plan[] = "{\"plans\":{\"plans\":[]},\"funcs\":{\"funcs\":[{\"name\":"
				   "\"f\",\"path\":[\"g0\",\"pay\",\"deny\"]},"
				   "{\"path\":[\"g0\",\"pay\",\"review\",\"sub\"]},{\"path\":["
				   "\"g0\",\"pay\",\"helper\"]},"
				   "{\"path\":[\"g0\",\"other\",\"deny\"]}]}}";
	const char *packages[] = {"pay", "absent.one"}, *wrong[] = {"x"},
		   *entrypoints[] = {"pay/helper"}, *optional[] = {"system/log", "my/log"};
	struct rg_bundle_options options = {.packages = packages, .package_count = 2, .v0 = true};
	struct rg_bundle *bundle;
	struct rg_error err;
	char opa[256];
	size_t size;
	char *text;

	fake_opa_for(plan);
	snprintf(opa, sizeof(opa), "%s", path_in("fake-opa"));
	options.opa = opa;
	write_file("rego/p.rego", "package pay\n");
	write_file("rego/p_test.rego", "package pay_test\n");
	assert(!rg_bundle_load(path_in("rego"), &options, &bundle, &err));
	assert(bundle->built && !strcmp(bundle->name, "rego") && !strcmp(bundle->plan_json, plan) &&
	       strlen(bundle->revision) == 12);
	rg_bundle_free(bundle);
	assert(!rg_member_read_file(-100, path_in("ARGS"), 1 << 16, &text, &size, NULL));
	assert(strstr(text, "--entrypoint\npay\n") &&
	       strstr(text, "--entrypoint\npay/deny\n--entrypoint\npay/review\nbuild") == NULL);
	assert(strstr(text, "--v0-compatible\n--entrypoint\npay/deny\n--entrypoint\npay/review\n"));
	assert(!strstr(text, "pay/helper") && !strstr(text, "absent") && !strstr(text, "other"));
	free(text);

	/* an optional package is planned where it is defined, and only there */
	options.optional = optional;
	options.optional_count = 2;
	write_file("rego/log.rego", "package system.log\n");
	write_file("ARGS", "");
	assert(!rg_bundle_load(path_in("rego"), &options, &bundle, &err));
	rg_bundle_free(bundle);
	assert(!rg_member_read_file(-100, path_in("ARGS"), 1 << 16, &text, &size, NULL));
	assert(strstr(
		text,
		"--entrypoint\npay/deny\n--entrypoint\npay/review\n--entrypoint\nsystem/log\n"));
	assert(!strstr(text, "my/log"));
	free(text);
	assert(!unlink(path_in("rego/log.rego")));

	options.entrypoints = entrypoints;
	options.entrypoint_count = 1;
	options.package_count = 0;
	write_file("ARGS", "");
	assert(!rg_bundle_load(path_in("rego/p.rego"), &options, &bundle, &err));
	rg_bundle_free(bundle);
	assert(!rg_member_read_file(-100, path_in("ARGS"), 1 << 16, &text, &size, NULL));
	assert(strstr(text, "pay/helper") && !strstr(text, "pay/deny"));
	free(text);
	options.entrypoint_count = 0;
	options.packages = wrong;
	options.package_count = 1;
	assert(rg_bundle_load(path_in("rego"), &options, &bundle, &err) == RG_EINVAL);
	assert(strstr(
		err.text,
		"none of the packages that requests are bound to (x) is in it; it defines: pay"));

	options.package_count = 0;
	write_file("rego/p.rego", "package pay # refuse\n");
	assert(rg_bundle_load(path_in("rego"), &options, &bundle, &err) == RG_EINVAL);
	assert(strstr(err.text, "opa refuses it: p.rego:3: rego_parse_error: no"));
	write_file("rego/p.rego", "package pay # nothing\n");
	assert(rg_bundle_load(path_in("rego"), &options, &bundle, &err) == RG_ENOENT &&
	       strstr(err.text, "opa's output"));
	options.build_timeout_ms = 100;
	write_file("rego/p.rego", "package pay # hang\n");
	assert(rg_bundle_load(path_in("rego"), &options, &bundle, &err) == RG_EAGAIN &&
	       strstr(err.text, "did not finish in 100 ms"));
	write_file("rego/p.rego", "package pay # silent\n");
	assert(rg_bundle_load(path_in("rego"), &options, &bundle, &err) == RG_EAGAIN);
	options.opa = "/nowhere/opa";
	assert(rg_bundle_load(path_in("rego"), &options, &bundle, &err) == RG_ENOENT &&
	       strstr(err.text, "install opa"));
}

/* With the real program, where there is one (argument 1). */
static void test_real_opa(const char *opa)
{
	const char *packages[] = {"payments", "orders"};
	struct rg_bundle_options options = {.opa = opa, .packages = packages, .package_count = 2};
	struct rg_bundle *bundle;
	struct rg_error err = {0};

	write_file("real/sub/p.rego", "package payments\n\nimport rego.v1\n\ndefault allow := "
				      "false\n\nallow if input.amount < data.limit\n\n"
				      "deny contains \"big\" if input.amount > 100000\n");
	write_file(
		"real/p_test.rego",
		"package payments_test\n\ntest_x if data.payments.allow with input.amount as 1\n");
	write_file("real/data.json", "{\"limit\": 10000}");
	if (rg_bundle_load(path_in("real"), &options, &bundle, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	assert(bundle->built && strstr(bundle->plan_json, "\"payments/allow\"") &&
	       strstr(bundle->plan_json, "\"payments/deny\""));
	assert(strstr(bundle->data_json, "10000") && strstr(bundle->plan_json, "sub/p.rego"));
	rg_bundle_free(bundle);
	write_file("real/sub/p.rego", "package payments\n\nallow { input.amount < 1 }\n");
	assert(rg_bundle_load(path_in("real"), &options, &bundle, &err) == RG_EINVAL &&
	       strstr(err.text, "sub/p.rego:3"));
	options.v0 = true;
	unlink(path_in("real/p_test.rego"));
	assert(!rg_bundle_load(path_in("real"), &options, &bundle, &err));
	rg_bundle_free(bundle);
	options.v0 = false;
	write_file("real/.manifest", "{\"rego_version\":0,\"revision\":\"v0\"}");
	assert(!rg_bundle_load(path_in("real"), &options, &bundle, &err) &&
	       !strcmp(bundle->revision, "v0"));
	rg_bundle_free(bundle);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

int main(int argc, char **argv)
{
	snprintf(directory, sizeof(directory), "/tmp/riskgate-bundle-test-XXXXXX");
	assert(mkdtemp(directory));
	if (argc > 1) {
		test_real_opa(argv[1]);
	} else {
		test_names();
		test_data();
		test_data_random();
		test_roots();
		test_yaml();
		test_folder();
		test_single_files();
		test_archive();
		test_hostile_archives();
		test_package_names();
		test_fake_opa();
	}
	nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}
