/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sinks that are configured, as one: made from riskgate.yaml, let loose on what is durable in
 * the journal, shown in status and in the region's metrics.
 *
 * Thread-safety: belongs to control's thread; the sinks have threads of their own.
 */
#ifndef RG_CONTROL_SINKS_H
#define RG_CONTROL_SINKS_H

#include "base/json.h"
#include "config/config.h"
#include "control/decision_search.h"
#include "control/sink.h"

struct rg_sinks;

/* All of them. */
struct rg_sinks_total {
	uint64_t stored;     /* by the sink that has the fewest; 0: there is no sink */
	uint64_t lag_frames; /* of the slowest */
};

/* Make the sinks that config enables. config, schema and region_directory must outlive them. Errors
 * name the key. */
int rg_sinks_new(const struct rg_config *config, const char *journal_directory,
		 const char *region_directory, const struct rg_schema *schema,
		 struct rg_sinks **sinks, struct rg_error *err);

/* Let them loose on what is durable in the journal, each in a thread of its own or, without threads,
 * at each rg_sinks_work(). */
int rg_sinks_start(struct rg_sinks *sinks, struct rg_journal_writer *journal, uint64_t now_unix_ns,
		   bool threads, struct rg_error *err);
/* Without threads: store one batch in each. Returns the records read. */
uint32_t rg_sinks_work(struct rg_sinks *sinks, uint64_t now_unix_ns);

/* They may store what is durable: none ever knows of a record that the journal could lose. */
void rg_sinks_follow(struct rg_sinks *sinks, struct rg_journal_writer *journal,
		     uint64_t now_unix_ns);

/* The policy in use, whose decisions mask and drop events of decision logs. 0: not known, or none;
 * then the last one known goes on. To be called before rg_sinks_start(), too. */
void rg_sinks_want_policy(struct rg_sinks *sinks, uint64_t sequence);

/* Let them catch up, for ten seconds at most, and stop. */
void rg_sinks_stop(struct rg_sinks *sinks);
void rg_sinks_delete(struct rg_sinks *sinks); /* NULL is allowed */

/* The place from which the journal must be kept for all of them; without sinks it is beyond the
 * journal's end (index UINT64_MAX). False: keep everything. */
bool rg_sinks_keep(struct rg_sinks *sinks, struct rg_journal_position *position);

void rg_sinks_total(struct rg_sinks *sinks, uint64_t now_unix_ns, struct rg_sinks_total *total);
/* Add what happened since the last call to the values of the region's control counters. */
void rg_sinks_count(struct rg_sinks *sinks, uint64_t now_unix_ns, uint64_t *values);
/* An array with an object for each, as in `riskctl status`. */
void rg_sinks_write(struct rg_sinks *sinks, uint64_t now_unix_ns, struct rg_json_writer *writer);

/* Figures of the sink of decision logs. False: it is not configured. */
bool rg_sinks_decision_logs(struct rg_sinks *sinks, uint64_t now_unix_ns,
			    struct rg_sink_statistics *statistics);

/* Decisions of the embedded store. NULL: it is not enabled. */
struct rg_decision_search *rg_sinks_search(struct rg_sinks *sinks);

#endif
