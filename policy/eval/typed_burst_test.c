/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed instructions over bursts, with each width of vectors that the machine has, beside the same
 * instructions one request at a time: programs made by hand over random requests, with operands
 * at and beyond the numbers that vectors are quick for, blocks that end inside fields, and texts
 * that nearly are others.
 */
#include <stdio.h>

#include "policy/image/forge.h"
#include "policy/image/rule_table.h"
#include "policy/image/typed.h"
#include "policy/testdata/requests.h"

#define SCRATCH	 ((uint64_t)1 << 20)
#define ROUNDS	 200
#define REQUESTS 32
#define SEED	 0x6275727374ull
#define TEXTS	 24
#define SLOTS	 64

/* The fields of a request: two numbers, one of each width, two texts. */
enum { A, B, U8, I8, U16, I16, U32, I32, NAMED, LONG_TEXT, TEXT, FIELDS };
static const struct rg_image_field fields[FIELDS] = {
	[A] = {.kind = RG_FIELD_INT, .bytes = 8, .is_signed = 1, .offset = 0},
	[B] = {.kind = RG_FIELD_INT, .bytes = 8, .is_signed = 1, .offset = 8},
	[U8] = {.kind = RG_FIELD_INT, .bytes = 1, .offset = 16},
	[I8] = {.kind = RG_FIELD_INT, .bytes = 1, .is_signed = 1, .offset = 17},
	[U16] = {.kind = RG_FIELD_INT, .bytes = 2, .offset = 18},
	[I16] = {.kind = RG_FIELD_INT, .bytes = 2, .is_signed = 1, .offset = 20},
	[U32] = {.kind = RG_FIELD_INT, .bytes = 4, .offset = 22},
	[I32] = {.kind = RG_FIELD_INT, .bytes = 4, .is_signed = 1, .offset = 26},
	[NAMED] = {.kind = RG_FIELD_ENUM, .bytes = 1, .offset = 30},
	[LONG_TEXT] = {.kind = RG_FIELD_CHARS, .optional = 1, .length = 19, .offset = 31},
	[TEXT] = {.kind = RG_FIELD_CHARS, .length = 3, .offset = 50}};
enum { LEAST_BYTES = 16, BLOCK_BYTES = 53 };

/* Slots: the constants, the operands, the result. */
enum { ONE, ZERO, X, Y, R, S, RESULT, SLOT_COUNT };

static struct chance chance = {SEED};
static char texts[TEXTS][20]; /* of the dictionary */
static struct forge forge;
static uint32_t instruction_count, table_count;

static uint32_t below(uint32_t end)
{
	return chance_below(&chance, end);
}

/* ---- programs ---- */

/* Jumps may lead to any. */
static void emit(struct rg_typed_instruction instruction)
{
	instruction.flags |= RG_TYPED_TARGET;
	FORGE_ADD(&forge, RG_SECTION_TYPED_CODE, instruction);
	instruction_count++;
}

static uint32_t add_table(enum rg_typed_table_kind kind, uint32_t count, const void *cells)
{
	struct rg_typed_table table = {
		.kind = kind, .count = count, .first = forge.count[RG_SECTION_TYPED_CELLS]};
	const int64_t *cell = cells;

	for (uint64_t i = 0; i < rg_typed_table_cells(&table); i++)
		FORGE_ADD(&forge, RG_SECTION_TYPED_CELLS, cell[i]);
	FORGE_ADD(&forge, RG_SECTION_TYPED_TABLES, table);
	return table_count++;
}

/* The slots of these hashes, and what tells them apart, by trying. */
static void place(const uint64_t *hashes, uint32_t count, uint32_t *multipliers, uint32_t *slot)
{
	bool taken[SLOTS] = {false};

	for (uint32_t bucket = 0; bucket < SLOTS / RG_TYPED_BUCKET_SLOTS; bucket++) {
		bool placed = false;

		for (uint32_t multiplier = 1; !placed; multiplier += 2) {
			bool mine[SLOTS] = {false};

			multipliers[bucket] = multiplier;
			placed = true;
			for (uint32_t i = 0; i < count; i++) {
				if (((uint32_t)(hashes[i] >> 32) &
				     (SLOTS / RG_TYPED_BUCKET_SLOTS - 1)) != bucket)
					continue;
				slot[i] = rg_typed_slot_of(multipliers, SLOTS, hashes[i]);
				placed &= !taken[slot[i]] && !mine[slot[i]];
				mine[slot[i]] = true;
			}
			for (uint32_t i = 0; placed && i < SLOTS; i++)
				taken[i] |= mine[i];
		}
	}
}

static uint32_t add_dictionary(void)
{
	struct {
		struct rg_typed_text_slot slots[SLOTS];
		uint32_t multipliers[SLOTS / RG_TYPED_BUCKET_SLOTS];
	} table = {0};
	uint64_t hashes[TEXTS];
	uint32_t slot[TEXTS];

	for (uint32_t i = 0; i < TEXTS; i++)
		hashes[i] = rg_typed_text_hash(texts[i], (uint32_t)strlen(texts[i]));
	place(hashes, TEXTS, table.multipliers, slot);
	for (uint32_t i = 0; i < TEXTS; i++)
		table.slots[slot[i]] = (struct rg_typed_text_slot){
			.hash = hashes[i],
			.text = forge_constant(&forge, forge_text(&forge, RG_STRING, texts[i],
								  strlen(texts[i]))) |
				(strlen(texts[i]) > 8 ? RG_TYPED_LONG_TEXT : 0),
			.id = i + 1};
	return add_table(RG_TYPED_DICTIONARY, SLOTS, &table);
}

/* Keys 0, 3, 6, ... of owners 0, 1, 2, 0, 1, ... */
static uint32_t add_map(void)
{
	struct {
		struct rg_typed_map_slot slots[SLOTS];
		uint32_t multipliers[SLOTS / RG_TYPED_BUCKET_SLOTS];
	} table = {0};
	uint64_t hashes[TEXTS];
	uint32_t slot[TEXTS];

	for (uint32_t i = 0; i < TEXTS; i++)
		hashes[i] = rg_typed_map_hash(3 * (int64_t)i, i % 3);
	place(hashes, TEXTS, table.multipliers, slot);
	for (uint32_t i = 0; i < TEXTS; i++)
		table.slots[slot[i]] = (struct rg_typed_map_slot){3 * (int64_t)i, i % 3, i + 1};
	return add_table(RG_TYPED_MAP, SLOTS, &table);
}

static uint32_t add_column(void)
{
	int64_t cells[TEXTS];

	for (int64_t i = 0; i < TEXTS; i++)
		cells[i] = i % 5 ? 100 - i : RG_TYPED_ABSENT;
	return add_table(RG_TYPED_COLUMN, TEXTS, cells);
}

static void load(uint8_t op, uint16_t slot, uint16_t field)
{
	uint32_t extent = fields[field].offset + fields[field].bytes;

	emit((struct rg_typed_instruction){.op = op,
					   .dst = slot,
					   .a = field,
					   .b = op != RG_TYPED_OP_FIELD_64,
					   .table = fields[field].offset,
					   .number = op == RG_TYPED_OP_FIELD_NAMED_U8 ? 0xf5 : 7,
					   .target = extent > LEAST_BYTES ? extent : 0});
}

static void begin(void)
{
	forge_begin(&forge);
	instruction_count = table_count = 0;
	for (int i = 0; i < FIELDS; i++) {
		struct rg_image_field field = fields[i];

		field.extent =
			field.offset + (field.kind == RG_FIELD_CHARS ? field.length : field.bytes);
		field.path = FORGE_NAME;
		FORGE_ADD(&forge, RG_SECTION_FIELDS, field);
	}
	FORGE_ADD(&forge, RG_SECTION_NODES, (struct rg_image_node){.key = FORGE_NAME});
	add_column(); /* reasons, and what is read */
	emit((struct rg_typed_instruction){.op = RG_TYPED_OP_CONSTANT, .dst = ONE, .number = 1});
	emit((struct rg_typed_instruction){.op = RG_TYPED_OP_CONSTANT, .dst = ZERO});
	emit((struct rg_typed_instruction){.op = RG_TYPED_OP_CONSTANT, .dst = RESULT});
	load(RG_TYPED_OP_FIELD_64, X, A);
	load(RG_TYPED_OP_FIELD_64, Y, B);
}

/* The program's end: the score is what is in RESULT, the verdict ALLOW, by rules REVIEW. */
static void *finish(size_t *bytes)
{
	struct rg_typed_program program = {.code_count = instruction_count + 1,
					   .constant_count = 2,
					   .slot_count = SLOT_COUNT,
					   .block_bytes = LEAST_BYTES};
	struct rg_image_binding binding = {.block_length = BLOCK_BYTES,
					   .template_name = FORGE_NAME,
					   .package = FORGE_NAME,
					   .typed = 1};

	emit((struct rg_typed_instruction){.op = RG_TYPED_OP_END});
	program.roles[RG_ROLE_ALLOW] = (struct rg_typed_role){.kind = RG_TYPED_BOOLEAN, .at = ONE};
	program.roles[RG_ROLE_SCORE] =
		(struct rg_typed_role){.kind = RG_TYPED_NUMBER, .scale = 6, .at = RESULT};
	FORGE_ADD(&forge, RG_SECTION_TYPED_PROGRAMS, program);
	for (int role = 0; role < RG_ROLE_COUNT; role++)
		binding.specialised[role] = binding.general[role] = RG_IMAGE_NO_FUNCTION;
	FORGE_ADD(&forge, RG_SECTION_BINDINGS, binding);
	return forge_finish(&forge, 1000, bytes);
}

/* ---- requests ---- */

/* At, near and beyond powers of two, and small. */
static int64_t any_number(void)
{
	uint64_t number = chance_next(&chance) >> below(64);

	switch (below(8)) {
	case 0: return (int64_t)below(100);
	case 1: return -(int64_t)below(100);
	case 2: number = (1ull << (50 + below(4))) + below(3) - 1; break;
	case 3: number = (uint64_t)INT64_MAX - below(3); break;
	case 4: return 1000 * (int64_t)below(1000) + 500 * (int64_t)below(2);
	default: break;
	}
	return below(2) ? (int64_t)number : (int64_t)-number;
}

static void any_text(uint8_t *at, uint32_t length)
{
	const char *text = texts[below(TEXTS)];
	uint32_t bytes = (uint32_t)strlen(text);

	memset(at, below(2) ? 0 : 'x', length);
	memcpy(at, text, bytes < length ? bytes : length);
	if (bytes < length)
		at[bytes] = below(8) ? 0 : (uint8_t) "xA"[below(2)];
	if (!below(6))
		at[below(length)] ^= (uint8_t)(1 << below(5));
	if (!below(10))
		at[0] = 0;
}

static void any_block(uint8_t *block)
{
	int64_t numbers[2] = {any_number(), any_number()};

	if (!below(4))
		numbers[1] = (int64_t)below(5) - 1;
	for (int i = 0; i < BLOCK_BYTES; i++)
		block[i] = (uint8_t)(below(3) ? chance_next(&chance) : 7);
	memcpy(block, numbers, sizeof(numbers));
	any_text(block + fields[LONG_TEXT].offset, fields[LONG_TEXT].length);
	any_text(block + fields[TEXT].offset, fields[TEXT].length);
}

static void any_texts(void)
{
	for (uint32_t i = 0; i < TEXTS; i++) {
		uint32_t bytes = 1 + below(i % 2 ? 3 : 19), same = 0;

		if (i > 4 && !below(3)) /* as another one begins */
			memcpy(texts[i], texts[i - 2], sizeof(texts[i]));
		else
			for (uint32_t j = 0; j < bytes; j++)
				texts[i][j] = (char)('A' + below(3));
		texts[i][bytes] = '\0';
		for (uint32_t j = 0; j < i; j++)
			same += !strcmp(texts[i], texts[j]);
		i -= same > 0;
	}
}

/* ---- the comparison ---- */

struct tested {
	const char *name;
	void (*make)(uint8_t op);
	uint8_t op;
	bool of_reals;
};

/* Is each outcome the one of the request alone? What a burst gives up though a single request does
 * not, are reals beyond 2^51. */
static void compare(const struct tested *tested, struct rg_eval *eval, enum rg_eval_vectors vectors)
{
	/* Each block ends where its memory does. */
	uint8_t *blocks[REQUESTS];
	struct rg_outcome alone[REQUESTS], together[REQUESTS];
	struct rg_decide_request requests[REQUESTS];
	uint32_t count = 1 + below(REQUESTS);

	for (uint32_t i = 0; i < count; i++) {
		uint8_t block[BLOCK_BYTES];
		uint32_t bytes = below(3) ? BLOCK_BYTES
					  : LEAST_BYTES - 2 + below(BLOCK_BYTES - LEAST_BYTES + 3);

		any_block(block);
		blocks[i] = malloc(bytes);
		assert(blocks[i]);
		memcpy(blocks[i], block, bytes);
		memset(&alone[i], 0, sizeof(alone[i]));
		memset(&together[i], 0, sizeof(together[i]));
		requests[i] = (struct rg_decide_request){blocks[i], bytes, i, &together[i]};
		rg_decide(eval, 0, blocks[i], bytes, 0, i, &alone[i]);
	}
	assert(rg_eval_use_vectors(eval, vectors) == vectors);
	rg_decide_burst(eval, 0, requests, count, 0);
	for (uint32_t i = 0; i < count; i++) {
		int64_t a = 0, b = 0;

		if (requests[i].block_bytes >= LEAST_BYTES) {
			memcpy(&a, blocks[i], sizeof(a));
			memcpy(&b, blocks[i] + 8, sizeof(b));
		}
		if (memcmp(&alone[i], &together[i], sizeof(alone[i])) != 0 &&
		    !(tested->of_reals && together[i].verdict == RG_VERDICT_REVIEW &&
		      (llabs(a) >= INT64_C(1) << 50 || llabs(b) >= INT64_C(1) << 50))) {
			fprintf(stderr,
				"%s, vectors %d, lane %u of %u: a %lld, b %lld, %u bytes, text "
				"%.19s: alone %d %lld, together %d %lld\n",
				tested->name, (int)vectors, i, count, (long long)a, (long long)b,
				requests[i].block_bytes,
				requests[i].block_bytes == BLOCK_BYTES
					? (const char *)blocks[i] + fields[LONG_TEXT].offset
					: "",
				alone[i].verdict, (long long)alone[i].score_micro,
				together[i].verdict, (long long)together[i].score_micro);
			abort();
		}
	}
	for (uint32_t i = 0; i < count; i++)
		free(blocks[i]);
}

static void test(const struct tested *tested)
{
	void *memory = aligned_alloc(64, rg_eval_footprint(SCRATCH)), *image;
	struct rg_eval *eval = rg_eval_new(memory, SCRATCH);
	enum rg_eval_vectors widest = rg_eval_use_vectors(eval, RG_EVAL_AVX512);
	struct rg_error err = {0};
	size_t bytes;

	for (int round = 0; round < ROUNDS; round++) {
		any_texts();
		begin();
		tested->make(tested->op);
		image = finish(&bytes);
		if (rg_image_verify(image, bytes, &err))
			fprintf(stderr, "%s: %s\n", tested->name, err.text);
		assert(!err.text[0]);
		assert(!rg_eval_bind(eval, image, bytes, &err));
		for (int vectors = RG_EVAL_PLAIN; vectors <= (int)widest; vectors++)
			compare(tested, eval, (enum rg_eval_vectors)vectors);
		free(image);
	}
	free(memory);
}

/* ---- what is tested ---- */

static void make_binary(uint8_t op)
{
	bool jumps = rg_typed_shapes[op].target == 'J';

	emit((struct rg_typed_instruction){.op = op,
					   .dst = RESULT,
					   .flags = RG_TYPED_MERGE,
					   .a = X,
					   .b = Y,
					   .target = jumps ? instruction_count + 1 : 0});
}

/* An absolute value, and what is made of one operand and a number. */
static void make_unary(uint8_t op)
{
	static const int64_t numbers[] = {
		1, 2, 7, 10, 60, 4096, 86400, 60000000000, 31556952000000000, INT64_MAX};
	char shape = rg_typed_shapes[op].number;
	int64_t number = shape == 'P'	? (int64_t)below(RG_TYPED_SCALE_MAX + 1)
			 : shape == 'Q' ? numbers[below(sizeof(numbers) / sizeof(numbers[0]))]
			 : shape == 'K' ? any_number()
			 : shape == 'B' ? (int64_t)below(64)
					: 0;

	emit((struct rg_typed_instruction){
		.op = op, .dst = RESULT, .flags = RG_TYPED_MERGE, .a = X, .number = number});
}

/* The same of an optional number. */
static void make_of_optional(uint8_t op)
{
	load(RG_TYPED_OP_FIELD_I32, X, I32);
	make_unary(op);
}

static void make_agree(uint8_t op)
{
	load(RG_TYPED_OP_FIELD_I8, X, I8);
	load(RG_TYPED_OP_FIELD_U8, Y, U8);
	make_binary(op);
}

/* A guard: 1 or 0. */
static void guard(struct rg_typed_instruction guard)
{
	guard.target = instruction_count + 2;
	emit(guard);
	emit((struct rg_typed_instruction){
		.op = RG_TYPED_OP_CONSTANT, .flags = RG_TYPED_MERGE, .dst = RESULT, .number = 1});
}

static void make_guard(uint8_t op)
{
	const struct rg_typed_shape *shape = &rg_typed_shapes[op];

	load(RG_TYPED_OP_FIELD_I8, X, I8);
	load(RG_TYPED_OP_FIELD_NAMED_U8, Y, NAMED);
	guard((struct rg_typed_instruction){.op = op,
					    .a = X,
					    .b = shape->b == 'S' ? Y : 0,
					    .number = shape->number == 'K'   ? (int64_t)below(20)
						      : shape->number == 'B' ? (int64_t)below(8)
									     : 0});
}

/* A guard on reals of both numbers. */
static void make_real_guard(uint8_t op)
{
	emit((struct rg_typed_instruction){
		.op = RG_TYPED_OP_REAL, .dst = R, .a = X, .number = (int64_t)below(4)});
	emit((struct rg_typed_instruction){
		.op = RG_TYPED_OP_REAL, .dst = S, .a = Y, .number = (int64_t)below(4)});
	guard((struct rg_typed_instruction){.op = op, .a = R, .b = S});
}

/* Rounded: a decimal, or what is made of two. */
static void make_rounded(uint8_t op)
{
	static const uint8_t between[] = {RG_TYPED_OP_REAL_ADD, RG_TYPED_OP_REAL_SUBTRACT,
					  RG_TYPED_OP_REAL_MULTIPLY, RG_TYPED_OP_REAL_DIVIDE};
	uint8_t made = between[below(sizeof(between))];

	emit((struct rg_typed_instruction){
		.op = RG_TYPED_OP_REAL, .dst = R, .a = X, .number = (int64_t)below(4)});
	emit((struct rg_typed_instruction){
		.op = RG_TYPED_OP_REAL, .dst = S, .a = Y, .number = (int64_t)below(4)});
	if (below(2))
		emit((struct rg_typed_instruction){
			.op = made,
			.dst = R,
			.flags = RG_TYPED_MERGE,
			.a = R,
			.b = S,
			.target = made == RG_TYPED_OP_REAL_DIVIDE ? instruction_count + 1 : 0});
	emit((struct rg_typed_instruction){.op = op, .dst = RESULT, .a = R});
}

static void make_quotient(uint8_t op)
{
	make_unary(op);
	emit((struct rg_typed_instruction){.op = RG_TYPED_OP_REAL_MOVE, .dst = R, .a = RESULT});
	emit((struct rg_typed_instruction){.op = RG_TYPED_OP_ROUND, .dst = RESULT, .a = R});
}

static void make_load(uint8_t op)
{
	static const uint16_t of[] = {
		[RG_TYPED_OP_FIELD_U8] = U8,	     [RG_TYPED_OP_FIELD_I8] = I8,
		[RG_TYPED_OP_FIELD_U16] = U16,	     [RG_TYPED_OP_FIELD_I16] = I16,
		[RG_TYPED_OP_FIELD_U32] = U32,	     [RG_TYPED_OP_FIELD_I32] = I32,
		[RG_TYPED_OP_FIELD_NAMED_U8] = NAMED};

	load(op, RESULT, of[op]);
}

/* Of all lanes, and of the few whose first number is 0 to 9. */
static void make_text(uint8_t op)
{
	uint32_t table = add_dictionary();
	uint16_t field = below(2) ? TEXT : LONG_TEXT;

	if (below(2)) {
		emit((struct rg_typed_instruction){
			.op = RG_TYPED_OP_IF_GE_NUMBER, .a = X, .target = instruction_count + 3});
		emit((struct rg_typed_instruction){.op = RG_TYPED_OP_IF_LT_NUMBER,
						   .a = X,
						   .number = 10,
						   .target = instruction_count + 2});
	}
	emit((struct rg_typed_instruction){
		.op = op, .dst = RESULT, .flags = RG_TYPED_MERGE, .a = field, .table = table});
}

static void make_same_text(uint8_t op)
{
	guard((struct rg_typed_instruction){
		.op = op, .a = below(4) ? TEXT : LONG_TEXT, .b = below(4) ? LONG_TEXT : TEXT});
}

static void make_find(uint8_t op)
{
	uint32_t table = add_map();

	load(RG_TYPED_OP_FIELD_U8, Y, U8);
	load(RG_TYPED_OP_FIELD_NAMED_U8, S, NAMED);
	emit((struct rg_typed_instruction){
		.op = op, .dst = RESULT, .a = Y, .b = below(2) ? S : ZERO, .table = table});
}

static void make_found(uint8_t op)
{
	uint32_t table = add_map();

	load(RG_TYPED_OP_FIELD_U8, Y, U8);
	guard((struct rg_typed_instruction){.op = op, .a = Y, .table = table});
}

static void make_column(uint8_t op)
{
	load(RG_TYPED_OP_FIELD_I8, Y, I8);
	emit((struct rg_typed_instruction){.op = op, .dst = RESULT, .a = Y});
}

#define TESTED(make, ...)                                                                          \
	{                                                                                          \
#make, make, __VA_ARGS__                                                           \
	}

static const struct tested all[] = {
	TESTED(make_binary, RG_TYPED_OP_ADD),
	TESTED(make_binary, RG_TYPED_OP_SUBTRACT),
	TESTED(make_binary, RG_TYPED_OP_MULTIPLY),
	TESTED(make_binary, RG_TYPED_OP_REMAINDER),
	TESTED(make_binary, RG_TYPED_OP_MAXIMUM),
	TESTED(make_binary, RG_TYPED_OP_MINIMUM),
	TESTED(make_unary, RG_TYPED_OP_ABSOLUTE),
	TESTED(make_unary, RG_TYPED_OP_SCALE),
	TESTED(make_unary, RG_TYPED_OP_ADD_NUMBER),
	TESTED(make_unary, RG_TYPED_OP_MODULO),
	TESTED(make_unary, RG_TYPED_OP_QUOTIENT),
	TESTED(make_unary, RG_TYPED_OP_REMAINDER_NUMBER),
	TESTED(make_of_optional, RG_TYPED_OP_SCALE),
	TESTED(make_of_optional, RG_TYPED_OP_MODULO),
	TESTED(make_of_optional, RG_TYPED_OP_QUOTIENT),
	TESTED(make_of_optional, RG_TYPED_OP_REMAINDER_NUMBER),
	TESTED(make_of_optional, RG_TYPED_OP_BIT),
	TESTED(make_agree, RG_TYPED_OP_AGREE),
	TESTED(make_agree, RG_TYPED_OP_MAXIMUM),
	TESTED(make_guard, RG_TYPED_OP_IF_DEFINED),
	TESTED(make_guard, RG_TYPED_OP_IF_UNDEFINED),
	TESTED(make_guard, RG_TYPED_OP_IF_EQ),
	TESTED(make_guard, RG_TYPED_OP_IF_NE),
	TESTED(make_guard, RG_TYPED_OP_IF_LT),
	TESTED(make_guard, RG_TYPED_OP_IF_LE),
	TESTED(make_guard, RG_TYPED_OP_IF_GT),
	TESTED(make_guard, RG_TYPED_OP_IF_GE),
	TESTED(make_guard, RG_TYPED_OP_IF_EQ_NUMBER),
	TESTED(make_guard, RG_TYPED_OP_IF_LE_NUMBER),
	TESTED(make_guard, RG_TYPED_OP_IF_GT_NUMBER),
	TESTED(make_guard, RG_TYPED_OP_IF_IN_MASK),
	TESTED(make_guard, RG_TYPED_OP_IF_NOT_IN_MASK),
	TESTED(make_guard, RG_TYPED_OP_IF_BIT),
	TESTED(make_guard, RG_TYPED_OP_IF_NO_BIT),
	TESTED(make_real_guard, RG_TYPED_OP_IF_REAL_LT, true),
	TESTED(make_real_guard, RG_TYPED_OP_IF_REAL_EQ, true),
	TESTED(make_rounded, RG_TYPED_OP_ROUND, true),
	TESTED(make_rounded, RG_TYPED_OP_FLOOR, true),
	TESTED(make_rounded, RG_TYPED_OP_CEILING, true),
	TESTED(make_quotient, RG_TYPED_OP_REAL_QUOTIENT, true),
	TESTED(make_load, RG_TYPED_OP_FIELD_U8),
	TESTED(make_load, RG_TYPED_OP_FIELD_I8),
	TESTED(make_load, RG_TYPED_OP_FIELD_U16),
	TESTED(make_load, RG_TYPED_OP_FIELD_I16),
	TESTED(make_load, RG_TYPED_OP_FIELD_U32),
	TESTED(make_load, RG_TYPED_OP_FIELD_I32),
	TESTED(make_load, RG_TYPED_OP_FIELD_NAMED_U8),
	TESTED(make_text, RG_TYPED_OP_FIELD_TEXT),
	TESTED(make_same_text, RG_TYPED_OP_IF_SAME_TEXT),
	TESTED(make_same_text, RG_TYPED_OP_IF_OTHER_TEXT),
	TESTED(make_find, RG_TYPED_OP_FIND),
	TESTED(make_found, RG_TYPED_OP_IF_FOUND),
	TESTED(make_column, RG_TYPED_OP_COLUMN),
	TESTED(make_column, RG_TYPED_OP_COLUMN_TYPED),
};

int main(void)
{
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct tested tested = all[i];
		char name[64];

		snprintf(name, sizeof(name), "%s %s", tested.name, rg_typed_shapes[tested.op].name);
		tested.name = name;
		test(&tested);
	}
	return 0;
}
