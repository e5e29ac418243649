/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings against a small schema: each conversion's bytes, and each error's place. */
#include "tools/loadgen/mapping.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/loadgen/encode.h"
#include "tools/loadgen/request_pool.h"
#include "tools/loadgen/test_schema.h"

static struct rg_schema *schema;
static const struct rg_field_table *table;
static char path[] = "/tmp/riskgate-mapping-XXXXXX";

static const struct rg_field *field(const char *name)
{
	const struct rg_template *template = rg_schema_template_by_name(schema, "Pay");
	const struct rg_field *found = rg_schema_field(schema, template, name);

	assert(found);
	return found;
}

static int64_t value_of(const uint8_t *block, const char *name)
{
	const struct rg_field *f = field(name);

	return rg_field_extend(rg_field_load_raw(block + f->offset, f->bytes), f->bytes,
			       f->is_signed);
}

static bool is_null(const uint8_t *block, const char *name)
{
	const struct rg_field *f = field(name);

	return rg_field_load_raw(block + f->offset, f->bytes) == f->null_value;
}

static void write_csv(const char *text)
{
	FILE *file = fopen(path, "w");

	assert(file && fwrite(text, 1, strlen(text), file) == strlen(text) && fclose(file) == 0);
}

/* Encode the row-th row. Returns the status; block is room for it. */
static int encode(const char *map, const char *csv_text, int row, uint8_t **block,
		  struct rg_request_pool *pool, struct rg_error *err)
{
	struct rg_mapping *mapping = NULL;
	struct rg_csv *csv = NULL;
	const struct rg_csv_value *values;
	int status = rg_mapping_parse(map, strlen(map), "test.map.json", schema, &mapping, err);

	write_csv(csv_text);
	memset(pool, 0, sizeof(*pool));
	if (status == RG_OK)
		status = rg_csv_open(path, &csv, err);
	if (status == RG_OK)
		status = rg_mapping_bind(mapping, csv, err);
	if (status == RG_OK)
		status = rg_request_pool_init(pool, rg_mapping_template(mapping), err);
	for (int i = 0; status == RG_OK && i <= row; i++) {
		status = rg_csv_next(csv, &values, err);
		if (status == RG_OK)
			status = rg_request_pool_add(pool, table, block, err);
		if (status == RG_OK)
			status = rg_mapping_encode(mapping, csv, values, *block, err);
	}
	rg_csv_close(csv);
	rg_mapping_free(mapping);
	return status;
}

static const char full_map[] = "{\"fields\": {"
			       "\"time\": {\"column\": \"t\", \"scale\": 9},\n"
			       "\"token\": {\"token\": true, \"column\": \"who\"},\n"
			       "\"free\": {\"column\": \"rate\"},\n"
			       "\"amount\": {\"column\": \"amt\"},\n"
			       "\"born\": {\"column\": \"dob\", \"date_number\": true},\n"
			       "\"small\": {\"constant\": -7},\n"
			       "\"minute\": {\"column\": \"t\", \"day_minute\": true},\n"
			       "\"name\": {\"column\": \"who\"},\n"
			       "\"color\": {\"column\": \"who\", \"lookup\": {\"bob\": \"green\", "
			       "\"\\u0061l\": null}, \"default\": \"red\"},\n"
			       "\"flag\": {\"column\": \"who\", \"lookup\": {\"bob\": true}},\n"
			       "\"signs\": {\"constant\": [\"a\", \"b\"]},\n"
			       "\"share\": {\"constant\": 0.25}},\n"
			       "\"template\": \"Pay\", \"label\": \"fraud\"}";

static void test_conversions(void)
{
	static const char csv[] = "t,who,rate,amt,dob,fraud\n"
				  "1767225661,bob,1.50,12.3,2024-02-29,0\n"
				  "86399,al,,-0.01,,1\n"
				  "0,x,-3e2,1e2,1969-12-31,1\n";
	struct rg_request_pool pool;
	struct rg_error err;
	uint8_t *block;
	double share;

	assert(encode(full_map, csv, 0, &block, &pool, &err) == RG_OK);
	assert(value_of(block, "request_id") == 0 &&
	       value_of(block, "time") == 1767225661000000000ll);
	/* FNV-1a of "bob", from the definition: offset basis, xor, multiply. */
	assert((uint64_t)value_of(block, "token") == 0x4d4419134a0a54ull);
	assert(value_of(block, "free") == 150 &&
	       (int8_t)block[field("free")->exponent_offset] == -2);
	assert(value_of(block, "amount") == 1230 && value_of(block, "born") == 20240229);
	assert(value_of(block, "small") == -7 && value_of(block, "minute") == 1);
	assert(memcmp(block + field("name")->offset, "bob", 4) == 0);
	assert(value_of(block, "color") == 5 && value_of(block, "flag") == 1 &&
	       value_of(block, "signs") == 9);
	memcpy(&share, block + field("share")->offset, 8);
	assert(share == 0.25);
	rg_request_pool_free(&pool);

	assert(encode(full_map, csv, 1, &block, &pool, &err) == RG_OK);
	assert(value_of(block, "time") == 86399000000000ll && value_of(block, "minute") == 1439);
	assert(is_null(block, "free") && value_of(block, "amount") == -1 && is_null(block, "born"));
	assert(is_null(block, "color") && is_null(block, "flag"));
	rg_request_pool_free(&pool);

	assert(encode(full_map, csv, 2, &block, &pool, &err) == RG_OK);
	assert(value_of(block, "free") == -3 && (int8_t)block[field("free")->exponent_offset] == 2);
	assert(value_of(block, "amount") == 10000 && value_of(block, "born") == 19691231 &&
	       value_of(block, "color") == 1);
	rg_request_pool_free(&pool);
}

/* The mapping itself is wrong. */
static void bad_map(const char *map, const char *words)
{
	struct rg_mapping *mapping = NULL;
	struct rg_error err = {0};
	int status = rg_mapping_parse(map, strlen(map), "m.json", schema, &mapping, &err);

	if (status == RG_OK || !strstr(err.text, words) || strncmp(err.text, "m.json", 6) != 0)
		fprintf(stderr, "map %s\n  status %d '%s', wanted '%s'\n", map, status, err.text,
			words);
	assert(status != RG_OK && strstr(err.text, words) && strncmp(err.text, "m.json", 6) == 0);
}

#define ONE(source)                                                                                \
	"{\"template\":\"Pay\",\"label\":\"fraud\",\"fields\":{\n \"amount\": " source "}}"

static void test_bad_maps(void)
{
	bad_map("", "m.json");
	bad_map("[]", "m.json:1:1: a mapping is an object");
	bad_map("{\"template\":\"Pay\"}", "needs template and fields");
	bad_map("{\"template\":\"Nope\",\"fields\":{}}", "no request template 'Nope'");
	bad_map("{\"template\":\"Pay\",\"fields\":{},\"x\":1}", "m.json:1:31: unknown key");
	bad_map("{\"template\":\"Pay\",\"fields\":{}}", "required field time of Pay is not mapped");
	bad_map("{\"template\":\"Pay\",\"fields\":{\"nope\":{\"column\":\"a\"}}}",
		"has no field 'nope'");
	bad_map("{\"template\":\"Pay\",\"fields\":{\"request_id\":{\"column\":\"a\"}}}",
		"given by the sender");
	bad_map(ONE("{}"), "m.json:2:13: a field needs exactly one of column and constant");
	bad_map(ONE("{\"column\":\"a\",\"constant\":1}"), "exactly one of");
	bad_map(ONE("{\"column\":\"a\",\"colum\":1}"), "m.json:2:26: unknown key");
	bad_map(ONE("{\"column\":\"fraud\"}"), "the label");
	bad_map(ONE("{\"column\":\"a\",\"token\":true,\"scale\":1}"), "at most one of");
	bad_map(ONE("{\"constant\":1,\"token\":true}"), "remove its conversion");
	bad_map(ONE("{\"column\":\"a\",\"default\":1}"), "default belongs to a lookup");
	bad_map(ONE("{\"column\":\"a\",\"scale\":-1}"), "0 to 18");
	bad_map(ONE("{\"column\":\"a\",\"lookup\":{\"x\":1.234}}"),
		"m.json:2:40: field amount: '1.234' has more decimals");
	bad_map(ONE("{\"column\":\"a\",\"lookup\":{\"x\":1,\"x\":2}}"), "twice");
	bad_map(ONE("{\"constant\":null}"), "cannot be null");
	bad_map(ONE("{\"constant\":{}}"), "an object cannot be");
	bad_map(ONE("{\"constant\":3e9}"), "out of range");
	bad_map(ONE("{\"constant\":1},\"amount\":{\"constant\":2}"), "mapped twice");
	bad_map(ONE("{\"constant\":1"), "m.json");
}

/* The mapping is right, the row is not. */
static void bad_row(const char *map, const char *csv, const char *words)
{
	struct rg_request_pool pool;
	struct rg_error err = {0};
	uint8_t *block;
	int status = encode(map, csv, 0, &block, &pool, &err);

	if (status == RG_OK || !strstr(err.text, words))
		fprintf(stderr, "csv %s\n  status %d '%s', wanted '%s'\n", csv, status, err.text,
			words);
	assert(status != RG_OK && strstr(err.text, words));
	rg_request_pool_free(&pool);
}

#define COLUMNS "t,who,rate,amt,dob,fraud\n"

static void test_bad_rows(void)
{
	char words[200];

	bad_row(full_map, "t,who,rate,dob,fraud\n", "test.map.json:4:1: field amount:");
	bad_row(full_map, "t,who,rate,dob,fraud\n",
		"has no column 'amt': it has t, who, rate, dob, fraud");
	snprintf(words, sizeof(words),
		 "%s:2:9: column amt: field amount: '1.234' has more decimals", path);
	bad_row(full_map, COLUMNS "1,bob,1,1.234,2024-01-01,0\n", words);
	bad_row(full_map, COLUMNS "1,bob,1,abc,2024-01-01,0\n",
		":2:9: column amt: field amount: 'abc' is not a number");
	bad_row(full_map, COLUMNS "1,bob,1,,2024-01-01,0\n",
		":2:9: column amt: field amount is required and has no value");
	bad_row(full_map, COLUMNS "1,bob,1,30000000,2024-01-01,0\n",
		"out of range: as 4-byte integer it holds -2147483648..2147483647");
	bad_row(full_map, COLUMNS "1,bobby,1,1,2024-01-01,0\n",
		":2:3: column who: field name: 'bobby' has 5 bytes, the field holds 4");
	bad_row(full_map, COLUMNS "1.5,bob,1,1,2024-01-01,0\n",
		":2:1: column t: field time: '1.5' is not a whole number");
	bad_row(full_map, COLUMNS "1,bob,1,1,2023-02-29,0\n",
		":2:11: column dob: field born: '2023-02-29' is not a date");
	bad_row(full_map, COLUMNS "1,bob,1,1,20240101,0\n", "is not a date");
	bad_row(full_map, COLUMNS "-1,bob,1,1,2024-01-01,0\n",
		"column t: field time: '-1e9' is out of range");
	bad_row(full_map, COLUMNS "99999999999,bob,1,1,2024-01-01,0\n",
		"field time: '99999999999e9' is too large");
	bad_row(full_map, COLUMNS "1,bob,99999999999999999999,1,2024-01-01,0\n",
		"more digits than 64 bits");
	bad_row(full_map, COLUMNS "1,bob,1e,1,2024-01-01,0\n", "no valid exponent");
	bad_row(full_map, COLUMNS "1,bob,1e9999,1,2024-01-01,0\n", "no valid exponent");
}

/* Text to field on its own: what a mapping of constants does not reach. */
static void test_encode(void)
{
	uint8_t block[64];
	struct rg_error err;
	int64_t low;
	uint64_t high;

	assert(rg_encode_text(table, field("color"), "blue", 4, block, &err) == RG_EINVAL &&
	       strstr(err.text, "it has red, green"));
	assert(rg_encode_text(table, field("signs"), "a|c", 3, block, &err) == RG_EINVAL &&
	       strstr(err.text, "no name 'c'"));
	assert(rg_encode_text(table, field("signs"), "", 0, block, &err) == RG_OK &&
	       value_of(block, "signs") == 0);
	assert(rg_encode_text(table, field("flag"), "yes", 3, block, &err) == RG_EINVAL);
	assert(rg_encode_text(table, field("flag"), "0", 1, block, &err) == RG_OK &&
	       value_of(block, "flag") == 0);
	assert(rg_encode_text(table, field("share"), "nan", 3, block, &err) == RG_EINVAL);
	assert(rg_encode_text(table, field("share"), "0.5x", 4, block, &err) == RG_EINVAL);
	assert(rg_encode_text(table, field("share"), " 0.5", 4, block, &err) == RG_EINVAL);
	/* The null value of an optional field is no value a text may have. */
	rg_encode_range(field("small"), &low, &high);
	assert(low == -32767 && high == 32767);
	assert(rg_encode_text(table, field("small"), "-32768", 6, block, &err) == RG_ELIMIT);
	assert(rg_encode_text(table, field("small"), "-32767", 6, block, &err) == RG_OK &&
	       value_of(block, "small") == -32767);
	rg_encode_range(field("minute"), &low, &high);
	assert(low == 0 && high == 65534);
	assert(rg_encode_text(table, field("minute"), "65535", 5, block, &err) == RG_ELIMIT);
	assert(rg_encode_text(table, field("minute"), "65534.0", 7, block, &err) == RG_OK);
	assert(rg_encode_text(table, field("minute"), "1.5", 3, block, &err) == RG_EINVAL &&
	       strstr(err.text, "decimals") == NULL);
	assert(rg_encode_text(table, field("minute"), "0e-1000", 7, block, &err) == RG_OK &&
	       value_of(block, "minute") == 0);
	assert(rg_encode_null(field("time"), block, &err) == RG_EINVAL);
}

int main(void)
{
	struct rg_error err;
	int fd = mkstemp(path);

	assert(fd >= 0);
	close(fd);
	if (rg_schema_load_memory(test_schema, sizeof(test_schema) - 1, "schema", &schema, &err) !=
	    RG_OK)
		fprintf(stderr, "%s\n", err.text);
	assert(schema);
	table = rg_schema_fields(schema);
	test_conversions();
	test_bad_maps();
	test_bad_rows();
	test_encode();
	rg_schema_free(schema);
	unlink(path);
	return 0;
}
