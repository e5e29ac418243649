/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker pays for a datagram besides the way between two cores, on one: bursts of 32
 * datagrams of the requests of bench/policy_corpus, taken from a ring of buffers, decided, recorded
 * and answered into another. Arguments: requests in a datagram, MiB of the record ring (what is
 * larger than the caches has to come from memory). The counters are nanoseconds a request by the
 * worker's own account.
 *
 *	reflect		takes the same frames, changes the addresses and puts them back
 *	worker		decides
 *	observed	decides, and collects what a probe at its probe point would be handed
 */
#include <benchmark/benchmark.h>

#include <string>

#include "bench/worker_fixture.h"

static const std::string corpus = RG_BUILD_ROOT "/bench/policy_corpus.d/";

using burst = uint32_t (*)(worker_fixture *);

static void run(benchmark::State &state, burst handle, bool decides, const char *folder,
		const char *template_name, const char *package)
{
	worker_fixture *fixture = worker_fixture_new(
		RG_SOURCE_ROOT, (corpus + folder).c_str(), template_name, package,
		(uint32_t)state.range(0), (uint64_t)state.range(1) << 20);

	for (auto _ : state)
		if (handle(fixture) != WORKER_FIXTURE_BURST)
			state.SkipWithError("datagrams were not answered");
	state.SetItemsProcessed((int64_t)state.iterations() * WORKER_FIXTURE_BURST *
				state.range(0));
	for (unsigned i = 0; decides && worker_fixture_state(i); i++)
		state.counters[worker_fixture_state(i)] = worker_fixture_state_ns(fixture, i);
	worker_fixture_free(fixture);
}

static void reflect(benchmark::State &state, const char *folder, const char *template_name,
		    const char *package)
{
	run(state, worker_fixture_reflect, false, folder, template_name, package);
}

static void worker(benchmark::State &state, const char *folder, const char *template_name,
		   const char *package)
{
	run(state, worker_fixture_decide, true, folder, template_name, package);
}

static void observed(benchmark::State &state, const char *folder, const char *template_name,
		     const char *package)
{
	run(state, worker_fixture_decide_observed, true, folder, template_name, package);
}

#define RISK_CONTROL "risk_control", "PaymentAuthorization", "risk_control"
#define PRETRADE     "pretrade_10k_accounts", "NewOrder", "pretrade"

BENCHMARK_CAPTURE(reflect, risk_control, RISK_CONTROL)->Args({1, 16});
BENCHMARK_CAPTURE(worker, risk_control, RISK_CONTROL)
	->Args({1, 16})
	->Args({1, 1024})
	->Args({4, 1024});
BENCHMARK_CAPTURE(observed, risk_control, RISK_CONTROL)->Args({1, 16});
BENCHMARK_CAPTURE(worker, pretrade, PRETRADE)->Args({1, 1024});

BENCHMARK_MAIN();
