/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an image may cost: the verifier's time is bounded by the image's size whatever overlaps in
 * it, and what it accepts is bounded by its budget, however long its texts, large its frames and
 * alike its hashes are.
 */
#include <stdio.h>

#include "policy/image/forge.h"

enum { BUDGET = 10000, TURNS = 1000, TEXT_BYTES = 1 << 16 };
#define SCRATCH ((uint64_t)1 << 20)

static struct rg_error err;

static int verify(struct forge *forge)
{
	size_t bytes;
	void *image = forge_finish(forge, BUDGET, &bytes);
	int status = rg_image_verify(image, bytes, &err);

	free(image);
	return status;
}

/* Run plan 0 of the forged image, which must verify. */
static enum rg_eval_result run(struct forge *forge, struct rg_value *result)
{
	size_t bytes;
	void *image = forge_finish(forge, BUDGET, &bytes);
	void *memory = aligned_alloc(64, rg_eval_footprint(SCRATCH));
	struct rg_eval *eval = rg_eval_new(memory, SCRATCH);
	struct rg_query query = {.input = rg_null()};
	enum rg_eval_result status;

	err.text[0] = '\0';
	if (rg_image_verify(image, bytes, &err))
		fprintf(stderr, "%s\n", err.text);
	assert(!err.text[0]);
	assert(!rg_eval_bind(eval, image, bytes, &err));
	rg_heap_reset(rg_eval_heap(eval));
	status = rg_eval_run(eval, 0, &query, result, &err);
	free(memory);
	free(image);
	return status;
}

/* ---- the verifier ---- */

/* Each instruction names all operands. */
static int verify_shared_operands(uint32_t instructions, uint32_t operands)
{
	struct rg_instruction call = {.op = RG_OP_CALL_DYNAMIC, .a = FORGE_OBJECT, .b = operands};
	struct rg_instruction end = {.op = RG_OP_RETURN_UNDEFINED, .target = RG_NO_TARGET};
	struct rg_instruction *code = malloc((instructions + 1) * sizeof(*code));
	struct forge forge;

	forge_begin(&forge);
	call.target = instructions;
	for (uint32_t i = 0; i < instructions; i++)
		code[i] = call;
	code[instructions] = end;
	for (uint32_t i = 0; i < operands; i++)
		FORGE_ADD(&forge, RG_SECTION_OPERANDS, (uint32_t){0});
	forge_function(&forge, code, instructions + 1, 1, 1);
	free(code);
	return verify(&forge);
}

/* Each field names all names. */
static int verify_shared_names(uint32_t fields, uint32_t names)
{
	struct rg_image_field field = {.kind = RG_FIELD_ENUM,
				       .bytes = 1,
				       .extent = 1,
				       .names_count = names,
				       .path = FORGE_NAME};
	struct forge forge;

	forge_begin(&forge);
	for (uint32_t i = 0; i < names; i++)
		FORGE_ADD(&forge, RG_SECTION_FIELD_NAMES,
			  (struct rg_image_field_name){i, FORGE_NAME, 0});
	for (uint32_t i = 0; i < fields; i++)
		FORGE_ADD(&forge, RG_SECTION_FIELDS, field);
	return verify(&forge);
}

/* A set of arrays that begin with one long text, which each comparison goes over. */
static int verify_long_members(uint32_t members, uint64_t text_bytes)
{
	char *text = malloc(text_bytes);
	struct rg_value *items = malloc(members * sizeof(*items)), pair[2];
	uint64_t *index = calloc(rg_container_slots(members), sizeof(*index));
	struct forge forge;
	int status;

	forge_begin(&forge);
	memset(text, 'a', text_bytes);
	pair[0] = forge_text(&forge, RG_STRING, text, text_bytes);
	for (uint32_t i = 0; i < members; i++) {
		pair[1] = rg_int(i);
		items[i] = forge_container(&forge, RG_ARRAY, pair, 2, NULL, 0);
	}
	forge_constant(&forge, forge_container(&forge, RG_SET, items, members, index,
					       rg_container_slots(members)));
	status = verify(&forge);
	assert(status == RG_ECORRUPT); /* its index is empty, which is found after the order */
	free(text);
	free(items);
	free(index);
	return strstr(err.text, "order") ? RG_ECORRUPT : RG_OK;
}

/* 2^64 x k: numbers of one hash, ascending; no k that ends in 0 or 5, which the hash tells
 * apart. */
static struct rg_value colliding(struct forge *forge, uint64_t number)
{
	char text[48];
	unsigned __int128 v = (unsigned __int128)(number / 4 * 5 + number % 4 + 1) << 64;
	uint64_t low = (uint64_t)(v % 10000000000000000000ull),
		 high = (uint64_t)(v / 10000000000000000000ull);
	int bytes = high ? snprintf(text, sizeof(text), "%llu%019llu", (unsigned long long)high,
				    (unsigned long long)low)
			 : snprintf(text, sizeof(text), "%llu", (unsigned long long)low);

	return forge_text(forge, RG_NUMBER, text, (uint64_t)bytes);
}

/* A set of numbers of one hash, with its index. */
static struct rg_value colliding_set(struct forge *forge, uint32_t members)
{
	struct rg_value *items = malloc(members * sizeof(*items)), set;
	uint32_t slots = rg_container_slots(members);
	uint64_t *index = calloc(slots, sizeof(*index));

	for (uint32_t i = 0; i < members; i++)
		items[i] = colliding(forge, i);
	for (uint32_t i = 0; i < members; i++) {
		struct rg_heap heap = {.space = {forge->part[RG_SECTION_HEAP]}, .work = UINT64_MAX};

		rg_container_enter(index, slots, rg_hash(&heap, items[i]), i);
	}

	set = forge_container(forge, RG_SET, items, members, index, slots);
	free(items);
	free(index);
	return set;
}

static int verify_colliding(uint32_t members)
{
	struct forge forge;

	forge_begin(&forge);
	forge_constant(&forge, colliding_set(&forge, members));
	return verify(&forge);
}

static void test_verifier(void)
{
	assert(verify_shared_operands(40, 400) == RG_OK);
	assert(verify_shared_operands(4000, 40000) == RG_ECORRUPT);
	assert(verify_shared_names(40, 400) == RG_OK);
	assert(verify_shared_names(4000, 40000) == RG_ECORRUPT);
	assert(verify_long_members(100, 1000) == RG_OK);
	assert(verify_long_members(10000, 2000000) == RG_ECORRUPT);
	assert(verify_colliding(1000) == RG_OK);
	assert(verify_colliding(20000) == RG_ECORRUPT);
}

/* ---- the evaluator ---- */

/* TURNS times `step`, whose operands are constants made by the caller; r1..r4 are in use. */
static enum rg_eval_result run_loop(struct forge *forge, struct rg_instruction step)
{
	struct rg_value *nulls = malloc(TURNS * sizeof(*nulls)), result;
	enum rg_eval_result status;
	uint32_t array;

	for (uint32_t i = 0; i < TURNS; i++)
		nulls[i] = rg_null();
	array = RG_OPERAND_CONSTANT |
		forge_constant(forge, forge_container(forge, RG_ARRAY, nulls, TURNS, NULL, 0));
	free(nulls);
	step.target = 3;
	forge_function(forge,
		       (struct rg_instruction[]){
			       {.op = RG_OP_SCAN, .dst = 1, .a = array, .target = 4},
			       {.op = RG_OP_NEXT, .dst = 2, .a = 1, .b = 3, .target = 4},
			       step,
			       {.op = RG_OP_LOOP, .c = 3, .target = 1},
			       {.op = RG_OP_RETURN_UNDEFINED, .target = RG_NO_TARGET},
		       },
		       5, 1, 5);
	status = run(forge, &result);
	if (status)
		printf("%s\n", err.text);
	return status;
}

/* A constant text of `bytes` times 1, as an operand. */
static uint32_t long_text(struct forge *forge, enum rg_value_type type, uint64_t bytes)
{
	char *text = malloc(bytes);
	uint32_t constant;

	memset(text, '1', bytes);
	constant = forge_constant(forge, forge_text(forge, type, text, bytes));
	free(text);
	return RG_OPERAND_CONSTANT | constant;
}

static enum rg_eval_result run_with_texts(enum rg_op op, enum rg_value_type type, uint64_t bytes)
{
	struct rg_instruction step = {.op = (uint16_t)op, .dst = op == RG_OP_LENGTH ? 4 : 0};
	struct forge forge;

	forge_begin(&forge);
	step.a = long_text(&forge, type, bytes);
	if (op != RG_OP_LENGTH)
		step.b = long_text(&forge, type, bytes);
	return run_loop(&forge, step);
}

/* Look a long key up in an object, or a long number in an array. */
static enum rg_eval_result run_with_key(enum rg_value_type container, uint64_t bytes)
{
	struct rg_instruction step = {.op = RG_OP_DOT, .dst = 4};
	struct forge forge;
	uint32_t key;

	forge_begin(&forge);
	key = long_text(&forge, container == RG_ARRAY ? RG_NUMBER : RG_STRING, bytes);
	if (container == RG_ARRAY) {
		step.a = RG_OPERAND_CONSTANT |
			 forge_constant(&forge, forge_container(&forge, RG_ARRAY, "", 0, NULL, 0));
	} else {
		struct rg_pair pair = {
			((struct rg_value *)
				 forge.part[RG_SECTION_CONSTANTS])[key & ~RG_OPERAND_CONSTANT],
			rg_null()};

		step.a = RG_OPERAND_CONSTANT |
			 forge_constant(&forge,
					forge_container(&forge, RG_OBJECT, &pair, 1, NULL, 0));
		key = long_text(&forge, RG_STRING, bytes);
	}
	step.b = key;
	return run_loop(&forge, step);
}

static enum rg_eval_result run_with_collisions(uint32_t members)
{
	struct rg_instruction step = {.op = RG_OP_DOT, .dst = 4};
	struct forge forge;

	forge_begin(&forge);
	step.a = RG_OPERAND_CONSTANT | forge_constant(&forge, colliding_set(&forge, members));
	step.b = RG_OPERAND_CONSTANT | forge_constant(&forge, colliding(&forge, members));
	return run_loop(&forge, step);
}

/* Call a function with many registers, and one instruction. */
static enum rg_eval_result run_with_frame(uint32_t frame)
{
	struct rg_instruction step = {.op = RG_OP_CALL, .dst = 4};
	struct forge forge;

	forge_begin(&forge);
	step.a = forge_function(
		&forge,
		&(struct rg_instruction){.op = RG_OP_RETURN_UNDEFINED, .target = RG_NO_TARGET}, 1,
		0, frame);
	return run_loop(&forge, step);
}

static void test_budget(void)
{
	assert(run_with_texts(RG_OP_BRANCH_COMPARE, RG_STRING, 100) == RG_EVAL_OK);
	assert(run_with_texts(RG_OP_BRANCH_COMPARE, RG_STRING, TEXT_BYTES) == RG_EVAL_MEMORY);
	assert(run_with_texts(RG_OP_BRANCH_COMPARE, RG_NUMBER, 100) == RG_EVAL_OK);
	assert(run_with_texts(RG_OP_BRANCH_COMPARE, RG_NUMBER, TEXT_BYTES) == RG_EVAL_MEMORY);
	assert(run_with_texts(RG_OP_LENGTH, RG_STRING, 100) == RG_EVAL_OK);
	assert(run_with_texts(RG_OP_LENGTH, RG_STRING, TEXT_BYTES) == RG_EVAL_MEMORY);
	assert(run_with_key(RG_OBJECT, 100) == RG_EVAL_OK);
	assert(run_with_key(RG_OBJECT, TEXT_BYTES) == RG_EVAL_MEMORY);
	assert(run_with_key(RG_ARRAY, 100) == RG_EVAL_OK);
	assert(run_with_key(RG_ARRAY, TEXT_BYTES) == RG_EVAL_MEMORY);
	assert(run_with_collisions(17) == RG_EVAL_OK);
	assert(run_with_collisions(2000) == RG_EVAL_MEMORY);
	assert(run_with_frame(10) == RG_EVAL_OK);
	assert(run_with_frame(RG_IMAGE_FRAME_MAX) == RG_EVAL_BUDGET);
}

/* ---- verdicts ---- */

/* deny is an array of so many strings without an id. */
static void decide(uint32_t reasons, struct rg_outcome *outcome)
{
	struct rg_image_binding binding = {.template_name = FORGE_NAME, .package = FORGE_NAME};
	struct rg_value *items = malloc(reasons * sizeof(*items));
	struct rg_instruction code = {.op = RG_OP_RETURN, .target = RG_NO_TARGET};
	void *memory = aligned_alloc(64, rg_eval_footprint(SCRATCH)), *image;
	struct rg_eval *eval = rg_eval_new(memory, SCRATCH);
	struct forge forge;
	size_t bytes;

	forge_begin(&forge);
	items[0] = forge_text(&forge, RG_STRING, "reason", 6);
	for (uint32_t i = 1; i < reasons; i++)
		items[i] = items[0];
	code.a = RG_OPERAND_CONSTANT |
		 forge_constant(&forge, forge_container(&forge, RG_ARRAY, items, reasons, NULL, 0));
	for (int role = 0; role < RG_ROLE_COUNT; role++)
		binding.specialised[role] = binding.general[role] = RG_IMAGE_NO_FUNCTION;
	binding.specialised[RG_ROLE_DENY] = forge_function(&forge, &code, 1, 0, 0);
	FORGE_ADD(&forge, RG_SECTION_NODES,
		  (struct rg_image_node){FORGE_NAME, RG_IMAGE_NO_FIELD, 0, 0});
	FORGE_ADD(&forge, RG_SECTION_BINDINGS, binding);
	image = forge_finish(&forge, BUDGET, &bytes);
	assert(!rg_image_verify(image, bytes, &err));
	assert(!rg_eval_bind(eval, image, bytes, &err));
	rg_decide(eval, 0, NULL, 0, 1, 2, outcome);
	free(image);
	free(memory);
	free(items);
}

static void test_reasons(void)
{
	struct rg_outcome outcome;

	decide(1000, &outcome);
	assert(outcome.result == RG_EVAL_OK && outcome.verdict == RG_VERDICT_DENY &&
	       outcome.reasons_fired == 1000);
	decide(1000000, &outcome);
	assert(outcome.result == RG_EVAL_MEMORY && outcome.verdict == RG_VERDICT_DENY &&
	       !outcome.reason_count);
}

/* Every instruction on a field in a plan, which has no request: nothing is there, nothing is
 * read (run this under UBSan). */
static void test_no_request(void)
{
	static const struct rg_instruction steps[] = {
		{.op = RG_OP_FIELD_TEXT, .a = 0, .b = FORGE_NAME, .aux = RG_EQ},
		{.op = RG_OP_FIELD_LOAD, .dst = 1, .a = 0},
		{.op = RG_OP_FIELD_LOAD, .dst = 1, .a = 1},
		{.op = RG_OP_FIELD_LOAD, .dst = 1, .a = 2},
		{.op = RG_OP_FIELD_PRESENT, .a = 0, .aux = 1},
		{.op = RG_OP_FIELD_PRESENT, .a = 1, .aux = 1},
		{.op = RG_OP_FIELD_PRESENT, .a = 2, .aux = 1},
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct rg_instruction code[3] = {
			steps[i],
			{.op = RG_OP_RETURN, .a = 0, .target = RG_NO_TARGET},
			{.op = RG_OP_RETURN_UNDEFINED, .target = RG_NO_TARGET}};
		struct rg_value result;
		struct forge forge;

		forge_begin(&forge);
		FORGE_ADD(&forge, RG_SECTION_FIELDS,
			  (struct rg_image_field){.kind = RG_FIELD_CHARS,
						  .optional = 1,
						  .length = 8,
						  .offset = 8,
						  .extent = 16,
						  .path = FORGE_NAME});
		FORGE_ADD(&forge, RG_SECTION_FIELDS,
			  (struct rg_image_field){.kind = RG_FIELD_FLOAT,
						  .bytes = 8,
						  .offset = 8,
						  .extent = 16,
						  .path = FORGE_NAME});
		FORGE_ADD(&forge, RG_SECTION_FIELDS,
			  (struct rg_image_field){.kind = RG_FIELD_DECIMAL_VAR,
						  .bytes = 8,
						  .offset = 8,
						  .exponent_offset = 16,
						  .extent = 17,
						  .path = FORGE_NAME});
		code[0].target = 2;
		forge_function(&forge, code, 3, 1, 2);
		assert(!run(&forge, &result) && !rg_is_defined(result));
	}
}

int main(void)
{
	test_verifier();
	test_budget();
	test_reasons();
	test_no_request();
	return 0;
}
