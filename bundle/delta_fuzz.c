/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a patch.json on a small document: refused, or what comes out can be read and is
 * under the roots. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/delta.h"

#define BASE                                                                                       \
	"{\"p\":{\"a\":{\"x\":1,\"y\":[1,{\"k\":[2,3]},\"s\"]},\"e\\u00e9\":null},\"q\":{\"z\":0}" \
	"}"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_written(const struct rg_data_tree *tree)
{
	struct rg_json_writer writer;
	struct rg_json_reader reader;
	enum rg_json_token token;

	rg_json_writer_init(&writer, false);
	rg_data_tree_write(tree, &writer);
	rg_json_reader_init(&reader, writer.text, writer.bytes);
	while ((token = rg_json_next(&reader)) != RG_JSON_END) {
		/* values nest as deep as a patch puts them into each other */
		if (token == RG_JSON_ERROR && !strstr(reader.error.text, "nest"))
			abort();
		if (token == RG_JSON_ERROR)
			break;
	}
	rg_json_writer_free(&writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char root[] = "p", *roots[] = {root}, root_of_base[] = "q", *all[] = {root, root_of_base};
	struct rg_data_tree *tree = rg_data_tree_new();
	struct rg_member_list list;
	char *copy = malloc(size + 1);
	struct rg_error err;
	bool is_delta;

	if (!tree || !copy)
		abort();
	if (size)
		memcpy(copy, data, size);
	rg_member_list_init(&list, NULL);
	if (rg_data_tree_merge(tree, "data.json", BASE, strlen(BASE), &err) ||
	    rg_member_list_add(&list, "patch.json", copy, size, &err))
		abort();
	if (!rg_delta_is(&list, &is_delta, &err) && is_delta &&
	    !rg_delta_apply(&list, roots, 1, tree, &err)) {
		if (rg_data_tree_check_roots(tree, all, 2, &err))
			abort();
		check_written(tree);
	}
	rg_data_tree_free(tree);
	rg_member_list_free(&list);
	return 0;
}
