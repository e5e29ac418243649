/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/schema_loader.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* "file:line: <element name>: text". Returns status. */
int rg_loader_fail(const struct rg_loader *loader, const xmlNode *node, int status,
		   const char *format, ...)
{
	const char *name = rg_schema_xml_attribute(node, "name");
	char text[RG_ERROR_TEXT_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return rg_error_set(loader->err, status, "%s:%ld: <%.40s%s%.64s>: %s", loader->file,
			    xmlGetLineNo((xmlNode *)node), rg_schema_xml_element(node),
			    name ? " " : "", name ? name : "", text);
}

/* ---- attributes ---- */

/* Each element's attributes. One that is not here is refused: a misspelt "presense" must not be
 * read over. */
static const struct {
	const char *element, *attributes;
} grammar[] = {
	{"messageSchema", " package id version semanticVersion description byteOrder headerType "},
	{"types", " "},
	{"message", " name id blockLength description semanticType sinceVersion deprecated "},
	{"field", " name id type offset presence valueRef description semanticType sinceVersion "
		  "deprecated epoch timeUnit "},
	{"type", " name primitiveType length presence valueRef nullValue minValue maxValue "
		 "characterEncoding offset "
		 "sinceVersion deprecated semanticType description epoch timeUnit "},
	{"composite", " name offset description semanticType sinceVersion deprecated "},
	{"ref", " name type offset description sinceVersion deprecated "},
	{"enum", " name encodingType offset description semanticType sinceVersion deprecated "},
	{"validValue", " name description sinceVersion deprecated "},
	{"set", " name encodingType offset description semanticType sinceVersion deprecated "},
	{"choice", " name description sinceVersion deprecated "},
};

int rg_loader_check_attributes(const struct rg_loader *loader, const xmlNode *node)
{
	const char *known = NULL;
	char wanted[48];

	for (size_t i = 0; i < sizeof(grammar) / sizeof(grammar[0]); i++) {
		if (rg_schema_xml_is(node, grammar[i].element))
			known = grammar[i].attributes;
	}
	if (!known)
		return rg_loader_fail(loader, node, RG_EINVAL,
				      "an element that riskgate does not know here: remove it");
	for (const xmlAttr *at = node->properties; at; at = at->next) {
		if (at->ns)
			continue;
		snprintf(wanted, sizeof(wanted), " %.40s ", (const char *)at->name);
		if (!strstr(known, wanted))
			return rg_loader_fail(loader, node, RG_EINVAL,
					      "unknown attribute '%.40s': known are%s",
					      (const char *)at->name, known);
	}
	return RG_OK;
}

/* A decimal integer in [min, max], optionally signed; no other characters. */
bool rg_loader_parse_integer(const char *text, int64_t min, uint64_t max, uint64_t *value)
{
	bool negative = *text == '-';
	uint64_t bound = negative ? 0 - (uint64_t)min : max, number = 0;

	if (negative || *text == '+')
		text++;
	if (!*text || (negative && min >= 0))
		return false;
	for (; *text; text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (!isdigit((unsigned char)*text) || digit > bound ||
		    number > (bound - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*value = negative ? 0 - number : number;
	return true;
}

/* An unsigned attribute; *present (may be NULL) tells whether it is there. A missing one leaves
 * *value alone. */
int rg_loader_number(const struct rg_loader *loader, const xmlNode *node, const char *name,
		     uint32_t max, uint32_t *value, bool *present)
{
	const char *text = rg_schema_xml_attribute(node, name);
	uint64_t number;

	if (present)
		*present = text != NULL;
	if (!text)
		return RG_OK;
	if (!rg_loader_parse_integer(text, 0, max, &number))
		return rg_loader_fail(loader, node, RG_EINVAL,
				      "%s=\"%.40s\": give an integer from 0 to %u", name, text,
				      max);
	*value = (uint32_t)number;
	return RG_OK;
}

int rg_loader_needed(const struct rg_loader *loader, const xmlNode *node, const char *name,
		     const char **text)
{
	*text = rg_schema_xml_attribute(node, name);
	if (!*text || !**text)
		return rg_loader_fail(loader, node, RG_EINVAL,
				      "the attribute '%s' is missing: add it", name);
	return RG_OK;
}

/* Names become keys under `input` and Rego references: letters, digits and _, not starting with a
 * digit. */
int rg_loader_identifier(const struct rg_loader *loader, const xmlNode *node, size_t max,
			 const char **name)
{
	int status = rg_loader_needed(loader, node, "name", name);

	if (status)
		return status;
	if (strlen(*name) > max)
		return rg_loader_fail(loader, node, RG_ELIMIT,
				      "the name is longer than %zu characters: shorten it", max);
	for (const char *at = *name; *at; at++) {
		if (*at != '_' && !isalpha((unsigned char)*at) &&
		    (at == *name || !isdigit((unsigned char)*at)))
			return rg_loader_fail(
				loader, node, RG_EINVAL,
				"'%s' is not an identifier: use letters, digits and _, and no "
				"digit first",
				*name);
	}
	return RG_OK;
}

int rg_loader_presence(const struct rg_loader *loader, const xmlNode *node,
		       enum rg_loader_presence *presence)
{
	const char *text = rg_schema_xml_attribute(node, "presence");

	if (!text)
		*presence = RG_PRESENCE_UNSET;
	else if (!strcmp(text, "required"))
		*presence = RG_PRESENCE_REQUIRED;
	else if (!strcmp(text, "optional"))
		*presence = RG_PRESENCE_OPTIONAL;
	else if (!strcmp(text, "constant"))
		*presence = RG_PRESENCE_CONSTANT;
	else
		return rg_loader_fail(loader, node, RG_EINVAL,
				      "presence=\"%.40s\": give required, optional or constant",
				      text);
	return RG_OK;
}

/* sinceVersion of a field or member, at least `least`. */
int rg_loader_since(const struct rg_loader *loader, const xmlNode *node, uint16_t least,
		    uint16_t *since)
{
	uint32_t version = 0;
	int status = rg_loader_number(loader, node, "sinceVersion", UINT16_MAX, &version, NULL);

	if (status)
		return status;
	if (version > loader->schema->version)
		return rg_loader_fail(
			loader, node, RG_EINVAL,
			"sinceVersion %u is newer than the schema's version %u: raise the "
			"schema's version",
			version, loader->schema->version);
	*since = version > least ? (uint16_t)version : least;
	return RG_OK;
}
