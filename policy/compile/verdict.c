/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/compile/verdict.h"

#include <stdlib.h>
#include <string.h>

#include "policy/compile/fields.h"
#include "policy/compile/reason_flow.h"
#include "policy/compile/reasons.h"

#define REASON_BYTES_MAX 255

static const char *const role_names[RG_ROLE_COUNT] = {"deny", "review", "allow", "score",
						      "reasons"};

/* ---- finding the rules ---- */

static bool text_is(struct rg_plan_text text, const char *s, size_t bytes)
{
	return text.bytes == bytes && !memcmp(text.text, s, bytes);
}

/* If the function's path begins with g0, the package's segments and role: how many segments
 * these are. Else 0. */
static uint32_t role_segments(const struct rg_plan_function *function, const char *package,
			      const char *role)
{
	uint32_t segment = 1;

	if (function->param_count != 2 || function->path_count < 3 ||
	    !text_is(function->path[0], "g0", 2))
		return 0;
	for (;; segment++) {
		size_t bytes = strcspn(package, ".");

		if (segment >= function->path_count ||
		    !text_is(function->path[segment], package, bytes))
			return 0;
		if (!package[bytes])
			break;
		package += bytes + 1;
	}
	return segment + 1 < function->path_count &&
			       text_is(function->path[segment + 1], role, strlen(role))
		       ? segment + 2
		       : 0;
}

static uint32_t find_rule(const struct rg_plan *plan, const char *package, const char *role)
{
	for (uint32_t i = 0; i < plan->function_count; i++) {
		if (role_segments(&plan->functions[i], package, role) ==
		    plan->functions[i].path_count)
			return i;
	}
	return RG_IMAGE_NO_FUNCTION;
}

/* `deny["P01"] := true` and `deny.P01 if ...` make a rule of their own for each key, and so no rule `deny` that could be asked:
 * to pass them over in silence would let through what they deny. */
static int check_whole(struct rg_unit *unit, const char *package, const char *role)
{
	const struct rg_plan *plan = unit->plan;

	for (uint32_t i = 0; i < plan->function_count; i++) {
		const struct rg_plan_function *function = &plan->functions[i];
		uint32_t segments = role_segments(function, package, role);

		if (segments && segments < function->path_count)
			return rg_unit_fail(
				unit, RG_EINVAL,
				"package %s: %s is made of rules with constant keys, like "
				"%s[\"%.*s\"]: "
				"write `%s contains \"%.*s\" if ...`, or rename them",
				package, role, role, (int)function->path[segments].bytes,
				function->path[segments].text, role,
				(int)function->path[segments].bytes, function->path[segments].text);
	}
	return RG_OK;
}

static const struct rg_template *find_template(const struct rg_field_table *table, const char *name)
{
	for (uint32_t i = 0; i < table->template_count; i++) {
		if (!strncmp(table->templates[i].name, name, sizeof(table->templates[i].name)))
			return &table->templates[i];
	}
	return NULL;
}

static int missing_rules(struct rg_unit *unit, const struct rg_binding *binding)
{
	char path[256];
	size_t i;

	for (i = 0; binding->package[i] && i < sizeof(path) - 1; i++)
		path[i] = binding->package[i] == '.' ? '/' : binding->package[i];
	path[i] = '\0';
	return rg_unit_fail(
		unit, RG_EINVAL,
		"template %s is bound to package %s, which has none of the rules deny, review and "
		"allow in the plan: build it with opa build -t plan -e %s/deny (or -e %s/review, "
		"-e %s/allow)",
		binding->template_name, binding->package, path, path, path);
}

/* ---- reasons ---- */

static void add_name(struct rg_unit *unit, const char *text, size_t bytes)
{
	struct rg_reason_list *list = unit->options->reasons;
	struct rg_value name;

	if (!bytes || bytes > REASON_BYTES_MAX || memchr(text, 0, bytes))
		return;
	name = rg_string(&unit->heap, text, bytes);
	if (rg_is_defined(rg_object_get(&unit->heap, unit->reasons, name)))
		return;
	if (list->count + 1 >= RG_REASON_OTHER)
		return; /* it will be reported as "other" */
	if (!rg_reason_list_append(list, text, bytes) ||
	    !rg_object_insert(&unit->heap, unit->reasons, name, rg_int(list->count)))
		rg_unit_no_memory(unit);
}

/* What a sender found out arrives as a set of names, and rules hand such names on as reasons. */
static void add_set_names(struct rg_unit *unit, const struct rg_binding *binding)
{
	const struct rg_field_table *table = unit->options->fields;
	const struct rg_template *request = find_template(table, binding->template_name);

	for (uint32_t i = 0; i < request->fields_count; i++) {
		const struct rg_field *field = &table->fields[request->fields_first + i];

		for (uint32_t k = 0; field->kind == RG_FIELD_SET && k < field->names_count; k++) {
			const char *name = table->names[field->names_first + k].name;

			add_name(unit, name, strlen(name));
		}
	}
}

static int known_reasons(struct rg_unit *unit)
{
	const struct rg_reason_list *list = unit->options->reasons;

	for (uint32_t i = 0; list && i < list->count; i++) {
		struct rg_value name = rg_string_c(&unit->heap, list->names[i]);

		if (!rg_object_insert(&unit->heap, unit->reasons, name, rg_int(i + 1)))
			return rg_unit_no_memory(unit);
	}
	return RG_OK;
}

/* ---- bindings ---- */

static int bind_one(struct rg_unit *unit, const struct rg_binding *binding,
		    struct rg_reason_flow *flow)
{
	const struct rg_template *request =
		find_template(unit->options->fields, binding->template_name);
	struct rg_image_binding bound = {0}, *added;
	uint32_t root, rules = 0;

	if (!request)
		return rg_unit_fail(unit, RG_ENOENT, "the request schema has no template %s",
				    binding->template_name);
	if (rg_field_add_template(unit, request, &root))
		return unit->status;
	bound.schema_id = request->schema_id;
	bound.template_id = request->template_id;
	bound.schema_version = request->schema_version;
	bound.block_length = request->block_length;
	bound.template_name =
		rg_unit_text(unit, binding->template_name, strlen(binding->template_name));
	bound.package = rg_unit_text(unit, binding->package, strlen(binding->package));
	bound.root = root;
	for (int role = 0; role < RG_ROLE_COUNT; role++) {
		uint32_t rule = find_rule(unit->plan, binding->package, role_names[role]);

		bound.specialised[role] = bound.general[role] = RG_IMAGE_NO_FUNCTION;
		if (rule == RG_IMAGE_NO_FUNCTION) {
			if ((role == RG_ROLE_DENY || role == RG_ROLE_REVIEW ||
			     role == RG_ROLE_REASONS) &&
			    check_whole(unit, binding->package, role_names[role]))
				return unit->status;
			continue;
		}
		rules += role <= RG_ROLE_ALLOW;
		unit->functions[rule].is_role = true;
		bound.specialised[role] = rg_unit_variant(
			unit, (struct rg_variant){.source = rule, .template = root});
		bound.general[role] = rg_unit_variant(
			unit, (struct rg_variant){.source = rule, .template = RG_NO_TEMPLATE});
		if (role == RG_ROLE_DENY || role == RG_ROLE_REVIEW || role == RG_ROLE_REASONS)
			rg_reason_flow_from(flow, rule);
	}
	if (!rules)
		return missing_rules(unit, binding);
	added = rg_vector_add(unit, &unit->bindings, sizeof(*added));
	if (added)
		*added = bound;
	return unit->status;
}

int rg_verdict_bind(struct rg_unit *unit)
{
	const struct rg_compile_options *options = unit->options;
	struct rg_reason_flow flow;

	unit->reasons = rg_object(&unit->heap, 0);
	if (!options->binding_count || !options->fields)
		return unit->status;
	if (options->binding_count > RG_IMAGE_BINDINGS_MAX)
		return rg_unit_fail(unit, RG_ELIMIT, "%u bindings; the limit is %d",
				    options->binding_count, RG_IMAGE_BINDINGS_MAX);
	if (rg_reason_flow_init(&flow, unit))
		return unit->status;
	if (known_reasons(unit))
		return unit->status;
	for (uint32_t i = 0; i < options->binding_count && !unit->status; i++)
		bind_one(unit, &options->bindings[i], &flow);
	if (!options->reasons || unit->status)
		return unit->status;
	rg_reason_flow_follow(&flow, add_name);
	for (uint32_t i = 0; i < options->binding_count && flow.input_is_wanted && !unit->status;
	     i++)
		add_set_names(unit, &options->bindings[i]);
	return unit->status;
}
