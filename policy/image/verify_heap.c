/* SPDX-License-Identifier: Apache-2.0 */
/* Constants: values, texts, containers. The rules are those of eval/value.h and
 * eval/container.h. */
#include "policy/image/verify.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "policy/eval/container.h"

/* What begins at an 8-byte unit of the heap. */
enum seen {
	SEEN_TEXT = 1,	 /* valid UTF-8 of the length in front of it */
	SEEN_NUMBER = 2, /* and a JSON number */
	SEEN_ARRAY = 4,
	SEEN_OBJECT = 8,
	SEEN_SET = 16
};

static int fail(struct rg_verify *verify, uint64_t offset, const char *what)
{
	return rg_verify_fail(verify, "heap", offset, what);
}

/* bytes at offset are inside the heap, and not yet more than all of it is claimed. */
static bool claim(struct rg_verify *verify, uint64_t offset, uint64_t bytes)
{
	if (offset > verify->heap_bytes || bytes > verify->heap_bytes - offset ||
	    bytes > verify->heap_bytes - verify->looked_at)
		return false;
	verify->looked_at += bytes;
	return true;
}

/* ---- texts ---- */

static bool is_utf8(const uint8_t *at, uint64_t bytes)
{
	const uint8_t *end = at + bytes;

	while (at < end) {
		uint32_t follow, low = 0x80, high = 0xbf;

		if (*at < 0x80) {
			at++;
			continue;
		}
		if (*at < 0xc2 || *at > 0xf4)
			return false;
		follow = *at < 0xe0 ? 1 : *at < 0xf0 ? 2 : 3;
		if (*at == 0xe0)
			low = 0xa0;
		else if (*at == 0xed)
			high = 0x9f;
		else if (*at == 0xf0)
			low = 0x90;
		else if (*at == 0xf4)
			high = 0x8f;
		if ((uint64_t)(end - at) <= follow || at[1] < low || at[1] > high)
			return false;
		for (uint32_t i = 2; i <= follow; i++) {
			if ((at[i] & 0xc0) != 0x80)
				return false;
		}
		at += follow + 1;
	}
	return true;
}

static bool is_number(const char *text, uint64_t bytes)
{
	struct rg_json_reader reader;

	rg_json_reader_init(&reader, text, bytes);
	return rg_json_next(&reader) == RG_JSON_NUMBER && rg_json_next(&reader) == RG_JSON_END &&
	       reader.text_bytes == bytes;
}

static int verify_text(struct rg_verify *verify, struct rg_value v)
{
	const uint8_t *heap = verify->heap.space[RG_SPACE_IMAGE];
	uint8_t *seen;
	uint64_t length;

	if (v.space != RG_SPACE_IMAGE || v.offset % 8 || v.offset < 8 ||
	    v.offset > verify->heap_bytes || v.length > verify->heap_bytes - v.offset)
		return fail(verify, v.offset, "a text is not inside the heap");
	memcpy(&length, heap + v.offset - 8, sizeof(length));
	if (length != v.length)
		return fail(verify, v.offset, "a text has another length than its value says");
	seen = &verify->seen[v.offset / 8];
	if (v.offset < verify->heap_bytes && !(*seen & SEEN_TEXT)) {
		if (!claim(verify, v.offset - 8, length + 8))
			return fail(verify, v.offset, "texts or containers overlap");
		if (!is_utf8(heap + v.offset, length))
			return fail(verify, v.offset, "a text is not valid UTF-8");
		*seen |= SEEN_TEXT;
	}
	if (v.type == RG_NUMBER && !(*seen & SEEN_NUMBER)) {
		if (!is_number((const char *)heap + v.offset, length))
			return fail(verify, v.offset, "a number's text is no JSON number");
		*seen |= SEEN_NUMBER;
	}
	return RG_OK;
}

/* ---- scalars ---- */

static bool number_is_valid(struct rg_value v)
{
	if (v.form == RG_NUMBER_INT)
		return !v.exponent && !v.length && !v.space;
	if (v.form == RG_NUMBER_DECIMAL)
		return v.exponent >= -18 && v.exponent <= -1 && v.i % 10 && !v.length && !v.space;
	return v.form == RG_NUMBER_TEXT && !v.exponent;
}

static bool scalar_is_valid(struct rg_value v)
{
	if (v.type == RG_NUMBER)
		return number_is_valid(v);
	if (v.form || v.exponent)
		return false;
	if (v.type == RG_STRING)
		return true;
	return !v.length && !v.space &&
	       ((v.type == RG_NULL && !v.i) || (v.type == RG_BOOLEAN && (v.i == 0 || v.i == 1)));
}

static bool has_text(struct rg_value v)
{
	return v.type == RG_STRING || (v.type == RG_NUMBER && v.form == RG_NUMBER_TEXT);
}

/* ---- containers ---- */

static int verify_value(struct rg_verify *verify, struct rg_value v, uint64_t below,
			uint32_t depth);

static bool charge_key(struct rg_verify *verify, struct rg_value key)
{
	uint64_t bytes = has_text(key) ? key.length : 0;

	if (bytes > verify->text_work)
		return false;
	verify->text_work -= bytes;
	return true;
}

static struct rg_value key_at(const struct rg_verify *verify, const struct rg_container *container,
			      uint8_t type, uint32_t i)
{
	struct rg_value key;

	memcpy(&key,
	       verify->heap.space[RG_SPACE_IMAGE] + container->items +
		       (uint64_t)i * rg_container_item_bytes(type),
	       sizeof(key));
	return key;
}

static int verify_items(struct rg_verify *verify, const struct rg_container *container,
			uint8_t type, uint64_t offset, uint32_t depth)
{
	const struct rg_value *items =
		(const struct rg_value *)(verify->heap.space[RG_SPACE_IMAGE] + container->items);
	uint64_t count = (uint64_t)container->count * (type == RG_OBJECT ? 2 : 1);

	for (uint64_t i = 0; i < count; i++) {
		int status = verify_value(verify, items[i], offset, depth + 1);

		if (status)
			return status;
	}
	return RG_OK;
}

static int verify_order(struct rg_verify *verify, const struct rg_container *container,
			uint8_t type, uint64_t offset)
{
	for (uint32_t i = 1; i < container->count; i++) {
		struct rg_value before = key_at(verify, container, type, i - 1);
		struct rg_value key = key_at(verify, container, type, i);

		if (!charge_key(verify, before) || rg_compare(&verify->heap, before, key) >= 0 ||
		    verify->heap.exhausted)
			return fail(verify, offset, "an object's or set's keys are not in order");
	}
	return RG_OK;
}

/* The index is exactly the one that rg_container_enter() makes of the items in their order. */
static int verify_index(struct rg_verify *verify, const struct rg_container *container,
			uint8_t type, uint64_t offset)
{
	uint32_t slots = type == RG_ARRAY || container->count > 1u << 30
				 ? 0
				 : rg_container_slots(container->count);
	uint64_t *index;
	bool same;

	if (container->index_slots != slots)
		return fail(verify, offset, "a hash index has the wrong size");
	if (!slots)
		return RG_OK;
	if (container->index % 8 || !claim(verify, container->index, slots * sizeof(uint64_t)))
		return fail(verify, offset, "a hash index is not inside the heap");
	index = calloc(slots, sizeof(*index));
	if (!index)
		return rg_error_set(verify->err, RG_ENOMEM, "image: out of memory");
	for (uint32_t i = 0; i < container->count; i++) {
		struct rg_value key = key_at(verify, container, type, i);

		if (!charge_key(verify, key))
			break;
		if (!rg_heap_charge(
			    &verify->heap,
			    rg_container_enter(index, slots, rg_hash(&verify->heap, key), i)))
			break;
	}
	same = !verify->heap.exhausted &&
	       !memcmp(index, verify->heap.space[RG_SPACE_IMAGE] + container->index,
		       slots * sizeof(*index));
	free(index);
	return same ? RG_OK : fail(verify, offset, "a hash index does not fit its keys");
}

static int verify_container(struct rg_verify *verify, struct rg_value v, uint64_t below,
			    uint32_t depth)
{
	static const uint8_t kind[] = {
		[RG_ARRAY] = SEEN_ARRAY, [RG_OBJECT] = SEEN_OBJECT, [RG_SET] = SEEN_SET};
	struct rg_container container;
	int status;

	if (v.form || v.exponent || v.length || v.space != RG_SPACE_IMAGE || v.offset % 8)
		return fail(verify, v.offset, "a container's value is malformed");
	if (v.offset >= below)
		return fail(verify, v.offset,
			    "a container does not lie before the one that holds it");
	if (depth > RG_VALUE_DEPTH_MAX)
		return fail(verify, v.offset, "values are nested too deep");
	if (v.offset < verify->heap_bytes && (verify->seen[v.offset / 8] & kind[v.type]))
		return RG_OK;
	if (!claim(verify, v.offset, sizeof(container)))
		return fail(verify, v.offset, "a container is not inside the heap");
	memcpy(&container, verify->heap.space[RG_SPACE_IMAGE] + v.offset, sizeof(container));
	if (container.capacity != container.count || container.sorted != 1 ||
	    container.reserved[0] || container.reserved[1] || container.reserved[2] ||
	    container.items % 8 ||
	    !claim(verify, container.items,
		   (uint64_t)container.count * rg_container_item_bytes(v.type)))
		return fail(verify, v.offset, "a container's header is malformed");
	status = verify_items(verify, &container, v.type, v.offset, depth);
	if (!status && v.type != RG_ARRAY)
		status = verify_order(verify, &container, v.type, v.offset);
	if (!status)
		status = verify_index(verify, &container, v.type, v.offset);
	if (!status)
		verify->seen[v.offset / 8] |= kind[v.type];
	return status;
}

static int verify_value(struct rg_verify *verify, struct rg_value v, uint64_t below, uint32_t depth)
{
	if (v.type >= RG_ARRAY && v.type <= RG_SET)
		return verify_container(verify, v, below, depth);
	if (!scalar_is_valid(v))
		return fail(verify, below == UINT64_MAX ? 0 : below, "a value is malformed");
	return has_text(v) ? verify_text(verify, v) : RG_OK;
}

int rg_verify_constants(struct rg_verify *verify)
{
	int status = RG_OK;

	verify->seen = calloc(verify->heap_bytes / 8 + 1, 1);
	if (!verify->seen)
		return rg_error_set(verify->err, RG_ENOMEM, "image: out of memory");
	for (uint32_t i = 0; i < verify->constant_count && !status; i++)
		status = verify_value(verify, verify->constants[i], UINT64_MAX, 0);
	free(verify->seen);
	verify->seen = NULL;
	return status;
}
