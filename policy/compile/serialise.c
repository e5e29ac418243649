/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/compile/serialise.h"

#include <stdlib.h>
#include <string.h>

#include "policy/eval/container.h"
#include "policy/image/rule_table.h"
#include "policy/image/typed.h"

#define HEAP_BYTES_MAX (1ull << 36)

/* The image's heap while it is written. */
struct blob {
	struct rg_unit *unit;
	uint8_t *bytes;
	uint64_t used, capacity;
	/* containers already written: offset in the compile's heap + 1 -> offset in the image's */
	uint64_t (*moved)[2];
	uint64_t moved_mask, moved_count;
	/* texts already written, by content */
	struct rg_value *texts;
	uint64_t text_mask, text_count;
};

/* ---- room ---- */

static bool reserve(struct blob *blob, uint64_t bytes, uint64_t *offset)
{
	uint64_t end = blob->used + ((bytes + 7) & ~7ull);

	if (end > blob->capacity) {
		uint64_t capacity = blob->capacity ? 2 * blob->capacity : 4096;
		uint8_t *grown;

		while (capacity < end)
			capacity *= 2;
		grown = capacity <= HEAP_BYTES_MAX ? realloc(blob->bytes, capacity) : NULL;
		if (!grown) {
			rg_unit_no_memory(blob->unit);
			return false;
		}
		memset(grown + blob->capacity, 0, capacity - blob->capacity);
		blob->bytes = grown;
		blob->capacity = capacity;
	}
	*offset = blob->used;
	blob->used = end;
	return true;
}

/* ---- texts, once each ---- */

static uint64_t hash_bytes(const char *text, uint32_t bytes)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (uint32_t i = 0; i < bytes; i++)
		hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3ull;
	return hash ^ hash >> 32;
}

static bool grow_texts(struct blob *blob)
{
	uint64_t size = blob->texts ? 2 * (blob->text_mask + 1) : 1024;
	struct rg_value *grown;

	if (blob->texts && blob->text_count < (blob->text_mask + 1) / 2)
		return true;
	grown = calloc(size, sizeof(*grown));
	if (!grown) {
		rg_unit_no_memory(blob->unit);
		return false;
	}
	for (uint64_t i = 0; blob->texts && i <= blob->text_mask; i++) {
		struct rg_value text = blob->texts[i];
		uint64_t at;

		if (!text.type)
			continue;
		at = hash_bytes((char *)blob->bytes + text.offset, text.length) & (size - 1);
		while (grown[at].type)
			at = (at + 1) & (size - 1);
		grown[at] = text;
	}
	free(blob->texts);
	blob->texts = grown;
	blob->text_mask = size - 1;
	return true;
}

static uint64_t write_text(struct blob *blob, const char *text, uint32_t bytes)
{
	uint64_t at, offset, length = bytes;

	if (!grow_texts(blob))
		return 0;
	for (at = hash_bytes(text, bytes) & blob->text_mask; blob->texts[at].type;
	     at = (at + 1) & blob->text_mask) {
		if (blob->texts[at].length == bytes &&
		    !memcmp(blob->bytes + blob->texts[at].offset, text, bytes))
			return blob->texts[at].offset;
	}
	if (!reserve(blob, sizeof(length) + bytes, &offset))
		return 0;
	memcpy(blob->bytes + offset, &length, sizeof(length));
	offset += sizeof(length);
	memcpy(blob->bytes + offset, text, bytes);
	blob->texts[at] = (struct rg_value){.type = RG_STRING, .length = bytes, .offset = offset};
	blob->text_count++;
	return offset;
}

/* ---- containers, once each ---- */

static bool grow_moved(struct blob *blob)
{
	uint64_t size = blob->moved ? 2 * (blob->moved_mask + 1) : 1024;
	uint64_t(*grown)[2];

	if (blob->moved && blob->moved_count < (blob->moved_mask + 1) / 2)
		return true;
	grown = calloc(size, sizeof(*grown));
	if (!grown) {
		rg_unit_no_memory(blob->unit);
		return false;
	}
	for (uint64_t i = 0; blob->moved && i <= blob->moved_mask; i++) {
		uint64_t at;

		if (!blob->moved[i][0])
			continue;
		at = (blob->moved[i][0] * 0x9e3779b97f4a7c15ull >> 20) & (size - 1);
		while (grown[at][0])
			at = (at + 1) & (size - 1);
		memcpy(grown[at], blob->moved[i], sizeof(grown[at]));
	}
	free(blob->moved);
	blob->moved = grown;
	blob->moved_mask = size - 1;
	return true;
}

/* The entry of the container at offset, empty if it is new. */
static uint64_t *moved_entry(struct blob *blob, uint64_t offset)
{
	uint64_t key = offset + 1, at;

	if (!grow_moved(blob))
		return NULL;
	at = (key * 0x9e3779b97f4a7c15ull >> 20) & blob->moved_mask;
	while (blob->moved[at][0] && blob->moved[at][0] != key)
		at = (at + 1) & blob->moved_mask;
	return blob->moved[at];
}

static struct rg_value write_value(struct blob *blob, struct rg_value v);

static struct rg_container *header_at(struct blob *blob, uint64_t offset)
{
	return (struct rg_container *)(blob->bytes + offset);
}

static void write_index(struct blob *blob, uint64_t header, uint8_t type)
{
	struct rg_heap heap = {0};
	struct rg_container *container = header_at(blob, header);
	uint32_t slots = rg_container_slots(container->count);
	uint64_t index;

	if (type == RG_ARRAY || !slots)
		return;
	if (!reserve(blob, slots * sizeof(uint64_t), &index))
		return;
	container = header_at(blob, header);
	container->index = index;
	container->index_slots = slots;
	heap.space[RG_SPACE_IMAGE] = blob->bytes;
	heap.bytes[RG_SPACE_IMAGE] = blob->used;
	heap.work = UINT64_MAX;
	for (uint32_t i = 0; i < container->count; i++) {
		uint64_t item = container->items + (uint64_t)i * rg_container_item_bytes(type);
		struct rg_value key;

		memcpy(&key, blob->bytes + item, sizeof(key));
		rg_container_enter((uint64_t *)(blob->bytes + index), slots, rg_hash(&heap, key),
				   i);
	}
}

/* Inner values first, so that a container lies behind all that is in it. */
static uint64_t write_container(struct blob *blob, struct rg_value v)
{
	struct rg_heap *heap = &blob->unit->heap;
	uint32_t count = rg_count(heap, v), per_item = v.type == RG_OBJECT ? 2 : 1;
	struct rg_value *items = calloc((size_t)count * per_item + 1, sizeof(*items));
	struct rg_container *container;
	uint64_t header = 0, at = 0;

	if (!items) {
		rg_unit_no_memory(blob->unit);
		return 0;
	}
	for (uint32_t i = 0; i < count && !blob->unit->status; i++) {
		struct rg_pair pair = rg_pair_at(heap, v, i);

		if (v.type == RG_OBJECT) {
			items[2 * i] = write_value(blob, pair.key);
			items[2 * i + 1] = write_value(blob, pair.value);
		} else {
			items[i] = write_value(blob, pair.value);
		}
	}
	if (!blob->unit->status && reserve(blob, sizeof(*container), &header) &&
	    reserve(blob, (uint64_t)count * per_item * sizeof(*items), &at)) {
		memcpy(blob->bytes + at, items, (size_t)count * per_item * sizeof(*items));
		container = header_at(blob, header);
		*container = (struct rg_container){
			.count = count, .capacity = count, .items = at, .sorted = 1};
		write_index(blob, header, v.type);
	}
	free(items);
	return header;
}

static struct rg_value write_value(struct blob *blob, struct rg_value v)
{
	struct rg_heap *heap = &blob->unit->heap;
	uint64_t *entry, offset;

	if (blob->unit->status)
		return rg_null();
	if (v.type == RG_STRING || (v.type == RG_NUMBER && v.form == RG_NUMBER_TEXT)) {
		v.offset = write_text(blob, rg_text(heap, v), v.length);
		v.space = RG_SPACE_IMAGE;
		return v;
	}
	if (v.type < RG_ARRAY)
		return v;
	entry = moved_entry(blob, v.offset);
	if (!entry)
		return rg_null();
	if (!entry[0]) {
		uint64_t key = v.offset + 1;

		offset = write_container(blob, v);
		entry = moved_entry(blob, v.offset);
		if (!entry || blob->unit->status)
			return rg_null();
		entry[0] = key;
		entry[1] = offset;
		blob->moved_count++;
	}
	return (struct rg_value){.type = v.type, .space = RG_SPACE_IMAGE, .offset = entry[1]};
}

/* ---- the image ---- */

struct part {
	const void *items;
	uint64_t bytes;
	uint32_t count;
};

static uint64_t aligned(uint64_t bytes)
{
	return (bytes + RG_IMAGE_ALIGNMENT - 1) & ~(uint64_t)(RG_IMAGE_ALIGNMENT - 1);
}

static void fill_header(struct rg_unit *unit, struct rg_image_header *header)
{
	const struct rg_compile_options *options = unit->options;

	header->magic = RG_IMAGE_MAGIC;
	header->version = RG_IMAGE_VERSION;
	header->sequence = options->sequence;
	header->schema_fingerprint = options->fields ? options->fields->fingerprint : 0;
	header->budget = options->budget ? options->budget : RG_BUDGET_DEFAULT;
	header->default_verdict =
		(uint8_t)(options->default_verdict ? options->default_verdict : RG_VERDICT_REVIEW);
	header->failure_verdict =
		(uint8_t)(options->failure_verdict ? options->failure_verdict : RG_VERDICT_DENY);
	strncpy(header->bundle, options->bundle ? options->bundle : "", RG_IMAGE_LABEL_BYTES - 1);
	strncpy(header->revision, options->revision ? options->revision : "",
		RG_IMAGE_LABEL_BYTES - 1);
	header->reasons = rg_unit_constant(unit, unit->reasons);
}

static int assemble(struct rg_unit *unit, const struct part *parts,
		    const struct rg_image_header *filled, void **image, size_t *image_bytes)
{
	uint64_t offset = sizeof(struct rg_image_header);
	struct rg_image_header *header;
	uint8_t *bytes;

	for (int i = 0; i < RG_SECTION_COUNT; i++)
		offset = aligned(offset) + parts[i].bytes;
	*image_bytes = aligned(offset);
	bytes = aligned_alloc(RG_IMAGE_ALIGNMENT, *image_bytes);
	if (!bytes)
		return rg_unit_no_memory(unit);
	memset(bytes, 0, *image_bytes);
	header = (struct rg_image_header *)bytes;
	*header = *filled;
	header->image_bytes = *image_bytes;
	offset = sizeof(*header);
	for (int i = 0; i < RG_SECTION_COUNT; i++) {
		offset = aligned(offset);
		header->sections[i] = (struct rg_image_section){
			.offset = offset, .bytes = parts[i].bytes, .count = parts[i].count};
		if (parts[i].bytes)
			memcpy(bytes + offset, parts[i].items, parts[i].bytes);
		offset += parts[i].bytes;
	}
	header->crc32c = rg_image_checksum(bytes, *image_bytes);
	*image = bytes;
	return RG_OK;
}

static struct part part_of(const struct rg_vector *vector, size_t size)
{
	return (struct part){vector->items, vector->count * size, vector->count};
}

int rg_serialise(struct rg_unit *unit, void **image, size_t *image_bytes)
{
	struct blob blob = {.unit = unit};
	struct rg_image_header header = {0};
	struct part parts[RG_SECTION_COUNT];
	struct rg_value *constants = NULL;
	int status;

	fill_header(unit, &header);
	unit->heap.work = UINT64_MAX;
	constants = calloc(unit->constants.count + 1, sizeof(*constants));
	if (!constants)
		rg_unit_no_memory(unit);
	for (uint32_t i = 0; i < unit->constants.count && !unit->status; i++)
		constants[i] = write_value(
			&blob, RG_VECTOR_AT(unit->constants, struct rg_constant, i)->value);
	if (!unit->status && unit->heap.exhausted)
		rg_unit_fail(unit, RG_ELIMIT, "a constant of the policy is nested too deep");
	parts[RG_SECTION_HEAP] = (struct part){blob.bytes, blob.used, 0};
	parts[RG_SECTION_CONSTANTS] = (struct part){
		constants, unit->constants.count * sizeof(*constants), unit->constants.count};
	parts[RG_SECTION_CODE] = part_of(&unit->instructions, sizeof(struct rg_instruction));
	parts[RG_SECTION_OPERANDS] = part_of(&unit->operands, sizeof(uint32_t));
	parts[RG_SECTION_FUNCTIONS] =
		part_of(&unit->image_functions, sizeof(struct rg_image_function));
	parts[RG_SECTION_PLANS] = part_of(&unit->plans, sizeof(struct rg_image_plan));
	parts[RG_SECTION_BUILTINS] = part_of(&unit->builtins, sizeof(struct rg_image_builtin));
	parts[RG_SECTION_FIELDS] = part_of(&unit->fields, sizeof(struct rg_image_field));
	parts[RG_SECTION_FIELD_NAMES] =
		part_of(&unit->field_names, sizeof(struct rg_image_field_name));
	parts[RG_SECTION_NODES] = part_of(&unit->nodes, sizeof(struct rg_image_node));
	parts[RG_SECTION_BINDINGS] = part_of(&unit->bindings, sizeof(struct rg_image_binding));
	parts[RG_SECTION_PLACES] = part_of(&unit->places, sizeof(struct rg_image_place));
	parts[RG_SECTION_TYPED_PROGRAMS] =
		part_of(&unit->typed_programs, sizeof(struct rg_typed_program));
	parts[RG_SECTION_TYPED_CODE] =
		part_of(&unit->typed_code, sizeof(struct rg_typed_instruction));
	parts[RG_SECTION_TYPED_TABLES] =
		part_of(&unit->typed_tables, sizeof(struct rg_typed_table));
	parts[RG_SECTION_TYPED_CELLS] = part_of(&unit->typed_cells, sizeof(int64_t));
	parts[RG_SECTION_RULE_TABLES] = part_of(&unit->rule_tables, sizeof(struct rg_rule_line));
	status = unit->status ? unit->status : assemble(unit, parts, &header, image, image_bytes);
	free(constants);
	free(blob.bytes);
	free(blob.texts);
	free(blob.moved);
	return status;
}
