/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/fake_policy.h"

#include <string.h>
#include <time.h>

#include "policy/eval/eval.h"
#include "policy/image/image.h"

struct fake_last fake_last;
uint64_t fake_slow_id;

struct rg_eval {
	const struct fake_image *image;
};

struct fake_image fake_image(uint64_t sequence, uint64_t fingerprint, uint16_t template_id)
{
	return (struct fake_image){.magic = FAKE_MAGIC,
				   .sequence = sequence,
				   .fingerprint = fingerprint,
				   .template_id = template_id};
}

int rg_image_verify(const void *image, size_t image_bytes, struct rg_error *err)
{
	const struct fake_image *fake = image;

	if (image_bytes != sizeof(*fake) || fake->magic != FAKE_MAGIC || fake->verify_fails)
		return rg_error_set(err, RG_ECORRUPT, "fake image: broken");
	return RG_OK;
}

void rg_image_info(const void *image, struct rg_image_info *info)
{
	const struct fake_image *fake = image;

	*info = (struct rg_image_info){.sequence = fake->sequence,
				       .schema_fingerprint = fake->fingerprint,
				       .image_bytes = sizeof(*fake)};
	strcpy(info->bundle, "fake");
	strcpy(info->revision, "1");
}

uint64_t rg_eval_footprint(uint64_t scratch_bytes)
{
	return scratch_bytes >= 64 ? scratch_bytes : 0;
}

struct rg_eval *rg_eval_new(void *mem, uint64_t scratch_bytes)
{
	struct rg_eval *eval = mem;

	eval->image = NULL;
	return eval;
}

int rg_eval_bind(struct rg_eval *eval, const void *image, uint64_t image_bytes,
		 struct rg_error *err)
{
	const struct fake_image *fake = image;

	if (fake->bind_fails)
		return rg_error_set(err, RG_EVERSION, "fake image: needs what is not there");
	eval->image = fake;
	return RG_OK;
}

int rg_eval_template(const struct rg_eval *eval, uint16_t schema_id, uint16_t template_id)
{
	return template_id == eval->image->template_id ? 7 : -1;
}

static uint64_t spent_ns(void)
{
	struct timespec spent;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
	return (uint64_t)spent.tv_sec * 1000000000u + (uint64_t)spent.tv_nsec;
}

static void spend(uint64_t ns)
{
	for (uint64_t end_ns = spent_ns() + ns; spent_ns() < end_ns;)
		;
}

void rg_decide(struct rg_eval *eval, int template_index, const uint8_t *block, uint32_t block_bytes,
	       int64_t now_ns, uint64_t seed, struct rg_outcome *outcome)
{
	uint64_t request_id;

	memcpy(&request_id, block, sizeof(request_id));
	if (request_id == fake_slow_id && fake_slow_id)
		spend(FAKE_SLOW_NS);
	fake_last = (struct fake_last){block_bytes, now_ns, seed, eval->image->sequence,
				       fake_last.calls + 1};
	*outcome = (struct rg_outcome){.verdict = RG_VERDICT_ALLOW};
	switch ((enum fake_outcome)(request_id % 5)) {
	case FAKE_ALLOW: break;
	case FAKE_DENY_ALL_REASONS:
		outcome->verdict = RG_VERDICT_DENY;
		outcome->reason_count = RG_REASONS_MAX;
		outcome->reasons_fired = 300;
		for (uint16_t i = 0; i < RG_REASONS_MAX; i++)
			outcome->reasons[i] = (uint16_t)(1000 + i);
		break;
	case FAKE_REVIEW: outcome->verdict = RG_VERDICT_REVIEW; break;
	case FAKE_BUDGET:
		outcome->verdict = RG_VERDICT_DENY;
		outcome->result = RG_EVAL_BUDGET;
		break;
	case FAKE_ALLOW_SCORED: outcome->score_micro = -12345678; break;
	}
}

void rg_decide_burst(struct rg_eval *eval, int template_index,
		     const struct rg_decide_request *requests, uint32_t count, int64_t now_ns)
{
	for (uint32_t i = 0; i < count; i++)
		rg_decide(eval, template_index, requests[i].block, requests[i].block_bytes, now_ns,
			  requests[i].seed, requests[i].outcome);
}

void rg_decide_burst_told(struct rg_eval *eval, int template_index,
			  const struct rg_decide_request *requests, uint32_t count, int64_t now_ns,
			  struct rg_decide_listener *listener)
{
	for (uint32_t i = 0; i < count; i++) {
		rg_decide_burst(eval, template_index, &requests[i], 1, now_ns);
		listener->decided(listener, &requests[i], 1);
	}
}
