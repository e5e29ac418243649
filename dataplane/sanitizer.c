/* SPDX-License-Identifier: Apache-2.0 */
/* Only in builds with b_sanitize: what LeakSanitizer shall not hold against riskgate-dataplane. */

const char *__lsan_default_suppressions(void);

/* DPDK's af_xdp driver never frees what libxdp keeps of a umem: one block a port, at exit. */
const char *__lsan_default_suppressions(void)
{
	return "leak:xsk_umem__create\n";
}
