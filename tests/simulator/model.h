/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must be true, whatever died and whatever failed. The model is told what was asked for and
 * what was answered; it reads the journal as any reader does, and says after each step:
 *
 *  (A) Each worker's records are in the journal in order, each once, none left out.
 *  (B) No record is in the journal that its worker had not committed.
 *  (C) A record names a policy that a POLICY frame before it explains; an announcement is explained
 *      before it is made.
 *  (D) A policy sequence means one thing: the same revision for ever. Announced sequences only
 *      grow.
 *  (E) A worker holds only images that are, byte for byte, what was compiled for their sequence,
 *      for as long as it holds them.
 *  (F) A push that was answered "active" is in use, or one that is newer.
 * and at the end, when nothing fails any more:
 *  (G) Everything committed is in the journal, unless it was lost with the power: then what was
 *      synced is.
 *  (H) SQLite has each record of the journal once, and nothing else.
 *  (I) The policy in use is the one the store says is active; a push succeeds; the journal is
 *      whole, or its damage is where the power failed; no temporary file and no image too many is
 *      left.
 */
#ifndef RG_SIMULATOR_MODEL_H
#define RG_SIMULATOR_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/region.h"

/* ---- told by the others ---- */

/* Control compiled this image for a sequence. */
void model_compiled(uint64_t sequence, const char *revision, const void *image,
		    uint64_t image_bytes);
/* A worker of an epoch has committed its records up to `sequence`. */
void model_committed(uint64_t epoch, uint32_t worker, uint64_t sequence);
/* A client was told that `sequence` is active. */
void model_acknowledged(uint64_t sequence);
/* The power failed: frames below durable_index stay, the rest may be gone, and so is the region. */
void model_power_lost(uint64_t durable_index);

/* The image that a data plane would start with is damaged: nothing may be in use until another
 * comes. */
void model_image_lost(void);

/* ---- asked after each step ---- */

/* (A) to (C): read what is new in the journal. Not while a torn write may lie at its end. */
void model_read_journal(void);
/* (C), (D): what control announces. */
void model_check_announcement(const struct rg_mailbox_request *request);
/* (E) */
void model_check_image(uint64_t sequence, const void *image, uint64_t image_bytes);
/* (F) */
void model_check_active(uint64_t active_sequence);

/* (G), (H), (I). active: what the data plane uses; stored: what the store says. */
void model_check_end(uint64_t active, uint64_t stored);

uint64_t model_records(void); /* in the journal */

#endif
