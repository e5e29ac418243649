/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/frame_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "wire/decision.h"
#include "wire/frame.h"
#include "wire/sbe.h"

#define FRAME_BYTES 2048

struct frame_fixture {
	struct rg_frame_host host;
	uint32_t frame_bytes;
	uint8_t original[FRAME_BYTES], frame[FRAME_BYTES];
};

struct frame_fixture *frame_fixture_new(uint16_t block_bytes)
{
	static const struct rg_frame_flow flow = {
		.source_mac = {2, 0, 0, 0, 0, 2},
		.destination_mac = {2, 0, 0, 0, 0, 1},
		.ip_version = 4,
		.source_port = 40000,
		.destination_port = 9471,
		.source = {10, 71, 0, 2},
		.destination = {10, 71, 0, 1},
	};
	struct frame_fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return NULL;
	memcpy(fixture->host.mac, flow.destination_mac, 6);
	memcpy(&fixture->host.ipv4[0], flow.destination, 4);
	fixture->host.ipv4_count = 1;
	fixture->host.udp_port = flow.destination_port;
	fixture->host.udp_port_count = 1;
	rg_sbe_header_write(fixture->original + rg_frame_udp_header_bytes(&flow),
			    (struct rg_sbe_header){block_bytes, 1, 1, 1});
	fixture->frame_bytes = rg_frame_build_udp(fixture->original, FRAME_BYTES, &flow,
						  RG_SBE_HEADER_BYTES + block_bytes, 0);
	memcpy(fixture->frame, fixture->original, FRAME_BYTES);
	return fixture;
}

void frame_fixture_free(struct frame_fixture *fixture)
{
	free(fixture);
}

bool frame_fixture_parse(struct frame_fixture *fixture, bool nic_verified)
{
	unsigned offload = nic_verified ? RG_FRAME_RX_IP_GOOD | RG_FRAME_RX_L4_GOOD : 0;
	struct rg_frame parsed;

	return rg_frame_parse(fixture->frame, fixture->frame_bytes, &fixture->host, offload,
			      &parsed) == RG_FRAME_UDP4;
}

bool frame_fixture_round_trip(struct frame_fixture *fixture)
{
	struct rg_decision_message decision = {0};
	struct rg_sbe_message message;
	struct rg_frame parsed;
	uint32_t cursor = 0;
	uint8_t *payload;

	memcpy(fixture->frame, fixture->original, fixture->frame_bytes);
	if (rg_frame_parse(fixture->frame, fixture->frame_bytes, &fixture->host, 0, &parsed) !=
		    RG_FRAME_UDP4 ||
	    rg_sbe_next(fixture->frame + parsed.payload, parsed.payload_bytes, &cursor, &message) !=
		    RG_SBE_MESSAGE)
		return false;
	decision.request_id = message.request_id;
	payload = fixture->frame + rg_frame_reply_payload(&parsed);
	rg_decision_encode(payload, 1, 1, &decision);
	return rg_frame_reply_udp(fixture->frame, &parsed, &fixture->host, RG_DECISION_BYTES,
				  rg_frame_sum(0, payload, RG_DECISION_BYTES), 0) != 0;
}
