/* SPDX-License-Identifier: Apache-2.0 */
#include "config/opa_sections.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOUR_MS		 3600000ull
#define SIZE_LIMIT_BYTES (256ull << 20)
#define FILE_SCHEME	 "file://"
#define FIELD(key, kind, type, member)                                                             \
	{                                                                                          \
		key, kind, offsetof(type, member)                                                  \
	}
#define LIST(key, kind, type, member)                                                              \
	{                                                                                          \
		key, kind, offsetof(type, member), offsetof(type, member##_count)                  \
	}
#define MAPPING(key, table)                                                                        \
	{                                                                                          \
		key, RG_SECTION_MAPPING, .fields = table                                           \
	}
#define SECONDS(key, type, member, initial_ms, low_ms, high_ms)                                    \
	{                                                                                          \
		key, RG_SECTION_SECONDS, offsetof(type, member), .initial = initial_ms,            \
								 .low = low_ms, .high = high_ms    \
	}

/* ---- the tables ---- */

#define SERVICE struct rg_config_service
static const struct rg_section_field bearer_fields[] = {
	FIELD("token", RG_SECTION_TEXT, SERVICE, credentials.bearer.token),
	FIELD("token_path", RG_SECTION_TEXT, SERVICE, credentials.bearer.token_path),
	{"scheme", RG_SECTION_TEXT, offsetof(SERVICE, credentials.bearer.scheme), .text = "Bearer"},
	{0}};
static const struct rg_section_field basic_fields[] = {
	FIELD("username", RG_SECTION_TEXT, SERVICE, credentials.basic.username),
	FIELD("password", RG_SECTION_TEXT, SERVICE, credentials.basic.password),
	{0}};
static const struct rg_section_field client_tls_fields[] = {
	FIELD("cert", RG_SECTION_TEXT, SERVICE, credentials.client_tls.cert),
	FIELD("private_key", RG_SECTION_TEXT, SERVICE, credentials.client_tls.private_key),
	FIELD("private_key_passphrase", RG_SECTION_TEXT, SERVICE,
	      credentials.client_tls.private_key_passphrase),
	{0}};
static const struct rg_section_field credentials_fields[] = {
	MAPPING("bearer", bearer_fields),
	MAPPING("basic", basic_fields),
	MAPPING("client_tls", client_tls_fields),
	{0}};
static const struct rg_section_field tls_fields[] = {
	FIELD("ca_cert", RG_SECTION_TEXT, SERVICE, tls.ca_cert), {0}};
static const struct rg_section_field service_fields[] = {
	FIELD("url", RG_SECTION_TEXT, SERVICE, url),
	LIST("headers", RG_SECTION_PAIRS, SERVICE, headers),
	SECONDS("response_header_timeout_seconds", SERVICE, response_header_timeout_ms, 10000, 1,
		HOUR_MS),
	FIELD("allow_insecure_tls", RG_SECTION_BOOL, SERVICE, allow_insecure_tls),
	MAPPING("tls", tls_fields),
	MAPPING("credentials", credentials_fields),
	{0}};

#define KEY struct rg_config_key
static const struct rg_section_field key_fields[] = {
	FIELD("key", RG_SECTION_TEXT, KEY, key),
	FIELD("private_key", RG_SECTION_TEXT, KEY, private_key),
	{"algorithm", RG_SECTION_TEXT, offsetof(KEY, algorithm), .text = "RS256"},
	FIELD("scope", RG_SECTION_TEXT, KEY, scope),
	{0}};

#define SIGNING struct rg_config_signing
static const struct rg_section_field push_signing_fields[] = {
	FIELD("keyid", RG_SECTION_TEXT, SIGNING, keyid),
	FIELD("scope", RG_SECTION_TEXT, SIGNING, scope),
	LIST("exclude_files", RG_SECTION_TEXTS, SIGNING, exclude_files),
	{0}};

#define BUNDLE struct rg_config_bundle
static const struct rg_section_field signing_fields[] = {
	FIELD("keyid", RG_SECTION_TEXT, BUNDLE, signing.keyid),
	FIELD("scope", RG_SECTION_TEXT, BUNDLE, signing.scope),
	LIST("exclude_files", RG_SECTION_TEXTS, BUNDLE, signing.exclude_files),
	{0}};
static const struct rg_section_field polling_fields[] = {
	SECONDS("min_delay_seconds", BUNDLE, polling.min_delay_ms, 60000, 50, 24 * HOUR_MS),
	SECONDS("max_delay_seconds", BUNDLE, polling.max_delay_ms, 120000, 50, 24 * HOUR_MS),
	SECONDS("long_polling_timeout_seconds", BUNDLE, polling.long_polling_timeout_ms, 0, 1000,
		HOUR_MS),
	{0}};
static const struct rg_section_field bundle_fields[] = {
	FIELD("service", RG_SECTION_TEXT, BUNDLE, service),
	FIELD("resource", RG_SECTION_TEXT, BUNDLE, resource),
	{"source", RG_SECTION_TEXT, offsetof(BUNDLE, source), .text = "bundle"},
	MAPPING("polling", polling_fields),
	{"persist", RG_SECTION_BOOL, offsetof(BUNDLE, persist), .initial = 1},
	{"trigger", RG_SECTION_TEXT, offsetof(BUNDLE, trigger), .text = "periodic"},
	{"size_limit_bytes", RG_SECTION_UINT, offsetof(BUNDLE, size_limit_bytes),
	 .initial = SIZE_LIMIT_BYTES, .low = 1, .high = 4ull << 30},
	MAPPING("signing", signing_fields),
	FIELD("allow_older", RG_SECTION_BOOL, BUNDLE, allow_older),
	{0}};

#define LOGS struct rg_config_decision_logs
static const struct rg_section_field reporting_fields[] = {
	SECONDS("min_delay_seconds", LOGS, reporting.min_delay_ms, 1000, 0, 24 * HOUR_MS),
	SECONDS("max_delay_seconds", LOGS, reporting.max_delay_ms, 2000, 0, 24 * HOUR_MS),
	{"upload_size_limit_bytes", RG_SECTION_UINT,
	 offsetof(LOGS, reporting.upload_size_limit_bytes), .initial = 32768, .low = 90,
	 .high = 64ull << 20},
	{"max_decisions_per_second", RG_SECTION_UINT,
	 offsetof(LOGS, reporting.max_decisions_per_second), .low = 1, .high = 1000000000},
	{"trigger", RG_SECTION_TEXT, offsetof(LOGS, reporting.trigger), .text = "periodic"},
	FIELD("buffer_type", RG_SECTION_TEXT, LOGS, reporting.buffer_type),
	{"buffer_size_limit_bytes", RG_SECTION_UINT,
	 offsetof(LOGS, reporting.buffer_size_limit_bytes), .low = 1, .high = UINT64_MAX},
	{"buffer_size_limit_events", RG_SECTION_UINT,
	 offsetof(LOGS, reporting.buffer_size_limit_events), .low = 1, .high = UINT64_MAX},
	{0}};
static const struct rg_section_field http_context_fields[] = {
	LIST("headers", RG_SECTION_TEXTS, LOGS, request_context.http.headers), {0}};
static const struct rg_section_field request_context_fields[] = {
	MAPPING("http", http_context_fields), {0}};
static const struct rg_section_field decision_logs_fields[] = {
	FIELD("service", RG_SECTION_TEXT, LOGS, service),
	{"resource", RG_SECTION_TEXT, offsetof(LOGS, resource), .text = "/logs"},
	FIELD("partition_name", RG_SECTION_TEXT, LOGS, partition_name),
	{"mask_decision", RG_SECTION_TEXT, offsetof(LOGS, mask_decision),
	 .text = "/system/log/mask"},
	{"drop_decision", RG_SECTION_TEXT, offsetof(LOGS, drop_decision),
	 .text = "/system/log/drop"},
	FIELD("console", RG_SECTION_BOOL, LOGS, console),
	FIELD("plugin", RG_SECTION_TEXT, LOGS, plugin),
	MAPPING("reporting", reporting_fields),
	MAPPING("request_context", request_context_fields),
	LIST("erase", RG_SECTION_TEXTS, LOGS, erase),
	{0}};

#define STATUS struct rg_config_status
static const struct rg_section_field status_fields[] = {
	FIELD("service", RG_SECTION_TEXT, STATUS, service),
	FIELD("partition_name", RG_SECTION_TEXT, STATUS, partition_name),
	FIELD("console", RG_SECTION_BOOL, STATUS, console),
	FIELD("prometheus", RG_SECTION_BOOL, STATUS, prometheus),
	FIELD("plugin", RG_SECTION_TEXT, STATUS, plugin),
	{"trigger", RG_SECTION_TEXT, offsetof(STATUS, trigger), .text = "periodic"},
	SECONDS("period_seconds", STATUS, period_ms, 60000, 100, 24 * HOUR_MS),
	{0}};

/* ---- what must fit together ---- */

static int invalid(struct rg_error *err, const char *section, const char *name, const char *what)
{
	return rg_error_set(err, RG_EINVAL, "%s.%s: %s", section, name, what);
}

static int check_service(struct rg_config_service *service, struct rg_error *err)
{
	const bool bearer = service->credentials.bearer.token ||
			    service->credentials.bearer.token_path,
		   basic = service->credentials.basic.username != NULL,
		   client_tls = service->credentials.client_tls.cert != NULL;
	size_t length = service->url ? strlen(service->url) : 0;

	if (!length || (strncmp(service->url, "http://", 7) &&
			strncmp(service->url, "https://", 8) && !strstr(service->url, "${")))
		return invalid(err, "services", service->name,
			       "url must begin with http:// or https://");
	while (service->url[length - 1] == '/')
		service->url[--length] = '\0';
	if (bearer + basic + client_tls > 1)
		return invalid(err, "services", service->name,
			       "credentials must be one of bearer, basic and client_tls");
	if (service->credentials.bearer.token && service->credentials.bearer.token_path)
		return invalid(err, "services", service->name,
			       "credentials.bearer has both token and token_path");
	if (basic != (service->credentials.basic.password != NULL))
		return invalid(err, "services", service->name,
			       "credentials.basic needs username and password");
	if (client_tls != (service->credentials.client_tls.private_key != NULL))
		return invalid(err, "services", service->name,
			       "credentials.client_tls needs cert and private_key");
	return RG_OK;
}

static int check_key(const struct rg_config_key *key, struct rg_error *err)
{
	static const char *const algorithms[] = {"HS256", "HS384", "HS512", "RS256",
						 "RS384", "RS512", "PS256", "PS384",
						 "PS512", "ES256", "ES384", "ES512"};

	if (!key->key || !*key->key)
		return invalid(err, "keys", key->name,
			       "key is missing: a PEM public key, its path, or an HMAC secret");
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
		if (!strcmp(key->algorithm, algorithms[i]))
			return RG_OK;
	}
	return invalid(err, "keys", key->name,
		       "algorithm must be one of HS, RS, PS and ES with 256, 384 or 512");
}

static int check_bundle(const struct rg_config_opa_sections *sections,
			const struct rg_config_bundle *bundle, struct rg_error *err)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";
	bool is_file = bundle->resource && !strncmp(bundle->resource, FILE_SCHEME, 7);

	if (bundle->name[strspn(bundle->name, letters)] || bundle->name[0] == '.' ||
	    strlen(bundle->name) > 64)
		return invalid(err, "bundles", bundle->name,
			       "a name must be 1 to 64 letters, digits, '-', '_' or '.'");
	if (is_file == (bundle->service != NULL))
		return invalid(err, "bundles", bundle->name,
			       "needs either a service or a resource that begins with file://");
	if (bundle->service && !rg_config_service_find(sections, bundle->service))
		return invalid(err, "bundles", bundle->name,
			       "its service is not among the services");
	if (strcmp(bundle->source, "bundle") && strcmp(bundle->source, "opa"))
		return invalid(err, "bundles", bundle->name, "source must be bundle or opa");
	if (!strcmp(bundle->source, "opa") && is_file)
		return invalid(err, "bundles", bundle->name, "source opa needs a service");
	if (strcmp(bundle->trigger, "periodic") && strcmp(bundle->trigger, "manual"))
		return invalid(err, "bundles", bundle->name, "trigger must be periodic or manual");
	if (bundle->polling.max_delay_ms < bundle->polling.min_delay_ms)
		return invalid(err, "bundles", bundle->name,
			       "polling: max_delay_seconds is less than min_delay_seconds");
	if (bundle->signing.keyid && !rg_config_key_find(sections, bundle->signing.keyid))
		return invalid(err, "bundles", bundle->name, "signing.keyid is not among the keys");
	if (bundle->signing.required && !sections->keys_count)
		return invalid(err, "bundles", bundle->name, "signing needs a key in keys");
	return RG_OK;
}

/* OPA's keys that mean something else here, or nothing, and what goes with what. */
static int check_reporting(const struct rg_config_decision_logs *logs, struct rg_error *err)
{
	const char *trigger = logs->reporting.trigger, *buffer = logs->reporting.buffer_type;

	if (logs->plugin)
		return rg_error_set(
			err, RG_EINVAL,
			"decision_logs.plugin: there are no plugins here; name a service, "
			"set console, or let a program follow `riskctl journal cat`");
	if (logs->reporting.max_delay_ms < logs->reporting.min_delay_ms)
		return rg_error_set(err, RG_EINVAL,
				    "decision_logs.reporting: max_delay_seconds is less than "
				    "min_delay_seconds");
	if (strcmp(trigger, "periodic") && strcmp(trigger, "immediate"))
		return rg_error_set(err, RG_EINVAL,
				    "decision_logs.reporting.trigger: \"%s\" must be periodic or "
				    "immediate: nothing here could pull a manual one",
				    trigger);
	if (buffer && strcmp(buffer, "size") && strcmp(buffer, "event"))
		return rg_error_set(err, RG_EINVAL,
				    "decision_logs.reporting.buffer_type: \"%s\" must be size or "
				    "event",
				    buffer);
	return RG_OK;
}

/* Fills in the service that is not named. */
static int check_decision_logs(const struct rg_config_opa_sections *sections,
			       struct rg_config_decision_logs *logs, struct rg_error *err)
{
	int rc;

	if (!logs->enabled)
		return RG_OK;
	rc = check_reporting(logs, err);
	if (rc)
		return rc;
	if (!logs->service && sections->services_count && !logs->console) {
		logs->service = strdup(sections->services[0].name);
		if (!logs->service)
			return rg_error_set(err, RG_ENOMEM, "out of memory");
	}
	if (!(logs->console && !logs->service) &&
	    (!logs->service || !rg_config_service_find(sections, logs->service)))
		return rg_error_set(err, RG_EINVAL,
				    "decision_logs.service: \"%s\" is not among the services",
				    logs->service ? logs->service : "");
	if (logs->erase_count > RG_CONFIG_ERASE_MAX)
		return rg_error_set(err, RG_EINVAL, "decision_logs.erase: more than %d fields",
				    RG_CONFIG_ERASE_MAX);
	for (uint32_t i = 0; i < logs->erase_count; i++)
		if (strncmp(logs->erase[i], "/input/", 7) || !logs->erase[i][7])
			return rg_error_set(err, RG_EINVAL,
					    "decision_logs.erase: \"%s\" must be a JSON pointer "
					    "into the request, such as /input/account",
					    logs->erase[i]);
	return RG_OK;
}

/* Fills in the service that is not named. */
static int check_status(const struct rg_config_opa_sections *sections,
			struct rg_config_status *status, struct rg_error *err)
{
	if (!status->enabled)
		return RG_OK;
	if (status->plugin)
		return rg_error_set(
			err, RG_EINVAL,
			"status.plugin: there are no plugins here; name a service, or set "
			"console");
	if (strcmp(status->trigger, "periodic"))
		return rg_error_set(
			err, RG_EINVAL,
			"status.trigger: \"%s\" must be periodic: nothing here could pull a "
			"manual one",
			status->trigger);
	if (!status->service && sections->services_count && !status->console &&
	    !status->prometheus) {
		status->service = strdup(sections->services[0].name);
		if (!status->service)
			return rg_error_set(err, RG_ENOMEM, "out of memory");
	}
	if (status->service && !rg_config_service_find(sections, status->service))
		return rg_error_set(err, RG_EINVAL,
				    "status.service: \"%s\" is not among the services",
				    status->service);
	if (!status->service && !status->console && !status->prometheus)
		return rg_error_set(
			err, RG_EINVAL,
			"status: there is no service to report to; name one in services, or "
			"set console");
	return RG_OK;
}

static int check(struct rg_config_opa_sections *sections, struct rg_error *err)
{
	int rc = RG_OK;

	for (uint32_t i = 0; !rc && i < sections->services_count; i++)
		rc = check_service(&sections->services[i], err);
	for (uint32_t i = 0; !rc && i < sections->keys_count; i++)
		rc = check_key(&sections->keys[i], err);
	for (uint32_t i = 0; !rc && i < sections->bundles_count; i++)
		rc = check_bundle(sections, &sections->bundles[i], err);
	if (!rc)
		rc = check_decision_logs(sections, &sections->decision_logs, err);
	if (!rc)
		rc = check_status(sections, &sections->status, err);
	if (!rc && sections->push_signing.required) {
		const char *keyid = sections->push_signing.keyid;

		if (!sections->keys_count || (keyid && !rg_config_key_find(sections, keyid)))
			rc = rg_error_set(err, RG_EINVAL, "signing: needs a key in keys%s%s",
					  keyid ? ", and has none named " : "", keyid ? keyid : "");
	}
	return rc;
}

/* ---- paths ---- */

static int absolute(char **path, const char *directory, struct rg_error *err)
{
	char *joined;

	if (!*path || !**path || **path == '/')
		return RG_OK;
	if (asprintf(&joined, "%s/%s", directory, *path) < 0)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	free(*path);
	*path = joined;
	return RG_OK;
}

static int resolve_service(struct rg_config_service *service, const char *directory,
			   struct rg_error *err)
{
	char **paths[] = {&service->tls.ca_cert, &service->credentials.bearer.token_path,
			  &service->credentials.client_tls.cert,
			  &service->credentials.client_tls.private_key};
	int rc = RG_OK;

	for (size_t i = 0; !rc && i < sizeof(paths) / sizeof(paths[0]); i++)
		rc = absolute(paths[i], directory, err);
	return rc;
}

/* ---- public ---- */

static struct rg_section find(yaml_document_t *document, yaml_node_t *root, const char *name,
			      struct rg_error *unset)
{
	struct rg_section section = {document, NULL, name, unset};

	if (!root || root->type != YAML_MAPPING_NODE)
		return section;
	for (yaml_node_pair_t *at = root->data.mapping.pairs.start;
	     at < root->data.mapping.pairs.top; at++) {
		yaml_node_t *key = yaml_document_get_node(document, at->key);

		if (key->type == YAML_SCALAR_NODE && !strcmp((char *)key->data.scalar.value, name))
			section.node = yaml_document_get_node(document, at->value);
	}
	return section;
}

/* Is there a mapping `name` under node? */
static bool has(yaml_document_t *document, yaml_node_t *node, const char *name)
{
	return find(document, node, name, NULL).node != NULL;
}

/* A bundle whose `signing` is written must be signed. */
static void note_signing(const struct rg_section *section, struct rg_config_opa_sections *sections)
{
	for (uint32_t i = 0; i < sections->bundles_count; i++) {
		struct rg_config_bundle *bundle = &sections->bundles[i];
		struct rg_section written =
			find(section->document, section->node, bundle->name, NULL);

		bundle->signing.required =
			written.node && has(section->document, written.node, "signing");
	}
}

int rg_opa_sections_read(yaml_document_t *document, yaml_node_t *root, const char *directory,
			 struct rg_config_opa_sections *sections, struct rg_error *err)
{
	struct rg_section services = find(document, root, "services", &sections->unset);
	struct rg_section keys = find(document, root, "keys", &sections->unset);
	struct rg_section bundles = find(document, root, "bundles", &sections->unset);
	struct rg_section labels = find(document, root, "labels", &sections->unset);
	struct rg_section logs = find(document, root, "decision_logs", &sections->unset);
	struct rg_section status = find(document, root, "status", &sections->unset);
	struct rg_section signing = find(document, root, "signing", &sections->unset);
	int rc;

	memset(sections, 0, sizeof(*sections));
	rc = rg_section_read_map(&services, service_fields, sizeof(SERVICE),
				 (void **)&sections->services, &sections->services_count, err);
	if (!rc)
		rc = rg_section_read_map(&keys, key_fields, sizeof(KEY), (void **)&sections->keys,
					 &sections->keys_count, err);
	if (!rc)
		rc = rg_section_read_map(&bundles, bundle_fields, sizeof(BUNDLE),
					 (void **)&sections->bundles, &sections->bundles_count,
					 err);
	if (!rc)
		rc = rg_section_read_pairs(&labels, &sections->labels, &sections->labels_count,
					   err);
	if (!rc)
		rc = rg_section_read(&logs, decision_logs_fields, &sections->decision_logs, err);
	if (!rc)
		rc = rg_section_read(&status, status_fields, &sections->status, err);
	if (!rc)
		rc = rg_section_read(&signing, push_signing_fields, &sections->push_signing, err);
	if (rc)
		return rc;
	sections->push_signing.required = signing.node != NULL;
	sections->decision_logs.enabled = logs.node != NULL;
	sections->status.enabled = status.node != NULL;
	note_signing(&bundles, sections);
	for (uint32_t i = 0; !rc && i < sections->services_count; i++)
		rc = resolve_service(&sections->services[i], directory, err);
	for (uint32_t i = 0; !rc && i < sections->keys_count; i++) {
		struct rg_config_key *key = &sections->keys[i];

		if (key->key && key->algorithm[0] != 'H' && !strstr(key->key, "-----BEGIN"))
			rc = absolute(&key->key, directory, err);
	}
	return rc ? rc : check(sections, err);
}

void rg_opa_sections_free(struct rg_config_opa_sections *sections)
{
	rg_section_free_map(service_fields, sizeof(SERVICE), sections->services,
			    sections->services_count);
	rg_section_free_map(key_fields, sizeof(KEY), sections->keys, sections->keys_count);
	rg_section_free_map(bundle_fields, sizeof(BUNDLE), sections->bundles,
			    sections->bundles_count);
	rg_section_free_pairs(sections->labels, sections->labels_count);
	rg_section_free(decision_logs_fields, &sections->decision_logs);
	rg_section_free(status_fields, &sections->status);
	rg_section_free(push_signing_fields, &sections->push_signing);
	memset(sections, 0, sizeof(*sections));
}

const struct rg_config_service *rg_config_service_find(
	const struct rg_config_opa_sections *sections, const char *name)
{
	for (uint32_t i = 0; i < sections->services_count; i++) {
		if (!strcmp(sections->services[i].name, name))
			return &sections->services[i];
	}
	return NULL;
}

const struct rg_config_key *rg_config_key_find(const struct rg_config_opa_sections *sections,
					       const char *name)
{
	for (uint32_t i = 0; i < sections->keys_count; i++) {
		if (!strcmp(sections->keys[i].name, name))
			return &sections->keys[i];
	}
	return NULL;
}
