/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/compile/reasons.h"

#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"

/* The slot of a name, or the free one where it belongs. There are slots. */
static uint32_t *slot_of(const struct rg_reason_list *list, const char *name, size_t bytes)
{
	uint32_t mask = 2 * list->capacity - 1, at = rg_crc32c(0, name, bytes) & mask;

	for (; list->slots[at]; at = (at + 1) & mask) {
		const char *known = list->names[list->slots[at] - 1];

		if (strlen(known) == bytes && !memcmp(known, name, bytes))
			break;
	}
	return &list->slots[at];
}

static bool grow(struct rg_reason_list *list)
{
	uint32_t capacity = list->capacity ? 2 * list->capacity : 16; /* a power of two */
	uint32_t *slots = calloc((size_t)capacity * 2, sizeof(*slots));
	char **names = realloc(list->names, capacity * sizeof(*names));

	if (names)
		list->names = names;
	if (!names || !slots) {
		free(slots);
		return false;
	}
	free(list->slots);
	list->slots = slots;
	list->capacity = capacity;
	for (uint32_t i = 0; i < list->count; i++)
		*slot_of(list, names[i], strlen(names[i])) = i + 1;
	return true;
}

bool rg_reason_list_append(struct rg_reason_list *list, const char *name, size_t bytes)
{
	char *copy;

	if (list->count == list->capacity && !grow(list))
		return false;
	copy = malloc(bytes + 1);
	if (!copy)
		return false;
	memcpy(copy, name, bytes);
	copy[bytes] = '\0';
	list->names[list->count++] = copy;
	*slot_of(list, copy, bytes) = list->count;
	return true;
}

uint16_t rg_reason_list_add(struct rg_reason_list *list, const char *name, size_t bytes)
{
	uint32_t known = list->count ? *slot_of(list, name, bytes) : 0;

	if (known)
		return (uint16_t)known;
	if (list->count + 1 >= RG_REASON_OTHER || !rg_reason_list_append(list, name, bytes))
		return 0;
	return (uint16_t)list->count;
}

void rg_reason_list_free(struct rg_reason_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		free(list->names[i]);
	free(list->names);
	free(list->slots);
	*list = (struct rg_reason_list){0};
}
