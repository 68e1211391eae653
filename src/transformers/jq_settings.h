/* jq's settings (jq.c, always built) and its driver (jq_run.c, built when libjq is there). */
#ifndef DF_TRANSFORMERS_JQ_SETTINGS_H
#define DF_TRANSFORMERS_JQ_SETTINGS_H

#include "transformers/interface.h"

struct df_jq_settings {
	char *program;
	bool allow_lossy;
	struct df_duration timeout;
	int32_t max_outputs;
	int64_t max_output_bytes;
};

/* As in struct df_transformer_type. */
int df_jq_create(const void *settings, const struct df_place *place, struct df_transformer **ret,
		 struct df_diags *diags);
int df_jq_apply(struct df_transformer *t, const struct df_transform *call, struct df_message *m, struct df_error *err);
void df_jq_free(struct df_transformer *t);

#endif
