/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml.*, over libyaml, with the types and the style of the Go library that OPA uses
 * (sigs.k8s.io/yaml): YAML is made JSON, so keys become texts; yes and on are texts; 017 is octal.
 *
 * libyaml allocates with malloc: with regex.*, the exception to the rule that built-ins live in
 * SCRATCH. Source: OPA v1/topdown/encoding.go; go-yaml resolve.go, decode.go, encode.go, sorter.go.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "policy/builtin/family.h"
#include "policy/builtin/time_layout.h"

/* ---- what a plain scalar means ---- */

enum meaning { TEXT, NULL_VALUE, BOOLEAN, NUMBER, MERGE, NOT_A_NUMBER };

#define NUMBER_BYTES 128

static bool is_one_of(const char *text, size_t bytes, const char *words)
{
	size_t n;

	for (; *words; words += n + (words[n] != '\0')) {
		n = strcspn(words, " ");
		if (n == bytes && !memcmp(words, text, n))
			return true;
	}
	return false;
}

/* Go's ParseInt and ParseUint with base 0: prefixes 0x, 0o, 0b, and 0 for octal. */
static bool parse_integer(struct rg_heap *heap, const char *text, struct rg_value *out)
{
	bool negative = *text == '-';
	const char *digits = text + (*text == '-' || *text == '+');
	int base = 10;
	uint64_t value;
	char *end;

	if (digits[0] == '0' && digits[1]) {
		char kind = digits[1];

		base = kind == 'x' || kind == 'X'   ? 16
		       : kind == 'o' || kind == 'O' ? 8
		       : kind == 'b' || kind == 'B' ? 2
						    : 8;
		digits += base == 8 && kind != 'o' && kind != 'O' ? 1 : 2;
	}
	if (!strchr("0123456789abcdefABCDEF", *digits) || !*digits)
		return false;
	errno = 0;
	value = strtoull(digits, &end, base);
	if (*end || errno || (negative && value > (uint64_t)1 << 63) ||
	    (*text == '+' && value > INT64_MAX))
		return false;
	*out = negative ? rg_int((int64_t)(0 - value)) : rg_number_from_uint(heap, value);
	return true;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_float_text(const char *at)
{
	size_t whole, places;

	at += *at == '-' || *at == '+';
	whole = strspn(at, "0123456789");
	at += whole;
	if (*at == '.') {
		places = strspn(at + 1, "0123456789");
		if (!whole && !places)
			return false;
		at += 1 + places;
	} else if (!whole) {
		return false;
	}
	if (*at == 'e' || *at == 'E') {
		at++;
		at += *at == '-' || *at == '+';
		places = strspn(at, "0123456789");
		if (!places)
			return false;
		at += places;
	}
	return !*at;
}

/* A double as Go's encoding/json writes it. */
static struct rg_value double_value(struct rg_heap *heap, double d)
{
	char text[40], *e;
	int precision = 0, exponent;

	if (d == 0)
		return signbit(d) ? rg_number_from_text(heap, "-0", 2) : rg_int(0);
	if (fabs(d) >= 1e-6 && fabs(d) < 1e21)
		return rg_number_from_double(heap, d);
	for (; precision < 17; precision++) {
		snprintf(text, sizeof(text), "%.*e", precision, d);
		if (strtod(text, NULL) == d)
			break;
	}
	e = strchr(text, 'e');
	exponent = atoi(e + 1);
	snprintf(e, 8, "e%c%d", exponent < 0 ? '-' : '+', abs(exponent));
	return rg_number_from_text(heap, text, strlen(text));
}

static enum meaning resolve_number(struct rg_heap *heap, const char *text, size_t bytes,
				   struct rg_value *out)
{
	char plain[NUMBER_BYTES];
	size_t n = 0;
	double d;

	if (bytes >= sizeof(plain))
		return TEXT;
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] != '_')
			plain[n++] = text[i];
	}
	plain[n] = '\0';
	if (strlen(plain) != n)
		return TEXT;
	if (*plain != '.' && parse_integer(heap, plain, out))
		return NUMBER;
	if (!is_float_text(plain))
		return TEXT;
	d = strtod(plain, NULL);
	if (isinf(d))
		return TEXT;
	*out = double_value(heap, d);
	return NUMBER;
}

static enum meaning resolve(struct rg_heap *heap, const char *text, size_t bytes,
			    struct rg_value *out)
{
	*out = rg_null();
	if (!bytes || is_one_of(text, bytes, "~ null Null NULL"))
		return NULL_VALUE;
	if (is_one_of(text, bytes, "true True TRUE")) {
		*out = rg_boolean(true);
		return BOOLEAN;
	}
	if (is_one_of(text, bytes, "false False FALSE")) {
		*out = rg_boolean(false);
		return BOOLEAN;
	}
	if (is_one_of(text, bytes, "<<"))
		return MERGE;
	if (is_one_of(text, bytes,
		      ".nan .NaN .NAN .inf .Inf .INF +.inf +.Inf +.INF -.inf -.Inf -.INF"))
		return NOT_A_NUMBER;
	if (strchr("+-.0123456789", *text))
		return resolve_number(heap, text, bytes, out);
	return TEXT;
}

/* ---- reading ---- */

struct reader {
	struct rg_builtin_call *call;
	yaml_parser_t parser;
	struct rg_value anchors; /* object: name to value */
	uint32_t depth;
	char why[256];
};

/* Undefined: r->why says why, or (empty) memory or the budget is used up. */
static struct rg_value fail(struct reader *r, const char *why)
{
	snprintf(r->why, sizeof(r->why), "yaml: %s", why);
	return rg_undefined;
}

static bool next_event(struct reader *r, yaml_event_t *event)
{
	if (yaml_parser_parse(&r->parser, event)) {
		if (rg_builtin_charge(r->call, 4))
			return true;
		yaml_event_delete(event);
		return false;
	}
	snprintf(r->why, sizeof(r->why), "yaml: line %zu: %s", r->parser.problem_mark.line + 1,
		 r->parser.problem ? r->parser.problem : "malformed");
	return false;
}

static bool has_tag(const yaml_event_t *event, const char *name)
{
	const char *tag = (const char *)event->data.scalar.tag;

	return tag && !strncmp(tag, "tag:yaml.org,2002:", 18) && !strcmp(tag + 18, name);
}

static struct rg_value decode_binary(struct reader *r, const char *text, size_t bytes)
{
	const struct rg_builtin *decode = rg_builtin_find("base64.decode", 13);
	struct rg_value v = rg_string(r->call->heap, text, bytes), result = rg_undefined;

	if (rg_is_defined(v) && decode->run(r->call, &v, &result) == RG_BUILTIN_ERROR)
		return fail(r, "!!binary value contains invalid base64 data");
	return result;
}

static struct rg_value scalar_value(struct reader *r, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t bytes = event->data.scalar.length;
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !event->data.scalar.tag;
	bool number = has_tag(event, "int") || has_tag(event, "float"),
	     boolean = has_tag(event, "bool");
	struct rg_value v;
	enum meaning meaning;

	if (has_tag(event, "binary"))
		return decode_binary(r, text, bytes);
	if (plain || number || boolean || has_tag(event, "null")) {
		meaning = resolve(r->call->heap, text, bytes, &v);
		if (meaning == NOT_A_NUMBER)
			return fail(r, "unsupported value: Inf or NaN");
		if ((number && meaning != NUMBER) || (boolean && meaning != BOOLEAN))
			return fail(r, "cannot decode a value as its tag says");
		if (meaning == NULL_VALUE || meaning == BOOLEAN || meaning == NUMBER)
			return v;
	}
	return rg_string(r->call->heap, text, bytes);
}

static struct rg_value read_node(struct reader *r, yaml_event_t *event);

static struct rg_value read_next(struct reader *r)
{
	yaml_event_t event;
	struct rg_value v;

	if (!next_event(r, &event))
		return rg_undefined;
	v = read_node(r, &event);
	yaml_event_delete(&event);
	return v;
}

static struct rg_value read_sequence(struct reader *r)
{
	struct rg_value array = rg_array(r->call->heap, 0), element;
	yaml_event_t event;
	bool end;

	while (rg_is_defined(array)) {
		if (!next_event(r, &event))
			return rg_undefined;
		end = event.type == YAML_SEQUENCE_END_EVENT;
		element = end ? rg_null() : read_node(r, &event);
		yaml_event_delete(&event);
		if (end)
			break;
		if (!rg_array_append(r->call->heap, array, element))
			return rg_undefined;
	}
	return array;
}

/* Keys are texts in JSON. */
static struct rg_value key_text(struct reader *r, struct rg_value key)
{
	if (key.type == RG_STRING || !rg_is_defined(key))
		return key;
	if (key.type == RG_BOOLEAN || key.type == RG_NUMBER)
		return rg_value_json(r->call->heap, key);
	return fail(r, "unsupported map key");
}

/* The pairs of a map, or of several, for keys that are not there yet. */
static bool merge(struct reader *r, struct rg_value map, struct rg_value from)
{
	struct rg_heap *heap = r->call->heap;

	if (from.type == RG_ARRAY) {
		for (uint32_t i = 0; i < rg_count(heap, from); i++) {
			struct rg_value part = rg_array_at(heap, from, i);

			if (part.type != RG_OBJECT || !merge(r, map, part)) {
				fail(r, "map merge requires map or sequence of maps as the value");
				return false;
			}
		}
		return true;
	}
	if (from.type != RG_OBJECT) {
		fail(r, "map merge requires map or sequence of maps as the value");
		return false;
	}
	for (uint32_t i = 0; i < rg_count(heap, from); i++) {
		struct rg_pair pair = rg_object_at(heap, from, i);

		if (!rg_is_defined(rg_object_get(heap, map, pair.key)) &&
		    !rg_object_insert(heap, map, pair.key, pair.value))
			return false;
	}
	return true;
}

static struct rg_value read_mapping(struct reader *r)
{
	struct rg_heap *heap = r->call->heap;
	struct rg_value map = rg_object(heap, 0), merged = rg_array(heap, 0), key, value, ignored;

	while (rg_is_defined(merged)) {
		yaml_event_t event;
		bool end, is_merge;

		if (!next_event(r, &event))
			return rg_undefined;
		end = event.type == YAML_MAPPING_END_EVENT;
		is_merge = event.type == YAML_SCALAR_EVENT &&
			   event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
			   resolve(heap, (const char *)event.data.scalar.value,
				   event.data.scalar.length, &ignored) == MERGE;
		key = end ? rg_null() : read_node(r, &event);
		yaml_event_delete(&event);
		if (end)
			break;
		key = is_merge ? key : key_text(r, key);
		value = rg_is_defined(key) ? read_next(r) : rg_undefined;
		if (!rg_is_defined(value))
			return rg_undefined;
		if (is_merge ? !rg_array_append(heap, merged, value)
			     : !rg_object_insert(heap, map, key, value))
			return rg_undefined;
	}
	if (!rg_is_defined(merged))
		return rg_undefined;
	for (uint32_t i = 0; i < rg_count(heap, merged); i++) {
		if (!merge(r, map, rg_array_at(heap, merged, i)))
			return rg_undefined;
	}
	return map;
}

static struct rg_value read_alias(struct reader *r, const char *name)
{
	struct rg_value v = rg_object_get_text(r->call->heap, r->anchors, name, strlen(name));

	return rg_is_defined(v)
		       ? v
		       : fail(r, "unknown anchor referenced, or an anchor that contains itself");
}

static struct rg_value read_node(struct reader *r, yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL;
	struct rg_value v;

	if (r->depth >= RG_JSON_DEPTH_MAX)
		return fail(r, "nested more than 512 levels deep");
	r->depth++;
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		anchor = event->data.scalar.anchor;
		v = scalar_value(r, event);
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = event->data.sequence_start.anchor;
		v = read_sequence(r);
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = event->data.mapping_start.anchor;
		v = read_mapping(r);
		break;
	case YAML_ALIAS_EVENT: v = read_alias(r, (const char *)event->data.alias.anchor); break;
	default: v = fail(r, "malformed");
	}
	r->depth--;
	if (anchor && rg_is_defined(v) &&
	    !rg_object_insert(r->call->heap, r->anchors,
			      rg_string_c(r->call->heap, (const char *)anchor), v))
		return rg_undefined;
	return v;
}

/* The first document; the others only have to be well formed. */
static struct rg_value read_stream(struct reader *r)
{
	struct rg_value v = rg_null();
	bool first = true, end = false;

	while (!end) {
		yaml_event_t event;
		yaml_event_type_t type;

		if (!next_event(r, &event))
			return rg_undefined;
		type = event.type;
		yaml_event_delete(&event);
		end = type == YAML_STREAM_END_EVENT;
		if (type == YAML_DOCUMENT_START_EVENT && first) {
			v = read_next(r);
			first = false;
			if (!rg_is_defined(v))
				return v;
		}
	}
	return v;
}

static struct rg_value read_yaml(struct rg_builtin_call *call, struct rg_value text,
				 struct reader *r)
{
	struct rg_value v;

	*r = (struct reader){.call = call, .anchors = rg_object(call->heap, 0)};
	if (!rg_is_defined(r->anchors) || !yaml_parser_initialize(&r->parser))
		return rg_undefined;
	yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r->parser, (const unsigned char *)rg_text(call->heap, text),
				     text.length);
	v = read_stream(r);
	yaml_parser_delete(&r->parser);
	return v;
}

static enum rg_builtin_result unmarshal(struct rg_builtin_call *call, const struct rg_value *args,
					struct rg_value *result)
{
	struct reader r;

	RG_OPERAND(1, STRING, "string");
	if (!rg_builtin_charge(call, args[0].length / 4))
		return RG_BUILTIN_ERROR;
	*result = read_yaml(call, args[0], &r);
	if (call->heap->exhausted)
		return RG_BUILTIN_MEMORY;
	if (rg_is_defined(*result))
		return RG_BUILTIN_OK;
	return *r.why ? rg_builtin_fail(call, "%s", r.why) : RG_BUILTIN_ERROR;
}

static enum rg_builtin_result is_valid(struct rg_builtin_call *call, const struct rg_value *args,
				       struct rg_value *result)
{
	struct reader r;
	bool valid = false;

	if (args[0].type == RG_STRING) {
		if (!rg_builtin_charge(call, args[0].length / 4))
			return RG_BUILTIN_ERROR;
		valid = rg_is_defined(read_yaml(call, args[0], &r));
		if (!valid && !*r.why)
			return call->heap->exhausted ? RG_BUILTIN_MEMORY : RG_BUILTIN_ERROR;
	}
	return rg_builtin_give(call, result, rg_boolean(valid));
}

/* ---- writing ---- */

/* libyaml's bound on a key that stands before its ':' on one line. */
#define SIMPLE_KEY_BYTES 128

/*
 * Containers are laid out here, in the way of the Go library: sequences in mappings are indented,
 * which libyaml does not do. libyaml writes the scalars: it knows when a text needs quotes, and how
 * a block of lines begins.
 */
struct writer {
	struct rg_builtin_call *call;
	struct rg_builder builder;
	uint32_t depth;
	char why[256]; /* empty: memory or the budget is used up */
};

static int write_output(void *data, unsigned char *buffer, size_t size)
{
	struct rg_builder *builder = data;

	rg_builder_put(builder, (const char *)buffer, size);
	return !builder->failed;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* 1:30, which YAML 1.1 reads as a number to base 60. */
static bool is_base_60(const char *text, size_t bytes)
{
	size_t i = bytes && (*text == '-' || *text == '+'), colons = 0;

	if (i >= bytes || !is_digit(text[i]))
		return false;
	while (i < bytes && (is_digit(text[i]) || text[i] == '_'))
		i++;
	while (i + 1 < bytes && text[i] == ':' && is_digit(text[i + 1])) {
		i += 2;
		i += i < bytes && is_digit(text[i]) && text[i - 1] < '6';
		colons++;
	}
	if (i < bytes && text[i] == '.')
		for (i++; i < bytes && (is_digit(text[i]) || text[i] == '_'); i++)
			;
	return colons && i == bytes;
}

static bool is_timestamp(const char *text, size_t bytes)
{
	static const char *const layouts[] = {"2006-1-2T15:4:5.999999999Z07:00",
					      "2006-1-2t15:4:5.999999999Z07:00",
					      "2006-1-2 15:4:5.999999999", "2006-1-2"};
	int64_t unix_s;
	int nanosecond;
	char why[8];

	if (bytes < 5 || strspn(text, "0123456789") != 4 || text[4] != '-')
		return false;
	for (size_t i = 0; i < sizeof(layouts) / sizeof(*layouts); i++) {
		if (rg_time_parse(layouts[i], strlen(layouts[i]), text, bytes, &unix_s, &nanosecond,
				  why, sizeof(why)))
			return true;
	}
	return false;
}

/* May a text stand without quotes, and still be read as a text by YAML of any version? */
static bool can_be_plain(struct rg_heap *heap, const char *text, size_t bytes)
{
	enum meaning meaning;
	struct rg_value v;

	meaning = resolve(heap, text, bytes, &v);
	return (meaning == TEXT || meaning == MERGE) && !is_base_60(text, bytes) &&
	       !is_timestamp(text, bytes) &&
	       !is_one_of(text, bytes, "y Y yes Yes YES on On ON n N no No NO off Off OFF");
}

/* One document of one scalar, as libyaml writes it. */
static bool emit_document(yaml_emitter_t *emitter, const char *text, size_t bytes,
			  yaml_scalar_style_t style)
{
	yaml_event_t event;

	yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING);
	if (!yaml_emitter_emit(emitter, &event))
		return false;
	yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1);
	if (!yaml_emitter_emit(emitter, &event))
		return false;
	if (!yaml_scalar_event_initialize(&event, NULL, NULL, (const unsigned char *)text,
					  (int)bytes, 1, 1, style) ||
	    !yaml_emitter_emit(emitter, &event))
		return false;
	yaml_document_end_event_initialize(&event, 1);
	if (!yaml_emitter_emit(emitter, &event))
		return false;
	yaml_stream_end_event_initialize(&event);
	return yaml_emitter_emit(emitter, &event);
}

static struct rg_value scalar_text(struct writer *w, const char *text, size_t bytes,
				   yaml_scalar_style_t style)
{
	struct rg_builder builder;
	yaml_emitter_t emitter;
	struct rg_value v;
	bool done;

	rg_builder_init(&builder, w->call->heap);
	if (!yaml_emitter_initialize(&emitter)) {
		w->call->heap->exhausted = true;
		return rg_undefined;
	}
	yaml_emitter_set_output(&emitter, write_output, &builder);
	yaml_emitter_set_unicode(&emitter, 1);
	yaml_emitter_set_width(&emitter, -1);
	done = emit_document(&emitter, text, bytes, style);
	if (!done && !builder.failed)
		snprintf(w->why, sizeof(w->why), "yaml: %s",
			 emitter.problem ? emitter.problem : "cannot be written");
	yaml_emitter_delete(&emitter);
	v = done ? rg_builder_finish(&builder) : rg_undefined;
	/* libyaml ends a document that keeps its last line breaks with "...", the Go library
	 * does not. */
	if (v.length > 5 && !memcmp(rg_text(w->call->heap, v) + v.length - 5, "\n...\n", 5))
		v.length -= 4;
	return v;
}

/* Nothing in a text of these could need quotes. */
static bool is_word(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (!is_digit(text[i]) && !(text[i] >= 'a' && text[i] <= 'z') &&
		    !(text[i] >= 'A' && text[i] <= 'Z') && text[i] != '_')
			return false;
	}
	return bytes > 0;
}

/* A string and the line break behind it (none behind a key). The lines of a block are indented
 * more. */
static bool put_string(struct writer *w, struct rg_value v, uint32_t indent, bool key)
{
	struct rg_heap *heap = w->call->heap;
	const char *text = rg_text(heap, v), *at, *end;
	yaml_scalar_style_t style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
	bool plain = can_be_plain(heap, text, v.length);

	if (!rg_builtin_charge(w->call, v.length / 8))
		return false;
	if (plain && is_word(text, v.length)) {
		rg_builder_put_value(&w->builder, v);
		rg_builder_put_c(&w->builder, key ? "" : "\n");
		return true;
	}
	if (memchr(text, '\n', v.length))
		style = YAML_LITERAL_SCALAR_STYLE;
	else if (plain)
		style = YAML_PLAIN_SCALAR_STYLE;
	v = scalar_text(w, text, v.length, style);
	if (!rg_is_defined(v))
		return false;
	at = rg_text(heap, v);
	end = at + v.length - (key ? 1 : 0);
	while (at < end) {
		const char *line = memchr(at, '\n', (size_t)(end - at)),
			   *next = line ? line + 1 : end;

		rg_builder_put(&w->builder, at, (size_t)(next - at));
		if (next < end && *next != '\n')
			rg_builder_repeat(&w->builder, ' ', indent);
		at = next;
	}
	return true;
}

/* Integers of 64 bits as they are, all else as a double in Go's %g. */
static void put_number(struct writer *w, struct rg_value v)
{
	struct rg_heap *heap = w->call->heap;
	char text[64], plain[NUMBER_BYTES];
	size_t bytes = rg_number_text(heap, v, plain, sizeof(plain) - 1);
	struct rg_value integer;
	int precision = 0, exponent;
	double d;

	if (bytes < sizeof(plain)) {
		plain[bytes] = '\0';
		if (strspn(plain, "-0123456789") == bytes && parse_integer(heap, plain, &integer)) {
			rg_builder_put_c(&w->builder, strcmp(plain, "-0") ? plain : "0");
			rg_builder_put_char(&w->builder, '\n');
			return;
		}
	}
	d = rg_number_to_double(heap, v);
	for (; precision < 17; precision++) {
		snprintf(text, sizeof(text), "%.*e", precision, d);
		if (strtod(text, NULL) == d)
			break;
	}
	exponent = isinf(d) ? 0 : atoi(strchr(text, 'e') + 1);
	if (exponent >= -4 && exponent < 6)
		snprintf(text, sizeof(text), "%.*f",
			 precision > exponent ? precision - exponent : 0, d);
	rg_builder_put_c(&w->builder, text);
	rg_builder_put_char(&w->builder, '\n');
}

/* ---- the order of keys: digits by their number, letters behind the rest. Source: go-yaml
 * sorter.go ---- */

static bool is_letter(uint32_t rune)
{
	return (rune >= 'a' && rune <= 'z') || (rune >= 'A' && rune <= 'Z') || rune >= 0xaa;
}

static bool comes_before(struct rg_heap *heap, struct rg_value a, struct rg_value b)
{
	const char *x = rg_text(heap, a), *x_end = x + a.length, *y = rg_text(heap, b),
		   *y_end = y + b.length;
	bool digits = false, significant = false;
	uint32_t p, q, n;

	while (x < x_end && y < y_end) {
		int64_t left, right;
		const char *i, *k;

		n = rg_rune(x, x_end, &p);
		rg_rune(y, y_end, &q);
		if (p == q) {
			digits = p < 0x80 && is_digit((char)p);
			significant = digits && (significant || p != '0');
			x += n;
			y += n;
			continue;
		}
		if (is_letter(p) && is_letter(q))
			return p < q;
		if (is_letter(p) || is_letter(q))
			return digits ? is_letter(p) : is_letter(q);
		left = right = (p == '0' || q == '0') && significant;
		for (i = x; i < x_end && is_digit(*i); i++)
			left = (int64_t)((uint64_t)left * 10 + (uint64_t)(*i - '0'));
		for (k = y; k < y_end && is_digit(*k); k++)
			right = (int64_t)((uint64_t)right * 10 + (uint64_t)(*k - '0'));
		if (left != right)
			return left < right;
		if (i - x != k - y)
			return i - x < k - y;
		return p < q;
	}
	return x_end - x < y_end - y;
}

/* The object's pairs with their keys as texts, in that order: an array key, value, key, value,
 * ... */
static struct rg_value sorted_pairs(struct writer *w, struct rg_value object)
{
	struct rg_heap *heap = w->call->heap;
	uint32_t count = rg_count(heap, object);
	struct rg_value list = rg_array(heap, 2 * count), *items;

	for (uint32_t i = 0; i < count && rg_is_defined(list); i++) {
		struct rg_pair pair = rg_object_at(heap, object, i);

		if (pair.key.type != RG_STRING)
			pair.key = rg_value_json(heap, pair.key);
		if (!rg_array_append(heap, list, pair.key) ||
		    !rg_array_append(heap, list, pair.value))
			return rg_undefined;
	}
	if (!rg_is_defined(list))
		return list;
	items = rg_container_values(heap, list);
	for (uint32_t i = 1; i < count; i++) {
		for (uint32_t k = i; k > 0 && comes_before(heap, items[2 * k], items[2 * k - 2]);
		     k--) {
			for (int part = 0; part < 2; part++) {
				struct rg_value keep = items[2 * k + part];

				items[2 * k + part] = items[2 * k - 2 + part];
				items[2 * k - 2 + part] = keep;
			}
			if (!rg_builtin_charge(w->call, 1))
				return rg_undefined;
		}
	}
	return list;
}

static bool put_node(struct writer *w, struct rg_value v, uint32_t indent);

static bool is_filled(const struct rg_heap *heap, struct rg_value v)
{
	return v.type >= RG_ARRAY && rg_count(heap, v);
}

/* A value behind "key:": a container begins on the next line. */
static bool put_value(struct writer *w, struct rg_value v, uint32_t indent)
{
	if (!is_filled(w->call->heap, v)) {
		rg_builder_put_char(&w->builder, ' ');
		return put_node(w, v, indent);
	}
	rg_builder_put_char(&w->builder, '\n');
	rg_builder_repeat(&w->builder, ' ', indent + 2);
	return put_node(w, v, indent + 2);
}

/* "key:"; one of several lines, or a long one, is "? key" and ":" on the next line. */
static bool put_key(struct writer *w, struct rg_value key, uint32_t indent)
{
	bool simple = key.length <= SIMPLE_KEY_BYTES &&
		      !memchr(rg_text(w->call->heap, key), '\n', key.length);

	if (!simple)
		rg_builder_put_c(&w->builder, "? ");
	if (!put_string(w, key, indent, simple))
		return false;
	if (!simple)
		rg_builder_repeat(&w->builder, ' ', indent);
	rg_builder_put_char(&w->builder, ':');
	return true;
}

/* A container whose first line is indented already. */
static bool put_container(struct writer *w, struct rg_value v, uint32_t indent)
{
	struct rg_heap *heap = w->call->heap;
	bool map = v.type == RG_OBJECT;
	struct rg_value list = map ? sorted_pairs(w, v) : v;

	if (!rg_is_defined(list))
		return false;
	for (uint32_t i = 0; i < rg_count(heap, list); i += map ? 2 : 1) {
		if (i)
			rg_builder_repeat(&w->builder, ' ', indent);
		if (map) {
			if (!put_key(w, rg_array_at(heap, list, i), indent))
				return false;
			if (!put_value(w, rg_array_at(heap, list, i + 1), indent))
				return false;
		} else {
			struct rg_value element = rg_list_at(heap, list, i);

			rg_builder_put_c(&w->builder, "- ");
			if (!put_node(w, element, is_filled(heap, element) ? indent + 2 : indent))
				return false;
		}
	}
	return true;
}

/* v and the line break behind it. False: w->why, memory, or the budget. */
static bool put_node(struct writer *w, struct rg_value v, uint32_t indent)
{
	bool done = true;

	if (w->depth >= RG_JSON_DEPTH_MAX)
		w->call->heap->exhausted = true;
	if (w->call->heap->exhausted || !rg_builtin_charge(w->call, 4))
		return false;
	w->depth++;
	if (is_filled(w->call->heap, v))
		done = put_container(w, v, indent);
	else if (v.type == RG_STRING)
		done = put_string(w, v, indent, false);
	else if (v.type == RG_NUMBER)
		put_number(w, v);
	else if (v.type == RG_BOOLEAN)
		rg_builder_put_c(&w->builder, v.i ? "true\n" : "false\n");
	else
		rg_builder_put_c(&w->builder, v.type == RG_NULL	    ? "null\n"
					      : v.type == RG_OBJECT ? "{}\n"
								    : "[]\n");
	w->depth--;
	return done;
}

static enum rg_builtin_result marshal(struct rg_builtin_call *call, const struct rg_value *args,
				      struct rg_value *result)
{
	struct writer w = {.call = call};
	bool done;

	rg_builder_init(&w.builder, call->heap);
	done = put_node(&w, args[0], 0);
	if (call->heap->exhausted)
		return RG_BUILTIN_MEMORY;
	if (!done)
		return *w.why ? rg_builtin_fail(call, "%s", w.why) : RG_BUILTIN_ERROR;
	return rg_builtin_give(call, result, rg_builder_finish(&w.builder));
}

static const struct rg_builtin table[] = {
	{"yaml.marshal", marshal, 1, 0, NULL, FN1(T_ANY, T_STRING)},
	{"yaml.unmarshal", unmarshal, 1, 0, NULL, FN1(T_STRING, T_ANY)},
	{"yaml.is_valid", is_valid, 1, 0, NULL, FN1(T_STRING, T_BOOLEAN)},
};
RG_BUILTIN_FAMILY(rg_builtin_yaml, table);
