/* SPDX-License-Identifier: Apache-2.0 */
/* OPA's error body. Apart from web.c, so that tests which play the server have it too. */
#include <stdarg.h>
#include <stdio.h>

#include "control/api/web.h"

enum rg_web_result rg_web_error(struct rg_web_request *request, unsigned status, const char *code,
				const char *format, ...)
{
	char text[RG_ERROR_TEXT_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	request->status = status;
	rg_json_writer_reset(&request->answer);
	rg_json_write_object_begin(&request->answer);
	rg_json_write_key(&request->answer, "code");
	rg_json_write_string(&request->answer, code);
	rg_json_write_key(&request->answer, "message");
	rg_json_write_string(&request->answer, text);
	rg_json_write_object_end(&request->answer);
	return RG_WEB_DONE;
}
