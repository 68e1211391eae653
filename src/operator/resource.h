/* A DataFlow or DataFlowCron of the cluster, parsed and checked as `dataflow validate` does, and what its processors
 * are given of it. */
#ifndef DF_OPERATOR_RESOURCE_H
#define DF_OPERATOR_RESOURCE_H

#include "operator/reconcile.h"

/* One Secret that the spec refers to, with the keys in use, sorted. */
struct df_secret_use {
	const char *namespace; /* another one than the resource's; else NULL */
	const char *name;
	const char **keys;
	size_t key_count;
	const char *path; /* of the first reference: "spec.sink.config.passwordSecretRef" */
};

struct df_resource {
	enum df_manifest_kind kind;
	struct df_value *object; /* as the API has it */
	const char *namespace, *name, *uid;
	int64_t generation;
	bool deleting;
	struct df_dataflowcron_spec spec; /* .flow alone for a DataFlow; references kept, nothing resolved */
	struct df_diags diags;		  /* with an error: the rest below is not set, and spec must not be used */
	struct df_str spec_json;	  /* what the processor reads: canonical, references kept */
	char spec_hash[65];
	struct df_secret_use *secrets; /* sorted by namespace (NULL first) and name */
	size_t secret_count;
	bool checkpoint; /* it has a checkpoint ConfigMap, and with it ServiceAccount, Role and RoleBinding */
	bool position;	 /* the source keeps a position there: Lease, and the pod has a token */
};

/* Of its spec. */
const struct df_table *df_resource_table(enum df_manifest_kind kind);

/* object: borrowed for the resource's life, in `arena` as all that is made here. DF_ERR_NO_MEMORY, or 0; what is wrong
 * with the spec stands in diags, with paths. df_resource_done in any case. */
int df_resource_parse(enum df_manifest_kind kind, struct df_value *object, struct df_arena *arena,
		      struct df_resource *ret, struct df_error *err) df_must_check;
/* Of an object that is not stored yet: unknown keys are errors, not warnings. */
int df_resource_parse_new(enum df_manifest_kind kind, struct df_value *object, struct df_arena *arena,
			  struct df_resource *ret, struct df_error *err) df_must_check;
void df_resource_done(struct df_resource *resource); /* accepts a zeroed one */

/* The number of pods that it shall have when nothing pauses it. */
int64_t df_resource_replicas(const struct df_resource *resource);

#endif
