/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building a policy: load the bundle, compile, verify, write it to the store's folder and the image
 * to the region.
 *
 *	IDLE ──start──► RUNNING ──(its thread is done)──► DONE ──take──► IDLE
 *
 * A build may take seconds (opa, many rules), so it runs in a thread of its own and the loop goes
 * on draining. It touches nothing of the loop's: what it needs is copied into the request, what it
 * made is in the result. The compile runs in a jemalloc arena of its own.
 *
 * Thread-safety: a struct rg_build belongs to the loop.
 */
#ifndef RG_CONTROL_BUILD_H
#define RG_CONTROL_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "config/opa_sections.h"
#include "control/policy_set.h"
#include "control/policy_store.h"
#include "policy/compile/compile.h"

/* rg_compile() and rg_image_verify(), replaceable in tests. */
struct rg_compiler {
	int (*compile)(const struct rg_compile_options *options, void **image, size_t *image_bytes,
		       struct rg_error *err);
	int (*verify)(const void *image, size_t image_bytes, struct rg_error *err);
};

/* What is kept of a build that succeeds. */
enum rg_build_purpose {
	RG_BUILD_PUBLISH, /* the bundle in the store's folder, the image in the region */
	RG_BUILD_HOLD,	  /* the bundle only: it is not published yet */
	RG_BUILD_TRY	  /* nothing: what would happen is asked */
};

struct rg_build_request {
	enum rg_build_purpose purpose;
	char path[1024];	   /* of the bundle */
	struct rg_policy_set *set; /* instead of path; the build's while it runs */
	char active_sha256[65];	   /* of the policy in use: a set of this content is unchanged */
	/* A pushed bundle of this name is not to be older than this; "": any. */
	char active_bundle[RG_POLICY_TEXT_BYTES];
	int64_t active_version;
	char bundle[RG_POLICY_TEXT_BYTES]; /* name to give it; "": its own */
	char compare_path[1024]; /* of the stored policy to tell the difference from; "": none */
	uint64_t sequence;
	bool v0;	/* Rego v0 */
	bool is_stored; /* path is the store's own copy under this sequence: do not write it again
			 */
	bool is_kept;	/* path is a copy of the store: it was verified when it came */
	/* constant, and longer-lived than the build */
	const char *state_directory, *region_directory, *opa;
	const struct rg_config_opa_sections *config; /* keys, and what pushes must be signed with */
	const struct rg_field_table *fields;
	const struct rg_binding *bindings;
	uint32_t binding_count;
	enum rg_verdict default_verdict, failure_verdict;
	uint64_t budget;
	struct rg_compiler compiler;
	struct rg_reason_list reasons; /* the build's own copy; taken over by start() */
};

struct rg_build_result {
	int status; /* RG_OK or why not */
	struct rg_error error;
	char bundle[RG_POLICY_TEXT_BYTES], revision[RG_POLICY_TEXT_BYTES], sha256[65];
	int64_t version; /* riskgate_version; -1: none */
	bool is_signed, is_verified, built_by_opa;
	bool unchanged; /* the set is the policy in use: nothing was compiled or written */
	uint64_t image_bytes;
	uint32_t image_crc32c;
	uint64_t load_ns, compile_ns, verify_ns, write_ns;
	uint64_t arena_bytes_alive;    /* what the compile left behind: 0 */
	char *difference;	       /* JSON of bundle/diff.h, or NULL; the taker frees it */
	bool compiled;		       /* it got as far as a compile that succeeded */
	struct rg_reason_list reasons; /* with those the compile added; the taker frees it */
};

struct rg_build;

/* done_fd: an eventfd that is written when a build is done, or -1. */
struct rg_build *rg_build_new(int done_fd);
/* No thread: a build that was started runs in rg_build_run_started(). */
void rg_build_by_hand(struct rg_build *build);
/* Run what was started and has not run. False: there is nothing. Only by hand. */
bool rg_build_run_started(struct rg_build *build);
/* Waits for a running build. NULL is allowed. */
void rg_build_delete(struct rg_build *build);
bool rg_build_idle(const struct rg_build *build);
/* Start. RG_EAGAIN: one is running; RG_ENOMEM: no thread. The request is copied; its reasons are
 * taken over in any case. */
int rg_build_start(struct rg_build *build, const struct rg_build_request *request,
		   struct rg_error *err);
/* Take the result of a finished build. RG_EAGAIN: it is not finished, or there is none. */
int rg_build_take(struct rg_build *build, struct rg_build_result *result);

/* All of it, in the calling thread. On failure nothing is left behind in the store or the region.
 */
void rg_build_run(struct rg_build_request *request, struct rg_build_result *result);

#endif
