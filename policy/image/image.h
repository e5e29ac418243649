/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy image: the compiled, position-independent, immutable form of one bundle.
 *
 * An image is one run of bytes, little-endian, 64-aligned:
 *
 *	header			struct rg_image_header, 1024 bytes
 *	HEAP			strings and containers: RG_SPACE_IMAGE of the value heap, offsets from here
 *	CONSTANTS		struct rg_value[]: what instructions and the tables below name by number
 *	CODE			struct rg_instruction[] of all functions, in their order (code.h)
 *	OPERANDS		uint32_t[]: argument lists of calls
 *	FUNCTIONS		struct rg_image_function[]
 *	PLANS			struct rg_image_plan[]: entrypoints, in plan.json's order
 *	BUILTINS		struct rg_image_builtin[]: built-ins by name and argument count, resolved when an image is bound,
 *				so that an image does not depend on the numbering of one build
 *	FIELDS			struct rg_image_field[]: the bound templates' fields
 *	FIELD_NAMES		struct rg_image_field_name[]: names of enum values and set bits
 *	NODES			struct rg_image_node[]: the object tree that `input` is for each bound template
 *	BINDINGS		struct rg_image_binding[]: templates, and the functions that make their verdict
 *	PLACES			struct rg_image_place[]: Rego places, for error texts and traces
 *	TYPED_PROGRAMS		struct rg_typed_program[]: for bindings that have one (typed.h)
 *	TYPED_CODE		struct rg_typed_instruction[] of all programs, in their order
 *	TYPED_TABLES		struct rg_typed_table[]: what those instructions look up
 *	TYPED_CELLS		int64_t[]: the tables' contents
 *	RULE_TABLES		rule tables one behind the other (rule_table.h); entries are their 64-byte lines
 *
 * Each section starts at the next multiple of 64 after the one before; the gaps are zero. CRC32C is
 * over the whole image with the header's crc32c member taken as zero.
 *
 * HEAP. Containers lie as eval/container.h says: header, items, hash index; what is inside a
 * container lies before it, so that values cannot form a cycle. A text is 8-aligned and has its
 * length as a uint64_t in front of it, so that it can be checked once however often it is named. A
 * value's bytes are the same here and in an evaluator's scratch.
 *
 * Trust. rg_image_verify() is the only judge: it takes any bytes, and what it accepts can neither
 * make the evaluator read or write outside the image, its own memory and the request, nor run on:
 * jumps go forward except LOOP, which is charged to the budget; calls are charged too and their
 * depth is bounded at run time. It runs in time linear in the image's size. It does not prove that
 * a policy makes sense, and need not: registers carry types, and instructions check those they
 * need.
 *
 * Thread-safety: images are immutable.
 */
#ifndef RG_POLICY_IMAGE_IMAGE_H
#define RG_POLICY_IMAGE_IMAGE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define RG_IMAGE_MAGIC		  0x47414d49454b5352ull /* "RSKEIMAG" */
#define RG_IMAGE_VERSION	  9
#define RG_IMAGE_LABEL_BYTES	  128
#define RG_IMAGE_ALIGNMENT	  64

#define RG_IMAGE_BINDINGS_MAX	  64
#define RG_IMAGE_BUILTINS_MAX	  512
#define RG_IMAGE_FRAME_MAX	  65535u /* registers of one function */
#define RG_IMAGE_BUILTIN_ARGS_MAX 8
#define RG_IMAGE_NODE_DEPTH_MAX	  16

enum rg_image_section_id {
	RG_SECTION_HEAP,
	RG_SECTION_CONSTANTS,
	RG_SECTION_CODE,
	RG_SECTION_OPERANDS,
	RG_SECTION_FUNCTIONS,
	RG_SECTION_PLANS,
	RG_SECTION_BUILTINS,
	RG_SECTION_FIELDS,
	RG_SECTION_FIELD_NAMES,
	RG_SECTION_NODES,
	RG_SECTION_BINDINGS,
	RG_SECTION_PLACES,
	RG_SECTION_TYPED_PROGRAMS,
	RG_SECTION_TYPED_CODE,
	RG_SECTION_TYPED_TABLES,
	RG_SECTION_TYPED_CELLS,
	RG_SECTION_RULE_TABLES,
	RG_SECTION_COUNT
};

struct rg_image_section {
	uint64_t offset; /* from the image's start */
	uint64_t bytes;	 /* without padding */
	uint32_t count;	 /* entries; 0 for HEAP */
	uint32_t reserved;
};

struct rg_image_header {
	uint64_t magic;
	uint32_t version;
	uint32_t crc32c;
	uint64_t image_bytes;
	uint64_t sequence;
	uint64_t schema_fingerprint;
	uint64_t budget;			  /* cost units per evaluation */
	uint8_t default_verdict, failure_verdict; /* enum rg_verdict, not NONE */
	uint8_t reserved[6];
	char bundle[RG_IMAGE_LABEL_BYTES]; /* NUL-padded, at least one NUL */
	char revision[RG_IMAGE_LABEL_BYTES];
	struct rg_image_section sections[RG_SECTION_COUNT];
	uint32_t reasons; /* constant: object from reason text to id 1..65534 */
	uint8_t padding[1024 - 56 - 256 - 24 * RG_SECTION_COUNT - 4];
};
static_assert(sizeof(struct rg_image_header) == 1024,
	      "the header is fixed: raise RG_IMAGE_VERSION");

struct rg_image_function {
	uint32_t
		name; /* constant: string, OPA's function name, "#template" appended if specialised */
	uint32_t code;	     /* first instruction */
	uint32_t code_count; /* >= 1; the last one is JUMP-free: RETURN, RETURN_UNDEFINED or LOOP */
	uint32_t frame_size; /* registers, >= param_count */
	uint16_t param_count;
	uint16_t
		memo; /* 1: the result for the same arguments is kept within an evaluation; param_count <= 2 */
	uint32_t place;
};

struct rg_image_plan {
	uint32_t name;	   /* constant: string */
	uint32_t function; /* of one parameter: input. Returns the result set */
};

struct rg_image_builtin {
	uint32_t name; /* constant: string */
	uint32_t arg_count;
};

/* A copy of what a decoder needs of struct rg_field (base/field.h). */
struct rg_image_field {
	uint8_t kind; /* enum rg_field_kind */
	uint8_t bytes;
	uint8_t is_signed, optional, constant;
	int8_t exponent;
	uint16_t length;
	uint32_t offset, exponent_offset;
	uint32_t extent; /* rg_field_extent() */
	uint32_t names_first, names_count;
	uint32_t path;		/* constant: string, for explain */
	uint32_t since_version; /* of its schema; 0: in the block of each request */
	uint32_t reserved;
	uint64_t null_value;
	uint64_t
		names_base; /* ENUM, BOOL: FIELD_MASK's bit n stands for the value names_base + n */
};

struct rg_image_field_name {
	uint64_t value; /* enum value or bit number, ascending within a field */
	uint32_t name;	/* constant: string */
	uint32_t reserved;
};

/* A node of an input tree: a field, or an object with children. Children have higher numbers
 * than their parent. */
struct rg_image_node {
	uint32_t key;	/* constant: string; of a root: the template's name */
	uint32_t field; /* RG_IMAGE_NO_FIELD for an object */
	uint32_t children_first, children_count;
};
#define RG_IMAGE_NO_FIELD UINT32_MAX

/* The rules that make a verdict. */
enum rg_role {
	RG_ROLE_DENY,
	RG_ROLE_REVIEW,
	RG_ROLE_ALLOW,
	RG_ROLE_SCORE,
	RG_ROLE_REASONS,
	RG_ROLE_COUNT
};

struct rg_image_binding {
	uint16_t schema_id, template_id, schema_version, block_length;
	uint32_t template_name, package; /* constants: strings */
	uint32_t root;			 /* node */
	uint32_t specialised
		[RG_ROLE_COUNT]; /* functions without parameters, over the request's fields; RG_IMAGE_NO_FUNCTION */
	uint32_t general[RG_ROLE_COUNT]; /* functions of one parameter: input */
	uint32_t typed;			 /* number of its typed program + 1; 0: none */
	uint32_t
		untyped; /* the first thing that was met and cannot be typed: constant + 1: string; 0: none */
	uint32_t untyped_place; /* and where */
};
#define RG_IMAGE_NO_FUNCTION UINT32_MAX

struct rg_image_place {
	uint32_t file; /* constant: string */
	uint32_t row, col;
	uint32_t reserved;
};

/* Check the whole image: magic, version, length, CRC32C, every offset, every instruction; linear in bytes. Pure:
 * keeps nothing. Errors: RG_EVERSION, RG_ECORRUPT (names the section and offset). `image` must be 64-aligned. */
int rg_image_verify(const void *image, size_t image_bytes, struct rg_error *err);

/* What a verified image says of itself. */
struct rg_image_info {
	uint64_t sequence;
	uint64_t schema_fingerprint; /* of the field table it was compiled for; 0: none */
	uint64_t image_bytes;
	char bundle[RG_IMAGE_LABEL_BYTES];
	char revision[RG_IMAGE_LABEL_BYTES];
	uint32_t plan_count, function_count, instruction_count, template_count;
	uint64_t constant_bytes;
};
void rg_image_info(const void *image, struct rg_image_info *info);

/* CRC32C as the header's crc32c member must hold it. image_bytes >= sizeof(struct
 * rg_image_header). */
uint32_t rg_image_checksum(const void *image, size_t image_bytes);

static inline const struct rg_image_header *rg_image_header(const void *image)
{
	return image;
}

/* Start of a section of a verified image. */
static inline const void *rg_image_section(const void *image, enum rg_image_section_id id)
{
	return (const uint8_t *)image + rg_image_header(image)->sections[id].offset;
}

static inline uint32_t rg_image_count(const void *image, enum rg_image_section_id id)
{
	return rg_image_header(image)->sections[id].count;
}

#endif
