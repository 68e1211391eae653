/* DataFlow and DataFlowCron, group dataflow.dataflow.io/v1, as field tables: the manifest reference, sections 1 to 6.
 */
#ifndef DF_API_V1_DATAFLOW_H
#define DF_API_V1_DATAFLOW_H

#include "spec/secrets.h"
#include "spec/spec.h"
#include "spec/yaml.h"

#define DF_API_GROUP "dataflow.dataflow.io"
#define DF_API_VERSION "dataflow.dataflow.io/v1"

/* Beside `type` in `errors`. */
struct df_errors_extra {
	char *ack_policy; /* afterWrite, never, afterMainSinkSuccess */
};

struct df_maintenance {
	char *start_time, *repeat, *timezone, *description;
	struct df_duration duration;
	struct df_opt_bool suspended;
};

/* How writes that fail, and connections that are lost, are tried again. */
struct df_retry_settings {
	int32_t attempts;				 /* 0: no limit */
	struct df_duration initial, max, total, connect; /* total 0: no limit */
};

struct df_dataflow_spec {
	struct df_component source;
	struct df_component sink;
	struct df_components transformations;
	struct df_component errors; /* extra: struct df_errors_extra */
	struct df_raw resources, node_selector, affinity, tolerations, image_pull_secrets;
	char *processor_image, *processor_version;
	bool checkpoint_persistence;
	bool checkpoint_sync_on_ack;
	struct df_duration checkpoint_save_interval;
	bool checkpoint_reset;
	char *ack_granularity; /* batch, message */
	bool collapse_batch_on_message_ack;
	int32_t channel_buffer_size;
	int32_t transform_workers;
	int32_t replicas;
	bool strict_idempotency;
	struct df_object retry;	      /* struct df_retry_settings; see df_flow_retry */
	char *on_error;		      /* stop, drop */
	struct df_raw memory_limit;   /* see df_flow_memory_limit */
	int64_t max_message_bytes;    /* 0: the memory limit */
	struct df_object maintenance; /* struct df_maintenance */
	int64_t termination_grace_period_seconds;
	struct df_opt_bool suspended;
	struct df_raw lifecycle;
};

struct df_trigger {
	char *image, *name;
	struct df_strings command, args;
	struct df_raw env, resources;
	char *image_pull_policy;
};

/* Begins with a DataFlow's spec, so that a pointer to it is a pointer to one. */
struct df_dataflowcron_spec {
	struct df_dataflow_spec flow;
	char *schedule;
	char *time_zone;
	char *concurrency_policy;
	struct df_opt_int successful_jobs_history_limit, failed_jobs_history_limit;
	struct df_opt_int64 starting_deadline_seconds;
	bool suspend;
	struct df_objects triggers; /* struct df_trigger */
};

/* spec.retry, or its defaults. */
const struct df_retry_settings *df_flow_retry(const struct df_dataflow_spec *spec);
/* spec.memoryLimit in bytes; 0: not written. */
int64_t df_flow_memory_limit(const struct df_dataflow_spec *spec);

extern const struct df_table df_dataflow_table;	    /* struct df_dataflow_spec */
extern const struct df_table df_dataflowcron_table; /* struct df_dataflowcron_spec */

enum df_manifest_kind { DF_KIND_DATAFLOW, DF_KIND_DATAFLOWCRON };

struct df_manifest {
	enum df_manifest_kind kind;
	char *name;
	char *namespace; /* "default" when the manifest names none */
	char *file;
	uint32_t line;			  /* of the document */
	uint64_t fingerprint;		  /* another one when anything changed: the document, a Secret it uses */
	struct df_dataflowcron_spec spec; /* .flow alone for a DataFlow */
};

struct df_manifests {
	struct df_manifest *items;
	size_t count;
};

struct df_manifest_options {
	const struct df_registry *registry;
	const char *secrets_dir; /* --secrets; may be NULL */
	const char *const *sets; /* --set assignments, applied to every DataFlow and DataFlowCron document */
	const char *set_name;	 /* or only to those of this name; may be NULL */
	size_t set_count;
	bool resolve_secrets;	   /* false: only those to Secrets of the same file, the others are kept (validate) */
	bool transformations_only; /* `transform`: the file may also be a bare list of transformations, and source and
				      sink may be absent */
	bool unknown_keys_warn;
};

/*
 * Loads every DataFlow and DataFlowCron of a YAML or JSON file (several documents; `kind: Secret` documents resolve
 * references; other kinds are a warning). A file without any manifest is an error. Usable only when diags has no error.
 */
void df_manifests_load(const char *file, const struct df_manifest_options *options, struct df_manifests *ret,
		       struct df_diags *diags);
void df_manifests_done(struct df_manifests *manifests);

/* The rules that look across the whole spec: strictIdempotency, replicas, a source without end in a cron. (Those of one
 * object, such as maintenance, the schedule, and batches, are rules of its table and run when it is parsed.) Called by
 * df_manifests_load when the spec has no error; the webhook calls it on its own. */
void df_manifest_check(enum df_manifest_kind kind, const struct df_dataflowcron_spec *spec,
		       const struct df_place *place, struct df_diags *diags);

/* Every sink of a flow that has a type: the main one, those of routes, the error sink; in this order. */
enum df_sink_role { DF_SINK_MAIN, DF_SINK_ROUTE, DF_SINK_ERRORS };
typedef void df_sink_visit(void *arg, const struct df_component *sink, enum df_sink_role role);
void df_flow_each_sink(const struct df_dataflow_spec *spec, df_sink_visit *visit, void *arg);

/* config/crd/<name>.yaml: name is "dataflows" or "dataflowcrons". */
void df_generate_crd(enum df_manifest_kind kind, const struct df_registry *registry, struct df_buf *buf);
/* docs/reference/manifest.md. */
void df_generate_manifest_docs(const struct df_registry *registry, struct df_buf *buf);
/* The editors' JSON Schema of a manifest file (DataFlow or DataFlowCron). */
void df_generate_manifest_schema(const struct df_registry *registry, struct df_buf *buf);

#endif
