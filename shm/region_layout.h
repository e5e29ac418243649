/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where in the two files each object lies, and how a mapped file becomes a view of joined objects.
 * Private to region*.c.
 */
#ifndef RG_SHM_REGION_LAYOUT_H
#define RG_SHM_REGION_LAYOUT_H

#include "shm/region.h"

extern const struct rg_object_kind rg_region_kind;

/* Can this be the name of an instance? RG_EINVAL says why not. */
int rg_region_check_instance(const char *instance, struct rg_error *err);

/* Lay out all objects of a file in a fresh mapping, fill the header and publish it last. The view
 * is joined. */
void rg_region_dataplane_new(struct rg_region_dataplane *view, const struct rg_mapping *map,
			     const struct rg_region_config *config, uint64_t epoch);
void rg_region_control_new(struct rg_region_control *view, const struct rg_mapping *map,
			   const char *instance, uint32_t node, uint64_t epoch);

/* Join all objects of a mapped file. instance: what it must be of, NULL for any. RG_EAGAIN,
 * RG_EVERSION, RG_ECORRUPT, RG_ECONFLICT as rg_region_join_*. On success the view owns the mapping;
 * on failure the mapping stays the caller's. */
int rg_region_dataplane_join(struct rg_region_dataplane *view, const struct rg_mapping *map,
			     const char *instance, struct rg_error *err);
int rg_region_control_join(struct rg_region_control *view, const struct rg_mapping *map,
			   const char *instance, struct rg_error *err);

#endif
