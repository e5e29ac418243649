/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/sbe.h"

const char *rg_sbe_result_name(enum rg_sbe_result result)
{
	static const char *const names[RG_SBE_RESULT_COUNT] = {
		[RG_SBE_END] = "end",
		[RG_SBE_MESSAGE] = "message",
		[RG_SBE_TRUNCATED] = "truncated",
		[RG_SBE_NO_REQUEST_ID] = "no_request_id",
		[RG_SBE_NO_HEADER] = "no_header",
	};

	return (unsigned)result < RG_SBE_RESULT_COUNT ? names[result] : "unknown";
}
