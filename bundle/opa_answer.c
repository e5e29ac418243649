/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/opa_answer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/data.h"

#define PATH_BYTES 2048

struct module {
	char *id, *text;
	size_t text_bytes;
};

struct answer {
	struct module *modules;
	uint32_t module_count;
	char (*rules)[PATH_BYTES]; /* "/package/rule", as paths of data */
	uint32_t rule_count;
	const char *data;
	size_t data_bytes;
};

/* A step into an object: what to do with the value of `key`. The reader stands before the value. */
struct visit {
	const char *key;
	int (*value)(struct rg_json_reader *reader, void *context, struct rg_error *err);
};

static int malformed(const struct rg_json_reader *reader, const char *what, struct rg_error *err)
{
	return rg_error_set(err, RG_EINVAL, "OPA's answer: %s",
			    reader->error.status ? reader->error.text : what);
}

static int skip(struct rg_json_reader *reader, struct rg_error *err)
{
	if (rg_json_next(reader) == RG_JSON_ERROR || rg_json_skip(reader))
		return malformed(reader, "malformed", err);
	return RG_OK;
}

/* Visit the keys of the object that is next; others are skipped. */
static int visit_object(struct rg_json_reader *reader, const struct visit *visits, void *context,
			struct rg_error *err)
{
	int rc = RG_OK;

	if (rg_json_next(reader) != RG_JSON_OBJECT_BEGIN)
		return malformed(reader, "an object was expected", err);
	while (!rc && rg_json_next(reader) == RG_JSON_KEY) {
		const struct visit *visit = visits;

		while (visit->key && !rg_json_equals(reader, visit->key))
			visit++;
		rc = visit->key ? visit->value(reader, context, err) : skip(reader, err);
	}
	if (!rc && reader->error.status)
		rc = malformed(reader, "", err);
	return rc;
}

static char *decode(const struct rg_json_reader *reader, size_t *bytes)
{
	char *text = malloc(reader->text_bytes * 3 + 1);

	if (!text)
		return NULL;
	*bytes = rg_json_decode(reader, text);
	text[*bytes] = '\0';
	return text;
}

/* ---- the syntax tree: which rules a module has ---- */

struct tree {
	struct answer *answer;
	char package[PATH_BYTES];
	char rule[256];
};

/* Append "/name", with what a path cannot hold as %XX. */
static bool append_part(char *path, const char *name)
{
	size_t used = strlen(path);

	if (used + 1 + 3 * strlen(name) >= PATH_BYTES)
		return false;
	path[used++] = '/';
	for (; *name; name++) {
		if (*name == '/' || *name == '%')
			used += (size_t)sprintf(path + used, "%%%02x", (unsigned char)*name);
		else
			path[used++] = *name;
	}
	path[used] = '\0';
	return true;
}

static int take_term_value(struct rg_json_reader *reader, void *context, struct rg_error *err)
{
	char *name = context;
	enum rg_json_token token = rg_json_next(reader);

	if (token == RG_JSON_STRING && reader->text_bytes * 3 < 256)
		name[rg_json_decode(reader, name)] = '\0';
	else if (token == RG_JSON_ERROR || rg_json_skip(reader))
		return malformed(reader, "malformed", err);
	return RG_OK;
}

static const struct visit term_visits[] = {{"value", take_term_value}, {0}};

/* A reference: "data" and the parts of the package. */
static int take_package_path(struct rg_json_reader *reader, void *context, struct rg_error *err)
{
	struct tree *tree = context;
	int rc = RG_OK;

	if (rg_json_next(reader) != RG_JSON_ARRAY_BEGIN)
		return malformed(reader, "a package's path is no array", err);
	tree->package[0] = '\0';
	for (uint32_t i = 0; !rc; i++) {
		struct rg_json_reader before = *reader;
		char name[256] = "";

		if (rg_json_next(reader) == RG_JSON_ARRAY_END)
			return RG_OK;
		*reader = before;
		rc = visit_object(reader, term_visits, name, err);
		if (!rc && i && !append_part(tree->package, name))
			rc = malformed(reader, "a package's path is too long", err);
	}
	return rc;
}

static int take_package(struct rg_json_reader *reader, void *context, struct rg_error *err)
{
	static const struct visit visits[] = {{"path", take_package_path}, {0}};

	return visit_object(reader, visits, context, err);
}

/* A rule's reference: its first part is its name under the package. */
static int take_rule_reference(struct rg_json_reader *reader, void *context, struct rg_error *err)
{
	struct tree *tree = context;
	int rc;

	if (rg_json_next(reader) != RG_JSON_ARRAY_BEGIN)
		return malformed(reader, "a rule's reference is no array", err);
	rc = visit_object(reader, term_visits, tree->rule, err);
	while (!rc) {
		enum rg_json_token token = rg_json_next(reader);

		if (token == RG_JSON_ARRAY_END)
			return RG_OK;
		if (token == RG_JSON_ERROR || rg_json_skip(reader))
			rc = malformed(reader, "malformed", err);
	}
	return rc;
}

static int take_rule_name(struct rg_json_reader *reader, void *context, struct rg_error *err)
{
	struct tree *tree = context;

	return take_term_value(reader, tree->rule, err);
}

static int take_rule_head(struct rg_json_reader *reader, void *context, struct rg_error *err)
{
	static const struct visit visits[] = {
		{"ref", take_rule_reference}, {"name", take_rule_name}, {0}};
	struct tree *tree = context;
	struct answer *answer = tree->answer;
	char(*grown)[PATH_BYTES];
	int rc;

	tree->rule[0] = '\0';
	rc = visit_object(reader, visits, tree, err);
	if (rc || !tree->rule[0])
		return rc;
	grown = reallocarray(answer->rules, answer->rule_count + 1, sizeof(*grown));
	if (!grown)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	answer->rules = grown;
	strcpy(grown[answer->rule_count], tree->package);
	if (!append_part(grown[answer->rule_count], tree->rule))
		return malformed(reader, "a rule's path is too long", err);
	answer->rule_count++;
	return RG_OK;
}

static int take_rules(struct rg_json_reader *reader, void *context, struct rg_error *err)
{
	static const struct visit visits[] = {{"head", take_rule_head}, {0}};
	int rc = RG_OK;

	if (rg_json_next(reader) != RG_JSON_ARRAY_BEGIN)
		return reader->error.status ? malformed(reader, "", err) : RG_OK; /* null */
	while (!rc) {
		struct rg_json_reader before = *reader;

		if (rg_json_next(reader) == RG_JSON_ARRAY_END)
			return RG_OK;
		*reader = before;
		rc = visit_object(reader, visits, context, err);
	}
	return rc;
}

/* The package stands behind the rules in some answers: two passes. */
static int take_tree(struct rg_json_reader *reader, void *context, struct rg_error *err)
{
	static const struct visit packages[] = {{"package", take_package}, {0}};
	static const struct visit rules[] = {{"rules", take_rules}, {0}};
	struct tree tree = {.answer = context};
	struct rg_json_reader again = *reader;
	int rc = visit_object(reader, packages, &tree, err);

	return rc ? rc : visit_object(&again, rules, &tree, err);
}

/* ---- the answers ---- */

static int take_id(struct rg_json_reader *reader, void *context, struct rg_error *err)
{
	struct answer *answer = context;
	struct module *module = &answer->modules[answer->module_count - 1];
	size_t bytes;

	if (rg_json_next(reader) != RG_JSON_STRING)
		return malformed(reader, "a policy's id is no string", err);
	free(module->id);
	module->id = decode(reader, &bytes);
	return module->id ? RG_OK : rg_error_set(err, RG_ENOMEM, "out of memory");
}

static int take_raw(struct rg_json_reader *reader, void *context, struct rg_error *err)
{
	struct answer *answer = context;
	struct module *module = &answer->modules[answer->module_count - 1];

	if (rg_json_next(reader) != RG_JSON_STRING)
		return malformed(reader, "a policy's text is no string", err);
	free(module->text);
	module->text = decode(reader, &module->text_bytes);
	return module->text ? RG_OK : rg_error_set(err, RG_ENOMEM, "out of memory");
}

static int take_modules(struct rg_json_reader *reader, void *context, struct rg_error *err)
{
	static const struct visit visits[] = {
		{"id", take_id}, {"raw", take_raw}, {"ast", take_tree}, {0}};
	struct answer *answer = context;
	int rc = RG_OK;

	if (rg_json_next(reader) != RG_JSON_ARRAY_BEGIN)
		return malformed(reader, "the policies are no array", err);
	while (!rc) {
		struct rg_json_reader before = *reader;
		struct module *grown;

		if (rg_json_next(reader) == RG_JSON_ARRAY_END)
			return RG_OK;
		*reader = before;
		grown = reallocarray(answer->modules, answer->module_count + 1, sizeof(*grown));
		if (!grown)
			return rg_error_set(err, RG_ENOMEM, "out of memory");
		answer->modules = grown;
		memset(&grown[answer->module_count++], 0, sizeof(*grown));
		rc = visit_object(reader, visits, answer, err);
	}
	return rc;
}

static int take_policies(struct rg_json_reader *reader, void *context, struct rg_error *err)
{
	static const struct visit visits[] = {{"result", take_modules}, {0}};

	return visit_object(reader, visits, context, err);
}

static int take_documents(struct rg_json_reader *reader, void *context, struct rg_error *err)
{
	struct answer *answer = context;

	if (rg_json_next(reader) != RG_JSON_OBJECT_BEGIN)
		return malformed(reader, "data is no object", err);
	answer->data = reader->token_at;
	if (rg_json_skip(reader))
		return malformed(reader, "malformed", err);
	answer->data_bytes = (size_t)(reader->at - answer->data);
	return RG_OK;
}

static int take_data(struct rg_json_reader *reader, void *context, struct rg_error *err)
{
	static const struct visit visits[] = {{"result", take_documents}, {0}};

	return visit_object(reader, visits, context, err);
}

/* ---- files ---- */

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct module *)a)->id, ((const struct module *)b)->id);
}

static int add_modules(struct rg_member_list *list, struct answer *answer, struct rg_error *err)
{
	int rc = RG_OK;

	for (uint32_t i = 0; i < answer->module_count; i++) {
		if (!answer->modules[i].id || !answer->modules[i].text)
			return rg_error_set(err, RG_EINVAL,
					    "OPA's answer: a policy has no id or no text");
	}
	if (answer->module_count)
		qsort(answer->modules, answer->module_count, sizeof(answer->modules[0]), by_id);
	for (uint32_t i = 0; !rc && i < answer->module_count; i++) {
		struct module *module = &answer->modules[i];
		char name[32];

		snprintf(name, sizeof(name), "policy-%u.rego", i);
		rc = rg_member_list_add(list, name, module->text, module->text_bytes, err);
		module->text = NULL;
	}
	return rc;
}

static int add_documents(struct rg_member_list *list, const struct answer *answer,
			 struct rg_error *err)
{
	struct rg_data_tree *tree;
	struct rg_json_writer writer;
	int rc;

	if (!answer->data)
		return RG_OK;
	tree = rg_data_tree_new();
	if (!tree)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	rc = rg_data_tree_merge(tree, "data.json", answer->data, answer->data_bytes, err);
	for (uint32_t i = 0; !rc && i < answer->rule_count; i++) {
		rc = rg_data_tree_patch(tree, RG_DATA_REMOVE, answer->rules[i], NULL, 0, err);
		if (rc == RG_ENOENT) /* undefined, or a function */
			rc = RG_OK;
	}
	rg_json_writer_init(&writer, false);
	if (!rc)
		rg_data_tree_write(tree, &writer);
	rg_data_tree_free(tree);
	if (!rc && writer.failed)
		rc = rg_error_set(err, RG_ENOMEM, "out of memory");
	if (rc) {
		rg_json_writer_free(&writer);
		return rc;
	}
	return rg_member_list_add(list, "data.json", writer.text, writer.bytes, err);
}

static void free_answer(struct answer *answer)
{
	for (uint32_t i = 0; i < answer->module_count; i++) {
		free(answer->modules[i].id);
		free(answer->modules[i].text);
	}
	free(answer->modules);
	free(answer->rules);
}

int rg_opa_answer_read(struct rg_member_list *list, const char *path, struct rg_error *err)
{
	static const struct visit visits[] = {
		{"policies", take_policies}, {"data", take_data}, {0}};
	struct answer answer = {0};
	struct rg_json_reader reader;
	char *text;
	size_t bytes;
	int rc = rg_member_read_file(AT_FDCWD, path, list->limits.total_bytes_max, &text, &bytes,
				     err);

	if (rc)
		return rc;
	rg_json_reader_init(&reader, text, bytes);
	rc = visit_object(&reader, visits, &answer, err);
	if (!rc)
		rc = add_modules(list, &answer, err);
	if (!rc)
		rc = add_documents(list, &answer, err);
	free_answer(&answer);
	free(text);
	return rc;
}
