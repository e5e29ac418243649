/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcyaml checks the user's file against the schema below (types, ranges, unknown keys). What the
 * file leaves out is taken from riskgate.yaml, which is compiled in: the same walk over the schema
 * finds the keys that are missing in the parsed document and moves their values over. So a default
 * is written once, in the commented file that users read.
 */
#include "config/config.h"

#include <cyaml/cyaml.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#define FILE_BYTES_MAX (1u << 20)
#define SYSTEM_PATH    "/etc/riskgate/riskgate.yaml"

extern const char rg_config_default_yaml[];

static const cyaml_strval_t verdicts[] = {{"NONE", RG_VERDICT_NONE},
					  {"ALLOW", RG_VERDICT_ALLOW},
					  {"DENY", RG_VERDICT_DENY},
					  {"REVIEW", RG_VERDICT_REVIEW}};

/* Sizes are read as strings ("16MiB") into these and converted after loading: see sizes[]. */
struct file_config {
	struct rg_config config;
	char *region_ring_bytes, *decision_scratch_bytes, *journal_segment_bytes,
		*journal_sync_bytes, *journal_retention_bytes, *journal_max_bytes,
		*sqlite_max_bytes, *api_body_bytes_max, *api_scratch_bytes;
};

#define OPTIONAL (CYAML_FLAG_DEFAULT | CYAML_FLAG_OPTIONAL)
#define TEXT(key, struct_type, member)                                                             \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct_type, member, \
			       0, 4096)
#define UINT(key, struct_type, member) CYAML_FIELD_UINT(key, OPTIONAL, struct_type, member)

static const cyaml_schema_field_t template_fields[] = {
	CYAML_FIELD_STRING_PTR("template", CYAML_FLAG_POINTER, struct rg_config_template,
			       template_name, 1, 64),
	CYAML_FIELD_STRING_PTR("package", CYAML_FLAG_POINTER, struct rg_config_template, package, 1,
			       256),
	CYAML_FIELD_END};
static const cyaml_schema_value_t template_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct rg_config_template, template_fields)};

static const cyaml_schema_value_t text_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, 4096)};

static const cyaml_schema_field_t port_fields[] = {
	CYAML_FIELD_STRING_PTR("device", CYAML_FLAG_POINTER, struct rg_config_port, device, 1,
			       1024),
	CYAML_FIELD_SEQUENCE("addresses", CYAML_FLAG_POINTER, struct rg_config_port, addresses,
			     &text_entry, 1, 64),
	UINT("queues", struct rg_config_port, queues), UINT("mtu", struct rg_config_port, mtu),
	CYAML_FIELD_END};
static const cyaml_schema_value_t port_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct rg_config_port, port_fields)};

/* The sections are anonymous structs inside struct rg_config: their fields are named from the
 * whole. */
#define WHOLE struct file_config

static const cyaml_schema_field_t region_fields[] = {
	TEXT("directory", WHOLE, config.region.directory),
	TEXT("ring_bytes", WHOLE, region_ring_bytes), CYAML_FIELD_END};

static const cyaml_schema_field_t decision_fields[] = {
	CYAML_FIELD_ENUM("default_verdict", OPTIONAL | CYAML_FLAG_STRICT, WHOLE,
			 config.decision.default_verdict, verdicts, CYAML_ARRAY_LEN(verdicts)),
	CYAML_FIELD_ENUM("failure_verdict", OPTIONAL | CYAML_FLAG_STRICT, WHOLE,
			 config.decision.failure_verdict, verdicts, CYAML_ARRAY_LEN(verdicts)),
	CYAML_FIELD_ENUM("recorder_full_verdict", OPTIONAL | CYAML_FLAG_STRICT, WHOLE,
			 config.decision.recorder_full_verdict, verdicts,
			 CYAML_ARRAY_LEN(verdicts)),
	UINT("instruction_budget", WHOLE, config.decision.instruction_budget),
	TEXT("scratch_bytes", WHOLE, decision_scratch_bytes),
	CYAML_FIELD_END};

static const cyaml_schema_field_t dataplane_fields[] = {
	UINT("workers", WHOLE, config.dataplane.workers),
	TEXT("cores", WHOLE, config.dataplane.cores),
	UINT("memory_mib", WHOLE, config.dataplane.memory_mib),
	UINT("mbufs", WHOLE, config.dataplane.mbufs),
	CYAML_FIELD_BOOL("huge_pages", OPTIONAL, WHOLE, config.dataplane.huge_pages),
	CYAML_FIELD_SEQUENCE("eal_arguments", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, WHOLE,
			     config.dataplane.eal_arguments, &text_entry, 0, 64),
	CYAML_FIELD_SEQUENCE("ports", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, WHOLE,
			     config.dataplane.ports, &port_entry, 0, 32),
	UINT("udp_port", WHOLE, config.dataplane.udp_port),
	UINT("burst", WHOLE, config.dataplane.burst),
	UINT("publish_poll_ms", WHOLE, config.dataplane.publish_poll_ms),
	UINT("grace_deadline_ms", WHOLE, config.dataplane.grace_deadline_ms),
	UINT("idle_sleep_us", WHOLE, config.dataplane.idle_sleep_us),
	UINT("overload_after_us", WHOLE, config.dataplane.overload_after_us),
	UINT("tx_wait_us", WHOLE, config.dataplane.tx_wait_us),
	CYAML_FIELD_END};

static const cyaml_schema_field_t control_fields[] = {
	TEXT("socket", WHOLE, config.control.socket),
	TEXT("state_directory", WHOLE, config.control.state_directory),
	TEXT("bundle", WHOLE, config.control.bundle),
	TEXT("opa", WHOLE, config.control.opa),
	UINT("keep_images", WHOLE, config.control.keep_images),
	CYAML_FIELD_BOOL("require_reason", OPTIONAL, WHOLE, config.control.require_reason),
	CYAML_FIELD_END};

static const cyaml_schema_field_t approver_fields[] = {
	CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct rg_config_approver, name, 1, 63),
	CYAML_FIELD_STRING_PTR("key", CYAML_FLAG_POINTER, struct rg_config_approver, key, 1, 4096),
	CYAML_FIELD_STRING_PTR("user", CYAML_FLAG_POINTER, struct rg_config_approver, user, 1, 63),
	CYAML_FIELD_END};
static const cyaml_schema_value_t approver_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct rg_config_approver, approver_fields)};

static const cyaml_schema_field_t four_eyes_fields[] = {
	CYAML_FIELD_BOOL("enabled", OPTIONAL, WHOLE, config.four_eyes.enabled),
	UINT("expire_s", WHOLE, config.four_eyes.expire_s),
	CYAML_FIELD_BOOL("bundles", OPTIONAL, WHOLE, config.four_eyes.bundles),
	CYAML_FIELD_BOOL("rollbacks", OPTIONAL, WHOLE, config.four_eyes.rollbacks),
	CYAML_FIELD_SEQUENCE("approvers", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, WHOLE,
			     config.four_eyes.approvers, &approver_entry, 0, 64),
	CYAML_FIELD_END};

static const cyaml_schema_field_t redis_fields[] = {
	CYAML_FIELD_BOOL("enabled", OPTIONAL, WHOLE, config.redis.enabled),
	TEXT("host", WHOLE, config.redis.host),
	UINT("port", WHOLE, config.redis.port),
	TEXT("username", WHOLE, config.redis.username),
	TEXT("password_file", WHOLE, config.redis.password_file),
	UINT("database", WHOLE, config.redis.database),
	CYAML_FIELD_BOOL("tls", OPTIONAL, WHOLE, config.redis.tls),
	TEXT("tls_ca", WHOLE, config.redis.tls_ca),
	TEXT("tls_cert", WHOLE, config.redis.tls_cert),
	TEXT("tls_key", WHOLE, config.redis.tls_key),
	TEXT("fleet", WHOLE, config.redis.fleet),
	TEXT("key_file", WHOLE, config.redis.key_file),
	UINT("timeout_ms", WHOLE, config.redis.timeout_ms),
	UINT("archive_max_mib", WHOLE, config.redis.archive_max_mib),
	CYAML_FIELD_END};

static const cyaml_schema_field_t rollout_fields[] = {
	CYAML_FIELD_BOOL("enabled", OPTIONAL, WHOLE, config.rollout.enabled),
	UINT("lease_ms", WHOLE, config.rollout.lease_ms),
	UINT("observe_ms", WHOLE, config.rollout.observe_ms),
	UINT("wait_s", WHOLE, config.rollout.wait_s),
	UINT("policy_error_percent", WHOLE, config.rollout.policy_error_percent),
	UINT("deny_rise_percent", WHOLE, config.rollout.deny_rise_percent),
	UINT("min_decisions", WHOLE, config.rollout.min_decisions),
	CYAML_FIELD_BOOL("rollback", OPTIONAL, WHOLE, config.rollout.rollback),
	CYAML_FIELD_END};

static const cyaml_schema_field_t journal_fields[] = {
	TEXT("directory", WHOLE, config.journal.directory),
	TEXT("segment_bytes", WHOLE, journal_segment_bytes),
	UINT("sync_interval_ms", WHOLE, config.journal.sync_interval_ms),
	TEXT("sync_bytes", WHOLE, journal_sync_bytes),
	UINT("retention_hours", WHOLE, config.journal.retention_hours),
	TEXT("retention_bytes", WHOLE, journal_retention_bytes),
	TEXT("max_bytes", WHOLE, journal_max_bytes),
	CYAML_FIELD_BOOL("chain", OPTIONAL, WHOLE, config.journal.chain),
	TEXT("chain_key", WHOLE, config.journal.chain_key),
	CYAML_FIELD_END};

static const cyaml_schema_field_t sqlite_fields[] = {
	CYAML_FIELD_BOOL("enabled", OPTIONAL, WHOLE, config.sinks.sqlite.enabled),
	TEXT("path", WHOLE, config.sinks.sqlite.path),
	UINT("batch", WHOLE, config.sinks.sqlite.batch),
	UINT("retention_days", WHOLE, config.sinks.sqlite.retention_days),
	UINT("max_rows", WHOLE, config.sinks.sqlite.max_rows),
	TEXT("max_bytes", WHOLE, sqlite_max_bytes),
	CYAML_FIELD_END};

static const cyaml_strval_t requests[] = {{"jsonb", RG_CONFIG_REQUEST_JSONB},
					  {"bytes", RG_CONFIG_REQUEST_BYTES}};
static const cyaml_schema_field_t postgresql_fields[] = {
	CYAML_FIELD_BOOL("enabled", OPTIONAL, WHOLE, config.sinks.postgresql.enabled),
	TEXT("connection", WHOLE, config.sinks.postgresql.connection),
	TEXT("password_file", WHOLE, config.sinks.postgresql.password_file),
	UINT("batch", WHOLE, config.sinks.postgresql.batch),
	CYAML_FIELD_ENUM("request", OPTIONAL | CYAML_FLAG_STRICT, WHOLE,
			 config.sinks.postgresql.request, requests, CYAML_ARRAY_LEN(requests)),
	UINT("connections", WHOLE, config.sinks.postgresql.connections),
	UINT("partitions_ahead", WHOLE, config.sinks.postgresql.partitions_ahead),
	UINT("retention_days", WHOLE, config.sinks.postgresql.retention_days),
	UINT("failover_window_s", WHOLE, config.sinks.postgresql.failover_window_s),
	CYAML_FIELD_END};

/* A section's struct is embedded, so its offset is 0 of the whole and its fields carry the full
 * offset. */
#define SECTION(section_key, section_fields)                                                       \
	{                                                                                          \
		.key = section_key, .data_offset = 0, .value = {                                   \
			.type = CYAML_MAPPING,                                                     \
			.flags = OPTIONAL,                                                         \
			.data_size = sizeof(WHOLE),                                                \
			.mapping = {.fields = section_fields},                                     \
		}                                                                                  \
	}

static const cyaml_schema_field_t sinks_fields[] = {SECTION("sqlite", sqlite_fields),
						    SECTION("postgresql", postgresql_fields),
						    CYAML_FIELD_END};

static const cyaml_schema_field_t api_fields[] = {
	TEXT("listen", WHOLE, config.api.listen),
	UINT("threads", WHOLE, config.api.threads),
	TEXT("cert", WHOLE, config.api.cert),
	TEXT("private_key", WHOLE, config.api.private_key),
	TEXT("client_ca", WHOLE, config.api.client_ca),
	TEXT("access_file", WHOLE, config.api.access_file),
	TEXT("anonymous", WHOLE, config.api.anonymous),
	CYAML_FIELD_BOOL("allow_insecure", OPTIONAL, WHOLE, config.api.allow_insecure),
	TEXT("default_decision", WHOLE, config.api.default_decision),
	TEXT("body_bytes_max", WHOLE, api_body_bytes_max),
	TEXT("scratch_bytes", WHOLE, api_scratch_bytes),
	UINT("connections_max", WHOLE, config.api.connections_max),
	UINT("timeout_seconds", WHOLE, config.api.timeout_seconds),
	CYAML_FIELD_END};

static const cyaml_schema_field_t top_fields[] = {
	TEXT("instance", WHOLE, config.instance), UINT("node", WHOLE, config.node),
	SECTION("region", region_fields), TEXT("schema", WHOLE, config.schema),
	CYAML_FIELD_SEQUENCE("templates", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, WHOLE,
			     config.templates, &template_entry, 0, 256),
	SECTION("decision", decision_fields), SECTION("dataplane", dataplane_fields),
	SECTION("control", control_fields), SECTION("four_eyes", four_eyes_fields),
	SECTION("redis", redis_fields), SECTION("rollout", rollout_fields),
	SECTION("journal", journal_fields), SECTION("sinks", sinks_fields),
	SECTION("api", api_fields),
	/* read by opa_sections.c */
	CYAML_FIELD_IGNORE("services", CYAML_FLAG_OPTIONAL),
	CYAML_FIELD_IGNORE("keys", CYAML_FLAG_OPTIONAL),
	CYAML_FIELD_IGNORE("bundles", CYAML_FLAG_OPTIONAL),
	CYAML_FIELD_IGNORE("labels", CYAML_FLAG_OPTIONAL),
	CYAML_FIELD_IGNORE("decision_logs", CYAML_FLAG_OPTIONAL),
	CYAML_FIELD_IGNORE("status", CYAML_FLAG_OPTIONAL),
	CYAML_FIELD_IGNORE("signing", CYAML_FLAG_OPTIONAL), CYAML_FIELD_END};

static const cyaml_schema_value_t top = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file_config, top_fields)};

/* Collect libcyaml's messages: the first says what is wrong, the backtrace lines say where. */
struct messages {
	char what[512];
	char where[512];
};

static void collect(cyaml_log_t level, void *context, const char *format, va_list args)
{
	struct messages *messages = context;
	char line[512];
	size_t n;

	vsnprintf(line, sizeof(line), format, args);
	for (n = strlen(line); n && isspace((unsigned char)line[n - 1]);)
		line[--n] = '\0';
	if (strstr(line, "Backtrace") || level < CYAML_LOG_WARNING)
		return;
	if (!strncmp(line, "Load: ", 6))
		memmove(line, line + 6, n - 5);
	n = strspn(line, " ");
	if (!messages->what[0])
		snprintf(messages->what, sizeof(messages->what), "%s", line + n);
	else if (!messages->where[0] && strstr(line, "line"))
		snprintf(messages->where, sizeof(messages->where), "%s", line + n);
}

static int load(const char *yaml, size_t bytes, struct file_config **out, struct rg_error *err)
{
	struct messages messages = {0};
	cyaml_config_t how = {.log_fn = collect,
			      .log_ctx = &messages,
			      .mem_fn = cyaml_mem,
			      .log_level = CYAML_LOG_WARNING};
	cyaml_data_t *data = NULL;
	cyaml_err_t result;

	result = cyaml_load_data((const uint8_t *)yaml, bytes, &how, &top, &data, NULL);
	if (result != CYAML_OK)
		return rg_error_set(err, RG_EINVAL, "%s%s%s%s",
				    messages.what[0] ? messages.what : cyaml_strerror(result),
				    messages.where[0] ? " (" : "", messages.where,
				    messages.where[0] ? ")" : "");
	if (!data)
		return rg_error_set(err, RG_EINVAL,
				    "holds no key at all: write at least one, "
				    "such as \"node: 0\"");
	*out = data;
	return RG_OK;
}

static void discard(struct file_config *config)
{
	cyaml_config_t how = {.mem_fn = cyaml_mem};

	if (!config)
		return;
	rg_opa_sections_free(&config->config.opa);
	cyaml_free(&how, &top, config, 0);
}

/* ---- defaults ---- */

static yaml_node_t *find_key(yaml_document_t *document, yaml_node_t *mapping, const char *key)
{
	yaml_node_pair_t *pair;

	if (!mapping || mapping->type != YAML_MAPPING_NODE)
		return NULL;
	for (pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top;
	     pair++) {
		yaml_node_t *name = yaml_document_get_node(document, pair->key);

		if (name && name->type == YAML_SCALAR_NODE &&
		    !strcmp((const char *)name->data.scalar.value, key))
			return yaml_document_get_node(document, pair->value);
	}
	return NULL;
}

/* Exchange: the default moves over, and discarding the defaults frees what stood there (nothing).
 */
static void take(uint8_t *to, uint8_t *from, size_t offset, size_t bytes)
{
	for (size_t i = offset; i < offset + bytes; i++) {
		uint8_t kept = to[i];

		to[i] = from[i];
		from[i] = kept;
	}
}

static void fill_missing(yaml_document_t *document, yaml_node_t *mapping,
			 const cyaml_schema_field_t *fields, struct file_config *config,
			 struct file_config *defaults)
{
	for (; fields->key; fields++) {
		yaml_node_t *node = find_key(document, mapping, fields->key);
		size_t bytes = fields->value.data_size;

		if (fields->value.type == CYAML_MAPPING) {
			fill_missing(document, node, fields->value.mapping.fields, config,
				     defaults);
			continue;
		}
		if (node || fields->value.type == CYAML_IGNORE)
			continue;
		if (fields->value.flags & CYAML_FLAG_POINTER)
			bytes = sizeof(void *);
		take((uint8_t *)config, (uint8_t *)defaults, fields->data_offset, bytes);
		if (fields->value.type == CYAML_SEQUENCE)
			take((uint8_t *)config, (uint8_t *)defaults, fields->count_offset,
			     fields->count_size);
	}
}

static int apply_defaults(yaml_document_t *document, struct file_config *config,
			  struct rg_error *err)
{
	struct file_config *defaults = NULL;
	int status = load(rg_config_default_yaml, strlen(rg_config_default_yaml), &defaults, err);

	if (status)
		return rg_error_prefix(err, "built-in defaults");
	fill_missing(document, yaml_document_get_root_node(document), top_fields, config, defaults);
	discard(defaults);
	return RG_OK;
}

/* ---- keys ---- */

static const cyaml_schema_field_t *find_field(const cyaml_schema_field_t *fields, const char *key)
{
	for (; fields->key; fields++)
		if (!strcmp(fields->key, key))
			return fields;
	return NULL;
}

static int check_keys(yaml_document_t *document, yaml_node_t *node,
		      const cyaml_schema_value_t *value, struct rg_error *err);

static int check_key(yaml_document_t *document, const yaml_node_pair_t *pair,
		     const cyaml_schema_field_t *fields, struct rg_error *err)
{
	yaml_node_t *key = yaml_document_get_node(document, pair->key);
	const char *name =
		key->type == YAML_SCALAR_NODE ? (const char *)key->data.scalar.value : "";
	const cyaml_schema_field_t *field = find_field(fields, name);

	if (!field)
		return rg_error_set(
			err, RG_EINVAL,
			"unknown key: %s (line %zu, column %zu); config/riskgate.yaml lists "
			"every key",
			name, key->start_mark.line + 1, key->start_mark.column + 1);
	return check_keys(document, yaml_document_get_node(document, pair->value), &field->value,
			  err);
}

/* libcyaml refuses unknown keys too, but names the place of the mapping instead of the key's. */
static int check_keys(yaml_document_t *document, yaml_node_t *node,
		      const cyaml_schema_value_t *value, struct rg_error *err)
{
	int status = RG_OK;

	if (value->type == CYAML_MAPPING && node->type == YAML_MAPPING_NODE) {
		const yaml_node_pair_t *pair = node->data.mapping.pairs.start;

		for (; !status && pair < node->data.mapping.pairs.top; pair++)
			status = check_key(document, pair, value->mapping.fields, err);
	}
	if (value->type == CYAML_SEQUENCE && node->type == YAML_SEQUENCE_NODE) {
		const yaml_node_item_t *item = node->data.sequence.items.start;

		for (; !status && item < node->data.sequence.items.top; item++)
			status = check_keys(document, yaml_document_get_node(document, *item),
					    value->sequence.entry, err);
	}
	return status;
}

/* ---- values that YAML has no type for ---- */

static int parse_size(const char *text, const char *key, uint64_t *out, struct rg_error *err)
{
	static const struct {
		const char *suffix;
		unsigned shift;
	} units[] = {{"", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (isdigit((unsigned char)text[0]) && !errno && !strcmp(end, units[i].suffix) &&
		    value <= UINT64_MAX >> units[i].shift) {
			*out = value << units[i].shift;
			return RG_OK;
		}
	}
	return rg_error_set(
		err, RG_EINVAL,
		"%s: \"%s\" is not a size: write bytes or a number with KiB, MiB or GiB", key,
		text);
}

static int parse_sizes(struct file_config *file, struct rg_error *err)
{
	struct rg_config *config = &file->config;
	const struct {
		const char *key, *text;
		uint64_t *value;
	} sizes[] = {
		{"region.ring_bytes", file->region_ring_bytes, &config->region.ring_bytes},
		{"decision.scratch_bytes", file->decision_scratch_bytes,
		 &config->decision.scratch_bytes},
		{"journal.segment_bytes", file->journal_segment_bytes,
		 &config->journal.segment_bytes},
		{"journal.sync_bytes", file->journal_sync_bytes, &config->journal.sync_bytes},
		{"journal.retention_bytes", file->journal_retention_bytes,
		 &config->journal.retention_bytes},
		{"journal.max_bytes", file->journal_max_bytes, &config->journal.max_bytes},
		{"sinks.sqlite.max_bytes", file->sqlite_max_bytes, &config->sinks.sqlite.max_bytes},
		{"api.body_bytes_max", file->api_body_bytes_max, &config->api.body_bytes_max},
		{"api.scratch_bytes", file->api_scratch_bytes, &config->api.scratch_bytes},
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int status = parse_size(sizes[i].text, sizes[i].key, sizes[i].value, err);

		if (status)
			return status;
	}
	return RG_OK;
}

struct range {
	const char *key;
	uint64_t value, low, high;
};

static int check_ranges(const struct rg_config *config, struct rg_error *err)
{
	const struct range ranges[] = {
		{"region.ring_bytes", config->region.ring_bytes, 64 << 10, 4ull << 30},
		{"decision.instruction_budget", config->decision.instruction_budget, 1000,
		 1000000000},
		{"decision.scratch_bytes", config->decision.scratch_bytes, 64 << 10, 1ull << 30},
		{"dataplane.workers", config->dataplane.workers, 1, 64},
		{"dataplane.memory_mib", config->dataplane.memory_mib, 32, 1 << 20},
		{"dataplane.mbufs", config->dataplane.mbufs, 1024, 1 << 22},
		{"dataplane.udp_port", config->dataplane.udp_port, 1, 65535},
		{"dataplane.burst", config->dataplane.burst, 1, 256},
		{"dataplane.publish_poll_ms", config->dataplane.publish_poll_ms, 1, 1000},
		{"dataplane.grace_deadline_ms", config->dataplane.grace_deadline_ms, 1, 60000},
		{"dataplane.idle_sleep_us", config->dataplane.idle_sleep_us, 0, 100000},
		{"dataplane.overload_after_us", config->dataplane.overload_after_us, 0, 10000000},
		{"dataplane.tx_wait_us", config->dataplane.tx_wait_us, 0, 1000000},
		{"control.keep_images", config->control.keep_images, 1, 10000},
		{"four_eyes.expire_s", config->four_eyes.expire_s, 1, 31536000},
		{"redis.port", config->redis.port, 1, 65535},
		{"redis.timeout_ms", config->redis.timeout_ms, 10, 60000},
		{"redis.archive_max_mib", config->redis.archive_max_mib, 1, 512},
		{"rollout.lease_ms", config->rollout.lease_ms, 1000, 600000},
		{"rollout.observe_ms", config->rollout.observe_ms, 100, 86400000},
		{"rollout.wait_s", config->rollout.wait_s, 1, 86400},
		{"rollout.policy_error_percent", config->rollout.policy_error_percent, 0, 100},
		{"rollout.deny_rise_percent", config->rollout.deny_rise_percent, 0, 100},
		{"journal.segment_bytes", config->journal.segment_bytes, 64 << 10, 64ull << 30},
		{"journal.sync_interval_ms", config->journal.sync_interval_ms, 0, 60000},
		{"journal.sync_bytes", config->journal.sync_bytes, 4096, 64ull << 30},
		{"sinks.sqlite.batch", config->sinks.sqlite.batch, 1, 1000000},
		{"sinks.sqlite.retention_days", config->sinks.sqlite.retention_days, 0, 36500},
		{"sinks.postgresql.batch", config->sinks.postgresql.batch, 1, 1000000},
		{"sinks.postgresql.connections", config->sinks.postgresql.connections, 1, 16},
		{"sinks.postgresql.partitions_ahead", config->sinks.postgresql.partitions_ahead, 0,
		 366},
		{"sinks.postgresql.retention_days", config->sinks.postgresql.retention_days, 0,
		 36500},
		{"sinks.postgresql.failover_window_s", config->sinks.postgresql.failover_window_s,
		 0, 604800},
		{"api.threads", config->api.threads, 1, 64},
		{"api.body_bytes_max", config->api.body_bytes_max, 1024, 1ull << 30},
		{"api.scratch_bytes", config->api.scratch_bytes, 1 << 20, 4ull << 30},
		{"api.connections_max", config->api.connections_max, 1, 10000},
		{"api.timeout_seconds", config->api.timeout_seconds, 1, 3600},
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		const struct range *range = &ranges[i];

		if (range->value < range->low || range->value > range->high)
			return rg_error_set(err, RG_EINVAL, "%s: %llu is not from %llu to %llu",
					    range->key, (unsigned long long)range->value,
					    (unsigned long long)range->low,
					    (unsigned long long)range->high);
	}
	return RG_OK;
}

/* What must hold of a fleet's nodes. */
static int check_fleet(const struct rg_config *config, struct rg_error *err)
{
	if (config->rollout.enabled && !config->redis.enabled)
		return rg_error_set(err, RG_EINVAL,
				    "rollout.enabled: nodes take turns through Redis: set "
				    "redis.enabled");
	if (config->redis.enabled && config->four_eyes.enabled && !config->redis.key_file[0])
		return rg_error_set(
			err, RG_EINVAL,
			"four_eyes.enabled: what comes from Redis was approved on another "
			"node, and must prove it: set redis.key_file");
	if (config->redis.enabled && (!config->redis.fleet[0] || strlen(config->redis.fleet) > 64 ||
				      strpbrk(config->redis.fleet, ": \t\n")))
		return rg_error_set(err, RG_EINVAL,
				    "redis.fleet: \"%s\" must be 1 to 64 letters without ':' and "
				    "blanks",
				    config->redis.fleet);
	return RG_OK;
}

static int check(const struct rg_config *config, struct rg_error *err)
{
	static const char name_letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					   "0123456789-_";
	uint64_t ring = config->region.ring_bytes;
	int status = check_ranges(config, err);

	if (!status)
		status = check_fleet(config, err);
	if (status)
		return status;
	if (!config->instance[0] || strlen(config->instance) > 32 ||
	    config->instance[strspn(config->instance, name_letters)])
		return rg_error_set(err, RG_EINVAL,
				    "instance: \"%s\" must be 1 to 32 letters, digits, '-' or '_'",
				    config->instance);
	if (config->sinks.postgresql.enabled && !config->sinks.postgresql.connection[0])
		return rg_error_set(err, RG_EINVAL,
				    "sinks.postgresql.connection: is empty: say where the database "
				    "is, such as \"host=db1,db2 dbname=risk user=riskgate\"");
	if (config->journal.max_bytes &&
	    config->journal.max_bytes < 2 * config->journal.segment_bytes)
		return rg_error_set(err, RG_EINVAL,
				    "journal.max_bytes: %llu is less than two segments of "
				    "journal.segment_bytes: make it larger, or segments smaller",
				    (unsigned long long)config->journal.max_bytes);
	if (config->journal.max_bytes &&
	    config->journal.max_bytes < config->journal.retention_bytes)
		return rg_error_set(err, RG_EINVAL,
				    "journal.max_bytes: %llu is less than journal.retention_bytes",
				    (unsigned long long)config->journal.max_bytes);
	if (config->journal.chain_key[0] && !config->journal.chain)
		return rg_error_set(err, RG_EINVAL,
				    "journal.chain_key: is set, but journal.chain is false");
	if (ring & (ring - 1))
		return rg_error_set(err, RG_EINVAL, "region.ring_bytes: %llu is not a power of two",
				    (unsigned long long)ring);
	if (config->decision.default_verdict == RG_VERDICT_NONE ||
	    config->decision.failure_verdict == RG_VERDICT_NONE)
		return rg_error_set(err, RG_EINVAL,
				    "decision: default_verdict and failure_verdict must be ALLOW, "
				    "DENY or REVIEW");
	for (uint32_t i = 0; i < config->templates_count; i++)
		for (uint32_t j = 0; j < i; j++)
			if (!strcmp(config->templates[i].template_name,
				    config->templates[j].template_name))
				return rg_error_set(err, RG_EINVAL,
						    "templates: %s is bound twice, to %s and %s",
						    config->templates[i].template_name,
						    config->templates[j].package,
						    config->templates[i].package);
	return RG_OK;
}

/* ---- paths ---- */

static int make_absolute(char **path, const char *directory, struct rg_error *err)
{
	char *joined;

	if (!(*path)[0] || (*path)[0] == '/')
		return RG_OK;
	if (asprintf(&joined, "%s/%s", directory, *path) < 0)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	free(*path);
	*path = joined;
	return RG_OK;
}

/* An empty path is `name` in the state directory. */
static int default_path(char **path, const struct rg_config *config, const char *name,
			struct rg_error *err)
{
	char *made;

	if ((*path)[0])
		return RG_OK;
	if (asprintf(&made, "%s/%s", config->control.state_directory, name) < 0)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	free(*path);
	*path = made;
	return RG_OK;
}

static int resolve_paths(struct rg_config *config, const char *directory, struct rg_error *err)
{
	char **paths[] = {&config->schema,
			  &config->control.socket,
			  &config->control.bundle,
			  &config->control.state_directory,
			  &config->redis.password_file,
			  &config->redis.key_file,
			  &config->redis.tls_ca,
			  &config->redis.tls_cert,
			  &config->redis.tls_key,
			  &config->journal.directory,
			  &config->journal.chain_key,
			  &config->sinks.sqlite.path,
			  &config->sinks.postgresql.password_file,
			  &config->api.cert,
			  &config->api.private_key,
			  &config->api.client_ca,
			  &config->api.access_file};
	int status = RG_OK;

	for (size_t i = 0; !status && i < sizeof(paths) / sizeof(paths[0]); i++)
		status = make_absolute(paths[i], directory, err);
	for (uint32_t i = 0; !status && i < config->four_eyes.approvers_count; i++)
		status = make_absolute(&config->four_eyes.approvers[i].key, directory, err);
	if (!status && strcmp(config->region.directory, "auto"))
		status = make_absolute(&config->region.directory, directory, err);
	if (!status && strchr(config->control.opa, '/'))
		status = make_absolute(&config->control.opa, directory, err);
	if (!status)
		status = default_path(&config->journal.directory, config, "journal", err);
	if (!status)
		status = default_path(&config->sinks.sqlite.path, config, "decisions.sqlite", err);
	return status;
}

/* ---- public ---- */

static int parse_document(const char *yaml, size_t bytes, yaml_document_t *document,
			  struct rg_error *err)
{
	yaml_parser_t parser;
	int status = RG_OK;

	if (!yaml_parser_initialize(&parser))
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	yaml_parser_set_input_string(&parser, (const unsigned char *)yaml, bytes);
	if (!yaml_parser_load(&parser, document))
		status = rg_error_set(err, RG_EINVAL, "not YAML: %s (line %zu, column %zu)",
				      parser.problem ? parser.problem : "unreadable",
				      parser.problem_mark.line + 1, parser.problem_mark.column + 1);
	yaml_parser_delete(&parser);
	return status;
}

int rg_config_parse(const char *yaml, size_t bytes, const char *directory,
		    struct rg_config **config, struct rg_error *err)
{
	struct file_config *file = NULL;
	yaml_document_t document;
	yaml_node_t *root;
	int status = parse_document(yaml, bytes, &document, err);

	if (status)
		return status;
	root = yaml_document_get_root_node(&document);
	if (root)
		status = check_keys(&document, root, &top, err);
	if (!status)
		status = load(yaml, bytes, &file, err);
	if (!status)
		status = apply_defaults(&document, file, err);
	if (!status)
		status = rg_opa_sections_read(&document, root, directory, &file->config.opa, err);
	yaml_document_delete(&document);
	if (!status)
		status = parse_sizes(file, err);
	if (!status)
		status = resolve_paths(&file->config, directory, err);
	if (!status)
		status = check(&file->config, err);
	if (status) {
		discard(file);
		return status;
	}
	*config = &file->config;
	return RG_OK;
}

void rg_config_free(struct rg_config *config)
{
	discard((struct file_config *)config); /* config is its first member */
}

static int read_file(const char *path, char **text, size_t *bytes, struct rg_error *err)
{
	FILE *file = fopen(path, "re");
	int status = RG_OK;

	if (!file)
		return rg_error_set_errno(err, errno == ENOENT ? RG_ENOENT : RG_EIO, errno,
					  "cannot read the configuration");
	*text = malloc(FILE_BYTES_MAX);
	*bytes = *text ? fread(*text, 1, FILE_BYTES_MAX, file) : 0;
	if (!*text)
		status = rg_error_set(err, RG_ENOMEM, "out of memory");
	else if (ferror(file))
		status = rg_error_set_errno(err, RG_EIO, errno, "cannot read the configuration");
	else if (*bytes == FILE_BYTES_MAX)
		status = rg_error_set(err, RG_ELIMIT, "larger than 1 MiB");
	fclose(file);
	return status;
}

/* The folder of path, absolute. */
static int folder_of(const char *path, char folder[static 4096], struct rg_error *err)
{
	char *slash;

	if (!realpath(path, folder))
		return rg_error_set_errno(err, RG_EIO, errno, "cannot resolve the path");
	slash = strrchr(folder, '/');
	slash[slash == folder] = '\0';
	return RG_OK;
}

int rg_config_load(const char *path, struct rg_config **config, struct rg_error *err)
{
	char folder[4096], *text = NULL;
	size_t bytes = 0;
	int status;

	if (!path)
		path = getenv("RISKGATE_CONFIG");
	if (!path && !access(SYSTEM_PATH, F_OK))
		path = SYSTEM_PATH;
	if (!path)
		return rg_config_parse(rg_config_default_yaml, strlen(rg_config_default_yaml), "/",
				       config, err);
	status = read_file(path, &text, &bytes, err);
	if (!status)
		status = folder_of(path, folder, err);
	if (!status)
		status = rg_config_parse(text, bytes, folder, config, err);
	if (status)
		rg_error_prefix(err, "%s", path);
	free(text);
	return status;
}
