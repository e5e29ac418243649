/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/compile/unit.h"

#include <stdlib.h>
#include <string.h>

int rg_unit_fail(struct rg_unit *unit, int status, const char *format, ...)
{
	va_list args;

	if (unit->status)
		return unit->status;
	unit->status = status;
	va_start(args, format);
	rg_error_vset(unit->err, status, format, args);
	va_end(args);
	return status;
}

int rg_unit_no_memory(struct rg_unit *unit)
{
	return rg_unit_fail(unit, RG_ENOMEM, "out of memory while compiling");
}

void *rg_vector_add(struct rg_unit *unit, struct rg_vector *vector, size_t size)
{
	char *item;

	if (vector->count == vector->capacity) {
		uint32_t capacity = vector->capacity ? 2 * vector->capacity : 16;
		void *grown = capacity < INT32_MAX ? realloc(vector->items, capacity * size) : NULL;

		if (!grown) {
			rg_unit_no_memory(unit);
			return NULL;
		}
		vector->items = grown;
		vector->capacity = capacity;
	}
	item = (char *)vector->items + vector->count++ * size;
	memset(item, 0, size);
	return item;
}

/* ---- open-addressing tables of item number + 1 ---- */

static bool grow_slots(struct rg_unit *unit, uint32_t **slots, uint32_t *mask, uint32_t count,
		       uint64_t (*hash_of)(const struct rg_unit *, uint32_t))
{
	uint32_t size = *slots ? *mask + 1 : 0;
	uint32_t *grown;

	if (size && count < size / 2)
		return true;
	size = size ? 2 * size : 256;
	grown = calloc(size, sizeof(*grown));
	if (!grown) {
		rg_unit_no_memory(unit);
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = (uint32_t)hash_of(unit, i) & (size - 1);

		while (grown[at])
			at = (at + 1) & (size - 1);
		grown[at] = i + 1;
	}
	free(*slots);
	*slots = grown;
	*mask = size - 1;
	return true;
}

/* ---- constants ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 29;
}

static bool has_text(struct rg_value v)
{
	return v.type == RG_STRING || (v.type == RG_NUMBER && v.form == RG_NUMBER_TEXT);
}

/* Spelling, not numeric value: 1 and 1.0 are two constants. Containers are one if they are the
 * same container. */
static uint64_t spelling_hash(const struct rg_heap *heap, struct rg_value v)
{
	uint64_t hash = mix(v.type, (uint64_t)v.form << 16 | (uint64_t)(uint8_t)v.exponent << 8);
	const char *text;

	if (!has_text(v))
		return mix(hash, v.offset);
	text = rg_text(heap, v);
	for (uint32_t i = 0; i < v.length; i++)
		hash = mix(hash, (uint8_t)text[i]);
	return hash;
}

static bool same_spelling(const struct rg_heap *heap, struct rg_value a, struct rg_value b)
{
	if (a.type != b.type || a.form != b.form || a.exponent != b.exponent ||
	    a.length != b.length)
		return false;
	if (has_text(a))
		return !memcmp(rg_text(heap, a), rg_text(heap, b), a.length);
	return a.offset == b.offset;
}

static uint64_t constant_hash(const struct rg_unit *unit, uint32_t i)
{
	return RG_VECTOR_AT(unit->constants, struct rg_constant, i)->hash;
}

uint32_t rg_unit_constant(struct rg_unit *unit, struct rg_value v)
{
	uint64_t hash = spelling_hash(&unit->heap, v);
	struct rg_constant *constant;
	uint32_t at;

	if (!grow_slots(unit, &unit->constant_slots, &unit->constant_mask, unit->constants.count,
			constant_hash))
		return 0;
	for (at = (uint32_t)hash & unit->constant_mask; unit->constant_slots[at];
	     at = (at + 1) & unit->constant_mask) {
		uint32_t i = unit->constant_slots[at] - 1;

		constant = RG_VECTOR_AT(unit->constants, struct rg_constant, i);
		if (constant->hash == hash && same_spelling(&unit->heap, constant->value, v))
			return i;
	}
	constant = rg_vector_add(unit, &unit->constants, sizeof(*constant));
	if (!constant)
		return 0;
	*constant = (struct rg_constant){v, hash};
	unit->constant_slots[at] = unit->constants.count;
	return unit->constants.count - 1;
}

uint32_t rg_unit_text(struct rg_unit *unit, const char *text, size_t bytes)
{
	struct rg_value v = rg_string(&unit->heap, text, bytes);

	if (unit->heap.exhausted) {
		rg_unit_no_memory(unit);
		return 0;
	}
	return rg_unit_constant(unit, v);
}

/* ---- places ---- */

static uint32_t file_constant(struct rg_unit *unit, uint32_t file)
{
	const struct rg_plan *plan = unit->plan;

	if (file >= plan->file_count)
		return rg_unit_text(unit, "", 0);
	if (!unit->file_constants[file])
		unit->file_constants[file] =
			rg_unit_text(unit, plan->files[file].text, plan->files[file].bytes) + 1;
	return unit->file_constants[file] - 1;
}

uint32_t rg_unit_place(struct rg_unit *unit, const struct rg_plan_statement *statement)
{
	struct rg_image_place *place;
	uint32_t file = file_constant(unit, statement ? statement->file : RG_PLAN_NO_FILE);

	if (unit->places.count) {
		place = RG_VECTOR_AT(unit->places, struct rg_image_place, unit->places.count - 1);
		if (statement && place->file == file && place->row == statement->row &&
		    place->col == statement->col)
			return unit->places.count - 1;
	}
	place = rg_vector_add(unit, &unit->places, sizeof(*place));
	if (!place)
		return 0;
	place->file = file;
	if (statement) {
		place->row = statement->row;
		place->col = statement->col;
	}
	return unit->places.count - 1;
}

/* ---- variants ---- */

static uint64_t hash_variant(const struct rg_variant *variant)
{
	return mix(mix(variant->source, variant->template),
		   (uint64_t)variant->is_entry << 1 | variant->data_is_value);
}

static uint64_t variant_hash(const struct rg_unit *unit, uint32_t i)
{
	return hash_variant(RG_VECTOR_AT(unit->variants, struct rg_variant, i));
}

uint32_t rg_unit_variant(struct rg_unit *unit, struct rg_variant variant)
{
	struct rg_variant *known;
	uint32_t at;

	if (!grow_slots(unit, &unit->variant_slots, &unit->variant_mask, unit->variants.count,
			variant_hash))
		return 0;
	for (at = (uint32_t)hash_variant(&variant) & unit->variant_mask; unit->variant_slots[at];
	     at = (at + 1) & unit->variant_mask) {
		known = RG_VECTOR_AT(unit->variants, struct rg_variant,
				     unit->variant_slots[at] - 1);
		if (known->source == variant.source && known->template == variant.template &&
		    known->is_entry == variant.is_entry &&
		    known->data_is_value == variant.data_is_value)
			return unit->variant_slots[at] - 1;
	}
	known = rg_vector_add(unit, &unit->variants, sizeof(*known));
	if (!known)
		return 0;
	*known = variant;
	unit->variant_slots[at] = unit->variants.count;
	return unit->variants.count - 1;
}

/* ---- built-ins ---- */

uint32_t rg_unit_builtin(struct rg_unit *unit, const struct rg_builtin *builtin)
{
	uint32_t name = rg_unit_text(unit, builtin->name, strlen(builtin->name));
	struct rg_image_builtin *import;

	for (uint32_t i = 0; i < unit->builtins.count; i++) {
		import = RG_VECTOR_AT(unit->builtins, struct rg_image_builtin, i);
		if (import->name == name)
			return i;
	}
	if (unit->builtins.count >= RG_IMAGE_BUILTINS_MAX) {
		rg_unit_fail(unit, RG_ELIMIT, "more than %d different built-ins",
			     RG_IMAGE_BUILTINS_MAX);
		return 0;
	}
	import = rg_vector_add(unit, &unit->builtins, sizeof(*import));
	if (!import)
		return 0;
	import->name = name;
	import->arg_count = builtin->arg_count;
	return unit->builtins.count - 1;
}
