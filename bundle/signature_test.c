/* SPDX-License-Identifier: Apache-2.0 */
/* Bundle signatures: each algorithm, each forgery, and what the real opa signs (argument: opa). */
#include "bundle/signature.h"

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundle/bundle.h"
#include "bundle/structured_hash.h"

#define SECRET "a secret of more than a few bytes"

/* ---- making signatures ---- */

static void base64url(const void *bytes, size_t size, char *out)
{
	EVP_EncodeBlock((unsigned char *)out, bytes, (int)size);
	for (char *at = out; *at; at++)
		*at = (char)(*at == '+' ? '-' : *at == '/' ? '_' : *at == '=' ? '\0' : *at);
}

static const EVP_MD *digest_of(const char *algorithm)
{
	return !strcmp(algorithm + 2, "256")   ? EVP_sha256()
	       : !strcmp(algorithm + 2, "384") ? EVP_sha384()
					       : EVP_sha512();
}

static size_t sign_public(const char *algorithm, EVP_PKEY *key, const char *text, uint8_t *out)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *padding;
	size_t bytes = 1024, half = algorithm[2] == '2' ? 32 : algorithm[2] == '3' ? 48 : 66;
	const uint8_t *der = out;

	assert(EVP_DigestSignInit(context, &padding, digest_of(algorithm), NULL, key) == 1);
	if (algorithm[0] == 'P') {
		assert(EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING) == 1);
		assert(EVP_PKEY_CTX_set_rsa_pss_saltlen(padding, RSA_PSS_SALTLEN_DIGEST) == 1);
	}
	assert(EVP_DigestSign(context, out, &bytes, (const uint8_t *)text, strlen(text)) == 1);
	EVP_MD_CTX_free(context);
	if (algorithm[0] == 'E') {
		ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)bytes);

		assert(BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, (int)half) == (int)half);
		assert(BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + half, (int)half) == (int)half);
		ECDSA_SIG_free(pair);
		bytes = 2 * half;
	}
	return bytes;
}

/* A JWT of header and payload; key NULL: HMAC with SECRET. */
static char *make_jwt(const char *header, const char *payload, const char *algorithm, EVP_PKEY *key)
{
	char *jwt = malloc(1 << 16);
	uint8_t signature[1024];
	unsigned mac_bytes = 0;
	size_t bytes;

	base64url(header, strlen(header), jwt);
	strcat(jwt, ".");
	base64url(payload, strlen(payload), jwt + strlen(jwt));
	if (key) {
		bytes = sign_public(algorithm, key, jwt, signature);
	} else {
		HMAC(digest_of(algorithm), SECRET, (int)strlen(SECRET), (uint8_t *)jwt, strlen(jwt),
		     signature, &mac_bytes);
		bytes = mac_bytes;
	}
	strcat(jwt, ".");
	base64url(signature, bytes, jwt + strlen(jwt));
	return jwt;
}

static char *public_pem(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = calloc(1, 8192);

	assert(PEM_write_bio_PUBKEY(bio, key) && BIO_read(bio, text, 8191) > 0);
	BIO_free(bio);
	return text;
}

/* ---- a bundle in memory ---- */

static const struct {
	const char *name, *text;
} files[] = {
	{".manifest", "{\"roots\": [\"a\"],\n \"revision\": \"7\"}"},
	{"README.md", "not of the policy, but signed"},
	{"a/data.json", "{ \"b\": 1.50, \"a\": [\"<&>\", \"\\u00e9\\u2028\\n\\u0007\", null] }"},
	{"p.rego", "package a\n"}};
#define FILE_COUNT (sizeof(files) / sizeof(files[0]))

static void add(struct rg_member_list *list, const char *name, const char *text)
{
	char *copy = malloc(strlen(text) + 1);
	struct rg_error err;

	strcpy(copy, text);
	assert(!rg_member_list_add(list, name, copy, strlen(text), &err));
}

static void remove_member(struct rg_member_list *list, uint32_t index)
{
	free(list->members[index].name);
	free(list->members[index].bytes);
	memmove(&list->members[index], &list->members[index + 1],
		(--list->count - index) * sizeof(list->members[0]));
}

static void hash_hex(const char *text, char *hex)
{
	uint8_t hash[32];

	EVP_Digest(text, strlen(text), hash, NULL, EVP_sha256(), NULL);
	for (int i = 0; i < 32; i++)
		sprintf(hex + 2 * i, "%02x", hash[i]);
}

/* The payload of the files; the structured ones by their text as OPA's documents give it. */
static const char *payload_of_files(const char *extra)
{
	static char payload[4096];
	const char *texts[FILE_COUNT] = {"{\"revision\":\"7\",\"roots\":[\"a\"]}", files[1].text,
					 "{\"a\":[\"<&>\",\"é\\u2028\\n\\u0007\",null],\"b\":1.50}",
					 files[3].text};
	char hex[65];

	strcpy(payload, "{\"files\": [");
	for (size_t i = 0; i < FILE_COUNT; i++) {
		hash_hex(texts[i], hex);
		sprintf(payload + strlen(payload),
			"%s{\"name\": \"%s\", \"hash\": \"%s\", \"algorithm\": \"SHA-256\"}",
			i ? "," : "", files[i].name, hex);
	}
	sprintf(payload + strlen(payload), "]%s}", extra);
	return payload;
}

struct fixture {
	struct rg_member_list list;
	struct rg_signature_key key;
	struct rg_signature_policy policy;
};

/* The files with a .signatures.json that holds jwt (taken over). */
static void open_fixture(struct fixture *f, char *jwt, const char *algorithm, const char *key)
{
	char *envelope;
	struct rg_error err;

	memset(f, 0, sizeof(*f));
	rg_member_list_init(&f->list, NULL);
	f->list.keep_ignored = true;
	for (size_t i = 0; i < FILE_COUNT; i++)
		add(&f->list, files[i].name, files[i].text);
	assert(asprintf(&envelope, "{\"signatures\":[\"%s\"]}", jwt) > 0);
	add(&f->list, ".signatures.json", envelope);
	free(envelope);
	free(jwt);
	assert(!rg_member_list_sort(&f->list, &err));
	f->key = (struct rg_signature_key){.id = "k", .key = key, .algorithm = algorithm};
	f->policy = (struct rg_signature_policy){.keys = &f->key, .key_count = 1, .keyid = "k"};
}

/* Verify; the error must have the words. word NULL: it must be good. */
static void expect(struct fixture *f, int status, const char *word, const char *other)
{
	struct rg_signature_claims claims = {0};
	struct rg_error err = {0};
	int rc = rg_signature_verify(&f->list, &f->policy, &claims, &err);

	if (rc != status || (word && (!strstr(err.text, word) || !strstr(err.text, other)))) {
		fprintf(stderr, "got %d \"%s\", want %d \"%s\" \"%s\"\n", rc, err.text, status,
			word ? word : "", other ? other : "");
		abort();
	}
	assert(rc || !strcmp(claims.keyid, "k"));
}

static void refused(struct fixture *f, int status, const char *word, const char *other)
{
	expect(f, status, word, other);
	rg_member_list_free(&f->list);
}

static struct rg_member *member(struct fixture *f, const char *name)
{
	for (uint32_t i = 0; i < f->list.count; i++) {
		if (!strcmp(f->list.members[i].name, name))
			return &f->list.members[i];
	}
	abort();
}

static void test_algorithms(void)
{
	static const struct {
		const char *algorithm, *curve;
	} cases[] = {{"HS256", NULL}, {"HS384", NULL},	  {"HS512", NULL},    {"RS256", NULL},
		     {"RS384", NULL}, {"RS512", NULL},	  {"PS256", NULL},    {"PS384", NULL},
		     {"PS512", NULL}, {"ES256", "P-256"}, {"ES384", "P-384"}, {"ES512", "P-521"}};
	EVP_PKEY *rsa = EVP_RSA_gen(2048);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *algorithm = cases[i].algorithm;
		EVP_PKEY *key = algorithm[0] == 'H'   ? NULL
				: algorithm[0] == 'E' ? EVP_EC_gen(cases[i].curve)
						      : rsa;
		char *pem = key ? public_pem(key) : strdup(SECRET), header[64];
		struct fixture f;

		sprintf(header, "{\"alg\":\"%s\",\"kid\":\"k\",\"typ\":\"JWT\"}", algorithm);
		open_fixture(&f, make_jwt(header, payload_of_files(""), algorithm, key), algorithm,
			     pem);
		expect(&f, RG_OK, NULL, NULL);
		f.policy.keyid = NULL; /* by the header's kid */
		expect(&f, RG_OK, NULL, NULL);
		f.policy.keyid = "other";
		refused(&f, RG_ENOENT, "no key", "other");
		/* one bit of the payload */
		open_fixture(&f, make_jwt(header, payload_of_files(""), algorithm, key), algorithm,
			     pem);
		member(&f, ".signatures.json")->bytes[120] ^= 1;
		refused(&f, RG_ECORRUPT, "not made with the key", algorithm);
		if (key != rsa)
			EVP_PKEY_free(key);
		free(pem);
	}
	EVP_PKEY_free(rsa);
}

static void test_forgeries(void)
{
	EVP_PKEY *key = EVP_RSA_gen(2048), *wrong = EVP_RSA_gen(2048), *ec = EVP_EC_gen("P-256");
	char *pem = public_pem(key), *wrong_pem = public_pem(wrong), *ec_pem = public_pem(ec);
	static const char header[] = "{\"alg\":\"RS256\"}", hs[] = "{\"alg\":\"HS256\"}";
	char *jwt;
	struct fixture f;

#define SIGNED make_jwt(header, payload_of_files(",\"scope\":\"write\""), "RS256", key)
	open_fixture(&f, SIGNED, "RS256", pem);
	f.key.scope = "write";
	expect(&f, RG_OK, NULL, NULL);
	f.policy.scope = "read";
	refused(&f, RG_ECORRUPT, "scope mismatch", "\"read\"");

	open_fixture(&f, SIGNED, "RS256", pem); /* a changed file, structured or not */
	member(&f, "p.rego")->bytes[0] = 'P';
	refused(&f, RG_ECORRUPT, "p.rego", "digest mismatch");
	open_fixture(&f, SIGNED, "RS256", pem);
	member(&f, "a/data.json")->bytes[10] = '2';
	refused(&f, RG_ECORRUPT, "a/data.json", "digest mismatch");
	open_fixture(&f, SIGNED, "RS256", pem);
	member(&f, "README.md")->bytes[0] = 'N';
	f.policy.exclude_files = (const char *const[]){"*.md"};
	f.policy.exclude_count = 1;
	expect(&f, RG_OK, NULL, NULL);				  /* ... unless it is excluded */
	f.policy.exclude_files = (const char *const[]){"*.json"}; /* '*' does not cross a '/' */
	member(&f, "a/data.json")->bytes[10] = '2';
	refused(&f, RG_ECORRUPT, "README.md", "digest");

	open_fixture(&f, SIGNED, "RS256", pem); /* added, missing */
	add(&f.list, "q.rego", "package a");
	refused(&f, RG_ECORRUPT, "q.rego", "not included");
	open_fixture(&f, SIGNED, "RS256", pem);
	remove_member(&f.list, 4);
	refused(&f, RG_ECORRUPT, "in the signature but not in the bundle", "p.rego");
	open_fixture(&f, SIGNED, "RS256", pem);
	remove_member(&f.list, 1);
	refused(&f, RG_ENOENT, "no .signatures.json", "signed");

	open_fixture(&f, SIGNED, "RS256", wrong_pem); /* keys */
	refused(&f, RG_ECORRUPT, "not made with the key", "k");
	open_fixture(&f, SIGNED, "RS256", ec_pem);
	refused(&f, RG_EINVAL, "no PEM public key", "RS256");
	open_fixture(&f, SIGNED, "RS256", "nonsense");
	refused(&f, RG_EINVAL, "no PEM public key", "\"k\"");
	open_fixture(&f, SIGNED, "RS256", pem);
	f.policy.keyid = NULL;
	refused(&f, RG_ENOENT, "names no key", "keyid");
	open_fixture(&f, make_jwt(header, payload_of_files(",\"keyid\":\"k\""), "RS256", key),
		     "RS256", pem);
	f.policy.keyid = NULL;
	expect(&f, RG_OK, NULL, NULL); /* the payload's keyid, as OPA */
	rg_member_list_free(&f.list);

	/* algorithms that the JWT would like */
	open_fixture(&f, make_jwt("{\"alg\":\"none\"}", payload_of_files(""), "RS256", key),
		     "RS256", pem);
	refused(&f, RG_ECORRUPT, "\"none\"", "RS256");
	open_fixture(&f, make_jwt(hs, payload_of_files(""), "HS256", NULL), "RS256", pem);
	refused(&f, RG_ECORRUPT, "\"HS256\"", "RS256");
	open_fixture(&f, make_jwt(hs, payload_of_files(""), "HS256", NULL), "HS256", pem);
	refused(&f, RG_EINVAL, "is a public key, not a secret", "HS256");
	open_fixture(&f,
		     make_jwt("{\"alg\":\"RS256\",\"crit\":[\"exp\"]}", payload_of_files(""),
			      "RS256", key),
		     "RS256", pem);
	refused(&f, RG_EINVAL, "critical", ".signatures.json");

	for (int cut = 1; cut < 400; cut += 17) { /* truncated */
		jwt = SIGNED;
		jwt[strlen(jwt) - (size_t)cut] = '\0';
		open_fixture(&f, jwt, "RS256", pem);
		assert(rg_signature_verify(&f.list, &f.policy, NULL, NULL) != RG_OK);
		rg_member_list_free(&f.list);
	}
	jwt = SIGNED;
	*strrchr(jwt, '.') = '\0';
	open_fixture(&f, jwt, "RS256", pem);
	refused(&f, RG_EINVAL, "truncated", "three parts");
	open_fixture(&f,
		     make_jwt(header,
			      "{\"files\":[{\"name\":\"p.rego\",\"hash\":\"00\","
			      "\"algorithm\":\"MD5\"}]}",
			      "RS256", key),
		     "RS256", pem);
	f.policy.exclude_files = (const char *const[]){"*.md", "*/data.json", ".manifest"};
	f.policy.exclude_count = 3;
	refused(&f, RG_EINVAL, "MD5", "p.rego");
	EVP_PKEY_free(key);
	EVP_PKEY_free(wrong);
	EVP_PKEY_free(ec);
	free(pem);
	free(wrong_pem);
	free(ec_pem);
}

static void test_structured(void)
{
	static const struct {
		const char *json, *text;
	} cases[] = {{" [1e3, -0.0, 12345678901234567890] ", "[1e3,-0.0,12345678901234567890]"},
		     {"{\"b\":1,\"a\":2,\"b\":3}", "{\"a\":2,\"b\":3}"},
		     {"{\"aa\":1,\"a\":{},\"\":[]}", "{\"\":[],\"a\":{},\"aa\":1}"},
		     {"\"\\u0008\\f\\t\\/\\ud83d\\ude00\\u2029\\u007f\"",
		      "\"\\b\\f\\t/\xf0\x9f\x98\x80\\u2029\x7f\""},
		     {"[true, false, null, [[]]]", "[true,false,null,[[]]]"}};
	struct rg_json_writer writer;
	struct rg_error err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rg_json_writer_init(&writer, false);
		assert(!rg_structured_hash_text(cases[i].json, strlen(cases[i].json), &writer,
						&err));
		if (strcmp(writer.text, cases[i].text)) {
			fprintf(stderr, "got %s\nwant %s\n", writer.text, cases[i].text);
			abort();
		}
		rg_json_writer_free(&writer);
	}
	rg_json_writer_init(&writer, false);
	assert(rg_structured_hash_text("[1,]", 4, &writer, &err) == RG_EINVAL);
	rg_json_writer_free(&writer);
	assert(rg_structured_hash_applies("a/b/data.json") &&
	       rg_structured_hash_applies(".manifest"));
	assert(!rg_structured_hash_applies("data.yml") && !rg_structured_hash_applies("plan.json"));
}

/* ---- the real opa ---- */

static char directory[64];

static void write_text(const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	assert(file && fputs(text, file) >= 0 && !fclose(file));
}

static void write_private_key(EVP_PKEY *key)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/key.pem", directory);
	file = fopen(path, "w");
	assert(file && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) && !fclose(file));
}

static void run_opa(const char *opa, const char *arguments)
{
	char command[1024];

	snprintf(command, sizeof(command), "cd %s && %s %s >/dev/null", directory, opa, arguments);
	assert(system(command) == 0);
}

/* What opa builds with its key is good here; with another key it is not. */
static void opa_builds(const char *opa, const char *algorithm, EVP_PKEY *key)
{
	char *pem = key ? public_pem(key) : strdup(SECRET), arguments[512], path[256];
	struct rg_signature_key config = {"default", pem, algorithm, "write"};
	struct rg_signature_policy signing = {.keys = &config, .key_count = 1, .keyid = "default"};
	struct rg_bundle_options options = {.signing = &signing};
	struct rg_bundle *bundle;
	struct rg_error err;

	if (key)
		write_private_key(key);
	snprintf(arguments, sizeof(arguments),
		 "build -b policy -t plan -e a/allow -r seven --signing-alg %s --signing-key '%s' "
		 "--claims-file claims.json -o signed.tar.gz",
		 algorithm, key ? "key.pem" : SECRET);
	run_opa(opa, arguments);
	snprintf(path, sizeof(path), "%s/signed.tar.gz", directory);
	if (rg_bundle_load(path, &options, &bundle, &err)) {
		fprintf(stderr, "%s: %s\n", algorithm, err.text);
		abort();
	}
	assert(bundle->is_signed && bundle->is_verified && !strcmp(bundle->revision, "seven"));
	assert(bundle->issued_at == 1700000000);
	rg_bundle_free(bundle);
	config.scope = "read";
	assert(rg_bundle_load(path, &options, &bundle, &err) == RG_ECORRUPT);
	assert(strstr(err.text, "scope mismatch"));
	free(pem);
}

/* `opa sign` in a folder. */
static void opa_signs_folder(const char *opa)
{
	struct rg_signature_key config = {"k", SECRET, "HS256", NULL};
	struct rg_signature_policy signing = {.keys = &config, .key_count = 1, .keyid = "k"};
	struct rg_bundle_options options = {.opa = opa, .signing = &signing};
	struct rg_bundle *bundle;
	char path[256];
	struct rg_error err;

	snprintf(path, sizeof(path),
		 "cd %s/policy && %s sign --bundle . --signing-alg HS256 --signing-key '%s'",
		 directory, opa, SECRET);
	assert(system(path) == 0);
	snprintf(path, sizeof(path), "%s/policy", directory);
	if (rg_bundle_load(path, &options, &bundle, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	assert(bundle->is_verified && bundle->built);
	rg_bundle_free(bundle);
	write_text("policy/more.rego", "package a.more\n");
	assert(rg_bundle_load(path, &options, &bundle, &err) == RG_ECORRUPT);
	assert(strstr(err.text, "more.rego"));
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

static void test_real_opa(const char *opa)
{
	EVP_PKEY *rsa = EVP_RSA_gen(2048), *p256 = EVP_EC_gen("P-256"), *p384 = EVP_EC_gen("P-384");
	char policy[128];

	strcpy(directory, "/tmp/riskgate-signature-XXXXXX");
	assert(mkdtemp(directory));
	snprintf(policy, sizeof(policy), "%s/policy", directory);
	assert(!mkdir(policy, 0700));
	write_text("policy/p.rego", "package a\n\nallow if input.x < data.a.limit\n");
	write_text("policy/data.json",
		   "{\"a\": {\"limit\": 1.50, \"names\": [\"<é>\", \"a\\u2028b\\u0001\\n\"], "
		   "\"big\": 123456789012345678901234567890}}");
	write_text("policy/.manifest", "{\"roots\": [\"a\"]}");
	write_text("claims.json", "{\"scope\": \"write\", \"iat\": 1700000000}");
	opa_builds(opa, "RS256", rsa);
	opa_builds(opa, "PS384", rsa);
	opa_builds(opa, "ES256", p256);
	opa_builds(opa, "ES384", p384);
	opa_builds(opa, "HS512", NULL);
	opa_signs_folder(opa);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(p256);
	EVP_PKEY_free(p384);
	nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		test_real_opa(argv[1]);
	} else {
		test_structured();
		test_algorithms();
		test_forgeries();
	}
	return 0;
}
