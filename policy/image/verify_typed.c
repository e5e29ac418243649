/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The typed part of an image: what typed.h says of instructions, tables and programs. Tables follow
 * each other in the cells and programs in the code, so that each is looked at once.
 */
#include "base/field.h"
#include "policy/compile/compile.h"
#include "policy/image/rule_table.h"
#include "policy/image/typed.h"
#include "policy/image/verify.h"

/* A program's instruction with what its members may name. */
struct place_in_program {
	const struct rg_typed_program *program;
	const struct rg_typed_instruction *code;
	uint32_t at;
};

static const void *section(const struct rg_verify *verify, enum rg_image_section_id id)
{
	return rg_image_section(verify->image, id);
}

static uint32_t count_of(const struct rg_verify *verify, enum rg_image_section_id id)
{
	return rg_image_count(verify->image, id);
}

/* ---- tables ---- */

static bool text_slot_is_valid(const struct rg_verify *verify,
			       const struct rg_typed_text_slot *slot)
{
	uint32_t text = slot->text & ~RG_TYPED_LONG_TEXT;

	return text < verify->constant_count && verify->constants[text].type == RG_STRING &&
	       verify->constants[text].length <= RG_TYPED_TEXT_MAX &&
	       (verify->constants[text].length > 8) == !!(slot->text & RG_TYPED_LONG_TEXT);
}

/* A power of two of slots, and what those of a dictionary name. Whatever the multipliers are, a probe
 * is of one slot of the table. */
static bool slots_are_valid(const struct rg_verify *verify, const struct rg_typed_table *table,
			    const int64_t *cells)
{
	const struct rg_typed_text_slot *texts = (const struct rg_typed_text_slot *)cells;

	if (table->count < RG_TYPED_SLOTS_MIN || table->count & (table->count - 1))
		return false;
	for (uint32_t i = 0; table->kind == RG_TYPED_DICTIONARY && i < table->count; i++) {
		if (texts[i].id && !text_slot_is_valid(verify, &texts[i]))
			return false;
	}
	return true;
}

/* Do the parts of a node's words begin at words of it, one behind the other? */
static bool starts_are_valid(const uint64_t *node)
{
	uint32_t count = (uint32_t)*node;
	uint64_t parts = rg_typed_node_parts(count);
	const uint32_t *starts = (const uint32_t *)(node + 1 + 2 * (uint64_t)count);

	for (uint64_t i = 0; i < parts; i++) {
		if (starts[i] > starts[i + 1] || starts[i + 1] > count)
			return false;
	}
	return true;
}

/* Nodes, each named once, in their order: so each leads only to nodes behind it. */
static bool order_is_valid(const struct rg_typed_table *table, const int64_t *cells)
{
	const uint64_t *words = (const uint64_t *)cells;
	uint64_t count = table->count, named = 0, at, size;

	for (at = 0; at < count; at += size) {
		uint64_t links = at + 1 + (uint32_t)words[at];

		size = rg_typed_node_cells(words[at]);
		if (!named)
			named = size;
		if (size > count - at || named < at + size || !starts_are_valid(words + at))
			return false;
		for (uint64_t i = links; i < links + (uint32_t)words[at]; i++) {
			uint64_t child = words[i] >> 32;

			if (!child)
				continue;
			if (child != named || named >= count)
				return false;
			named += rg_typed_node_cells(words[named]);
		}
	}
	return at && named == count;
}

/* A rule table, behind the one before it. */
static int verify_rules(struct rg_verify *verify, uint32_t number, uint64_t *next)
{
	const struct rg_typed_table *table =
		(const struct rg_typed_table *)section(verify, RG_SECTION_TYPED_TABLES) + number;
	const uint8_t *lines = section(verify, RG_SECTION_RULE_TABLES);
	const char *wrong = NULL;

	if (table->first != *next ||
	    table->count > count_of(verify, RG_SECTION_RULE_TABLES) - *next)
		return rg_verify_fail(verify, "typed tables", number, "lines are out of range");
	wrong = rg_rule_table_verify(lines + *next * sizeof(struct rg_rule_line),
				     table->count * sizeof(struct rg_rule_line));
	*next += table->count;
	return wrong ? rg_verify_fail(verify, "rule tables", number, wrong) : RG_OK;
}

static int verify_typed_tables(struct rg_verify *verify)
{
	const struct rg_typed_table *tables = section(verify, RG_SECTION_TYPED_TABLES);
	const int64_t *cells = section(verify, RG_SECTION_TYPED_CELLS);
	uint64_t next = 0, all = count_of(verify, RG_SECTION_TYPED_CELLS), lines = 0;

	for (uint32_t i = 0; i < count_of(verify, RG_SECTION_TYPED_TABLES); i++) {
		uint64_t size = rg_typed_table_cells(&tables[i]);

		if (tables[i].kind == RG_TYPED_RULES) {
			int status = verify_rules(verify, i, &lines);

			if (status)
				return status;
			continue;
		}
		if (tables[i].kind > RG_TYPED_ORDER || tables[i].first != next || size > all - next)
			return rg_verify_fail(verify, "typed tables", i,
					      "kind or cells are out of range");
		if (tables[i].kind == RG_TYPED_ORDER && !order_is_valid(&tables[i], cells + next))
			return rg_verify_fail(verify, "typed tables", i, "the order is malformed");
		if (tables[i].kind < RG_TYPED_COLUMN &&
		    !slots_are_valid(verify, &tables[i], cells + next))
			return rg_verify_fail(verify, "typed tables", i, "the slots are malformed");
		next += size;
	}
	if (lines != count_of(verify, RG_SECTION_RULE_TABLES))
		return rg_verify_fail(verify, "rule tables", lines, "lines belong to no table");
	if (next != all)
		return rg_verify_fail(verify, "typed cells", next, "cells belong to no table");
	return RG_OK;
}

/* ---- instructions ---- */

/* Bytes that a load of one width reads. */
static uint8_t width_of(uint32_t op)
{
	switch (op) {
	case RG_TYPED_OP_FIELD_U16:
	case RG_TYPED_OP_FIELD_I16: return 2;
	case RG_TYPED_OP_FIELD_U32:
	case RG_TYPED_OP_FIELD_I32: return 4;
	case RG_TYPED_OP_FIELD_64: return 8;
	default: return 1;
	}
}

static bool field_fits(const struct rg_verify *verify, uint32_t op, uint32_t number)
{
	const struct rg_image_field *field =
		(const struct rg_image_field *)section(verify, RG_SECTION_FIELDS) + number;

	if (number >= count_of(verify, RG_SECTION_FIELDS))
		return false;
	switch (op) {
	case RG_TYPED_OP_FIELD_U8:
	case RG_TYPED_OP_FIELD_U16:
	case RG_TYPED_OP_FIELD_U32:
	case RG_TYPED_OP_FIELD_I8:
	case RG_TYPED_OP_FIELD_I16:
	case RG_TYPED_OP_FIELD_I32:
	case RG_TYPED_OP_FIELD_64:
	case RG_TYPED_OP_FIELD_NAMED_U8:
		return !field->constant && field->kind != RG_FIELD_CHARS &&
		       field->bytes == width_of(op);
	case RG_TYPED_OP_FIELD_NUMBER:
		return field->kind == RG_FIELD_INT || field->kind == RG_FIELD_DECIMAL ||
		       field->kind == RG_FIELD_SET;
	case RG_TYPED_OP_FIELD_NAMED:
		return (field->kind == RG_FIELD_ENUM || field->kind == RG_FIELD_BOOL) &&
		       field->names_count <= RG_TYPED_NAMES_MAX;
	default: return field->kind == RG_FIELD_CHARS;
	}
}

static bool member_is_valid(const struct rg_verify *verify, const struct place_in_program *place,
			    char shape, uint32_t value)
{
	switch (shape) {
	case '-': return value == 0;
	case 'S': return value < place->program->slot_count;
	case 'T': return value < place->program->set_count;
	case 'F': return field_fits(verify, place->code[place->at].op, value);
	case 'N': return value <= 1;
	case 'H': return true;
	default: return false;
	}
}

static bool is_table(const struct rg_verify *verify, uint32_t number, enum rg_typed_table_kind kind)
{
	const struct rg_typed_table *tables = section(verify, RG_SECTION_TYPED_TABLES);

	return number < count_of(verify, RG_SECTION_TYPED_TABLES) && tables[number].kind == kind;
}

/* A rule table that asks for no more inputs than there are. */
static bool is_rules(const struct rg_verify *verify, uint32_t number)
{
	const struct rg_typed_table *tables = section(verify, RG_SECTION_TYPED_TABLES);
	const uint8_t *lines = section(verify, RG_SECTION_RULE_TABLES);

	return is_table(verify, number, RG_TYPED_RULES) &&
	       ((const struct rg_rule_table *)(const void *)(lines +
							     tables[number].first *
								     sizeof(struct rg_rule_line)))
			       ->input_count <= RG_RULE_COLUMNS_MAX;
}

/* A function that asks for nothing but the request. */
static bool is_function(const struct rg_verify *verify, uint32_t number)
{
	const struct rg_image_function *functions = section(verify, RG_SECTION_FUNCTIONS);

	return number < count_of(verify, RG_SECTION_FUNCTIONS) && !functions[number].param_count;
}

/* The field that member a, found valid, names. */
static const struct rg_image_field *field_at(const struct rg_verify *verify,
					     const struct place_in_program *place)
{
	return (const struct rg_image_field *)section(verify, RG_SECTION_FIELDS) +
	       place->code[place->at].a;
}

static bool table_is_valid(const struct rg_verify *verify, const struct place_in_program *place,
			   char shape, uint32_t number)
{
	switch (shape) {
	case '-': return number == 0;
	case 'M': return is_table(verify, number, RG_TYPED_MAP);
	case 'C': return is_table(verify, number, RG_TYPED_COLUMN);
	case 'D': return is_table(verify, number, RG_TYPED_DICTIONARY);
	case 'O': return is_table(verify, number, RG_TYPED_ORDER);
	case 'R': return is_rules(verify, number);
	case 'U': return is_function(verify, number);
	case 'L': return number == field_at(verify, place)->offset;
	default: return false;
	}
}

static bool target_is_valid(const struct rg_verify *verify, const struct place_in_program *place,
			    char shape, uint32_t target)
{
	switch (shape) {
	case 'J': return target > place->at && target < place->program->code_count;
	case 'W': return target < count_of(verify, RG_SECTION_PLACES);
	case 'E':
		return target == (field_at(verify, place)->extent > place->program->block_bytes
					  ? field_at(verify, place)->extent
					  : 0);
	default: return target == 0;
	}
}

static bool number_is_valid(const struct rg_verify *verify, uint32_t op, char shape, int64_t number)
{
	switch (shape) {
	case '-': return number == 0;
	case 'K': return true;
	case 'I': return number >= 0 && number < RG_RULE_COLUMNS_MAX;
	case 'C':
		return number >= 0 && number < UINT32_MAX &&
		       is_table(verify, (uint32_t)number, RG_TYPED_COLUMN);
	case 'O': return number >= 0 && number < RG_ROLE_COUNT;
	case 'Q': return number >= 1;
	case 'P': return number >= 0 && number <= RG_TYPED_SCALE_MAX;
	case 'B':
		return number >= 0 && number < (op == RG_TYPED_OP_BIT || op == RG_TYPED_OP_IF_BIT ||
								op == RG_TYPED_OP_IF_NO_BIT
							? 64
							: RG_TYPED_BITS_MAX);
	default: return false;
	}
}

static bool instruction_is_valid(const struct rg_verify *verify,
				 const struct place_in_program *place)
{
	const struct rg_typed_instruction *instruction = &place->code[place->at];
	const struct rg_typed_shape *shape;

	if (instruction->op >= RG_TYPED_OP_COUNT ||
	    instruction->flags & ~(RG_TYPED_MERGE | RG_TYPED_TARGET))
		return false;
	shape = &rg_typed_shapes[instruction->op];
	return member_is_valid(verify, place, shape->dst, instruction->dst) &&
	       member_is_valid(verify, place, shape->a, instruction->a) &&
	       member_is_valid(verify, place, shape->b, instruction->b) &&
	       target_is_valid(verify, place, shape->target, instruction->target) &&
	       table_is_valid(verify, place, shape->table, instruction->table) &&
	       number_is_valid(verify, instruction->op, shape->number, instruction->number);
}

/* ---- programs ---- */

static bool role_is_valid(const struct rg_typed_program *program, struct rg_typed_role role)
{
	switch (role.kind) {
	case RG_TYPED_NO_RESULT:
	case RG_TYPED_BY_RULES: return !role.at && !role.scale;
	case RG_TYPED_SET: return role.at < program->set_count;
	case RG_TYPED_BOOLEAN:
	case RG_TYPED_NUMBER:
	case RG_TYPED_REAL_NUMBER:
		return role.at < program->slot_count && role.scale <= RG_TYPED_SCALE_MAX;
	default: return false;
	}
}

static bool program_is_valid(const struct rg_verify *verify, const struct rg_typed_program *program,
			     uint32_t next)
{
	uint32_t left = 0;

	if (program->code != next || !program->code_count ||
	    program->code_count > RG_TYPED_CODE_MAX ||
	    program->constant_count >= program->code_count ||
	    program->code_count > count_of(verify, RG_SECTION_TYPED_CODE) - next ||
	    program->slot_count > RG_TYPED_SLOTS_MAX || program->set_count > RG_TYPED_SETS_MAX ||
	    !is_table(verify, program->reasons, RG_TYPED_COLUMN) ||
	    !is_table(verify, program->ranks, RG_TYPED_COLUMN) ||
	    !is_table(verify, program->ranked_reasons, RG_TYPED_COLUMN) ||
	    (program->alike && !is_table(verify, program->alike - 1, RG_TYPED_COLUMN)) ||
	    (program->ranked_alike &&
	     !is_table(verify, program->ranked_alike - 1, RG_TYPED_COLUMN)))
		return false;
	for (int role = 0; role < RG_ROLE_COUNT; role++) {
		left |= (uint32_t)(program->roles[role].kind == RG_TYPED_BY_RULES) << role;
		if (!role_is_valid(program, program->roles[role]))
			return false;
	}
	return program->left == left;
}

static int verify_typed_programs(struct rg_verify *verify)
{
	const struct rg_typed_program *programs = section(verify, RG_SECTION_TYPED_PROGRAMS);
	const struct rg_typed_instruction *code = section(verify, RG_SECTION_TYPED_CODE);
	uint32_t next = 0;

	for (uint32_t i = 0; i < count_of(verify, RG_SECTION_TYPED_PROGRAMS); i++) {
		struct place_in_program place = {.program = &programs[i], .code = code + next};

		if (!program_is_valid(verify, &programs[i], next))
			return rg_verify_fail(verify, "typed programs", i,
					      "an entry is out of range");
		for (; place.at < programs[i].code_count; place.at++) {
			if (!instruction_is_valid(verify, &place))
				return rg_verify_fail(verify, "typed code", next + place.at,
						      "an instruction is malformed");
		}
		if (place.code[place.at - 1].op != RG_TYPED_OP_END)
			return rg_verify_fail(verify, "typed code", next + place.at - 1,
					      "a program does not end");
		next += programs[i].code_count;
	}
	if (next != count_of(verify, RG_SECTION_TYPED_CODE))
		return rg_verify_fail(verify, "typed code", next, "code belongs to no program");
	return RG_OK;
}

int rg_verify_typed(struct rg_verify *verify)
{
	int status = verify_typed_tables(verify);

	return status ? status : verify_typed_programs(verify);
}
