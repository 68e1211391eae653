/* The pods that are known, by their resource. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/digest.h"
#include "operator/counts_internal.h"

/* A pod that is gone waits so long for its resource to be reconciled; then the resource is gone, too. */
#define GONE_NS (3600 * DF_NS_PER_S)
/* The clocks of API servers, which set the times of objects, are that much apart at most. */
#define CLOCKS_S 2

/* ---- finding --------------------------------------------------------------------------------------------- */

struct df_known_pod **df_counts_slot(struct df_counts *counts, struct df_str namespace, struct df_str resource)
{
	return &counts->slots[df_fnv1a(df_fnv1a(DF_FNV1A, namespace), resource) % DF_COUNTS_SLOTS];
}

bool df_counts_is_of(const struct df_known_pod *pod, struct df_str namespace, struct df_str resource)
{
	return df_str_equal_c(namespace, pod->namespace) && df_str_equal_c(resource, pod->resource);
}

struct df_known_pod *df_counts_find(struct df_counts *counts, struct df_str namespace, struct df_str resource,
				    struct df_str uid)
{
	struct df_known_pod *pod = *df_counts_slot(counts, namespace, resource);

	while (pod && !df_str_equal_c(uid, pod->uid))
		pod = pod->next;
	return pod;
}

static void free_pod(struct df_known_pod *pod)
{
	free(pod->uid);
	free(pod->owner);
	free(pod->namespace);
	free(pod->name);
	free(pod->resource);
	free(pod->url);
	free(pod);
}

static struct df_known_pod *add_pod(struct df_counts *counts, const struct df_pod *of)
{
	struct df_known_pod *pod = calloc(1, sizeof(*pod)), **slot;

	if (!pod)
		return NULL;
	slot = df_counts_slot(counts, of->namespace, of->resource);
	pod->kind = of->kind;
	pod->created = of->created;
	pod->uid = df_str_dup(of->uid);
	pod->namespace = df_str_dup(of->namespace);
	pod->name = df_str_dup(of->name);
	pod->resource = df_str_dup(of->resource);
	if (!pod->uid || !pod->namespace || !pod->name || !pod->resource) {
		free_pod(pod);
		return NULL;
	}
	pod->next = *slot;
	*slot = pod;
	counts->pod_count++;
	return pod;
}

/* Calls fn for each pod, which it may free: those for which it returns true are unlinked before. */
static void unlink_if(struct df_counts *counts, bool (*fn)(const struct df_known_pod *pod, int64_t now))
{
	int64_t now = df_clock_monotonic();

	for (size_t i = 0; i < DF_COUNTS_SLOTS; i++)
		for (struct df_known_pod **at = &counts->slots[i]; *at;) {
			struct df_known_pod *pod = *at;

			if (!fn(pod, now)) {
				at = &pod->next;
				continue;
			}
			*at = pod->next;
			free_pod(pod);
			counts->pod_count--;
		}
}

static bool nothing_left(const struct df_known_pod *pod, int64_t now)
{
	return pod->gone_ns && (pod->process_count == 0 || now - pod->gone_ns > GONE_NS);
}

static bool any(const struct df_known_pod *pod, int64_t now)
{
	(void)pod;
	(void)now;
	return true;
}

void df_counts_sweep(struct df_counts *counts)
{
	unlink_if(counts, nothing_left);
}

void df_counts_free_pods(struct df_counts *counts)
{
	unlink_if(counts, any);
}

/* ---- processes ------------------------------------------------------------------------------------------- */

struct df_known_process *df_counts_process(struct df_known_pod *pod, int32_t restarts)
{
	for (size_t i = 0; i < pod->process_count; i++)
		if (pod->processes[i].restarts == restarts)
			return &pod->processes[i];
	return NULL;
}

static void remove_process(struct df_known_pod *pod, size_t i)
{
	memmove(&pod->processes[i], &pod->processes[i + 1], (--pod->process_count - i) * sizeof(pod->processes[0]));
}

void df_counts_forget(struct df_known_pod *pod, int32_t restarts)
{
	struct df_known_process *process = df_counts_process(pod, restarts);

	if (process)
		remove_process(pod, (size_t)(process - pod->processes));
}

struct df_known_process *df_counts_process_made(struct df_known_pod *pod, int32_t restarts)
{
	struct df_known_process *process = df_counts_process(pod, restarts);

	if (process)
		return process;
	if (pod->process_count == DF_COUNTS_PROCESSES)
		remove_process(pod, 0);
	process = &pod->processes[pod->process_count++];
	*process = (struct df_known_process){ .restarts = restarts };
	return process;
}

/* ---- whose it is ----------------------------------------------------------------------------------------- */

bool df_counts_made_before(int64_t pod_created, const struct df_counts_of *of)
{
	return pod_created && pod_created + CLOCKS_S < of->begin;
}

/* It is scraped for its metrics as long as it is there; its counts are nobody's. */
static void disown(struct df_known_pod *pod)
{
	pod->disowned = true;
	pod->disconnected = false;
	pod->process_count = 0;
}

bool df_counts_own(struct df_known_pod *pod, const struct df_counts_of *of)
{
	bool foreign = pod->owner ? !df_str_equal_c(of->uid, pod->owner) : df_counts_made_before(pod->created, of);

	if (foreign && !pod->disowned)
		disown(pod);
	if (!pod->disowned && !pod->owner)
		pod->owner = df_str_dup(of->uid); /* NULL: the next time */
	return !pod->disowned;
}

void df_counts_gone(struct df_counts *counts, enum df_manifest_kind kind, const char *namespace, const char *name)
{
	const struct df_str in = df_str_c(namespace), of = df_str_c(name);

	DF_LOCK_SCOPE(&counts->lock);
	for (struct df_known_pod *pod = *df_counts_slot(counts, in, of); pod; pod = pod->next)
		if (pod->kind == kind && df_counts_is_of(pod, in, of))
			disown(pod);
	df_counts_sweep(counts);
}

/* ---- what the cache says --------------------------------------------------------------------------------- */

/* Last words stay true: who has read them once need not see them again. */
static void take_ends(struct df_known_pod *pod, const struct df_pod *now)
{
	for (size_t i = now->ended_count; i-- > 0;) {
		const struct df_pod_end *end = &now->ended[i];
		struct df_known_process *process;

		if (!end->counted)
			continue;
		process = df_counts_process_made(pod, end->restarts);
		*process = (struct df_known_process){ end->restarts, true, end->processed, end->errors,
						      end->last_processed };
	}
}

static void set_url(struct df_known_pod *pod, const char *url)
{
	if (pod->url && url && strcmp(pod->url, url) == 0)
		return;
	free(pod->url);
	pod->url = url ? strdup(url) : NULL;
}

void df_counts_pod(struct df_counts *counts, enum df_kube_event event, struct df_value *object, struct df_arena *arena)
{
	struct df_known_pod *pod;
	struct df_pod now;

	if (event == DF_KUBE_BOOKMARK || !df_pod_read(object, arena, &now))
		return;
	DF_LOCK_SCOPE(&counts->lock);
	pod = df_counts_find(counts, now.namespace, now.resource, now.uid);
	if (!pod)
		pod = add_pod(counts, &now);
	if (!pod)
		return;					    /* out of memory: the next change of it tries again */
	if (now.kind == DF_KIND_DATAFLOW && !pod->disowned) /* a cron has no counts */
		take_ends(pod, &now);
	if (now.restarts != pod->restarts || !now.runs)
		pod->disconnected = false;
	pod->restarts = now.restarts;
	set_url(pod, event == DF_KUBE_DELETED ? NULL : now.url);
	pod->gone_ns = event == DF_KUBE_DELETED ? df_clock_monotonic() : 0;
	if (pod->gone_ns && pod->process_count == 0)
		df_counts_sweep(counts);
}

/* ---- what can be asked ----------------------------------------------------------------------------------- */

static bool wanted(const struct df_known_pod *pod, struct df_str namespace, struct df_str name)
{
	return pod->url && (namespace.len == 0 || df_str_equal_c(namespace, pod->namespace)) &&
	       (name.len == 0 || df_str_equal_c(name, pod->resource));
}

static bool copy_target(const struct df_known_pod *pod, struct df_arena *arena, struct df_target *ret)
{
	*ret = (struct df_target){
		.kind = pod->kind,
		.namespace = df_arena_dup(arena, df_str_c(pod->namespace)).ptr,
		.name = df_arena_dup(arena, df_str_c(pod->resource)).ptr,
		.pod = df_arena_dup(arena, df_str_c(pod->name)).ptr,
		.uid = df_arena_dup(arena, df_str_c(pod->uid)).ptr,
		.url = df_arena_dup(arena, df_str_c(pod->url)).ptr,
		.restarts = pod->restarts,
	};
	return ret->namespace && ret->name && ret->pod && ret->uid && ret->url;
}

struct df_target *df_counts_targets(struct df_counts *counts, struct df_str namespace, struct df_str name,
				    struct df_arena *arena, size_t *ret_count)
{
	struct df_target *targets;
	size_t n = 0;

	DF_LOCK_SCOPE(&counts->lock);
	targets = df_arena_alloc(arena, (counts->pod_count + 1) * sizeof(*targets));
	for (size_t i = 0; targets && i < DF_COUNTS_SLOTS; i++)
		for (const struct df_known_pod *pod = counts->slots[i]; pod; pod = pod->next)
			if (wanted(pod, namespace, name) && !copy_target(pod, arena, &targets[n++]))
				return NULL;
	*ret_count = n;
	return targets;
}
