/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sections in OPA's own configuration format: `services`, `keys`, `bundles` and the like. Their
 * keys are free names (of a service, of a bundle), which libcyaml has no schema for, so these
 * sections are read from the parsed YAML by tables of fields.
 *
 * As in the rest of the file, an unknown key is an error with line and column. As in OPA, ${NAME}
 * in a value stands for the environment variable; unlike OPA, one that is not set is an error: an
 * empty token would be found out much later. Only a program that needs the values has the variables
 * (secrets are control's), so that error may be kept for it: see `unset`.
 *
 * Source: OPA's configuration reference. Thread-safety: functions are independent.
 */
#ifndef RG_CONFIG_SECTION_H
#define RG_CONFIG_SECTION_H

#include <stddef.h>
#include <stdint.h>
#include <yaml.h>

#include "base/error.h"

enum rg_section_kind {
	RG_SECTION_TEXT,    /* char * ; initially NULL, or the field's text */
	RG_SECTION_UINT,    /* uint64_t */
	RG_SECTION_SECONDS, /* uint64_t of milliseconds, written in seconds: 10 or 0.5 */
	RG_SECTION_BOOL,    /* bool */
	RG_SECTION_TEXTS,   /* char ** and uint32_t: a list of texts */
	RG_SECTION_PAIRS,   /* struct rg_config_pair * and uint32_t: a mapping of texts */
	RG_SECTION_MAPPING  /* keys of `fields`, whose members are in the same struct */
};

/* One key of a mapping. A table ends with a field without key. */
struct rg_section_field {
	const char *key;
	enum rg_section_kind kind;
	size_t offset, count_offset;
	const struct rg_section_field *fields;
	const char *text;	     /* TEXT: when the key is not there */
	uint64_t initial, low, high; /* UINT, SECONDS (ms), BOOL: when not there; the range */
};

struct rg_config_pair {
	char *name, *value;
};

/* Where a section is read from. */
struct rg_section {
	yaml_document_t *document;
	yaml_node_t *node; /* NULL: not in the file */
	const char *place; /* its path for errors: "services" */
	/* Where to note the first variable that is not set, its value staying as written; NULL: that
	 * is an error at once. */
	struct rg_error *unset;
};

/* Read a mapping into the struct at `out`, which is zeroed. All of out's texts are malloc'ed; on an
 * error they are to be freed as well. RG_EINVAL names place, line and column. */
int rg_section_read(const struct rg_section *section, const struct rg_section_field *fields,
		    void *out, struct rg_error *err);

/* Read a mapping of free names to structs of `entry_bytes` bytes, or (as OPA allows for services)
 * a list of structs that have the key "name". The name's char * is the first member of the struct.
 * *entries is malloc'ed. */
int rg_section_read_map(const struct rg_section *section, const struct rg_section_field *fields,
			size_t entry_bytes, void **entries, uint32_t *count, struct rg_error *err);

/* A mapping of texts, such as `labels`. */
int rg_section_read_pairs(const struct rg_section *section, struct rg_config_pair **pairs,
			  uint32_t *count, struct rg_error *err);

/* Free what reading made. */
void rg_section_free(const struct rg_section_field *fields, void *out);
void rg_section_free_map(const struct rg_section_field *fields, size_t entry_bytes, void *entries,
			 uint32_t count);
void rg_section_free_pairs(struct rg_config_pair *pairs, uint32_t count);

#endif
