/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What control does for its journal besides filling it: opens it as configured, and has segments
 * removed that are no longer kept. What a sink has not stored is kept, unless journal.max_bytes
 * says otherwise; that is reported each time.
 *
 * Thread-safety: belongs to control's loop.
 */
#ifndef RG_CONTROL_JOURNAL_KEEPER_H
#define RG_CONTROL_JOURNAL_KEEPER_H

#include <stdint.h>

#include "base/error.h"

struct rg_control;

struct rg_journal_keeper {
	uint64_t next_ns;	   /* of the next retention */
	uint64_t abandoned_frames; /* that were reported */
};

/* Open control's journal and report what was found. Errors name the configuration's key: RG_EIO,
 * RG_EINVAL (the key file), and as rg_journal_writer_open. */
int rg_journal_keeper_open(struct rg_control *control, struct rg_error *err);

/* Order retention when it is due, and report what it had to give up. Never waits. */
void rg_journal_keeper_do_work(struct rg_control *control);

#endif
