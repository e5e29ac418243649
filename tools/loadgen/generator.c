/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loadgen/generator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/loadgen/encode.h"

#define MINUTES_OF_DAY 1440
#define YEAR_2026_NS   1767225600000000000ull
#define YEAR_LENGTH_NS 31536000000000000ull

enum rule { RULE_PLAUSIBLE, RULE_UNIFORM, RULE_CHOICE };

/* How one field is filled. */
struct filler {
	const struct rg_field *field;
	enum rule rule;
	int64_t low, high; /* RULE_UNIFORM: of the integer or mantissa */
	int8_t exponent;   /* RULE_UNIFORM of a decimal with its own exponent */
	uint8_t **choices; /* RULE_CHOICE: encoded values, chosen evenly */
	uint32_t choice_count;
};

struct rg_generator {
	const struct rg_field_table *table;
	uint64_t state;
	uint32_t filler_count;
	struct filler fillers[];
};

/* splitmix64. Source: G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number
 * Generators", OOPSLA 2014. */
static uint64_t next_random(struct rg_generator *generator)
{
	uint64_t z = generator->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* Evenly from 0 to bound - 1; bound >= 1. Source: D. Lemire, "Fast Random Integer Generation in an
 * Interval", without the rejection: the bias is below bound / 2^64. */
static uint64_t random_below(struct rg_generator *generator, uint64_t bound)
{
	return (uint64_t)((unsigned __int128)next_random(generator) * bound >> 64);
}

static bool name_ends(const char *path, const char *ending)
{
	size_t path_bytes = strlen(path), ending_bytes = strlen(ending);

	return path_bytes >= ending_bytes && strcmp(path + path_bytes - ending_bytes, ending) == 0;
}

/* An integer of a kind that its name tells. False if it tells none. */
static bool fill_known_integer(struct rg_generator *generator, const struct rg_field *field,
			       uint8_t *block)
{
	uint64_t degrees = name_ends(field->path, "latitude")	 ? 90
			   : name_ends(field->path, "longitude") ? 180
								 : 0;

	if (name_ends(field->path, "time_ns") && field->bytes == 8) {
		rg_encode_raw(field, YEAR_2026_NS + random_below(generator, YEAR_LENGTH_NS), block);
		return true;
	}
	if (name_ends(field->path, "minute") && field->bytes >= 2) {
		rg_encode_raw(field, random_below(generator, MINUTES_OF_DAY), block);
		return true;
	}
	if (degrees && field->kind == RG_FIELD_DECIMAL && field->is_signed && field->bytes >= 4) {
		for (int i = 0; i > field->exponent && i > -6; i--)
			degrees *= 10;
		rg_encode_raw(field, random_below(generator, 2 * degrees + 1) - degrees, block);
		return true;
	}
	return false;
}

/* An integer whose number of digits is even over 1..digits, inside the field's range. */
static void fill_integer(struct rg_generator *generator, const struct rg_field *field,
			 uint8_t *block)
{
	uint32_t digits = name_ends(field->path, "id") || name_ends(field->path, "token") ? 8 : 6;
	uint64_t bound = 10, high, value;
	int64_t low;

	if (fill_known_integer(generator, field, block))
		return;
	rg_encode_range(field, &low, &high);
	for (uint64_t digit = random_below(generator, digits); digit > 0; digit--)
		bound *= 10;
	if (bound > high)
		bound = high;
	value = 1 + random_below(generator, bound);
	rg_encode_raw(field, value > high ? high : value, block);
}

static void fill_chars(struct rg_generator *generator, const struct rg_field *field, uint8_t *block)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	static const char currencies[][4] = {"USD", "EUR", "GBP", "JPY",
					     "CHF", "CAD", "AUD", "SEK"};
	static const char countries[][3] = {"US", "DE", "FR", "GB", "ES", "IT",
					    "NL", "CA", "JP", "BR", "IN", "NG"};
	uint32_t used = field->length <= 4 ? field->length
					   : 1 + (uint32_t)random_below(generator, field->length);

	memset(block + field->offset, 0, field->length);
	if (name_ends(field->path, "currency") && field->length == 3) {
		memcpy(block + field->offset,
		       currencies[random_below(generator,
					       sizeof(currencies) / sizeof(currencies[0]))],
		       3);
		return;
	}
	if (name_ends(field->path, "country") && field->length == 2) {
		memcpy(block + field->offset,
		       countries[random_below(generator, sizeof(countries) / sizeof(countries[0]))],
		       2);
		return;
	}
	for (uint32_t i = 0; i < used; i++)
		block[field->offset + i] =
			(uint8_t)alphabet[random_below(generator, sizeof(alphabet) - 1)];
}

static void fill_float(struct rg_generator *generator, const struct rg_field *field, uint8_t *block)
{
	double value = (double)(next_random(generator) >> 11) * 0x1p-53;
	float narrow = (float)value;

	if (field->bytes == 4)
		memcpy(block + field->offset, &narrow, 4);
	else
		memcpy(block + field->offset, &value, 8);
}

static void fill_plausible(struct rg_generator *generator, const struct rg_field *field,
			   uint8_t *block)
{
	const struct rg_field_name *names = generator->table->names + field->names_first;
	uint64_t bits = 0;

	if (field->optional && random_below(generator, 8) == 0) {
		rg_encode_null(field, block, NULL);
		return;
	}
	switch (field->kind) {
	case RG_FIELD_CHARS: fill_chars(generator, field, block); break;
	case RG_FIELD_FLOAT: fill_float(generator, field, block); break;
	case RG_FIELD_BOOL: rg_encode_raw(field, random_below(generator, 4) == 0, block); break;
	case RG_FIELD_ENUM:
		if (field->names_count)
			rg_encode_raw(field,
				      names[random_below(generator, field->names_count)].value,
				      block);
		break;
	case RG_FIELD_SET:
		for (uint32_t i = 0; i < field->names_count; i++)
			bits |= (uint64_t)(random_below(generator, 32) == 0) << names[i].value;
		rg_encode_raw(field, bits, block);
		break;
	case RG_FIELD_DECIMAL_VAR:
		block[field->exponent_offset] = (uint8_t)(int8_t)-2;
		fill_integer(generator, field, block);
		break;
	default: fill_integer(generator, field, block);
	}
}

/* Copy what a field occupies from one block to another. */
static void copy_field(const struct rg_field *field, const uint8_t *from, uint8_t *to)
{
	uint32_t bytes = field->kind == RG_FIELD_CHARS ? field->length : field->bytes;

	memcpy(to + field->offset, from + field->offset, bytes);
	if (field->kind == RG_FIELD_DECIMAL_VAR)
		to[field->exponent_offset] = from[field->exponent_offset];
}

void rg_generator_fill(struct rg_generator *generator, uint8_t *block)
{
	for (uint32_t i = 0; i < generator->filler_count; i++) {
		const struct filler *filler = &generator->fillers[i];
		uint64_t width = (uint64_t)filler->high - (uint64_t)filler->low;

		switch (filler->rule) {
		case RULE_PLAUSIBLE: fill_plausible(generator, filler->field, block); break;
		case RULE_UNIFORM:
			width = width == UINT64_MAX ? next_random(generator)
						    : random_below(generator, width + 1);
			rg_encode_raw(filler->field, (uint64_t)filler->low + width, block);
			if (filler->field->kind == RG_FIELD_DECIMAL_VAR)
				block[filler->field->exponent_offset] = (uint8_t)filler->exponent;
			break;
		case RULE_CHOICE:
			copy_field(filler->field,
				   filler->choices[random_below(generator, filler->choice_count)],
				   block);
			break;
		}
	}
}

/* Encode one bound of uniform() and read it back as the integer or mantissa it became. */
static int encode_bound(const struct rg_field_table *table, const struct rg_field *field,
			const char *text, size_t bytes, uint8_t *block, int64_t *value,
			struct rg_error *err)
{
	int status = rg_encode_text(table, field, text, bytes, block, err);

	if (status == RG_OK)
		*value = rg_field_extend(rg_field_load_raw(block + field->offset, field->bytes),
					 field->bytes, field->is_signed);
	return status;
}

static int set_uniform(const struct rg_field_table *table, struct filler *filler,
		       const char *arguments, size_t bytes, struct rg_error *err)
{
	const char *comma = memchr(arguments, ',', bytes);
	uint8_t block[RG_SCHEMA_BLOCK_BYTES_MAX];
	int8_t exponent;
	int status;

	if (filler->field->kind != RG_FIELD_INT && filler->field->kind != RG_FIELD_DECIMAL &&
	    filler->field->kind != RG_FIELD_DECIMAL_VAR)
		return rg_error_set(err, RG_EINVAL,
				    "field %s is not an integer or decimal: use choice(...)",
				    filler->field->path);
	if (!comma)
		return rg_error_set(err, RG_EINVAL,
				    "field %s: uniform takes two numbers: uniform(1,100)",
				    filler->field->path);
	status = encode_bound(table, filler->field, arguments, (size_t)(comma - arguments), block,
			      &filler->low, err);
	exponent = filler->field->kind == RG_FIELD_DECIMAL_VAR
			   ? (int8_t)block[filler->field->exponent_offset]
			   : 0;
	if (status == RG_OK)
		status = encode_bound(table, filler->field, comma + 1,
				      bytes - (size_t)(comma + 1 - arguments), block, &filler->high,
				      err);
	if (status != RG_OK)
		return status;
	if (filler->field->kind == RG_FIELD_DECIMAL_VAR &&
	    exponent != (int8_t)block[filler->field->exponent_offset])
		return rg_error_set(err, RG_EINVAL,
				    "field %s: write both numbers with as many decimals",
				    filler->field->path);
	if (filler->field->is_signed ? filler->low > filler->high
				     : (uint64_t)filler->low > (uint64_t)filler->high)
		return rg_error_set(err, RG_EINVAL, "field %s: the first number is the larger one",
				    filler->field->path);
	filler->exponent = exponent;
	filler->rule = RULE_UNIFORM;
	return RG_OK;
}

static void forget_choices(struct filler *filler)
{
	for (uint32_t i = 0; i < filler->choice_count; i++)
		free(filler->choices[i]);
	free(filler->choices);
	filler->choices = NULL;
	filler->choice_count = 0;
}

static int add_choice(const struct rg_field_table *table, struct filler *filler, const char *text,
		      size_t bytes, struct rg_error *err)
{
	uint8_t **grown = realloc(filler->choices, (filler->choice_count + 1) * sizeof(*grown));
	uint8_t *block = calloc(1, RG_SCHEMA_BLOCK_BYTES_MAX);

	if (grown)
		filler->choices = grown;
	if (!grown || !block) {
		free(block);
		return rg_error_set(err, RG_ENOMEM, "no memory for the values of field %s",
				    filler->field->path);
	}
	filler->choices[filler->choice_count++] = block;
	if (bytes == 4 && memcmp(text, "null", 4) == 0)
		return rg_encode_null(filler->field, block, err);
	return rg_encode_text(table, filler->field, text, bytes, block, err);
}

static int set_choice(const struct rg_field_table *table, struct filler *filler,
		      const char *arguments, size_t bytes, struct rg_error *err)
{
	for (size_t begin = 0; begin <= bytes;) {
		const char *comma = memchr(arguments + begin, ',', bytes - begin);
		size_t end = comma ? (size_t)(comma - arguments) : bytes;
		int status = add_choice(table, filler, arguments + begin, end - begin, err);

		if (status != RG_OK)
			return status;
		begin = end + 1;
	}
	filler->rule = RULE_CHOICE;
	return RG_OK;
}

/* If text is "name(arguments)", give the arguments. */
static const char *call_arguments(const char *text, const char *name, size_t *bytes)
{
	size_t name_bytes = strlen(name), text_bytes = strlen(text);

	if (strncmp(text, name, name_bytes) != 0 || text[name_bytes] != '(' ||
	    text[text_bytes - 1] != ')')
		return NULL;
	*bytes = text_bytes - name_bytes - 2;
	return text + name_bytes + 1;
}

static int apply_setting(struct rg_generator *generator, const struct rg_template *template,
			 const char *setting, struct rg_error *err)
{
	const char *equals = strchr(setting, '='), *arguments;
	struct filler *filler = NULL;
	size_t bytes;

	if (!equals)
		return rg_error_set(err, RG_EINVAL,
				    "no '=': write field=value, as in amount=uniform(1,1000)");
	for (uint32_t i = 0; i < generator->filler_count; i++)
		if (strlen(generator->fillers[i].field->path) == (size_t)(equals - setting) &&
		    strncmp(generator->fillers[i].field->path, setting,
			    (size_t)(equals - setting)) == 0)
			filler = &generator->fillers[i];
	if (!filler)
		return rg_error_set(err, RG_EINVAL, "template %s has no field '%.*s' to set",
				    template->name, (int)(equals - setting), setting);
	forget_choices(filler);
	arguments = call_arguments(equals + 1, "uniform", &bytes);
	if (arguments)
		return set_uniform(generator->table, filler, arguments, bytes, err);
	arguments = call_arguments(equals + 1, "choice", &bytes);
	if (arguments)
		return set_choice(generator->table, filler, arguments, bytes, err);
	filler->rule = RULE_CHOICE;
	return add_choice(generator->table, filler, equals + 1, strlen(equals + 1), err);
}

int rg_generator_new(const struct rg_schema *schema, const struct rg_template *template,
		     uint64_t seed, const char *const *settings, uint32_t setting_count,
		     struct rg_generator **out, struct rg_error *err)
{
	const struct rg_field_table *table = rg_schema_fields(schema);
	struct rg_generator *generator = calloc(
		1, sizeof(*generator) + template->fields_count * sizeof(generator->fillers[0]));

	if (!generator)
		return rg_error_set(err, RG_ENOMEM, "no memory for the generator");
	generator->table = table;
	generator->state = seed;
	for (uint32_t i = 1; i < template->fields_count; i++) {
		const struct rg_field *field = &table->fields[template->fields_first + i];

		if (!field->constant)
			generator->fillers[generator->filler_count++].field = field;
	}
	for (uint32_t i = 0; i < setting_count; i++) {
		int status = apply_setting(generator, template, settings[i], err);

		if (status != RG_OK) {
			rg_generator_free(generator);
			return rg_error_prefix(err, "--set %s", settings[i]);
		}
	}
	*out = generator;
	return RG_OK;
}

void rg_generator_free(struct rg_generator *generator)
{
	if (!generator)
		return;
	for (uint32_t i = 0; i < generator->filler_count; i++)
		forget_choices(&generator->fillers[i]);
	free(generator);
}
