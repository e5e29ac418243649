/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/decision.h"

#include <stdbool.h>

static const char *const statuses[RG_DECISION_STATUS_COUNT] = {
	"OK",	    "NO_POLICY",    "BAD_MESSAGE",   "POLICY_ERROR",
	"OVERLOAD", "UNAUTHORIZED", "RECORDER_FULL",
};
static const char *const verdicts[] = {"NONE", "ALLOW", "DENY", "REVIEW"};
#define VERDICT_COUNT ((int)(sizeof(verdicts) / sizeof(verdicts[0])))

const char *rg_decision_status_name(uint8_t status)
{
	return status < RG_DECISION_STATUS_COUNT ? statuses[status] : "UNKNOWN";
}

const char *rg_decision_verdict_name(uint8_t verdict)
{
	return verdict < VERDICT_COUNT ? verdicts[verdict] : "UNKNOWN";
}

static int find(const char *const *names, int count, const char *name)
{
	for (int i = 0; i < count; i++) {
		if (!strcmp(names[i], name))
			return i;
	}
	return -1;
}

int rg_decision_status_find(const char *name)
{
	return find(statuses, RG_DECISION_STATUS_COUNT, name);
}

int rg_decision_verdict_find(const char *name)
{
	return find(verdicts, VERDICT_COUNT, name);
}

#define AT(path, member, kind, is_signed, optional)                                                \
	{                                                                                          \
		path, offsetof(struct rg_decision_message, member),                                \
			sizeof(((struct rg_decision_message *)0)->member), kind, is_signed,        \
			optional                                                                   \
	}
#define REASON(number)                                                                             \
	{                                                                                          \
		"reason_" #number,                                                                 \
			offsetof(struct rg_decision_message, reasons) + 2 * (number - 1), 2,       \
			RG_FIELD_INT, false, true                                                  \
	}

static const struct {
	const char *path;
	size_t offset, bytes;
	uint8_t kind;
	bool is_signed, optional;
} layout[] = {
	AT("request_id", request_id, RG_FIELD_INT, false, false),
	AT("policy_sequence", policy_sequence, RG_FIELD_INT, false, false),
	AT("score_micro", score_micro, RG_FIELD_INT, true, false),
	AT("receive_time_ns", receive_time_ns, RG_FIELD_INT, false, false),
	AT("send_time_ns", send_time_ns, RG_FIELD_INT, false, false),
	REASON(1),
	REASON(2),
	REASON(3),
	REASON(4),
	REASON(5),
	REASON(6),
	REASON(7),
	REASON(8),
	AT("reasons_fired", reasons_fired, RG_FIELD_INT, false, false),
	AT("flags", flags, RG_FIELD_SET, false, false),
	AT("verdict", verdict, RG_FIELD_ENUM, false, false),
	AT("status", status, RG_FIELD_ENUM, false, false),
};
#define LAYOUT_COUNT (sizeof(layout) / sizeof(layout[0]))

int rg_decision_check_layout(const struct rg_field *fields, const struct rg_template *template,
			     struct rg_error *err)
{
	static const char remedy[] = "copy the message Decision from riskgate's stock schema";

	if (template->template_id != RG_DECISION_TEMPLATE_ID)
		return rg_error_set(err, RG_EINVAL, "the decision has template id %d, not %u: %s",
				    RG_DECISION_TEMPLATE_ID, template->template_id, remedy);
	if (template->block_length != sizeof(struct rg_decision_message) ||
	    template->fields_count != LAYOUT_COUNT)
		return rg_error_set(
			err, RG_EINVAL,
			"the decision has %zu fields and blockLength %zu, not %u and %u: %s",
			LAYOUT_COUNT, sizeof(struct rg_decision_message), template->fields_count,
			template->block_length, remedy);
	for (size_t i = 0; i < LAYOUT_COUNT; i++) {
		const struct rg_field *field = &fields[i];

		if (strcmp(field->path, layout[i].path) || field->offset != layout[i].offset ||
		    field->bytes != layout[i].bytes || field->kind != layout[i].kind ||
		    field->is_signed != layout[i].is_signed ||
		    field->optional != layout[i].optional || field->null_value || field->constant ||
		    field->since_version)
			return rg_error_set(err, RG_EINVAL,
					    "field %zu must be %s, %zu bytes at offset %zu, but is "
					    "%s at %u: %s",
					    i + 1, layout[i].path, layout[i].bytes,
					    layout[i].offset, field->path, field->offset, remedy);
	}
	return RG_OK;
}
