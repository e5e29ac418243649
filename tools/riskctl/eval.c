/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riskctl eval: one evaluation without a running appliance, by the compiler and the evaluator that
 * the data plane uses.
 *
 *	bundle ──load──► plan, data ──compile──► image ──verify──► evaluator
 *	                                                               │
 *	                value of an entrypoint, or verdict of a request ◄──┘
 *
 * For a template the JSON input is encoded as the SBE message that a client would send, so that
 * what is tried here is what comes in on the wire.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/bundle.h"
#include "policy/compile/compile.h"
#include "policy/eval/eval.h"
#include "policy/image/image.h"
#include "tools/riskctl/cli.h"
#include "tools/riskctl/clock.h"
#include "tools/riskctl/format.h"
#include "tools/riskctl/json_member.h"
#include "wire/decision.h"
#include "wire/sbe_json.h"

enum {
	OPTION_BUNDLE,
	OPTION_PLAN,
	OPTION_DATA,
	OPTION_INPUT,
	OPTION_ENTRYPOINT,
	OPTION_TEMPLATE,
	OPTION_PACKAGE,
	OPTION_SCHEMA,
	OPTION_STRICT,
	OPTION_V0,
	OPTION_OPA
};
static const struct rg_option options[] = {
	[OPTION_BUNDLE] =
		{"bundle", 'b', RG_OPTION_TEXT, "PATH", 0, 0, NULL,
		 "the policy: a bundle (.tar.gz or folder), or Rego,\nwhich opa then builds"},
	[OPTION_PLAN] = {"plan", 'p', RG_OPTION_TEXT, "FILE", 0, 0, NULL,
			 "the policy: a plan.json"},
	[OPTION_DATA] = {"data", 'd', RG_OPTION_TEXT, "FILE", 0, 0, NULL,
			 "use this data document, not the bundle's"},
	[OPTION_INPUT] = {"input", 'i', RG_OPTION_TEXT, "FILE", 0, 0, NULL,
			  "JSON input; - is standard input"},
	[OPTION_ENTRYPOINT] = {"entrypoint", 'e', RG_OPTION_TEXT, "NAME", 0, 0, NULL,
			       "evaluate this rule: payments/deny"},
	[OPTION_TEMPLATE] = {"template", 't', RG_OPTION_TEXT, "NAME", 0, 0, NULL,
			     "decide a request of this type instead"},
	[OPTION_PACKAGE] = {"package", 0, RG_OPTION_TEXT, "NAME", 0, 0, NULL,
			    "the package that decides it; without it, the one\nthat the "
			    "configuration binds to the template"},
	[OPTION_SCHEMA] = {"schema", 0, RG_OPTION_TEXT, "FILE", 0, 0, NULL,
			   "request schema, not the configuration's"},
	[OPTION_STRICT] = {"strict", 0, RG_OPTION_FLAG, NULL, 0, 0, NULL,
			   "errors of built-ins end the evaluation"},
	[OPTION_V0] = {"v0", 0, RG_OPTION_FLAG, NULL, 0, 0, NULL,
		       "Rego to be built is of language version 0"},
	[OPTION_OPA] = {"opa", 0, RG_OPTION_TEXT, "PATH", 0, 0, "opa", "the opa program"},
	{NULL},
};

#define SCRATCH_BYTES (256ull << 20)
#define IMAGE_ALIGN   64

/* Everything of one evaluation; freed as a whole. */
struct job {
	struct rg_cli *cli;
	const struct rg_option_value *option;
	struct rg_bundle *bundle;
	char *data, *input;
	size_t data_bytes, input_bytes;
	const char *template_name; /* NULL: an entrypoint is evaluated */
	const char *package;
	struct rg_reason_list reasons;
	void *image;
	size_t image_bytes;
	void *eval_memory;
	struct rg_eval *eval;
	uint64_t now_ns;
	uint64_t took_ns;
};

static void free_job(struct job *job)
{
	free(job->eval_memory);
	free(job->image);
	rg_reason_list_free(&job->reasons);
	free(job->input);
	free(job->data);
	rg_bundle_free(job->bundle);
}

/* ---- what to evaluate ---- */

static int choose_package(struct job *job)
{
	struct rg_cli *cli = job->cli;
	int status;

	job->package = job->option[OPTION_PACKAGE].text;
	if (job->package)
		return RG_OK;
	status = rg_cli_config(cli);
	for (uint32_t i = 0; !status && !job->package && i < cli->config->templates_count; i++)
		if (strcmp(cli->config->templates[i].template_name, job->template_name) == 0)
			job->package = cli->config->templates[i].package;
	if (!status && !job->package)
		return rg_cli_misused(cli,
				      "--template %s: the configuration binds no package to it: "
				      "give one with --package",
				      job->template_name);
	return status;
}

static int check_use(struct job *job)
{
	const struct rg_option_value *option = job->option;

	if (!option[OPTION_BUNDLE].text == !option[OPTION_PLAN].text)
		return rg_cli_misused(job->cli, "eval needs a policy: either --bundle or --plan");
	if (!option[OPTION_ENTRYPOINT].text == !option[OPTION_TEMPLATE].text)
		return rg_cli_misused(
			job->cli,
			"eval needs something to evaluate: either --entrypoint or --template");
	if (option[OPTION_TEMPLATE].text && !option[OPTION_INPUT].text)
		return rg_cli_misused(job->cli, "--template %s needs a request: --input FILE",
				      option[OPTION_TEMPLATE].text);
	if (option[OPTION_PACKAGE].text && !option[OPTION_TEMPLATE].text)
		return rg_cli_misused(job->cli, "--package goes with --template");
	job->template_name = option[OPTION_TEMPLATE].text;
	return job->template_name ? choose_package(job) : RG_OK;
}

static int load_policy(struct job *job)
{
	const struct rg_option_value *option = job->option;
	const char *path =
		option[OPTION_BUNDLE].text ? option[OPTION_BUNDLE].text : option[OPTION_PLAN].text;
	struct rg_bundle_options bundle_options = {
		.opa = option[OPTION_OPA].text,
		.entrypoints = &option[OPTION_ENTRYPOINT].text,
		.entrypoint_count = job->template_name ? 0 : 1,
		.packages = &job->package,
		.package_count = job->template_name ? 1 : 0,
		.v0 = option[OPTION_V0].text,
	};
	int status = rg_bundle_load(path, &bundle_options, &job->bundle, &job->cli->error);

	if (!status && option[OPTION_DATA].text)
		status = rg_cli_read_file(option[OPTION_DATA].text, &job->data, &job->data_bytes,
					  &job->cli->error);
	if (!status && option[OPTION_INPUT].text)
		status = rg_cli_read_file(option[OPTION_INPUT].text, &job->input, &job->input_bytes,
					  &job->cli->error);
	return status;
}

/* ---- image and evaluator ---- */

static int compile(struct job *job)
{
	struct rg_binding binding = {.template_name = job->template_name, .package = job->package};
	struct rg_compile_options compile_options = {
		.plan_json = job->bundle->plan_json,
		.plan_bytes = job->bundle->plan_bytes,
		.data_json = job->data ? job->data : job->bundle->data_json,
		.data_bytes = job->data ? job->data_bytes : job->bundle->data_bytes,
		.bundle = job->bundle->name,
		.revision = job->bundle->revision,
		.sequence = 1,
		.default_verdict = RG_VERDICT_REVIEW,
		.failure_verdict = RG_VERDICT_DENY,
	};
	void *image;
	int status;

	if (job->template_name) {
		status = rg_cli_schema(job->cli, job->option[OPTION_SCHEMA].text);
		if (status)
			return status;
		compile_options.fields = rg_schema_fields(job->cli->schema);
		compile_options.bindings = &binding;
		compile_options.binding_count = 1;
		compile_options.reasons = &job->reasons;
	}
	status = rg_compile(&compile_options, &image, &job->image_bytes, &job->cli->error);
	if (status)
		return status;
	job->image = aligned_alloc(IMAGE_ALIGN, (job->image_bytes + IMAGE_ALIGN - 1) &
							~(size_t)(IMAGE_ALIGN - 1));
	if (job->image)
		memcpy(job->image, image, job->image_bytes);
	free(image);
	return job->image ? RG_OK
			  : rg_error_set(&job->cli->error, RG_ENOMEM,
					 "no memory for an image of %zu bytes", job->image_bytes);
}

static int bind(struct job *job)
{
	struct rg_error *err = &job->cli->error;
	uint64_t footprint = rg_eval_footprint(SCRATCH_BYTES);
	int status = rg_image_verify(job->image, job->image_bytes, err);

	if (status)
		return status;
	job->eval_memory = aligned_alloc(IMAGE_ALIGN, footprint);
	job->eval = job->eval_memory ? rg_eval_new(job->eval_memory, SCRATCH_BYTES) : NULL;
	if (!job->eval)
		return rg_error_set(err, RG_ENOMEM, "no memory for an evaluator of %llu bytes",
				    (unsigned long long)footprint);
	return rg_eval_bind(job->eval, job->image, job->image_bytes, err);
}

/* ---- entrypoints ---- */

static int unknown_entrypoint(struct job *job, const char *name)
{
	char known[512] = "";
	size_t used = 0;

	for (uint32_t i = 0; i < rg_eval_plan_count(job->eval) && used < sizeof(known) - 1; i++) {
		uint32_t bytes;
		const char *plan = rg_eval_plan_name(job->eval, i, &bytes);
		int n = snprintf(known + used, sizeof(known) - used, "%s%.*s", i ? ", " : "",
				 (int)bytes, plan);

		used += n > 0 ? (size_t)n : 0;
	}
	return rg_error_set(&job->cli->error, RG_ENOENT, "%s has no entrypoint \"%s\"; it has: %s",
			    job->bundle->name, name, known);
}

/* The value of an entrypoint: its plan's one result binds "result". Undefined when there is none.
 */
static struct rg_value result_of(struct rg_heap *heap, struct rg_value results)
{
	struct rg_value first =
		rg_count(heap, results) ? rg_set_at(heap, results, 0) : rg_undefined;

	return first.type == RG_OBJECT ? rg_object_get_text(heap, first, "result", strlen("result"))
				       : first;
}

static int print_result(struct job *job, struct rg_value value)
{
	struct rg_heap *heap = rg_eval_heap(job->eval);
	struct rg_json_writer writer;
	bool defined = rg_is_defined(value);

	if (!job->cli->json && !defined) {
		puts("undefined");
		return RG_OK;
	}
	rg_json_writer_init(&writer, true);
	if (!job->cli->json) {
		rg_value_write(heap, value, &writer);
		return rg_cli_print_json(job->cli, &writer);
	}
	rg_json_write_object_begin(&writer);
	rg_json_member_bool(&writer, "ok", true);
	rg_json_member_text(&writer, "entrypoint", job->option[OPTION_ENTRYPOINT].text);
	rg_json_member_bool(&writer, "defined", defined);
	rg_json_write_key(&writer, "result");
	if (defined)
		rg_value_write(heap, value, &writer);
	else
		rg_json_write_null(&writer);
	rg_json_member_uint(&writer, "took_ns", job->took_ns);
	rg_json_write_object_end(&writer);
	return rg_cli_print_json(job->cli, &writer);
}

static int evaluate_entrypoint(struct job *job)
{
	struct rg_error *err = &job->cli->error;
	const char *name = job->option[OPTION_ENTRYPOINT].text;
	struct rg_heap *heap = rg_eval_heap(job->eval);
	struct rg_query query = {.strict = job->option[OPTION_STRICT].text,
				 .now_ns = (int64_t)job->now_ns};
	struct rg_value results = rg_undefined;
	int index = rg_eval_plan_find(job->eval, name);
	enum rg_eval_result result;
	uint64_t begin_ns;

	if (index < 0)
		return unknown_entrypoint(job, name);
	rg_heap_reset(heap);
	if (job->input) {
		int status = rg_value_parse(heap, job->input, job->input_bytes, &query.input, err);
		if (status)
			return rg_error_prefix(err, "%s", job->option[OPTION_INPUT].text);
	}
	begin_ns = rg_clock_monotonic_ns();
	result = rg_eval_run(job->eval, (uint32_t)index, &query, &results, err);
	job->took_ns = rg_clock_monotonic_ns() - begin_ns;
	if (result != RG_EVAL_OK) {
		err->status = RG_EINVAL;
		return rg_error_prefix(err, "%s", rg_eval_result_code(result));
	}
	return print_result(job, result_of(heap, results));
}

/* ---- templates ---- */

static const char *reason_name(const struct job *job, uint16_t id)
{
	return id >= 1 && id <= job->reasons.count ? job->reasons.names[id - 1]
						   : "(made at run time)";
}

static int print_outcome(struct job *job, const struct rg_outcome *outcome)
{
	char text[RG_FORMAT_BYTES], took[RG_FORMAT_BYTES];
	struct rg_json_writer writer;

	if (!job->cli->json) {
		printf("%s  score %s  in %s\n", rg_decision_verdict_name(outcome->verdict),
		       rg_format_micro(text, outcome->score_micro),
		       rg_format_duration(took, job->took_ns));
		for (uint32_t i = 0; i < outcome->reason_count; i++)
			printf("  %s\n", reason_name(job, outcome->reasons[i]));
		if (outcome->result != RG_EVAL_OK)
			printf("  evaluation failed: %s\n", rg_eval_result_code(outcome->result));
		return RG_OK;
	}
	rg_json_writer_init(&writer, true);
	rg_json_write_object_begin(&writer);
	rg_json_member_bool(&writer, "ok", true);
	rg_json_member_text(&writer, "template", job->template_name);
	rg_json_member_text(&writer, "verdict", rg_decision_verdict_name(outcome->verdict));
	rg_json_member_text(&writer, "result",
			    outcome->result == RG_EVAL_OK ? "ok"
							  : rg_eval_result_code(outcome->result));
	rg_json_member_micro(&writer, "score", outcome->score_micro);
	rg_json_write_key(&writer, "reasons");
	rg_json_write_array_begin(&writer);
	for (uint32_t i = 0; i < outcome->reason_count; i++)
		rg_json_write_string(&writer, reason_name(job, outcome->reasons[i]));
	rg_json_write_array_end(&writer);
	rg_json_member_uint(&writer, "reasons_fired", outcome->reasons_fired);
	rg_json_member_uint(&writer, "took_ns", job->took_ns);
	rg_json_write_object_end(&writer);
	return rg_cli_print_json(job->cli, &writer);
}

static int decide(struct job *job)
{
	struct rg_error *err = &job->cli->error;
	uint8_t message[RG_SBE_HEADER_BYTES + RG_SCHEMA_BLOCK_BYTES_MAX];
	struct rg_sbe_header header;
	struct rg_outcome outcome;
	uint64_t begin_ns;
	size_t bytes;
	int status = rg_sbe_from_json(job->cli->schema, job->template_name, job->input,
				      job->input_bytes, message, sizeof(message), &bytes, err);

	if (status)
		return rg_error_prefix(err, "%s", job->option[OPTION_INPUT].text);
	header = rg_sbe_header_read(message);
	begin_ns = rg_clock_monotonic_ns();
	rg_decide(job->eval, rg_eval_template(job->eval, header.schema_id, header.template_id),
		  message + RG_SBE_HEADER_BYTES, (uint32_t)(bytes - RG_SBE_HEADER_BYTES),
		  (int64_t)job->now_ns, 0, &outcome);
	job->took_ns = rg_clock_monotonic_ns() - begin_ns;
	return print_outcome(job, &outcome);
}

static int run(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	struct job job = {.cli = cli, .option = invocation->options, .now_ns = rg_clock_unix_ns()};
	int status = check_use(&job);

	if (!status)
		status = load_policy(&job);
	if (!status)
		status = compile(&job);
	if (!status)
		status = bind(&job);
	if (!status)
		status = job.template_name ? decide(&job) : evaluate_entrypoint(&job);
	free_job(&job);
	return status;
}

const struct rg_command rg_command_eval = {
	.name = "eval",
	.arguments = "",
	.summary = "Evaluate a policy offline",
	.details =
		"Compiles the policy as riskgate-control does and evaluates it once as the data\n"
		"plane does; no appliance is needed. With --entrypoint it prints the rule's value\n"
		"(\"undefined\" when there is none); with --template the verdict, score and "
		"reasons\n"
		"of a request. The input of a template is encoded by the schema first, exactly as\n"
		"for the wire.",
	.examples = "riskctl eval --bundle payments-1.tar.gz --input request.json \\\n"
		    "    --entrypoint payments/deny\n"
		    "riskctl eval --bundle payments-1.tar.gz --input request.json \\\n"
		    "    --template PaymentAuthorization\n"
		    "echo '{\"amount\": 5}' | riskctl eval --plan plan.json --data data.json \\\n"
		    "    --input - --entrypoint example/allow --strict",
	.options = options,
	.run = run,
};
