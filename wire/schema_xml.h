/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the XML of a schema safely, and the few questions the loader asks of it.
 *
 * The document comes from an administrator, not from a client, but a schema that fetches a URL or
 * expands to gigabytes has no business here: no DTD, no entities, no network, bounded size. All
 * errors name file and line.
 *
 * Thread-safety: a document belongs to one thread; different documents are independent.
 */
#ifndef RG_WIRE_SCHEMA_XML_H
#define RG_WIRE_SCHEMA_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libxml/tree.h>

#include "base/error.h"

/* Parse bytes of XML; `name` stands for the file in errors. *document is to be freed with
 * xmlFreeDoc(). Returns RG_OK, RG_EINVAL, RG_ELIMIT or RG_ENOMEM. */
int rg_schema_xml_parse(const char *text, size_t bytes, const char *name, xmlDoc **document,
			struct rg_error *err);

/* Local name of an element ("field"). */
static inline const char *rg_schema_xml_element(const xmlNode *node)
{
	return (const char *)node->name;
}
bool rg_schema_xml_is(const xmlNode *node, const char *element);
/* First child element, next sibling element; NULL after the last. Comments and text between
 * elements are skipped. */
xmlNode *rg_schema_xml_first(const xmlNode *node);
xmlNode *rg_schema_xml_next(const xmlNode *node);
/* Value of an attribute without namespace, or NULL. Lives as long as the document. */
const char *rg_schema_xml_attribute(const xmlNode *node, const char *name);
/* The element's text without surrounding white space, into out (terminated). False if it is longer
 * than out or broken up by child elements. */
bool rg_schema_xml_text(const xmlNode *node, char *out, size_t out_bytes);

#endif
