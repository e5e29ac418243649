/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riskctl policy explain: what became of each line of a policy: tests of the request's bytes, or
 * work on values, and what made it so. Made from the image alone, with the bundle's sources beside
 * it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_member.h"
#include "policy/image/rule_table.h"
#include "policy/image/typed.h"
#include "tools/riskctl/image_view.h"
#include "tools/riskctl/offline.h"
#include "tools/riskctl/plan_view.h"
#include "tools/riskctl/policy_columns.h"

#define STEPS_MAX 16 /* different ones that are told of one line */

/* The instructions of one source line within one function: order[first .. first + count). */
struct line {
	uint32_t file, row; /* file: constant of the image */
	uint8_t kind;	    /* enum rg_step_kind: the highest of its steps */
	uint32_t first, count;
};

/* What is told of them: each text once. */
struct steps {
	char texts[STEPS_MAX][RG_STEP_TEXT_BYTES];
	uint32_t count;
};

/* An instruction that is told of, to be sorted by its place. */
struct placed {
	uint32_t file, row;
	uint32_t code; /* of the image */
};

struct explanation {
	struct rg_cli *cli;
	struct rg_offline offline;
	struct rg_plan_view plan;
	struct rg_image_view image;
	bool *told; /* functions of the image */
	bool *read; /* fields of the image that the function being told of reads */
	/* of the function being told of; room for the longest */
	struct placed *order;
	struct line *lines;
	uint32_t order_count, line_count;
	struct rg_json_writer writer;
};

static void free_explanation(struct explanation *explanation)
{
	free(explanation->told);
	free(explanation->read);
	free(explanation->order);
	free(explanation->lines);
	rg_plan_view_free(&explanation->plan);
	rg_offline_free(&explanation->offline);
}

/* ---- lines of a function ---- */

static void note_fields(struct explanation *explanation, const struct rg_instruction *instruction)
{
	if (rg_op_shapes[instruction->op].a == 'F')
		explanation->read[instruction->a] = true;
	if (rg_op_shapes[instruction->op].b == 'F')
		explanation->read[instruction->b] = true;
}

static int by_place(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	return x->code < y->code ? -1 : x->code > y->code;
}

/* The instructions of the function that are told of, by place. */
static void collect_placed(struct explanation *explanation, uint32_t number)
{
	const struct rg_image_function *function = &explanation->image.functions[number];
	uint32_t fields = rg_image_count(explanation->image.image, RG_SECTION_FIELDS);

	explanation->order_count = 0;
	memset(explanation->read, 0, fields * sizeof(*explanation->read));
	for (uint32_t i = function->code; i < function->code + function->code_count; i++) {
		const struct rg_instruction *at = &explanation->image.code[i];
		const struct rg_image_place *place = rg_image_view_place(&explanation->image, at);

		note_fields(explanation, at);
		if (rg_step_kind_of(at) != RG_STEP_PLAIN && place->row)
			explanation->order[explanation->order_count++] =
				(struct placed){place->file, place->row, i};
	}
	qsort(explanation->order, explanation->order_count, sizeof(*explanation->order), by_place);
}

static void collect_lines(struct explanation *explanation, uint32_t number)
{
	struct line *line = NULL;

	collect_placed(explanation, number);
	explanation->line_count = 0;
	for (uint32_t i = 0; i < explanation->order_count; i++) {
		const struct placed *at = &explanation->order[i];
		enum rg_step_kind kind = rg_step_kind_of(&explanation->image.code[at->code]);

		if (!line || line->file != at->file || line->row != at->row) {
			line = &explanation->lines[explanation->line_count++];
			*line = (struct line){.file = at->file, .row = at->row, .first = i};
		}
		line->count++;
		if (kind > line->kind)
			line->kind = kind;
	}
}

/* The texts of a line, at most STEPS_MAX. */
static void collect_steps(const struct explanation *explanation, const struct line *line,
			  struct steps *steps)
{
	steps->count = 0;
	for (uint32_t i = line->first; i < line->first + line->count; i++) {
		const struct rg_instruction *at =
			&explanation->image.code[explanation->order[i].code];
		char text[RG_STEP_TEXT_BYTES];
		uint32_t known = 0;

		if (steps->count == STEPS_MAX)
			return;
		rg_step_text(&explanation->image, at, text);
		while (known < steps->count && strcmp(steps->texts[known], text) != 0)
			known++;
		if (known == steps->count)
			memcpy(steps->texts[steps->count++], text, sizeof(text));
	}
}

/* ---- verdicts on a function ---- */

static uint32_t count_kind(const struct explanation *explanation, enum rg_step_kind kind)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < explanation->line_count; i++)
		count += explanation->lines[i].kind == kind;
	return count;
}

/* "specialised": nothing is done on values; "general": all that it does is; "mixed"; "constant":
 * nothing is left to do. */
static const char *word_for(const struct explanation *explanation)
{
	uint32_t general = count_kind(explanation, RG_STEP_GENERAL);

	if (!explanation->line_count)
		return "constant";
	if (!general)
		return "specialised";
	return general == explanation->line_count ? "general" : "mixed";
}

static const char *word_of(uint8_t kind)
{
	static const char *const words[] = {"constant", "specialised", "call", "general"};

	return words[kind];
}

static const char *rule_name(const struct explanation *explanation, uint32_t function, char *out)
{
	char name[2 * RG_RULE_NAME_BYTES], *plain = name;

	rg_image_view_text(&explanation->image, explanation->image.functions[function].name, name,
			   sizeof(name));
	if (name[0] == 'g' && strchr(name, '.'))
		plain = strchr(name, '.') + 1;
	if (strrchr(plain, '#'))
		*strrchr(plain, '#') = '\0';
	snprintf(out, RG_RULE_NAME_BYTES, "%s", plain);
	return out;
}

/* The source of a line, and its file's name into file[bytes]. The image's files are the plan's. */
static const char *source_of(const struct explanation *explanation, const struct line *line,
			     char *file, size_t file_bytes, size_t *bytes)
{
	const struct rg_plan *plan = explanation->plan.plan;

	rg_image_view_text(&explanation->image, line->file, file, file_bytes);
	for (uint32_t i = 0; i < plan->file_count; i++)
		if (!strcmp(plan->files[i].text, file))
			return rg_plan_view_line(&explanation->plan, i, line->row, bytes);
	*bytes = 0;
	return "";
}

static const char *field_name(const struct explanation *explanation, uint32_t field, char *out,
			      size_t bytes)
{
	const struct rg_image_field *fields =
		rg_image_section(explanation->image.image, RG_SECTION_FIELDS);

	return rg_image_view_text(&explanation->image, fields[field].path, out, bytes);
}

/* ---- telling ---- */

static void print_function(const struct explanation *explanation, uint32_t function)
{
	uint32_t fields = rg_image_count(explanation->image.image, RG_SECTION_FIELDS);
	char name[RG_RULE_NAME_BYTES], file[200];
	struct steps steps;
	bool any = false;

	printf("%s: %s", rule_name(explanation, function, name), word_for(explanation));
	if (explanation->line_count)
		printf("; of %u lines with tests %u specialised, %u general",
		       explanation->line_count, count_kind(explanation, RG_STEP_TYPED),
		       count_kind(explanation, RG_STEP_GENERAL));
	putchar('\n');
	for (uint32_t i = 0; i < fields; i++) {
		if (!explanation->read[i])
			continue;
		printf("%s%s", any ? ", " : "  reads ",
		       field_name(explanation, i, file, sizeof(file)));
		any = true;
	}
	if (any)
		putchar('\n');
	for (uint32_t i = 0; i < explanation->line_count; i++) {
		const struct line *line = &explanation->lines[i];
		size_t bytes;
		const char *source = source_of(explanation, line, file, sizeof(file), &bytes);

		printf("  %s:%u  %s  %.*s\n", file, line->row, word_of(line->kind), (int)bytes,
		       source);
		collect_steps(explanation, line, &steps);
		for (uint32_t step = 0; step < steps.count; step++)
			printf("      %s\n", steps.texts[step]);
	}
}

static void write_function(struct explanation *explanation, uint32_t function)
{
	uint32_t fields = rg_image_count(explanation->image.image, RG_SECTION_FIELDS);
	struct rg_json_writer *writer = &explanation->writer;
	char text[RG_RULE_NAME_BYTES];
	struct steps steps;

	rg_json_write_object_begin(writer);
	rg_json_member_text(writer, "rule", rule_name(explanation, function, text));
	rg_json_member_text(writer, "compiled", word_for(explanation));
	rg_json_write_key(writer, "fields");
	rg_json_write_array_begin(writer);
	for (uint32_t i = 0; i < fields; i++)
		if (explanation->read[i])
			rg_json_write_string(writer,
					     field_name(explanation, i, text, sizeof(text)));
	rg_json_write_array_end(writer);
	rg_json_write_key(writer, "lines");
	rg_json_write_array_begin(writer);
	for (uint32_t i = 0; i < explanation->line_count; i++) {
		const struct line *line = &explanation->lines[i];
		size_t bytes;
		const char *source = source_of(explanation, line, text, sizeof(text), &bytes);

		rg_json_write_object_begin(writer);
		rg_json_member_text(writer, "file", text);
		rg_json_member_uint(writer, "row", line->row);
		rg_json_write_key(writer, "source");
		rg_json_write_string_n(writer, source, bytes);
		rg_json_member_text(writer, "compiled", word_of(line->kind));
		rg_json_write_key(writer, "steps");
		rg_json_write_array_begin(writer);
		collect_steps(explanation, line, &steps);
		for (uint32_t step = 0; step < steps.count; step++)
			rg_json_write_string(writer, steps.texts[step]);
		rg_json_write_array_end(writer);
		rg_json_write_object_end(writer);
	}
	rg_json_write_array_end(writer);
	rg_json_write_object_end(writer);
}

/* The function and those that it calls, each once. */
static void tell(struct explanation *explanation, uint32_t number)
{
	const struct rg_image_function *function = &explanation->image.functions[number];

	if (explanation->told[number])
		return;
	explanation->told[number] = true;
	collect_lines(explanation, number);
	if (explanation->cli->json)
		write_function(explanation, number);
	else
		print_function(explanation, number);
	for (uint32_t i = 0; i < function->code_count; i++) {
		const struct rg_instruction *at = &explanation->image.code[function->code + i];

		if (at->op == RG_OP_CALL)
			tell(explanation, at->a);
	}
}

/* The typed program of a template, if it has one, and what kept it from being whole. */
struct typed {
	uint32_t instructions; /* 0: none */
	uint32_t table_rules;  /* bodies that are rows of rule tables */
	char why[RG_STEP_TEXT_BYTES], file[200];
	uint32_t row; /* of what could not be typed; 0: nothing */
};

static struct typed typed_of(const struct explanation *explanation,
			     const struct rg_image_binding *binding)
{
	const void *image = explanation->image.image;
	const struct rg_typed_program *programs =
		rg_image_section(image, RG_SECTION_TYPED_PROGRAMS);
	const struct rg_image_place *places = rg_image_section(image, RG_SECTION_PLACES);
	struct typed typed = {0};

	if (binding->typed) {
		typed.instructions = programs[binding->typed - 1].code_count;
		typed.table_rules = programs[binding->typed - 1].rule_count;
	}
	if (binding->untyped) {
		rg_image_view_text(&explanation->image, binding->untyped - 1, typed.why,
				   sizeof(typed.why));
		rg_image_view_text(&explanation->image, places[binding->untyped_place].file,
				   typed.file, sizeof(typed.file));
		typed.row = places[binding->untyped_place].row;
	}
	return typed;
}

/* A rule table that a program asks, where in the policy its rows begin, and by which of the program's
 * instructions it gets its columns; or a piece that it leaves to the rules. */
struct table {
	char file[200];
	uint32_t row;
	uint32_t table_rows;
	uint32_t inputs[RG_RULE_COLUMNS_MAX];
	uint32_t input_count;
};

/* The next one from instruction *at of the binding's program on; false if there is none. */
static bool next_table(const struct explanation *explanation,
		       const struct rg_image_binding *binding, uint32_t *at, struct table *table)
{
	const struct rg_image_view *view = &explanation->image;
	const struct rg_typed_program *programs =
		rg_image_section(view->image, RG_SECTION_TYPED_PROGRAMS);
	const struct rg_typed_instruction *code =
		rg_image_section(view->image, RG_SECTION_TYPED_CODE);
	const struct rg_typed_table *tables =
		rg_image_section(view->image, RG_SECTION_TYPED_TABLES);
	const struct rg_rule_line *lines = rg_image_section(view->image, RG_SECTION_RULE_TABLES);
	const struct rg_image_place *places = rg_image_section(view->image, RG_SECTION_PLACES);
	const struct rg_typed_program *program;

	if (!binding->typed)
		return false;
	program = &programs[binding->typed - 1];
	table->input_count = 0;
	for (; *at < program->code_count; (*at)++) {
		const struct rg_typed_instruction *match = &code[program->code + *at];

		if (match->op == RG_TYPED_OP_MATCH_INPUT &&
		    table->input_count < RG_RULE_COLUMNS_MAX)
			table->inputs[table->input_count++] = *at;
		if (rg_typed_shapes[match->op].table != 'R')
			continue;
		table->table_rows =
			((const struct rg_rule_table *)&lines[tables[match->table].first])
				->row_count;
		table->row = places[match->target].row;
		rg_image_view_text(view, places[match->target].file, table->file,
				   sizeof(table->file));
		(*at)++;
		return true;
	}
	return false;
}

static const char *column_text(const struct explanation *explanation,
			       const struct rg_image_binding *binding, uint32_t at, char *out)
{
	const struct rg_typed_program *programs =
		rg_image_section(explanation->image.image, RG_SECTION_TYPED_PROGRAMS);

	return rg_column_text(&explanation->image, &programs[binding->typed - 1], at, out);
}

/* Where the next piece that the binding's program leaves to the rules is, from instruction *at on; false if there is
 * none. */
static bool next_piece(const struct explanation *explanation,
		       const struct rg_image_binding *binding, uint32_t *at, struct table *piece)
{
	const struct rg_image_view *view = &explanation->image;
	const struct rg_typed_instruction *code =
		rg_image_section(view->image, RG_SECTION_TYPED_CODE);
	const struct rg_image_function *functions =
		rg_image_section(view->image, RG_SECTION_FUNCTIONS);
	const struct rg_image_place *places = rg_image_section(view->image, RG_SECTION_PLACES);
	const struct rg_typed_program *program;

	if (!binding->typed)
		return false;
	program = (const struct rg_typed_program *)rg_image_section(view->image,
								    RG_SECTION_TYPED_PROGRAMS) +
		  binding->typed - 1;
	for (; *at < program->code_count; (*at)++) {
		const struct rg_typed_instruction *ask = &code[program->code + *at];
		const struct rg_image_place *place;

		if (ask->op != RG_TYPED_OP_EVALUATE)
			continue;
		place = &places[functions[ask->table].place];
		piece->row = place->row;
		rg_image_view_text(view, place->file, piece->file, sizeof(piece->file));
		(*at)++;
		return true;
	}
	return false;
}

static void print_typed(const struct explanation *explanation,
			const struct rg_image_binding *binding, const struct typed *typed)
{
	char column[RG_COLUMN_TEXT_BYTES];
	struct table table;
	uint32_t at = 0;

	if (typed->instructions)
		printf("  a typed program of %u instructions is asked first%s\n",
		       typed->instructions,
		       typed->why[0] ? "; it leaves to the rules what it cannot type" : "");
	else
		puts("  there is no typed program: the rules below decide every request");
	if (typed->table_rules)
		printf("  %u rules or rows of data of it are rows of rule tables, matched all at "
		       "once\n",
		       typed->table_rules);
	while (next_table(explanation, binding, &at, &table)) {
		printf("  rule table from %s:%u on: %u rows", table.file, table.row,
		       table.table_rows);
		for (uint32_t i = 0; i < table.input_count; i++)
			printf("%s%s", i ? ", " : " by ",
			       column_text(explanation, binding, table.inputs[i], column));
		putchar('\n');
	}
	at = 0;
	while (next_piece(explanation, binding, &at, &table))
		printf("  asked of the rules alone, by requests that come so far: %s:%u\n",
		       table.file, table.row);
	if (typed->why[0])
		printf("  a rule of the verdict is left to the rules, by requests that come so "
		       "far: %s:%u: %s\n",
		       typed->file, typed->row, typed->why);
}

static void write_typed(struct rg_json_writer *writer, const struct explanation *explanation,
			const struct rg_image_binding *binding, const struct typed *typed)
{
	char column[RG_COLUMN_TEXT_BYTES];
	struct table table;
	uint32_t at = 0;

	rg_json_write_key(writer, "typed_program");
	rg_json_write_object_begin(writer);
	rg_json_member_uint(writer, "instructions", typed->instructions);
	rg_json_member_uint(writer, "table_rules", typed->table_rules);
	rg_json_write_key(writer, "tables");
	rg_json_write_array_begin(writer);
	while (next_table(explanation, binding, &at, &table)) {
		rg_json_write_object_begin(writer);
		rg_json_member_text(writer, "file", table.file);
		rg_json_member_uint(writer, "row", table.row);
		rg_json_member_uint(writer, "table_rows", table.table_rows);
		rg_json_write_key(writer, "columns");
		rg_json_write_array_begin(writer);
		for (uint32_t i = 0; i < table.input_count; i++)
			rg_json_write_string(
				writer, column_text(explanation, binding, table.inputs[i], column));
		rg_json_write_array_end(writer);
		rg_json_write_object_end(writer);
	}
	rg_json_write_array_end(writer);
	at = 0;
	rg_json_write_key(writer, "asked_of_rules");
	rg_json_write_array_begin(writer);
	while (next_piece(explanation, binding, &at, &table)) {
		rg_json_write_object_begin(writer);
		rg_json_member_text(writer, "file", table.file);
		rg_json_member_uint(writer, "row", table.row);
		rg_json_write_object_end(writer);
	}
	rg_json_write_array_end(writer);
	if (typed->why[0]) {
		rg_json_member_text(writer, "not_typed", typed->why);
		rg_json_member_text(writer, "file", typed->file);
		rg_json_member_uint(writer, "row", typed->row);
	}
	rg_json_write_object_end(writer);
}

static void tell_binding(struct explanation *explanation, const struct rg_image_binding *binding,
			 const struct rg_binding *name)
{
	struct rg_json_writer *writer = &explanation->writer;
	struct typed typed = typed_of(explanation, binding);

	memset(explanation->told, 0,
	       explanation->image.function_count * sizeof(*explanation->told));
	if (explanation->cli->json) {
		rg_json_write_object_begin(writer);
		rg_json_member_text(writer, "template", name->template_name);
		rg_json_member_text(writer, "package", name->package);
		write_typed(writer, explanation, binding, &typed);
		rg_json_write_key(writer, "rules");
		rg_json_write_array_begin(writer);
	} else {
		printf("template %s is decided by package %s\n", name->template_name,
		       name->package);
		print_typed(explanation, binding, &typed);
	}
	for (int role = 0; role < RG_ROLE_COUNT; role++)
		if (binding->specialised[role] != RG_IMAGE_NO_FUNCTION)
			tell(explanation, binding->specialised[role]);
	if (explanation->cli->json) {
		rg_json_write_array_end(writer);
		rg_json_write_object_end(writer);
	}
}

static int tell_all(struct explanation *explanation)
{
	const struct rg_image_binding *bindings =
		rg_image_section(explanation->offline.image, RG_SECTION_BINDINGS);
	struct rg_json_writer *writer = &explanation->writer;

	rg_json_writer_init(writer, true);
	rg_json_write_object_begin(writer);
	rg_json_member_bool(writer, "ok", true);
	rg_json_write_key(writer, "templates");
	rg_json_write_array_begin(writer);
	for (uint32_t i = 0; i < explanation->offline.binding_count; i++)
		tell_binding(explanation, &bindings[i], &explanation->offline.bindings[i]);
	rg_json_write_array_end(writer);
	rg_json_write_object_end(writer);
	if (explanation->cli->json)
		return rg_cli_print_json(explanation->cli, writer);
	rg_json_writer_free(writer);
	return RG_OK;
}

/* ---- the command ---- */

static int compile(struct explanation *explanation)
{
	struct rg_cli *cli = explanation->cli;
	struct rg_compile_options compile_options = {
		.fields = rg_schema_fields(cli->schema),
		.bindings = explanation->offline.bindings,
		.binding_count = explanation->offline.binding_count,
	};
	uint32_t longest = 0; /* function, instructions */
	int status = rg_offline_compile(&explanation->offline, compile_options, &cli->error);

	if (!status)
		status = rg_offline_bind(&explanation->offline, &cli->error);
	if (status)
		return status;
	rg_image_view_init(&explanation->image, explanation->offline.image,
			   rg_eval_heap(explanation->offline.eval));
	explanation->told =
		calloc(explanation->image.function_count + 1, sizeof(*explanation->told));
	explanation->read =
		calloc(rg_image_count(explanation->offline.image, RG_SECTION_FIELDS) + 1,
		       sizeof(*explanation->read));
	for (uint32_t i = 0; i < explanation->image.function_count; i++)
		if (explanation->image.functions[i].code_count > longest)
			longest = explanation->image.functions[i].code_count;
	explanation->order = calloc(longest + 1, sizeof(*explanation->order));
	explanation->lines = calloc(longest + 1, sizeof(*explanation->lines));
	return explanation->told && explanation->read && explanation->order && explanation->lines
		       ? RG_OK
		       : rg_error_set(&cli->error, RG_ENOMEM, "no memory to explain %u functions",
				      explanation->image.function_count);
}

static int run(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	struct explanation explanation = {.cli = cli};
	int status = rg_offline_load(&explanation.offline, cli, invocation);

	if (!status)
		status = rg_plan_view_init(&explanation.plan, explanation.offline.bundle,
					   &cli->error);
	if (!status)
		status = compile(&explanation);
	if (!status)
		status = tell_all(&explanation);
	free_explanation(&explanation);
	return status;
}

const struct rg_command rg_command_policy_explain = {
	.name = "policy explain",
	.arguments = "PATH",
	.arguments_min = 1,
	.arguments_max = 1,
	.summary = "Say how each rule of a bundle is compiled, and why",
	.details =
		"Compiles PATH for the configuration's templates and tells of each function of\n"
		"the image and each of its source lines: specialised, when it only tests the\n"
		"request's bytes; general, when it works on values at run time; and what it does\n"
		"there. A template's typed program does the same on machine numbers and is asked\n"
		"first; what it could not type, and leaves to the rules, is named with its place.\n"
		"Many bodies of a rule, or rows of data that a rule goes over, become the rows\n"
		"of a rule table: each is told with its place, number of rows and columns.\n"
		"Rules that were inlined stand under the rule that they went into. A line\n"
		"without tests is not listed: it became a constant, or only adds to a result.",
	.examples = "riskctl policy explain examples/policies/payments/bundles/payments-1.tar.gz\n"
		    "riskctl policy explain --template NewOrder --package pretrade policy/",
	.options = rg_offline_options,
	.run = run,
};
