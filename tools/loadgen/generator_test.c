/* SPDX-License-Identifier: Apache-2.0 */
/* Generated requests of the stock schema: the same seed gives the same bytes, every value is one
 * its field may have, settings hold. */
#include "tools/loadgen/generator.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tools/loadgen/encode.h"
#include "tools/loadgen/request_pool.h"

static struct rg_schema *schema;
static const struct rg_field_table *table;
static const struct rg_template *payment;

static int generate(uint64_t seed, const char *const *settings, uint32_t count, uint32_t requests,
		    struct rg_request_pool *pool, struct rg_error *err)
{
	struct rg_generator *generator;
	uint8_t *block;
	int status = rg_generator_new(schema, payment, seed, settings, count, &generator, err);

	if (status != RG_OK)
		return status;
	assert(rg_request_pool_init(pool, payment, err) == RG_OK);
	for (uint32_t i = 0; i < requests; i++) {
		assert(rg_request_pool_add(pool, table, &block, err) == RG_OK);
		rg_generator_fill(generator, block);
	}
	rg_generator_free(generator);
	return RG_OK;
}

static const uint8_t *block_of(const struct rg_request_pool *pool, uint64_t i)
{
	return rg_request_pool_message(pool, i) + 8;
}

static uint64_t raw_of(const struct rg_request_pool *pool, uint64_t i, const char *path)
{
	const struct rg_field *field = rg_schema_field(schema, payment, path);

	assert(field);
	return rg_field_load_raw(block_of(pool, i) + field->offset, field->bytes);
}

static void test_deterministic(void)
{
	struct rg_request_pool a, b, c;

	assert(generate(42, NULL, 0, 500, &a, NULL) == RG_OK);
	assert(generate(42, NULL, 0, 500, &b, NULL) == RG_OK);
	assert(generate(43, NULL, 0, 500, &c, NULL) == RG_OK);
	assert(memcmp(a.messages, b.messages, 500ull * a.message_bytes) == 0);
	assert(memcmp(a.messages, c.messages, 500ull * a.message_bytes) != 0);
	assert(memcmp(block_of(&a, 0), block_of(&a, 1), payment->block_length) != 0);
	rg_request_pool_free(&a);
	rg_request_pool_free(&b);
	rg_request_pool_free(&c);
}

/* Enum values and bits have names, integers lie inside their range, required fields are never null.
 */
static void check_value(const struct rg_field *field, const uint8_t *block)
{
	uint64_t raw = rg_field_load_raw(block + field->offset, field->bytes);
	bool known = false;

	if (field->optional && raw == field->null_value)
		return;
	switch (field->kind) {
	case RG_FIELD_ENUM:
		for (uint32_t i = 0; i < field->names_count; i++)
			known |= table->names[field->names_first + i].value == raw;
		assert(known);
		break;
	case RG_FIELD_BOOL: assert(raw <= 1); break;
	case RG_FIELD_SET:
		for (uint32_t i = 0; i < field->names_count; i++)
			raw &= ~(1ull << table->names[field->names_first + i].value);
		assert(raw == 0);
		break;
	case RG_FIELD_INT:
	case RG_FIELD_DECIMAL: {
		int64_t low;
		uint64_t high;

		rg_encode_range(field, &low, &high);
		assert(rg_field_extend(raw, field->bytes, field->is_signed) >= low);
		assert(field->is_signed || raw <= high);
		break;
	}
	}
}

static void test_plausible(void)
{
	struct rg_request_pool pool;

	assert(generate(7, NULL, 0, 2000, &pool, NULL) == RG_OK);
	for (uint64_t i = 0; i < pool.count; i++) {
		assert(raw_of(&pool, i, "request_id") == 0);
		for (uint32_t f = 1; f < payment->fields_count; f++) {
			const struct rg_field *field = &table->fields[payment->fields_first + f];

			if (field->kind == RG_FIELD_CHARS && !field->optional)
				assert(block_of(&pool, i)[field->offset] >= '0');
			else if (field->kind != RG_FIELD_CHARS)
				check_value(field, block_of(&pool, i));
		}
	}
	for (uint64_t i = 0; i < pool.count; i++) {
		int64_t latitude = (int32_t)raw_of(&pool, i, "merchant.latitude");

		assert(raw_of(&pool, i, "merchant.latitude") == 0x80000000 ||
		       (latitude >= -90000000 && latitude <= 90000000));
		assert(raw_of(&pool, i, "local_minute") < 1440 ||
		       raw_of(&pool, i, "local_minute") == UINT16_MAX);
	}
	rg_request_pool_free(&pool);
}

static void test_settings(void)
{
	static const char *const settings[] = {"amount=uniform(-1.5,200000)",
					       "user.risk_level=choice(low,high,high)",
					       "currency=EUR",
					       "merchant.country=null",
					       "device.signals=choice(,emulator)",
					       "card_token=uniform(5,5)"};
	struct rg_request_pool pool;
	struct rg_error err;
	uint32_t high = 0, count = sizeof(settings) / sizeof(settings[0]);
	int64_t smallest = INT64_MAX, largest = INT64_MIN;

	assert(rg_schema_field(schema, payment, "device.signals"));
	if (generate(1, settings, count, 6000, &pool, &err) != RG_OK)
		fprintf(stderr, "%s\n", err.text);
	assert(pool.count == 6000);
	for (uint64_t i = 0; i < pool.count; i++) {
		const struct rg_field *country =
			rg_schema_field(schema, payment, "merchant.country");
		const struct rg_field *currency = rg_schema_field(schema, payment, "currency");
		int64_t amount = (int64_t)raw_of(&pool, i, "amount");
		uint64_t level = raw_of(&pool, i, "user.risk_level");

		smallest = amount < smallest ? amount : smallest;
		largest = amount > largest ? amount : largest;
		assert(level == 1 || level == 3);
		high += level == 3;
		assert(memcmp(block_of(&pool, i) + currency->offset, "EUR", 3) == 0);
		assert(block_of(&pool, i)[country->offset] == 0);
		assert(raw_of(&pool, i, "card_token") == 5);
	}
	assert(smallest >= -150 && smallest < 1000000 && largest <= 20000000 && largest > 19000000);
	assert(high > 3800 && high < 4200);
	rg_request_pool_free(&pool);
}

static void bad_setting(const char *setting, const char *words)
{
	struct rg_request_pool pool;
	struct rg_error err = {0};
	int status = generate(1, &setting, 1, 1, &pool, &err);

	if (status == RG_OK || !strstr(err.text, words))
		fprintf(stderr, "%s: '%s', wanted '%s'\n", setting, err.text, words);
	assert(status != RG_OK && strstr(err.text, words) && strncmp(err.text, "--set ", 6) == 0);
}

static void test_bad_settings(void)
{
	bad_setting("amount", "no '='");
	bad_setting("amoun=1", "has no field 'amoun'");
	bad_setting("request_id=1", "has no field 'request_id'");
	bad_setting("amount=1.234", "more decimals");
	bad_setting("amount=uniform(5)", "two numbers");
	bad_setting("amount=uniform(5,4)", "larger one");
	bad_setting("amount=null", "required");
	bad_setting("currency=uniform(1,2)", "use choice");
	bad_setting("user.risk_level=choice(low,lowest)", "no name 'lowest'");
	bad_setting("currency=EURO", "has 4 bytes");
}

int main(int argc, char **argv)
{
	struct rg_error err;

	assert(argc == 2);
	if (rg_schema_load(argv[1], &schema, &err) != RG_OK)
		fprintf(stderr, "%s\n", err.text);
	assert(schema);
	table = rg_schema_fields(schema);
	payment = rg_schema_template_by_name(schema, "PaymentAuthorization");
	assert(payment);
	test_deterministic();
	test_plausible();
	test_settings();
	test_bad_settings();
	rg_schema_free(schema);
	return 0;
}
