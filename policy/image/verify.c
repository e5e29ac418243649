/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/image/verify.h"

#include <string.h>

#include "base/field.h"
#include "policy/compile/compile.h"
#include "policy/image/code.h"
#include "policy/image/rule_table.h"
#include "policy/image/typed.h"

static const char *const section_names[RG_SECTION_COUNT] = {
	"heap",		  "constants",	"code",		"operands",    "functions",  "plans",
	"builtins",	  "fields",	"field names",	"nodes",       "bindings",   "places",
	"typed programs", "typed code", "typed tables", "typed cells", "rule tables"};

static const uint32_t section_sizes[RG_SECTION_COUNT] = {1,
							 sizeof(struct rg_value),
							 sizeof(struct rg_instruction),
							 sizeof(uint32_t),
							 sizeof(struct rg_image_function),
							 sizeof(struct rg_image_plan),
							 sizeof(struct rg_image_builtin),
							 sizeof(struct rg_image_field),
							 sizeof(struct rg_image_field_name),
							 sizeof(struct rg_image_node),
							 sizeof(struct rg_image_binding),
							 sizeof(struct rg_image_place),
							 sizeof(struct rg_typed_program),
							 sizeof(struct rg_typed_instruction),
							 sizeof(struct rg_typed_table),
							 sizeof(int64_t),
							 sizeof(struct rg_rule_line)};

/* Keys may be compared and hashed, operands and names looked at this often on average. */
#define TEXT_WORK_FACTOR 64

int rg_verify_fail(struct rg_verify *verify, const char *section, uint64_t at, const char *what)
{
	return rg_error_set(verify->err, RG_ECORRUPT, "image: %s at %llu: %s", section,
			    (unsigned long long)at, what);
}

static uint32_t count_of(const struct rg_verify *verify, enum rg_image_section_id id)
{
	return rg_image_count(verify->image, id);
}

static const void *section(const struct rg_verify *verify, enum rg_image_section_id id)
{
	return rg_image_section(verify->image, id);
}

/* ---- header ---- */

static bool label_is_valid(const char *label)
{
	return memchr(label, 0, RG_IMAGE_LABEL_BYTES) != NULL;
}

static int verify_header(struct rg_verify *verify, size_t image_bytes)
{
	const struct rg_image_header *header = rg_image_header(verify->image);
	const uint8_t *zero = header->padding;

	if (image_bytes < sizeof(*header))
		return rg_error_set(verify->err, RG_ECORRUPT,
				    "image: %zu bytes, shorter than its header of %zu", image_bytes,
				    sizeof(*header));
	if (header->magic != RG_IMAGE_MAGIC)
		return rg_verify_fail(verify, "header", 0, "not a policy image (magic)");
	if (header->version != RG_IMAGE_VERSION)
		return rg_error_set(
			verify->err, RG_EVERSION,
			"image: version %u, this build reads %d: compile the bundle again",
			header->version, RG_IMAGE_VERSION);
	if (header->image_bytes != image_bytes || image_bytes % RG_IMAGE_ALIGNMENT)
		return rg_verify_fail(verify, "header",
				      offsetof(struct rg_image_header, image_bytes),
				      "length differs from what the header says");
	if (header->crc32c != rg_image_checksum(verify->image, image_bytes))
		return rg_verify_fail(verify, "header", offsetof(struct rg_image_header, crc32c),
				      "checksum does not match");
	for (size_t i = 0; i < sizeof(header->padding); i++) {
		if (zero[i])
			return rg_verify_fail(verify, "header",
					      offsetof(struct rg_image_header, padding),
					      "padding is not zero");
	}
	if (header->default_verdict < RG_VERDICT_ALLOW ||
	    header->default_verdict > RG_VERDICT_REVIEW ||
	    header->failure_verdict < RG_VERDICT_ALLOW ||
	    header->failure_verdict > RG_VERDICT_REVIEW || !header->budget ||
	    !label_is_valid(header->bundle) || !label_is_valid(header->revision))
		return rg_verify_fail(verify, "header", offsetof(struct rg_image_header, budget),
				      "budget, verdicts or labels are out of range");
	return RG_OK;
}

static uint64_t aligned(uint64_t bytes)
{
	return (bytes + RG_IMAGE_ALIGNMENT - 1) & ~(uint64_t)(RG_IMAGE_ALIGNMENT - 1);
}

/* Sections lie in order, each at the next aligned place, and fill the image. */
static int verify_sections(struct rg_verify *verify, size_t image_bytes)
{
	const struct rg_image_header *header = rg_image_header(verify->image);
	uint64_t at = sizeof(*header);

	for (int i = 0; i < RG_SECTION_COUNT; i++) {
		const struct rg_image_section *one = &header->sections[i];

		if (one->offset != at || one->bytes > image_bytes - at || one->reserved)
			return rg_verify_fail(verify, section_names[i], one->offset,
					      "section is not where it should be");
		if (i != RG_SECTION_HEAP && one->bytes != (uint64_t)one->count * section_sizes[i])
			return rg_verify_fail(verify, section_names[i], one->offset,
					      "section's count does not fit its size");
		at = aligned(at + one->bytes);
	}
	if (at != image_bytes)
		return rg_verify_fail(verify, "header", 0, "sections do not fill the image");
	if (count_of(verify, RG_SECTION_BINDINGS) > RG_IMAGE_BINDINGS_MAX ||
	    count_of(verify, RG_SECTION_BUILTINS) > RG_IMAGE_BUILTINS_MAX)
		return rg_verify_fail(verify, "header", 0, "too many bindings or built-ins");
	return RG_OK;
}

/* ---- tables ---- */

static bool is_constant(const struct rg_verify *verify, uint32_t constant, enum rg_value_type type)
{
	return constant < verify->constant_count && verify->constants[constant].type == type;
}

static bool is_string(const struct rg_verify *verify, uint32_t constant)
{
	return is_constant(verify, constant, RG_STRING);
}

static bool function_takes(const struct rg_verify *verify, uint32_t function, uint32_t params)
{
	const struct rg_image_function *functions = section(verify, RG_SECTION_FUNCTIONS);

	return function < count_of(verify, RG_SECTION_FUNCTIONS) &&
	       functions[function].param_count == params;
}

static int verify_plans(struct rg_verify *verify)
{
	const struct rg_image_plan *plans = section(verify, RG_SECTION_PLANS);

	for (uint32_t i = 0; i < count_of(verify, RG_SECTION_PLANS); i++) {
		if (!is_string(verify, plans[i].name) ||
		    !function_takes(verify, plans[i].function, 1))
			return rg_verify_fail(verify, "plans", i,
					      "name or function is out of range");
	}
	return RG_OK;
}

static int verify_builtins(struct rg_verify *verify)
{
	const struct rg_image_builtin *builtins = section(verify, RG_SECTION_BUILTINS);

	for (uint32_t i = 0; i < count_of(verify, RG_SECTION_BUILTINS); i++) {
		if (!is_string(verify, builtins[i].name) ||
		    builtins[i].arg_count > RG_IMAGE_BUILTIN_ARGS_MAX)
			return rg_verify_fail(verify, "builtins", i,
					      "name or arguments are out of range");
	}
	return RG_OK;
}

static int verify_places(struct rg_verify *verify)
{
	const struct rg_image_place *places = section(verify, RG_SECTION_PLACES);

	for (uint32_t i = 0; i < count_of(verify, RG_SECTION_PLACES); i++) {
		if (!is_string(verify, places[i].file) || places[i].reserved)
			return rg_verify_fail(verify, "places", i, "file is out of range");
	}
	return RG_OK;
}

static int verify_names(struct rg_verify *verify)
{
	const struct rg_image_field_name *names = section(verify, RG_SECTION_FIELD_NAMES);

	for (uint32_t i = 0; i < count_of(verify, RG_SECTION_FIELD_NAMES); i++) {
		if (!is_string(verify, names[i].name) || names[i].reserved)
			return rg_verify_fail(verify, "field names", i, "name is out of range");
	}
	return RG_OK;
}

static bool has_names(const struct rg_image_field *field)
{
	return field->kind == RG_FIELD_ENUM || field->kind == RG_FIELD_SET ||
	       field->kind == RG_FIELD_BOOL;
}

static bool width_is_valid(const struct rg_image_field *field)
{
	if (field->kind == RG_FIELD_CHARS)
		return field->length > 0;
	if (field->kind == RG_FIELD_FLOAT)
		return field->bytes == 4 || field->bytes == 8;
	return field->bytes == 1 || field->bytes == 2 || field->bytes == 4 || field->bytes == 8;
}

static uint64_t extent_of(const struct rg_image_field *field)
{
	uint64_t end = (uint64_t)field->offset +
		       (field->kind == RG_FIELD_CHARS ? field->length : field->bytes);

	if (field->constant)
		return 0;
	if (field->kind == RG_FIELD_DECIMAL_VAR && field->exponent_offset + 1ull > end)
		end = field->exponent_offset + 1ull;
	return end;
}

static bool slice_is_valid(uint32_t first, uint32_t count, uint32_t all)
{
	return first <= all && count <= all - first;
}

static int verify_field(struct rg_verify *verify, uint32_t i)
{
	const struct rg_image_field *field =
		(const struct rg_image_field *)section(verify, RG_SECTION_FIELDS) + i;
	const struct rg_image_field_name *names = section(verify, RG_SECTION_FIELD_NAMES);

	if (field->kind > RG_FIELD_BOOL || !width_is_valid(field) || field->is_signed > 1 ||
	    field->optional > 1 || field->constant > 1 || field->exponent < -30 ||
	    field->exponent > 30)
		return rg_verify_fail(verify, "fields", i,
				      "kind, width or exponent is out of range");
	if (field->constant && (field->kind == RG_FIELD_CHARS || field->kind == RG_FIELD_FLOAT ||
				field->kind == RG_FIELD_DECIMAL_VAR))
		return rg_verify_fail(verify, "fields", i, "such a field cannot be constant");
	if (field->extent != extent_of(field) || !is_string(verify, field->path))
		return rg_verify_fail(verify, "fields", i, "extent or path is out of range");
	if (!slice_is_valid(field->names_first, field->names_count,
			    count_of(verify, RG_SECTION_FIELD_NAMES)) ||
	    (!has_names(field) && field->names_count))
		return rg_verify_fail(verify, "fields", i, "names are out of range");
	if (!rg_heap_charge(&verify->heap, field->names_count))
		return rg_verify_fail(verify, "fields", i, "fields share too many names");
	for (uint32_t j = 0; j < field->names_count; j++) {
		uint64_t value = names[field->names_first + j].value;

		if ((j && value <= names[field->names_first + j - 1].value) ||
		    (field->kind == RG_FIELD_SET && value > 63))
			return rg_verify_fail(verify, "fields", i, "named values are not in order");
	}
	return RG_OK;
}

static int verify_nodes(struct rg_verify *verify)
{
	const struct rg_image_node *nodes = section(verify, RG_SECTION_NODES);
	uint32_t count = count_of(verify, RG_SECTION_NODES);

	for (uint32_t i = 0; i < count; i++) {
		bool is_leaf = nodes[i].field != RG_IMAGE_NO_FIELD;

		if (!is_string(verify, nodes[i].key) ||
		    (is_leaf && (nodes[i].field >= count_of(verify, RG_SECTION_FIELDS) ||
				 nodes[i].children_count)) ||
		    !slice_is_valid(nodes[i].children_first, nodes[i].children_count, count) ||
		    (nodes[i].children_count && nodes[i].children_first <= i))
			return rg_verify_fail(verify, "nodes", i,
					      "key, field or children are out of range");
	}
	return RG_OK;
}

static int verify_bindings(struct rg_verify *verify)
{
	const struct rg_image_binding *bindings = section(verify, RG_SECTION_BINDINGS);

	for (uint32_t i = 0; i < count_of(verify, RG_SECTION_BINDINGS); i++) {
		if (!is_string(verify, bindings[i].template_name) ||
		    !is_string(verify, bindings[i].package) ||
		    bindings[i].root >= count_of(verify, RG_SECTION_NODES))
			return rg_verify_fail(verify, "bindings", i,
					      "names or root are out of range");
		if (bindings[i].typed > count_of(verify, RG_SECTION_TYPED_PROGRAMS) ||
		    (bindings[i].untyped && !is_string(verify, bindings[i].untyped - 1)) ||
		    bindings[i].untyped_place >= count_of(verify, RG_SECTION_PLACES))
			return rg_verify_fail(verify, "bindings", i,
					      "the typed program is out of range");
		for (int role = 0; role < RG_ROLE_COUNT; role++) {
			uint32_t specialised = bindings[i].specialised[role];
			uint32_t general = bindings[i].general[role];

			if ((specialised != RG_IMAGE_NO_FUNCTION &&
			     !function_takes(verify, specialised, 0)) ||
			    (general != RG_IMAGE_NO_FUNCTION &&
			     !function_takes(verify, general, 1)))
				return rg_verify_fail(verify, "bindings", i,
						      "a verdict function is out of range");
		}
	}
	return RG_OK;
}

/* ---- code ---- */

struct place_in_code {
	const struct rg_image_function *function;
	const struct rg_instruction *code; /* of the function */
	uint32_t at;			   /* instruction number in the function */
};

static bool is_register(const struct place_in_code *place, uint32_t number)
{
	return number < place->function->frame_size;
}

static bool is_operand(const struct rg_verify *verify, const struct place_in_code *place,
		       uint32_t operand)
{
	if (operand & RG_OPERAND_CONSTANT)
		return (operand & ~RG_OPERAND_CONSTANT) < verify->constant_count;
	return is_register(place, operand);
}

static bool member_is_valid(const struct rg_verify *verify, const struct place_in_code *place,
			    char shape, uint32_t value)
{
	switch (shape) {
	case '-': return value == 0;
	case '*': return true;
	case 'R':
	case 'E':
	case 'W': return is_register(place, value);
	case 'O': return is_operand(verify, place, value);
	case 'C': return value < verify->constant_count;
	case 'F': return value < count_of(verify, RG_SECTION_FIELDS);
	case 'N': return value < count_of(verify, RG_SECTION_NODES);
	case 'U': return value < count_of(verify, RG_SECTION_FUNCTIONS);
	case 'B': return value < count_of(verify, RG_SECTION_BUILTINS);
	default: return false;
	}
}

static bool aux_is_valid(char shape, uint32_t aux)
{
	switch (shape) {
	case '-': return aux == 0;
	case 'T': return aux >= RG_NULL && aux <= RG_SET;
	case 'X': return aux < RG_COMPARISON_COUNT;
	case 'E': return aux == RG_EQ || aux == RG_NE;
	case 'S': return aux <= 1;
	case 'M': return aux < RG_MARK_PHASE_COUNT;
	default: return true;
	}
}

static bool operands_are_valid(struct rg_verify *verify, const struct place_in_code *place)
{
	const struct rg_instruction *instruction = &place->code[place->at];
	const uint32_t *operands = section(verify, RG_SECTION_OPERANDS);
	uint64_t count = instruction->aux;

	switch (rg_op_shapes[instruction->op].cd) {
	case 'K': return true;
	case '-': return !instruction->number;
	case 'L': return !instruction->d && instruction->c == place->at - instruction->target + 1;
	case 'P': count += instruction->b; break;
	default: break;
	}
	if (instruction->d || count > UINT32_MAX ||
	    !slice_is_valid(instruction->c, (uint32_t)count,
			    count_of(verify, RG_SECTION_OPERANDS)) ||
	    !rg_heap_charge(&verify->heap, count))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (!is_operand(verify, place, operands[instruction->c + i]))
			return false;
	}
	return true;
}

static bool target_is_valid(const struct place_in_code *place)
{
	const struct rg_instruction *instruction = &place->code[place->at];

	switch (rg_op_shapes[instruction->op].target) {
	case 'J':
		return instruction->target > place->at &&
		       instruction->target < place->function->code_count;
	case 'V':
		return instruction->target < place->at &&
		       place->code[instruction->target].op == RG_OP_NEXT;
	default: return instruction->target == RG_NO_TARGET;
	}
}

/* What depends on the kind of field, constant or callee. */
static bool special_is_valid(const struct rg_verify *verify,
			     const struct rg_instruction *instruction)
{
	const struct rg_image_field *fields = section(verify, RG_SECTION_FIELDS);
	const struct rg_image_builtin *builtins = section(verify, RG_SECTION_BUILTINS);
	uint8_t kind = rg_op_shapes[instruction->op].a == 'F' ? fields[instruction->a].kind : 0;

	switch (instruction->op) {
	case RG_OP_CALL: return function_takes(verify, instruction->a, instruction->aux);
	case RG_OP_CALL_DYNAMIC: return is_constant(verify, instruction->a, RG_OBJECT);
	case RG_OP_BUILTIN: return builtins[instruction->a].arg_count == instruction->aux;
	case RG_OP_FIELD_COMPARE: return kind == RG_FIELD_INT || kind == RG_FIELD_DECIMAL;
	case RG_OP_FIELD_COMPARE_FIELD:
		return (kind == RG_FIELD_INT || kind == RG_FIELD_DECIMAL) &&
		       (fields[instruction->b].kind == RG_FIELD_INT ||
			fields[instruction->b].kind == RG_FIELD_DECIMAL);
	case RG_OP_FIELD_TEXT:
		return kind == RG_FIELD_CHARS && is_string(verify, instruction->b) &&
		       verify->constants[instruction->b].length <= fields[instruction->a].length;
	case RG_OP_FIELD_MASK: return kind == RG_FIELD_ENUM || kind == RG_FIELD_BOOL;
	case RG_OP_FIELD_BIT: return kind == RG_FIELD_SET && instruction->b < 64;
	case RG_OP_FIELD_MEMBER: return is_constant(verify, instruction->b, RG_SET);
	default: return true;
	}
}

static bool instruction_is_valid(struct rg_verify *verify, const struct place_in_code *place)
{
	const struct rg_instruction *instruction = &place->code[place->at];
	const struct rg_op_shape *shape;

	if (instruction->op >= RG_OP_COUNT)
		return false;
	shape = &rg_op_shapes[instruction->op];
	return member_is_valid(verify, place, shape->dst, instruction->dst) &&
	       member_is_valid(verify, place, shape->a, instruction->a) &&
	       member_is_valid(verify, place, shape->b, instruction->b) &&
	       aux_is_valid(shape->aux, instruction->aux) && target_is_valid(place) &&
	       operands_are_valid(verify, place) && special_is_valid(verify, instruction) &&
	       instruction->place < count_of(verify, RG_SECTION_PLACES);
}

static bool ends_function(uint16_t op)
{
	return op == RG_OP_RETURN || op == RG_OP_RETURN_UNDEFINED || op == RG_OP_LOOP;
}

/* Functions follow each other in CODE and cover it. */
static int verify_functions(struct rg_verify *verify)
{
	const struct rg_image_function *functions = section(verify, RG_SECTION_FUNCTIONS);
	const struct rg_instruction *code = section(verify, RG_SECTION_CODE);
	uint32_t next = 0;

	for (uint32_t i = 0; i < count_of(verify, RG_SECTION_FUNCTIONS); i++) {
		const struct rg_image_function *function = &functions[i];
		struct place_in_code place = {.function = function, .code = code + next};

		if (function->code != next || !function->code_count ||
		    function->code_count > count_of(verify, RG_SECTION_CODE) - next ||
		    function->frame_size > RG_IMAGE_FRAME_MAX ||
		    function->param_count > function->frame_size || function->memo > 1 ||
		    (function->memo && function->param_count > 2) ||
		    !is_string(verify, function->name) ||
		    function->place >= count_of(verify, RG_SECTION_PLACES))
			return rg_verify_fail(verify, "functions", i, "an entry is out of range");
		for (; place.at < function->code_count; place.at++) {
			if (!instruction_is_valid(verify, &place))
				return rg_verify_fail(verify, "code", next + place.at,
						      "an instruction is malformed");
		}
		if (!ends_function(place.code[place.at - 1].op))
			return rg_verify_fail(verify, "code", next + place.at - 1,
					      "a function does not end");
		next += function->code_count;
	}
	if (next != count_of(verify, RG_SECTION_CODE))
		return rg_verify_fail(verify, "code", next, "code belongs to no function");
	return RG_OK;
}

static int verify_tables(struct rg_verify *verify)
{
	int status = verify_plans(verify);

	if (!status)
		status = verify_builtins(verify);
	if (!status)
		status = verify_places(verify);
	if (!status)
		status = verify_names(verify);
	for (uint32_t i = 0; i < count_of(verify, RG_SECTION_FIELDS) && !status; i++)
		status = verify_field(verify, i);
	if (!status)
		status = verify_nodes(verify);
	if (!status)
		status = verify_bindings(verify);
	if (!status && !is_constant(verify, rg_image_header(verify->image)->reasons, RG_OBJECT))
		status = rg_verify_fail(verify, "header", offsetof(struct rg_image_header, reasons),
					"the reasons are no object");
	return status;
}

int rg_image_verify(const void *image, size_t image_bytes, struct rg_error *err)
{
	struct rg_verify verify = {.image = image, .err = err};
	const struct rg_image_section *heap;
	int status;

	if ((uintptr_t)image % RG_IMAGE_ALIGNMENT)
		return rg_error_set(err, RG_EINVAL, "image: not aligned to %d bytes",
				    RG_IMAGE_ALIGNMENT);
	status = verify_header(&verify, image_bytes);
	if (!status)
		status = verify_sections(&verify, image_bytes);
	if (status)
		return status;
	heap = &rg_image_header(image)->sections[RG_SECTION_HEAP];
	verify.heap_bytes = heap->bytes;
	verify.heap.space[RG_SPACE_IMAGE] = (uint8_t *)image + heap->offset;
	verify.heap.bytes[RG_SPACE_IMAGE] = heap->bytes;
	verify.heap.work = TEXT_WORK_FACTOR * (uint64_t)image_bytes;
	verify.text_work = TEXT_WORK_FACTOR * (uint64_t)image_bytes;
	verify.constants = section(&verify, RG_SECTION_CONSTANTS);
	verify.constant_count = count_of(&verify, RG_SECTION_CONSTANTS);
	status = rg_verify_constants(&verify);
	if (!status)
		status = verify_tables(&verify);
	if (!status)
		status = verify_functions(&verify);
	return status ? status : rg_verify_typed(&verify);
}
