/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What control's state machines share. Only control.c, push.c, policy_sources.c, fleet_member.c and
 * the commands see inside.
 */
#ifndef RG_CONTROL_STATE_H
#define RG_CONTROL_STATE_H

#include "control/api/api.h"
#include "control/bundles.h"
#include "control/control.h"
#include "control/compare.h"
#include "control/drain.h"
#include "control/history.h"
#include "control/fleet_member.h"
#include "control/journal_keeper.h"
#include "control/policy_store.h"
#include "control/push.h"
#include "control/server.h"
#include "control/sinks.h"
#include "control/status_member.h"
#include "shm/region.h"
#include "wire/schema.h"

struct rg_control {
	const struct rg_config *config;
	struct rg_compiler compiler;
	struct rg_control_clock now;
	uint64_t started_unix_ns, started_monotonic_ns;
	bool by_hand; /* no threads */

	struct rg_schema *schema;
	struct rg_binding *bindings; /* config's templates that the schema has */
	char region_directory[RG_REGION_PATH_BYTES];
	char journal_directory[1024];
	struct rg_region *region;
	struct rg_counters_writer counters;
	struct rg_policy_store *store;
	struct rg_history *history;
	struct rg_compare *compare;
	struct rg_fleet_member member;
	uint64_t next_expiry_ns;
	struct rg_journal_writer *journal;
	struct rg_journal_keeper keeper;
	struct rg_drain *drain;
	struct rg_sinks *sinks;
	struct rg_server *server;
	struct rg_http_client http; /* to services; zeroed when there are none */
	struct rg_bundles *bundles;
	struct rg_status_member status;
	struct rg_api *api; /* NULL: not configured */
	struct rg_build *build;
	int build_fd; /* eventfd */

	struct rg_push pushes[RG_PUSHES_MAX];
	uint64_t pushes_taken; /* for their order */
	bool begun;
	struct rg_publish_times last_publish;
	char last_error[RG_ERROR_TEXT_BYTES]; /* of the last refused push; "" when the last one was
						 accepted */
	uint64_t last_error_ns;
	/* The policy in use that the store could not mark as active; 0: none. */
	uint64_t unmarked_sequence, unmarked_since_ns, next_mark_ns;
	uint64_t pushes_accepted, pushes_refused;
	uint64_t refused_by[-RG_ECONFLICT + 1]; /* of them, by -status; 0: other */

	uint64_t next_beat_ns, next_count_ns;
	struct rg_bundles_statistics bundles_counted;
	/* what the region's counters hold already */
	struct rg_drain_statistics drain_counted;
	struct rg_journal_statistics journal_counted;
};

/* Something went wrong that an operator should see: the log and the region's error log. */
void rg_control_note(struct rg_control *control, const char *event, const char *text);
/* The publisher's progress; false: no data plane is joined. */
bool rg_control_progress(const struct rg_control *control, struct rg_mailbox_progress *progress);
/* The policy that is evaluated with: the data plane's, or without one what was announced last, which
 * one would take up. 0: none. */
uint64_t rg_control_evaluated_sequence(const struct rg_control *control);

/* One line from a client of the socket (commands.c). context is the struct rg_control. */
void rg_commands_handle(void *context, const struct rg_server_request *request);
/* {"ok":false,...} to a client. */
void rg_commands_refuse(struct rg_control *control, uint64_t ticket, const struct rg_error *err);
/* The answer of a push: how far it got. state: "active", "announced", "stuck",
 * "stored" (not announced yet). */
void rg_commands_answer_push(struct rg_control *control, const struct rg_push *push,
			     const char *state, const char *text);
/* The answer of a dry run. difference: JSON of bundle/diff.h, or NULL: there is nothing to compare
 * with. */
void rg_commands_answer_dry_run(struct rg_control *control, const struct rg_push *push,
				const char *difference);

#endif
