/* What the tests of connectors share: components made from JSON, an emitter that collects, writes with their results.
 */
#ifndef DF_TEST_CONNECTORS_HARNESS_H
#define DF_TEST_CONNECTORS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "connectors/base.h"
#include "connectors/factory.h"

struct harness {
	struct df_connector_env env; /* once is true; change it before making a component */
	struct df_emitter emitter;   /* 100 messages, 64 KiB a batch */
	struct df_batch_pool *pool;
	struct df_ledger *ledger;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct df_batch *first, *last; /* what was emitted */
	size_t batches, messages, idles;
	int patience;	     /* for harness_await, in seconds; 10 */
	size_t refuse_after; /* emit blocks, until cancelled, when there are that many messages; 0: never */

	struct df_component component; /* of the last source or sink made */
};

void harness_init(struct harness *h);
void harness_done(struct harness *h); /* the connectors must be free */

/* text is printf-like JSON: {"type": ..., "config": {...}}, in which ' stands for ". The settings live until
 * harness_done or the next component. */
struct df_source *harness_source(struct harness *h, const char *text, ...) df_printf(2, 3);
struct df_sink *harness_sink(struct harness *h, const char *text, ...) df_printf(2, 3);
/* As harness_source; the first diagnostic of settings that are refused. The caller frees. */
char *harness_refused(enum df_component_kind kind, const char *text, ...) df_printf(2, 3);

/* Connects and reads until the source ends; both must succeed. */
void harness_read(struct harness *h, struct df_source *s);
/* The same, but read must fail; err is what it said. */
int harness_read_fails(struct harness *h, struct df_source *s, struct df_error *err);
/* Waits (h->patience at most) until so many messages were emitted. */
void harness_await(struct harness *h, size_t messages);

struct df_message *harness_message(struct harness *h, size_t i);
/* The payload as it leaves; static storage. */
const char *harness_payload(struct harness *h, size_t i);
/* The text of message i's failure, "" when it has none. */
const char *harness_failure(struct harness *h, size_t i);

/* All messages so far are done: their positions are committed; the checkpoint as JSON. The caller frees. */
char *harness_commit(struct harness *h, struct df_source *s);
/* Makes the messages from i on, n of them, done and commits. */
char *harness_commit_some(struct harness *h, struct df_source *s, size_t i, size_t n);
/* Gives a source the checkpoint. */
int harness_restore(struct df_source *s, const char *checkpoint, struct df_error *err);

/* A source that is read by a thread of its own. */
struct harness_reader {
	struct harness *h;
	struct df_source *s;
	struct df_context *ctx;
	pthread_t thread;
	int result;
	struct df_error err;
};
void harness_start(struct harness_reader *r, struct harness *h, struct df_source *s);
int harness_stop(struct harness_reader *r); /* cancels; what read returned */

/* Writes these payloads as one write; returns what df_write_run does. results, when not NULL, gets each message's text
 * ("" when it was written), to be freed by the caller. */
int harness_write(struct df_sink *s, const char *const *payloads, size_t count, char **results, struct df_error *err);

/* A directory of the test, made anew; static storage. */
const char *harness_directory(void);
/* Its files; static storage of a few calls. */
const char *harness_path(const char *name);
void harness_put(const char *path, const char *content);
void harness_put_bytes(const char *path, const void *data, size_t len);
void harness_append(const char *path, const char *content);
char *harness_get(const char *path); /* heap; NULL when there is no file */

#endif
