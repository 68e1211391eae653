/* Running one flow until it ends: what `run` and `processor` share. */
#ifndef DF_CMD_FLOW_H
#define DF_CMD_FLOW_H

#include "cmd/common.h"
#include "cmd/progress.h"

struct df_flow_options {
	const struct df_dataflow_spec *spec;
	const char *namespace, *name;
	const char *state_dir; /* NULL: positions are not kept */
	bool once;
	uint64_t limit;
	uint64_t dry_run;	  /* results to show instead of writing; 0: write */
	uint64_t grace_seconds;	  /* 0: the default */
	const char *metrics;	  /* where metrics and health are served, "[HOST:]PORT"; NULL: nowhere */
	const char *metrics_host; /* when that has no host; NULL: all addresses */
	enum df_progress_mode progress;
	bool summary;
};

/* An enum df_exit; everything was said on stderr. */
int df_flow_run(const struct df_flow_options *options);

#endif
