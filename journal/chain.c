/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/chain.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

struct rg_journal_chain {
	EVP_MD_CTX *batch;
	bool failed; /* the library could not hash: no seal is made or accepted any more */
	uint8_t link[RG_JOURNAL_LINK_BYTES];
	uint32_t key_bytes; /* 0: no key */
	uint8_t key[RG_JOURNAL_KEY_BYTES_MAX];
};

static void begin_batch(struct rg_journal_chain *chain)
{
	if (EVP_DigestInit_ex(chain->batch, EVP_sha256(), NULL) != 1 ||
	    EVP_DigestUpdate(chain->batch, chain->link, sizeof(chain->link)) != 1)
		chain->failed = true;
}

int rg_journal_chain_new(const void *key, uint32_t key_bytes, struct rg_journal_chain **out,
			 struct rg_error *err)
{
	struct rg_journal_chain *chain;

	if (key && (!key_bytes || key_bytes > RG_JOURNAL_KEY_BYTES_MAX))
		return rg_error_set(err, RG_EINVAL,
				    "the chain's key has %u bytes: it must be 1 to %d", key_bytes,
				    RG_JOURNAL_KEY_BYTES_MAX);
	chain = calloc(1, sizeof(*chain));
	if (chain)
		chain->batch = EVP_MD_CTX_new();
	if (!chain || !chain->batch) {
		free(chain);
		return rg_error_set(err, RG_ENOMEM, "out of memory for the journal's chain");
	}
	if (key) {
		memcpy(chain->key, key, key_bytes);
		chain->key_bytes = key_bytes;
	}
	begin_batch(chain);
	*out = chain;
	return RG_OK;
}

void rg_journal_chain_free(struct rg_journal_chain *chain)
{
	if (!chain)
		return;
	EVP_MD_CTX_free(chain->batch);
	OPENSSL_cleanse(chain->key, sizeof(chain->key));
	free(chain);
}

const uint8_t *rg_journal_chain_link(const struct rg_journal_chain *chain)
{
	return chain->link;
}

void rg_journal_chain_begin(struct rg_journal_chain *chain,
			    const struct rg_journal_segment_header *header)
{
	memcpy(chain->link, header->link, sizeof(chain->link));
	begin_batch(chain);
	rg_journal_chain_add(chain, header, header->header_bytes);
}

void rg_journal_chain_add(struct rg_journal_chain *chain, const void *frames, uint64_t bytes)
{
	if (EVP_DigestUpdate(chain->batch, frames, bytes) != 1)
		chain->failed = true;
}

/* The seal that belongs to the batch as it is. */
static void make_seal(struct rg_journal_chain *chain, struct rg_journal_seal *seal)
{
	memset(seal, 0, sizeof(*seal));
	if (EVP_DigestFinal_ex(chain->batch, seal->link, NULL) != 1)
		chain->failed = true;
	if (chain->key_bytes && !HMAC(EVP_sha256(), chain->key, (int)chain->key_bytes, seal->link,
				      sizeof(seal->link), seal->mac, NULL))
		chain->failed = true;
}

void rg_journal_chain_seal(struct rg_journal_chain *chain, struct rg_journal_seal *seal)
{
	make_seal(chain, seal);
	if (chain->failed)
		memset(seal, 0, sizeof(*seal)); /* checks as wrong, for ever */
	memcpy(chain->link, seal->link, sizeof(chain->link));
	begin_batch(chain);
}

const char *rg_journal_chain_check(struct rg_journal_chain *chain,
				   const struct rg_journal_seal *seal, bool *keyed)
{
	static const uint8_t none[RG_JOURNAL_LINK_BYTES];
	bool has_mac = memcmp(seal->mac, none, sizeof(none)) != 0;
	struct rg_journal_seal right;
	const char *why = NULL;

	make_seal(chain, &right);
	if (chain->failed || CRYPTO_memcmp(seal->link, right.link, sizeof(right.link)))
		why = "the chain is broken: a frame before this seal was altered, put in or taken "
		      "out";
	else if (chain->key_bytes && !has_mac)
		why = "the seal has no HMAC, and a key was given";
	else if (chain->key_bytes && CRYPTO_memcmp(seal->mac, right.mac, sizeof(right.mac)))
		why = "the seal's HMAC is wrong: it was made anew, or with another key";
	if (keyed)
		*keyed = !why && chain->key_bytes;
	memcpy(chain->link, seal->link, sizeof(chain->link));
	begin_batch(chain);
	return why;
}
