/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/memif_socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The value of ",key=value" in a device string; its length in *bytes. NULL if the key is not there.
 */
static const char *device_value(const char *device, const char *key, size_t *bytes)
{
	size_t key_bytes = strlen(key);

	for (const char *at = strchr(device, ','); at; at = strchr(at, ',')) {
		at++;
		if (strncmp(at, key, key_bytes) == 0 && at[key_bytes] == '=') {
			*bytes = strcspn(at + key_bytes + 1, ",");
			return at + key_bytes + 1;
		}
	}
	return NULL;
}

static bool device_value_is(const char *device, const char *key, const char *wanted)
{
	size_t bytes;
	const char *value = device_value(device, key, &bytes);

	return value && bytes == strlen(wanted) && memcmp(value, wanted, bytes) == 0;
}

bool rg_memif_socket_path(const char *device, char *path, size_t path_bytes)
{
	size_t bytes;
	const char *value;

	if (strncmp(device, "net_memif", strlen("net_memif")) != 0 ||
	    !device_value_is(device, "role", "server") ||
	    !device_value_is(device, "socket-abstract", "no"))
		return false;
	value = device_value(device, "socket", &bytes);
	if (!value || bytes >= path_bytes)
		return false;
	memcpy(path, value, bytes);
	path[bytes] = '\0';
	return true;
}

/* Does a process listen on the socket file? */
static bool is_answered(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;
	bool answered;

	if (strlen(path) >= sizeof(address.sun_path))
		return false;
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	answered = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	return answered;
}

int rg_memif_socket_clear(const char *path, struct rg_error *err)
{
	struct stat status;

	if (lstat(path, &status) < 0) {
		if (errno == ENOENT)
			return RG_OK;
		return rg_error_set_errno(err, RG_EIO, errno, "memif socket %s", path);
	}
	if (!S_ISSOCK(status.st_mode))
		return rg_error_set(
			err, RG_ECONFLICT,
			"memif socket %s: the file there is no socket; remove it or name another",
			path);
	if (is_answered(path))
		return rg_error_set(
			err, RG_ECONFLICT,
			"memif socket %s: another process serves it; stop it or name another",
			path);
	if (unlink(path) < 0 && errno != ENOENT)
		return rg_error_set_errno(
			err, RG_EIO, errno,
			"memif socket %s: cannot remove what a killed server left", path);
	return RG_OK;
}
