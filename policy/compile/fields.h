/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request's fields in a compile: the templates that are bound, the tree that `input` is for
 * each, and comparisons that become single instructions. Private to compile/.
 */
#ifndef RG_POLICY_COMPILE_FIELDS_H
#define RG_POLICY_COMPILE_FIELDS_H

#include "policy/compile/lower.h"

/* Enter a template's fields and input tree. *root is its node. RG_OK, or RG_EINVAL/RG_ELIMIT
 * naming the field. */
int rg_field_add_template(struct rg_unit *unit, const struct rg_template *request, uint32_t *root);
/* The child of a node by name, or NULL. */
const struct rg_image_node *rg_field_child(struct rg_unit *unit, uint32_t node, struct rg_value key,
					   uint32_t *child);
/* Type of a field as a value. */
enum rg_value_type rg_field_value_type(const struct rg_unit *unit, uint32_t field);
/* Go on if the field is present, else fail. */
void rg_field_require(struct rg_lower *l, uint32_t field);
/* Before an instruction that fails for an absent field as the test for presence just before would: take that one back. True
 * if there was one; then the instruction must stay. */
bool rg_field_fuse(struct rg_lower *l, uint32_t field);
/* a <op> b with a a field: true if an instruction for it was emitted. */
bool rg_field_branch(struct rg_lower *l, const struct rg_test *test);
bool rg_field_branch_member(struct rg_lower *l, const struct rg_test *test, bool wanted);

#endif
