/*
 * From what processes said to the totals of a status.
 *
 * status.processors[] says of each process what the totals contain of it. Only what is beyond that is added, and both
 * are written by one patch: whoever reads the status, after whatever crash, goes on from numbers that belong together.
 */
#include "kube/build.h"
#include "operator/counts_internal.h"
#include "operator/owner.h"
#include "operator/status.h"

/* What the status has, and what it shall have, of one process. */
struct entry {
	struct df_str uid;
	int32_t restarts;
	bool recorded, known; /* `had` and `now` say something */
	bool visible;	      /* a pod still speaks of it */
	bool final;
	int64_t had_processed, had_errors;
	int64_t processed, errors;
	int64_t last_processed;
};

struct entries {
	struct df_arena *arena;
	struct entry *items;
	size_t count, cap;
	bool failed;
};

/* Found or made. NULL: out of memory. */
static struct entry *entry_of(struct entries *all, struct df_str uid, int32_t restarts)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->items[i].restarts == restarts && df_str_equal(all->items[i].uid, uid))
			return &all->items[i];
	if (all->count == all->cap) {
		size_t cap = all->cap ? 2 * all->cap : 8;
		struct entry *items =
			df_arena_extend(all->arena, all->items, all->cap * sizeof(*items), cap * sizeof(*items));

		if (!items) {
			all->failed = true;
			return NULL;
		}
		all->items = items;
		all->cap = cap;
	}
	all->items[all->count] = (struct entry){ .uid = uid, .restarts = restarts };
	return &all->items[all->count++];
}

/* ---- what there is --------------------------------------------------------------------------------------- */

static int64_t number(const struct df_value *object, const char *key)
{
	const struct df_value *v = df_object_get_c(object, key);
	int64_t n;

	return v && df_value_to_int64(v, &n) && n > 0 ? n : 0;
}

static void add_recorded(struct entries *all, const struct df_value *status)
{
	const struct df_value *list = df_object_get_c(status, "processors");

	if (!list || list->kind != DF_ARRAY)
		return;
	df_for_each (item, list) {
		struct df_str uid = df_kube_text(item, all->arena, "podUID", NULL);
		struct entry *e = uid.len ? entry_of(all, uid, (int32_t)number(item, "restartCount")) : NULL;

		if (!e)
			continue;
		e->recorded = true;
		e->had_processed = number(item, "processed");
		e->had_errors = number(item, "errors");
	}
}

static void set_now(struct entry *e, int64_t processed, int64_t errors, int64_t last_processed, bool final)
{
	e->known = true;
	e->final = final;
	e->processed = processed;
	e->errors = errors;
	e->last_processed = last_processed;
}

/* Of the resource's pods. */
struct view {
	struct df_counts *counts; /* locked */
	struct df_str namespace, name;
	struct df_counts_of of;
};

static bool is_own(const struct view *v, const struct df_pod *pod)
{
	struct df_known_pod *known = df_counts_find(v->counts, v->namespace, v->name, pod->uid);

	return known ? df_counts_own(known, &v->of) : !df_counts_made_before(pod->created, &v->of);
}

/* The processes that a pod speaks of: those that ended, and the one that runs. */
static void add_visible(const struct view *v, struct entries *all, const struct df_value *object)
{
	struct df_pod pod;
	struct entry *e;

	if (!df_pod_read(object, all->arena, &pod) || !is_own(v, &pod))
		return;
	for (size_t i = 0; i < pod.ended_count; i++) {
		e = entry_of(all, pod.uid, pod.ended[i].restarts);
		if (!e)
			return;
		e->visible = true;
		if (pod.ended[i].counted)
			set_now(e, pod.ended[i].processed, pod.ended[i].errors, pod.ended[i].last_processed, true);
	}
	e = entry_of(all, pod.uid, pod.restarts);
	if (e)
		e->visible = true;
}

/* What was scraped, and what was seen of pods that are gone. Texts of the registry live no longer than its lock. */
static void add_known(struct entries *all, const struct df_known_pod *pod)
{
	struct df_str uid = df_arena_dup(all->arena, df_str_c(pod->uid));

	if (!uid.ptr) {
		all->failed = true;
		return;
	}
	/* A pod that is there speaks of its latest process and of the one before, also when the caller did not see it
	 * yet. */
	for (size_t i = 0; i < all->count && !pod->gone_ns; i++)
		if (df_str_equal(all->items[i].uid, uid) && all->items[i].restarts >= pod->restarts - 1)
			all->items[i].visible = true;
	for (size_t i = 0; i < pod->process_count; i++) {
		const struct df_known_process *p = &pod->processes[i];
		struct entry *e = entry_of(all, uid, p->restarts);

		if (!e)
			return;
		if (!e->final)
			set_now(e, p->processed, p->errors, p->last_processed, p->final);
	}
}

/* ---- what becomes of it ---------------------------------------------------------------------------------- */

/* Is there more of this process than the totals contain, or (last words after a scrape that met the next process) less?
 */
static bool moves(const struct entry *e)
{
	return e->known && (e->final || (e->processed >= e->had_processed && e->errors >= e->had_errors)) &&
	       (e->processed != e->had_processed || e->errors != e->had_errors);
}

/* Nobody speaks of it any more, and its numbers are in. */
static bool is_over(const struct entry *e)
{
	return !e->visible && !moves(e);
}

struct totals {
	int64_t processed, errors, last_processed;
};

/* Neither below nothing, whatever somebody wrote into the status, nor beyond what it holds. */
static int64_t plus(int64_t total, int64_t more)
{
	int64_t sum;

	if (__builtin_add_overflow(total, more, &sum))
		return INT64_MAX;
	return sum > 0 ? sum : 0;
}

/* Counts an entry in, and appends what then is in the totals of it. */
static int settle(struct df_arena *arena, struct entry *e, struct totals *totals, struct df_value *list,
		  struct df_error *err)
{
	struct df_value *item;
	int code;

	if (moves(e)) {
		totals->processed = plus(totals->processed, e->processed - e->had_processed);
		totals->errors = plus(totals->errors, e->errors - e->had_errors);
		e->had_processed = e->processed;
		e->had_errors = e->errors;
		e->recorded = true;
	}
	if (e->last_processed > totals->last_processed)
		totals->last_processed = e->last_processed;
	if (!e->recorded)
		return 0;
	code = df_kube_build(arena, &item, err, "{'podUID':%S,'restartCount':%d,'processed':%d,'errors':%d}", e->uid,
			     (int64_t)e->restarts, e->had_processed, e->had_errors);
	if (code == 0)
		df_array_append(list, item);
	return code;
}

static void forget(const struct view *v, const struct entry *e)
{
	struct df_known_pod *pod = df_counts_find(v->counts, v->namespace, v->name, e->uid);

	if (pod)
		df_counts_forget(pod, e->restarts);
}

static void add_all_known(const struct view *v, struct entries *all, bool *disconnected)
{
	struct df_known_pod *pod = *df_counts_slot(v->counts, v->namespace, v->name);

	for (; pod; pod = pod->next) {
		if (pod->kind != DF_KIND_DATAFLOW || !df_counts_is_of(pod, v->namespace, v->name) ||
		    !df_counts_own(pod, &v->of))
			continue;
		add_known(all, pod);
		*disconnected = *disconnected || pod->disconnected;
	}
}

static int settle_all(const struct view *v, struct entries *all, struct totals *totals, struct df_value *list,
		      struct df_error *err)
{
	int code = all->failed ? df_error_no_memory(err) : 0;

	for (size_t i = 0; code == 0 && i < all->count; i++) {
		if (is_over(&all->items[i]))
			forget(v, &all->items[i]);
		else
			code = settle(all->arena, &all->items[i], totals, list, err);
	}
	return code;
}

static struct totals totals_of(const struct df_value *status, struct df_arena *arena)
{
	return (struct totals){ number(status, "processedCount"), number(status, "errorCount"),
				df_kube_time(status, arena, "lastProcessedTime", NULL) };
}

static int write_status(struct df_arena *arena, const struct totals *totals, struct df_value *list,
			struct df_value *status, struct df_error *err)
{
	struct df_value *processed = df_value_int64(arena, totals->processed);
	struct df_value *errors = df_value_int64(arena, totals->errors), *time = NULL;

	if (totals->last_processed)
		time = df_status_time(totals->last_processed, arena);
	if (list->len == 0)
		list = df_value_new(arena, DF_NULL);
	if (!processed || !errors || !list || (totals->last_processed && !time))
		return df_error_no_memory(err);
	df_object_set(status, DF_STR("processedCount"), processed);
	df_object_set(status, DF_STR("errorCount"), errors);
	if (time)
		df_object_set(status, DF_STR("lastProcessedTime"), time);
	df_object_set(status, DF_STR("processors"), list);
	return 0;
}

/* No pod of its is older: than itself, or than a Deployment that it takes over, which has had pods since. */
static int64_t begin_of(const struct df_value *object, const struct df_value *deployment, struct df_arena *arena)
{
	struct df_str uid = df_kube_text(object, arena, "metadata", "uid", NULL);
	int64_t made = df_kube_time(object, arena, "metadata", "creationTimestamp", NULL), older;

	if (!deployment || df_owned_by_another(deployment, "DataFlow", uid))
		return made;
	older = df_kube_time(deployment, arena, "metadata", "creationTimestamp", NULL);
	return older && older < made ? older : made;
}

int df_counts_status(struct df_counts *counts, const struct df_value *object, const struct df_value *deployment,
		     struct df_value *const *pods, size_t pod_count, struct df_arena *arena, struct df_value *status,
		     bool *ret_disconnected, struct df_error *err)
{
	const struct df_value *old = df_object_get_c(object, "status");
	const struct view view = { counts,
				   df_kube_text(object, arena, "metadata", "namespace", NULL),
				   df_kube_text(object, arena, "metadata", "name", NULL),
				   { df_kube_text(object, arena, "metadata", "uid", NULL),
				     begin_of(object, deployment, arena) } };
	struct df_value *list = df_value_new(arena, DF_ARRAY);
	struct totals totals = totals_of(old, arena);
	struct entries all = { .arena = arena };
	int code;

	*ret_disconnected = false;
	if (!list)
		return df_error_no_memory(err);
	add_recorded(&all, old);
	{
		DF_LOCK_SCOPE(&counts->lock);
		for (size_t i = 0; i < pod_count; i++)
			add_visible(&view, &all, pods[i]);
		add_all_known(&view, &all, ret_disconnected);
		code = settle_all(&view, &all, &totals, list, err);
	}
	return code < 0 ? code : write_status(arena, &totals, list, status, err);
}
