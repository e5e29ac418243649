/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading goes in two steps. The first follows the JSON text and builds the structure; it knows
 * shapes only. The second
 * (check.c) resolves and checks every index, because tables may come after their users in the text.
 */
#include "policy/plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "policy/plan/check.h"

struct load {
	struct rg_plan *plan;
	struct rg_json_reader *reader;
	struct rg_error *err;
	const char *part; /* "funcs", "plans", "static": for messages */
	uint32_t item;	  /* index of the function or plan being read */
};

static const char *const statement_names[RG_STATEMENT_COUNT] = {
#define X(name, json) [RG_STATEMENT_##name] = json "Stmt",
	RG_PLAN_STATEMENTS(X)
#undef X
};

const char *rg_statement_name(enum rg_statement_type type)
{
	return statement_names[type];
}

static int fail(struct load *load, const char *what)
{
	uint32_t line, column;

	if (load->reader->error.status)
		return rg_error_set(load->err, load->reader->error.status, "plan.json: %s",
				    load->reader->error.text);
	rg_json_place(load->reader, &line, &column);
	if (load->part)
		return rg_error_set(load->err, RG_EINVAL, "plan.json line %u column %u (%s %u): %s",
				    line, column, load->part, load->item, what);
	return rg_error_set(load->err, RG_EINVAL, "plan.json line %u column %u: %s", line, column,
			    what);
}

static int no_memory(struct load *load)
{
	return rg_error_set(load->err, RG_ENOMEM, "plan.json: out of memory");
}

/* ---- scalars ---- */

static int read_text(struct load *load, enum rg_json_token token, struct rg_plan_text *out)
{
	char *text;

	if (token != RG_JSON_STRING)
		return fail(load, "expected a string");
	if (load->reader->text_bytes > UINT32_MAX / 4)
		return fail(load, "string too long");
	text = rg_arena_alloc(&load->plan->arena,
			      load->reader->text_bytes * (load->reader->escaped ? 3 : 1) + 1);
	if (!text)
		return no_memory(load);
	out->bytes = (uint32_t)rg_json_decode(load->reader, text);
	text[out->bytes] = '\0';
	out->text = text;
	return RG_OK;
}

static int read_number(struct load *load, enum rg_json_token token, int64_t *out)
{
	if (token != RG_JSON_NUMBER ||
	    !rg_json_int64(load->reader->text, load->reader->text_bytes, out))
		return fail(load, "expected an integer");
	return RG_OK;
}

static int read_index(struct load *load, enum rg_json_token token, uint32_t *out)
{
	int64_t number;
	int status = read_number(load, token, &number);

	if (status)
		return status;
	if (number < 0 || number >= UINT32_MAX)
		return fail(load, "expected a number from 0 to 4294967294");
	*out = (uint32_t)number;
	return RG_OK;
}

/* {"type":"local","value":3}; a bare number is a local, a bare string index does not occur. */
static int read_operand(struct load *load, enum rg_json_token token, struct rg_plan_operand *out)
{
	struct rg_json_reader *reader = load->reader;
	bool has_kind = false, has_value = false, is_boolean = false;
	int status;

	if (token == RG_JSON_NUMBER) {
		out->kind = RG_PLAN_LOCAL;
		return read_index(load, token, &out->value);
	}
	if (token != RG_JSON_OBJECT_BEGIN)
		return fail(load, "expected an operand {\"type\":...,\"value\":...}");
	while ((token = rg_json_next(reader)) == RG_JSON_KEY) {
		if (rg_json_equals(reader, "type")) {
			rg_json_next(reader);
			if (rg_json_equals(reader, "local"))
				out->kind = RG_PLAN_LOCAL;
			else if (rg_json_equals(reader, "string_index"))
				out->kind = RG_PLAN_STRING;
			else if (rg_json_equals(reader, "bool"))
				out->kind = RG_PLAN_BOOLEAN;
			else
				return fail(
					load,
					"unknown operand type: want local, string_index or bool");
			has_kind = true;
		} else if (rg_json_equals(reader, "value")) {
			token = rg_json_next(reader);
			is_boolean = token == RG_JSON_TRUE || token == RG_JSON_FALSE;
			if (is_boolean)
				out->value = token == RG_JSON_TRUE;
			else if ((status = read_index(load, token, &out->value)))
				return status;
			has_value = true;
		} else if (rg_json_skip((rg_json_next(reader), reader))) {
			return fail(load, "malformed operand");
		}
	}
	if (token != RG_JSON_OBJECT_END)
		return fail(load, "malformed operand");
	if (!has_kind || !has_value || is_boolean != (out->kind == RG_PLAN_BOOLEAN))
		return fail(load, "operand lacks its type or its value, or they do not fit");
	return RG_OK;
}

/* ---- lists: null and absent are empty ---- */

typedef int (*read_item)(struct load *load, enum rg_json_token token, void *item);

/* Read an array into arena memory that doubles as it grows. */
static int read_list(struct load *load, enum rg_json_token token, size_t size, read_item read,
		     void **items, uint32_t *count)
{
	uint32_t capacity = 0;
	int status;

	*items = NULL;
	*count = 0;
	if (token == RG_JSON_NULL)
		return RG_OK;
	if (token != RG_JSON_ARRAY_BEGIN)
		return fail(load, "expected an array");
	while ((token = rg_json_next(load->reader)) != RG_JSON_ARRAY_END) {
		if (token == RG_JSON_ERROR || token == RG_JSON_END)
			return fail(load, "malformed array");
		if (*count == capacity) {
			void *grown;

			if (capacity >= UINT32_MAX / 4)
				return fail(load, "array too long");
			capacity = capacity ? 2 * capacity : 4;
			grown = rg_arena_array(&load->plan->arena, capacity, size);
			if (!grown)
				return no_memory(load);
			if (*count)
				memcpy(grown, *items, *count * size);
			*items = grown;
		}
		status = read(load, token, (char *)*items + *count * size);
		if (status)
			return status;
		(*count)++;
	}
	return RG_OK;
}

static int read_text_item(struct load *load, enum rg_json_token token, void *item)
{
	return read_text(load, token, item);
}

static int read_index_item(struct load *load, enum rg_json_token token, void *item)
{
	return read_index(load, token, item);
}

static int read_operand_item(struct load *load, enum rg_json_token token, void *item)
{
	return read_operand(load, token, item);
}

/* With's path holds bare string indices, CallDynamic's holds operands. */
static int read_path_item(struct load *load, enum rg_json_token token, void *item)
{
	struct rg_plan_operand *operand = item;

	if (token == RG_JSON_NUMBER) {
		operand->kind = RG_PLAN_STRING;
		return read_index(load, token, &operand->value);
	}
	return read_operand(load, token, operand);
}

/* ---- statements ---- */

/* Members of struct rg_plan_statement that JSON keys fill. */
enum member {
	MEMBER_A, /* operand or bare local */
	MEMBER_B,
	MEMBER_TARGET,
	MEMBER_KEY,
	MEMBER_VALUE_LOCAL,
	MEMBER_NUMBER,
	MEMBER_ARGS,
	MEMBER_PATH,
	MEMBER_NAME,
	MEMBER_BLOCK,
	MEMBER_BLOCKS
};

struct member_rule {
	const char *key;
	enum member member;
	bool optional;
};

/* clang-format off */
static const struct member_rule *rules_of(enum rg_statement_type type)
{
	static const struct member_rule none[] = {{NULL, MEMBER_A, true}};
	static const struct member_rule append[] = {{"value", MEMBER_A, false}, {"array", MEMBER_TARGET, false}, {NULL, 0, true}};
	static const struct member_rule assign_int[] = {{"value", MEMBER_NUMBER, false}, {"target", MEMBER_TARGET, false}, {NULL, 0, true}};
	static const struct member_rule assign[] = {{"source", MEMBER_A, false}, {"target", MEMBER_TARGET, false}, {NULL, 0, true}};
	static const struct member_rule block[] = {{"blocks", MEMBER_BLOCKS, true}, {NULL, 0, true}};
	static const struct member_rule brk[] = {{"index", MEMBER_NUMBER, false}, {NULL, 0, true}};
	static const struct member_rule call[] = {{"func", MEMBER_NAME, false}, {"args", MEMBER_ARGS, true}, {"result", MEMBER_TARGET, false}, {NULL, 0, true}};
	static const struct member_rule dynamic[] = {{"path", MEMBER_PATH, true}, {"args", MEMBER_ARGS, true}, {"result", MEMBER_TARGET, false}, {NULL, 0, true}};
	static const struct member_rule dot[] = {{"source", MEMBER_A, false}, {"key", MEMBER_B, false}, {"target", MEMBER_TARGET, false}, {NULL, 0, true}};
	static const struct member_rule equal[] = {{"a", MEMBER_A, false}, {"b", MEMBER_B, false}, {NULL, 0, true}};
	static const struct member_rule source[] = {{"source", MEMBER_A, false}, {NULL, 0, true}};
	static const struct member_rule array[] = {{"capacity", MEMBER_NUMBER, true}, {"target", MEMBER_TARGET, false}, {NULL, 0, true}};
	static const struct member_rule target[] = {{"target", MEMBER_TARGET, false}, {NULL, 0, true}};
	static const struct member_rule number_ref[] = {{"index", MEMBER_NUMBER, true}, {"Index", MEMBER_NUMBER, true}, {"target", MEMBER_TARGET, false}, {NULL, 0, true}};
	static const struct member_rule not[] = {{"block", MEMBER_BLOCK, true}, {NULL, 0, true}};
	static const struct member_rule insert[] = {{"key", MEMBER_B, false}, {"value", MEMBER_A, false}, {"object", MEMBER_TARGET, false}, {NULL, 0, true}};
	static const struct member_rule merge[] = {{"a", MEMBER_A, false}, {"b", MEMBER_B, false}, {"target", MEMBER_TARGET, false}, {NULL, 0, true}};
	static const struct member_rule result[] = {{"value", MEMBER_A, false}, {NULL, 0, true}};
	static const struct member_rule scan[] = {{"source", MEMBER_A, false}, {"key", MEMBER_KEY, false}, {"value", MEMBER_VALUE_LOCAL, false}, {"block", MEMBER_BLOCK, true}, {NULL, 0, true}};
	static const struct member_rule set_add[] = {{"value", MEMBER_A, false}, {"set", MEMBER_TARGET, false}, {NULL, 0, true}};
	static const struct member_rule with[] = {{"local", MEMBER_TARGET, false}, {"path", MEMBER_PATH, true}, {"value", MEMBER_A, false}, {"block", MEMBER_BLOCK, true}, {NULL, 0, true}};

	switch (type) {
	case RG_STATEMENT_ARRAY_APPEND: return append;
	case RG_STATEMENT_ASSIGN_INT: case RG_STATEMENT_MAKE_NUMBER_INT: return assign_int;
	case RG_STATEMENT_ASSIGN_VAR: case RG_STATEMENT_ASSIGN_VAR_ONCE: case RG_STATEMENT_LEN: return assign;
	case RG_STATEMENT_BLOCK: return block;
	case RG_STATEMENT_BREAK: return brk;
	case RG_STATEMENT_CALL: return call;
	case RG_STATEMENT_CALL_DYNAMIC: return dynamic;
	case RG_STATEMENT_DOT: return dot;
	case RG_STATEMENT_EQUAL: case RG_STATEMENT_NOT_EQUAL: return equal;
	case RG_STATEMENT_IS_ARRAY: case RG_STATEMENT_IS_OBJECT: case RG_STATEMENT_IS_SET:
	case RG_STATEMENT_IS_DEFINED: case RG_STATEMENT_IS_UNDEFINED: case RG_STATEMENT_RETURN_LOCAL: return source;
	case RG_STATEMENT_MAKE_ARRAY: return array;
	case RG_STATEMENT_MAKE_NULL: case RG_STATEMENT_MAKE_OBJECT: case RG_STATEMENT_MAKE_SET:
	case RG_STATEMENT_RESET_LOCAL: return target;
	case RG_STATEMENT_MAKE_NUMBER_REF: return number_ref;
	case RG_STATEMENT_NOT: return not;
	case RG_STATEMENT_OBJECT_INSERT: case RG_STATEMENT_OBJECT_INSERT_ONCE: return insert;
	case RG_STATEMENT_OBJECT_MERGE: return merge;
	case RG_STATEMENT_RESULT_SET_ADD: return result;
	case RG_STATEMENT_SCAN: return scan;
	case RG_STATEMENT_SET_ADD: return set_add;
	case RG_STATEMENT_WITH: return with;
	case RG_STATEMENT_NOP: case RG_STATEMENT_COUNT: break;
	}
	return none;
}
/* clang-format on */

static int read_block_item(struct load *load, enum rg_json_token token, void *item);

static int read_member(struct load *load, enum member member, enum rg_json_token token,
		       struct rg_plan_statement *out)
{
	switch (member) {
	case MEMBER_A: return read_operand(load, token, &out->a);
	case MEMBER_B: return read_operand(load, token, &out->b);
	case MEMBER_TARGET: return read_index(load, token, &out->target);
	case MEMBER_KEY: return read_index(load, token, &out->key);
	case MEMBER_VALUE_LOCAL: return read_index(load, token, &out->value_local);
	case MEMBER_NUMBER: return read_number(load, token, &out->number);
	case MEMBER_NAME: return read_text(load, token, &out->name);
	case MEMBER_ARGS:
		return read_list(load, token, sizeof(*out->args), read_operand_item,
				 (void **)&out->args, &out->arg_count);
	case MEMBER_PATH:
		return read_list(load, token, sizeof(*out->path), read_path_item,
				 (void **)&out->path, &out->path_count);
	case MEMBER_BLOCKS:
		return read_list(load, token, sizeof(*out->blocks), read_block_item,
				 (void **)&out->blocks, &out->block_count);
	case MEMBER_BLOCK:
		if (token == RG_JSON_NULL)
			return RG_OK;
		return read_block_item(load, token, out->blocks);
	}
	return RG_OK;
}

/* Locations never count: a value that is no index is as good as none. */
static void read_location(struct load *load, enum rg_json_token token, uint32_t *out)
{
	int64_t number;

	if (token == RG_JSON_NUMBER &&
	    rg_json_int64(load->reader->text, load->reader->text_bytes, &number) && number >= 0 &&
	    number < UINT32_MAX)
		*out = (uint32_t)number;
}

static int read_statement_body(struct load *load, enum rg_json_token token,
			       struct rg_plan_statement *out)
{
	const struct member_rule *rules = rules_of(out->type);
	struct rg_json_reader *reader = load->reader;
	uint32_t seen = 0;
	bool takes_block = false;
	int status;

	if (token != RG_JSON_OBJECT_BEGIN)
		return fail(load, "\"stmt\" must be an object");
	out->file = RG_PLAN_NO_FILE;
	for (const struct member_rule *rule = rules; rule->key; rule++)
		takes_block |= rule->member == MEMBER_BLOCK;
	if (takes_block) {
		out->blocks = rg_arena_alloc(&load->plan->arena, sizeof(*out->blocks));
		if (!out->blocks)
			return no_memory(load);
		out->block_count = 1;
	}
	while ((token = rg_json_next(reader)) == RG_JSON_KEY) {
		const struct member_rule *rule = rules;

		while (rule->key && !rg_json_equals(reader, rule->key))
			rule++;
		if (rule->key) {
			status = read_member(load, rule->member, rg_json_next(reader), out);
			if (status)
				return status;
			seen |= 1u << (rule - rules);
			continue;
		}
		uint32_t *location = rg_json_equals(reader, "file")  ? &out->file
				     : rg_json_equals(reader, "row") ? &out->row
				     : rg_json_equals(reader, "col") ? &out->col
								     : NULL;
		token = rg_json_next(reader);
		if (location)
			read_location(load, token, location);
		if (rg_json_skip(reader))
			return fail(load, "malformed statement");
	}
	if (token != RG_JSON_OBJECT_END)
		return fail(load, "malformed statement");
	for (const struct member_rule *rule = rules; rule->key; rule++) {
		if (!rule->optional && !(seen >> (rule - rules) & 1)) {
			char what[96];

			snprintf(what, sizeof(what), "%s lacks \"%s\"", statement_names[out->type],
				 rule->key);
			return fail(load, what);
		}
	}
	if (out->type == RG_STATEMENT_MAKE_NUMBER_REF && !(seen & 3))
		return fail(load, "MakeNumberRefStmt lacks \"index\"");
	return RG_OK;
}

static int find_type(struct load *load, uint8_t *type)
{
	char what[160];

	for (int i = 0; i < RG_STATEMENT_COUNT; i++) {
		if (rg_json_equals(load->reader, statement_names[i])) {
			*type = (uint8_t)i;
			return RG_OK;
		}
	}
	snprintf(what, sizeof(what),
		 "unknown statement type \"%.*s\": this plan needs a newer riskgate",
		 (int)(load->reader->text_bytes < 64 ? load->reader->text_bytes : 64),
		 load->reader->text);
	return fail(load, what);
}

/* {"type":..,"stmt":{..}}. When "stmt" comes first it is skipped and read again once the type is
 * known. */
static int read_statement(struct load *load, enum rg_json_token token, void *item)
{
	struct rg_plan_statement *out = item;
	struct rg_json_reader *reader = load->reader;
	struct rg_json_reader *early = NULL;
	enum rg_json_token early_token = RG_JSON_ERROR;
	bool typed = false, done = false;
	int status = RG_OK;

	if (token != RG_JSON_OBJECT_BEGIN)
		return fail(load, "expected a statement {\"type\":...,\"stmt\":...}");
	while (!status && (token = rg_json_next(reader)) == RG_JSON_KEY) {
		if (rg_json_equals(reader, "type")) {
			if (rg_json_next(reader) != RG_JSON_STRING)
				status = fail(load, "\"type\" must be a string");
			else if (typed)
				status = fail(load, "\"type\" given twice");
			else
				status = find_type(load, &out->type);
			typed = true;
		} else if (rg_json_equals(reader, "stmt") && !typed && !early) {
			early_token = rg_json_next(reader);
			early = malloc(sizeof(*early));
			if (!early)
				return no_memory(load);
			*early = *reader;
			if (rg_json_skip(reader))
				status = fail(load, "malformed statement");
		} else if (rg_json_equals(reader, "stmt")) {
			if (done || early)
				status = fail(load, "\"stmt\" given twice");
			else
				status = read_statement_body(load, rg_json_next(reader), out);
			done = true;
		} else {
			rg_json_next(reader);
			if (rg_json_skip(reader))
				status = fail(load, "malformed statement");
		}
	}
	if (!status && token != RG_JSON_OBJECT_END)
		status = fail(load, "malformed statement");
	if (!status && (!typed || (!done && !early)))
		status = fail(load, "statement lacks \"type\" or \"stmt\"");
	if (!status && early) {
		load->reader = early;
		status = read_statement_body(load, early_token, out);
		load->reader = reader;
	}
	free(early);
	return status;
}

static int read_block_item(struct load *load, enum rg_json_token token, void *item)
{
	struct rg_plan_block *out = item;
	struct rg_json_reader *reader = load->reader;
	int status;

	out->statements = NULL;
	out->count = 0;
	if (token == RG_JSON_NULL)
		return RG_OK;
	if (token != RG_JSON_OBJECT_BEGIN)
		return fail(load, "expected a block {\"stmts\":[...]}");
	while ((token = rg_json_next(reader)) == RG_JSON_KEY) {
		bool statements = rg_json_equals(reader, "stmts");

		token = rg_json_next(reader);
		if (statements) {
			status = read_list(load, token, sizeof(*out->statements), read_statement,
					   (void **)&out->statements, &out->count);
			if (status)
				return status;
		} else if (rg_json_skip(reader)) {
			return fail(load, "malformed block");
		}
	}
	return token == RG_JSON_OBJECT_END ? RG_OK : fail(load, "malformed block");
}

/* ---- objects of the upper levels ---- */

struct key_rule {
	const char *key;
	int (*read)(struct load *load, enum rg_json_token token, void *out);
};

/* Read an object whose interesting keys are listed; others are skipped. */
static int read_object(struct load *load, enum rg_json_token token, const struct key_rule *rules,
		       void *out)
{
	struct rg_json_reader *reader = load->reader;
	int status;

	if (token == RG_JSON_NULL)
		return RG_OK;
	if (token != RG_JSON_OBJECT_BEGIN)
		return fail(load, "expected an object");
	while ((token = rg_json_next(reader)) == RG_JSON_KEY) {
		const struct key_rule *rule = rules;

		while (rule->key && !rg_json_equals(reader, rule->key))
			rule++;
		token = rg_json_next(reader);
		if (rule->key) {
			status = rule->read(load, token, out);
			if (status)
				return status;
		} else if (rg_json_skip(reader)) {
			return fail(load, "malformed object");
		}
	}
	return token == RG_JSON_OBJECT_END ? RG_OK : fail(load, "malformed object");
}

static int read_value_text(struct load *load, enum rg_json_token token, void *out)
{
	return read_text(load, token, out);
}

/* {"value":S} */
static int read_static_text(struct load *load, enum rg_json_token token, void *item)
{
	static const struct key_rule rules[] = {{"value", read_value_text}, {NULL, NULL}};
	struct rg_plan_text *text = item;
	int status;

	*text = (struct rg_plan_text){"", 0};
	status = read_object(load, token, rules, text);
	return status;
}

static int read_builtin_name(struct load *load, enum rg_json_token token, void *out)
{
	return read_text(load, token, &((struct rg_plan_builtin *)out)->name);
}

/* The declaration stays JSON: rg_builtin_check() compares it. */
static int read_builtin_decl(struct load *load, enum rg_json_token token, void *out)
{
	struct rg_plan_text *decl = &((struct rg_plan_builtin *)out)->decl;
	const char *from = load->reader->token_at;
	char *text;
	size_t bytes;

	if (token == RG_JSON_NULL)
		return RG_OK;
	if (token != RG_JSON_OBJECT_BEGIN || rg_json_skip(load->reader))
		return fail(load, "\"decl\" must be an object");
	bytes = (size_t)(load->reader->at - from);
	text = bytes < UINT32_MAX ? rg_arena_alloc(&load->plan->arena, bytes + 1) : NULL;
	if (!text)
		return no_memory(load);
	memcpy(text, from, bytes);
	*decl = (struct rg_plan_text){text, (uint32_t)bytes};
	return RG_OK;
}

static int read_builtin(struct load *load, enum rg_json_token token, void *item)
{
	static const struct key_rule rules[] = {
		{"name", read_builtin_name}, {"decl", read_builtin_decl}, {NULL, NULL}};

	return read_object(load, token, rules, item);
}

static int read_strings(struct load *load, enum rg_json_token token, void *out)
{
	struct rg_plan *plan = out;

	return read_list(load, token, sizeof(*plan->strings), read_static_text,
			 (void **)&plan->strings, &plan->string_count);
}

static int read_files(struct load *load, enum rg_json_token token, void *out)
{
	struct rg_plan *plan = out;

	return read_list(load, token, sizeof(*plan->files), read_static_text, (void **)&plan->files,
			 &plan->file_count);
}

static int read_builtins(struct load *load, enum rg_json_token token, void *out)
{
	struct rg_plan *plan = out;

	return read_list(load, token, sizeof(*plan->builtins), read_builtin,
			 (void **)&plan->builtins, &plan->builtin_count);
}

static int read_static(struct load *load, enum rg_json_token token, void *out)
{
	static const struct key_rule rules[] = {{"strings", read_strings},
						{"files", read_files},
						{"builtin_funcs", read_builtins},
						{NULL, NULL}};

	return read_object(load, token, rules, out);
}

static int read_entry_name(struct load *load, enum rg_json_token token, void *out)
{
	return read_text(load, token, &((struct rg_plan_entry *)out)->name);
}

static int read_entry_blocks(struct load *load, enum rg_json_token token, void *out)
{
	struct rg_plan_entry *entry = out;

	return read_list(load, token, sizeof(*entry->blocks), read_block_item,
			 (void **)&entry->blocks, &entry->block_count);
}

static int read_entry(struct load *load, enum rg_json_token token, void *item)
{
	static const struct key_rule rules[] = {
		{"name", read_entry_name}, {"blocks", read_entry_blocks}, {NULL, NULL}};
	int status = read_object(load, token, rules, item);

	load->item++;
	return status;
}

static int read_entries(struct load *load, enum rg_json_token token, void *out)
{
	struct rg_plan *plan = out;
	int status;

	load->part = "plan";
	load->item = 0;
	status = read_list(load, token, sizeof(*plan->entries), read_entry, (void **)&plan->entries,
			   &plan->entry_count);
	load->part = NULL;
	return status;
}

static int read_plans(struct load *load, enum rg_json_token token, void *out)
{
	static const struct key_rule rules[] = {{"plans", read_entries}, {NULL, NULL}};

	return read_object(load, token, rules, out);
}

static int read_function_name(struct load *load, enum rg_json_token token, void *out)
{
	return read_text(load, token, &((struct rg_plan_function *)out)->name);
}

static int read_function_path(struct load *load, enum rg_json_token token, void *out)
{
	struct rg_plan_function *function = out;

	return read_list(load, token, sizeof(*function->path), read_text_item,
			 (void **)&function->path, &function->path_count);
}

static int read_function_params(struct load *load, enum rg_json_token token, void *out)
{
	struct rg_plan_function *function = out;

	return read_list(load, token, sizeof(*function->params), read_index_item,
			 (void **)&function->params, &function->param_count);
}

static int read_function_return(struct load *load, enum rg_json_token token, void *out)
{
	return read_index(load, token, &((struct rg_plan_function *)out)->result);
}

static int read_function_blocks(struct load *load, enum rg_json_token token, void *out)
{
	struct rg_plan_function *function = out;

	return read_list(load, token, sizeof(*function->blocks), read_block_item,
			 (void **)&function->blocks, &function->block_count);
}

static int read_function(struct load *load, enum rg_json_token token, void *item)
{
	static const struct key_rule rules[] = {
		{"name", read_function_name},	  {"path", read_function_path},
		{"params", read_function_params}, {"return", read_function_return},
		{"blocks", read_function_blocks}, {NULL, NULL}};
	int status = read_object(load, token, rules, item);

	load->item++;
	return status;
}

static int read_function_list(struct load *load, enum rg_json_token token, void *out)
{
	struct rg_plan *plan = out;
	int status;

	load->part = "function";
	load->item = 0;
	status = read_list(load, token, sizeof(*plan->functions), read_function,
			   (void **)&plan->functions, &plan->function_count);
	load->part = NULL;
	return status;
}

static int read_functions(struct load *load, enum rg_json_token token, void *out)
{
	static const struct key_rule rules[] = {{"funcs", read_function_list}, {NULL, NULL}};

	return read_object(load, token, rules, out);
}

static int read_plan(struct load *load)
{
	static const struct key_rule rules[] = {{"static", read_static},
						{"plans", read_plans},
						{"funcs", read_functions},
						{NULL, NULL}};
	enum rg_json_token token = rg_json_next(load->reader);
	int status;

	if (token != RG_JSON_OBJECT_BEGIN)
		return fail(load, "expected an object with \"static\", \"plans\" and \"funcs\"");
	status = read_object(load, token, rules, load->plan);
	if (status)
		return status;
	if (rg_json_next(load->reader) != RG_JSON_END)
		return fail(load, "text after the plan");
	return RG_OK;
}

int rg_plan_load(const char *json, size_t bytes, struct rg_plan **plan, struct rg_error *err)
{
	struct rg_json_reader reader;
	struct load load = {.reader = &reader, .err = err};
	int status;

	*plan = NULL;
	load.plan = calloc(1, sizeof(*load.plan));
	if (!load.plan)
		return no_memory(&load);
	rg_json_reader_init(&reader, json, bytes);
	status = read_plan(&load);
	if (!status)
		status = rg_plan_check(load.plan, err);
	if (status) {
		rg_plan_free(load.plan);
		return status;
	}
	*plan = load.plan;
	return RG_OK;
}

void rg_plan_free(struct rg_plan *plan)
{
	if (!plan)
		return;
	rg_arena_free(&plan->arena);
	free(plan);
}

bool rg_statement_can_fail(const struct rg_plan_statement *statement)
{
	switch ((enum rg_statement_type)statement->type) {
	case RG_STATEMENT_ASSIGN_INT:
	case RG_STATEMENT_BLOCK:
	case RG_STATEMENT_BREAK:
	case RG_STATEMENT_IS_DEFINED: /* hands a body's result over to its rule */
	case RG_STATEMENT_MAKE_ARRAY:
	case RG_STATEMENT_MAKE_NULL:
	case RG_STATEMENT_MAKE_NUMBER_INT:
	case RG_STATEMENT_MAKE_NUMBER_REF:
	case RG_STATEMENT_MAKE_OBJECT:
	case RG_STATEMENT_MAKE_SET:
	case RG_STATEMENT_NOP:
	case RG_STATEMENT_RESET_LOCAL:
	case RG_STATEMENT_RESULT_SET_ADD:
	case RG_STATEMENT_RETURN_LOCAL: return false;
	case RG_STATEMENT_IS_UNDEFINED:
		return !statement
				->leads; /* `every`; leading, it asks whether a default is needed */
	default: return true;
	}
}
