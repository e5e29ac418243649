/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/approval.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define RAW_BYTES_MAX 160 /* of a signature: 64 (Ed25519) or about 72 (P-256, DER) */

static size_t text_of(uint64_t sequence, const char *sha256, char *text, size_t bytes)
{
	return (size_t)snprintf(text, bytes, "riskgate approval\nsequence %llu\nsha256 %s\n",
				(unsigned long long)sequence, sha256);
}

/* The digest of a key's signatures, or NULL where the algorithm has its own. False: another
 * kind. */
static bool digest_of(const EVP_PKEY *key, const EVP_MD **digest)
{
	int kind = EVP_PKEY_base_id(key);
	bool is_p256 = kind == EVP_PKEY_EC && EVP_PKEY_bits(key) == 256;

	*digest = is_p256 ? EVP_sha256() : NULL;
	return is_p256 || kind == EVP_PKEY_ED25519;
}

static int read_key(const char *path, bool is_private, EVP_PKEY **key, const EVP_MD **digest,
		    struct rg_error *err)
{
	FILE *file = fopen(path, "re");

	if (!file)
		return rg_error_set_errno(err, RG_EIO, errno, "key %s", path);
	*key = is_private ? PEM_read_PrivateKey(file, NULL, NULL, NULL)
			  : PEM_read_PUBKEY(file, NULL, NULL, NULL);
	fclose(file);
	if (*key && digest_of(*key, digest))
		return RG_OK;
	EVP_PKEY_free(*key);
	return rg_error_set(err, RG_EINVAL,
			    "key %s: is no %s key in PEM, Ed25519 or P-256: `openssl genpkey "
			    "-algorithm ed25519` makes one",
			    path, is_private ? "private" : "public");
}

int rg_approval_sign(const char *key_path, uint64_t sequence, const char *sha256,
		     char signature[static RG_APPROVAL_SIGNATURE_BYTES], struct rg_error *err)
{
	unsigned char raw[RAW_BYTES_MAX];
	char text[192];
	size_t raw_bytes = sizeof(raw), bytes = text_of(sequence, sha256, text, sizeof(text));
	const EVP_MD *digest;
	EVP_MD_CTX *context;
	EVP_PKEY *key;
	bool done;
	int rc = read_key(key_path, true, &key, &digest, err);

	if (rc)
		return rc;
	context = EVP_MD_CTX_new();
	done = context && EVP_DigestSignInit(context, NULL, digest, NULL, key) == 1 &&
	       EVP_DigestSign(context, raw, &raw_bytes, (unsigned char *)text, bytes) == 1;
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	if (!done)
		return rg_error_set(err, RG_EINVAL, "key %s: cannot sign", key_path);
	EVP_EncodeBlock((unsigned char *)signature, raw, (int)raw_bytes);
	return RG_OK;
}

/* Decode base64 with its padding; the number of bytes, or 0. */
static size_t decode(const char *text, unsigned char raw[static RAW_BYTES_MAX])
{
	size_t length = strlen(text), padding = 0;
	int bytes;

	if (!length || length % 4 || length / 4 * 3 > RAW_BYTES_MAX)
		return 0;
	while (padding < 2 && text[length - 1 - padding] == '=')
		padding++;
	bytes = EVP_DecodeBlock(raw, (const unsigned char *)text, (int)length);
	return bytes < 0 ? 0 : (size_t)bytes - padding;
}

int rg_approval_verify(const char *key_path, uint64_t sequence, const char *sha256,
		       const char *signature, struct rg_error *err)
{
	unsigned char raw[RAW_BYTES_MAX];
	char text[192];
	size_t raw_bytes = decode(signature, raw),
	       bytes = text_of(sequence, sha256, text, sizeof(text));
	const EVP_MD *digest;
	EVP_MD_CTX *context;
	EVP_PKEY *key;
	bool good;
	int rc = read_key(key_path, false, &key, &digest, err);

	if (rc)
		return rc;
	context = EVP_MD_CTX_new();
	good = context && raw_bytes &&
	       EVP_DigestVerifyInit(context, NULL, digest, NULL, key) == 1 &&
	       EVP_DigestVerify(context, raw, raw_bytes, (unsigned char *)text, bytes) == 1;
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	return good ? RG_OK
		    : rg_error_set(err, RG_ECONFLICT,
				   "the signature is not one of policy %llu with digest %s by the "
				   "key %s",
				   (unsigned long long)sequence, sha256, key_path);
}
