/* What rules about sources and sinks alike share: an instance of either, an operation that must end in time. */
#ifndef DF_CONFORMANCE_INSTANCE_H
#define DF_CONFORMANCE_INSTANCE_H

#include "conformance/stage.h"

/* How soon close, and what it interrupts, must return: options.soon_ns. */
int64_t df_soon_ns(const struct df_stage *st);
/* How long a write is left alone whose results close may have forgotten, until it is cancelled. */
#define DF_FORGOTTEN_NS (1 * DF_NS_PER_S)

struct df_instance {
	enum df_component_kind kind;
	struct df_source *source; /* of these two one */
	struct df_sink *sink;
};

/* Made of the manifest's settings, not connected; once as in df_connector_env. */
struct df_instance df_instance_new(struct df_stage *st, enum df_component_kind kind, bool once);
struct df_instance df_instance_of(struct df_stage *st, const struct df_component *component, bool once);
/* What the connector returned. ctx may be NULL: 30 s. */
int df_instance_connect(struct df_stage *st, struct df_instance *i, struct df_context *ctx, struct df_error *err);
/* Fails the rule when it takes longer than df_soon_ns. Any thread. */
int df_instance_close(struct df_stage *st, struct df_instance *i, struct df_error *err);
void df_instance_free(struct df_instance *i);
/* Made and connected; fails the rule when connect does. */
struct df_instance df_instance_connected(struct df_stage *st, enum df_component_kind kind, bool once);
/* Closed and freed; fails the rule when close does. */
void df_instance_end(struct df_stage *st, struct df_instance *i);

/* A source is read to its end, a sink writes one row and syncs. 0, or what it returned. Leaves nothing in the stage's
 * arena. */
int df_instance_try(struct df_stage *st, struct df_instance *i, struct df_error *err);
/* The same, but a source that has no end is not read. */
int df_instance_use(struct df_stage *st, struct df_instance *i, struct df_error *err);

bool df_has_side(struct df_stage *st, enum df_component_kind kind);
/* Rows can be put where the source finds them. */
bool df_can_feed(struct df_stage *st);
/* Puts a few there when they can: a source needs something to connect to. */
void df_prepare_rows(struct df_stage *st);

/* Runs fn for the source and for the sink of the manifest. What it returns says why it could not be tried with that
 * side, NULL: it was. Not applicable when it was with none. Before that, df_prepare_rows. */
void df_each_side(struct df_stage *st, const char *(*fn)(struct df_stage *st, enum df_component_kind kind));

/* ---- operations in threads of their own ------------------------------------------------------------------ */

struct df_task;

/* fn runs in a thread; what it returns and its error are kept. */
struct df_task *df_task_start(struct df_stage *st, int (*fn)(void *arg, struct df_error *err), void *arg);
/* Waits at most so long for it to end. False: it still runs. */
bool df_task_wait(struct df_task *t, int64_t ns);
/* The same, and fails the rule with `what` when it still runs; gives what it returned and frees the task. */
int df_task_end(struct df_stage *st, struct df_task *t, int64_t ns, const char *what, struct df_error *err);

/* ---- servers that do not serve --------------------------------------------------------------------------- */

/* HOST:PORT of a socket that accepts and never answers; it ends with the rule. */
const char *df_silent_address(struct df_stage *st);
/* HOST:PORT where nobody listens. */
const char *df_closed_address(struct df_stage *st);

#endif
