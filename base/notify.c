/* SPDX-License-Identifier: Apache-2.0 */
#include "base/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void rg_notify_open(struct rg_notify *notify)
{
	const char *path = getenv("NOTIFY_SOCKET");
	const char *watchdog = getenv("WATCHDOG_USEC");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t bytes;

	*notify = (struct rg_notify){.fd = -1};
	if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, strlen(path));
	bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (path[0] == '@')
		address.sun_path[0] = '\0'; /* abstract name */
	notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (notify->fd >= 0 && connect(notify->fd, (struct sockaddr *)&address, bytes) < 0)
		rg_notify_close(notify);
	if (watchdog)
		notify->period_ns = strtoull(watchdog, NULL, 10) * 1000 / 2;
}

void rg_notify_send(struct rg_notify *notify, const char *state)
{
	if (notify->fd >= 0 && send(notify->fd, state, strlen(state), MSG_NOSIGNAL) < 0)
		return; /* systemd will notice the silence */
}

void rg_notify_watchdog(struct rg_notify *notify, uint64_t monotonic_ns)
{
	if (notify->period_ns == 0 || monotonic_ns < notify->next_ns)
		return;
	notify->next_ns = monotonic_ns + notify->period_ns;
	rg_notify_send(notify, "WATCHDOG=1");
}

void rg_notify_close(struct rg_notify *notify)
{
	if (notify->fd >= 0)
		close(notify->fd);
	notify->fd = -1;
}
