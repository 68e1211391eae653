#include "message/ledger.h"

#include <stdlib.h>

#include "base/digest.h"
#include "message/partition.h"
#include "message/wait.h"

/* Locks, in this order: ledger->opening, one partition's, ledger->lock. ledger->drain is taken with none held. */

#define DF_LEDGER_KEEP ((size_t)8 << 20) /* bytes of idle chunks and their data that a ledger keeps */
#define DF_LEDGER_BUCKETS 16		 /* to start with; a power of two */

struct df_ledger {
	pthread_mutex_t opening; /* one open at a time: what one plans no other may use */
	pthread_mutex_t lock;	 /* guards the four below */
	struct df_partition *partitions;
	struct df_partition **buckets;
	size_t bucket_count, live_count;
	struct df_partition *dirty;
	struct df_chunk *idle;
	size_t idle_bytes;
	atomic_size_t open;
	pthread_mutex_t drain;
	pthread_cond_t drained;
	atomic_size_t drainers; /* who waits, or is about to look whether it must */
	atomic_size_t awaiters; /* of these, who must look at every completion */
};

/* ---- chunks ---------------------------------------------------------------------------------------------- */

static size_t df_chunk_bytes(const struct df_chunk *chunk)
{
	return sizeof(*chunk) + chunk->data_cap;
}

static void df_chunk_free(struct df_chunk *chunk)
{
	free(chunk->data);
	free(chunk);
}

static void df_chunks_free(struct df_chunk *list)
{
	while (list) {
		struct df_chunk *chunk = list;
		list = chunk->next;
		df_chunk_free(chunk);
	}
}

struct df_chunk *df_chunk_get(struct df_ledger *ledger)
{
	pthread_mutex_lock(&ledger->lock);
	struct df_chunk *chunk = ledger->idle;
	if (chunk) {
		ledger->idle = chunk->next;
		ledger->idle_bytes -= df_chunk_bytes(chunk);
	}
	pthread_mutex_unlock(&ledger->lock);
	if (!chunk)
		return calloc(1, sizeof(*chunk));
	chunk->used = 0;
	chunk->open = 0;
	chunk->data_len = 0;
	chunk->data_planned = 0;
	return chunk;
}

/* Keeps chunks of the list; returns those that are too many. Lock: ledger. */
static struct df_chunk *df_chunks_keep(struct df_ledger *ledger, struct df_chunk *list)
{
	struct df_chunk *rest = NULL;

	while (list) {
		struct df_chunk *chunk = list;
		size_t bytes = df_chunk_bytes(chunk);
		list = chunk->next;
		if (bytes <= DF_LEDGER_KEEP - ledger->idle_bytes) {
			ledger->idle_bytes += bytes;
			chunk->next = ledger->idle;
			ledger->idle = chunk;
		} else {
			chunk->next = rest;
			rest = chunk;
		}
	}
	return rest;
}

/* After work on a partition, without its lock: gives chunks back, and lists it when it has something to collect. */
static void df_ledger_settle(struct df_ledger *ledger, struct df_chunk *retired, struct df_partition *dirty)
{
	if (!retired && !dirty)
		return;
	pthread_mutex_lock(&ledger->lock);
	if (dirty) {
		dirty->next_dirty = ledger->dirty;
		ledger->dirty = dirty;
	}
	struct df_chunk *rest = df_chunks_keep(ledger, retired);
	pthread_mutex_unlock(&ledger->lock);
	df_chunks_free(rest);
}

/* ---- the ledger ------------------------------------------------------------------------------------------ */

struct df_ledger *df_ledger_new(void)
{
	df_cleanup(df_freep) struct df_ledger *ledger = calloc(1, sizeof(*ledger));

	if (!ledger)
		return NULL;
	ledger->buckets = calloc(DF_LEDGER_BUCKETS, sizeof(struct df_partition *));
	if (!ledger->buckets)
		return NULL;
	ledger->bucket_count = DF_LEDGER_BUCKETS;
	pthread_mutex_init(&ledger->opening, NULL);
	pthread_mutex_init(&ledger->lock, NULL);
	pthread_mutex_init(&ledger->drain, NULL);
	df_wait_init(&ledger->drained);
	return DF_TAKE(ledger);
}

void df_ledger_free(struct df_ledger *ledger)
{
	if (!ledger)
		return;
	while (ledger->partitions) {
		struct df_partition *p = ledger->partitions;
		struct df_chunk *chunks = NULL;
		ledger->partitions = p->next;
		df_partition_empty(p, &chunks);
		df_chunks_free(chunks);
		pthread_mutex_destroy(&p->lock);
		free(p);
	}
	df_chunks_free(ledger->idle);
	free(ledger->buckets);
	pthread_cond_destroy(&ledger->drained);
	pthread_mutex_destroy(&ledger->drain);
	pthread_mutex_destroy(&ledger->lock);
	pthread_mutex_destroy(&ledger->opening);
	free(ledger);
}

struct df_str df_partition_key(const struct df_partition *p)
{
	return df_str(p->key, p->key_len);
}

/* Lock: ledger. */
static struct df_partition **df_ledger_bucket(const struct df_ledger *ledger, uint64_t hash)
{
	return &ledger->buckets[hash & (ledger->bucket_count - 1)];
}

/* Without memory for it the chains just get longer. Lock: ledger. */
static void df_ledger_rehash(struct df_ledger *ledger)
{
	struct df_partition **old = ledger->buckets;
	size_t old_count = ledger->bucket_count;
	struct df_partition **buckets = calloc(old_count * 2, sizeof(struct df_partition *));

	if (!buckets)
		return;
	ledger->buckets = buckets;
	ledger->bucket_count = old_count * 2;
	for (size_t i = 0; i < old_count; i++) {
		while (old[i]) {
			struct df_partition *p = old[i];
			struct df_partition **bucket = df_ledger_bucket(ledger, p->hash);
			old[i] = p->next_equal;
			p->next_equal = *bucket;
			*bucket = p;
		}
	}
	free(old);
}

static struct df_partition *df_partition_new(struct df_ledger *ledger, struct df_str key, uint64_t hash)
{
	struct df_partition *p = calloc(1, sizeof(*p) + key.len + 1);

	if (!p)
		return NULL;
	p->ledger = ledger;
	p->hash = hash;
	p->key_len = key.len;
	atomic_init(&p->lag, -1);
	if (key.len)
		memcpy(p->key, key.ptr, key.len);
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

int df_ledger_partition(struct df_ledger *ledger, struct df_str key, struct df_partition **ret, struct df_error *err)
{
	uint64_t hash = df_fnv1a(DF_FNV1A, key);

	DF_LOCK_SCOPE(&ledger->lock);
	struct df_partition *p = *df_ledger_bucket(ledger, hash);
	while (p && !(p->hash == hash && df_str_equal(df_partition_key(p), key)))
		p = p->next_equal;
	if (!p) {
		p = df_partition_new(ledger, key, hash);
		if (!p)
			return df_error_no_memory(err);
		if (++ledger->live_count > ledger->bucket_count)
			df_ledger_rehash(ledger);
		struct df_partition **bucket = df_ledger_bucket(ledger, hash);
		p->next_equal = *bucket;
		*bucket = p;
		p->next = ledger->partitions;
		ledger->partitions = p;
	}
	*ret = p;
	return 0;
}

/* Wakes whoever drains. Pairs with df_ledger_drain: both sides write theirs first and then read the other's. */
static void df_ledger_wake(struct df_ledger *ledger)
{
	if (atomic_load(&ledger->drainers) == 0)
		return;
	DF_LOCK_SCOPE(&ledger->drain);
	pthread_cond_broadcast(&ledger->drained);
}

/* ---- open ------------------------------------------------------------------------------------------------ */

/* Messages of the same partition from `from` on. */
static size_t df_batch_run(const struct df_batch *batch, size_t from)
{
	size_t end = from + 1;

	while (end < batch->count && batch->messages[end].partition == batch->messages[from].partition)
		end++;
	return end;
}

/* *ret_end is where it stopped: the batch's end, or behind the run for which there is no memory. */
static int df_batch_plan(const struct df_batch *batch, size_t *ret_end)
{
	int rc = 0;

	for (size_t i = 0, end; i < batch->count && rc == 0; i = end) {
		struct df_partition *p = batch->messages[i].partition;
		*ret_end = end = df_batch_run(batch, i);
		if (!p)
			continue;
		DF_LOCK_SCOPE(&p->lock);
		for (size_t k = i; k < end && rc == 0 && !atomic_load(&p->forgotten); k++)
			rc = df_partition_plan(p, batch->messages[k].position.data.len);
	}
	return rc;
}

static void df_batch_unplan(const struct df_batch *batch, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct df_partition *p = batch->messages[i].partition;
		struct df_chunk *retired = NULL;
		if (!p || (i > 0 && p == batch->messages[i - 1].partition))
			continue;
		pthread_mutex_lock(&p->lock);
		if (!atomic_load(&p->forgotten))
			df_partition_unplan(p, &retired);
		pthread_mutex_unlock(&p->lock);
		df_ledger_settle(p->ledger, retired, NULL);
	}
}

static void df_batch_fill(struct df_batch *batch)
{
	for (size_t i = 0, end; i < batch->count; i = end) {
		struct df_partition *p = batch->messages[i].partition;
		end = df_batch_run(batch, i);
		if (!p)
			continue;
		DF_LOCK_SCOPE(&p->lock);
		if (atomic_load(&p->forgotten))
			continue;
		for (size_t k = i; k < end; k++)
			batch->messages[k].sequence = df_partition_fill(p, &batch->messages[k]);
		atomic_fetch_add(&p->open, end - i);
		atomic_fetch_add(&p->ledger->open, end - i);
	}
}

int df_ledger_open(struct df_batch *batch, struct df_error *err)
{
	struct df_ledger *ledger = NULL;
	size_t end = 0;

	for (size_t i = 0; i < batch->count && !ledger; i++)
		ledger = batch->messages[i].partition ? batch->messages[i].partition->ledger : NULL;
	if (!ledger)
		return 0;
	DF_LOCK_SCOPE(&ledger->opening);
	if (df_batch_plan(batch, &end) != 0) {
		df_batch_unplan(batch, end);
		return df_error_no_memory(err);
	}
	df_batch_fill(batch);
	return 0;
}

/* ---- split and done -------------------------------------------------------------------------------------- */

void df_ledger_split(const struct df_message *m, size_t n)
{
	struct df_partition *p = m->partition;
	struct df_chunk *chunk;

	if (!p || n <= 1)
		return;
	DF_LOCK_SCOPE(&p->lock);
	if (atomic_load(&p->forgotten))
		return;
	struct df_slot *slot = df_partition_slot(p, m->sequence, &chunk);
	if (slot)
		slot->pending += (uint32_t)(n - 1);
}

static void df_partition_done(struct df_partition *p, struct df_message *const *messages, size_t count)
{
	struct df_ledger *ledger = p->ledger;
	struct df_chunk *retired = NULL;
	bool list = false;
	size_t done = 0;

	pthread_mutex_lock(&p->lock);
	if (!atomic_load(&p->forgotten)) {
		for (size_t i = 0; i < count; i++)
			done += df_partition_complete(p, messages[i]->sequence, &retired);
		if (done)
			list = df_partition_advance(p, &retired);
	}
	bool last = done && atomic_fetch_sub(&p->open, done) == done;
	pthread_mutex_unlock(&p->lock);
	df_ledger_settle(ledger, retired, list ? p : NULL);
	if (done && atomic_fetch_sub(&ledger->open, done) == done)
		last = true;
	if (last || (done && atomic_load(&ledger->awaiters)))
		df_ledger_wake(ledger);
}

void df_ledger_done(struct df_message *const *messages, size_t count)
{
	for (size_t i = 0, end; i < count; i = end) {
		struct df_partition *p = messages[i]->partition;
		end = i + 1;
		while (end < count && messages[end]->partition == p)
			end++;
		if (p)
			df_partition_done(p, messages + i, end - i);
	}
}

/* ---- collect --------------------------------------------------------------------------------------------- */

/* Puts a list of partitions back that are marked dirty. */
static void df_ledger_list_again(struct df_ledger *ledger, struct df_partition *list)
{
	struct df_partition **end = &list;

	if (!list)
		return;
	while (*end)
		end = &(*end)->next_dirty;
	DF_LOCK_SCOPE(&ledger->lock);
	*end = ledger->dirty;
	ledger->dirty = list;
}

/* What there is to commit. *ret_messages 0: nothing, it was forgotten. */
static int df_partition_copy(struct df_partition *p, struct df_arena *arena, struct df_commit *ret)
{
	DF_LOCK_SCOPE(&p->lock);
	*ret = (struct df_commit){ .partition = p, .key = df_partition_key(p), .position.number = p->number };
	if (atomic_load(&p->forgotten))
		return 0;
	ret->messages = p->advanced;
	if (p->data_len) {
		ret->position.data = df_arena_dup(arena, df_str(p->data, p->data_len));
		if (!ret->position.data.ptr)
			return DF_ERR_NO_MEMORY;
	}
	return 0;
}

/* True when it advanced again since it was copied, and stays dirty. */
static bool df_partition_collected(struct df_partition *p, uint64_t messages)
{
	DF_LOCK_SCOPE(&p->lock);
	p->advanced -= messages;
	p->dirty = p->advanced > 0 && !atomic_load(&p->forgotten);
	return p->dirty;
}

/* First everything is copied, which may fail and then changed nothing, then the partitions are told. */
static int df_ledger_copy(struct df_partition *dirty, struct df_arena *arena, struct df_commit **ret, size_t *ret_count)
{
	size_t count = 0;

	for (struct df_partition *p = dirty; p; p = p->next_dirty)
		count++;
	struct df_commit *commits = df_arena_alloc(arena, count * sizeof(*commits));
	if (!commits)
		return DF_ERR_NO_MEMORY;
	*ret = commits;
	*ret_count = count;
	for (struct df_partition *p = dirty; p; p = p->next_dirty) {
		if (df_partition_copy(p, arena, commits++) != 0)
			return DF_ERR_NO_MEMORY;
	}
	return 0;
}

int df_ledger_collect(struct df_ledger *ledger, struct df_arena *arena, struct df_commit **ret, size_t *ret_count,
		      struct df_error *err)
{
	struct df_commit *commits = NULL;
	size_t count = 0;
	size_t kept = 0;

	*ret = NULL;
	*ret_count = 0;
	pthread_mutex_lock(&ledger->lock);
	struct df_partition *dirty = DF_TAKE(ledger->dirty);
	pthread_mutex_unlock(&ledger->lock);
	if (!dirty)
		return 0;
	if (df_ledger_copy(dirty, arena, &commits, &count) != 0) {
		df_ledger_list_again(ledger, dirty);
		return df_error_no_memory(err);
	}
	struct df_partition *again = NULL;
	for (size_t i = 0; i < count; i++) {
		struct df_partition *p = commits[i].partition;
		if (df_partition_collected(p, commits[i].messages)) {
			p->next_dirty = again;
			again = p;
		}
		if (commits[i].messages)
			commits[kept++] = commits[i];
	}
	df_ledger_list_again(ledger, again);
	*ret = kept ? commits : NULL;
	*ret_count = kept;
	return 0;
}

/* ---- lag ------------------------------------------------------------------------------------------------- */

void df_partition_set_lag(struct df_partition *p, int64_t messages)
{
	atomic_store_explicit(&p->lag, messages < 0 ? -1 : messages, memory_order_relaxed);
}

int df_ledger_lags(struct df_ledger *ledger, struct df_arena *arena, struct df_lag **ret, size_t *ret_count,
		   struct df_error *err)
{
	size_t n = 0;

	DF_LOCK_SCOPE(&ledger->lock);
	*ret = df_arena_alloc(arena, ledger->live_count * sizeof(**ret));
	if (!*ret)
		return df_error_no_memory(err);
	for (struct df_partition *p = ledger->partitions; p && n < ledger->live_count; p = p->next) {
		int64_t lag = atomic_load_explicit(&p->lag, memory_order_relaxed);

		/* One that is being forgotten may be out of the count already, and not marked yet. */
		if (lag >= 0 && !atomic_load(&p->forgotten))
			(*ret)[n++] = (struct df_lag){ df_partition_key(p), lag };
	}
	*ret_count = n;
	return 0;
}

/* ---- drain and forget ------------------------------------------------------------------------------------ */

size_t df_ledger_open_count(struct df_ledger *ledger)
{
	return atomic_load(&ledger->open);
}

static void df_ledger_canceled(void *arg)
{
	struct df_ledger *ledger = arg;

	DF_LOCK_SCOPE(&ledger->drain);
	pthread_cond_broadcast(&ledger->drained);
}

static bool df_ledger_drained(struct df_ledger *ledger, struct df_partition *p)
{
	if (!p)
		return atomic_load(&ledger->open) == 0;
	return atomic_load(&p->forgotten) || atomic_load(&p->open) == 0;
}

int df_ledger_drain(struct df_ledger *ledger, struct df_partition *p, struct df_context *ctx, struct df_error *err)
{
	struct df_context_callback callback = { .fn = df_ledger_canceled, .arg = ledger };
	int rc = 0;

	if (df_ledger_drained(ledger, p))
		return 0;
	df_context_on_cancel(ctx, &callback);
	pthread_mutex_lock(&ledger->drain);
	atomic_fetch_add(&ledger->drainers, 1);
	while (!df_ledger_drained(ledger, p)) {
		rc = df_context_check(ctx, err);
		if (rc)
			break;
		df_wait(&ledger->drained, &ledger->drain, ctx, INT64_MAX);
	}
	atomic_fetch_sub(&ledger->drainers, 1);
	pthread_mutex_unlock(&ledger->drain);
	df_context_off_cancel(ctx, &callback);
	return rc;
}

int df_ledger_await(struct df_ledger *ledger, struct df_message *const *messages, size_t count, struct df_context *ctx,
		    struct df_error *err)
{
	struct df_context_callback callback = { .fn = df_ledger_canceled, .arg = ledger };
	int rc = 0;

	if (df_ledger_outlook(messages, count) != DF_OUTLOOK_BLOCKED)
		return 0;
	df_context_on_cancel(ctx, &callback);
	pthread_mutex_lock(&ledger->drain);
	atomic_fetch_add(&ledger->drainers, 1);
	atomic_fetch_add(&ledger->awaiters, 1);
	while (rc == 0 && df_ledger_outlook(messages, count) == DF_OUTLOOK_BLOCKED) {
		rc = df_context_check(ctx, err);
		if (rc == 0)
			df_wait(&ledger->drained, &ledger->drain, ctx, INT64_MAX);
	}
	atomic_fetch_sub(&ledger->awaiters, 1);
	atomic_fetch_sub(&ledger->drainers, 1);
	pthread_mutex_unlock(&ledger->drain);
	df_context_off_cancel(ctx, &callback);
	return rc;
}

/* Out of the hash, so that the key gets a new partition. */
static void df_ledger_unlink(struct df_ledger *ledger, struct df_partition *p)
{
	DF_LOCK_SCOPE(&ledger->lock);
	struct df_partition **place = df_ledger_bucket(ledger, p->hash);

	while (*place && *place != p)
		place = &(*place)->next_equal;
	if (!*place)
		return;
	*place = p->next_equal;
	ledger->live_count--;
}

void df_partition_forget(struct df_partition *p)
{
	struct df_ledger *ledger = p->ledger;
	struct df_chunk *retired = NULL;

	df_ledger_unlink(ledger, p);
	pthread_mutex_lock(&p->lock);
	atomic_store(&p->forgotten, true);
	df_partition_empty(p, &retired);
	size_t open = atomic_exchange(&p->open, 0);
	pthread_mutex_unlock(&p->lock);
	df_ledger_settle(ledger, retired, NULL);
	if (open)
		atomic_fetch_sub(&ledger->open, open);
	df_ledger_wake(ledger);
}
