/* SPDX-License-Identifier: Apache-2.0 */
/* Rules and requests for rule_table_bench, and the plain loop that tables are held against. */
#ifndef RG_BENCH_RULE_TABLE_FIXTURE_H
#define RG_BENCH_RULE_TABLE_FIXTURE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rule_table_fixture;

/* Requests that differ; their number is taken modulo this. */
#define RULE_TABLE_REQUESTS 1024
#define RULE_TABLE_BURST    32

/* rules; random_thresholds: each range has bounds of its own instead of round ones. The table is
 * checked against the plain loop for some requests. NULL: out of memory, or they differ. */
struct rule_table_fixture *rule_table_fixture_new(uint32_t rules, int random_thresholds);
void rule_table_fixture_free(struct rule_table_fixture *fixture);

/* Build a table and drop it; returns its bytes. */
uint64_t rule_table_fixture_build(struct rule_table_fixture *fixture);
uint64_t rule_table_fixture_bytes(const struct rule_table_fixture *fixture);
/* How many rows match request `index`, all of them handed out. */
uint32_t rule_table_fixture_match(struct rule_table_fixture *fixture, uint64_t index);
/* The same for RULE_TABLE_BURST requests from index on. */
uint32_t rule_table_fixture_match_burst(struct rule_table_fixture *fixture, uint64_t index);
uint32_t rule_table_fixture_match_portable(struct rule_table_fixture *fixture, uint64_t index);
/* By a loop over compact rules that leaves each at its first predicate that fails. */
uint32_t rule_table_fixture_match_plain(struct rule_table_fixture *fixture, uint64_t index);

/* ---- the same rules for another classifier ---- */

#define RULE_TABLE_COLUMNS	 12
#define RULE_TABLE_INTERVALS_MAX 6 /* of one column of a rule */

struct rule_table_interval {
	int64_t low, high; /* both included; INT64_MIN, INT64_MAX: no bound */
};
/* What a rule (its number is its row) asks of a column: any of *count intervals, ascending. 0:
 * nothing. */
void rule_table_fixture_intervals(const struct rule_table_fixture *fixture, uint32_t rule,
				  uint32_t column,
				  struct rule_table_interval out[RULE_TABLE_INTERVALS_MAX],
				  uint32_t *count);
/* The RULE_TABLE_COLUMNS values of request `index`. */
const int64_t *rule_table_fixture_values(const struct rule_table_fixture *fixture, uint64_t index);
/* The lowest row that matches request `index`; UINT32_MAX: none. */
uint32_t rule_table_fixture_first_match(struct rule_table_fixture *fixture, uint64_t index);

#ifdef __cplusplus
}
#endif

#endif
