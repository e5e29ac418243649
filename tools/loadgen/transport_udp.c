/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel UDP socket as transport: connected, non-blocking, bursts by sendmmsg(2) and recvmmsg(2).
 */
#include "tools/loadgen/transport.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_BUFFER_BYTES (8 << 20)
#define RECEIVE_BYTES	    2048

struct udp_transport {
	struct rg_transport transport;
	int fd;
	uint8_t sent[RG_TRANSPORT_BURST_MAX][RG_TRANSPORT_PAYLOAD_BYTES];
	uint8_t received[RG_TRANSPORT_BURST_MAX][RECEIVE_BYTES];
};

int rg_transport_split_address(const char *text, char *host, size_t host_bytes, uint16_t *port,
			       struct rg_error *err)
{
	const char *colon = strrchr(text, ':'), *begin = text, *end = colon;
	char *digits_end;
	unsigned long number;

	if (!colon)
		return rg_error_set(err, RG_EINVAL,
				    "'%s' has no port: write 10.71.0.1:9471 or [fd71::1]:9471",
				    text);
	if (*text == '[') {
		begin = text + 1;
		if (colon == text + 1 || colon[-1] != ']')
			return rg_error_set(err, RG_EINVAL,
					    "'%s': write an IPv6 address as [fd71::1]:9471", text);
		end = colon - 1;
	} else if (memchr(text, ':', (size_t)(colon - text))) {
		return rg_error_set(err, RG_EINVAL, "'%s': write an IPv6 address as [fd71::1]:9471",
				    text);
	}
	number = strtoul(colon + 1, &digits_end, 10);
	if (colon[1] < '0' || colon[1] > '9' || *digits_end || number == 0 || number > 65535)
		return rg_error_set(err, RG_EINVAL, "'%s': the port must be 1 to 65535", text);
	if (end == begin || (size_t)(end - begin) >= host_bytes)
		return rg_error_set(err, RG_EINVAL, "'%s': no host before the port", text);
	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = 0;
	*port = (uint16_t)number;
	return RG_OK;
}

static uint32_t udp_reserve(struct rg_transport *transport, struct rg_datagram *datagrams,
			    uint32_t count)
{
	struct udp_transport *udp = (struct udp_transport *)transport;

	for (uint32_t i = 0; i < count; i++)
		datagrams[i].payload = udp->sent[i];
	return count;
}

static uint32_t udp_send(struct rg_transport *transport, const struct rg_datagram *datagrams,
			 uint32_t count)
{
	struct udp_transport *udp = (struct udp_transport *)transport;
	struct mmsghdr headers[RG_TRANSPORT_BURST_MAX];
	struct iovec pieces[RG_TRANSPORT_BURST_MAX];
	int sent;

	memset(headers, 0, count * sizeof(headers[0]));
	for (uint32_t i = 0; i < count; i++) {
		pieces[i].iov_base = datagrams[i].payload;
		pieces[i].iov_len = datagrams[i].bytes;
		headers[i].msg_hdr.msg_iov = &pieces[i];
		headers[i].msg_hdr.msg_iovlen = 1;
	}
	/* A refused or unreachable peer shows as an error of a later call: the schedule tries
	 * again, the summary tells the loss. */
	sent = sendmmsg(udp->fd, headers, count, MSG_DONTWAIT);
	if (sent < (int)count)
		transport->send_refused_count++;
	return sent > 0 ? (uint32_t)sent : 0;
}

static uint32_t udp_receive(struct rg_transport *transport, struct rg_datagram *datagrams,
			    uint32_t count)
{
	struct udp_transport *udp = (struct udp_transport *)transport;
	struct mmsghdr headers[RG_TRANSPORT_BURST_MAX];
	struct iovec pieces[RG_TRANSPORT_BURST_MAX];
	int received;

	memset(headers, 0, count * sizeof(headers[0]));
	for (uint32_t i = 0; i < count; i++) {
		pieces[i].iov_base = udp->received[i];
		pieces[i].iov_len = RECEIVE_BYTES;
		headers[i].msg_hdr.msg_iov = &pieces[i];
		headers[i].msg_hdr.msg_iovlen = 1;
	}
	received = recvmmsg(udp->fd, headers, count, MSG_DONTWAIT, NULL);
	for (int i = 0; i < received; i++) {
		datagrams[i].payload = udp->received[i];
		datagrams[i].bytes = (uint16_t)headers[i].msg_len;
	}
	return received > 0 ? (uint32_t)received : 0;
}

static void udp_close(struct rg_transport *transport)
{
	struct udp_transport *udp = (struct udp_transport *)transport;

	close(udp->fd);
	free(udp);
}

static const struct rg_transport_ops udp_ops = {
	.reserve = udp_reserve,
	.send = udp_send,
	.receive = udp_receive,
	.close = udp_close,
};

/* Find the addresses of "host:port". */
static int resolve(const char *text, int flags, int family, struct addrinfo **list,
		   struct rg_error *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = flags, .ai_family = family};
	char host[128], service[8];
	uint16_t port;
	int code, status = rg_transport_split_address(text, host, sizeof(host), &port, err);

	if (status != RG_OK)
		return status;
	snprintf(service, sizeof(service), "%u", port);
	code = getaddrinfo(host, service, &hints, list);
	if (code != 0)
		return rg_error_set(err, RG_EINVAL, "'%s': %s", text, gai_strerror(code));
	return RG_OK;
}

/* A socket to the first address that takes a connection. */
static int open_socket(const struct rg_transport_endpoint *endpoint, int *fd, struct rg_error *err)
{
	struct addrinfo *targets = NULL, *sources = NULL;
	int status = resolve(endpoint->target, 0, AF_UNSPEC, &targets, err);
	int bytes = SOCKET_BUFFER_BYTES;

	if (status != RG_OK)
		return status;
	*fd = socket(targets->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd < 0) {
		status = rg_error_set_errno(err, RG_EIO, errno, "cannot open a UDP socket");
		goto cleanup;
	}
	/* The forced form needs CAP_NET_ADMIN; without it the system's limit applies. */
	if (setsockopt(*fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0)
		setsockopt(*fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (setsockopt(*fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) != 0)
		setsockopt(*fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (endpoint->source[0]) {
		status = resolve(endpoint->source, AI_PASSIVE, targets->ai_family, &sources, err);
		if (status == RG_OK && bind(*fd, sources->ai_addr, sources->ai_addrlen) != 0)
			status = rg_error_set_errno(err, RG_EIO, errno, "cannot send from %s",
						    endpoint->source);
	}
	if (status == RG_OK && connect(*fd, targets->ai_addr, targets->ai_addrlen) != 0)
		status = rg_error_set_errno(err, RG_EIO, errno,
					    "no way to %s: check the address and `ip route`",
					    endpoint->target);
	if (status != RG_OK)
		close(*fd);
cleanup:
	freeaddrinfo(targets);
	if (sources)
		freeaddrinfo(sources);
	return status;
}

int rg_transport_open_udp(const struct rg_transport_endpoint *endpoint,
			  struct rg_transport **transport, struct rg_error *err)
{
	struct udp_transport *udp = calloc(1, sizeof(*udp));
	int status;

	if (!udp)
		return rg_error_set(err, RG_ENOMEM, "no memory for the socket's buffers");
	status = open_socket(endpoint, &udp->fd, err);
	if (status != RG_OK) {
		free(udp);
		return status;
	}
	udp->transport.ops = &udp_ops;
	udp->transport.payload_bytes = RG_TRANSPORT_PAYLOAD_BYTES;
	*transport = &udp->transport;
	return RG_OK;
}
