/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IP addresses and networks as texts. An IPv4 address is its IPv4-mapped IPv6 address
 * (::ffff:a.b.c.d), as in Go: one 128-bit number. Source: Go net.ParseIP, net.ParseCIDR.
 *
 * Thread-safety: pure functions.
 */
#ifndef RG_POLICY_BUILTIN_ADDRESS_H
#define RG_POLICY_BUILTIN_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef unsigned __int128 rg_address;

#define RG_ADDRESS_MAPPED ((rg_address)0xffff << 32)

/* address/prefix with the prefix counted in 128 bits. `at` is the address as given, host bits
 * and all. */
struct rg_network {
	rg_address at;
	unsigned prefix;
};

static inline bool rg_address_is_v4(rg_address a)
{
	return a >> 32 == 0xffff;
}

static inline rg_address rg_network_mask(unsigned prefix)
{
	return prefix ? ~(rg_address)0 << (128 - prefix) : 0;
}

static inline rg_address rg_network_first(struct rg_network n)
{
	return n.at & rg_network_mask(n.prefix);
}

static inline rg_address rg_network_last(struct rg_network n)
{
	return n.at | ~rg_network_mask(n.prefix);
}

/* Mapped and other addresses never contain one another. */
static inline bool rg_network_contains(struct rg_network n, rg_address a)
{
	return rg_address_is_v4(n.at) == rg_address_is_v4(a) &&
	       (a & rg_network_mask(n.prefix)) == rg_network_first(n);
}

/* An address: dotted decimal (then *v4), or IPv6 with or without an IPv4 tail. */
bool rg_address_parse(const char *text, size_t bytes, rg_address *out, bool *v4);
/* "10.0.0.0/8". A v4 prefix of an address written as IPv6 counts from the start of the mapped
 * form, as in Go. */
bool rg_network_parse(const char *text, size_t bytes, struct rg_network *out);

/*
 * The words by whose order, one after the other, all IPv4 addresses come before all others: a
 * network is a run of addresses. Those behind its last word are 0.
 */
#define RG_ADDRESS_WORDS 3

static inline void rg_address_words(rg_address a, bool v4, uint64_t *words)
{
	words[0] = v4 ? 4 : 6;
	words[1] = v4 ? (uint32_t)a : (uint64_t)(a >> 64);
	words[2] = v4 ? 0 : (uint64_t)a;
}

/* The words of a network's first address. */
static inline void rg_network_words(struct rg_network n, uint64_t *words)
{
	rg_address_words(rg_network_first(n), rg_address_is_v4(n.at), words);
}

/* The words behind those of a network's last address; false: nothing is. */
static inline bool rg_network_words_behind(struct rg_network n, uint64_t *words)
{
	rg_address behind = rg_network_last(n) + 1;
	bool v4 = rg_address_is_v4(n.at);

	rg_address_words(behind, v4, words);
	if (v4 && !words[1])
		words[0] = 6;
	return v4 || behind;
}

#endif
