/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy engine alone, hot, on one core: decisions of the policies and requests of
 * bench/policy_corpus, and loading of bundles. bench/policy runs it beside OPA and regorus.
 *
 *	decide			from the SBE block: what a worker does for each request
 *	decide_burst		the same for 32 requests together: the time of one call is that of 32
 *	decode+decide		from the datagram: header and template too
 *	decide_value		from a parsed JSON value, by the rules that any JSON takes
 *	parse+decide_value	from JSON text
 *	load			from a bundle's bytes to a verified image
 */
#include <benchmark/benchmark.h>

#include <string>
#include <unistd.h>

#include "bench/policy_fixture.h"

static const std::string corpus = RG_BUILD_ROOT "/bench/policy_corpus.d/";
static const std::string large = RG_BUILD_ROOT "/bench/policy_large.d/";

struct subject {
	const char *folder, *template_name, *package;
};
static const subject risk_control = {"risk_control", "PaymentAuthorization", "risk_control"};
static const subject payments = {"payments", "PaymentAuthorization", "payments"};
static const subject pretrade = {"pretrade_10k_accounts", "NewOrder", "pretrade"};

using decide_one = int (*)(policy_fixture *, uint64_t);

/* How the whole set of requests ends: the same for each way, and for the peers. */
static void count_verdicts(benchmark::State &state, policy_fixture *fixture, decide_one decide)
{
	uint64_t verdicts[4] = {};

	for (uint64_t i = 0; i < policy_fixture_request_count(fixture); i++)
		verdicts[decide(fixture, i) & 3]++;
	state.counters["allow"] = (double)verdicts[1];
	state.counters["deny"] = (double)verdicts[2];
	state.counters["review"] = (double)verdicts[3];
}

/* step: requests that one call decides. */
static void run(benchmark::State &state, const subject &of, decide_one decide, uint64_t step)
{
	policy_fixture *fixture = policy_fixture_new(RG_SOURCE_ROOT, (corpus + of.folder).c_str(),
						     of.template_name, of.package);
	uint64_t index = 0;

	count_verdicts(state, fixture, decide);
	for (auto _ : state) {
		benchmark::DoNotOptimize(decide(fixture, index));
		index += step;
	}
	state.SetItemsProcessed((int64_t)index);
	state.counters["image_bytes"] = (double)policy_fixture_image_bytes(fixture);
	if (policy_fixture_failures(fixture) != 0)
		state.SkipWithError("evaluations failed");
	policy_fixture_free(fixture);
}

static void load(benchmark::State &state, const std::string &path, const char *template_name,
		 const char *package)
{
	load_fixture *fixture =
		load_fixture_new(RG_SOURCE_ROOT, path.c_str(), template_name, package);
	uint64_t image_bytes = 0;

	if (!fixture) {
		state.SkipWithError(
			("there is no " + path + ": bench/policy_corpus --large makes it").c_str());
		return;
	}
	for (auto _ : state)
		image_bytes = load_fixture_load(fixture);
	state.counters["bundle_bytes"] = (double)load_fixture_bundle_bytes(fixture);
	state.counters["image_bytes"] = (double)image_bytes;
	load_fixture_free(fixture);
}

static void register_decisions(const char *way, decide_one decide, uint64_t step = 1)
{
	for (const subject *of : {&risk_control, &payments, &pretrade})
		benchmark::RegisterBenchmark((std::string(way) + "/" + of->folder).c_str(),
					     [of, decide, step](benchmark::State &state) {
						     run(state, *of, decide, step);
					     });
}

/* Policies of bench/policy_corpus --rules N, --limits N and so on, if they have been made. */
static void register_rules()
{
	static const subject of[] = {{"rules_10", "PaymentAuthorization", "rules"},
				     {"rules_1000", "PaymentAuthorization", "rules"},
				     {"rules_10000", "PaymentAuthorization", "rules"},
				     {"rules_100000", "PaymentAuthorization", "rules"},
				     {"limits_100", "PaymentAuthorization", "limits"},
				     {"limits_1000", "PaymentAuthorization", "limits"},
				     {"limits_10000", "PaymentAuthorization", "limits"},
				     {"limits_100000", "PaymentAuthorization", "limits"},
				     {"networks_1000", "PaymentAuthorization", "networks"},
				     {"networks_10000", "PaymentAuthorization", "networks"},
				     {"prefixes_1000", "PaymentAuthorization", "prefixes"},
				     {"prefixes_10000", "PaymentAuthorization", "prefixes"},
				     {"windows_1000", "PaymentAuthorization", "windows"},
				     {"windows_10000", "PaymentAuthorization", "windows"}};

	for (const subject &one : of) {
		if (access((corpus + one.folder).c_str(), R_OK) != 0)
			continue;
		benchmark::RegisterBenchmark((std::string("decide/") + one.folder).c_str(),
					     [&one](benchmark::State &state) {
						     run(state, one, policy_fixture_decide, 1);
					     });
		benchmark::RegisterBenchmark((std::string("decide_burst/") + one.folder).c_str(),
					     [&one](benchmark::State &state) {
						     run(state, one, policy_fixture_decide_burst,
							 POLICY_FIXTURE_BURST);
					     });
	}
}

static void register_load(const char *name, const std::string &path, const char *template_name,
			  const char *package)
{
	benchmark::RegisterBenchmark(
		(std::string("load/") + name).c_str(),
		[=](benchmark::State &state) { load(state, path, template_name, package); })
		->Unit(benchmark::kMillisecond);
}

int main(int argc, char **argv)
{
	register_decisions("decide", policy_fixture_decide);
	register_decisions("decide_burst", policy_fixture_decide_burst, POLICY_FIXTURE_BURST);
	register_decisions("decode+decide", policy_fixture_decode_decide);
	register_decisions("decide_value", policy_fixture_decide_value);
	register_decisions("parse+decide_value", policy_fixture_parse_decide_value);
	register_rules();
	register_load("payments", corpus + "payments/bundle.tar.gz", "PaymentAuthorization",
		      "payments");
	register_load("rules_10000", large + "rules_10000.tar.gz", "PaymentAuthorization", "rules");
	register_load("data_rows_100000", large + "data_rows_100000.tar.gz", "NewOrder",
		      "pretrade");
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 1;
	benchmark::RunSpecifiedBenchmarks();
	return 0;
}
