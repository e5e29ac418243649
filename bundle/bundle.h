/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bundles: from a path to plan, data and manifest in memory.
 *
 * What a path may be:
 *
 *   a folder or a tar / tar.gz with plan.json   used as it is
 *   a folder or a tar / tar.gz with only Rego   built with `opa build -t plan` first
 *   a single plan.json                          a bundle without data
 *   a single .rego file                         built likewise
 *
 * Names inside a bundle may begin with '/' or not. Files are known by name, as in OPA: `plan.json`
 * and `.manifest` at the root, `data.json`, `data.yaml` and `data.yml` at any depth (merged at
 * their folder: objects merge, anything else that meets is a conflict that names both files),
 * `*.rego` anywhere, `.signatures.json`. Others are ignored.
 *
 *     folder ──┐               there is a plan.json ───────────► merge data ─► manifest ─► bundle
 *    archive ──┼─► members ────┤                                    ▲
 *       file ──┘   in memory   only Rego ─► private folder ─► opa ──┘
 *
 * An archive is hostile until shown otherwise: only regular files are taken; links, devices, "..",
 * empty or over-long names and the same name twice are refused; member count, bytes of a file and
 * bytes in all are bounded while inflating, never after, so a small archive cannot become a large
 * memory.
 *
 * Signatures: `.signatures.json` is verified when the options say how (signature.h), else only
 * noticed (`is_signed`).
 *
 * Sources: OPA's bundle documentation and its `bundle` package; YAML 1.2 core schema.
 * Thread-safety: functions are independent; a bundle is immutable once loaded.
 */
#ifndef RG_BUNDLE_BUNDLE_H
#define RG_BUNDLE_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct rg_signature_policy;

struct rg_bundle_limits {
	uint32_t members_max;	  /* regular files in a bundle; 0: RG_BUNDLE_MEMBERS_MAX */
	uint64_t file_bytes_max;  /* of one file, inflated; 0: RG_BUNDLE_FILE_BYTES_MAX */
	uint64_t total_bytes_max; /* of all files, inflated; 0: RG_BUNDLE_TOTAL_BYTES_MAX */
};
#define RG_BUNDLE_MEMBERS_MAX	     4096
#define RG_BUNDLE_FILE_BYTES_MAX     (256ull << 20)
#define RG_BUNDLE_TOTAL_BYTES_MAX    (512ull << 20)
#define RG_BUNDLE_NAME_BYTES_MAX     512 /* of a member's name */
#define RG_BUNDLE_REVISION_BYTES_MAX 127

struct rg_bundle_options {
	const char *opa; /* the opa program: a path, or a name looked up on PATH; NULL: "opa" */
	/* What `opa build` is to plan; only used when there is no plan.json. Entrypoints are slash
	 * paths
	 * ("payments/deny"). A package ("payments", "a.b") stands for those of allow, deny, review,
	 * score and reasons that it defines. */
	const char *const *entrypoints;
	uint32_t entrypoint_count;
	const char *const *packages;
	uint32_t package_count;
	/* Slash paths of packages that are planned as a whole where the sources define them:
	 * "system/log". */
	const char *const *optional;
	uint32_t optional_count;
	bool v0;		   /* Rego v0: opa build --v0-compatible */
	uint32_t build_timeout_ms; /* of one opa run; 0: RG_BUNDLE_BUILD_TIMEOUT_MS */
	struct rg_bundle_limits limits;
	const struct rg_signature_policy *signing; /* NULL: a signature is not looked at */
};
#define RG_BUNDLE_BUILD_TIMEOUT_MS 60000

/* A Rego file of a bundle: for people, the plan is what runs. */
struct rg_bundle_source {
	char *name; /* in the bundle, without a leading '/' */
	char *text; /* NUL-terminated */
};

struct rg_bundle {
	char *name;	 /* of the file or folder, without its endings: "payments" */
	char *revision;	 /* of the manifest; else the first 12 hexadecimal digits of the content's
			    SHA-256 */
	char sha256[65]; /* of the content: every file that is not ignored, in order of name */
	char *plan_json; /* NUL-terminated, as data_json */
	size_t plan_bytes;
	char *data_json; /* all data documents merged: always an object, "{}" when there are none */
	size_t data_bytes;
	char *manifest_json; /* as it was, or NULL */
	size_t manifest_bytes;
	char *metadata_json; /* the manifest's metadata, or NULL */
	char **roots;	     /* the manifest's; one "" when it names none */
	uint32_t root_count;
	int rego_version; /* the manifest's, or -1 */
	bool has_manifest_revision;
	bool is_signed;	  /* has a .signatures.json */
	bool is_verified; /* and it is good */
	/* What tells old from new: the manifest's metadata.riskgate_version, -1: none; when the
	 * signature was made (iat, s), 0: unknown. */
	int64_t version, issued_at;
	bool built;			  /* plan.json was made here by opa */
	uint32_t file_count;		  /* files taken */
	struct rg_bundle_source *sources; /* its Rego, in order of name */
	uint32_t source_count;
};

/*
 * Load the bundle at path. options may be NULL. On success *bundle is the caller's to free.
 * Errors: RG_ENOENT (no such path, no opa program), RG_EIO, RG_EINVAL (malformed archive, JSON,
 * YAML or manifest; opa's own messages when it refuses the Rego), RG_ELIMIT (names the limit),
 * RG_ECONFLICT (two data files with one path, the same member twice), RG_EAGAIN (opa ran into its
 * timeout). Texts name the file inside the bundle.
 */
int rg_bundle_load(const char *path, const struct rg_bundle_options *options,
		   struct rg_bundle **bundle, struct rg_error *err);
/* The same from an archive's or a plan.json's bytes in memory; name labels the bundle and its
 * errors. */
int rg_bundle_load_memory(const char *name, const void *bytes, size_t byte_count,
			  const struct rg_bundle_options *options, struct rg_bundle **bundle,
			  struct rg_error *err);
void rg_bundle_free(struct rg_bundle *bundle); /* NULL is allowed */

#endif
