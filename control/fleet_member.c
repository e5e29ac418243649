/* SPDX-License-Identifier: Apache-2.0 */
#include "control/fleet_member.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json_member.h"
#include "base/log.h"
#include "control/state.h"

static bool rolls_out(const struct rg_control *control, const struct rg_push *push)
{
	return control->member.redis && control->config->rollout.enabled && !push->is_private;
}

/* ---- opening ---- */

static struct rg_fleet_redis_options redis_options(struct rg_control *control)
{
	const struct rg_config *config = control->config;

	return (struct rg_fleet_redis_options){
		.redis = {.host = config->redis.host,
			  .port = config->redis.port,
			  .username = config->redis.username,
			  .password_file = config->redis.password_file,
			  .database = config->redis.database,
			  .tls = config->redis.tls,
			  .tls_ca = config->redis.tls_ca,
			  .tls_cert = config->redis.tls_cert,
			  .tls_key = config->redis.tls_key,
			  .timeout_ms = config->redis.timeout_ms},
		.fleet = config->redis.fleet,
		.owner = control->member.owner,
		.key_file = config->redis.key_file,
		.archive_bytes_max = (uint64_t)config->redis.archive_max_mib << 20,
		.wake_fd = control->build_fd};
}

int rg_fleet_member_open(struct rg_control *control, struct rg_error *err)
{
	const struct rg_config *config = control->config;
	const struct rg_rollout_options options = {
		.node = config->node,
		.lease_ns = config->rollout.lease_ms * 1000000ull,
		.observe_ns = config->rollout.observe_ms * 1000000ull,
		.policy_error_percent = config->rollout.policy_error_percent,
		.deny_rise_percent = config->rollout.deny_rise_percent,
		.min_decisions = config->rollout.min_decisions};
	struct rg_fleet_member *member = &control->member;
	struct rg_fleet_redis_options redis;
	int rc;

	if (!config->redis.enabled)
		return RG_OK;
	snprintf(member->owner, sizeof(member->owner), "%u/%s/%d/%llu", config->node,
		 config->instance, (int)getpid(), (unsigned long long)control->now.unix_ns);
	rc = rg_fleet_init(&member->fleet, config->control.state_directory, &member->link, err);
	if (rc)
		return rc;
	rg_rollout_init(&member->rollout, &options, &member->link);
	redis = redis_options(control);
	rc = rg_fleet_redis_new(&redis, &member->redis, err);
	if (!rc)
		member->link = rg_fleet_redis_link(member->redis);
	return rc;
}

void rg_fleet_member_close(struct rg_control *control)
{
	rg_fleet_redis_delete(control->member.redis);
}

/* ---- pushes ---- */

int rg_fleet_member_turn(struct rg_control *control, const struct rg_push *push,
			 struct rg_error *err)
{
	struct rg_rollout *rollout = &control->member.rollout;
	uint64_t now_ns = control->now.monotonic_ns;

	if (!rolls_out(control, push))
		return RG_OK;
	if (rollout->state == RG_ROLLOUT_OBSERVING) /* one after another here too */
		return RG_EAGAIN;
	if (push->hold_until_ns && rollout->state == RG_ROLLOUT_HALTED)
		return rg_error_set(err, RG_ECONFLICT, "the roll-out of revision %s is halted: %s",
				    push->meta.revision, rollout->why);
	if (rg_rollout_want(rollout, push->fleet_number, now_ns))
		return rg_error_set(err, RG_ECONFLICT, "the roll-out of revision %s is halted: %s",
				    push->meta.revision, rollout->why);
	return rg_rollout_may_activate(rollout, now_ns) ? RG_OK : RG_EAGAIN;
}

const char *rg_fleet_member_obstacle(const struct rg_control *control)
{
	const struct rg_fleet_member *member = &control->member;

	if (member->rollout.state == RG_ROLLOUT_OBSERVING)
		return "the policy before it is still observed here";
	return member->fleet.reachable ? "another node has the lock" : member->fleet.last_error;
}

static void offer(struct rg_control *control, const struct rg_policy_meta *meta)
{
	char path[1024];

	rg_policy_store_path(control->store, meta->sequence, path, sizeof(path));
	rg_fleet_pushed(&control->member.fleet, meta, control->config->node, path);
}

void rg_fleet_member_activated(struct rg_control *control, const struct rg_push *push)
{
	struct rg_fleet_member *member = &control->member;
	bool is_own = !push->is_of_fleet && !push->is_private;

	if (!member->redis)
		return;
	if (push->is_of_fleet)
		rg_fleet_received(&member->fleet, true, "");
	if (rolls_out(control, push)) {
		rg_rollout_activated(&member->rollout, control->now.monotonic_ns);
		member->observed = push->meta;
		member->observes_own = is_own;
		member->back_to = push->before;
	} else if (is_own) {
		offer(control, &push->meta);
	}
}

void rg_fleet_member_refused(struct rg_control *control, const struct rg_push *push)
{
	struct rg_fleet_member *member = &control->member;
	bool halted = member->rollout.state == RG_ROLLOUT_HALTED;

	if (!member->redis)
		return;
	if (push->is_of_fleet)
		rg_fleet_received(&member->fleet, false, halted ? member->rollout.why : "");
	if (push->hold_until_ns)
		rg_rollout_give_up(&member->rollout);
}

/* ---- turns ---- */

static void take_events(struct rg_control *control)
{
	struct rg_fleet_member *member = &control->member;
	struct rg_fleet_event event;

	while (member->link.poll(member->link.context, &event)) {
		if (event.kind == RG_FLEET_AWAY)
			rg_log(RG_LOG_WARNING, "redis error=\"%s\"", event.text);
		if (event.kind == RG_FLEET_BAD)
			rg_control_note(control, "fleet_bundle", event.text);
		if (event.is_answer &&
		    (event.request == RG_FLEET_LOCK || event.request == RG_FLEET_RENEW))
			rg_rollout_event(&member->rollout, &event, control->now.monotonic_ns);
		else
			rg_fleet_event(&member->fleet, &event, control->now.monotonic_ns);
	}
}

static struct rg_rollout_sample sample_workers(const struct rg_control *control)
{
	const struct rg_region_dataplane *dataplane = rg_region_dataplane(control->region);
	struct rg_rollout_sample sample = {0};

	for (uint32_t w = 0; w < dataplane->worker_count; w++) {
		const struct rg_counters *counters = dataplane->workers[w].counters;
		uint64_t denied = rg_counters_read(counters, RG_WORKER_DECISIONS_DENY);

		sample.denied += denied;
		sample.decisions += denied + rg_counters_read(counters, RG_WORKER_DECISIONS_ALLOW) +
				    rg_counters_read(counters, RG_WORKER_DECISIONS_REVIEW);
		sample.policy_errors += rg_counters_read(counters, RG_WORKER_STATUS_POLICY_ERROR);
	}
	return sample;
}

/* Decisions went wrong: tell, and go back. */
static void halt(struct rg_control *control)
{
	struct rg_fleet_member *member = &control->member;
	char why[RG_POLICY_TEXT_BYTES];
	struct rg_push_request request = {
		.stored = member->back_to, .is_trusted = true, .is_private = true, .why = why};
	struct rg_error err;

	rg_control_note(control, "rollout_halted", member->rollout.why);
	control->counters.values[RG_CONTROL_ROLLOUTS_HALTED]++;
	if (rg_history_append(control->history, RG_HISTORY_HALTED, &member->observed,
			      member->observed.user, member->rollout.why, control->now.unix_ns,
			      &err))
		rg_control_note(control, "policy_history", err.text);
	snprintf(why, sizeof(why), "roll-out of %llu halted",
		 (unsigned long long)member->observed.sequence);
	if (control->config->rollout.rollback && member->back_to &&
	    rg_push_queue(control, &request, &err))
		rg_control_note(control, "rollout_rollback", err.text);
}

static void push_wanted(struct rg_control *control)
{
	struct rg_fleet *fleet = &control->member.fleet;
	char path[1024], why[RG_POLICY_TEXT_BYTES];
	struct rg_push_request request = {
		.path = path, .why = why, .is_trusted = true, .fleet = &fleet->wanted};
	struct rg_error err;

	rg_fleet_file(fleet, path, sizeof(path));
	snprintf(why, sizeof(why), "fleet: node %u: %.200s", fleet->wanted.node, fleet->wanted.why);
	if (rg_push_queue(control, &request, &err)) { /* too many: it is fetched again later */
		rg_control_note(control, "fleet_push", err.text);
		fleet->state = RG_FLEET_FOLLOWING;
	}
}

static void count(struct rg_control *control)
{
	const struct rg_fleet_member *member = &control->member;
	uint64_t *values = control->counters.values;

	values[RG_CONTROL_REDIS_UP] = member->fleet.reachable;
	values[RG_CONTROL_REDIS_FAILURES] = member->fleet.statistics.failures;
	values[RG_CONTROL_FLEET_NUMBER] = member->fleet.known.number;
	values[RG_CONTROL_FLEET_OFFERED] = member->fleet.statistics.offered;
	values[RG_CONTROL_FLEET_RECEIVED] = member->fleet.statistics.received;
	values[RG_CONTROL_ROLLOUT_STATE] = member->rollout.state;
}

uint32_t rg_fleet_member_do_work(struct rg_control *control)
{
	struct rg_fleet_member *member = &control->member;
	uint64_t now_ns = control->now.monotonic_ns;
	const struct rg_policy_meta *meta;
	struct rg_fleet_running running = {"", ""};
	struct rg_rollout_sample sample;
	char path[1024];
	bool wanted;

	if (!member->redis)
		return 0;
	take_events(control);
	sample = sample_workers(control);
	switch (rg_rollout_step(&member->rollout, now_ns, &sample)) {
	case RG_ROLLOUT_WELL:
		if (member->observes_own)
			offer(control, &member->observed);
		break;
	case RG_ROLLOUT_WRONG: halt(control); break;
	case RG_ROLLOUT_NOTHING: break;
	}
	meta = rg_policy_store_find(control->store, rg_control_policy_sequence(control));
	if (meta) {
		rg_policy_store_path(control->store, meta->sequence, path, sizeof(path));
		running = (struct rg_fleet_running){meta->sha256, path};
	}
	wanted = rg_fleet_step(&member->fleet, &running, now_ns);
	if (wanted)
		push_wanted(control);
	count(control);
	return wanted;
}

/* ---- status ---- */

void rg_fleet_member_write_status(const struct rg_control *control, struct rg_json_writer *writer)
{
	const struct rg_fleet_member *member = &control->member;
	const struct rg_fleet *fleet = &member->fleet;

	if (!member->redis)
		return;
	rg_json_member_object(writer, "fleet");
	rg_json_member_text(writer, "name", control->config->redis.fleet);
	rg_json_member_bool(writer, "redis", fleet->reachable);
	rg_json_member_text(writer, "state", rg_fleet_state_name(fleet->state));
	rg_json_member_uint(writer, "number", fleet->known.number);
	rg_json_member_uint(writer, "fleet_number", fleet->current.number);
	rg_json_member_uint(writer, "offered", fleet->statistics.offered);
	rg_json_member_uint(writer, "received", fleet->statistics.received);
	rg_json_member_uint(writer, "refused", fleet->statistics.refused);
	rg_json_member_uint(writer, "restored", fleet->statistics.restored);
	rg_json_member_uint(writer, "failures", fleet->statistics.failures);
	if (fleet->last_error[0])
		rg_json_member_text(writer, "last_error", fleet->last_error);
	if (control->config->rollout.enabled) {
		rg_json_member_object(writer, "rollout");
		rg_json_member_text(writer, "state", rg_rollout_state_name(member->rollout.state));
		rg_json_member_uint(writer, "token", member->rollout.token);
		if (member->rollout.why[0])
			rg_json_member_text(writer, "why", member->rollout.why);
		if (fleet->current.halted[0])
			rg_json_member_text(writer, "halted", fleet->current.halted);
		rg_json_write_object_end(writer);
	}
	rg_json_write_object_end(writer);
}
