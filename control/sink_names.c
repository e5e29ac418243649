/* SPDX-License-Identifier: Apache-2.0 */
#include "control/sink_names.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

void rg_sink_names_forget(struct rg_sink_names *names)
{
	for (size_t i = 0; i < names->policy_count; i++)
		free(names->policies[i].revision);
	for (size_t i = 0; i < names->reason_count; i++)
		free(names->reasons[i]);
	free(names->policies);
	free(names->reasons);
	memset(names, 0, sizeof(*names));
}

const char *rg_sink_names_revision(const struct rg_sink_names *names, uint64_t sequence)
{
	for (size_t i = names->policy_count; i-- > 0;) /* the newest is asked for most */
		if (names->policies[i].sequence == sequence)
			return names->policies[i].revision;
	return NULL;
}

const char *rg_sink_names_reason(const struct rg_sink_names *names, uint32_t id)
{
	return id < names->reason_count ? names->reasons[id] : NULL;
}

bool rg_sink_learn_reason(struct rg_sink_names *names, uint32_t id, const char *name)
{
	char *copy;

	if (id >= names->reason_count) {
		size_t count = (size_t)id + 1;
		char **grown = realloc(names->reasons, count * sizeof(*grown));

		if (!grown)
			return false;
		memset(grown + names->reason_count, 0,
		       (count - names->reason_count) * sizeof(*grown));
		names->reasons = grown;
		names->reason_count = count;
	}
	copy = strdup(name);
	if (!copy)
		return false;
	free(names->reasons[id]);
	names->reasons[id] = copy;
	return true;
}

bool rg_sink_learn_policy(struct rg_sink_names *names, uint64_t sequence, const char *revision)
{
	struct rg_sink_named_policy *grown;

	if (rg_sink_names_revision(names, sequence))
		return true;
	grown = realloc(names->policies, (names->policy_count + 1) * sizeof(*grown));
	if (!grown)
		return false;
	names->policies = grown;
	grown[names->policy_count] = (struct rg_sink_named_policy){sequence, strdup(revision)};
	return grown[names->policy_count++].revision != NULL;
}

/* ---- POLICY frames ---- */

struct policy_frame {
	int64_t sequence, ns;
	char *bundle, *revision;
};

static char *decode_string(const struct rg_json_reader *json)
{
	char *text = malloc(json->text_bytes * 3 + 1);

	if (text)
		text[rg_json_decode(json, text)] = '\0';
	return text;
}

static int take_reason(struct rg_sink_names *names, uint32_t id, const char *name,
		       const struct rg_sink_driver *driver, void *store, struct rg_error *err)
{
	const char *known = rg_sink_names_reason(names, id);

	if (known && !strcmp(known, name))
		return RG_OK;
	if (!rg_sink_learn_reason(names, id, name))
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	return driver->reason(store, id, name, err);
}

static int take_reasons(struct rg_sink_names *names, struct rg_json_reader *json,
			const struct rg_sink_driver *driver, void *store, struct rg_error *err)
{
	uint32_t id = 0;

	while (rg_json_next(json) == RG_JSON_STRING && ++id < UINT16_MAX) {
		char *name = decode_string(json);
		int status = name ? take_reason(names, id, name, driver, store, err)
				  : rg_error_set(err, RG_ENOMEM, "out of memory");

		free(name);
		if (status)
			return status;
	}
	return RG_OK;
}

static int take_policy(struct rg_sink_names *names, const struct policy_frame *frame,
		       const struct rg_sink_driver *driver, void *store, struct rg_error *err)
{
	struct rg_sink_policy policy = {(uint64_t)frame->sequence, (uint64_t)frame->ns,
					frame->bundle, frame->revision};

	if (frame->sequence <= 0 || !frame->bundle || !frame->revision)
		return RG_OK;
	if (!rg_sink_learn_policy(names, policy.sequence, policy.revision))
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	return driver->policy(store, &policy, err);
}

int rg_sink_names_take(struct rg_sink_names *names, const char *text, size_t bytes,
		       const struct rg_sink_driver *driver, void *store, struct rg_error *err)
{
	struct policy_frame frame = {0};
	struct rg_json_reader json, key;
	enum rg_json_token token;
	int status = RG_OK;

	rg_json_reader_init(&json, text, bytes);
	token = rg_json_next(&json);
	while (!status && token == RG_JSON_OBJECT_BEGIN && rg_json_next(&json) == RG_JSON_KEY) {
		enum rg_json_token value;

		key = json;
		value = rg_json_next(&json);
		if (value == RG_JSON_NUMBER && rg_json_equals(&key, "sequence"))
			rg_json_int64(json.text, json.text_bytes, &frame.sequence);
		else if (value == RG_JSON_NUMBER && rg_json_equals(&key, "ns"))
			rg_json_int64(json.text, json.text_bytes, &frame.ns);
		else if (value == RG_JSON_STRING && rg_json_equals(&key, "bundle") && !frame.bundle)
			frame.bundle = decode_string(&json);
		else if (value == RG_JSON_STRING && rg_json_equals(&key, "revision") &&
			 !frame.revision)
			frame.revision = decode_string(&json);
		else if (value == RG_JSON_ARRAY_BEGIN && rg_json_equals(&key, "reasons"))
			status = take_reasons(names, &json, driver, store, err);
		else
			rg_json_skip(&json);
	}
	if (!status)
		status = take_policy(names, &frame, driver, store, err);
	free(frame.bundle);
	free(frame.revision);
	return status;
}
