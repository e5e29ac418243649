/* SPDX-License-Identifier: Apache-2.0 */
/* An example policy, compiled and bound to an evaluator, with generated requests: what
 * decide_bench.cc times. C, as the headers of policy/ are. */
#ifndef RG_BENCH_DECIDE_FIXTURE_H
#define RG_BENCH_DECIDE_FIXTURE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct decide_fixture;

/* root: the project's folder. bundle: below examples/policies. Prints what is wrong and exits if
 * anything is. */
struct decide_fixture *decide_fixture_new(const char *root, const char *bundle,
					  const char *template_name, const char *package,
					  uint32_t request_count);
/* Decide the index-th request (modulo their number). Returns the verdict. */
int decide_fixture_decide(struct decide_fixture *fixture, uint64_t index);
void decide_fixture_free(struct decide_fixture *fixture);

#ifdef __cplusplus
}
#endif

#endif
