/* SPDX-License-Identifier: Apache-2.0 */
/* The time of day and the day of the week: remainders and quotients of nanoseconds, local ones
 * where a zone is named. See image/typed.h. */
#include <stdlib.h>
#include <string.h>

#include "policy/builtin/zone.h"
#include "policy/compile/typed_made.h"

#define SECOND_NS INT64_C(1000000000)
#define DAY_NS	  (86400 * SECOND_NS)

/* The ORDER of a zone's moments, laid down before. */
struct zone_table {
	const struct rg_zone *zone;
	uint32_t table;
};

/* Moments at which a zone's clocks are changed, as bounds, and what it says before and from them
 * on. */
struct moments {
	struct rg_vector words;	  /* uint64_t, as bytes of a bound */
	struct rg_vector offsets; /* uint32_t */
};

static void add_offset(struct rg_unit *unit, struct moments *moments, const struct rg_zone *zone,
		       int64_t unix_s)
{
	uint32_t *offset = rg_vector_add(unit, &moments->offsets, sizeof(*offset));

	if (offset)
		*offset = RG_TYPED_ZONE_BIAS + (uint32_t)rg_zone_at(zone, unix_s).offset_s;
}

/* All that a number of nanoseconds can name. */
static void find_moments(struct rg_unit *unit, const struct rg_zone *zone, struct moments *moments)
{
	int64_t at = INT64_MIN / SECOND_NS - 1;

	add_offset(unit, moments, zone, at);
	while ((at = rg_zone_next(zone, at)) <= INT64_MAX / SECOND_NS && !unit->status) {
		uint64_t *word = rg_vector_add(unit, &moments->words, sizeof(*word));

		if (word)
			*word = __builtin_bswap64((uint64_t)(at * SECOND_NS) ^ 1ull << 63);
		add_offset(unit, moments, zone, at);
	}
}

uint32_t rg_typed_zone_table(struct rg_unit *unit, const struct rg_zone *zone)
{
	struct moments moments = {0};
	struct rg_typed_bound *bounds;
	uint32_t table = 0;

	find_moments(unit, zone, &moments);
	bounds = calloc(moments.words.count + 1u, sizeof(*bounds));
	for (uint32_t i = 0; bounds && i < moments.words.count; i++)
		bounds[i] = (struct rg_typed_bound){
			(const uint8_t *)RG_VECTOR_AT(moments.words, uint64_t, i),
			sizeof(uint64_t)};
	if (!bounds)
		rg_unit_no_memory(unit);
	else if (!unit->status)
		table = rg_typed_order_table(unit, bounds, moments.words.count,
					     moments.offsets.items);
	free(bounds);
	free(moments.words.items);
	free(moments.offsets.items);
	return table;
}

static uint32_t table_of(struct rg_typed *t, const struct rg_zone *zone)
{
	struct zone_table *made;

	for (uint32_t i = 0; i < t->zones.count; i++) {
		made = RG_VECTOR_AT(t->zones, struct zone_table, i);
		if (made->zone == zone)
			return made->table;
	}
	made = rg_vector_add(t->unit, &t->zones, sizeof(*made));
	if (!made)
		return 0;
	*made = (struct zone_table){zone, rg_typed_zone_table(t->unit, zone)};
	return made->table;
}

/* The moment and the zone that an argument names: ns or [ns, zone]. False: it is neither. */
static bool read_moment(struct rg_typed_context *c, const struct rg_typed_fact *arg,
			struct rg_typed_fact *ns, struct rg_value *zone)
{
	struct rg_heap *heap = &c->typed->unit->heap;
	struct rg_value moment;

	*ns = *arg;
	*zone = rg_undefined;
	if (arg->kind == RG_TYPED_IS_ARRAY || arg->kind == RG_TYPED_IS_MADE) {
		if (!rg_typed_made_value(c, *arg, &moment) || moment.type != RG_ARRAY ||
		    rg_count(heap, moment) != 2)
			return false;
		*ns = rg_typed_made_fact(c->typed, rg_array_at(heap, moment, 0));
		*zone = rg_array_at(heap, moment, 1);
		if (zone->type != RG_STRING)
			return false; /* one of the request's is that of no zone */
	}
	return ns->kind == RG_TYPED_IS_INTEGER && !ns->scale;
}

/* Local nanoseconds of the moment. False: it has no such. */
static bool local_ns(struct rg_typed_context *c, const struct rg_typed_fact *arg, uint16_t *slot)
{
	const struct rg_heap *heap = &c->typed->unit->heap;
	const struct rg_zone *zone = NULL;
	struct rg_typed_fact ns;
	struct rg_value name;
	bool found = true;

	if (!read_moment(c, arg, &ns, &name))
		return false;
	if (rg_is_defined(name))
		zone = rg_zone_find(rg_text(heap, name), name.length, &found);
	if (!found)
		return false;
	*slot = rg_typed_integer(c->typed, &ns, 0);
	if (zone)
		*slot = rg_typed_value(
			c->typed, (struct rg_typed_instruction){.op = RG_TYPED_OP_LOCAL_TIME,
								.a = *slot,
								.table = table_of(c->typed, zone)});
	return true;
}

/* How many whole units of `unit` nanoseconds of the current period have passed. */
static uint16_t part(struct rg_typed *t, uint16_t ns, int64_t period, int64_t unit)
{
	uint16_t rest = rg_typed_value(
		t,
		(struct rg_typed_instruction){.op = RG_TYPED_OP_MODULO, .a = ns, .number = period});

	return rg_typed_value(t, (struct rg_typed_instruction){
					 .op = RG_TYPED_OP_QUOTIENT, .a = rest, .number = unit});
}

bool rg_typed_clock_part(struct rg_typed *t, struct rg_typed_fact clock, struct rg_value index,
			 struct rg_typed_fact *result)
{
	static const int64_t periods[] = {DAY_NS, 3600 * SECOND_NS, 60 * SECOND_NS, SECOND_NS};
	int64_t number;
	uint8_t scale;

	if (!rg_typed_decimal(t, index, &number, &scale) || scale || number < 0 || number > 2)
		return false;
	*result = (struct rg_typed_fact){
		.kind = RG_TYPED_IS_INTEGER,
		.slot = part(t, clock.slot, periods[number], periods[number + 1])};
	return true;
}

/* 1970 began on a Thursday. */
static struct rg_typed_fact weekday(struct rg_typed *t, uint16_t ns)
{
	static const char *const days[] = {"Thursday", "Friday",  "Saturday", "Sunday",
					   "Monday",   "Tuesday", "Wednesday"};
	int64_t cells[7];

	for (int i = 0; i < 7; i++)
		cells[i] = rg_typed_text(
			t, rg_string(&t->unit->heap, days[i], (uint32_t)strlen(days[i])));
	if (!t->weekdays)
		t->weekdays = rg_typed_column(t->unit, cells, 7) + 1;
	return (struct rg_typed_fact){
		.kind = RG_TYPED_IS_TEXT,
		.slot = rg_typed_value(
			t, (struct rg_typed_instruction){.op = RG_TYPED_OP_COLUMN,
							 .a = part(t, ns, 7 * DAY_NS, DAY_NS),
							 .table = t->weekdays - 1})};
}

bool rg_typed_time(struct rg_typed_context *c, const char *name, const struct rg_typed_fact *args,
		   uint32_t count, struct rg_typed_fact *result)
{
	uint16_t ns;

	*result = (struct rg_typed_fact){.kind = RG_TYPED_IS_INTEGER};
	if (!count && !strcmp(name, "time.now_ns")) {
		result->slot = rg_typed_value(c->typed,
					      (struct rg_typed_instruction){.op = RG_TYPED_OP_NOW});
		return true;
	}
	if (count != 1 || (strcmp(name, "time.clock") != 0 && strcmp(name, "time.weekday") != 0) ||
	    !local_ns(c, &args[0], &ns))
		return false;
	if (!strcmp(name, "time.weekday"))
		*result = weekday(c->typed, ns);
	else
		*result = (struct rg_typed_fact){.kind = RG_TYPED_IS_CLOCK, .slot = ns};
	return true;
}
