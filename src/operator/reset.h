/* Taking a checkpoint back to the beginning: `checkpointReset: true`, or the annotation (kubernetes reference, section
 * 6). */
#ifndef DF_OPERATOR_RESET_H
#define DF_OPERATOR_RESET_H

#include "operator/resource.h"

enum df_reset {
	DF_RESET_NONE,	  /* nothing was asked for, or it is done */
	DF_RESET_WAITING, /* pods must go first: no pod may be started meanwhile */
};

/* ---- pure parts ------------------------------------------------------------------------------------------ */

/* How it was asked for. */
struct df_reset_wish {
	bool field;	     /* spec.checkpointReset */
	bool annotation;     /* its value is "true": taken away afterwards, as the field */
	struct df_str token; /* any other value: once for each new one, and it stays; ptr NULL: none */
};

struct df_reset_wish df_reset_wish(const struct df_resource *resource, struct df_arena *arena);

/* Why a reset would do nothing: the position is not in the checkpoint. Arena; NULL: it is. */
const char *df_reset_pointless(const struct df_resource *resource, struct df_arena *arena);

/* The merge patch of the checkpoint ConfigMap: the entry of the source type out of checkpoint.json, to
 * checkpoint.previous.json; the fence one higher, so that no processor that slept writes it back; the stamp, the
 * token. */
int df_reset_patch(const struct df_value *configmap, const char *source_type, struct df_str token, int64_t now,
		   struct df_arena *arena, struct df_value **ret, struct df_error *err) df_must_check;

/* The JSON patch that clears field and annotation if they are as seen. *ret NULL: nothing is to be cleared. */
int df_reset_clear(const struct df_resource *resource, const struct df_reset_wish *wish, struct df_arena *arena,
		   struct df_value **ret, struct df_error *err) df_must_check;

/* ---- the reset ------------------------------------------------------------------------------------------- */

/* quiet: no processor of the resource is running any more. When it is not, a wish gives DF_RESET_WAITING. When it is:
 * takes the entry out, stamps, clears the wish (in this order, so that a crash in between only repeats), gives
 * DF_RESET_NONE; the resource has the version and the generation that clearing made. Kafka sources: cleared, Event
 * CheckpointResetIgnored. */
int df_reset_checkpoint(struct df_reconcile *r, struct df_resource *resource, bool quiet, enum df_reset *ret,
			struct df_error *err) df_must_check;

#endif
