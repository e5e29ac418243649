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
	rg_config_free(config);
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

int main(void)
{
	test_defaults();
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
	return 0;
}
