/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints riskgate-capabilities.json: what riskgate can run, in the form of OPA's capabilities file,
 * made from the registry. With `opa build --capabilities riskgate-capabilities.json` a policy that
 * calls anything else is refused where it is written, with its line, instead of when it is pushed.
 */
#include <stdio.h>
#include <string.h>

#include "policy/builtin/builtin.h"

/* OPA knows these as functions, but compiles them away: no plan calls them. */
static const struct rg_builtin compiled_away[] = {
	{"assign", NULL, 2, RG_BUILTIN_INFIX, ":=",
	 "{\"args\":[{\"type\":\"any\"},{\"type\":\"any\"}],\"result\":{\"type\":\"boolean\"},"
	 "\"type\":\"function\"}"},
	{"eq", NULL, 2, RG_BUILTIN_INFIX, "=",
	 "{\"args\":[{\"type\":\"any\"},{\"type\":\"any\"}],\"result\":{\"type\":\"boolean\"},"
	 "\"type\":\"function\"}"},
	{"print", NULL, 0, RG_BUILTIN_VOID, NULL,
	 "{\"type\":\"function\",\"variadic\":{\"type\":\"any\"}}"},
	{"rego.metadata.chain", NULL, 0, 0, NULL,
	 "{\"result\":{\"dynamic\":{\"type\":\"any\"},\"type\":\"array\"},\"type\":\"function\"}"},
	{"rego.metadata.rule", NULL, 0, 0, NULL,
	 "{\"result\":{\"type\":\"any\"},\"type\":\"function\"}"},
};

static const char *const future_keywords[] = {"and", "not", "or"};
static const char *const features[] = {"keywords_in_refs", "rego_v1", "rego_v2", "rego_v2_import",
				       "template_strings"};

static void write_flag(struct rg_json_writer *writer, const struct rg_builtin *builtin, int flag,
		       const char *name)
{
	if (builtin->flags & flag) {
		rg_json_write_key(writer, name);
		rg_json_write_bool(writer, true);
	}
}

static void write_builtin(struct rg_json_writer *writer, const struct rg_builtin *builtin)
{
	rg_json_write_object_begin(writer);
	rg_json_write_key(writer, "name");
	rg_json_write_string(writer, builtin->name);
	rg_json_write_key(writer, "decl");
	rg_json_write_raw(writer, builtin->signature, strlen(builtin->signature));
	if (builtin->infix) {
		rg_json_write_key(writer, "infix");
		rg_json_write_string(writer, builtin->infix);
	}
	write_flag(writer, builtin, RG_BUILTIN_RELATION, "relation");
	write_flag(writer, builtin, RG_BUILTIN_DEPRECATED, "deprecated");
	write_flag(writer, builtin, RG_BUILTIN_NONDETERMINISTIC, "nondeterministic");
	rg_json_write_object_end(writer);
}

/* Both lists are sorted by name: merge them. */
static void write_builtins(struct rg_json_writer *writer)
{
	uint32_t count, i = 0, k = 0, extra = sizeof(compiled_away) / sizeof(*compiled_away);
	const struct rg_builtin *table = rg_builtin_table(&count);

	rg_json_write_array_begin(writer);
	while (i < count || k < extra) {
		bool own = k == extra ||
			   (i < count && strcmp(table[i].name, compiled_away[k].name) < 0);

		write_builtin(writer, own ? &table[i++] : &compiled_away[k++]);
	}
	rg_json_write_array_end(writer);
}

static void write_strings(struct rg_json_writer *writer, const char *key,
			  const char *const *strings, size_t count)
{
	rg_json_write_key(writer, key);
	rg_json_write_array_begin(writer);
	for (size_t i = 0; i < count; i++)
		rg_json_write_string(writer, strings[i]);
	rg_json_write_array_end(writer);
}

int main(void)
{
	struct rg_json_writer writer;
	bool failed;

	rg_json_writer_init(&writer, true);
	rg_json_write_object_begin(&writer);
	rg_json_write_key(&writer, "builtins");
	write_builtins(&writer);
	write_strings(&writer, "future_keywords", future_keywords,
		      sizeof(future_keywords) / sizeof(*future_keywords));
	write_strings(&writer, "features", features, sizeof(features) / sizeof(*features));
	write_strings(&writer, "allow_net", NULL, 0);
	rg_json_write_object_end(&writer);
	failed = writer.failed || fwrite(writer.text, 1, writer.bytes, stdout) != writer.bytes ||
		 putchar('\n') == EOF;
	rg_json_writer_free(&writer);
	if (failed)
		fprintf(stderr, "riskgate-capabilities: cannot write the list\n");
	return failed;
}
