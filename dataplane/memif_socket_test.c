/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/memif_socket.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char directory[] = "/tmp/riskgate-memif-XXXXXX";
static char path[64];

static int listen_at(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	strcpy(address.sun_path, path);
	assert(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	       listen(fd, 1) == 0);
	return fd;
}

static void test_path(void)
{
	char found[32];

	assert(rg_memif_socket_path("net_memif0,role=server,socket=/run/m.sock,socket-abstract=no",
				    found, sizeof(found)));
	assert(strcmp(found, "/run/m.sock") == 0);
	assert(rg_memif_socket_path("net_memif0,socket-abstract=no,socket=m.sock,role=server,id=1",
				    found, sizeof(found)));
	assert(strcmp(found, "m.sock") == 0);
	assert(!rg_memif_socket_path("net_memif0,role=client,socket=/run/m.sock,socket-abstract=no",
				     found, sizeof(found)));
	assert(!rg_memif_socket_path("net_memif0,role=server,socket=/run/m.sock", found,
				     sizeof(found)));
	assert(!rg_memif_socket_path(
		"net_memif0,role=server,xsocket=/run/m.sock,socket-abstract=no", found,
		sizeof(found)));
	assert(!rg_memif_socket_path("net_tap0,role=server,socket=/run/m.sock,socket-abstract=no",
				     found, sizeof(found)));
	assert(!rg_memif_socket_path("net_memif0", found, sizeof(found)));
	assert(!rg_memif_socket_path("net_memif0,role=server,socket-abstract=no,socket=/a/path/"
				     "that/is/much/too/long/for/it",
				     found, sizeof(found)));
}

static void test_clear(void)
{
	struct rg_error err;
	int fd;

	assert(rg_memif_socket_clear(path, &err) == RG_OK); /* nothing there */
	fd = listen_at();
	assert(rg_memif_socket_clear(path, &err) == RG_ECONFLICT &&
	       strstr(err.text, "another process"));
	assert(access(path, F_OK) == 0);
	close(fd);
	assert(rg_memif_socket_clear(path, &err) == RG_OK); /* left by a killed server */
	assert(access(path, F_OK) != 0);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert(rg_memif_socket_clear(path, &err) == RG_ECONFLICT && strstr(err.text, "no socket"));
	assert(access(path, F_OK) == 0);
	unlink(path);
}

int main(void)
{
	assert(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/memif.sock", directory);
	test_path();
	test_clear();
	rmdir(directory);
	return 0;
}
