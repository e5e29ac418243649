/* SPDX-License-Identifier: Apache-2.0 */
#include "control/fleet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundle/members.h"

#define RETRY_NS	1000000000ull
#define KNOWN_BYTES_MAX 65536

const char *rg_fleet_state_name(enum rg_fleet_state state)
{
	static const char *const names[] = {"following", "offering", "fetching", "pushing"};

	return names[state];
}

void rg_fleet_file(const struct rg_fleet *fleet, char *path, size_t path_bytes)
{
	snprintf(path, path_bytes, "%s/fleet-bundle.tar.gz", fleet->state_directory);
}

/* ---- what is known, on disk ---- */

static void known_path(const struct rg_fleet *fleet, char *path, size_t path_bytes)
{
	snprintf(path, path_bytes, "%s/fleet.json", fleet->state_directory);
}

static int write_known(const char *path, const char *text, size_t bytes)
{
	char temporary[1100];
	int fd, failed;

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0)
		return errno;
	failed = write(fd, text, bytes) != (ssize_t)bytes || fsync(fd) ? errno : 0;
	close(fd);
	return !failed && rename(temporary, path) ? errno : failed;
}

/* Not durable is not fatal: after a restart the fleet's revision is fetched again. */
static void know(struct rg_fleet *fleet, const struct rg_fleet_revision *revision)
{
	struct rg_json_writer writer;
	char path[1024];
	int failed;

	fleet->known = *revision;
	known_path(fleet, path, sizeof(path));
	rg_json_writer_init(&writer, true);
	rg_fleet_revision_write(revision, &writer);
	failed = writer.failed ? ENOMEM : write_known(path, writer.text, writer.bytes);
	if (failed)
		snprintf(fleet->last_error, sizeof(fleet->last_error), "%s: %s", path,
			 strerror(failed));
	rg_json_writer_free(&writer);
}

int rg_fleet_init(struct rg_fleet *fleet, const char *state_directory,
		  const struct rg_fleet_link *link, struct rg_error *err)
{
	char path[1024], *text;
	size_t bytes;
	int rc;

	memset(fleet, 0, sizeof(*fleet));
	fleet->link = link;
	fleet->state_directory = state_directory;
	known_path(fleet, path, sizeof(path));
	rc = rg_member_read_file(AT_FDCWD, path, KNOWN_BYTES_MAX, &text, &bytes, err);
	if (rc == RG_ENOENT)
		return RG_OK;
	if (rc)
		return rc;
	rc = rg_fleet_revision_read(text, bytes, &fleet->known, err);
	free(text);
	return rc ? rg_error_set(err, RG_ECORRUPT,
				 "%s is no revision: remove it, and the fleet's is fetched again",
				 path)
		  : RG_OK;
}

static void follow(struct rg_fleet *fleet)
{
	fleet->state = RG_FLEET_FOLLOWING;
	fleet->is_asked = false;
}

/* ---- pushes ---- */

void rg_fleet_pushed(struct rg_fleet *fleet, const struct rg_policy_meta *meta, uint32_t node,
		     const char *path)
{
	struct rg_fleet_revision *own = &fleet->own;

	memset(own, 0, sizeof(*own));
	own->node = node;
	snprintf(own->sha256, sizeof(own->sha256), "%s", meta->sha256);
	snprintf(own->bundle, sizeof(own->bundle), "%s", meta->bundle);
	snprintf(own->revision, sizeof(own->revision), "%s", meta->revision);
	snprintf(own->user, sizeof(own->user), "%s", meta->user);
	snprintf(own->why, sizeof(own->why), "%s", meta->why);
	snprintf(own->reason, sizeof(own->reason), "%s", meta->reason);
	snprintf(fleet->own_path, sizeof(fleet->own_path), "%s", path);
	fleet->has_own = true;
	fleet->retry_ns = 0;
}

void rg_fleet_received(struct rg_fleet *fleet, bool is_active, const char *halted)
{
	if (fleet->state != RG_FLEET_PUSHING)
		return;
	if (is_active)
		fleet->statistics.received++;
	else
		fleet->statistics.refused++;
	snprintf(fleet->wanted.halted, sizeof(fleet->wanted.halted), "%s", halted);
	know(fleet, &fleet->wanted);
	follow(fleet);
}

/* ---- events ---- */

static void failed(struct rg_fleet *fleet, const char *text, uint64_t now_ns)
{
	fleet->statistics.failures++;
	snprintf(fleet->last_error, sizeof(fleet->last_error), "%s", text);
	fleet->retry_ns = now_ns + RETRY_NS;
	if (fleet->state == RG_FLEET_OFFERING || fleet->state == RG_FLEET_FETCHING)
		follow(fleet);
}

static void offered(struct rg_fleet *fleet, const struct rg_fleet_revision *revision)
{
	bool is_own = fleet->has_own && !strcmp(fleet->own.sha256, revision->sha256);

	if (is_own)
		fleet->statistics.offered++;
	else
		fleet->statistics.restored++;
	fleet->has_own = fleet->has_own && !is_own;
	if (revision->number > fleet->current.number) /* else a CURRENT has told of a newer one */
		fleet->current = *revision;
	know(fleet, revision);
	follow(fleet);
}

void rg_fleet_event(struct rg_fleet *fleet, const struct rg_fleet_event *event, uint64_t now_ns)
{
	switch (event->kind) {
	case RG_FLEET_AWAY:
		fleet->reachable = false;
		failed(fleet, event->text, now_ns);
		break;
	case RG_FLEET_CURRENT:
		if (!fleet->reachable)
			fleet->retry_ns = 0;
		fleet->reachable = true;
		fleet->current = event->revision;
		if (fleet->current.number == fleet->known.number && fleet->current.halted[0] &&
		    !fleet->known.halted[0])
			know(fleet, &fleet->current);
		break;
	case RG_FLEET_OFFERED: offered(fleet, &event->revision); break;
	case RG_FLEET_OLDER: /* with a larger number, once CURRENT has told of it */
		fleet->retry_ns = 0;
		follow(fleet);
		break;
	case RG_FLEET_FETCHED:
		if (fleet->state == RG_FLEET_FETCHING)
			fleet->state = RG_FLEET_PUSHING;
		fleet->is_asked = false;
		break;
	case RG_FLEET_BAD:
		if (fleet->state == RG_FLEET_FETCHING) {
			fleet->statistics.refused++;
			know(fleet, &fleet->wanted);
		}
		failed(fleet, event->text, now_ns);
		break;
	default: break; /* the lock's */
	}
}

/* ---- turns ---- */

static void want(struct rg_fleet *fleet, enum rg_fleet_state state, enum rg_fleet_request_kind kind,
		 const char *path)
{
	struct rg_fleet_request request = {.kind = kind, .revision = fleet->wanted};

	snprintf(request.path, sizeof(request.path), "%s", path);
	if (fleet->link->submit(fleet->link->context, &request)) {
		fleet->state = state;
		fleet->is_asked = true;
	}
}

static uint64_t newest_number(const struct rg_fleet *fleet)
{
	return fleet->current.number > fleet->known.number ? fleet->current.number
							   : fleet->known.number;
}

/* What FOLLOWING has to do, if anything. A push of our own is newer than all that is known. */
static void look_around(struct rg_fleet *fleet, const struct rg_fleet_running *running,
			uint64_t now_ns)
{
	char path[1024];

	if (fleet->has_own && strcmp(fleet->own.sha256, running->sha256))
		fleet->has_own = false; /* overtaken by one of the fleet's */
	if (fleet->has_own && fleet->current.number >= fleet->known.number &&
	    !strcmp(fleet->own.sha256, fleet->current.sha256))
		fleet->has_own = false; /* another node was quicker with the same */
	if (fleet->has_own) {
		fleet->wanted = fleet->own;
		fleet->wanted.number = newest_number(fleet) + 1;
		want(fleet, RG_FLEET_OFFERING, RG_FLEET_OFFER, fleet->own_path);
	} else if (fleet->current.number > fleet->known.number) {
		fleet->wanted = fleet->current;
		if (!strcmp(fleet->current.sha256, running->sha256)) {
			know(fleet, &fleet->current);
			return;
		}
		if (fleet->current.halted[0])
			return; /* until there is a newer one */
		rg_fleet_file(fleet, path, sizeof(path));
		want(fleet, RG_FLEET_FETCHING, RG_FLEET_FETCH, path);
	} else if (fleet->current.number == fleet->known.number && fleet->known.halted[0] &&
		   !fleet->current.halted[0]) {
		struct rg_fleet_request halt = {.kind = RG_FLEET_HALT, .revision = fleet->known};

		/* the next CURRENT tells whether it is marked now */
		fleet->link->submit(fleet->link->context, &halt);
		fleet->retry_ns = now_ns + RETRY_NS;
	} else if (fleet->current.number < fleet->known.number && running->path[0] &&
		   !strcmp(fleet->known.sha256, running->sha256)) {
		fleet->wanted = fleet->known; /* Redis has lost it */
		want(fleet, RG_FLEET_OFFERING, RG_FLEET_OFFER, running->path);
	}
}

bool rg_fleet_step(struct rg_fleet *fleet, const struct rg_fleet_running *running, uint64_t now_ns)
{
	bool was_pushing = fleet->state == RG_FLEET_PUSHING;

	if (fleet->state == RG_FLEET_FOLLOWING && fleet->reachable && now_ns >= fleet->retry_ns)
		look_around(fleet, running, now_ns);
	if (!was_pushing || fleet->is_asked)
		return false;
	fleet->is_asked = true; /* of the caller */
	return true;
}
