/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the instructions of a template's verdict to its typed program (image/typed.h). Private to
 * compile/.
 *
 * The source is what allocate.c has left of each function before it gives registers their places:
 * inlined, folded, threaded code over virtual registers, all of whose jumps but LOOP go forward. It
 * is read once from front to back, following what is known of each register: a FACT, a static type
 * and where the value is.
 *
 * Registers written at one place hold a fact that stands wherever the register may be read. Those
 * written at several (the result of a rule with several bodies) have a slot of a type that all
 * writers' types join into; translation is repeated until these types no longer change. Between two
 * labels what was last written is known, so most such slots are never read and fall away.
 *
 * What depends on the request's fields alone and cannot fail goes in front, once however often it
 * is asked for: loads, look-ups in constant objects, columns, conversions. Rules without arguments
 * that others call are computed once, behind that. Loops over constants, sets of names and partial
 * sets are unrolled. What cannot be typed gives up where control would meet it, and its first
 * occurrence is noted in the binding; a rule that gave up, though computed for all, does so only
 * for those that then ask for it.
 *
 * A CHOICE is a value of the policy that the request selects: a row number and what each row stands
 * for. What is taken out of all rows in the same way is a column, or a choice again.
 */
#ifndef RG_POLICY_COMPILE_TYPED_H
#define RG_POLICY_COMPILE_TYPED_H

#include "policy/compile/unit.h"
#include "policy/image/typed.h"

struct rg_builtin;
struct rg_lower;
struct rg_typed_viewer;
struct rg_zone;

#define RG_TYPED_SLOTS_MADE_MAX 1024 /* before they share places: typed_slots.c */

/* ---- the source ---- */

/* A function's code over virtual registers. */
struct rg_typed_source {
	struct rg_instruction *code;
	uint32_t count;
	uint32_t *operands;
	uint32_t register_count, param_count;
	bool *at_entry; /* a register: undefined when the function begins, and perhaps read so */
};

/* Keep a copy of the code of function `number`, if a typed program may be made of it. Code is as
 * compacted by allocate.c. */
void rg_typed_keep(struct rg_lower *l, uint32_t number, const struct rg_instruction *code,
		   uint32_t count);
/* Make the typed programs of all bindings, once all functions are lowered. Returns unit->status. */
int rg_typed_compile(struct rg_unit *unit);
void rg_typed_free_sources(struct rg_unit *unit);

/* ---- facts ---- */

enum rg_typed_kind {
	RG_TYPED_IS_NOTHING,  /* undefined */
	RG_TYPED_IS_KNOWN,    /* value */
	RG_TYPED_IS_INTEGER,  /* slot x 10^-scale; is_unsigned: all 64 bits count */
	RG_TYPED_IS_BALL,     /* slot: a real */
	RG_TYPED_IS_QUOTIENT, /* slot, an integer, by the value, one above 0 */
	RG_TYPED_IS_CLOCK,    /* hour, minute and second of slot: ns since 1970 */
	RG_TYPED_IS_TRUTH,    /* slot: 0 or 1 */
	RG_TYPED_IS_WITHIN, /* true if the rank in slot is at least bound `number` and below `high` */
	RG_TYPED_IS_MASKED, /* true if the slot, below 64, is a bit of the value */
	RG_TYPED_IS_TEXT,   /* slot: id, never RG_TYPED_UNKNOWN */
	RG_TYPED_IS_CHARS,  /* slot: id of field `number` */
	RG_TYPED_IS_NAMED,  /* slot: value of enum field `number` */
	RG_TYPED_IS_DIGITS, /* slot: integer whose digits are the text */
	RG_TYPED_IS_BITS,   /* slot: of set field `number` */
	RG_TYPED_IS_CHOICE, /* slot: row of `choice` */
	RG_TYPED_IS_SET,    /* set `number`; slot says whether it is defined if maybe_undefined */
	RG_TYPED_IS_ARRAY,  /* container `number`, of which sum, count and extremes may be kept */
	RG_TYPED_IS_OBJECT, /* container `number` */
	RG_TYPED_IS_NODE,   /* all of input or a composite of it: node `number` */
	RG_TYPED_IS_MADE, /* value, with parts of the request in it: typed_made.c; number: the same for the
				same value; slot says whether it is defined if maybe_undefined */
	RG_TYPED_IS_LEFT,   /* what piece `number` computes: typed_left.c; slot as of MADE */
	RG_TYPED_IS_UNTYPED /* something else */
};

struct rg_typed_choice {
	struct rg_value *values; /* a row; undefined: not there */
	uint32_t count;
};

/* Where the general evaluator finds the same value. */
enum rg_typed_origin { RG_TYPED_COMPUTED, RG_TYPED_OF_FIELD, RG_TYPED_OF_RULE };

struct rg_typed_fact {
	uint8_t kind; /* enum rg_typed_kind */
	uint8_t scale;
	uint8_t origin; /* enum rg_typed_origin */
	bool is_unsigned;
	bool maybe_undefined;
	bool is_volatile; /* the slot may be written again while this fact is in use */
	uint16_t slot;
	uint32_t number, high;
	uint32_t origin_number; /* field, or function without parameters */
	struct rg_typed_choice *choice;
	struct rg_value value;
};

/* Code for the general evaluator: typed_left.c. */
struct rg_typed_piece {
	struct rg_vector code;	   /* struct rg_instruction, over registers of its own */
	struct rg_vector operands; /* uint32_t */
	uint32_t register_count;
	uint32_t result; /* operand */
	uint32_t place;
};

/* ---- a program being made ---- */

/* What is kept of an array whose elements come under guards: slots that only exist if somebody asks
 * for them, and whether they still say it. */
enum rg_typed_gathered {
	RG_TYPED_SUM,	   /* integer */
	RG_TYPED_COUNT,	   /* integer */
	RG_TYPED_MOST,	   /* integer of scale RG_TYPED_GATHERED_SCALE, undefined of an empty one */
	RG_TYPED_LEAST,	   /* likewise */
	RG_TYPED_REAL_SUM, /* integer of that scale, instead of the sum if some term is not whole */
	RG_TYPED_GATHERED_COUNT
};
#define RG_TYPED_GATHERED_SCALE 4

/* A container being made. As long as control runs straight on and all that goes into it is constant,
 * it is a constant itself. */
struct rg_typed_container {
	const struct rg_instruction *maker;
	const struct rg_typed_source *source; /* that it is in */
	struct rg_value value;
	uint32_t stamp; /* of the context, when something went in last */
	bool is_known;	/* value is all that is in it, at this stamp; it may be a made one */
	bool is_made;	/* it is */
	bool is_used;	/* as a constant: it must not change any more */
	bool keeps[RG_TYPED_GATHERED_COUNT];
	uint16_t slots[RG_TYPED_GATHERED_COUNT];
};

/* A column over the bits of sets, to be laid down when their order is known. */
struct rg_typed_sum {
	int64_t terms[RG_TYPED_BITS_MAX]; /* by bit as discovered */
};

/* What was looked up or projected before: the same again. */
struct rg_typed_lookup {
	const void *from;   /* choice, or NULL */
	uint64_t container; /* offset of a constant one */
	uint32_t key;	    /* projection: constant; look-up: what rg_typed_key_kind() says */
	uint32_t table;
	bool is_dense; /* the table is a COLUMN of rows by key, not a MAP */
	struct rg_typed_choice *choice;
};

/* A loop that was unrolled for more turns than a program has room for, in the hope that its turns
 * become rows of a rule table. */
struct rg_typed_unrolled {
	const struct rg_typed_source *source;
	uint32_t head;	     /* instruction of the source */
	uint32_t first, end; /* instructions of the body; end 0: not yet done */
	uint32_t left;	     /* of them when tables have been made */
};

/* What is asked of a field by its place among bounds: typed_orders.c. */
struct rg_typed_order {
	uint32_t field;
	uint8_t op; /* that gives the rank */
	uint16_t slot;
	struct rg_value bounds; /* object: bytes -> number, 1, 2, ... as discovered */
};

/* A column over ranks, to be laid down when they are known: whether a field begins with any of many
 * texts. */
struct rg_typed_listed {
	uint32_t order;
	uint16_t slot;
	struct rg_value list;
	struct rg_vector
		bounds; /* uint32_t: lowest, and behind, or 0, of one interval after the other */
};

/* Bytes that stand for words, eight for each, zeros behind them. */
struct rg_typed_bound {
	const uint8_t *bytes;
	uint32_t length;
};

/* The column from an enum field's values to the ids of their names. */
struct rg_typed_named {
	uint32_t field, table;
};

struct rg_typed {
	struct rg_unit *unit;
	uint32_t first_table, first_cell; /* the program's own among the unit's */
	struct rg_vector front, body;	  /* struct rg_typed_instruction */
	struct rg_vector places;	  /* uint32_t, parallel to body: number of a Rego place */
	uint32_t place;			  /* of what is being translated */
	uint32_t slot_count, set_count;
	bool in_front[RG_TYPED_SLOTS_MADE_MAX]; /* a slot: depends on fields alone */
	bool is_doubt[RG_TYPED_SLOTS_MADE_MAX]; /* a slot: -1 where a rule gave up */
	bool full;	       /* slots, sets, texts or instructions ran out: no program */
	struct rg_value texts; /* object: text -> id */
	struct rg_value bits;  /* object: text -> bit as discovered */
	uint64_t may_hold[RG_TYPED_SETS_MAX][RG_TYPED_SET_WORDS];
	bool is_large[RG_TYPED_SETS_MAX];   /* may hold texts beyond those */
	bool holds_made[RG_TYPED_SETS_MAX]; /* may hold made values */
	struct rg_vector unknowns; /* struct rg_typed_fact: what marks in made values stand for */
	struct rg_vector
		stable; /* uint32_t: those of them that are the same wherever they are read */
	struct rg_vector pieces; /* struct rg_typed_piece */
	struct rg_typed_program *program;
	const struct rg_typed_source
		*role_source;	     /* rule of a role that only those ask for whom no role before
						     settles the verdict; NULL: there is none */
	uint32_t role;		     /* its number */
	struct rg_value made_values; /* object: made value -> number */
	struct rg_vector containers; /* struct rg_typed_container */
	struct rg_vector
		real_sums; /* const struct rg_instruction *: makers of arrays with a term that is not whole */
	struct rg_vector sums;	  /* struct rg_typed_sum */
	struct rg_vector lookups; /* struct rg_typed_lookup */
	struct rg_vector named;	  /* struct rg_typed_named */
	struct rg_vector orders;  /* struct rg_typed_order */
	struct rg_vector listed;  /* struct rg_typed_listed */
	struct rg_vector zones;	  /* of moments, as typed_times.c keeps them */
	uint32_t weekdays;	  /* COLUMN of the days' names + 1; 0: not made */
	struct rg_vector columns; /* of choices, as typed_tables.c keeps them */
	/* Slots of the body that the turns of a loop use one after the other, and how many this turn
	 * does. */
	struct rg_vector spare; /* uint16_t */
	uint32_t spare_used;
	bool is_sparing;
	struct rg_vector made;	   /* struct rg_typed_choice *: to be freed */
	struct rg_vector unrolled; /* struct rg_typed_unrolled */
	const struct rg_vector
		*refused;	       /* struct rg_typed_unrolled: loops to be left to the rules */
	struct rg_typed_fact *results; /* a function without parameters */
	uint16_t *
		doubts; /* a function without parameters: slot that is -1 where it gave up, + 1; 0: it never does */
	bool *is_translated; /* a function */
	uint32_t depth;	     /* of calls being translated */
	uint32_t stamps;     /* given to stretches so far */
	const char *untyped; /* why, of the first that could not be typed */
	uint32_t untyped_place;
};

/* A jump to be directed: labels are instruction numbers of the source, its end, and local ones
 * behind. */
struct rg_typed_fixup {
	uint32_t instruction;
	uint32_t next; /* of the same label, or of those not in use: position + 1, or 0 */
};

/* A register written at several places. */
struct rg_typed_home {
	struct rg_typed_fact type;  /* joined so far */
	struct rg_typed_fact known; /* written last */
	uint32_t known_stamp;
};

/* A function being translated. */
struct rg_typed_context {
	struct rg_typed *typed;
	struct rg_typed_context *caller; /* of a function with parameters */
	const struct rg_typed_source *source;
	struct rg_typed_fact *facts; /* a register written once */
	struct rg_typed_home *homes; /* a register; the one behind the last is the result */
	uint32_t *writes;	     /* a register */
	struct rg_vector fixups;
	struct rg_vector pending; /* uint32_t a label: its fixups, as `next` */
	uint32_t free_fixups;	  /* likewise */
	uint32_t label_count;
	uint32_t doubtful; /* label behind the end, where giving up leads */
	uint16_t doubt;	   /* of a function without parameters: slot that is -1 there, else 0 */
	bool is_doubtful;  /* something led there */
	uint32_t
		stamp; /* of the stretch without labels that control is in: no other function's is the same */
	bool reachable;
	bool types_changed;
	const struct rg_typed_viewer
		*viewer;  /* of a container that this code puts something into: typed_views.c */
	uint32_t waiting; /* piece + 1 of conditions that wait; 0: none */
	uint32_t waiting_target; /* label that they fail to */
	uint32_t
		left_label; /* where control goes behind an instruction that is left; 0: it is not */
	uint32_t left_stamp;
	const struct rg_instruction *instruction;
};

/* ---- typed.c: functions ---- */

/* Room for what is known of the registers of the context's source. False: memory is out. */
bool rg_typed_make_room(struct rg_typed_context *c);
void rg_typed_free_room(struct rg_typed_context *c);
/* Translate the source's instructions from .. to - 1. */
void rg_typed_range(struct rg_typed_context *c, uint32_t from, uint32_t to);

/* ---- typed_homes.c: registers ---- */

const struct rg_image_field *rg_typed_field_of(const struct rg_typed_context *c, uint32_t number);
struct rg_value rg_typed_constant_of(const struct rg_typed_context *c, uint32_t number);
struct rg_typed_container *rg_typed_container_of(const struct rg_typed_context *c,
						 struct rg_typed_fact fact);
struct rg_typed_fact rg_typed_constant(struct rg_value value);
/* Is the register written at several places? */
bool rg_typed_is_home(const struct rg_typed_context *c, uint32_t number);
void rg_typed_make_undefined(struct rg_typed_context *c, uint32_t number);
struct rg_typed_fact rg_typed_read(const struct rg_typed_context *c, uint32_t number);
void rg_typed_write(struct rg_typed_context *c, uint32_t number, struct rg_typed_fact fact);
/* The fact's slot as it is now, in one of its own. */
uint16_t rg_typed_copy(struct rg_typed *t, const struct rg_typed_fact *fact);
/* Write a home, whatever was in it. */
void rg_typed_write_home(struct rg_typed_context *c, uint32_t number, struct rg_typed_fact fact);
/* A register or constant as an instruction names it. */
struct rg_typed_fact rg_typed_operand(const struct rg_typed_context *c, uint32_t number);
/* An operand that has to be defined, else control goes to the instruction's target. False if it
 * never is. */
bool rg_typed_required(struct rg_typed_context *c, uint32_t number, struct rg_typed_fact *fact);
/* A known value as it lies in a slot of the type. False if it has no such number. */
bool rg_typed_number_of(struct rg_typed_context *c, struct rg_typed_fact type,
			struct rg_value value, int64_t *number);
void rg_typed_assign_once(struct rg_typed_context *c);

/* ---- typed_fields.c: fields of the request ---- */

/* Any FIELD instruction. */
void rg_typed_field(struct rg_typed_context *c);
/* Go to label unless a set field's bit is (or is not) set. */
void rg_typed_test_bit(struct rg_typed_context *c, uint16_t slot, uint64_t bit, bool wanted,
		       uint32_t label);
/* Which bit of a set field stands for a name; 64 if none does. */
uint64_t rg_typed_bit_of_name(const struct rg_typed_context *c, uint32_t field_number,
			      struct rg_value name);
/* A field, or a composite, of input by a name that is known here: input[r.field]. */
void rg_typed_dot_of_node(struct rg_typed_context *c, uint32_t node, struct rg_value name);

/* ---- typed_containers.c: sets, arrays and objects that a policy makes ---- */

/* An instruction that makes one, puts something in or asks for its length. */
void rg_typed_container(struct rg_typed_context *c);
/* A built-in of one argument over what was gathered of it, such as sum(). False if it is none. */
bool rg_typed_gather(struct rg_typed_context *c, const char *name, struct rg_typed_fact over);
bool rg_typed_set_union(struct rg_typed_context *c, const struct rg_typed_fact *args);
/* Set `to` gets the members of `from` too. */
void rg_typed_unite(struct rg_typed *t, uint32_t to, uint32_t from);
/* Give up if two members of the set may be the same: before they are counted or gone over. */
void rg_typed_be_distinct(struct rg_typed *t, uint32_t set);
/* Slot += term. */
void rg_typed_add_to(struct rg_typed *t, uint16_t slot, uint16_t term);
/* The text whose bit in partial sets it is; undefined: none. */
struct rg_value rg_typed_text_of_bit(struct rg_typed *t, uint32_t bit);

/* ---- typed_loops.c ---- */

/* Translate the loop whose SCAN is at `at`, followed by NEXT. Returns the instruction behind it. */
uint32_t rg_typed_loop(struct rg_typed_context *c, uint32_t at);
/* Forget the unrolled loops of the body behind `body`, which is translated again. */
void rg_typed_forget_unrolled(struct rg_typed *t, uint32_t body);

/* ---- typed_facts.c: emitting, numbers, comparisons ---- */

/* A slot for the body; in a loop of very many turns one that the turn before used. */
uint16_t rg_typed_slot(struct rg_typed *t);
uint32_t rg_typed_emit(struct rg_typed *t, struct rg_typed_instruction instruction);
/* An instruction without jump that writes a slot of its own: in front if its operands are, else
 * here. Returns the slot. */
uint16_t rg_typed_value(struct rg_typed *t, struct rg_typed_instruction instruction);
uint16_t rg_typed_number(struct rg_typed *t, int64_t number);
/* An instruction that jumps to label. */
void rg_typed_guard(struct rg_typed_context *c, struct rg_typed_instruction instruction,
		    uint32_t label);
void rg_typed_jump(struct rg_typed_context *c, uint32_t label);
void rg_typed_place(struct rg_typed_context *c, uint32_t label);
uint32_t rg_typed_label(struct rg_typed_context *c);
/* Do ways lead to the label, which is not yet placed? */
bool rg_typed_is_awaited(const struct rg_typed_context *c, uint32_t label);
/* Control ends here, and the rule is in doubt. */
void rg_typed_doubt(struct rg_typed_context *c);
/* How far a program is, before something is translated that may be translated again. */
struct rg_typed_mark {
	uint32_t body, sets, unknowns, pieces;
};
struct rg_typed_mark rg_typed_mark(const struct rg_typed *t);
/* What was translated since then is taken back, and no label of the rule waits for it. */
void rg_typed_take_back(struct rg_typed_context *c, const struct rg_typed_mark *mark);
/* The instruction is left to the rules, alone if it can be; else control ends here, and the rule is in doubt. */
void rg_typed_give_up(struct rg_typed_context *c, const char *why);
/* Go to label if the fact is undefined; then it is not. False if nothing comes behind. */
bool rg_typed_require(struct rg_typed_context *c, struct rg_typed_fact *fact, uint32_t label);

/* The mantissa and scale of a constant; false if it has none that fit. */
bool rg_typed_decimal(struct rg_typed *t, struct rg_value v, int64_t *mantissa, uint8_t *scale);
/* The same brought to a scale; false also if it has more places. */
bool rg_typed_at_scale(struct rg_typed *t, struct rg_value v, uint8_t scale, int64_t *mantissa);
bool rg_typed_is_number(const struct rg_typed_fact *fact);
/* A number as integer slot of a scale no less than the fact's own, or as a ball. */
uint16_t rg_typed_integer(struct rg_typed *t, const struct rg_typed_fact *fact, uint8_t scale);
uint16_t rg_typed_ball(struct rg_typed *t, const struct rg_typed_fact *fact);
/* An enum's value as the id of its name. */
struct rg_typed_fact rg_typed_named_text(struct rg_typed *t, const struct rg_typed_fact *fact);
/* Type of the value, or RG_UNDEFINED if it may be of several. */
enum rg_value_type rg_typed_type(const struct rg_typed_fact *fact);
/* Go to label unless a <op> b, both defined. */
void rg_typed_compare(struct rg_typed_context *c, enum rg_comparison op, struct rg_typed_fact a,
		      struct rg_typed_fact b, uint32_t label);
/* A built-in of numbers by name; false if it is not one that can be typed. label: where an
 * undefined result goes. */
bool rg_typed_arithmetic(struct rg_typed_context *c, const char *name,
			 const struct rg_typed_fact *args, uint32_t count, uint32_t label,
			 struct rg_typed_fact *result);

/* ---- typed_orders.c: prefixes, the order of texts, networks ---- */

/* A built-in that is true for an interval of a field's rank. False: it is none. label: where an
 * undefined result goes; one that always is is NOTHING. */
bool rg_typed_condition(struct rg_typed_context *c, const char *name,
			const struct rg_typed_fact *args, uint32_t count, uint32_t label,
			struct rg_typed_fact *result);
/* Go to label unless a chars field, which is present, is less than, ... a text. False: the text is
 * too long. */
bool rg_typed_compare_order(struct rg_typed_context *c, enum rg_comparison op,
			    struct rg_typed_fact chars, struct rg_value text, uint32_t label);
/* Go to label unless a truth of any kind, which is defined, is the one wanted. */
void rg_typed_ask(struct rg_typed_context *c, const struct rg_typed_fact *fact, bool wanted,
		  uint32_t label);
/* Its slot: 0 or 1. */
uint16_t rg_typed_truth(struct rg_typed_context *c, const struct rg_typed_fact *fact);
void rg_typed_free_listed(struct rg_typed *t);
/* Table number of an ORDER of bounds that ascend. numbers: that of what is below all, and of what is
 * at least each; NULL: ranks. */
uint32_t rg_typed_order_table(struct rg_unit *unit, const struct rg_typed_bound *bounds,
			      uint32_t count, const uint32_t *numbers);

/* ---- typed_times.c: the time of day and the day of the week ---- */

/* A built-in of time. False: it is none that can be typed. */
bool rg_typed_time(struct rg_typed_context *c, const char *name, const struct rg_typed_fact *args,
		   uint32_t count, struct rg_typed_fact *result);
/* Table number of the ORDER of a zone's moments, for LOCAL_TIME. */
uint32_t rg_typed_zone_table(struct rg_unit *unit, const struct rg_zone *zone);
/* Element of what time.clock() gives; false if there is none. */
bool rg_typed_clock_part(struct rg_typed *t, struct rg_typed_fact clock, struct rg_value index,
			 struct rg_typed_fact *result);

/* ---- typed_tables.c: texts, maps, columns ---- */

/* Make a table, its cells all 0; NULL when memory is out. */
int64_t *rg_typed_table(struct rg_unit *unit, enum rg_typed_table_kind kind, uint32_t count,
			uint32_t *number);
/* A pure built-in of constants and one enum field, which is argument `which`. False: it cannot be
 * typed. */
bool rg_typed_each_name(struct rg_typed_context *c, const struct rg_builtin *builtin,
			const struct rg_typed_fact *args, uint32_t which, uint32_t label,
			struct rg_typed_fact *result);

/* Id of a text, or -1 and t->full. */
int64_t rg_typed_text(struct rg_typed *t, struct rg_value text);
/* Table number of a column of these cells. */
uint32_t rg_typed_column(struct rg_unit *unit, const int64_t *cells, uint32_t count);
/* What `from` holds under a key: look-up or projection. Goes to label where that is undefined.
 * False if it cannot be typed. */
bool rg_typed_dot(struct rg_typed_context *c, struct rg_typed_fact from, struct rg_typed_fact key,
		  bool finds_text, uint32_t label, struct rg_typed_fact *result);
/* Go to label unless the fact is (or is not) among the members of a constant set, array or
 * object. False if it cannot be typed. */
bool rg_typed_member(struct rg_typed_context *c, struct rg_typed_fact element,
		     struct rg_value collection, bool wanted, uint32_t label);
/* The program's dictionary: table number. */
uint32_t rg_typed_dictionary(struct rg_typed *t);

/* ---- typed_lay.c ---- */

/* Lay the program down, whose roles are filled in. False if it would always give up, or
 * something ran out. */
bool rg_typed_lay(struct rg_typed *t, struct rg_typed_program *program);

#endif
