/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/signature.h"

#include <fnmatch.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/structured_hash.h"
#include "bundle/yaml_json.h"

#define JWT_BYTES_MAX	   (16u << 20)
#define HASH_BYTES_MAX	   64
#define ALGORITHM_BYTES	   16
#define EC_SIGNATURE_BYTES 132 /* of ES512 */

struct claimed_file {
	char *name;
	char hash[2 * HASH_BYTES_MAX + 1], algorithm[ALGORITHM_BYTES];
	bool found;
};

/* The JWT, taken apart. */
struct jwt {
	char *text; /* "header.payload.signature" */
	size_t signed_bytes;
	uint8_t *header, *payload, *signature; /* decoded */
	size_t header_bytes, payload_bytes, signature_bytes;
	char algorithm[ALGORITHM_BYTES], kid[128];
	/* from the payload */
	char scope[128], keyid[128];
	int64_t issued_at;
	struct claimed_file *files;
	uint32_t file_count, file_capacity;
};

static int malformed(struct rg_error *err, const char *what)
{
	return rg_error_set(err, RG_EINVAL, ".signatures.json: %s", what);
}

static int out_of_memory(struct rg_error *err)
{
	return rg_error_set(err, RG_ENOMEM, ".signatures.json: out of memory");
}

static void free_jwt(struct jwt *jwt)
{
	for (uint32_t i = 0; i < jwt->file_count; i++)
		free(jwt->files[i].name);
	free(jwt->files);
	free(jwt->text);
	free(jwt->header);
	free(jwt->payload);
	free(jwt->signature);
}

/* ---- reading JSON ---- */

/* The reader's next token must be a string that fits. */
static int read_text(struct rg_json_reader *reader, const char *what, char *text, size_t bytes,
		     struct rg_error *err)
{
	char decoded[4 * RG_BUNDLE_NAME_BYTES_MAX];
	size_t n = bytes;

	if (rg_json_next(reader) == RG_JSON_STRING && reader->text_bytes * 3 <= sizeof(decoded))
		n = rg_json_decode(reader, decoded);
	if (n >= bytes || memchr(decoded, 0, n))
		return rg_error_set(
			err, RG_EINVAL,
			".signatures.json: \"%s\" must be a string of at most %zu bytes", what,
			bytes - 1);
	memcpy(text, decoded, n);
	text[n] = '\0';
	return RG_OK;
}

static int skip_value(struct rg_json_reader *reader, struct rg_error *err)
{
	if (rg_json_next(reader) == RG_JSON_ERROR || rg_json_skip(reader))
		return malformed(err, reader->error.text);
	return RG_OK;
}

/* {"signatures": ["<JWT>"]}: the JWT. */
static int read_envelope(const struct rg_member *member, struct jwt *jwt, struct rg_error *err)
{
	struct rg_json_reader reader;
	enum rg_json_token token;
	int rc = RG_OK;

	rg_json_reader_init(&reader, member->bytes, member->size);
	if (rg_json_next(&reader) != RG_JSON_OBJECT_BEGIN)
		return malformed(err, "must be an object with one JWT in \"signatures\"");
	while (!rc && (token = rg_json_next(&reader)) == RG_JSON_KEY) {
		if (!rg_json_equals(&reader, "signatures")) {
			rc = skip_value(&reader, err);
			continue;
		}
		if (jwt->text || rg_json_next(&reader) != RG_JSON_ARRAY_BEGIN ||
		    rg_json_next(&reader) != RG_JSON_STRING || reader.escaped ||
		    reader.text_bytes > JWT_BYTES_MAX)
			return malformed(err, "\"signatures\" must be an array of one JWT");
		jwt->text = strndup(reader.text, reader.text_bytes);
		if (!jwt->text)
			return out_of_memory(err);
		if (rg_json_next(&reader) != RG_JSON_ARRAY_END)
			return malformed(err, "\"signatures\" must be an array of one JWT");
	}
	if (!rc && (reader.error.status || rg_json_next(&reader) != RG_JSON_END))
		rc = malformed(err, reader.error.text);
	if (!rc && !jwt->text)
		rc = malformed(err, "has no \"signatures\"");
	return rc;
}

static int base64url_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* RFC 7515: base64url without padding. */
static int decode_part(const char *text, size_t bytes, uint8_t **out, size_t *out_bytes,
		       struct rg_error *err)
{
	uint32_t bits = 0, held = 0;

	*out = malloc(bytes + 1);
	*out_bytes = 0;
	if (!*out)
		return out_of_memory(err);
	for (size_t i = 0; i < bytes; i++) {
		int value = base64url_value(text[i]);

		if (value < 0)
			return malformed(err, "the JWT is not base64url");
		bits = bits << 6 | (uint32_t)value;
		held += 6;
		if (held >= 8) {
			held -= 8;
			(*out)[(*out_bytes)++] = (uint8_t)(bits >> held);
		}
	}
	if (held >= 6 || (bits & ((1u << held) - 1)))
		return malformed(err, "the JWT is truncated or not base64url");
	return RG_OK;
}

static int take_apart(struct jwt *jwt, struct rg_error *err)
{
	const char *first = strchr(jwt->text, '.'), *second = first ? strchr(first + 1, '.') : NULL;
	int rc;

	if (!second || strchr(second + 1, '.'))
		return malformed(err, "the JWT is truncated: it must have three parts");
	jwt->signed_bytes = (size_t)(second - jwt->text);
	rc = decode_part(jwt->text, (size_t)(first - jwt->text), &jwt->header, &jwt->header_bytes,
			 err);
	if (!rc)
		rc = decode_part(first + 1, (size_t)(second - first - 1), &jwt->payload,
				 &jwt->payload_bytes, err);
	return rc ? rc
		  : decode_part(second + 1, strlen(second + 1), &jwt->signature,
				&jwt->signature_bytes, err);
}

static int read_header(struct jwt *jwt, struct rg_error *err)
{
	struct rg_json_reader reader;
	int rc = RG_OK;

	rg_json_reader_init(&reader, (char *)jwt->header, jwt->header_bytes);
	if (rg_json_next(&reader) != RG_JSON_OBJECT_BEGIN)
		return malformed(err, "the JWT's header is no JSON object");
	while (!rc && rg_json_next(&reader) == RG_JSON_KEY) {
		if (rg_json_equals(&reader, "alg"))
			rc = read_text(&reader, "alg", jwt->algorithm, sizeof(jwt->algorithm), err);
		else if (rg_json_equals(&reader, "kid"))
			rc = read_text(&reader, "kid", jwt->kid, sizeof(jwt->kid), err);
		else if (rg_json_equals(&reader, "crit"))
			rc = malformed(err, "the JWT has critical extensions, which are unknown");
		else
			rc = skip_value(&reader, err);
	}
	if (!rc && (reader.error.status || rg_json_next(&reader) != RG_JSON_END))
		rc = malformed(err, "the JWT's header is malformed");
	return rc;
}

/* ---- the payload ---- */

static int read_file(struct jwt *jwt, struct rg_json_reader *reader, struct rg_error *err)
{
	struct claimed_file *file;
	char name[RG_BUNDLE_NAME_BYTES_MAX + 2] = "";
	int rc = RG_OK;

	if (jwt->file_count == jwt->file_capacity) {
		uint32_t capacity = jwt->file_capacity ? jwt->file_capacity * 2 : 16;
		struct claimed_file *grown = reallocarray(jwt->files, capacity, sizeof(*grown));

		if (!grown)
			return out_of_memory(err);
		jwt->files = grown;
		jwt->file_capacity = capacity;
	}
	file = &jwt->files[jwt->file_count];
	memset(file, 0, sizeof(*file));
	while (!rc && rg_json_next(reader) == RG_JSON_KEY) {
		if (rg_json_equals(reader, "name"))
			rc = read_text(reader, "name", name, sizeof(name), err);
		else if (rg_json_equals(reader, "hash"))
			rc = read_text(reader, "hash", file->hash, sizeof(file->hash), err);
		else if (rg_json_equals(reader, "algorithm"))
			rc = read_text(reader, "algorithm", file->algorithm,
				       sizeof(file->algorithm), err);
		else
			rc = skip_value(reader, err);
	}
	if (rc)
		return rc;
	if (!name[0])
		return malformed(err, "a file of the payload has no name");
	file->name = strdup(name + strspn(name, "/"));
	if (!file->name)
		return out_of_memory(err);
	jwt->file_count++;
	return RG_OK;
}

static int read_files(struct jwt *jwt, struct rg_json_reader *reader, struct rg_error *err)
{
	enum rg_json_token token = rg_json_next(reader);
	int rc = RG_OK;

	if (token != RG_JSON_ARRAY_BEGIN)
		return malformed(err, "the payload's \"files\" is no array");
	while (!rc && (token = rg_json_next(reader)) == RG_JSON_OBJECT_BEGIN)
		rc = read_file(jwt, reader, err);
	if (!rc && token != RG_JSON_ARRAY_END)
		rc = malformed(err, "the payload's \"files\" must hold objects");
	return rc;
}

static int read_issued_at(struct jwt *jwt, struct rg_json_reader *reader, struct rg_error *err)
{
	if (rg_json_next(reader) != RG_JSON_NUMBER ||
	    !rg_json_int64(reader->text, reader->text_bytes, &jwt->issued_at))
		return malformed(err, "the payload's \"iat\" is no whole number of seconds");
	return RG_OK;
}

static int read_payload(struct jwt *jwt, struct rg_error *err)
{
	struct rg_json_reader reader;
	int rc = RG_OK;

	rg_json_reader_init(&reader, (char *)jwt->payload, jwt->payload_bytes);
	if (rg_json_next(&reader) != RG_JSON_OBJECT_BEGIN)
		return malformed(err, "the JWT's payload is no JSON object");
	while (!rc && rg_json_next(&reader) == RG_JSON_KEY) {
		if (rg_json_equals(&reader, "files"))
			rc = jwt->files ? malformed(err, "\"files\" is there twice")
					: read_files(jwt, &reader, err);
		else if (rg_json_equals(&reader, "scope"))
			rc = read_text(&reader, "scope", jwt->scope, sizeof(jwt->scope), err);
		else if (rg_json_equals(&reader, "keyid"))
			rc = read_text(&reader, "keyid", jwt->keyid, sizeof(jwt->keyid), err);
		else if (rg_json_equals(&reader, "iat"))
			rc = read_issued_at(jwt, &reader, err);
		else
			rc = skip_value(&reader, err);
	}
	if (!rc && (reader.error.status || rg_json_next(&reader) != RG_JSON_END))
		rc = malformed(err, "the JWT's payload is malformed");
	return rc;
}

/* ---- the signature ---- */

static const EVP_MD *digest_of(const char *algorithm)
{
	const char *bits = algorithm + 2;

	return !strcmp(bits, "256")   ? EVP_sha256()
	       : !strcmp(bits, "384") ? EVP_sha384()
	       : !strcmp(bits, "512") ? EVP_sha512()
				      : NULL;
}

static EVP_PKEY *read_public_key(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
	X509 *certificate;

	if (bio && !key) {
		BIO_reset(bio);
		certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		key = certificate ? X509_get_pubkey(certificate) : NULL;
		X509_free(certificate);
	}
	BIO_free(bio);
	return key;
}

/* ES...: r and s side by side become the DER that OpenSSL reads. 0: not that long. */
static size_t ec_signature(const struct jwt *jwt, size_t half,
			   uint8_t der[static EC_SIGNATURE_BYTES + 16])
{
	ECDSA_SIG *pair;
	BIGNUM *r, *s;
	uint8_t *at = der;
	int bytes = 0;

	if (jwt->signature_bytes != 2 * half)
		return 0;
	pair = ECDSA_SIG_new();
	r = BN_bin2bn(jwt->signature, (int)half, NULL);
	s = BN_bin2bn(jwt->signature + half, (int)half, NULL);
	if (pair && r && s && ECDSA_SIG_set0(pair, r, s)) {
		bytes = i2d_ECDSA_SIG(pair, &at);
	} else {
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(pair);
	return bytes > 0 ? (size_t)bytes : 0;
}

/* The key must be of the kind the algorithm is for; bytes of half an ES signature in *half. */
static bool key_fits(const char *algorithm, EVP_PKEY *key, size_t *half)
{
	static const struct {
		const char *bits, *group;
		size_t half;
	} curves[] = {
		{"256", "prime256v1", 32}, {"384", "secp384r1", 48}, {"512", "secp521r1", 66}};
	char group[64];
	size_t length;

	if (algorithm[0] != 'E')
		return EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) >= 2048;
	if (!EVP_PKEY_is_a(key, "EC") ||
	    !EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group),
					    &length))
		return false;
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
		*half = curves[i].half;
		if (!strcmp(algorithm + 2, curves[i].bits))
			return !strcmp(group, curves[i].group);
	}
	return false;
}

static bool check_public(const struct jwt *jwt, const char *algorithm, EVP_PKEY *key, size_t half)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *padding;
	uint8_t der[EC_SIGNATURE_BYTES + 16];
	const uint8_t *signature = jwt->signature;
	size_t signature_bytes = jwt->signature_bytes;
	bool good = context &&
		    EVP_DigestVerifyInit(context, &padding, digest_of(algorithm), NULL, key) == 1;

	if (good && algorithm[0] == 'P')
		good = EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(padding, RSA_PSS_SALTLEN_AUTO) == 1;
	if (good && algorithm[0] == 'E') {
		signature_bytes = ec_signature(jwt, half, der);
		signature = der;
		good = signature_bytes > 0;
	}
	good = good && EVP_DigestVerify(context, signature, signature_bytes,
					(const uint8_t *)jwt->text, jwt->signed_bytes) == 1;
	EVP_MD_CTX_free(context);
	return good;
}

static bool check_secret(const struct jwt *jwt, const char *algorithm, const char *secret)
{
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned mac_bytes = 0;

	return HMAC(digest_of(algorithm), secret, (int)strlen(secret), (const uint8_t *)jwt->text,
		    jwt->signed_bytes, mac, &mac_bytes) &&
	       mac_bytes == jwt->signature_bytes && !CRYPTO_memcmp(mac, jwt->signature, mac_bytes);
}

static int check_signature(const struct jwt *jwt, const struct rg_signature_key *key,
			   struct rg_error *err)
{
	size_t half = 0;
	EVP_PKEY *public_key;
	bool good;

	if (strcmp(jwt->algorithm, key->algorithm))
		return rg_error_set(err, RG_ECORRUPT,
				    "signature: its algorithm is \"%s\", that of the key \"%s\" is "
				    "%s",
				    jwt->algorithm, key->id, key->algorithm);
	if (key->algorithm[0] == 'H') {
		if (strstr(key->key, "-----BEGIN"))
			return rg_error_set(err, RG_EINVAL,
					    "key \"%s\": is a public key, not a secret for %s",
					    key->id, key->algorithm);
		good = check_secret(jwt, key->algorithm, key->key);
	} else {
		public_key = read_public_key(key->key);
		if (!public_key || !key_fits(key->algorithm, public_key, &half)) {
			EVP_PKEY_free(public_key);
			return rg_error_set(err, RG_EINVAL,
					    "key \"%s\": is no PEM public key or certificate for "
					    "%s",
					    key->id, key->algorithm);
		}
		good = check_public(jwt, key->algorithm, public_key, half);
		EVP_PKEY_free(public_key);
	}
	return good ? RG_OK
		    : rg_error_set(err, RG_ECORRUPT,
				   "signature: it was not made with the key \"%s\" (%s)", key->id,
				   key->algorithm);
}

/* OPA's order: the configured key, the header's, the payload's. The last is only a hint where to
 * look: what it names must then verify. */
static int choose_key(struct jwt *jwt, const struct rg_signature_policy *policy,
		      const struct rg_signature_key **key, struct rg_error *err)
{
	const char *id = policy->keyid ? policy->keyid : jwt->kid;
	struct rg_error ignored;

	if (!*id && !read_payload(jwt, &ignored))
		id = jwt->keyid;
	if (!*id)
		return rg_error_set(err, RG_ENOENT,
				    "signature: it names no key, and signing.keyid is not set");
	for (uint32_t i = 0; i < policy->key_count; i++) {
		if (!strcmp(policy->keys[i].id, id)) {
			*key = &policy->keys[i];
			return RG_OK;
		}
	}
	return rg_error_set(err, RG_ENOENT, "signature: there is no key \"%s\" in keys", id);
}

/* ---- the files ---- */

static const EVP_MD *file_digest(const char *algorithm)
{
	static const struct {
		const char *name;
		const EVP_MD *(*digest)(void);
	} digests[] = {{"SHA-224", EVP_sha224},		{"SHA-256", EVP_sha256},
		       {"SHA-384", EVP_sha384},		{"SHA-512", EVP_sha512},
		       {"SHA-512-224", EVP_sha512_224}, {"SHA-512-256", EVP_sha512_256}};

	for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++) {
		if (!strcmp(digests[i].name, algorithm))
			return digests[i].digest();
	}
	return NULL;
}

/* The text that is hashed for a structured file. */
static int structured_text(const struct rg_member *member, struct rg_json_writer *writer,
			   struct rg_error *err)
{
	struct rg_json_writer json;
	int rc;

	if (member->kind != RG_MEMBER_DATA_YAML)
		return rg_structured_hash_text(member->bytes, member->size, writer, err);
	rg_json_writer_init(&json, false);
	rc = rg_yaml_to_json(member->bytes, member->size, RG_BUNDLE_FILE_BYTES_MAX, &json, err);
	if (!rc)
		rc = rg_structured_hash_text(json.text, json.bytes, writer, err);
	rg_json_writer_free(&json);
	return rc;
}

static int check_file(const struct rg_member *member, const struct claimed_file *claimed,
		      struct rg_error *err)
{
	const EVP_MD *digest = file_digest(claimed->algorithm);
	uint8_t hash[EVP_MAX_MD_SIZE];
	char hex[2 * EVP_MAX_MD_SIZE + 1];
	unsigned bytes = 0;
	struct rg_json_writer writer;
	int rc = RG_OK;

	if (!digest)
		return rg_error_set(err, RG_EINVAL,
				    "signature: %s: the hash algorithm \"%s\" is not accepted",
				    member->name, claimed->algorithm);
	rg_json_writer_init(&writer, false);
	if (rg_structured_hash_applies(member->name)) {
		rc = structured_text(member, &writer, err);
		if (!rc)
			EVP_Digest(writer.text, writer.bytes, hash, &bytes, digest, NULL);
	} else {
		EVP_Digest(member->bytes, member->size, hash, &bytes, digest, NULL);
	}
	rg_json_writer_free(&writer);
	if (rc)
		return rg_error_prefix(err, "signature: %s", member->name);
	for (unsigned i = 0; i < bytes; i++)
		snprintf(hex + 2 * i, 3, "%02x", hash[i]);
	if (!bytes || strcasecmp(hex, claimed->hash))
		return rg_error_set(err, RG_ECORRUPT,
				    "signature: %s: digest mismatch (want: %s, got: %s): the file "
				    "was changed after it was signed",
				    member->name, claimed->hash, hex);
	return RG_OK;
}

static bool is_excluded(const char *name, const struct rg_signature_policy *policy)
{
	for (uint32_t i = 0; i < policy->exclude_count; i++) {
		if (!fnmatch(policy->exclude_files[i], name, FNM_PATHNAME))
			return true;
	}
	return false;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct claimed_file *)a)->name,
		      ((const struct claimed_file *)b)->name);
}

/* Both ways: every file is claimed, and every claim is a file. */
static int check_files(const struct rg_member_list *list, struct jwt *jwt,
		       const struct rg_signature_policy *policy, struct rg_error *err)
{
	int rc = RG_OK;

	if (jwt->file_count)
		qsort(jwt->files, jwt->file_count, sizeof(jwt->files[0]), by_name);
	for (uint32_t i = 0; !rc && i < list->count; i++) {
		const struct rg_member *member = &list->members[i];
		struct claimed_file wanted = {.name = member->name}, *claimed;

		if (member->kind == RG_MEMBER_SIGNATURES)
			continue;
		claimed = jwt->file_count ? bsearch(&wanted, jwt->files, jwt->file_count,
						    sizeof(jwt->files[0]), by_name)
					  : NULL;
		if (claimed)
			claimed->found = true;
		if (is_excluded(member->name, policy))
			continue;
		rc = claimed ? check_file(member, claimed, err)
			     : rg_error_set(err, RG_ECORRUPT,
					    "signature: file %s is not included in the bundle's "
					    "signature",
					    member->name);
	}
	for (uint32_t i = 0; !rc && i < jwt->file_count; i++) {
		if (!jwt->files[i].found && !is_excluded(jwt->files[i].name, policy))
			rc = rg_error_set(err, RG_ECORRUPT,
					  "signature: file %s is in the signature but not in the "
					  "bundle",
					  jwt->files[i].name);
	}
	return rc;
}

static int check_scope(const struct jwt *jwt, const struct rg_signature_policy *policy,
		       const struct rg_signature_key *key, struct rg_error *err)
{
	const char *wanted = policy->scope ? policy->scope : key->scope;

	if (!wanted || !*wanted || !strcmp(wanted, jwt->scope))
		return RG_OK;
	return rg_error_set(err, RG_ECORRUPT,
			    "signature: scope mismatch: it is for \"%s\", wanted is \"%s\"",
			    jwt->scope, wanted);
}

/* The payload may have been looked into for a key's name; it is read anew now that it is
 * trusted. */
static int read_trusted_payload(struct jwt *jwt, struct rg_error *err)
{
	for (uint32_t i = 0; i < jwt->file_count; i++)
		free(jwt->files[i].name);
	free(jwt->files);
	jwt->files = NULL;
	jwt->file_count = jwt->file_capacity = 0;
	jwt->scope[0] = jwt->keyid[0] = '\0';
	return read_payload(jwt, err);
}

int rg_signature_verify(const struct rg_member_list *list, const struct rg_signature_policy *policy,
			struct rg_signature_claims *claims, struct rg_error *err)
{
	const struct rg_member *member = rg_member_list_find(list, RG_MEMBER_SIGNATURES);
	const struct rg_signature_key *key = NULL;
	struct jwt jwt = {0};
	int rc;

	if (!member)
		return rg_error_set(err, RG_ENOENT,
				    "the bundle has no .signatures.json: it must be signed");
	rc = read_envelope(member, &jwt, err);
	if (!rc)
		rc = take_apart(&jwt, err);
	if (!rc)
		rc = read_header(&jwt, err);
	if (!rc)
		rc = choose_key(&jwt, policy, &key, err);
	if (!rc)
		rc = check_signature(&jwt, key, err);
	if (!rc)
		rc = read_trusted_payload(&jwt, err);
	if (!rc)
		rc = check_scope(&jwt, policy, key, err);
	if (!rc)
		rc = check_files(list, &jwt, policy, err);
	if (!rc && claims) {
		snprintf(claims->keyid, sizeof(claims->keyid), "%s", key->id);
		claims->issued_at = jwt.issued_at;
	}
	free_jwt(&jwt);
	return rc;
}
