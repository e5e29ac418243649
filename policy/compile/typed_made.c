/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values with parts of the request in them, such as
 *
 *	{"code": "LIMIT", "message": sprintf("%v over %d", [input.amount, limit])}
 *
 * No typed program computes them: nobody but who reads the reasons would ask. Enough is known when
 * the program is made: that there is such a value, its reason, and how it stands to others. A MADE
 * value is a value of the compiler's in which MARKS stand for what the request gives:
 *
 *	"\xff" number "\xff"		the fact of that number, whatever its type: alone in its string
 *	"\xff" number verb "\xff"	its text, as sprintf's verb writes it: in a string
 *
 * No text of Rego holds the byte 0xff. A constant that does (decoded from base64, say) is left to the
 * rules.
 *
 * One fact whose value cannot change has one number, and each other one has its own. So values that are
 * written the same are equal, and others may be. Two values that are equal up to the first mark of one
 * are NEAR each other. Those near a value lie around it in the order of values as they are written, in which a
 * mark is greater than any text. Of two that are near, the marks that they have in common, or their ends, may still
 * tell that they are APART.
 */
#include "policy/compile/typed_made.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK	  '\xff'
#define ALIKE	  2    /* of two values: which is less, or that they are not equal, is not known */
#define SPEC_MAX  8    /* bytes of a verb with its flags */
#define TEXT_MAX  4096 /* of a made text; what would be longer ends in a mark */
#define NAMES_MAX 4096 /* reasons that a text is compared with */
#define DEPTH_MAX 16

/* ---- marks ---- */

static bool has_mark(const struct rg_heap *heap, struct rg_value text)
{
	return text.length && memchr(rg_text(heap, text), MARK, text.length);
}

static bool find_mark(struct rg_heap *heap, struct rg_value v, int depth)
{
	if (v.type == RG_STRING)
		return has_mark(heap, v);
	if (v.type < RG_ARRAY)
		return false;
	for (uint32_t i = 0; i < rg_count(heap, v) && depth < DEPTH_MAX; i++) {
		if (v.type == RG_ARRAY ? find_mark(heap, rg_array_at(heap, v, i), depth + 1)
		    : v.type == RG_SET
			    ? find_mark(heap, rg_set_at(heap, v, i), depth + 1)
			    : find_mark(heap, rg_object_at(heap, v, i).key, depth + 1) ||
				      find_mark(heap, rg_object_at(heap, v, i).value, depth + 1))
			return true;
	}
	return depth == DEPTH_MAX;
}

bool rg_typed_is_made(struct rg_heap *heap, struct rg_value v)
{
	return find_mark(heap, v, 0);
}

/* Does its slot, if it has one, hold the same wherever it is read? */
static bool is_stable(const struct rg_typed *t, const struct rg_typed_fact *fact)
{
	return fact->kind == RG_TYPED_IS_NODE || fact->kind == RG_TYPED_IS_LEFT ||
	       t->in_front[fact->slot];
}

static uint32_t number_unknown(struct rg_typed *t, const struct rg_typed_fact *fact)
{
	struct rg_typed_fact *added;
	uint32_t *stable;

	for (uint32_t i = 0; is_stable(t, fact) && i < t->stable.count; i++) {
		uint32_t number = *RG_VECTOR_AT(t->stable, uint32_t, i);
		const struct rg_typed_fact *known =
			RG_VECTOR_AT(t->unknowns, struct rg_typed_fact, number);

		if (known->kind == fact->kind && known->scale == fact->scale &&
		    known->slot == fact->slot && known->number == fact->number &&
		    known->choice == fact->choice)
			return number;
	}
	added = rg_vector_add(t->unit, &t->unknowns, sizeof(*added));
	if (added)
		*added = *fact;
	if (is_stable(t, fact)) {
		stable = rg_vector_add(t->unit, &t->stable, sizeof(*stable));
		if (stable)
			*stable = t->unknowns.count - 1;
	} else if (added && t->is_sparing) {
		added->kind = RG_TYPED_IS_UNTYPED; /* the next turn takes its slot */
	}
	return t->unknowns.count - 1;
}

void rg_typed_forget_unknowns(struct rg_typed *t, uint32_t count)
{
	while (t->stable.count && *RG_VECTOR_AT(t->stable, uint32_t, t->stable.count - 1) >= count)
		t->stable.count--;
	t->unknowns.count = count;
}

/* A string of the mark alone. */
static struct rg_value mark(struct rg_typed *t, const struct rg_typed_fact *fact)
{
	char text[32];
	int bytes = snprintf(text, sizeof(text), "%c%u%c", MARK, number_unknown(t, fact), MARK);

	return rg_string(&t->unit->heap, text, (size_t)bytes);
}

/* The number of the fact that the string is, or -1. */
static int64_t number_of_mark(const struct rg_heap *heap, struct rg_value v)
{
	const char *text;
	int64_t number = 0;
	uint32_t i = 1;

	if (v.type != RG_STRING || v.length < 3)
		return -1;
	text = rg_text(heap, v);
	if (text[0] != MARK)
		return -1;
	for (; i < v.length && text[i] >= '0' && text[i] <= '9'; i++)
		number = 10 * number + text[i] - '0';
	return i + 1 == v.length && text[i] == MARK ? number : -1;
}

/* The same for equal values. */
static uint32_t number_made(struct rg_typed *t, struct rg_value v)
{
	struct rg_heap *heap = &t->unit->heap;
	struct rg_value number = rg_object_get(heap, t->made_values, v);

	if (rg_is_defined(number))
		return (uint32_t)number.i;
	number = rg_int(rg_count(heap, t->made_values));
	if (!rg_object_insert(heap, t->made_values, v, number))
		rg_unit_no_memory(t->unit);
	return (uint32_t)number.i;
}

struct rg_typed_fact rg_typed_made_fact(struct rg_typed *t, struct rg_value v)
{
	int64_t number;

	if (!rg_typed_is_made(&t->unit->heap, v))
		return (struct rg_typed_fact){.kind = RG_TYPED_IS_KNOWN, .value = v};
	number = number_of_mark(&t->unit->heap, v);
	if (number >= 0 && number < t->unknowns.count)
		return *RG_VECTOR_AT(t->unknowns, struct rg_typed_fact, number);
	return (struct rg_typed_fact){
		.kind = RG_TYPED_IS_MADE, .value = v, .number = number_made(t, v)};
}

/* ---- facts as values ---- */

/* What is computed when it is asked for has a slot from now on. */
static struct rg_typed_fact computed(struct rg_typed_context *c, struct rg_typed_fact fact)
{
	if (fact.kind == RG_TYPED_IS_QUOTIENT)
		return (struct rg_typed_fact){.kind = RG_TYPED_IS_BALL,
					      .slot = rg_typed_ball(c->typed, &fact)};
	if (fact.kind == RG_TYPED_IS_WITHIN || fact.kind == RG_TYPED_IS_MASKED)
		return (struct rg_typed_fact){.kind = RG_TYPED_IS_TRUTH,
					      .slot = rg_typed_truth(c, &fact)};
	return fact;
}

bool rg_typed_made_value(struct rg_typed_context *c, struct rg_typed_fact fact,
			 struct rg_value *value)
{
	struct rg_typed_container *container;

	if (fact.maybe_undefined)
		return false;
	fact = computed(c, fact);
	switch ((enum rg_typed_kind)fact.kind) {
	case RG_TYPED_IS_KNOWN:
		*value = fact.value;
		return !rg_typed_is_made(&c->typed->unit->heap, fact.value);
	case RG_TYPED_IS_MADE: *value = fact.value; return true;
	case RG_TYPED_IS_ARRAY:
	case RG_TYPED_IS_OBJECT:
		container = rg_typed_container_of(c, fact);
		if (!container->is_known || container->stamp != c->stamp)
			return false;
		container->is_used = true;
		*value = container->value;
		return true;
	case RG_TYPED_IS_INTEGER:
	case RG_TYPED_IS_BALL:
	case RG_TYPED_IS_TRUTH:
	case RG_TYPED_IS_TEXT:
	case RG_TYPED_IS_CHARS:
	case RG_TYPED_IS_NAMED:
	case RG_TYPED_IS_DIGITS:
	case RG_TYPED_IS_BITS:
	case RG_TYPED_IS_CHOICE:
	case RG_TYPED_IS_LEFT:
	case RG_TYPED_IS_NODE:
		if (fact.is_volatile) {
			fact.slot = rg_typed_copy(c->typed, &fact);
			fact.is_volatile = false;
		}
		*value = mark(c->typed, &fact);
		return true;
	case RG_TYPED_IS_QUOTIENT: /* computed */
	case RG_TYPED_IS_WITHIN:
	case RG_TYPED_IS_MASKED:
	case RG_TYPED_IS_CLOCK:
	case RG_TYPED_IS_NOTHING:
	case RG_TYPED_IS_SET:
	case RG_TYPED_IS_UNTYPED: break;
	}
	return false;
}

/* ---- texts ---- */

/* A text being put together. */
struct writer {
	struct rg_typed *t;
	char text[TEXT_MAX + 64];
	uint32_t bytes;
};

static void write_bytes(struct writer *to, const char *bytes, uint32_t count)
{
	memcpy(to->text + to->bytes, bytes, count);
	to->bytes += count;
}

/* Something that no other text has. */
static void write_unknown(struct writer *to)
{
	struct rg_vector *unknowns = &to->t->unknowns;
	struct rg_typed_fact *added = rg_vector_add(to->t->unit, unknowns, sizeof(*added));

	if (added)
		added->kind = RG_TYPED_IS_UNTYPED;
	to->bytes += (uint32_t)snprintf(to->text + to->bytes, 32, "%c%us%c", MARK,
					unknowns->count - 1, MARK);
}

/* Written in full; false: there is no room. */
static bool write_text(struct writer *to, struct rg_value text)
{
	if (text.length > TEXT_MAX - to->bytes)
		return false;
	write_bytes(to, rg_text(&to->t->unit->heap, text), text.length);
	return true;
}

/* One argument as a verb, with its flags, writes it. False: there is no room. */
static bool write_argument(struct writer *to, struct rg_value argument, const char *spec,
			   uint32_t spec_bytes)
{
	struct rg_heap *heap = &to->t->unit->heap;
	struct rg_value args[2], text;
	bool is_plain = spec_bytes == 2 && (spec[1] == 'v' || spec[1] == 's');
	int64_t number = number_of_mark(heap, argument);

	if (!rg_typed_is_made(heap, argument)) {
		args[0] = rg_string(heap, spec, spec_bytes);
		args[1] = rg_array(heap, 1);
		rg_array_append(heap, args[1], argument);
		if (!rg_unit_run_builtin(to->t->unit, rg_builtin_find("sprintf", 7), args, &text))
			return false;
		return !has_mark(heap, text) && write_text(to, text);
	}
	if (to->bytes > TEXT_MAX)
		return false;
	if (number >= 0)
		to->bytes +=
			(uint32_t)snprintf(to->text + to->bytes, 48, "%c%u%.*s%c", MARK,
					   (uint32_t)number, (int)spec_bytes - 1, spec + 1, MARK);
	else if (argument.type == RG_STRING && is_plain)
		return write_text(to, argument);
	else
		write_unknown(to);
	return true;
}

/* Bytes of a verb with few flags, no index and no width that an argument gives; 0: it is another. */
static uint32_t spec_bytes_of(const char *at, const char *end)
{
	uint32_t bytes = 1, digits = 0;

	while (at + bytes < end && bytes < SPEC_MAX && strchr("+-# 0", at[bytes]) && at[bytes])
		bytes++;
	while (at + bytes < end && bytes < SPEC_MAX &&
	       ((at[bytes] >= '0' && at[bytes] <= '9') || at[bytes] == '.')) {
		digits = at[bytes] == '.' ? 0 : digits + 1;
		if (digits > 2)
			return 0;
		bytes++;
	}
	return at + bytes < end && bytes < SPEC_MAX && at[bytes] &&
			       strchr("vdsfgexXqtbo", at[bytes])
		       ? bytes + 1
		       : 0;
}

/* What sprintf makes of the format: from left to right, as far as it is plain. */
static void write_format(struct writer *to, const char *at, const char *end, struct rg_value list)
{
	struct rg_heap *heap = &to->t->unit->heap;
	uint32_t next = 0, count = rg_count(heap, list), bytes;

	while (at < end) {
		const char *percent = memchr(at, '%', (size_t)(end - at));
		uint32_t plain = (uint32_t)((percent ? percent : end) - at);

		if (plain > TEXT_MAX - to->bytes)
			break;
		write_bytes(to, at, plain);
		at += plain;
		if (at == end)
			break;
		if (at + 1 < end && at[1] == '%') {
			if (to->bytes >= TEXT_MAX)
				break;
			write_bytes(to, "%", 1);
			at += 2;
			continue;
		}
		bytes = spec_bytes_of(at, end);
		if (!bytes || next == count ||
		    !write_argument(to, rg_array_at(heap, list, next), at, bytes))
			break;
		next++;
		at += bytes;
	}
	if (at < end || next < count)
		write_unknown(to);
}

/* Elements that are texts, with the delimiter between them. False: some may be none. */
static bool write_joined(struct writer *to, struct rg_value delimiter, struct rg_value list)
{
	struct rg_heap *heap = &to->t->unit->heap;

	for (uint32_t i = 0; i < rg_count(heap, list); i++) {
		struct rg_value element = rg_array_at(heap, list, i);
		int64_t number = number_of_mark(heap, element);

		if (element.type != RG_STRING ||
		    (number >= 0 &&
		     rg_typed_type(RG_VECTOR_AT(to->t->unknowns, struct rg_typed_fact, number)) !=
			     RG_STRING) ||
		    (i && !write_text(to, delimiter)) || !write_argument(to, element, "%s", 2))
			return false;
	}
	return true;
}

bool rg_typed_make_text(struct rg_typed_context *c, const char *name,
			const struct rg_typed_fact *args, struct rg_typed_fact *result)
{
	struct rg_typed *t = c->typed;
	struct rg_heap *heap = &t->unit->heap;
	struct rg_value first, list;
	struct writer *to;
	bool made = true;

	if ((strcmp(name, "sprintf") != 0 && strcmp(name, "concat") != 0) ||
	    !rg_typed_made_value(c, args[0], &first) || !rg_typed_made_value(c, args[1], &list) ||
	    first.type != RG_STRING || rg_typed_is_made(heap, first) || list.type != RG_ARRAY)
		return false;
	to = calloc(1, sizeof(*to));
	if (!to) {
		rg_unit_no_memory(t->unit);
		return false;
	}
	to->t = t;
	if (!strcmp(name, "sprintf"))
		write_format(to, rg_text(heap, first), rg_text(heap, first) + first.length, list);
	else
		made = write_joined(to, first, list);
	*result = rg_typed_made_fact(t, rg_string(heap, to->text, to->bytes));
	free(to);
	return made;
}

/* ---- how made values stand to others ---- */

/* As rg_compare(), or ALIKE. What the same marks stand for is the same; or the first mark counts. */
static int order_texts(const struct rg_heap *heap, struct rg_value a, struct rg_value b,
		       bool passes_marks)
{
	const char *x = rg_text(heap, a), *y = rg_text(heap, b);
	uint32_t shorter = a.length < b.length ? a.length : b.length, at = 0;
	bool in_mark = false;

	if (a.length == b.length && !memcmp(x, y, a.length))
		return 0;
	for (; at < shorter && x[at] == y[at] && (passes_marks || x[at] != MARK); at++)
		in_mark ^= x[at] == MARK;
	if (in_mark || (at < a.length && x[at] == MARK) || (at < b.length && y[at] == MARK))
		return ALIKE;
	if (at == shorter)
		return a.length < b.length ? -1 : 1;
	return (uint8_t)x[at] < (uint8_t)y[at] ? -1 : 1;
}

static int order(struct rg_heap *heap, struct rg_value a, struct rg_value b, bool passes_marks,
		 int depth)
{
	uint32_t count = 0, a_count, b_count;

	if (number_of_mark(heap, a) >= 0 || number_of_mark(heap, b) >= 0)
		return a.type == b.type && rg_equal(heap, a, b) ? 0 : ALIKE;
	if (a.type != b.type || a.type < RG_STRING)
		return rg_compare(heap, a, b);
	if (a.type == RG_STRING)
		return order_texts(heap, a, b, passes_marks);
	if (a.type == RG_SET || depth == DEPTH_MAX) /* no set is made */
		return rg_typed_is_made(heap, a) || rg_typed_is_made(heap, b)
			       ? ALIKE
			       : rg_compare(heap, a, b);
	a_count = rg_count(heap, a);
	b_count = rg_count(heap, b);
	count = a_count < b_count ? a_count : b_count;
	for (uint32_t i = 0; i < count; i++) {
		int first;

		if (a.type == RG_ARRAY) {
			first = order(heap, rg_array_at(heap, a, i), rg_array_at(heap, b, i),
				      passes_marks, depth + 1);
		} else {
			struct rg_pair x = rg_object_at(heap, a, i), y = rg_object_at(heap, b, i);

			first = rg_compare(heap, x.key, y.key);
			if (!first)
				first = order(heap, x.value, y.value, passes_marks, depth + 1);
		}
		if (first)
			return first;
	}
	return a_count < b_count ? -1 : a_count > b_count;
}

bool rg_typed_are_near(struct rg_heap *heap, struct rg_value a, struct rg_value b)
{
	return order(heap, a, b, false, 0) == ALIKE;
}

/* Bytes behind a text's last mark. */
static uint32_t tail_bytes(const struct rg_heap *heap, struct rg_value text)
{
	const char *mark = memrchr(rg_text(heap, text), MARK, text.length);

	return mark ? (uint32_t)(rg_text(heap, text) + text.length - 1 - mark) : text.length;
}

/* Are two texts different for how they end? */
static bool end_apart(const struct rg_heap *heap, struct rg_value a, struct rg_value b)
{
	uint32_t bytes = tail_bytes(heap, a), tail = tail_bytes(heap, b);

	if (tail < bytes)
		bytes = tail;
	return memcmp(rg_text(heap, a) + a.length - bytes, rg_text(heap, b) + b.length - bytes,
		      bytes) != 0;
}

bool rg_typed_are_apart(struct rg_heap *heap, struct rg_value a, struct rg_value b, bool in_order)
{
	if (order(heap, a, b, true, 0) != ALIKE)
		return true;
	return !in_order && a.type == RG_STRING && b.type == RG_STRING &&
	       number_of_mark(heap, a) < 0 && number_of_mark(heap, b) < 0 && end_apart(heap, a, b);
}

/* The first reason that is not before the text, as bytes go. */
static uint32_t first_name(struct rg_heap *heap, struct rg_value names, const char *text,
			   uint32_t bytes)
{
	uint32_t low = 0, high = rg_count(heap, names);

	while (low < high) {
		uint32_t middle = (low + high) / 2;
		struct rg_value name = rg_object_at(heap, names, middle).key;
		uint32_t shorter = name.length < bytes ? name.length : bytes;
		int compared = memcmp(rg_text(heap, name), text, shorter);

		if (compared < 0 || (!compared && name.length < bytes))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool rg_typed_is_no_name(struct rg_heap *heap, struct rg_value names, struct rg_value text)
{
	const char *at = rg_text(heap, text), *first_mark = memchr(at, MARK, text.length);
	uint32_t bytes = (uint32_t)(first_mark - at), tried = 0;

	if (!first_mark || number_of_mark(heap, text) >= 0)
		return false;
	for (uint32_t i = first_name(heap, names, at, bytes); i < rg_count(heap, names); i++) {
		struct rg_value name = rg_object_at(heap, names, i).key;

		if (name.length < bytes || memcmp(rg_text(heap, name), at, bytes) != 0)
			break;
		if (tried++ == NAMES_MAX || !end_apart(heap, name, text))
			return false;
	}
	return true;
}
