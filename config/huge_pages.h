/* SPDX-License-Identifier: Apache-2.0 */
/* Whether there are huge pages for what a program is about to ask for. */
#ifndef RG_CONFIG_HUGE_PAGES_H
#define RG_CONFIG_HUGE_PAGES_H

#include <stdint.h>

/* Bytes of huge pages of all sizes that are free and promised to nobody, from a folder such as
 * /sys/kernel/mm/hugepages (NULL: that one). A database that maps them has its pages promised before
 * it touches them: they still count as free_hugepages. */
uint64_t rg_huge_pages_free_bytes(const char *folder);

#endif
