/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing the image: constants from the compile's heap into the image's, then the sections one
 * after the other. Private to compile/.
 */
#ifndef RG_POLICY_COMPILE_SERIALISE_H
#define RG_POLICY_COMPILE_SERIALISE_H

#include "policy/compile/unit.h"

/* Make the image of a finished unit: malloc'ed, 64-aligned. RG_OK, RG_ELIMIT, RG_ENOMEM. */
int rg_serialise(struct rg_unit *unit, void **image, size_t *image_bytes);

#endif
