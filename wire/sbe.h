/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SBE messages on the wire: one datagram holds one or more of them back to back, each an 8-byte
 * header and a fixed root block.
 *
 *	blockLength u16 | templateId u16 | schemaId u16 | version u16     8 bytes of header
 *	request_id u64 | ... the template's fields at fixed offsets       blockLength bytes
 *	blockLength u16 | ...                                             the next message
 *
 * Walking is all that can be done without a schema, and it is bounds-checked completely: whatever
 * the bytes are, a message handed out lies inside the datagram. What a block means is the field
 * table's affair (base/field.h).
 *
 * Source: FIX SBE 1.0, sections "Message framing" and "Message schema extension"; docs/wire.md.
 *
 * Thread-safety: everything here is pure; any thread.
 */
#ifndef RG_WIRE_SBE_H
#define RG_WIRE_SBE_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/field.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	      "SBE headers are loaded as they lie: add byte swaps for this machine");

struct rg_sbe_header {
	uint16_t block_length;
	uint16_t template_id;
	uint16_t schema_id;
	uint16_t version;
};
static_assert(sizeof(struct rg_sbe_header) == 8, "the SBE 1.0 message header has 8 bytes");

#define RG_SBE_HEADER_BYTES	8
#define RG_SBE_REQUEST_ID_BYTES 8

/* What stands at the cursor. */
enum rg_sbe_result {
	RG_SBE_END = 0,	  /* nothing: the datagram is read completely */
	RG_SBE_MESSAGE,	  /* a whole message with at least a request id */
	RG_SBE_TRUNCATED, /* a header whose block runs past the datagram; the request id is there:
			     answer BAD_MESSAGE */
	RG_SBE_NO_REQUEST_ID, /* a header, but no 8 bytes of block to take a request id from: count
				 and go on */
	RG_SBE_NO_HEADER      /* fewer than 8 bytes left: count */
};
#define RG_SBE_RESULT_COUNT 5
/* "end", "message", "truncated", "no_request_id", "no_header". */
const char *rg_sbe_result_name(enum rg_sbe_result result);

struct rg_sbe_message {
	struct rg_sbe_header header;
	uint32_t block_bytes; /* bytes of the block inside the datagram: block_length, less if
				 TRUNCATED */
	const uint8_t *block;
	uint64_t request_id; /* of MESSAGE and TRUNCATED */
};

static inline struct rg_sbe_header rg_sbe_header_read(const uint8_t *at)
{
	struct rg_sbe_header header;

	memcpy(&header, at, sizeof(header));
	return header;
}

static inline void rg_sbe_header_write(uint8_t *at, struct rg_sbe_header header)
{
	memcpy(at, &header, sizeof(header));
}

/* Set the request id of an encoded message (header included). */
static inline void rg_sbe_set_request_id(uint8_t *message, uint64_t request_id)
{
	memcpy(message + RG_SBE_HEADER_BYTES, &request_id, sizeof(request_id));
}

/*
 * The message at *cursor (0 to start) of datagram[0..bytes), and move the cursor past it; past the
 * end for what ends the walk (TRUNCATED, NO_HEADER). Each call but the last moves the cursor by at
 * least 8 bytes, so a walk ends. `message` is filled for MESSAGE and TRUNCATED, and its header for
 * NO_REQUEST_ID.
 */
static inline enum rg_sbe_result rg_sbe_next(const uint8_t *datagram, uint32_t bytes,
					     uint32_t *cursor, struct rg_sbe_message *message)
{
	uint32_t at = *cursor, left;

	if (at >= bytes)
		return RG_SBE_END;
	left = bytes - at;
	if (left < RG_SBE_HEADER_BYTES) {
		*cursor = bytes;
		return RG_SBE_NO_HEADER;
	}
	message->header = rg_sbe_header_read(datagram + at);
	left -= RG_SBE_HEADER_BYTES;
	message->block = datagram + at + RG_SBE_HEADER_BYTES;
	message->block_bytes =
		message->header.block_length <= left ? message->header.block_length : left;
	*cursor = at + RG_SBE_HEADER_BYTES + message->block_bytes;
	if (message->block_bytes < RG_SBE_REQUEST_ID_BYTES)
		return RG_SBE_NO_REQUEST_ID;
	memcpy(&message->request_id, message->block, sizeof(message->request_id));
	return message->block_bytes == message->header.block_length ? RG_SBE_MESSAGE
								    : RG_SBE_TRUNCATED;
}

/*
 * How much of a message's block this schema may read: SBE's extension rule. A newer sender's block
 * is read up to what the template knows; an older sender's version hides the fields that came
 * later, even where its blockLength covers them with padding. Pass the result as block_bytes to
 * rg_decide(): fields beyond it are undefined.
 */
static inline uint32_t rg_sbe_visible_bytes(const struct rg_field_table *table,
					    const struct rg_template *template,
					    const struct rg_sbe_message *message)
{
	uint32_t bytes = message->block_bytes;

	if (bytes > template->block_length)
		bytes = template->block_length;
	if (__builtin_expect(message->header.version < template->schema_version, 0)) {
		const struct rg_field *field = table->fields + template->fields_first;

		for (uint32_t i = 0; i < template->fields_count; i++) {
			if (!field[i].constant && field[i].since_version > message->header.version)
				return field[i].offset < bytes ? field[i].offset : bytes;
		}
	}
	return bytes;
}

#endif
