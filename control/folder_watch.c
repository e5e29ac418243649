/* SPDX-License-Identifier: Apache-2.0 */
#include "control/folder_watch.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define NS_PER_MS      1000000ull
#define LOOK_PERIOD_NS (50 * NS_PER_MS) /* between reads of inotify */
#define QUIET_NS       (200 * NS_PER_MS)
#define SETTLE_MAX_NS  (2000 * NS_PER_MS)
#define STAT_PERIOD_NS (1000 * NS_PER_MS)
#define DEPTH_MAX      32
#define WATCHES_MAX    4096
#define EVENTS                                                                                     \
	(IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |   \
	 IN_MOVE_SELF | IN_ATTRIB)

struct rg_folder_watch {
	char path[PATH_MAX];
	int fd; /* of inotify; -1: none */
	uint32_t watches;
	bool is_watched, settling, seen;
	uint64_t first_event_ns, last_event_ns, next_look_ns, next_stat_ns;
	struct timespec modified; /* of the path, when it was last looked at */
};

static void watch_below(struct rg_folder_watch *watch, const char *folder, unsigned depth)
{
	DIR *stream;
	struct dirent *entry;

	if (depth > DEPTH_MAX || watch->watches >= WATCHES_MAX ||
	    inotify_add_watch(watch->fd, folder, EVENTS | IN_ONLYDIR) < 0)
		return;
	watch->watches++;
	watch->is_watched = true;
	stream = opendir(folder);
	while (stream && (entry = readdir(stream))) {
		char path[PATH_MAX];

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
		    snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >=
			    (int)sizeof(path))
			continue;
		watch_below(watch, path, depth + 1);
	}
	if (stream)
		closedir(stream);
}

/* Watch anew: folders may have come or gone. */
static void arm(struct rg_folder_watch *watch)
{
	char folder[PATH_MAX];
	struct stat status;

	if (watch->fd >= 0)
		close(watch->fd);
	watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	watch->watches = 0;
	watch->is_watched = false;
	if (watch->fd < 0 || stat(watch->path, &status))
		return;
	watch->modified = status.st_mtim;
	snprintf(folder, sizeof(folder), "%s", watch->path);
	if (!S_ISDIR(status.st_mode)) {
		char *slash = strrchr(folder, '/');

		if (slash)
			slash[slash == folder] = '\0';
	}
	watch_below(watch, folder, 0);
}

struct rg_folder_watch *rg_folder_watch_new(const char *path)
{
	struct rg_folder_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->fd = -1;
	snprintf(watch->path, sizeof(watch->path), "%s", path);
	return watch;
}

void rg_folder_watch_free(struct rg_folder_watch *watch)
{
	if (!watch)
		return;
	if (watch->fd >= 0)
		close(watch->fd);
	free(watch);
}

/* Read all events away. Returns whether there were any. */
static bool drain_events(struct rg_folder_watch *watch)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool any = false;

	while (watch->fd >= 0 && read(watch->fd, events, sizeof(events)) > 0)
		any = true;
	return any;
}

/* Without watches: does its modification time differ? */
static bool looks_changed(struct rg_folder_watch *watch, uint64_t now_ns)
{
	struct stat status;

	if (watch->is_watched || now_ns < watch->next_stat_ns)
		return false;
	watch->next_stat_ns = now_ns + STAT_PERIOD_NS;
	return !stat(watch->path, &status) && (status.st_mtim.tv_sec != watch->modified.tv_sec ||
					       status.st_mtim.tv_nsec != watch->modified.tv_nsec);
}

static void note_event(struct rg_folder_watch *watch, uint64_t now_ns)
{
	if (!watch->settling)
		watch->first_event_ns = now_ns;
	watch->settling = true;
	watch->last_event_ns = now_ns;
}

bool rg_folder_watch_changed(struct rg_folder_watch *watch, uint64_t now_ns)
{
	if (now_ns < watch->next_look_ns)
		return false;
	watch->next_look_ns = now_ns + LOOK_PERIOD_NS;
	if (!watch->seen) {
		if (access(watch->path, R_OK))
			return false;
		watch->seen = true;
		arm(watch);
		note_event(watch, now_ns); /* somebody may be filling it just now */
	}
	if (drain_events(watch) || looks_changed(watch, now_ns))
		note_event(watch, now_ns);
	if (!watch->settling || (now_ns - watch->last_event_ns < QUIET_NS &&
				 now_ns - watch->first_event_ns < SETTLE_MAX_NS))
		return false;
	watch->settling = false;
	arm(watch);
	return true;
}
