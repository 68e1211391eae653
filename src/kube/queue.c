#include "kube/queue.h"

#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* One key that waits, is worked on, or has failed. Freed when it is none of these. */
struct queued {
	char *key;
	struct queued *next; /* in the line of those that wait */
	bool waiting, working;
	bool again;	       /* added while it was worked on */
	bool again_mildly;     /* and no reason to try it sooner when that fails */
	int64_t due_ns;	       /* when it comes back; 0: no time is set */
	size_t heap;	       /* its place there, from 1; 0: not there */
	int64_t wait_ns;       /* of its last failure; 0: it has not failed */
	int64_t not_before_ns; /* until then it stays away, whatever is added; 0: no time is set */
};

struct df_kube_queue {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* monotonic */
	void *entries;		/* tsearch, by key */
	struct queued *first, **end;
	size_t waiting;
	struct queued **heap; /* by due_ns, the earliest at 0 */
	size_t heap_count, heap_cap;
	int64_t first_ns, cap_ns;
};

/* ---- entries --------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct queued *)a)->key, ((const struct queued *)b)->key);
}

static void entry_free(void *arg)
{
	struct queued *e = arg;

	free(e->key);
	free(e);
}

/* The key's entry, made when there is none; NULL: out of memory. */
static struct queued *entry_of(struct df_kube_queue *q, struct df_str key)
{
	struct queued *made = calloc(1, sizeof(*made)), **found;

	if (!made)
		return NULL;
	made->key = df_str_dup(key);
	found = made->key ? tsearch(made, &q->entries, compare) : NULL;
	if (!found || *found != made)
		entry_free(made);
	return found ? *found : NULL;
}

static void drop_when_idle(struct df_kube_queue *q, struct queued *e)
{
	if (e->waiting || e->working || e->heap || e->wait_ns)
		return;
	tdelete(e, &q->entries, compare);
	entry_free(e);
}

/* ---- those for later: a binary heap ---------------------------------------------------------------------- */

static void put(struct df_kube_queue *q, size_t i, struct queued *e)
{
	q->heap[i] = e;
	e->heap = i + 1;
}

static void sift_up(struct df_kube_queue *q, size_t i, struct queued *e)
{
	for (; i > 0 && q->heap[(i - 1) / 2]->due_ns > e->due_ns; i = (i - 1) / 2)
		put(q, i, q->heap[(i - 1) / 2]);
	put(q, i, e);
}

static void sift_down(struct df_kube_queue *q, size_t i, struct queued *e)
{
	for (size_t child; (child = 2 * i + 1) < q->heap_count; i = child) {
		if (child + 1 < q->heap_count && q->heap[child + 1]->due_ns < q->heap[child]->due_ns)
			child++;
		if (q->heap[child]->due_ns >= e->due_ns)
			break;
		put(q, i, q->heap[child]);
	}
	put(q, i, e);
}

static void heap_remove(struct df_kube_queue *q, struct queued *e)
{
	struct queued *last;
	size_t i = e->heap - 1;

	if (!e->heap)
		return;
	last = q->heap[--q->heap_count];
	if (last != e && i > 0 && q->heap[(i - 1) / 2]->due_ns > last->due_ns)
		sift_up(q, i, last);
	else if (last != e)
		sift_down(q, i, last);
	e->heap = 0;
	e->due_ns = 0;
}

static bool heap_add(struct df_kube_queue *q, struct queued *e, int64_t due_ns)
{
	if (q->heap_count == q->heap_cap) {
		size_t cap = q->heap_cap ? q->heap_cap * 2 : 64;
		struct queued **heap = realloc(q->heap, cap * sizeof(struct queued *));

		if (!heap)
			return false;
		q->heap = heap;
		q->heap_cap = cap;
	}
	e->due_ns = due_ns;
	sift_up(q, q->heap_count++, e);
	return true;
}

/* ---- life ------------------------------------------------------------------------------------------------ */

struct df_kube_queue *df_kube_queue_new(int64_t first_ns, int64_t cap_ns)
{
	struct df_kube_queue *q = calloc(1, sizeof(*q));
	pthread_condattr_t attr;

	if (!q)
		return NULL;
	q->end = &q->first;
	q->first_ns = first_ns;
	q->cap_ns = cap_ns;
	pthread_mutex_init(&q->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->changed, &attr);
	pthread_condattr_destroy(&attr);
	return q;
}

void df_kube_queue_free(struct df_kube_queue *q)
{
	if (!q)
		return;
	tdestroy(q->entries, entry_free);
	free(q->heap);
	pthread_cond_destroy(&q->changed);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

/* ---- adding ---------------------------------------------------------------------------------------------- */

static void join_line(struct df_kube_queue *q, struct queued *e)
{
	heap_remove(q, e);
	if (e->working) {
		e->again = true;
		return;
	}
	if (e->waiting)
		return;
	if (e->not_before_ns > df_clock_monotonic() && heap_add(q, e, e->not_before_ns)) {
		pthread_cond_signal(&q->changed);
		return;
	}
	e->not_before_ns = 0;
	e->waiting = true;
	e->next = NULL;
	*q->end = e;
	q->end = &e->next;
	q->waiting++;
	pthread_cond_signal(&q->changed);
}

int df_kube_queue_add(struct df_kube_queue *q, struct df_str key, struct df_error *err)
{
	DF_LOCK_SCOPE(&q->lock);
	struct queued *e = entry_of(q, key);

	if (!e)
		return df_error_no_memory(err);
	join_line(q, e);
	return 0;
}

int df_kube_queue_add_mildly(struct df_kube_queue *q, struct df_str key, struct df_error *err)
{
	DF_LOCK_SCOPE(&q->lock);
	struct queued *e = entry_of(q, key);

	if (!e)
		return df_error_no_memory(err);
	if (e->working)
		e->again_mildly = true;
	else if (!e->wait_ns)
		join_line(q, e);
	return 0;
}

/* Whoever waits must see that the earliest time has changed. */
static bool come_back(struct df_kube_queue *q, struct queued *e, int64_t ns)
{
	int64_t due_ns = df_clock_monotonic() + ns;

	if (e->heap && e->due_ns <= due_ns)
		return true;
	heap_remove(q, e);
	pthread_cond_signal(&q->changed);
	return heap_add(q, e, due_ns);
}

int df_kube_queue_add_after(struct df_kube_queue *q, struct df_str key, int64_t ns, struct df_error *err)
{
	DF_LOCK_SCOPE(&q->lock);
	struct queued *e = entry_of(q, key);

	if (!e)
		return df_error_no_memory(err);
	if (e->waiting || come_back(q, e, ns))
		return 0;
	drop_when_idle(q, e);
	return df_error_no_memory(err);
}

/* ---- working --------------------------------------------------------------------------------------------- */

static void wake(void *arg)
{
	struct df_kube_queue *q = arg;

	DF_LOCK_SCOPE(&q->lock);
	pthread_cond_broadcast(&q->changed);
}

/* Those whose time has come join the line; returns when the next one's comes, -1: there is none. */
static int64_t take_due(struct df_kube_queue *q)
{
	while (q->heap_count > 0) {
		int64_t due_ns = q->heap[0]->due_ns;

		if (due_ns > df_clock_monotonic())
			return due_ns;
		join_line(q, q->heap[0]);
	}
	return -1;
}

/* Until that time (-1: there is none), the context's deadline or a change. */
static void sleep_until(struct df_kube_queue *q, const struct df_context *ctx, int64_t ns)
{
	int left_ms = df_context_remaining_ms(ctx);
	int64_t deadline_ns = df_clock_monotonic() + left_ms * DF_NS_PER_MS;

	if (left_ms >= 0 && (ns < 0 || deadline_ns < ns))
		ns = deadline_ns;
	struct timespec at = { .tv_sec = ns / DF_NS_PER_S, .tv_nsec = ns % DF_NS_PER_S };
	if (ns < 0)
		pthread_cond_wait(&q->changed, &q->lock);
	else
		pthread_cond_timedwait(&q->changed, &q->lock, &at);
}

int df_kube_queue_get(struct df_kube_queue *q, struct df_context *ctx, char **ret_key, struct df_error *err)
{
	struct df_context_callback cb = { .fn = wake, .arg = q };
	struct queued *e = NULL;
	int code;

	*ret_key = NULL;
	df_context_on_cancel(ctx, &cb);
	pthread_mutex_lock(&q->lock);
	while ((code = df_context_check(ctx, err)) == 0) {
		int64_t next_ns = take_due(q);

		e = q->first;
		if (e)
			break;
		sleep_until(q, ctx, next_ns);
	}
	if (code == 0) {
		q->first = e->next;
		if (!q->first)
			q->end = &q->first;
		q->waiting--;
		e->waiting = false;
		e->working = true;
		*ret_key = e->key;
	}
	pthread_mutex_unlock(&q->lock);
	df_context_off_cancel(ctx, &cb);
	return code;
}

/* The entry that was handed out with this key; the key is the entry's own. */
static struct queued *given(struct df_kube_queue *q, char *key)
{
	struct queued probe = { .key = key };
	struct queued **found = tfind(&probe, &q->entries, compare);

	return *found;
}

static void end_work(struct df_kube_queue *q, struct queued *e, bool failed)
{
	bool again = e->again || (e->again_mildly && !failed);

	e->working = e->again = e->again_mildly = false;
	if (again)
		join_line(q, e);
}

void df_kube_queue_done(struct df_kube_queue *q, char *key)
{
	DF_LOCK_SCOPE(&q->lock);
	struct queued *e = given(q, key);

	e->wait_ns = e->not_before_ns = 0;
	end_work(q, e, false);
	drop_when_idle(q, e);
}

void df_kube_queue_retry(struct df_kube_queue *q, char *key, int64_t at_least_ns)
{
	DF_LOCK_SCOPE(&q->lock);
	struct queued *e = given(q, key);

	e->wait_ns = e->wait_ns ? e->wait_ns * 2 : q->first_ns;
	if (e->wait_ns > q->cap_ns)
		e->wait_ns = q->cap_ns;
	e->not_before_ns = at_least_ns > 0 ? df_clock_monotonic() + at_least_ns : 0;
	end_work(q, e, true);
	if (!e->waiting && !come_back(q, e, e->wait_ns > at_least_ns ? e->wait_ns : at_least_ns))
		join_line(q, e); /* no memory for the heap: at once rather than never */
}

size_t df_kube_queue_length(struct df_kube_queue *q)
{
	DF_LOCK_SCOPE(&q->lock);
	return q->waiting;
}
