/* SPDX-License-Identifier: Apache-2.0 */
/* json.marshal, json.unmarshal and kin. Source: OPA v1/topdown/encoding.go, Go encoding/json. */
#include "policy/builtin/family.h"

static enum rg_builtin_result marshal(struct rg_builtin_call *call, const struct rg_value *args,
				      struct rg_value *result)
{
	return rg_builtin_give(call, result, rg_value_json(call->heap, args[0]));
}

static enum rg_builtin_result unmarshal(struct rg_builtin_call *call, const struct rg_value *args,
					struct rg_value *result)
{
	struct rg_error err;
	int status;

	RG_OPERAND(1, STRING, "string");
	if (!rg_builtin_charge(call, args[0].length / 8))
		return RG_BUILTIN_ERROR;
	status = rg_value_parse(call->heap, rg_text(call->heap, args[0]), args[0].length, result,
				&err);
	if (status == RG_ENOMEM || call->heap->exhausted)
		return RG_BUILTIN_MEMORY;
	return status ? rg_builtin_fail(call, "%s", err.text) : RG_BUILTIN_OK;
}

static enum rg_builtin_result is_valid(struct rg_builtin_call *call, const struct rg_value *args,
				       struct rg_value *result)
{
	struct rg_json_reader reader;
	enum rg_json_token token = RG_JSON_ERROR;

	if (args[0].type == RG_STRING) {
		if (!rg_builtin_charge(call, args[0].length / 8))
			return RG_BUILTIN_ERROR;
		rg_json_reader_init(&reader, rg_text(call->heap, args[0]), args[0].length);
		do
			token = rg_json_next(&reader);
		while (token != RG_JSON_END && token != RG_JSON_ERROR);
	}
	return rg_builtin_give(call, result, rg_boolean(token == RG_JSON_END));
}

/* ---- with options ---- */

struct style {
	struct rg_value prefix, indent; /* strings; undefined: none, a tab */
	bool pretty;
};

static bool read_style(struct rg_builtin_call *call, struct rg_value options, struct style *style,
		       enum rg_builtin_result *error)
{
	bool pretty_given = false, implied = false, pretty = false;

	*style = (struct style){0};
	for (uint32_t i = 0; i < rg_count(call->heap, options); i++) {
		struct rg_pair pair = rg_object_at(call->heap, options, i);
		bool is_text = pair.value.type == RG_STRING;
		const char *key;

		if (pair.key.type != RG_STRING) {
			*error = rg_builtin_operand_text(call, 2,
							 "failed to stringify key at index %u", i);
			return false;
		}
		key = rg_text(call->heap, pair.key);
		if (rg_string_is(call->heap, pair.key, "prefix") && is_text) {
			style->prefix = pair.value;
			implied = true;
		} else if (rg_string_is(call->heap, pair.key, "indent") && is_text) {
			style->indent = pair.value;
			implied = true;
		} else if (rg_string_is(call->heap, pair.key, "pretty") &&
			   pair.value.type == RG_BOOLEAN) {
			pretty = pair.value.i;
			pretty_given = true;
		} else if (rg_string_is(call->heap, pair.key, "prefix") ||
			   rg_string_is(call->heap, pair.key, "indent")) {
			*error = rg_builtin_operand_text(call, 2, "key %.*s failed cast to string",
							 (int)pair.key.length, key);
			return false;
		} else if (rg_string_is(call->heap, pair.key, "pretty")) {
			*error = rg_builtin_operand_text(call, 2, "key pretty failed cast to bool");
			return false;
		} else {
			*error = rg_builtin_operand_text(call, 2,
							 "object contained unknown key \"%.*s\"",
							 (int)pair.key.length, key);
			return false;
		}
	}
	style->pretty = pretty_given ? pretty : implied;
	return true;
}

static void put_line(struct rg_builder *builder, const struct style *style, uint32_t level)
{
	rg_builder_put_char(builder, '\n');
	if (rg_is_defined(style->prefix))
		rg_builder_put_value(builder, style->prefix);
	while (level--) {
		if (rg_is_defined(style->indent))
			rg_builder_put_value(builder, style->indent);
		else
			rg_builder_put_char(builder, '\t');
	}
}

/* Lay compact JSON out in lines. Source: Go encoding/json, Indent. */
static void put_indented(struct rg_builder *builder, const char *at, const char *end,
			 const struct style *style)
{
	uint32_t level = 0;

	while (at < end && !builder->failed) {
		const char *from = at;

		switch (*at++) {
		case '"':
			for (; *at != '"'; at++)
				at += *at == '\\';
			at++;
			rg_builder_put(builder, from, (size_t)(at - from));
			break;
		case '{':
		case '[':
			rg_builder_put_char(builder, *from);
			if (*at == '}' || *at == ']')
				rg_builder_put_char(builder, *at++);
			else
				put_line(builder, style, ++level);
			break;
		case '}':
		case ']':
			put_line(builder, style, --level);
			rg_builder_put_char(builder, *from);
			break;
		case ',':
			rg_builder_put_char(builder, ',');
			put_line(builder, style, level);
			break;
		case ':': rg_builder_put_c(builder, ": "); break;
		default: rg_builder_put_char(builder, *from);
		}
	}
}

static enum rg_builtin_result marshal_with_options(struct rg_builtin_call *call,
						   const struct rg_value *args,
						   struct rg_value *result)
{
	enum rg_builtin_result error;
	struct rg_builder builder;
	struct rg_value json;
	struct style style;

	RG_OPERAND(2, OBJECT, "object");
	if (!read_style(call, args[1], &style, &error))
		return error;
	json = rg_value_json(call->heap, args[0]);
	if (!rg_is_defined(json))
		return RG_BUILTIN_MEMORY;
	if (!style.pretty)
		return rg_builtin_give(call, result, json);
	rg_builder_init(&builder, call->heap);
	if (rg_is_defined(style.prefix))
		rg_builder_put_value(&builder, style.prefix);
	put_indented(&builder, rg_text(call->heap, json), rg_text(call->heap, json) + json.length,
		     &style);
	return rg_builtin_give(call, result, rg_builder_finish(&builder));
}

#define OPTIONS                                                                                    \
	T_RECORD_AND(                                                                              \
		OF3(KEY("indent", T_STRING), KEY("prefix", T_STRING), KEY("pretty", T_BOOLEAN)),   \
		T_STRING, T_ANY)

static const struct rg_builtin table[] = {
	{"json.marshal", marshal, 1, 0, NULL, FN1(T_ANY, T_STRING)},
	{"json.marshal_with_options", marshal_with_options, 2, 0, NULL,
	 FN2(T_ANY, OPTIONS, T_STRING)},
	{"json.unmarshal", unmarshal, 1, 0, NULL, FN1(T_STRING, T_ANY)},
	{"json.is_valid", is_valid, 1, 0, NULL, FN1(T_STRING, T_BOOLEAN)},
};
RG_BUILTIN_FAMILY(rg_builtin_json, table);
