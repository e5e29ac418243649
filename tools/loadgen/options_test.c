/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: what a good one means, and that each wrong one is told with its option and the
 * remedy. */
#include "tools/loadgen/options.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static struct rg_options options;
static struct rg_error err;

/* words: the arguments, separated by spaces. */
static int parse(const char *words)
{
	static char text[1024];
	char *argv[64] = {"riskgate-loadgen"};
	int argc = 1;

	snprintf(text, sizeof(text), "%s", words);
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	return rg_options_parse(argc, argv, &options, &err);
}

#define GOOD "--target 1.2.3.4:9471 --template Pay --generate 1 "

static void test_good(void)
{
	assert(parse(GOOD "--rate 1e4 --seconds 2.5 --warmup 1 --set a=1 --set b=2 --yield") ==
	       RG_OK);
	assert(options.load.rate_per_s == 10000 && options.load.duration_ns == 2500000000u &&
	       options.load.window == 0);
	assert(options.load.warmup_ns == 1000000000u && options.setting_count == 2 &&
	       options.yield && !options.dpdk.device);
	assert(strcmp(options.settings[1], "b=2") == 0 && options.load.timeout_ns == 1000000000u);
	assert(parse(GOOD "--rate max") == RG_OK && options.load.window == 512 &&
	       options.load.rate_per_s == 0 && options.load.duration_ns == 10000000000u);
	assert(parse(GOOD "--window 3 --count 7") == RG_OK && options.load.window == 3 &&
	       options.load.duration_ns == 0);
	assert(parse(GOOD "--rate max --window 3") == RG_OK && options.load.window == 3);
	assert(parse("--device net_memif0,role=client --csv f --map m --once --window 64 --no-huge "
		     "--core 1 --target-mac "
		     "02:00:00:00:00:0a") == RG_OK);
	assert(strcmp(options.endpoint.target, "10.71.0.1:9471") == 0 && options.core == 1 &&
	       !options.dpdk.huge_pages);
	assert(options.endpoint.target_mac[5] == 10 && options.once &&
	       options.load.duration_ns == 0);
	assert(parse("--help") == RG_OK && options.help);
	assert(parse("--version") == RG_OK && options.version);
	assert(strstr(rg_options_help(), "examples:"));
}

static void bad(const char *words, const char *expected)
{
	int status = parse(words);

	if (status == RG_OK || !strstr(err.text, expected))
		fprintf(stderr, "%s: %d '%s', wanted '%s'\n", words, status, err.text, expected);
	assert(status == RG_EINVAL || status == RG_ELIMIT);
	assert(strstr(err.text, expected));
}

static void test_bad(void)
{
	bad("", "what to send?");
	bad("--template Pay --generate 1 --rate 1", "where to?");
	bad(GOOD, "how fast?");
	bad(GOOD "--rate 0", "--rate: '0'");
	bad(GOOD "--rate fast", "--rate: 'fast'");
	bad(GOOD "--rate 10 --window 5", "either --rate N");
	bad(GOOD "--rate 10 --seconds -1", "--seconds: '-1'");
	bad(GOOD "--rate 10 --seconds nan", "--seconds: 'nan'");
	bad(GOOD "--rate 10 --burst 65", "--burst: '65' is not a whole number from 1 to 64");
	bad(GOOD "--rate 10 --core -1", "--core: '-1'");
	bad(GOOD "--rate 10 --target-mac 1:2:3", "--target-mac: '1:2:3'");
	bad(GOOD "--rate 10 stray", "'stray' belongs to no option");
	bad(GOOD "--rate", "--rate needs a value");
	bad(GOOD "--rat 10 --unknown", "unknown option '--unknown'");
	bad("--target a:1 --csv f --rate 1", "--csv needs --map");
	bad("--target a:1 --csv f --map m --generate 1 --rate 1", "either --csv or --generate");
	bad("--target a:1 --csv f --map m --set a=1 --rate 1", "belong to --generate");
	bad("--target a:1 --csv f --map m --once --count 4 --rate 1", "either --once or --count");
	bad("--target a:1 --generate 1 --rate 1", "--generate needs --template");
	bad(GOOD "--once --rate 1", "belong to --csv");
}

static void bad_address(const char *text)
{
	char host[16];
	uint16_t port;

	assert(rg_transport_split_address(text, host, sizeof(host), &port, &err) == RG_EINVAL &&
	       strstr(err.text, text));
}

static void test_addresses(void)
{
	char host[16];
	uint16_t port;

	assert(rg_transport_split_address("10.0.0.1:9471", host, sizeof(host), &port, &err) ==
		       RG_OK &&
	       strcmp(host, "10.0.0.1") == 0 && port == 9471);
	assert(rg_transport_split_address("[fd71::1]:1", host, sizeof(host), &port, &err) ==
		       RG_OK &&
	       strcmp(host, "fd71::1") == 0 && port == 1);
	bad_address("10.0.0.1");
	bad_address("10.0.0.1:");
	bad_address("10.0.0.1:0");
	bad_address("10.0.0.1:65536");
	bad_address("10.0.0.1:12x");
	bad_address(":12");
	bad_address("fd71::1:9471");
	bad_address("[fd71::1:9471");
	bad_address("[]:9471");
	bad_address("a-very-long-host-name.example:1");
}

int main(void)
{
	test_good();
	test_bad();
	test_addresses();
	return 0;
}
