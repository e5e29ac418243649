/* SPDX-License-Identifier: Apache-2.0 */
#include "control/policy_sources.h"

#include "control/state.h"

static int push_set(void *context, struct rg_policy_set *set, const char *why, struct rg_error *err)
{
	const struct rg_push_request request = {.set = set, .why = why};

	return rg_push_queue(context, &request, err);
}

static bool has_policy(void *context)
{
	const struct rg_control *control = context;

	return rg_control_policy_sequence(control) || rg_policy_store_count(control->store);
}

static void note(void *context, const char *event, const char *text)
{
	rg_control_note(context, event, text);
}

int rg_policy_sources_open(struct rg_control *control, struct rg_error *err)
{
	const struct rg_config_opa_sections *config = &control->config->opa;
	const struct rg_bundles_options options = {.config = config,
						   .state_directory =
							   control->config->control.state_directory,
						   .client = &control->http,
						   .seed = control->now.unix_ns,
						   .push = push_set,
						   .has_policy = has_policy,
						   .note = note,
						   .context = control};
	int rc = RG_OK;

	if (config->unset.status)
		return rg_error_set(err, config->unset.status, "%s", config->unset.text);
	if (config->services_count)
		rc = rg_http_client_new(control->build_fd, &control->http, err);
	return rc ? rc : rg_bundles_new(&options, &control->bundles, err);
}

void rg_policy_sources_close(struct rg_control *control)
{
	for (int i = 0; i < RG_PUSHES_MAX; i++) /* the build is over */
		rg_policy_set_free(control->pushes[i].set);
	rg_bundles_delete(control->bundles);
	rg_http_client_delete(&control->http);
}

uint32_t rg_policy_sources_do_work(struct rg_control *control)
{
	return rg_bundles_do_work(control->bundles, control->now.monotonic_ns,
				  control->now.unix_ns);
}

void rg_policy_sources_count(struct rg_control *control)
{
	static const uint32_t causes[RG_BUNDLES_CAUSES] = {
		[RG_BUNDLES_SIGNATURE] = RG_CONTROL_BUNDLES_REFUSED_SIGNATURE,
		[RG_BUNDLES_OLDER] = RG_CONTROL_BUNDLES_REFUSED_OLDER,
		[RG_BUNDLES_ROOTS] = RG_CONTROL_BUNDLES_REFUSED_ROOTS,
		[RG_BUNDLES_LIMIT] = RG_CONTROL_BUNDLES_REFUSED_LIMIT,
		[RG_BUNDLES_BUILTIN] = RG_CONTROL_BUNDLES_REFUSED_BUILTIN,
		[RG_BUNDLES_OTHER] = RG_CONTROL_BUNDLES_REFUSED_OTHER};
	struct rg_bundles_statistics now, *before = &control->bundles_counted;
	uint64_t *values = control->counters.values;

	rg_bundles_statistics(control->bundles, control->now.unix_ns, &now);
	values[RG_CONTROL_BUNDLE_REQUESTS] += now.requests - before->requests;
	values[RG_CONTROL_BUNDLE_REQUESTS_FAILED] += now.failures - before->failures;
	values[RG_CONTROL_BUNDLE_REQUESTS_NOT_MODIFIED] += now.not_modified - before->not_modified;
	values[RG_CONTROL_BUNDLES_ACTIVATED] += now.activations - before->activations;
	for (int i = 0; i < RG_BUNDLES_CAUSES; i++)
		values[causes[i]] += now.refusals[i] - before->refusals[i];
	values[RG_CONTROL_BUNDLE_STALE_SECONDS] = now.stale_seconds;
	*before = now;
}
