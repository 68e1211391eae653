/*
 * The transformer contract. A transformer is compiled once from its settings and then applied to one message after the
 * other by one thread; each worker thread has instances of its own.
 *
 * One file a transformer, one row in src/transformers/list.h. The settings table is the `type` of its descriptor.
 *
 * A document may point to text that belongs to a transformer (keys of its paths, its cache of new names) or to its
 * settings: whoever frees a chain frees all batches that went through it before, and the settings after it.
 */
#ifndef DF_TRANSFORMERS_INTERFACE_H
#define DF_TRANSFORMERS_INTERFACE_H

#include "base/cleanup.h"
#include "base/clock.h"
#include "message/message.h"
#include "spec/spec.h"

struct df_transformer_type;

/* First member of every transformer's own struct. */
struct df_transformer {
	const struct df_transformer_type *type;
	unsigned first_route; /* router: message.route of its route i is first_route + i; set by the chain */
};

/* What one call may use. */
struct df_transform {
	struct df_arena *arena; /* the message's; everything that the message keeps comes from here */
	const struct df_clock *clock;
	struct df_batch *out; /* where df_transform_output puts messages */
};

enum df_verdict {
	DF_KEEP = 0,  /* this message goes on, changed in place or not */
	DF_DROP = 1,  /* filtered: dropped on purpose */
	DF_SPLIT = 2, /* the outputs made with df_transform_output go on instead (one or more) */
};

struct df_transformer_type {
	struct df_type type;

	/* Compiles. What the table could not check (a condition, a pair of renames) is reported to diags with the
	 * place, and *ret stays NULL then. settings outlives the transformer. DF_ERR_NO_MEMORY, DF_ERR_CONFIG (told in
	 * diags). */
	int (*create)(const void *settings, const struct df_place *place, struct df_transformer **ret,
		      struct df_diags *diags);

	/*
	 * An enum df_verdict, or a negative code: the message is poison. A call that fails must leave the message as it
	 * was: check first, change afterwards. DF_ERR_INVALID_DATA names path and what was found; DF_ERR_NO_MEMORY
	 * stops the pipeline. The call must not keep pointers into the message.
	 */
	int (*apply)(struct df_transformer *t, const struct df_transform *call, struct df_message *m,
		     struct df_error *err);

	void (*free)(struct df_transformer *t); /* accepts NULL */

	/* Routers: the i-th route's condition text and sink; false past the end. NULL for all others. */
	bool (*route)(const void *settings, size_t i, struct df_str *ret_condition,
		      const struct df_component **ret_sink);
};

/* One more output of DF_SPLIT: a copy of `m` without payload and document (metadata, key, headers, partition, times
 * shared). The caller gives it a document. NULL when out of memory. Moves earlier outputs of this call. */
struct df_message *df_transform_output(const struct df_transform *call, const struct df_message *m);

/* The object root of a message, or NULL when the payload is empty, not JSON, or another kind: most transformers pass
 * those unchanged (transformations reference, section 1). DF_ERR_INVALID_DATA when it nests too deep. */
static inline int df_transform_object(const struct df_transform *call, struct df_message *m, struct df_value **ret,
				      struct df_error *err)
{
	int r = df_message_document(m, call->arena, ret, err);

	if (r == 0 && *ret && (*ret)->kind != DF_OBJECT)
		*ret = NULL;
	return r;
}

#endif
