/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/riskctl/offline.h"

#include <stdlib.h>
#include <string.h>

#include "policy/image/image.h"

#define SCRATCH_BYTES (256ull << 20)

void rg_offline_free(struct rg_offline *offline)
{
	free(offline->memory);
	free(offline->bindings);
	free(offline->image);
	rg_reason_list_free(&offline->reasons);
	rg_bundle_free(offline->bundle);
	*offline = (struct rg_offline){0};
}

int rg_offline_package(struct rg_cli *cli, const char *template_name, const char **package)
{
	int status = rg_cli_config(cli);

	*package = NULL;
	for (uint32_t i = 0; !status && !*package && i < cli->config->templates_count; i++)
		if (!strcmp(cli->config->templates[i].template_name, template_name))
			*package = cli->config->templates[i].package;
	return status;
}

enum { OPTION_TEMPLATE, OPTION_PACKAGE, OPTION_SCHEMA, OPTION_V0, OPTION_OPA };
const struct rg_option rg_offline_options[] = {
	[OPTION_TEMPLATE] =
		{"template", 't', RG_OPTION_TEXT, "NAME", 0, 0, NULL,
		 "only for this request type; without it, for all that\nthe configuration "
		 "binds to packages"},
	[OPTION_PACKAGE] = {"package", 0, RG_OPTION_TEXT, "NAME", 0, 0, NULL,
			    "the package that decides the template, not the\nconfiguration's"},
	[OPTION_SCHEMA] = {"schema", 0, RG_OPTION_TEXT, "FILE", 0, 0, NULL,
			   "request schema, not the configuration's"},
	[OPTION_V0] = {"v0", 0, RG_OPTION_FLAG, NULL, 0, 0, NULL,
		       "Rego to be built is of language version 0"},
	[OPTION_OPA] = {"opa", 0, RG_OPTION_TEXT, "PATH", 0, 0, "opa", "the opa program"},
	{NULL},
};

static int bind_templates(struct rg_offline *offline, struct rg_cli *cli, const char *template_name,
			  const char *package)
{
	int status = rg_cli_config(cli);
	uint32_t count = status ? 0 : cli->config->templates_count;

	offline->bindings = calloc(count + 1, sizeof(*offline->bindings));
	if (!offline->bindings)
		return rg_error_set(&cli->error, RG_ENOMEM, "no memory for %u templates", count);
	if (!template_name) {
		for (uint32_t i = 0; i < count; i++)
			offline->bindings[i] =
				(struct rg_binding){cli->config->templates[i].template_name,
						    cli->config->templates[i].package};
		offline->binding_count = count;
		return status;
	}
	offline->bindings[0] = (struct rg_binding){template_name, package};
	offline->binding_count = 1;
	if (!package)
		status = rg_offline_package(cli, template_name, &offline->bindings[0].package);
	if (!status && !offline->bindings[0].package)
		return rg_cli_misused(cli, RG_OFFLINE_NO_PACKAGE, template_name);
	return status;
}

int rg_offline_load(struct rg_offline *offline, struct rg_cli *cli,
		    const struct rg_invocation *invocation)
{
	const struct rg_option_value *option = invocation->options;
	struct rg_bundle_options options = {.opa = option[OPTION_OPA].text,
					    .v0 = option[OPTION_V0].text};
	const char **packages;
	int status;

	if (option[OPTION_PACKAGE].text && !option[OPTION_TEMPLATE].text)
		return rg_cli_misused(cli, "--package goes with --template");
	status = bind_templates(offline, cli, option[OPTION_TEMPLATE].text,
				option[OPTION_PACKAGE].text);
	if (status)
		return status;
	packages = calloc(offline->binding_count + 1, sizeof(*packages));
	if (!packages)
		return rg_error_set(&cli->error, RG_ENOMEM, "no memory for %u packages",
				    offline->binding_count);
	for (uint32_t i = 0; i < offline->binding_count; i++)
		packages[i] = offline->bindings[i].package;
	options.packages = packages;
	options.package_count = offline->binding_count;
	status = rg_bundle_load(invocation->arguments[0], &options, &offline->bundle, &cli->error);
	free(packages);
	return status ? status : rg_cli_schema(cli, option[OPTION_SCHEMA].text);
}

static size_t whole_lines(size_t bytes)
{
	return (bytes + RG_IMAGE_ALIGNMENT - 1) & ~(size_t)(RG_IMAGE_ALIGNMENT - 1);
}

int rg_offline_compile(struct rg_offline *offline, struct rg_compile_options options,
		       struct rg_error *err)
{
	const struct rg_bundle *bundle = offline->bundle;
	void *image;
	int status;

	options.plan_json = bundle->plan_json;
	options.plan_bytes = bundle->plan_bytes;
	if (!options.data_json) {
		options.data_json = bundle->data_json;
		options.data_bytes = bundle->data_bytes;
	}
	options.bundle = bundle->name;
	options.revision = bundle->revision;
	options.sequence = 1;
	options.reasons = &offline->reasons;
	if (!options.default_verdict)
		options.default_verdict = RG_VERDICT_REVIEW;
	if (!options.failure_verdict)
		options.failure_verdict = RG_VERDICT_DENY;
	status = rg_compile(&options, &image, &offline->image_bytes, err);
	if (status)
		return status;
	offline->image = aligned_alloc(RG_IMAGE_ALIGNMENT, whole_lines(offline->image_bytes));
	if (offline->image)
		memcpy(offline->image, image, offline->image_bytes);
	free(image);
	return offline->image ? RG_OK
			      : rg_error_set(err, RG_ENOMEM, "no memory for an image of %zu bytes",
					     offline->image_bytes);
}

int rg_offline_bind(struct rg_offline *offline, struct rg_error *err)
{
	uint64_t footprint = rg_eval_footprint(SCRATCH_BYTES);
	int status = rg_image_verify(offline->image, offline->image_bytes, err);

	if (status)
		return status;
	offline->memory = aligned_alloc(RG_IMAGE_ALIGNMENT, footprint);
	offline->eval = offline->memory ? rg_eval_new(offline->memory, SCRATCH_BYTES) : NULL;
	if (!offline->eval)
		return rg_error_set(err, RG_ENOMEM, "no memory for an evaluator of %llu bytes",
				    (unsigned long long)footprint);
	return rg_eval_bind(offline->eval, offline->image, offline->image_bytes, err);
}

const char *rg_offline_reason(const struct rg_offline *offline, uint16_t id)
{
	return id >= 1 && id <= offline->reasons.count ? offline->reasons.names[id - 1]
						       : "(made at run time)";
}
