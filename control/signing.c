/* SPDX-License-Identifier: Apache-2.0 */
#include "control/signing.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES_MAX (64 << 10)

/* A public key that is not written out is a file. */
static int read_key(const struct rg_config_key *key, char **file, const char **text,
		    struct rg_error *err)
{
	size_t bytes;
	int rc;

	*text = key->key;
	if (key->algorithm[0] == 'H' || strstr(key->key, "-----BEGIN"))
		return RG_OK;
	rc = rg_member_read_file(AT_FDCWD, key->key, KEY_BYTES_MAX, file, &bytes, err);
	if (rc)
		return rg_error_prefix(err, "keys.%s", key->name);
	*text = *file;
	return RG_OK;
}

int rg_signing_open(const struct rg_config_opa_sections *config,
		    const struct rg_config_signing *wanted, struct rg_signing *signing,
		    struct rg_error *err)
{
	uint32_t count = config->keys_count;
	int rc = RG_OK;

	memset(signing, 0, sizeof(*signing));
	signing->keys = calloc(count + 1, sizeof(*signing->keys));
	signing->files = calloc(count + 1, sizeof(*signing->files));
	if (!signing->keys || !signing->files)
		rc = rg_error_set(err, RG_ENOMEM, "out of memory");
	for (uint32_t i = 0; !rc && i < count; i++) {
		const struct rg_config_key *key = &config->keys[i];

		signing->keys[i] = (struct rg_signature_key){
			.id = key->name, .algorithm = key->algorithm, .scope = key->scope};
		signing->policy.key_count = i + 1;
		rc = read_key(key, &signing->files[i], &signing->keys[i].key, err);
	}
	signing->policy.keys = signing->keys;
	signing->policy.keyid = wanted->keyid;
	signing->policy.scope = wanted->scope;
	signing->policy.exclude_files = (const char *const *)wanted->exclude_files;
	signing->policy.exclude_count = wanted->exclude_files_count;
	if (rc)
		rg_signing_close(signing);
	return rc;
}

void rg_signing_close(struct rg_signing *signing)
{
	for (uint32_t i = 0; i < signing->policy.key_count; i++)
		free(signing->files[i]);
	free(signing->files);
	free(signing->keys);
	memset(signing, 0, sizeof(*signing));
}
