/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bundle's folder as one archive in memory: what nodes hand each other.
 *
 * The archive is a tar.gz of the files that mean something in a bundle, in order of name, without
 * times and owners: the same folder gives the same bytes.
 *
 * Thread-safety: pure, but for the files it reads.
 */
#ifndef RG_BUNDLE_PACK_H
#define RG_BUNDLE_PACK_H

#include <stddef.h>

#include "base/error.h"

/* Pack the folder at path. *bytes is malloc'ed. Errors: as rg_member_list_read_folder(); RG_ELIMIT:
 * the archive is larger than bytes_max; RG_ENOMEM. */
int rg_bundle_pack(const char *path, size_t bytes_max, void **bytes, size_t *byte_count,
		   struct rg_error *err);

#endif
