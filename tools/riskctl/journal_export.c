/* SPDX-License-Identifier: Apache-2.0 */
/* riskctl journal export: records with the names that belong to them, as JSON lines or CSV. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json_member.h"
#include "journal/journal.h"
#include "journal/query.h"
#include "tools/riskctl/document.h"
#include "tools/riskctl/format.h"
#include "tools/riskctl/journal.h"
#include "wire/decision.h"

enum {
	EXPORT_FORMAT,
	EXPORT_SINCE,
	EXPORT_UNTIL,
	EXPORT_TEMPLATE,
	EXPORT_VERDICT,
	EXPORT_REVISION,
	EXPORT_SCHEMA
};
enum { FORMAT_JSONL = 1, FORMAT_CSV };
static const struct rg_option export_options[] = {
	[EXPORT_FORMAT] = {"format", 0, RG_OPTION_CHOICE, "jsonl|csv", 0, 0, "jsonl",
			   "JSON lines, or CSV with a line of names"},
	[EXPORT_SINCE] = {"since", 0, RG_OPTION_TEXT, "TIME", 0, 0, NULL,
			  "only records received at or after this time, as\n"
			  "2026-11-28T17:00:00Z, or in unix ns"},
	[EXPORT_UNTIL] = {"until", 0, RG_OPTION_TEXT, "TIME", 0, 0, NULL,
			  "only records received before this time"},
	[EXPORT_TEMPLATE] = {"template", 0, RG_OPTION_TEXT, "NAME", 0, 0, NULL,
			     "only requests of this template"},
	[EXPORT_VERDICT] = {"verdict", 0, RG_OPTION_CHOICE, "ALLOW|DENY|REVIEW", 0, 0, NULL,
			    "only records with this verdict"},
	[EXPORT_REVISION] = {"revision", 0, RG_OPTION_TEXT, "REVISION", 0, 0, NULL,
			     "only records decided by this policy revision"},
	[EXPORT_SCHEMA] = {"schema", 0, RG_OPTION_TEXT, "FILE", 0, 0, NULL,
			   "request schema, not the configuration's"},
	{NULL},
};

struct policy {
	uint64_t sequence;
	char *revision;
	char **reasons; /* of id 1, 2, ... */
	uint32_t reasons_count;
};

struct export
{
	struct rg_cli *cli;
	bool csv;
	uint64_t since_ns, until_ns;
	const char *template, *revision; /* NULL: all */
	uint64_t verdict;		 /* enum rg_verdict; 0: all */
	struct policy *policies;	 /* as the journal tells them, oldest first */
	size_t policies_count;
};

/* ---- what POLICY frames say ---- */

static struct policy *find(struct export *export, uint64_t sequence)
{
	for (size_t i = export->policies_count; i--;)
		if (export->policies[i].sequence == sequence)
			return &export->policies[i];
	return NULL;
}

static void forget(struct policy *policy)
{
	for (uint32_t i = 0; i < policy->reasons_count; i++)
		free(policy->reasons[i]);
	free(policy->reasons);
	free(policy->revision);
}

/* False: out of memory. */
static bool read_names(struct policy *policy, struct rg_document *document)
{
	uint32_t count = rg_document_count(document, document->root, "reasons");

	policy->revision = strdup(rg_document_text(document, document->root, "revision"));
	policy->reasons = calloc(count + 1, sizeof(*policy->reasons));
	if (!policy->revision || !policy->reasons)
		return false;
	for (; policy->reasons_count < count; policy->reasons_count++) {
		struct rg_value name = rg_document_element(document, document->root, "reasons",
							   policy->reasons_count);
		char *text = strdup(rg_document_text(document, name, ""));

		if (!text)
			return false;
		policy->reasons[policy->reasons_count] = text;
	}
	return true;
}

static int learn(struct export *export, const struct rg_journal_frame *frame)
{
	struct rg_document document;
	struct policy *grown, policy = {0};
	int status = rg_document_parse(&document, frame->payload, frame->payload_bytes,
				       &export->cli->error);

	if (status)
		return status;
	policy.sequence = (uint64_t)rg_document_number(&document, document.root, "sequence", 0);
	if (find(export, policy.sequence)) { /* repeated by a new segment */
		rg_document_free(&document);
		return RG_OK;
	}
	grown = realloc(export->policies, (export->policies_count + 1) * sizeof(*grown));
	if (grown)
		export->policies = grown;
	if (grown && read_names(&policy, &document))
		export->policies[export->policies_count++] = policy;
	else
		status = rg_error_set(&export->cli->error, RG_ENOMEM, "out of memory");
	if (status)
		forget(&policy);
	rg_document_free(&document);
	return status;
}

/* NULL: not known. */
static const char *revision_of(struct export *export, const struct rg_record *record)
{
	struct policy *policy = find(export, record->policy_sequence);

	return policy ? policy->revision : NULL;
}

/* Call write(name) for each reason; one without a name has its id. */
static void each_reason(struct export *export, const struct rg_record *record, void *context,
			void (*write)(void *context, const char *name, bool first))
{
	struct policy *policy = find(export, record->policy_sequence);

	for (uint32_t i = 0; i < record->reason_count; i++) {
		uint32_t id = record->reasons[i];
		char number[16];

		snprintf(number, sizeof(number), "%u", id);
		write(context,
		      policy && id && id <= policy->reasons_count ? policy->reasons[id - 1]
								  : number,
		      i == 0);
	}
}

/* ---- JSON lines ---- */

static void write_reason_json(void *context, const char *name, bool first)
{
	rg_json_write_string(context, name);
}

static int print_json(struct export *export, const struct rg_journal_frame *frame,
		      const struct rg_record *record)
{
	struct rg_json_writer writer;

	rg_json_writer_init(&writer, false);
	rg_json_write_object_begin(&writer);
	rg_json_member_uint(&writer, "index", frame->index);
	rg_journal_write_record(export->cli->schema, record, &writer);
	rg_json_member_text(&writer, "revision", revision_of(export, record));
	rg_json_write_key(&writer, "reasons");
	rg_json_write_array_begin(&writer);
	each_reason(export, record, &writer, write_reason_json);
	rg_json_write_array_end(&writer);
	rg_json_write_object_end(&writer);
	return rg_cli_print_json(export->cli, &writer);
}

/* ---- CSV (RFC 4180) ---- */

static void print_quoted(const char *text)
{
	if (!text[strcspn(text, "\",\r\n")]) {
		fputs(text, stdout);
		return;
	}
	putchar('"');
	for (; *text; text++) {
		if (*text == '"')
			putchar('"');
		putchar(*text);
	}
	putchar('"');
}

struct reasons {
	char text[512];
	size_t bytes;
};

static void write_reason_csv(void *context, const char *name, bool first)
{
	struct reasons *reasons = context;
	int n = snprintf(reasons->text + reasons->bytes, sizeof(reasons->text) - reasons->bytes,
			 "%s%s", first ? "" : ";", name);

	reasons->bytes += (size_t)n;
	if (reasons->bytes >= sizeof(reasons->text))
		reasons->bytes = sizeof(reasons->text) - 1;
}

static const char csv_names[] =
	"index,node,epoch,worker,sequence,request_id,receive_time_ns,latency_ns,client,template,"
	"verdict,status,score,reasons,reasons_fired,policy_sequence,revision,decision_id,path";

static int print_csv(struct export *export, const struct rg_journal_frame *frame,
		     const struct rg_record *record, const char *template)
{
	char client[64], score[RG_FORMAT_BYTES], text[1024];
	struct rg_journal_query query;
	bool is_query = rg_journal_query_read(record, &query);
	const char *revision = revision_of(export, record);
	struct reasons reasons = {.bytes = 0};

	each_reason(export, record, &reasons, write_reason_csv);
	printf("%llu,%u,%llu,%u,%llu,%llu,%llu,%u,%s,", (unsigned long long)frame->index,
	       record->node, (unsigned long long)record->epoch, record->worker,
	       (unsigned long long)record->sequence,
	       (unsigned long long)rg_journal_request_id(record),
	       (unsigned long long)record->receive_time_ns, record->latency_ns,
	       rg_journal_client(record, client, sizeof(client)));
	print_quoted(template ? template : "");
	printf(",%s,%s,%s,", rg_decision_verdict_name(record->verdict),
	       rg_decision_status_name(record->status),
	       rg_format_micro(score, record->score_micro));
	print_quoted(reasons.text);
	printf(",%u,%llu,", record->reasons_fired, (unsigned long long)record->policy_sequence);
	print_quoted(revision ? revision : "");
	putchar(',');
	print_quoted(is_query && rg_span_text(query.decision_id, text, sizeof(text)) ? text : "");
	putchar(',');
	print_quoted(is_query && rg_span_text(query.path, text, sizeof(text)) ? text : "");
	putchar('\n');
	return ferror(stdout) ? rg_error_set(&export->cli->error, RG_EIO, "cannot write") : RG_OK;
}

/* ---- choosing ---- */

static const char *template_of(const struct export *export, const struct rg_record *record)
{
	const struct rg_template *template = rg_schema_template_by_id(
		export->cli->schema, record->schema_id, record->template_id);

	return template ? template->name : NULL;
}

static int export_record(struct export *export, const struct rg_journal_frame *frame)
{
	const struct rg_record *record = frame->payload;
	const char *template, *revision;
	int status = rg_record_check(frame->payload, frame->payload_bytes, &export->cli->error);

	if (status)
		return rg_error_prefix(&export->cli->error, "frame %llu",
				       (unsigned long long)frame->index);
	template = template_of(export, record);
	if (record->receive_time_ns < export->since_ns ||
	    record->receive_time_ns >= export->until_ns ||
	    (export->verdict && record->verdict != export->verdict) ||
	    (export->template && (!template || strcmp(template, export->template))))
		return RG_OK;
	revision = export->revision ? revision_of(export, record) : NULL;
	if (export->revision && (!revision || strcmp(revision, export->revision)))
		return RG_OK;
	return export->csv ? print_csv(export, frame, record, template)
			   : print_json(export, frame, record);
}

static int export_all(struct export *export, struct rg_journal_reader *reader)
{
	struct rg_journal_frame frame;
	int status;

	if (export->csv)
		puts(csv_names);
	while (!(status = rg_journal_reader_next(reader, &frame, &export->cli->error))) {
		if (frame.kind == RG_JOURNAL_POLICY)
			status = learn(export, &frame);
		else if (frame.kind == RG_JOURNAL_RECORD)
			status = export_record(export, &frame);
		if (status)
			return status;
	}
	return status == RG_EAGAIN ? RG_OK : status;
}

/* "2026-11-28T17:00:00Z" or unix ns. */
static int parse_time(struct rg_cli *cli, const char *text, const char *option, uint64_t *ns)
{
	struct tm utc = {0};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &utc);
	char *rest;

	if (end && !*end) {
		*ns = (uint64_t)timegm(&utc) * 1000000000u;
		return RG_OK;
	}
	*ns = strtoull(text, &rest, 10);
	if (rest == text || *rest)
		return rg_cli_misused(cli,
				      "--%s: \"%s\" is neither a time such as 2026-11-28T17:00:00Z "
				      "nor unix ns",
				      option, text);
	return RG_OK;
}

static int export_journal(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	const struct rg_option_value *option = invocation->options;
	struct export export = {.cli = cli,
				.csv = option[EXPORT_FORMAT].number == FORMAT_CSV,
				.until_ns = UINT64_MAX,
				.template = option[EXPORT_TEMPLATE].text,
				.revision = option[EXPORT_REVISION].text,
				.verdict = option[EXPORT_VERDICT].number};
	struct rg_journal_reader *reader = NULL;
	char directory[PATH_MAX];
	int status = RG_OK;

	if (option[EXPORT_SINCE].text)
		status = parse_time(cli, option[EXPORT_SINCE].text, "since", &export.since_ns);
	if (!status && option[EXPORT_UNTIL].text)
		status = parse_time(cli, option[EXPORT_UNTIL].text, "until", &export.until_ns);
	if (!status)
		status = rg_journal_folder(cli, invocation, directory);
	if (!status)
		status = rg_cli_schema(cli, option[EXPORT_SCHEMA].text);
	if (!status)
		status = rg_journal_reader_open(directory, NULL, &reader, &cli->error);
	if (!status)
		status = export_all(&export, reader);
	rg_journal_reader_close(reader);
	for (size_t i = 0; i < export.policies_count; i++)
		forget(&export.policies[i]);
	free(export.policies);
	return status;
}

const struct rg_command rg_command_journal_export = {
	.name = "journal export",
	.arguments = "[FOLDER]",
	.arguments_max = 1,
	.summary = "Export records of the journal",
	.details =
		"Oldest first, with revisions and reasons by name. CSV has no column for the\n"
		"request's fields, which differ from template to template; JSON lines have them.",
	.examples = "riskctl journal export --since 2026-11-28T09:00:00Z > since.jsonl\n"
		    "riskctl journal export --format csv --template NewOrder > orders.csv",
	.options = export_options,
	.run = export_journal,
};
