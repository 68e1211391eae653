/* What must not be shown: the values of secret settings, wherever a program's texts repeat them. */
#ifndef DF_CONNECTORS_SUBPROCESS_SECRETS_H
#define DF_CONNECTORS_SUBPROCESS_SECRETS_H

#include "spec/spec.h"

struct df_hidden {
	char **values; /* the longest first */
	size_t count;
	bool failed; /* out of memory: nothing may be shown */
};

/* Every secret value in the settings. DF_ERR_NO_MEMORY. done wipes; it accepts a zeroed one. */
int df_hidden_init(struct df_hidden *hidden, const struct df_table *table, const void *settings,
		   struct df_error *err) df_must_check;
void df_hidden_done(struct df_hidden *hidden);

/* Appends text with every secret value replaced by "***". */
void df_hidden_write(const struct df_hidden *hidden, struct df_str text, struct df_buf *buf);

#endif
