/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: damaged images. An input is a list of changes to a real compiled image (4 bytes
 * each: 24-bit place, new value; the first byte of the input picks the image, whether the places are
 * of its typed programs, and the request),
 * after which the checksum is made right; or, when it begins with the image's magic, an image
 * itself. What the verifier accepts is run, with every plan and verdict.
 */
#include "policy/image/mutate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { IMAGES = 4 };

static uint8_t *images[IMAGES];
static size_t image_bytes[IMAGES];
static void *memory;

static void prepare(void)
{
	struct rg_reason_list reasons = {0};

	images[0] = compile_fixture(POLICY_TESTDATA, "verdict", false, "risk_control", &reasons,
				    &image_bytes[0]);
	images[1] = compile_fixture(POLICY_TESTDATA, "requests", true, "requests", &reasons,
				    &image_bytes[1]);
	images[2] =
		compile_fixture(POLICY_TESTDATA, "rows", true, "rows", &reasons, &image_bytes[2]);
	images[3] = compile_fixture(POLICY_TESTDATA, "derived", true, "derived", &reasons,
				    &image_bytes[3]);
	rg_reason_list_free(&reasons);
	memory = aligned_alloc(64, rg_eval_footprint(MUTANT_SCRATCH));
	assert(memory);
}

static void mutate(uint8_t *image, int which, bool typed, const uint8_t *data, size_t data_bytes)
{
	for (; data_bytes >= 4; data += 4, data_bytes -= 4) {
		size_t at = (size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16;

		image[mutation_place(images[which], image_bytes[which], typed, at)] = data[3];
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const uint64_t magic = RG_IMAGE_MAGIC;
	struct chance chance;
	struct request request;
	uint8_t *copy;
	size_t copy_bytes;
	int which;

	if (!memory)
		prepare();
	if (!bytes)
		return 0;
	which = (data[0] >> 1) % IMAGES;
	chance.state = 1 + (data[0] >> 3);
	random_request(&chance, &request);
	if (bytes >= sizeof(magic) && !memcmp(data, &magic, sizeof(magic))) {
		copy_bytes = bytes & ~(size_t)63;
		copy = aligned_alloc(64, copy_bytes + 64);
		memcpy(copy, data, copy_bytes);
	} else {
		copy_bytes = image_bytes[which];
		copy = aligned_alloc(64, copy_bytes);
		memcpy(copy, images[which], copy_bytes);
		mutate(copy, which, data[0] & 1, data + 1, bytes - 1);
	}
	run_mutant(copy, copy_bytes, memory, &request);
	free(copy);
	return 0;
}
