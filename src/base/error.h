/*
 * Errors: one code for decisions, one text for people.
 *
 * A function that can fail returns 0 or a negative `enum df_code` and takes `struct df_error *err` last; err may be
 * NULL. Decisions (retry, poison, stop) are made on the code, never on the text. The text names the thing and the fix
 * and never contains a secret. Everything is stored inside the struct: reporting an error allocates nothing, so that it
 * works when memory is what ran out.
 */
#ifndef DF_BASE_ERROR_H
#define DF_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

enum df_code {
	DF_OK = 0,
	DF_ERR_CONNECTION = -1,	  /* refused, reset, DNS, closed by the peer: open the connection again */
	DF_ERR_TIMEOUT = -2,	  /* a deadline of ours or of the server */
	DF_ERR_AUTH = -3,	  /* credentials, TLS identity, a privilege that is missing for good */
	DF_ERR_CONSTRAINT = -4,	  /* the store refuses this message: unique, foreign key, check */
	DF_ERR_INVALID_DATA = -5, /* this message cannot be decoded, converted or stored */
	DF_ERR_TRANSIENT = -6,	  /* the other side says: try later */
	DF_ERR_CANCELED = -7,	  /* the context was cancelled; not a failure */
	DF_ERR_UNKNOWN = -8,	  /* everything else; stops the pipeline */
	DF_ERR_CONFIG = -9,	  /* the manifest, a path, a table is wrong: a person must act; reported as `unknown` */
	DF_ERR_NO_MEMORY = -10,	  /* an allocation failed or a size limit of ours was hit; reported as `unknown` */
	DF_ERR_CLOSED = -11,	  /* used after close; reported as `unknown` */
	DF_ERR_DENIED = -12,	  /* a privilege is missing that may be granted yet; reported as `auth_error` */
};

#define DF_ERROR_TEXT_MAX 768
#define DF_ERROR_REMOTE_MAX 48

struct df_error {
	int code;			  /* 0 or enum df_code */
	char remote[DF_ERROR_REMOTE_MAX]; /* the other side's code: SQLSTATE, errno name, Trino errorName; may be "" */
	char text[DF_ERROR_TEXT_MAX];	  /* one line, UTF-8, no trailing newline; cut at a code point when too long */
};

#define DF_ERROR_INIT ((struct df_error){ 0 })

#define df_must_check __attribute__((warn_unused_result))
#define df_printf(fmt, args) __attribute__((format(printf, fmt, args)))

/* Sets code and text, clears `remote`. err may be NULL. Returns code, for `return df_error_set(...)`. */
int df_error_set(struct df_error *err, int code, const char *fmt, ...) df_printf(3, 4);
int df_error_setv(struct df_error *err, int code, const char *fmt, va_list args) df_printf(3, 0);

/* Like df_error_set with ": <strerror>" appended and `remote` set to the errno's name (ENOSPC). */
int df_error_errno(struct df_error *err, int code, int errnum, const char *fmt, ...) df_printf(4, 5);

/* Puts "<fmt...>: " before the text that is there; code and remote stay. Returns err->code (DF_ERR_UNKNOWN if NULL). */
int df_error_prefix(struct df_error *err, const char *fmt, ...) df_printf(2, 3);

void df_error_remote(struct df_error *err, const char *remote_code);

/* Out of memory, with a constant text. */
int df_error_no_memory(struct df_error *err);

/* The public name of the errors reference: "connection_error", "timeout", "auth_error", "constraint_violation",
 * "invalid_data", "transient", "context_canceled", "unknown". Static storage. */
const char *df_code_name(int code);

/* May the same operation succeed later without a person doing anything? connection, timeout, transient;
 * and denied, for which one is awaited. */
bool df_code_retryable(int code);

/* Is the message itself the reason (and the rest of its batch is not)? constraint, invalid_data. */
bool df_code_poison(int code);

#pragma GCC visibility pop

#endif
