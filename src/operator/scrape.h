/* Asking running processors for their metrics, many at once. */
#ifndef DF_OPERATOR_SCRAPE_H
#define DF_OPERATOR_SCRAPE_H

#include "api/v1/dataflow.h"
#include "base/context.h"

/* One process of one pod that runs. */
struct df_target {
	enum df_manifest_kind kind;
	const char *namespace, *name; /* of the DataFlow or DataFlowCron */
	const char *pod, *uid;
	const char *url;
	int32_t restarts;
};

struct df_scrape_options {
	unsigned at_once;
	int64_t timeout_ns; /* of each */
	/* Its text, or why there is none; on the calling thread, exactly once for each. */
	void (*on_text)(void *arg, const struct df_target *target, struct df_str text, const struct df_error *err);
	void *arg;
};

/* Returns when all have answered or failed; at the latest when ctx ends. */
void df_scrape(const struct df_target *targets, size_t n, const struct df_scrape_options *options,
	       struct df_context *ctx);

#endif
