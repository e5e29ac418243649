/* SPDX-License-Identifier: Apache-2.0 */
#include "control/api/access.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALL (RG_PERMISSION_READ | RG_PERMISSION_DECIDE | RG_PERMISSION_ADMIN)

static int load(const char *text, mode_t mode, struct rg_access **access, struct rg_error *err)
{
	char path[] = "/tmp/riskgate-access-XXXXXX";
	int fd = mkstemp(path), rc;

	assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	assert(!fchmod(fd, mode));
	close(fd);
	rc = rg_access_load(path, access, err);
	unlink(path);
	return rc;
}

static void check_permissions(void)
{
	struct rg_error err;
	uint32_t bits;

	assert(!rg_permissions_parse("none", &bits, &err) && bits == 0);
	assert(!rg_permissions_parse("read,decide", &bits, &err) &&
	       bits == (RG_PERMISSION_READ | RG_PERMISSION_DECIDE));
	assert(!rg_permissions_parse("admin", &bits, &err) && bits == ALL);
	assert(rg_permissions_parse("", &bits, &err) == RG_EINVAL);
	assert(rg_permissions_parse("read,", &bits, &err) == RG_EINVAL);
	assert(rg_permissions_parse("readers", &bits, &err) == RG_EINVAL);
	assert(strstr(err.text, "readers"));
}

static void check_identities(void)
{
	struct rg_access *access;
	struct rg_error err;
	const char *name = NULL;

	assert(!load("# who\n\ntoken gateway decide 0123456789abcdef0 # a comment\n"
		     "certificate desk admin Risk Desk 1\n",
		     0640, &access, &err));
	assert(rg_access_has_tokens(access) && rg_access_has_certificates(access));
	assert(rg_access_of_token(access, "0123456789abcdef0", 17, &name) == RG_PERMISSION_DECIDE);
	assert(!strcmp(name, "gateway"));
	assert(!rg_access_of_token(access, "0123456789abcdef", 16, &name));
	assert(!rg_access_of_token(access, "", 0, &name));
	assert(!rg_access_of_token(access, "Risk Desk 1", 11, &name)); /* a name is no secret */
	assert(rg_access_of_certificate(access, "Risk Desk 1", &name) == ALL);
	assert(!strcmp(name, "desk"));
	assert(!rg_access_of_certificate(access, "0123456789abcdef0", &name));
	rg_access_free(access);
	assert(!rg_access_load("", &access, &err));
	assert(!rg_access_has_tokens(access) && !rg_access_of_token(access, "x", 1, NULL));
	rg_access_free(access);
}

static void check_refusals(void)
{
	struct rg_access *access;
	struct rg_error err;

	assert(load("token a read 0123456789abcdef\ntoken b read short\n", 0600, &access, &err) ==
	       RG_EINVAL);
	assert(strstr(err.text, ":2:") && !strstr(err.text, "short\n"));
	assert(load("token a read\n", 0600, &access, &err) == RG_EINVAL);
	assert(load("password a read 0123456789abcdef\n", 0600, &access, &err) == RG_EINVAL);
	assert(load("token a write 0123456789abcdef\n", 0600, &access, &err) == RG_EINVAL);
	assert(load("token a read 0123456789abcdef\n", 0644, &access, &err) == RG_EINVAL);
	assert(strstr(err.text, "chmod"));
	assert(rg_access_load("/nowhere/access", &access, &err) == RG_EIO);
}

int main(void)
{
	check_permissions();
	check_identities();
	check_refusals();
	puts("access: ok");
	return 0;
}
