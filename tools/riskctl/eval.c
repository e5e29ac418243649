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

#include "base/json_member.h"
#include "tools/riskctl/cli.h"
#include "tools/riskctl/clock.h"
#include "tools/riskctl/coverage.h"
#include "tools/riskctl/format.h"
#include "tools/riskctl/inputs.h"
#include "tools/riskctl/offline.h"
#include "tools/riskctl/plan_view.h"
#include "tools/riskctl/eval_trace.h"
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
	OPTION_TRACE,
	OPTION_COVERAGE,
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
	[OPTION_TRACE] = {"trace", 0, RG_OPTION_FLAG, NULL, 0, 0, NULL,
			  "tell by source line what held, what did not, and with\nwhich values"},
	[OPTION_COVERAGE] =
		{"coverage", 0, RG_OPTION_FLAG, NULL, 0, 0, NULL,
		 "tell which lines and rules the inputs reach; --input\nmay be a folder or "
		 "a file of JSON lines (.jsonl)"},
	[OPTION_V0] = {"v0", 0, RG_OPTION_FLAG, NULL, 0, 0, NULL,
		       "Rego to be built is of language version 0"},
	[OPTION_OPA] = {"opa", 0, RG_OPTION_TEXT, "PATH", 0, 0, "opa", "the opa program"},
	{NULL},
};

/* Everything of one run; freed as a whole. */
struct job {
	struct rg_cli *cli;
	const struct rg_option_value *option;
	struct rg_offline offline;
	struct rg_plan_view view;     /* with --trace and --coverage */
	struct rg_trace *trace;	      /* with --trace */
	struct rg_coverage *coverage; /* with --coverage */
	char *data;
	size_t data_bytes;
	const char *template_name; /* NULL: an entrypoint is evaluated */
	const char *package;
	int plan; /* the entrypoint's */
	uint64_t now_ns;
	uint64_t took_ns;
	uint64_t failed_count; /* with --coverage: evaluations that ended with an error */
};

static void free_job(struct job *job)
{
	rg_trace_free(job->trace);
	rg_coverage_free(job->coverage);
	rg_plan_view_free(&job->view);
	rg_offline_free(&job->offline);
	free(job->data);
}

/* ---- what to evaluate ---- */

static int choose_package(struct job *job)
{
	int status = RG_OK;

	job->package = job->option[OPTION_PACKAGE].text;
	if (!job->package)
		status = rg_offline_package(job->cli, job->template_name, &job->package);
	if (!status && !job->package)
		return rg_cli_misused(job->cli, RG_OFFLINE_NO_PACKAGE, job->template_name);
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
	if (option[OPTION_TRACE].text && option[OPTION_COVERAGE].text)
		return rg_cli_misused(job->cli,
				      "either --trace or --coverage: a trace is of one evaluation");
	if (option[OPTION_COVERAGE].text && !option[OPTION_INPUT].text)
		return rg_cli_misused(job->cli, "--coverage needs inputs: --input FILE or FOLDER");
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
	int status = rg_bundle_load(path, &bundle_options, &job->offline.bundle, &job->cli->error);

	if (!status && option[OPTION_DATA].text)
		status = rg_cli_read_file(option[OPTION_DATA].text, &job->data, &job->data_bytes,
					  &job->cli->error);
	return status;
}

/* ---- image and evaluator ---- */

static int compile(struct job *job)
{
	struct rg_binding binding = {.template_name = job->template_name, .package = job->package};
	struct rg_error *err = &job->cli->error;
	struct rg_compile_options compile_options = {
		.data_json = job->data,
		.data_bytes = job->data_bytes,
		.marks = job->option[OPTION_TRACE].text || job->option[OPTION_COVERAGE].text,
	};
	int status;

	if (job->template_name) {
		status = rg_cli_schema(job->cli, job->option[OPTION_SCHEMA].text);
		if (status)
			return status;
		compile_options.fields = rg_schema_fields(job->cli->schema);
		compile_options.bindings = &binding;
		compile_options.binding_count = 1;
	}
	status = rg_offline_compile(&job->offline, compile_options, err);
	return status ? status : rg_offline_bind(&job->offline, err);
}

/* Attach what --trace or --coverage asks for. */
static int watch(struct job *job)
{
	struct rg_error *err = &job->cli->error;
	struct rg_eval *eval = job->offline.eval;
	int status;

	if (!job->option[OPTION_TRACE].text && !job->option[OPTION_COVERAGE].text)
		return RG_OK;
	status = rg_plan_view_init(&job->view, job->offline.bundle, err);
	if (status)
		return status;
	if (job->option[OPTION_TRACE].text) {
		job->trace = rg_trace_new(&job->view, eval);
		rg_eval_watch(eval, rg_trace_mark, job->trace);
	} else {
		job->coverage = rg_coverage_new(&job->view);
		rg_eval_watch(eval, rg_coverage_mark, job->coverage);
	}
	return job->trace || job->coverage
		       ? RG_OK
		       : rg_error_set(err, RG_ENOMEM, "no memory to watch the evaluation");
}

static void write_trace(struct job *job, struct rg_json_writer *writer)
{
	if (!job->trace)
		return;
	rg_json_write_key(writer, "trace");
	rg_trace_write(job->trace, writer);
}

/* ---- entrypoints ---- */

static int unknown_entrypoint(struct job *job, const char *name)
{
	char known[512] = "";
	size_t used = 0;

	for (uint32_t i = 0; i < rg_eval_plan_count(job->offline.eval) && used < sizeof(known) - 1;
	     i++) {
		uint32_t bytes;
		const char *plan = rg_eval_plan_name(job->offline.eval, i, &bytes);
		int n = snprintf(known + used, sizeof(known) - used, "%s%.*s", i ? ", " : "",
				 (int)bytes, plan);

		used += n > 0 ? (size_t)n : 0;
	}
	return rg_error_set(&job->cli->error, RG_ENOENT, "%s has no entrypoint \"%s\"; it has: %s",
			    job->offline.bundle->name, name, known);
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
	struct rg_heap *heap = rg_eval_heap(job->offline.eval);
	struct rg_json_writer writer;
	bool defined = rg_is_defined(value);

	if (job->trace && !job->cli->json)
		rg_trace_print(job->trace);
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
	write_trace(job, &writer);
	rg_json_write_object_end(&writer);
	return rg_cli_print_json(job->cli, &writer);
}

/* Evaluate the entrypoint with one input, or none for NULL. */
static int query(struct job *job, const char *name, const char *input, size_t input_bytes,
		 struct rg_value *results)
{
	struct rg_error *err = &job->cli->error;
	struct rg_eval *eval = job->offline.eval;
	struct rg_query query = {.strict = job->option[OPTION_STRICT].text,
				 .now_ns = (int64_t)job->now_ns};
	enum rg_eval_result result;
	uint64_t begin_ns;
	int status;

	*results = rg_undefined;
	rg_heap_reset(rg_eval_heap(eval));
	if (input) {
		status = rg_value_parse(rg_eval_heap(eval), input, input_bytes, &query.input, err);
		if (status)
			return rg_error_prefix(err, "%s", name);
	}
	begin_ns = rg_clock_monotonic_ns();
	result = rg_eval_run(eval, (uint32_t)job->plan, &query, results, err);
	job->took_ns = rg_clock_monotonic_ns() - begin_ns;
	if (result == RG_EVAL_OK)
		return RG_OK;
	job->failed_count++;
	err->status = RG_EINVAL;
	return rg_error_prefix(err, "%s", rg_eval_result_code(result));
}

static int evaluate_entrypoint(struct job *job, const char *name, const char *input, size_t bytes)
{
	struct rg_value results;
	int status = query(job, name, input, bytes, &results);

	if (!status)
		return print_result(job, result_of(rg_eval_heap(job->offline.eval), results));
	if (job->trace && !job->cli->json)
		rg_trace_print(job->trace); /* how far it came */
	return status;
}

/* ---- templates ---- */

static int print_outcome(struct job *job, const struct rg_outcome *outcome)
{
	char text[RG_FORMAT_BYTES], took[RG_FORMAT_BYTES];
	struct rg_json_writer writer;

	if (job->trace && !job->cli->json)
		rg_trace_print(job->trace);
	if (!job->cli->json) {
		printf("%s  score %s", rg_decision_verdict_name(outcome->verdict),
		       rg_format_micro(text, outcome->score_micro));
		if (!job->trace) /* watched, it takes many times longer */
			printf("  in %s", rg_format_duration(took, job->took_ns));
		putchar('\n');
		for (uint32_t i = 0; i < outcome->reason_count; i++)
			printf("  %s\n", rg_offline_reason(&job->offline, outcome->reasons[i]));
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
		rg_json_write_string(&writer,
				     rg_offline_reason(&job->offline, outcome->reasons[i]));
	rg_json_write_array_end(&writer);
	rg_json_member_uint(&writer, "reasons_fired", outcome->reasons_fired);
	rg_json_member_uint(&writer, "took_ns", job->took_ns);
	write_trace(job, &writer);
	rg_json_write_object_end(&writer);
	return rg_cli_print_json(job->cli, &writer);
}

static int decide(struct job *job, const char *name, const char *input, size_t input_bytes,
		  struct rg_outcome *outcome)
{
	struct rg_error *err = &job->cli->error;
	struct rg_eval *eval = job->offline.eval;
	uint8_t message[RG_SBE_HEADER_BYTES + RG_SCHEMA_BLOCK_BYTES_MAX];
	struct rg_sbe_header header;
	uint64_t begin_ns;
	size_t bytes;
	int status = rg_sbe_from_json(job->cli->schema, job->template_name, input, input_bytes,
				      message, sizeof(message), &bytes, err);

	if (status)
		return rg_error_prefix(err, "%s", name);
	header = rg_sbe_header_read(message);
	begin_ns = rg_clock_monotonic_ns();
	rg_decide(eval, rg_eval_template(eval, header.schema_id, header.template_id),
		  message + RG_SBE_HEADER_BYTES, (uint32_t)(bytes - RG_SBE_HEADER_BYTES),
		  (int64_t)job->now_ns, 0, outcome);
	job->took_ns = rg_clock_monotonic_ns() - begin_ns;
	job->failed_count += outcome->result != RG_EVAL_OK;
	return RG_OK;
}

static int evaluate_template(struct job *job, const char *name, const char *input, size_t bytes)
{
	struct rg_outcome outcome;
	int status = decide(job, name, input, bytes, &outcome);

	return status ? status : print_outcome(job, &outcome);
}

/* ---- coverage ---- */

/* An evaluation that ends with an error has touched what it has touched; an input that cannot be
 * read ends the run. */
static int cover_input(void *context, const char *name, const char *input, size_t bytes)
{
	struct job *job = context;
	uint64_t failed = job->failed_count;
	struct rg_outcome outcome;
	struct rg_value results;
	int status = job->template_name ? decide(job, name, input, bytes, &outcome)
					: query(job, name, input, bytes, &results);

	return job->failed_count > failed ? RG_OK : status;
}

static int print_coverage(struct job *job, uint64_t inputs)
{
	struct rg_json_writer writer;

	if (!job->cli->json) {
		printf("%llu inputs, %llu of them ended with an error\n",
		       (unsigned long long)inputs, (unsigned long long)job->failed_count);
		rg_coverage_print(job->coverage);
		return RG_OK;
	}
	rg_json_writer_init(&writer, true);
	rg_json_write_object_begin(&writer);
	rg_json_member_bool(&writer, "ok", true);
	rg_json_member_uint(&writer, "inputs", inputs);
	rg_json_member_uint(&writer, "failed", job->failed_count);
	rg_coverage_write(job->coverage, &writer);
	rg_json_write_object_end(&writer);
	return rg_cli_print_json(job->cli, &writer);
}

static int cover(struct job *job)
{
	uint64_t inputs;
	int status = rg_inputs_each(job->option[OPTION_INPUT].text, cover_input, job, &inputs,
				    &job->cli->error);

	return status ? status : print_coverage(job, inputs);
}

/* ---- the command ---- */

static int find_entrypoint(struct job *job)
{
	const char *name = job->option[OPTION_ENTRYPOINT].text;

	if (job->template_name)
		return RG_OK;
	job->plan = rg_eval_plan_find(job->offline.eval, name);
	return job->plan < 0 ? unknown_entrypoint(job, name) : RG_OK;
}

static int evaluate(struct job *job)
{
	const char *path = job->option[OPTION_INPUT].text;
	char *input = NULL;
	size_t bytes = 0;
	int status;

	if (job->coverage)
		return cover(job);
	status = path ? rg_cli_read_file(path, &input, &bytes, &job->cli->error) : RG_OK;
	if (!status)
		status = job->template_name ? evaluate_template(job, path, input, bytes)
					    : evaluate_entrypoint(job, path, input, bytes);
	free(input);
	return status;
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
		status = find_entrypoint(&job);
	if (!status)
		status = watch(&job);
	if (!status)
		status = evaluate(&job);
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
		"for the wire.\n\n"
		"A trace shows each rule with what it returned, and below it the lines of its\n"
		"bodies: + held, - was undefined or false. Turns of loops say \"with\" key: "
		"value.\n"
		"Coverage names lines that no input reached, lines that were reached and never\n"
		"true, and how often each rule was defined.",
	.examples = "riskctl eval --bundle payments-1.tar.gz --input request.json \\\n"
		    "    --entrypoint payments/deny\n"
		    "riskctl eval --bundle payments-1.tar.gz --input request.json \\\n"
		    "    --template PaymentAuthorization\n"
		    "riskctl eval --bundle payments-1.tar.gz --input request.json \\\n"
		    "    --template PaymentAuthorization --trace\n"
		    "riskctl eval --bundle payments-1.tar.gz --input requests/ \\\n"
		    "    --template PaymentAuthorization --coverage\n"
		    "echo '{\"amount\": 5}' | riskctl eval --plan plan.json --data data.json \\\n"
		    "    --input - --entrypoint example/allow --strict",
	.options = options,
	.run = run,
};
