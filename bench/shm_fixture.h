/* SPDX-License-Identifier: Apache-2.0 */
/* A ring, a histogram and a counter block in ordinary memory: what shm_bench.cc times. C, as the
 * headers of shm/ are. */
#ifndef RG_BENCH_SHM_FIXTURE_H
#define RG_BENCH_SHM_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shm_fixture;

/* NULL without memory. */
struct shm_fixture *shm_fixture_new(void);
void shm_fixture_free(struct shm_fixture *fixture);
/* Reserve and write `count` records of `bytes`, and commit them once. False: the ring is full. */
bool shm_fixture_produce(struct shm_fixture *fixture, uint32_t count, uint32_t bytes);
/* Read and release all there is. Returns the number of records. */
uint32_t shm_fixture_consume(struct shm_fixture *fixture);
/* Record `count` latencies that differ. */
void shm_fixture_histogram(struct shm_fixture *fixture, uint32_t count);
/* Flush a worker's counters. */
void shm_fixture_flush(struct shm_fixture *fixture);
/* Note an error that is known, behind `others` others. */
void shm_fixture_error(struct shm_fixture *fixture, uint32_t others);

#ifdef __cplusplus
}
#endif

#endif
