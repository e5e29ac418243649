/* SPDX-License-Identifier: Apache-2.0 */
/* riskctl journal verify and head: is the journal whole, and is it the one that was written? */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_member.h"
#include "journal/journal.h"
#include "tools/riskctl/format.h"
#include "tools/riskctl/journal.h"

#define LINK_TEXT_BYTES (2 * RG_JOURNAL_LINK_BYTES + 1)

enum { VERIFY_KEY, VERIFY_HEAD };
static const struct rg_option verify_options[] = {
	[VERIFY_KEY] = {"key", 0, RG_OPTION_TEXT, "FILE", 0, 0, NULL,
			"the key of the seals (journal.chain_key):\ncheck them too"},
	[VERIFY_HEAD] = {"head", 0, RG_OPTION_TEXT, "INDEX:LINK", 0, 0, NULL,
			 "what `journal head` printed before: it must\nbe in the chain"},
	{NULL},
};

static const char *link_text(const uint8_t link[RG_JOURNAL_LINK_BYTES], char text[LINK_TEXT_BYTES])
{
	for (int i = 0; i < RG_JOURNAL_LINK_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02x", link[i]);
	return text;
}

/* "INDEX:64 hexadecimal digits" */
static int parse_head(struct rg_cli *cli, const char *text, struct rg_journal_head *head)
{
	char *at;

	head->index = strtoull(text, &at, 10);
	if (at == text || *at++ != ':' || strlen(at) != LINK_TEXT_BYTES - 1 ||
	    strspn(at, "0123456789abcdef") != LINK_TEXT_BYTES - 1)
		return rg_cli_misused(cli, "--head: \"%s\" is not what `journal head` prints",
				      text);
	for (int i = 0; i < RG_JOURNAL_LINK_BYTES; i++) {
		char digits[3] = {at[2 * i], at[2 * i + 1], 0};

		head->link[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return RG_OK;
}

/* *key, malloc'ed, is the file's bytes; NULL without a path. */
static int read_key(struct rg_cli *cli, const char *path, char **key,
		    struct rg_journal_verify_options *options)
{
	size_t bytes = 0;
	int status = RG_OK;

	*key = NULL;
	if (path)
		status = rg_cli_read_file(path, key, &bytes, &cli->error);
	if (!status && bytes > RG_JOURNAL_KEY_BYTES_MAX) {
		free(*key);
		*key = NULL;
		return rg_error_set(&cli->error, RG_EINVAL, "%s: a key has at most %d bytes", path,
				    RG_JOURNAL_KEY_BYTES_MAX);
	}
	options->key = *key;
	options->key_bytes = (uint32_t)bytes;
	return status;
}

static void write_head(struct rg_json_writer *writer, const char *key,
		       const struct rg_journal_head *head)
{
	char text[LINK_TEXT_BYTES];

	rg_json_write_key(writer, key);
	rg_json_write_object_begin(writer);
	rg_json_member_uint(writer, "index", head->index);
	rg_json_member_text(writer, "link", link_text(head->link, text));
	rg_json_write_object_end(writer);
}

static bool has_chain(const struct rg_journal_report *report)
{
	return report->chain_begin.index != UINT64_MAX;
}

static void write_chain(struct rg_json_writer *writer, const struct rg_journal_report *report)
{
	rg_json_write_key(writer, "chain");
	rg_json_write_object_begin(writer);
	rg_json_member_uint(writer, "sealed_frames", report->sealed_frames);
	rg_json_member_uint(writer, "unsealed_frames", report->unsealed_frames);
	rg_json_member_uint(writer, "unchained_frames", report->unchained_frames);
	rg_json_member_uint(writer, "keyed_seals", report->keyed_seals);
	if (has_chain(report)) {
		write_head(writer, "begin", &report->chain_begin);
		write_head(writer, "end", &report->chain_end);
	}
	rg_json_write_object_end(writer);
}

static void print_chain(const struct rg_journal_report *report)
{
	char sealed[RG_FORMAT_BYTES], unchained[RG_FORMAT_BYTES], keyed[RG_FORMAT_BYTES];

	if (!has_chain(report)) {
		puts("the journal is not chained (journal.chain): changes that were made with "
		     "their "
		     "checksums are not found");
		return;
	}
	printf("the chain is whole: %s frames are sealed",
	       rg_format_count(sealed, report->sealed_frames));
	if (report->keyed_seals)
		printf(", %s seals have the key's HMAC",
		       rg_format_count(keyed, report->keyed_seals));
	if (report->unsealed_frames)
		printf(", %" PRIu64 " at the end are not sealed yet", report->unsealed_frames);
	if (report->unchained_frames)
		printf("; %s frames before it are not chained",
		       rg_format_count(unchained, report->unchained_frames));
	putchar('\n');
	if (report->anchor_found)
		puts("the head that was given is in it");
}

static int print_report(struct rg_cli *cli, const char *directory,
			const struct rg_journal_report *report)
{
	struct rg_json_writer writer;

	rg_json_writer_init(&writer, true);
	rg_json_write_object_begin(&writer);
	rg_json_member_bool(&writer, "ok", report->bad_places == 0);
	rg_json_member_text(&writer, "directory", directory);
	rg_json_member_uint(&writer, "segments", report->segments);
	rg_json_member_uint(&writer, "frames", report->frames);
	rg_json_member_uint(&writer, "records", report->records);
	rg_json_member_uint(&writer, "policies", report->policies);
	rg_json_member_uint(&writer, "bytes", report->bytes);
	rg_json_member_uint(&writer, "first_index", report->first_index);
	rg_json_member_uint(&writer, "next_index", report->next_index);
	rg_json_member_uint(&writer, "torn_bytes", report->torn_bytes);
	write_chain(&writer, report);
	rg_json_member_uint(&writer, "bad_places", report->bad_places);
	if (report->bad_places) {
		rg_json_write_key(&writer, "first_bad");
		rg_json_write_object_begin(&writer);
		rg_json_member_text(&writer, "file", report->bad_file);
		rg_json_member_uint(&writer, "offset", report->bad_offset);
		rg_json_member_text(&writer, "reason", report->bad_reason);
		rg_json_write_object_end(&writer);
	}
	rg_json_write_object_end(&writer);
	return rg_cli_print_json(cli, &writer);
}

static void print_report_words(const char *directory, const struct rg_journal_report *report)
{
	char records[RG_FORMAT_BYTES], segments[RG_FORMAT_BYTES], bytes[RG_FORMAT_BYTES],
		policies[RG_FORMAT_BYTES];

	printf("%s: %s records and %s policy changes in %s segments, %s\n", directory,
	       rg_format_count(records, report->records),
	       rg_format_count(policies, report->policies),
	       rg_format_count(segments, report->segments), rg_format_bytes(bytes, report->bytes));
	if (report->torn_bytes)
		printf("an unfinished frame of %" PRIu64
		       " bytes at the end: no damage; the writer goes on from there\n",
		       report->torn_bytes);
	if (!report->bad_places) {
		puts("every frame is whole");
		print_chain(report);
		return;
	}
	printf("DAMAGED in %" PRIu64 " places, first: %s, offset %" PRIu64 ": %s\n",
	       report->bad_places, report->bad_file, report->bad_offset, report->bad_reason);
}

static int verify(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	struct rg_journal_report report = {0};
	struct rg_journal_verify_options options = {0};
	struct rg_journal_head anchor;
	char directory[PATH_MAX], *key;
	int status = rg_journal_folder(cli, invocation, directory);

	if (!status && invocation->options[VERIFY_HEAD].text) {
		status = parse_head(cli, invocation->options[VERIFY_HEAD].text, &anchor);
		options.anchor = &anchor;
	}
	if (!status)
		status = read_key(cli, invocation->options[VERIFY_KEY].text, &key, &options);
	if (status)
		return status;
	status = rg_journal_verify(directory, &options, &report, &cli->error);
	free(key);
	if (status && status != RG_ECORRUPT)
		return status;
	if (!cli->json) {
		print_report_words(directory, &report);
		return status;
	}
	if (!status)
		return print_report(cli, directory, &report);
	return status;
}

const struct rg_command rg_command_journal_verify = {
	.name = "journal verify",
	.arguments = "[FOLDER]",
	.arguments_max = 1,
	.summary = "Check every frame of the journal",
	.details =
		"Reads all segments of the folder, the configured journal without FOLDER, and\n"
		"checks every checksum and every index. It may be written at the same time.\n"
		"Exit status 1 when anything is damaged; the message names file and offset.\n"
		"Of a chained journal (journal.chain) also that nothing was altered, reordered,\n"
		"put in or taken out.",
	.examples = "riskctl journal verify\n"
		    "riskctl --json journal verify /var/lib/riskgate/journal\n"
		    "riskctl journal verify --key /etc/riskgate/chain.key --head 4711:9f2c...",
	.options = verify_options,
	.run = verify,
};

/* ---- head ---- */

static int head(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	struct rg_journal_verify_options options = {0};
	struct rg_journal_head end;
	char directory[PATH_MAX], text[LINK_TEXT_BYTES], *key = NULL;
	struct rg_json_writer writer;
	int status = rg_journal_folder(cli, invocation, directory);

	if (!status)
		status = read_key(cli, invocation->options[VERIFY_KEY].text, &key, &options);
	if (!status)
		status = rg_journal_head(directory, &options, &end, &cli->error);
	free(key);
	if (status == RG_EAGAIN)
		return rg_error_set(&cli->error, RG_ENOENT,
				    "%s: nothing is sealed; is journal.chain true?", directory);
	if (status)
		return status;
	if (!cli->json) {
		printf("%" PRIu64 ":%s\n", end.index, link_text(end.link, text));
		return RG_OK;
	}
	rg_json_writer_init(&writer, true);
	rg_json_write_object_begin(&writer);
	rg_json_member_uint(&writer, "index", end.index);
	rg_json_member_text(&writer, "link", link_text(end.link, text));
	rg_json_write_object_end(&writer);
	return rg_cli_print_json(cli, &writer);
}

static const struct rg_option head_options[] = {
	[VERIFY_KEY] = {"key", 0, RG_OPTION_TEXT, "FILE", 0, 0, NULL,
			"the key of the seals: check those of the last segment"},
	{NULL},
};

const struct rg_command rg_command_journal_head = {
	.name = "journal head",
	.arguments = "[FOLDER]",
	.arguments_max = 1,
	.summary = "Print the end of the journal's chain",
	.details =
		"The index and the link behind the last seal, from the last segment alone. Keep\n"
		"it where those who can write the journal cannot: `journal verify --head` then\n"
		"proves that everything before it is still as it was.",
	.examples = "riskctl journal head >> /mnt/elsewhere/heads",
	.options = head_options,
	.run = head,
};
