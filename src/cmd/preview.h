/* The sink of --dry-run: shows the first results instead of writing them. */
#ifndef DF_CMD_PREVIEW_H
#define DF_CMD_PREVIEW_H

#include "connectors/factory.h"

struct df_preview {
	uint64_t max; /* results to show; then `enough` is cancelled */
	struct df_context *enough;
	pthread_mutex_t lock; /* one preview serves all outputs */
	uint64_t shown;
};

/* For df_processor_options.make_sink with a struct df_preview as arg. */
int df_preview_make_sink(void *preview, const struct df_component *component, const struct df_connector_env *env,
			 struct df_sink **ret, struct df_error *err);

#endif
