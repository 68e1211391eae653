/*
 * Chain: the transformations of a manifest, compiled, applied to whole batches in order. One thread; a worker has a
 * chain of its own. Output order is input order; outputs of one message stand together.
 */
#ifndef DF_TRANSFORMERS_CHAIN_H
#define DF_TRANSFORMERS_CHAIN_H

#include "transformers/interface.h"

struct df_chain;

struct df_route {
	struct df_str condition; /* as written; borrowed from the settings */
	const struct df_component *sink;
};

/* One batch's way through one transformer. */
struct df_chain_pass {
	size_t in, out;
	int64_t start_ns, end_ns; /* monotonic */
};

/*
 * What happens to messages on the way. Called on the chain's thread; the message is valid only during the call. It
 * stands in the array of the batch where it stood before the transformer (dropped, failed, split) or stands behind it
 * (step).
 */
struct df_chain_events {
	void *arg;
	void (*dropped)(void *arg, struct df_message *m, size_t transformer);
	/* The message is as it entered the transformer. 0 goes on without it, a negative code ends df_chain_run with
	 * it. */
	int (*failed)(void *arg, struct df_message *m, size_t transformer, const struct df_error *err);
	/* m became n >= 1 messages (before any of them is dropped or fails); may be NULL */
	void (*split)(void *arg, const struct df_message *m, size_t n);
	/* after each transformer, for --explain; may be NULL */
	void (*step)(void *arg, const struct df_message *m, size_t transformer);
	/* once a batch, after each transformer, for metrics; may be NULL */
	void (*passed)(void *arg, const struct df_batch *batch, size_t transformer, const struct df_chain_pass *pass);
};

struct df_transformer_stats {
	uint64_t executions, in, out, dropped, errors; /* messages */
	int64_t duration_ns;			       /* wall, by batch */
};

/* list outlives the chain; empty is fine. Problems go to diags. DF_ERR_NO_MEMORY, DF_ERR_CONFIG (told in diags). */
int df_chain_new(const struct df_components *list, const struct df_clock *clock, struct df_chain **ret,
		 struct df_diags *diags) df_must_check;
/* What only compiling finds (conditions, pairs of renames) goes to diags; nothing when there are errors already. */
void df_chain_check(const struct df_components *list, struct df_diags *diags);
void df_chain_free(struct df_chain *chain);
DF_DEFINE_CLEANUP(struct df_chain *, df_chain_free)

/* Replaces the messages of the batch by the chain's outputs. Messages with `failure` set are given to events->failed
 * with transformer SIZE_MAX (stage `decode`). 0, what `failed` returned, or DF_ERR_NO_MEMORY. */
int df_chain_run(struct df_chain *chain, struct df_batch *batch, const struct df_chain_events *events,
		 struct df_error *err) df_must_check;

size_t df_chain_length(const struct df_chain *chain);
const char *df_chain_type_name(const struct df_chain *chain, size_t transformer);
const struct df_transformer_stats *df_chain_stats(const struct df_chain *chain, size_t transformer);
/* Of a chain that this one takes the place of; before it is used. */
void df_chain_add_stats(struct df_chain *chain, size_t transformer, const struct df_transformer_stats *stats);

/* All routes of all routers, in order: message.route r is entry r - 1. In the chain. */
size_t df_chain_routes(const struct df_chain *chain, const struct df_route **ret);

#endif
