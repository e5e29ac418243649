/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of a program: one line an event on stderr, `<program>: event key=value ...`,
 * written with one write() so that lines of several threads do not mix.
 *
 * Thread-safety: rg_log() may be called by any thread; the setters before threads start.
 */
#ifndef RG_BASE_LOG_H
#define RG_BASE_LOG_H

#include <stdbool.h>

enum rg_log_level { RG_LOG_ERROR = 0, RG_LOG_WARNING, RG_LOG_INFO, RG_LOG_DEBUG };

/* "error", "warning", "info" or "debug" to *level. False for anything else. */
bool rg_log_level_parse(const char *name, enum rg_log_level *level);
/* What lines begin with; the text must live on. Default: "riskgate". */
void rg_log_set_program(const char *program);
/* Lines above this level are not written. Default: RG_LOG_INFO. */
void rg_log_set_level(enum rg_log_level level);
enum rg_log_level rg_log_get_level(void);
/* Write one line. The text starts with the event, then key=value pairs; it needs no newline. Longer
 * than 2 KiB is cut. */
void rg_log(enum rg_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
