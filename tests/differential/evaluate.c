/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riskgate's side of the differential test: one plan, many inputs, in one process.
 *
 *	evaluate PLAN DATA INPUTS SCHEMA TEMPLATE PACKAGE
 *
 * compiles PLAN with DATA, the template of the request schema bound to the package, verifies the
 * image, and takes each line of INPUTS: {"input": ..., "request": true|false}, where a missing
 * "input" means that there is none. It prints a line of JSON for each input and entrypoint, and for
 * each decision:
 *
 *	{"input":0,"entrypoint":"p/score","result":12.5}	nothing after the name: undefined
 *	{"input":0,"entrypoint":"c/limit","error":"eval_conflict_error","text":"..."}
 *	{"input":0,"decision":"value","verdict":2,"score_micro":12500000,"fired":1,"reasons":["big"],"error":""}
 *	{"input":0,"decision":"typed", ...}			the same request, encoded as SBE; only if "request" is true
 *	{"input":0,"decision":"request", ...}			instead of "typed": its typed program gave up, or there is none
 *	{"input":0,"decision":"burst", ...}			the last of several such, decided together
 *	{"input":0,"decision":"rules", ...}			and decided by the rules alone
 *	{"input":0,"decision":"request","refused":"..."}	it cannot be encoded
 *
 * The first line names the reasons that have an id: {"reasons":["big", ...]}. A reason without one
 * is "other". Exit: 0 done, 1 the plan or an input was refused (the reason is on stderr), 2 wrong
 * use.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/json.h"
#include "policy/eval/eval.h"
#include "policy/image/image.h"
#include "wire/sbe_json.h"

#define SCRATCH_BYTES ((uint64_t)64 << 20)
#define BUDGET	      50000000
#define NOW_NS	      1700000000123456789
#define SEED	      42
#define BURST	      7
#define HEADER_BYTES  8
#define MESSAGE_BYTES (HEADER_BYTES + RG_SCHEMA_BLOCK_BYTES_MAX)

struct text {
	char *at;
	size_t bytes;
};

/* One line of INPUTS. */
struct sample {
	const char *input; /* NULL: none */
	size_t bytes;
	bool is_request;
};

struct session {
	struct rg_schema *schema;
	const char *template_name;
	struct rg_reason_list reasons;
	void *image;
	struct rg_eval *eval;
	int template_index;
	struct rg_json_writer out;
};

static int read_file(const char *path, struct text *text, struct rg_error *err)
{
	FILE *file = fopen(path, "rb");
	size_t capacity = 1 << 16;
	int status = RG_OK;

	*text = (struct text){malloc(capacity), 0};
	while (file && text->at) {
		size_t got = fread(text->at + text->bytes, 1, capacity - text->bytes, file);

		if (!got)
			break;
		text->bytes += got;
		if (text->bytes == capacity) {
			char *larger = realloc(text->at, capacity *= 2);

			if (!larger)
				free(text->at);
			text->at = larger;
		}
	}
	if (!file || !text->at || ferror(file)) {
		rg_error_set_errno(err, RG_EIO, errno, "%s", path);
		status = RG_EIO;
	}
	if (file)
		fclose(file);
	return status;
}

/* ---- setting up ---- */

static int compile(struct session *session, char **argv, size_t *image_bytes, struct rg_error *err)
{
	struct rg_binding binding = {session->template_name, argv[6]};
	struct text plan = {0}, data = {0};
	struct rg_compile_options options = {.bundle = "differential",
					     .revision = "1",
					     .sequence = 1,
					     .fields = rg_schema_fields(session->schema),
					     .bindings = &binding,
					     .binding_count = 1,
					     .reasons = &session->reasons,
					     .budget = BUDGET};
	int status = read_file(argv[1], &plan, err);

	if (!status)
		status = read_file(argv[2], &data, err);
	options.plan_json = plan.at;
	options.plan_bytes = plan.bytes;
	options.data_json = data.at;
	options.data_bytes = data.bytes;
	if (!status)
		status = rg_compile(&options, &session->image, image_bytes, err);
	free(plan.at);
	free(data.at);
	return status ? rg_error_prefix(err, "%s", argv[1]) : status;
}

static int begin(struct session *session, char **argv, struct rg_error *err)
{
	uint64_t bytes = rg_eval_footprint(SCRATCH_BYTES);
	const struct rg_template *request;
	size_t image_bytes = 0;
	void *memory;

	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return rg_error_set_errno(err, RG_ENOMEM, errno, "memory for the evaluator");
	session->eval = rg_eval_new(memory, SCRATCH_BYTES);
	session->template_name = argv[5];
	if (rg_schema_load(argv[4], &session->schema, err) ||
	    compile(session, argv, &image_bytes, err) ||
	    rg_image_verify(session->image, image_bytes, err) ||
	    rg_eval_bind(session->eval, session->image, image_bytes, err))
		return err->status;
	request = rg_schema_template_by_name(session->schema, session->template_name);
	session->template_index =
		rg_eval_template(session->eval, request->schema_id, request->template_id);
	if (session->template_index < 0)
		return rg_error_set(err, RG_ENOENT, "the image does not decide %s",
				    session->template_name);
	return RG_OK;
}

/* ---- printing ---- */

static void begin_line(struct session *session, unsigned number)
{
	rg_json_writer_reset(&session->out);
	rg_json_write_object_begin(&session->out);
	rg_json_write_key(&session->out, "input");
	rg_json_write_uint(&session->out, number);
}

static void member(struct session *session, const char *key, const char *text)
{
	rg_json_write_key(&session->out, key);
	rg_json_write_string(&session->out, text);
}

static void end_line(struct session *session)
{
	rg_json_write_object_end(&session->out);
	if (session->out.failed)
		abort();
	fwrite(session->out.text, 1, session->out.bytes, stdout);
	putchar('\n');
}

static void print_reason_names(struct session *session)
{
	rg_json_write_object_begin(&session->out);
	rg_json_write_key(&session->out, "reasons");
	rg_json_write_array_begin(&session->out);
	for (uint32_t i = 0; i < session->reasons.count; i++)
		rg_json_write_string(&session->out, session->reasons.names[i]);
	rg_json_write_array_end(&session->out);
	end_line(session);
}

static void print_outcome(struct session *session, unsigned number, const char *way,
			  const struct rg_outcome *outcome)
{
	struct rg_json_writer *out = &session->out;

	begin_line(session, number);
	member(session, "decision", way);
	rg_json_write_key(out, "verdict");
	rg_json_write_uint(out, outcome->verdict);
	rg_json_write_key(out, "score_micro");
	rg_json_write_int(out, outcome->score_micro);
	rg_json_write_key(out, "fired");
	rg_json_write_uint(out, outcome->reasons_fired);
	rg_json_write_key(out, "reasons");
	rg_json_write_array_begin(out);
	for (int i = 0; i < outcome->reason_count; i++) {
		uint16_t id = outcome->reasons[i];

		rg_json_write_string(out, id && id <= session->reasons.count
						  ? session->reasons.names[id - 1]
						  : "other");
	}
	rg_json_write_array_end(out);
	member(session, "error", outcome->result ? rg_eval_result_code(outcome->result) : "");
	end_line(session);
}

static void print_refusal(struct session *session, unsigned number, const char *text)
{
	begin_line(session, number);
	member(session, "decision", "request");
	member(session, "refused", text);
	end_line(session);
}

/* ---- evaluating ---- */

/* The sample's input in the freshly reset heap. */
static int read_input(struct session *session, const struct sample *sample, struct rg_query *query,
		      struct rg_error *err)
{
	struct rg_heap *heap = rg_eval_heap(session->eval);

	rg_heap_reset(heap);
	*query = (struct rg_query){.input = rg_undefined, .now_ns = NOW_NS, .seed = SEED};
	return sample->input
		       ? rg_value_parse(heap, sample->input, sample->bytes, &query->input, err)
		       : RG_OK;
}

static int print_result(struct session *session, struct rg_value results, struct rg_error *err)
{
	struct rg_heap *heap = rg_eval_heap(session->eval);
	struct rg_value value;

	if (!rg_count(heap, results))
		return RG_OK;
	if (rg_count(heap, results) != 1)
		return rg_error_set(err, RG_EINVAL, "%u results", rg_count(heap, results));
	value = rg_object_get_text(heap, rg_set_at(heap, results, 0), "result", 6);
	value = rg_value_json(heap, value);
	if (value.type != RG_STRING)
		return rg_error_set(err, RG_ENOMEM, "the result cannot be printed");
	rg_json_write_key(&session->out, "result");
	rg_json_write_raw(&session->out, rg_text(heap, value), value.length);
	return RG_OK;
}

static int evaluate_plan(struct session *session, unsigned number, const struct sample *sample,
			 uint32_t plan, struct rg_error *err)
{
	struct rg_value results;
	struct rg_query query;
	enum rg_eval_result result;
	uint32_t bytes;
	const char *name = rg_eval_plan_name(session->eval, plan, &bytes);
	int status = read_input(session, sample, &query, err);

	if (status)
		return status;
	begin_line(session, number);
	rg_json_write_key(&session->out, "entrypoint");
	rg_json_write_string_n(&session->out, name, bytes);
	result = rg_eval_run(session->eval, plan, &query, &results, err);
	if (result) {
		member(session, "error", rg_eval_result_code(result));
		member(session, "text", err->text);
	} else {
		status = print_result(session, results, err);
	}
	end_line(session);
	return status;
}

/* Enough for a burst, and a length that no vector divides. */
static void decide_burst(struct session *session, const uint8_t *block, uint32_t bytes,
			 struct rg_outcome *outcome)
{
	struct rg_decide_request requests[BURST];
	struct rg_outcome outcomes[BURST];

	for (int i = 0; i < BURST; i++)
		requests[i] = (struct rg_decide_request){block, bytes, SEED, &outcomes[i]};
	rg_decide_burst(session->eval, session->template_index, requests, BURST, NOW_NS);
	*outcome = outcomes[BURST - 1];
}

static int decide(struct session *session, unsigned number, const struct sample *sample,
		  struct rg_error *err)
{
	uint8_t message[MESSAGE_BYTES], *block;
	struct rg_outcome outcome;
	struct rg_query query;
	uint64_t before;
	size_t bytes;
	int status = read_input(session, sample, &query, err);

	if (status)
		return status;
	rg_decide_value(session->eval, session->template_index, &query, &outcome, err);
	print_outcome(session, number, "value", &outcome);
	if (!sample->is_request)
		return RG_OK;
	if (rg_sbe_from_json(session->schema, session->template_name, sample->input, sample->bytes,
			     message, sizeof(message), &bytes, err)) {
		print_refusal(session, number, err->text);
		return RG_OK;
	}
	bytes -= HEADER_BYTES;
	block = malloc(bytes); /* its very size, for the sanitizer */
	if (!block)
		return rg_error_set(err, RG_ENOMEM, "a block of %zu bytes", bytes);
	memcpy(block, message + HEADER_BYTES, bytes);
	before = rg_eval_counts(session->eval).typed;
	rg_decide(session->eval, session->template_index, block, (uint32_t)bytes, NOW_NS, SEED,
		  &outcome);
	print_outcome(session, number,
		      rg_eval_counts(session->eval).typed > before ? "typed" : "request", &outcome);
	decide_burst(session, block, (uint32_t)bytes, &outcome);
	print_outcome(session, number, "burst", &outcome);
	rg_eval_use_typed(session->eval, false);
	rg_decide(session->eval, session->template_index, block, (uint32_t)bytes, NOW_NS, SEED,
		  &outcome);
	rg_eval_use_typed(session->eval, true);
	print_outcome(session, number, "rules", &outcome);
	free(block);
	return RG_OK;
}

/* ---- samples ---- */

static int read_sample(const char *line, size_t bytes, struct sample *sample, struct rg_error *err)
{
	struct rg_json_reader reader;

	*sample = (struct sample){0};
	rg_json_reader_init(&reader, line, bytes);
	if (rg_json_next(&reader) != RG_JSON_OBJECT_BEGIN)
		return rg_error_set(err, RG_EINVAL, "expected an object");
	while (rg_json_next(&reader) == RG_JSON_KEY) {
		bool is_input = rg_json_equals(&reader, "input");
		enum rg_json_token token = rg_json_next(&reader);
		const char *at = reader.token_at;

		if (rg_json_skip(&reader))
			return rg_error_set(err, RG_EINVAL, "%s", reader.error.text);
		if (is_input) {
			sample->input = at;
			sample->bytes = (size_t)(reader.at - at);
		} else {
			sample->is_request = token == RG_JSON_TRUE;
		}
	}
	return RG_OK;
}

static int evaluate_sample(struct session *session, unsigned number, const struct sample *sample,
			   struct rg_error *err)
{
	int status = RG_OK;

	for (uint32_t plan = 0; plan < rg_eval_plan_count(session->eval) && !status; plan++)
		status = evaluate_plan(session, number, sample, plan, err);
	return status ? status : decide(session, number, sample, err);
}

static int evaluate_all(struct session *session, const char *path, struct rg_error *err)
{
	struct text inputs;
	int status = read_file(path, &inputs, err);
	const char *at = inputs.at, *end = inputs.at ? inputs.at + inputs.bytes : NULL;

	for (unsigned number = 0; at < end && !status; number++) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t bytes = (size_t)((newline ? newline : end) - at);
		struct sample sample;

		status = read_sample(at, bytes, &sample, err);
		if (!status)
			status = evaluate_sample(session, number, &sample, err);
		if (status)
			rg_error_prefix(err, "%s:%u", path, number + 1);
		at += bytes + 1;
	}
	free(inputs.at);
	return status;
}

int main(int argc, char **argv)
{
	static struct session session;
	struct rg_error err = {0};
	int status;

	if (argc != 7) {
		fprintf(stderr, "usage: evaluate PLAN DATA INPUTS SCHEMA TEMPLATE PACKAGE\n");
		return 2;
	}
	rg_json_writer_init(&session.out, false);
	status = begin(&session, argv, &err);
	if (!status) {
		print_reason_names(&session);
		status = evaluate_all(&session, argv[3], &err);
	}
	if (status)
		fprintf(stderr, "evaluate: %s\n", err.text);
	rg_json_writer_free(&session.out);
	rg_reason_list_free(&session.reasons);
	rg_schema_free(session.schema);
	free(session.image);
	return status != RG_OK;
}
