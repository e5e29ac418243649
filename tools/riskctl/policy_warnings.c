/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/riskctl/policy_warnings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "policy/image/code.h"
#include "policy/image/image.h"
#include "tools/riskctl/image_view.h"

#define TEXT_BYTES 400

/* One search: a plan, and one template's view of it at a time. */
struct search {
	struct rg_policy_warnings *warnings;
	const struct rg_plan_view *view;
	const struct rg_offline *marked;
	const struct rg_field_table *fields;
	const struct rg_template *request;
	bool *visited;	    /* functions of the plan that decide the template */
	bool *begun, *done; /* statements, in the template's code */
};

void rg_policy_warnings_free(struct rg_policy_warnings *warnings)
{
	for (uint32_t i = 0; i < warnings->count; i++)
		free(warnings->items[i].text);
	free(warnings->items);
	*warnings = (struct rg_policy_warnings){0};
}

/* ---- the list ---- */

static bool is_told(const struct rg_policy_warnings *warnings, uint32_t file, uint32_t row,
		    const char *text)
{
	for (uint32_t i = 0; i < warnings->count; i++)
		if (warnings->items[i].file == file && warnings->items[i].row == row &&
		    (!text || !strcmp(warnings->items[i].text, text)))
			return true;
	return false;
}

static void warn(struct rg_policy_warnings *warnings, uint32_t file, uint32_t row,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));

static void warn(struct rg_policy_warnings *warnings, uint32_t file, uint32_t row,
		 const char *format, ...)
{
	char text[TEXT_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (is_told(warnings, file, row, text))
		return;
	if (warnings->count == warnings->capacity) {
		uint32_t capacity = warnings->capacity ? 2 * warnings->capacity : 16;
		struct rg_policy_warning *grown =
			realloc(warnings->items, capacity * sizeof(*grown));

		if (!grown) {
			warnings->no_memory = true;
			return;
		}
		warnings->items = grown;
		warnings->capacity = capacity;
	}
	warnings->items[warnings->count] = (struct rg_policy_warning){file, row, strdup(text)};
	warnings->no_memory |= !warnings->items[warnings->count].text;
	warnings->count += !!warnings->items[warnings->count].text;
}

static int by_place(const void *a, const void *b)
{
	const struct rg_policy_warning *x = a, *y = b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

/* ---- rules of packages ---- */

static const char *const role_names[] = {"deny", "review", "allow", "score", "reasons"};
#define VERDICT_ROLES 3 /* the first of them make a verdict */

/* If the function is a package's rule of that role, the package; into out, else NULL. */
static const char *package_of(const struct rg_plan_function *function, const char *role, char *out,
			      size_t room)
{
	uint32_t last = function->path_count - 1;
	size_t used = 0;

	/* OPA keeps rules under `g0`, variants for `with` under g1, g2, ... */
	if (function->param_count != 2 || function->path_count < 3 ||
	    strcmp(function->path[0].text, "g0") || strcmp(function->path[last].text, role))
		return NULL;
	for (uint32_t i = 1; i < last && used < room; i++)
		used += (size_t)snprintf(out + used, room - used, "%s%s", i > 1 ? "." : "",
					 function->path[i].text);
	return out;
}

static bool is_bound(const struct search *search, const char *package)
{
	for (uint32_t i = 0; i < search->marked->binding_count; i++)
		if (!strcmp(search->marked->bindings[i].package, package))
			return true;
	return false;
}

static void find_unbound(struct search *search)
{
	const struct rg_plan *plan = search->view->plan;
	char package[RG_RULE_NAME_BYTES];

	for (uint32_t i = 0; i < plan->function_count; i++)
		for (uint32_t role = 0; role < VERDICT_ROLES; role++)
			if (package_of(&plan->functions[i], role_names[role], package,
				       sizeof(package)) &&
			    !is_bound(search, package))
				warn(search->warnings, search->view->head_files[i],
				     search->view->head_rows[i],
				     "%s of package %s decides nothing: no template is bound to "
				     "the package",
				     role_names[role], package);
}

/* ---- what decides a template ---- */

static void visit(struct search *search, uint32_t function);

static void visit_calls(struct search *search, const struct rg_plan_block *blocks, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t j = 0; j < blocks[i].count; j++) {
			const struct rg_plan_statement *statement = &blocks[i].statements[j];

			if (statement->type == RG_STATEMENT_CALL &&
			    statement->callee_kind == RG_PLAN_CALL_FUNCTION)
				visit(search, statement->callee);
			visit_calls(search, statement->blocks, statement->block_count);
		}
	}
}

static void visit(struct search *search, uint32_t function)
{
	const struct rg_plan_function *of = &search->view->plan->functions[function];

	if (search->visited[function])
		return;
	search->visited[function] = true;
	visit_calls(search, of->blocks, of->block_count);
}

static void visit_package(struct search *search, const char *wanted)
{
	const struct rg_plan *plan = search->view->plan;
	char package[RG_RULE_NAME_BYTES];

	memset(search->visited, 0, plan->function_count * sizeof(*search->visited));
	for (uint32_t i = 0; i < plan->function_count; i++)
		for (size_t role = 0; role < sizeof(role_names) / sizeof(role_names[0]); role++)
			if (package_of(&plan->functions[i], role_names[role], package,
				       sizeof(package)) &&
			    !strcmp(package, wanted))
				visit(search, i);
}

/* Under `with`, or `not`, or in an `every`, being undefined is nothing odd. */
static bool is_inside(const struct search *search, uint32_t id, enum rg_statement_type type)
{
	while ((id = search->view->statements[id].parent) != RG_PLAN_VIEW_NONE)
		if (search->view->statements[id].statement->type == type)
			return true;
	return false;
}

/* ---- fields ---- */

enum path_fit { PATH_FIELD, PATH_OBJECT, PATH_BELOW_FIELD, PATH_UNKNOWN };

/* What a path below input is for the template; *field: the field that it is, or lies below. */
static enum path_fit fit_path(const struct search *search, const char *path,
			      const struct rg_field **field)
{
	size_t bytes = strlen(path);

	for (uint32_t i = 0; i < search->request->fields_count; i++) {
		const struct rg_field *at =
			&search->fields->fields[search->request->fields_first + i];
		size_t length = strlen(at->path);

		*field = at;
		if (!strcmp(at->path, path))
			return PATH_FIELD;
		if (length > bytes && !strncmp(at->path, path, bytes) && at->path[bytes] == '.')
			return PATH_OBJECT;
		if (length < bytes && !strncmp(at->path, path, length) && path[length] == '.')
			return PATH_BELOW_FIELD;
	}
	*field = NULL;
	return PATH_UNKNOWN;
}

static struct rg_suggestion closest_field(const struct search *search, const char *path)
{
	struct rg_suggestion suggestion = {.wanted = path};

	for (uint32_t i = 0; i < search->request->fields_count; i++)
		rg_suggestion_offer(&suggestion,
				    search->fields->fields[search->request->fields_first + i].path);
	return suggestion;
}

/* The path below input that a statement reads, or NULL. */
static const char *input_path(const struct search *search, uint32_t id)
{
	const struct rg_plan_statement *statement = search->view->statements[id].statement;
	const char *name;

	if (statement->type != RG_STATEMENT_DOT)
		return NULL;
	name = rg_plan_view_target(search->view, id);
	if (strncmp(name, "input.", strlen("input.")) || strchr(name, '['))
		return NULL;
	return name + strlen("input.");
}

/* Is what the path lies in known, so that the fault is in its last segment? */
static bool parent_is_object(const struct search *search, const char *path)
{
	char parent[RG_LOCAL_NAME_BYTES];
	const struct rg_field *field;
	const char *dot = strrchr(path, '.');

	if (!dot)
		return true;
	snprintf(parent, sizeof(parent), "%.*s", (int)(dot - path), path);
	return fit_path(search, parent, &field) == PATH_OBJECT;
}

static void check_field(struct search *search, uint32_t id)
{
	const struct rg_plan_statement *statement = search->view->statements[id].statement;
	const char *path = input_path(search, id);
	struct rg_suggestion closest;
	const struct rg_field *field;

	if (!path || is_inside(search, id, RG_STATEMENT_WITH))
		return;
	switch (fit_path(search, path, &field)) {
	case PATH_BELOW_FIELD:
		warn(search->warnings, statement->file, statement->row,
		     "input.%s is always undefined: input.%s of %s is no object", path, field->path,
		     search->request->name);
		break;
	case PATH_UNKNOWN:
		if (!parent_is_object(search, path))
			break;
		closest = closest_field(search, path);
		warn(search->warnings, statement->file, statement->row,
		     "input.%s is always undefined: %s has no such field%s%s%s", path,
		     search->request->name, closest.best[0] ? ": did you mean input." : "",
		     closest.best, closest.best[0] ? "?" : "");
		break;
	default: break;
	}
}

/* ---- names of enums and sets ---- */

/* The field with names that an operand is: of the statement that assigned it, going back in the
 * function's text. */
static const struct rg_field *named_field(const struct search *search, uint32_t id,
					  struct rg_plan_operand operand)
{
	uint32_t function = search->view->statements[id].function, local = operand.value;
	const struct rg_field *field;

	if (operand.kind != RG_PLAN_LOCAL)
		return NULL;
	while (id-- > 0 && search->view->statements[id].function == function) {
		const struct rg_plan_statement *at = search->view->statements[id].statement;
		const char *path;

		if (at->target != local ||
		    (at->type != RG_STATEMENT_DOT && at->type != RG_STATEMENT_ASSIGN_VAR))
			continue;
		if (at->type == RG_STATEMENT_ASSIGN_VAR) {
			if (at->a.kind != RG_PLAN_LOCAL)
				return NULL;
			local = at->a.value;
			continue;
		}
		path = input_path(search, id);
		if (!path || fit_path(search, path, &field) != PATH_FIELD)
			return NULL;
		return field->kind == RG_FIELD_ENUM || field->kind == RG_FIELD_SET ? field : NULL;
	}
	return NULL;
}

static void check_name(struct search *search, uint32_t id, struct rg_plan_operand of_field,
		       struct rg_plan_operand text)
{
	const struct rg_plan_statement *statement = search->view->statements[id].statement;
	struct rg_suggestion suggestion = {0};
	const struct rg_field *field;

	if (text.kind != RG_PLAN_STRING)
		return;
	field = named_field(search, id, of_field);
	if (!field)
		return;
	suggestion.wanted = search->view->plan->strings[text.value].text;
	for (uint32_t i = 0; i < field->names_count; i++) {
		const char *name = search->fields->names[field->names_first + i].name;

		if (!strcmp(name, suggestion.wanted))
			return;
		rg_suggestion_offer(&suggestion, name);
	}
	warn(search->warnings, statement->file, statement->row,
	     "input.%s of %s is never \"%s\": it has no such name%s%s%s", field->path,
	     search->request->name, suggestion.wanted,
	     suggestion.best[0] ? ": did you mean \"" : "", suggestion.best,
	     suggestion.best[0] ? "\"?" : "");
}

static void check_names(struct search *search, uint32_t id)
{
	const struct rg_plan_statement *statement = search->view->statements[id].statement;

	if (statement->type == RG_STATEMENT_EQUAL) {
		check_name(search, id, statement->a, statement->b);
		check_name(search, id, statement->b, statement->a);
	}
	if (statement->type != RG_STATEMENT_CALL || statement->arg_count != 2 ||
	    statement->callee_kind != RG_PLAN_CALL_BUILTIN)
		return;
	if (!strcmp(statement->name.text, "equal") || !strcmp(statement->name.text, "neq")) {
		check_name(search, id, statement->args[0], statement->args[1]);
		check_name(search, id, statement->args[1], statement->args[0]);
	} else if (!strcmp(statement->name.text, "internal.member_2")) {
		check_name(search, id, statement->args[1], statement->args[0]);
	}
}

/* ---- reasons ---- */

/* The built-in that makes what an operand is, going back in the function's text; NULL if none
 * does. */
static const char *maker_of(const struct search *search, uint32_t id,
			    struct rg_plan_operand operand)
{
	uint32_t function = search->view->statements[id].function, local = operand.value;

	if (operand.kind != RG_PLAN_LOCAL)
		return NULL;
	while (id-- > 0 && search->view->statements[id].function == function) {
		const struct rg_plan_statement *at = search->view->statements[id].statement;

		if (at->target != local)
			continue;
		if (at->type == RG_STATEMENT_CALL && at->callee_kind == RG_PLAN_CALL_BUILTIN)
			return at->name.text;
		if (at->type != RG_STATEMENT_ASSIGN_VAR || at->a.kind != RG_PLAN_LOCAL)
			return NULL;
		local = at->a.value;
	}
	return NULL;
}

static void check_reason(struct search *search, uint32_t id)
{
	const struct rg_plan_statement *statement = search->view->statements[id].statement;
	const struct rg_plan_function *function =
		&search->view->plan->functions[search->view->statements[id].function];
	char package[RG_RULE_NAME_BYTES];
	const char *maker;

	if (statement->type != RG_STATEMENT_SET_ADD || statement->target != function->result ||
	    !(package_of(function, "deny", package, sizeof(package)) ||
	      package_of(function, "review", package, sizeof(package)) ||
	      package_of(function, "reasons", package, sizeof(package))))
		return;
	maker = maker_of(search, id, statement->a);
	if (maker)
		warn(search->warnings, statement->file, statement->row,
		     "what %s makes at run time has no reason id and is reported as \"other\": "
		     "give it a "
		     "constant code, {\"code\": \"...\", \"message\": %s(...)}",
		     maker, maker);
}

/* ---- lines that can never be true ---- */

/* Which statements the template's code begins, and which it can see through. */
static void read_marks(struct search *search, const char *template_name)
{
	struct rg_image_view image;

	rg_image_view_init(&image, search->marked->image, rg_eval_heap(search->marked->eval));
	memset(search->begun, 0, search->view->plan->statement_count);
	memset(search->done, 0, search->view->plan->statement_count);
	for (uint32_t i = 0; i < image.function_count; i++) {
		const struct rg_instruction *code = image.code + image.functions[i].code;
		char name[2 * RG_RULE_NAME_BYTES];
		const char *of_template;

		rg_image_view_text(&image, image.functions[i].name, name, sizeof(name));
		of_template = strrchr(name, '#');
		if (!of_template || strcmp(of_template + 1, template_name))
			continue;
		for (uint32_t j = 0; j < image.functions[i].code_count; j++) {
			if (code[j].op != RG_OP_MARK)
				continue;
			if (code[j].aux == RG_MARK_BEGIN)
				search->begun[code[j].number] = true;
			else if (code[j].aux == RG_MARK_DONE || code[j].aux == RG_MARK_ITEM)
				search->done[code[j].number] = true;
		}
	}
}

static void check_truth(struct search *search, uint32_t id)
{
	const struct rg_plan_statement *statement = search->view->statements[id].statement;

	if (!search->begun[id] || search->done[id] || is_inside(search, id, RG_STATEMENT_NOT))
		return;
	switch (statement->type) {
	case RG_STATEMENT_IS_ARRAY: /* `every` asks for each in turn */
	case RG_STATEMENT_IS_OBJECT:
	case RG_STATEMENT_IS_SET:
	case RG_STATEMENT_IS_UNDEFINED:
	case RG_STATEMENT_WITH: return; /* what is inside tells */
	default: break;
	}
	if (is_told(search->warnings, statement->file, statement->row, NULL))
		return; /* the reason is told already */
	warn(search->warnings, statement->file, statement->row,
	     "can never be true for %s: what follows from it is never reached",
	     search->request->name);
}

/* ---- all ---- */

static const struct rg_template *find_template(const struct rg_field_table *fields,
					       const char *name)
{
	for (uint32_t i = 0; i < fields->template_count; i++)
		if (!strcmp(fields->templates[i].name, name))
			return &fields->templates[i];
	return NULL;
}

static void each_statement(struct search *search, void (*check)(struct search *, uint32_t id))
{
	for (uint32_t i = 0; i < search->view->plan->statement_count; i++) {
		uint32_t function = search->view->statements[i].function;

		if (function != RG_PLAN_VIEW_NONE && search->visited[function])
			check(search, i);
	}
}

static void search_template(struct search *search, const struct rg_binding *binding)
{
	search->request = find_template(search->fields, binding->template_name);
	if (!search->request)
		return;
	visit_package(search, binding->package);
	each_statement(search, check_field);
	each_statement(search, check_names);
	each_statement(search, check_reason);
	read_marks(search, binding->template_name);
	each_statement(search, check_truth);
}

int rg_policy_warnings_find(struct rg_policy_warnings *warnings, const struct rg_plan_view *view,
			    const struct rg_offline *marked, const struct rg_field_table *fields,
			    struct rg_error *err)
{
	struct search search = {
		.warnings = warnings, .view = view, .marked = marked, .fields = fields};

	search.visited = calloc(view->plan->function_count + 1, sizeof(*search.visited));
	search.begun = calloc(view->plan->statement_count + 1, sizeof(*search.begun));
	search.done = calloc(view->plan->statement_count + 1, sizeof(*search.done));
	if (search.visited && search.begun && search.done) {
		find_unbound(&search);
		for (uint32_t i = 0; i < marked->binding_count; i++)
			search_template(&search, &marked->bindings[i]);
		qsort(warnings->items, warnings->count, sizeof(*warnings->items), by_place);
	} else {
		warnings->no_memory = true;
	}
	free(search.visited);
	free(search.begun);
	free(search.done);
	return warnings->no_memory ? rg_error_set(err, RG_ENOMEM, "no memory for the warnings")
				   : RG_OK;
}
