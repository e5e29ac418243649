/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known on each way through a piece of a typed program: of each slot a set of integers,
 * absent among them. A guard is such a set, or its complement where it fails. Ways that meet and
 * differ in one slot are one. Private to compile/: typed_rules.c makes rows of rule tables of it.
 *
 * The ways to one instruction never overlap: a request takes just one of them.
 */
#ifndef RG_POLICY_COMPILE_TYPED_WAYS_H
#define RG_POLICY_COMPILE_TYPED_WAYS_H

#include "policy/compile/rule_table_build.h"
#include "policy/compile/typed_lay.h"

#define RG_WAY_COLUMNS_MAX 24
#define RG_WAY_WRITES_MAX  4
#define RG_WAYS_MAX	   16 /* that come to one instruction */

/* Integers, as intervals in the pass's list, and whether absent is among them. */
struct rg_some {
	uint32_t first, count;
	bool absent;
};

/* A slot that got a number. */
struct rg_write {
	uint16_t slot;
	int64_t number;
};

/* What is known on a way, of slots not named nothing, and what it has written. */
struct rg_way {
	uint32_t count, write_count;
	uint16_t slots[RG_WAY_COLUMNS_MAX];
	struct rg_some known[RG_WAY_COLUMNS_MAX];
	struct rg_write writes[RG_WAY_WRITES_MAX];
};

struct rg_ways {
	uint32_t count;
	struct rg_way ways[RG_WAYS_MAX];
};

struct rg_ways_pass {
	struct rg_typed_laying *laying;
	struct rg_unit *unit;
	struct rg_vector intervals; /* struct rg_rule_interval */
	/* a slot: the instruction of the front that writes it, or NULL */
	const struct rg_typed_instruction *maker[RG_TYPED_SLOTS_MADE_MAX];
	bool is_constant[RG_TYPED_SLOTS_MADE_MAX];
	int64_t constant[RG_TYPED_SLOTS_MADE_MAX];
	uint32_t last_write[RG_TYPED_SLOTS_MADE_MAX]; /* a slot: instruction, 0: only the front */
	uint32_t start; /* guards ask for slots that are written before this instruction */
	bool asks_body; /* one asked for a slot that the front does not write */
};

void rg_ways_begin(struct rg_ways_pass *pass, struct rg_typed_laying *laying);
void rg_ways_end(struct rg_ways_pass *pass);

/* May a guard ask for the slot? Notes that it did. */
bool rg_ways_may_ask(struct rg_ways_pass *pass, uint16_t slot);
/* A way that comes to an instruction. False: there are too many. */
bool rg_ways_arrive(struct rg_ways_pass *pass, struct rg_ways *ways, const struct rg_way *way);
/* Take a way through a guard. False: it asks for something that is no set of integers of a slot
 * that is settled, or there are too many ways. */
bool rg_ways_part(struct rg_ways_pass *pass, const struct rg_typed_instruction *guard,
		  const struct rg_way *way, struct rg_ways *next, struct rg_ways *elsewhere);

#endif
