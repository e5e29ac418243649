/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Going over arrays and objects whose contents depend on the request: see typed_views.c. Private to compile/.
 */
#ifndef RG_POLICY_COMPILE_TYPED_VIEWS_H
#define RG_POLICY_COMPILE_TYPED_VIEWS_H

#include "policy/compile/typed_left.h"
#include "policy/compile/typed_made.h"

/* What is done with each thing that is put into a container while its region is translated again. */
struct rg_typed_viewer {
	struct rg_typed_fact fact;	  /* of the container */
	uint32_t container;		  /* register in the region */
	struct rg_typed_context *context; /* of who goes over it; NULL: nothing is done */
	/* A turn with a key (UNTYPED: of an array) and a value. */
	void (*turn)(struct rg_typed_context *c, const void *of, struct rg_typed_fact key,
		     struct rg_typed_fact value);
	const void *of;
};

/* Can the array or object be gone over, other than as a constant? */
bool rg_typed_is_view(const struct rg_typed_context *c, struct rg_typed_fact fact);
/* Go over it: viewer->fact, turn and of. */
void rg_typed_over_view(struct rg_typed_context *c, const struct rg_typed_viewer *viewer);
/* The context's instruction looks a key up in an object of that kind. False: it is none, or cannot be done. */
bool rg_typed_dot_of_view(struct rg_typed_context *c, struct rg_typed_fact from,
			  struct rg_typed_fact key);
/* Something is put into a container. False: not into one that is gone over. */
bool rg_typed_view_put(struct rg_typed_context *c);

#endif
