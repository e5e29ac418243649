/* SPDX-License-Identifier: Apache-2.0 */
/* The stock schema's Decision and struct rg_decision_message are the same bytes. argv[1]: the stock
 * schema. */
#include "wire/decision.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "wire/sbe_json.h"
#include "wire/schema.h"

static struct rg_schema *schema;

static void same_place(const char *path, size_t offset, size_t bytes)
{
	const struct rg_template *template = rg_schema_template_by_name(schema, "Decision");
	const struct rg_field *field = rg_schema_field(schema, template, path);

	assert(field && field->offset == offset && field->bytes == bytes);
}

#define SAME(member)                                                                               \
	same_place(#member, offsetof(struct rg_decision_message, member),                          \
		   sizeof(((struct rg_decision_message *)0)->member))

static void test_layout(void)
{
	const struct rg_template *template = rg_schema_template_by_name(schema, "Decision");
	char path[16];

	assert(template && template->template_id == RG_DECISION_TEMPLATE_ID);
	assert(template->block_length == sizeof(struct rg_decision_message));
	assert(template->fields_count == 17);
	SAME(request_id);
	SAME(policy_sequence);
	SAME(score_micro);
	SAME(receive_time_ns);
	SAME(send_time_ns);
	SAME(reasons_fired);
	SAME(flags);
	SAME(verdict);
	SAME(status);
	for (size_t i = 0; i < RG_DECISION_REASONS; i++) {
		snprintf(path, sizeof(path), "reason_%zu", i + 1);
		same_place(path, offsetof(struct rg_decision_message, reasons) + 2 * i, 2);
	}
}

static void same_names(const char *path, int (*find)(const char *), const char *(*name_of)(uint8_t),
		       uint32_t count)
{
	const struct rg_field_table *table = rg_schema_fields(schema);
	const struct rg_field *field =
		rg_schema_field(schema, rg_schema_template_by_name(schema, "Decision"), path);

	assert(field->names_count == count);
	for (uint32_t i = 0; i < count; i++) {
		const struct rg_field_name *name = &table->names[field->names_first + i];

		assert(find(name->name) == (int)name->value);
		assert(!strcmp(name_of((uint8_t)name->value), name->name));
	}
	assert(find("nothing") == -1);
	assert(!strcmp(name_of(200), "UNKNOWN"));
}

static void test_codec(void)
{
	struct rg_decision_message decision = {.request_id = 7,
					       .policy_sequence = 3,
					       .score_micro = -1500000,
					       .receive_time_ns = 10,
					       .send_time_ns = 20,
					       .reasons = {4, 2},
					       .reasons_fired = 2,
					       .flags = RG_DECISION_DEGRADED | RG_DECISION_CANARY,
					       .verdict = 2,
					       .status = RG_DECISION_RECORDER_FULL},
				   read;
	static const char want[] = "{\"request_id\":7,\"policy_sequence\":3,\"score_micro\":-"
				   "1500000,\"receive_time_ns\":10,"
				   "\"send_time_ns\":20,\"reason_1\":4,\"reason_2\":2,\"reason_3\":"
				   "null,\"reason_4\":null,"
				   "\"reason_5\":null,\"reason_6\":null,\"reason_7\":null,\"reason_"
				   "8\":null,\"reasons_fired\":2,"
				   "\"flags\":[\"degraded\",\"canary\"],\"verdict\":\"DENY\","
				   "\"status\":\"RECORDER_FULL\"}";
	uint8_t message[RG_DECISION_BYTES + 8] = {0};
	struct rg_json_writer writer;
	struct rg_error err;

	rg_decision_encode(message, 1, 1, &decision);
	for (uint32_t bytes = 0; bytes < RG_DECISION_BYTES; bytes++)
		assert(rg_decision_decode(message, bytes, &read) == 0);
	assert(rg_decision_decode(message, sizeof(message), &read) == RG_DECISION_BYTES);
	assert(!memcmp(&read, &decision, sizeof(read)));
	message[0] = sizeof(decision) + 8; /* a newer server's longer block */
	assert(rg_decision_decode(message, sizeof(message), &read) == RG_DECISION_BYTES + 8);
	message[0] = sizeof(decision) + 9;
	assert(rg_decision_decode(message, sizeof(message), &read) == 0);
	message[0] = sizeof(decision) - 1;
	assert(rg_decision_decode(message, sizeof(message), &read) == 0);
	message[0] = sizeof(decision);
	rg_json_writer_init(&writer, false);
	assert(rg_sbe_to_json(schema, message, RG_DECISION_BYTES, &writer, &err) == RG_OK);
	assert(!strcmp(writer.text, want));
	rg_json_writer_free(&writer);
	message[2] = 99;
	assert(rg_decision_decode(message, sizeof(message), &read) == 0);
}

int main(int argc, char **argv)
{
	struct rg_error err;

	assert(argc == 2);
	if (rg_schema_load(argv[1], &schema, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	test_layout();
	same_names("status", rg_decision_status_find, rg_decision_status_name,
		   RG_DECISION_STATUS_COUNT);
	same_names("verdict", rg_decision_verdict_find, rg_decision_verdict_name, 3);
	test_codec();
	rg_schema_free(schema);
	return 0;
}
