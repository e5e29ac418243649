/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML data documents as JSON, scalars typed by the YAML 1.2 core schema.
 *
 * Anchors and aliases are expanded within a bound; merge keys (`<<`), tags beyond the core
 * schema's, .inf and .nan, non-scalar keys and several documents in a file are refused: JSON has
 * nothing for them.
 *
 * Source: YAML 1.2.2 section 10.3.2 (core schema). Thread-safety: pure.
 */
#ifndef RG_BUNDLE_YAML_JSON_H
#define RG_BUNDLE_YAML_JSON_H

#include <stdint.h>

#include "base/error.h"
#include "base/json.h"

/* Convert. bytes_max bounds the JSON written. Errors (RG_EINVAL, RG_ELIMIT, RG_ENOMEM) name line
 * and column. */
int rg_yaml_to_json(const char *yaml, size_t bytes, uint64_t bytes_max,
		    struct rg_json_writer *writer, struct rg_error *err);

#endif
