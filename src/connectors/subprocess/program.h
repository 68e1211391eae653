/* A program that was found: what it is as a connector. */
#ifndef DF_CONNECTORS_SUBPROCESS_PROGRAM_H
#define DF_CONNECTORS_SUBPROCESS_PROGRAM_H

#include "connectors/interface.h"
#include "connectors/subprocess/limits.h"

/* Made once when it is registered, never freed: the registry borrows it. */
struct df_program {
	struct df_connector connector;	     /* env.connector points here */
	struct df_sink_ops sink_ops;	     /* with the batching of the type that it takes the place of */
	const struct df_connector *replaced; /* NULL: a type of its own */
	char *path;
	const char *type;
	struct df_program_limits limits;
	struct df_type source, sink; /* of a type of its own */
	struct df_arena description; /* what they point to */
};

static inline const struct df_program *df_program_of(const struct df_connector_env *env)
{
	return DF_CONTAINER_OF(env->connector, struct df_program, connector);
}

extern const struct df_source_ops df_program_source_ops;
extern const struct df_sink_ops df_program_sink_ops;

/* May this file be run? Owned by root or the user, and nobody else can have written it. DF_ERR_CONFIG, with the fix. */
int df_program_check_file(const char *path, struct df_error *err) df_must_check;

#endif
