/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/riskctl/policy_columns.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)
#define DEPTH_MAX 8 /* of what is made of what is made of a field */

struct telling {
	const struct rg_image_view *view;
	const struct rg_typed_instruction *code; /* of the program */
	char *out;
	size_t bytes;
};

static void __attribute__((format(printf, 2, 3)))
say(struct telling *telling, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(telling->out + telling->bytes, RG_COLUMN_TEXT_BYTES - telling->bytes, format,
		  args);
	va_end(args);
	telling->bytes = strlen(telling->out);
}

static void say_field(struct telling *telling, uint32_t field)
{
	const struct rg_image_field *fields =
		rg_image_section(telling->view->image, RG_SECTION_FIELDS);
	char path[RG_COLUMN_TEXT_BYTES];

	say(telling, "%s",
	    rg_image_view_text(telling->view, fields[field].path, path, sizeof(path)));
}

/* The last instruction before `at` that writes the slot; NULL: none does. */
static const struct rg_typed_instruction *writer_of(const struct telling *telling, uint16_t slot,
						    uint32_t at)
{
	while (at-- > 0) {
		if (rg_typed_shapes[telling->code[at].op].dst == 'S' &&
		    telling->code[at].dst == slot)
			return &telling->code[at];
	}
	return NULL;
}

/* What a part of a period of time is called; NULL: it has no name. */
static const char *name_of_part(int64_t period_ns, int64_t unit_ns)
{
	static const struct {
		int64_t period_s, unit_s;
		const char *name;
	} parts[] = {{60, 1, "second"},
		     {3600, 60, "minute"},
		     {86400, 3600, "hour"},
		     {7 * 86400, 86400, "day of the week"}};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i].period_s * SECOND_NS == period_ns &&
		    parts[i].unit_s * SECOND_NS == unit_ns)
			return parts[i].name;
	}
	return NULL;
}

static void say_slot(struct telling *telling, uint16_t slot, uint32_t before, int depth);

/* Of what the instruction reads. */
static void say_operand(struct telling *telling, const struct rg_typed_instruction *of, int depth)
{
	say_slot(telling, of->a, (uint32_t)(of - telling->code), depth + 1);
}

static void say_quotient(struct telling *telling, const struct rg_typed_instruction *quotient,
			 int depth)
{
	const struct rg_typed_instruction *rest =
		writer_of(telling, quotient->a, (uint32_t)(quotient - telling->code));
	const char *name = rest && rest->op == RG_TYPED_OP_MODULO
				   ? name_of_part(rest->number, quotient->number)
				   : NULL;

	if (name) {
		say(telling, "%s of ", name);
		say_operand(telling, rest, depth);
		return;
	}
	say_operand(telling, quotient, depth);
	say(telling, " / %" PRId64, quotient->number);
}

static void say_slot(struct telling *telling, uint16_t slot, uint32_t before, int depth)
{
	const struct rg_typed_instruction *writer = writer_of(telling, slot, before);
	const struct rg_typed_shape *shape;

	if (!writer || depth > DEPTH_MAX) {
		say(telling, "a computed value");
		return;
	}
	shape = &rg_typed_shapes[writer->op];
	switch (writer->op) {
	case RG_TYPED_OP_FIELD_RANK:
		say(telling, "prefix or order of ");
		say_field(telling, writer->a);
		return;
	case RG_TYPED_OP_FIELD_ADDRESS:
		say(telling, "network of ");
		say_field(telling, writer->a);
		return;
	case RG_TYPED_OP_NOW: say(telling, "the time of receipt"); return;
	case RG_TYPED_OP_LOCAL_TIME:
		say(telling, "local ");
		say_operand(telling, writer, depth);
		return;
	case RG_TYPED_OP_QUOTIENT: say_quotient(telling, writer, depth); return;
	case RG_TYPED_OP_MODULO:
	case RG_TYPED_OP_REMAINDER_NUMBER:
		say_operand(telling, writer, depth);
		say(telling, " %% %" PRId64, writer->number);
		return;
	case RG_TYPED_OP_BIT:
		say(telling, "a name in ");
		say_operand(telling, writer, depth);
		return;
	case RG_TYPED_OP_COLUMN:
	case RG_TYPED_OP_SCALE:
	case RG_TYPED_OP_MOVE: say_operand(telling, writer, depth); return;
	case RG_TYPED_OP_FIND:
		say(telling, "what data has for ");
		say_operand(telling, writer, depth);
		return;
	default: break;
	}
	if (shape->a == 'F')
		say_field(telling, writer->a);
	else
		say(telling, "a computed value");
}

const char *rg_column_text(const struct rg_image_view *view, const struct rg_typed_program *program,
			   uint32_t at, char *out)
{
	struct telling telling = {.view = view,
				  .code = (const struct rg_typed_instruction *)rg_image_section(
						  view->image, RG_SECTION_TYPED_CODE) +
					  program->code,
				  .out = out};

	out[0] = '\0';
	say_slot(&telling, telling.code[at].a, at, 0);
	return out;
}
