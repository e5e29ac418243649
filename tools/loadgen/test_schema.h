/* SPDX-License-Identifier: Apache-2.0 */
/* A schema with one field of each kind that a mapping can fill, for mapping_test.c and
 * mapping_fuzz.c. */
#ifndef RG_TOOLS_LOADGEN_TEST_SCHEMA_H
#define RG_TOOLS_LOADGEN_TEST_SCHEMA_H

static const char test_schema[] =
	"<sbe:messageSchema xmlns:sbe='http://fixprotocol.io/2016/sbe' package='t' id='1' "
	"version='0' byteOrder='littleEndian'>"
	"<types>"
	"<composite name='messageHeader'><type name='blockLength' primitiveType='uint16'/>"
	"<type name='templateId' primitiveType='uint16'/><type name='schemaId' "
	"primitiveType='uint16'/>"
	"<type name='version' primitiveType='uint16'/></composite>"
	"<type name='Time' primitiveType='uint64'/>"
	"<type name='OptionalInt' primitiveType='int16' presence='optional'/>"
	"<type name='OptionalByte' primitiveType='uint8' presence='optional'/>"
	"<type name='Name' primitiveType='char' length='4' presence='optional'/>"
	"<type name='Share' primitiveType='double' presence='optional'/>"
	"<composite name='Money'><type name='mantissa' primitiveType='int32'/>"
	"<type name='exponent' primitiveType='int8' presence='constant'>-2</type></composite>"
	"<composite name='Free'><type name='mantissa' primitiveType='int64' presence='optional'/>"
	"<type name='exponent' primitiveType='int8'/></composite>"
	"<enum name='Color' encodingType='OptionalByte'><validValue name='red'>1</validValue>"
	"<validValue name='green'>5</validValue></enum>"
	"<enum name='Flag' encodingType='OptionalByte'><validValue name='false'>0</validValue>"
	"<validValue name='true'>1</validValue></enum>"
	"<set name='Signs' encodingType='uint8'><choice name='a'>0</choice><choice "
	"name='b'>3</choice></set>"
	"</types>"
	"<sbe:message name='Pay' id='9' blockLength='64'>"
	"<field name='request_id' id='1' type='uint64'/>"
	"<field name='time' id='2' type='Time'/>"
	"<field name='token' id='3' type='uint64' presence='optional'/>"
	"<field name='free' id='4' type='Free'/>"
	"<field name='amount' id='5' type='Money'/>"
	"<field name='born' id='6' type='uint32' presence='optional'/>"
	"<field name='small' id='7' type='OptionalInt'/>"
	"<field name='minute' id='8' type='uint16' presence='optional'/>"
	"<field name='name' id='9' type='Name'/>"
	"<field name='color' id='10' type='Color'/>"
	"<field name='flag' id='11' type='Flag'/>"
	"<field name='signs' id='12' type='Signs'/>"
	"<field name='share' id='13' type='Share'/>"
	"</sbe:message></sbe:messageSchema>";

#endif
