/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct rg_config *parse(const char *yaml)
{
	struct rg_config *config;
	struct rg_error err;

	if (rg_config_parse(yaml, strlen(yaml), "/base", &config, &err)) {
		fprintf(stderr, "%s\n%s\n", yaml, err.text);
		abort();
	}
	return config;
}

/* The text must be refused with an error that has every one of the words. */
static void refused(const char *yaml, const char *word, const char *other)
{
	struct rg_config *config;
	struct rg_error err;

	if (rg_config_parse(yaml, strlen(yaml), "/base", &config, &err) == RG_OK) {
		fprintf(stderr, "accepted: %s\n", yaml);
		abort();
	}
	if (!strstr(err.text, word) || !strstr(err.text, other)) {
		fprintf(stderr, "%s\ngot: %s\nwant: %s, %s\n", yaml, err.text, word, other);
		abort();
	}
}

static void test_defaults(void)
{
	struct rg_config *config = parse("node: 7\n");

	assert(config->node == 7);
	assert(!strcmp(config->instance, "default"));
	assert(config->region.ring_bytes == 16u << 20);
	assert(config->templates_count == 2);
	assert(!strcmp(config->templates[1].template_name, "NewOrder"));
	assert(config->decision.default_verdict == RG_VERDICT_REVIEW);
	assert(config->dataplane.huge_pages && config->dataplane.workers == 1);
	assert(config->dataplane.ports_count == 1);
	assert(config->dataplane.ports[0].addresses_count == 2);
	assert(!strcmp(config->dataplane.ports[0].addresses[1], "fd71::1/64"));
	assert(!strcmp(config->journal.directory, "/var/lib/riskgate/journal"));
	assert(!strcmp(config->sinks.sqlite.path, "/var/lib/riskgate/decisions.sqlite"));
	assert(config->sinks.sqlite.enabled && !config->sinks.postgresql.enabled);
	assert(config->sinks.postgresql.failover_window_s == 3600);
	rg_config_free(config);
}

static void test_sinks(void)
{
	struct rg_config *config =
		parse("sinks:\n  sqlite: {max_rows: 1000000, max_bytes: 1GiB, retention_days: 30}\n"
		      "  postgresql: {enabled: true, connection: dbname=risk, request: bytes,\n"
		      "    password_file: secret}\n");

	assert(config->sinks.sqlite.enabled && config->sinks.sqlite.max_rows == 1000000);
	assert(config->sinks.sqlite.max_bytes == 1ull << 30);
	assert(config->sinks.sqlite.retention_days == 30);
	assert(config->sinks.postgresql.enabled && config->sinks.postgresql.batch == 20000);
	assert(config->sinks.postgresql.connections == 1);
	assert(config->sinks.postgresql.request == RG_CONFIG_REQUEST_BYTES);
	assert(!strcmp(config->sinks.postgresql.password_file, "/base/secret"));
	rg_config_free(config);
	refused("sinks: {postgresql: {enabled: true}}\n", "sinks.postgresql.connection", "dbname");
	refused("sinks: {postgresql: {batch: 0}}\n", "sinks.postgresql.batch", "1000000");
	refused("sinks: {postgresql: {request: xml}}\n", "request", "line");
	refused("sinks: {postgresql: {connections: 17}}\n", "sinks.postgresql.connections", "16");
	refused("sinks: {postgresql: {hosts: a}}\n", "hosts", "line");
}

static void test_journal(void)
{
	struct rg_config *config =
		parse("journal: {directory: log, segment_bytes: 64KiB, sync_interval_ms: 0, "
		      "sync_bytes: 4096,"
		      " retention_hours: 168, retention_bytes: 1GiB, max_bytes: 2GiB, chain: true,"
		      " chain_key: key}\n");

	assert(!strcmp(config->journal.directory, "/base/log"));
	assert(config->journal.segment_bytes == 64 << 10 && config->journal.sync_bytes == 4096);
	assert(config->journal.sync_interval_ms == 0 && config->journal.retention_hours == 168);
	assert(config->journal.retention_bytes == 1ull << 30);
	assert(config->journal.max_bytes == 2ull << 30 && config->journal.chain);
	assert(!strcmp(config->journal.chain_key, "/base/key"));
	rg_config_free(config);
	config = parse("node: 1\n");
	assert(!config->journal.chain && !config->journal.chain_key[0]);
	assert(!config->journal.retention_hours && !config->journal.retention_bytes &&
	       !config->journal.max_bytes);
	rg_config_free(config);
	refused("dataplane: {tx_wait_us: 1000001}\n", "dataplane.tx_wait_us", "1000000");
	refused("dataplane: {overload_after_us: 10000001}\n", "dataplane.overload_after_us",
		"10000000");
	refused("journal: {segment_bytes: 4KiB}\n", "journal.segment_bytes", "65536");
	refused("journal: {sync_interval_ms: 60001}\n", "journal.sync_interval_ms", "60000");
	refused("journal: {sync_bytes: 1}\n", "journal.sync_bytes", "4096");
	refused("journal: {retention: 1}\n", "retention", "line 1");
	refused("journal: {segment_bytes: 1MiB, max_bytes: 1MiB}\n", "journal.max_bytes",
		"two segments");
	refused("journal: {segment_bytes: 1MiB, max_bytes: 4MiB, retention_bytes: 8MiB}\n",
		"journal.max_bytes", "journal.retention_bytes");
	refused("journal: {chain_key: k}\n", "journal.chain_key", "journal.chain is false");
}

static void test_overrides(void)
{
	struct rg_config *config = parse("instance: a-1\n"
					 "schema: my/schema.xml\n"
					 "templates: []\n"
					 "region: {ring_bytes: 1048576, directory: /dev/shm/x}\n"
					 "decision: {recorder_full_verdict: NONE}\n"
					 "dataplane:\n"
					 "  huge_pages: false\n"
					 "  idle_sleep_us: 0\n"
					 "  overload_after_us: 500\n"
					 "  tx_wait_us: 30\n"
					 "  eal_arguments: [\"--log-level\", \"8\"]\n"
					 "  ports:\n"
					 "    - device: net_null0\n"
					 "      addresses: [10.0.0.1/8]\n"
					 "control: {state_directory: state}\n"
					 "sinks: {sqlite: {enabled: false}}\n");

	assert(!strcmp(config->schema, "/base/my/schema.xml"));
	assert(config->templates_count == 0);
	assert(config->region.ring_bytes == 1048576);
	assert(config->decision.recorder_full_verdict == RG_VERDICT_NONE);
	assert(config->decision.failure_verdict == RG_VERDICT_DENY);
	assert(!config->dataplane.huge_pages && config->dataplane.udp_port == 9471);
	assert(config->dataplane.overload_after_us == 500);
	assert(config->dataplane.tx_wait_us == 30);
	assert(config->dataplane.eal_arguments_count == 2);
	assert(config->dataplane.ports_count == 1 && config->dataplane.ports[0].queues == 0);
	assert(!strcmp(config->control.state_directory, "/base/state"));
	assert(!strcmp(config->journal.directory, "/base/state/journal"));
	assert(!config->sinks.sqlite.enabled && config->sinks.sqlite.batch == 20000);
	rg_config_free(config);
}

static void test_files(void)
{
	char path[] = "/tmp/riskgate-config-test-XXXXXX";
	int fd = mkstemp(path);
	static const char yaml[] = "schema: s.xml\n";
	struct rg_config *config;
	struct rg_error err;

	assert(fd >= 0 && write(fd, yaml, sizeof(yaml) - 1) == sizeof(yaml) - 1);
	close(fd);
	assert(rg_config_load(path, &config, &err) == RG_OK);
	assert(!strcmp(config->schema, "/tmp/s.xml"));
	rg_config_free(config);
	unlink(path);
	assert(rg_config_load(path, &config, &err) == RG_ENOENT);
	assert(strstr(err.text, path));
}

static void test_opa_sections(void)
{
	struct rg_config *config;
	struct rg_config_opa_sections *opa;

	setenv("RISKGATE_TEST_TOKEN", "s3cret", 1);
	config = parse("services:\n"
		       "  acme:\n"
		       "    url: https://bundles.example.com/v1/\n"
		       "    headers: {X-Tenant: desk-7}\n"
		       "    response_header_timeout_seconds: 0.5\n"
		       "    tls: {ca_cert: ca.pem}\n"
		       "    credentials: {bearer: {token: \"a${RISKGATE_TEST_TOKEN}$\"}}\n"
		       "keys:\n"
		       "  global: {key: global.pem, algorithm: ES256, scope: read}\n"
		       "bundles:\n"
		       "  payments:\n"
		       "    service: acme\n"
		       "    polling: {min_delay_seconds: 5, max_delay_seconds: 9}\n"
		       "    signing: {keyid: global, exclude_files: [\"*.md\"]}\n"
		       "  local:\n"
		       "    resource: file:///etc/riskgate/policies\n"
		       "labels: {region: eu}\n"
		       "signing: {}\n");
	opa = &config->opa;
	assert(opa->services_count == 1 && opa->bundles_count == 2);
	assert(!strcmp(opa->services[0].url, "https://bundles.example.com/v1"));
	assert(!strcmp(opa->services[0].headers[0].value, "desk-7"));
	assert(opa->services[0].response_header_timeout_ms == 500);
	assert(!strcmp(opa->services[0].tls.ca_cert, "/base/ca.pem"));
	assert(!strcmp(opa->services[0].credentials.bearer.token, "as3cret$"));
	assert(!strcmp(opa->services[0].credentials.bearer.scheme, "Bearer"));
	assert(!strcmp(rg_config_key_find(opa, "global")->key, "/base/global.pem"));
	assert(opa->bundles[0].polling.min_delay_ms == 5000);
	assert(opa->bundles[0].signing.required && !opa->bundles[1].signing.required);
	assert(!strcmp(opa->bundles[0].signing.exclude_files[0], "*.md"));
	assert(opa->bundles[1].polling.max_delay_ms == 120000 && opa->bundles[1].persist);
	assert(!strcmp(opa->labels[0].name, "region") && opa->push_signing.required);
	rg_config_free(config);

	config = parse("services: [{name: a, url: \"http://a\"}, {name: b, url: \"http://b\"}]\n");
	assert(!strcmp(rg_config_service_find(&config->opa, "b")->url, "http://b"));
	assert(!config->opa.push_signing.required);
	rg_config_free(config);

	config = parse("services: {a: {url: \"http://a\"}}\ndecision_logs: {}\n");
	assert(!strcmp(config->opa.decision_logs.mask_decision, "/system/log/mask"));
	assert(!strcmp(config->opa.decision_logs.drop_decision, "/system/log/drop"));
	assert(!strcmp(config->opa.decision_logs.service, "a"));
	assert(!config->opa.decision_logs.reporting.max_decisions_per_second);
	rg_config_free(config);
	config = parse("services: {a: {url: \"http://a\"}}\n"
		       "decision_logs:\n"
		       "  console: true\n"
		       "  mask_decision: my/mask\n"
		       "  reporting: {trigger: immediate, max_decisions_per_second: 50, "
		       "buffer_type: event,"
		       " buffer_size_limit_events: 7}\n"
		       "  request_context: {http: {headers: [X-Request-Id, Via]}}\n");
	assert(config->opa.decision_logs.console && !config->opa.decision_logs.service);
	assert(!strcmp(config->opa.decision_logs.mask_decision, "my/mask"));
	assert(config->opa.decision_logs.reporting.max_decisions_per_second == 50);
	assert(config->opa.decision_logs.request_context.http.headers_count == 2);
	rg_config_free(config);

	config = parse("services: {a: {url: \"http://a\"}, b: {url: \"http://b\"}}\nstatus: {}\n");
	assert(config->opa.status.enabled && !strcmp(config->opa.status.service, "a"));
	assert(config->opa.status.period_ms == 60000);
	rg_config_free(config);
	config = parse("services: {a: {url: \"http://a\"}}\n"
		       "status: {console: true, prometheus: true, trigger: periodic, "
		       "period_seconds: 5}\n");
	assert(!config->opa.status.service && config->opa.status.period_ms == 5000);
	rg_config_free(config);

	/* a secret that only control has: the others read the file all the same */
	config = parse("services: {a: {url: \"http://a\", credentials: {bearer: {token: "
		       "\"${NO_SUCH_VARIABLE}\"}}}}\n");
	assert(config->opa.unset.status && strstr(config->opa.unset.text, "NO_SUCH_VARIABLE"));
	assert(strstr(config->opa.unset.text, "services.a.credentials.bearer.token"));
	rg_config_free(config);

	refused("services:\n  a:\n    url: http://a\n    urn: x\n", "urn in services.a",
		"line 4, column 5");
	refused("services: {a: {url: \"ftp://a\"}}\n", "services.a", "http://");
	refused("services: [{url: \"http://a\"}]\n", "no key \"name\"", "line 1");
	refused("services: [{name: a, url: \"http://a\"}, {name: a, url: \"http://b\"}]\n",
		"\"a\" is there twice", "column 40");
	refused("services: {a: {url: \"http://a\", credentials: {bearer: {token: a}, basic: "
		"{username: u, password: p}}}}\n",
		"one of bearer", "services.a");
	refused("services: {a: {url: \"http://a\", allow_insecure_tls: maybe}}\n", "true or false",
		"line 1");
	refused("keys: {k: {key: x, algorithm: none}}\n", "keys.k", "algorithm");
	refused("keys: {k: {algorithm: HS256}}\n", "keys.k", "key is missing");
	refused("bundles: {b: {service: nowhere}}\n", "bundles.b", "not among the services");
	refused("bundles: {b: {}}\n", "bundles.b", "file://");
	refused("bundles: {../b: {resource: \"file:///x\"}}\n", "bundles.../b", "letters");
	refused("bundles: {b: {resource: \"file:///x\", polling: {min_delay_seconds: 9, "
		"max_delay_seconds: 5}}}\n",
		"max_delay_seconds", "less");
	refused("bundles: {b: {resource: \"file:///x\", polling: {min_delay_seconds: soon}}}\n",
		"\"soon\" is not a number of seconds", "line 1");
	refused("bundles: {b: {resource: \"file:///x\", signing: {keyid: k}}}\n", "keyid", "keys");
	refused("labels: [a]\n", "labels", "mapping");
	refused("status: {}\n", "status", "no service to report to");
	refused("status: {service: a}\n", "status.service", "not among");
	refused("status: {console: true, trigger: manual}\n", "status.trigger", "periodic");
	refused("status: {console: true, plugin: x}\n", "status.plugin", "name a service");
	refused("status: {console: true, period_seconds: 0}\n", "period_seconds", "line 1");
	refused("decision_logs: {plugin: x}\n", "decision_logs.plugin", "name a service");
	refused("decision_logs: {service: a}\n", "decision_logs.service", "not among");
	refused("decision_logs: {console: true, reporting: {trigger: manual}}\n",
		"reporting.trigger", "periodic or immediate");
	refused("decision_logs: {console: true, reporting: {buffer_type: ring}}\n", "buffer_type",
		"size or event");
	refused("decision_logs: {console: true, reporting: {max_decisions_per_second: 0}}\n",
		"max_decisions_per_second", "line 1");
	refused("decision_logs: {console: true, request_context: {http: {header: [a]}}}\n",
		"header", "line 1");
	refused("signing: {keyid: k}\n", "signing", "k");
}

int main(void)
{
	test_opa_sections();
	test_defaults();
	test_sinks();
	test_journal();
	test_overrides();
	test_files();
	refused("", "no key", "");
	refused("# only a comment\n", "no key", "");
	refused("node: 1\nnodes: 1\n", "nodes", "line 2, column 1");
	refused("dataplane:\n  workers: 1\n  workres: 1\n", "workres", "line 3, column 3");
	refused("dataplane:\n  ports:\n    - device: a\n      adresses: []\n", "adresses",
		"line 4, column 7");
	refused("node: abc\n", "abc", "line");
	refused("node: -1\n", "-1", "line");
	refused("node: [\n", "line", "");
	refused("region: {ring_bytes: 16MB}\n", "region.ring_bytes", "KiB, MiB or GiB");
	refused("region: {ring_bytes: 100000}\n", "region.ring_bytes", "power of two");
	refused("region: {ring_bytes: 99999999999999999999}\n", "region.ring_bytes", "not a size");
	refused("instance: a/b\n", "instance", "letters");
	refused("dataplane: {workers: 0}\n", "dataplane.workers", "from 1 to 64");
	refused("decision: {default_verdict: MAYBE}\n", "MAYBE", "line");
	refused("decision: {default_verdict: NONE}\n", "default_verdict", "REVIEW");
	refused("templates: [{template: A, package: a}, {template: A, package: b}]\n",
		"bound twice", "A");
	refused("dataplane: {ports: [{addresses: [10.0.0.1/8]}]}\n", "device", "line");
	/* settings of a fleet that do not go together */
	refused("rollout: {enabled: true}\n", "rollout.enabled", "set redis.enabled");
	refused("redis: {enabled: true}\nfour_eyes: {enabled: true}\n", "four_eyes.enabled",
		"set redis.key_file");
	refused("redis: {enabled: true, fleet: \"a:b\"}\n", "redis.fleet", "without ':'");
	refused("four_eyes: {approvers: [{name: a, key: k}]}\n", "user", "line");
	return 0;
}
