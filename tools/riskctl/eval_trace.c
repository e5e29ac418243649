/* SPDX-License-Identifier: Apache-2.0 */
/* From marks to a trace. See eval_trace.h. */
#include "base/json_member.h"
#include "tools/riskctl/eval_trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"

#define NONE		UINT32_MAX
#define NOTES_BYTES_MAX 600 /* of one line */
#define ACTIVATIONS_MAX 600 /* > the evaluator's call depth */

enum entry_kind { ENTRY_RULE, ENTRY_LINE, ENTRY_ITEM };
enum entry_state { STATE_HELD, STATE_UNDEFINED };

/* Entries stand in the order they began; `depth` makes a tree of them. */
struct entry {
	uint8_t kind, state;
	uint32_t depth;
	uint32_t function; /* RULE */
	uint32_t file, row;
	uint32_t last; /* LINE: id of its last statement */
	char *text;    /* RULE: what it returned; LINE, ITEM: values met */
};

/* A statement that has begun. */
struct open {
	uint32_t id;
	uint32_t entry;	      /* the line it belongs to, NONE when the trace is full */
	uint32_t inner_entry; /* line or turn that statements of the same row inside it belong to */
	uint32_t line;	      /* the last line inside it */
	bool turned;	      /* a loop that has had a turn */
};

struct activation {
	uint32_t function, entry, line, depth;
	char **values;	    /* in a few words, by local */
	uint32_t *definers; /* by local: id of the statement that assigned it last, + 1 */
	uint32_t value_count;
	struct open *open;
	uint32_t open_count, open_capacity;
};

struct rg_trace {
	const struct rg_plan_view *view;
	struct rg_eval *eval;
	struct entry *entries;
	uint32_t count, capacity;
	struct activation activations[ACTIVATIONS_MAX];
	uint32_t depth;
	bool cut, no_memory;
	bool called; /* since the call statement that is open began, a function was entered */
};

struct rg_trace *rg_trace_new(const struct rg_plan_view *view, struct rg_eval *eval)
{
	struct rg_trace *trace = calloc(1, sizeof(*trace));

	if (trace) {
		trace->view = view;
		trace->eval = eval;
	}
	return trace;
}

static void leave(struct activation *activation)
{
	for (uint32_t i = 0; activation->values && i < activation->value_count; i++)
		free(activation->values[i]);
	free(activation->values);
	free(activation->definers);
	free(activation->open);
	memset(activation, 0, sizeof(*activation));
}

void rg_trace_free(struct rg_trace *trace)
{
	if (!trace)
		return;
	while (trace->depth)
		leave(&trace->activations[--trace->depth]);
	for (uint32_t i = 0; i < trace->count; i++)
		free(trace->entries[i].text);
	free(trace->entries);
	free(trace);
}

/* ---- entries ---- */

static struct entry *entry_at(struct rg_trace *trace, uint32_t number)
{
	return number == NONE ? NULL : &trace->entries[number];
}

static uint32_t add_entry(struct rg_trace *trace, struct entry entry)
{
	if (trace->count == RG_TRACE_ENTRIES_MAX) {
		trace->cut = true;
		return NONE;
	}
	if (trace->count == trace->capacity) {
		uint32_t capacity = trace->capacity ? 2 * trace->capacity : 256;
		struct entry *grown = realloc(trace->entries, capacity * sizeof(*grown));

		if (!grown) {
			trace->no_memory = true;
			return NONE;
		}
		trace->entries = grown;
		trace->capacity = capacity;
	}
	trace->entries[trace->count] = entry;
	return trace->count++;
}

static void add_note(struct rg_trace *trace, uint32_t number, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Append to what a line met; the same is not said twice. */
static void add_note(struct rg_trace *trace, uint32_t number, const char *format, ...)
{
	struct entry *entry = entry_at(trace, number);
	char note[3 * RG_BRIEF_BYTES + RG_LOCAL_NAME_BYTES];
	size_t used = entry && entry->text ? strlen(entry->text) : 0;
	va_list args;
	char *grown;

	if (!entry || used > NOTES_BYTES_MAX)
		return;
	va_start(args, format);
	vsnprintf(note, sizeof(note), format, args);
	va_end(args);
	if (entry->text && strstr(entry->text, note))
		return;
	grown = realloc(entry->text, used + strlen(note) + 3);
	if (!grown) {
		trace->no_memory = true;
		return;
	}
	snprintf(grown + used, strlen(note) + 3, "%s%s", used ? "; " : "", note);
	entry->text = grown;
}

/* ---- values of locals ---- */

/* Statement `definer` gave `local` the value; undefined: one that changes yet. */
static void keep_value(struct rg_trace *trace, struct activation *activation, uint32_t local,
		       uint32_t definer, struct rg_value value)
{
	char brief[RG_BRIEF_BYTES], *copy;

	if (local >= activation->value_count)
		return;
	activation->definers[local] = definer + 1;
	copy = value.type == RG_UNDEFINED
		       ? NULL
		       : strdup(rg_value_brief(rg_eval_heap(trace->eval), value, brief));
	free(activation->values[local]);
	activation->values[local] = copy;
	trace->no_memory |= !copy && value.type != RG_UNDEFINED;
}

static const char *name_of(struct rg_trace *trace, const struct activation *activation,
			   struct rg_plan_operand operand, char *out)
{
	uint32_t definer = 0;

	if (operand.kind == RG_PLAN_BOOLEAN)
		return operand.value ? "true" : "false";
	if (operand.kind == RG_PLAN_STRING) {
		snprintf(out, RG_LOCAL_NAME_BYTES, "\"%s\"",
			 trace->view->plan->strings[operand.value].text);
		return out;
	}
	if (operand.value < activation->value_count)
		definer = activation->definers[operand.value];
	return definer ? rg_plan_view_target(trace->view, definer - 1)
		       : rg_plan_view_parameter(trace->view, activation->function, operand.value,
						out);
}

/* An operand's value, or its name where the trace has not seen the value: arguments, sets under
 * construction. */
static const char *shown(struct rg_trace *trace, const struct activation *activation,
			 struct rg_plan_operand operand, char *out)
{
	if (operand.kind == RG_PLAN_LOCAL && operand.value < activation->value_count &&
	    activation->values[operand.value])
		return activation->values[operand.value];
	return name_of(trace, activation, operand, out);
}

/* ---- notes ---- */

static const char *infix(const char *builtin)
{
	static const char *const table[][2] = {{"gt", ">"},	{"gte", ">="},
					       {"lt", "<"},	{"lte", "<="},
					       {"equal", "=="}, {"neq", "!="},
					       {"plus", "+"},	{"minus", "-"},
					       {"mul", "*"},	{"div", "/"},
					       {"rem", "%"},	{"and", "&"},
					       {"or", "|"},	{"internal.member_2", "in"}};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (!strcmp(builtin, table[i][0]))
			return table[i][1];
	return NULL;
}

static bool is_comparison(const char *sign)
{
	return strchr("<>=!", sign[0]) || !strcmp(sign, "in");
}

/* "95 >= 80" for a comparison, with " is false" where it is; "floor(2.5) = 2" for others. */
static void note_builtin(struct rg_trace *trace, struct activation *activation,
			 const struct rg_plan_statement *call, uint32_t line, const char *result)
{
	const char *sign = infix(call->name.text);
	char a[RG_LOCAL_NAME_BYTES], b[RG_LOCAL_NAME_BYTES], args[2 * RG_LOCAL_NAME_BYTES] = "";
	size_t used = 0;

	if (sign && call->arg_count == 2) {
		snprintf(args, sizeof(args), "%s %s %s", shown(trace, activation, call->args[0], a),
			 sign, shown(trace, activation, call->args[1], b));
		if (is_comparison(sign) && !strcmp(result, "true"))
			add_note(trace, line, "%s", args);
		else
			add_note(trace, line, is_comparison(sign) ? "%s is %s" : "%s = %s", args,
				 result);
		return;
	}
	for (uint32_t i = 0; i < call->arg_count && used < sizeof(args); i++)
		used += (size_t)snprintf(args + used, sizeof(args) - used, "%s%s", i ? ", " : "",
					 shown(trace, activation, call->args[i], a));
	add_note(trace, line, "%s(%s) = %s", call->name.text, args, result);
}

/* Does it add to what the rule returns, not to some set on the way? */
static bool gives_result(const struct rg_trace *trace, const struct activation *activation,
			 const struct rg_plan_statement *statement)
{
	return trace->view->plan->functions[activation->function].result == statement->target;
}

/* What a statement that held is worth saying. */
static void note_done(struct rg_trace *trace, struct activation *activation,
		      const struct rg_plan_statement *statement, uint32_t line,
		      const struct rg_mark *mark)
{
	char value[RG_BRIEF_BYTES], key[RG_BRIEF_BYTES];
	struct rg_heap *heap = rg_eval_heap(trace->eval);

	rg_value_brief(heap, mark->value, value);
	switch (statement->type) {
	case RG_STATEMENT_DOT:
		if (mark->value.type < RG_ARRAY) /* containers are on the way to something */
			add_note(trace, line, "%s = %s",
				 rg_plan_view_target(trace->view, statement->id), value);
		break;
	case RG_STATEMENT_LEN:
		add_note(trace, line, "%s = %s", rg_plan_view_target(trace->view, statement->id),
			 value);
		break;
	case RG_STATEMENT_CALL:
		if (statement->callee_kind == RG_PLAN_CALL_BUILTIN)
			note_builtin(trace, activation, statement, line, value);
		else if (!trace->called)
			add_note(trace, line, "%s = %s, as before",
				 rg_plan_view_target(trace->view, statement->id), value);
		break;
	case RG_STATEMENT_SET_ADD:
		if (gives_result(trace, activation, statement))
			add_note(trace, line, "adds %s", value);
		break;
	case RG_STATEMENT_OBJECT_INSERT:
	case RG_STATEMENT_OBJECT_INSERT_ONCE:
		if (gives_result(trace, activation, statement))
			add_note(trace, line, "adds %s: %s", rg_value_brief(heap, mark->key, key),
				 value);
		break;
	default: break;
	}
}

/* Why a statement that did not hold did not. */
static void note_undefined(struct rg_trace *trace, struct activation *activation,
			   const struct rg_plan_statement *statement, uint32_t line)
{
	char a[RG_LOCAL_NAME_BYTES], b[RG_LOCAL_NAME_BYTES];

	switch (statement->type) {
	case RG_STATEMENT_DOT:
	case RG_STATEMENT_CALL:
		add_note(trace, line, "%s is undefined",
			 rg_plan_view_target(trace->view, statement->id));
		break;
	case RG_STATEMENT_EQUAL:
		add_note(trace, line, "%s == %s is false",
			 shown(trace, activation, statement->a, a),
			 shown(trace, activation, statement->b, b));
		break;
	case RG_STATEMENT_NOT_EQUAL:
		if (statement->b.kind != RG_PLAN_BOOLEAN)
			add_note(trace, line, "%s != %s is false",
				 shown(trace, activation, statement->a, a),
				 shown(trace, activation, statement->b, b));
		else if (entry_at(trace, line) && !entry_at(trace, line)->text)
			add_note(trace, line, "%s is false",
				 name_of(trace, activation, statement->a, a));
		break;
	case RG_STATEMENT_IS_ARRAY:
	case RG_STATEMENT_IS_OBJECT:
	case RG_STATEMENT_IS_SET:
		add_note(trace, line, "%s is no %s", shown(trace, activation, statement->a, a),
			 statement->type == RG_STATEMENT_IS_ARRAY    ? "array"
			 : statement->type == RG_STATEMENT_IS_OBJECT ? "object"
								     : "set");
		break;
	case RG_STATEMENT_SCAN:
		add_note(trace, line, "%s has nothing to go over",
			 shown(trace, activation, statement->a, a));
		break;
	default: break;
	}
}

/* ---- statements ---- */

static const struct rg_statement_view *view_of(const struct rg_trace *trace, uint32_t id)
{
	return &trace->view->statements[id];
}

/* In a turn of `every`, what asks whether its body was undefined. */
static bool is_turn_of_every(const struct rg_plan_statement *statement, const struct entry *entry)
{
	return statement->type == RG_STATEMENT_IS_UNDEFINED && entry && entry->kind == ENTRY_ITEM;
}

/* The innermost open statement ends without having held. */
static void fail_innermost(struct rg_trace *trace, struct activation *activation)
{
	const struct open *open = &activation->open[--activation->open_count];
	const struct rg_plan_statement *statement = view_of(trace, open->id)->statement;
	struct entry *entry = entry_at(trace, open->entry);

	if (statement->type == RG_STATEMENT_WITH || open->turned)
		return; /* what is inside tells */
	if (is_turn_of_every(statement, entry))
		return; /* it asks whether the body failed, and it did not */
	note_undefined(trace, activation, statement, open->entry);
	if (entry)
		entry->state = STATE_UNDEFINED;
}

/* Close what is open inside statement `id`; it becomes the innermost one. NONE: close all. */
static void close_until(struct rg_trace *trace, struct activation *activation, uint32_t id)
{
	while (activation->open_count && activation->open[activation->open_count - 1].id != id)
		fail_innermost(trace, activation);
}

/* The line that a statement which begins belongs to: that of what is around it or of what was
 * before it, else a new one. */
static uint32_t line_for(struct rg_trace *trace, struct activation *activation,
			 const struct rg_plan_statement *statement)
{
	struct open *outer =
		activation->open_count ? &activation->open[activation->open_count - 1] : NULL;
	uint32_t *line = outer ? &outer->line : &activation->line;
	struct entry *entry = outer ? entry_at(trace, outer->inner_entry) : NULL;
	uint32_t depth = activation->depth + 1;

	if (entry && entry->row == statement->row && entry->file == statement->file)
		return outer->inner_entry;
	if (entry)
		depth = entry->depth + (entry->kind == ENTRY_ITEM);
	entry = entry_at(trace, *line);
	if (entry && entry->row == statement->row && entry->file == statement->file &&
	    entry->state == STATE_HELD && statement->id > entry->last)
		return *line;
	*line = add_entry(trace, (struct entry){.kind = ENTRY_LINE,
						.depth = depth,
						.file = statement->file,
						.row = statement->row});
	return *line;
}

static struct open *push_open(struct rg_trace *trace, struct activation *activation)
{
	if (activation->open_count == activation->open_capacity) {
		uint32_t capacity = activation->open_capacity ? 2 * activation->open_capacity : 16;
		struct open *grown = realloc(activation->open, capacity * sizeof(*grown));

		if (!grown) {
			trace->no_memory = true;
			return NULL;
		}
		activation->open = grown;
		activation->open_capacity = capacity;
	}
	return &activation->open[activation->open_count++];
}

/* The nearest statement around that has marks: blocks have none. */
static uint32_t marked_parent(const struct rg_trace *trace, uint32_t id)
{
	do {
		id = view_of(trace, id)->parent;
	} while (id != NONE && !rg_statement_can_fail(view_of(trace, id)->statement));
	return id;
}

static void begin_statement(struct rg_trace *trace, struct activation *activation, uint32_t id)
{
	const struct rg_plan_statement *statement = view_of(trace, id)->statement;
	struct open *open;
	uint32_t line;

	close_until(trace, activation, marked_parent(trace, id));
	line = line_for(trace, activation, statement);
	if (line != NONE)
		trace->entries[line].last = id;
	open = push_open(trace, activation);
	if (open)
		*open = (struct open){.id = id, .entry = line, .inner_entry = line, .line = NONE};
	trace->called = false;
}

static void end_statement(struct rg_trace *trace, struct activation *activation,
			  const struct rg_mark *mark)
{
	const struct rg_plan_statement *statement = view_of(trace, mark->number)->statement;
	bool begun = rg_statement_can_fail(statement);
	uint32_t line = NONE;

	if (begun) {
		close_until(trace, activation, mark->number);
		if (!activation->open_count)
			return;
		line = activation->open[--activation->open_count].entry;
	}
	switch (statement->type) {
	case RG_STATEMENT_ARRAY_APPEND:
	case RG_STATEMENT_SET_ADD:
	case RG_STATEMENT_OBJECT_INSERT:
	case RG_STATEMENT_OBJECT_INSERT_ONCE:
	case RG_STATEMENT_NOT:
	case RG_STATEMENT_EQUAL:
	case RG_STATEMENT_NOT_EQUAL:
	case RG_STATEMENT_SCAN:
	case RG_STATEMENT_WITH: break;
	case RG_STATEMENT_MAKE_ARRAY:
	case RG_STATEMENT_MAKE_OBJECT:
	case RG_STATEMENT_MAKE_SET:
		keep_value(trace, activation, statement->target, mark->number, rg_undefined);
		break;
	default: keep_value(trace, activation, statement->target, mark->number, mark->value);
	}
	if (statement->type == RG_STATEMENT_NOT && entry_at(trace, line))
		entry_at(trace, line)->state = STATE_HELD; /* what is inside did not hold */
	if (is_turn_of_every(statement, entry_at(trace, line)))
		entry_at(trace, line)->state = STATE_UNDEFINED;
	if (begun)
		note_done(trace, activation, statement, line, mark);
}

static void begin_turn(struct rg_trace *trace, struct activation *activation,
		       const struct rg_mark *mark)
{
	const struct rg_plan_statement *scan = view_of(trace, mark->number)->statement;
	char value[RG_BRIEF_BYTES], key[RG_BRIEF_BYTES];
	struct rg_heap *heap = rg_eval_heap(trace->eval);
	struct entry *line;
	struct open *open;

	close_until(trace, activation, mark->number);
	if (!activation->open_count)
		return;
	open = &activation->open[activation->open_count - 1];
	line = entry_at(trace, open->entry);
	if (line)
		line->state = STATE_HELD;
	open->turned = true;
	open->line = NONE;
	open->inner_entry = add_entry(
		trace, (struct entry){.kind = ENTRY_ITEM,
				      .depth = line ? line->depth + 1 : activation->depth + 1,
				      .file = scan->file,
				      .row = scan->row});
	keep_value(trace, activation, scan->value_local, mark->number, mark->value);
	keep_value(trace, activation, scan->key, mark->number, mark->key);
	rg_value_brief(heap, mark->value, value);
	rg_value_brief(heap, mark->key, key);
	if (strcmp(key, value))
		add_note(trace, open->inner_entry, "%s: %s", key, value);
	else
		add_note(trace, open->inner_entry, "%s", value);
}

/* ---- rules ---- */

static void enter(struct rg_trace *trace, uint32_t function)
{
	const struct rg_plan *plan = trace->view->plan;
	struct activation *activation, *caller;
	uint32_t depth = 0, frame_size;

	if (trace->depth == ACTIVATIONS_MAX)
		return;
	caller = trace->depth ? &trace->activations[trace->depth - 1] : NULL;
	if (caller && caller->open_count) {
		const struct entry *line =
			entry_at(trace, caller->open[caller->open_count - 1].inner_entry);

		depth = line ? line->depth + 1 : depth;
	}
	activation = &trace->activations[trace->depth++];
	*activation = (struct activation){
		.function = function, .entry = NONE, .line = NONE, .depth = depth};
	frame_size = function == NONE ? 2 : plan->functions[function].frame_size;
	activation->values = calloc(frame_size + 1, sizeof(*activation->values));
	activation->definers = calloc(frame_size + 1, sizeof(*activation->definers));
	if (!activation->values || !activation->definers) {
		trace->no_memory = true;
		return;
	}
	activation->value_count = frame_size;
	if (function != NONE)
		activation->entry =
			add_entry(trace, (struct entry){.kind = ENTRY_RULE,
							.depth = depth,
							.state = STATE_UNDEFINED,
							.function = function,
							.file = trace->view->head_files[function],
							.row = trace->view->head_rows[function]});
}

static void return_from(struct rg_trace *trace, const struct rg_mark *mark)
{
	struct activation *activation = &trace->activations[trace->depth - 1];
	struct entry *entry;
	char value[RG_BRIEF_BYTES];

	close_until(trace, activation, NONE);
	entry = entry_at(trace, activation->entry);
	if (entry && mark->value.type != RG_UNDEFINED)
		entry->state = STATE_HELD;
	add_note(trace, activation->entry, "%s",
		 rg_value_brief(rg_eval_heap(trace->eval), mark->value, value));
	leave(activation);
	trace->depth--;
	trace->called = true;
}

void rg_trace_mark(void *context, const struct rg_mark *mark)
{
	struct rg_trace *trace = context;
	struct activation *activation = trace->depth ? &trace->activations[trace->depth - 1] : NULL;

	if (trace->no_memory)
		return;
	switch (mark->phase) {
	case RG_MARK_ENTER: enter(trace, mark->number); return;
	case RG_MARK_RETURN:
		if (activation)
			return_from(trace, mark);
		return;
	default: break;
	}
	if (!activation || activation->function == NONE)
		return;
	if (mark->phase == RG_MARK_BEGIN)
		begin_statement(trace, activation, mark->number);
	else if (mark->phase == RG_MARK_DONE)
		end_statement(trace, activation, mark);
	else if (mark->phase == RG_MARK_ITEM)
		begin_turn(trace, activation, mark);
}

/* ---- printing ---- */

/* After an error that ended the evaluation: what was open has not held. */
static void finish(struct rg_trace *trace)
{
	while (trace->depth) {
		struct activation *activation = &trace->activations[--trace->depth];

		close_until(trace, activation, NONE);
		leave(activation);
	}
}

struct colours {
	const char *held, *undefined, *faint, *strong, *end;
};

static struct colours colours_of_output(void)
{
	static const struct colours none = {"", "", "", "", ""};
	static const struct colours terminal = {"\033[32m", "\033[31m", "\033[2m", "\033[1m",
						"\033[0m"};

	return isatty(STDOUT_FILENO) && !getenv("NO_COLOR") ? terminal : none;
}

static void print_rule(struct rg_trace *trace, const struct entry *entry,
		       const struct colours *colours)
{
	char name[RG_RULE_NAME_BYTES];

	printf("%*s%s%s%s  %s(%s:%u)%s  %s%s%s\n", 2 * (int)entry->depth, "", colours->strong,
	       rg_plan_view_rule(trace->view, entry->function, name), colours->end, colours->faint,
	       rg_plan_view_file(trace->view, entry->file), entry->row, colours->end,
	       entry->state == STATE_HELD ? colours->held : colours->undefined,
	       entry->text ? entry->text : "did not return", colours->end);
}

static void print_line(struct rg_trace *trace, const struct entry *entry,
		       const struct colours *colours)
{
	size_t bytes = 0;
	const char *source = entry->kind == ENTRY_ITEM ? "with"
						       : rg_plan_view_line(trace->view, entry->file,
									   entry->row, &bytes);

	if (entry->kind == ENTRY_ITEM)
		bytes = strlen(source);
	printf("%*s%s%s%s %4u  %.*s", 2 * (int)entry->depth, "",
	       entry->state == STATE_HELD ? colours->held : colours->undefined,
	       entry->state == STATE_HELD ? "+" : "-", colours->end, entry->row, (int)bytes,
	       source);
	if (entry->text)
		printf("%s%s%s%s", bytes ? "  " : "", colours->faint, entry->text, colours->end);
	putchar('\n');
}

void rg_trace_print(struct rg_trace *trace)
{
	struct colours colours = colours_of_output();

	finish(trace);
	for (uint32_t i = 0; i < trace->count; i++) {
		if (trace->entries[i].kind == ENTRY_RULE)
			print_rule(trace, &trace->entries[i], &colours);
		else
			print_line(trace, &trace->entries[i], &colours);
	}
	if (trace->cut)
		printf("... the trace ends here: it has more than %u entries\n",
		       RG_TRACE_ENTRIES_MAX);
	if (trace->no_memory)
		puts("... the trace ends here: out of memory");
}

void rg_trace_write(struct rg_trace *trace, struct rg_json_writer *writer)
{
	static const char *const kinds[] = {"rule", "line", "item"};
	char name[RG_RULE_NAME_BYTES];

	finish(trace);
	rg_json_write_array_begin(writer);
	for (uint32_t i = 0; i < trace->count; i++) {
		const struct entry *entry = &trace->entries[i];
		size_t bytes;
		const char *source =
			rg_plan_view_line(trace->view, entry->file, entry->row, &bytes);

		rg_json_write_object_begin(writer);
		rg_json_member_text(writer, "kind", kinds[entry->kind]);
		rg_json_member_uint(writer, "depth", entry->depth);
		rg_json_member_text(writer, "file", rg_plan_view_file(trace->view, entry->file));
		rg_json_member_uint(writer, "row", entry->row);
		rg_json_member_bool(writer, "held", entry->state == STATE_HELD);
		if (entry->kind == ENTRY_RULE)
			rg_json_member_text(writer, "rule",
					    rg_plan_view_rule(trace->view, entry->function, name));
		if (entry->kind == ENTRY_LINE && bytes) {
			rg_json_write_key(writer, "source");
			rg_json_write_string_n(writer, source, bytes);
		}
		if (entry->text)
			rg_json_member_text(writer,
					    entry->kind == ENTRY_RULE ? "returned" : "values",
					    entry->text);
		rg_json_write_object_end(writer);
	}
	rg_json_write_array_end(writer);
	if (trace->cut || trace->no_memory)
		rg_json_member_bool(writer, "trace_cut", true);
}
