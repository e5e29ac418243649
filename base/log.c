/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 2048

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static enum rg_log_level max_level = RG_LOG_INFO;
static const char *program_name = "riskgate";

void rg_log_set_program(const char *program)
{
	program_name = program;
}

bool rg_log_level_parse(const char *name, enum rg_log_level *level)
{
	for (unsigned i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*level = (enum rg_log_level)i;
			return true;
		}
	}
	return false;
}

void rg_log_set_level(enum rg_log_level level)
{
	max_level = level;
}

enum rg_log_level rg_log_get_level(void)
{
	return max_level;
}

void rg_log(enum rg_log_level level, const char *format, ...)
{
	char line[LINE_BYTES];
	size_t used;
	va_list args;

	if (level > max_level)
		return;
	used = (size_t)snprintf(line, sizeof(line), "%s: %s%s", program_name,
				level <= RG_LOG_WARNING ? level_names[level] : "",
				level <= RG_LOG_WARNING ? ": " : "");
	va_start(args, format);
	vsnprintf(line + used, sizeof(line) - used - 1, format, args);
	va_end(args);
	used = strlen(line);
	for (size_t i = 0; i < used;
	     i++) { /* an event is one line, whatever texts of others are in it */
		if ((unsigned char)line[i] < 0x20)
			line[i] = ' ';
	}
	line[used++] = '\n';
	if (write(STDERR_FILENO, line, used) < 0)
		return; /* nowhere left to say it */
}
