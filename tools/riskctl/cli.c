/* SPDX-License-Identifier: Apache-2.0 */
/* What all commands share: configuration, schema, reading files, printing JSON. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/riskctl/cli.h"
#include "tools/riskctl/control_client.h"

#define FILE_BYTES_MAX (1ull << 30)

void rg_cli_free(struct rg_cli *cli)
{
	rg_schema_free(cli->schema);
	rg_config_free(cli->config);
}

int rg_cli_config(struct rg_cli *cli)
{
	return cli->config ? RG_OK : rg_config_load(cli->config_path, &cli->config, &cli->error);
}

int rg_cli_schema(struct rg_cli *cli, const char *path)
{
	int status;

	if (cli->schema)
		return RG_OK;
	if (!path) {
		status = rg_cli_config(cli);
		if (status)
			return status;
		path = cli->config->schema;
	}
	status = rg_schema_load(path, &cli->schema, &cli->error);
	if (status)
		rg_error_prefix(&cli->error, "request schema (configuration key \"schema\")");
	return status;
}

int rg_cli_misused(struct rg_cli *cli, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	rg_error_vset(&cli->error, RG_EINVAL, format, args);
	va_end(args);
	cli->misused = true;
	return RG_EINVAL;
}

int rg_cli_control(struct rg_cli *cli, const char *request, uint64_t timeout_ms, char **answer,
		   size_t *answer_bytes)
{
	int status = rg_cli_config(cli);

	if (!status)
		status = rg_control_call(cli->config->control.socket, request, timeout_ms, answer,
					 answer_bytes, &cli->error);
	return status;
}

int rg_cli_print_json(struct rg_cli *cli, struct rg_json_writer *writer)
{
	int status = RG_OK;

	if (writer->failed) {
		status = rg_error_set(&cli->error, RG_ENOMEM, "no memory for the output");
	} else {
		fwrite(writer->text, 1, writer->bytes, stdout);
		putchar('\n');
	}
	rg_json_writer_free(writer);
	return status;
}

/* Copy the value that starts at `token` from the reader to the writer. */
static int copy_value(struct rg_json_reader *reader, struct rg_json_writer *writer)
{
	uint32_t depth = 0;

	do {
		enum rg_json_token token = rg_json_next(reader);
		const char *text = reader->text;
		size_t bytes = reader->text_bytes;
		char *decoded;

		switch (token) {
		case RG_JSON_OBJECT_BEGIN:
			rg_json_write_object_begin(writer);
			depth++;
			break;
		case RG_JSON_ARRAY_BEGIN:
			rg_json_write_array_begin(writer);
			depth++;
			break;
		case RG_JSON_OBJECT_END:
			rg_json_write_object_end(writer);
			depth--;
			break;
		case RG_JSON_ARRAY_END:
			rg_json_write_array_end(writer);
			depth--;
			break;
		case RG_JSON_KEY:
		case RG_JSON_STRING:
			decoded = malloc(bytes * 3 + 1);
			if (!decoded) {
				writer->failed = true;
				return RG_OK;
			}
			bytes = rg_json_decode(reader, decoded);
			if (token == RG_JSON_KEY)
				rg_json_write_key_n(writer, decoded, bytes);
			else
				rg_json_write_string_n(writer, decoded, bytes);
			free(decoded);
			if (token == RG_JSON_KEY)
				continue;
			break;
		case RG_JSON_NUMBER: rg_json_write_raw(writer, text, bytes); break;
		case RG_JSON_TRUE: rg_json_write_bool(writer, true); break;
		case RG_JSON_FALSE: rg_json_write_bool(writer, false); break;
		case RG_JSON_NULL: rg_json_write_null(writer); break;
		case RG_JSON_END:
		case RG_JSON_ERROR: return RG_EINVAL;
		}
	} while (depth);
	return RG_OK;
}

int rg_cli_reprint_json(struct rg_cli *cli, const char *json, size_t bytes)
{
	struct rg_json_reader reader;
	struct rg_json_writer writer;

	rg_json_reader_init(&reader, json, bytes);
	rg_json_writer_init(&writer, true);
	if (copy_value(&reader, &writer)) {
		rg_json_writer_free(&writer);
		return rg_error_set(&cli->error, RG_EINVAL,
				    "riskgate-control's answer is malformed: %s",
				    reader.error.text);
	}
	return rg_cli_print_json(cli, &writer);
}

int rg_cli_read_file(const char *path, char **text, size_t *bytes, struct rg_error *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	FILE *file = is_stdin ? stdin : fopen(path, "rb");
	size_t capacity = 65536, used = 0;
	char *buffer = malloc(capacity);
	int status = RG_OK;

	if (!file)
		status = rg_error_set_errno(err, errno == ENOENT ? RG_ENOENT : RG_EIO, errno, "%s",
					    path);
	if (!buffer)
		status = rg_error_set(err, RG_ENOMEM, "%s: no memory", path);
	while (!status) {
		size_t n = fread(buffer + used, 1, capacity - used - 1, file);
		char *larger;

		used += n;
		if (n == 0)
			break;
		if (capacity - used > 1)
			continue;
		larger = capacity < FILE_BYTES_MAX ? realloc(buffer, capacity * 2) : NULL;
		if (!larger) {
			status = rg_error_set(err, RG_ELIMIT,
					      "%s: longer than %llu bytes, or no memory", path,
					      (unsigned long long)FILE_BYTES_MAX);
			break;
		}
		buffer = larger;
		capacity *= 2;
	}
	if (!status && ferror(file))
		status = rg_error_set_errno(err, RG_EIO, errno, "%s", path);
	if (file && !is_stdin)
		fclose(file);
	if (status) {
		free(buffer);
		return status;
	}
	buffer[used] = '\0';
	*text = buffer;
	*bytes = used;
	return RG_OK;
}
