/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/decide_fixture.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "bundle/bundle.h"
#include "policy/compile/compile.h"
#include "policy/eval/eval.h"
#include "tools/loadgen/generator.h"
#include "tools/loadgen/request_pool.h"
#include "wire/sbe.h"

#define SCRATCH_BYTES (4u << 20)
#define ALIGNMENT     64

struct decide_fixture {
	struct rg_schema *schema;
	struct rg_reason_list reasons;
	struct rg_request_pool pool;
	void *image;
	struct rg_eval *eval;
	int template_index;
};

static void must(int status, const char *what, const struct rg_error *err)
{
	if (status == RG_OK)
		return;
	fprintf(stderr, "decide_bench: %s: %s\n", what, err->text);
	exit(1);
}

static void compile(struct decide_fixture *fixture, const struct rg_bundle *bundle,
		    const struct rg_binding *binding)
{
	struct rg_compile_options options = {
		.plan_json = bundle->plan_json,
		.plan_bytes = bundle->plan_bytes,
		.data_json = bundle->data_json,
		.data_bytes = bundle->data_bytes,
		.bundle = bundle->name,
		.revision = bundle->revision,
		.sequence = 1,
		.fields = rg_schema_fields(fixture->schema),
		.bindings = binding,
		.binding_count = 1,
		.reasons = &fixture->reasons,
		.default_verdict = RG_VERDICT_REVIEW,
		.failure_verdict = RG_VERDICT_DENY,
	};
	size_t image_bytes = 0, aligned;
	struct rg_error err;
	void *image, *memory;

	must(rg_compile(&options, &image, &image_bytes, &err), "compile", &err);
	aligned = (image_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	fixture->image = aligned_alloc(ALIGNMENT, aligned);
	memory = aligned_alloc(ALIGNMENT, rg_eval_footprint(SCRATCH_BYTES));
	if (!fixture->image || !memory)
		must(rg_error_set(&err, RG_ENOMEM, "no memory"), "evaluator", &err);
	memcpy(fixture->image, image, image_bytes);
	free(image);
	fixture->eval = rg_eval_new(memory, SCRATCH_BYTES);
	must(rg_eval_bind(fixture->eval, fixture->image, image_bytes, &err), "bind", &err);
}

static void generate(struct decide_fixture *fixture, const struct rg_template *template,
		     uint32_t count)
{
	struct rg_generator *generator;
	struct rg_error err;
	uint8_t *block;

	must(rg_generator_new(fixture->schema, template, 1, NULL, 0, &generator, &err), "generator",
	     &err);
	must(rg_request_pool_init(&fixture->pool, template, &err), "requests", &err);
	for (uint32_t i = 0; i < count; i++) {
		must(rg_request_pool_add(&fixture->pool, rg_schema_fields(fixture->schema), &block,
					 &err),
		     "requests", &err);
		rg_generator_fill(generator, block);
	}
	rg_generator_free(generator);
}

struct decide_fixture *decide_fixture_new(const char *root, const char *bundle_path,
					  const char *template_name, const char *package,
					  uint32_t request_count)
{
	struct decide_fixture *fixture = calloc(1, sizeof(*fixture));
	const struct rg_template *template;
	struct rg_bundle *bundle;
	struct rg_error err;
	char path[PATH_MAX];

	if (!fixture)
		must(rg_error_set(&err, RG_ENOMEM, "no memory"), "fixture", &err);
	snprintf(path, sizeof(path), "%s/examples/schema/riskgate.xml", root);
	must(rg_schema_load(path, &fixture->schema, &err), "schema", &err);
	snprintf(path, sizeof(path), "%s/examples/policies/%s", root, bundle_path);
	must(rg_bundle_load(path, NULL, &bundle, &err), "bundle", &err);
	compile(fixture, bundle, &(struct rg_binding){template_name, package});
	rg_bundle_free(bundle);
	template = rg_schema_template_by_name(fixture->schema, template_name);
	fixture->template_index =
		rg_eval_template(fixture->eval, template->schema_id, template->template_id);
	generate(fixture, template, request_count);
	return fixture;
}

int decide_fixture_decide(struct decide_fixture *fixture, uint64_t index)
{
	const uint8_t *message =
		rg_request_pool_message(&fixture->pool, index % fixture->pool.count);
	struct rg_outcome outcome;

	rg_decide(fixture->eval, fixture->template_index, message + RG_SBE_HEADER_BYTES,
		  fixture->pool.message_bytes - RG_SBE_HEADER_BYTES, 1795000000000000000, index,
		  &outcome);
	return outcome.verdict;
}

void decide_fixture_free(struct decide_fixture *fixture)
{
	rg_request_pool_free(&fixture->pool);
	rg_reason_list_free(&fixture->reasons);
	rg_schema_free(fixture->schema);
	free(fixture->eval);
	free(fixture->image);
	free(fixture);
}
