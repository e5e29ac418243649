/* SPDX-License-Identifier: Apache-2.0 */
/* riskctl policy diff: what differs between two policies. */
#include <stdio.h>
#include <string.h>

#include "base/json_member.h"
#include "tools/riskctl/format.h"
#include "tools/riskctl/policy.h"

static void print_rules(struct rg_document *document, struct rg_value difference, const char *sign,
			const char *change)
{
	char path[32];
	uint32_t count, all;

	snprintf(path, sizeof(path), "rules.%s", change);
	count = rg_document_count(document, difference, path);
	for (uint32_t i = 0; i < count; i++) {
		struct rg_value rule = rg_document_element(document, difference, path, i);

		printf("  %s %s\n", sign, rg_document_text(document, rule, ""));
	}
	snprintf(path, sizeof(path), "rules.%s_count", change);
	all = (uint32_t)rg_document_number(document, difference, path, 0);
	if (all > count)
		printf("  %s and %u more\n", sign, all - count);
}

/* The value, or how long it is when it was left out for its length. */
static void print_value(struct rg_document *document, struct rg_value entry, const char *key,
			const char *size_key)
{
	struct rg_value value = rg_document_get(document, entry, key);
	char text[RG_FORMAT_BYTES];

	if (!rg_is_defined(value))
		printf("(%s)", rg_format_bytes(text, (uint64_t)rg_document_number(document, entry,
										  size_key, 0)));
	else if (value.type == RG_STRING)
		printf("\"%s\"", rg_document_text(document, value, ""));
	else
		printf("%s",
		       value.type == RG_NULL ? "null" : rg_document_text(document, value, ""));
}

static void print_data(struct rg_document *document, struct rg_value difference)
{
	uint32_t count = rg_document_count(document, difference, "data.values");
	int64_t left_out = rg_document_number(document, difference, "data.left_out", 0);

	for (uint32_t i = 0; i < count; i++) {
		struct rg_value entry = rg_document_element(document, difference, "data.values", i);
		const char *change = rg_document_text(document, entry, "change");
		bool added = !strcmp(change, "added"), removed = !strcmp(change, "removed");

		printf("  %s %s: ",
		       added	 ? "+"
		       : removed ? "-"
				 : "~",
		       rg_document_text(document, entry, "pointer"));
		if (!added)
			print_value(document, entry, "old", "old_bytes");
		if (!added && !removed)
			printf(" -> ");
		if (!removed)
			print_value(document, entry, "new", "new_bytes");
		putchar('\n');
	}
	if (left_out)
		printf("  and %lld more\n", (long long)left_out);
}

static void print_sources(struct rg_document *document, struct rg_value difference)
{
	for (uint32_t i = 0; i < rg_document_count(document, difference, "sources"); i++) {
		struct rg_value source = rg_document_element(document, difference, "sources", i);
		const char *file = rg_document_text(document, source, "file");

		printf("--- %s\n+++ %s\n", file, file);
		if (rg_is_defined(rg_document_get(document, source, "diff")))
			fputs(rg_document_text(document, source, "diff"), stdout);
		else
			printf("%s lines added, %s removed: too long to be shown here\n",
			       rg_document_text(document, source, "added_lines"),
			       rg_document_text(document, source, "removed_lines"));
	}
}

void rg_policy_print_difference(struct rg_document *document, struct rg_value difference)
{
	if (rg_document_get(document, difference, "identical").i) {
		puts("no difference");
		return;
	}
	printf("rules: %s added, %s removed, %s changed\n",
	       rg_document_text(document, difference, "rules.added_count"),
	       rg_document_text(document, difference, "rules.removed_count"),
	       rg_document_text(document, difference, "rules.changed_count"));
	print_rules(document, difference, "+", "added");
	print_rules(document, difference, "-", "removed");
	print_rules(document, difference, "~", "changed");
	printf("data: %s added, %s removed, %s changed\n",
	       rg_document_text(document, difference, "data.added"),
	       rg_document_text(document, difference, "data.removed"),
	       rg_document_text(document, difference, "data.changed"));
	print_data(document, difference);
	print_sources(document, difference);
}

static void print_revision(struct rg_document *answer, struct rg_value revision, const char *label)
{
	printf("%s policy %s: %s, revision %s\n", label,
	       rg_document_text(answer, revision, "sequence"),
	       rg_document_text(answer, revision, "bundle"),
	       rg_document_text(answer, revision, "revision"));
}

static void print_diff(struct rg_document *answer)
{
	print_revision(answer, rg_document_get(answer, answer->root, "from"), "from");
	print_revision(answer, rg_document_get(answer, answer->root, "to"), "to  ");
	rg_policy_print_difference(answer, rg_document_get(answer, answer->root, "difference"));
}

static int diff(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	static const char *const keys[] = {"from", "sequence"};
	struct rg_json_writer request;
	uint64_t sequences[2];

	for (uint32_t i = 0; i < invocation->argument_count; i++) {
		if (rg_policy_read_sequence(cli, invocation->arguments[i], &sequences[i]))
			return RG_EINVAL;
	}
	rg_answer_request(&request, "policy.diff");
	for (uint32_t i = 0; i < invocation->argument_count; i++)
		rg_json_member_uint(&request, keys[i], sequences[i]);
	return rg_answer_ask(cli, &request, 10 * RG_ANSWER_TIMEOUT_MS, print_diff);
}

const struct rg_command rg_command_policy_diff = {
	.name = "policy diff",
	.arguments = "[FROM] [TO]",
	.arguments_max = 2,
	.summary = "Show what differs between two policies that are kept",
	.details = "Rules added, removed and changed by their path, data by JSON pointer with old\n"
		   "and new values, and the Rego files line by line where the bundles have them.\n"
		   "Without TO: to the one in use; without FROM as well: from the one before it.",
	.examples = "riskctl policy diff\n"
		    "riskctl policy diff 3 7",
	.run = diff,
};
