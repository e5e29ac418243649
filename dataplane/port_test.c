/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/port.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

static struct rg_frame_host host;

static void expect_refused(const char *text, const char *why)
{
	struct rg_error err;

	assert(rg_port_add_address(&host, text, "dataplane.ports[0].addresses[3]", &err) != RG_OK);
	assert(strstr(err.text, "dataplane.ports[0].addresses[3]"));
	assert(strstr(err.text, why));
}

static void test_addresses(void)
{
	struct rg_error err;

	assert(rg_port_add_address(&host, "10.71.0.1/24", "key", &err) == RG_OK);
	assert(rg_port_add_address(&host, "fd71::1/64", "key", &err) == RG_OK);
	assert(rg_port_add_address(&host, "192.0.2.1/32", "key", &err) == RG_OK);
	assert(host.ipv4_count == 2 && host.ipv4[0] == htonl(0x0a470001) &&
	       host.ipv4[1] == htonl(0xc0000201));
	assert(host.ipv6_count == 1 && host.ipv6[0][0] == 0xfd && host.ipv6[0][15] == 1);
	expect_refused("10.71.0.1/16", "twice");
	expect_refused("fd71:0::1/64", "twice");
	expect_refused("10.71.0.2", "prefix");
	expect_refused("10.71.0.2/33", "prefix");
	expect_refused("10.71.0.2/0", "prefix");
	expect_refused("10.71.0.2/-1", "prefix");
	expect_refused("10.71.0.2/24x", "prefix");
	expect_refused("fd71::2/129", "prefix");
	expect_refused("10.71.0/24", "no address");
	expect_refused("", "no address");
	expect_refused("/24", "no address");
	expect_refused("127.0.0.1/8", "host's address");
	expect_refused("224.0.0.1/24", "host's address");
	expect_refused("0.0.0.0/24", "host's address");
	expect_refused("255.255.255.255/32", "host's address");
	expect_refused("::/64", "host's address");
	expect_refused("::1/128", "host's address");
	expect_refused("ff02::1/64", "host's address");
	expect_refused(
		"an-address-that-is-much-longer-than-any-address-could-possibly-be-written/24",
		"no address");
}

static void test_too_many(void)
{
	struct rg_error err;
	char text[32];

	for (int i = host.ipv4_count; i < RG_FRAME_ADDRESSES_MAX; i++) {
		snprintf(text, sizeof(text), "10.0.0.%d/24", i + 1);
		assert(rg_port_add_address(&host, text, "key", &err) == RG_OK);
	}
	expect_refused("10.0.0.200/24", "more than 8");
}

/* Every queue has one worker, and the workers' shares differ by at most one. */
static void test_sharing(void)
{
	struct rg_ports ports = {.count = 4,
				 .port = {{.queue_count = 1},
					  {.queue_count = 3},
					  {.queue_count = 1},
					  {.queue_count = 2}}};

	for (uint32_t workers = 1; workers <= 8; workers++) {
		uint32_t share[8] = {0}, least = UINT32_MAX, most = 0;

		for (uint32_t p = 0; p < ports.count; p++)
			for (uint16_t q = 0; q < ports.port[p].queue_count; q++)
				share[rg_ports_worker_of(&ports, p, q, workers)]++;
		for (uint32_t w = 0; w < workers; w++) {
			least = share[w] < least ? share[w] : least;
			most = share[w] > most ? share[w] : most;
		}
		assert(most - least <= 1);
	}
}

int main(void)
{
	test_addresses();
	test_too_many();
	test_sharing();
	return 0;
}
