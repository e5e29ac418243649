/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/policy_fixture.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundle/bundle.h"
#include "bundle/members.h"
#include "policy/compile/compile.h"
#include "policy/eval/eval.h"
#include "wire/sbe.h"
#include "wire/sbe_json.h"

#define SCRATCH_BYTES  (32u << 20) /* the parsed requests lie in it too */
#define ALIGNMENT      64
#define FILE_BYTES_MAX (256ull << 20)
#define NOW_NS	       1795000000000000000

struct policy_fixture {
	struct rg_schema *schema;
	const struct rg_template *template;
	void *image;
	size_t image_bytes;
	struct rg_eval *eval;
	int template_index;
	uint64_t failures;

	char *json; /* all requests; a line each */
	uint32_t count, message_bytes;
	const char **line;
	uint32_t *line_bytes;
	uint8_t *messages;	/* count x message_bytes, header and block */
	struct rg_value *value; /* parsed, in the heap below parsed_bytes */
	uint64_t parsed_bytes;
};

struct load_fixture {
	struct rg_schema *schema;
	struct rg_binding binding;
	char *bytes;
	size_t byte_count;
};

static void must(int status, const char *what, const struct rg_error *err)
{
	if (status == RG_OK)
		return;
	fprintf(stderr, "policy_bench: %s: %s\n", what, err->text);
	exit(1);
}

static void *must_allocate(void *memory)
{
	struct rg_error err;

	if (!memory)
		must(rg_error_set(&err, RG_ENOMEM, "no memory"), "allocate", &err);
	return memory;
}

static struct rg_schema *load_schema(const char *root)
{
	char path[PATH_MAX];
	struct rg_schema *schema;
	struct rg_error err;

	snprintf(path, sizeof(path), "%s/examples/schema/riskgate.xml", root);
	must(rg_schema_load(path, &schema, &err), path, &err);
	return schema;
}

/* A verified image of the bundle; to be freed. */
static void *compile(const struct rg_bundle *bundle, const struct rg_schema *schema,
		     const struct rg_binding *binding, size_t *image_bytes)
{
	struct rg_reason_list reasons = {0};
	struct rg_compile_options options = {
		.plan_json = bundle->plan_json,
		.plan_bytes = bundle->plan_bytes,
		.data_json = bundle->data_json,
		.data_bytes = bundle->data_bytes,
		.bundle = bundle->name,
		.revision = bundle->revision,
		.sequence = 1,
		.fields = rg_schema_fields(schema),
		.bindings = binding,
		.binding_count = 1,
		.reasons = &reasons,
		.default_verdict = RG_VERDICT_REVIEW,
		.failure_verdict = RG_VERDICT_DENY,
	};
	struct rg_error err;
	void *image;

	must(rg_compile(&options, &image, image_bytes, &err), bundle->name, &err);
	rg_reason_list_free(&reasons);
	return image;
}

/* ---- deciding ---- */

static void bind(struct policy_fixture *fixture, const void *image)
{
	size_t aligned = (fixture->image_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	struct rg_error err;

	fixture->image = must_allocate(aligned_alloc(ALIGNMENT, aligned));
	memcpy(fixture->image, image, fixture->image_bytes);
	fixture->eval = rg_eval_new(
		must_allocate(aligned_alloc(ALIGNMENT, rg_eval_footprint(SCRATCH_BYTES))),
		SCRATCH_BYTES);
	must(rg_eval_bind(fixture->eval, fixture->image, fixture->image_bytes, &err), "bind", &err);
	fixture->template_index = rg_eval_template(fixture->eval, fixture->template->schema_id,
						   fixture->template->template_id);
}

static uint32_t count_lines(const char *text)
{
	uint32_t count = 0;

	while ((text = strchr(text, '\n')) != NULL) {
		text++;
		count++;
	}
	return count;
}

static void encode(struct policy_fixture *fixture, uint32_t index)
{
	uint8_t *message = fixture->messages + (size_t)index * fixture->message_bytes;
	struct rg_error err;
	size_t written;

	must(rg_sbe_from_json(fixture->schema, fixture->template->name, fixture->line[index],
			      fixture->line_bytes[index], message, fixture->message_bytes, &written,
			      &err),
	     "request", &err);
	must(rg_value_parse(rg_eval_heap(fixture->eval), fixture->line[index],
			    fixture->line_bytes[index], &fixture->value[index], &err),
	     "request", &err);
}

static void read_requests(struct policy_fixture *fixture, const char *path)
{
	const char *at;
	struct rg_error err;
	size_t bytes;

	must(rg_member_read_file(AT_FDCWD, path, FILE_BYTES_MAX, &fixture->json, &bytes, &err),
	     path, &err);
	fixture->count = count_lines(fixture->json);
	fixture->message_bytes = RG_SBE_HEADER_BYTES + fixture->template->block_length;
	fixture->line = must_allocate(calloc(fixture->count, sizeof(*fixture->line)));
	fixture->line_bytes = must_allocate(calloc(fixture->count, sizeof(*fixture->line_bytes)));
	fixture->messages = must_allocate(calloc(fixture->count, fixture->message_bytes));
	fixture->value = must_allocate(calloc(fixture->count, sizeof(*fixture->value)));
	at = fixture->json;
	for (uint32_t i = 0; i < fixture->count; i++) {
		fixture->line[i] = at;
		fixture->line_bytes[i] = (uint32_t)strcspn(at, "\n");
		at += fixture->line_bytes[i] + 1;
		encode(fixture, i);
	}
	fixture->parsed_bytes = rg_eval_heap(fixture->eval)->used;
}

struct policy_fixture *policy_fixture_new(const char *root, const char *folder,
					  const char *template_name, const char *package)
{
	struct policy_fixture *fixture = must_allocate(calloc(1, sizeof(*fixture)));
	struct rg_bundle *bundle;
	struct rg_error err;
	char path[PATH_MAX];
	void *image;

	fixture->schema = load_schema(root);
	fixture->template = rg_schema_template_by_name(fixture->schema, template_name);
	snprintf(path, sizeof(path), "%s/bundle.tar.gz", folder);
	must(rg_bundle_load(path, NULL, &bundle, &err), path, &err);
	image = compile(bundle, fixture->schema, &(struct rg_binding){template_name, package},
			&fixture->image_bytes);
	rg_bundle_free(bundle);
	bind(fixture, image);
	free(image);
	snprintf(path, sizeof(path), "%s/requests.jsonl", folder);
	read_requests(fixture, path);
	return fixture;
}

void policy_fixture_free(struct policy_fixture *fixture)
{
	rg_schema_free(fixture->schema);
	free(fixture->eval);
	free(fixture->image);
	free(fixture->json);
	free(fixture->line);
	free(fixture->line_bytes);
	free(fixture->messages);
	free(fixture->value);
	free(fixture);
}

uint64_t policy_fixture_image_bytes(const struct policy_fixture *fixture)
{
	return fixture->image_bytes;
}

const void *policy_fixture_image(const struct policy_fixture *fixture)
{
	return fixture->image;
}

const struct rg_schema *policy_fixture_schema(const struct policy_fixture *fixture)
{
	return fixture->schema;
}

const uint8_t *policy_fixture_message(const struct policy_fixture *fixture, uint64_t index,
				      uint32_t *bytes)
{
	*bytes = fixture->message_bytes;
	return fixture->messages + index % fixture->count * fixture->message_bytes;
}

uint64_t policy_fixture_request_count(const struct policy_fixture *fixture)
{
	return fixture->count;
}

uint64_t policy_fixture_failures(const struct policy_fixture *fixture)
{
	return fixture->failures;
}

static int conclude(struct policy_fixture *fixture, const struct rg_outcome *outcome)
{
	fixture->failures += outcome->result != RG_EVAL_OK;
	return outcome->verdict;
}

static const uint8_t *message_at(const struct policy_fixture *fixture, uint64_t index)
{
	return fixture->messages + index % fixture->count * fixture->message_bytes;
}

int policy_fixture_decide(struct policy_fixture *fixture, uint64_t index)
{
	const uint8_t *block = message_at(fixture, index) + RG_SBE_HEADER_BYTES;
	struct rg_outcome outcome;

	rg_decide(fixture->eval, fixture->template_index, block, fixture->template->block_length,
		  NOW_NS, index, &outcome);
	return conclude(fixture, &outcome);
}

int policy_fixture_decide_burst(struct policy_fixture *fixture, uint64_t index)
{
	struct rg_decide_request requests[POLICY_FIXTURE_BURST];
	struct rg_outcome outcomes[POLICY_FIXTURE_BURST];

	for (uint32_t i = 0; i < POLICY_FIXTURE_BURST; i++)
		requests[i] = (struct rg_decide_request){
			.block = message_at(fixture, index + i) + RG_SBE_HEADER_BYTES,
			.block_bytes = fixture->template->block_length,
			.seed = index + i,
			.outcome = &outcomes[i]};
	rg_decide_burst(fixture->eval, fixture->template_index, requests, POLICY_FIXTURE_BURST, 1);
	for (uint32_t i = 0; i < POLICY_FIXTURE_BURST; i++)
		conclude(fixture, &outcomes[i]);
	return outcomes[0].verdict;
}

int policy_fixture_decode_decide(struct policy_fixture *fixture, uint64_t index)
{
	const struct rg_template *template;
	struct rg_sbe_message message;
	struct rg_outcome outcome;
	uint32_t cursor = 0, bytes;

	if (rg_sbe_next(message_at(fixture, index), fixture->message_bytes, &cursor, &message) !=
	    RG_SBE_MESSAGE)
		return RG_VERDICT_NONE;
	template = rg_schema_template_by_id(fixture->schema, message.header.schema_id,
					    message.header.template_id);
	bytes = rg_sbe_visible_bytes(rg_schema_fields(fixture->schema), template, &message);
	rg_decide(fixture->eval,
		  rg_eval_template(fixture->eval, message.header.schema_id,
				   message.header.template_id),
		  message.block, bytes, NOW_NS, message.request_id, &outcome);
	return conclude(fixture, &outcome);
}

static int decide_value(struct policy_fixture *fixture, struct rg_value input, uint64_t index)
{
	struct rg_query query = {.input = input, .now_ns = NOW_NS, .seed = index};
	struct rg_outcome outcome;
	struct rg_error err;

	rg_decide_value(fixture->eval, fixture->template_index, &query, &outcome, &err);
	return conclude(fixture, &outcome);
}

int policy_fixture_decide_value(struct policy_fixture *fixture, uint64_t index)
{
	struct rg_heap *heap = rg_eval_heap(fixture->eval);

	rg_heap_reset(heap);
	heap->used = fixture->parsed_bytes;
	return decide_value(fixture, fixture->value[index % fixture->count], index);
}

int policy_fixture_parse_decide_value(struct policy_fixture *fixture, uint64_t index)
{
	struct rg_heap *heap = rg_eval_heap(fixture->eval);
	uint64_t at = index % fixture->count;
	struct rg_value input;
	struct rg_error err;

	rg_heap_reset(heap);
	must(rg_value_parse(heap, fixture->line[at], fixture->line_bytes[at], &input, &err),
	     "request", &err);
	return decide_value(fixture, input, index);
}

/* ---- loading ---- */

struct load_fixture *load_fixture_new(const char *root, const char *path, const char *template_name,
				      const char *package)
{
	struct load_fixture *fixture;
	struct rg_error err;

	if (access(path, R_OK) != 0)
		return NULL;
	fixture = must_allocate(calloc(1, sizeof(*fixture)));
	fixture->schema = load_schema(root);
	fixture->binding = (struct rg_binding){template_name, package};
	must(rg_member_read_file(AT_FDCWD, path, FILE_BYTES_MAX, &fixture->bytes,
				 &fixture->byte_count, &err),
	     path, &err);
	return fixture;
}

void load_fixture_free(struct load_fixture *fixture)
{
	rg_schema_free(fixture->schema);
	free(fixture->bytes);
	free(fixture);
}

uint64_t load_fixture_bundle_bytes(const struct load_fixture *fixture)
{
	return fixture->byte_count;
}

uint64_t load_fixture_load(struct load_fixture *fixture)
{
	struct rg_bundle *bundle;
	struct rg_error err;
	size_t image_bytes;

	must(rg_bundle_load_memory("bundle", fixture->bytes, fixture->byte_count, NULL, &bundle,
				   &err),
	     "bundle", &err);
	free(compile(bundle, fixture->schema, &fixture->binding, &image_bytes));
	rg_bundle_free(bundle);
	return image_bytes;
}
