/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/mailbox.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/test_random.h"
#include "shm/test_ritual.h"

static void *make_request(void *sh_request)
{
	return rg_mailbox_request_new(sh_request);
}

static void remove_request(void *request)
{
	rg_mailbox_request_delete(request);
}

static void *make_reply(void *sh_reply)
{
	return rg_mailbox_reply_new(sh_reply);
}

static void remove_reply(void *reply)
{
	rg_mailbox_reply_delete(reply);
}

/* Both halves and both sides. */
struct box {
	struct rg_mailbox_request *request;
	struct rg_mailbox_reply *reply;
	struct rg_mailbox_publisher publisher;
	uint64_t now_ns;
};

static void box_init(struct box *box)
{
	box->request = rg_mailbox_request_new(aligned_alloc(4096, 4096));
	box->reply = rg_mailbox_reply_new(aligned_alloc(4096, 4096));
	assert(box->request && box->reply);
	box->now_ns = 1000;
	rg_mailbox_restart(&box->publisher, box->reply, 0, 0, box->now_ns);
}

static void box_free(struct box *box)
{
	free(rg_mailbox_request_leave(box->request));
	free(rg_mailbox_reply_leave(box->reply));
}

static int announce(struct box *box, uint64_t sequence)
{
	const struct rg_mailbox_announcement announcement = {.sequence = sequence,
							     .image_bytes = 100 + sequence,
							     .crc32c = 7,
							     .announced_ns = ++box->now_ns};

	return rg_mailbox_announce(box->request, &announcement, NULL);
}

static int poll_box(struct box *box, uint64_t *sequence)
{
	struct rg_mailbox_announcement announcement;
	int status = rg_mailbox_poll(&box->publisher, box->request, &announcement);

	*sequence = status ? 0 : announcement.sequence;
	return status;
}

static int step(struct box *box, uint64_t sequence, enum rg_mailbox_state state)
{
	const struct rg_mailbox_step step = {
		.sequence = sequence,
		.state = state,
		.image_bytes = 100 + sequence,
		.stuck_worker = 3,
		.text = state == RG_MAILBOX_REFUSED || state == RG_MAILBOX_STUCK ? "because" : NULL,
		.now_ns = ++box->now_ns};

	return rg_mailbox_acknowledge(&box->publisher, &step, NULL);
}

/* All steps of a publish up to and with `last`. */
static void steps_to(struct box *box, uint64_t sequence, enum rg_mailbox_state last)
{
	static const enum rg_mailbox_state order[] = {RG_MAILBOX_COPYING,  RG_MAILBOX_VERIFYING,
						      RG_MAILBOX_SWAPPING, RG_MAILBOX_GRACE,
						      RG_MAILBOX_STUCK,	   RG_MAILBOX_ACTIVE};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (order[i] == RG_MAILBOX_STUCK && last == RG_MAILBOX_ACTIVE)
			continue;
		assert(step(box, sequence, order[i]) == RG_OK);
		if (order[i] == last)
			return;
	}
}

static struct rg_mailbox_progress progress_of(const struct box *box)
{
	struct rg_mailbox_progress progress;

	assert(rg_mailbox_read_reply(box->reply, &progress) == RG_OK);
	return progress;
}

static void test_publish(void)
{
	struct rg_mailbox_progress progress;
	struct box box;
	uint64_t sequence;

	box_init(&box);
	assert(poll_box(&box, &sequence) == RG_EAGAIN); /* nothing was announced */
	assert(rg_mailbox_next_sequence(box.request, box.reply, 0) == 1);
	assert(rg_mailbox_next_sequence(NULL, NULL, 41) == 42);
	assert(announce(&box, 1) == RG_OK);
	assert(rg_mailbox_result(box.reply, 1, &progress) == RG_EAGAIN);
	assert(rg_mailbox_result(NULL, 1, &progress) == RG_EAGAIN);
	assert(poll_box(&box, &sequence) == RG_OK && sequence == 1);
	assert(poll_box(&box, &sequence) == RG_OK && sequence == 1); /* until it is begun */
	steps_to(&box, 1, RG_MAILBOX_STUCK);
	progress = progress_of(&box);
	assert(progress.state == RG_MAILBOX_STUCK && progress.stuck_worker == 3 &&
	       !strcmp(progress.text, "because") && progress.active_sequence == 1);
	assert(poll_box(&box, &sequence) == RG_EAGAIN); /* busy */
	assert(step(&box, 1, RG_MAILBOX_STUCK) == RG_OK &&
	       step(&box, 1, RG_MAILBOX_ACTIVE) == RG_OK);
	assert(rg_mailbox_result(box.reply, 1, &progress) == RG_OK);
	assert(progress.state == RG_MAILBOX_ACTIVE && !progress.stuck_worker && !*progress.text &&
	       progress.active_bytes == 101);
	for (int state = RG_MAILBOX_ANNOUNCED; state < RG_MAILBOX_STATE_COUNT; state++)
		assert(!progress.entered_ns[state] == (state == RG_MAILBOX_REFUSED));
	assert(announce(&box, 1) == RG_OK); /* repeated */
	assert(poll_box(&box, &sequence) == RG_EAGAIN && !progress_of(&box).ignored);
	assert(announce(&box, 2) == RG_OK && poll_box(&box, &sequence) == RG_OK);
	assert(step(&box, 2, RG_MAILBOX_COPYING) == RG_OK &&
	       step(&box, 2, RG_MAILBOX_REFUSED) == RG_OK);
	progress = progress_of(&box);
	assert(progress.sequence == 2 && progress.active_sequence == 1 &&
	       !strcmp(progress.text, "because"));
	assert(rg_mailbox_result(box.reply, 1, &progress) == RG_ECONFLICT);
	assert(rg_mailbox_next_sequence(box.request, box.reply, 0) == 3);
	assert(!strcmp(rg_mailbox_state_name(RG_MAILBOX_STUCK), "stuck") &&
	       !strcmp(rg_mailbox_state_name(RG_MAILBOX_STATE_COUNT), "unknown"));
	box_free(&box);
}

static void test_announcements(void)
{
	static const struct rg_mailbox_announcement bad[] = {
		{.sequence = 0, .image_bytes = 1},
		{.sequence = 1, .image_bytes = 0},
		{.sequence = 1, .image_bytes = 1, .crc32c = 1ull << 32}};
	struct rg_error err;
	struct box box;
	uint64_t sequence;

	box_init(&box);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert(rg_mailbox_announce(box.request, &bad[i], &err) == RG_EINVAL);
	assert(announce(&box, 5) == RG_OK && announce(&box, 4) == RG_ECONFLICT);
	/* The newest wins: 5 is begun, 6 and 7 come meanwhile. */
	assert(poll_box(&box, &sequence) == RG_OK && step(&box, 5, RG_MAILBOX_COPYING) == RG_OK);
	assert(announce(&box, 6) == RG_OK && announce(&box, 7) == RG_OK);
	assert(poll_box(&box, &sequence) == RG_EAGAIN);
	assert(step(&box, 5, RG_MAILBOX_REFUSED) == RG_OK);
	assert(poll_box(&box, &sequence) == RG_OK && sequence == 7);
	steps_to(&box, 7, RG_MAILBOX_ACTIVE);
	/* Control lost its file and, not looking, began again at 1: ignored, counted once. */
	rg_mailbox_request_new(box.request);
	assert(announce(&box, 1) == RG_OK);
	assert(poll_box(&box, &sequence) == RG_EAGAIN && poll_box(&box, &sequence) == RG_EAGAIN);
	assert(progress_of(&box).ignored == 1);
	assert(rg_mailbox_next_sequence(box.request, box.reply, 0) == 8); /* had it looked */
	/* No request at all. */
	assert(rg_mailbox_poll(&box.publisher, NULL, &(struct rg_mailbox_announcement){0}) ==
	       RG_EAGAIN);
	box_free(&box);
}

/* Control is killed after each word that announcing stores. */
static void test_control_killed(void)
{
	enum { WORDS = sizeof(struct rg_mailbox_announcement) / 8 };

	for (int stored = 0; stored <= WORDS; stored++) {
		struct box box, next;
		uint64_t sequence;

		box_init(&box);
		box_init(&next);
		assert(announce(&box, 1) == RG_OK && poll_box(&box, &sequence) == RG_OK);
		steps_to(&box, 1, RG_MAILBOX_ACTIVE);
		assert(announce(&next, 2) == RG_OK);
		atomic_fetch_add(&box.request->version, 1);
		for (int i = 0; i < stored; i++)
			atomic_store(&box.request->words[i], atomic_load(&next.request->words[i]));
		assert(poll_box(&box, &sequence) == RG_EAGAIN); /* half an announcement is none */
		rg_mailbox_request_repair(box.request);
		assert(poll_box(&box, &sequence) == RG_EAGAIN);
		assert(rg_mailbox_next_sequence(box.request, box.reply, 0) == (stored ? 3 : 2));
		assert(announce(&box, 3) == RG_OK);
		assert(poll_box(&box, &sequence) == RG_OK && sequence == 3);
		rg_mailbox_request_repair(box.request); /* whole: left alone */
		assert(poll_box(&box, &sequence) == RG_OK && sequence == 3);
		box_free(&next);
		box_free(&box);
	}
}

/* The data plane is killed in each state of publishing 2 over 1, and comes back with 1 or 2 loaded.
 */
static void test_publisher_killed(void)
{
	static const enum rg_mailbox_state last[] = {RG_MAILBOX_COPYING,  RG_MAILBOX_VERIFYING,
						     RG_MAILBOX_SWAPPING, RG_MAILBOX_GRACE,
						     RG_MAILBOX_STUCK,	  RG_MAILBOX_ACTIVE};

	for (size_t i = 0; i < sizeof(last) / sizeof(last[0]); i++) {
		for (uint64_t loaded = 0; loaded <= 2; loaded++) {
			struct rg_mailbox_progress progress;
			struct box box;
			uint64_t sequence;

			box_init(&box);
			assert(announce(&box, 1) == RG_OK && poll_box(&box, &sequence) == RG_OK);
			steps_to(&box, 1, RG_MAILBOX_ACTIVE);
			assert(announce(&box, 2) == RG_OK && poll_box(&box, &sequence) == RG_OK);
			steps_to(&box, 2, last[i]);
			rg_mailbox_restart(&box.publisher, box.reply, loaded, 100 + loaded,
					   ++box.now_ns);
			progress = progress_of(&box);
			assert(progress.active_sequence == loaded && progress.sequence == 2);
			if (loaded == 2) {
				assert(progress.state == RG_MAILBOX_ACTIVE);
				assert(poll_box(&box, &sequence) == RG_EAGAIN);
			} else {
				assert(progress.state == RG_MAILBOX_ANNOUNCED);
				assert(poll_box(&box, &sequence) == RG_OK && sequence == 2);
				steps_to(&box, 2, RG_MAILBOX_ACTIVE);
			}
			box_free(&box);
		}
	}
}

/* It is killed in the middle of storing a reply: COPYING of 2 after 1 was refused or active. */
static void test_reply_torn(void)
{
	enum { WORDS = sizeof(struct rg_mailbox_progress) / 8 };

	for (int refused = 0; refused < 2; refused++) {
		for (int stored = 0; stored <= WORDS; stored++) {
			struct box box, next;
			uint64_t sequence;

			for (int k = 0; k < 2; k++) {
				struct box *to = k ? &next : &box;

				box_init(to);
				assert(announce(to, 1) == RG_OK &&
				       poll_box(to, &sequence) == RG_OK);
				if (refused) {
					steps_to(to, 1, RG_MAILBOX_VERIFYING);
					assert(step(to, 1, RG_MAILBOX_REFUSED) == RG_OK);
				} else {
					steps_to(to, 1, RG_MAILBOX_ACTIVE);
				}
				assert(announce(to, 2) == RG_OK &&
				       poll_box(to, &sequence) == RG_OK);
			}
			assert(step(&next, 2, RG_MAILBOX_COPYING) == RG_OK);
			atomic_fetch_add(&box.reply->version, 1);
			for (int i = 0; i < stored; i++)
				atomic_store(&box.reply->words[i],
					     atomic_load(&next.reply->words[i]));
			rg_mailbox_restart(&box.publisher, box.reply, refused ? 0 : 1,
					   refused ? 0 : 101, ++box.now_ns);
			assert(progress_of(&box).active_sequence == (refused ? 0u : 1u));
			assert(poll_box(&box, &sequence) == RG_OK && sequence == 2);
			steps_to(&box, 2, RG_MAILBOX_ACTIVE);
			box_free(&next);
			box_free(&box);
		}
	}
}

/* Files that are new on one side only. */
static void test_new_files(void)
{
	struct rg_mailbox_progress progress;
	struct box box;
	uint64_t sequence;

	box_init(&box);
	assert(announce(&box, 9) == RG_OK && poll_box(&box, &sequence) == RG_OK);
	steps_to(&box, 9, RG_MAILBOX_ACTIVE);
	/* The dataplane file is made anew, active-9 is still there: nothing to do. */
	rg_mailbox_reply_new(box.reply);
	rg_mailbox_restart(&box.publisher, box.reply, 9, 109, ++box.now_ns);
	progress = progress_of(&box);
	assert(progress.sequence == 9 && progress.state == RG_MAILBOX_ACTIVE);
	assert(poll_box(&box, &sequence) == RG_EAGAIN);
	/* And with active-9 gone too: again. */
	rg_mailbox_reply_new(box.reply);
	rg_mailbox_restart(&box.publisher, box.reply, 0, 0, ++box.now_ns);
	assert(progress_of(&box).state == RG_MAILBOX_IDLE);
	assert(poll_box(&box, &sequence) == RG_OK && sequence == 9);
	/* A reply full of noise is made sense of. */
	for (size_t i = 0; i < sizeof(box.reply->words) / 8; i++)
		atomic_store(&box.reply->words[i], UINT64_MAX);
	progress = progress_of(&box);
	assert(progress.state == RG_MAILBOX_IDLE &&
	       strlen(progress.text) == RG_MAILBOX_TEXT_BYTES - 1);
	box_free(&box);
}

/* Random steps: those of the drawing's arrows are taken, all others refused. */
static void test_model(void)
{
	static const char *const arrows[RG_MAILBOX_STATE_COUNT] = {[RG_MAILBOX_COPYING] = "VR",
								   [RG_MAILBOX_VERIFYING] = "SR",
								   [RG_MAILBOX_SWAPPING] = "G",
								   [RG_MAILBOX_GRACE] = "AK",
								   [RG_MAILBOX_STUCK] = "AK"};
	static const char letters[] = "IaCVSGARK"; /* in the order of enum rg_mailbox_state */
	struct test_random random = test_random_start("mailbox model");
	enum rg_mailbox_state state = RG_MAILBOX_IDLE;
	uint64_t sequence = 0, active = 0, taken = 0;
	struct box box;

	box_init(&box);
	for (int i = 0; i < 200000; i++) {
		enum rg_mailbox_state next = (enum rg_mailbox_state)test_random_below(
			&random, RG_MAILBOX_STATE_COUNT + 1);
		uint64_t about = sequence + test_random_below(&random, 3) - (sequence ? 1 : 0);
		bool final = rg_mailbox_state_final(state) || state == RG_MAILBOX_IDLE;
		bool may =
			next < RG_MAILBOX_STATE_COUNT && about &&
			(next == RG_MAILBOX_COPYING ? final && about > sequence
						    : !final && about == sequence &&
							      strchr(arrows[state], letters[next]));

		assert(step(&box, about, next) == (may ? RG_OK : RG_EINVAL));
		if (!may)
			continue;
		taken++;
		sequence = about;
		state = next;
		if (next == RG_MAILBOX_SWAPPING)
			active = sequence;
		assert(progress_of(&box).state == state && progress_of(&box).sequence == sequence &&
		       progress_of(&box).active_sequence == active);
	}
	assert(taken > 5000);
	box_free(&box);
}

/* ---- two threads ---- */

enum { PUBLISHES = 20000 };

static void *publish(void *argument)
{
	struct box *box = argument;
	uint64_t active = 0;

	while (active < PUBLISHES) {
		struct rg_mailbox_announcement announcement;

		if (rg_mailbox_poll(&box->publisher, box->request, &announcement))
			continue;
		assert(announcement.sequence > active &&
		       announcement.image_bytes == 100 + announcement.sequence);
		if (announcement.sequence % 5 == 0 && announcement.sequence < PUBLISHES) {
			assert(step(box, announcement.sequence, RG_MAILBOX_COPYING) == RG_OK &&
			       step(box, announcement.sequence, RG_MAILBOX_REFUSED) == RG_OK);
			continue;
		}
		steps_to(box, announcement.sequence, RG_MAILBOX_ACTIVE);
		active = announcement.sequence;
	}
	return NULL;
}

static void test_threads(void)
{
	struct rg_mailbox_progress progress = {0};
	struct box box;
	pthread_t thread;

	box_init(&box);
	assert(!pthread_create(&thread, NULL, publish, &box));
	for (uint64_t sequence = 1; sequence <= PUBLISHES; sequence++) {
		const struct rg_mailbox_announcement announcement = {.sequence = sequence,
								     .image_bytes = 100 + sequence,
								     .announced_ns = sequence};

		assert(rg_mailbox_announce(box.request, &announcement, NULL) == RG_OK);
		if (rg_mailbox_read_reply(box.reply, &progress))
			continue;
		assert(progress.sequence <= sequence &&
		       progress.active_sequence <= progress.sequence);
		assert(!progress.active_sequence ||
		       progress.active_bytes == 100 + progress.active_sequence);
		assert(progress.state != RG_MAILBOX_REFUSED ||
		       (progress.sequence % 5 == 0 && !strcmp(progress.text, "because")));
	}
	while (rg_mailbox_result(box.reply, PUBLISHES, &progress) ||
	       progress.state != RG_MAILBOX_ACTIVE)
		;
	assert(!pthread_join(thread, NULL));
	box_free(&box);
}

int main(void)
{
	const struct test_ritual request = {rg_mailbox_request_align(),
					    rg_mailbox_request_footprint(), make_request,
					    rg_mailbox_request_join, remove_request};
	const struct test_ritual reply = {rg_mailbox_reply_align(), rg_mailbox_reply_footprint(),
					  make_reply, rg_mailbox_reply_join, remove_reply};

	test_ritual(&request);
	test_ritual(&reply);
	test_publish();
	test_announcements();
	test_control_killed();
	test_publisher_killed();
	test_reply_torn();
	test_new_files();
	test_model();
	test_threads();
	return 0;
}
