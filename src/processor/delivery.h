/*
 * What a manifest promises about its messages, and why: from the facts that the descriptors of its connectors give
 * (keeps_position, repeatable, loses, transactional ...), never from a list of types. For `dataflow explain` and the
 * status of a flow. And what it promises in vain.
 */
#ifndef DF_PROCESSOR_DELIVERY_H
#define DF_PROCESSOR_DELIVERY_H

#include "api/v1/dataflow.h"
#include "connectors/interface.h"

/* From the strongest to the weakest. */
enum df_delivery_level {
	DF_DELIVERY_EXACTLY_ONCE,     /* rows and position are stored in one transaction */
	DF_DELIVERY_EFFECTIVELY_ONCE, /* after a crash written again, and there once all the same */
	DF_DELIVERY_AT_LEAST_ONCE,    /* after a crash some stand there twice */
	DF_DELIVERY_BEST_EFFORT,      /* some may be missing */
};

struct df_delivery_reason {
	const char *place; /* "source", "sink", "route", "errors", "stop", "crash" ...: constant */
	const char *type;  /* of the connector there, or NULL; borrowed from the spec */
	bool weakens;	   /* without it the guarantee would be stronger, or a restart cheaper */
	const char *text;  /* one sentence; in the arena */
	const char *fix;   /* what to write instead; constant, or NULL */
};

#define DF_DELIVERY_REASONS 64

struct df_delivery {
	enum df_delivery_level level;
	struct df_delivery_reason reasons[DF_DELIVERY_REASONS];
	size_t count;
};

/* "exactly-once", "effectively-once", "at-least-once", "best-effort". Static. */
const char *df_delivery_name(enum df_delivery_level level);
/* What it means, in a sentence. Static. */
const char *df_delivery_meaning(enum df_delivery_level level);

/* spec: checked. Texts go into the arena. DF_ERR_NO_MEMORY. */
int df_delivery_explain(const struct df_dataflow_spec *spec, struct df_arena *arena, struct df_delivery *ret,
			struct df_error *err) df_must_check;

/* Settings that no sink can be exactlyOnce with, each told at its sink; as far as it is known without opening anything.
 * spec: checked. */
void df_delivery_check(const struct df_dataflow_spec *spec, struct df_diags *diags);
/* The same for a main sink that is transactional, and this source. DF_ERR_CONFIG, or 0. */
int df_delivery_conflict(const struct df_dataflow_spec *spec, const struct df_source_ops *source,
			 const struct df_sink_ops *sink, struct df_error *err) df_must_check;

#endif
