/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/eal_arguments.h"

#include <assert.h>
#include <string.h>

static struct rg_config_port ports[3];
static struct rg_config config = {
	.instance = "test",
	.dataplane = {.memory_mib = 64, .ports = ports},
};
static const struct rg_cores cores = {.main = 3, .worker = {5, 7}, .worker_count = 2};

static bool has(const struct rg_eal_arguments *arguments, const char *value)
{
	for (int i = 0; i < arguments->count; i++)
		if (strcmp(arguments->values[i], value) == 0)
			return true;
	return false;
}

static void test_virtual_devices(void)
{
	struct rg_eal_arguments arguments;
	struct rg_error err;
	char *extra[] = {"--iova-mode=va"};

	ports[0].device = "net_tap0,iface=riskgate0";
	ports[1].device = "net_memif3,role=server";
	config.dataplane.ports_count = 2;
	config.dataplane.eal_arguments = extra;
	config.dataplane.eal_arguments_count = 1;
	assert(rg_eal_arguments_build(&config, &cores, true, &arguments, &err) == RG_OK);
	assert(has(&arguments, "--lcores=0@3,1@5,2@7"));
	assert(has(&arguments, "--main-lcore=0"));
	assert(has(&arguments, "-m") && has(&arguments, "64"));
	assert(has(&arguments, "--in-memory") &&
	       !has(&arguments, "--no-huge")); /* DPDK refuses both together */
	assert(has(&arguments, "--file-prefix=riskgate-test"));
	assert(has(&arguments, "--no-telemetry"));
	assert(has(&arguments, "--no-pci"));
	assert(has(&arguments, "--vdev=net_tap0,iface=riskgate0") &&
	       has(&arguments, "--vdev=net_memif3,role=server"));
	assert(strcmp(arguments.values[arguments.count - 1], "--iova-mode=va") == 0);
	assert(arguments.values[arguments.count] == NULL);
	rg_eal_arguments_free(&arguments);
	rg_eal_arguments_free(&arguments);
	config.dataplane.eal_arguments_count = 0;
}

static void test_pci(void)
{
	struct rg_eal_arguments arguments;
	struct rg_error err;

	ports[0].device = "0000:01:00.1,max_burst=8";
	config.dataplane.ports_count = 1;
	assert(rg_eal_arguments_build(&config, &cores, false, &arguments, &err) == RG_OK);
	assert(!has(&arguments, "--no-pci") && !has(&arguments, "--in-memory") &&
	       has(&arguments, "--no-huge"));
	assert(has(&arguments, "-a") && has(&arguments, "0000:01:00.1,max_burst=8"));
	rg_eal_arguments_free(&arguments);
}

static void test_refused(void)
{
	struct rg_eal_arguments arguments;
	struct rg_error err;

	ports[0].device = "net_tap0";
	ports[1].device = "eth1";
	config.dataplane.ports_count = 2;
	assert(rg_eal_arguments_build(&config, &cores, false, &arguments, &err) == RG_EINVAL);
	assert(strstr(err.text, "dataplane.ports[1].device") && strstr(err.text, "eth1"));
	assert(arguments.values == NULL);
}

int main(void)
{
	test_virtual_devices();
	test_pci();
	test_refused();
	return 0;
}
