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

#ifdef __cplusplus
}
#endif

#endif
