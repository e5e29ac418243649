/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every object in shared memory starts with, and the checks that every join() makes.
 *
 * The ritual, in this order for each object X:
 *
 *	rg_X_align()      alignment of the object in bytes
 *	rg_X_footprint()  bytes it needs for these parameters; 0: the parameters are bad. Pure,
 * overflow-checked, the only validator of the parameters rg_X_new() lay it out in zeroed or old
 * memory and publish it; NULL: bad address or parameters rg_X_join() find out whether it may be
 * used; says why not (see rg_object_join) rg_X_leave() the caller's pointer is no longer used;
 * returns the memory's address rg_X_delete() unpublish: nobody may join any more
 *
 * Words: `sh...` names an address in shared memory as it came from a mapping, before join() has
 * looked at it. There are no pointers in shared memory, only offsets and positions.
 */
#ifndef RG_SHM_OBJECT_H
#define RG_SHM_OBJECT_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Two 64-byte lines: the adjacent-line prefetcher of x86 and the 128-byte lines of some Arm cores
 * make neighbouring lines share; whatever has one writer stands alone in such a pair. */
#define RG_SHM_LINE   128
#define RG_CACHE_LINE 64 /* what one prefetch brings */

static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
	      "atomics in shared memory must be lock-free: this machine cannot run riskgate");

/* Written by the creator in new() and delete(), read by every join(); constant in between. */
struct rg_object {
	_Atomic uint64_t magic; /* 0: not published */
	uint32_t version;	/* layout version of this kind of object */
	uint32_t parameter;	/* what else join() must know to understand the layout; the object's
				   header says what */
	uint64_t bytes;		/* footprint */
};
static_assert(sizeof(struct rg_object) == 24, "every object starts with this: if it changes, raise "
					      "the version of every object and RG_REGION_VERSION");

/* An object's kind: what its join() expects. */
struct rg_object_kind {
	const char *name; /* for messages: "ring" */
	uint64_t magic;
	uint32_t version;
	uint32_t align; /* a power of two */
};

static inline uint64_t rg_align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) & ~(align - 1);
}

/* Publish: stores version, parameter and bytes, then the magic with release, so that a peer whose
 * rg_object_join() acquires the magic sees everything that new() wrote before. */
void rg_object_publish(struct rg_object *object, const struct rg_object_kind *kind,
		       uint32_t parameter, uint64_t bytes);
/* Clear the magic with release. */
void rg_object_unpublish(struct rg_object *object);
/* Check sh_object, of which mapped_bytes are mapped, against its kind. Returns RG_OK; RG_EINVAL
 * (NULL, misaligned); RG_EAGAIN (shorter than its header, not published yet); RG_EVERSION (another
 * layout version); RG_ECORRUPT (another magic, says it is longer than what is mapped). The text
 * names the object. Any thread. */
int rg_object_join(const void *sh_object, uint64_t mapped_bytes, const struct rg_object_kind *kind,
		   struct rg_error *err);

#endif
