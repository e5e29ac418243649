/* SPDX-License-Identifier: Apache-2.0 */
#include "control/decision_mask.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/api/question.h"

#define PARTS_MAX  64
#define PATH_BYTES 1024

/* ---- rules ---- */

enum op { OP_REMOVE, OP_UPSERT };

struct part {
	const char *text;
	uint32_t bytes;
};

struct rule {
	enum op op;
	struct part parts[PARTS_MAX];
	uint32_t count;
	struct rg_value value; /* of an upsert */
	char path[PATH_BYTES]; /* as it is listed in the event */
};

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Each '%' begins an escape. */
static bool is_escaped_well(const char *text, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		if (text[i] == '%' &&
		    (i + 2 >= bytes || !is_hex(text[i + 1]) || !is_hex(text[i + 2])))
			return false;
	return true;
}

/* As Go's url.PathEscape: what may stand in a path's segment stays. */
static size_t escape(const char *text, uint32_t bytes, char *out, size_t room)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				    "-_.~$&+=:@";
	size_t n = 0;

	for (uint32_t i = 0; i < bytes && n + 4 < room; i++) {
		if (text[i] && strchr(plain, text[i]))
			out[n++] = text[i];
		else
			n += (size_t)snprintf(out + n, room - n, "%%%02X", (uint8_t)text[i]);
	}
	return n;
}

/* Cut the path into its parts. */
static int read_path(const char *text, uint32_t bytes, struct rule *rule, struct rg_error *err)
{
	static const char *const roots[] = {"input", "result", "nd_builtin_cache"};
	const char *end = text + bytes;
	size_t n = 0;
	bool known = false;

	if (!bytes || *text != '/')
		return rg_error_set(err, RG_EINVAL, "a path must begin with '/': \"%.*s\"",
				    (int)(bytes < 64 ? bytes : 64), text);
	rule->count = 0;
	for (const char *at = text; at < end;) {
		const char *begin = at + 1, *next = memchr(begin, '/', (size_t)(end - begin));
		struct part part = {begin, (uint32_t)((next ? next : end) - begin)};

		if (rule->count == PARTS_MAX || !is_escaped_well(part.text, part.bytes) ||
		    n + 3 * (size_t)part.bytes + 2 > PATH_BYTES)
			return rg_error_set(
				err, RG_EINVAL,
				"a path is too long, or has a '%%' that begins no escape");
		rule->parts[rule->count++] = part;
		rule->path[n++] = '/';
		n += escape(part.text, part.bytes, rule->path + n, PATH_BYTES - n);
		at = next ? next : end;
	}
	rule->path[n] = '\0';
	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
		known = known || (rule->parts[0].bytes == strlen(roots[i]) &&
				  !memcmp(rule->parts[0].text, roots[i], rule->parts[0].bytes));
	return known ? RG_OK
		     : rg_error_set(err, RG_EINVAL,
				    "a path must begin with /input, /result or /nd_builtin_cache: "
				    "\"%.64s\"",
				    rule->path);
}

static int read_rule(struct rg_heap *heap, struct rg_value from, struct rule *rule,
		     struct rg_error *err)
{
	struct rg_value op, path = from;

	rule->op = OP_REMOVE;
	rule->value = rg_null();
	if (from.type == RG_OBJECT) {
		op = rg_object_get_text(heap, from, "op", 2);
		path = rg_object_get_text(heap, from, "path", 4);
		rule->value = rg_object_get_text(heap, from, "value", 5);
		if (!rg_is_defined(rule->value))
			rule->value = rg_null();
		if (op.type == RG_STRING && rg_string_is(heap, op, "upsert"))
			rule->op = OP_UPSERT;
		else if (op.type != RG_STRING || !rg_string_is(heap, op, "remove"))
			return rg_error_set(err, RG_EINVAL, "op must be remove or upsert");
	}
	if (path.type != RG_STRING)
		return rg_error_set(err, RG_EINVAL,
				    "a rule is neither a path nor an object with one");
	return read_path(rg_text(heap, path), path.length, rule, err);
}

/* ---- applying one rule ---- */

/* A place in an array, as Go's strconv.Atoi reads it. -1: it names no element. */
static int64_t index_of(struct rg_heap *heap, struct rg_value array, struct part part)
{
	int64_t index = 0;

	if (part.bytes && part.text[0] == '+') {
		part.text++;
		part.bytes--;
	}
	if (!part.bytes || part.bytes > 9)
		return -1;
	for (uint32_t i = 0; i < part.bytes; i++) {
		if (part.text[i] < '0' || part.text[i] > '9')
			return -1;
		index = 10 * index + part.text[i] - '0';
	}
	return index < rg_count(heap, array) ? index : -1;
}

/* The key that a part names: as it is written, or, when there is none, percent-decoded. */
static struct rg_value key_of(struct rg_heap *heap, struct rg_value object, struct part part)
{
	char decoded[PATH_BYTES];
	uint32_t n = 0;

	if (!rg_is_defined(rg_object_get_text(heap, object, part.text, part.bytes)) &&
	    memchr(part.text, '%', part.bytes)) {
		for (uint32_t i = 0; i < part.bytes; i++) {
			char hex[3] = {0};

			if (part.text[i] == '%') {
				memcpy(hex, part.text + i + 1, 2);
				decoded[n++] = (char)strtol(hex, NULL, 16);
				i += 2;
			} else {
				decoded[n++] = part.text[i];
			}
		}
		if (rg_is_defined(rg_object_get_text(heap, object, decoded, n)))
			return rg_string(heap, decoded, n);
	}
	return rg_string(heap, part.text, part.bytes);
}

/* In what follows a heap that is used up (heap->exhausted) leaves things as they are. */

/* A copy of the object in which the key has this value, or is not there (undefined). */
static struct rg_value with_member(struct rg_heap *heap, struct rg_value object,
				   struct rg_value key, struct rg_value value)
{
	struct rg_value copy = rg_object(heap, rg_count(heap, object) + 1);

	if (!rg_is_defined(copy))
		return object;
	for (uint32_t i = 0; i < rg_count(heap, object); i++) {
		struct rg_pair pair = rg_object_at(heap, object, i);

		if (!rg_equal(heap, pair.key, key))
			rg_object_insert(heap, copy, pair.key, pair.value);
	}
	if (rg_is_defined(value))
		rg_object_insert(heap, copy, key, value);
	return copy;
}

/* The same of an array; what is removed leaves no hole. */
static struct rg_value with_element(struct rg_heap *heap, struct rg_value array, int64_t index,
				    struct rg_value value)
{
	uint32_t count = rg_count(heap, array);
	struct rg_value copy = rg_array(heap, count);

	if (!rg_is_defined(copy))
		return array;
	for (uint32_t i = 0; i < count; i++) {
		struct rg_value element = i == index ? value : rg_array_at(heap, array, i);

		if (rg_is_defined(element))
			rg_array_append(heap, copy, element);
	}
	return copy;
}

/* What `parts` name below `node` is removed or replaced; *done says whether they named something. Deep
 * as the path has parts. */
static struct rg_value change(struct rg_heap *heap, struct rg_value node, const struct rule *rule,
			      uint32_t part, bool *done)
{
	bool is_last = part + 1 == rule->count, is_object = node.type == RG_OBJECT;
	struct rg_value key = {0}, child;
	int64_t index = -1;

	if (is_object) {
		key = key_of(heap, node, rule->parts[part]);
		if (!rg_is_defined(key))
			return node; /* out of memory, as the heap will say */
		child = rg_object_get(heap, node, key);
	} else {
		index = node.type == RG_ARRAY ? index_of(heap, node, rule->parts[part]) : -1;
		if (index < 0)
			return node;
		child = rg_array_at(heap, node, (uint32_t)index);
	}
	if (!rg_is_defined(child) && rule->op == OP_REMOVE)
		return node;
	if (!is_last && !rg_is_defined(child))
		child = rg_object(heap, 1);
	if (is_last) {
		child = rule->op == OP_REMOVE ? rg_undefined : rule->value;
		*done = true;
	} else if (rg_is_defined(child)) {
		child = change(heap, child, rule, part + 1, done);
	}
	if (!*done)
		return node;
	return is_object ? with_member(heap, node, key, child)
			 : with_element(heap, node, index, child);
}

/* Add the rule's path to the event's list `erased` or `masked`. */
static struct rg_value list_path(struct rg_heap *heap, struct rg_value event,
				 const struct rule *rule)
{
	struct rg_value key = rg_string_c(heap, rule->op == OP_REMOVE ? "erased" : "masked");
	struct rg_value list = rg_array(heap, 4), before;

	if (!rg_is_defined(key) || !rg_is_defined(list))
		return event;
	before = rg_object_get(heap, event, key);
	for (uint32_t i = 0; before.type == RG_ARRAY && i < rg_count(heap, before); i++)
		rg_array_append(heap, list, rg_array_at(heap, before, i));
	rg_array_append(heap, list, rg_string_c(heap, rule->path));
	return with_member(heap, event, key, list);
}

static struct rg_value apply_rule(struct rg_heap *heap, struct rg_value event,
				  const struct rule *rule)
{
	struct part root = rule->parts[0];
	struct rg_value changed;
	bool done = false;

	/* upsert puts nothing below what is not there, or is no object */
	changed = rg_object_get_text(heap, event, root.text, root.bytes);
	if (!rg_is_defined(changed) ||
	    (rule->op == OP_UPSERT && rule->count > 1 && changed.type != RG_OBJECT))
		return event;
	changed = change(heap, event, rule, 0, &done);
	return done ? list_path(heap, changed, rule) : event;
}

int rg_decision_mask_event(struct rg_heap *heap, struct rg_value event, struct rg_value rules,
			   struct rg_value *masked, struct rg_error *err)
{
	struct rule *rule;
	int rc = RG_OK;

	*masked = event;
	if (rules.type != RG_SET && rules.type != RG_ARRAY)
		return rg_error_set(err, RG_EINVAL, "the decision is no set of rules");
	rule = malloc(sizeof(*rule));
	if (!rule)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	/* as OPA: all rules must be well-formed before any is applied */
	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; !rc && i < rg_count(heap, rules); i++) {
			rc = read_rule(heap, rg_pair_at(heap, rules, i).value, rule, err);
			if (!rc && pass)
				*masked = apply_rule(heap, *masked, rule);
		}
	}
	free(rule);
	if (!rc && heap->exhausted)
		rc = rg_error_set(err, RG_ENOMEM, "api.scratch_bytes are used up");
	return rc;
}

/* ---- the policy's decisions ---- */

struct rg_decision_mask {
	struct rg_engine *engine;
	struct rg_target mask_path, drop_path;
	uint64_t told; /* sequence whose failure was logged */
	/* of the policy looked at last: can these decisions be anything but undefined? */
	uint64_t sequence;
	bool masks, drops;
	_Atomic bool any;	   /* relaxed: there is a policy */
	_Atomic uint64_t failures; /* relaxed: a count */
};

void rg_decision_mask_want(struct rg_decision_mask *mask, uint64_t sequence)
{
	rg_engine_want(mask->engine, sequence);
	atomic_store_explicit(&mask->any, sequence != 0, memory_order_relaxed);
}

uint64_t rg_decision_mask_failures(const struct rg_decision_mask *mask)
{
	return atomic_load_explicit(&mask->failures, memory_order_relaxed);
}

/* Ask for the decision with the event as input. */
static int ask(struct rg_loan *loan, const struct rg_target *path, const char *event, size_t bytes,
	       struct rg_question *question, struct rg_value *value, struct rg_error *err)
{
	rg_question_begin(question, loan, path->segments, path->segment_count, false);
	if (bytes &&
	    rg_value_parse(rg_eval_heap(loan->eval), event, bytes, &question->query.input, err))
		return err->status;
	*value = rg_question_evaluate(question);
	if (question->result == RG_EVAL_OK)
		return RG_OK;
	return rg_error_set(err, RG_EINVAL, "%s", question->error.text);
}

/* Does a rule, or do rules, give the value at this path? */
static bool has_rule(const struct rg_view *view, const struct rg_target *path)
{
	uint32_t node = 0;

	for (uint32_t i = 0; i < path->segment_count; i++) {
		node = rg_view_child(view, node, path->segments[i].text, path->segments[i].bytes);
		if (!node || view->documents[node].plan != RG_NO_PLAN)
			return node != 0;
	}
	return true;
}

/* Without a rule the value is a constant of the bundle's data: there or not. */
static bool may_be_defined(struct rg_loan *loan, const struct rg_target *path)
{
	struct rg_question question;
	struct rg_value value;
	struct rg_error err;

	return has_rule(loan->view, path) || ask(loan, path, NULL, 0, &question, &value, &err) ||
	       rg_is_defined(value);
}

static void look_at(struct rg_decision_mask *mask, struct rg_loan *loan)
{
	if (mask->sequence == loan->view->sequence)
		return;
	mask->sequence = loan->view->sequence;
	mask->masks = may_be_defined(loan, &mask->mask_path);
	mask->drops = may_be_defined(loan, &mask->drop_path);
}

static void note_failure(struct rg_decision_mask *mask, const char *which, const char *why)
{
	atomic_fetch_add_explicit(&mask->failures, 1, memory_order_relaxed);
	if (mask->told == mask->sequence)
		return; /* once for each policy: it may be every event */
	mask->told = mask->sequence;
	rg_log(RG_LOG_ERROR, "decision_logs: policy=%llu %s cannot be told: %s",
	       (unsigned long long)mask->sequence, which, why);
}

static bool is_dropped(struct rg_decision_mask *mask, struct rg_loan *loan, const char *event,
		       size_t bytes)
{
	struct rg_question question;
	struct rg_value value;
	struct rg_error err;

	if (!mask->drops)
		return false;
	if (ask(loan, &mask->drop_path, event, bytes, &question, &value, &err)) {
		note_failure(mask, "drop_decision", err.text);
		return false;
	}
	return value.type == RG_BOOLEAN && value.i;
}

/* Without what could have been masked. */
static int remove_all(struct rg_heap *heap, const char *event, size_t bytes,
		      struct rg_value *masked, struct rg_error *err)
{
	struct rg_value value, rules;
	int rc;

	rg_heap_reset(heap);
	rc = rg_value_parse(heap, event, bytes, &value, err);
	if (rc)
		return rc;
	rules = rg_array(heap, 2);
	if (!rg_is_defined(rules))
		return rg_error_set(err, RG_ENOMEM, "api.scratch_bytes are used up");
	rg_array_append(heap, rules, rg_string_c(heap, "/input"));
	rg_array_append(heap, rules, rg_string_c(heap, "/result"));
	return rg_decision_mask_event(heap, value, rules, masked, err);
}

static int write_masked(struct rg_decision_mask *mask, struct rg_loan *loan, const char *event,
			size_t bytes, struct rg_json_writer *out,
			enum rg_decision_mask_outcome *outcome, struct rg_error *err)
{
	struct rg_heap *heap = rg_eval_heap(loan->eval);
	struct rg_question question;
	struct rg_value rules, masked;
	int rc = ask(loan, &mask->mask_path, event, bytes, &question, &rules, err);

	if (!rc && !rg_is_defined(rules)) {
		rg_json_write_raw(out, event, bytes);
		return RG_OK;
	}
	if (!rc)
		rc = rg_decision_mask_event(heap, question.query.input, rules, &masked, err);
	if (rc) {
		note_failure(mask, "mask_decision", err->text);
		rc = remove_all(heap, event, bytes, &masked, err);
	}
	if (rc)
		return rc;
	*outcome = RG_DECISION_MASK_MASKED;
	rg_value_write(heap, masked, out);
	return heap->exhausted ? rg_error_set(err, RG_ENOMEM, "api.scratch_bytes are used up")
			       : RG_OK;
}

int rg_decision_mask_apply(struct rg_decision_mask *mask, const char *event, size_t bytes,
			   struct rg_json_writer *out, enum rg_decision_mask_outcome *outcome,
			   struct rg_error *err)
{
	struct rg_loan loan;
	int rc;

	*outcome = RG_DECISION_MASK_NONE;
	if (!atomic_load_explicit(&mask->any, memory_order_relaxed)) {
		rg_json_write_raw(out, event, bytes);
		return RG_OK;
	}
	rc = rg_engine_lend(mask->engine, &loan, err);
	if (!rc && loan.view->data_plan == RG_NO_PLAN) {
		rg_engine_return(mask->engine, &loan);
		rc = rg_error_set(err, RG_EVERSION,
				  "the image in use has no documents: push the policy again");
	}
	if (rc)
		return rg_error_prefix(err, "decision_logs.mask_decision");
	look_at(mask, &loan);
	if (is_dropped(mask, &loan, event, bytes))
		*outcome = RG_DECISION_MASK_DROP;
	else if (mask->masks)
		rc = write_masked(mask, &loan, event, bytes, out, outcome, err);
	else
		rg_json_write_raw(out, event, bytes);
	rg_engine_return(mask->engine, &loan);
	return rc;
}

/* ---- life ---- */

static int parse_path(const char *key, const char *text, struct rg_target *path,
		      struct rg_error *err)
{
	char uri[PATH_BYTES];
	int rc;

	snprintf(uri, sizeof(uri), "%s%s", text[0] == '/' ? "" : "/", text);
	rc = rg_target_parse(uri, path, err);
	return rc ? rg_error_prefix(err, "decision_logs.%s", key) : RG_OK;
}

int rg_decision_mask_new(const char *region_directory, uint64_t scratch_bytes,
			 const char *mask_path, const char *drop_path,
			 struct rg_decision_mask **out, struct rg_error *err)
{
	struct rg_decision_mask *mask = calloc(1, sizeof(*mask));
	int rc;

	if (!mask)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	rc = parse_path("mask_decision", mask_path, &mask->mask_path, err);
	if (!rc)
		rc = parse_path("drop_decision", drop_path, &mask->drop_path, err);
	if (!rc)
		rc = rg_engine_new(region_directory, 1, scratch_bytes, &mask->engine, err);
	if (rc)
		rg_decision_mask_delete(mask);
	else
		*out = mask;
	return rc;
}

void rg_decision_mask_delete(struct rg_decision_mask *mask)
{
	if (!mask)
		return;
	rg_engine_delete(mask->engine);
	rg_target_free(&mask->mask_path);
	rg_target_free(&mask->drop_path);
	free(mask);
}
