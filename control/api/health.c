/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /health, as OPA answers it: 200 {} or 500 with what is not well.
 *
 *	?bundles		a policy is there to decide with
 *	?plugins		the parts of control are well: bundle
 *	?exclude-plugin=NAME	but not this one
 */
#include <string.h>

#include "control/api/internal.h"

static bool is_excluded(const struct rg_target *target, const char *plugin)
{
	for (uint32_t i = 0; i < target->parameter_count; i++) {
		if (rg_target_text_is(target->keys[i], "exclude-plugin") &&
		    rg_target_text_is(target->values[i], plugin))
			return true;
	}
	return false;
}

enum rg_web_result rg_api_get_health(void *context, struct rg_web_request *request)
{
	struct rg_api *api = context;
	bool ready = atomic_load_explicit(&api->ready, memory_order_relaxed);
	const char *error = NULL;

	if (!ready && rg_target_flag(&request->target, "plugins") &&
	    !is_excluded(&request->target, "bundle"))
		error = "not all plugins in OK state";
	if (!ready && rg_target_flag(&request->target, "bundles"))
		error = "not all configured bundles have been activated";
	request->status = error ? 500 : 200;
	rg_json_write_object_begin(&request->answer);
	if (error) {
		rg_json_write_key(&request->answer, "error");
		rg_json_write_string(&request->answer, error);
	}
	rg_json_write_object_end(&request->answer);
	return RG_WEB_DONE;
}
