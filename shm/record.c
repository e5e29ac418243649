/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/record.h"

#include <string.h>

#define VERDICT_MAX 3
#define STATUS_MAX  6

int rg_record_check(const void *data, uint32_t bytes, struct rg_error *err)
{
	struct rg_record record;

	if (!data || bytes < sizeof(record))
		return rg_error_set(err, RG_ECORRUPT, "record: %u bytes, its header alone has %zu",
				    bytes, sizeof(record));
	memcpy(&record, data, sizeof(record));
	if (record.version != RG_RECORD_VERSION)
		return rg_error_set(err, RG_EVERSION, "record: version %u, this program knows %u",
				    record.version, RG_RECORD_VERSION);
	if (record.kind != RG_RECORD_DECISION && record.kind != RG_RECORD_QUERY)
		return rg_error_set(err, RG_ECORRUPT, "record: unknown kind %u", record.kind);
	if (record.length != bytes)
		return rg_error_set(err, RG_ECORRUPT, "record: length says %u bytes, there are %u",
				    record.length, bytes);
	if (rg_record_bytes(record.request_bytes, record.features_bytes) != bytes)
		return rg_error_set(err, RG_ECORRUPT,
				    "record: %zu bytes of header, request_bytes %u and "
				    "features_bytes %u do not make %u",
				    sizeof(record), record.request_bytes, record.features_bytes,
				    bytes);
	if (!record.epoch || !record.sequence)
		return rg_error_set(
			err, RG_ECORRUPT, "record: epoch %llu, sequence %llu: neither can be 0",
			(unsigned long long)record.epoch, (unsigned long long)record.sequence);
	if (record.verdict > VERDICT_MAX)
		return rg_error_set(err, RG_ECORRUPT, "record: unknown verdict %u", record.verdict);
	if (record.status > STATUS_MAX)
		return rg_error_set(err, RG_ECORRUPT, "record: unknown status %u", record.status);
	if (record.reason_count > RG_RECORD_REASONS_MAX ||
	    record.reason_count > record.reasons_fired)
		return rg_error_set(err, RG_ECORRUPT,
				    "record: reason_count %u, of %u fired, of at most %d kept",
				    record.reason_count, record.reasons_fired,
				    RG_RECORD_REASONS_MAX);
	return RG_OK;
}
