/* SPDX-License-Identifier: Apache-2.0 */
#include "config/section.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX    256
#define PLACE_BYTES    512
#define NAME_BYTES_MAX 128

static int bad(const struct rg_section *section, const yaml_node_t *node, const char *what,
	       struct rg_error *err)
{
	return rg_error_set(err, RG_EINVAL, "%s: %s (line %zu, column %zu)", section->place, what,
			    node->start_mark.line + 1, node->start_mark.column + 1);
}

static int out_of_memory(const struct rg_section *section, struct rg_error *err)
{
	return rg_error_set(err, RG_ENOMEM, "%s: out of memory", section->place);
}

/* ---- texts ---- */

/* The variable's name in "${NAME}" at `at`; NULL: there is none. */
static const char *variable_at(const char *at, size_t *bytes)
{
	const char *end;

	if (at[0] != '$' || at[1] != '{')
		return NULL;
	end = strchr(at, '}');
	if (!end || end == at + 2)
		return NULL;
	*bytes = (size_t)(end - at) - 2;
	return at + 2;
}

static int substitute(const struct rg_section *section, const yaml_node_t *node, FILE *out,
		      struct rg_error *err)
{
	for (const char *at = (const char *)node->data.scalar.value; *at;) {
		char name[NAME_BYTES_MAX], what[NAME_BYTES_MAX + 64];
		const char *variable, *value;
		size_t bytes;

		variable = variable_at(at, &bytes);
		if (!variable) {
			fputc(*at++, out);
			continue;
		}
		if (bytes >= sizeof(name))
			return bad(section, node, "the name of the variable is too long", err);
		memcpy(name, variable, bytes);
		name[bytes] = '\0';
		value = getenv(name);
		if (!value) {
			snprintf(what, sizeof(what), "the environment has no variable %s", name);
			if (!section->unset)
				return bad(section, node, what, err);
			if (!section->unset->status)
				bad(section, node, what, section->unset);
		}
		if (value)
			fputs(value, out);
		else
			fprintf(out, "${%s}", name);
		at = variable + bytes + 1;
	}
	return RG_OK;
}

static int read_text(const struct rg_section *section, char **text, struct rg_error *err)
{
	size_t bytes;
	FILE *out;
	int rc;

	if (section->node->type != YAML_SCALAR_NODE)
		return bad(section, section->node, "must be a text, not a list or mapping", err);
	free(*text);
	*text = NULL;
	out = open_memstream(text, &bytes);
	if (!out)
		return out_of_memory(section, err);
	rc = substitute(section, section->node, out, err);
	if (fclose(out) && !rc)
		rc = out_of_memory(section, err);
	return rc;
}

/* ---- numbers ---- */

static int read_number(const struct rg_section *section, const struct rg_section_field *field,
		       uint64_t *number, struct rg_error *err)
{
	bool seconds = field->kind == RG_SECTION_SECONDS;
	char *text = NULL, *end, what[160];
	double value;
	int rc = read_text(section, &text, err);

	if (rc) {
		free(text);
		return rc;
	}
	errno = 0;
	value = strtod(text, &end) * (seconds ? 1000 : 1);
	if (!isdigit((unsigned char)text[0]) || errno || *end || !(value <= 9e15) ||
	    (!seconds && value != floor(value)))
		snprintf(what, sizeof(what), "\"%.40s\" is not %s", text,
			 seconds ? "a number of seconds" : "an unsigned integer");
	else if (value < (double)field->low || value > (double)field->high)
		snprintf(what, sizeof(what), "%.40s is not from %.15g to %.15g", text,
			 (double)field->low / (seconds ? 1000 : 1),
			 (double)field->high / (seconds ? 1000 : 1));
	else
		what[0] = '\0';
	free(text);
	*number = what[0] ? 0 : (uint64_t)value;
	return what[0] ? bad(section, section->node, what, err) : RG_OK;
}

static int read_bool(const struct rg_section *section, bool *flag, struct rg_error *err)
{
	const char *text = section->node->type == YAML_SCALAR_NODE
				   ? (const char *)section->node->data.scalar.value
				   : "";

	*flag = !strcmp(text, "true");
	if (!*flag && strcmp(text, "false"))
		return bad(section, section->node, "must be true or false", err);
	return RG_OK;
}

/* ---- lists ---- */

static int read_texts(const struct rg_section *section, char ***texts, uint32_t *count,
		      struct rg_error *err)
{
	yaml_node_t *list = section->node;
	size_t n;
	int rc = RG_OK;

	if (list->type != YAML_SEQUENCE_NODE)
		return bad(section, list, "must be a list", err);
	n = (size_t)(list->data.sequence.items.top - list->data.sequence.items.start);
	*texts = calloc(n + 1, sizeof(**texts));
	if (!*texts)
		return out_of_memory(section, err);
	for (size_t i = 0; !rc && i < n; i++) {
		struct rg_section item = *section;

		item.node = yaml_document_get_node(section->document,
						   list->data.sequence.items.start[i]);
		rc = read_text(&item, &(*texts)[i], err);
		*count = (uint32_t)(i + 1);
	}
	return rc;
}

/* ---- mappings ---- */

/* A pair of a mapping: its name, and its value as a section of its own. */
struct pair {
	yaml_node_t *key;
	const char *name;
	char place[PLACE_BYTES];
	struct rg_section value;
};

static int open_pair(const struct rg_section *section, const yaml_node_pair_t *at,
		     struct pair *pair, struct rg_error *err)
{
	pair->key = yaml_document_get_node(section->document, at->key);
	if (pair->key->type != YAML_SCALAR_NODE || !pair->key->data.scalar.length ||
	    pair->key->data.scalar.length > NAME_BYTES_MAX)
		return bad(section, pair->key, "a key must be a text of 1 to 128 bytes", err);
	pair->name = (const char *)pair->key->data.scalar.value;
	snprintf(pair->place, sizeof(pair->place), "%s.%s", section->place, pair->name);
	pair->value = (struct rg_section){section->document,
					  yaml_document_get_node(section->document, at->value),
					  pair->place, section->unset};
	return RG_OK;
}

int rg_section_read_pairs(const struct rg_section *section, struct rg_config_pair **pairs,
			  uint32_t *count, struct rg_error *err)
{
	yaml_node_t *node = section->node;
	const yaml_node_pair_t *at;
	int rc = RG_OK;

	*count = 0;
	if (!node)
		return RG_OK;
	if (node->type != YAML_MAPPING_NODE)
		return bad(section, node, "must be a mapping", err);
	at = node->data.mapping.pairs.start;
	*pairs = calloc((size_t)(node->data.mapping.pairs.top - at) + 1, sizeof(**pairs));
	if (!*pairs)
		return out_of_memory(section, err);
	for (; !rc && at < node->data.mapping.pairs.top; at++) {
		struct rg_config_pair *made = &(*pairs)[*count];
		struct pair pair;

		rc = open_pair(section, at, &pair, err);
		if (rc)
			break;
		(*count)++;
		made->name = strdup(pair.name);
		rc = made->name ? read_text(&pair.value, &made->value, err)
				: out_of_memory(section, err);
	}
	return rc;
}

static int read_field(const struct rg_section *value, const struct rg_section_field *field,
		      void *out, struct rg_error *err)
{
	char *member = (char *)out + field->offset;
	uint32_t *count = (uint32_t *)((char *)out + field->count_offset);

	switch (field->kind) {
	case RG_SECTION_TEXT: return read_text(value, (char **)member, err);
	case RG_SECTION_UINT:
	case RG_SECTION_SECONDS: return read_number(value, field, (uint64_t *)member, err);
	case RG_SECTION_BOOL: return read_bool(value, (bool *)member, err);
	case RG_SECTION_TEXTS: return read_texts(value, (char ***)member, count, err);
	case RG_SECTION_PAIRS:
		return rg_section_read_pairs(value, (struct rg_config_pair **)member, count, err);
	case RG_SECTION_MAPPING: break;
	}
	return RG_OK;
}

static int set_initial(const struct rg_section_field *fields, void *out)
{
	int rc = RG_OK;

	for (; !rc && fields->key; fields++) {
		char *member = (char *)out + fields->offset;

		if (fields->kind == RG_SECTION_MAPPING)
			rc = set_initial(fields->fields, out);
		else if (fields->kind == RG_SECTION_UINT || fields->kind == RG_SECTION_SECONDS)
			*(uint64_t *)member = fields->initial;
		else if (fields->kind == RG_SECTION_BOOL)
			*(bool *)member = fields->initial != 0;
		else if (fields->kind == RG_SECTION_TEXT && fields->text) {
			*(char **)member = strdup(fields->text);
			rc = *(char **)member ? RG_OK : RG_ENOMEM;
		}
	}
	return rc;
}

static int read_keys(const struct rg_section *section, const struct rg_section_field *fields,
		     void *out, struct rg_error *err)
{
	yaml_node_t *node = section->node;
	int rc = RG_OK;

	if (node->type != YAML_MAPPING_NODE)
		return bad(section, node, "must be a mapping", err);
	for (const yaml_node_pair_t *at = node->data.mapping.pairs.start;
	     !rc && at < node->data.mapping.pairs.top; at++) {
		const struct rg_section_field *field = fields;
		struct pair pair;

		rc = open_pair(section, at, &pair, err);
		if (rc)
			return rc;
		while (field->key && strcmp(field->key, pair.name))
			field++;
		if (!field->key)
			return rg_error_set(err, RG_EINVAL,
					    "unknown key: %s in %s (line %zu, column %zu); "
					    "config/riskgate.yaml lists every key",
					    pair.name, section->place,
					    pair.key->start_mark.line + 1,
					    pair.key->start_mark.column + 1);
		rc = field->kind == RG_SECTION_MAPPING
			     ? read_keys(&pair.value, field->fields, out, err)
			     : read_field(&pair.value, field, out, err);
	}
	return rc;
}

int rg_section_read(const struct rg_section *section, const struct rg_section_field *fields,
		    void *out, struct rg_error *err)
{
	if (set_initial(fields, out))
		return out_of_memory(section, err);
	return section->node ? read_keys(section, fields, out, err) : RG_OK;
}

/* ---- maps ---- */

/* The names must differ. `entries` is an array of structs whose first member is the name. */
static int check_name(const struct rg_section *section, const yaml_node_t *node, char *entries,
		      size_t entry_bytes, uint32_t count, struct rg_error *err)
{
	const char *name = *(char **)(entries + count * entry_bytes);
	char what[NAME_BYTES_MAX + 64];

	if (!name || !*name)
		return bad(section, node, "an entry of the list has no key \"name\"", err);
	for (uint32_t i = 0; i < count; i++) {
		if (!strcmp(*(char **)(entries + i * entry_bytes), name)) {
			snprintf(what, sizeof(what), "\"%.128s\" is there twice", name);
			return bad(section, node, what, err);
		}
	}
	return RG_OK;
}

static int read_named(const struct rg_section *section, const struct rg_section_field *fields,
		      size_t entry_bytes, char *entries, uint32_t *count, struct rg_error *err)
{
	yaml_node_t *node = section->node;
	int rc = RG_OK;

	for (const yaml_node_pair_t *at = node->data.mapping.pairs.start;
	     !rc && at < node->data.mapping.pairs.top; at++) {
		char *entry = entries + *count * entry_bytes;
		struct pair pair;

		rc = open_pair(section, at, &pair, err);
		if (rc)
			break;
		*(char **)entry = strdup(pair.name);
		if (!*(char **)entry)
			return out_of_memory(section, err);
		rc = check_name(section, pair.key, entries, entry_bytes, (*count)++, err);
		if (!rc)
			rc = rg_section_read(&pair.value, fields, entry, err);
	}
	return rc;
}

static int read_listed(const struct rg_section *section, const struct rg_section_field *fields,
		       size_t entry_bytes, char *entries, uint32_t *count, struct rg_error *err)
{
	const struct rg_section_field name_field = {"name", RG_SECTION_TEXT};
	yaml_node_t *list = section->node;
	struct rg_section_field *with_name;
	size_t n = 0;
	int rc = RG_OK;

	while (fields[n].key)
		n++;
	with_name = calloc(n + 2, sizeof(*with_name));
	if (!with_name)
		return out_of_memory(section, err);
	memcpy(with_name + 1, fields, n * sizeof(*fields));
	with_name[0] = name_field;
	for (yaml_node_item_t *item = list->data.sequence.items.start;
	     !rc && item < list->data.sequence.items.top; item++) {
		struct rg_section entry = *section;

		entry.node = yaml_document_get_node(section->document, *item);
		rc = rg_section_read(&entry, with_name, entries + *count * entry_bytes, err);
		(*count)++;
		if (!rc)
			rc = check_name(section, entry.node, entries, entry_bytes, *count - 1, err);
	}
	free(with_name);
	return rc;
}

int rg_section_read_map(const struct rg_section *section, const struct rg_section_field *fields,
			size_t entry_bytes, void **entries, uint32_t *count, struct rg_error *err)
{
	yaml_node_t *node = section->node;
	size_t n;

	*count = 0;
	if (!node || (node->type == YAML_SCALAR_NODE && !node->data.scalar.length))
		return RG_OK;
	if (node->type == YAML_MAPPING_NODE)
		n = (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
	else if (node->type == YAML_SEQUENCE_NODE)
		n = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
	else
		return bad(section, node, "must be a mapping of names", err);
	if (n > ENTRIES_MAX)
		return bad(section, node, "has more than 256 entries", err);
	*entries = calloc(n + 1, entry_bytes);
	if (!*entries)
		return out_of_memory(section, err);
	return node->type == YAML_MAPPING_NODE
		       ? read_named(section, fields, entry_bytes, *entries, count, err)
		       : read_listed(section, fields, entry_bytes, *entries, count, err);
}

/* ---- freeing ---- */

void rg_section_free_pairs(struct rg_config_pair *pairs, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		free(pairs[i].name);
		free(pairs[i].value);
	}
	free(pairs);
}

static void free_texts(char **texts, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		free(texts[i]);
	free(texts);
}

void rg_section_free(const struct rg_section_field *fields, void *out)
{
	for (; fields->key; fields++) {
		char *member = (char *)out + fields->offset;
		uint32_t *count = (uint32_t *)((char *)out + fields->count_offset);

		if (fields->kind == RG_SECTION_MAPPING)
			rg_section_free(fields->fields, out);
		else if (fields->kind == RG_SECTION_TEXT)
			free(*(char **)member);
		else if (fields->kind == RG_SECTION_TEXTS)
			free_texts(*(char ***)member, *count);
		else if (fields->kind == RG_SECTION_PAIRS)
			rg_section_free_pairs(*(struct rg_config_pair **)member, *count);
	}
}

void rg_section_free_map(const struct rg_section_field *fields, size_t entry_bytes, void *entries,
			 uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		char *entry = (char *)entries + i * entry_bytes;

		rg_section_free(fields, entry);
		free(*(char **)entry);
	}
	free(entries);
}
