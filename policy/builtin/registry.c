/* SPDX-License-Identifier: Apache-2.0 */
/* Joins the families' tables into one, sorted by name, before main; then it never changes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/builtin/family.h"
#include "policy/eval/number_integer.h"

static const struct rg_builtin_family *const families[] = {
	&rg_builtin_aggregates, &rg_builtin_arithmetic, &rg_builtin_arrays,	 &rg_builtin_bits,
	&rg_builtin_comparison, &rg_builtin_crypto,	&rg_builtin_encoding,	 &rg_builtin_glob,
	&rg_builtin_graph,	&rg_builtin_json,	&rg_builtin_json_paths,	 &rg_builtin_net,
	&rg_builtin_objects,	&rg_builtin_regex,	&rg_builtin_regex_globs, &rg_builtin_semver,
	&rg_builtin_sets,	&rg_builtin_sprintf,	&rg_builtin_strings,	 &rg_builtin_time,
	&rg_builtin_types,	&rg_builtin_units,	&rg_builtin_uuid,	 &rg_builtin_yaml,
};

#define BUILTINS_MAX 256
static struct rg_builtin builtins[BUILTINS_MAX];
static uint32_t builtin_count;

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct rg_builtin *)a)->name, ((const struct rg_builtin *)b)->name);
}

__attribute__((constructor)) static void join_families(void)
{
	for (size_t f = 0; f < sizeof(families) / sizeof(*families); f++) {
		assert(builtin_count + families[f]->count <= BUILTINS_MAX);
		memcpy(builtins + builtin_count, families[f]->table,
		       families[f]->count * sizeof(*builtins));
		builtin_count += families[f]->count;
	}
	qsort(builtins, builtin_count, sizeof(*builtins), compare_names);
}

const struct rg_builtin *rg_builtin_table(uint32_t *count)
{
	*count = builtin_count;
	return builtins;
}

const struct rg_builtin *rg_builtin_find(const char *name, size_t bytes)
{
	uint32_t low = 0, high = builtin_count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;
		int order = strncmp(builtins[middle].name, name, bytes);

		if (!order)
			order = builtins[middle].name[bytes] != '\0';
		if (!order)
			return &builtins[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* ---- signatures ---- */

#define SIGNATURE_BYTES (1 << 20)

static bool is_described(struct rg_heap *heap, struct rg_value key)
{
	return rg_string_is(heap, key, "name") || rg_string_is(heap, key, "description");
}

/* A type without names and descriptions, and with the parts of a union as a set: their order
 * means nothing. */
static struct rg_value normal_type(struct rg_heap *heap, struct rg_value v)
{
	struct rg_value normal = v, type = v.type == RG_OBJECT
						   ? rg_object_get_text(heap, v, "type", 4)
						   : rg_undefined;
	bool is_union = rg_is_defined(type) && rg_string_is(heap, type, "any");

	if (v.type == RG_ARRAY) {
		normal = rg_array(heap, 0);
		for (uint32_t i = 0; i < rg_count(heap, v) && rg_is_defined(normal); i++)
			rg_array_append(heap, normal, normal_type(heap, rg_array_at(heap, v, i)));
	} else if (v.type == RG_OBJECT) {
		normal = rg_object(heap, 0);
		for (uint32_t i = 0; i < rg_count(heap, v) && rg_is_defined(normal); i++) {
			struct rg_pair pair = rg_object_at(heap, v, i);
			struct rg_value value = normal_type(heap, pair.value);

			if (is_described(heap, pair.key) && pair.value.type == RG_STRING)
				continue;
			if (is_union && value.type == RG_ARRAY &&
			    rg_string_is(heap, pair.key, "of")) {
				struct rg_value parts = rg_set(heap, 0);

				for (uint32_t k = 0;
				     k < rg_count(heap, value) && rg_is_defined(parts); k++)
					rg_set_add(heap, parts, rg_array_at(heap, value, k));
				value = parts;
			}
			rg_object_insert(heap, normal, pair.key, value);
		}
	}
	return normal;
}

static struct rg_value part(struct rg_heap *heap, struct rg_value decl, const char *key)
{
	struct rg_value v = rg_object_get_text(heap, decl, key, strlen(key));

	return rg_is_defined(v) ? v : rg_null();
}

/* Does the plan promise no more of the result than the function keeps? It may say "any" for the whole or for a part: OPA's
 * own declarations got narrower over time, and its type checker writes wider parts into some plans. */
static bool covers(struct rg_heap *heap, struct rg_value plans, struct rg_value ours)
{
	uint32_t count;

	if (rg_equal(heap, ours, plans))
		return true;
	if (plans.type != ours.type || (plans.type != RG_OBJECT && plans.type != RG_ARRAY))
		return false;
	count = rg_count(heap, plans);
	if (plans.type == RG_OBJECT && count == 1 &&
	    rg_string_is(heap, part(heap, plans, "type"), "any"))
		return true;
	if (count != rg_count(heap, ours))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		struct rg_pair pair;

		if (plans.type == RG_ARRAY) {
			if (!covers(heap, rg_array_at(heap, plans, i), rg_array_at(heap, ours, i)))
				return false;
			continue;
		}
		pair = rg_object_at(heap, plans, i);
		if (!covers(heap, pair.value, rg_object_get(heap, ours, pair.key)))
			return false;
	}
	return true;
}

static bool same_arguments(struct rg_heap *heap, struct rg_value ours, struct rg_value plans)
{
	uint32_t ours_count = ours.type == RG_ARRAY ? rg_count(heap, ours) : 0;
	uint32_t plans_count = plans.type == RG_ARRAY ? rg_count(heap, plans) : 0;

	return (!ours_count && !plans_count) || rg_equal(heap, ours, plans);
}

int rg_builtin_check(const struct rg_builtin *builtin, const char *decl_json, size_t bytes,
		     struct rg_error *err)
{
	struct rg_value ours, plans;
	struct rg_heap heap;
	int status = rg_heap_new(&heap, SIGNATURE_BYTES, err);

	if (status)
		return status;
	status = rg_value_parse(&heap, decl_json, bytes, &plans, err);
	if (status) {
		rg_error_prefix(err, "declaration of built-in %s", builtin->name);
		goto cleanup;
	}
	status = rg_value_parse(&heap, builtin->signature, strlen(builtin->signature), &ours, err);
	assert(!status);
	if (plans.type != RG_OBJECT) {
		status = rg_error_set(err, RG_EINVAL, "declaration of built-in %s is not an object",
				      builtin->name);
		goto cleanup;
	}
	ours = normal_type(&heap, ours);
	plans = normal_type(&heap, plans);
	if (!same_arguments(&heap, part(&heap, ours, "args"), part(&heap, plans, "args")) ||
	    !rg_equal(&heap, part(&heap, ours, "variadic"), part(&heap, plans, "variadic")))
		status = rg_error_set(err, RG_EINVAL,
				      "built-in %s is declared with other arguments: the plan says "
				      "%.*s, riskgate has %s",
				      builtin->name, (int)bytes, decl_json, builtin->signature);
	else if (!covers(&heap, part(&heap, plans, "result"), part(&heap, ours, "result")))
		status = rg_error_set(err, RG_EINVAL,
				      "built-in %s is declared with another result: the plan says "
				      "%.*s, riskgate has %s",
				      builtin->name, (int)bytes, decl_json, builtin->signature);
cleanup:
	rg_heap_free(&heap);
	return status;
}

/* ---- errors ---- */

const char *rg_type_name(struct rg_value v)
{
	static const char *const names[] = {"undefined", "null",  "boolean", "number",
					    "string",	 "array", "object",  "set"};

	return names[v.type];
}

enum rg_builtin_result rg_builtin_fail(struct rg_builtin_call *call, const char *format, ...)
{
	va_list args;

	if (call->want_error_text) {
		va_start(args, format);
		rg_error_vset(&call->error, RG_EINVAL, format, args);
		va_end(args);
		rg_error_prefix(&call->error, "%s", call->name);
	}
	return RG_BUILTIN_ERROR;
}

enum rg_builtin_result rg_builtin_operand_text(struct rg_builtin_call *call, int operand,
					       const char *format, ...)
{
	va_list args;

	if (call->want_error_text) {
		char text[RG_ERROR_TEXT_BYTES];

		va_start(args, format);
		vsnprintf(text, sizeof(text), format, args);
		va_end(args);
		rg_error_set(&call->error, RG_EINVAL, "%s: operand %d %s", call->name, operand,
			     text);
	}
	return RG_BUILTIN_TYPE_ERROR;
}

enum rg_builtin_result rg_builtin_operand(struct rg_builtin_call *call, int operand,
					  struct rg_value got, const char *want)
{
	return rg_builtin_operand_text(call, operand, "must be %s but got %s", want,
				       rg_type_name(got));
}

enum rg_builtin_result rg_builtin_element(struct rg_builtin_call *call, int operand,
					  struct rg_value container, struct rg_value element,
					  const char *want)
{
	return rg_builtin_operand_text(call, operand, "must be %s of %ss but got %s containing %s",
				       rg_type_name(container), want, rg_type_name(container),
				       rg_type_name(element));
}

bool rg_builtin_int(struct rg_builtin_call *call, const struct rg_value *args, int operand,
		    int64_t *out, enum rg_builtin_result *error)
{
	struct rg_value v = args[operand - 1];

	if (v.type != RG_NUMBER) {
		*error = rg_builtin_operand(call, operand, v, "number");
		return false;
	}
	if (!rg_number_to_int64(call->heap, v, out)) {
		*error = rg_builtin_operand_text(
			call, operand, "must be integer number but got floating-point number");
		return false;
	}
	return true;
}

bool rg_builtin_integer(struct rg_builtin_call *call, const struct rg_value *args, int operand,
			struct rg_integer *out, enum rg_builtin_result *error)
{
	const char *reason;

	if (args[operand - 1].type != RG_NUMBER)
		*error = rg_builtin_operand(call, operand, args[operand - 1], "integer");
	else if (rg_integer_from(call->heap, args[operand - 1], out, &reason))
		return true;
	else if (reason)
		*error = rg_builtin_fail(call, "%s", reason);
	else
		*error = rg_builtin_operand_text(
			call, operand, "must be integer number but got floating-point number");
	return false;
}

bool rg_builtin_strings_only(struct rg_builtin_call *call, struct rg_value list, int operand,
			     enum rg_builtin_result *error)
{
	for (uint32_t i = 0; i < rg_count(call->heap, list); i++) {
		struct rg_value element = rg_list_at(call->heap, list, i);

		if (element.type != RG_STRING) {
			*error = rg_builtin_element(call, operand, list, element, "string");
			return false;
		}
	}
	return true;
}

enum rg_builtin_result rg_builtin_give_number(struct rg_builtin_call *call, struct rg_value *result,
					      struct rg_value v, const char *reason)
{
	if (rg_is_defined(v)) {
		*result = v;
		return RG_BUILTIN_OK;
	}
	return reason ? rg_builtin_fail(call, "%s", reason) : RG_BUILTIN_MEMORY;
}

bool rg_builtin_charge(struct rg_builtin_call *call, uint64_t work)
{
	if (call->budget < work) {
		call->budget = 0;
		rg_builtin_fail(call, "instruction budget used up");
		return false;
	}
	call->budget -= work;
	return true;
}
