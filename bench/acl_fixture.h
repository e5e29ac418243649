/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of rule_table_fixture.h in DPDK's librte_acl, as far as it can express them: what
 * acl_bench.cc times. */
#ifndef RG_BENCH_ACL_FIXTURE_H
#define RG_BENCH_ACL_FIXTURE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct acl_fixture;

/* DPDK on ordinary memory, without devices. Once, before all else. Negative: it failed. */
int acl_fixture_start(void);
/* rules: of rule_table_fixture_new(rules, 0). A rule with several intervals in a column becomes as
 * many of librte_acl's, and columns of more than 16 bits their rank among the bounds that the rules
 * name; the requests are prepared so before. The first match of every request is checked against the
 * table's. NULL: *why says what did not work. */
struct acl_fixture *acl_fixture_new(uint32_t rules, const char **why);
void acl_fixture_free(struct acl_fixture *fixture);

/* Rules that librte_acl has. */
uint32_t acl_fixture_rules(const struct acl_fixture *fixture);
/* The first match of each of RULE_TABLE_BURST requests from `index` on; returns the last one's. */
uint32_t acl_fixture_classify(struct acl_fixture *fixture, uint64_t index);
/* All matches of the same requests by riskgate's table; returns how many. */
uint32_t acl_fixture_table(struct acl_fixture *fixture, uint64_t index);

#ifdef __cplusplus
}
#endif

#endif
