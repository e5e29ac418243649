/* SPDX-License-Identifier: Apache-2.0 */
/* A worker stepped by hand over bursts of datagrams, and a reflector beside it that only turns them
 * round. Both take each frame out of a ring of buffers and put the answer into another, as
 * net_memif does, but on one core: what is left out is what the two cores of a memif cost each
 * other. DPDK runs on ordinary memory without devices. What worker_bench.cc times.
 *
 * Whatever is wrong is printed and ends the program. One fixture at a time. */
#ifndef RG_BENCH_WORKER_FIXTURE_H
#define RG_BENCH_WORKER_FIXTURE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WORKER_FIXTURE_BURST 32 /* datagrams */

struct worker_fixture;

/* root, folder, template_name, package: as policy_fixture_new()'s. messages: requests in each
 * datagram. ring_bytes: of the record ring, a power of two; nobody reads it, and what is committed
 * counts as read. */
struct worker_fixture *worker_fixture_new(const char *root, const char *folder,
					  const char *template_name, const char *package,
					  uint32_t messages, uint64_t ring_bytes);
void worker_fixture_free(struct worker_fixture *fixture);

/* One burst. Return the datagrams answered. Observed: as if a probe were attached to the worker's
 * probe point, but for what the kernel does at a hit. */
uint32_t worker_fixture_decide(struct worker_fixture *fixture);
uint32_t worker_fixture_decide_observed(struct worker_fixture *fixture);
uint32_t worker_fixture_reflect(struct worker_fixture *fixture);

/* The name of the index-th state of a worker; NULL: there are no more. */
const char *worker_fixture_state(unsigned index);
/* Nanoseconds a request in it, so far. */
double worker_fixture_state_ns(const struct worker_fixture *fixture, unsigned index);

#ifdef __cplusplus
}
#endif

#endif
