/* SPDX-License-Identifier: Apache-2.0 */
#include "control/status_member.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/json_member.h"
#include "control/state.h"

static void write_plugin(struct rg_json_writer *writer, const char *name, bool is_ready)
{
	rg_json_member_object(writer, name);
	rg_json_member_text(writer, "state", is_ready ? "OK" : "NOT_READY");
	rg_json_write_object_end(writer);
}

static void write_decision_logs(const struct rg_sink_statistics *logs,
				struct rg_json_writer *writer)
{
	rg_json_member_object(writer, "decision_logs");
	if (logs->away) {
		rg_json_member_text(writer, "code", "decision_log_error");
		rg_json_member_text(writer, "message", logs->last_error);
	}
	rg_json_write_object_end(writer);
}

/* A policy that was pushed is a bundle that nobody configured. */
static void write_pushed(const struct rg_policy_meta *meta, struct rg_json_writer *writer)
{
	rg_json_write_object_begin(writer);
	if (meta) {
		rg_json_member_object(writer, meta->bundle);
		rg_json_member_text(writer, "name", meta->bundle);
		rg_json_member_text(writer, "active_revision", meta->revision);
		rg_json_member_text(writer, "type", "snapshot");
		rg_json_member_time(writer, "last_successful_activation", meta->activated_ns);
		rg_json_write_object_end(writer);
	}
	rg_json_write_object_end(writer);
}

void rg_status_member_report(const struct rg_control *control,
			     const struct rg_decision_event_context *labels,
			     struct rg_json_writer *writer)
{
	uint64_t sequence = rg_control_evaluated_sequence(control);
	struct rg_sink_statistics logs;
	uint32_t bundles, active;
	bool has_logs = rg_sinks_decision_logs(control->sinks, control->now.unix_ns, &logs);

	rg_bundles_count(control->bundles, &bundles, &active);
	rg_json_write_object_begin(writer);
	rg_json_write_key(writer, "labels");
	rg_decision_event_labels(labels, writer);
	rg_json_write_key(writer, "bundles");
	if (bundles)
		rg_bundles_write_report(control->bundles, writer);
	else
		write_pushed(rg_policy_store_find(control->store, sequence), writer);
	if (has_logs)
		write_decision_logs(&logs, writer);
	rg_json_member_object(writer, "plugins");
	write_plugin(writer, "bundle", bundles ? active == bundles : sequence != 0);
	if (has_logs)
		write_plugin(writer, "decision_logs", true);
	if (control->status.enabled)
		write_plugin(writer, "status", true);
	rg_json_write_object_end(writer);
	rg_json_write_object_end(writer);
}

static void write_report(void *context, struct rg_json_writer *writer)
{
	const struct rg_control *control = context;

	rg_status_member_report(control, &control->status.context, writer);
}

/* Another number when a report would say something new. */
static uint64_t change_of(const struct rg_control *control)
{
	uint64_t change = rg_bundles_change(control->bundles) << 32;
	struct rg_sink_statistics logs;

	if (rg_sinks_decision_logs(control->sinks, control->now.unix_ns, &logs) && logs.away)
		change |= rg_crc32c(1, logs.last_error, strlen(logs.last_error));
	return change;
}

void rg_status_member_open(struct rg_control *control)
{
	const struct rg_config_opa_sections *config = &control->config->opa;
	struct rg_status_report_options options = {.config = &config->status,
						   .client = &control->http,
						   .write = write_report,
						   .context = control};

	if (!config->status.enabled)
		return;
	if (config->status.service)
		options.service = rg_config_service_find(config, config->status.service);
	rg_decision_event_context_init(&control->status.context, control->config, control->schema);
	rg_status_report_init(&control->status.report, &options);
	control->status.enabled = true;
}

void rg_status_member_close(struct rg_control *control)
{
	if (control->status.enabled)
		rg_status_report_free(&control->status.report);
	control->status.enabled = false;
}

uint32_t rg_status_member_do_work(struct rg_control *control)
{
	return control->status.enabled
		       ? rg_status_report_step(&control->status.report, change_of(control),
					       control->now.monotonic_ns)
		       : 0;
}

void rg_status_member_count(struct rg_control *control)
{
	struct rg_status_member *status = &control->status;
	uint64_t *values = control->counters.values;

	values[RG_CONTROL_STATUS_REPORTS_SENT] += status->report.sent - status->sent_counted;
	values[RG_CONTROL_STATUS_REPORTS_FAILED] +=
		status->report.failures - status->failures_counted;
	status->sent_counted = status->report.sent;
	status->failures_counted = status->report.failures;
}

void rg_status_member_write(const struct rg_control *control, struct rg_json_writer *writer)
{
	const struct rg_status_report *report = &control->status.report;

	if (!control->status.enabled)
		return;
	rg_json_member_object(writer, "status_reports");
	rg_json_member_uint(writer, "sent", report->sent);
	rg_json_member_uint(writer, "failures", report->failures);
	if (report->last_error.status)
		rg_json_member_text(writer, "last_error", report->last_error.text);
	rg_json_write_object_end(writer);
}
