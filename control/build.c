/* SPDX-License-Identifier: Apache-2.0 */
#include "control/build.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "bundle/bundle.h"
#include "bundle/diff.h"
#include "control/compile_arena.h"
#include "control/signing.h"
#include "shm/image_file.h"

#define PACKAGE_BYTES 256

struct rg_build {
	int done_fd;
	bool started, by_hand;
	pthread_t thread;
	_Atomic bool done; /* stored with release by the thread after the result; acquired by the
			      loop before it reads it */
	struct rg_build_request request;
	struct rg_build_result result;
};

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A push's bundle, with the signature that the configuration demands of pushes. */
static int load_path(const struct rg_build_request *request, struct rg_bundle_options *options,
		     struct rg_bundle **bundle, struct rg_error *err)
{
	struct rg_signing signing = {0};
	int rc = RG_OK;

	if (request->config->push_signing.required && !request->is_kept) {
		rc = rg_signing_open(request->config, &request->config->push_signing, &signing,
				     err);
		options->signing = &signing.policy;
	}
	if (!rc)
		rc = rg_bundle_load(request->path, options, bundle, err);
	rg_signing_close(&signing);
	return rc;
}

/* Of the decision "/system/log/mask" the package "system/log". */
static const char *package_of(const char *decision, char package[static PACKAGE_BYTES])
{
	char *end;

	snprintf(package, PACKAGE_BYTES, "%s", decision + (decision[0] == '/'));
	end = strrchr(package, '/');
	if (end)
		*end = '\0';
	return package;
}

static int load(const struct rg_build_request *request, struct rg_bundle **bundle,
		struct rg_error *err)
{
	const struct rg_config_decision_logs *logs = &request->config->decision_logs;
	const char **packages = calloc(request->binding_count + 1, sizeof(*packages));
	char mask[PACKAGE_BYTES], drop[PACKAGE_BYTES];
	const char *log_packages[] = {package_of(logs->mask_decision, mask),
				      package_of(logs->drop_decision, drop)};
	struct rg_bundle_options options = {.opa = request->opa,
					    .packages = packages,
					    .package_count = request->binding_count,
					    .optional = log_packages,
					    .optional_count = 2,
					    .v0 = request->v0};
	int rc;

	if (!packages)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	for (uint32_t i = 0; i < request->binding_count; i++)
		packages[i] = request->bindings[i].package;
	rc = request->set ? rg_policy_set_load(request->set, &options, bundle, err)
			  : load_path(request, &options, bundle, err);
	free(packages);
	return rc;
}

/* A pushed bundle may be of an earlier riskgate_version than the one in use. */
static int check_version(const struct rg_build_request *request, const struct rg_bundle *bundle,
			 struct rg_error *err)
{
	const char *name = request->bundle[0] ? request->bundle : bundle->name;

	if (!request->active_bundle[0] || strcmp(request->active_bundle, name) ||
	    bundle->version >= request->active_version)
		return RG_OK;
	return rg_error_set(err, RG_EVERSION,
			    "bundle %s: its riskgate_version %lld is older than that of the policy "
			    "in use, %lld; `riskctl policy push --allow-older` permits it",
			    name, (long long)bundle->version, (long long)request->active_version);
}

static void describe(const struct rg_build_request *request, const struct rg_bundle *bundle,
		     struct rg_build_result *result)
{
	snprintf(result->bundle, sizeof(result->bundle), "%s",
		 request->bundle[0] ? request->bundle : bundle->name);
	snprintf(result->revision, sizeof(result->revision), "%s", bundle->revision);
	snprintf(result->sha256, sizeof(result->sha256), "%s", bundle->sha256);
	result->version = bundle->version;
	result->is_signed = bundle->is_signed;
	result->is_verified = bundle->is_verified;
	result->built_by_opa = bundle->built;
}

/* Compile, verify and write the image, inside the compile's arena: all that lives longer is in
 * *result or in a file. */
static int compile_and_write(struct rg_build_request *request, const struct rg_bundle *bundle,
			     struct rg_reason_list *reasons, struct rg_build_result *result)
{
	struct rg_compile_options options = {.plan_json = bundle->plan_json,
					     .plan_bytes = bundle->plan_bytes,
					     .data_json = bundle->data_json,
					     .data_bytes = bundle->data_bytes,
					     .bundle = result->bundle,
					     .revision = result->revision,
					     .sequence = request->sequence,
					     .fields = request->fields,
					     .bindings = request->bindings,
					     .binding_count = request->binding_count,
					     .reasons = reasons,
					     .default_verdict = request->default_verdict,
					     .failure_verdict = request->failure_verdict,
					     .budget = request->budget,
					     .documents = true};
	uint64_t begin_ns = monotonic_ns();
	size_t image_bytes;
	void *image;
	int rc = request->compiler.compile(&options, &image, &image_bytes, &result->error);

	result->compile_ns = monotonic_ns() - begin_ns;
	if (rc)
		return rc;
	RG_FAILPOINT("build.compiled");
	result->compiled = true;
	begin_ns = monotonic_ns();
	rc = request->compiler.verify(image, image_bytes, &result->error);
	result->verify_ns = monotonic_ns() - begin_ns;
	if (rc) {
		rg_error_prefix(&result->error,
				"the compiled image does not pass its own verification");
	} else {
		begin_ns = monotonic_ns();
		if (request->purpose == RG_BUILD_PUBLISH)
			rc = rg_image_file_write(request->region_directory, RG_IMAGE_FILE_IMAGE,
						 request->sequence, image, image_bytes,
						 &result->image_crc32c, &result->error);
		result->image_bytes = image_bytes;
		result->write_ns = monotonic_ns() - begin_ns;
	}
	RG_FAILPOINT("build.image_written");
	free(image);
	return rc;
}

/* The compile in its arena: the list of reasons that it extends is its own; names that are new are
 * copied out. */
static int compile_in_arena(struct rg_build_request *request, const struct rg_bundle *bundle,
			    struct rg_build_result *result)
{
	struct rg_compile_arena arena;
	struct rg_reason_list inside = {0}, outside = {0};
	int rc;

	rg_compile_arena_enter(&arena);
	rc = rg_reason_list_copy(&request->reasons, &inside, &result->error);
	if (!rc)
		rc = compile_and_write(request, bundle, &inside, result);
	rg_compile_arena_leave(&arena);
	if (!rc)
		rc = rg_reason_list_copy(&inside, &outside, &result->error);
	rg_reason_list_free(&inside);
	result->arena_bytes_alive = rg_compile_arena_destroy(&arena);
	result->reasons = outside;
	return rc;
}

static void discard(const struct rg_build_request *request)
{
	char path[RG_BUNDLE_NAME_BYTES_MAX + 4096];

	if (!rg_image_file_path(request->region_directory, RG_IMAGE_FILE_IMAGE, request->sequence,
				path, sizeof(path), NULL))
		unlink(path);
	if (!request->is_stored)
		rg_policy_store_discard_bundle(request->state_directory, request->sequence);
}

/* What differs from the policy at compare_path. A difference that cannot be told is no reason to
 * refuse the policy: it is left out. */
static void compare(const struct rg_build_request *request, const struct rg_bundle *bundle,
		    struct rg_build_result *result)
{
	struct rg_bundle *before = NULL;
	struct rg_json_writer writer;
	struct rg_error err;

	if (!request->compare_path[0] || rg_bundle_load(request->compare_path, NULL, &before, &err))
		return;
	rg_json_writer_init(&writer, false);
	if (rg_bundle_diff(before, bundle, &writer, &err))
		rg_json_writer_free(&writer);
	else
		result->difference = writer.text;
	rg_bundle_free(before);
}

void rg_build_run(struct rg_build_request *request, struct rg_build_result *result)
{
	struct rg_bundle *bundle = NULL;
	uint64_t begin_ns = monotonic_ns();

	memset(result, 0, sizeof(*result));
	result->status = load(request, &bundle, &result->error);
	result->load_ns = monotonic_ns() - begin_ns;
	if (!result->status && !request->set)
		result->status = check_version(request, bundle, &result->error);
	if (!result->status) {
		describe(request, bundle, result);
		result->unchanged = request->set && !strcmp(bundle->sha256, request->active_sha256);
	}
	if (!result->status && !result->unchanged)
		result->status = compile_in_arena(request, bundle, result);
	if (!result->status && request->purpose == RG_BUILD_TRY)
		compare(request, bundle, result);
	else if (!result->status && !result->unchanged && !request->is_stored)
		result->status = rg_policy_store_write_bundle(
			request->state_directory, request->sequence, bundle, &result->error);
	if (result->status) {
		discard(request);
		rg_reason_list_free(&result->reasons);
	}
	rg_bundle_free(bundle);
}

/* ---- in a thread ---- */

static void *build_thread(void *argument)
{
	struct rg_build *build = argument;
	uint64_t one = 1;

	rg_build_run(&build->request, &build->result);
	atomic_store_explicit(&build->done, true, memory_order_release);
	if (build->done_fd >= 0 && write(build->done_fd, &one, sizeof(one)) < 0)
		return NULL; /* the loop looks now and then anyway */
	return NULL;
}

struct rg_build *rg_build_new(int done_fd)
{
	struct rg_build *build = calloc(1, sizeof(*build));

	if (build)
		build->done_fd = done_fd;
	return build;
}

void rg_build_by_hand(struct rg_build *build)
{
	build->by_hand = true;
}

bool rg_build_run_started(struct rg_build *build)
{
	/* Relaxed: by hand there is no other thread. */
	if (!build->started || atomic_load_explicit(&build->done, memory_order_relaxed))
		return false;
	build_thread(build);
	return true;
}

bool rg_build_idle(const struct rg_build *build)
{
	return !build->started;
}

int rg_build_start(struct rg_build *build, const struct rg_build_request *request,
		   struct rg_error *err)
{
	sigset_t all, before;
	int failed;

	if (build->started) {
		struct rg_reason_list reasons = request->reasons;

		rg_reason_list_free(&reasons);
		return rg_error_set(err, RG_EAGAIN, "another policy is being built");
	}
	build->request = *request;
	atomic_store_explicit(&build->done, false,
			      memory_order_relaxed); /* before the thread exists */
	if (build->by_hand) {
		build->started = true;
		return RG_OK;
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
	failed = pthread_create(&build->thread, NULL, build_thread, build);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed) {
		rg_reason_list_free(&build->request.reasons);
		return rg_error_set_errno(err, RG_ENOMEM, failed,
					  "starting a thread to build a policy");
	}
	build->started = true;
	return RG_OK;
}

int rg_build_take(struct rg_build *build, struct rg_build_result *result)
{
	if (!build->started || !atomic_load_explicit(&build->done, memory_order_acquire))
		return RG_EAGAIN;
	if (!build->by_hand)
		pthread_join(build->thread, NULL);
	build->started = false;
	rg_reason_list_free(&build->request.reasons);
	*result = build->result;
	memset(&build->result, 0, sizeof(build->result));
	return RG_OK;
}

void rg_build_delete(struct rg_build *build)
{
	if (!build)
		return;
	if (build->started) {
		if (!build->by_hand)
			pthread_join(build->thread, NULL);
		rg_reason_list_free(&build->request.reasons);
		rg_reason_list_free(&build->result.reasons);
		free(build->result.difference);
	}
	free(build);
}
