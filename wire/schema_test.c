/* SPDX-License-Identifier: Apache-2.0 */
/* The loader: what it makes of good schemas, and what it says about bad ones. argv[1]: the stock
 * schema. */
#include "wire/schema.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER                                                                                     \
	"<composite name='messageHeader'><type name='blockLength' primitiveType='uint16'/><type "  \
	"name='templateId' "                                                                       \
	"primitiveType='uint16'/><type name='schemaId' primitiveType='uint16'/><type "             \
	"name='version' "                                                                          \
	"primitiveType='uint16'/></composite>"
#define SCHEMA(types, messages)                                                                    \
	"<s:messageSchema xmlns:s='http://fixprotocol.io/2016/sbe' package='p' id='5' "            \
	"version='3'>\n<types>" HEADER "\n" types "</types>\n" messages "</s:messageSchema>"
#define ID "<field name='request_id' id='1' type='uint64'/>"
/* A schema with these types and one message M with these fields behind the request id; they stand
 * on lines 3 and 4. */
#define WITH(types, fields)                                                                        \
	SCHEMA(types "\n", "<s:message name='M' id='1'>" ID fields "</s:message>")

static struct rg_schema *load(const char *text)
{
	struct rg_schema *schema;
	struct rg_error err;

	if (rg_schema_load_memory(text, strlen(text), "test.xml", &schema, &err)) {
		fprintf(stderr, "%s\n%s\n", err.text, text);
		abort();
	}
	return schema;
}

/* The schema is refused and the message holds `text`. */
static void refused(const char *schema_text, const char *text)
{
	struct rg_schema *schema = (struct rg_schema *)1;
	struct rg_error err = {0};
	int status =
		rg_schema_load_memory(schema_text, strlen(schema_text), "test.xml", &schema, &err);

	if (status == RG_OK || status != err.status || schema || !strstr(err.text, text) ||
	    strncmp(err.text, "test.xml:", 9)) {
		fprintf(stderr, "status %d, wanted \"%s\", got \"%s\" for\n%s\n", status, text,
			err.text, schema_text);
		abort();
	}
	assert(rg_schema_load_memory(schema_text, strlen(schema_text), "test.xml", &schema, NULL) ==
	       status);
}

static const struct rg_field *field(const struct rg_schema *schema, const char *path)
{
	const struct rg_field *found =
		rg_schema_field(schema, rg_schema_template_by_name(schema, "M"), path);

	assert(found);
	return found;
}

static void test_scalars(void)
{
	static const struct {
		const char *type;
		uint8_t kind, bytes;
		bool is_signed;
		uint64_t null_value;
	} cases[] = {
		{"char", RG_FIELD_CHARS, 1, false, 0},
		{"int8", RG_FIELD_INT, 1, true, 0x80},
		{"int16", RG_FIELD_INT, 2, true, 0x8000},
		{"int32", RG_FIELD_INT, 4, true, 0x80000000},
		{"int64", RG_FIELD_INT, 8, true, 0x8000000000000000},
		{"uint8", RG_FIELD_INT, 1, false, 0xff},
		{"uint16", RG_FIELD_INT, 2, false, 0xffff},
		{"uint32", RG_FIELD_INT, 4, false, 0xffffffff},
		{"uint64", RG_FIELD_INT, 8, false, 0xffffffffffffffff},
		{"float", RG_FIELD_FLOAT, 4, true, 0x7fc00000},
		{"double", RG_FIELD_FLOAT, 8, true, 0x7ff8000000000000},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[2048];
		struct rg_schema *schema;
		const struct rg_field *required, *optional;

		snprintf(text, sizeof(text),
			 WITH("", "<field name='a' id='2' type='%s'/><field name='b' id='3' "
				  "type='%s' presence='optional'/>"),
			 cases[i].type, cases[i].type);
		schema = load(text);
		required = field(schema, "a");
		optional = field(schema, "b");
		assert(required->kind == cases[i].kind && required->bytes == cases[i].bytes &&
		       required->is_signed == cases[i].is_signed);
		assert(!required->optional && required->offset == 8 &&
		       required->length == (cases[i].kind == RG_FIELD_CHARS));
		assert(optional->optional && optional->null_value == cases[i].null_value &&
		       optional->offset == 8u + cases[i].bytes);
		assert(rg_schema_template_by_name(schema, "M")->block_length ==
		       8 + 2 * cases[i].bytes);
		rg_schema_free(schema);
	}
}

static void test_types(void)
{
	struct rg_schema *schema = load(WITH(
		"<type name='Opt' primitiveType='int16' presence='optional' nullValue='-1'/>"
		"<type name='Text' primitiveType='char' length='5'/>"
		"<type name='Seven' primitiveType='int32' presence='constant'> -7 </type>"
		"<type name='Code' primitiveType='uint8' presence='optional' nullValue='9'/>"
		"<enum name='Letter' encodingType='char'><validValue "
		"name='b'>B</validValue><validValue name='a'>A</validValue></enum>"
		"<enum name='Wide' encodingType='uint16'><validValue "
		"name='x'>65535</validValue></enum>"
		"<enum name='Bool' encodingType='uint8'><validValue "
		"name='true'>1</validValue><validValue name='false'>0</validValue></enum>"
		"<enum name='Level' encodingType='Code'><validValue "
		"name='low'>1</validValue></enum>"
		"<set name='Bits' encodingType='uint32'><choice name='hi'>31</choice><choice "
		"name='lo'>0</choice></set>"
		"<composite name='Fixed'><type name='mantissa' primitiveType='int32' "
		"presence='optional'/>"
		"<type name='exponent' primitiveType='int8' "
		"presence='constant'>-4</type></composite>"
		"<composite name='Var'><type name='mantissa' primitiveType='int64'/><type "
		"name='exponent' primitiveType='int8'/></composite>"
		"<composite name='Inner'><ref name='v' type='Var'/><ref name='level' "
		"type='Level'/></composite>"
		"<composite name='Outer'><type name='n' primitiveType='uint8'/><ref name='in' "
		"type='Inner' offset='4'/>"
		"<enum name='e' encodingType='uint8'><validValue name='one'>1</validValue></enum>"
		"<set name='s' encodingType='uint8'><choice name='bit'>3</choice></set>"
		"<composite name='c'><type name='z' primitiveType='int8'/></composite></composite>",
		"<field name='opt' id='2' type='Opt'/>"
		"<field name='text' id='3' type='Text' offset='16'/>"
		"<field name='seven' id='4' type='Seven'/>"
		"<field name='letter' id='5' type='Letter' presence='optional'/>"
		"<field name='fixed_letter' id='6' type='Letter' presence='constant' "
		"valueRef='Letter.b'/>"
		"<field name='bool' id='7' type='Bool'/>"
		"<field name='level' id='8' type='Level'/>"
		"<field name='must' id='9' type='Level' presence='required'/>"
		"<field name='bits' id='10' type='Bits'/>"
		"<field name='fixed' id='11' type='Fixed'/>"
		"<field name='var' id='12' type='Var' presence='optional'/>"
		"<field name='o' id='13' type='Outer' sinceVersion='2'/>"));
	const struct rg_field_table *table = rg_schema_fields(schema);
	const struct rg_field *f;

	assert(rg_schema_id(schema) == 5 && rg_schema_version(schema) == 3 &&
	       !strcmp(rg_schema_package(schema), "p"));
	f = field(schema, "opt");
	assert(f->optional && f->null_value == 0xffff && f->offset == 8 && f->id == 2);
	f = field(schema, "text");
	assert(f->kind == RG_FIELD_CHARS && f->length == 5 && f->offset == 16);
	f = field(schema, "seven");
	assert(f->constant && f->null_value == 0xfffffff9 && rg_field_extent(f) == 0);
	f = field(schema, "letter");
	assert(f->kind == RG_FIELD_ENUM && f->offset == 21 && f->optional && f->null_value == 0 &&
	       f->names_count == 2);
	assert(table->names[f->names_first].value == 'A' &&
	       !strcmp(table->names[f->names_first + 1].name, "b"));
	f = field(schema, "fixed_letter");
	assert(f->constant && f->null_value == 'B');
	f = field(schema, "bool");
	assert(f->kind == RG_FIELD_BOOL && f->offset == 22 && !f->optional);
	f = field(schema, "level");
	assert(f->optional && f->null_value == 9 && f->offset == 23);
	assert(!field(schema, "must")->optional);
	f = field(schema, "bits");
	assert(f->kind == RG_FIELD_SET && f->bytes == 4 && f->offset == 25 &&
	       table->names[f->names_first + 1].value == 31);
	f = field(schema, "fixed");
	assert(f->kind == RG_FIELD_DECIMAL && f->bytes == 4 && f->exponent == -4 && f->optional &&
	       f->null_value == 0x80000000 && f->offset == 29);
	f = field(schema, "var");
	assert(f->kind == RG_FIELD_DECIMAL_VAR && f->offset == 33 && f->exponent_offset == 41 &&
	       f->optional && rg_field_extent(f) == 42);
	f = field(schema, "o.n");
	assert(f->offset == 42 && f->since_version == 2 && f->id == 13);
	f = field(schema, "o.in.v");
	assert(f->kind == RG_FIELD_DECIMAL_VAR && f->offset == 46 && f->exponent_offset == 54);
	assert(field(schema, "o.in.level")->offset == 55 && field(schema, "o.e")->offset == 56);
	assert(field(schema, "o.s")->offset == 57 && field(schema, "o.c.z")->offset == 58);
	assert(rg_schema_template_by_name(schema, "M")->block_length == 59);
	assert(rg_schema_template_by_id(schema, 5, 1) == table->templates &&
	       rg_schema_is_request(table->templates));
	assert(!rg_schema_template_by_id(schema, 4, 1) && !rg_schema_template_by_id(schema, 5, 2) &&
	       !rg_schema_template_by_id(schema, 5, 65535));
	assert(!rg_schema_template_by_name(schema, "N") &&
	       !rg_schema_field(schema, table->templates, "o"));
	rg_schema_free(schema);
}

static void test_refusals(void)
{
	refused("", "not well-formed");
	refused("<a>", "not well-formed");
	refused("<a/>", "test.xml:1: <a>: not an SBE schema");
	refused("<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>", "has no DOCTYPE");
	refused("<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", "has no DOCTYPE");
	refused("<messageSchema/>", "'id' is missing");
	refused("<messageSchema id='65536'/>", "0 to 65535");
	refused("<messageSchema id='1' byteOrder='bigEndian'/>", "littleEndian only");
	refused("<messageSchema id='1' colour='red'/>", "unknown attribute 'colour'");
	refused("<messageSchema id='1'><include href='x'/></messageSchema>",
		"includes are not followed");
	refused("<messageSchema id='1'/>", "'messageHeader' must be SBE 1.0's header");
	refused("<messageSchema id='1'><types><composite name='messageHeader'><type "
		"name='blockLength' primitiveType='uint32'/></composite>"
		"</types></messageSchema>",
		"must be SBE 1.0's header");
	refused(SCHEMA("", ""), "has no <message>");
	refused(SCHEMA("",
		       "<message name='M' id='1'><field name='a' id='1' type='uint64'/></message>"),
		"begin with <field name=\"request_id\"");
	refused(SCHEMA("", "<message name='M' id='1'/>"), "begin with <field name=\"request_id\"");
	refused(SCHEMA("", "<message name='M' id='1'><field name='request_id' id='1' "
			   "type='int64'/></message>"),
		"begin with");
	refused(SCHEMA("", "<message name='M' id='1'><field name='request_id' id='1' type='uint64' "
			   "presence='optional'/></message>"),
		"begin with");
	refused(SCHEMA("", "<message name='M' id='1'><field name='request_id' id='1' type='uint64' "
			   "offset='8'/></message>"),
		"begin with");
	refused(SCHEMA("", "<message name='M' id='100'>" ID "</message>"),
		"belongs to the message Decision");
	refused(SCHEMA("", "<message name='Decision' id='9'>" ID "</message>"),
		"the decision has template id 100");
	refused(SCHEMA("", "<message name='Decision' id='100'>" ID "</message>"),
		"the decision has 17 fields");
	refused(SCHEMA("", "<message name='M' id='1'>" ID "</message><message name='N' id='1'>" ID
			   "</message>"),
		"'M' has id 1 already");
	refused(SCHEMA("", "<message name='M' id='1'>" ID "</message><message name='M' id='2'>" ID
			   "</message>"),
		"message of this name");
	refused(SCHEMA("", "<message name='M'>" ID "</message>"), "'id' is missing");
	refused(SCHEMA("", "<message name='M' id='1' blockLength='7'>" ID "</message>"),
		"blockLength 7 is too short for its fields: give at least 8");
	refused(SCHEMA("", "<message name='M' id='1' blockLength='9000'>" ID "</message>"),
		"0 to 8192");
	refused(SCHEMA("", "<message name='M' id='1'>" ID "<group name='g' id='2'/></message>"),
		"test.xml:4: <group g>: requests have no repeating groups");
	refused(SCHEMA("", "<message name='M' id='1'>" ID "<data name='d' id='2'/></message>"),
		"no variable data");
	refused(SCHEMA("", "<message name='M' id='1'>" ID "<thing/></message>"), "only <field>");

	refused(WITH("", "<field name='a' id='2' type='Nope'/>"),
		"test.xml:5: <field a>: no type 'Nope'");
	refused(WITH("", "<field name='a' id='2'/>"), "'type' is missing");
	refused(WITH("", "<field name='a' type='uint8'/>"), "'id' is missing");
	refused(WITH("", "<field id='2' type='uint8'/>"), "'name' is missing");
	refused(WITH("", "<field name='9a' id='2' type='uint8'/>"), "not an identifier");
	refused(WITH("", "<field name='a.b' id='2' type='uint8'/>"), "not an identifier");
	refused(WITH("", "<field name='a' id='1' type='uint8'/>"), "id 1 already ('request_id')");
	refused(WITH("", "<field name='request_id' id='2' type='uint8'/>"), "field of this name");
	refused(WITH("", "<field name='a' id='2' type='uint8' presense='optional'/>"),
		"unknown attribute 'presense'");
	refused(WITH("", "<field name='a' id='2' type='uint8' presence='maybe'/>"),
		"required, optional or constant");
	refused(WITH("", "<field name='a' id='2' type='uint8' offset='7'/>"),
		"offset 7 overlaps what lies before it, up to 8");
	refused(WITH("", "<field name='a' id='2' type='uint8' offset='8192'/>"),
		"beyond 8192 bytes");
	refused(WITH("", "<field name='a' id='2' type='uint8' sinceVersion='4'/>"),
		"newer than the schema's version 3");
	refused(WITH("", "<field name='a' id='2' type='uint8' sinceVersion='2'/><field name='b' "
			 "id='3' type='uint8'/>"),
		"append new fields at the end");
	refused(WITH("", "<field name='a' id='2' type='uint8' presence='constant'/>"),
		"a constant needs a <type>");
	refused(WITH("", "<field name='a' id='2' type='uint8' valueRef='E.x'/>"),
		"valueRef needs presence=");
	refused(WITH("<enum name='E' encodingType='uint8'><validValue "
		     "name='a'>1</validValue></enum>",
		     "<field name='a' id='2' type='E' valueRef='E.a'/>"),
		"valueRef needs presence=");

	refused(WITH("<type name='T' primitiveType='uint8' length='0'/>",
		     "<field name='a' id='2' type='T'/>"),
		"length 0 means variable data");
	refused(WITH("<type name='T' primitiveType='uint8' length='2'/>",
		     "<field name='a' id='2' type='T'/>"),
		"arrays of numbers");
	refused(WITH("<type name='T' primitiveType='word'/>", "<field name='a' id='2' type='T'/>"),
		"unknown primitiveType 'word'");
	refused(WITH("<type name='T'/>", "<field name='a' id='2' type='T'/>"),
		"test.xml:3: <type T>: the attribute 'primitiveType' is missing");
	refused(WITH("<type name='T' primitiveType='int8' presence='optional' nullValue='128'/>",
		     "<field name='a' id='2' type='T'/>"),
		"does not fit int8");
	refused(WITH("<type name='T' primitiveType='double' presence='optional' nullValue='0'/>",
		     "<field name='a' id='2' type='T'/>"),
		"is NaN");
	refused(WITH("<type name='T' primitiveType='char' presence='optional' nullValue='x'/>",
		     "<field name='a' id='2' type='T'/>"),
		"empty string");
	refused(WITH("<type name='T' primitiveType='char' presence='constant'>x</type>",
		     "<field name='a' id='2' type='T'/>"),
		"constants are integers");
	refused(WITH("<type name='T' primitiveType='uint8' presence='constant'>256</type>",
		     "<field name='a' id='2' type='T'/>"),
		"no uint8");
	refused(WITH("<type name='T' primitiveType='uint8' presence='constant' valueRef='E.x'/>",
		     "<field name='a' id='2' type='T'/>"),
		"valueRef on a <type>");
	refused(WITH("<type name='T' primitiveType='uint8'/><type name='T' primitiveType='uint8'/>",
		     ""),
		"type of this name");
	refused(WITH("<message name='T' id='2'/>", ""), "may stand in <types>");

	refused(WITH("<enum name='E' encodingType='uint8'/>", ""), "has no <validValue>");
	refused(WITH("<enum name='E' encodingType='int8'><validValue "
		     "name='a'>1</validValue></enum>",
		     ""),
		"give char, uint8");
	refused(WITH("<enum name='E' encodingType='F'><validValue name='a'>1</validValue></enum>",
		     ""),
		"encodingType 'F'");
	refused(WITH("<enum name='E' encodingType='E'><validValue name='a'>1</validValue></enum>",
		     ""),
		"encodingType 'E'");
	refused(WITH("<enum name='E' encodingType='uint8'><validValue "
		     "name='a'>256</validValue></enum>",
		     ""),
		"one uint8");
	refused(WITH("<enum name='E' encodingType='char'><validValue "
		     "name='a'>xy</validValue></enum>",
		     ""),
		"one char");
	refused(WITH("<enum name='E' encodingType='uint8'><validValue "
		     "name='a'>1</validValue><validValue name='b'>1</validValue></enum>",
		     ""),
		"'a' has the same value");
	refused(WITH("<enum name='E' encodingType='uint8'><validValue "
		     "name='a'>1</validValue><validValue name='a'>2</validValue></enum>",
		     ""),
		"name is there already");
	refused(WITH("<enum name='E' encodingType='uint8'><choice name='a'>1</choice></enum>", ""),
		"only <validValue>");
	refused(WITH("<enum name='E' encodingType='uint8'><validValue "
		     "name='false'>1</validValue><validValue name='true'>0</validValue></enum>",
		     ""),
		"false 0 and true 1");
	refused(WITH("<type name='O' primitiveType='uint8' presence='optional'/><enum name='E' "
		     "encodingType='O'><validValue name='a'>255</validValue></enum>",
		     ""),
		"null value of the encoding type");
	refused(WITH("<enum name='E' encodingType='uint8'><validValue "
		     "name='a'>255</validValue></enum>",
		     "<field name='a' id='2' type='E' presence='optional'/>"),
		"names the null value 255 ('a')");
	refused(WITH("<enum name='E' encodingType='uint8'><validValue "
		     "name='a'>1</validValue></enum>",
		     "<field name='a' id='2' type='E' presence='constant'/>"),
		"valueRef=\"E.<one of its values>\"");
	refused(WITH("<enum name='E' encodingType='uint8'><validValue "
		     "name='a'>1</validValue></enum>",
		     "<field name='a' id='2' type='E' presence='constant' valueRef='E.b'/>"),
		"no value 'b'");
	refused(WITH("<set name='S' encodingType='char'><choice name='a'>1</choice></set>", ""),
		"give uint8");
	refused(WITH("<set name='S' encodingType='uint8'><choice name='a'>8</choice></set>", ""),
		"from 0 to 7");
	refused(WITH("<set name='S' encodingType='uint8'><choice name='a'>1</choice></set>",
		     "<field name='a' id='2' type='S' presence='optional'/>"),
		"always required");
	refused(WITH("<type name='O' primitiveType='uint8' presence='optional'/><set name='S' "
		     "encodingType='O'><choice name='a'>1</choice></set>",
		     ""),
		"no null value");

	refused(WITH("<composite name='C'/>", "<field name='a' id='2' type='C'/>"), "no members");
	refused(WITH("<composite name='C'><ref name='c' type='C'/></composite>",
		     "<field name='a' id='2' type='C'/>"),
		"contains itself");
	refused(WITH("<composite name='C'><ref name='d' type='D'/></composite><composite "
		     "name='D'><ref name='c' type='C'/></composite>",
		     "<field name='a' id='2' type='C'/>"),
		"contains itself");
	refused(WITH("<composite name='C'><ref name='d' type='D'/></composite>",
		     "<field name='a' id='2' type='C'/>"),
		"no type 'D'");
	refused(WITH("<composite name='C'><ref name='d' type='uint8'/></composite>",
		     "<field name='a' id='2' type='C'/>"),
		"primitiveType=...");
	refused(WITH("<composite name='C'><field name='d' id='1' type='uint8'/></composite>",
		     "<field name='a' id='2' type='C'/>"),
		"not a type");
	refused(WITH("<composite name='C'><type name='d' primitiveType='uint8'/><type name='d' "
		     "primitiveType='uint8'/></composite>",
		     "<field name='a' id='2' type='C'/>"),
		"this member already");
	refused(WITH("<composite name='C'><type name='d' primitiveType='uint32'/><type name='e' "
		     "primitiveType='uint8' offset='3'/></composite>",
		     "<field name='a' id='2' type='C'/>"),
		"offset 3 overlaps");
	refused(WITH("<composite name='C'><type name='d' primitiveType='uint32'/></composite>",
		     "<field name='a' id='2' type='C' presence='optional'/>"),
		"no presence of its own");
	refused(WITH("<composite name='C'><type name='mantissa' primitiveType='double'/><type "
		     "name='exponent' primitiveType='int8'/></composite>",
		     "<field name='a' id='2' type='C'/>"),
		"is an integer and not constant");
	refused(WITH("<composite name='C'><type name='mantissa' primitiveType='int64'/><type "
		     "name='exponent' primitiveType='int16'/></composite>",
		     "<field name='a' id='2' type='C'/>"),
		"is an int8");
	refused(WITH("<composite name='C'><type name='mantissa' primitiveType='int64'/><type "
		     "name='exponent' primitiveType='int8' presence='constant'>19"
		     "</type></composite>",
		     "<field name='a' id='2' type='C'/>"),
		"riskgate reads -18 to 18");
}

/* Two booleans that are none, and a Decision laid out otherwise: each change of the stock schema is
 * refused. */
static void test_stock_changes(const char *path)
{
	static const struct {
		const char *from, *to, *wanted;
	} changes[] = {
		{"<validValue name=\"true\">1<", "<validValue name=\"true\">2<",
		 "false 0 and true 1"},
		{"<field name=\"policy_sequence\" id=\"2\" type=\"uint64\"/>",
		 "<field name=\"policy_sequence\" id=\"2\" type=\"int64\"/>",
		 "field 2 must be policy_sequence"},
		{"<field name=\"verdict\" id=\"8\" type=\"Verdict\"/>",
		 "<field name=\"verdict\" id=\"8\" offset=\"61\" type=\"Verdict\"/>",
		 "field 16 must be verdict, 1 bytes at offset 60, but is verdict at 61"},
		{"<field name=\"reason_8\"", "<field name=\"reason_9\"",
		 "field 13 must be reason_8"},
		{"nullValue=\"0\"", "nullValue=\"1\"", "field 6 must be reason_1"},
		{"name=\"Decision\" id=\"100\" blockLength=\"64\"",
		 "name=\"Decision\" id=\"100\" blockLength=\"72\"", "blockLength 64"},
		{"name=\"Decision\" id=\"100\"", "name=\"Decision\" id=\"101\"",
		 "template id 100, not 101"},
	};
	char *text = calloc(1, RG_SCHEMA_FILE_BYTES_MAX),
	     *changed = calloc(1, RG_SCHEMA_FILE_BYTES_MAX);
	FILE *file = fopen(path, "r");

	assert(text && changed && file && fread(text, 1, RG_SCHEMA_FILE_BYTES_MAX - 1, file) > 0);
	fclose(file);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		char *at = strstr(text, changes[i].from);

		assert(at);
		sprintf(changed, "%.*s%s%s", (int)(at - text), text, changes[i].to,
			at + strlen(changes[i].from));
		refused(changed, changes[i].wanted);
	}
	free(text);
	free(changed);
}

/* Limits hold where a small file could ask for a lot. */
static void test_limits(void)
{
	size_t bytes = 400000;
	char *text = malloc(bytes), *at = text;

	/* Sixteen levels of composites, each twice in the next: 2^16 values. */
	at += sprintf(at,
		      "<messageSchema id='1'><types>" HEADER
		      "<composite name='c0'><type name='x' primitiveType='uint8'/></composite>");
	for (int i = 1; i < 7; i++)
		at += sprintf(at,
			      "<composite name='c%d'><ref name='a' type='c%d'/><ref name='b' "
			      "type='c%d'/><ref name='c' type='c%d'/>"
			      "<ref name='d' type='c%d'/></composite>",
			      i, i - 1, i - 1, i - 1, i - 1);
	sprintf(at, "</types><message name='M' id='1'>" ID
		    "<field name='a' id='2' type='c6'/></message></messageSchema>");
	refused(text, "more than 1024 values");

	at = text +
	     sprintf(text,
		     "<messageSchema id='1'><types>" HEADER
		     "<composite name='c0'><type name='x' primitiveType='uint8'/></composite>");
	for (int i = 1; i < 10; i++)
		at += sprintf(at, "<composite name='c%d'><ref name='a' type='c%d'/></composite>", i,
			      i - 1);
	sprintf(at, "</types><message name='M' id='1'>" ID
		    "<field name='a' id='2' type='c9'/></message></messageSchema>");
	refused(text, "more than 8 deep");

	at = text + sprintf(text, "<messageSchema id='1'><types>" HEADER "</types>");
	for (int i = 0; i < 300; i++)
		at += sprintf(at, "<message name='M%d' id='%d'>" ID "</message>", i, i + 1000);
	sprintf(at, "</messageSchema>");
	refused(text, "more than 256 messages");
	free(text);

	text = calloc(1, RG_SCHEMA_FILE_BYTES_MAX + 2);
	memset(text, ' ', RG_SCHEMA_FILE_BYTES_MAX + 1);
	refused(text, "larger than");
	free(text);
}

/* The fingerprint changes with whatever a decoder depends on, and with nothing else. */
static void test_fingerprint(void)
{
	static const char *const different[] = {
		WITH("", "<field name='a' id='2' type='uint32'/>"),
		WITH("", "<field name='b' id='2' type='uint32'/>"),
		WITH("", "<field name='a' id='2' type='int32'/>"),
		WITH("", "<field name='a' id='2' type='uint64'/>"),
		WITH("", "<field name='a' id='2' type='float'/>"),
		WITH("", "<field name='a' id='2' type='uint32' offset='12'/>"),
		WITH("", "<field name='a' id='2' type='uint32' presence='optional'/>"),
		WITH("", "<field name='a' id='2' type='uint32' sinceVersion='2'/>"),
		WITH("<type name='T' primitiveType='uint32' nullValue='0' presence='optional'/>",
		     "<field name='a' id='2' type='T'/>"),
		WITH("<enum name='E' encodingType='uint32'><validValue "
		     "name='x'>1</validValue></enum>",
		     "<field name='a' id='2' type='E'/>"),
		WITH("<enum name='E' encodingType='uint32'><validValue "
		     "name='x'>2</validValue></enum>",
		     "<field name='a' id='2' type='E'/>"),
		WITH("<enum name='E' encodingType='uint32'><validValue "
		     "name='y'>2</validValue></enum>",
		     "<field name='a' id='2' type='E'/>"),
		SCHEMA("", "<message name='N' id='1'>" ID
			   "<field name='a' id='2' type='uint32'/></message>"),
		SCHEMA("", "<message name='M' id='2'>" ID
			   "<field name='a' id='2' type='uint32'/></message>"),
		SCHEMA("", "<message name='M' id='1' blockLength='16'>" ID
			   "<field name='a' id='2' type='uint32'/></message>"),
	};
	uint64_t seen[sizeof(different) / sizeof(different[0])];
	struct rg_schema *schema;

	for (size_t i = 0; i < sizeof(different) / sizeof(different[0]); i++) {
		schema = load(different[i]);
		seen[i] = rg_schema_fields(schema)->fingerprint;
		rg_schema_free(schema);
		for (size_t j = 0; j < i; j++)
			assert(seen[i] != seen[j]);
	}
	schema = load(WITH(
		"<type name='Unused' primitiveType='int8'/>",
		"<!-- why --><field name='a' id='7' type='uint32' description='same bytes'/>"));
	assert(rg_schema_fields(schema)->fingerprint == seen[0]);
	rg_schema_free(schema);
}

/* The stock schema: naturally aligned, inside an Ethernet frame, and with what the policies read.
 */
static void test_stock(const char *path)
{
	static const char *const requests[] = {
		"PaymentAuthorization", "NewOrder",	  "CancelOrder", "ReplaceOrder",
		"ExecutionReport",	"ReferencePrice", "FraudLabel",	 "Heartbeat"};
	static const char *const payment[] = {
		"amount",	   "currency",		"card_token",	     "account_id",
		"user.id",	   "user.risk_level",	"user.age_days",     "user.country",
		"merchant.id",	   "merchant.mcc",	"merchant.category", "merchant.latitude",
		"holder.state",	   "holder.birth_date", "card.bin",	     "card.prepaid",
		"card.entry_mode", "device.token",	"device.ip_country", "device.ip_token",
		"channel",	   "payee.token",	"is_recurring",	     "risk_analysis"};
	const struct rg_field_table *table;
	struct rg_schema *schema;
	struct rg_error err;

	if (rg_schema_load(path, &schema, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	table = rg_schema_fields(schema);
	assert(table->template_count == 9 && rg_schema_id(schema) == 1 &&
	       rg_schema_version(schema) == 1);
	for (uint16_t i = 0; i < 8; i++) {
		const struct rg_template *template = rg_schema_template_by_id(schema, 1, i + 1);

		assert(template && !strcmp(template->name, requests[i]) &&
		       rg_schema_is_request(template));
		assert(template->block_length <= 320 && template->block_length % 8 == 0);
	}
	assert(!rg_schema_is_request(rg_schema_template_by_id(schema, 1, 100)));
	for (uint32_t i = 0; i < table->field_count; i++)
		assert(table->fields[i].offset % table->fields[i].bytes == 0);
	for (size_t i = 0; i < sizeof(payment) / sizeof(payment[0]); i++)
		assert(rg_schema_field(schema,
				       rg_schema_template_by_name(schema, "PaymentAuthorization"),
				       payment[i]));
	rg_schema_free(schema);
	assert(rg_schema_load("/nonexistent/schema.xml", &schema, &err) == RG_EIO &&
	       strstr(err.text, "No such file"));
	assert(rg_schema_load("/", &schema, &err) == RG_EIO);
}

int main(int argc, char **argv)
{
	assert(argc == 2);
	test_scalars();
	test_types();
	test_refusals();
	test_limits();
	test_fingerprint();
	test_stock(argv[1]);
	test_stock_changes(argv[1]);
	rg_schema_free(NULL);
	return 0;
}
