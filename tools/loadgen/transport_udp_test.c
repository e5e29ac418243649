/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel transport against a small responder on the loopback interface, which answers every
 * request with a decision. */
#include "tools/loadgen/transport.h"

#include <arpa/inet.h>
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tools/loadgen/load.h"
#include "wire/sbe.h"

#define REQUESTS 2000
#define SECOND	 1000000000ull

static atomic_bool stop;

static uint64_t monotonic_ns(void *context)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

/* Answer each message of each datagram until told to stop. */
static void *respond(void *argument)
{
	int fd = *(int *)argument;
	uint8_t request[2048], answer[2048];
	struct sockaddr_storage peer;

	while (!atomic_load(&stop)) {
		socklen_t peer_bytes = sizeof(peer);
		ssize_t bytes = recvfrom(fd, request, sizeof(request), 0, (struct sockaddr *)&peer,
					 &peer_bytes);
		uint32_t cursor = 0, used = 0;
		struct rg_sbe_message message;

		if (bytes < 0)
			continue; /* the receive timeout: look at stop */
		while (rg_sbe_next(request, (uint32_t)bytes, &cursor, &message) == RG_SBE_MESSAGE) {
			struct rg_decision_message decision = {.request_id = message.request_id,
							       .verdict = 2,
							       .policy_sequence = 3};

			rg_decision_encode(answer + used, 1, 0, &decision);
			used += RG_DECISION_BYTES;
		}
		assert(sendto(fd, answer, used, 0, (struct sockaddr *)&peer, peer_bytes) ==
		       (ssize_t)used);
	}
	return NULL;
}

/* A socket on the loopback interface; its address to text. -1 where the machine has no such family.
 */
static int open_responder(int family, char *text, size_t text_bytes)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct timeval timeout = {.tv_usec = 20000};
	int fd = socket(family, SOCK_DGRAM, 0);
	socklen_t bytes;

	if (fd < 0)
		return -1;
	if (bind(fd, family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
		 family == AF_INET ? sizeof(v4) : sizeof(v6)) != 0) {
		close(fd);
		return -1;
	}
	bytes = family == AF_INET ? sizeof(v4) : sizeof(v6);
	assert(getsockname(fd, family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
			   &bytes) == 0);
	assert(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0);
	snprintf(text, text_bytes, family == AF_INET ? "127.0.0.1:%u" : "[::1]:%u",
		 ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port));
	return fd;
}

static void test_family(int family, uint32_t messages_per_datagram)
{
	static const struct rg_template template = {
		.template_id = 1, .schema_id = 1, .block_length = 300};
	static struct rg_load load;
	uint8_t request[308];
	struct rg_request_pool pool = {.template = &template,
				       .messages = request,
				       .message_bytes = sizeof(request),
				       .count = 1};
	struct rg_load_options options = {.window = 16,
					  .message_limit = REQUESTS,
					  .messages_per_datagram = messages_per_datagram,
					  .burst = 8,
					  .timeout_ns = 20 * SECOND,
					  .first_request_id = 1000};
	struct rg_transport_endpoint endpoint = {.flow_count = 1};
	struct rg_transport *transport;
	struct rg_error err;
	pthread_t thread;
	uint64_t deadline = monotonic_ns(NULL) + 50 * SECOND;
	int fd = open_responder(family, endpoint.target, sizeof(endpoint.target));

	if (fd < 0) {
		printf("no address family %d here: not tested\n", family);
		return;
	}
	memset(request, 0, sizeof(request));
	rg_sbe_header_write(request, (struct rg_sbe_header){300, 1, 1, 0});
	atomic_store(&stop, false);
	assert(pthread_create(&thread, NULL, respond, &fd) == 0);
	assert(rg_transport_open_udp(&endpoint, &transport, &err) == RG_OK);
	assert(rg_load_init(&load, &options, (struct rg_load_clock){monotonic_ns, NULL}, transport,
			    &pool, NULL, &err) == RG_OK);
	while (load.phase != RG_LOAD_DONE && monotonic_ns(NULL) < deadline)
		rg_load_step(&load);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	assert(load.phase == RG_LOAD_DONE && load.tally.sent == REQUESTS &&
	       load.tally.answered == REQUESTS);
	assert(load.tally.verdicts[2] == REQUESTS && load.tally.sequences[0].sequence == 3 &&
	       load.tally.lost == 0);
	assert(load.tally.latency.count == REQUESTS && rg_tally_throughput(&load.tally) > 0);
	rg_load_free(&load);
	rg_transport_close(transport);
	close(fd);
}

static void test_bad(void)
{
	struct rg_transport_endpoint endpoint = {.target = "127.0.0.1", .flow_count = 1};
	struct rg_transport *transport;
	struct rg_error err;

	assert(rg_transport_open_udp(&endpoint, &transport, &err) == RG_EINVAL &&
	       strstr(err.text, "no port"));
	strcpy(endpoint.target, "127.0.0.1:9471");
	strcpy(endpoint.source, "192.0.2.1:1");
	assert(rg_transport_open_udp(&endpoint, &transport, &err) == RG_EIO &&
	       strstr(err.text, "192.0.2.1:1"));
}

int main(void)
{
	test_family(AF_INET, 1);
	test_family(AF_INET, 4);
	test_family(AF_INET6, 1);
	test_bad();
	return 0;
}
