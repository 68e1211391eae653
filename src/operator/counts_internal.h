/* What the files of the counts share: the pods that are known, and what their processes said. */
#ifndef DF_OPERATOR_COUNTS_INTERNAL_H
#define DF_OPERATOR_COUNTS_INTERNAL_H

#include <pthread.h>

#include "operator/counts.h"
#include "operator/pod.h"
#include "operator/scrape.h"

#define DF_COUNTS_SLOTS 1024
#define DF_COUNTS_PROCESSES 4

/* What claims more is no count: four of these can still be added up. */
#define DF_COUNT_MAX (INT64_MAX / 4)

/* One process of a pod, as far as it is known: scraped, or final (its last words). */
struct df_known_process {
	int32_t restarts;
	bool final;
	int64_t processed, errors;
	int64_t last_processed; /* seconds since 1970; 0: none */
};

struct df_known_pod {
	struct df_known_pod *next; /* of its slot */
	char *uid, *namespace, *name, *resource;
	int64_t created; /* seconds since 1970; 0: unknown */
	char *owner;	 /* uid of the DataFlow that counts it; NULL: none did yet */
	bool disowned;	 /* of one that is gone: no other one counts it */
	char *url;	 /* NULL: it cannot be asked */
	enum df_manifest_kind kind;
	int32_t restarts; /* of the process that runs, or ran last */
	bool disconnected;
	bool changed;	 /* since its resource was told */
	int64_t gone_ns; /* monotonic: the pod is deleted, its numbers are kept until they are in the status; 0: it is
			    there */
	struct df_known_process processes[DF_COUNTS_PROCESSES]; /* the newest last */
	size_t process_count;
};

struct df_counts {
	pthread_mutex_t lock;			     /* of what follows */
	struct df_known_pod *slots[DF_COUNTS_SLOTS]; /* by resource */
	size_t pod_count;
	void (*changed)(void *arg, enum df_manifest_kind kind, const char *namespace, const char *name);
	void *changed_arg;

	struct df_context *ctx; /* cancelled: no more is scraped */
	int64_t interval_ns;
	pthread_t thread;
	bool started;
};

/* ---- pods.c; the lock is held ---------------------------------------------------------------------------- */

/* The pods of a resource, among others of the same slot: df_counts_is_of tells. */
struct df_known_pod **df_counts_slot(struct df_counts *counts, struct df_str namespace, struct df_str resource);
bool df_counts_is_of(const struct df_known_pod *pod, struct df_str namespace, struct df_str resource);
/* NULL: unknown. */
struct df_known_pod *df_counts_find(struct df_counts *counts, struct df_str namespace, struct df_str resource,
				    struct df_str uid);
struct df_known_process *df_counts_process(struct df_known_pod *pod, int32_t restarts); /* NULL: unknown */
/* That process, new when it is unknown; the oldest goes when there are too many. */
struct df_known_process *df_counts_process_made(struct df_known_pod *pod, int32_t restarts);
void df_counts_forget(struct df_known_pod *pod, int32_t restarts); /* that process */

/*
 * Whose counts they are. Labels tell the name only, and a DataFlow may have had a namesake, whose pods end long after
 * it. A pod does not say which Deployment it came from; but who counted it first is known, and when it was made.
 */
struct df_counts_of {
	struct df_str uid;
	int64_t begin; /* seconds since 1970: no pod of it is older */
};
bool df_counts_made_before(int64_t pod_created, const struct df_counts_of *of);
/* False: it is a namesake's, from now on for good. */
bool df_counts_own(struct df_known_pod *pod, const struct df_counts_of *of);
/* Frees pods that are gone and of which nothing is left to tell. */
void df_counts_sweep(struct df_counts *counts);
void df_counts_free_pods(struct df_counts *counts);

/* ---- pods.c; takes the lock ------------------------------------------------------------------------------ */

/* What can be asked, with texts in the arena; namespace and name of the resource, len 0: any. NULL: out of memory. */
struct df_target *df_counts_targets(struct df_counts *counts, struct df_str namespace, struct df_str name,
				    struct df_arena *arena, size_t *ret_count);

/* ---- counts.c -------------------------------------------------------------------------------------------- */

/* What a process says, its metrics. Ignored when it is not the pod's latest process any more. */
void df_counts_take(struct df_counts *counts, const struct df_target *target, struct df_str text);
/* Asks all once, and tells the resources whose counts have changed. */
void df_counts_round(struct df_counts *counts);

#endif
