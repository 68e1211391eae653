/*
 * What a pod has mounted: one spec, and the Secrets that it names as files. The spec stays as it was at the start; what
 * its references lead to is looked at again, for the kubelet puts new values in place of old ones.
 */
#ifndef DF_CMD_MOUNTED_H
#define DF_CMD_MOUNTED_H

#include "api/v1/dataflow.h"

struct df_mounted;

struct df_mounted_options {
	const char *spec_path;	 /* JSON, the spec alone */
	const char *namespace;	 /* the flow's */
	const char *secrets_dir; /* DIR/<secret>/<key> */
};

/* Reads the spec with the values of its references. NULL when it cannot run: diags has an error, or is failed. What
 * options point to is borrowed. */
struct df_mounted *df_mounted_open(const struct df_mounted_options *options, struct df_diags *diags);
void df_mounted_free(struct df_mounted *m); /* accepts NULL */

/* As it was read last; until df_mounted_renew. */
const struct df_dataflow_spec *df_mounted_spec(const struct df_mounted *m);
/* Does it use a Secret at all? */
bool df_mounted_has_secrets(const struct df_mounted *m);

/* The spec with the values as they are now. */
struct df_reading;

/*
 * NULL: every value is what it was, or one cannot be used any more (missing, empty, not valid for its field), which
 * diags says. `what` (256 bytes) gets the Secret and key of the first that changed. Never a value in a text.
 */
struct df_reading *df_mounted_look(const struct df_mounted *m, char *what, struct df_diags *diags);
struct df_dataflow_spec *df_reading_spec(struct df_reading *reading);
void df_reading_free(struct df_reading *reading); /* accepts NULL */
/* The reading is what the spec is from now on; the one before, which nobody may use any more, is freed. */
void df_mounted_renew(struct df_mounted *m, struct df_reading *reading);

#define DF_MOUNTED_WHAT 256

#endif
