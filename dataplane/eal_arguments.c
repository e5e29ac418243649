/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/eal_arguments.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/device.h"

struct builder {
	struct rg_eal_arguments *arguments;
	int capacity;
	bool failed;
};

__attribute__((format(printf, 2, 3))) static void add(struct builder *builder, const char *format,
						      ...)
{
	struct rg_eal_arguments *arguments = builder->arguments;
	char *value = NULL;
	va_list args;

	va_start(args, format);
	if (arguments->count >= builder->capacity || vasprintf(&value, format, args) < 0)
		builder->failed = true;
	else
		arguments->owned[arguments->count++] = value;
	va_end(args);
}

static void add_lcores(struct builder *builder, const struct rg_cores *cores)
{
	char list[16 * (RG_WORKERS_MAX + 1)];
	size_t used = (size_t)snprintf(list, sizeof(list), "0@%u", cores->main);

	for (uint32_t i = 0; i < cores->worker_count; i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, ",%u@%u", i + 1,
					 cores->worker[i]);
	add(builder, "--lcores=%s", list);
	add(builder, "--main-lcore=0");
}

static const char *eal_log_level(void)
{
	switch (rg_log_get_level()) {
	case RG_LOG_ERROR: return "error";
	case RG_LOG_DEBUG: return "info";
	default: return "warning";
	}
}

static int add_ports(struct builder *builder, const struct rg_config *config, struct rg_error *err)
{
	bool pci = false;

	for (uint32_t i = 0; i < config->dataplane.ports_count; i++) {
		const char *device = config->dataplane.ports[i].device;

		if (rg_device_is_pci(device)) {
			add(builder, "-a");
			add(builder, "%s", device);
			pci = true;
		} else if (strncmp(device, "net_", 4) == 0) {
			add(builder, "--vdev=%s", device);
		} else {
			return rg_error_set(err, RG_EINVAL,
					    "dataplane.ports[%u].device: \"%s\" is neither a PCI "
					    "address (\"0000:01:00.1\") nor a DPDK virtual device "
					    "(\"net_tap0,iface=riskgate0\")",
					    i, device);
		}
	}
	if (!pci)
		add(builder, "--no-pci");
	return RG_OK;
}

int rg_eal_arguments_build(const struct rg_config *config, const struct rg_cores *cores,
			   bool huge_pages, struct rg_eal_arguments *arguments,
			   struct rg_error *err)
{
	int capacity = (int)(16 + 2 * config->dataplane.ports_count +
			     config->dataplane.eal_arguments_count);
	struct builder builder = {.arguments = arguments, .capacity = capacity};
	int rc;

	*arguments = (struct rg_eal_arguments){
		.values = calloc((size_t)capacity + 1, sizeof(char *)),
		.owned = calloc((size_t)capacity + 1, sizeof(char *)),
	};
	if (!arguments->values || !arguments->owned) {
		rc = rg_error_set(err, RG_ENOMEM, "no memory for the arguments of DPDK");
		goto failed;
	}
	add(&builder, "riskgate-dataplane");
	add_lcores(&builder, cores);
	add(&builder, "-m");
	add(&builder, "%u", config->dataplane.memory_mib);
	if (huge_pages) {
		add(&builder, "--in-memory"); /* no files of DPDK's: instances cannot meet */
	} else {
		add(&builder, "--no-huge");
		add(&builder, "--no-shconf");
	}
	add(&builder, "--file-prefix=riskgate-%s", config->instance);
	add(&builder, "--no-telemetry");
	add(&builder, "--log-level=%s", eal_log_level());
	rc = add_ports(&builder, config, err);
	if (rc != RG_OK)
		goto failed;
	for (uint32_t i = 0; i < config->dataplane.eal_arguments_count; i++)
		add(&builder, "%s", config->dataplane.eal_arguments[i]);
	if (builder.failed) {
		rc = rg_error_set(err, RG_ENOMEM, "no memory for the arguments of DPDK");
		goto failed;
	}
	memcpy(arguments->values, arguments->owned, (size_t)arguments->count * sizeof(char *));
	return RG_OK;
failed:
	rg_eal_arguments_free(arguments);
	return rc;
}

void rg_eal_arguments_free(struct rg_eal_arguments *arguments)
{
	for (int i = 0; arguments->owned && i < arguments->count; i++)
		free(arguments->owned[i]);
	free(arguments->owned);
	free(arguments->values);
	*arguments = (struct rg_eal_arguments){0};
}
