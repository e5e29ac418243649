/* SPDX-License-Identifier: Apache-2.0 */
#include "control/api/policy_texts.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/members.h"
#include "control/policy_store.h"

struct rg_policy_texts {
	const char *state_directory;
	pthread_mutex_t lock; /* of all below */
	uint64_t sequence;    /* whose texts they are; 0: of none */
	struct rg_policy_text *list;
	uint32_t count;
};

struct rg_policy_texts *rg_policy_texts_new(const char *state_directory)
{
	struct rg_policy_texts *texts = calloc(1, sizeof(*texts));

	if (!texts)
		return NULL;
	texts->state_directory = state_directory;
	pthread_mutex_init(&texts->lock, NULL);
	return texts;
}

static void forget(struct rg_policy_texts *texts)
{
	for (uint32_t i = 0; i < texts->count; i++) {
		free(texts->list[i].id);
		free(texts->list[i].raw);
	}
	free(texts->list);
	texts->list = NULL;
	texts->count = 0;
	texts->sequence = 0;
}

void rg_policy_texts_delete(struct rg_policy_texts *texts)
{
	if (!texts)
		return;
	forget(texts);
	pthread_mutex_destroy(&texts->lock);
	free(texts);
}

/* Take over the bytes of the Rego among the members. */
static int take(struct rg_policy_texts *texts, struct rg_member_list *members, const char *bundle,
		struct rg_error *err)
{
	texts->list = calloc(members->count + 1, sizeof(*texts->list));
	if (!texts->list)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	for (uint32_t i = 0; i < members->count; i++) {
		struct rg_member *member = &members->members[i];
		struct rg_policy_text *text = &texts->list[texts->count];

		if (member->kind != RG_MEMBER_REGO)
			continue;
		if (asprintf(&text->id, "%s/%s", bundle, member->name) < 0) {
			text->id = NULL;
			return rg_error_set(err, RG_ENOMEM, "out of memory");
		}
		text->raw = member->bytes;
		text->raw_bytes = member->size;
		member->bytes = NULL;
		texts->count++;
	}
	return RG_OK;
}

static int load(struct rg_policy_texts *texts, uint64_t sequence, const char *bundle,
		struct rg_error *err)
{
	struct rg_member_list members;
	char path[4096];
	int rc;

	forget(texts);
	rg_policy_store_folder(texts->state_directory, sequence, path, sizeof(path));
	rg_member_list_init(&members, NULL);
	rc = rg_member_list_read_folder(&members, path, err);
	if (!rc)
		rc = rg_member_list_sort(&members, err);
	if (!rc)
		rc = take(texts, &members, bundle, err);
	rg_member_list_free(&members);
	if (rc)
		forget(texts);
	else
		texts->sequence = sequence;
	return rc;
}

int rg_policy_texts_lock(struct rg_policy_texts *texts, uint64_t sequence, const char *bundle,
			 const struct rg_policy_text **list, uint32_t *count, struct rg_error *err)
{
	int rc = RG_OK;

	pthread_mutex_lock(&texts->lock);
	if (!sequence)
		forget(texts);
	else if (texts->sequence != sequence)
		rc = load(texts, sequence, bundle, err);
	if (rc) {
		pthread_mutex_unlock(&texts->lock);
		return rc;
	}
	*list = texts->list;
	*count = texts->count;
	return RG_OK;
}

void rg_policy_texts_unlock(struct rg_policy_texts *texts)
{
	pthread_mutex_unlock(&texts->lock);
}
