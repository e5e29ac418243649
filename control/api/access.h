/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what over HTTP.
 *
 * The file api.access_file has a line for each identity; '#' begins a comment:
 *
 *	token        NAME  PERMISSIONS  SECRET        sent as "Authorization: Bearer SECRET"
 *	certificate  NAME  PERMISSIONS  COMMON-NAME   of a client certificate that api.client_ca signed
 *
 * PERMISSIONS is a list of read, decide, admin with commas between; admin holds the other two. NAME
 * is what logs say. Of a token only its SHA-256 is kept, and every token is compared, in constant
 * time, whichever matches.
 *
 * Thread-safety: immutable once loaded.
 */
#ifndef RG_CONTROL_API_ACCESS_H
#define RG_CONTROL_API_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum rg_permission {
	RG_PERMISSION_READ = 1,	  /* metrics, status, reasons, decisions */
	RG_PERMISSION_DECIDE = 2, /* evaluate */
	RG_PERMISSION_ADMIN = 4	  /* change policies */
};

#define RG_ACCESS_SECRET_BYTES_MIN 16

/* The word for one permission: "read", ...; "none" for 0. */
const char *rg_permission_name(enum rg_permission permission);

struct rg_access;

/* "read,decide", "none". RG_EINVAL names the word. admin sets all bits. */
int rg_permissions_parse(const char *text, uint32_t *permissions, struct rg_error *err);

/* Load the file; path "": no identities. Errors name file and line: RG_EINVAL, also for a token
 * shorter than RG_ACCESS_SECRET_BYTES_MIN and a file that others may read; RG_EIO; RG_ENOMEM. */
int rg_access_load(const char *path, struct rg_access **access, struct rg_error *err);
void rg_access_free(struct rg_access *access); /* NULL is allowed */

bool rg_access_has_tokens(const struct rg_access *access);
bool rg_access_has_certificates(const struct rg_access *access);
/* The permissions of a token or of a certificate's common name; *name (may be NULL) is who it is.
 * 0: unknown. */
uint32_t rg_access_of_token(const struct rg_access *access, const char *token, size_t bytes,
			    const char **name);
uint32_t rg_access_of_certificate(const struct rg_access *access, const char *common_name,
				  const char **name);

#endif
