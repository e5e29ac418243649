/* SPDX-License-Identifier: Apache-2.0 */
/* A policy of bench/policy_corpus, compiled and bound to an evaluator, with its requests encoded; and the bytes of a bundle to
 * load. What policy_bench.cc times: C, as the headers of policy/ are.
 *
 * Whatever is wrong (a file, a request, an evaluation) is printed and ends the program: no figure comes out of it. */
#ifndef RG_BENCH_POLICY_FIXTURE_H
#define RG_BENCH_POLICY_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- deciding ---- */

struct policy_fixture;

/* root: the project's folder. folder: of the policy in the corpus. package: of the rules
 * ("payments"). */
struct policy_fixture *policy_fixture_new(const char *root, const char *folder,
					  const char *template_name, const char *package);
void policy_fixture_free(struct policy_fixture *fixture);
uint64_t policy_fixture_image_bytes(const struct policy_fixture *fixture);
/* What a worker needs to decide the same requests: for worker_fixture.c. They live as long as the
 * fixture. message: the index-th request (modulo their number), header and block. */
struct rg_schema;
const void *policy_fixture_image(const struct policy_fixture *fixture);
const struct rg_schema *policy_fixture_schema(const struct policy_fixture *fixture);
const uint8_t *policy_fixture_message(const struct policy_fixture *fixture, uint64_t index,
				      uint32_t *bytes);
uint64_t policy_fixture_request_count(const struct policy_fixture *fixture);
/* Evaluations that did not end well, so far. */
uint64_t policy_fixture_failures(const struct policy_fixture *fixture);

/* Decide the index-th request (modulo their number). Return the verdict (enum rg_verdict). */

/* From its block, as a worker does once it knows the template. */
int policy_fixture_decide(struct policy_fixture *fixture, uint64_t index);
/* POLICY_FIXTURE_BURST of them from the index-th on, as a worker decides a burst. Returns the
 * verdict of the first. */
#define POLICY_FIXTURE_BURST 32
int policy_fixture_decide_burst(struct policy_fixture *fixture, uint64_t index);
/* From the datagram: header, template, visible bytes, then the same. */
int policy_fixture_decode_decide(struct policy_fixture *fixture, uint64_t index);
/* From a value that was parsed before: the rules that any JSON takes. */
int policy_fixture_decide_value(struct policy_fixture *fixture, uint64_t index);
/* From JSON text: parse, then the same. */
int policy_fixture_parse_decide_value(struct policy_fixture *fixture, uint64_t index);

/* ---- loading ---- */

struct load_fixture;

/* path: of a bundle's archive. NULL if there is none (errno). */
struct load_fixture *load_fixture_new(const char *root, const char *path, const char *template_name,
				      const char *package);
void load_fixture_free(struct load_fixture *fixture);
uint64_t load_fixture_bundle_bytes(const struct load_fixture *fixture);
/* From the archive's bytes to a verified image. Returns the image's bytes. */
uint64_t load_fixture_load(struct load_fixture *fixture);

#ifdef __cplusplus
}
#endif

#endif
