/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riskgate.yaml as a struct. One spelling for a key in file and struct; an unknown key is an error
 * with line and column; riskgate.yaml in this folder, commented, is the manual and holds the
 * defaults.
 *
 * Thread-safety: a loaded configuration is immutable.
 */
#ifndef RG_CONFIG_CONFIG_H
#define RG_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "config/opa_sections.h"
#include "policy/compile/compile.h"

struct rg_config_template {
	char *template_name; /* key: template */
	char *package;
};

struct rg_config_approver {
	char *name;
	char *key;  /* file with the public key */
	char *user; /* account of the holder, who cannot approve what it pushed */
};

struct rg_config_port {
	char *device; /* DPDK device string: "net_memif0,role=server,socket=...", "net_af_packet0,iface=veth0", "0000:01:00.1" */
	char **addresses; /* "10.71.0.1/24", "fd71::1/64": the addresses riskgate answers for on this port */
	uint32_t addresses_count;
	uint16_t
		queues; /* receive/transmit queue pairs; 0: one a worker, at most what the device has */
	uint16_t mtu; /* 0: the device's */
};

/* How PostgreSQL stores requests. */
enum rg_config_request { RG_CONFIG_REQUEST_JSONB, RG_CONFIG_REQUEST_BYTES };

struct rg_config {
	char *instance; /* name of this instance on this machine */
	uint32_t node;	/* number of this machine in records: part of their key */

	struct {
		char *directory;     /* "auto" or a folder on hugetlbfs or tmpfs */
		uint64_t ring_bytes; /* record ring of each worker, a power of two */
	} region;

	char *schema; /* SBE schema file; relative to the configuration file */
	struct rg_config_template *templates;
	uint32_t templates_count;

	struct {
		enum rg_verdict default_verdict;
		enum rg_verdict failure_verdict;
		enum rg_verdict
			recorder_full_verdict; /* DENY, or RG_VERDICT_NONE: answer as decided and count the loss */
		uint64_t instruction_budget;
		uint64_t scratch_bytes; /* of each worker's evaluator */
	} decision;

	struct {
		uint32_t workers;
		char *cores; /* "auto" or a list: "1-3,5"; the first hosts the main thread and publisher if more cores than workers are given */
		uint32_t memory_mib;
		uint32_t mbufs;	      /* packet buffers in each pool */
		bool huge_pages;      /* false: --no-huge */
		char **eal_arguments; /* further arguments to EAL, as they are */
		uint32_t eal_arguments_count;
		struct rg_config_port *ports;
		uint32_t ports_count;
		uint16_t udp_port;
		uint16_t burst; /* packets of a burst, 1..256 */
		uint32_t publish_poll_ms;
		uint32_t grace_deadline_ms;
		uint32_t
			idle_sleep_us; /* 0: always spin; else the longest sleep of an idle worker */
		uint32_t overload_after_us; /* 0: never shed; see dataplane/worker.h */
		uint32_t tx_wait_us;	    /* of answers for a full transmit queue; 0: none */
	} dataplane;

	struct {
		char *socket; /* unix socket of riskctl */
		char *state_directory;
		char *bundle; /* pushed at start when no policy is stored yet: a folder, tar.gz or plan.json; "" for none */
		char *opa;	      /* the opa program: a path or a name on PATH */
		uint32_t keep_images; /* policy revisions kept for rollback */
		bool require_reason;  /* of each push and rollback by a user */
	} control;

	struct {
		bool enabled;
		uint32_t expire_s;
		bool bundles;	/* those of bundle servers wait too */
		bool rollbacks; /* those to a policy that was in use before wait too */
		struct rg_config_approver *approvers;
		uint32_t approvers_count;
	} four_eyes;

	struct {
		bool enabled;
		char *host;
		uint16_t port;
		char *username, *password_file; /* "": none */
		uint32_t database;
		bool tls;
		char *tls_ca, *tls_cert, *tls_key;
		char *fleet;	/* name that its nodes share */
		char *key_file; /* "": Redis is trusted */
		uint32_t timeout_ms;
		uint32_t archive_max_mib;
	} redis;

	struct {
		bool enabled;
		uint32_t lease_ms, observe_ms, wait_s;
		uint32_t policy_error_percent, deny_rise_percent;
		uint64_t min_decisions;
		bool rollback;
	} rollout;

	struct {
		char *directory; /* "" : <state_directory>/journal */
		uint64_t segment_bytes;
		uint32_t sync_interval_ms;
		uint64_t sync_bytes;
		uint32_t retention_hours; /* 0: by age nothing is removed */
		uint64_t retention_bytes; /* 0: by size nothing is removed */
		uint64_t max_bytes; /* 0: no limit; else above it also what a sink has not stored */
		bool chain;
		char *chain_key; /* file with the key of the seals' HMAC; "": none */
	} journal;

	struct {
		struct {
			bool enabled;
			char *path;		 /* "": <state_directory>/decisions.sqlite */
			uint32_t batch;		 /* records in one transaction at most */
			uint32_t retention_days; /* 0: for ever */
			uint64_t max_rows;	 /* 0: no bound */
			uint64_t max_bytes;	 /* 0: no bound */
		} sqlite;
		struct {
			bool enabled;
			char *connection;    /* conninfo or URI */
			char *password_file; /* "": none */
			uint32_t batch;	     /* records in one transaction at most */
			enum rg_config_request request;
			uint32_t connections;	    /* that store at the same time */
			uint32_t partitions_ahead;  /* days */
			uint32_t retention_days;    /* 0: for ever */
			uint32_t failover_window_s; /* for which the journal is kept behind it */
		} postgresql;
	} sinks;

	struct {
		char *listen;		  /* "address:port" of the HTTP server; "": none */
		uint32_t threads;	  /* that answer, each with an evaluator */
		char *cert, *private_key; /* PEM; both or neither: TLS */
		char *client_ca;   /* PEM: client certificates are asked for and checked with it */
		char *access_file; /* who may do what; "": only `anonymous` */
		char *anonymous; /* permissions without credentials: "none", or of read, decide, admin */
		bool allow_insecure; /* true: other than loopback without TLS, or open to everybody */
		char *default_decision;	 /* of POST /, a slash path */
		uint64_t body_bytes_max; /* of a request, inflated */
		uint64_t scratch_bytes;	 /* of each thread's evaluator */
		uint32_t connections_max;
		uint32_t timeout_seconds; /* a connection without traffic is closed */
	} api;

	struct rg_config_opa_sections opa; /* services, keys, bundles, labels, signing */
};

/* Load the file over the built-in defaults; path NULL: $RISKGATE_CONFIG, else /etc/riskgate/riskgate.yaml, else the
 * defaults. Relative paths in it are made absolute from the file's folder. Errors name file, line, column, key and remedy. */
int rg_config_load(const char *path, struct rg_config **config, struct rg_error *err);
/* The same from memory; relative paths are taken from `directory`. */
int rg_config_parse(const char *yaml, size_t bytes, const char *directory,
		    struct rg_config **config, struct rg_error *err);
void rg_config_free(struct rg_config *config);

#endif
