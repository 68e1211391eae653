/* The connectors of this program, from src/connectors/list.h, and how to make one by its type. */
#ifndef DF_CONNECTORS_FACTORY_H
#define DF_CONNECTORS_FACTORY_H

#include "connectors/interface.h"

/* All source or sink types in the order of the list, also those without a driver. Static. */
const struct df_type *const *df_source_types(size_t *ret_count);
const struct df_type *const *df_sink_types(size_t *ret_count);

/*
 * Adds a connector that is not in the list: one that was loaded (plugin.h), or a program (subprocess). Borrowed for
 * ever. Call it before anything else of this header, from one thread. DF_ERR_CONFIG: its type's name is taken, or there
 * are too many. `instead`: of a type in the list, whose driver it takes the place of; the settings stay those of the
 * list, so the descriptor's types are that one's.
 */
int df_connectors_add(const struct df_connector *connector, bool instead, struct df_error *err) df_must_check;

/* Everything that a manifest may name: connectors and transformations. Static. */
const struct df_registry *df_registry(void);

/* The descriptor of a type; NULL when it is unknown. */
const struct df_connector *df_connector_find(enum df_component_kind kind, struct df_str type);
/* Where the position of a source with these settings is kept. A driver that was not built: what its type says. */
enum df_source_position {
	DF_POSITION_NONE,	/* nowhere: it begins anew each time */
	DF_POSITION_OWN,	/* where the source looks itself (a consumer group) */
	DF_POSITION_CHECKPOINT, /* in the checkpoint */
};
enum df_source_position df_source_position(const struct df_component *source);
/* Is the driver in this build? */
bool df_connector_built(enum df_component_kind kind, const struct df_type *type);

/*
 * DF_ERR_CONFIG: `unknown source type: X` (with the nearest known name), `X source configuration is required` when
 * settings is NULL, `this build has no X source (...)` when the driver is not there. sinks alike. settings must outlive
 * the instance.
 */
int df_source_create(struct df_str type, const void *settings, const struct df_connector_env *env,
		     struct df_source **ret, struct df_error *err) df_must_check;
int df_sink_create(struct df_str type, const void *settings, const struct df_connector_env *env, struct df_sink **ret,
		   struct df_error *err) df_must_check;

/* ---- calls that check the op ----------------------------------------------------------------------------- */

void df_source_free(struct df_source *s); /* accepts NULL */
void df_sink_free(struct df_sink *s);

/* ---- for the processor and for tests: running one write
 * -------------------------------------------------------------- */

/* arena gives the result array and is where the sink parses. messages are borrowed until destroy. DF_ERR_NO_MEMORY. */
int df_write_init(struct df_write *w, struct df_message *const *messages, size_t count, struct df_arena *arena,
		  struct df_error *err) df_must_check;
void df_write_destroy(struct df_write *w); /* accepts a zeroed write */

/*
 * Calls the sink's write. 0: every message has a result. DF_WRITE_PENDING: they come later, and on_settled (set before)
 * is called with the last one; in the other cases it may have been called. DF_WRITE_UNDONE: those that were
 * refused have a result. A negative code: the whole write failed, and that is the result of every message that has none
 * of its own.
 */
int df_write_start(struct df_sink *sink, struct df_context *ctx, struct df_write *w,
		   struct df_error *err) df_must_check;
/* Waits for the results of a pending write. A negative code: ctx ended, and that is the result of those that had none
 * yet; later ones are ignored, but w must live until the sink is closed. */
int df_write_finish(struct df_write *w, struct df_context *ctx, struct df_error *err) df_must_check;

/*
 * Both: calls the sink's write and, when it is pending, waits (within ctx) until every message has a result. Afterwards
 * df_write_result gives each. Returns 0 also when single messages failed; a negative code when the whole write failed,
 * and then that is the result of every message that has none of its own. A wait that ctx ended is such a failure:
 * results that come later are ignored, but w must live until the sink is closed.
 */
int df_write_run(struct df_sink *sink, struct df_context *ctx, struct df_write *w, struct df_error *err) df_must_check;

/* NULL: written. Else why not; valid until destroy. After df_write_run, or when all is settled. */
const struct df_error *df_write_result(const struct df_write *w, size_t i);

#endif
