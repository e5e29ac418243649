/* SPDX-License-Identifier: Apache-2.0 */
/* riskctl doctor: is this host ready for riskgate, why not, and what can be set right now. */
#include "tools/riskctl/doctor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_member.h"
#include "tools/riskctl/format.h"

enum { OPTION_FIX, OPTION_UNDO, OPTION_LIST, OPTION_ROOT };
static const struct rg_option options[] = {
	[OPTION_FIX] = {"fix", 'f', RG_OPTION_FLAG, NULL, 0, 0, NULL,
			"set what can be set while the machine runs, and check\n"
			"again; what was there is kept in\n" RG_CHANGES_FILE},
	[OPTION_UNDO] = {"undo", 'u', RG_OPTION_FLAG, NULL, 0, 0, NULL, "put back what --fix set"},
	[OPTION_LIST] = {"list", 'l', RG_OPTION_FLAG, NULL, 0, 0, NULL,
			 "print the checks, and why each matters"},
	[OPTION_ROOT] = {"root", 'r', RG_OPTION_TEXT, "FOLDER", 0, 0, "/",
			 "judge the proc, sys and dev below this folder: a copy\n"
			 "from another host"},
	{NULL},
};

const struct rg_stage *const rg_stages[] = {
	&rg_stage_cores,
	&rg_stage_isolation,
	&rg_stage_nohz_full,
	&rg_stage_rcu_nocbs,
	&rg_stage_smt,
	&rg_stage_governor,
	&rg_stage_c_states,
	&rg_stage_interrupts,
	&rg_stage_work_queues,
	&rg_stage_watchdog,
	&rg_stage_timer_migration,
	&rg_stage_rt_throttling,
	&rg_stage_huge_pages,
	&rg_stage_hugetlbfs,
	&rg_stage_transparent_huge_pages,
	&rg_stage_numa_balancing,
	&rg_stage_swap,
	&rg_stage_numa,
	&rg_stage_ports,
	&rg_stage_capabilities,
	&rg_stage_limits,
	&rg_stage_tsc,
	&rg_stage_clock_source,
	&rg_stage_clock_sync,
	&rg_stage_bpf,
	NULL,
};

/* ---- checking ---- */

static int check_all(const struct rg_host *host, struct rg_findings *findings, struct rg_error *err)
{
	for (uint32_t i = 0; rg_stages[i]; i++) {
		findings->stage = rg_stages[i];
		rg_stages[i]->check(host, findings);
	}
	return findings->no_memory ? rg_error_set(err, RG_ENOMEM, "no memory") : RG_OK;
}

static uint32_t count_of(const struct rg_findings *findings, enum rg_severity severity)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < findings->count; i++)
		count += findings->items[i].severity == severity;
	return count;
}

static enum rg_severity worst_of(const struct rg_findings *findings, const struct rg_stage *stage)
{
	enum rg_severity worst = RG_SEVERITY_OK;

	for (uint32_t i = 0; i < findings->count; i++)
		if (findings->items[i].stage == stage && findings->items[i].severity > worst)
			worst = findings->items[i].severity;
	return worst;
}

/* ---- setting and putting back ---- */

#define FAILURES_MAX 32

struct doctor {
	struct rg_cli *cli;
	struct rg_host host;
	struct rg_findings findings;
	struct rg_changes changes; /* of --fix, open until they are shown */
	struct {
		const struct rg_stage *stage;
		char text[RG_ERROR_TEXT_BYTES];
	} failures[FAILURES_MAX]; /* of --fix */
	uint32_t failure_count;
};

/* To root, what it needs would be no news. */
static void note_failure(struct doctor *doctor, const struct rg_stage *stage, const char *text)
{
	bool is_root = geteuid() == 0;

	if (doctor->failure_count == FAILURES_MAX)
		return;
	doctor->failures[doctor->failure_count].stage = stage;
	snprintf(doctor->failures[doctor->failure_count++].text, RG_ERROR_TEXT_BYTES, "%s%s%s",
		 text, is_root ? "" : "; it needs ", is_root ? "" : stage->needs);
}

/* Set what does not pass, and check all again: one stage's setting may be another one's finding. */
static int fix(struct doctor *doctor)
{
	int status = rg_changes_open(&doctor->changes, &doctor->host, &doctor->cli->error);

	for (uint32_t i = 0; !status && rg_stages[i]; i++) {
		const struct rg_stage *stage = rg_stages[i];
		struct rg_error failure = {0};

		if (!stage->init || worst_of(&doctor->findings, stage) == RG_SEVERITY_OK)
			continue;
		if (!stage->init(&doctor->changes, &failure))
			continue;
		note_failure(doctor, stage, failure.text);
	}
	if (status)
		return status;
	rg_findings_free(&doctor->findings);
	return check_all(&doctor->host, &doctor->findings, &doctor->cli->error);
}

struct undo {
	struct rg_cli *cli;
	struct rg_json_writer *json; /* NULL: in words */
	uint32_t count;
};

static void tell_undone(void *context, const struct rg_change *change, const char *what)
{
	struct undo *undo = context;

	undo->count++;
	if (!undo->json) {
		printf("put back   %s: %s%s%s\n", change->path, change->before, what ? "; it " : "",
		       what ? what : "");
		return;
	}
	rg_json_write_object_begin(undo->json);
	rg_json_member_text(undo->json, "path", change->path);
	rg_json_member_text(undo->json, "value", change->before);
	if (what)
		rg_json_member_text(undo->json, "note", what);
	rg_json_write_object_end(undo->json);
}

static int undo(struct doctor *doctor)
{
	struct rg_cli *cli = doctor->cli;
	struct rg_json_writer writer;
	struct undo undo = {.cli = cli, .json = cli->json ? &writer : NULL};
	int status = rg_changes_open(&doctor->changes, &doctor->host, &cli->error), printed;

	if (status)
		return status;
	rg_json_writer_init(&writer, true);
	rg_json_write_object_begin(&writer);
	rg_json_member_array(&writer, "undone");
	status = rg_changes_undo(&doctor->changes, tell_undone, &undo, &cli->error);
	rg_json_write_array_end(&writer);
	rg_json_member_bool(&writer, "ok", !status);
	if (status)
		rg_json_member_text(&writer, "error", cli->error.text);
	rg_json_write_object_end(&writer);
	if (!cli->json) {
		rg_json_writer_free(&writer);
		if (!undo.count && !status)
			puts("nothing to put back");
		return status;
	}
	cli->answered = true;
	printed = rg_cli_print_json(cli, &writer);
	return status ? status : printed;
}

/* ---- showing ---- */

#define TEXT_COLUMN 9

static void print_finding(const struct rg_finding *finding)
{
	printf("%-*s%s: ", TEXT_COLUMN, rg_severity_name(finding->severity), finding->stage->name);
	rg_format_print_broken(finding->text,
			       TEXT_COLUMN + (unsigned)strlen(finding->stage->name) + 2);
	if (finding->severity == RG_SEVERITY_OK)
		return;
	printf("%*swhy: ", TEXT_COLUMN, "");
	rg_format_print_broken(finding->stage->why, TEXT_COLUMN + 5);
	/* unbroken, to be copied */
	if (finding->remedy[0])
		printf("%*sdo:  %s\n", TEXT_COLUMN, "", finding->remedy);
}

static void print_words(const struct doctor *doctor)
{
	const struct rg_findings *findings = &doctor->findings;
	bool fixable = false;

	for (uint32_t i = doctor->changes.first; i < doctor->changes.count; i++)
		printf("set      %s: %s, was %s\n", doctor->changes.items[i].path,
		       doctor->changes.items[i].after, doctor->changes.items[i].before);
	for (uint32_t i = 0; i < doctor->failure_count; i++)
		printf("not set  %s: %s\n", doctor->failures[i].stage->name,
		       doctor->failures[i].text);
	for (uint32_t i = 0; i < findings->count; i++) {
		print_finding(&findings->items[i]);
		fixable |= findings->items[i].severity != RG_SEVERITY_OK &&
			   findings->items[i].stage->init;
	}
	printf("%u errors, %u warnings, %u pieces of advice, %u ok%s\n",
	       count_of(findings, RG_SEVERITY_ERROR), count_of(findings, RG_SEVERITY_WARNING),
	       count_of(findings, RG_SEVERITY_ADVICE), count_of(findings, RG_SEVERITY_OK),
	       doctor->changes.host ? "; `riskctl doctor --undo` puts back what was set"
	       : fixable	    ? "; `riskctl doctor --fix` sets some of it right"
				    : "");
}

static void write_finding(struct rg_json_writer *json, const struct rg_finding *finding)
{
	rg_json_write_object_begin(json);
	rg_json_member_text(json, "check", finding->stage->name);
	rg_json_member_text(json, "severity", rg_severity_name(finding->severity));
	rg_json_member_text(json, "finding", finding->text);
	rg_json_member_text(json, "why", finding->stage->why);
	if (finding->remedy[0])
		rg_json_member_text(json, "remedy", finding->remedy);
	rg_json_member_bool(json, "fixable", finding->stage->init != NULL);
	rg_json_write_object_end(json);
}

static int print_json(struct doctor *doctor, bool good)
{
	struct rg_json_writer json;

	rg_json_writer_init(&json, true);
	rg_json_write_object_begin(&json);
	rg_json_member_bool(&json, "ok", good);
	for (enum rg_severity severity = 0; severity < RG_SEVERITY_COUNT; severity++) {
		static const char *const members[] = {"passed", "advice", "warnings", "errors"};

		rg_json_member_uint(&json, members[severity],
				    count_of(&doctor->findings, severity));
	}
	rg_json_member_array(&json, "findings");
	for (uint32_t i = 0; i < doctor->findings.count; i++)
		write_finding(&json, &doctor->findings.items[i]);
	rg_json_write_array_end(&json);
	rg_json_member_array(&json, "changes");
	for (uint32_t i = doctor->changes.first; i < doctor->changes.count; i++) {
		rg_json_write_object_begin(&json);
		rg_json_member_text(&json, "path", doctor->changes.items[i].path);
		rg_json_member_text(&json, "before", doctor->changes.items[i].before);
		rg_json_member_text(&json, "after", doctor->changes.items[i].after);
		rg_json_write_object_end(&json);
	}
	rg_json_write_array_end(&json);
	rg_json_member_array(&json, "failures");
	for (uint32_t i = 0; i < doctor->failure_count; i++) {
		rg_json_write_object_begin(&json);
		rg_json_member_text(&json, "check", doctor->failures[i].stage->name);
		rg_json_member_text(&json, "error", doctor->failures[i].text);
		rg_json_write_object_end(&json);
	}
	rg_json_write_array_end(&json);
	rg_json_write_object_end(&json);
	doctor->cli->answered = true;
	return rg_cli_print_json(doctor->cli, &json);
}

/* What is left decides: an error, a warning, or a setting that did not take. */
static int conclude(struct doctor *doctor)
{
	uint32_t errors = count_of(&doctor->findings, RG_SEVERITY_ERROR),
		 warnings = count_of(&doctor->findings, RG_SEVERITY_WARNING);
	bool good = !errors && !warnings && !doctor->failure_count;
	int status = RG_OK;

	if (doctor->cli->json)
		status = print_json(doctor, good);
	else
		print_words(doctor);
	if (status || good)
		return status;
	return rg_error_set(&doctor->cli->error, RG_EINVAL, "%u errors and %u warnings are left%s",
			    errors, warnings,
			    doctor->failure_count ? ", and some settings did not take" : "");
}

static int print_list(struct rg_cli *cli)
{
	struct rg_json_writer json;

	rg_json_writer_init(&json, true);
	rg_json_write_object_begin(&json);
	rg_json_member_bool(&json, "ok", true);
	rg_json_member_array(&json, "checks");
	for (uint32_t i = 0; rg_stages[i]; i++) {
		const struct rg_stage *stage = rg_stages[i];

		rg_json_write_object_begin(&json);
		rg_json_member_text(&json, "check", stage->name);
		rg_json_member_text(&json, "looks_at", stage->looks_at);
		rg_json_member_text(&json, "why", stage->why);
		if (stage->init) {
			rg_json_member_text(&json, "sets", stage->sets);
			rg_json_member_text(&json, "needs", stage->needs);
		}
		rg_json_write_object_end(&json);
		if (cli->json)
			continue;
		printf("%s\n    looks at ", stage->name);
		rg_format_print_broken(stage->looks_at, 13);
		printf("    why      ");
		rg_format_print_broken(stage->why, 13);
		if (!stage->init)
			continue;
		printf("    --fix    ");
		rg_format_print_broken(stage->sets, 13);
		printf("    needs    ");
		rg_format_print_broken(stage->needs, 13);
	}
	rg_json_write_array_end(&json);
	rg_json_write_object_end(&json);
	if (cli->json)
		return rg_cli_print_json(cli, &json);
	rg_json_writer_free(&json);
	return RG_OK;
}

static int run(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	const struct rg_option_value *given = invocation->options;
	struct doctor *doctor;
	int status;

	if (!!given[OPTION_FIX].text + !!given[OPTION_UNDO].text + !!given[OPTION_LIST].text > 1)
		return rg_cli_misused(cli, "--fix, --undo and --list are for one call each");
	if (given[OPTION_LIST].text)
		return print_list(cli);
	status = rg_cli_config(cli);
	if (status)
		return status;
	doctor = calloc(1, sizeof(*doctor));
	if (!doctor)
		return rg_error_set(&cli->error, RG_ENOMEM, "no memory");
	doctor->cli = cli;
	doctor->changes.lock = -1;
	status = rg_host_open(&doctor->host, given[OPTION_ROOT].text, cli->config, &cli->error);
	if (!status && given[OPTION_UNDO].text) {
		status = undo(doctor);
	} else if (!status) {
		status = check_all(&doctor->host, &doctor->findings, &cli->error);
		if (!status && given[OPTION_FIX].text)
			status = fix(doctor);
		if (!status)
			status = conclude(doctor);
	}
	rg_changes_close(&doctor->changes);
	rg_findings_free(&doctor->findings);
	free(doctor);
	return status;
}

const struct rg_command rg_command_doctor = {
	.name = "doctor",
	.arguments = "",
	.summary = "Check the host: cores, memory, ports, clocks, limits",
	.details =
		"Looks at what riskgate's promises about time rest on, for the cores and ports of\n"
		"the configuration, or of a data plane that runs: what it finds, why it matters,\n"
		"and what to do. An error keeps riskgate-dataplane from starting; with a warning\n"
		"it runs and decides later than it could; advice is worth knowing. Exit status 1\n"
		"when an error or a warning is left. --fix lasts until the next boot or --undo;\n"
		"what it sets passes the check again, or is said not to.",
	.examples = "riskctl doctor\n"
		    "sudo riskctl doctor --fix\n"
		    "sudo riskctl doctor --undo\n"
		    "riskctl --json doctor --root /tmp/copy-of-another-host",
	.options = options,
	.run = run,
};
