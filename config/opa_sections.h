/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sections of riskgate.yaml that have OPA's own format: services, keys, bundles, labels,
 * decision_logs, status.
 * config/riskgate.yaml explains each key.
 *
 * Source: OPA's configuration reference. Thread-safety: what was read is immutable.
 */
#ifndef RG_CONFIG_OPA_SECTIONS_H
#define RG_CONFIG_OPA_SECTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <yaml.h>

#include "base/error.h"
#include "config/section.h"

/* An HTTP server and how to talk to it. */
struct rg_config_service {
	char *name;
	char *url; /* without a slash at its end */
	struct rg_config_pair *headers;
	uint32_t headers_count;
	uint64_t response_header_timeout_ms; /* response_header_timeout_seconds */
	bool allow_insecure_tls;
	struct {
		char *ca_cert; /* file of PEM certificates; NULL: the system's */
	} tls;
	struct {
		struct {
			char *token, *token_path; /* token_path is read for each request */
			char *scheme;
		} bearer;
		struct {
			char *username, *password;
		} basic;
		struct {
			char *cert, *private_key, *private_key_passphrase;
		} client_tls;
	} credentials;
};

/* A key that signatures are checked with. */
struct rg_config_key {
	char *name;
	char *key;	   /* a PEM public key or certificate, the path of one, or an HMAC secret */
	char *private_key; /* OPA's configuration may have one; verifying needs none */
	char *algorithm;
	char *scope;
};

/* What a bundle's signature must be. */
struct rg_config_signing {
	char *keyid; /* NULL: the signature says which of `keys` */
	char *scope; /* NULL: the key's */
	char **exclude_files;
	uint32_t exclude_files_count;
	bool required;
};

/* A source of policy that is looked at again and again. */
struct rg_config_bundle {
	char *name;
	char *service;	/* NULL: resource is file:///... */
	char *resource; /* NULL: bundles/NAME */
	char *source;	/* "bundle", or "opa": policies and data of a running OPA */
	struct {
		uint64_t min_delay_ms, max_delay_ms; /* ..._seconds */
		uint64_t long_polling_timeout_ms;    /* 0: no long polling */
	} polling;
	bool persist;
	char *trigger; /* "periodic" or "manual" */
	uint64_t size_limit_bytes;
	struct rg_config_signing signing;
	bool allow_older;
};

#define RG_CONFIG_ERASE_MAX 64

/* Where decisions are reported to. */
struct rg_config_decision_logs {
	char *service; /* NULL: the first of the services */
	char *resource;
	char *partition_name;		     /* NULL: none */
	char *mask_decision, *drop_decision; /* paths: "/system/log/mask" */
	bool console;			     /* on standard output, too */
	char *plugin;			     /* OPA's; refused */
	struct {
		uint64_t min_delay_ms, max_delay_ms; /* ..._seconds */
		uint64_t upload_size_limit_bytes;    /* of a chunk, compressed */
		uint64_t max_decisions_per_second;   /* sent; 0: no such bound */
		char *trigger;			     /* "periodic" or "immediate" */
		/* OPA's buffers: the journal is the buffer. NULL, 0: not in the file */
		char *buffer_type;
		uint64_t buffer_size_limit_bytes, buffer_size_limit_events;
	} reporting;
	struct {
		struct {
			char **headers; /* of a decision asked over HTTP, told with its event */
			uint32_t headers_count;
		} http;
	} request_context;
	char **erase; /* JSON pointers that begin with /input/ */
	uint32_t erase_count;
	bool enabled; /* the section is there */
};

/* Where this riskgate's status is reported to. */
struct rg_config_status {
	char *service; /* NULL: none, the console alone */
	char *partition_name;
	bool console;
	bool prometheus;    /* OPA's: GET /metrics always has it */
	char *plugin;	    /* OPA's; refused */
	char *trigger;	    /* "periodic" */
	uint64_t period_ms; /* period_seconds: a report without a change */
	bool enabled;	    /* the section is there */
};

struct rg_config_opa_sections {
	struct rg_config_service *services;
	uint32_t services_count;
	struct rg_config_key *keys;
	uint32_t keys_count;
	struct rg_config_bundle *bundles;
	uint32_t bundles_count;
	struct rg_config_pair *labels;
	uint32_t labels_count;
	struct rg_config_decision_logs decision_logs;
	struct rg_config_status status;
	struct rg_config_signing push_signing; /* signing: what `riskctl policy push` demands */
	/* A variable of the environment that is not set; who uses the sections must not go on. */
	struct rg_error unset;
};

/* Read the sections that are under the root mapping. Relative paths become absolute from
 * `directory`. What was read is to be freed, also after an error. RG_EINVAL: names the key, its
 * line and column, or what does not fit together (a service or key that is not there). */
int rg_opa_sections_read(yaml_document_t *document, yaml_node_t *root, const char *directory,
			 struct rg_config_opa_sections *sections, struct rg_error *err);
void rg_opa_sections_free(struct rg_config_opa_sections *sections);

/* By name, or NULL. */
const struct rg_config_service *rg_config_service_find(
	const struct rg_config_opa_sections *sections, const char *name);
const struct rg_config_key *rg_config_key_find(const struct rg_config_opa_sections *sections,
					       const char *name);

#endif
