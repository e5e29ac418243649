/* SPDX-License-Identifier: Apache-2.0 */
/* riskctl journal: reads the journal's folder itself; riskgate-control need not run. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json_member.h"
#include "journal/journal.h"
#include "journal/query.h"
#include "tools/riskctl/cli.h"
#include "tools/riskctl/document.h"
#include "tools/riskctl/format.h"
#include "tools/riskctl/journal.h"
#include "wire/decision.h"
#include "wire/sbe_json.h"

int rg_journal_folder(struct rg_cli *cli, const struct rg_invocation *invocation, char *directory)
{
	int status;

	if (invocation->argument_count) {
		snprintf(directory, PATH_MAX, "%s", invocation->arguments[0]);
		return RG_OK;
	}
	status = rg_cli_config(cli);
	if (status)
		return status;
	if (cli->config->journal.directory[0])
		snprintf(directory, PATH_MAX, "%s", cli->config->journal.directory);
	else
		snprintf(directory, PATH_MAX, "%s/journal", cli->config->control.state_directory);
	return RG_OK;
}

/* ---- cat ---- */

enum { CAT_FROM, CAT_LIMIT, CAT_FOLLOW, CAT_VERDICT, CAT_SCHEMA };
static const struct rg_option cat_options[] = {
	[CAT_FROM] = {"from", 0, RG_OPTION_NUMBER, "INDEX", 0, UINT64_MAX, "0",
		      "begin with the frame of this index"},
	[CAT_LIMIT] = {"limit", 'n', RG_OPTION_NUMBER, "COUNT", 1, UINT64_MAX, NULL,
		       "print at most so many"},
	[CAT_FOLLOW] = {"follow", 'f', RG_OPTION_FLAG, NULL, 0, 0, NULL,
			"wait for more at the end, until interrupted"},
	[CAT_VERDICT] = {"verdict", 0, RG_OPTION_CHOICE, "ALLOW|DENY|REVIEW", 0, 0, NULL,
			 "only records with this verdict"},
	[CAT_SCHEMA] = {"schema", 0, RG_OPTION_TEXT, "FILE", 0, 0, NULL,
			"request schema, not the configuration's: to print the\nrequests' fields"},
	{NULL},
};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal_number)
{
	interrupted = signal_number;
}

struct cat {
	struct rg_cli *cli;
	const struct rg_schema *schema; /* NULL: requests are printed in hexadecimal */
	uint64_t from, limit, printed;
	uint64_t verdict; /* enum rg_verdict; 0: all */
	bool follow;
};

/* The SBE message that the record's request was, header rebuilt; returns its bytes. */
static size_t rebuild_message(const struct rg_record *record, uint8_t *message)
{
	struct rg_sbe_header header = {
		.block_length = record->request_bytes,
		.template_id = record->template_id,
		.schema_id = record->schema_id,
		.version = record->schema_version,
	};

	rg_sbe_header_write(message, header);
	memcpy(message + sizeof(header), rg_record_request(record), record->request_bytes);
	return sizeof(header) + record->request_bytes;
}

static void write_hexadecimal(struct rg_json_writer *writer, const uint8_t *bytes, size_t count)
{
	static const char digits[] = "0123456789abcdef";
	char *text = malloc(count * 2 + 1);

	if (!text) {
		writer->failed = true;
		return;
	}
	for (size_t i = 0; i < count; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	rg_json_write_string_n(writer, text, count * 2);
	free(text);
}

static void write_request(const struct rg_schema *schema, const struct rg_record *record,
			  struct rg_json_writer *writer)
{
	uint8_t message[RG_SBE_HEADER_BYTES + UINT16_MAX];
	size_t bytes = rebuild_message(record, message);
	const struct rg_template *template =
		schema ? rg_schema_template_by_id(schema, record->schema_id, record->template_id)
		       : NULL;

	if (template) {
		rg_json_member_text(writer, "template", template->name);
		rg_json_write_key(writer, "request");
		if (rg_sbe_to_json(schema, message, bytes, writer, NULL) == RG_OK)
			return;
		rg_json_write_null(writer);
	}
	rg_json_write_key(writer, "request_bytes");
	write_hexadecimal(writer, rg_record_request(record), record->request_bytes);
}

const char *rg_journal_client(const struct rg_record *record, char *text, size_t bytes)
{
	struct in6_addr address;
	char host[INET6_ADDRSTRLEN];
	bool is_ipv4;

	memcpy(&address, record->client_address, sizeof(address));
	is_ipv4 = IN6_IS_ADDR_V4MAPPED(&address);
	inet_ntop(is_ipv4 ? AF_INET : AF_INET6,
		  is_ipv4 ? (const void *)&address.s6_addr[12] : &address, host, sizeof(host));
	snprintf(text, bytes, is_ipv4 ? "%s:%u" : "[%s]:%u", host, record->client_port);
	return text;
}

uint64_t rg_journal_request_id(const struct rg_record *record)
{
	uint64_t request_id = 0;

	if (record->kind == RG_RECORD_DECISION && record->request_bytes >= sizeof(request_id))
		memcpy(&request_id, rg_record_request(record), sizeof(request_id));
	return request_id;
}

void rg_journal_write_record(const struct rg_schema *schema, const struct rg_record *record,
			     struct rg_json_writer *writer)
{
	char text[INET6_ADDRSTRLEN + 16];

	rg_json_member_uint(writer, "node", record->node);
	rg_json_member_uint(writer, "epoch", record->epoch);
	rg_json_member_uint(writer, "worker", record->worker);
	rg_json_member_uint(writer, "sequence", record->sequence);
	rg_json_member_uint(writer, "request_id", rg_journal_request_id(record));
	rg_json_member_uint(writer, "receive_time_ns", record->receive_time_ns);
	rg_json_member_uint(writer, "latency_ns", record->latency_ns);
	rg_json_member_text(writer, "client", rg_journal_client(record, text, sizeof(text)));
	rg_json_member_text(writer, "verdict", rg_decision_verdict_name(record->verdict));
	rg_json_member_text(writer, "status", rg_decision_status_name(record->status));
	rg_json_member_micro(writer, "score", record->score_micro);
	rg_json_write_key(writer, "reason_ids");
	rg_json_write_array_begin(writer);
	for (uint32_t i = 0; i < record->reason_count && i < RG_RECORD_REASONS_MAX; i++)
		rg_json_write_uint(writer, record->reasons[i]);
	rg_json_write_array_end(writer);
	rg_json_member_uint(writer, "reasons_fired", record->reasons_fired);
	rg_json_member_uint(writer, "policy_sequence", record->policy_sequence);
	rg_json_member_uint(writer, "seed", record->seed);
	if (record->kind == RG_RECORD_QUERY) {
		rg_json_write_key(writer, "query");
		rg_json_write_raw(writer, (const char *)rg_record_request(record),
				  record->request_bytes);
	} else {
		write_request(schema, record, writer);
	}
}

/* One frame as a JSON object on a line of its own. */
static int print_json(struct cat *cat, const struct rg_journal_frame *frame,
		      const struct rg_record *record)
{
	struct rg_json_writer writer;

	rg_json_writer_init(&writer, false);
	rg_json_write_object_begin(&writer);
	rg_json_member_uint(&writer, "index", frame->index);
	rg_json_member_text(&writer, "kind", rg_journal_kind_name(frame->kind));
	if (record) {
		rg_journal_write_record(cat->schema, record, &writer);
	} else if (frame->kind == RG_JOURNAL_POLICY) {
		rg_json_write_key(&writer, "policy");
		rg_json_write_raw(&writer, frame->payload, frame->payload_bytes);
	}
	rg_json_write_object_end(&writer);
	return rg_cli_print_json(cat->cli, &writer);
}

/* A frame that is no record: of a policy change what matters. */
static void print_change(const struct rg_journal_frame *frame)
{
	struct rg_document policy;

	printf("%10" PRIu64 "  %s", frame->index, rg_journal_kind_name(frame->kind));
	if (frame->kind == RG_JOURNAL_POLICY &&
	    rg_document_parse(&policy, frame->payload, frame->payload_bytes, NULL) == RG_OK) {
		printf(" %s: %s, revision %s", rg_document_text(&policy, policy.root, "sequence"),
		       rg_document_text(&policy, policy.root, "bundle"),
		       rg_document_text(&policy, policy.root, "revision"));
		rg_document_free(&policy);
	}
	putchar('\n');
}

static void print_words(const struct rg_journal_frame *frame, const struct rg_record *record)
{
	char time[RG_FORMAT_BYTES], score[RG_FORMAT_BYTES], latency[RG_FORMAT_BYTES], path[256];
	struct rg_journal_query query;

	if (!record) {
		print_change(frame);
		return;
	}
	printf("%10" PRIu64 "  %.26s  ", frame->index,
	       rg_format_time(time, record->receive_time_ns));
	if (rg_journal_query_read(record, &query))
		printf("asked over HTTP for %s\n",
		       rg_span_text(query.path, path, sizeof(path)) ? path : "-");
	else
		printf("%-6s %-7s request %" PRIu64 "\n", rg_decision_verdict_name(record->verdict),
		       rg_format_micro(score, record->score_micro), rg_journal_request_id(record));
	printf("%10s  policy %" PRIu64 ", ", "", record->policy_sequence);
	if (record->worker != RG_WORKER_API)
		printf("worker %u, ", record->worker);
	printf("%s%s%s", rg_format_duration(latency, record->latency_ns),
	       record->status ? ", " : "",
	       record->status ? rg_decision_status_name(record->status) : "");
	for (uint32_t i = 0; i < record->reason_count && i < RG_RECORD_REASONS_MAX; i++)
		printf("%s%u", i ? ", " : "; reasons ", record->reasons[i]);
	putchar('\n');
}

static int print_frame(struct cat *cat, const struct rg_journal_frame *frame)
{
	const struct rg_record *record = NULL;

	if (frame->kind == RG_JOURNAL_RECORD) {
		int status =
			rg_record_check(frame->payload, frame->payload_bytes, &cat->cli->error);
		if (status)
			return rg_error_prefix(&cat->cli->error, "frame %" PRIu64, frame->index);
		record = frame->payload;
	}
	if (frame->index < cat->from ||
	    (cat->verdict && (!record || record->verdict != cat->verdict)))
		return RG_OK;
	if ((frame->kind == RG_JOURNAL_POSITIONS || frame->kind == RG_JOURNAL_SEAL) &&
	    !cat->cli->json)
		return RG_OK; /* of interest to the writer and the checker alone */
	cat->printed++;
	if (cat->cli->json)
		return print_json(cat, frame, record);
	print_words(frame, record);
	return RG_OK;
}

static int wait_for_more(void)
{
	struct timespec pause = {.tv_nsec = 50000000};

	fflush(stdout);
	nanosleep(&pause, NULL);
	return interrupted || ferror(stdout);
}

static int print_all(struct cat *cat, struct rg_journal_reader *reader)
{
	struct rg_journal_frame frame;
	int status = RG_OK;

	while (!status && !interrupted && cat->printed < cat->limit) {
		status = rg_journal_reader_next(reader, &frame, &cat->cli->error);
		if (status == RG_OK)
			status = print_frame(cat, &frame);
		else if (status == RG_EAGAIN)
			status = cat->follow && !wait_for_more() ? RG_OK : RG_EAGAIN;
	}
	return status == RG_EAGAIN ? RG_OK : status;
}

/* The schema prints requests by name; a configuration that names none that can be read is no reason
 * to print nothing. */
static int load_schema(struct cat *cat, const char *path)
{
	int status = rg_cli_schema(cat->cli, path);

	cat->schema = cat->cli->schema;
	if (status && !path) {
		fprintf(stderr, "riskctl: requests are printed in hexadecimal: %s\n",
			cat->cli->error.text);
		return RG_OK;
	}
	return status;
}

static int cat(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	const struct rg_option_value *option = invocation->options;
	struct cat cat = {
		.cli = cli,
		.from = option[CAT_FROM].number,
		.limit = option[CAT_LIMIT].text ? option[CAT_LIMIT].number : UINT64_MAX,
		.verdict = option[CAT_VERDICT]
				   .number, /* the choices stand in the order of enum rg_verdict */
		.follow = option[CAT_FOLLOW].text,
	};
	struct rg_journal_reader *reader = NULL;
	char directory[PATH_MAX];
	int status = rg_journal_folder(cli, invocation, directory);

	if (!status && cli->json)
		status = load_schema(&cat, option[CAT_SCHEMA].text);
	if (!status)
		status = rg_journal_reader_open(directory, NULL, &reader, &cli->error);
	if (status)
		return status;
	signal(SIGINT, interrupt);
	signal(SIGTERM, interrupt);
	status = print_all(&cat, reader);
	rg_journal_reader_close(reader);
	return status;
}

const struct rg_command rg_command_journal_cat = {
	.name = "journal cat",
	.arguments = "[FOLDER]",
	.arguments_max = 1,
	.summary = "Print the records of the journal",
	.details =
		"Oldest first, from FOLDER or the configured journal. With --json one JSON object\n"
		"a line, with every field of the record and of its request.",
	.examples = "riskctl journal cat --limit 10\n"
		    "riskctl --json journal cat --verdict DENY > denied.jsonl\n"
		    "riskctl journal cat --follow",
	.options = cat_options,
	.run = cat,
};
