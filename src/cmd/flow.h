/* Running one flow until it ends: what `run` and `processor` share. */
#ifndef DF_CMD_FLOW_H
#define DF_CMD_FLOW_H

#include "cmd/common.h"
#include "cmd/last_words.h"
#include "cmd/mounted.h"
#include "cmd/progress.h"

struct df_flow_options {
	const struct df_dataflow_spec *spec;
	const char *namespace, *name;
	const char *state_dir;	/* NULL: positions are not kept there */
	bool configmap;		/* they are kept in the flow's ConfigMap; state_dir is NULL */
	const char *kubeconfig; /* for that; NULL: as df_kube_config_load */
	bool once;
	uint64_t limit;
	uint64_t dry_run;	  /* results to show instead of writing; 0: write */
	uint64_t grace_seconds;	  /* 0: the default */
	const char *metrics;	  /* where metrics and health are served, "[HOST:]PORT"; NULL: nowhere */
	const char *metrics_host; /* when that has no host; NULL: all addresses */
	enum df_progress_mode progress;
	bool summary;
	size_t memory_limit; /* of the process, in bytes; 0: what the machine says. The manifest's own wins */
	/* Where spec is from: when a Secret that it uses changes, the flow ends in peace and goes on with the new
	 * value, in this process. NULL: nobody looks. */
	struct df_mounted *mounted;
	int64_t look_ns;	 /* how often; 0: every 10 s */
	struct df_flow_end *end; /* gets how it ended; may be NULL */
};

struct df_preview;

/* One run of a flow without what belongs to the process; zeroed is empty. */
struct df_pipeline {
	struct df_checkpoint_store *store; /* NULL: positions are not kept */
	struct df_processor *processor;
};

/* Takes the flow's lock in the state directory, unless p has a store already, and makes the processor; nothing is
 * connected. p: zeroed but for the store. preview: takes the place of the sinks, or NULL. metrics, metrics_host,
 * progress and summary are not looked at, but for whether there are metrics. df_pipeline_done in any case. */
int df_pipeline_open(struct df_pipeline *p, const struct df_flow_options *options, struct df_preview *preview,
		     struct df_diags *diags, struct df_error *err) df_must_check;
/* After the run: another one may take the flow's lock; the processor stays and can be looked at. */
void df_pipeline_unlock(struct df_pipeline *p);
void df_pipeline_done(struct df_pipeline *p);

/* Runs one flow as the whole of this process, with signals. An enum df_exit; everything was said on stderr. */
int df_flow_run(const struct df_flow_options *options);

#endif
