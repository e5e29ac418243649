/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed programs against the rules they were made of: the example policies, with their data and
 * with data changed at random, decide random requests both ways. The whole outcome must be the
 * same. Requests are the examples' own with some fields changed: absent, at random, or one of the
 * policy's own numbers and texts, exactly or a unit beside it, so that every limit is met from both
 * sides.
 *
 *	typed_test EXAMPLES [SEED]		the folder examples/
 */
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/bundle.h"
#include "bundle/members.h"
#include "policy/eval/eval.h"
#include "policy/testdata/requests.h"
#include "wire/sbe.h"
#include "wire/sbe_json.h"

#define SCRATCH_BYTES	 ((uint64_t)4 << 20)
#define FILE_BYTES_MAX	 ((size_t)1 << 20)
#define KEPT_MAX	 70 /* more than two bursts of lanes */
#define SAMPLES_MAX	 16
#define ATOMS_MAX	 512
#define REQUESTS	 20000
#define CHANGED_DATA	 60
#define CHANGED_REQUESTS 250

struct policy {
	const char *name, *bundle, *template_name, *package;
	unsigned typed_percent; /* of the requests with whole blocks: at least */
};

static const struct policy policies[] = {
	{"risk_control", "risk_control_v1-1", "PaymentAuthorization", "risk_control", 100},
	{"payments", "payments-1", "PaymentAuthorization", "payments", 90},
	{"pretrade", "pretrade-1", "NewOrder", "pretrade", 90},
};

/* A number or a text of the policy's data. */
struct atom {
	int64_t mantissa;
	int scale;
	char text[24];
};

/* A request, and what the rules make of it. */
struct kept {
	uint8_t *block;
	uint32_t bytes;
	struct rg_outcome rules;
};

struct suite {
	const struct policy *policy;
	struct rg_schema *schema;
	const struct rg_template *template;
	struct rg_bundle *bundle;
	struct chance chance;
	struct rg_eval *eval;
	struct rg_reason_list reasons;
	const char *data; /* that the policy was compiled with */
	size_t data_bytes;
	void *image;
	uint8_t samples[SAMPLES_MAX][RG_SCHEMA_BLOCK_BYTES_MAX];
	uint32_t sample_count;
	struct atom atoms[ATOMS_MAX];
	uint32_t atom_count;
	uint64_t verdicts[4], fired;
	uint64_t whole; /* requests that were not cut */
	struct kept kept[KEPT_MAX];
	uint32_t kept_count, burst;
};

static void must(int status, const struct rg_error *err)
{
	if (!status)
		return;
	fprintf(stderr, "typed_test: %s\n", err->text);
	exit(1);
}

/* ---- the policy ---- */

/* Compile the policy with this data and bind the evaluator to it. False: the data is refused. */
static bool use_data(struct suite *suite, const char *data, size_t bytes)
{
	struct rg_binding binding = {suite->policy->template_name, suite->policy->package};
	struct rg_compile_options options = {
		.plan_json = suite->bundle->plan_json,
		.plan_bytes = suite->bundle->plan_bytes,
		.data_json = data,
		.data_bytes = bytes,
		.bundle = suite->policy->name,
		.sequence = 1,
		.fields = rg_schema_fields(suite->schema),
		.bindings = &binding,
		.binding_count = 1,
		.reasons = &suite->reasons,
	};
	struct rg_error err = {0};
	size_t image_bytes;
	int status;

	suite->data = data;
	suite->data_bytes = bytes;
	free(suite->image);
	suite->image = NULL;
	status = rg_compile(&options, &suite->image, &image_bytes, &err);
	if (status)
		return false;
	must(rg_eval_bind(suite->eval, suite->image, image_bytes, &err), &err);
	return true;
}

static void add_number(struct suite *suite, const char *text)
{
	struct atom *atom = &suite->atoms[suite->atom_count];
	const char *point;
	char digits[24];

	if (suite->atom_count == ATOMS_MAX || strlen(text) >= sizeof(digits) - 1)
		return;
	strcpy(digits, text);
	point = strchr(text, '.');
	atom->scale = point ? (int)strlen(point + 1) : 0;
	if (point)
		memmove(digits + (point - text), point + 1, strlen(point));
	atom->mantissa = (int64_t)strtoull(digits, NULL, 10);
	suite->atom_count++;
}

static void add_text(struct suite *suite, const char *text, size_t bytes)
{
	struct atom *atom = &suite->atoms[suite->atom_count];

	if (suite->atom_count == ATOMS_MAX || bytes >= sizeof(atom->text))
		return;
	memcpy(atom->text, text, bytes);
	atom->mantissa = (int64_t)strtoull(atom->text, NULL, 10);
	suite->atom_count++;
}

/* The texts and numbers in JSON, as far as there is room. */
static void find_atoms(struct suite *suite, const char *json, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		char number[32] = "";
		size_t from = i;

		if (json[i] == '"') {
			while (json[++i] != '"')
				;
			add_text(suite, json + from + 1, i - from - 1);
		} else if (json[i] >= '0' && json[i] <= '9') {
			while (i < bytes && strchr("0123456789.", json[i]) &&
			       i - from < sizeof(number) - 1) {
				number[i - from] = json[i];
				i++;
			}
			add_number(suite, number);
		}
	}
}

static void read_samples(struct suite *suite, const char *folder)
{
	static uint8_t message[RG_SCHEMA_BLOCK_BYTES_MAX + 64];
	char path[PATH_MAX], *json;
	struct dirent *entry;
	struct rg_error err;
	DIR *directory = opendir(folder);
	size_t bytes, written;

	assert(directory);
	while ((entry = readdir(directory)) != NULL && suite->sample_count < SAMPLES_MAX) {
		if (*entry->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		must(rg_member_read_file(AT_FDCWD, path, FILE_BYTES_MAX, &json, &bytes, &err),
		     &err);
		must(rg_sbe_from_json(suite->schema, suite->policy->template_name, json, bytes,
				      message, sizeof(message), &written, &err),
		     &err);
		memcpy(suite->samples[suite->sample_count++], message + RG_SBE_HEADER_BYTES,
		       suite->template->block_length);
		free(json);
	}
	closedir(directory);
	assert(suite->sample_count);
}

/* ---- requests ---- */

/* One of the policy's numbers as the field would hold it, or a unit beside. */
static uint64_t limit_value(struct suite *suite, const struct rg_field *field)
{
	const struct atom *atom = &suite->atoms[chance_below(&suite->chance, suite->atom_count)];
	int64_t mantissa = atom->mantissa;
	int scale = field->kind == RG_FIELD_DECIMAL ? -field->exponent : 0;

	for (int i = atom->scale; i < scale; i++)
		mantissa = (int64_t)((uint64_t)mantissa * 10);
	for (int i = scale; i < atom->scale; i++)
		mantissa /= 10;
	return (uint64_t)mantissa + chance_below(&suite->chance, 3) - 1;
}

static uint64_t number_value(struct suite *suite, const struct rg_field *field)
{
	switch (chance_below(&suite->chance, 6)) {
	case 0: return field->null_value;
	case 1: return chance_next(&suite->chance);
	case 2: return chance_below(&suite->chance, 1000000);
	case 3: return chance_below(&suite->chance, 10000) * 100ull; /* whole amounts and prices */
	default: return limit_value(suite, field);
	}
}

static uint64_t named_value(struct suite *suite, const struct rg_field *field)
{
	const struct rg_field_name *names =
		rg_schema_fields(suite->schema)->names + field->names_first;
	uint32_t pick = chance_below(&suite->chance, field->names_count + 2);

	if (field->kind == RG_FIELD_SET)
		return chance_next(&suite->chance) & chance_next(&suite->chance) &
		       chance_next(&suite->chance);
	return pick < field->names_count    ? names[pick].value
	       : pick == field->names_count ? field->null_value
					    : 77;
}

static void change_chars(struct suite *suite, const struct rg_field *field, uint8_t *at)
{
	const struct atom *atom = &suite->atoms[chance_below(&suite->chance, suite->atom_count)];

	memset(at, 0, field->length);
	if (chance_below(&suite->chance, 5))
		memcpy(at, atom->text, strnlen(atom->text, field->length));
	else
		for (uint32_t i = 0; i < field->length; i++) /* behind a NUL anything may follow */
			at[i] = "AUSXx\0"[chance_below(&suite->chance, 6)];
}

static void change_field(struct suite *suite, uint8_t *block)
{
	const struct rg_field *field = rg_schema_fields(suite->schema)->fields +
				       suite->template->fields_first +
				       chance_below(&suite->chance, suite->template->fields_count);
	uint64_t raw;

	if (field->constant)
		return;
	if (field->kind == RG_FIELD_CHARS) {
		change_chars(suite, field, block + field->offset);
		return;
	}
	raw = field->kind == RG_FIELD_INT || field->kind == RG_FIELD_DECIMAL
		      ? number_value(suite, field)
		      : named_value(suite, field);
	memcpy(block + field->offset, &raw, field->bytes);
}

static void print_outcome(const struct suite *suite, const char *by,
			  const struct rg_outcome *outcome)
{
	fprintf(stderr, "%s: verdict %u result %u score %" PRId64 " fired %u:", by,
		outcome->verdict, outcome->result, outcome->score_micro, outcome->reasons_fired);
	for (int i = 0; i < outcome->reason_count; i++)
		fprintf(stderr, " %s",
			outcome->reasons[i] <= suite->reasons.count
				? suite->reasons.names[outcome->reasons[i] - 1]
				: "other");
	fprintf(stderr, "\n");
}

static void compare_outcomes(const struct suite *suite, const struct kept *kept, const char *by,
			     const struct rg_outcome *typed)
{
	if (!memcmp(typed, &kept->rules, sizeof(*typed)))
		return;
	fprintf(stderr, "%s: a block of %u bytes:", suite->policy->name, kept->bytes);
	for (uint32_t i = 0; i < kept->bytes; i++)
		fprintf(stderr, " %02x", kept->block[i]);
	fprintf(stderr, "\ndata: %.*s\n", (int)suite->data_bytes, suite->data);
	print_outcome(suite, by, typed);
	print_outcome(suite, "rules", &kept->rules);
	abort();
}

/* Those kept, all together. */
static void decide_burst(struct suite *suite, int template_index, enum rg_eval_vectors vectors)
{
	static const char *const names[RG_EVAL_VECTORS] = {"burst", "burst, avx2", "burst, avx512"};
	struct rg_decide_request requests[KEPT_MAX];
	struct rg_outcome outcomes[KEPT_MAX];

	memset(outcomes, 0xaa, sizeof(outcomes));
	for (uint32_t i = 0; i < suite->kept_count; i++)
		requests[i] = (struct rg_decide_request){suite->kept[i].block, suite->kept[i].bytes,
							 2, &outcomes[i]};
	if (rg_eval_use_vectors(suite->eval, vectors) != vectors)
		return; /* this machine has it not */
	rg_decide_burst(suite->eval, template_index, requests, suite->kept_count, 1);
	for (uint32_t i = 0; i < suite->kept_count; i++)
		compare_outcomes(suite, &suite->kept[i], names[vectors], &outcomes[i]);
}

static void decide_kept(struct suite *suite, int template_index)
{
	for (int vectors = 0; vectors < RG_EVAL_VECTORS; vectors++)
		decide_burst(suite, template_index, (enum rg_eval_vectors)vectors);
	for (uint32_t i = 0; i < suite->kept_count; i++)
		free(suite->kept[i].block);
	suite->kept_count = 0;
}

/* By rules and by the typed program; and keep it for a burst. */
static void decide_alone(struct suite *suite, int template_index, const uint8_t *block,
			 uint32_t bytes)
{
	struct kept *kept = &suite->kept[suite->kept_count++];
	struct rg_outcome typed;

	kept->block = malloc(bytes + 1); /* its very size, for the sanitizer */
	kept->bytes = bytes;
	assert(kept->block);
	memcpy(kept->block, block, bytes);
	rg_decide(suite->eval, template_index, kept->block, bytes, 1, 2, &typed);
	rg_eval_use_typed(suite->eval, false);
	rg_decide(suite->eval, template_index, kept->block, bytes, 1, 2, &kept->rules);
	rg_eval_use_typed(suite->eval, true);
	compare_outcomes(suite, kept, "typed program", &typed);
	suite->verdicts[kept->rules.verdict]++;
	suite->fired += kept->rules.reasons_fired;
}

static void decide_requests(struct suite *suite, int count)
{
	int template_index = rg_eval_template(suite->eval, suite->template->schema_id,
					      suite->template->template_id);
	uint8_t block[RG_SCHEMA_BLOCK_BYTES_MAX];

	assert(template_index >= 0);
	for (int i = 0; i < count; i++) {
		uint32_t bytes = suite->template->block_length,
			 changes = chance_below(&suite->chance, 5);

		memcpy(block, suite->samples[chance_below(&suite->chance, suite->sample_count)],
		       bytes);
		while (changes--)
			change_field(suite, block);
		if (!chance_below(&suite->chance, 20)) /* cut short: for the rules */
			bytes = chance_below(&suite->chance, bytes + 1);
		suite->whole += bytes == suite->template->block_length;
		decide_alone(suite, template_index, block, bytes);
		if (suite->kept_count == suite->burst) {
			decide_kept(suite, template_index);
			suite->burst = 1 + chance_below(&suite->chance, KEPT_MAX);
		}
	}
	decide_kept(suite, template_index);
}

/* ---- changed data ---- */

/* The data with some numbers and booleans changed. */
static char *changed_data(struct suite *suite, const char *json, size_t bytes,
			  size_t *changed_bytes)
{
	static const char *const values[] = {"0",     "-1",	"1",	  "1.5",
					     "0.001", "99.995", "1e3",	  "1.0",
					     "250",   "18",	"null",	  "12345678901234567890",
					     "true",  "false",	"\"US\"", "[1]"};
	char *changed = malloc(4 * bytes + 64), *to = changed;
	bool in_text = false;

	assert(changed);
	for (size_t i = 0; i < bytes; i++) {
		bool starts = !in_text &&
			      (strchr("0123456789-", json[i]) || !strncmp(json + i, "true", 4));

		if (json[i] == '"')
			in_text = !in_text;
		if (!starts || chance_below(&suite->chance, 40)) {
			do
				*to++ = json[i];
			while (starts && strchr("0123456789.-+eEtrufals", json[i + 1]) &&
			       ++i < bytes);
			continue;
		}
		to = stpcpy(
			to,
			values[chance_below(&suite->chance, sizeof(values) / sizeof(values[0]))]);
		while (strchr("0123456789.-+eEtrufals", json[i + 1]))
			i++;
	}
	*changed_bytes = (size_t)(to - changed);
	return changed;
}

static void test_changed_data(struct suite *suite)
{
	uint32_t accepted = 0;

	for (int i = 0; i < CHANGED_DATA && suite->bundle->data_bytes; i++) {
		size_t bytes;
		char *data = changed_data(suite, suite->bundle->data_json,
					  suite->bundle->data_bytes, &bytes);

		if (use_data(suite, data, bytes)) {
			accepted++;
			decide_requests(suite, CHANGED_REQUESTS);
		}
		free(data);
	}
	assert(!suite->atom_count || suite->bundle->data_bytes < 100 ||
	       accepted > CHANGED_DATA / 2);
}

/* ---- all ---- */

static void begin(struct suite *suite, const char *examples)
{
	char path[PATH_MAX];
	struct rg_error err;

	snprintf(path, sizeof(path), "%s/schema/riskgate.xml", examples);
	must(rg_schema_load(path, &suite->schema, &err), &err);
	suite->template = rg_schema_template_by_name(suite->schema, suite->policy->template_name);
	snprintf(path, sizeof(path), "%s/policies/%s/bundles/%s.tar.gz", examples,
		 suite->policy->name, suite->policy->bundle);
	must(rg_bundle_load(path, NULL, &suite->bundle, &err), &err);
	snprintf(path, sizeof(path), "%s/policies/%s/requests", examples, suite->policy->name);
	read_samples(suite, path);
	suite->eval =
		rg_eval_new(aligned_alloc(64, rg_eval_footprint(SCRATCH_BYTES)), SCRATCH_BYTES);
	assert(suite->eval);
	add_number(suite, "10000");
	add_number(suite, "100000");
	add_text(suite, "US", 2);
	find_atoms(suite, suite->bundle->data_json, suite->bundle->data_bytes);
}

static void test_policy(const struct policy *policy, const char *examples, uint64_t seed)
{
	struct suite *suite = calloc(1, sizeof(*suite));
	struct rg_eval_counts counts;

	assert(suite);
	suite->policy = policy;
	suite->chance.state = seed;
	suite->burst = 1;
	begin(suite, examples);
	assert(use_data(suite, suite->bundle->data_json, suite->bundle->data_bytes));
	decide_requests(suite, REQUESTS);
	counts = rg_eval_counts(suite->eval);
	printf("%s: %d requests, %" PRIu64 " by the typed program, which gave up on %" PRIu64
	       "; %" PRIu64 " allow, %" PRIu64 " deny, %" PRIu64 " review, %" PRIu64 " reasons\n",
	       policy->name, REQUESTS, counts.typed, counts.given_up,
	       suite->verdicts[RG_VERDICT_ALLOW], suite->verdicts[RG_VERDICT_DENY],
	       suite->verdicts[RG_VERDICT_REVIEW], suite->fired);
	/* alone, and in a burst of either kind */
	assert(counts.typed * 100 >= 3 * suite->whole * policy->typed_percent);
	test_changed_data(suite);
	free(suite->image);
	free(suite->eval);
	rg_reason_list_free(&suite->reasons);
	rg_bundle_free(suite->bundle);
	rg_schema_free(suite->schema);
	free(suite);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 0x9e3779b97f4a7c15ull;

	if (argc < 2 || !seed) {
		fprintf(stderr, "usage: typed_test EXAMPLES [SEED]\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
		test_policy(&policies[i], argv[1], seed);
	return 0;
}
