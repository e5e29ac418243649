/* SPDX-License-Identifier: Apache-2.0 */
/* What a request's frame costs beside the decision: telling what it is, walking its messages, and
 * turning it into the answer. */
#include <benchmark/benchmark.h>

#include "bench/frame_fixture.h"

/* Arguments: bytes of the request's block, and whether the NIC verified the checksums. */
static void parse(benchmark::State &state)
{
	frame_fixture *fixture = frame_fixture_new((uint16_t)state.range(0));

	for (auto _ : state)
		if (!frame_fixture_parse(fixture, state.range(1) != 0))
			state.SkipWithError("not taken for a request");
	frame_fixture_free(fixture);
}
BENCHMARK(parse)->Args({24, 0})->Args({288, 0})->Args({288, 1});

static void round_trip(benchmark::State &state)
{
	frame_fixture *fixture = frame_fixture_new((uint16_t)state.range(0));

	for (auto _ : state)
		if (!frame_fixture_round_trip(fixture))
			state.SkipWithError("not taken for a request");
	frame_fixture_free(fixture);
}
BENCHMARK(round_trip)->Arg(24)->Arg(288);

BENCHMARK_MAIN();
