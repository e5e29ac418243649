/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rule tables alone, hot, on one core: what it takes to find all rules that match a request, beside
 * a plain loop over the same rules. Names end in the number of rules; `random` has thresholds of
 * their own in every rule. Counters: bytes of table a rule, rules that match a request.
 */
#include <benchmark/benchmark.h>

#include <string>

#include "bench/rule_table_fixture.h"

using match_one = uint32_t (*)(rule_table_fixture *, uint64_t);

static void run(benchmark::State &state, uint32_t rules, bool random, match_one match,
		uint64_t requests)
{
	rule_table_fixture *fixture = rule_table_fixture_new(rules, random);
	uint64_t index = 0, matches = 0;

	if (!fixture) {
		state.SkipWithError("the table and the plain loop differ, or memory is out");
		return;
	}
	for (uint64_t i = 0; i < RULE_TABLE_REQUESTS; i++)
		matches += rule_table_fixture_match(fixture, i);
	for (auto _ : state) {
		benchmark::DoNotOptimize(match(fixture, index));
		index += requests;
	}
	state.SetItemsProcessed((int64_t)index);
	state.counters["ns_a_request"] = benchmark::Counter(
		(double)index * 1e-9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
	state.counters["bytes_a_rule"] = (double)rule_table_fixture_bytes(fixture) / rules;
	state.counters["matches"] = (double)matches / RULE_TABLE_REQUESTS;
	rule_table_fixture_free(fixture);
}

static void build(benchmark::State &state, uint32_t rules, bool random)
{
	rule_table_fixture *fixture = rule_table_fixture_new(rules, random);

	for (auto _ : state)
		benchmark::DoNotOptimize(rule_table_fixture_build(fixture));
	rule_table_fixture_free(fixture);
}

static void register_all(const std::string &kind, uint32_t rules, bool random)
{
	struct {
		const char *name;
		match_one match;
		uint64_t requests;
	} ways[] = {{"match", rule_table_fixture_match, 1},
		    {"burst", rule_table_fixture_match_burst, RULE_TABLE_BURST},
		    {"portable", rule_table_fixture_match_portable, 1},
		    {"plain", rule_table_fixture_match_plain, 1}};

	for (const auto &way : ways)
		benchmark::RegisterBenchmark((way.name + kind + std::to_string(rules)).c_str(),
					     [rules, random, way](benchmark::State &state) {
						     run(state, rules, random, way.match,
							 way.requests);
					     });
	benchmark::RegisterBenchmark(
		("build" + kind + std::to_string(rules)).c_str(),
		[rules, random](benchmark::State &state) { build(state, rules, random); })
		->Unit(benchmark::kMillisecond);
}

int main(int argc, char **argv)
{
	for (uint32_t rules : {10u, 100u, 1000u, 10000u, 100000u}) {
		register_all("/", rules, false);
		register_all("_random/", rules, true);
	}
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 1;
	benchmark::RunSpecifiedBenchmarks();
	return 0;
}
