/* SPDX-License-Identifier: Apache-2.0 */
#include "control/api/access.h"

#include <ctype.h>
#include <errno.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINE_BYTES     4096
#define IDENTITIES_MAX 1024

struct identity {
	bool is_token;
	uint32_t permissions;
	char name[64];
	uint8_t digest[SHA256_DIGEST_SIZE]; /* of the token, or of the common name */
};

struct rg_access {
	uint32_t count;
	struct identity identities[IDENTITIES_MAX];
};

const char *rg_permission_name(enum rg_permission permission)
{
	switch (permission) {
	case RG_PERMISSION_READ: return "read";
	case RG_PERMISSION_DECIDE: return "decide";
	case RG_PERMISSION_ADMIN: return "admin";
	}
	return "none";
}

int rg_permissions_parse(const char *text, uint32_t *permissions, struct rg_error *err)
{
	static const struct {
		const char *word;
		uint32_t bits;
	} words[] = {{"none", 0},
		     {"read", RG_PERMISSION_READ},
		     {"decide", RG_PERMISSION_DECIDE},
		     {"admin", RG_PERMISSION_READ | RG_PERMISSION_DECIDE | RG_PERMISSION_ADMIN}};

	*permissions = 0;
	for (;;) {
		size_t length = strcspn(text, ","), i;

		for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			if (strlen(words[i].word) == length &&
			    !strncmp(text, words[i].word, length))
				break;
		}
		if (i == sizeof(words) / sizeof(words[0]))
			return rg_error_set(err, RG_EINVAL,
					    "\"%.*s\" is none of none, read, decide, admin",
					    (int)(length < 64 ? length : 64), text);
		*permissions |= words[i].bits;
		if (!text[length])
			return RG_OK;
		text += length + 1;
	}
}

static void digest(const char *text, size_t bytes, uint8_t out[SHA256_DIGEST_SIZE])
{
	struct sha256_ctx context;

	sha256_init(&context);
	sha256_update(&context, bytes, (const uint8_t *)text);
	sha256_digest(&context, SHA256_DIGEST_SIZE, out);
}

static int read_line(struct rg_access *access, char *line, struct rg_error *err)
{
	struct identity *identity = &access->identities[access->count];
	char kind[16], name[64], permissions[64], secret[2048];
	int fields, end = 0;

	line[strcspn(line, "#\r\n")] = '\0';
	if (!line[strspn(line, " \t")])
		return RG_OK;
	if (access->count == IDENTITIES_MAX)
		return rg_error_set(err, RG_ELIMIT, "there are more than %d identities",
				    IDENTITIES_MAX);
	fields = sscanf(line, "%15s %63s %63s %2047[^\n]%n", kind, name, permissions, secret, &end);
	if (fields != 4 || line[end])
		return rg_error_set(
			err, RG_EINVAL,
			"write: token|certificate NAME PERMISSIONS SECRET-OR-COMMON-NAME");
	for (size_t n = strlen(secret); n && isspace((unsigned char)secret[n - 1]);)
		secret[--n] = '\0';
	identity->is_token = !strcmp(kind, "token");
	if (!identity->is_token && strcmp(kind, "certificate"))
		return rg_error_set(err, RG_EINVAL, "\"%s\" is neither token nor certificate",
				    kind);
	if (identity->is_token && strlen(secret) < RG_ACCESS_SECRET_BYTES_MIN)
		return rg_error_set(err, RG_EINVAL,
				    "the token of %s has fewer than %d characters: a short one "
				    "can be guessed",
				    name, RG_ACCESS_SECRET_BYTES_MIN);
	snprintf(identity->name, sizeof(identity->name), "%s", name);
	digest(secret, strlen(secret), identity->digest);
	explicit_bzero(secret, sizeof(secret));
	access->count++;
	return rg_permissions_parse(permissions, &identity->permissions, err);
}

static int read_lines(FILE *file, const char *path, struct rg_access *access, struct rg_error *err)
{
	char line[LINE_BYTES];
	struct stat status;
	int rc = RG_OK;

	if (fstat(fileno(file), &status))
		return rg_error_set_errno(err, RG_EIO, errno, "%s", path);
	if (status.st_mode & (S_IROTH | S_IWOTH))
		return rg_error_set(err, RG_EINVAL,
				    "%s: everybody may read or write it: chmod 0640 %s", path,
				    path);
	for (unsigned number = 1; !rc && fgets(line, sizeof(line), file); number++) {
		rc = read_line(access, line, err);
		if (rc)
			rg_error_prefix(err, "%s:%u", path, number);
	}
	explicit_bzero(line, sizeof(line));
	return rc;
}

int rg_access_load(const char *path, struct rg_access **out, struct rg_error *err)
{
	struct rg_access *access = calloc(1, sizeof(*access));
	FILE *file = NULL;
	int rc = RG_OK;

	if (!access)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	if (*path) {
		file = fopen(path, "re");
		rc = file ? read_lines(file, path, access, err)
			  : rg_error_set_errno(err, RG_EIO, errno, "%s", path);
	}
	if (file)
		fclose(file);
	if (rc)
		rg_access_free(access);
	else
		*out = access;
	return rc;
}

void rg_access_free(struct rg_access *access)
{
	free(access);
}

static bool has(const struct rg_access *access, bool is_token)
{
	for (uint32_t i = 0; i < access->count; i++) {
		if (access->identities[i].is_token == is_token)
			return true;
	}
	return false;
}

bool rg_access_has_tokens(const struct rg_access *access)
{
	return has(access, true);
}

bool rg_access_has_certificates(const struct rg_access *access)
{
	return has(access, false);
}

/* Looks at every identity, so that time tells nothing of which one matched. */
static uint32_t find(const struct rg_access *access, bool is_token, const char *text, size_t bytes,
		     const char **name)
{
	uint8_t wanted[SHA256_DIGEST_SIZE];
	uint32_t permissions = 0;

	digest(text, bytes, wanted);
	for (uint32_t i = 0; i < access->count; i++) {
		const struct identity *identity = &access->identities[i];

		if (memeql_sec(wanted, identity->digest, sizeof(wanted)) &&
		    identity->is_token == is_token) {
			permissions = identity->permissions;
			if (name)
				*name = identity->name;
		}
	}
	return permissions;
}

uint32_t rg_access_of_token(const struct rg_access *access, const char *token, size_t bytes,
			    const char **name)
{
	return find(access, true, token, bytes, name);
}

uint32_t rg_access_of_certificate(const struct rg_access *access, const char *common_name,
				  const char **name)
{
	return find(access, false, common_name, strlen(common_name), name);
}
