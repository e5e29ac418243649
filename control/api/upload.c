/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A push over HTTP: the body is the bundle. It is put into a folder of its own in the state
 * folder, and from there it is a push like riskctl's: same command, same checks, four eyes
 * included. The folder is there until the push is answered; what a crash leaves is removed when the
 * store is opened (policy_store.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/api/internal.h"
#include "control/policy_store.h"

#define NAME_BYTES_MAX 64

struct upload {
	char folder[1024], file[1024 + NAME_BYTES_MAX + 16];
};

static void free_upload(void *context)
{
	struct upload *upload = context;

	if (upload->file[0])
		unlink(upload->file);
	if (upload->folder[0])
		rmdir(upload->folder);
	free(upload);
}

/* The name that the policy gets. False: the answer says why not. */
static bool read_name(struct rg_web_request *request, char name[static NAME_BYTES_MAX + 1])
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";
	const struct rg_target_text *given = rg_target_parameter(&request->target, "name");

	if (!given) {
		strcpy(name, "pushed");
		return true;
	}
	if (!given->bytes || given->bytes > NAME_BYTES_MAX || given->text[0] == '.' ||
	    strspn(given->text, allowed) != given->bytes) {
		rg_web_error(request, 400, "invalid_parameter",
			     "name: write 1 to %d letters, digits, '-', '_' or '.', no '.' first",
			     NAME_BYTES_MAX);
		return false;
	}
	memcpy(name, given->text, given->bytes + 1u);
	return true;
}

static int write_body(const char *path, const char *bytes, size_t count)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int failed = 0;

	if (fd < 0)
		return errno;
	while (count && !failed) {
		ssize_t n = write(fd, bytes, count);

		if (n < 0 && errno != EINTR)
			failed = errno;
		bytes += n > 0 ? n : 0;
		count -= n > 0 ? (size_t)n : 0;
	}
	return close(fd) && !failed ? errno : failed;
}

/* Write the body down. NULL: the answer says why not. */
static struct upload *store_body(struct rg_api *api, struct rg_web_request *request,
				 const char *name)
{
	size_t length = strlen(name);
	bool is_rego = length > 5 && !strcmp(name + length - 5, ".rego");
	struct upload *upload = calloc(1, sizeof(*upload));
	int failed = 0;

	if (!upload) {
		rg_api_no_memory(request);
		return NULL;
	}
	rg_policy_store_uploads(api->config->control.state_directory, upload->folder,
				sizeof(upload->folder) - sizeof("/XXXXXX"));
	if (mkdir(upload->folder, 0750) && errno != EEXIST)
		failed = errno;
	strcat(upload->folder, "/XXXXXX");
	if (!failed && !mkdtemp(upload->folder))
		failed = errno;
	if (failed) {
		upload->folder[0] = '\0';
	} else {
		snprintf(upload->file, sizeof(upload->file), "%s/%s%s", upload->folder, name,
			 is_rego ? "" : ".tar.gz");
		failed = write_body(upload->file, request->body, request->body_bytes);
	}
	if (!failed)
		return upload;
	free_upload(upload);
	rg_web_error(request, failed == ENOSPC ? 507 : 500, "internal_error",
		     "the bundle cannot be written to control.state_directory: %s",
		     strerror(failed));
	return NULL;
}

enum rg_web_result rg_api_push(void *context, struct rg_web_request *request)
{
	char name[NAME_BYTES_MAX + 1];
	struct rg_api_call *call;
	struct upload *upload;

	if (!read_name(request, name))
		return RG_WEB_DONE;
	if (!request->body_bytes)
		return rg_web_error(request, 400, "invalid_parameter",
				    "the body is empty: send the bundle, a .tar.gz, as it is");
	upload = store_body(context, request, name);
	if (!upload)
		return RG_WEB_DONE;
	call = rg_api_command_call(request, upload->file);
	if (!call) {
		free_upload(upload);
		return RG_WEB_DONE;
	}
	call->state = upload;
	call->free_state = free_upload;
	return rg_api_queue(context, request, call, rg_api_send_command);
}
