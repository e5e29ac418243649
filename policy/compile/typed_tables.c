/* SPDX-License-Identifier: Apache-2.0 */
/* What typed programs look up: texts, maps from keys to rows, columns of what the rows hold. See
 * typed.h. */
#include <stdlib.h>
#include <string.h>

#include "policy/compile/typed.h"
#include "policy/eval/data_path.h"
#include "policy/eval/number.h"

#define ROWS_MAX (1u << 28)

/* ---- texts ---- */

int64_t rg_typed_text(struct rg_typed *t, struct rg_value text)
{
	struct rg_heap *heap = &t->unit->heap;
	struct rg_value id = rg_object_get(heap, t->texts, text);

	if (rg_is_defined(id))
		return id.i;
	if (text.length > RG_TYPED_TEXT_MAX || memchr(rg_text(heap, text), 0, text.length)) {
		t->full = true;
		return RG_TYPED_UNKNOWN;
	}
	id = rg_int(rg_count(heap, t->texts));
	if (!rg_object_insert(heap, t->texts, text, id))
		rg_unit_no_memory(t->unit);
	return id.i;
}

/* ---- cells ---- */

int64_t *rg_typed_table(struct rg_unit *unit, enum rg_typed_table_kind kind, uint32_t count,
			uint32_t *number)
{
	struct rg_typed_table *table = rg_vector_add(unit, &unit->typed_tables, sizeof(*table));
	uint64_t first = unit->typed_cells.count, cells;

	*number = unit->typed_tables.count - 1;
	if (!table)
		return NULL;
	*table = (struct rg_typed_table){.kind = kind, .count = count, .first = first};
	cells = rg_typed_table_cells(table);
	for (uint64_t i = 0; i < cells; i++) {
		if (!rg_vector_add(unit, &unit->typed_cells, sizeof(int64_t)))
			return NULL;
	}
	return cells ? RG_VECTOR_AT(unit->typed_cells, int64_t, first) : NULL;
}

uint32_t rg_typed_column(struct rg_unit *unit, const int64_t *cells, uint32_t count)
{
	uint32_t number;
	int64_t *to = rg_typed_table(unit, RG_TYPED_COLUMN, count, &number);

	if (to)
		memcpy(to, cells, count * sizeof(*cells));
	return number;
}

/* ---- slots ---- */

#define MULTIPLIERS_TRIED (1u << 14) /* for a bucket; two keys find theirs at the first or second */
#define SIZES_TRIED	  3

/* Slots for so many keys, at most half of them used. */
static uint32_t slots_for(uint32_t keys)
{
	uint32_t slots = RG_TYPED_SLOTS_MIN;

	while (slots < 2 * keys)
		slots *= 2;
	return slots;
}

/* Keys that find their slots. */
struct slots {
	const uint64_t *hashes;
	uint32_t key_count, count;
	uint32_t *multipliers; /* a bucket */
	uint32_t *slot;	       /* a key */
	uint32_t *next;	       /* a key: another one of its bucket, + 1 */
	uint32_t *first;       /* a bucket: one of its keys, + 1 */
	uint32_t *size;	       /* a bucket */
	bool *taken;	       /* a slot */
};

static bool take_slots(struct slots *slots, uint32_t bucket, uint32_t multiplier)
{
	uint32_t at, key;

	slots->multipliers[bucket] = multiplier;
	for (at = slots->first[bucket]; at; at = slots->next[key]) {
		key = at - 1;
		slots->slot[key] =
			rg_typed_slot_of(slots->multipliers, slots->count, slots->hashes[key]);
		if (slots->taken[slots->slot[key]])
			break;
		slots->taken[slots->slot[key]] = true;
	}
	if (!at)
		return true;
	for (uint32_t back = slots->first[bucket]; back != at; back = slots->next[back - 1])
		slots->taken[slots->slot[back - 1]] = false;
	return false;
}

/* The largest buckets first, while there is room. */
static bool place_keys(struct slots *slots)
{
	uint32_t buckets = slots->count / RG_TYPED_BUCKET_SLOTS, largest = 0;

	for (uint32_t i = 0; i < slots->key_count; i++) {
		uint32_t bucket = (uint32_t)(slots->hashes[i] >> 32) & (buckets - 1);

		slots->next[i] = slots->first[bucket];
		slots->first[bucket] = i + 1;
		if (++slots->size[bucket] > largest)
			largest = slots->size[bucket];
	}
	for (uint32_t size = largest; size; size--) {
		for (uint32_t bucket = 0; bucket < buckets; bucket++) {
			uint32_t tried = 0, multiplier = 1;

			if (slots->size[bucket] != size)
				continue;
			while (!take_slots(slots, bucket, multiplier)) {
				if (++tried == MULTIPLIERS_TRIED)
					return false;
				multiplier = (uint32_t)rg_typed_word_hash(tried) | 1;
			}
		}
	}
	return true;
}

/* The slots of keys with these hashes in a table of `count` slots, and its multipliers. 1: they are found, 0: not of this
 * size, -1: memory is out. */
static int find_slots(const uint64_t *hashes, uint32_t key_count, uint32_t count, uint32_t *slot,
		      uint32_t *multipliers)
{
	struct slots slots = {.hashes = hashes,
			      .key_count = key_count,
			      .count = count,
			      .multipliers = multipliers,
			      .slot = slot,
			      .next = calloc(key_count + 1u, sizeof(uint32_t)),
			      .first = calloc(count, sizeof(uint32_t)),
			      .size = calloc(count, sizeof(uint32_t)),
			      .taken = calloc(count, sizeof(bool))};
	int found = -1;

	if (slots.next && slots.first && slots.size && slots.taken)
		found = place_keys(&slots);
	free(slots.next);
	free(slots.first);
	free(slots.size);
	free(slots.taken);
	return found;
}

/* Add a table with a slot for each hash. Returns its slots of two cells each, NULL if memory is out
 * or the keys find none, in which case the program is full. */
static int64_t *add_slots(struct rg_typed *t, enum rg_typed_table_kind kind, const uint64_t *hashes,
			  uint32_t key_count, uint32_t *slot, uint32_t *number)
{
	uint32_t count = slots_for(key_count), *multipliers;
	int64_t *to = NULL;
	int found = 0;

	for (int tries = 0; tries < SIZES_TRIED && !found; tries++, count *= 2) {
		multipliers = calloc(count, sizeof(*multipliers));
		found = multipliers ? find_slots(hashes, key_count, count, slot, multipliers) : -1;
		if (found > 0)
			to = rg_typed_table(t->unit, kind, count, number);
		if (to)
			memcpy(to + 2 * (uint64_t)count, multipliers,
			       count / RG_TYPED_BUCKET_SLOTS * sizeof(*multipliers));
		free(multipliers);
	}
	if (found < 0)
		rg_unit_no_memory(t->unit);
	t->full |= !found;
	return to;
}

/* ---- maps ---- */

struct entry {
	int64_t key;
	uint32_t owner;
	struct rg_value value;
};

/* Keys of all owners while they are collected. */
struct entries {
	struct rg_typed *t;
	struct rg_typed_fact key; /* what will be looked up */
	bool finds_text;
	bool untyped;
	struct rg_vector list; /* struct entry */
};

static void add_entry(struct entries *entries, uint32_t owner, int64_t key, struct rg_value value)
{
	struct entry *entry;

	if (key == RG_TYPED_ABSENT)
		return;
	entry = rg_vector_add(entries->t->unit, &entries->list, sizeof(*entry));
	if (entry)
		*entry = (struct entry){key, owner, value};
}

/* A key beyond int64_t for a field of 64 bits without sign. One that is not written as an integer
 * ("1e19") is not looked for. */
static bool unsigned_key(struct entries *entries, struct rg_value key, int64_t *out)
{
	struct rg_heap *heap = &entries->t->unit->heap;
	char text[32];

	if (rg_number_compare(heap, key, rg_int(INT64_MAX)) <= 0 ||
	    rg_number_compare(heap, key, rg_number_from_uint(heap, UINT64_MAX)) > 0)
		return false;
	if (key.length < sizeof(text)) {
		memcpy(text, rg_text(heap, key), key.length);
		text[key.length] = '\0';
		*out = (int64_t)strtoull(text, NULL, 10);
		if (!rg_number_compare(heap, key, rg_number_from_uint(heap, (uint64_t)*out)))
			return true;
	}
	entries->untyped = true;
	return false;
}

/* The key's number at the scale of what is looked up; false if no field can have it. */
static bool number_key(struct entries *entries, struct rg_value key, int64_t *out)
{
	bool is_unsigned = entries->key.is_unsigned;

	if (rg_typed_at_scale(entries->t, key, entries->key.scale, out))
		return !is_unsigned || *out >= 0;
	return is_unsigned && key.form == RG_NUMBER_TEXT && unsigned_key(entries, key, out);
}

/* The integer that `text` spells as format_int() does; false if it spells none. */
static bool digits_key(struct entries *entries, struct rg_value text, int64_t *out)
{
	struct rg_heap *heap = &entries->t->unit->heap;
	const char *at = rg_text(heap, text);
	uint32_t sign = text.length && *at == '-';

	if (text.length > 20 || !rg_number_is_text(at, text.length) || (sign && at[1] == '0'))
		return false;
	for (uint32_t i = sign; i < text.length; i++) {
		if (at[i] < '0' || at[i] > '9')
			return false;
	}
	return number_key(entries, rg_number_from_text(heap, at, text.length), out);
}

static void add_key(struct entries *entries, uint32_t owner, struct rg_value key,
		    struct rg_value value)
{
	struct rg_heap *heap = &entries->t->unit->heap;
	int64_t number;

	switch ((enum rg_typed_kind)entries->key.kind) {
	case RG_TYPED_IS_TEXT:
	case RG_TYPED_IS_CHARS:
		if (key.type == RG_STRING)
			add_entry(entries, owner, rg_typed_text(entries->t, key), value);
		break;
	case RG_TYPED_IS_TRUTH:
		if (key.type == RG_BOOLEAN)
			add_entry(entries, owner, key.i, value);
		break;
	case RG_TYPED_IS_DIGITS:
		if (key.type == RG_STRING && digits_key(entries, key, &number))
			add_entry(entries, owner, number, value);
		break;
	case RG_TYPED_IS_INTEGER:
		if (key.type == RG_NUMBER && number_key(entries, key, &number))
			add_entry(entries, owner, number, value);
		else if (key.type == RG_STRING && entries->finds_text &&
			 rg_number_is_text(rg_text(heap, key), key.length))
			entries->untyped = true; /* a number finds its text */
		break;
	default: entries->untyped = true;
	}
}

static void add_owner(struct entries *entries, uint32_t owner, struct rg_value container)
{
	struct rg_heap *heap = &entries->t->unit->heap;

	if (container.type < RG_ARRAY)
		return;
	for (uint32_t i = 0; i < rg_count(heap, container) && !entries->untyped; i++) {
		struct rg_pair pair = rg_pair_at(heap, container, i);

		add_key(entries, owner, pair.key, pair.value);
	}
}

/* Lay the entries down as a map. False when memory is out, or the program full. */
static bool lay_map(struct entries *entries, uint32_t *number)
{
	uint32_t count = entries->list.count, *slot = calloc(count + 1u, sizeof(*slot));
	uint64_t *hashes = calloc(count + 1u, sizeof(*hashes));
	struct rg_typed_map_slot *to = NULL;

	for (uint32_t i = 0; hashes && i < count; i++) {
		const struct entry *entry = RG_VECTOR_AT(entries->list, struct entry, i);

		hashes[i] = rg_typed_map_hash(entry->key, entry->owner);
	}
	if (hashes && slot)
		to = (struct rg_typed_map_slot *)add_slots(entries->t, RG_TYPED_MAP, hashes, count,
							   slot, number);
	else
		rg_unit_no_memory(entries->t->unit);
	for (uint32_t i = 0; to && i < count; i++) {
		const struct entry *entry = RG_VECTOR_AT(entries->list, struct entry, i);

		to[slot[i]] = (struct rg_typed_map_slot){entry->key, entry->owner, i + 1};
	}
	free(hashes);
	free(slot);
	return to;
}

uint32_t rg_typed_dictionary(struct rg_typed *t)
{
	struct rg_heap *heap = &t->unit->heap;
	uint32_t texts = rg_count(heap, t->texts), number = 0,
		 *slot = calloc(texts + 1u, sizeof(*slot));
	uint64_t *hashes = calloc(texts + 1u, sizeof(*hashes));
	struct rg_typed_text_slot *to = NULL;

	for (uint32_t i = 0; hashes && i < texts; i++) {
		struct rg_pair pair = rg_object_at(heap, t->texts, i);

		hashes[i] = rg_typed_text_hash(rg_text(heap, pair.key), pair.key.length);
	}
	if (hashes && slot)
		to = (struct rg_typed_text_slot *)add_slots(t, RG_TYPED_DICTIONARY, hashes, texts,
							    slot, &number);
	else
		rg_unit_no_memory(t->unit);
	for (uint32_t i = 0; to && i < texts; i++) {
		struct rg_pair pair = rg_object_at(heap, t->texts, i);

		to[slot[i]] = (struct rg_typed_text_slot){
			.hash = hashes[i],
			.text = rg_unit_constant(t->unit, pair.key) |
				(pair.key.length > 8 ? RG_TYPED_LONG_TEXT : 0),
			.id = (uint32_t)pair.value.i + 1};
	}
	free(hashes);
	free(slot);
	return number;
}

/* ---- choices ---- */

static struct rg_typed_choice *make_choice(struct rg_typed *t, uint32_t count)
{
	struct rg_typed_choice *choice = calloc(1, sizeof(*choice));
	struct rg_typed_choice **made = rg_vector_add(t->unit, &t->made, sizeof(*made));

	if (choice && made) {
		*made = choice;
		choice->values = calloc((size_t)count + 1, sizeof(*choice->values));
		choice->count = count;
		if (choice->values)
			return choice;
	} else {
		free(choice);
	}
	rg_unit_no_memory(t->unit);
	return NULL;
}

/* Is every row the same scalar, or (but for those not there) at least those that are? */
static bool is_uniform(struct rg_typed *t, const struct rg_typed_choice *choice, bool *everywhere,
		       struct rg_value *value)
{
	*value = rg_undefined;
	*everywhere = true;
	for (uint32_t i = 0; i < choice->count; i++) {
		struct rg_value one = choice->values[i];

		if (!rg_is_defined(one))
			*everywhere = false;
		else if (one.type >= RG_ARRAY)
			return false;
		else if (!rg_is_defined(*value))
			*value = one;
		else if (one.type != value->type || !rg_equal(&t->unit->heap, one, *value))
			return false;
	}
	return rg_is_defined(*value);
}

/* Cells of a column: for each row what the type makes of its value, RG_TYPED_UNTYPED where that
 * is nothing. */
struct cells {
	int64_t *cell;
	bool is_full;  /* no row is undefined */
	bool is_typed; /* none is untyped */
};

static int64_t number_cell(struct rg_typed *t, struct rg_value v, uint8_t scale)
{
	struct rg_typed_fact key = {.kind = RG_TYPED_IS_INTEGER, .scale = scale};
	struct entries at_scale = {.t = t, .key = key};
	int64_t number;

	return v.type == RG_NUMBER && number_key(&at_scale, v, &number) && number > RG_TYPED_UNTYPED
		       ? number
		       : RG_TYPED_UNTYPED;
}

/* The finest scale of the numbers that have one. */
static uint8_t scale_of_column(struct rg_typed *t, const struct rg_typed_choice *choice)
{
	uint8_t finest = 0, scale;
	int64_t mantissa;

	for (uint32_t i = 0; i < choice->count; i++) {
		if (rg_typed_decimal(t, choice->values[i], &mantissa, &scale) && scale > finest)
			finest = scale;
	}
	return finest;
}

/* A choice among the distinct containers of a column, and for each row which. */
static struct rg_typed_choice *distinct(struct rg_typed *t, const struct rg_typed_choice *choice,
					int64_t *rows)
{
	struct rg_heap *heap = &t->unit->heap;
	struct rg_value numbers = rg_object(heap, 0);
	struct rg_typed_choice *result = make_choice(t, choice->count);

	if (!result)
		return NULL;
	result->count = 0;
	for (uint32_t i = 0; i < choice->count; i++) {
		struct rg_value number;

		if (choice->values[i].type < RG_ARRAY)
			continue;
		number = rg_object_get(heap, numbers, choice->values[i]);
		if (!rg_is_defined(number)) {
			number = rg_int(result->count);
			result->values[result->count++] = choice->values[i];
			rg_object_insert(heap, numbers, choice->values[i], number);
		}
		rows[i] = number.i;
	}
	return result;
}

static void fill_cells(struct rg_typed *t, const struct rg_typed_choice *choice,
		       struct rg_typed_fact *type, struct cells *cells)
{
	for (uint32_t i = 0; i < choice->count; i++) {
		struct rg_value v = choice->values[i];
		int64_t *cell = &cells->cell[i];

		if (!rg_is_defined(v))
			*cell = RG_TYPED_ABSENT;
		else if (type->kind == RG_TYPED_IS_INTEGER)
			*cell = number_cell(t, v, type->scale);
		else if (type->kind == RG_TYPED_IS_TRUTH)
			*cell = v.type == RG_BOOLEAN ? v.i : RG_TYPED_UNTYPED;
		else if (type->kind == RG_TYPED_IS_TEXT)
			*cell = v.type == RG_STRING ? rg_typed_text(t, v) : RG_TYPED_UNTYPED;
		else if (v.type < RG_ARRAY)
			*cell = RG_TYPED_UNTYPED;
		cells->is_full = cells->is_full && *cell != RG_TYPED_ABSENT;
		cells->is_typed = cells->is_typed && *cell != RG_TYPED_UNTYPED;
	}
}

/* The type that the first row of a choice suggests for its column. */
static bool type_of_column(struct rg_typed *t, const struct rg_typed_choice *choice,
			   struct rg_typed_fact *type)
{
	uint32_t i = 0;

	*type = (struct rg_typed_fact){0};
	while (i < choice->count && !rg_is_defined(choice->values[i]))
		i++;
	if (i == choice->count)
		return false;
	switch (choice->values[i].type) {
	case RG_BOOLEAN: type->kind = RG_TYPED_IS_TRUTH; return true;
	case RG_NUMBER:
		type->kind = RG_TYPED_IS_INTEGER;
		type->scale = scale_of_column(t, choice);
		return true;
	case RG_STRING: type->kind = RG_TYPED_IS_TEXT; return true;
	case RG_ARRAY:
	case RG_OBJECT:
	case RG_SET: type->kind = RG_TYPED_IS_CHOICE; return true;
	default: return false;
	}
}

/* What was made of a choice before, or what is made of it now: a column and its type. */
struct column {
	const struct rg_typed_choice *from;
	struct rg_typed_fact type; /* without slot; maybe_undefined: some row is not there */
	uint32_t table;
	bool in_front; /* reading it gives up nowhere */
};

static const struct column *find_column(struct rg_typed *t, const struct rg_typed_choice *choice)
{
	for (uint32_t i = 0; i < t->columns.count; i++) {
		const struct column *column = RG_VECTOR_AT(t->columns, struct column, i);

		if (column->from == choice)
			return column;
	}
	return NULL;
}

static const struct column *make_column(struct rg_typed *t, const struct rg_typed_choice *choice)
{
	struct cells cells = {.is_full = true, .is_typed = true};
	struct rg_typed_fact type;
	struct column *column;

	if (!type_of_column(t, choice, &type))
		return NULL;
	cells.cell = calloc((size_t)choice->count + 1, sizeof(*cells.cell));
	column = rg_vector_add(t->unit, &t->columns, sizeof(*column));
	if (!cells.cell || !column) {
		rg_unit_no_memory(t->unit);
		free(cells.cell);
		return NULL;
	}
	if (type.kind == RG_TYPED_IS_CHOICE)
		type.choice = distinct(t, choice, cells.cell);
	fill_cells(t, choice, &type, &cells);
	type.maybe_undefined = !cells.is_full;
	*column = (struct column){choice, type, rg_typed_column(t->unit, cells.cell, choice->count),
				  cells.is_typed};
	free(cells.cell);
	return column;
}

/* What stands in a row, which is defined: a constant, or what its column says. */
static bool read_choice(struct rg_typed_context *c, struct rg_typed_choice *choice, uint16_t row,
			uint32_t label, struct rg_typed_fact *result)
{
	struct rg_typed *t = c->typed;
	struct rg_typed_instruction load = {.op = RG_TYPED_OP_COLUMN, .a = row};
	const struct column *column;
	struct rg_value value;
	bool everywhere;

	if (is_uniform(t, choice, &everywhere, &value) && everywhere) {
		*result = (struct rg_typed_fact){.kind = RG_TYPED_IS_KNOWN, .value = value};
		return true;
	}
	column = find_column(t, choice);
	if (!column)
		column = make_column(t, choice);
	if (!column)
		return false;
	load.table = column->table;
	*result = column->type;
	if (column->in_front) {
		result->slot = rg_typed_value(t, load);
	} else {
		load.op = RG_TYPED_OP_COLUMN_TYPED;
		load.dst = result->slot = rg_typed_slot(t);
		rg_typed_emit(t, load);
	}
	return rg_typed_require(c, result, label);
}

/* ---- enums ---- */

/* The built-in's result for each value of the enum; nameless ones, which never come, have that of
 * another. */
static struct rg_typed_choice *results_by_name(struct rg_typed_context *c,
					       const struct rg_builtin *builtin,
					       const struct rg_typed_fact *args, uint32_t which)
{
	const struct rg_image_field *field = rg_typed_field_of(c, args[which].number);
	struct rg_typed_choice *choice = make_choice(c->typed, RG_TYPED_NAMES_MAX);
	struct rg_value values[RG_BUILTIN_ARGS_MAX];
	bool is_named[RG_TYPED_NAMES_MAX] = {false};
	struct rg_value any = rg_undefined;

	if (!choice)
		return NULL;
	for (uint32_t i = 0; i < builtin->arg_count; i++)
		values[i] = args[i].value;
	for (uint32_t i = 0; i < field->names_count; i++) {
		const struct rg_image_field_name *name =
			RG_VECTOR_AT(c->typed->unit->field_names, struct rg_image_field_name,
				     field->names_first + i);
		uint64_t value = name->value - field->names_base;

		values[which] = rg_typed_constant_of(c, name->name);
		is_named[value] = true;
		rg_unit_run_builtin(c->typed->unit, builtin, values, &choice->values[value]);
		any = choice->values[value];
	}
	for (uint32_t i = 0; i < RG_TYPED_NAMES_MAX; i++) {
		if (!is_named[i])
			choice->values[i] = any;
	}
	return choice;
}

bool rg_typed_each_name(struct rg_typed_context *c, const struct rg_builtin *builtin,
			const struct rg_typed_fact *args, uint32_t which, uint32_t label,
			struct rg_typed_fact *result)
{
	struct rg_typed_choice *choice = results_by_name(c, builtin, args, which);
	uint64_t mask = 0;

	if (!choice)
		return false;
	for (uint32_t i = 0; i < choice->count; i++) {
		if (choice->values[i].type != RG_BOOLEAN)
			return read_choice(c, choice, args[which].slot, label, result);
		mask |= (uint64_t)choice->values[i].i << i;
	}
	*result = (struct rg_typed_fact){.kind = RG_TYPED_IS_MASKED,
					 .slot = args[which].slot,
					 .value = rg_int((int64_t)mask)};
	return true;
}

/* ---- looking up ---- */

static struct rg_typed_lookup *find_lookup(struct rg_typed *t, const struct rg_typed_lookup *wanted)
{
	for (uint32_t i = 0; i < t->lookups.count; i++) {
		struct rg_typed_lookup *lookup =
			RG_VECTOR_AT(t->lookups, struct rg_typed_lookup, i);

		if (lookup->from == wanted->from && lookup->container == wanted->container &&
		    lookup->key == wanted->key)
			return lookup;
	}
	return NULL;
}

/* What makes two look-ups in the same container use the same map: the kind of key. */
static uint32_t key_kind(struct rg_typed_fact key)
{
	uint32_t kind = key.kind == RG_TYPED_IS_CHARS ? RG_TYPED_IS_TEXT : key.kind;

	return 1u << 31 | kind << 16 | (uint32_t)key.is_unsigned << 8 | key.scale;
}

/* Keys of one owner that are small numbers, ids of texts mostly, need no hashing: a column by key
 * holds the rows. It ends with the undefined, so that nobody takes it for a column in which each
 * defined row has something (typed_known.c): what it is asked for may be any number. */
static bool lay_dense(const struct entries *entries, struct rg_typed_lookup *lookup)
{
	uint32_t count = entries->list.count;
	int64_t most = -1, *rows;

	/* Each such look-up has a slot, which programs of many lists run out of. */
	if (entries->t->slot_count > RG_TYPED_SLOTS_MADE_MAX / 2)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		const struct entry *entry = RG_VECTOR_AT(entries->list, struct entry, i);

		if (entry->owner || entry->key < 0 || entry->key >= 4 * (int64_t)count + 64)
			return false;
		if (entry->key > most)
			most = entry->key;
	}
	rows = malloc((size_t)(most + 2) * sizeof(*rows));
	if (!rows) {
		rg_unit_no_memory(entries->t->unit);
		return false;
	}
	for (int64_t i = 0; i <= most + 1; i++)
		rows[i] = RG_TYPED_ABSENT;
	for (uint32_t i = 0; i < count; i++)
		rows[RG_VECTOR_AT(entries->list, struct entry, i)->key] = i;
	lookup->table = rg_typed_column(entries->t->unit, rows, (uint32_t)(most + 2));
	lookup->is_dense = true;
	free(rows);
	return true;
}

static bool make_map(struct rg_typed *t, struct rg_typed_fact from, struct rg_typed_fact key,
		     bool finds_text, struct rg_typed_lookup *lookup)
{
	struct entries entries = {.t = t, .key = key, .finds_text = finds_text};
	bool made = false;

	if (from.kind == RG_TYPED_IS_KNOWN)
		add_owner(&entries, 0, from.value);
	for (uint32_t i = 0; from.kind == RG_TYPED_IS_CHOICE && i < from.choice->count &&
			     entries.list.count < ROWS_MAX;
	     i++)
		add_owner(&entries, i, from.choice->values[i]);
	if (!entries.untyped && entries.list.count < ROWS_MAX && !t->unit->status)
		lookup->choice = make_choice(t, entries.list.count);
	if (lookup->choice && ((from.kind == RG_TYPED_IS_KNOWN && lay_dense(&entries, lookup)) ||
			       lay_map(&entries, &lookup->table))) {
		for (uint32_t i = 0; i < entries.list.count; i++)
			lookup->choice->values[i] =
				RG_VECTOR_AT(entries.list, struct entry, i)->value;
		made = true;
	}
	free(entries.list.items);
	return made;
}

/* The map for keys like this in a constant container or a choice of them. NULL if it cannot be
 * made. */
static struct rg_typed_lookup *map_of(struct rg_typed *t, struct rg_typed_fact from,
				      struct rg_typed_fact key, bool finds_text)
{
	struct rg_typed_lookup wanted = {.key = key_kind(key)}, *found;

	if (from.kind == RG_TYPED_IS_CHOICE)
		wanted.from = from.choice;
	else
		wanted.container = from.value.offset + 1;
	found = find_lookup(t, &wanted);
	if (found)
		return found;
	if (!make_map(t, from, key, finds_text, &wanted))
		return NULL;
	found = rg_vector_add(t->unit, &t->lookups, sizeof(*found));
	if (found)
		*found = wanted;
	return found;
}

static bool is_key(const struct rg_typed_fact *key)
{
	return key->kind == RG_TYPED_IS_TEXT || key->kind == RG_TYPED_IS_CHARS ||
	       key->kind == RG_TYPED_IS_TRUTH || key->kind == RG_TYPED_IS_DIGITS ||
	       key->kind == RG_TYPED_IS_INTEGER;
}

static bool look_up(struct rg_typed_context *c, struct rg_typed_fact from, struct rg_typed_fact key,
		    bool finds_text, uint32_t label, struct rg_typed_fact *result)
{
	struct rg_typed *t = c->typed;
	struct rg_typed_instruction find = {.op = RG_TYPED_OP_FIND, .a = key.slot};
	struct rg_typed_fact row = {.kind = RG_TYPED_IS_INTEGER, .maybe_undefined = true};
	struct rg_typed_lookup *lookup = map_of(t, from, key, finds_text);

	if (!lookup)
		return false;
	find.table = lookup->table;
	if (lookup->is_dense)
		find.op = RG_TYPED_OP_COLUMN;
	else
		find.b = from.kind == RG_TYPED_IS_CHOICE ? from.slot : rg_typed_number(t, 0);
	row.slot = rg_typed_value(t, find);
	if (!lookup->choice->count) {
		rg_typed_jump(c, label);
		*result = (struct rg_typed_fact){0};
		return true;
	}
	rg_typed_require(c, &row, label);
	if (rg_typed_type(&(struct rg_typed_fact){.kind = RG_TYPED_IS_CHOICE,
						  .choice = lookup->choice}) >= RG_ARRAY) {
		*result = (struct rg_typed_fact){
			.kind = RG_TYPED_IS_CHOICE, .slot = row.slot, .choice = lookup->choice};
		return true;
	}
	return read_choice(c, lookup->choice, row.slot, label, result);
}

/* The same member of all rows. */
static bool project(struct rg_typed_context *c, struct rg_typed_fact from, struct rg_value key,
		    bool finds_text, uint32_t label, struct rg_typed_fact *result)
{
	struct rg_typed *t = c->typed;
	struct rg_typed_lookup wanted = {.from = from.choice,
					 .key = rg_unit_constant(t->unit, key)},
			       *lookup;

	if (finds_text && key.type == RG_NUMBER)
		return false;
	lookup = find_lookup(t, &wanted);
	if (!lookup) {
		wanted.choice = make_choice(t, from.choice->count);
		lookup = rg_vector_add(t->unit, &t->lookups, sizeof(*lookup));
		if (!lookup || !wanted.choice)
			return false;
		*lookup = wanted;
		for (uint32_t i = 0; i < from.choice->count; i++) {
			if (rg_is_defined(from.choice->values[i]))
				lookup->choice->values[i] =
					rg_dot(&t->unit->heap, from.choice->values[i], key);
		}
	}
	return read_choice(c, lookup->choice, from.slot, label, result);
}

bool rg_typed_dot(struct rg_typed_context *c, struct rg_typed_fact from, struct rg_typed_fact key,
		  bool finds_text, uint32_t label, struct rg_typed_fact *result)
{
	bool is_container = from.kind == RG_TYPED_IS_CHOICE || from.kind == RG_TYPED_IS_KNOWN;

	if (!is_container)
		return false;
	if (key.kind == RG_TYPED_IS_NAMED)
		key = rg_typed_named_text(c->typed, &key);
	if (key.kind == RG_TYPED_IS_KNOWN && from.kind == RG_TYPED_IS_CHOICE)
		return project(c, from, key.value, finds_text, label, result);
	if (key.kind == RG_TYPED_IS_KNOWN) {
		struct rg_value found = rg_dot(&c->typed->unit->heap, from.value, key.value);

		if (finds_text && !rg_is_defined(found) && from.value.type == RG_OBJECT &&
		    key.value.type == RG_NUMBER)
			found = rg_dot_number_text(&c->typed->unit->heap, from.value, key.value);
		if (!rg_is_defined(found))
			rg_typed_jump(c, label);
		*result = (struct rg_typed_fact){.kind = RG_TYPED_IS_KNOWN, .value = found};
		return true;
	}
	return is_key(&key) && look_up(c, from, key, finds_text, label, result);
}

/* An array's elements, or an object's values, as a set. */
static struct rg_value members_of(struct rg_heap *heap, struct rg_value collection)
{
	struct rg_value set;

	if (collection.type == RG_SET)
		return collection;
	set = rg_set(heap, rg_count(heap, collection));
	for (uint32_t i = 0; i < rg_count(heap, collection); i++)
		rg_set_add(heap, set,
			   collection.type == RG_ARRAY ? rg_array_at(heap, collection, i)
						       : rg_object_at(heap, collection, i).value);
	return set;
}

bool rg_typed_member(struct rg_typed_context *c, struct rg_typed_fact element,
		     struct rg_value collection, bool wanted, uint32_t label)
{
	struct rg_typed_instruction guard = {.op = wanted ? RG_TYPED_OP_IF_FOUND
							  : RG_TYPED_OP_IF_NOT_FOUND};
	struct rg_typed *t = c->typed;
	struct rg_typed_lookup *lookup;

	if (collection.type < RG_ARRAY)
		return false;
	if (element.kind == RG_TYPED_IS_NAMED)
		element = rg_typed_named_text(t, &element);
	if (!is_key(&element))
		return false;
	lookup = map_of(t,
			(struct rg_typed_fact){.kind = RG_TYPED_IS_KNOWN,
					       .value = members_of(&t->unit->heap, collection)},
			element, false);
	if (!lookup)
		return false;
	guard.a = element.slot;
	guard.table = lookup->table;
	if (lookup->is_dense) {
		guard.op = wanted ? RG_TYPED_OP_IF_DEFINED : RG_TYPED_OP_IF_UNDEFINED;
		guard.a = rg_typed_value(t, (struct rg_typed_instruction){.op = RG_TYPED_OP_COLUMN,
									  .a = element.slot,
									  .table = lookup->table});
		guard.table = 0;
	}
	rg_typed_guard(c, guard, label);
	return true;
}
