/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small schema with every kind of field, for the message fuzz targets: short blocks let a fuzzer
 * reach all of it. Two templates: 1 "K" (all kinds) and 2 "Tiny" (a request id alone).
 */
#ifndef RG_WIRE_FUZZ_SCHEMA_H
#define RG_WIRE_FUZZ_SCHEMA_H

#include <stdlib.h>
#include <string.h>

#include "wire/schema.h"

static const char fuzz_schema_xml[] =
	"<messageSchema id='9' version='2'><types>"
	"<composite name='messageHeader'><type name='blockLength' primitiveType='uint16'/><type "
	"name='templateId' primitiveType='uint16'/>"
	"<type name='schemaId' primitiveType='uint16'/><type name='version' "
	"primitiveType='uint16'/></composite>"
	"<composite name='Var'><type name='mantissa' primitiveType='int32' "
	"presence='optional'/><type name='exponent' primitiveType='int8'/></composite>"
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
	"<composite name='Out'><ref name='in' type='In'/><ref name='five' "
	"type='Five'/></composite></types>"
	"<message name='K' id='1'><field name='request_id' id='1' type='uint64'/>"
	"<field name='var' id='2' type='Var'/><field name='seven' id='4' type='Seven'/>"
	"<field name='single' id='5' type='float' presence='optional'/><field name='wide' id='6' "
	"type='double' presence='optional'/>"
	"<field name='tiny' id='7' type='int8' presence='optional'/><field name='flag' id='8' "
	"type='Bool' presence='optional'/>"
	"<field name='always' id='9' type='Letter' presence='constant' "
	"valueRef='Letter.yes'/><field name='bits' id='10' type='Bits'/>"
	"<field name='text' id='11' type='Five' presence='optional'/><field name='out' id='13' "
	"type='Out'/>"
	"<field name='late' id='14' type='uint16' sinceVersion='2' presence='optional'/></message>"
	"<message name='Tiny' id='2'><field name='request_id' id='1' "
	"type='uint64'/></message></messageSchema>";

/* Loaded once and kept. */
static const struct rg_schema *fuzz_schema(void)
{
	static struct rg_schema *schema;

	if (!schema &&
	    rg_schema_load_memory(fuzz_schema_xml, strlen(fuzz_schema_xml), "fuzz", &schema, NULL))
		abort();
	return schema;
}

#endif
