/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/acl_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_acl.h>
#include <rte_byteorder.h>
#include <rte_eal.h>
#include <rte_log.h>
#include <rte_lcore.h>

#include "bench/rule_table_fixture.h"

#define COLUMNS	   RULE_TABLE_COLUMNS
#define FIELDS	   (COLUMNS + 1) /* the first field of librte_acl is one byte: here always 0 */
#define RULES_MAX  200000u
#define KEY_BYTES  (4 + 2 * COLUMNS)
#define VALUES_MAX 65536

RTE_ACL_RULE_DEF(acl_rule, FIELDS);

struct acl_fixture {
	struct rule_table_fixture *table;
	struct rte_acl_ctx *context;
	struct acl_rule *rules;
	uint32_t rule_count, source_rules;
	int64_t *bounds[COLUMNS]; /* where a rank begins, ascending */
	uint32_t bound_count[COLUMNS];
	uint8_t keys[RULE_TABLE_REQUESTS][KEY_BYTES];
};

int acl_fixture_start(void)
{
	char prefix[64];
	char *arguments[] = {"acl_bench",	 "--no-huge",	"--no-shconf",
			     "--no-pci",	 "-m",		"512",
			     "--no-telemetry",	 prefix,	"--log-level",
			     "lib.acl:critical", "--log-level", "lib.eal:critical"};

	snprintf(prefix, sizeof(prefix), "--file-prefix=rgacl%d", getpid());
	return rte_eal_init(sizeof(arguments) / sizeof(arguments[0]), arguments);
}

/* ---- ranks ---- */

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Where the rules tell values of a column apart. A value's rank is how many of these are not above
 * it: two values of one rank are the same to every rule. */
static int find_bounds(struct acl_fixture *fixture, uint32_t column)
{
	struct rule_table_interval intervals[RULE_TABLE_INTERVALS_MAX];
	uint32_t count, kept = 0, all = 0;
	int64_t *bounds = calloc((size_t)fixture->source_rules * RULE_TABLE_INTERVALS_MAX * 2 + 1,
				 sizeof(*bounds));

	if (!bounds)
		return -1;
	for (uint32_t rule = 0; rule < fixture->source_rules; rule++) {
		rule_table_fixture_intervals(fixture->table, rule, column, intervals, &count);
		for (uint32_t i = 0; i < count; i++) {
			bounds[all++] = intervals[i].low;
			if (intervals[i].high != INT64_MAX)
				bounds[all++] = intervals[i].high + 1;
		}
	}
	qsort(bounds, all, sizeof(*bounds), compare);
	for (uint32_t i = 0; i < all; i++)
		if (!kept || bounds[kept - 1] != bounds[i])
			bounds[kept++] = bounds[i];
	fixture->bounds[column] = bounds;
	fixture->bound_count[column] = kept;
	return kept < VALUES_MAX ? 0 : -1;
}

static uint16_t rank(const struct acl_fixture *fixture, uint32_t column, int64_t value)
{
	uint32_t low = 0, high = fixture->bound_count[column];

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (fixture->bounds[column][middle] <= value)
			low = middle + 1;
		else
			high = middle;
	}
	return (uint16_t)low;
}

static void make_keys(struct acl_fixture *fixture)
{
	for (uint32_t i = 0; i < RULE_TABLE_REQUESTS; i++) {
		const int64_t *values = rule_table_fixture_values(fixture->table, i);

		for (uint32_t c = 0; c < COLUMNS; c++) {
			uint16_t field = rte_cpu_to_be_16(rank(fixture, c, values[c]));

			memcpy(fixture->keys[i] + 4 + 2 * c, &field, sizeof(field));
		}
	}
}

/* ---- rules ---- */

/* Every choice of one interval a column, from `column` on. */
static int add_rules(struct acl_fixture *fixture, uint32_t rule, uint32_t column,
		     struct acl_rule *made)
{
	struct rule_table_interval intervals[RULE_TABLE_INTERVALS_MAX];
	struct rte_acl_field *field = &made->field[column + 1];
	uint32_t count;

	if (column == COLUMNS) {
		if (fixture->rule_count == RULES_MAX)
			return -1;
		fixture->rules[fixture->rule_count++] = *made;
		return 0;
	}
	rule_table_fixture_intervals(fixture->table, rule, column, intervals, &count);
	field->value.u16 = 0;
	field->mask_range.u16 = UINT16_MAX;
	if (!count)
		return add_rules(fixture, rule, column + 1, made);
	for (uint32_t i = 0; i < count; i++) {
		if (intervals[i].low > intervals[i].high)
			continue;
		field->value.u16 = rank(fixture, column, intervals[i].low);
		field->mask_range.u16 = rank(fixture, column, intervals[i].high);
		if (add_rules(fixture, rule, column + 1, made))
			return -1;
	}
	return 0;
}

static int make_rules(struct acl_fixture *fixture)
{
	fixture->rules = calloc(RULES_MAX, sizeof(*fixture->rules));
	for (uint32_t i = 0; fixture->rules && i < fixture->source_rules; i++) {
		struct acl_rule made = {0};

		made.data = (struct rte_acl_rule_data){
			.category_mask = 1,
			.priority = RTE_ACL_MAX_PRIORITY - (int32_t)i, /* the first rule wins */
			.userdata = i + 1};
		if (add_rules(fixture, i, 0, &made))
			return -1;
	}
	return fixture->rules ? 0 : -1;
}

static int build(struct acl_fixture *fixture)
{
	char name[RTE_ACL_NAMESIZE];
	struct rte_acl_param param = {.name = name,
				      .socket_id = SOCKET_ID_ANY,
				      .rule_size = RTE_ACL_RULE_SZ(FIELDS),
				      .max_rule_num = fixture->rule_count};
	struct rte_acl_config config = {.num_categories = 1, .num_fields = FIELDS};

	snprintf(name, sizeof(name), "rules%u", fixture->source_rules);
	config.defs[0] = (struct rte_acl_field_def){RTE_ACL_FIELD_TYPE_BITMASK, 1, 0, 0, 0};
	for (uint32_t c = 0; c < COLUMNS; c++)
		config.defs[c + 1] = (struct rte_acl_field_def){.type = RTE_ACL_FIELD_TYPE_RANGE,
								.size = sizeof(uint16_t),
								.field_index = (uint8_t)(c + 1),
								.input_index = (uint8_t)(1 + c / 2),
								.offset = 4 + 2 * c};
	fixture->context = rte_acl_create(&param);
	return !fixture->context ||
			       rte_acl_add_rules(fixture->context,
						 (const struct rte_acl_rule *)fixture->rules,
						 fixture->rule_count) ||
			       rte_acl_build(fixture->context, &config)
		       ? -1
		       : 0;
}

/* ---- classifying ---- */

static void classify(struct acl_fixture *fixture, uint64_t index, uint32_t *results)
{
	const uint8_t *keys[RULE_TABLE_BURST];

	for (uint32_t i = 0; i < RULE_TABLE_BURST; i++)
		keys[i] = fixture->keys[(index + i) % RULE_TABLE_REQUESTS];
	rte_acl_classify(fixture->context, keys, results, RULE_TABLE_BURST, 1);
}

static int agrees(struct acl_fixture *fixture)
{
	for (uint32_t i = 0; i < RULE_TABLE_REQUESTS; i += RULE_TABLE_BURST) {
		uint32_t results[RULE_TABLE_BURST];

		classify(fixture, i, results);
		for (uint32_t j = 0; j < RULE_TABLE_BURST; j++)
			if (results[j] - 1 != rule_table_fixture_first_match(fixture->table, i + j))
				return 0;
	}
	return 1;
}

struct acl_fixture *acl_fixture_new(uint32_t rules, const char **why)
{
	struct acl_fixture *fixture = calloc(1, sizeof(*fixture));

	*why = "no memory";
	if (!fixture)
		return NULL;
	fixture->source_rules = rules;
	fixture->table = rule_table_fixture_new(rules, 0);
	if (!fixture->table)
		goto failed;
	*why = "a column has more than 65,535 ranks";
	for (uint32_t c = 0; c < COLUMNS; c++)
		if (find_bounds(fixture, c))
			goto failed;
	make_keys(fixture);
	*why = "too many rules after the intervals were multiplied out";
	if (make_rules(fixture))
		goto failed;
	*why = "rte_acl_build() refuses so many rules";
	if (build(fixture))
		goto failed;
	*why = "librte_acl and the rule table differ in the first match";
	if (agrees(fixture))
		return fixture;
failed:
	acl_fixture_free(fixture);
	return NULL;
}

void acl_fixture_free(struct acl_fixture *fixture)
{
	if (!fixture)
		return;
	rte_acl_free(fixture->context);
	rule_table_fixture_free(fixture->table);
	for (uint32_t c = 0; c < COLUMNS; c++)
		free(fixture->bounds[c]);
	free(fixture->rules);
	free(fixture);
}

uint32_t acl_fixture_rules(const struct acl_fixture *fixture)
{
	return fixture->rule_count;
}

uint32_t acl_fixture_classify(struct acl_fixture *fixture, uint64_t index)
{
	uint32_t results[RULE_TABLE_BURST];

	classify(fixture, index, results);
	return results[RULE_TABLE_BURST - 1];
}

uint32_t acl_fixture_table(struct acl_fixture *fixture, uint64_t index)
{
	return rule_table_fixture_match_burst(fixture->table, index);
}
