/* SPDX-License-Identifier: Apache-2.0 */
/* riskctl decisions: recorded decisions, from the store that riskgate-control keeps. */
#include <stdio.h>
#include <string.h>

#include "base/json_member.h"
#include "tools/riskctl/answer.h"
#include "tools/riskctl/format.h"
#include "wire/decision.h"

enum { OPTION_LIMIT, OPTION_VERDICT, OPTION_TEMPLATE, OPTION_REQUEST_ID, OPTION_BEFORE };
static const struct rg_option options[] = {
	[OPTION_LIMIT] = {"limit", 'n', RG_OPTION_NUMBER, "COUNT", 1, 10000, "20",
			  "at most so many"},
	[OPTION_VERDICT] = {"verdict", 0, RG_OPTION_CHOICE, "ALLOW|DENY|REVIEW", 0, 0, NULL,
			    "only these"},
	[OPTION_TEMPLATE] = {"template", 0, RG_OPTION_TEXT, "NAME", 0, 0, NULL,
			     "only requests of this type"},
	[OPTION_REQUEST_ID] = {"request-id", 0, RG_OPTION_NUMBER, "ID", 0, UINT64_MAX, NULL,
			       "only this request"},
	[OPTION_BEFORE] = {"before", 0, RG_OPTION_NUMBER, "NS", 0, UINT64_MAX, NULL,
			   "only those received before this time (unix ns), to go\non where an "
			   "earlier answer ended"},
	{NULL},
};

/* "a, b, c" on lines of their own. */
static void print_reasons(struct rg_document *answer, struct rg_value decision)
{
	char line[RG_DECISION_REASONS * 80] = "";
	size_t used = 0;

	for (uint32_t i = 0; i < rg_document_count(answer, decision, "reasons"); i++) {
		struct rg_value reason = rg_document_element(answer, decision, "reasons", i);

		if (used < sizeof(line))
			used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%s",
						 i ? ", " : "",
						 rg_document_text(answer, reason, ""));
	}
	if (line[0]) {
		printf("    ");
		rg_format_print_broken(line, 4);
	}
}

static void print(struct rg_document *answer)
{
	uint32_t count = rg_document_count(answer, answer->root, "decisions");
	char time[RG_FORMAT_BYTES], latency[RG_FORMAT_BYTES];

	if (!count) {
		puts("no such decisions");
		return;
	}
	printf("%-26s %-20s %-7s %8s %9s\n", "RECEIVED (UTC)", "REQUEST", "VERDICT", "SCORE",
	       "LATENCY");
	for (uint32_t i = 0; i < count; i++) {
		struct rg_value decision =
			rg_document_element(answer, answer->root, "decisions", i);
		const char *status = rg_document_text(answer, decision, "status");
		bool is_usual = strcmp(status, "OK") == 0 || strcmp(status, "-") == 0;
		uint64_t received_ns =
			(uint64_t)rg_document_number(answer, decision, "receive_time_ns", 0);
		uint64_t latency_ns =
			(uint64_t)rg_document_number(answer, decision, "latency_ns", 0);

		const char *path = rg_document_text(answer, decision, "path");
		bool is_query = strcmp(path, "-") != 0; /* asked over HTTP */

		printf("%-26.26s %-20s %-7s %8s %9s%s%s\n", rg_format_time(time, received_ns),
		       is_query ? path : rg_document_text(answer, decision, "request_id"),
		       rg_document_text(answer, decision, "verdict"),
		       rg_document_text(answer, decision, "score"),
		       rg_format_duration(latency, latency_ns), is_usual ? "" : "  ",
		       is_usual ? "" : status);
		print_reasons(answer, decision);
	}
}

static int run(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	const struct rg_option_value *option = invocation->options;
	struct rg_json_writer request;

	rg_answer_request(&request, "decisions");
	rg_json_member_uint(&request, "limit", option[OPTION_LIMIT].number);
	if (option[OPTION_VERDICT].text) {
		rg_json_write_key(&request, "verdict");
		/* the choices stand in the order of enum rg_verdict */
		rg_json_write_string(
			&request, rg_decision_verdict_name((uint8_t)option[OPTION_VERDICT].number));
	}
	if (option[OPTION_TEMPLATE].text) {
		rg_json_member_text(&request, "template", option[OPTION_TEMPLATE].text);
	}
	if (option[OPTION_REQUEST_ID].text) {
		rg_json_member_uint(&request, "request_id", option[OPTION_REQUEST_ID].number);
	}
	if (option[OPTION_BEFORE].text) {
		rg_json_member_uint(&request, "before", option[OPTION_BEFORE].number);
	}
	return rg_answer_ask(cli, &request, RG_ANSWER_TIMEOUT_MS, print);
}

const struct rg_command rg_command_decisions = {
	.name = "decisions",
	.arguments = "",
	.summary = "Show recorded decisions, the newest first",
	.details = "From the embedded store (sinks.sqlite): request, verdict, score, reasons and\n"
		   "latency; with --json all that is recorded. A decision appears here some\n"
		   "milliseconds after it was answered.",
	.examples = "riskctl decisions --verdict DENY --limit 5\n"
		    "riskctl --json decisions --request-id 4711",
	.options = options,
	.run = run,
};
