/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdio.h>
#include <string.h>

int rg_error_vset(struct rg_error *err, int status, const char *format, va_list args)
{
	if (err) {
		err->status = status;
		vsnprintf(err->text, sizeof(err->text), format, args);
	}
	return status;
}

int rg_error_set(struct rg_error *err, int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	rg_error_vset(err, status, format, args);
	va_end(args);
	return status;
}

int rg_error_set_errno(struct rg_error *err, int status, int errnum, const char *format, ...)
{
	char reason[128];
	size_t used;
	va_list args;

	if (!err)
		return status;
	va_start(args, format);
	rg_error_vset(err, status, format, args);
	va_end(args);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s",
		 strerror_r(errnum, reason, sizeof(reason)));
	return status;
}

int rg_error_prefix(struct rg_error *err, const char *format, ...)
{
	char context[RG_ERROR_TEXT_BYTES];
	char text[RG_ERROR_TEXT_BYTES];
	va_list args;

	if (!err)
		return RG_EINVAL;
	va_start(args, format);
	vsnprintf(context, sizeof(context), format, args);
	va_end(args);
	memcpy(text, err->text, sizeof(text));
	context[RG_ERROR_TEXT_BYTES / 2] = '\0'; /* keep room for the cause */
	snprintf(err->text, sizeof(err->text), "%s: %.*s", context,
		 (int)(sizeof(err->text) - strlen(context) - 3), text);
	return err->status;
}

const char *rg_status_name(int status)
{
	switch (status) {
	case RG_OK: return "ok";
	case RG_EINVAL: return "invalid";
	case RG_ENOENT: return "not_found";
	case RG_EIO: return "io";
	case RG_ENOMEM: return "out_of_memory";
	case RG_ELIMIT: return "limit";
	case RG_EVERSION: return "version";
	case RG_ECORRUPT: return "corrupt";
	case RG_EAGAIN: return "not_yet";
	case RG_EMISSING: return "missing_builtin";
	case RG_ECONFLICT: return "conflict";
	}
	return "unknown";
}
