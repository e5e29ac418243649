/* SPDX-License-Identifier: Apache-2.0 */
/* Questions for a link address, answered by the code that answers them in the data plane:
 * wire/frame.h. */
#include "tools/loadgen/neighbour.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

static const uint8_t server_mac[6] = {2, 0, 0, 0, 0, 0x51};

static void test_arp(void)
{
	struct rg_frame_flow flow = {.source_mac = {2, 0, 0, 0, 0, 0xc1}, .ip_version = 4};
	struct rg_frame_host host = {.udp_port = 9471, .udp_port_count = 1, .ipv4_count = 1};
	struct rg_frame parsed;
	uint8_t frame[128], mac[6];
	uint32_t bytes;

	inet_pton(AF_INET, "10.71.0.2", flow.source);
	inet_pton(AF_INET, "10.71.0.1", flow.destination);
	memcpy(&host.ipv4[0], flow.destination, 4);
	memcpy(host.mac, server_mac, 6);
	bytes = rg_neighbour_ask(frame, &flow);
	assert(bytes == 60 &&
	       !rg_neighbour_answer(frame, bytes, &flow, mac)); /* a question is no answer */
	assert(rg_frame_parse(frame, bytes, &host, 0, &parsed) == RG_FRAME_ARP_REQUEST);
	bytes = rg_frame_reply_arp(frame, &parsed, &host);
	assert(rg_neighbour_answer(frame, bytes, &flow, mac) && memcmp(mac, server_mac, 6) == 0);
	assert(!rg_neighbour_answer(frame, 41, &flow, mac));
	flow.destination[3]++;
	assert(!rg_neighbour_answer(frame, bytes, &flow, mac));
}

static void test_nd(void)
{
	struct rg_frame_flow flow = {.source_mac = {2, 0, 0, 0, 0, 0xc1}, .ip_version = 6};
	struct rg_frame_host host = {.udp_port = 9471, .udp_port_count = 1, .ipv6_count = 1};
	struct rg_frame parsed;
	uint8_t frame[128], mac[6];
	uint32_t bytes;

	inet_pton(AF_INET6, "fd71::2", flow.source);
	inet_pton(AF_INET6, "fd71::ab:cdef", flow.destination);
	memcpy(host.ipv6[0], flow.destination, 16);
	memcpy(host.mac, server_mac, 6);
	bytes = rg_neighbour_ask(frame, &flow);
	assert(bytes == 86 && !rg_neighbour_answer(frame, bytes, &flow, mac));
	assert(rg_frame_parse(frame, bytes, &host, 0, &parsed) == RG_FRAME_ND_SOLICIT);
	bytes = rg_frame_reply_nd(frame, &parsed, &host, sizeof(frame));
	assert(bytes && rg_neighbour_answer(frame, bytes, &flow, mac) &&
	       memcmp(mac, server_mac, 6) == 0);
	/* Without the option the answer's sender counts. */
	memset(mac, 0, 6);
	assert(rg_neighbour_answer(frame, 14 + 40 + 24, &flow, mac) &&
	       memcmp(mac, server_mac, 6) == 0);
	assert(!rg_neighbour_answer(frame, 14 + 40 + 23, &flow, mac));
	flow.destination[0]++;
	assert(!rg_neighbour_answer(frame, bytes, &flow, mac));
}

int main(void)
{
	test_arp();
	test_nd();
	return 0;
}
