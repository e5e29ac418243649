/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/approval.h"

#include <assert.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[64];
static const char digest[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static const char *path_in(const char *name)
{
	static char paths[4][96];
	static int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

static void write_keys(EVP_PKEY *key, const char *name)
{
	char file_name[32];
	FILE *file;

	assert(key);
	snprintf(file_name, sizeof(file_name), "%s.key", name);
	file = fopen(path_in(file_name), "w");
	assert(file && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
	fclose(file);
	snprintf(file_name, sizeof(file_name), "%s.pub", name);
	file = fopen(path_in(file_name), "w");
	assert(file && PEM_write_PUBKEY(file, key) == 1);
	fclose(file);
	EVP_PKEY_free(key);
}

static void test_kind(const char *private_name, const char *public_name, const char *other_name)
{
	char signature[RG_APPROVAL_SIGNATURE_BYTES], altered[RG_APPROVAL_SIGNATURE_BYTES],
		other_digest[sizeof(digest)];
	const char *public_path = path_in(public_name);
	struct rg_error err;

	assert(!rg_approval_sign(path_in(private_name), 7, digest, signature, &err));
	assert(!rg_approval_verify(public_path, 7, digest, signature, &err));
	/* another sequence, another content, another key, another signature */
	assert(rg_approval_verify(public_path, 8, digest, signature, &err) == RG_ECONFLICT);
	strcpy(other_digest, digest);
	other_digest[63] = '0';
	assert(rg_approval_verify(public_path, 7, other_digest, signature, &err) == RG_ECONFLICT);
	assert(rg_approval_verify(path_in(other_name), 7, digest, signature, &err) == RG_ECONFLICT);
	for (size_t i = 0; i < strlen(signature); i++) {
		strcpy(altered, signature);
		altered[i] = altered[i] == '!' ? '?' : '!';
		assert(rg_approval_verify(public_path, 7, digest, altered, &err) == RG_ECONFLICT);
		altered[i] = '\0';
		assert(rg_approval_verify(public_path, 7, digest, altered, &err) == RG_ECONFLICT);
	}
	memset(altered, 'A', sizeof(altered) - 1);
	altered[sizeof(altered) - 1] = '\0';
	assert(rg_approval_verify(public_path, 7, digest, altered, &err) == RG_ECONFLICT);
}

static void test_bad_keys(void)
{
	char signature[RG_APPROVAL_SIGNATURE_BYTES];
	struct rg_error err;

	assert(rg_approval_sign(path_in("absent"), 1, digest, signature, &err) == RG_EIO);
	assert(rg_approval_sign(path_in("a.pub"), 1, digest, signature, &err) == RG_EINVAL &&
	       strstr(err.text, "openssl genpkey"));
	assert(rg_approval_sign(path_in("rsa.key"), 1, digest, signature, &err) == RG_EINVAL);
	assert(rg_approval_verify(path_in("rsa.pub"), 1, digest, "AAAA", &err) == RG_EINVAL);
}

int main(void)
{
	snprintf(directory, sizeof(directory), "/tmp/riskgate-approval-test-XXXXXX");
	assert(mkdtemp(directory));
	write_keys(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), "a");
	write_keys(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), "b");
	write_keys(EVP_EC_gen("P-256"), "c");
	write_keys(EVP_RSA_gen(2048), "rsa");
	test_kind("a.key", "a.pub", "b.pub");
	test_kind("c.key", "c.pub", "a.pub");
	test_bad_keys();
	for (const char *const *name =
		     (const char *const[]){"a.key", "a.pub", "b.key", "b.pub", "c.key", "c.pub",
					   "rsa.key", "rsa.pub", NULL};
	     *name; name++)
		assert(!unlink(path_in(*name)));
	return rmdir(directory);
}
