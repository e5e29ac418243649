/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests and the fuzz target: random rules of every kind, random requests, and the plain meaning
 * of both, against which rule tables are held.
 */
#ifndef RG_POLICY_EVAL_RULE_TABLE_MODEL_H
#define RG_POLICY_EVAL_RULE_TABLE_MODEL_H

#include <stdlib.h>
#include <string.h>

#include "policy/compile/rule_table_build.h"
#include "policy/eval/rule_table.h"
#include "policy/testdata/requests.h"

#define MODEL_COLUMNS_MAX    64
#define MODEL_PREDICATES_MAX 8
#define MODEL_INTERVALS_MAX  12

struct model {
	struct rg_rules rules;
	uint32_t inputs[MODEL_COLUMNS_MAX];
	struct rg_rule *list;
	struct rg_rule_predicate *predicates;
	struct rg_rule_interval *intervals;
};

/* ---- values ---- */

/* A value that rules and requests of a column share: columns differ in how many there are. */
static inline int64_t model_value(struct chance *chance, uint32_t column)
{
	static const int64_t edges[] = {INT64_MAX,
					INT64_MAX - 1,
					RG_RULE_LOWEST,
					RG_RULE_LOWEST + 1,
					INT32_MAX,
					(int64_t)INT32_MAX + 1,
					INT32_MIN,
					-1,
					0,
					1};

	switch (column % 8) {
	case 0: return chance_below(chance, 5);
	case 1: return chance_below(chance, 24);
	case 2: return chance_below(chance, 400);
	case 3: return (int64_t)chance_below(chance, 10001) - 1;
	case 4: return (int64_t)(chance_next(chance) % 1000000) * 1000003;
	case 5: return edges[chance_below(chance, sizeof(edges) / sizeof(edges[0]))];
	case 6: return chance_below(chance, 20) * 20000;
	default: /* few of many, some often */
		return chance_below(chance, 2) ? chance_below(chance, 3)
					       : (int64_t)chance_below(chance, 100000);
	}
}

static inline void model_request(struct chance *chance, const struct model *model, int64_t *values,
				 size_t stride)
{
	for (uint32_t i = 0; i < model->rules.input_count; i++)
		values[i * stride] = 0;
	for (uint32_t c = 0; c < model->rules.column_count; c++)
		values[model->inputs[c] * stride] =
			chance_below(chance, 8) ? model_value(chance, c) : RG_RULE_ABSENT;
}

/* ---- rules ---- */

static inline int model_ascending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* count distinct points, ascending, as intervals or as those between them. */
static inline uint32_t model_points(struct chance *chance, uint32_t column, uint32_t count,
				    bool negated, struct rg_rule_interval *out)
{
	int64_t points[MODEL_INTERVALS_MAX], low = RG_RULE_LOWEST;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++)
		points[i] = model_value(chance, column);
	qsort(points, count, sizeof(*points), model_ascending);
	for (uint32_t i = 0; i < count; i++) {
		if (i && points[i] == points[i - 1])
			continue;
		if (!negated) {
			out[kept++] = (struct rg_rule_interval){points[i], points[i]};
			continue;
		}
		if (low < points[i])
			out[kept++] = (struct rg_rule_interval){low, points[i] - 1};
		if (points[i] == INT64_MAX)
			return kept;
		low = points[i] + 1;
	}
	if (negated)
		out[kept++] = (struct rg_rule_interval){low, INT64_MAX};
	return kept;
}

static inline void model_predicate(struct chance *chance, const struct model *model,
				   struct rg_rule_predicate *predicate,
				   struct rg_rule_interval *out)
{
	uint32_t column = chance_below(chance, model->rules.column_count);
	int64_t a = model_value(chance, column), b = model_value(chance, column);
	uint32_t count = 0;

	*predicate = (struct rg_rule_predicate){.column = column, .intervals = out};
	switch (chance_below(chance, 12)) {
	case 0: out[count++] = (struct rg_rule_interval){a, INT64_MAX}; break;
	case 1: out[count++] = (struct rg_rule_interval){RG_RULE_LOWEST, a}; break;
	case 2:
		out[count++] =
			a < b ? (struct rg_rule_interval){a, b} : (struct rg_rule_interval){b, a};
		break;
	case 3: /* around midnight, from the later to the earlier */
		if (a != b) {
			out[count++] = (struct rg_rule_interval){RG_RULE_LOWEST, a < b ? a : b};
			out[count++] = (struct rg_rule_interval){a < b ? b : a, INT64_MAX};
		}
		break;
	case 4:
		count = model_points(chance, column, 2 + chance_below(chance, 8), false, out);
		break;
	case 5: count = model_points(chance, column, 1 + chance_below(chance, 4), true, out); break;
	case 6: /* not in: holds where absent */
		count = model_points(chance, column, 1 + chance_below(chance, 4), true, out);
		predicate->holds_absent = true;
		break;
	case 7: /* a prefix */
		a &= ~(int64_t)0xfff;
		out[count++] = (struct rg_rule_interval){a < RG_RULE_LOWEST ? RG_RULE_LOWEST : a,
							 a | 0xfff};
		break;
	case 8: /* defined, or not */
		if (chance_below(chance, 2))
			out[count++] = (struct rg_rule_interval){RG_RULE_LOWEST, INT64_MAX};
		else
			predicate->holds_absent = true;
		break;
	default: count = model_points(chance, column, 1, false, out);
	}
	predicate->interval_count = count;
}

/* `most` predicates a rule. */
static inline void model_new(struct chance *chance, struct model *model, uint32_t columns,
			     uint32_t rules, uint32_t most)
{
	size_t predicates = (size_t)rules * most;

	memset(model, 0, sizeof(*model));
	model->list = calloc(rules + 1, sizeof(*model->list));
	model->predicates = calloc(predicates + 1, sizeof(*model->predicates));
	model->intervals = calloc(predicates * MODEL_INTERVALS_MAX + 1, sizeof(*model->intervals));
	assert(model->list && model->predicates && model->intervals);
	model->rules = (struct rg_rules){.column_count = columns,
					 .inputs = model->inputs,
					 .input_count = columns + 3,
					 .result_count = rules / 2 + 1,
					 .rule_count = rules,
					 .rules = model->list};
	for (uint32_t c = 0; c < columns; c++)
		model->inputs[c] = (c * 7 + 1) % (columns + 3); /* some columns share one */
	for (uint32_t i = 0; i < rules; i++) {
		struct rg_rule *rule = &model->list[i];

		rule->result = chance_below(chance, model->rules.result_count);
		rule->predicate_count = columns ? chance_below(chance, most + 1) : 0;
		rule->predicates = model->predicates + (size_t)i * most;
		for (uint32_t p = 0; p < rule->predicate_count; p++) {
			size_t at = (size_t)i * most + p;

			model_predicate(chance, model, &model->predicates[at],
					model->intervals + at * MODEL_INTERVALS_MAX);
		}
	}
}

static inline void model_free(struct model *model)
{
	free(model->list);
	free(model->predicates);
	free(model->intervals);
}

/* ---- meaning ---- */

static inline bool model_holds(const struct rg_rule_predicate *predicate, int64_t v)
{
	if (v == RG_RULE_ABSENT)
		return predicate->holds_absent;
	for (uint32_t i = 0; i < predicate->interval_count; i++) {
		if (predicate->intervals[i].low <= v && v <= predicate->intervals[i].high)
			return true;
	}
	return false;
}

/* Results of the rules that hold, in the rules' order. */
static inline uint32_t model_match(const struct rg_rules *rules, const int64_t *values,
				   size_t stride, uint32_t *results)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < rules->rule_count; i++) {
		const struct rg_rule *rule = &rules->rules[i];
		bool holds = true;

		for (uint32_t p = 0; p < rule->predicate_count && holds; p++) {
			const struct rg_rule_predicate *predicate = &rule->predicates[p];

			holds = model_holds(predicate,
					    values[rules->inputs[predicate->column] * stride]);
		}
		if (holds)
			results[count++] = rule->result;
	}
	return count;
}

#endif
