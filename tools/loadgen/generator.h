/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests out of a seed: random but plausible for each field's type, or as --set says. The same
 * schema, template, seed and settings give the same bytes.
 *
 * Without a setting a field gets
 *
 *	integer, mantissa   evenly over the powers of ten; the bound depends on the name: ids and
 *			    tokens have up to 8 digits, others 6; a time in ns lies in 2026, a
 *			    minute in a day, degrees on the globe
 *	enum		    any of its values
 *	boolean		    true one time in four
 *	set		    each bit one time in 32
 *	char[N]		    a currency or country where the name says so, else letters and digits
 *	float		    0 to 1
 *	optional	    no value one time in eight
 *
 * A setting is "field=what":
 *
 *	amount=uniform(1,200000)	  evenly from 1 to 200000, as fine as the field keeps it
 *	user.risk_level=choice(low,high)  one of these; naming one twice doubles its chance
 *	merchant.country=null		  no value
 *	currency=EUR			  always this
 *
 * Thread-safety: a generator belongs to one thread.
 */
#ifndef RG_TOOLS_LOADGEN_GENERATOR_H
#define RG_TOOLS_LOADGEN_GENERATOR_H

#include <stdint.h>

#include "base/error.h"
#include "wire/schema.h"

struct rg_generator;

/* settings: setting_count texts as above; a later one for the same field wins. RG_EINVAL names the
 * setting, the field and the remedy. */
int rg_generator_new(const struct rg_schema *schema, const struct rg_template *template,
		     uint64_t seed, const char *const *settings, uint32_t setting_count,
		     struct rg_generator **generator, struct rg_error *err);
void rg_generator_free(struct rg_generator *generator);
/* Fill the root block of one request; request_id is left alone. */
void rg_generator_fill(struct rg_generator *generator, uint8_t *block);

#endif
