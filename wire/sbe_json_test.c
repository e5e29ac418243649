/* SPDX-License-Identifier: Apache-2.0 */
/* JSON to SBE and back: exact values, every refusal, and random messages both ways. argv[1]: the
 * stock schema. */
#include "wire/sbe_json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/sbe.h"

static struct rg_schema *stock, *kinds;

/* Every kind of field the stock schema has not. */
static const char kinds_xml[] =
	"<messageSchema id='9' version='2'><types>"
	"<composite name='messageHeader'><type name='blockLength' primitiveType='uint16'/><type "
	"name='templateId' primitiveType='uint16'/>"
	"<type name='schemaId' primitiveType='uint16'/><type name='version' "
	"primitiveType='uint16'/></composite>"
	"<composite name='Var'><type name='mantissa' primitiveType='int32' "
	"presence='optional'/><type name='exponent' primitiveType='int8'/></composite>"
	"<composite name='Thousands'><type name='mantissa' primitiveType='uint16'/><type "
	"name='exponent' primitiveType='int8' presence='constant'>3</type></composite>"
	"<composite name='Fine'><type name='mantissa' primitiveType='int64'/><type name='exponent' "
	"primitiveType='int8' presence='constant'>-18</type></composite>"
	"<type name='Seven' primitiveType='int8' presence='constant'>-7</type>"
	"<type name='Five' primitiveType='char' length='5'/>"
	"<enum name='Letter' encodingType='char'><validValue name='yes'>Y</validValue><validValue "
	"name='no'>N</validValue></enum>"
	"<enum name='Bool' encodingType='uint8'><validValue name='false'>0</validValue><validValue "
	"name='true'>1</validValue></enum>"
	"<set name='Bits' encodingType='uint64'><choice name='low'>0</choice><choice "
	"name='high'>63</choice></set>"
	"<composite name='In'><ref name='letter' type='Letter'/><ref name='fine' "
	"type='Fine'/></composite>"
	"<composite name='Out'><ref name='in' type='In'/><ref name='five' type='Five'/></composite>"
	"</types><message name='K' id='1'>"
	"<field name='request_id' id='1' type='uint64'/>"
	"<field name='var' id='2' type='Var'/><field name='thousands' id='3' type='Thousands' "
	"presence='optional'/>"
	"<field name='seven' id='4' type='Seven'/><field name='single' id='5' type='float' "
	"presence='optional'/>"
	"<field name='wide' id='6' type='double' presence='optional'/><field name='tiny' id='7' "
	"type='int8' presence='optional'/>"
	"<field name='flag' id='8' type='Bool' presence='optional'/><field name='always' id='9' "
	"type='Letter' presence='constant' valueRef='Letter.yes'/>"
	"<field name='bits' id='10' type='Bits'/><field name='text' id='11' type='Five' "
	"presence='optional'/>"
	"<field name='letter' id='12' type='char' presence='optional'/>"
	"<field name='out' id='13' type='Out'/><field name='late' id='14' type='uint16' "
	"sinceVersion='2' presence='optional'/>"
	"</message></messageSchema>";
#define REQUIRED "\"out\":{\"in\":{\"letter\":\"no\",\"fine\":0},\"five\":\"\"}"

static char *to_json(const struct rg_schema *schema, const uint8_t *message, size_t bytes)
{
	struct rg_json_writer writer;
	struct rg_error err;

	rg_json_writer_init(&writer, false);
	if (rg_sbe_to_json(schema, message, bytes, &writer, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	return writer.text;
}

/* Encode `json`, decode it, and look for `text` in the result. */
static void gives(const struct rg_schema *schema, const char *template, const char *json,
		  const char *text)
{
	uint8_t message[1024];
	struct rg_error err;
	size_t written;
	char *back;

	if (rg_sbe_from_json(schema, template, json, strlen(json), message, sizeof(message),
			     &written, &err)) {
		fprintf(stderr, "%s\n%s\n", json, err.text);
		abort();
	}
	back = to_json(schema, message, written);
	if (!strstr(back, text)) {
		fprintf(stderr, "%s\nlacks %s\n", back, text);
		abort();
	}
	free(back);
}

static void refused(const struct rg_schema *schema, const char *template, const char *json,
		    const char *text)
{
	struct rg_error err = {0};
	uint8_t message[1024];
	size_t bytes = strlen(json), written;
	char *exact = malloc(bytes +
			     1); /* not terminated where the JSON ends: for the address sanitizer */
	int status;

	memcpy(exact, json, bytes);
	status = rg_sbe_from_json(schema, template, exact, bytes, message, sizeof(message),
				  &written, &err);
	if (status == RG_OK || err.status != status || !strstr(err.text, text)) {
		fprintf(stderr, "%s\nstatus %d, wanted \"%s\", got \"%s\"\n", json, status, text,
			err.text);
		abort();
	}
	free(exact);
}

#define PAY "PaymentAuthorization"

static void test_values(void)
{
	gives(stock, PAY, "{\"amount\":12.34}", "\"amount\":12.34,");
	gives(stock, PAY, "{\"amount\":12.3}", "\"amount\":12.3,");
	gives(stock, PAY, "{\"amount\":12.300}", "\"amount\":12.3,");
	gives(stock, PAY, "{\"amount\":1.2345e2}", "\"amount\":123.45,");
	gives(stock, PAY, "{\"amount\":100}", "\"amount\":100,");
	gives(stock, PAY, "{\"amount\":-0.01}", "\"amount\":-0.01,");
	gives(stock, PAY, "{\"amount\":0e99999999999999999999}", "\"amount\":0,");
	gives(stock, PAY, "{\"amount\":92233720368547758.07}", "\"amount\":92233720368547758.07,");
	gives(stock, PAY, "{\"amount\":-92233720368547758.08}",
	      "\"amount\":-92233720368547758.08,");
	gives(stock, PAY, "{\"amount\":1,\"request_id\":18446744073709551615}",
	      "\"request_id\":18446744073709551615,");
	gives(stock, PAY, "{\"amount\":1,\"request_id\":1.5e1}", "\"request_id\":15,");
	gives(stock, PAY, "{\"amount\":1}", "{\"request_id\":0,\"transaction_time_ns\":null,");
	gives(stock, PAY, "{\"amount\":1,\"user\":{\"risk_level\":\"low\"}}",
	      "\"user\":{\"id\":null,\"age_days\":null,\"country\":null,\"risk_level\":\"low\"");
	gives(stock, PAY,
	      "{\"amount\":1,\"user\":null,\"card\":{\"prepaid\":true,\"present\":null}}",
	      "\"present\":null,\"prepaid\":true,");
	gives(stock, PAY,
	      "{\"amount\":1,\"merchant\":{\"name\":\"caf\\u00e9 "
	      "\\\"x\\\"\",\"latitude\":-84.671693}}",
	      "\"name\":\"caf\xc3\xa9 \\\"x\\\"\"");
	gives(stock, PAY, "{\"amount\":1,\"merchant\":{\"latitude\":-84.671693}}",
	      "\"latitude\":-84.671693,");
	gives(stock, PAY, "{\"amount\":1,\"merchant\":{\"latitude\":0.000001}}",
	      "\"latitude\":0.000001,");
	gives(stock, PAY,
	      "{\"amount\":1,\"risk_analysis\":[\"malware\",\"abnormal_spending\",\"malware\"]}",
	      "\"risk_analysis\":[\"abnormal_spending\",\"malware\"]");
	gives(stock, PAY, "{\"amount\":1,\"risk_analysis\":null}", "\"risk_analysis\":[]");
	gives(stock, PAY, "{\"amount\":1,\"currency\":\"\"}", "\"currency\":null");
	gives(stock, PAY, "{\"amount\":1,\"curr\\u0065ncy\":\"EUR\"}", "\"currency\":\"EUR\"");

	gives(kinds, "K", "{" REQUIRED "}",
	      "\"var\":null,\"thousands\":null,\"seven\":-7,\"single\":null,\"wide\":null,\"tiny\":"
	      "null,\"flag\":null,"
	      "\"always\":\"yes\",\"bits\":[],\"text\":null,\"letter\":null,\"out\":{\"in\":{"
	      "\"letter\":\"no\",\"fine\":0},\"five\":\"\"},\"late\":null}");
	gives(kinds, "K", "{\"var\":1.5," REQUIRED "}", "\"var\":1.5,");
	gives(kinds, "K", "{\"var\":2147483647," REQUIRED "}", "\"var\":2147483647,");
	gives(kinds, "K", "{\"var\":3000000000," REQUIRED "}", "\"var\":3000000000,");
	gives(kinds, "K", "{\"var\":-1e-128," REQUIRED "}", "\"var\":-1e-128,");
	gives(kinds, "K", "{\"var\":120e100," REQUIRED "}", "\"var\":12e101,");
	gives(kinds, "K", "{\"var\":1e130," REQUIRED "}", "\"var\":1e130,");
	gives(kinds, "K", "{\"var\":12e100," REQUIRED "}", "\"var\":12e100,");
	gives(kinds, "K", "{\"thousands\":65534000," REQUIRED "}", "\"thousands\":65534000,");
	gives(kinds, "K", "{\"single\":0.1,\"wide\":0.1," REQUIRED "}",
	      "\"single\":0.1,\"wide\":0.1,");
	gives(kinds, "K", "{\"seven\":-7,\"always\":\"yes\"," REQUIRED "}", "\"seven\":-7,");
	gives(kinds, "K",
	      "{\"tiny\":-127,\"bits\":[\"high\",\"low\"],\"letter\":\"x\"," REQUIRED "}",
	      "\"bits\":[\"low\",\"high\"],\"text\":null,\"letter\":\"x\"");
	gives(kinds, "K",
	      "{\"out\":{\"five\":\"12345\",\"in\":{\"fine\":9.223372036854775807,\"letter\":"
	      "\"yes\"}}}",
	      "\"out\":{\"in\":{\"letter\":\"yes\",\"fine\":9.223372036854775807},\"five\":"
	      "\"12345\"}");
}

static void test_refusals(void)
{
	refused(stock, "Nothing", "{}", "no message 'Nothing'");
	refused(stock, PAY, "", "the document ends too early");
	refused(stock, PAY, "[]", "a message is an object");
	refused(stock, PAY, "{\"amount\":1", "line 1 column 12: the document ends too early");
	refused(stock, PAY, "{\"amount\":1} x", "text after the document");
	refused(stock, PAY, "{}", "PaymentAuthorization needs amount: add this field");
	refused(stock, "NewOrder", "{\"symbol\":\"X\"}",
		"NewOrder needs transaction_time_ns, account_id, quantity, trader_id, "
		"client_order_id, side, order_type, time_in_force: add these fields");
	refused(stock, PAY, "{\"amount\":null}", "field 'amount' is required and cannot be null");
	refused(stock, PAY, "{\n  \"amount\": 12.345}",
		"line 2 column 13: field 'amount' holds 2 decimals and 12.345 has more");
	refused(stock, PAY, "{\"amount\":92233720368547758.08}",
		"92233720368547758.08 is out of range: give -92233720368547758.08 to "
		"92233720368547758.07");
	refused(stock, PAY, "{\"amount\":1e400}", "out of range");
	refused(stock, PAY, "{\"amount\":1e99999999999999999999}", "out of range");
	refused(stock, PAY, "{\"amount\":1e-99999999999999999999}", "holds 2 decimals");
	refused(stock, PAY, "{\"amount\":123456789012345678901234567890}", "out of range");
	refused(stock, PAY, "{\"amount\":0.123456789012345678901234567890}", "holds 2 decimals");
	refused(stock, PAY, "{\"amount\":\"1\"}", "field 'amount': give a number");
	refused(stock, PAY, "{\"amount\":1,\"amount\":1}", "given twice");
	refused(stock, PAY, "{\"amount\":1,\"request_id\":-1}",
		"-1 is out of range: give 0 to 18446744073709551615");
	refused(stock, PAY, "{\"amount\":1,\"request_id\":1.5}",
		"is an integer: round 1.5 yourself");
	refused(stock, PAY, "{\"amount\":1,\"card_token\":18446744073709551615}",
		"stands for null on the wire");
	refused(stock, PAY, "{\"amount\":1,\"merchant\":{\"mcc\":65536}}",
		"'merchant.mcc': 65536 is out of range: give 0 to 65535");
	refused(stock, PAY, "{\"amunt\":1}", "no field 'amunt': did you mean 'amount'?");
	refused(stock, PAY, "{\"user\":{\"risk_levle\":\"low\"}}",
		"no field 'user.risk_levle': did you mean 'user.risk_level'?");
	refused(stock, PAY, "{\"usr\":{}}", "did you mean 'user'?");
	refused(stock, PAY, "{\"quite_something_else\":1}",
		"no field 'quite_something_else': remove it");
	refused(stock, PAY, "{\"user.id\":1}", "'user.id' is a path: write nested objects");
	refused(stock, PAY, "{\"\":1}", "no field ''");
	refused(stock, PAY, "{\"a\\u0000\":1}", "no field of this name");
	refused(stock, PAY, "{\"user\":1}", "field 'user': give an object");
	refused(stock, PAY, "{\"user\":{\"risk_level\":\"hihg\"}}",
		"field 'user.risk_level' knows no 'hihg' (did you mean 'high'?): give one of low, "
		"medium, high");
	refused(stock, PAY, "{\"user\":{\"risk_level\":2}}", "give the name of a value");
	refused(stock, PAY, "{\"card\":{\"prepaid\":1}}", "'card.prepaid': give true or false");
	refused(stock, PAY, "{\"risk_analysis\":\"malware\"}", "give an array of names");
	refused(stock, PAY, "{\"risk_analysis\":[1]}", "each a string");
	refused(stock, PAY, "{\"risk_analysis\":[\"bad\"]}", "knows no 'bad'");
	refused(stock, PAY, "{\"currency\":\"EURO\"}",
		"field 'currency' holds 3 bytes and the string has 4");
	refused(stock, PAY, "{\"currency\":\"\\u20ac\\u20ac\"}",
		"holds 3 bytes and the string has 6");
	refused(stock, PAY, "{\"currency\":\"\\u0000\"}", "remove \\u0000");
	refused(stock, PAY, "{\"currency\":5}", "give a string");
	refused(kinds, "K", "{\"var\":2147483648.5," REQUIRED "}", "is out of range");
	refused(kinds, "K", "{\"var\":-2147483648," REQUIRED "}", "stands for null");
	refused(kinds, "K", "{\"var\":1e137," REQUIRED "}", "is out of range");
	refused(kinds, "K", "{\"var\":1e150," REQUIRED "}", "larger exponent");
	refused(kinds, "K", "{\"var\":1e-129," REQUIRED "}", "larger exponent");
	refused(kinds, "K", "{\"thousands\":1500," REQUIRED "}", "has more");
	refused(kinds, "K", "{\"single\":1e39," REQUIRED "}", "out of range of a 4-byte float");
	refused(kinds, "K", "{\"wide\":1e309," REQUIRED "}", "out of range of a 8-byte float");
	refused(kinds, "K", "{\"seven\":7," REQUIRED "}", "is constant in the schema");
	refused(kinds, "K", "{\"always\":\"no\"," REQUIRED "}", "is constant in the schema");
}

static void test_room_and_versions(void)
{
	uint8_t message[300], *exact;
	struct rg_json_writer writer;
	struct rg_error err;
	size_t written;
	char *back;

	assert(rg_sbe_from_json(stock, PAY, "{\"amount\":1}", 12, message, 295, &written, &err) ==
	       RG_ELIMIT);
	assert(rg_sbe_from_json(stock, PAY, "{\"amount\":1}", 12, message, 296, &written, &err) ==
		       RG_OK &&
	       written == 296);
	/* Every shorter block is read up to where it ends. */
	for (size_t block = 8; block <= 288; block++) {
		message[0] = (uint8_t)block;
		message[1] = (uint8_t)(block >> 8);
		exact = malloc(8 + block);
		memcpy(exact, message, 8 + block);
		back = to_json(stock, exact, 8 + block);
		assert((strstr(back, "\"amount\":1,") != NULL) == (block >= 24));
		free(back);
		free(exact);
	}
	rg_json_writer_init(&writer, false);
	for (size_t bytes = 0; bytes < 296; bytes++)
		assert(rg_sbe_to_json(stock, message, bytes, &writer, &err) == RG_EINVAL);
	message[2] = 77;
	assert(rg_sbe_to_json(stock, message, 296, &writer, &err) == RG_ENOENT &&
	       strstr(err.text, "template 77"));
	rg_json_writer_free(&writer);
	/* An older version hides what came later. */
	assert(!rg_sbe_from_json(kinds, "K", "{\"late\":5," REQUIRED "}",
				 strlen("{\"late\":5," REQUIRED "}"), message, sizeof(message),
				 &written, &err));
	back = to_json(kinds, message, written);
	assert(strstr(back, "\"late\":5}"));
	free(back);
	message[6] = 1;
	back = to_json(kinds, message, written);
	assert(strstr(back, "\"late\":null}"));
	free(back);
}

/* A random value that JSON can carry, put straight into the block. */
static void random_value(const struct rg_field_table *table, const struct rg_field *field,
			 uint8_t *block)
{
	uint64_t raw = (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();
	uint64_t mask = field->bytes == 8 ? UINT64_MAX : (1ull << 8 * field->bytes) - 1;

	switch (field->kind) {
	case RG_FIELD_CHARS:
		for (uint32_t i = 0, n = (uint32_t)rand() % (field->length + 1u); i < n; i++)
			block[field->offset + i] = (uint8_t)(rand() % 127 + 1);
		return;
	case RG_FIELD_SET:
		for (uint32_t i = 0, bits = (uint32_t)rand(); i < field->names_count; i++)
			raw = (i ? raw : 0) | (uint64_t)(bits >> i & 1)
						      << table->names[field->names_first + i].value;
		break;
	case RG_FIELD_ENUM:
	case RG_FIELD_BOOL:
		raw = table->names[field->names_first + (uint32_t)rand() % field->names_count]
			      .value;
		break;
	default:
		raw >>= rand() % 64;
		if (rand() % 2)
			raw = 0 - raw;
	}
	if (field->optional && (rand() % 4 == 0 || (raw & mask) == field->null_value))
		raw = field->null_value;
	memcpy(block + field->offset, &raw, field->bytes);
}

/* Property: message -> JSON -> message gives the same bytes, JSON -> message -> JSON the same text.
 */
static void test_round_trip(void)
{
	const struct rg_field_table *table = rg_schema_fields(stock);
	unsigned seed = 7171;

	printf("seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < 3000; round++) {
		const struct rg_template *template =
			&table->templates[(uint32_t)rand() % table->template_count];
		uint8_t message[512] = {0}, again[512];
		struct rg_error err;
		size_t bytes = 8u + template->block_length, written;
		char *json, *twice;

		rg_sbe_header_write(message, (struct rg_sbe_header){template->block_length,
								    template->template_id, 1, 1});
		for (uint32_t i = 0; i < template->fields_count; i++)
			random_value(table, &table->fields[template->fields_first + i],
				     message + 8);
		json = to_json(stock, message, bytes);
		if (rg_sbe_from_json(stock, template->name, json, strlen(json), again,
				     sizeof(again), &written, &err)) {
			fprintf(stderr, "%s\n%s\n", json, err.text);
			abort();
		}
		assert(written == bytes && !memcmp(again, message, bytes));
		twice = to_json(stock, again, bytes);
		assert(!strcmp(json, twice));
		free(json);
		free(twice);
	}
}

/* Random bytes in a block never break the writer, and what it writes is JSON. */
static void test_random_blocks(void)
{
	const struct rg_schema *schemas[] = {stock, kinds};

	for (int round = 0; round < 4000; round++) {
		const struct rg_schema *schema = schemas[round % 2];
		const struct rg_field_table *table = rg_schema_fields(schema);
		const struct rg_template *template =
			&table->templates[(uint32_t)rand() % table->template_count];
		struct rg_json_reader reader;
		enum rg_json_token token;
		uint8_t message[512];
		char *json;

		for (size_t i = 0; i < sizeof(message); i++)
			message[i] = (uint8_t)rand();
		rg_sbe_header_write(message, (struct rg_sbe_header){
						     template->block_length, template->template_id,
						     template->schema_id, (uint16_t)(rand() % 4)});
		json = to_json(schema, message, sizeof(message));
		rg_json_reader_init(&reader, json, strlen(json));
		while ((token = rg_json_next(&reader)) != RG_JSON_END)
			assert(token != RG_JSON_ERROR);
		free(json);
	}
}

int main(int argc, char **argv)
{
	struct rg_error err;

	assert(argc == 2);
	if (rg_schema_load(argv[1], &stock, &err) ||
	    rg_schema_load_memory(kinds_xml, strlen(kinds_xml), "kinds", &kinds, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	test_values();
	test_refusals();
	test_room_and_versions();
	test_round_trip();
	test_random_blocks();
	rg_schema_free(stock);
	rg_schema_free(kinds);
	return 0;
}
