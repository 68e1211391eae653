#include "message/ledger.h"

#include <pthread.h>
#include <stdlib.h>

#include "message/wait.h"

/*
 * Positions of a partition are numbered by `sequence` in the order in which they were opened. head is the lowest one
 * that is not done (or tail), tail the next to be given. Slots live in chunks of DF_CHUNK; the chunk of a sequence is
 * found by division. Completion is O(1); whoever completes head moves it over everything that is done behind it.
 *
 *     chunk:     [first ........] [........] [........] [.......|planned] end
 *     sequence:      ^head                                      ^tail
 *
 * A position that is never done (ackPolicy never) blocks head for ever while all behind it completes. So two neighbours
 * that are wholly done are merged: of a run of done chunks only the last one is kept, because only its last position
 * can ever be committed, and the places of the others hold NULL. What stays is 8 bytes per DF_CHUNK messages.
 *
 * Locks, in this order: ledger->opening, one partition's, ledger->lock. ledger->drain is taken with none held.
 */
#define DF_CHUNK 64
#define DF_LEDGER_KEEP ((size_t)8 << 20) /* bytes of idle chunks and their data that a ledger keeps */
#define DF_LEDGER_BUCKETS 16		 /* to start with; a power of two */

struct df_slot {
	int64_t number;
	uint32_t pending; /* completions still needed; 0: done */
	uint32_t len;	  /* of the position's data, which stand in slot order in the chunk's */
};

_Static_assert(sizeof(struct df_slot) == 16, "the header promises 16 bytes a message");

struct df_chunk {
	struct df_chunk *next; /* the list it is in */
	uint32_t used;	       /* slots opened */
	uint32_t open;	       /* of these, not done */
	size_t data_len;
	size_t data_planned; /* what data_len will be once an open that is under way has filled it */
	size_t data_cap;
	char *data;
	struct df_slot slots[DF_CHUNK];
};

struct df_partition {
	struct df_ledger *ledger;
	struct df_partition *next;	 /* all of the ledger; guarded by its lock */
	struct df_partition *next_equal; /* same bucket; guarded likewise */
	struct df_partition *next_dirty; /* belongs to whoever turned `dirty` on, then to the list */
	uint64_t hash;
	pthread_mutex_t lock;	/* guards what is below */
	atomic_bool forgotten;	/* read without the lock by drain */
	atomic_size_t open;	/* likewise */
	uint64_t head, tail;	/* sequences */
	uint64_t planned;	/* what tail will be; changed under ledger->opening only */
	uint64_t end;		/* number of the chunk behind the last one; the first is head / DF_CHUNK */
	struct df_chunk **ring; /* chunk n is at n & (ring_cap - 1); NULL: merged into the next */
	size_t ring_cap;	/* a power of two, or 0 */
	size_t head_data;	/* offset of head's data in its chunk */
	int64_t number;		/* the committed position */
	char *data;		/* and its data; room for the longest one is made when it is opened */
	size_t data_len, data_cap;
	uint64_t advanced; /* positions since the last collect */
	bool dirty;	   /* in the ledger's list of those, or about to be */
	size_t key_len;
	char key[];
};

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
};

/* ---- chunks ---------------------------------------------------------------------------------------------------- */

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

static struct df_chunk *df_chunk_get(struct df_ledger *ledger)
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

/* ---- one partition; its lock is held --------------------------------------------------------------------------- */

static struct df_chunk **df_partition_place(const struct df_partition *p, uint64_t n)
{
	return &p->ring[n & (p->ring_cap - 1)];
}

static void df_partition_retire(struct df_partition *p, uint64_t n, struct df_chunk **retired)
{
	struct df_chunk **place = df_partition_place(p, n);

	(*place)->next = *retired;
	*retired = *place;
	*place = NULL;
}

/* Is all of chunk n done, with nothing more to come? n is between the first and end. */
static bool df_partition_chunk_done(const struct df_partition *p, uint64_t n)
{
	const struct df_chunk *chunk = *df_partition_place(p, n);

	return !chunk || (chunk->used == DF_CHUNK && chunk->open == 0);
}

/* Chunk n has just become wholly done: see the top of the file. */
static void df_partition_merge(struct df_partition *p, uint64_t n, struct df_chunk **retired)
{
	if (n + 1 < p->end && df_partition_chunk_done(p, n + 1))
		df_partition_retire(p, n, retired);
	if (n > p->head / DF_CHUNK && *df_partition_place(p, n - 1) && df_partition_chunk_done(p, n - 1))
		df_partition_retire(p, n - 1, retired);
}

/* The slot of an open position; NULL for one that is done already, or never was there. */
static struct df_slot *df_partition_slot(const struct df_partition *p, uint64_t sequence, struct df_chunk **ret)
{
	if (sequence < p->head || sequence >= p->tail)
		return NULL;
	*ret = *df_partition_place(p, sequence / DF_CHUNK);
	if (!*ret)
		return NULL;
	struct df_slot *slot = &(*ret)->slots[sequence % DF_CHUNK];
	return slot->pending ? slot : NULL;
}

/* One completion; true when the position is done by it. One too many is ignored: it cannot make anything skip. */
static bool df_partition_complete(struct df_partition *p, uint64_t sequence, struct df_chunk **retired)
{
	struct df_chunk *chunk;
	struct df_slot *slot = df_partition_slot(p, sequence, &chunk);

	if (!slot || --slot->pending)
		return false;
	if (--chunk->open == 0 && chunk->used == DF_CHUNK)
		df_partition_merge(p, sequence / DF_CHUNK, retired);
	return true;
}

/* The position of a slot whose data end at data_end in the chunk's becomes the committed one. */
static void df_partition_commit(struct df_partition *p, const struct df_chunk *chunk, const struct df_slot *slot,
				size_t data_end)
{
	p->number = slot->number;
	p->data_len = slot->len;
	if (slot->len)
		memcpy(p->data, chunk->data + data_end - slot->len, slot->len);
}

/* Moves head over the done slots at the start of its chunk; the rest of the chunk is not all done. */
static void df_partition_advance_in(struct df_partition *p, const struct df_chunk *chunk)
{
	const struct df_slot *last = NULL;

	for (const struct df_slot *slot = &chunk->slots[p->head % DF_CHUNK]; slot->pending == 0; slot++) {
		last = slot;
		p->head++;
		p->head_data += slot->len;
	}
	if (last)
		df_partition_commit(p, chunk, last, p->head_data);
}

/* Moves head over everything that is done. True when the caller must list the partition for collect. */
static bool df_partition_advance(struct df_partition *p, struct df_chunk **retired)
{
	uint64_t from = p->head;

	while (p->head < p->tail) {
		uint64_t n = p->head / DF_CHUNK;
		struct df_chunk *chunk = *df_partition_place(p, n);

		if (chunk && chunk->open) {
			df_partition_advance_in(p, chunk);
			break;
		}
		if (chunk) {
			df_partition_commit(p, chunk, &chunk->slots[chunk->used - 1], chunk->data_len);
			p->head = n * DF_CHUNK + chunk->used;
			p->head_data = chunk->data_len;
			if (chunk->used < DF_CHUNK)
				break;
			df_partition_retire(p, n, retired);
		}
		p->head = (n + 1) * DF_CHUNK;
		p->head_data = 0;
	}
	if (p->head == from)
		return false;
	p->advanced += p->head - from;
	bool list = !p->dirty;
	p->dirty = true;
	return list;
}

/* Makes *data hold at least `need` bytes. */
static int df_data_reserve(char **data, size_t *cap, size_t need)
{
	size_t size = *cap * 2 > need ? *cap * 2 : need;

	if (need <= *cap)
		return 0;
	char *p = realloc(*data, size);
	if (!p)
		return DF_ERR_NO_MEMORY;
	*data = p;
	*cap = size;
	return 0;
}

static int df_partition_grow_ring(struct df_partition *p)
{
	size_t cap = p->ring_cap ? p->ring_cap * 2 : 4;
	struct df_chunk **ring = calloc(cap, sizeof(struct df_chunk *));

	if (!ring)
		return DF_ERR_NO_MEMORY;
	for (uint64_t n = p->head / DF_CHUNK; n < p->end; n++)
		ring[n & (cap - 1)] = *df_partition_place(p, n);
	free(p->ring);
	p->ring = ring;
	p->ring_cap = cap;
	return 0;
}

/* Makes room for one more position, so that filling it in cannot fail. */
static int df_partition_plan(struct df_partition *p, size_t len)
{
	uint64_t n = p->planned / DF_CHUNK;

	if (len > UINT32_MAX)
		return DF_ERR_NO_MEMORY;
	if (n == p->end) {
		if (p->end - p->head / DF_CHUNK == p->ring_cap && df_partition_grow_ring(p) != 0)
			return DF_ERR_NO_MEMORY;
		struct df_chunk *chunk = df_chunk_get(p->ledger);
		if (!chunk)
			return DF_ERR_NO_MEMORY;
		*df_partition_place(p, n) = chunk;
		p->end++;
	}
	struct df_chunk *chunk = *df_partition_place(p, n);
	if (df_data_reserve(&chunk->data, &chunk->data_cap, chunk->data_planned + len) != 0 ||
	    df_data_reserve(&p->data, &p->data_cap, len) != 0)
		return DF_ERR_NO_MEMORY;
	chunk->data_planned += len;
	p->planned++;
	return 0;
}

/* Takes back what was planned and not filled in. */
static void df_partition_unplan(struct df_partition *p, struct df_chunk **retired)
{
	uint64_t first_empty = (p->tail + DF_CHUNK - 1) / DF_CHUNK;

	while (p->end > first_empty)
		df_partition_retire(p, --p->end, retired);
	if (p->tail % DF_CHUNK) {
		struct df_chunk *chunk = *df_partition_place(p, p->tail / DF_CHUNK);
		chunk->data_planned = chunk->data_len;
	}
	p->planned = p->tail;
}

/* Opens a planned position; returns its sequence. */
static uint64_t df_partition_fill(struct df_partition *p, struct df_position position)
{
	struct df_chunk *chunk = *df_partition_place(p, p->tail / DF_CHUNK);
	struct df_slot *slot = &chunk->slots[p->tail % DF_CHUNK];

	*slot = (struct df_slot){ .number = position.number, .pending = 1, .len = (uint32_t)position.data.len };
	if (slot->len)
		memcpy(chunk->data + chunk->data_len, position.data.ptr, slot->len);
	chunk->data_len += slot->len;
	chunk->used++;
	chunk->open++;
	return p->tail++;
}

/* ---- the ledger ------------------------------------------------------------------------------------------------ */

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

/* Everything that a partition holds but itself. */
static void df_partition_empty(struct df_partition *p, struct df_chunk **retired)
{
	for (uint64_t n = p->head / DF_CHUNK; n < p->end; n++) {
		if (*df_partition_place(p, n))
			df_partition_retire(p, n, retired);
	}
	free(p->ring);
	p->ring = NULL;
	p->ring_cap = 0;
	free(p->data);
	p->data = NULL;
	p->data_cap = 0;
	p->end = p->head / DF_CHUNK;
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

/* FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/). */
static uint64_t df_key_hash(struct df_str key)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < key.len; i++)
		hash = (hash ^ (unsigned char)key.ptr[i]) * UINT64_C(0x100000001b3);
	return hash;
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
	if (key.len)
		memcpy(p->key, key.ptr, key.len);
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

int df_ledger_partition(struct df_ledger *ledger, struct df_str key, struct df_partition **ret, struct df_error *err)
{
	uint64_t hash = df_key_hash(key);

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

/* ---- open ------------------------------------------------------------------------------------------------------ */

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
			batch->messages[k].sequence = df_partition_fill(p, batch->messages[k].position);
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

/* ---- split and done -------------------------------------------------------------------------------------------- */

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
	if (last)
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

/* ---- collect --------------------------------------------------------------------------------------------------- */

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

/* ---- drain and forget ------------------------------------------------------------------------------------------ */

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
