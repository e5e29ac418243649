/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts. The main part is differential: random requests are decided by the code that was
 * specialised for the request's layout, and by the general code on the same request as JSON;
 * everything about the outcomes must agree.
 */
#include "policy/eval/eval.h"
#include "policy/image/image.h"
#include "policy/image/typed.h"
#include "policy/testdata/requests.h"

#define SCRATCH_BYTES ((uint64_t)4 << 20)
#define ROUNDS	      20000
#define SEED	      0x9e3779b97f4a7c15ull

struct bound {
	void *image, *memory;
	struct rg_eval *eval;
	struct rg_reason_list reasons;
	int template_index;
};

static void bind_fixture(struct bound *bound, const char *directory, const char *name,
			 bool has_data, const char *package, const char *hide[2], bool marks)
{
	struct rg_error err = {0};
	size_t bytes;

	memset(bound, 0, sizeof(*bound));
	bound->image = compile_without(directory, name, has_data, package, hide, marks,
				       &bound->reasons, &bytes);
	bound->memory = aligned_alloc(64, rg_eval_footprint(SCRATCH_BYTES));
	bound->eval = rg_eval_new(bound->memory, SCRATCH_BYTES);
	assert(bound->eval);
	assert(!rg_eval_bind(bound->eval, bound->image, bytes, &err));
	bound->template_index = rg_eval_template(bound->eval, REQUEST_SCHEMA, REQUEST_TEMPLATE);
	assert(bound->template_index >= 0);
	assert(rg_eval_template(bound->eval, REQUEST_SCHEMA, REQUEST_TEMPLATE + 1) == -1);
}

static void release(struct bound *bound)
{
	free(bound->image);
	free(bound->memory);
	rg_reason_list_free(&bound->reasons);
}

static void decide_json(struct bound *bound, const char *json, struct rg_outcome *outcome)
{
	struct rg_query query = {.now_ns = 1, .seed = 2};
	struct rg_error err = {0};

	rg_heap_reset(rg_eval_heap(bound->eval));
	assert(!rg_value_parse(rg_eval_heap(bound->eval), json, strlen(json), &query.input, &err));
	rg_decide_value(bound->eval, bound->template_index, &query, outcome, &err);
}

static const char *reason_name(const struct bound *bound, uint16_t id)
{
	return id == RG_REASON_OTHER ? "other" : id ? bound->reasons.names[id - 1] : "none";
}

static void print_outcome(const struct bound *bound, const char *title,
			  const struct rg_outcome *outcome)
{
	fprintf(stderr, "%s: verdict %u result %u score %" PRId64 " fired %u:", title,
		outcome->verdict, outcome->result, outcome->score_micro, outcome->reasons_fired);
	for (int i = 0; i < outcome->reason_count; i++)
		fprintf(stderr, " %s", reason_name(bound, outcome->reasons[i]));
	fprintf(stderr, "\n");
}

/* Without the rules in `hide`, so that those that are asked later have their say. */
static void test_differential(const char *directory, const char *hide[2])
{
	struct chance chance = {SEED};
	struct bound bound;
	uint32_t verdicts[4] = {0};
	uint64_t fired = 0;

	bind_fixture(&bound, directory, "requests", true, "requests", hide, false);
	for (int i = 0; i < ROUNDS; i++) {
		struct rg_outcome fast, plain;
		struct request request;
		uint8_t *block;

		random_request(&chance, &request);
		block = malloc(request.block_bytes + 1); /* its very size, for the sanitizer */
		memcpy(block, request.block, request.block_bytes);
		rg_decide(bound.eval, bound.template_index, block, request.block_bytes, 1, 2,
			  &fast);
		decide_json(&bound, request.json, &plain);
		free(block);
		if (memcmp(&fast, &plain, sizeof(fast)) || fast.result) {
			fprintf(stderr, "seed %llx round %d: %s (%u bytes)\n", SEED, i,
				request.json, request.block_bytes);
			print_outcome(&bound, "request", &fast);
			print_outcome(&bound, "json", &plain);
			abort();
		}
		verdicts[fast.verdict]++;
		fired += fast.reasons_fired;
	}
	printf("%d requests, seed %llx: %u allow, %u deny, %u review, %" PRIu64 " reasons\n",
	       ROUNDS, SEED, verdicts[RG_VERDICT_ALLOW], verdicts[RG_VERDICT_DENY],
	       verdicts[RG_VERDICT_REVIEW], fired);
	release(&bound);
}

/* ---- rule tables ---- */

/* Requests that a listener was told of, by lane. */
struct told {
	struct rg_decide_listener listener;
	const struct rg_decide_request *burst;
	uint32_t together, alone[RG_DECIDE_TOGETHER];
	const struct rg_decide_request *last;
};

static void note_decided(struct rg_decide_listener *listener,
			 const struct rg_decide_request *requests, uint32_t count)
{
	struct told *told = (struct told *)listener;

	if (count > 1) {
		assert(requests == told->burst);
		told->together = count;
	} else {
		told->alone[requests - told->burst]++;
	}
	told->last = requests;
}

/* Whoever listens hears of all together, and of each for which the rules were asked, alone; what is
 * decided stays the same. Of a burst too small to go together, of each. */
static void check_told(struct bound *bound, const struct rg_decide_request *burst, uint32_t count)
{
	struct rg_outcome before[RG_DECIDE_TOGETHER];
	struct rg_eval_counts then = rg_eval_counts(bound->eval), now;
	struct told told = {.listener = {.decided = note_decided}, .burst = burst};
	uint32_t alone = 0;

	for (uint32_t i = 0; i < count; i++)
		before[i] = *burst[i].outcome;
	rg_decide_burst_told(bound->eval, bound->template_index, burst, count, 1, &told.listener);
	now = rg_eval_counts(bound->eval);
	for (uint32_t i = 0; i < count; i++) {
		assert(!memcmp(&before[i], burst[i].outcome, sizeof(before[i])));
		alone += told.alone[i] != 0;
	}
	if (told.together)
		assert(told.together == count && alone >= now.given_up - then.given_up);
	else
		assert(alone == count && told.last == &burst[count - 1]);
}

/* What the program asks the rules for. */
static uint32_t count_pieces(const struct bound *bound, const struct rg_typed_program *program)
{
	const struct rg_typed_instruction *code =
		rg_image_section(bound->image, RG_SECTION_TYPED_CODE);
	uint32_t count = 0;

	for (uint32_t i = 0; i < program->code_count; i++)
		count += code[program->code + i].op == RG_TYPED_OP_EVALUATE;
	return count;
}

/* Bodies that are rows of rule tables, alone and in bursts, beside the rules themselves. Of the policy
 * `rows` bodies and rows are, and not all; and `pieces` of it are asked of the rules. */
static void test_tables(const char *directory, const char *policy, bool has_data, uint32_t rows,
			uint32_t pieces)
{
	enum { BURST = 32 };
	struct chance chance = {SEED};
	const struct rg_typed_program *program;
	struct rg_eval_counts counts;
	struct bound bound;
	uint64_t fired = 0;

	bind_fixture(&bound, directory, policy, has_data, policy, NULL, false);
	assert(rg_image_count(bound.image, RG_SECTION_TYPED_PROGRAMS) == 1);
	program = rg_image_section(bound.image, RG_SECTION_TYPED_PROGRAMS);
	if (program->rule_count != rows) {
		fprintf(stderr, "%s: %u rows, expected %u\n", policy, program->rule_count, rows);
		abort();
	}
	if (count_pieces(&bound, program) != pieces) {
		fprintf(stderr, "%s: %u pieces, expected %u\n", policy,
			count_pieces(&bound, program), pieces);
		abort();
	}
	for (int i = 0; i < ROUNDS / BURST; i++) {
		static struct request requests[BURST];
		struct rg_outcome together[BURST], alone, by_rules;
		struct rg_decide_request burst[BURST];

		for (int n = 0; n < BURST; n++) {
			random_request(&chance, &requests[n]);
			burst[n] =
				(struct rg_decide_request){.block = requests[n].block,
							   .block_bytes = requests[n].block_bytes,
							   .seed = 2,
							   .outcome = &together[n]};
		}
		rg_eval_use_vectors(bound.eval, (enum rg_eval_vectors)(i % RG_EVAL_VECTORS));
		rg_decide_burst(bound.eval, bound.template_index, burst, BURST, 1);
		counts = rg_eval_counts(bound.eval);
		check_told(&bound, burst, BURST);
		check_told(&bound, burst, 2);
		assert(rg_eval_counts(bound.eval).typed > counts.typed);
		for (int n = 0; n < BURST; n++) {
			rg_decide(bound.eval, bound.template_index, requests[n].block,
				  requests[n].block_bytes, 1, 2, &alone);
			rg_eval_use_typed(bound.eval, false);
			rg_decide(bound.eval, bound.template_index, requests[n].block,
				  requests[n].block_bytes, 1, 2, &by_rules);
			rg_eval_use_typed(bound.eval, true);
			if (memcmp(&alone, &by_rules, sizeof(alone)) ||
			    memcmp(&together[n], &by_rules, sizeof(alone))) {
				fprintf(stderr, "seed %llx: %s (%u bytes)\n", SEED,
					requests[n].json, requests[n].block_bytes);
				print_outcome(&bound, "alone", &alone);
				print_outcome(&bound, "together", &together[n]);
				print_outcome(&bound, "rules", &by_rules);
				abort();
			}
			fired += alone.reasons_fired;
		}
	}
	counts = rg_eval_counts(bound.eval);
	printf("%s: %" PRIu64 " reasons, %" PRIu64 " by typed programs, %" PRIu64 " given up\n",
	       policy, fired, counts.typed, counts.given_up);
	assert(fired > ROUNDS / 2 && counts.typed > counts.given_up);
	release(&bound);
}

/* ---- watching ---- */

struct watch {
	uint32_t depth, marks, begun[4096]; /* by statement */
};

static void note_mark(void *context, const struct rg_mark *mark)
{
	struct watch *watch = context;

	watch->marks++;
	switch (mark->phase) {
	case RG_MARK_ENTER: watch->depth++; break;
	case RG_MARK_RETURN:
		assert(watch->depth);
		watch->depth--;
		break;
	case RG_MARK_BEGIN: watch->begun[mark->number]++; break;
	case RG_MARK_ITEM: assert(watch->begun[mark->number]); break;
	default: assert(mark->phase == RG_MARK_DONE && watch->depth);
	}
}

/* An image that tells what it does decides as the one that does not, and every rule that it
 * enters is left. */
static void test_marks(const char *directory)
{
	struct chance chance = {SEED};
	struct bound plain, marked;
	struct watch *watch = calloc(1, sizeof(*watch));

	bind_fixture(&plain, directory, "requests", true, "requests", NULL, false);
	bind_fixture(&marked, directory, "requests", true, "requests", NULL, true);
	rg_eval_watch(plain.eval, note_mark, watch);
	rg_eval_watch(marked.eval, note_mark, watch);
	for (int i = 0; i < ROUNDS / 20; i++) {
		struct rg_outcome expected, outcome;
		struct request request;

		random_request(&chance, &request);
		watch->marks = 0;
		rg_decide(plain.eval, plain.template_index, request.block, request.block_bytes, 1,
			  2, &expected);
		assert(!watch->marks);
		rg_decide(marked.eval, marked.template_index, request.block, request.block_bytes, 1,
			  2, &outcome);
		assert(watch->marks > 100 && !watch->depth);
		assert(!memcmp(&expected, &outcome, sizeof(outcome)));
	}
	free(watch);
	release(&plain);
	release(&marked);
}

static void put(struct request *request, uint32_t offset, uint64_t raw, uint32_t bytes)
{
	memcpy(request->block + offset, &raw, bytes);
}

static void test_first_policy(const char *directory)
{
	static const struct {
		int64_t amount;
		uint8_t level, verdict;
	} cases[] = {
		{999999, 0, RG_VERDICT_ALLOW},	 /* 9999.99, low */
		{1000000, 0, RG_VERDICT_REVIEW}, /* 10000.00 is not below 10000 */
		{999999, 1, RG_VERDICT_REVIEW},
		{10000000, 2, RG_VERDICT_REVIEW}, /* 100000.00 is not above 100000 */
		{10000001, 2, RG_VERDICT_DENY},
		{10000001, 0, RG_VERDICT_REVIEW},
		{-1, 0, RG_VERDICT_ALLOW},
		{INT64_MIN, 0, RG_VERDICT_REVIEW}, /* null: undefined */
		{1, 255, RG_VERDICT_REVIEW},
	};
	struct bound bound;

	bind_fixture(&bound, directory, "verdict", false, "risk_control", NULL, false);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct request request = {.block_bytes = REQUEST_BYTES};
		struct rg_outcome outcome;

		put(&request, 8, (uint64_t)cases[i].amount, 8);
		put(&request, 82, cases[i].level, 1);
		rg_decide(bound.eval, bound.template_index, request.block, request.block_bytes, 0,
			  0, &outcome);
		assert(outcome.result == RG_EVAL_OK);
		assert(outcome.verdict == cases[i].verdict);
		assert(outcome.reason_count == 0 && outcome.score_micro == 0);
	}
	release(&bound);
}

/* A short block never reads beyond its end, and what is beyond is undefined. */
static void test_short_blocks(const char *directory)
{
	struct bound bound;

	bind_fixture(&bound, directory, "verdict", false, "risk_control", NULL, false);
	for (uint32_t bytes = 0; bytes <= 84; bytes++) {
		uint8_t *block =
			calloc(1, bytes + 1); /* amount 0, low: allowed once both are there */
		struct rg_outcome outcome;

		rg_decide(bound.eval, bound.template_index, block, bytes, 0, 0, &outcome);
		assert(outcome.verdict == (bytes >= 83 ? RG_VERDICT_ALLOW : RG_VERDICT_REVIEW));
		free(block);
	}
	release(&bound);
}

/* Reasons get stable ids: known ones keep theirs. */
static void test_reason_ids(const char *directory)
{
	struct rg_reason_list list = {0};
	uint16_t vip = rg_reason_list_add(&list, "vip", 3);
	uint32_t before;
	size_t bytes;

	assert(vip == 1 && rg_reason_list_add(&list, "vip", 3) == 1);
	free(compile_fixture(directory, "requests", true, "requests", &list, &bytes));
	before = list.count;
	assert(before > 30 && !strcmp(list.names[0], "vip"));
	for (uint32_t i = 1; i < list.count; i++)
		assert(strcmp(list.names[i], "vip"));
	free(compile_fixture(directory, "requests", true, "requests", &list, &bytes));
	assert(list.count == before);
	rg_reason_list_free(&list);
	for (uint32_t round = 0; round < 2; round++) { /* the second time all are known */
		for (uint32_t i = 0; i < RG_REASON_OTHER - 1; i++) {
			char name[16];
			int length = snprintf(name, sizeof(name), "R%u", i * 7919);

			assert(rg_reason_list_add(&list, name, (size_t)length) == i + 1);
		}
		assert(list.count == RG_REASON_OTHER - 1 && !rg_reason_list_add(&list, "full", 4));
	}
	assert(rg_reason_list_add(&list, "R7919 and more", 5) == 2);
	rg_reason_list_free(&list);
}

/* Running out of scratch or budget gives the failure verdict and says why; the next request is
 * well. */
static void test_bounds(const char *directory)
{
	struct rg_reason_list reasons = {0};
	struct rg_error err = {0};
	struct rg_outcome outcome;
	struct request request;
	struct chance chance = {SEED};
	size_t bytes;
	struct rg_image_header *image =
		compile_fixture(directory, "requests", true, "requests", &reasons, &bytes);
	uint64_t budget = image->budget, small = 4096;
	void *memory = aligned_alloc(64, rg_eval_footprint(SCRATCH_BYTES));
	struct rg_eval *eval = rg_eval_new(memory, small);

	assert(!rg_eval_footprint(0) && !rg_eval_new(memory, 0));
	assert(!rg_eval_bind(eval, image, bytes, &err));
	for (int i = 0; i < 1000; i++) { /* some request makes more than fits */
		random_request(&chance, &request);
		rg_decide(eval, 0, request.block, request.block_bytes, 0, 0, &outcome);
		if (outcome.result == RG_EVAL_MEMORY)
			break;
	}
	assert(outcome.result == RG_EVAL_MEMORY && outcome.verdict == RG_VERDICT_DENY);
	assert(!outcome.reason_count && !outcome.reasons_fired && !outcome.score_micro);

	eval = rg_eval_new(memory, SCRATCH_BYTES);
	image->budget = 20;
	assert(!rg_eval_bind(eval, image, bytes, &err));
	rg_decide(eval, 0, request.block, request.block_bytes, 0, 0, &outcome);
	assert(outcome.result == RG_EVAL_BUDGET && outcome.verdict == RG_VERDICT_DENY);

	image->budget = budget;
	rg_decide(eval, 0, request.block, request.block_bytes, 0, 0, &outcome);
	assert(outcome.result == RG_EVAL_OK);
	free(memory);
	free(image);
	rg_reason_list_free(&reasons);
}

int main(int argc, char **argv)
{
	assert(argc == 2);
	test_first_policy(argv[1]);
	test_short_blocks(argv[1]);
	test_reason_ids(argv[1]);
	test_bounds(argv[1]);
	test_marks(argv[1]);
	test_tables(argv[1], "table", false, 148, 0);
	test_tables(argv[1], "rows", true, 1202, 1);
	test_tables(argv[1], "derived", true, 523, 0);
	test_tables(argv[1], "bodies", false, 0, 3);
	test_tables(argv[1], "views", true, 1142, 0);
	test_differential(argv[1], NULL);
	test_differential(argv[1], (const char *[2]){"deny", NULL});
	test_differential(argv[1], (const char *[2]){"deny", "review"});
	return 0;
}
