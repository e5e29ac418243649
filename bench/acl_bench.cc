/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DPDK's packet classifier librte_acl beside a rule table: the same rules and requests, 32 together.
 * It gives the first match only, the table all of them. Names end in the number of rules; at 200 of
 * these rules rte_acl_build() ends with "exceeded max number of tries". Counters: librte_acl's
 * rules, into which each rule was multiplied out.
 */
#include <benchmark/benchmark.h>

#include <string>

#include "bench/acl_fixture.h"
#include "bench/rule_table_fixture.h"

using classify = uint32_t (*)(acl_fixture *, uint64_t);

static void run(benchmark::State &state, uint32_t rules, classify one)
{
	const char *why;
	acl_fixture *fixture = acl_fixture_new(rules, &why);
	uint64_t index = 0;

	if (!fixture) {
		state.SkipWithError(why);
		return;
	}
	for (auto _ : state) {
		benchmark::DoNotOptimize(one(fixture, index));
		index += RULE_TABLE_BURST;
	}
	state.SetItemsProcessed((int64_t)index);
	state.counters["acl_rules"] = acl_fixture_rules(fixture);
	acl_fixture_free(fixture);
}

int main(int argc, char **argv)
{
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv) || acl_fixture_start() < 0)
		return 1;
	for (uint32_t rules : {10u, 50u, 100u, 150u}) {
		benchmark::RegisterBenchmark(("acl/" + std::to_string(rules)).c_str(),
					     [rules](benchmark::State &state) {
						     run(state, rules, acl_fixture_classify);
					     });
		benchmark::RegisterBenchmark(
			("table/" + std::to_string(rules)).c_str(),
			[rules](benchmark::State &state) { run(state, rules, acl_fixture_table); });
	}
	benchmark::RunSpecifiedBenchmarks();
	return 0;
}
