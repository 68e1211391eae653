/* What the files of the jq driver share; built when libjq is there. */
#ifndef DF_TRANSFORMERS_JQ_INTERNAL_H
#define DF_TRANSFORMERS_JQ_INTERNAL_H

#include <jv.h>

#include "transformers/jq_settings.h"

/* jq_convert.c: documents to libjq's values and back. Recursive as deep as the document. */

/*
 * Keys of earlier messages. They save time; above all, libjq 1.6 forgets a reference to a key each time that a program
 * leaves
 * `.[]` of an object early (`first(.[])`, an error in it), which is no leak worth the name while it is the same few
 * strings.
 */
#define DF_JQ_KEYS 256
struct df_jq_keys {
	jv slots[DF_JQ_KEYS]; /* strings; all zero: none (JV_KIND_INVALID) */
};
void df_jq_keys_done(struct df_jq_keys *keys);

/* *ret is to be freed with jv_free. DF_ERR_INVALID_DATA: jq would change a number or a text of the document (only
 * without allow_lossy), or it is too large; the error names its place in `what` ("the payload"). */
int df_jq_from_value(struct df_value *v, bool allow_lossy, const char *what, struct df_jq_keys *keys,
		     struct df_arena *arena, jv *ret, struct df_error *err) df_must_check;

/* A copy of v, which is consumed. *budget is lowered by the memory it takes. DF_ERR_INVALID_DATA: over the budget,
 * nested too deep, or a number that JSON does not have (only without allow_lossy). */
int df_jq_to_value(jv v, bool allow_lossy, struct df_arena *arena, int64_t *budget, struct df_value **ret,
		   struct df_error *err) df_must_check;

/* jq_error.c: what may be said of libjq's messages. They quote values of the payload, which must not be told. */

/* Of a failure at run time: one of a fixed set of texts, or a text that stands as a literal in the program. Written to
 * out, which it returns. message is borrowed. */
const char *df_jq_failure(jv message, const char *program, char *out, size_t out_size);

/* Of a failure to compile, without libjq's decoration and without the line of the program: "line 3: ...". An empty text
 * when there is nothing to tell. Written to out, which it returns. message is borrowed. */
const char *df_jq_compile_failure(jv message, char *out, size_t out_size);

/* Names in the place of functions that a pipeline must not call begin with this; see jq_run.c. */
#define DF_JQ_BLOCKED "_df_blocked_"

/*
 * jq_watch.c: a thread that calls `fire` when the work of another takes longer than timeout_ns. It sleeps while nothing
 * is to be watched, and wakes at most once in timeout_ns otherwise. One thread arms and disarms.
 */
struct df_jq_watch;

/* DF_ERR_NO_MEMORY also when no thread can be started. */
int df_jq_watch_new(int64_t timeout_ns, void (*fire)(void *arg), void *arg, struct df_jq_watch **ret) df_must_check;
void df_jq_watch_free(struct df_jq_watch *w); /* not armed; accepts NULL */
void df_jq_watch_arm(struct df_jq_watch *w);
/* When it returns, `fire` has been called and has returned (true), or will not be called (false). */
bool df_jq_watch_disarm(struct df_jq_watch *w);

#endif
