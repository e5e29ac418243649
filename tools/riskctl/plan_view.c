/* SPDX-License-Identifier: Apache-2.0 */
/* The plan by statement and source line, and names for its locals. See plan_view.h. */
#include "tools/riskctl/plan_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "policy/eval/number.h"

/* ---- names of locals ---- */

/* The names that a function's locals have at the statement being looked at. Locals are used
 * again from body to body. */
struct naming {
	struct rg_plan_view *view;
	uint32_t function;
	const char **names; /* of locals, owned by view->names; NULL: none yet */
	uint32_t count;
};

/* Room for a name while it is put together; it is cut to RG_LOCAL_NAME_BYTES. */
#define WORK_BYTES (3 * RG_LOCAL_NAME_BYTES)

/* The statement gives its target, or a loop its item, this name. Without memory it has none and
 * reads as "?". */
static void set_name(struct naming *naming, const struct rg_plan_statement *statement,
		     uint32_t local, const char *name)
{
	char cut[RG_LOCAL_NAME_BYTES];

	snprintf(cut, sizeof(cut), "%s", name);
	naming->view->names[statement->id] = strdup(cut);
	if (local < naming->count)
		naming->names[local] = naming->view->names[statement->id];
}

/* A key that can follow a dot in Rego. */
static bool is_word(const char *text, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++) {
		char c = text[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
		      (i && c >= '0' && c <= '9')))
			return false;
	}
	return bytes > 0;
}

static const char *name_of(const struct naming *naming, struct rg_plan_operand operand, char *out)
{
	switch (operand.kind) {
	case RG_PLAN_BOOLEAN: return operand.value ? "true" : "false";
	case RG_PLAN_STRING:
		snprintf(out, RG_LOCAL_NAME_BYTES, "\"%s\"",
			 naming->view->plan->strings[operand.value].text);
		return out;
	default:
		if (operand.value < naming->count && naming->names[operand.value])
			return naming->names[operand.value];
		return rg_plan_view_parameter(naming->view, naming->function, operand.value, out);
	}
}

static void name_dot(struct naming *naming, const struct rg_plan_statement *statement)
{
	char a[RG_LOCAL_NAME_BYTES], b[RG_LOCAL_NAME_BYTES], name[WORK_BYTES];
	const char *source = name_of(naming, statement->a, a);
	struct rg_plan_text text = {NULL, 0};

	if (statement->b.kind == RG_PLAN_STRING)
		text = naming->view->plan->strings[statement->b.value];
	if (is_word(text.text, text.bytes))
		snprintf(name, sizeof(name), "%s.%s", source, text.text);
	else
		snprintf(name, sizeof(name), "%s[%s]", source, name_of(naming, statement->b, b));
	set_name(naming, statement, statement->target, name);
}

/* "count(input.items)"; a rule without arguments by its name. */
static void name_call(struct naming *naming, const struct rg_plan_statement *statement)
{
	bool builtin = statement->callee_kind == RG_PLAN_CALL_BUILTIN;
	uint32_t first = builtin ? 0 : 2; /* behind input and data */
	const char *callee = statement->name.text;
	char arg[RG_LOCAL_NAME_BYTES], name[WORK_BYTES];
	size_t used;

	if (!builtin && strchr(callee, '.'))
		callee = strchr(callee, '.') + 1;
	used = (size_t)snprintf(name, sizeof(name), "%s", callee);
	if (builtin || statement->arg_count > first) {
		for (uint32_t i = first; i < statement->arg_count && used < sizeof(name); i++)
			used += (size_t)snprintf(name + used, sizeof(name) - used, "%s%s",
						 i == first ? "(" : ", ",
						 name_of(naming, statement->args[i], arg));
		if (used < sizeof(name))
			snprintf(name + used, sizeof(name) - used, ")");
	}
	set_name(naming, statement, statement->target, name);
}

static void name_scan(struct naming *naming, const struct rg_plan_statement *scan)
{
	char source[RG_LOCAL_NAME_BYTES], name[WORK_BYTES];

	snprintf(name, sizeof(name), "%s[_]", name_of(naming, scan->a, source));
	set_name(naming, scan, scan->value_local, name);
}

static void name_statement(struct naming *naming, const struct rg_plan_statement *statement)
{
	char source[RG_LOCAL_NAME_BYTES], name[WORK_BYTES];

	switch (statement->type) {
	case RG_STATEMENT_DOT: name_dot(naming, statement); return;
	case RG_STATEMENT_CALL: name_call(naming, statement); return;
	case RG_STATEMENT_SCAN: name_scan(naming, statement); return;
	case RG_STATEMENT_ASSIGN_VAR:
		snprintf(name, sizeof(name), "%s", name_of(naming, statement->a, source));
		break;
	case RG_STATEMENT_ASSIGN_INT:
	case RG_STATEMENT_MAKE_NUMBER_INT:
		snprintf(name, sizeof(name), "%lld", (long long)statement->number);
		break;
	case RG_STATEMENT_MAKE_NUMBER_REF:
		snprintf(name, sizeof(name), "%s",
			 naming->view->plan->strings[statement->number].text);
		break;
	case RG_STATEMENT_MAKE_NULL: snprintf(name, sizeof(name), "null"); break;
	case RG_STATEMENT_MAKE_ARRAY: snprintf(name, sizeof(name), "[...]"); break;
	case RG_STATEMENT_MAKE_OBJECT:
	case RG_STATEMENT_MAKE_SET: snprintf(name, sizeof(name), "{...}"); break;
	case RG_STATEMENT_LEN:
		snprintf(name, sizeof(name), "count(%s)", name_of(naming, statement->a, source));
		break;
	default: return;
	}
	set_name(naming, statement, statement->target, name);
}

static void name_blocks(struct naming *naming, const struct rg_plan_block *blocks, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t j = 0; j < blocks[i].count; j++) {
			name_statement(naming, &blocks[i].statements[j]);
			name_blocks(naming, blocks[i].statements[j].blocks,
				    blocks[i].statements[j].block_count);
		}
	}
}

static void name_function(struct rg_plan_view *view, uint32_t function)
{
	const struct rg_plan_function *of = &view->plan->functions[function];
	struct naming naming = {.view = view, .function = function, .count = of->frame_size};

	naming.names = calloc(of->frame_size + 1, sizeof(*naming.names));
	if (!naming.names)
		return; /* all read as "?" */
	name_blocks(&naming, of->blocks, of->block_count);
	free(naming.names);
}

const char *rg_plan_view_target(const struct rg_plan_view *view, uint32_t id)
{
	return view->names[id] ? view->names[id] : "?";
}

const char *rg_plan_view_parameter(const struct rg_plan_view *view, uint32_t function,
				   uint32_t local, char *out)
{
	const struct rg_plan_function *of = &view->plan->functions[function];

	snprintf(out, RG_LOCAL_NAME_BYTES, "?");
	for (uint32_t i = 0; i < of->param_count; i++) {
		if (of->params[i] != local)
			continue;
		if (i < 2)
			snprintf(out, RG_LOCAL_NAME_BYTES, i ? "data" : "input");
		else
			snprintf(out, RG_LOCAL_NAME_BYTES, "argument %u", i - 1);
	}
	return out;
}

/* ---- statements ---- */

static void enter_blocks(struct rg_plan_view *view, const struct rg_plan_block *blocks,
			 uint32_t count, uint32_t parent, uint32_t function)
{
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t j = 0; j < blocks[i].count; j++) {
			const struct rg_plan_statement *statement = &blocks[i].statements[j];

			view->statements[statement->id] =
				(struct rg_statement_view){statement, parent, function};
			enter_blocks(view, statement->blocks, statement->block_count, statement->id,
				     function);
		}
	}
}

/* A rule's head is where its result is returned from. */
static void find_head(struct rg_plan_view *view, uint32_t function)
{
	const struct rg_plan_function *of = &view->plan->functions[function];
	const struct rg_plan_block *last =
		of->block_count ? &of->blocks[of->block_count - 1] : NULL;

	view->head_files[function] = RG_PLAN_NO_FILE;
	if (!last || !last->count)
		return;
	view->head_rows[function] = last->statements[last->count - 1].row;
	view->head_files[function] = last->statements[last->count - 1].file;
}

/* ---- lines of the sources ---- */

static const struct rg_bundle_source *find_source(const struct rg_plan_view *view, const char *file)
{
	for (uint32_t i = 0; i < view->bundle->source_count; i++) {
		const char *name = view->bundle->sources[i].name;
		size_t file_bytes = strlen(file), bytes = strlen(name);

		if (file_bytes >= bytes && !strcmp(file + file_bytes - bytes, name) &&
		    (file_bytes == bytes || file[file_bytes - bytes - 1] == '/'))
			return &view->bundle->sources[i];
	}
	return NULL;
}

static int find_lines(const struct rg_bundle_source *source, struct rg_source_lines *lines)
{
	uint32_t count = 1;

	for (const char *at = source->text; (at = strchr(at, '\n')) != NULL; at++)
		count++;
	lines->starts = calloc(count, sizeof(*lines->starts));
	if (!lines->starts)
		return RG_ENOMEM;
	lines->starts[lines->count++] = source->text;
	for (const char *at = source->text; (at = strchr(at, '\n')) != NULL;)
		lines->starts[lines->count++] = ++at;
	return RG_OK;
}

/* Every source is gone through once: a policy has as many lines to look up as it has lines. */
static int index_sources(struct rg_plan_view *view)
{
	view->lines = calloc(view->plan->file_count + 1, sizeof(*view->lines));
	for (uint32_t i = 0; view->lines && i < view->plan->file_count; i++) {
		const struct rg_bundle_source *source =
			find_source(view, view->plan->files[i].text);

		if (source && find_lines(source, &view->lines[i]))
			return RG_ENOMEM;
	}
	return view->lines ? RG_OK : RG_ENOMEM;
}

int rg_plan_view_init(struct rg_plan_view *view, const struct rg_bundle *bundle,
		      struct rg_error *err)
{
	const struct rg_plan *plan;
	int status;

	*view = (struct rg_plan_view){.bundle = bundle};
	status = rg_plan_load(bundle->plan_json, bundle->plan_bytes, &view->plan, err);
	if (status)
		return status;
	plan = view->plan;
	view->statements = calloc(plan->statement_count + 1, sizeof(*view->statements));
	view->head_rows = calloc(plan->function_count + 1, sizeof(*view->head_rows));
	view->head_files = calloc(plan->function_count + 1, sizeof(*view->head_files));
	view->names = calloc(plan->statement_count + 1, sizeof(*view->names));
	if (!view->statements || !view->head_rows || !view->head_files || !view->names ||
	    index_sources(view)) {
		rg_plan_view_free(view);
		return rg_error_set(err, RG_ENOMEM, "no memory for a plan of %u statements",
				    plan->statement_count);
	}
	for (uint32_t i = 0; i < plan->function_count; i++) {
		enter_blocks(view, plan->functions[i].blocks, plan->functions[i].block_count,
			     RG_PLAN_VIEW_NONE, i);
		find_head(view, i);
		name_function(view, i);
	}
	for (uint32_t i = 0; i < plan->entry_count; i++)
		enter_blocks(view, plan->entries[i].blocks, plan->entries[i].block_count,
			     RG_PLAN_VIEW_NONE, RG_PLAN_VIEW_NONE);
	return RG_OK;
}

void rg_plan_view_free(struct rg_plan_view *view)
{
	for (uint32_t i = 0; view->names && i < view->plan->statement_count; i++)
		free(view->names[i]);
	free(view->names);
	for (uint32_t i = 0; view->lines && i < view->plan->file_count; i++)
		free(view->lines[i].starts);
	free(view->lines);
	free(view->statements);
	free(view->head_rows);
	free(view->head_files);
	rg_plan_free(view->plan);
	*view = (struct rg_plan_view){0};
}

/* ---- sources ---- */

const char *rg_plan_view_file(const struct rg_plan_view *view, uint32_t file)
{
	return file < view->plan->file_count ? view->plan->files[file].text : "?";
}

const char *rg_plan_view_line(const struct rg_plan_view *view, uint32_t file, uint32_t row,
			      size_t *bytes)
{
	const char *at;

	*bytes = 0;
	if (file >= view->plan->file_count || !row || row > view->lines[file].count)
		return "";
	at = view->lines[file].starts[row - 1];
	at += strspn(at, " \t");
	*bytes = strcspn(at, "\r\n");
	return at;
}

const char *rg_plan_view_rule(const struct rg_plan_view *view, uint32_t function, char *out)
{
	const char *name = view->plan->functions[function].name.text;

	/* g0, g1, ... is where OPA's planner keeps variants of a rule under `with`. */
	if (name[0] == 'g' && strchr(name, '.'))
		name = strchr(name, '.') + 1;
	snprintf(out, RG_RULE_NAME_BYTES, "%s", name);
	return out;
}

/* ---- values in a few words ---- */

struct brief {
	struct rg_heap *heap;
	char *out;
	size_t used;
	bool full;
};

#define ELLIPSIS "..."

static void put(struct brief *brief, const char *text, size_t bytes)
{
	size_t room = RG_BRIEF_BYTES - 1 - strlen(ELLIPSIS) - 2 - brief->used;

	if (brief->full)
		return;
	if (bytes > room) {
		bytes = room;
		while (bytes && ((unsigned char)text[bytes] & 0xc0) == 0x80) /* no half runes */
			bytes--;
		brief->full = true;
	}
	memcpy(brief->out + brief->used, text, bytes);
	brief->used += bytes;
	if (brief->full) {
		memcpy(brief->out + brief->used, ELLIPSIS, strlen(ELLIPSIS));
		brief->used += strlen(ELLIPSIS);
	}
}

static void put_scalar(struct brief *brief, struct rg_value value)
{
	struct rg_json_writer writer;

	rg_json_writer_init(&writer, false);
	rg_value_write(brief->heap, value, &writer);
	if (!writer.failed)
		put(brief, writer.text, writer.bytes);
	rg_json_writer_free(&writer);
}

static void put_value(struct brief *brief, struct rg_value value)
{
	static const char *const brackets[][2] = {
		[RG_ARRAY] = {"[", "]"}, [RG_OBJECT] = {"{", "}"}, [RG_SET] = {"{", "}"}};
	uint32_t count;

	if (value.type == RG_UNDEFINED) {
		put(brief, "undefined", strlen("undefined"));
		return;
	}
	if (value.type < RG_ARRAY) {
		put_scalar(brief, value);
		return;
	}
	count = rg_count(brief->heap, value);
	if (value.type == RG_SET && !count) {
		put(brief, "set()", strlen("set()"));
		return;
	}
	put(brief, brackets[value.type][0], 1);
	for (uint32_t i = 0; i < count && !brief->full; i++) {
		struct rg_pair pair = rg_pair_at(brief->heap, value, i);

		if (i)
			put(brief, ", ", 2);
		if (value.type == RG_OBJECT) {
			put_value(brief, pair.key);
			put(brief, ": ", 2);
		}
		put_value(brief, pair.value);
	}
	if (brief->full && brief->used < RG_BRIEF_BYTES - 1)
		brief->out[brief->used++] = brackets[value.type][1][0];
	else
		put(brief, brackets[value.type][1], 1);
}

const char *rg_value_brief(struct rg_heap *heap, struct rg_value value, char *out)
{
	struct brief brief = {.heap = heap, .out = out};

	put_value(&brief, value);
	out[brief.used] = '\0';
	return out;
}
