/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/yaml_json.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#define DEPTH_MAX 256

struct conversion {
	yaml_document_t *document;
	struct rg_json_writer *writer;
	uint64_t bytes_max;
	struct rg_error *err;
};

static int bad(const struct conversion *conversion, const yaml_node_t *node, int status,
	       const char *what)
{
	return rg_error_set(conversion->err, status, "line %zu column %zu: %s",
			    node->start_mark.line + 1, node->start_mark.column + 1, what);
}

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words; words++) {
		if (!strcmp(text, *words))
			return true;
	}
	return false;
}

static const char *skip_digits(const char *at)
{
	while (*at >= '0' && *at <= '9')
		at++;
	return at;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? written as a JSON number;
 * false: it is not one. */
static bool write_decimal(struct rg_json_writer *writer, const char *text, size_t bytes)
{
	const char *at = text + (*text == '-' || *text == '+'), *whole = at, *fraction, *exponent;
	size_t whole_bytes, fraction_bytes = 0, exponent_bytes = 0;
	struct rg_json_writer number;

	at = skip_digits(at);
	whole_bytes = (size_t)(at - whole);
	fraction = at;
	if (*at == '.') {
		fraction = at + 1;
		at = skip_digits(fraction);
		fraction_bytes = (size_t)(at - fraction);
	}
	if (!whole_bytes && !fraction_bytes)
		return false;
	exponent = at;
	if (*at == 'e' || *at == 'E') {
		const char *digits = at + 1 + (at[1] == '-' || at[1] == '+');

		at = skip_digits(digits);
		if (at == digits)
			return false;
		exponent_bytes = (size_t)(at - exponent);
	}
	if (at != text + bytes)
		return false;
	while (whole_bytes > 1 && *whole == '0') {
		whole++;
		whole_bytes--;
	}
	rg_json_writer_init(&number, false);
	number.failed = false;
	rg_json_write_raw(&number, "-", *text == '-' ? 1 : 0);
	number.comma = false;
	rg_json_write_raw(&number, whole_bytes ? whole : "0", whole_bytes ? whole_bytes : 1);
	if (fraction_bytes) {
		number.comma = false;
		rg_json_write_raw(&number, ".", 1);
		number.comma = false;
		rg_json_write_raw(&number, fraction, fraction_bytes);
	}
	number.comma = false;
	rg_json_write_raw(&number, exponent, exponent_bytes);
	if (number.failed)
		writer->failed = true;
	else
		rg_json_write_raw(writer, number.text, number.bytes);
	rg_json_writer_free(&number);
	return true;
}

/* 0o17 and 0x1f; false: it is not one, or has more than 64 bits. */
static bool write_prefixed(struct rg_json_writer *writer, const char *text)
{
	unsigned base = text[0] != '0' ? 0 : text[1] == 'o' ? 8 : text[1] == 'x' ? 16 : 0;
	uint64_t value = 0;

	if (!base || !text[2])
		return false;
	for (const char *at = text + 2; *at; at++) {
		unsigned digit = *at >= '0' && *at <= '9'   ? (unsigned)(*at - '0')
				 : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a') + 10
				 : *at >= 'A' && *at <= 'F' ? (unsigned)(*at - 'A') + 10
							    : 99;

		if (digit >= base || value > (UINT64_MAX - digit) / base)
			return false;
		value = value * base + digit;
	}
	rg_json_write_uint(writer, value);
	return true;
}

static int write_plain(const struct conversion *conversion, const yaml_node_t *node)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const trues[] = {"true", "True", "TRUE", NULL};
	static const char *const falses[] = {"false", "False", "FALSE", NULL};
	static const char *const not_json[] = {".inf",	".Inf",	 ".INF",  "+.inf", "+.Inf",
					       "+.INF", "-.inf", "-.Inf", "-.INF", ".nan",
					       ".NaN",	".NAN",	 NULL};
	const char *text = (const char *)node->data.scalar.value;
	size_t bytes = node->data.scalar.length;
	struct rg_json_writer *writer = conversion->writer;

	if (strlen(text) != bytes) {
		rg_json_write_string_n(writer, text, bytes);
		return RG_OK;
	}
	if (is_one_of(text, not_json))
		return bad(conversion, node, RG_EINVAL, "JSON has no infinity and no NaN");
	if (is_one_of(text, nulls))
		rg_json_write_null(writer);
	else if (is_one_of(text, trues) || is_one_of(text, falses))
		rg_json_write_bool(writer, is_one_of(text, trues));
	else if (!write_prefixed(writer, text) && !write_decimal(writer, text, bytes))
		rg_json_write_string_n(writer, text, bytes);
	return RG_OK;
}

static int write_scalar(const struct conversion *conversion, const yaml_node_t *node)
{
	static const char *const resolved[] = {YAML_NULL_TAG, YAML_BOOL_TAG, YAML_INT_TAG,
					       YAML_FLOAT_TAG, NULL};
	const char *tag = (const char *)node->tag;
	bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	/* libyaml gives every untagged scalar the string tag, so a plain `!!str 1` cannot be told
	 * from `1`: it is a number here. */
	if (is_one_of(tag, resolved))
		plain = true;
	else if (strcmp(tag, YAML_STR_TAG) && strcmp(tag, "!"))
		return bad(conversion, node, RG_EINVAL, "a tag that JSON has nothing for");
	else if (!strcmp(tag, "!"))
		plain = false;
	if (plain)
		return write_plain(conversion, node);
	rg_json_write_string_n(conversion->writer, (const char *)node->data.scalar.value,
			       node->data.scalar.length);
	return RG_OK;
}

static int write_node(const struct conversion *conversion, int number, unsigned depth)
{
	const yaml_node_t *node = yaml_document_get_node(conversion->document, number);
	struct rg_json_writer *writer = conversion->writer;
	int rc = RG_OK;

	if (depth > DEPTH_MAX)
		return bad(conversion, node, RG_ELIMIT, "nested more than 256 levels deep");
	if (writer->bytes > conversion->bytes_max)
		return bad(conversion, node, RG_ELIMIT,
			   "expands to more bytes than a file may have");
	if (node->type == YAML_SCALAR_NODE)
		return write_scalar(conversion, node);
	if (node->type == YAML_SEQUENCE_NODE) {
		rg_json_write_array_begin(writer);
		for (const yaml_node_item_t *item = node->data.sequence.items.start;
		     !rc && item < node->data.sequence.items.top; item++)
			rc = write_node(conversion, *item, depth + 1);
		rg_json_write_array_end(writer);
		return rc;
	}
	rg_json_write_object_begin(writer);
	for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	     !rc && pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = yaml_document_get_node(conversion->document, pair->key);

		if (key->type != YAML_SCALAR_NODE)
			return bad(conversion, key, RG_EINVAL, "a key must be a scalar");
		if (key->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		    key->data.scalar.length == 2 && !memcmp(key->data.scalar.value, "<<", 2))
			return bad(conversion, key, RG_EINVAL,
				   "merge keys (<<) are not YAML 1.2: write the keys out");
		rg_json_write_key_n(writer, (const char *)key->data.scalar.value,
				    key->data.scalar.length);
		rc = write_node(conversion, pair->value, depth + 1);
	}
	rg_json_write_object_end(writer);
	return rc;
}

static int parser_failed(const yaml_parser_t *parser, struct rg_error *err)
{
	if (parser->error == YAML_MEMORY_ERROR)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	return rg_error_set(err, RG_EINVAL, "line %zu column %zu: %s",
			    parser->problem_mark.line + 1, parser->problem_mark.column + 1,
			    parser->problem ? parser->problem : "malformed YAML");
}

int rg_yaml_to_json(const char *yaml, size_t bytes, uint64_t bytes_max,
		    struct rg_json_writer *writer, struct rg_error *err)
{
	struct conversion conversion = {NULL, writer, bytes_max, err};
	yaml_document_t document, second;
	yaml_parser_t parser;
	int rc;

	if (!yaml_parser_initialize(&parser))
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	yaml_parser_set_input_string(&parser, (const unsigned char *)yaml, bytes);
	if (!yaml_parser_load(&parser, &document)) {
		rc = parser_failed(&parser, err);
		yaml_parser_delete(&parser);
		return rc;
	}
	conversion.document = &document;
	if (!yaml_document_get_root_node(&document))
		rg_json_write_null(writer); /* an empty file */
	rc = yaml_document_get_root_node(&document) ? write_node(&conversion, 1, 0) : RG_OK;
	if (!rc && writer->failed)
		rc = rg_error_set(err, RG_ENOMEM, "out of memory");
	if (!rc && yaml_document_get_root_node(&document)) {
		if (!yaml_parser_load(&parser, &second)) {
			rc = parser_failed(&parser, err);
		} else {
			if (yaml_document_get_root_node(&second))
				rc = rg_error_set(err, RG_EINVAL,
						  "holds more than one YAML document");
			yaml_document_delete(&second);
		}
	}
	yaml_document_delete(&document);
	yaml_parser_delete(&parser);
	return rc;
}
