/* What a processor's pod says about the processes that it had, and where it can be asked. */
#ifndef DF_OPERATOR_POD_H
#define DF_OPERATOR_POD_H

#include "api/v1/dataflow.h"
#include "kube/client.h"

/* A process that has ended. A pod's processes are told apart by the number of restarts before them. */
struct df_pod_end {
	int32_t restarts;
	bool counted; /* it left a message with its final numbers; a killed one did not */
	int64_t processed, errors;
	int64_t last_processed; /* seconds since 1970; 0: none */
};

/* Texts are in the arena, or the pod's. */
struct df_pod {
	enum df_manifest_kind kind;
	struct df_str resource; /* the DataFlow or DataFlowCron */
	struct df_str namespace, name, uid;
	int64_t created;  /* seconds since 1970; 0: unknown */
	const char *url;  /* of its metrics; NULL: it cannot be asked (not running, no address) */
	int32_t restarts; /* of the latest process */
	bool runs;	  /* that process runs */
	struct df_pod_end ended[2];
	size_t ended_count;
};

/* The container's name, which others (a mesh's proxy) may stand before. */
#define DF_POD_PROCESSOR "processor"

/* What the pod says of its container of that name; NULL: nothing (yet). */
const struct df_value *df_pod_container(const struct df_value *pod, const char *name);

/* False: it is no processor's pod. */
bool df_pod_read(const struct df_value *object, struct df_arena *arena, struct df_pod *ret);

#endif
