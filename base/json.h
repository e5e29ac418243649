/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict JSON reader and a small writer.
 *
 * The reader is a pull parser over one buffer: no allocation, numbers handed out as their own text
 * (so that no digit is lost), strings decoded into the caller's buffer on demand, a nesting limit,
 * and a line and column for every error. Plans, data documents, inputs, tool arguments and the
 * json.unmarshal built-in all go through it. Source: RFC 8259; duplicate keys are the caller's
 * affair (Rego: the last wins). Invalid UTF-8 and lone surrogates become U+FFFD, as in OPA.
 *
 * Thread-safety: a reader or writer belongs to one thread.
 */
#ifndef RG_BASE_JSON_H
#define RG_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define RG_JSON_DEPTH_MAX 512

enum rg_json_token {
	RG_JSON_END,   /* the document is complete and nothing follows it */
	RG_JSON_ERROR, /* see reader->error */
	RG_JSON_OBJECT_BEGIN,
	RG_JSON_OBJECT_END,
	RG_JSON_ARRAY_BEGIN,
	RG_JSON_ARRAY_END,
	RG_JSON_KEY,	/* text/text_bytes: raw key as written between the quotes */
	RG_JSON_STRING, /* text/text_bytes: raw string as written between the quotes */
	RG_JSON_NUMBER, /* text/text_bytes: the number's text */
	RG_JSON_TRUE,
	RG_JSON_FALSE,
	RG_JSON_NULL
};

struct rg_json_reader {
	const char *begin, *at, *end;
	const char *token_at; /* where the last token starts */
	const char *text;     /* raw text of the last KEY, STRING or NUMBER */
	size_t text_bytes;
	bool escaped; /* the raw string holds escapes or invalid UTF-8: decoding changes it */
	uint32_t depth;
	uint8_t state;
	struct rg_error error;
	uint8_t stack[RG_JSON_DEPTH_MAX / 8]; /* one bit a level: 1 object, 0 array */
};

/* Start reading bytes of text (not necessarily terminated). The text must outlive the reader. */
void rg_json_reader_init(struct rg_json_reader *reader, const char *text, size_t bytes);
/* Next token. After RG_JSON_ERROR or RG_JSON_END it repeats itself. */
enum rg_json_token rg_json_next(struct rg_json_reader *reader);
/* Skip the value whose first token was just returned (an object or array to its end; a scalar:
 * nothing). Returns RG_OK or RG_EINVAL with reader->error set. */
int rg_json_skip(struct rg_json_reader *reader);
/* Decode the last KEY or STRING into out (needs at most text_bytes * 3 bytes: each invalid byte
 * may become U+FFFD). Returns the decoded length; out is not terminated. */
size_t rg_json_decode(const struct rg_json_reader *reader, char *out);
/* True if the last KEY or STRING, decoded, equals the C string s. */
bool rg_json_equals(const struct rg_json_reader *reader, const char *s);
/* 1-based line and column (in bytes) of the last token. */
void rg_json_place(const struct rg_json_reader *reader, uint32_t *line, uint32_t *column);
/* Read a NUMBER token's text as an integer. Returns false if it is not integral or out of range. */
bool rg_json_int64(const char *text, size_t bytes, int64_t *out);

#define RG_JSON_MICRO_BYTES 32
/* Millionths as a decimal without trailing zeros, "85", "-0.5", NUL-terminated. Returns its
 * length. */
size_t rg_json_micro(int64_t micro, char text[static RG_JSON_MICRO_BYTES]);

/* A growing output buffer that writes JSON; also a plain string builder. `failed` is set when
 * memory ran out. */
struct rg_json_writer {
	char *text;
	size_t bytes, capacity;
	uint32_t depth;
	bool comma, after_key, failed, pretty;
};

void rg_json_writer_init(struct rg_json_writer *writer, bool pretty);
/* Start over with an empty text, keeping the memory. */
void rg_json_writer_reset(struct rg_json_writer *writer);
void rg_json_writer_free(struct rg_json_writer *writer);
void rg_json_write_object_begin(struct rg_json_writer *writer);
void rg_json_write_object_end(struct rg_json_writer *writer);
void rg_json_write_array_begin(struct rg_json_writer *writer);
void rg_json_write_array_end(struct rg_json_writer *writer);
void rg_json_write_key(struct rg_json_writer *writer, const char *key);
void rg_json_write_key_n(struct rg_json_writer *writer, const char *key, size_t bytes);
/* A string; bytes that are not UTF-8 become U+FFFD, so that what is written can always be read. */
void rg_json_write_string(struct rg_json_writer *writer, const char *s);
void rg_json_write_string_n(struct rg_json_writer *writer, const char *s, size_t bytes);
void rg_json_write_int(struct rg_json_writer *writer, int64_t value);
void rg_json_write_uint(struct rg_json_writer *writer, uint64_t value);
/* rg_json_micro() as a number. */
void rg_json_write_micro(struct rg_json_writer *writer, int64_t micro);
/* Unix time in ns as RFC 3339 with nanoseconds, as OPA writes times. */
void rg_json_write_time(struct rg_json_writer *writer, uint64_t unix_ns);
void rg_json_write_double(struct rg_json_writer *writer, double value);
void rg_json_write_bool(struct rg_json_writer *writer, bool value);
void rg_json_write_null(struct rg_json_writer *writer);
/* Append text that already is one JSON value (a number's text, a nested document). */
void rg_json_write_raw(struct rg_json_writer *writer, const char *json, size_t bytes);

#endif
