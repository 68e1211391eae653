/*
 * Where a checkpoint is kept. The checkpoint is one JSON object keyed by source type (connectors reference, section 3);
 * keys of other types survive. Stores: a local directory here, a ConfigMap later.
 */
#ifndef DF_PROCESSOR_CHECKPOINT_H
#define DF_PROCESSOR_CHECKPOINT_H

#include "base/cleanup.h"
#include "value/value.h"

struct df_checkpoint_store {
	/* The whole checkpoint in the arena; {} when there is none yet. DF_ERR_CONFIG when it is damaged: the text
	 * names the place and the way out. */
	int (*load)(struct df_checkpoint_store *store, struct df_arena *arena, struct df_value **ret,
		    struct df_error *err);
	/* Durable on return. DF_ERR_TRANSIENT (disk full), DF_ERR_UNKNOWN. The old one stays when it fails. */
	int (*save)(struct df_checkpoint_store *store, const struct df_value *checkpoint, struct df_error *err);
	void (*free)(struct df_checkpoint_store *store);
};

/*
 * DIR/<namespace>/<name>/checkpoint.json, written to a temporary file, fsynced and renamed. Holds a lock on the
 * directory's `lock` file for its lifetime: a second process with the same flow gets DF_ERR_CONFIG. Creates directories
 * (0700).
 */
int df_checkpoint_directory_open(const char *dir, const char *namespace, const char *name,
				 struct df_checkpoint_store **ret, struct df_error *err) df_must_check;

/* Where that file is; the caller frees. NULL when out of memory. */
char *df_checkpoint_directory_path(const char *dir, const char *namespace, const char *name);

void df_checkpoint_store_free(struct df_checkpoint_store *store); /* accepts NULL */
DF_DEFINE_CLEANUP(struct df_checkpoint_store *, df_checkpoint_store_free)

#endif
