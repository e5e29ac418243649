/* SPDX-License-Identifier: Apache-2.0 */
#include "control/api/target.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static void check_decoding(void)
{
	struct rg_target target;
	struct rg_error err;

	assert(!rg_target_parse(
		"/v1/data//a%2Fb/%E2%82%AC/c+d/?pretty&input=%7B%22a%22%3a1+%7D&metrics=false&x=",
		&target, &err));
	assert(target.segment_count == 5);
	assert(rg_target_text_is(target.segments[0], "v1"));
	assert(rg_target_text_is(target.segments[2], "a/b"));
	assert(rg_target_text_is(target.segments[3], "€"));
	assert(rg_target_text_is(target.segments[4], "c+d"));
	assert(target.parameter_count == 4);
	assert(rg_target_text_is(*rg_target_parameter(&target, "input"), "{\"a\":1 }"));
	assert(rg_target_flag(&target, "pretty"));
	assert(!rg_target_flag(&target, "metrics"));
	assert(rg_target_flag(&target, "x"));
	assert(!rg_target_flag(&target, "provenance"));
	assert(!rg_target_parameter(&target, "y"));
	rg_target_free(&target);
	assert(!rg_target_parse("/a%00b", &target, &err));
	assert(target.segments[0].bytes == 3 && !memcmp(target.segments[0].text, "a\0b", 3));
	rg_target_free(&target);
	assert(!rg_target_parse("", &target, &err));
	assert(!target.segment_count && !target.parameter_count);
	rg_target_free(&target);
}

static void check_refusals(void)
{
	static const char *const broken[] = {"/%", "/a%2", "/%zz", "/a?b=%g0", "/a?%4", "/a%2/b"};
	char uri[RG_TARGET_BYTES_MAX + 2];
	struct rg_target target;
	struct rg_error err;

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		assert(rg_target_parse(broken[i], &target, &err) == RG_EINVAL);
	memset(uri, 'a', sizeof(uri));
	uri[0] = '/';
	uri[sizeof(uri) - 1] = '\0';
	assert(rg_target_parse(uri, &target, &err) == RG_ELIMIT);
	for (uint32_t i = 0; i < 2 * RG_TARGET_SEGMENTS_MAX + 2; i++)
		uri[i] = i % 2 ? 'a' : '/';
	uri[2 * RG_TARGET_SEGMENTS_MAX] = '\0';
	assert(!rg_target_parse(uri, &target, &err));
	assert(target.segment_count == RG_TARGET_SEGMENTS_MAX);
	rg_target_free(&target);
	memcpy(uri + 2 * RG_TARGET_SEGMENTS_MAX, "/b", 3);
	assert(rg_target_parse(uri, &target, &err) == RG_ELIMIT);
	strcpy(uri, "/?");
	for (uint32_t i = 0; i <= RG_TARGET_PARAMETERS_MAX; i++)
		strcat(uri, "&k=v");
	assert(rg_target_parse(uri, &target, &err) == RG_ELIMIT);
	assert(strstr(err.text, "64 parameters"));
}

int main(void)
{
	check_decoding();
	check_refusals();
	puts("target: ok");
	return 0;
}
