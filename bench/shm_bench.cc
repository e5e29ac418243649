/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker pays for the record, the latency, the counters and an error, on one core. */
#include <benchmark/benchmark.h>

#include "bench/shm_fixture.h"

/* Arguments: records in a burst, bytes of each. Produced, committed, read and released; items are
 * records. */
static void ring(benchmark::State &state)
{
	shm_fixture *fixture = shm_fixture_new();
	uint32_t count = (uint32_t)state.range(0);

	for (auto _ : state)
		if (!shm_fixture_produce(fixture, count, (uint32_t)state.range(1)) ||
		    shm_fixture_consume(fixture) != count)
			state.SkipWithError("records are missing");
	state.SetItemsProcessed((int64_t)state.iterations() * count);
	shm_fixture_free(fixture);
}
BENCHMARK(ring)->Args({1, 160})->Args({32, 160})->Args({32, 448});

static void histogram(benchmark::State &state)
{
	shm_fixture *fixture = shm_fixture_new();

	for (auto _ : state)
		shm_fixture_histogram(fixture, 1000);
	state.SetItemsProcessed((int64_t)state.iterations() * 1000);
	shm_fixture_free(fixture);
}
BENCHMARK(histogram);

static void counters_flush(benchmark::State &state)
{
	shm_fixture *fixture = shm_fixture_new();

	for (auto _ : state)
		shm_fixture_flush(fixture);
	shm_fixture_free(fixture);
}
BENCHMARK(counters_flush);

/* Argument: other errors in the log before it. */
static void error_log(benchmark::State &state)
{
	shm_fixture *fixture = shm_fixture_new();

	for (auto _ : state)
		shm_fixture_error(fixture, (uint32_t)state.range(0));
	shm_fixture_free(fixture);
}
BENCHMARK(error_log)->Arg(0)->Arg(31);

BENCHMARK_MAIN();
