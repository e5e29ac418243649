/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a power failure leaves of the journal: of each file what was in it at its last fdatasync(),
 * and any part of the rest. The program is linked with --wrap=fdatasync, so that each call is seen;
 * what the writer says is durable is then held against what was really synced.
 */
#ifndef RG_SIMULATOR_POWER_H
#define RG_SIMULATOR_POWER_H

/* Cut the files in this folder. */
void power_fail(const char *folder);
/* A sync failed. What the kernel had not written then may be lost, and the journal says so; here it
 * is not, so that what is said to be durable later can be relied on. */
void power_sync_failed(const char *folder);

#endif
