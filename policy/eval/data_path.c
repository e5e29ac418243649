/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/eval/data_path.h"

#include "policy/eval/number.h"

struct rg_value rg_dot_number_text(struct rg_heap *heap, struct rg_value v, struct rg_value key)
{
	char text[32];
	size_t bytes;

	if (v.type != RG_OBJECT || key.type != RG_NUMBER || key.form != RG_NUMBER_INT)
		return rg_undefined;
	bytes = rg_number_text(heap, key, text, sizeof(text));
	return bytes <= sizeof(text) ? rg_object_get_text(heap, v, text, bytes) : rg_undefined;
}
