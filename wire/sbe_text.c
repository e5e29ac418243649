/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/sbe_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "wire/sbe.h"
#include "wire/sbe_json.h"

#define NUMBER_BYTES 80 /* the longest number that sbe_json prints, and then some */
#define EXPONENT_MIN (-18)

/* A piece of the prepared text. */
struct piece {
	uint32_t at, bytes;
};

/* A message, or an object inside one: "user". */
struct object {
	uint32_t parent;
	uint32_t depth;
	struct piece key; /* ,"user": */
};

struct step {
	const struct rg_field *field;
	uint32_t object;
	struct piece key;
};

struct message {
	uint32_t own; /* object */
	size_t bytes_max;
};

struct rg_sbe_text {
	const struct rg_field_table *table;
	char *text; /* what the pieces are pieces of */
	size_t bytes, capacity;
	struct step *steps;	  /* as the table's fields */
	struct object *objects;	  /* of each template: itself, then those inside */
	struct piece *names;	  /* as the table's names */
	struct message *messages; /* as the table's templates */
	uint32_t object_count;
	bool failed;
};

/* ---- preparing ---- */

static struct piece keep(struct rg_sbe_text *text, const char *bytes, size_t count)
{
	struct piece piece = {(uint32_t)text->bytes, (uint32_t)count};

	if (text->capacity - text->bytes < count) {
		size_t capacity = (text->bytes + count) * 2;
		char *grown = realloc(text->text, capacity);

		if (!grown) {
			text->failed = true;
			return piece;
		}
		text->text = grown;
		text->capacity = capacity;
	}
	memcpy(text->text + text->bytes, bytes, count);
	text->bytes += count;
	return piece;
}

/* ,"key": */
static struct piece keep_key(struct rg_sbe_text *text, const char *key, size_t bytes)
{
	struct rg_json_writer quoted;
	struct piece piece;

	rg_json_writer_init(&quoted, false);
	rg_json_write_string_n(&quoted, key, bytes);
	text->failed |= quoted.failed;
	piece = keep(text, ",", 1);
	if (!quoted.failed)
		keep(text, quoted.text, quoted.bytes);
	keep(text, ":", 1);
	piece.bytes = (uint32_t)(text->bytes - piece.at);
	rg_json_writer_free(&quoted);
	return piece;
}

static struct piece keep_string(struct rg_sbe_text *text, const char *string)
{
	struct rg_json_writer quoted;
	struct piece piece = {0};

	rg_json_writer_init(&quoted, false);
	rg_json_write_string(&quoted, string);
	text->failed |= quoted.failed;
	if (!quoted.failed)
		piece = keep(text, quoted.text, quoted.bytes);
	rg_json_writer_free(&quoted);
	return piece;
}

static bool same_piece(const struct rg_sbe_text *text, struct piece a, struct piece b)
{
	return a.bytes == b.bytes && !memcmp(text->text + a.at, text->text + b.at, a.bytes);
}

/* The object of that name in parent, from those after the template's own; made if need be. */
static uint32_t find_object(struct rg_sbe_text *text, uint32_t own, uint32_t parent,
			    const char *name, size_t bytes)
{
	struct piece key = keep_key(text, name, bytes);

	for (uint32_t i = own + 1; !text->failed && i < text->object_count; i++)
		if (text->objects[i].parent == parent &&
		    same_piece(text, text->objects[i].key, key))
			return i;
	text->objects[text->object_count] =
		(struct object){parent, text->objects[parent].depth + 1, key};
	return text->object_count++;
}

/* The most bytes that a value takes. */
static size_t value_bytes_max(const struct rg_sbe_text *text, const struct rg_field *field)
{
	size_t bytes = NUMBER_BYTES;

	if (field->kind == RG_FIELD_CHARS)
		return 6u * field->length + 2u; /* each byte as \u00xx */
	for (uint32_t i = 0; i < field->names_count; i++)
		bytes += text->names[field->names_first + i].bytes + 1u;
	return bytes;
}

/* Returns the most bytes that the field takes, with its key and the objects it may open. */
static size_t prepare_step(struct rg_sbe_text *text, uint32_t own, struct step *step)
{
	const char *path = step->field->path;
	size_t bytes;

	step->object = own;
	for (const char *dot = strchr(path, '.'); dot; dot = strchr(path, '.')) {
		step->object = find_object(text, own, step->object, path, (size_t)(dot - path));
		path = dot + 1;
	}
	step->key = keep_key(text, path, strlen(path));
	bytes = step->key.bytes + value_bytes_max(text, step->field);
	for (uint32_t i = step->object; i != own; i = text->objects[i].parent)
		bytes += text->objects[i].key.bytes + 2u;
	return bytes;
}

static void prepare(struct rg_sbe_text *text)
{
	const struct rg_field_table *table = text->table;

	for (uint32_t i = 0; i < table->name_count; i++)
		text->names[i] = keep_string(text, table->names[i].name);
	for (uint32_t i = 0; i < table->template_count; i++) {
		const struct rg_template *template = &table->templates[i];
		uint32_t own = text->object_count++;

		text->objects[own] = (struct object){.parent = own};
		text->messages[i] = (struct message){own, 2};
		for (uint32_t j = 0; !text->failed && j < template->fields_count; j++) {
			struct step *step = &text->steps[template->fields_first + j];

			step->field = &table->fields[template->fields_first + j];
			text->messages[i].bytes_max += prepare_step(text, own, step);
		}
	}
}

int rg_sbe_text_new(const struct rg_schema *schema, struct rg_sbe_text **out, struct rg_error *err)
{
	const struct rg_field_table *table = rg_schema_fields(schema);
	struct rg_sbe_text *text = calloc(1, sizeof(*text));

	if (text) {
		text->table = table;
		text->steps = calloc(table->field_count + 1u, sizeof(*text->steps));
		/* at most one for each dot of a path, and one for each template */
		text->objects = calloc((size_t)table->field_count * RG_SCHEMA_DEPTH_MAX +
					       table->template_count,
				       sizeof(*text->objects));
		text->names = calloc(table->name_count + 1u, sizeof(*text->names));
		text->messages = calloc(table->template_count + 1u, sizeof(*text->messages));
	}
	if (text && text->steps && text->objects && text->names && text->messages)
		prepare(text);
	if (!text || !text->steps || !text->objects || !text->names || !text->messages ||
	    text->failed) {
		rg_sbe_text_free(text);
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	}
	*out = text;
	return RG_OK;
}

void rg_sbe_text_free(struct rg_sbe_text *text)
{
	if (!text)
		return;
	free(text->text);
	free(text->steps);
	free(text->objects);
	free(text->names);
	free(text->messages);
	free(text);
}

size_t rg_sbe_text_bytes_max(const struct rg_sbe_text *text, const struct rg_template *template)
{
	return text->messages[template - text->table->templates].bytes_max;
}

/* ---- writing ---- */

static char *put(char *out, const struct rg_sbe_text *text, struct piece piece)
{
	memcpy(out, text->text + piece.at, piece.bytes);
	return out + piece.bytes;
}

/* A key with its comma, which falls away at an object's beginning. */
static char *put_key(char *out, const struct rg_sbe_text *text, struct piece key)
{
	if (out[-1] == '{') {
		key.at++;
		key.bytes--;
	}
	return put(out, text, key);
}

/* Open the objects from `from` (which is open) down to `to`. */
static char *open_to(char *out, const struct rg_sbe_text *text, uint32_t from, uint32_t to)
{
	if (from == to)
		return out;
	out = open_to(out, text, from, text->objects[to].parent);
	out = put_key(out, text, text->objects[to].key);
	*out++ = '{';
	return out;
}

static char *move_to(char *out, const struct rg_sbe_text *text, uint32_t from, uint32_t to)
{
	uint32_t common = to;

	while (text->objects[common].depth > text->objects[from].depth)
		common = text->objects[common].parent;
	for (; from != common; from = text->objects[from].parent) {
		*out++ = '}';
		if (text->objects[common].depth == text->objects[from].depth)
			common = text->objects[common].parent;
	}
	return open_to(out, text, common, to);
}

static char *put_digits(char *out, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + value % 10);
	while (value /= 10);
	memcpy(out, digits + at, sizeof(digits) - at);
	return out + (sizeof(digits) - at);
}

/* magnitude x 10^exponent, EXPONENT_MIN <= exponent <= 0, without zeros at the end. */
static char *put_decimal(char *out, bool negative, uint64_t magnitude, int exponent)
{
	uint64_t scale = 1, whole, fraction;

	for (; exponent < 0 && magnitude % 10 == 0 && magnitude; exponent++)
		magnitude /= 10;
	if (!magnitude) {
		*out++ = '0';
		return out;
	}
	for (int i = exponent; i < 0; i++)
		scale *= 10;
	whole = magnitude / scale;
	fraction = magnitude % scale;
	if (negative)
		*out++ = '-';
	out = put_digits(out, whole);
	if (exponent == 0)
		return out;
	*out++ = '.';
	for (int i = -exponent - 1; i >= 0; i--) {
		out[i] = (char)('0' + fraction % 10);
		fraction /= 10;
	}
	return out - exponent;
}

/* What needs neither escapes nor a check of its UTF-8. */
static bool is_plain(const uint8_t *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (at[i] < 0x20 || at[i] > 0x7e || at[i] == '"' || at[i] == '\\')
			return false;
	return true;
}

/* As sbe_json writes it. NULL: out of memory. */
static char *put_slowly(char *out, const struct rg_sbe_text *text, const struct rg_field *field,
			const uint8_t *block)
{
	struct rg_json_writer writer;

	rg_json_writer_init(&writer, false);
	rg_sbe_write_value(&writer, text->table, field, block);
	if (writer.failed)
		out = NULL;
	else
		out = (char *)memcpy(out, writer.text, writer.bytes) + writer.bytes;
	rg_json_writer_free(&writer);
	return out;
}

static char *put_name(char *out, const struct rg_sbe_text *text, const struct rg_field *field,
		      uint64_t raw)
{
	const struct rg_field_name *names = &text->table->names[field->names_first];
	uint32_t i = 0;

	while (names[i].value != raw) /* is_null() has seen that there is one */
		i++;
	if (field->kind == RG_FIELD_BOOL) {
		size_t bytes = raw ? 4 : 5;

		memcpy(out, raw ? "true" : "false", bytes);
		return out + bytes;
	}
	return put(out, text, text->names[field->names_first + i]);
}

static bool has_name(const struct rg_sbe_text *text, const struct rg_field *field, uint64_t raw)
{
	for (uint32_t i = 0; i < field->names_count; i++)
		if (text->table->names[field->names_first + i].value == raw)
			return true;
	return false;
}

/* Whether sbe_json writes null. */
static bool is_null(const struct rg_sbe_text *text, const struct rg_field *field, uint64_t raw,
		    const uint8_t *block)
{
	switch ((enum rg_field_kind)field->kind) {
	case RG_FIELD_CHARS: return field->optional && !block[field->offset];
	case RG_FIELD_FLOAT: /* NaN and infinities: all ones in the exponent */
		return field->bytes == 4 ? (raw >> 23 & 0xff) == 0xff
					 : (raw >> 52 & 0x7ff) == 0x7ff;
	case RG_FIELD_ENUM:
	case RG_FIELD_BOOL:
		return (field->optional && raw == field->null_value) || !has_name(text, field, raw);
	default: return field->optional && raw == field->null_value;
	}
}

static char *put_value(char *out, const struct rg_sbe_text *text, const struct rg_field *field,
		       uint64_t raw, const uint8_t *block)
{
	int exponent = field->kind == RG_FIELD_DECIMAL ? field->exponent : 0;
	int64_t value;

	switch ((enum rg_field_kind)field->kind) {
	case RG_FIELD_CHARS: {
		const uint8_t *at = block + field->offset;
		size_t bytes = strnlen((const char *)at, field->length);

		if (!is_plain(at, bytes))
			break;
		*out++ = '"';
		memcpy(out, at, bytes);
		out += bytes;
		*out++ = '"';
		return out;
	}
	case RG_FIELD_ENUM:
	case RG_FIELD_BOOL: return put_name(out, text, field, raw);
	case RG_FIELD_INT:
	case RG_FIELD_DECIMAL:
		if (exponent > 0 || exponent < EXPONENT_MIN)
			break;
		value = rg_field_extend(raw, field->bytes, field->is_signed);
		if (field->is_signed && value < 0)
			return put_decimal(out, true, 0 - (uint64_t)value, exponent);
		return put_decimal(out, false, (uint64_t)value, exponent);
	default: break;
	}
	return put_slowly(out, text, field, block);
}

size_t rg_sbe_text_write(const struct rg_sbe_text *text, const struct rg_template *template,
			 uint16_t schema_version, const uint8_t *block, uint32_t block_bytes,
			 char *start)
{
	const struct rg_sbe_message sbe = {
		.header = {.version = schema_version}, .block = block, .block_bytes = block_bytes};
	uint32_t visible = rg_sbe_visible_bytes(text->table, template, &sbe);
	const struct step *step = &text->steps[template->fields_first];
	uint32_t own = text->messages[template - text->table->templates].own, open = own;
	char *out = start;

	*out++ = '{';
	for (uint32_t i = 0; i < template->fields_count; i++, step++) {
		const struct rg_field *field = step->field;
		uint64_t raw = field->null_value;

		if (rg_field_extent(field) > visible)
			continue;
		if (!field->constant && field->kind != RG_FIELD_CHARS)
			raw = rg_field_load_raw(block + field->offset, field->bytes);
		if (is_null(text, field, raw, block))
			continue;
		out = move_to(out, text, open, step->object);
		open = step->object;
		out = put_key(out, text, step->key);
		out = put_value(out, text, field, raw, block);
		if (!out)
			return 0;
	}
	out = move_to(out, text, open, own);
	*out++ = '}';
	return (size_t)(out - start);
}
