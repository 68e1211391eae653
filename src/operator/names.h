/* What objects, labels and annotations are called (kubernetes reference, section 1). */
#ifndef DF_OPERATOR_NAMES_H
#define DF_OPERATOR_NAMES_H

#include "api/v1/dataflow.h"

#define DF_LABEL(name) DF_API_GROUP "/" name

#define DF_LABEL_NAME DF_LABEL("name")		/* of a DataFlow's objects */
#define DF_LABEL_CRON DF_LABEL("dataflow-cron") /* of a DataFlowCron's */
#define DF_LABEL_OWNED DF_LABEL("owned")
#define DF_LABEL_TRIGGER DF_LABEL("trigger-index") /* "processor" or the index */
#define DF_LABEL_GENERATED DF_LABEL("generated-by")
#define DF_LABEL_RUN DF_LABEL("run-id")
#define DF_ANNOTATION_SPEC_HASH DF_LABEL("spec-hash")
#define DF_ANNOTATION_APPLIED DF_LABEL("applied-hash")
#define DF_ANNOTATION_RESET DF_LABEL("reset-checkpoint")
#define DF_ANNOTATION_RESET_AT DF_LABEL("checkpoint-reset-applied-at")
#define DF_ANNOTATION_RESET_TOKEN DF_LABEL("checkpoint-reset-token")
#define DF_ANNOTATION_FENCE DF_LABEL("fence")
#define DF_ANNOTATION_CHAIN DF_LABEL("chain")
#define DF_ANNOTATION_PROCESSOR_JOB DF_LABEL("processor-job")
#define DF_ANNOTATION_ADOPT DF_LABEL("adopt")

#define DF_FLOW_NAME_MAX 63
#define DF_CRON_NAME_MAX 48
#define DF_OBJECT_NAME_MAX 253

/* The objects of a resource; each name is in the arena. NULL: out of memory. */
enum df_object_name {
	DF_NAME_SPEC,	    /* df-<name>-spec, dfc-<name>-spec */
	DF_NAME_CHECKPOINT, /* df-<name>-checkpoint, both kinds */
	DF_NAME_PROCESSOR,  /* df-<name>-processor: ServiceAccount, Role, RoleBinding, Lease; both kinds */
	DF_NAME_WORKLOAD,   /* df-<name>: Deployment; dfc-<name>: CronJob */
};
const char *df_object_name(enum df_object_name which, enum df_manifest_kind kind, const char *name,
			   struct df_arena *arena);

/* dfc-<name>-<run id>-trigger-<index>; over 63 characters: the first 54, "-", 8 hex digits of SHA-1 of the whole. */
const char *df_trigger_job_name(const char *name, const char *run_id, unsigned index, struct df_arena *arena);
#define DF_MIRROR_PREFIX "dataflow-mirror."
/* dataflow-mirror.<namespace>.<secret> */
const char *df_mirror_name(const char *namespace, const char *secret, struct df_arena *arena);
/* The other way round, into `name`; false: it is no such name. */
bool df_mirror_parse(const char *name, struct df_str *ret_namespace, struct df_str *ret_secret);
/* First 8 hex digits of SHA-1 of the processor Job's name. */
void df_run_id(const char *processor_job, char ret[static 9]);

#endif
