/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/object.h"

void rg_object_publish(struct rg_object *object, const struct rg_object_kind *kind,
		       uint32_t parameter, uint64_t bytes)
{
	object->version = kind->version;
	object->parameter = parameter;
	object->bytes = bytes;
	/* release: all that new() wrote comes before it; pairs with the acquire in rg_object_join()
	 */
	atomic_store_explicit(&object->magic, kind->magic, memory_order_release);
}

void rg_object_unpublish(struct rg_object *object)
{
	/* release: the owner's last stores come before it; pairs with rg_object_join() */
	atomic_store_explicit(&object->magic, 0, memory_order_release);
}

int rg_object_join(const void *sh_object, uint64_t mapped_bytes, const struct rg_object_kind *kind,
		   struct rg_error *err)
{
	const struct rg_object *object = sh_object;
	uint64_t magic, bytes;

	if (!sh_object)
		return rg_error_set(err, RG_EINVAL, "%s: no address", kind->name);
	if ((uintptr_t)sh_object & (kind->align - 1))
		return rg_error_set(err, RG_EINVAL, "%s: address %p is not aligned to %u bytes",
				    kind->name, sh_object, kind->align);
	if (mapped_bytes < sizeof(*object))
		return rg_error_set(err, RG_EAGAIN,
				    "%s: too short: %llu bytes are mapped, its header has %zu",
				    kind->name, (unsigned long long)mapped_bytes, sizeof(*object));
	/* acquire: what the creator wrote before publishing is seen; pairs with rg_object_publish()
	 */
	magic = atomic_load_explicit(&object->magic, memory_order_acquire);
	if (!magic)
		return rg_error_set(err, RG_EAGAIN, "%s: not published yet", kind->name);
	if (magic != kind->magic)
		return rg_error_set(err, RG_ECORRUPT,
				    "%s: magic is %016llx, not %016llx: this is something else",
				    kind->name, (unsigned long long)magic,
				    (unsigned long long)kind->magic);
	if (object->version != kind->version)
		return rg_error_set(err, RG_EVERSION,
				    "%s: layout version is %u, this program knows %u", kind->name,
				    object->version, kind->version);
	bytes = object->bytes;
	if (bytes > mapped_bytes)
		return rg_error_set(err, RG_ECORRUPT,
				    "%s: says it has %llu bytes, only %llu are mapped", kind->name,
				    (unsigned long long)bytes, (unsigned long long)mapped_bytes);
	return RG_OK;
}
