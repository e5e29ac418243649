/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configured bundles and services as parts of control: the HTTP client that all of control
 * shares, bundles whose sets are pushed (push.h), and what they count.
 *
 * Thread-safety: belongs to control's loop.
 */
#ifndef RG_CONTROL_POLICY_SOURCES_H
#define RG_CONTROL_POLICY_SOURCES_H

#include "control/control.h"

/* Open what the configuration names: control->http is there when there are services. */
int rg_policy_sources_open(struct rg_control *control, struct rg_error *err);
void rg_policy_sources_close(struct rg_control *control);
/* A turn. Returns the work done. */
uint32_t rg_policy_sources_do_work(struct rg_control *control);
/* Counters into the region. */
void rg_policy_sources_count(struct rg_control *control);

#endif
