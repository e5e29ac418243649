/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/compile/reasons.h"

#include <stdlib.h>
#include <string.h>

bool rg_reason_list_append(struct rg_reason_list *list, const char *name, size_t bytes)
{
	char *copy;

	if (list->count == list->capacity) {
		uint32_t capacity = list->capacity ? 2 * list->capacity : 16;
		char **grown = realloc(list->names, capacity * sizeof(*grown));

		if (!grown)
			return false;
		list->names = grown;
		list->capacity = capacity;
	}
	copy = malloc(bytes + 1);
	if (!copy)
		return false;
	memcpy(copy, name, bytes);
	copy[bytes] = '\0';
	list->names[list->count++] = copy;
	return true;
}

uint16_t rg_reason_list_add(struct rg_reason_list *list, const char *name, size_t bytes)
{
	for (uint32_t i = 0; i < list->count; i++) {
		if (strlen(list->names[i]) == bytes && !memcmp(list->names[i], name, bytes))
			return (uint16_t)(i + 1);
	}
	if (list->count + 1 >= RG_REASON_OTHER || !rg_reason_list_append(list, name, bytes))
		return 0;
	return (uint16_t)list->count;
}

void rg_reason_list_free(struct rg_reason_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		free(list->names[i]);
	free(list->names);
	*list = (struct rg_reason_list){0};
}
