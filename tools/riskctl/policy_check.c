/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riskctl policy check: what a push would make of a bundle, without an appliance: refused and why,
 * or what it costs and what looks odd.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_member.h"
#include "policy/builtin/builtin.h"
#include "tools/riskctl/clock.h"
#include "tools/riskctl/format.h"
#include "tools/riskctl/image_view.h"
#include "tools/riskctl/offline.h"
#include "tools/riskctl/plan_view.h"
#include "tools/riskctl/policy_warnings.h"

#define COSTLIEST_SHOWN 12 /* rules in words; --json has all */

/* A function of the image that decides a template, as a rule with its cost. */
struct rule {
	char name[RG_RULE_NAME_BYTES];
	char template_name[64];
	uint32_t function;
	const struct rg_function_cost *cost;
};

struct check {
	struct rg_cli *cli;
	struct rg_offline offline, marked;
	struct rg_plan_view plan;
	struct rg_image_view image;
	struct rg_image_info info;
	struct rg_function_cost *costs;
	struct rule *rules; /* the costliest first */
	uint32_t rule_count;
	struct rg_policy_warnings warnings;
	uint64_t compile_ns;
};

static void free_check(struct check *check)
{
	rg_policy_warnings_free(&check->warnings);
	free(check->rules);
	free(check->costs);
	rg_plan_view_free(&check->plan);
	check->marked.bundle = NULL; /* both stand on the same */
	check->marked.bindings = NULL;
	rg_offline_free(&check->marked);
	rg_offline_free(&check->offline);
}

/* ---- refused ---- */

static bool calls(const struct rg_plan_view *view, uint32_t id, uint32_t builtin)
{
	const struct rg_plan_statement *statement = view->statements[id].statement;

	return statement->type == RG_STATEMENT_CALL &&
	       statement->callee_kind == RG_PLAN_CALL_BUILTIN && statement->callee == builtin;
}

static void write_missing(struct check *check, struct rg_json_writer *writer)
{
	const struct rg_plan *plan = check->plan.plan;

	rg_json_write_key(writer, "missing_builtins");
	rg_json_write_array_begin(writer);
	for (uint32_t i = 0; plan && i < plan->builtin_count; i++) {
		if (rg_builtin_find(plan->builtins[i].name.text, plan->builtins[i].name.bytes))
			continue;
		rg_json_write_object_begin(writer);
		rg_json_member_text(writer, "name", plan->builtins[i].name.text);
		rg_json_write_key(writer, "places");
		rg_json_write_array_begin(writer);
		for (uint32_t id = 0; id < plan->statement_count; id++) {
			const struct rg_plan_statement *statement =
				check->plan.statements[id].statement;

			if (!calls(&check->plan, id, i))
				continue;
			rg_json_write_object_begin(writer);
			rg_json_member_text(writer, "file",
					    rg_plan_view_file(&check->plan, statement->file));
			rg_json_member_uint(writer, "row", statement->row);
			rg_json_write_object_end(writer);
		}
		rg_json_write_array_end(writer);
		rg_json_write_object_end(writer);
	}
	rg_json_write_array_end(writer);
}

/* The error stays the command's; with --json it comes with the built-ins that are missing. */
static int refuse(struct check *check, int status)
{
	struct rg_cli *cli = check->cli;
	struct rg_json_writer writer;

	if (!cli->json || cli->misused)
		return status;
	rg_json_writer_init(&writer, true);
	rg_json_write_object_begin(&writer);
	rg_json_member_bool(&writer, "ok", false);
	rg_json_member_text(&writer, "status", rg_status_name(cli->error.status));
	rg_json_member_text(&writer, "error", cli->error.text);
	write_missing(check, &writer);
	rg_json_write_object_end(&writer);
	cli->answered = true;
	rg_cli_print_json(cli, &writer);
	return status;
}

/* ---- accepted ---- */

static int compile(struct check *check)
{
	struct rg_cli *cli = check->cli;
	struct rg_compile_options compile_options = {
		.fields = rg_schema_fields(cli->schema),
		.bindings = check->offline.bindings,
		.binding_count = check->offline.binding_count,
		.default_verdict = cli->config->decision.default_verdict,
		.failure_verdict = cli->config->decision.failure_verdict,
	};
	uint64_t begin_ns = rg_clock_monotonic_ns();
	int status = rg_offline_compile(&check->offline, compile_options, &cli->error);

	check->compile_ns = rg_clock_monotonic_ns() - begin_ns;
	if (!status)
		status = rg_offline_bind(&check->offline, &cli->error);
	if (status)
		return status;
	check->marked.bundle = check->offline.bundle;
	check->marked.bindings = check->offline.bindings;
	check->marked.binding_count = check->offline.binding_count;
	compile_options.marks = true;
	status = rg_offline_compile(&check->marked, compile_options, &cli->error);
	return status ? status : rg_offline_bind(&check->marked, &cli->error);
}

static int by_cost(const void *a, const void *b)
{
	const struct rule *x = a, *y = b;

	if (x->cost->steps != y->cost->steps)
		return x->cost->steps > y->cost->steps ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* The functions made for a template, as rules. */
static int list_rules(struct check *check)
{
	struct rg_image_view *image = &check->image;

	check->costs = calloc(image->function_count + 1, sizeof(*check->costs));
	check->rules = calloc(image->function_count + 1, sizeof(*check->rules));
	if (!check->costs || !check->rules)
		return rg_error_set(&check->cli->error, RG_ENOMEM, "no memory for %u rules",
				    image->function_count);
	if (rg_image_view_costs(image, check->costs, &check->cli->error))
		return RG_ENOMEM;
	for (uint32_t i = 0; i < image->function_count; i++) {
		struct rule *rule = &check->rules[check->rule_count];
		char name[2 * RG_RULE_NAME_BYTES];
		char *of_template;

		rg_image_view_text(image, image->functions[i].name, name, sizeof(name));
		of_template = strrchr(name, '#');
		if (!of_template)
			continue; /* for input as a value: the HTTP API's */
		*of_template++ = '\0';
		snprintf(rule->name, sizeof(rule->name), "%s",
			 name[0] == 'g' && strchr(name, '.') ? strchr(name, '.') + 1 : name);
		snprintf(rule->template_name, sizeof(rule->template_name), "%s", of_template);
		rule->function = i;
		rule->cost = &check->costs[i];
		check->rule_count++;
	}
	qsort(check->rules, check->rule_count, sizeof(*check->rules), by_cost);
	return RG_OK;
}

static const char *const role_names[RG_ROLE_COUNT] = {"deny", "review", "allow", "score",
						      "reasons"};

/* ---- in words ---- */

static void print_cost(const struct rg_function_cost *cost)
{
	char steps[RG_FORMAT_BYTES];

	printf("%12s steps at most, %u instructions", rg_format_count(steps, cost->steps),
	       cost->instructions);
	if (cost->builtins)
		printf(", %u built-ins", cost->builtins);
	if (cost->open_loops)
		printf(", %u loops of unknown length", cost->open_loops);
	putchar('\n');
}

static void print_bindings(const struct check *check)
{
	const struct rg_image_binding *bindings =
		rg_image_section(check->offline.image, RG_SECTION_BINDINGS);

	for (uint32_t i = 0; i < check->offline.binding_count; i++) {
		printf("template %s is decided by package %s\n",
		       check->offline.bindings[i].template_name,
		       check->offline.bindings[i].package);
		for (int role = 0; role < RG_ROLE_COUNT; role++) {
			uint32_t function = bindings[i].specialised[role];

			printf("  %-8s", role_names[role]);
			if (function == RG_IMAGE_NO_FUNCTION)
				puts("           none");
			else
				print_cost(&check->costs[function]);
		}
	}
}

static void print_size(const char *name, uint64_t bytes)
{
	char text[RG_FORMAT_BYTES];

	printf("  %-8s %s\n", name, rg_format_bytes(text, bytes));
}

static void print_warnings(const struct check *check)
{
	if (!check->warnings.count) {
		puts("no warnings");
		return;
	}
	puts("warnings");
	for (uint32_t i = 0; i < check->warnings.count; i++) {
		const struct rg_policy_warning *warning = &check->warnings.items[i];
		size_t bytes;
		const char *source =
			rg_plan_view_line(&check->plan, warning->file, warning->row, &bytes);

		printf("  %s:%u: %s\n", rg_plan_view_file(&check->plan, warning->file),
		       warning->row, warning->text);
		if (bytes)
			printf("      %.*s\n", (int)bytes, source);
	}
}

static void print(const struct check *check)
{
	const struct rg_bundle *bundle = check->offline.bundle;
	char took[RG_FORMAT_BYTES];

	printf("%s, revision %s, would be accepted; compiled in %s\n", bundle->name,
	       bundle->revision, rg_format_duration(took, check->compile_ns));
	print_size("plan", bundle->plan_bytes);
	print_size("data", bundle->data_bytes);
	print_size("image", check->info.image_bytes);
	print_bindings(check);
	puts("rules that are functions of their own, the costliest first");
	for (uint32_t i = 0; i < check->rule_count && i < COSTLIEST_SHOWN; i++) {
		printf("  %-36s %s\n  ", check->rules[i].name, check->rules[i].template_name);
		printf("        ");
		print_cost(check->rules[i].cost);
	}
	if (check->rule_count > COSTLIEST_SHOWN)
		printf("  and %u more: --json lists all\n", check->rule_count - COSTLIEST_SHOWN);
	print_warnings(check);
}

/* ---- as JSON ---- */

static void write_cost(struct rg_json_writer *writer, const struct rg_function_cost *cost)
{
	rg_json_member_uint(writer, "steps_max", cost->steps);
	rg_json_member_uint(writer, "instructions", cost->instructions);
	rg_json_member_uint(writer, "code_bytes",
			    (uint64_t)cost->instructions * sizeof(struct rg_instruction));
	rg_json_member_uint(writer, "builtins", cost->builtins);
	rg_json_member_uint(writer, "loops_of_unknown_length", cost->open_loops);
}

static void write_bindings(const struct check *check, struct rg_json_writer *writer)
{
	const struct rg_image_binding *bindings =
		rg_image_section(check->offline.image, RG_SECTION_BINDINGS);

	rg_json_write_key(writer, "templates");
	rg_json_write_array_begin(writer);
	for (uint32_t i = 0; i < check->offline.binding_count; i++) {
		rg_json_write_object_begin(writer);
		rg_json_member_text(writer, "template", check->offline.bindings[i].template_name);
		rg_json_member_text(writer, "package", check->offline.bindings[i].package);
		rg_json_write_key(writer, "rules");
		rg_json_write_object_begin(writer);
		for (int role = 0; role < RG_ROLE_COUNT; role++) {
			if (bindings[i].specialised[role] == RG_IMAGE_NO_FUNCTION)
				continue;
			rg_json_write_key(writer, role_names[role]);
			rg_json_write_object_begin(writer);
			write_cost(writer, &check->costs[bindings[i].specialised[role]]);
			rg_json_write_object_end(writer);
		}
		rg_json_write_object_end(writer);
		rg_json_write_object_end(writer);
	}
	rg_json_write_array_end(writer);
}

static void write_rules(const struct check *check, struct rg_json_writer *writer)
{
	rg_json_write_key(writer, "functions");
	rg_json_write_array_begin(writer);
	for (uint32_t i = 0; i < check->rule_count; i++) {
		rg_json_write_object_begin(writer);
		rg_json_member_text(writer, "rule", check->rules[i].name);
		rg_json_member_text(writer, "template", check->rules[i].template_name);
		write_cost(writer, check->rules[i].cost);
		rg_json_write_object_end(writer);
	}
	rg_json_write_array_end(writer);
}

static void write_warnings(const struct check *check, struct rg_json_writer *writer)
{
	rg_json_write_key(writer, "warnings");
	rg_json_write_array_begin(writer);
	for (uint32_t i = 0; i < check->warnings.count; i++) {
		rg_json_write_object_begin(writer);
		rg_json_member_text(writer, "file",
				    rg_plan_view_file(&check->plan, check->warnings.items[i].file));
		rg_json_member_uint(writer, "row", check->warnings.items[i].row);
		rg_json_member_text(writer, "text", check->warnings.items[i].text);
		rg_json_write_object_end(writer);
	}
	rg_json_write_array_end(writer);
}

static int print_json(const struct check *check)
{
	const struct rg_bundle *bundle = check->offline.bundle;
	struct rg_json_writer writer;

	rg_json_writer_init(&writer, true);
	rg_json_write_object_begin(&writer);
	rg_json_member_bool(&writer, "ok", true);
	rg_json_member_text(&writer, "bundle", bundle->name);
	rg_json_member_text(&writer, "revision", bundle->revision);
	rg_json_member_uint(&writer, "compile_ns", check->compile_ns);
	rg_json_member_uint(&writer, "plan_bytes", bundle->plan_bytes);
	rg_json_member_uint(&writer, "data_bytes", bundle->data_bytes);
	rg_json_member_uint(&writer, "image_bytes", check->info.image_bytes);
	rg_json_member_uint(&writer, "instructions", check->info.instruction_count);
	write_bindings(check, &writer);
	write_rules(check, &writer);
	write_warnings(check, &writer);
	rg_json_write_object_end(&writer);
	return rg_cli_print_json(check->cli, &writer);
}

/* ---- the command ---- */

static int examine(struct check *check)
{
	struct rg_cli *cli = check->cli;
	int status;

	rg_image_info(check->offline.image, &check->info);
	rg_image_view_init(&check->image, check->offline.image, rg_eval_heap(check->offline.eval));
	status = list_rules(check);
	if (!status)
		status = rg_policy_warnings_find(&check->warnings, &check->plan, &check->marked,
						 rg_schema_fields(cli->schema), &cli->error);
	if (status)
		return status;
	if (cli->json)
		return print_json(check);
	print(check);
	return RG_OK;
}

static int run(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	struct check check = {.cli = cli};
	int status = rg_offline_load(&check.offline, cli, invocation);

	if (!status)
		status = rg_plan_view_init(&check.plan, check.offline.bundle, &cli->error);
	if (!status)
		status = compile(&check);
	status = status ? refuse(&check, status) : examine(&check);
	free_check(&check);
	return status;
}

const struct rg_command rg_command_policy_check = {
	.name = "policy check",
	.arguments = "PATH",
	.arguments_min = 1,
	.arguments_max = 1,
	.summary = "Say what a push would make of a bundle",
	.details =
		"Loads and compiles PATH as riskgate-control would, with the configuration's\n"
		"schema and templates; no appliance is needed. Exit status 1 when it would be\n"
		"refused: the error names what is wrong and where, with --json also each built-in\n"
		"that riskgate lacks. Else: the rules that make each verdict, what they cost, and\n"
		"warnings: fields that the schema lacks, names that an enum lacks, lines that can\n"
		"never be true, reasons made at run time, packages that decide nothing.\n\n"
		"A step is one instruction; a rule takes at most so many, but for loops whose\n"
		"length only the request or a computed value tells: each of their turns counts\n"
		"once. A built-in is one step however much it does.",
	.examples = "riskctl policy check examples/policies/payments/bundles/payments-1.tar.gz\n"
		    "riskctl --json policy check --template NewOrder --package pretrade policy/",
	.options = rg_offline_options,
	.run = run,
};
