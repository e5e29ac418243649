/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/mailbox.h"

#include <stdio.h>
#include <string.h>

#include "shm/snapshot.h"

#define REQUEST_MAGIC	   0x5551455242584d52ull /* "RMXBREQU" */
#define REPLY_MAGIC	   0x4c50455242584d52ull /* "RMXBREPL" */
#define ANNOUNCEMENT_WORDS (sizeof(struct rg_mailbox_announcement) / 8)
#define PROGRESS_WORDS	   (sizeof(struct rg_mailbox_progress) / 8)

static const struct rg_object_kind request_kind = {"mailbox request", REQUEST_MAGIC,
						   RG_MAILBOX_VERSION, RG_SHM_LINE};
static const struct rg_object_kind reply_kind = {"mailbox reply", REPLY_MAGIC, RG_MAILBOX_VERSION,
						 RG_SHM_LINE};

const char *rg_mailbox_state_name(enum rg_mailbox_state state)
{
	static const char *const names[RG_MAILBOX_STATE_COUNT] = {
		"idle",	 "announced", "copying", "verifying", "swapping",
		"grace", "active",    "refused", "stuck"};

	return (uint32_t)state < RG_MAILBOX_STATE_COUNT ? names[state] : "unknown";
}

bool rg_mailbox_state_final(enum rg_mailbox_state state)
{
	return state == RG_MAILBOX_ACTIVE || state == RG_MAILBOX_REFUSED;
}

/* ---- ritual ---- */

uint64_t rg_mailbox_request_align(void)
{
	return RG_SHM_LINE;
}

uint64_t rg_mailbox_request_footprint(void)
{
	return sizeof(struct rg_mailbox_request);
}

struct rg_mailbox_request *rg_mailbox_request_new(void *sh_request)
{
	struct rg_mailbox_request *request = sh_request;

	if (!request || (uintptr_t)sh_request & (RG_SHM_LINE - 1))
		return NULL;
	memset(request, 0, sizeof(*request));
	rg_object_publish(&request->object, &request_kind, 0, sizeof(*request));
	return request;
}

int rg_mailbox_request_join(const void *sh_request, uint64_t mapped_bytes, struct rg_error *err)
{
	int status = rg_object_join(sh_request, mapped_bytes, &request_kind, err);

	if (!status && mapped_bytes < sizeof(struct rg_mailbox_request))
		status = rg_error_set(
			err, RG_ECORRUPT, "mailbox request: %llu bytes are mapped, it has %zu",
			(unsigned long long)mapped_bytes, sizeof(struct rg_mailbox_request));
	return status;
}

void *rg_mailbox_request_leave(struct rg_mailbox_request *request)
{
	return request;
}

void rg_mailbox_request_delete(struct rg_mailbox_request *request)
{
	rg_object_unpublish(&request->object);
}

uint64_t rg_mailbox_reply_align(void)
{
	return RG_SHM_LINE;
}

uint64_t rg_mailbox_reply_footprint(void)
{
	return sizeof(struct rg_mailbox_reply);
}

struct rg_mailbox_reply *rg_mailbox_reply_new(void *sh_reply)
{
	struct rg_mailbox_reply *reply = sh_reply;

	if (!reply || (uintptr_t)sh_reply & (RG_SHM_LINE - 1))
		return NULL;
	memset(reply, 0, sizeof(*reply));
	rg_object_publish(&reply->object, &reply_kind, 0, sizeof(*reply));
	return reply;
}

int rg_mailbox_reply_join(const void *sh_reply, uint64_t mapped_bytes, struct rg_error *err)
{
	int status = rg_object_join(sh_reply, mapped_bytes, &reply_kind, err);

	if (!status && mapped_bytes < sizeof(struct rg_mailbox_reply))
		status = rg_error_set(
			err, RG_ECORRUPT, "mailbox reply: %llu bytes are mapped, it has %zu",
			(unsigned long long)mapped_bytes, sizeof(struct rg_mailbox_reply));
	return status;
}

void *rg_mailbox_reply_leave(struct rg_mailbox_reply *reply)
{
	return reply;
}

void rg_mailbox_reply_delete(struct rg_mailbox_reply *reply)
{
	rg_object_unpublish(&reply->object);
}

/* ---- reading ---- */

int rg_mailbox_read_request(const struct rg_mailbox_request *request,
			    struct rg_mailbox_announcement *announcement)
{
	uint64_t words[ANNOUNCEMENT_WORDS];

	if (!request ||
	    !rg_snapshot_read(&request->version, request->words, words, ANNOUNCEMENT_WORDS))
		return RG_EAGAIN;
	memcpy(announcement, words, sizeof(words));
	return RG_OK;
}

/* Words of a peer, or of a dead predecessor, may hold anything. */
static void sanitize(struct rg_mailbox_progress *progress)
{
	if (progress->state >= RG_MAILBOX_STATE_COUNT)
		progress->state = RG_MAILBOX_IDLE;
	progress->text[sizeof(progress->text) - 1] = '\0';
}

int rg_mailbox_read_reply(const struct rg_mailbox_reply *reply,
			  struct rg_mailbox_progress *progress)
{
	uint64_t words[PROGRESS_WORDS];

	if (!reply || !rg_snapshot_read(&reply->version, reply->words, words, PROGRESS_WORDS))
		return RG_EAGAIN;
	memcpy(progress, words, sizeof(words));
	sanitize(progress);
	return RG_OK;
}

/* ---- control ---- */

static void write_request(struct rg_mailbox_request *request,
			  const struct rg_mailbox_announcement *announcement)
{
	uint64_t words[ANNOUNCEMENT_WORDS];

	memcpy(words, announcement, sizeof(words));
	rg_snapshot_write(&request->version, request->words, words, ANNOUNCEMENT_WORDS);
}

uint64_t rg_mailbox_next_sequence(const struct rg_mailbox_request *request,
				  const struct rg_mailbox_reply *reply, uint64_t floor)
{
	struct rg_mailbox_announcement announcement;
	struct rg_mailbox_progress progress;
	uint64_t highest = floor;

	if (!rg_mailbox_read_request(request, &announcement) && announcement.sequence > highest)
		highest = announcement.sequence;
	if (!rg_mailbox_read_reply(reply, &progress)) {
		if (progress.sequence > highest)
			highest = progress.sequence;
		if (progress.active_sequence > highest)
			highest = progress.active_sequence;
	}
	return highest + 1;
}

void rg_mailbox_request_repair(struct rg_mailbox_request *request)
{
	struct rg_mailbox_announcement announcement = {0};
	uint64_t words[ANNOUNCEMENT_WORDS];

	/* relaxed: the writer is gone */
	if (!(atomic_load_explicit(&request->version, memory_order_relaxed) & 1))
		return;
	rg_snapshot_read_torn(request->words, words, ANNOUNCEMENT_WORDS);
	announcement.sequence = words[0]; /* old or new: with image_bytes 0 it announces nothing */
	write_request(request, &announcement);
}

int rg_mailbox_announce(struct rg_mailbox_request *request,
			const struct rg_mailbox_announcement *announcement, struct rg_error *err)
{
	struct rg_mailbox_announcement last;

	if (!announcement->sequence || !announcement->image_bytes ||
	    announcement->crc32c > UINT32_MAX)
		return rg_error_set(
			err, RG_EINVAL,
			"announcement: sequence %llu, image_bytes %llu, crc32c %llx: out of range",
			(unsigned long long)announcement->sequence,
			(unsigned long long)announcement->image_bytes,
			(unsigned long long)announcement->crc32c);
	if (!rg_mailbox_read_request(request, &last) && announcement->sequence < last.sequence)
		return rg_error_set(
			err, RG_ECONFLICT,
			"announcement: sequence %llu is older than %llu, the one announced last",
			(unsigned long long)announcement->sequence,
			(unsigned long long)last.sequence);
	write_request(request, announcement);
	return RG_OK;
}

int rg_mailbox_result(const struct rg_mailbox_reply *reply, uint64_t sequence,
		      struct rg_mailbox_progress *progress)
{
	int status = rg_mailbox_read_reply(reply, progress);

	if (status || progress->sequence < sequence)
		return RG_EAGAIN;
	return progress->sequence == sequence ? RG_OK : RG_ECONFLICT;
}

/* ---- publisher ---- */

static void write_reply(struct rg_mailbox_publisher *publisher)
{
	uint64_t words[PROGRESS_WORDS];

	memcpy(words, &publisher->progress, sizeof(words));
	rg_snapshot_write(&publisher->reply->version, publisher->reply->words, words,
			  PROGRESS_WORDS);
}

static void enter(struct rg_mailbox_progress *progress, enum rg_mailbox_state state,
		  uint64_t now_ns)
{
	progress->state = state;
	progress->entered_ns[state] = now_ns;
}

/* Begin to tell about another sequence, or about the same one again. */
static void begin(struct rg_mailbox_progress *progress, uint64_t sequence)
{
	progress->sequence = sequence;
	progress->stuck_worker = 0;
	memset(progress->entered_ns, 0, sizeof(progress->entered_ns));
	memset(progress->text, 0, sizeof(progress->text));
}

void rg_mailbox_restart(struct rg_mailbox_publisher *publisher, struct rg_mailbox_reply *reply,
			uint64_t loaded_sequence, uint64_t loaded_bytes, uint64_t now_ns)
{
	struct rg_mailbox_progress *progress = &publisher->progress;
	uint64_t words[PROGRESS_WORDS];
	/* relaxed: the writer is gone */
	bool torn = atomic_load_explicit(&reply->version, memory_order_relaxed) & 1;

	memset(publisher, 0, sizeof(*publisher));
	publisher->reply = reply;
	rg_snapshot_read_torn(reply->words, words, PROGRESS_WORDS);
	memcpy(progress, words, sizeof(words));
	sanitize(progress);
	/* Died while writing: the sequence may be the new one and the state still that of the one
	 * before. */
	if (torn && progress->state == RG_MAILBOX_REFUSED)
		progress->state = RG_MAILBOX_ANNOUNCED;
	if (progress->active_sequence != loaded_sequence || !progress->active_since_ns)
		progress->active_since_ns = loaded_sequence ? now_ns : 0;
	progress->active_sequence = loaded_sequence;
	progress->active_bytes = loaded_sequence ? loaded_bytes : 0;
	if (progress->sequence <= loaded_sequence && loaded_sequence) {
		if (progress->sequence < loaded_sequence)
			begin(progress, loaded_sequence);
		if (progress->state != RG_MAILBOX_ACTIVE ||
		    !progress->entered_ns[RG_MAILBOX_ACTIVE])
			enter(progress, RG_MAILBOX_ACTIVE, now_ns);
		progress->stuck_worker = 0;
		memset(progress->text, 0, sizeof(progress->text));
	} else if (progress->sequence && progress->state != RG_MAILBOX_REFUSED) {
		begin(progress, progress->sequence);
		enter(progress, RG_MAILBOX_ANNOUNCED, now_ns);
	}
	write_reply(publisher);
}

int rg_mailbox_poll(struct rg_mailbox_publisher *publisher,
		    const struct rg_mailbox_request *request,
		    struct rg_mailbox_announcement *announcement)
{
	struct rg_mailbox_progress *progress = &publisher->progress;

	if (publisher->busy || rg_mailbox_read_request(request, announcement) ||
	    !announcement->sequence || !announcement->image_bytes)
		return RG_EAGAIN;
	if (announcement->sequence < progress->sequence ||
	    announcement->sequence < progress->active_sequence) {
		if (announcement->sequence != publisher->ignored_sequence) {
			publisher->ignored_sequence = announcement->sequence;
			progress->ignored++;
			write_reply(publisher);
		}
		return RG_EAGAIN;
	}
	if (announcement->sequence == progress->sequence &&
	    rg_mailbox_state_final((enum rg_mailbox_state)progress->state))
		return RG_EAGAIN;
	publisher->announced_ns = announcement->announced_ns;
	return RG_OK;
}

/* May the publisher go from the present state to step->state? The arrows [p] of the drawing. */
static bool arrow(const struct rg_mailbox_publisher *publisher, const struct rg_mailbox_step *step)
{
	static const uint16_t arrows[RG_MAILBOX_STATE_COUNT] = {
		[RG_MAILBOX_COPYING] = 1u << RG_MAILBOX_VERIFYING | 1u << RG_MAILBOX_REFUSED,
		[RG_MAILBOX_VERIFYING] = 1u << RG_MAILBOX_SWAPPING | 1u << RG_MAILBOX_REFUSED,
		[RG_MAILBOX_SWAPPING] = 1u << RG_MAILBOX_GRACE,
		[RG_MAILBOX_GRACE] = 1u << RG_MAILBOX_ACTIVE | 1u << RG_MAILBOX_STUCK,
		[RG_MAILBOX_STUCK] = 1u << RG_MAILBOX_ACTIVE | 1u << RG_MAILBOX_STUCK,
	};
	const struct rg_mailbox_progress *progress = &publisher->progress;

	if (!step->sequence || (uint32_t)step->state >= RG_MAILBOX_STATE_COUNT)
		return false;
	if (step->state == RG_MAILBOX_COPYING)
		return !publisher->busy &&
		       (step->sequence > progress->sequence ||
			(step->sequence == progress->sequence &&
			 !rg_mailbox_state_final((enum rg_mailbox_state)progress->state)));
	return publisher->busy && step->sequence == progress->sequence &&
	       arrows[progress->state] >> step->state & 1;
}

int rg_mailbox_acknowledge(struct rg_mailbox_publisher *publisher,
			   const struct rg_mailbox_step *step, struct rg_error *err)
{
	struct rg_mailbox_progress *progress = &publisher->progress;

	if (!arrow(publisher, step))
		return rg_error_set(err, RG_EINVAL,
				    "mailbox: sequence %llu is %s: sequence %llu cannot become %s",
				    (unsigned long long)progress->sequence,
				    rg_mailbox_state_name((enum rg_mailbox_state)progress->state),
				    (unsigned long long)step->sequence,
				    rg_mailbox_state_name(step->state));
	if (step->state == RG_MAILBOX_COPYING) {
		begin(progress, step->sequence);
		progress->entered_ns[RG_MAILBOX_ANNOUNCED] = publisher->announced_ns;
	}
	if (step->state == RG_MAILBOX_SWAPPING) {
		progress->active_sequence = step->sequence;
		progress->active_bytes = step->image_bytes;
		progress->active_since_ns = step->now_ns;
	}
	progress->stuck_worker = step->state == RG_MAILBOX_STUCK ? step->stuck_worker : 0;
	memset(progress->text, 0, sizeof(progress->text));
	if (step->text)
		snprintf(progress->text, sizeof(progress->text), "%s", step->text);
	enter(progress, step->state, step->now_ns);
	publisher->busy = !rg_mailbox_state_final(step->state);
	write_reply(publisher);
	return RG_OK;
}
