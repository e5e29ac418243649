/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loadgen/mapping.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "tools/loadgen/encode.h"

#define MAPPING_FILE_BYTES_MAX (16u << 20)
#define SCALE_MAX	       18

/* A value as encode.h reads it, or none. */
struct text_value {
	char *text;
	size_t bytes;
	bool present;
};

struct lookup_entry {
	char *key;
	size_t key_bytes;
	struct text_value value;
};

enum conversion {
	CONVERT_NONE,
	CONVERT_LOOKUP,
	CONVERT_TOKEN,
	CONVERT_SCALE,
	CONVERT_DATE_NUMBER,
	CONVERT_DAY_MINUTE
};

/* One field and where its value comes from. */
struct source {
	const struct rg_field *field;
	uint32_t line, column; /* in the mapping file */
	char *csv_column;      /* NULL: constant */
	int csv_index;
	enum conversion conversion;
	uint32_t scale;
	struct text_value constant, fallback; /* fallback: `default` of a lookup */
	bool has_constant, has_fallback;
	struct lookup_entry *lookup;
	uint32_t lookup_count;
};

struct rg_mapping {
	char *name;
	const struct rg_schema *schema;
	const struct rg_field_table *table;
	const struct rg_template *template;
	char *template_name, *label;
	struct source *sources;
	uint32_t source_count;
};

/* Reading of the file: where we are, for errors. */
struct parse {
	struct rg_mapping *mapping;
	struct rg_json_reader reader;
	const char *fields_at; /* the `fields` object: read when the template is known */
	struct rg_error *err;
};

static int refuse(struct parse *parse, const char *what)
{
	uint32_t line, column;

	rg_json_place(&parse->reader, &line, &column);
	return rg_error_set(parse->err, RG_EINVAL, "%s:%u:%u: %s", parse->mapping->name, line,
			    column, what);
}

static int out_of_memory(struct parse *parse)
{
	return rg_error_set(parse->err, RG_ENOMEM, "%s: no memory", parse->mapping->name);
}

/* The reader's own error, with the file's name. */
static int syntax_error(struct parse *parse)
{
	return rg_error_set(parse->err, RG_EINVAL, "%s: %s", parse->mapping->name,
			    parse->reader.error.text);
}

/* The last KEY or STRING as a new C string. */
static char *copy_string(struct parse *parse, size_t *bytes)
{
	char *text = malloc(parse->reader.text_bytes * 3 + 1);
	size_t length;

	if (!text)
		return NULL;
	length = rg_json_decode(&parse->reader, text);
	text[length] = 0;
	if (bytes)
		*bytes = length;
	return text;
}

static int read_string(struct parse *parse, char **out, const char *what)
{
	enum rg_json_token token = rg_json_next(&parse->reader);

	if (token == RG_JSON_ERROR)
		return syntax_error(parse);
	if (token != RG_JSON_STRING)
		return refuse(parse, what);
	free(*out);
	*out = copy_string(parse, NULL);
	return *out ? RG_OK : out_of_memory(parse);
}

static int set_text(struct parse *parse, struct text_value *value, const char *text, size_t bytes)
{
	value->text = malloc(bytes + 1);
	if (!value->text)
		return out_of_memory(parse);
	memcpy(value->text, text, bytes);
	value->text[bytes] = 0;
	value->bytes = bytes;
	value->present = true;
	return RG_OK;
}

/* An array of names becomes "a|b", as a set is written in text. */
static int read_name_array(struct parse *parse, struct text_value *value)
{
	char *joined = calloc(1, 1);
	size_t used = 0;
	enum rg_json_token token;

	while (joined && (token = rg_json_next(&parse->reader)) == RG_JSON_STRING) {
		char *grown = realloc(joined, used + parse->reader.text_bytes * 3 + 2);

		if (!grown)
			break;
		joined = grown;
		if (used)
			joined[used++] = '|';
		used += rg_json_decode(&parse->reader, joined + used);
		joined[used] = 0;
	}
	if (!joined)
		return out_of_memory(parse);
	value->text = joined;
	value->bytes = used;
	value->present = true;
	if (token == RG_JSON_ERROR)
		return syntax_error(parse);
	if (token == RG_JSON_STRING)
		return out_of_memory(parse);
	return token == RG_JSON_ARRAY_END ? RG_OK : refuse(parse, "an array must hold names only");
}

/* Any JSON value a field can have, as text. */
static int read_value(struct parse *parse, struct text_value *value)
{
	enum rg_json_token token = rg_json_next(&parse->reader);

	free(value->text);
	memset(value, 0, sizeof(*value));
	switch (token) {
	case RG_JSON_NULL: return RG_OK;
	case RG_JSON_TRUE: return set_text(parse, value, "true", 4);
	case RG_JSON_FALSE: return set_text(parse, value, "false", 5);
	case RG_JSON_NUMBER:
		return set_text(parse, value, parse->reader.text, parse->reader.text_bytes);
	case RG_JSON_STRING:
		value->text = copy_string(parse, &value->bytes);
		value->present = true;
		return value->text ? RG_OK : out_of_memory(parse);
	case RG_JSON_ARRAY_BEGIN: return read_name_array(parse, value);
	case RG_JSON_ERROR: return syntax_error(parse);
	default:
		return refuse(parse,
			      "an object cannot be a field's value: name its members as \"a.b\"");
	}
}

/* A value known beforehand must fit its field: try it on a block of its own. */
static int check_value(struct parse *parse, const struct source *source,
		       const struct text_value *value)
{
	uint8_t *block;
	struct rg_error why;
	int status;

	if (!value->present)
		return RG_OK;
	block = calloc(1, RG_SCHEMA_BLOCK_BYTES_MAX);
	if (!block)
		return out_of_memory(parse);
	status = rg_encode_text(parse->mapping->table, source->field, value->text, value->bytes,
				block, &why);
	free(block);
	return status == RG_OK ? RG_OK : refuse(parse, why.text);
}

static int compare_entries(const void *a, const void *b)
{
	const struct lookup_entry *left = a, *right = b;
	size_t bytes = left->key_bytes < right->key_bytes ? left->key_bytes : right->key_bytes;
	int order = memcmp(left->key, right->key, bytes);

	return order ? order
		     : (left->key_bytes > right->key_bytes) - (left->key_bytes < right->key_bytes);
}

static int read_lookup(struct parse *parse, struct source *source)
{
	enum rg_json_token token = rg_json_next(&parse->reader);

	if (token != RG_JSON_OBJECT_BEGIN)
		return token == RG_JSON_ERROR
			       ? syntax_error(parse)
			       : refuse(parse, "lookup must be an object from text to value");
	while ((token = rg_json_next(&parse->reader)) == RG_JSON_KEY) {
		struct lookup_entry *grown = realloc(
			source->lookup, (source->lookup_count + 1) * sizeof(*source->lookup));
		struct lookup_entry *entry;
		int status;

		if (!grown)
			return out_of_memory(parse);
		source->lookup = grown;
		entry = &source->lookup[source->lookup_count];
		memset(entry, 0, sizeof(*entry));
		entry->key = copy_string(parse, &entry->key_bytes);
		if (!entry->key)
			return out_of_memory(parse);
		source->lookup_count++;
		status = read_value(parse, &entry->value);
		if (status == RG_OK)
			status = check_value(parse, source, &entry->value);
		if (status != RG_OK)
			return status;
	}
	if (token != RG_JSON_OBJECT_END)
		return syntax_error(parse);
	qsort(source->lookup, source->lookup_count, sizeof(*source->lookup), compare_entries);
	for (uint32_t i = 1; i < source->lookup_count; i++)
		if (compare_entries(&source->lookup[i - 1], &source->lookup[i]) == 0)
			return refuse(parse, "lookup names a text twice");
	return RG_OK;
}

static int read_true(struct parse *parse, bool *value)
{
	enum rg_json_token token = rg_json_next(&parse->reader);

	if (token == RG_JSON_ERROR)
		return syntax_error(parse);
	if (token != RG_JSON_TRUE && token != RG_JSON_FALSE)
		return refuse(parse, "must be true or false");
	*value = token == RG_JSON_TRUE;
	return RG_OK;
}

static int read_scale(struct parse *parse, struct source *source)
{
	enum rg_json_token token = rg_json_next(&parse->reader);
	int64_t scale;

	if (token == RG_JSON_ERROR)
		return syntax_error(parse);
	if (token != RG_JSON_NUMBER ||
	    !rg_json_int64(parse->reader.text, parse->reader.text_bytes, &scale) || scale < 0 ||
	    scale > SCALE_MAX)
		return refuse(parse, "scale must be a whole number from 0 to 18: the power of ten");
	source->scale = (uint32_t)scale;
	return RG_OK;
}

/* One key of a field's object. conversions counts those that exclude each other. */
static int read_source_key(struct parse *parse, struct source *source, uint32_t *conversions)
{
	struct rg_json_reader *reader = &parse->reader;
	bool yes = true;
	enum conversion conversion;
	int status;

	if (rg_json_equals(reader, "column"))
		return read_string(parse, &source->csv_column,
				   "column must be the name of a CSV column");
	if (rg_json_equals(reader, "constant")) {
		source->has_constant = true;
		status = read_value(parse, &source->constant);
		return status == RG_OK ? check_value(parse, source, &source->constant) : status;
	}
	if (rg_json_equals(reader, "default")) {
		source->has_fallback = true;
		status = read_value(parse, &source->fallback);
		return status == RG_OK ? check_value(parse, source, &source->fallback) : status;
	}
	if (rg_json_equals(reader, "lookup")) {
		conversion = CONVERT_LOOKUP;
		status = read_lookup(parse, source);
	} else if (rg_json_equals(reader, "scale")) {
		conversion = CONVERT_SCALE;
		status = read_scale(parse, source);
	} else if (rg_json_equals(reader, "token")) {
		conversion = CONVERT_TOKEN;
		status = read_true(parse, &yes);
	} else if (rg_json_equals(reader, "date_number")) {
		conversion = CONVERT_DATE_NUMBER;
		status = read_true(parse, &yes);
	} else if (rg_json_equals(reader, "day_minute")) {
		conversion = CONVERT_DAY_MINUTE;
		status = read_true(parse, &yes);
	} else {
		return refuse(parse, "unknown key: a field has column, constant, lookup, default, "
				     "token, scale, date_number, day_minute");
	}
	if (yes) {
		source->conversion = conversion;
		++*conversions;
	}
	return status;
}

static int read_source(struct parse *parse, struct source *source)
{
	uint32_t conversions = 0;
	enum rg_json_token token = rg_json_next(&parse->reader);

	if (token != RG_JSON_OBJECT_BEGIN)
		return token == RG_JSON_ERROR ? syntax_error(parse)
					      : refuse(parse, "a field's source must be an object: "
							      "{\"column\": \"...\"}");
	while ((token = rg_json_next(&parse->reader)) == RG_JSON_KEY) {
		int status = read_source_key(parse, source, &conversions);

		if (status != RG_OK)
			return status;
	}
	if (token != RG_JSON_OBJECT_END)
		return syntax_error(parse);
	if ((source->csv_column != NULL) == source->has_constant)
		return refuse(parse, "a field needs exactly one of column and constant");
	if (conversions > 1)
		return refuse(parse,
			      "at most one of lookup, token, scale, date_number and day_minute");
	if (conversions && source->has_constant)
		return refuse(parse, "a constant is taken as it is: remove its conversion");
	if (source->has_constant && !source->constant.present && !source->field->optional)
		return refuse(parse, "this field is required: its constant cannot be null");
	if (source->has_fallback && source->conversion != CONVERT_LOOKUP)
		return refuse(parse, "default belongs to a lookup");
	if (source->csv_column && parse->mapping->label &&
	    strcmp(source->csv_column, parse->mapping->label) == 0)
		return refuse(parse, "this column is the label: a request must not know it");
	return RG_OK;
}

/* The key of a field: it must exist, once, and not be the request id. */
static int read_field_name(struct parse *parse, const struct rg_field **field)
{
	struct rg_mapping *mapping = parse->mapping;
	char *path = copy_string(parse, NULL);
	int status = RG_OK;

	if (!path)
		return out_of_memory(parse);
	*field = rg_schema_field(mapping->schema, mapping->template, path);
	if (!*field) {
		char text[RG_ERROR_TEXT_BYTES / 2];

		snprintf(text, sizeof(text), "template %s has no field '%.200s'",
			 mapping->template->name, path);
		status = refuse(parse, text);
	} else if (*field == &mapping->table->fields[mapping->template->fields_first]) {
		status = refuse(parse, "request_id is given by the sender: do not map it");
	} else if ((*field)->constant) {
		status = refuse(parse, "this field is a constant of the schema: do not map it");
	}
	for (uint32_t i = 0; status == RG_OK && i < mapping->source_count; i++)
		if (mapping->sources[i].field == *field)
			status = refuse(parse, "this field is mapped twice");
	free(path);
	return status;
}

static int read_fields(struct parse *parse)
{
	struct rg_mapping *mapping = parse->mapping;
	enum rg_json_token token = rg_json_next(&parse->reader);

	if (token != RG_JSON_OBJECT_BEGIN)
		return token == RG_JSON_ERROR ? syntax_error(parse)
					      : refuse(parse, "fields must be an object");
	while ((token = rg_json_next(&parse->reader)) == RG_JSON_KEY) {
		const struct rg_field *field;
		struct source *source, *grown;
		int status = read_field_name(parse, &field);

		if (status != RG_OK)
			return status;
		grown = realloc(mapping->sources, (mapping->source_count + 1) * sizeof(*grown));
		if (!grown)
			return out_of_memory(parse);
		mapping->sources = grown;
		source = &mapping->sources[mapping->source_count++];
		memset(source, 0, sizeof(*source));
		source->field = field;
		source->csv_index = -1;
		rg_json_place(&parse->reader, &source->line, &source->column);
		status = read_source(parse, source);
		if (status != RG_OK)
			return status;
	}
	return token == RG_JSON_OBJECT_END ? RG_OK : syntax_error(parse);
}

/* Every required field must come from somewhere. */
static int check_required(struct parse *parse)
{
	const struct rg_mapping *mapping = parse->mapping;

	for (uint32_t i = 1; i < mapping->template->fields_count; i++) {
		const struct rg_field *field =
			&mapping->table->fields[mapping->template->fields_first + i];
		bool named = field->optional || field->constant || field->kind == RG_FIELD_SET;

		for (uint32_t k = 0; !named && k < mapping->source_count; k++)
			named = mapping->sources[k].field == field;
		if (!named)
			return rg_error_set(parse->err, RG_EINVAL,
					    "%s: required field %s of %s is not mapped: give it a "
					    "column or a constant",
					    mapping->name, field->path, mapping->template->name);
	}
	return RG_OK;
}

/*
 * The top object. Its keys may come in any order, but fields can only be read when template and
 * label are known: the first pass reads those two and skips `fields`, the second reads `fields`.
 */
static int read_top(struct parse *parse, const char *text, size_t bytes, bool second_pass)
{
	struct rg_mapping *mapping = parse->mapping;
	enum rg_json_token token;
	bool seen_fields = false;

	rg_json_reader_init(&parse->reader, text, bytes);
	token = rg_json_next(&parse->reader);
	if (token != RG_JSON_OBJECT_BEGIN)
		return token == RG_JSON_ERROR
			       ? syntax_error(parse)
			       : refuse(parse, "a mapping is an object with template and fields");
	while ((token = rg_json_next(&parse->reader)) == RG_JSON_KEY) {
		int status = RG_OK;

		if (rg_json_equals(&parse->reader, "fields") && second_pass) {
			status = read_fields(parse);
		} else if (rg_json_equals(&parse->reader, "template") && !second_pass) {
			status = read_string(parse, &mapping->template_name,
					     "template must be the name of a template");
		} else if (rg_json_equals(&parse->reader, "label") && !second_pass) {
			status = read_string(parse, &mapping->label,
					     "label must be the name of a CSV column");
		} else if (rg_json_equals(&parse->reader, "fields") || second_pass) {
			seen_fields |= !second_pass;
			token = rg_json_next(&parse->reader);
			if (token == RG_JSON_ERROR || rg_json_skip(&parse->reader) != RG_OK)
				status = syntax_error(parse);
		} else {
			status = refuse(parse,
					"unknown key: a mapping has template, label and fields");
		}
		if (status != RG_OK)
			return status;
	}
	if (token != RG_JSON_OBJECT_END || rg_json_next(&parse->reader) != RG_JSON_END)
		return syntax_error(parse);
	if (second_pass)
		return check_required(parse);
	if (!mapping->template_name || !seen_fields)
		return rg_error_set(parse->err, RG_EINVAL,
				    "%s: a mapping needs template and fields", mapping->name);
	mapping->template = rg_schema_template_by_name(mapping->schema, mapping->template_name);
	if (!mapping->template || !rg_schema_is_request(mapping->template))
		return rg_error_set(parse->err, RG_EINVAL,
				    "%s: the schema has no request template '%s'", mapping->name,
				    mapping->template_name);
	return RG_OK;
}

int rg_mapping_parse(const char *text, size_t bytes, const char *name,
		     const struct rg_schema *schema, struct rg_mapping **out, struct rg_error *err)
{
	struct parse *parse = calloc(1, sizeof(*parse));
	struct rg_mapping *mapping = calloc(1, sizeof(*mapping));
	int status = RG_ENOMEM;

	if (!parse || !mapping || !(mapping->name = strdup(name))) {
		rg_error_set(err, RG_ENOMEM, "%s: no memory", name);
	} else {
		mapping->schema = schema;
		mapping->table = rg_schema_fields(schema);
		parse->mapping = mapping;
		parse->err = err;
		status = read_top(parse, text, bytes, false);
		if (status == RG_OK)
			status = read_top(parse, text, bytes, true);
	}
	free(parse);
	if (status != RG_OK) {
		rg_mapping_free(mapping);
		return status;
	}
	*out = mapping;
	return RG_OK;
}

int rg_mapping_load(const char *path, const struct rg_schema *schema, struct rg_mapping **mapping,
		    struct rg_error *err)
{
	FILE *file = fopen(path, "rb");
	char *text = malloc(MAPPING_FILE_BYTES_MAX);
	size_t bytes = 0;
	int status = RG_OK;

	if (!file)
		status = rg_error_set_errno(err, errno == ENOENT ? RG_ENOENT : RG_EIO, errno,
					    "%s: cannot open", path);
	else if (!text)
		status = rg_error_set(err, RG_ENOMEM, "%s: no memory", path);
	else if ((bytes = fread(text, 1, MAPPING_FILE_BYTES_MAX, file)) == MAPPING_FILE_BYTES_MAX)
		status = rg_error_set(err, RG_ELIMIT, "%s: 16 MiB or more: this is no mapping",
				      path);
	else if (ferror(file))
		status = rg_error_set_errno(err, RG_EIO, errno, "%s: cannot read", path);
	else
		status = rg_mapping_parse(text, bytes, path, schema, mapping, err);
	free(text);
	if (file)
		fclose(file);
	return status;
}

void rg_mapping_free(struct rg_mapping *mapping)
{
	if (!mapping)
		return;
	for (uint32_t i = 0; i < mapping->source_count; i++) {
		struct source *source = &mapping->sources[i];

		for (uint32_t k = 0; k < source->lookup_count; k++) {
			free(source->lookup[k].key);
			free(source->lookup[k].value.text);
		}
		free(source->lookup);
		free(source->csv_column);
		free(source->constant.text);
		free(source->fallback.text);
	}
	free(mapping->sources);
	free(mapping->template_name);
	free(mapping->label);
	free(mapping->name);
	free(mapping);
}

const struct rg_template *rg_mapping_template(const struct rg_mapping *mapping)
{
	return mapping->template;
}

int rg_mapping_bind(struct rg_mapping *mapping, const struct rg_csv *csv, struct rg_error *err)
{
	for (uint32_t i = 0; i < mapping->source_count; i++) {
		struct source *source = &mapping->sources[i];
		char columns[512];
		size_t used = 0;

		if (!source->csv_column)
			continue;
		source->csv_index = rg_csv_find_column(csv, source->csv_column);
		if (source->csv_index >= 0)
			continue;
		for (uint32_t k = 0; k < rg_csv_column_count(csv) && used < sizeof(columns); k++)
			used += (size_t)snprintf(columns + used, sizeof(columns) - used, "%s%s",
						 k ? ", " : "", rg_csv_column_name(csv, k));
		return rg_error_set(
			err, RG_EINVAL, "%s:%u:%u: field %s: %s has no column '%s': it has %s",
			mapping->name, source->line, source->column, source->field->path,
			rg_csv_path(csv), source->csv_column, columns);
	}
	return RG_OK;
}

/* 64-bit FNV-1a, never 0. Source: Fowler, Noll, Vo; draft-eastlake-fnv. */
static uint64_t token_of(const char *text, size_t bytes)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3ull;
	return hash ? hash : 1;
}

/* Digits of a fixed width as a number; false if there is anything else. */
static bool fixed_digits(const char *text, size_t count, unsigned *value)
{
	*value = 0;
	for (size_t i = 0; i < count; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		*value = *value * 10 + (unsigned)(text[i] - '0');
	}
	return true;
}

/* "2024-02-29" as 20240229; false if there is no such day. */
static bool parse_date(const char *text, size_t bytes, unsigned *number)
{
	static const uint8_t month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	unsigned year, month, day;
	bool leap;

	if (bytes != 10 || text[4] != '-' || text[7] != '-' || !fixed_digits(text, 4, &year) ||
	    !fixed_digits(text + 5, 2, &month) || !fixed_digits(text + 8, 2, &day) || month < 1 ||
	    month > 12)
		return false;
	leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	if (day < 1 || day > month_days[month - 1] + (unsigned)(leap && month == 2))
		return false;
	*number = year * 10000 + month * 100 + day;
	return true;
}

static bool is_whole_number(const char *text, size_t bytes)
{
	size_t sign = bytes && (text[0] == '-' || text[0] == '+');

	return bytes > sign && strspn(text + sign, "0123456789") == bytes - sign;
}

static const struct text_value *look_up(const struct source *source,
					const struct rg_csv_value *value)
{
	struct lookup_entry wanted = {.key = (char *)value->text, .key_bytes = value->bytes};
	struct lookup_entry *found = bsearch(&wanted, source->lookup, source->lookup_count,
					     sizeof(wanted), compare_entries);

	return found ? &found->value : &source->fallback;
}

/* Turn a CSV value into what its field takes; text is room for a new one. */
static int convert(const struct source *source, const struct rg_csv_value *value, char *text,
		   size_t text_bytes, struct text_value *result, struct rg_error *err)
{
	const char *wanted = NULL;
	unsigned date;
	int64_t seconds;

	*result = (struct text_value){.text = text, .present = true};
	switch (source->conversion) {
	case CONVERT_LOOKUP: *result = *look_up(source, value); return RG_OK;
	case CONVERT_TOKEN:
		snprintf(text, text_bytes, "%llu",
			 (unsigned long long)token_of(value->text, value->bytes));
		break;
	case CONVERT_SCALE:
		if (value->bytes > 40 || !is_whole_number(value->text, value->bytes))
			wanted = "a whole number";
		else
			snprintf(text, text_bytes, "%se%u", value->text, source->scale);
		break;
	case CONVERT_DATE_NUMBER:
		if (!parse_date(value->text, value->bytes, &date))
			wanted = "a date YYYY-MM-DD";
		else
			snprintf(text, text_bytes, "%u", date);
		break;
	case CONVERT_DAY_MINUTE:
		if (!rg_json_int64(value->text, value->bytes, &seconds) || seconds < 0)
			wanted = "a time in seconds since 1970-01-01";
		else
			snprintf(text, text_bytes, "%lld", (long long)(seconds % 86400 / 60));
		break;
	case CONVERT_NONE:
		result->text = (char *)value->text;
		result->bytes = value->bytes;
		return RG_OK;
	}
	if (wanted)
		return rg_error_set(err, RG_EINVAL, "field %s: '%.80s' is not %s",
				    source->field->path, value->text, wanted);
	result->bytes = strlen(text);
	return RG_OK;
}

/* One field of one row. */
static int encode_source(const struct rg_mapping *mapping, const struct source *source,
			 const struct rg_csv_value *value, uint8_t *block, struct rg_error *err)
{
	struct text_value result = {0};
	char text[64];

	if (!source->csv_column) {
		result = source->constant;
	} else if (value->bytes) {
		int status = convert(source, value, text, sizeof(text), &result, err);

		if (status != RG_OK)
			return status;
	}
	if (!result.present)
		return rg_encode_null(source->field, block, err);
	return rg_encode_text(mapping->table, source->field, result.text, result.bytes, block, err);
}

int rg_mapping_encode(const struct rg_mapping *mapping, const struct rg_csv *csv,
		      const struct rg_csv_value *values, uint8_t *block, struct rg_error *err)
{
	for (uint32_t i = 0; i < mapping->source_count; i++) {
		const struct source *source = &mapping->sources[i];
		const struct rg_csv_value *value =
			source->csv_column ? &values[source->csv_index] : NULL;
		int status = encode_source(mapping, source, value, block, err);

		if (status == RG_OK)
			continue;
		if (!value)
			return rg_error_prefix(err, "%s:%u:%u", mapping->name, source->line,
					       source->column);
		return rg_error_prefix(err, "%s:%u:%u: column %s", rg_csv_path(csv), value->line,
				       value->column, source->csv_column);
	}
	return RG_OK;
}
