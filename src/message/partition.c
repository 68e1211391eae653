#include "message/partition.h"

#include <stdlib.h>

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
 */

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

struct df_slot *df_partition_slot(const struct df_partition *p, uint64_t sequence, struct df_chunk **ret)
{
	if (sequence < p->head || sequence >= p->tail)
		return NULL;
	*ret = *df_partition_place(p, sequence / DF_CHUNK);
	if (!*ret)
		return NULL;
	struct df_slot *slot = &(*ret)->slots[sequence % DF_CHUNK];
	return slot->pending ? slot : NULL;
}

bool df_partition_complete(struct df_partition *p, uint64_t sequence, struct df_chunk **retired)
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

bool df_partition_advance(struct df_partition *p, struct df_chunk **retired)
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

int df_partition_plan(struct df_partition *p, size_t len)
{
	uint64_t n = p->planned / DF_CHUNK;

	if (len > INT32_MAX)
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

void df_partition_unplan(struct df_partition *p, struct df_chunk **retired)
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

uint64_t df_partition_fill(struct df_partition *p, const struct df_message *m)
{
	struct df_position position = m->position;
	struct df_chunk *chunk = *df_partition_place(p, p->tail / DF_CHUNK);
	struct df_slot *slot = &chunk->slots[p->tail % DF_CHUNK];

	*slot = (struct df_slot){
		.number = position.number, .pending = 1, .len = position.data.len & INT32_MAX, .joined = m->joined
	};
	if (slot->len)
		memcpy(chunk->data + chunk->data_len, position.data.ptr, slot->len);
	chunk->data_len += slot->len;
	chunk->used++;
	chunk->open++;
	return p->tail++;
}

void df_partition_empty(struct df_partition *p, struct df_chunk **retired)
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
