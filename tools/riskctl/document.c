/* SPDX-License-Identifier: Apache-2.0 */
/* Looking things up in a JSON document. */
#include <stdio.h>
#include <string.h>

#include "policy/eval/number.h"
#include "tools/riskctl/document.h"
#include "tools/riskctl/format.h"

#define DOCUMENT_BYTES (4ull << 30) /* of address space; touched only as used */

int rg_document_parse(struct rg_document *document, const char *json, size_t bytes,
		      struct rg_error *err)
{
	int status = rg_heap_new(&document->heap, DOCUMENT_BYTES, err);

	if (status)
		return status;
	status = rg_value_parse(&document->heap, json, bytes, &document->root, err);
	if (status)
		rg_heap_free(&document->heap);
	return status;
}

void rg_document_free(struct rg_document *document)
{
	rg_heap_free(&document->heap);
}

struct rg_value rg_document_get(struct rg_document *document, struct rg_value from,
				const char *path)
{
	while (*path) {
		size_t bytes = strcspn(path, ".");

		if (from.type != RG_OBJECT)
			return rg_undefined;
		from = rg_object_get_text(&document->heap, from, path, bytes);
		path += bytes + (path[bytes] == '.');
	}
	return from;
}

const char *rg_document_text(struct rg_document *document, struct rg_value from, const char *path)
{
	struct rg_value value = rg_document_get(document, from, path);
	struct rg_value copy;
	char *text;

	if (!rg_is_defined(value) || value.type == RG_NULL)
		return "-";
	if (value.type != RG_STRING)
		value = rg_value_json(&document->heap, value);
	copy = rg_is_defined(value) ? rg_string_alloc(&document->heap, value.length + 1, &text)
				    : rg_undefined;
	if (!rg_is_defined(copy))
		return "(no memory)";
	memcpy(text, rg_text(&document->heap, value), value.length);
	text[value.length] = '\0';
	return text;
}

int64_t rg_document_number(struct rg_document *document, struct rg_value from, const char *path,
			   int64_t fallback)
{
	struct rg_value value = rg_document_get(document, from, path);
	int64_t number;

	return value.type == RG_NUMBER && rg_number_to_int64(&document->heap, value, &number)
		       ? number
		       : fallback;
}

uint32_t rg_document_count(struct rg_document *document, struct rg_value from, const char *path)
{
	struct rg_value value = rg_document_get(document, from, path);

	return value.type == RG_ARRAY ? rg_count(&document->heap, value) : 0;
}

struct rg_value rg_document_element(struct rg_document *document, struct rg_value from,
				    const char *path, uint32_t index)
{
	return rg_array_at(&document->heap, rg_document_get(document, from, path), index);
}

#define NAME_COLUMNS 16

static bool ends_with(const char *name, const char *ending)
{
	size_t name_bytes = strlen(name), ending_bytes = strlen(ending);

	return name_bytes > ending_bytes && strcmp(name + name_bytes - ending_bytes, ending) == 0;
}

/* A scalar as people read it: a unix time in ns is above any duration worth printing. */
static const char *readable(struct rg_document *document, const char *name, struct rg_value value,
			    char *text)
{
	int64_t number = rg_document_number(document, value, "", -1);

	if (number >= 0 && ends_with(name, "_ns"))
		return number > 100000000000000000 ? rg_format_time(text, (uint64_t)number)
						   : rg_format_duration(text, (uint64_t)number);
	if (number >= 0 && ends_with(name, "_bytes"))
		return rg_format_bytes(text, (uint64_t)number);
	return rg_document_text(document, value, "");
}

static void print_member(struct rg_document *document, const char *name, struct rg_value value,
			 unsigned indent)
{
	uint32_t count = value.type == RG_ARRAY || value.type == RG_OBJECT
				 ? rg_count(&document->heap, value)
				 : 0;

	if (value.type == RG_OBJECT && count) {
		printf("%*s%s\n", (int)indent, "", name);
		rg_document_print(document, value, indent + 2, "");
	} else if (value.type == RG_ARRAY && count &&
		   rg_array_at(&document->heap, value, 0).type == RG_OBJECT) {
		for (uint32_t i = 0; i < count; i++) {
			printf("%*s%s %u\n", (int)indent, "", name, i);
			rg_document_print(document, rg_array_at(&document->heap, value, i),
					  indent + 2, "");
		}
	} else {
		int width = NAME_COLUMNS + 2 - (int)(indent % NAME_COLUMNS);
		char text[RG_FORMAT_BYTES];

		printf("%*s%-*s ", (int)indent, "", width, name);
		rg_format_print_broken(readable(document, name, value, text),
				       indent + (unsigned)width + 1);
	}
}

void rg_document_print(struct rg_document *document, struct rg_value object, unsigned indent,
		       const char *leave_out)
{
	for (uint32_t i = 0; object.type == RG_OBJECT && i < rg_count(&document->heap, object);
	     i++) {
		struct rg_pair pair = rg_object_at(&document->heap, object, i);
		const char *name = rg_document_text(document, pair.key, "");

		if (strcmp(name, leave_out) != 0)
			print_member(document, name, pair.value, indent);
	}
}
