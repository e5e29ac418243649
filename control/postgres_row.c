/* SPDX-License-Identifier: Apache-2.0 */
#include "control/postgres_row.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "journal/query.h"
#include "wire/decision.h"

#define COLUMNS	      27
#define FIXED_BYTES   1024 /* of a row but for its texts */
#define QUERY_COLUMNS 5	   /* that only a decision asked over HTTP has */
#define PATH_BYTES    1024 /* of its path, and of who asked: no more is kept */
#define EXPONENT_MAX  1000 /* far from where a numeric ends */
#define EPOCH_2000_US 946684800000000ll
#define TEXT_OID      25
#define FAMILY_IPV4   2 /* PGSQL_AF_INET, PGSQL_AF_INET6 */
#define FAMILY_IPV6   3
#define NUMERIC_MINUS 0x4000
#define JSONB_VERSION 1

int rg_postgres_rows_init(struct rg_postgres_rows *rows, const struct rg_schema *schema,
			  bool requests_as_bytes, struct rg_error *err)
{
	*rows = (struct rg_postgres_rows){.requests_as_bytes = requests_as_bytes};
	return rg_sbe_text_new(schema, &rows->json, err);
}

void rg_postgres_rows_free(struct rg_postgres_rows *rows)
{
	rg_sbe_text_free(rows->json);
	free(rows->data);
}

/* Room for so many bytes more, or NULL. */
static uint8_t *reserve(struct rg_postgres_rows *rows, size_t bytes, struct rg_error *err)
{
	if (rows->capacity - rows->bytes < bytes) {
		size_t capacity = (rows->bytes + bytes) * 2;
		uint8_t *grown = realloc(rows->data, capacity);

		if (!grown) {
			rg_error_set(err, RG_ENOMEM, "out of memory");
			return NULL;
		}
		rows->data = grown;
		rows->capacity = capacity;
	}
	return rows->data + rows->bytes;
}

/* Each puts a value at `at` and returns the place behind it. */

static uint8_t *put16(uint8_t *at, uint16_t value)
{
	value = htobe16(value);
	return (uint8_t *)memcpy(at, &value, sizeof(value)) + sizeof(value);
}

static uint8_t *put32(uint8_t *at, uint32_t value)
{
	value = htobe32(value);
	return (uint8_t *)memcpy(at, &value, sizeof(value)) + sizeof(value);
}

static uint8_t *put64(uint8_t *at, uint64_t value)
{
	value = htobe64(value);
	return (uint8_t *)memcpy(at, &value, sizeof(value)) + sizeof(value);
}

static uint8_t *put_int4(uint8_t *at, uint32_t value)
{
	return put32(put32(at, 4), value);
}

static uint8_t *put_int8(uint8_t *at, uint64_t value)
{
	return put64(put32(at, 8), value);
}

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t count)
{
	at = put32(at, (uint32_t)count);
	memcpy(at, bytes, count);
	return at + count;
}

static uint8_t *put_null(uint8_t *at)
{
	return put32(at, UINT32_MAX);
}

static uint8_t *put_text(uint8_t *at, const char *text)
{
	return text ? put_bytes(at, text, strlen(text)) : put_null(at);
}

/* Microseconds since 2000, cut, as PostgreSQL's own clock does. */
static uint8_t *put_time(uint8_t *at, uint64_t unix_ns)
{
	return put_int8(at, (uint64_t)((int64_t)(unix_ns / 1000) - EPOCH_2000_US));
}

static uint8_t *put_inet(uint8_t *at, const uint8_t address[static 16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	bool ipv4 = !memcmp(address, mapped, sizeof(mapped));
	uint8_t bytes = ipv4 ? 4 : 16;

	at = put32(at, 4u + bytes);
	*at++ = ipv4 ? FAMILY_IPV4 : FAMILY_IPV6;
	*at++ = (uint8_t)(bytes * 8);
	*at++ = 0; /* no network, a host */
	*at++ = bytes;
	memcpy(at, address + 16 - bytes, bytes);
	return at + bytes;
}

/* Millionths as a numeric: digits of base 10000, without zeros at either end. */
static uint8_t *put_numeric(uint8_t *at, int64_t micro)
{
	uint64_t magnitude = micro < 0 ? 0 - (uint64_t)micro : (uint64_t)micro;
	uint64_t whole = magnitude / 1000000, fraction = magnitude % 1000000;
	uint16_t digits[8], scale = 6;
	int first = 6, last = 8, weight;

	digits[7] = (uint16_t)(fraction % 100 * 100);
	digits[6] = (uint16_t)(fraction / 100);
	for (; whole; whole /= 10000)
		digits[--first] = (uint16_t)(whole % 10000);
	weight = 5 - first;
	for (; first < last && !digits[first]; first++)
		weight--;
	while (last > first && !digits[last - 1])
		last--;
	for (; scale && fraction % 10 == 0; fraction /= 10)
		scale--;
	at = put32(at, 8u + 2u * (uint32_t)(last - first));
	at = put16(at, (uint16_t)(last - first));
	at = put16(at, (uint16_t)(first == last ? 0 : weight));
	at = put16(at, micro < 0 ? NUMERIC_MINUS : 0);
	at = put16(at, scale);
	for (int i = first; i < last; i++)
		at = put16(at, digits[i]);
	return at;
}

static uint8_t *put_reasons(uint8_t *at, const struct rg_sink_row *row)
{
	uint8_t *length = at;

	at = put32(at + 4, row->reason_count ? 1 : 0); /* dimensions */
	at = put32(at, 0);			       /* no NULL in it */
	at = put32(at, TEXT_OID);
	if (row->reason_count) {
		at = put32(at, row->reason_count);
		at = put32(at, 1); /* the first index */
	}
	for (uint32_t i = 0; i < row->reason_count; i++)
		at = put_text(at, row->reasons[i]);
	put32(length, (uint32_t)(at - length - 4));
	return at;
}

/* The request as JSONB, or, when there is no template to read it by or that is what is wanted, as the
 * bytes that came. NULL: out of memory. */
static uint8_t *put_request(uint8_t *at, const struct rg_postgres_rows *rows,
			    const struct rg_sink_row *row)
{
	const struct rg_record *record = row->record;
	size_t bytes;

	if (!row->template || rows->requests_as_bytes)
		return put_bytes(put_null(at), rg_record_request(record), record->request_bytes);
	bytes = rg_sbe_text_write(rows->json, row->template, record->schema_version,
				  rg_record_request(record), record->request_bytes,
				  (char *)at + sizeof(uint32_t) + 1);
	if (!bytes)
		return NULL;
	at = put32(at, (uint32_t)bytes + 1);
	*at++ = JSONB_VERSION;
	return put_null(at + bytes);
}

/* Will the server take it as JSONB? It refuses U+0000 and numbers beyond numeric's range. */
static bool is_jsonb(struct rg_span json)
{
	struct rg_json_reader reader;
	enum rg_json_token token;
	const char *e;

	if (!json.bytes)
		return true;
	if (memmem(json.text, json.bytes, "\\u0000", 6))
		return false;
	rg_json_reader_init(&reader, json.text, json.bytes);
	while ((token = rg_json_next(&reader)) != RG_JSON_END) {
		if (token == RG_JSON_ERROR)
			return false;
		if (token != RG_JSON_NUMBER)
			continue;
		e = memchr(reader.text, 'e', reader.text_bytes);
		if (!e)
			e = memchr(reader.text, 'E', reader.text_bytes);
		if (e && labs(strtol(e + 1, NULL, 10)) > EXPONENT_MAX)
			return false;
	}
	return true;
}

static uint8_t *put_jsonb(uint8_t *at, struct rg_span json)
{
	at = put32(at, (uint32_t)json.bytes + 1);
	*at++ = JSONB_VERSION;
	memcpy(at, json.text, json.bytes);
	return at + json.bytes;
}

static uint8_t *put_span(uint8_t *at, struct rg_span json)
{
	char text[PATH_BYTES];

	return put_text(at, rg_span_text(json, text, sizeof(text)));
}

/* The columns from `request` on of a decision asked over HTTP. What no JSONB can be made of is in
 * request_bytes, with all the rest of what was recorded. */
static uint8_t *put_query(uint8_t *at, const struct rg_record *record,
			  const struct rg_journal_query *query)
{
	bool input_fits = is_jsonb(query->input), result_fits = is_jsonb(query->result);

	at = query->input.bytes && input_fits ? put_jsonb(at, query->input) : put_null(at);
	at = input_fits && result_fits
		     ? put_null(at)
		     : put_bytes(at, rg_record_request(record), record->request_bytes);
	at = put_span(at, query->decision_id);
	at = put_span(at, query->path);
	at = query->result.bytes && result_fits ? put_jsonb(at, query->result) : put_null(at);
	at = put_span(at, query->error);
	return put_span(at, query->requested_by);
}

/* Of names, and of the request where it stays as it came. */
static size_t text_bytes(const struct rg_sink_row *row)
{
	size_t bytes = row->template ? strlen(row->template->name) : 0;

	bytes += row->record->request_bytes;
	bytes += row->revision ? strlen(row->revision) : 0;
	for (uint32_t i = 0; i < row->reason_count; i++)
		bytes += strlen(row->reasons[i]);
	return bytes;
}

int rg_postgres_rows_add(struct rg_postgres_rows *rows, const struct rg_sink_row *row,
			 struct rg_error *err)
{
	const struct rg_record *record = row->record;
	struct rg_journal_query query;
	bool is_query = rg_journal_query_read(record, &query);
	size_t request_bytes =
		is_query	? 2 * (size_t)record->request_bytes + QUERY_COLUMNS * PATH_BYTES
		: row->template ? rg_sbe_text_bytes_max(rows->json, row->template)
				: record->request_bytes;
	uint8_t *at = reserve(rows, FIXED_BYTES + text_bytes(row) + request_bytes, err);

	if (!at)
		return RG_ENOMEM;
	at = put16(at, COLUMNS);
	at = put_time(at, record->receive_time_ns);
	at = put_int8(at, record->receive_time_ns);
	at = put_int8(at, record->node);
	at = put_int8(at, record->epoch);
	at = put_int4(at, record->worker);
	at = put_int8(at, record->sequence);
	at = put_int8(at, row->request_id);
	at = put_int8(at, record->latency_ns);
	at = put_inet(at, record->client_address);
	at = put_int4(at, record->client_port);
	at = put_text(at, row->template ? row->template->name : "");
	at = put_int4(at, record->schema_version);
	at = put_int8(at, record->policy_sequence);
	at = put_text(at, row->revision);
	at = put_text(at, rg_decision_verdict_name(record->verdict));
	at = put_text(at, rg_decision_status_name(record->status));
	at = put_numeric(at, record->score_micro);
	at = put_reasons(at, row);
	at = put_int4(at, record->reasons_fired);
	at = put_int4(at, record->flags);
	at = is_query ? put_query(at, record, &query) : put_request(at, rows, row);
	if (!at)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	for (int i = 0; !is_query && i < QUERY_COLUMNS; i++)
		at = put_null(at);
	rows->bytes = (size_t)(at - rows->data);
	return RG_OK;
}

int rg_postgres_rows_begin(struct rg_postgres_rows *rows, struct rg_error *err)
{
	/* signature, flags, length of the header's extension */
	static const uint8_t header[19] = "PGCOPY\n\377\r\n\0";
	uint8_t *at = reserve(rows, sizeof(header), err);

	if (!at)
		return RG_ENOMEM;
	memcpy(at, header, sizeof(header));
	rows->bytes += sizeof(header);
	return RG_OK;
}

int rg_postgres_rows_end(struct rg_postgres_rows *rows, struct rg_error *err)
{
	uint8_t *at = reserve(rows, 2, err);

	if (!at)
		return RG_ENOMEM;
	put16(at, UINT16_MAX);
	rows->bytes += 2;
	return RG_OK;
}
