/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/compile/fields.h"

#include <stdlib.h>
#include <string.h>

#include "policy/eval/number.h"

typedef __int128 int128;

static struct rg_image_field *field_at(const struct rg_unit *unit, uint32_t field)
{
	return RG_VECTOR_AT(unit->fields, struct rg_image_field, field);
}

static const struct rg_image_field_name *name_at(const struct rg_unit *unit, uint32_t name)
{
	return RG_VECTOR_AT(unit->field_names, struct rg_image_field_name, name);
}

static struct rg_value constant_value(const struct rg_unit *unit, uint32_t constant)
{
	return RG_VECTOR_AT(unit->constants, struct rg_constant, constant)->value;
}

/* ---- entering a template ---- */

static void add_names(struct rg_unit *unit, const struct rg_field *from, struct rg_image_field *to)
{
	to->names_first = unit->field_names.count;
	to->names_count = from->names_count;
	for (uint32_t i = 0; i < from->names_count; i++) {
		const struct rg_field_name *name =
			&unit->options->fields->names[from->names_first + i];
		struct rg_image_field_name *copy =
			rg_vector_add(unit, &unit->field_names, sizeof(*copy));

		if (!copy)
			return;
		copy->value = name->value;
		copy->name =
			rg_unit_text(unit, name->name, strnlen(name->name, sizeof(name->name)));
	}
	if (from->names_count)
		to->names_base = name_at(unit, to->names_first)->value;
}

static uint32_t add_field(struct rg_unit *unit, const struct rg_field *from)
{
	uint32_t number = unit->fields.count;
	struct rg_image_field to = {
		.kind = from->kind,
		.bytes = from->bytes,
		.is_signed = from->is_signed,
		.optional = from->optional,
		.constant = from->constant,
		.exponent = from->exponent,
		.length = from->length,
		.offset = from->offset,
		.exponent_offset = from->exponent_offset,
		.extent = rg_field_extent(from),
		.since_version = from->since_version,
		.null_value = from->null_value,
	};
	struct rg_image_field *added;

	to.path = rg_unit_text(unit, from->path, strnlen(from->path, sizeof(from->path)));
	if (from->kind == RG_FIELD_ENUM || from->kind == RG_FIELD_SET ||
	    from->kind == RG_FIELD_BOOL)
		add_names(unit, from, &to);
	added = rg_vector_add(unit, &unit->fields, sizeof(*added));
	if (added)
		*added = to;
	return number;
}

/* A field of the template that is in the subtree being built. */
struct leaf {
	const char *rest; /* of its path, below the subtree's node */
	const struct rg_field *field;
};

static size_t segment_bytes(const char *path)
{
	return strcspn(path, ".");
}

/* By first segment bytewise, so that equal ones are neighbours and objects are made in key
 * order. */
static int compare_leaves(const void *a, const void *b)
{
	const struct leaf *x = a, *y = b;
	size_t x_bytes = segment_bytes(x->rest), y_bytes = segment_bytes(y->rest);
	int order = memcmp(x->rest, y->rest, x_bytes < y_bytes ? x_bytes : y_bytes);

	return order ? order : (x_bytes > y_bytes) - (x_bytes < y_bytes);
}

static bool same_segment(const struct leaf *a, const struct leaf *b)
{
	return !compare_leaves(a, b);
}

/* Fields that share a path's beginning must all go on from there. */
static int clash(struct rg_unit *unit, const struct leaf *leaves, uint32_t count, size_t bytes)
{
	uint32_t ends = 0;

	for (uint32_t i = 0; i < count; i++)
		ends += !leaves[i].rest[bytes];
	if (ends)
		return rg_unit_fail(unit, RG_EINVAL,
				    ends > 1 ? "two fields have the path %.*s"
					     : "field %.*s is both a value and a composite",
				    (int)((size_t)(leaves->rest - leaves->field->path) + bytes),
				    leaves->field->path);
	return RG_OK;
}

/* Build the children of a node from leaves[0..count), which are all below it. */
static int build_children(struct rg_unit *unit, uint32_t node, struct leaf *leaves, uint32_t count,
			  uint32_t depth)
{
	uint32_t first = unit->nodes.count, children = 0, child;

	if (depth > RG_IMAGE_NODE_DEPTH_MAX)
		return rg_unit_fail(unit, RG_ELIMIT, "field %s is nested more than %d deep",
				    leaves->field->path, RG_IMAGE_NODE_DEPTH_MAX);
	qsort(leaves, count, sizeof(*leaves), compare_leaves);
	for (uint32_t i = 0; i < count; i++) {
		struct rg_image_node *added;

		if (i && same_segment(&leaves[i - 1], &leaves[i]))
			continue;
		added = rg_vector_add(unit, &unit->nodes, sizeof(*added));
		if (!added)
			return unit->status;
		added->key = rg_unit_text(unit, leaves[i].rest, segment_bytes(leaves[i].rest));
		added->field = RG_IMAGE_NO_FIELD;
		children++;
	}
	RG_VECTOR_AT(unit->nodes, struct rg_image_node, node)->children_first = first;
	RG_VECTOR_AT(unit->nodes, struct rg_image_node, node)->children_count = children;
	child = first;
	for (uint32_t i = 0, end; i < count && !unit->status; i = end, child++) {
		size_t bytes = segment_bytes(leaves[i].rest);

		for (end = i + 1; end < count && same_segment(&leaves[i], &leaves[end]);)
			end++;
		if (end - i > 1 && clash(unit, leaves + i, end - i, bytes))
			return unit->status;
		if (!leaves[i].rest[bytes]) {
			uint32_t field = add_field(unit, leaves[i].field);

			RG_VECTOR_AT(unit->nodes, struct rg_image_node, child)->field = field;
			continue;
		}
		for (uint32_t j = i; j < end; j++)
			leaves[j].rest += bytes + 1;
		build_children(unit, child, leaves + i, end - i, depth + 1);
	}
	return unit->status;
}

int rg_field_add_template(struct rg_unit *unit, const struct rg_template *request, uint32_t *root)
{
	const struct rg_field_table *table = unit->options->fields;
	struct rg_image_node *node = rg_vector_add(unit, &unit->nodes, sizeof(*node));
	struct leaf *leaves = calloc(request->fields_count + 1, sizeof(*leaves));

	*root = unit->nodes.count - 1;
	if (!node || !leaves) {
		free(leaves);
		return rg_unit_no_memory(unit);
	}
	node->key =
		rg_unit_text(unit, request->name, strnlen(request->name, sizeof(request->name)));
	RG_VECTOR_AT(unit->nodes, struct rg_image_node, *root)->field = RG_IMAGE_NO_FIELD;
	for (uint32_t i = 0; i < request->fields_count; i++) {
		leaves[i].field = &table->fields[request->fields_first + i];
		leaves[i].rest = leaves[i].field->path;
	}
	if (request->fields_count)
		build_children(unit, *root, leaves, request->fields_count, 1);
	free(leaves);
	return unit->status;
}

const struct rg_image_node *rg_field_child(struct rg_unit *unit, uint32_t node, struct rg_value key,
					   uint32_t *child)
{
	const struct rg_image_node *parent = RG_VECTOR_AT(unit->nodes, struct rg_image_node, node);

	for (uint32_t i = 0; i < parent->children_count; i++) {
		const struct rg_image_node *at =
			RG_VECTOR_AT(unit->nodes, struct rg_image_node, parent->children_first + i);

		if (rg_equal(&unit->heap, constant_value(unit, at->key), key)) {
			*child = parent->children_first + i;
			return at;
		}
	}
	return NULL;
}

enum rg_value_type rg_field_value_type(const struct rg_unit *unit, uint32_t field)
{
	switch (field_at(unit, field)->kind) {
	case RG_FIELD_CHARS:
	case RG_FIELD_ENUM: return RG_STRING;
	case RG_FIELD_SET: return RG_ARRAY;
	case RG_FIELD_BOOL: return RG_BOOLEAN;
	default: return RG_NUMBER;
	}
}

/* ---- presence ---- */

void rg_field_require(struct rg_lower *l, uint32_t field)
{
	struct rg_instruction *instruction;

	if (field_at(l->unit, field)->constant)
		return;
	instruction = rg_lower_emit(l, RG_OP_FIELD_PRESENT);
	instruction->a = field;
	instruction->aux = 1;
	rg_lower_or_fail(l);
}

/* Take instruction `at` of the code back, with its edge. */
static void take_back(struct rg_lower *l, struct rg_label *label, uint32_t at)
{
	struct rg_instruction *code = l->code.items;
	bool *droppable = l->droppable.items;
	struct rg_edge **link = &label->edges;

	while (*link) {
		struct rg_edge *edge = *link;

		if (edge->instruction == at) {
			*link = edge->next;
			continue;
		}
		if (edge->instruction > at)
			edge->instruction--;
		link = &edge->next;
	}
	l->code.count--;
	l->droppable.count--;
	memmove(code + at, code + at + 1, (l->code.count - at) * sizeof(*code));
	memmove(droppable + at, droppable + at + 1, (l->droppable.count - at) * sizeof(*droppable));
}

/* The instruction to come fails for an absent field by itself: take back a test for presence that was just emitted, perhaps
 * among others, and would have gone to the same place. Edges are newest first. */
bool rg_field_fuse(struct rg_lower *l, uint32_t field)
{
	struct rg_label *label = l->labels[l->label_count - 1];
	const struct rg_edge *edge = label->edges;

	for (uint32_t at = l->code.count; at-- > l->barrier && edge && edge->instruction == at;
	     edge = edge->next) {
		const struct rg_instruction *instruction =
			RG_VECTOR_AT(l->code, struct rg_instruction, at);

		if (instruction->op != RG_OP_FIELD_PRESENT || !instruction->aux)
			return false;
		if (instruction->a == field) {
			take_back(l, label, at);
			return true;
		}
	}
	return false;
}

/* ---- comparing numbers ---- */

#define POWER_MAX 37

static int128 power_of_ten(int exponent)
{
	int128 power = 1;

	while (exponent-- > 0)
		power *= 10;
	return power;
}

/* v as mantissa x 10^exponent, if that fits comfortably. */
static bool decimal_of(const struct rg_heap *heap, struct rg_value v, int128 *mantissa,
		       int *exponent)
{
	char text[64], *end;
	bool negative, point = false;
	int digits = 0;
	size_t bytes;

	*exponent = 0;
	if (v.form == RG_NUMBER_INT || v.form == RG_NUMBER_DECIMAL) {
		*mantissa = v.i;
		*exponent = v.form == RG_NUMBER_DECIMAL ? v.exponent : 0;
		return true;
	}
	bytes = rg_number_text(heap, v, text, sizeof(text) - 1);
	if (bytes >= sizeof(text))
		return false;
	text[bytes] = '\0';
	*mantissa = 0;
	negative = text[0] == '-';
	for (end = text + negative; (*end >= '0' && *end <= '9') || *end == '.'; end++) {
		if (*end == '.') {
			point = true;
			continue;
		}
		if (++digits > 30)
			return false;
		*mantissa = *mantissa * 10 + (*end - '0');
		*exponent -= point;
	}
	if (*end == 'e' || *end == 'E') {
		long written = strtol(end + 1, NULL, 10);

		if (written < -100 || written > 100)
			return false;
		*exponent += (int)written;
	}
	if (negative)
		*mantissa = -*mantissa;
	return true;
}

/* A bound in units of the field: floor, and whether something was cut off. */
struct bound {
	int128 floor;
	bool inexact;
};

static bool scale(int128 mantissa, int exponent, int field_exponent, struct bound *bound)
{
	int shift = exponent - field_exponent;
	int128 power;

	if (shift > POWER_MAX || shift < -POWER_MAX)
		return false;
	power = power_of_ten(shift < 0 ? -shift : shift);
	if (shift >= 0) {
		bound->inexact = false;
		return !__builtin_mul_overflow(mantissa, power, &bound->floor);
	}
	bound->floor = mantissa / power;
	bound->inexact = bound->floor * power != mantissa;
	if (bound->inexact && mantissa < 0)
		bound->floor--;
	return true;
}

static void field_range(const struct rg_image_field *field, int128 *low, int128 *high)
{
	unsigned bits = 8u * field->bytes - (field->is_signed ? 1 : 0);

	*high = ((int128)1 << bits) - 1;
	*low = field->is_signed ? -((int128)1 << bits) : 0;
}

/* What the comparison comes to when it does not depend on the field: 1 always, 0 never; -1 it does; then *op and *number are
 * what to compare with. */
static int settle(const struct rg_image_field *field, struct bound bound, uint32_t *op,
		  int64_t *number)
{
	int128 low, high;

	if (bound.inexact) {
		if (*op == RG_EQ || *op == RG_NE)
			return *op == RG_NE;
		*op = *op == RG_LT || *op == RG_LE ? RG_LE : RG_GT;
	}
	field_range(field, &low, &high);
	if (bound.floor > high)
		return *op == RG_NE || *op == RG_LT || *op == RG_LE;
	if (bound.floor < low)
		return *op == RG_NE || *op == RG_GT || *op == RG_GE;
	*number = (int64_t)bound.floor;
	return -1;
}

static bool is_scaled(const struct rg_image_field *field)
{
	return field->kind == RG_FIELD_INT || field->kind == RG_FIELD_DECIMAL;
}

static int exponent_of(const struct rg_image_field *field)
{
	return field->kind == RG_FIELD_DECIMAL ? field->exponent : 0;
}

static bool branch_number(struct rg_lower *l, const struct rg_test *test)
{
	const struct rg_image_field *field = field_at(l->unit, test->a.number);
	struct rg_instruction *instruction;
	struct bound bound;
	uint32_t op = test->op;
	int64_t number = 0;
	int128 mantissa;
	int exponent, known;

	if (!decimal_of(&l->unit->heap, test->b.value, &mantissa, &exponent) ||
	    !scale(mantissa, exponent, exponent_of(field), &bound))
		return false;
	known = settle(field, bound, &op, &number);
	if (known == 0)
		rg_lower_fail(l);
	if (known >= 0)
		return true;
	rg_field_fuse(l, test->a.number);
	instruction = rg_lower_emit(l, RG_OP_FIELD_COMPARE);
	instruction->aux = (uint16_t)op;
	instruction->a = test->a.number;
	instruction->number = number;
	rg_lower_or_fail(l);
	return true;
}

static bool branch_fields(struct rg_lower *l, const struct rg_test *test)
{
	const struct rg_image_field *a = field_at(l->unit, test->a.number);
	const struct rg_image_field *b = field_at(l->unit, test->b.number);
	struct rg_instruction *instruction;
	bool a_wide = a->bytes == 8 && !a->is_signed, b_wide = b->bytes == 8 && !b->is_signed;

	if (!is_scaled(a) || !is_scaled(b) || exponent_of(a) != exponent_of(b) || a_wide != b_wide)
		return false;
	rg_field_fuse(l, test->b.number);
	rg_field_fuse(l, test->a.number);
	instruction = rg_lower_emit(l, RG_OP_FIELD_COMPARE_FIELD);
	instruction->aux = (uint16_t)test->op;
	instruction->a = test->a.number;
	instruction->b = test->b.number;
	rg_lower_or_fail(l);
	return true;
}

/* ---- enums: any comparison is a set of values ---- */

static bool has_mask(const struct rg_unit *unit, const struct rg_image_field *field)
{
	const struct rg_image_field_name *first, *last;

	if ((field->kind != RG_FIELD_ENUM && field->kind != RG_FIELD_BOOL) || !field->names_count)
		return false;
	first = name_at(unit, field->names_first);
	last = name_at(unit, field->names_first + field->names_count - 1);
	return last->value - first->value < 64;
}

static struct rg_value named_value(const struct rg_unit *unit, const struct rg_image_field *field,
				   uint32_t i)
{
	struct rg_value name = constant_value(unit, name_at(unit, field->names_first + i)->name);

	if (field->kind == RG_FIELD_BOOL)
		return rg_boolean(rg_string_is(&unit->heap, name, "true"));
	return name;
}

static void branch_mask(struct rg_lower *l, uint32_t number, uint64_t mask)
{
	const struct rg_image_field *field = field_at(l->unit, number);
	struct rg_instruction *instruction;

	if (!mask) {
		rg_lower_fail(l);
		return;
	}
	if ((uint32_t)__builtin_popcountll(mask) == field->names_count)
		return; /* any named value, and the field is present */
	rg_field_fuse(l, number);
	instruction = rg_lower_emit(l, RG_OP_FIELD_MASK);
	instruction->a = number;
	instruction->number = (int64_t)mask;
	rg_lower_or_fail(l);
}

/* The values of an enum for which the test comes out as wanted. */
static uint64_t mask_of(struct rg_lower *l, const struct rg_test *test, bool wanted)
{
	const struct rg_image_field *field = field_at(l->unit, test->a.number);
	uint64_t mask = 0;

	for (uint32_t i = 0; i < field->names_count; i++) {
		struct rg_test of_name = {
			test->op, rg_fact_constant(named_value(l->unit, field, i)), test->b};
		uint64_t value = name_at(l->unit, field->names_first + i)->value;

		if (rg_lower_test_known(l, &of_name) == wanted)
			mask |= 1ull << (value - field->names_base);
	}
	return mask;
}

/* ---- strings ---- */

static bool branch_text(struct rg_lower *l, const struct rg_test *test)
{
	const struct rg_image_field *field = field_at(l->unit, test->a.number);
	struct rg_instruction *instruction;
	uint32_t constant;

	if (test->op != RG_EQ && test->op != RG_NE)
		return false;
	if (test->b.value.length > field->length ||
	    memchr(rg_text(&l->unit->heap, test->b.value), 0, test->b.value.length)) {
		if (test->op == RG_EQ)
			rg_lower_fail(l);
		return true;
	}
	constant = rg_unit_constant(l->unit, test->b.value);
	rg_field_fuse(l, test->a.number);
	instruction = rg_lower_emit(l, RG_OP_FIELD_TEXT);
	instruction->aux = (uint16_t)test->op;
	instruction->a = test->a.number;
	instruction->b = constant;
	rg_lower_or_fail(l);
	return true;
}

bool rg_field_branch(struct rg_lower *l, const struct rg_test *test)
{
	const struct rg_image_field *field;

	if (test->a.kind != RG_FACT_FIELD)
		return false;
	field = field_at(l->unit, test->a.number);
	if (test->b.kind == RG_FACT_FIELD)
		return branch_fields(l, test);
	if (test->b.kind != RG_FACT_CONSTANT)
		return false;
	if (is_scaled(field) && test->b.value.type == RG_NUMBER)
		return branch_number(l, test);
	if (field->kind == RG_FIELD_CHARS && test->b.value.type == RG_STRING)
		return branch_text(l, test);
	if (has_mask(l->unit, field)) {
		branch_mask(l, test->a.number, mask_of(l, test, true));
		return true;
	}
	return false;
}

/* ---- membership ---- */

/* The elements of a constant collection as a set. */
static struct rg_value as_set(struct rg_heap *heap, struct rg_value collection)
{
	uint32_t count = rg_count(heap, collection);
	struct rg_value set;

	if (collection.type == RG_SET)
		return collection;
	set = rg_set(heap, count);
	for (uint32_t i = 0; i < count; i++)
		rg_set_add(heap, set,
			   collection.type == RG_ARRAY ? rg_array_at(heap, collection, i)
						       : rg_object_at(heap, collection, i).value);
	return set;
}

/* "name" in input.set_field */
static bool branch_bit(struct rg_lower *l, const struct rg_test *test, bool wanted)
{
	const struct rg_image_field *field = field_at(l->unit, test->b.number);
	struct rg_instruction *instruction;

	if (field->kind != RG_FIELD_SET || test->a.kind != RG_FACT_CONSTANT)
		return false;
	for (uint32_t i = 0; i < field->names_count; i++) {
		const struct rg_image_field_name *name = name_at(l->unit, field->names_first + i);

		if (!rg_equal(&l->unit->heap, constant_value(l->unit, name->name), test->a.value))
			continue;
		rg_field_fuse(l, test->b.number);
		instruction = rg_lower_emit(l, RG_OP_FIELD_BIT);
		instruction->aux = wanted;
		instruction->a = test->b.number;
		instruction->b = (uint32_t)name->value;
		rg_lower_or_fail(l);
		return true;
	}
	if (wanted)
		rg_lower_fail(l);
	return true;
}

bool rg_field_branch_member(struct rg_lower *l, const struct rg_test *test, bool wanted)
{
	const struct rg_image_field *field;
	struct rg_instruction *instruction;
	struct rg_value set;
	uint32_t constant;

	if (test->b.kind == RG_FACT_FIELD)
		return branch_bit(l, test, wanted);
	if (test->a.kind != RG_FACT_FIELD || test->b.kind != RG_FACT_CONSTANT)
		return false;
	field = field_at(l->unit, test->a.number);
	if (has_mask(l->unit, field)) {
		branch_mask(l, test->a.number, mask_of(l, test, wanted));
		return true;
	}
	if (test->b.value.type != RG_ARRAY && test->b.value.type != RG_OBJECT &&
	    test->b.value.type != RG_SET) {
		if (wanted)
			rg_lower_fail(l);
		return true;
	}
	set = as_set(&l->unit->heap, test->b.value);
	if (l->unit->heap.exhausted) {
		rg_unit_no_memory(l->unit);
		return true;
	}
	constant = rg_unit_constant(l->unit, set);
	rg_field_fuse(l, test->a.number);
	instruction = rg_lower_emit(l, RG_OP_FIELD_MEMBER);
	instruction->aux = wanted;
	instruction->a = test->a.number;
	instruction->b = constant;
	rg_lower_or_fail(l);
	return true;
}
