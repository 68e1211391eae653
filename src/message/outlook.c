/* What the ledger would say once some messages are done: partitions are walked from the committed position on, as if.
 */
#include "message/partition.h"

bool df_partition_forgotten(const struct df_partition *p)
{
	return atomic_load(&p->forgotten);
}

/* The messages of one partition among all. */
struct df_own {
	const struct df_partition *partition;
	struct df_message *const *messages;
	size_t count, at;
};

/* How many of them have this sequence; goes on behind them. */
static uint32_t df_own_take(struct df_own *own, uint64_t sequence)
{
	uint32_t n = 0;

	for (; own->at < own->count; own->at++) {
		const struct df_message *m = own->messages[own->at];

		if (m->partition != own->partition || m->sequence < sequence)
			continue;
		if (m->sequence > sequence)
			break;
		n++;
	}
	return n;
}

static bool df_own_left(struct df_own *own)
{
	while (own->at < own->count && own->messages[own->at]->partition != own->partition)
		own->at++;
	return own->at < own->count;
}

/* The walk over one partition; *ret is the position that would be the committed one, its data borrowed from the chunk.
 * Lock: the partition's. */
static enum df_outlook df_partition_outlook(const struct df_partition *p, struct df_message *const *messages,
					    size_t count, struct df_commit *ret)
{
	struct df_own own = { p, messages, count, 0 };
	size_t data = p->head_data;
	bool complete = false; /* a position that does not stand before itself was passed, none of them behind it */

	for (uint64_t s = p->head; s < p->tail;) {
		const struct df_chunk *chunk = p->ring[s / DF_CHUNK & (p->ring_cap - 1)];

		if (!chunk) { /* all done; the chunk behind it has the position */
			s = (s / DF_CHUNK + 1) * DF_CHUNK;
			data = 0;
			continue;
		}
		const struct df_slot *slot = &chunk->slots[s % DF_CHUNK];
		uint32_t n = df_own_take(&own, s);
		if (slot->pending > n && (n > 0 || df_own_left(&own)))
			return DF_OUTLOOK_BLOCKED;
		if (slot->pending > n)
			break;
		data += slot->len;
		ret->position = (struct df_position){ slot->number, df_str(chunk->data + data - slot->len, slot->len) };
		ret->messages++;
		complete = (complete || !slot->joined) && !df_own_left(&own);
		if (++s % DF_CHUNK == 0)
			data = 0;
	}
	return complete ? DF_OUTLOOK_CLEAR : DF_OUTLOOK_JOINED;
}

/* The first of the messages whose partition none before it has; count at the end. */
static size_t df_next_partition(struct df_message *const *messages, size_t from, size_t count)
{
	for (; from < count; from++) {
		const struct df_partition *p = messages[from]->partition;
		size_t i = from;

		if (!p || (from > 0 && messages[from - 1]->partition == p))
			continue;
		for (i = 0; i < from && messages[i]->partition != p;)
			i++;
		if (i == from)
			break;
	}
	return from;
}

enum df_outlook df_ledger_outlook(struct df_message *const *messages, size_t count)
{
	enum df_outlook worst = DF_OUTLOOK_CLEAR;

	for (size_t i = df_next_partition(messages, 0, count); i < count && worst == DF_OUTLOOK_CLEAR;
	     i = df_next_partition(messages, i + 1, count)) {
		struct df_partition *p = messages[i]->partition;
		struct df_commit ignored = { .partition = p };

		DF_LOCK_SCOPE(&p->lock);
		if (!atomic_load(&p->forgotten))
			worst = df_partition_outlook(p, messages, count, &ignored);
	}
	return worst;
}

int df_ledger_preview(struct df_message *const *messages, size_t count, struct df_arena *arena, struct df_commit **ret,
		      size_t *ret_count, struct df_error *err)
{
	size_t n = 0;

	for (size_t i = df_next_partition(messages, 0, count); i < count; i = df_next_partition(messages, i + 1, count))
		n++;
	*ret = df_arena_alloc(arena, n * sizeof(**ret));
	*ret_count = 0;
	if (!*ret)
		return df_error_no_memory(err);
	for (size_t i = df_next_partition(messages, 0, count); i < count;
	     i = df_next_partition(messages, i + 1, count)) {
		struct df_partition *p = messages[i]->partition;
		struct df_commit *commit = &(*ret)[*ret_count];

		*commit = (struct df_commit){ .partition = p, .key = df_partition_key(p) };
		DF_LOCK_SCOPE(&p->lock);
		if (atomic_load(&p->forgotten))
			continue;
		++*ret_count;
		if (df_partition_outlook(p, messages, count, commit) != DF_OUTLOOK_CLEAR)
			return df_error_set(err, DF_ERR_TRANSIENT, "the position behind the messages is not clear");
		if (commit->position.data.len)
			commit->position.data = df_arena_dup(arena, commit->position.data);
		if (commit->position.data.len && !commit->position.data.ptr)
			return df_error_no_memory(err);
	}
	return 0;
}
