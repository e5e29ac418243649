/* SPDX-License-Identifier: Apache-2.0 */
/* A frame with one request in it, and what is done to it: what frame_bench.cc times. C, as the
 * headers of wire/ are. */
#ifndef RG_BENCH_FRAME_FIXTURE_H
#define RG_BENCH_FRAME_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct frame_fixture;

/* block_bytes: of the request's root block, 8 to 1400. NULL without memory. */
struct frame_fixture *frame_fixture_new(uint16_t block_bytes);
void frame_fixture_free(struct frame_fixture *fixture);
/* Tell what the frame is; checksums verified in software unless the NIC did. False if it is not
 * taken for a request. */
bool frame_fixture_parse(struct frame_fixture *fixture, bool nic_verified);
/* Parse, walk, write the decision, reply: a round trip without a policy. The request is put back
 * first. */
bool frame_fixture_round_trip(struct frame_fixture *fixture);

#ifdef __cplusplus
}
#endif

#endif
