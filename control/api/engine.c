/* SPDX-License-Identifier: Apache-2.0 */
#include "control/api/engine.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "control/api/target.h"

#define RETRY_NS 1000000000ull /* after an image that could not be used */

struct slot {
	void *memory;
	struct rg_eval *eval;
	struct rg_view *view; /* that eval is bound to; the slot is a user of it */
	bool lent;
};

struct rg_engine {
	const char *region_directory;
	_Atomic uint64_t wanted; /* relaxed: a number; what it names is read under the lock */
	pthread_mutex_t lock;	 /* of all below */
	struct rg_view *current;
	bool loading;
	uint64_t failed; /* sequence of the last image that could not be used */
	uint64_t failed_ns;
	struct rg_error failure;
	uint32_t slot_count;
	struct slot slots[];
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- views ---- */

static void release_view(struct rg_view *view)
{
	if (!view || atomic_fetch_sub_explicit(&view->users, 1, memory_order_acq_rel) != 1)
		return;
	for (uint32_t i = 0; i < view->document_count; i++)
		free(view->documents[i].key);
	free(view->documents);
	rg_image_file_close(&view->file);
	free(view);
}

static struct rg_view *use_view(struct rg_view *view)
{
	if (view) /* under the engine's lock: it has a user, the engine or a slot */
		atomic_fetch_add_explicit(&view->users, 1, memory_order_relaxed);
	return view;
}

uint32_t rg_view_child(const struct rg_view *view, uint32_t parent, const char *key, uint32_t bytes)
{
	uint32_t at = view->document_count ? view->documents[parent].child : 0;

	for (; at; at = view->documents[at].sibling) {
		if (view->documents[at].key_bytes == bytes &&
		    !memcmp(view->documents[at].key, key, bytes))
			return at;
	}
	return 0;
}

/* Returns the new node, or 0 when memory is out. */
static uint32_t add_document(struct rg_view *view, uint32_t parent, const char *key, uint32_t bytes)
{
	struct rg_document *document;
	uint32_t number = view->document_count;

	if (number == view->document_capacity) {
		uint32_t capacity = number ? 2 * number : 64;

		document = realloc(view->documents, capacity * sizeof(*document));
		if (!document)
			return 0;
		view->documents = document;
		view->document_capacity = capacity;
	}
	document = &view->documents[number];
	*document = (struct rg_document){.key_bytes = bytes, .plan = RG_NO_PLAN};
	document->key = malloc(bytes + 1);
	if (!document->key)
		return 0;
	memcpy(document->key, key, bytes);
	document->key[bytes] = '\0';
	view->document_count++;
	if (number) {
		document->sibling = view->documents[parent].child;
		view->documents[parent].child = number;
	}
	return number;
}

/* Enter the document that plan `plan` gives: "/", "/payments/deny". */
static int enter_document(struct rg_view *view, const char *name, uint32_t bytes, uint32_t plan,
			  struct rg_error *err)
{
	char uri[RG_TARGET_BYTES_MAX];
	struct rg_target path;
	uint32_t at = 0;
	int rc;

	if (bytes >= sizeof(uri))
		return rg_error_set(err, RG_ELIMIT, "the path of a rule is too long");
	memcpy(uri, name, bytes);
	uri[bytes] = '\0';
	rc = rg_target_parse(uri, &path, err);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < path.segment_count; i++) {
		struct rg_target_text key = path.segments[i];
		uint32_t child = rg_view_child(view, at, key.text, key.bytes);

		at = child ? child : add_document(view, at, key.text, key.bytes);
		if (!at)
			rc = rg_error_set(err, RG_ENOMEM, "out of memory");
		if (rc)
			break;
	}
	if (!rc && !path.segment_count)
		view->data_plan = plan;
	else if (!rc)
		view->documents[at].plan = plan;
	rg_target_free(&path);
	return rc;
}

static int enter_documents(struct rg_view *view, struct rg_eval *eval, struct rg_error *err)
{
	int rc = RG_OK;

	view->data_plan = RG_NO_PLAN;
	add_document(view, 0, "", 0);
	if (!view->document_count)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	for (uint32_t i = 0; !rc && i < rg_eval_plan_count(eval); i++) {
		uint32_t bytes;
		const char *name = rg_eval_plan_name(eval, i, &bytes);

		if (bytes && name[0] == '/')
			rc = enter_document(view, name, bytes, i, err);
	}
	return rc;
}

/* Map the image, and check it as the data plane does: it may be the file of another version. */
static int open_view(const char *directory, uint64_t sequence, struct rg_eval *eval,
		     struct rg_view **out, struct rg_error *err)
{
	struct rg_view *view = calloc(1, sizeof(*view));
	int rc;

	if (!view)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	rc = rg_image_file_open(directory, RG_IMAGE_FILE_IMAGE, sequence, &view->file, err);
	if (rc)
		rc = rg_image_file_open(directory, RG_IMAGE_FILE_ACTIVE, sequence, &view->file,
					err);
	if (rc) {
		free(view);
		/* RG_ENOENT means that there is no policy */
		return rc == RG_ENOENT
			       ? rg_error_set(err, RG_EIO, "the image is not there: %s", directory)
			       : rc;
	}
	atomic_init(&view->users, 1);
	view->sequence = sequence;
	view->mapped_ns = clock_ns(CLOCK_REALTIME);
	rc = rg_image_verify(view->file.map.at, view->file.image_bytes, err);
	if (!rc)
		rc = rg_eval_bind(eval, view->file.map.at, view->file.image_bytes, err);
	if (!rc) {
		rg_image_info(view->file.map.at, &view->info);
		rc = enter_documents(view, eval, err);
	}
	if (rc)
		release_view(view);
	else
		*out = view;
	return rc;
}

/* ---- lending ---- */

void rg_engine_want(struct rg_engine *engine, uint64_t sequence)
{
	atomic_store_explicit(&engine->wanted, sequence, memory_order_relaxed);
}

/* Make the wanted image current, with this thread's evaluator. Called and left with the lock held;
 * others lend the image before meanwhile. */
static void load(struct rg_engine *engine, uint64_t wanted, struct slot *slot)
{
	struct rg_view *view = NULL, *before = slot->view;
	struct rg_error err = {0};
	int rc;

	engine->loading = true;
	slot->view = NULL;
	pthread_mutex_unlock(&engine->lock);
	rc = open_view(engine->region_directory, wanted, slot->eval, &view, &err);
	release_view(before);
	pthread_mutex_lock(&engine->lock);
	engine->loading = false;
	if (rc) {
		engine->failed = wanted;
		engine->failed_ns = clock_ns(CLOCK_MONOTONIC);
		engine->failure = err;
		rg_log(RG_LOG_ERROR, "api policy=%llu cannot be used error=\"%s\"",
		       (unsigned long long)wanted, err.text);
		return;
	}
	before = engine->current;
	engine->current = view;
	engine->failed = 0;
	slot->view = use_view(view); /* open_view() has bound it */
	release_view(before);
}

static bool must_load(const struct rg_engine *engine, uint64_t wanted)
{
	if (!wanted || engine->loading || (engine->current && engine->current->sequence == wanted))
		return false;
	return engine->failed != wanted || clock_ns(CLOCK_MONOTONIC) - engine->failed_ns > RETRY_NS;
}

static int bind(struct slot *slot, struct rg_view *view, struct rg_error *err)
{
	int rc = RG_OK;

	if (slot->view != view) {
		release_view(slot->view);
		slot->view = NULL;
		rc = rg_eval_bind(slot->eval, view->file.map.at, view->file.image_bytes, err);
	}
	if (!rc && !slot->view)
		slot->view = use_view(view);
	return rc;
}

int rg_engine_lend(struct rg_engine *engine, struct rg_loan *loan, struct rg_error *err)
{
	uint64_t wanted = atomic_load_explicit(&engine->wanted, memory_order_relaxed);
	struct slot *slot;
	uint32_t i = 0;
	int rc = RG_OK;

	pthread_mutex_lock(&engine->lock);
	while (i < engine->slot_count && engine->slots[i].lent)
		i++;
	if (i == engine->slot_count) {
		pthread_mutex_unlock(&engine->lock);
		return rg_error_set(err, RG_EAGAIN, "all evaluators are in use");
	}
	slot = &engine->slots[i];
	slot->lent = true;
	if (must_load(engine, wanted))
		load(engine, wanted, slot);
	if (!wanted || !engine->current)
		rc = engine->failed && engine->failed == wanted
			     ? rg_error_set(err, engine->failure.status, "%s", engine->failure.text)
			     : rg_error_set(err, RG_ENOENT, "there is no policy yet: push one");
	else
		rc = bind(slot, engine->current, err);
	if (rc)
		slot->lent = false;
	pthread_mutex_unlock(&engine->lock);
	*loan = (struct rg_loan){.eval = slot->eval, .view = rc ? NULL : slot->view, .slot = i};
	return rc;
}

void rg_engine_return(struct rg_engine *engine, struct rg_loan *loan)
{
	pthread_mutex_lock(&engine->lock);
	engine->slots[loan->slot].lent = false;
	pthread_mutex_unlock(&engine->lock);
	loan->view = NULL;
}

/* ---- life ---- */

int rg_engine_new(const char *region_directory, uint32_t evaluators, uint64_t scratch_bytes,
		  struct rg_engine **out, struct rg_error *err)
{
	struct rg_engine *engine =
		calloc(1, sizeof(*engine) + evaluators * sizeof(engine->slots[0]));
	uint64_t footprint = rg_eval_footprint(scratch_bytes);

	if (!engine)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	engine->region_directory = region_directory;
	engine->slot_count = evaluators;
	pthread_mutex_init(&engine->lock, NULL);
	for (uint32_t i = 0; i < evaluators; i++) {
		struct slot *slot = &engine->slots[i];

		slot->memory = aligned_alloc(RG_IMAGE_ALIGNMENT, footprint);
		slot->eval = slot->memory ? rg_eval_new(slot->memory, scratch_bytes) : NULL;
		if (!slot->eval) {
			rg_engine_delete(engine);
			return rg_error_set(err, RG_ENOMEM,
					    "no memory for %u evaluators of %llu bytes: lower "
					    "api.threads or api.scratch_bytes",
					    evaluators, (unsigned long long)footprint);
		}
	}
	*out = engine;
	return RG_OK;
}

void rg_engine_delete(struct rg_engine *engine)
{
	if (!engine)
		return;
	for (uint32_t i = 0; i < engine->slot_count; i++) {
		release_view(engine->slots[i].view);
		free(engine->slots[i].memory);
	}
	release_view(engine->current);
	pthread_mutex_destroy(&engine->lock);
	free(engine);
}
