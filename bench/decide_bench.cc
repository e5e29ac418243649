/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One decision of each example policy, from the request's bytes to verdict and reasons, with
 * everything hot: the evaluator alone, without a network or a record. Requests are generated (seed
 * 1) and cycled.
 */
#include <benchmark/benchmark.h>

#include "bench/decide_fixture.h"

static void decide(benchmark::State &state, const char *bundle, const char *template_name,
		   const char *package)
{
	decide_fixture *fixture =
		decide_fixture_new(RG_SOURCE_ROOT, bundle, template_name, package, 1024);
	uint64_t index = 0, verdicts[4] = {};

	for (auto _ : state)
		verdicts[decide_fixture_decide(fixture, index++) & 3]++;
	state.SetItemsProcessed((int64_t)index);
	state.counters["allow"] = (double)verdicts[1] / (double)index;
	state.counters["deny"] = (double)verdicts[2] / (double)index;
	state.counters["review"] = (double)verdicts[3] / (double)index;
	decide_fixture_free(fixture);
}

BENCHMARK_CAPTURE(decide, risk_control, "risk_control/bundles/risk_control-1.tar.gz",
		  "PaymentAuthorization", "risk_control");
BENCHMARK_CAPTURE(decide, payments, "payments/bundles/payments-1.tar.gz", "PaymentAuthorization",
		  "payments");
BENCHMARK_CAPTURE(decide, pretrade, "pretrade/bundles/pretrade-1.tar.gz", "NewOrder", "pretrade");

BENCHMARK_MAIN();
