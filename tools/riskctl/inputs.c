/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/riskctl/inputs.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/riskctl/cli.h"

#define NAME_BYTES 4200

struct walk {
	rg_input_taker *take;
	void *context;
	uint64_t *count;
	struct rg_error *err;
};

static bool ends_with(const char *text, const char *ending)
{
	size_t bytes = strlen(text), end = strlen(ending);

	return bytes > end && !strcmp(text + bytes - end, ending);
}

static int take_lines(struct walk *walk, const char *path, const char *text)
{
	int status = RG_OK;

	for (uint32_t line = 1; *text && !status; line++) {
		size_t bytes = strcspn(text, "\n");
		char name[NAME_BYTES];

		snprintf(name, sizeof(name), "%s:%u", path, line);
		if (strspn(text, " \t\r") < bytes) {
			(*walk->count)++;
			status = walk->take(walk->context, name, text, bytes);
		}
		text += bytes + (text[bytes] == '\n');
	}
	return status;
}

static int take_file(struct walk *walk, const char *path)
{
	char *text;
	size_t bytes;
	int status = rg_cli_read_file(path, &text, &bytes, walk->err);

	if (status)
		return status;
	if (ends_with(path, ".jsonl")) {
		status = take_lines(walk, path, text);
	} else {
		(*walk->count)++;
		status = walk->take(walk->context, path, text, bytes);
	}
	free(text);
	return status;
}

static int is_input(const struct dirent *file)
{
	return file->d_name[0] != '.' &&
	       (ends_with(file->d_name, ".json") || ends_with(file->d_name, ".jsonl"));
}

static int take_folder(struct walk *walk, const char *path)
{
	struct dirent **files;
	int found = scandir(path, &files, is_input, alphasort), status = RG_OK;

	if (found < 0)
		return rg_error_set_errno(walk->err, RG_EIO, errno, "%s", path);
	for (int i = 0; i < found; i++) {
		char name[NAME_BYTES];

		snprintf(name, sizeof(name), "%s/%s", path, files[i]->d_name);
		if (!status)
			status = take_file(walk, name);
		free(files[i]);
	}
	free(files);
	if (!status && !*walk->count)
		return rg_error_set(walk->err, RG_ENOENT,
				    "%s: no *.json and no *.jsonl with anything in it", path);
	return status;
}

int rg_inputs_each(const char *path, rg_input_taker *take, void *context, uint64_t *count,
		   struct rg_error *err)
{
	struct walk walk = {take, context, count, err};
	struct stat found;

	*count = 0;
	if (!stat(path, &found) && S_ISDIR(found.st_mode))
		return take_folder(&walk, path);
	return take_file(&walk, path);
}
