/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy without an appliance: loaded, compiled and bound to an evaluator as control and the data
 * plane would. What eval, policy check and policy explain stand on.
 *
 * Thread-safety: riskctl has one thread.
 */
#ifndef RG_TOOLS_RISKCTL_OFFLINE_H
#define RG_TOOLS_RISKCTL_OFFLINE_H

#include "bundle/bundle.h"
#include "policy/compile/compile.h"
#include "policy/eval/eval.h"
#include "tools/riskctl/cli.h"
#include "tools/riskctl/command.h"

#define RG_OFFLINE_NO_PACKAGE                                                                      \
	"--template %s: the configuration binds no package to it: give one with --package"

/* Zeroed by the caller; freed as a whole, whatever came of it. */
struct rg_offline {
	struct rg_bundle *bundle;
	struct rg_binding *bindings; /* of rg_offline_load() */
	uint32_t binding_count;
	struct rg_reason_list reasons;
	void *image;
	size_t image_bytes;
	void *memory;
	struct rg_eval *eval;
};
void rg_offline_free(struct rg_offline *offline);

/* Options of commands on one bundle: policy check and policy explain. */
extern const struct rg_option rg_offline_options[];
/* Load the bundle that the command's argument names, the request schema and offline->bindings, as
 * riskgate-control does for a push. The command has rg_offline_options. Errors:
 * rg_bundle_load()'s, rg_cli_schema()'s, RG_EINVAL (wrong use: --package without --template, or no
 * package for the template). */
int rg_offline_load(struct rg_offline *offline, struct rg_cli *cli,
		    const struct rg_invocation *invocation);
/* The package that the configuration binds to a template. *package is NULL if it binds none. */
int rg_offline_package(struct rg_cli *cli, const char *template_name, const char **package);

/* Compile offline->bundle. `options` has what is not the bundle's: fields, bindings, verdicts,
 * marks; data_json too, if it is not to be the bundle's. Errors as rg_compile()'s. */
int rg_offline_compile(struct rg_offline *offline, struct rg_compile_options options,
		       struct rg_error *err);
/* Make an evaluator for the image. Errors: rg_image_verify()'s, RG_ENOMEM. */
int rg_offline_bind(struct rg_offline *offline, struct rg_error *err);

/* Name of a reason by its id. */
const char *rg_offline_reason(const struct rg_offline *offline, uint16_t id);

#endif
