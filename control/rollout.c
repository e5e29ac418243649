/* SPDX-License-Identifier: Apache-2.0 */
#include "control/rollout.h"

#include <stdio.h>
#include <string.h>

#define ASK_AGAIN_NS 100000000ull /* of a lock that is held by another */

const char *rg_rollout_state_name(enum rg_rollout_state state)
{
	static const char *const names[] = {"idle", "locking", "granted", "observing", "halted"};

	return names[state];
}

void rg_rollout_init(struct rg_rollout *rollout, const struct rg_rollout_options *options,
		     const struct rg_fleet_link *link)
{
	memset(rollout, 0, sizeof(*rollout));
	rollout->options = *options;
	rollout->link = link;
}

/* ---- the lease ---- */

static bool submit(struct rg_rollout *rollout, enum rg_fleet_request_kind kind)
{
	struct rg_fleet_request request = {.kind = kind,
					   .token = rollout->token,
					   .lease_ms = rollout->options.lease_ns / 1000000,
					   .revision.number = rollout->number};

	snprintf(request.revision.halted, sizeof(request.revision.halted), "%s", rollout->why);
	return rollout->link->submit(rollout->link->context, &request);
}

static void ask(struct rg_rollout *rollout, enum rg_fleet_request_kind kind, uint64_t now_ns)
{
	if (rollout->asked_ns || now_ns < rollout->next_ask_ns)
		return;
	rollout->next_ask_ns = now_ns + ASK_AGAIN_NS;
	if (submit(rollout, kind))
		rollout->asked_ns = now_ns;
}

static bool has_lease(const struct rg_rollout *rollout, uint64_t now_ns)
{
	return rollout->leased_until_ns && now_ns < rollout->leased_until_ns;
}

static void release(struct rg_rollout *rollout)
{
	if (rollout->leased_until_ns)
		submit(rollout, RG_FLEET_RELEASE);
	rollout->leased_until_ns = 0;
}

/* Keep the lease: ask at a third of its time. */
static void renew(struct rg_rollout *rollout, uint64_t now_ns)
{
	uint64_t kept_ns = rollout->options.lease_ns * 4 / 5;

	if (has_lease(rollout, now_ns) &&
	    rollout->leased_until_ns - now_ns < kept_ns - rollout->options.lease_ns / 3)
		ask(rollout, RG_FLEET_RENEW, now_ns);
}

void rg_rollout_event(struct rg_rollout *rollout, const struct rg_fleet_event *event,
		      uint64_t now_ns)
{
	uint64_t asked_ns = rollout->asked_ns;
	bool wants = rollout->state == RG_ROLLOUT_LOCKING;

	rollout->asked_ns = 0;
	switch (event->kind) {
	case RG_FLEET_LOCKED:
		rollout->token = event->token;
		rollout->leased_until_ns = asked_ns + rollout->options.lease_ns * 4 / 5;
		if (!wants || event->revision.number != rollout->number)
			release(rollout); /* whether this number is halted was not asked */
		else if (has_lease(rollout, now_ns))
			rollout->state = RG_ROLLOUT_GRANTED;
		break;
	case RG_FLEET_RENEWED:
		if (rollout->leased_until_ns)
			rollout->leased_until_ns = asked_ns + rollout->options.lease_ns * 4 / 5;
		break;
	case RG_FLEET_HALTED:
		if (!wants || event->revision.number != rollout->number)
			break;
		snprintf(rollout->why, sizeof(rollout->why), "%s", event->revision.halted);
		rollout->state = RG_ROLLOUT_HALTED;
		break;
	case RG_FLEET_LOST: rollout->leased_until_ns = 0; break;
	default: break; /* busy, or Redis is away: asked again */
	}
}

/* ---- what control tells ---- */

int rg_rollout_want(struct rg_rollout *rollout, uint64_t number, uint64_t now_ns)
{
	if (rollout->state == RG_ROLLOUT_HALTED && number && number == rollout->number)
		return RG_ECONFLICT;
	if (rollout->state == RG_ROLLOUT_IDLE || rollout->state == RG_ROLLOUT_HALTED) {
		rollout->state = RG_ROLLOUT_LOCKING;
		rollout->number = number;
		rollout->next_ask_ns = now_ns;
	}
	return RG_OK;
}

bool rg_rollout_may_activate(const struct rg_rollout *rollout, uint64_t now_ns)
{
	return rollout->state == RG_ROLLOUT_GRANTED && has_lease(rollout, now_ns);
}

void rg_rollout_activated(struct rg_rollout *rollout, uint64_t now_ns)
{
	uint64_t kept =
		rollout->sampled < RG_ROLLOUT_SAMPLES ? rollout->sampled : RG_ROLLOUT_SAMPLES;

	if (rollout->state != RG_ROLLOUT_GRANTED && rollout->state != RG_ROLLOUT_LOCKING)
		return;
	rollout->state = RG_ROLLOUT_OBSERVING;
	rollout->observe_until_ns = now_ns + rollout->options.observe_ns;
	if (kept) {
		rollout->before = rollout->samples[(rollout->sampled - kept) % RG_ROLLOUT_SAMPLES];
		rollout->at_activation =
			rollout->samples[(rollout->sampled - 1) % RG_ROLLOUT_SAMPLES];
	}
}

void rg_rollout_give_up(struct rg_rollout *rollout)
{
	if (rollout->state != RG_ROLLOUT_LOCKING && rollout->state != RG_ROLLOUT_GRANTED)
		return;
	release(rollout);
	rollout->state = RG_ROLLOUT_IDLE;
}

/* ---- observing ---- */

static void take_sample(struct rg_rollout *rollout, uint64_t now_ns,
			const struct rg_rollout_sample *sample)
{
	if (now_ns < rollout->next_sample_ns)
		return;
	rollout->next_sample_ns = now_ns + rollout->options.observe_ns / (RG_ROLLOUT_SAMPLES - 1);
	rollout->samples[rollout->sampled++ % RG_ROLLOUT_SAMPLES] = *sample;
}

/* What was decided between two samples. A data plane that was restarted begins at 0 again. */
static struct rg_rollout_sample between(const struct rg_rollout_sample *from,
					const struct rg_rollout_sample *to)
{
	if (to->decisions < from->decisions || to->denied < from->denied ||
	    to->policy_errors < from->policy_errors)
		return *to;
	return (struct rg_rollout_sample){to->decisions - from->decisions,
					  to->denied - from->denied,
					  to->policy_errors - from->policy_errors};
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* Have decisions gone wrong? Says how in rollout->why. */
static bool went_wrong(struct rg_rollout *rollout, const struct rg_rollout_sample *sample)
{
	const struct rg_rollout_options *options = &rollout->options;
	struct rg_rollout_sample after = between(&rollout->at_activation, sample);
	struct rg_rollout_sample before = between(&rollout->before, &rollout->at_activation);
	double errors = percent(after.policy_errors, after.decisions);
	double denied = percent(after.denied, after.decisions);
	double denied_before = percent(before.denied, before.decisions);

	if (!after.decisions || after.decisions < options->min_decisions)
		return false;
	if (errors > options->policy_error_percent) {
		snprintf(rollout->why, sizeof(rollout->why),
			 "node %u: %.1f %% of %llu decisions ended with POLICY_ERROR",
			 options->node, errors, (unsigned long long)after.decisions);
		return true;
	}
	if (before.decisions >= options->min_decisions && before.decisions &&
	    denied > denied_before + options->deny_rise_percent) {
		snprintf(rollout->why, sizeof(rollout->why),
			 "node %u: %.1f %% of %llu decisions were DENY, %.1f %% before",
			 options->node, denied, (unsigned long long)after.decisions, denied_before);
		return true;
	}
	return false;
}

static enum rg_rollout_verdict observe(struct rg_rollout *rollout, uint64_t now_ns,
				       const struct rg_rollout_sample *sample)
{
	if (went_wrong(rollout, sample)) {
		if (rollout->number)
			submit(rollout, RG_FLEET_HALT);
		release(rollout);
		rollout->state = RG_ROLLOUT_HALTED;
		return RG_ROLLOUT_WRONG;
	}
	if (now_ns < rollout->observe_until_ns) {
		renew(rollout, now_ns);
		return RG_ROLLOUT_NOTHING;
	}
	release(rollout);
	rollout->state = RG_ROLLOUT_IDLE;
	rollout->why[0] = '\0';
	return RG_ROLLOUT_WELL;
}

enum rg_rollout_verdict rg_rollout_step(struct rg_rollout *rollout, uint64_t now_ns,
					const struct rg_rollout_sample *sample)
{
	enum rg_rollout_verdict verdict = RG_ROLLOUT_NOTHING;

	switch (rollout->state) {
	case RG_ROLLOUT_LOCKING: ask(rollout, RG_FLEET_LOCK, now_ns); break;
	case RG_ROLLOUT_GRANTED:
		if (has_lease(rollout, now_ns)) {
			renew(rollout, now_ns);
			break;
		}
		rollout->leased_until_ns = 0;
		rollout->state = RG_ROLLOUT_LOCKING;
		break;
	case RG_ROLLOUT_OBSERVING: verdict = observe(rollout, now_ns, sample); break;
	case RG_ROLLOUT_IDLE:
	case RG_ROLLOUT_HALTED: break;
	}
	if (rollout->state != RG_ROLLOUT_OBSERVING)
		take_sample(rollout, now_ns, sample);
	return verdict;
}
