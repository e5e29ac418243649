/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers and lines for people. The formatters write into the caller's buffer of RG_FORMAT_BYTES
 * and return what to print: the buffer, or a constant.
 *
 * Thread-safety: pure, but for what is printed.
 */
#ifndef RG_TOOLS_RISKCTL_FORMAT_H
#define RG_TOOLS_RISKCTL_FORMAT_H

#include <stdint.h>

#define RG_FORMAT_BYTES 48

/* "2026-01-01 12:00:00.123456 UTC"; "never" for 0. */
const char *rg_format_time(char *out, uint64_t unix_ns);
/* "813 ns", "12.3 us", "4.5 ms", "1.2 s", "3 min", "2 h", "5 d". */
const char *rg_format_duration(char *out, uint64_t ns);
/* How long ago a unix time was: "1.2 s ago"; "never" for 0. */
const char *rg_format_age(char *out, uint64_t unix_ns, uint64_t now_ns);
/* "512 B", "16.0 KiB", ... */
const char *rg_format_bytes(char *out, uint64_t bytes);
/* "1,234,567" */
const char *rg_format_count(char *out, uint64_t count);
/* Millionths as a decimal without trailing zeros: "85", "-0.5". */
const char *rg_format_micro(char *out, int64_t micro);
/* Print a text whose first character is in column `from` (0-based), broken at spaces before column
 * 80, the following lines indented by `from`; ends the line. */
void rg_format_print_broken(const char *text, unsigned from);

#endif
