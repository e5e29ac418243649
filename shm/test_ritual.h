/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the ritual promises of every object in shared memory, checked in one place: bad addresses,
 * short mappings, every flipped bit of the magic, other versions, wrong lengths, deletion.
 */
#ifndef RG_SHM_TEST_RITUAL_H
#define RG_SHM_TEST_RITUAL_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "shm/object.h"

struct test_ritual {
	uint64_t align, footprint;
	void *(*make)(void *sh_object); /* new() with good parameters */
	int (*join)(const void *sh_object, uint64_t mapped_bytes, struct rg_error *err);
	void (*remove)(void *object);
};

static inline void test_ritual(const struct test_ritual *ritual)
{
	uint8_t *room = aligned_alloc(4096, rg_align_up(ritual->footprint + ritual->align, 4096));
	struct rg_object *object = (struct rg_object *)(void *)room;
	uint64_t all = ritual->footprint, magic;
	struct rg_error err;

	assert(room && ritual->align >= 64 && !(ritual->align & (ritual->align - 1)));
	memset(room, 0xa5, all + ritual->align);
	assert(!ritual->make(NULL) && !ritual->make(room + 8));
	memset(room, 0, all);
	assert(ritual->join(room, all, &err) == RG_EAGAIN);
	assert(strstr(err.text, "not published"));
	memset(room, 0xa5, all); /* new() makes use of old memory */
	assert(ritual->make(room) == room);
	assert(ritual->join(room, all, &err) == RG_OK);
	assert(ritual->join(NULL, all, &err) == RG_EINVAL);
	assert(ritual->join(room + 8, all, &err) == RG_EINVAL && strstr(err.text, "aligned"));
	for (uint64_t bytes = 0; bytes < sizeof(*object); bytes++)
		assert(ritual->join(room, bytes, &err) == RG_EAGAIN);
	for (uint64_t bytes = sizeof(*object); bytes < all; bytes += 1 + bytes / 7)
		assert(ritual->join(room, bytes, &err) == RG_ECORRUPT);
	assert(ritual->join(room, all - 1, &err) == RG_ECORRUPT);
	magic = atomic_load(&object->magic);
	for (int bit = 0; bit < 64; bit++) {
		atomic_store(&object->magic, magic ^ 1ull << bit);
		assert(ritual->join(room, all, &err) == RG_ECORRUPT);
	}
	atomic_store(&object->magic, magic);
	object->version++;
	assert(ritual->join(room, all, &err) == RG_EVERSION);
	object->version--;
	object->bytes++;
	assert(ritual->join(room, all, &err) == RG_ECORRUPT);
	object->bytes--;
	assert(ritual->join(room, all, NULL) == RG_OK); /* err may be NULL */
	ritual->remove(room);
	assert(ritual->join(room, all, &err) == RG_EAGAIN);
	free(room);
}

#endif
