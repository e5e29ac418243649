/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entrypoints for every document: what OPA's REST API may be asked for and a plan has no entrypoint
 * of its own for.
 *
 *	"/"			the base document
 *	"/payments/deny"	the rule data.payments.deny
 *
 * Segments are percent-encoded ('/' and '%' inside them), so that names can be told apart; the
 * bundle's own entrypoints never begin with '/'. Packages have none: they are objects of their
 * rules, put together by whoever asks.
 */
#ifndef RG_POLICY_COMPILE_DOCUMENTS_H
#define RG_POLICY_COMPILE_DOCUMENTS_H

#include "policy/plan/plan.h"

/* Add them to a plan as it was loaded. RG_OK or RG_ENOMEM. */
int rg_documents_add(struct rg_plan *plan, struct rg_error *err);

#endif
