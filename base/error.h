/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one error type of every library in riskgate.
 *
 * A function that can fail returns 0 or a negative enum rg_status and fills the struct rg_error its
 * caller passed (which may be NULL). The text is made where the failure is known and names the
 * place (file, line, field, offset) and the remedy; each caller on the way up may put its own
 * context in front of it with rg_error_prefix(). Libraries return; only main() exits.
 *
 * Thread-safety: a struct rg_error belongs to one thread.
 */
#ifndef RG_BASE_ERROR_H
#define RG_BASE_ERROR_H

#include <stdarg.h>

#define RG_ERROR_TEXT_BYTES 1024

enum rg_status {
	RG_OK = 0,
	RG_EINVAL = -1,	   /* the input is malformed or breaks a rule */
	RG_ENOENT = -2,	   /* a named thing is not there */
	RG_EIO = -3,	   /* the operating system refused */
	RG_ENOMEM = -4,	   /* memory, or a configured bound on it, is used up */
	RG_ELIMIT = -5,	   /* a stated limit (depth, size, count) is exceeded */
	RG_EVERSION = -6,  /* known kind, other version */
	RG_ECORRUPT = -7,  /* checksum or structure is broken */
	RG_EAGAIN = -8,	   /* not yet: the peer has not got there; try later */
	RG_EMISSING = -9,  /* a built-in the policy needs is not implemented */
	RG_ECONFLICT = -10 /* already there with another meaning */
};

struct rg_error {
	int status;
	char text[RG_ERROR_TEXT_BYTES];
};

/* Set err's status and text. Returns status, so `return rg_error_set(err, RG_EINVAL, ...)`
 * works. err may be NULL. */
int rg_error_set(struct rg_error *err, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int rg_error_vset(struct rg_error *err, int status, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));
/* As rg_error_set(), with ": <strerror(errnum)>" appended. */
int rg_error_set_errno(struct rg_error *err, int status, int errnum, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Put "context: " in front of err's text; the status stays and is returned. err may be NULL
 * (returns RG_EINVAL). */
int rg_error_prefix(struct rg_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* A short constant name of a status, for logs and JSON ("ok", "invalid", "missing_builtin",
 * ...). */
const char *rg_status_name(int status);

#endif
