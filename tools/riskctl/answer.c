/* SPDX-License-Identifier: Apache-2.0 */
/* Asking riskgate-control one thing. */
#include <stdlib.h>

#include "base/json_member.h"
#include "tools/riskctl/answer.h"

void rg_answer_request(struct rg_json_writer *request, const char *command)
{
	rg_json_writer_init(request, false);
	rg_json_write_object_begin(request);
	rg_json_member_text(request, "command", command);
}

static int print_words(struct rg_cli *cli, const char *answer, size_t bytes, rg_answer_print print)
{
	struct rg_document document;
	int status = rg_document_parse(&document, answer, bytes, &cli->error);

	if (status)
		return status;
	print(&document);
	rg_document_free(&document);
	return RG_OK;
}

int rg_answer_ask(struct rg_cli *cli, struct rg_json_writer *request, uint64_t timeout_ms,
		  rg_answer_print print)
{
	char *answer = NULL;
	size_t bytes;
	int status;

	rg_json_write_object_end(request);
	if (request->failed)
		status = rg_error_set(&cli->error, RG_ENOMEM, "no memory for the request");
	else
		status = rg_cli_control(cli, request->text, timeout_ms, &answer, &bytes);
	rg_json_writer_free(request);
	if (!status)
		status = cli->json ? rg_cli_reprint_json(cli, answer, bytes)
				   : print_words(cli, answer, bytes, print);
	free(answer);
	return status;
}
