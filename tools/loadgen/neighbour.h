/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking for the link address of the machine we send to: an ARP request or a neighbour
 * solicitation, and reading the answer.
 *
 * Thread-safety: pure.
 * Sources: RFC 826; RFC 4861 (4.3, 4.4, 7.2.2).
 */
#ifndef RG_TOOLS_LOADGEN_NEIGHBOUR_H
#define RG_TOOLS_LOADGEN_NEIGHBOUR_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/frame.h"

#define RG_NEIGHBOUR_FRAME_BYTES 86

/* Write the question for flow->destination to frame[0..RG_NEIGHBOUR_FRAME_BYTES). Returns its bytes
 * (60 or 86). */
uint32_t rg_neighbour_ask(uint8_t *frame, const struct rg_frame_flow *flow);
/* Is frame[0..bytes) the answer? If so, mac gets the link address of flow->destination. */
bool rg_neighbour_answer(const uint8_t *frame, uint32_t bytes, const struct rg_frame_flow *flow,
			 uint8_t mac[6]);

#endif
