/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/schema_xml.h"

#include <string.h>

#include <libxml/parser.h>
#include <libxml/xmlerror.h>

#include "wire/schema.h"

/* SAX: called at <!DOCTYPE. Nothing of a DTD is wanted, so parsing ends here, before any entity is
 * declared. */
static void refuse_doctype(void *context, const xmlChar *name, const xmlChar *external_id,
			   const xmlChar *system_id)
{
	xmlParserCtxt *parser = context;

	*(bool *)parser->_private = true;
	xmlStopParser(parser);
}

int rg_schema_xml_parse(const char *text, size_t bytes, const char *name, xmlDoc **document,
			struct rg_error *err)
{
	bool doctype = false;
	const xmlError *why;
	xmlParserCtxt *parser;
	int status = RG_OK;

	*document = NULL;
	if (bytes > RG_SCHEMA_FILE_BYTES_MAX)
		return rg_error_set(
			err, RG_ELIMIT,
			"%s: larger than %u bytes: split the schema or remove what is not used",
			name, RG_SCHEMA_FILE_BYTES_MAX);
	xmlInitParser();
	parser = xmlNewParserCtxt();
	if (!parser)
		return rg_error_set(err, RG_ENOMEM, "%s: no memory for the XML parser", name);
	parser->_private = &doctype;
	parser->sax->internalSubset = refuse_doctype;
	parser->sax->externalSubset = refuse_doctype;
	/* No DTD means no entities but the five of XML itself, so that substituting them (NOENT) is
	 * safe and gives plain text nodes. */
	*document = xmlCtxtReadMemory(parser, text, (int)bytes, NULL, NULL,
				      XML_PARSE_NONET | XML_PARSE_NOENT | XML_PARSE_NOCDATA |
					      XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
					      XML_PARSE_BIG_LINES);
	if (doctype) {
		status = rg_error_set(err, RG_EINVAL, "%s:%d: a schema has no DOCTYPE: remove it",
				      name, parser->input ? parser->input->line : 1);
	} else if (!*document || !xmlDocGetRootElement(*document)) {
		why = xmlCtxtGetLastError(parser);
		status = rg_error_set(err, RG_EINVAL, "%s:%d: not well-formed XML: %.*s", name,
				      why ? why->line : 1,
				      why && why->message ? (int)strcspn(why->message, "\n") : 12,
				      why && why->message ? why->message : "no document");
	}
	if (status && *document) {
		xmlFreeDoc(*document);
		*document = NULL;
	}
	xmlFreeParserCtxt(parser);
	return status;
}

bool rg_schema_xml_is(const xmlNode *node, const char *element)
{
	return !strcmp(rg_schema_xml_element(node), element);
}

static xmlNode *element_from(xmlNode *node)
{
	while (node && node->type != XML_ELEMENT_NODE)
		node = node->next;
	return node;
}

xmlNode *rg_schema_xml_first(const xmlNode *node)
{
	return element_from(node->children);
}

xmlNode *rg_schema_xml_next(const xmlNode *node)
{
	return element_from(node->next);
}

const char *rg_schema_xml_attribute(const xmlNode *node, const char *name)
{
	for (const xmlAttr *at = node->properties; at; at = at->next) {
		if (at->ns || strcmp((const char *)at->name, name))
			continue;
		if (!at->children)
			return "";
		return at->children->content ? (const char *)at->children->content : "";
	}
	return NULL;
}

bool rg_schema_xml_text(const xmlNode *node, char *out, size_t out_bytes)
{
	size_t used = 0, from = 0;

	for (const xmlNode *child = node->children; child; child = child->next) {
		size_t bytes;

		if (child->type == XML_COMMENT_NODE)
			continue;
		if (child->type != XML_TEXT_NODE)
			return false;
		bytes = strlen((const char *)child->content);
		if (bytes >= out_bytes - used)
			return false;
		memcpy(out + used, child->content, bytes);
		used += bytes;
	}
	while (used && strchr(" \t\r\n", out[used - 1]))
		used--;
	while (from < used && strchr(" \t\r\n", out[from]))
		from++;
	memmove(out, out + from, used - from);
	out[used - from] = '\0';
	return true;
}
