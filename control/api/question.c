/* SPDX-License-Identifier: Apache-2.0 */
#include "control/api/question.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static void write_text(struct rg_json_writer *writer, const char *key, const char *text)
{
	rg_json_write_key(writer, key);
	rg_json_write_string(writer, text);
}

void rg_question_begin(struct rg_question *question, struct rg_loan *loan,
		       const struct rg_target_text *path, uint32_t path_count, bool strict)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	*question = (struct rg_question){
		.loan = loan,
		.path = path,
		.path_count = path_count,
		.query = {.strict = strict,
			  .now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec}};
	if (getrandom(&question->query.seed, sizeof(question->query.seed), 0) < 0)
		question->query.seed = (uint64_t)question->query.now_ns;
	rg_heap_reset(rg_eval_heap(loan->eval));
}

/* ---- values of paths ---- */

/* Is the segment a number, as OPA reads it ("0", "12", "-1")? */
static bool is_number(struct rg_target_text segment, struct rg_value *number)
{
	int64_t value;

	if (!rg_json_int64(segment.text, segment.bytes, &value))
		return false;
	*number = rg_int(value);
	return true;
}

/* In the base document a segment is a key of an object or a place in an array. */
static struct rg_value base_child(struct rg_heap *heap, struct rg_value base,
				  struct rg_target_text segment)
{
	struct rg_value number;

	if (base.type == RG_OBJECT)
		return rg_object_get_text(heap, base, segment.text, segment.bytes);
	if (base.type == RG_ARRAY && is_number(segment, &number))
		return rg_dot(heap, base, number);
	return rg_undefined;
}

/* The value that an entrypoint binds to "result". */
static struct rg_value run_plan(struct rg_question *question, uint32_t plan)
{
	struct rg_eval *eval = question->loan->eval;
	struct rg_heap *heap = rg_eval_heap(eval);
	struct rg_value results;

	if (question->result != RG_EVAL_OK)
		return rg_undefined;
	question->result = rg_eval_run(eval, plan, &question->query, &results, &question->error);
	if (question->result != RG_EVAL_OK || !rg_count(heap, results))
		return rg_undefined;
	return rg_object_get_text(heap, rg_set_at(heap, results, 0), "result", strlen("result"));
}

static struct rg_value in_value(struct rg_heap *heap, struct rg_value value,
				const struct rg_target_text *path, uint32_t count)
{
	for (uint32_t i = 0; i < count && rg_is_defined(value); i++) {
		struct rg_value key;

		if (!is_number(path[i], &key))
			key = rg_string(heap, path[i].text, path[i].bytes);
		value = rg_dot(heap, value, key);
	}
	return value;
}

/* A package: the base document's object there, with what rules give put over it. Deep as the
 * tree of packages. */
static struct rg_value package_value(struct rg_question *question, uint32_t node,
				     struct rg_value base)
{
	const struct rg_document *documents = question->loan->view->documents;
	struct rg_heap *heap = rg_eval_heap(question->loan->eval);
	struct rg_value object = base.type == RG_OBJECT ? rg_clone(heap, base) : rg_object(heap, 4);

	for (uint32_t at = documents[node].child; at; at = documents[at].sibling) {
		struct rg_target_text key = {documents[at].key, documents[at].key_bytes};
		struct rg_value value =
			documents[at].plan != RG_NO_PLAN
				? run_plan(question, documents[at].plan)
				: package_value(question, at, base_child(heap, base, key));

		if (question->result != RG_EVAL_OK)
			return rg_undefined;
		if (rg_is_defined(value))
			rg_object_insert(heap, object, rg_string(heap, key.text, key.bytes), value);
	}
	return object;
}

struct rg_value rg_question_evaluate(struct rg_question *question)
{
	const struct rg_view *view = question->loan->view;
	struct rg_heap *heap = rg_eval_heap(question->loan->eval);
	struct rg_value base = run_plan(question, view->data_plan), value;
	bool in_tree = true;
	uint32_t node = 0;

	for (uint32_t i = 0; i < question->path_count; i++) {
		struct rg_target_text segment = question->path[i];
		uint32_t child =
			in_tree ? rg_view_child(view, node, segment.text, segment.bytes) : 0;

		if (child && view->documents[child].plan != RG_NO_PLAN) {
			value = run_plan(question, view->documents[child].plan);
			return in_value(heap, value, question->path + i + 1,
					question->path_count - i - 1);
		}
		base = base_child(heap, base, segment);
		in_tree = child != 0;
		node = child;
	}
	value = in_tree ? package_value(question, node, base) : base;
	if (heap->exhausted && question->result == RG_EVAL_OK) {
		question->result = RG_EVAL_MEMORY;
		rg_error_set(&question->error, RG_ELIMIT, "api.scratch_bytes are used up");
	}
	return value;
}

/* ---- errors ---- */

/* "file:row: code: message" of the evaluator as OPA's error object. */
static void write_evaluation_error(struct rg_json_writer *writer,
				   const struct rg_question *question)
{
	const char *code = rg_eval_result_code(question->result), *text = question->error.text;
	const char *found = strstr(text, code), *message = text, *row = NULL;

	if (found && found > text + 2 && !strncmp(found + strlen(code), ": ", 2)) {
		message = found + strlen(code) + 2;
		for (row = found - 3; row > text && *row != ':'; row--)
			;
	}
	rg_json_write_object_begin(writer);
	write_text(writer, "code", code);
	write_text(writer, "message", message);
	if (row && *row == ':') {
		rg_json_write_key(writer, "location");
		rg_json_write_object_begin(writer);
		rg_json_write_key(writer, "file");
		rg_json_write_string_n(writer, text, (size_t)(row - text));
		rg_json_write_key(writer, "row");
		rg_json_write_uint(writer, strtoull(row + 1, NULL, 10));
		rg_json_write_key(writer, "col");
		rg_json_write_uint(writer, 1);
		rg_json_write_object_end(writer);
	}
	rg_json_write_object_end(writer);
}

/* Members of an error body. */
void rg_question_write_failure(struct rg_json_writer *writer, const struct rg_question *question)
{
	write_text(writer, "code", "internal_error");
	write_text(writer, "message", "error(s) occurred while evaluating query");
	rg_json_write_key(writer, "errors");
	rg_json_write_array_begin(writer);
	write_evaluation_error(writer, question);
	rg_json_write_array_end(writer);
}
