/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OPA's config and status API.
 *
 *	GET /v1/config	the sections of riskgate.yaml that have OPA's format, as they are in force.
 *			What is secret is left out as OPA does: credentials of services, key and
 *			private_key of keys
 *	GET /v1/status	what OPA would report to a status service: labels, bundles, plugins
 *
 * Source: OPA's REST API documentation; v1/config (ActiveConfig); v1/plugins/status.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json_member.h"
#include "control/api/internal.h"
#include "control/status_member.h"

/* ---- the configuration ---- */

static void begin(struct rg_web_request *request)
{
	request->status = 200;
	rg_json_write_object_begin(&request->answer);
	rg_json_write_key(&request->answer, "result");
}

/* A member that is left out when there is no text. */
static void member_text(struct rg_json_writer *writer, const char *key, const char *text)
{
	if (text && *text)
		rg_json_member_text(writer, key, text);
}

static void member_seconds(struct rg_json_writer *writer, const char *key, uint64_t ms)
{
	rg_json_member_micro(writer, key, (int64_t)ms * 1000);
}

static void write_service(struct rg_json_writer *writer, const struct rg_config_service *service)
{
	rg_json_member_object(writer, service->name);
	rg_json_member_text(writer, "url", service->url);
	if (service->headers_count) {
		rg_json_member_object(writer, "headers");
		for (uint32_t i = 0; i < service->headers_count; i++)
			rg_json_member_text(writer, service->headers[i].name,
					    service->headers[i].value);
		rg_json_write_object_end(writer);
	}
	member_seconds(writer, "response_header_timeout_seconds",
		       service->response_header_timeout_ms);
	rg_json_member_bool(writer, "allow_insecure_tls", service->allow_insecure_tls);
	if (service->tls.ca_cert) {
		rg_json_member_object(writer, "tls");
		rg_json_member_text(writer, "ca_cert", service->tls.ca_cert);
		rg_json_write_object_end(writer);
	}
	rg_json_write_object_end(writer);
}

static void write_signing(struct rg_json_writer *writer, const struct rg_config_signing *signing)
{
	if (!signing->required)
		return;
	rg_json_member_object(writer, "signing");
	member_text(writer, "keyid", signing->keyid);
	member_text(writer, "scope", signing->scope);
	if (signing->exclude_files_count) {
		rg_json_member_array(writer, "exclude_files");
		for (uint32_t i = 0; i < signing->exclude_files_count; i++)
			rg_json_write_string(writer, signing->exclude_files[i]);
		rg_json_write_array_end(writer);
	}
	rg_json_write_object_end(writer);
}

static void write_bundle(struct rg_json_writer *writer, const struct rg_config_bundle *bundle)
{
	rg_json_member_object(writer, bundle->name);
	member_text(writer, "service", bundle->service);
	member_text(writer, "resource", bundle->resource);
	member_text(writer, "source", bundle->source);
	rg_json_member_object(writer, "polling");
	member_seconds(writer, "min_delay_seconds", bundle->polling.min_delay_ms);
	member_seconds(writer, "max_delay_seconds", bundle->polling.max_delay_ms);
	if (bundle->polling.long_polling_timeout_ms)
		member_seconds(writer, "long_polling_timeout_seconds",
			       bundle->polling.long_polling_timeout_ms);
	rg_json_write_object_end(writer);
	rg_json_member_bool(writer, "persist", bundle->persist);
	member_text(writer, "trigger", bundle->trigger);
	rg_json_member_uint(writer, "size_limit_bytes", bundle->size_limit_bytes);
	write_signing(writer, &bundle->signing);
	rg_json_member_bool(writer, "allow_older", bundle->allow_older);
	rg_json_write_object_end(writer);
}

static void write_key(struct rg_json_writer *writer, const struct rg_config_key *key)
{
	rg_json_member_object(writer, key->name);
	rg_json_member_text(writer, "algorithm", key->algorithm);
	member_text(writer, "scope", key->scope);
	rg_json_write_object_end(writer);
}

static void write_decision_logs(struct rg_json_writer *writer,
				const struct rg_config_decision_logs *logs)
{
	if (!logs->enabled)
		return;
	rg_json_member_object(writer, "decision_logs");
	member_text(writer, "service", logs->service);
	member_text(writer, "resource", logs->resource);
	member_text(writer, "partition_name", logs->partition_name);
	rg_json_write_object_end(writer);
}

enum rg_web_result rg_api_get_config(void *context, struct rg_web_request *request)
{
	struct rg_api *api = context;
	const struct rg_config_opa_sections *opa = &api->config->opa;
	struct rg_json_writer *writer = &request->answer;

	request->answer.pretty = rg_target_flag(&request->target, "pretty");
	begin(request);
	rg_json_write_object_begin(writer);
	rg_json_member_object(writer, "services");
	for (uint32_t i = 0; i < opa->services_count; i++)
		write_service(writer, &opa->services[i]);
	rg_json_write_object_end(writer);
	rg_json_member_object(writer, "keys");
	for (uint32_t i = 0; i < opa->keys_count; i++)
		write_key(writer, &opa->keys[i]);
	rg_json_write_object_end(writer);
	rg_json_member_object(writer, "bundles");
	for (uint32_t i = 0; i < opa->bundles_count; i++)
		write_bundle(writer, &opa->bundles[i]);
	rg_json_write_object_end(writer);
	write_signing(writer, &opa->push_signing);
	write_decision_logs(writer, &opa->decision_logs);
	rg_json_write_key(writer, "labels");
	rg_decision_event_labels(&api->labels, writer);
	rg_json_member_text(writer, "default_decision", api->config->api.default_decision);
	rg_json_write_object_end(writer);
	rg_json_write_object_end(writer);
	return RG_WEB_DONE;
}

/* ---- status ---- */

/* In the loop. */
static bool write_status(struct rg_api *api, struct rg_api_call *call)
{
	rg_status_member_report(api->control, &api->labels, &call->answer);
	return true;
}

static enum rg_web_result send_status(void *context, struct rg_web_request *request)
{
	struct rg_api_call *call = rg_api_call_of(request);

	if (call->failed)
		return rg_web_error(request, 503, "internal_error", "riskgate-control stops");
	begin(request);
	rg_json_write_raw(&request->answer, call->answer.text, call->answer.bytes);
	request->answer.failed |= call->answer.failed;
	rg_json_write_object_end(&request->answer);
	return RG_WEB_DONE;
}

enum rg_web_result rg_api_get_status(void *context, struct rg_web_request *request)
{
	struct rg_api_call *call = calloc(1, sizeof(*call));

	if (!call)
		return rg_api_no_memory(request);
	call->run = write_status;
	return rg_api_queue(context, request, call, send_status);
}
