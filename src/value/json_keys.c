/*
 * Keys that stand twice in one object. A small filter in the loop says of nearly all keys that they are new; the others
 * are looked for here, among the members of a small object one by one, of a large one in a hash table.
 */
#include "value/json_read_internal.h"

#define TABLE_MEMBERS 32 /* members of an object before duplicate keys are looked up in a hash table */
#define TABLE_SLOTS_MIN 128

/* The keys of one large object. Linear probing, at most half full. */
struct df_json_key_table {
	struct df_json_key_table *next_free;
	size_t mask; /* slots - 1 */
	struct df_value *slot[];
};

/* Tables that are not in use, by the logarithm of their size: objects of one document share them. */
struct df_json_key_tables {
	struct df_json_key_table *unused[8 * sizeof(size_t)];
};

static inline uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* In the manner of wyhash. Seeded with an address, so that a sender cannot choose keys that collide. */
static uint64_t hash_key(const char *key, size_t len, uint64_t seed)
{
	uint64_t hash = seed ^ mix(len ^ 0xa0761d6478bd642f, seed ^ 0xe7037ed1a0b428db);
	uint64_t word;

	for (; len >= 8; key += 8, len -= 8) {
		memcpy(&word, key, 8);
		hash = mix(hash ^ word, 0x8ebc6af09c88c6e3 ^ seed);
	}
	word = 0;
	memcpy(&word, key, len);
	return mix(hash ^ word, 0x589965cc75374cc3 ^ seed);
}

static struct df_value **table_find(struct df_json_key_table *table, const char *key, size_t len, uint64_t seed)
{
	size_t i = hash_key(key, len, seed) & table->mask;

	for (;; i = (i + 1) & table->mask) {
		struct df_value *member = table->slot[i];
		if (!member || (member->key_len == len && memcmp(member->key, key, len) == 0))
			return &table->slot[i];
	}
}

void df_json_release_table(struct df_json_parser *ps, struct df_json_key_table *table)
{
	struct df_json_key_table **head = &ps->tables->unused[__builtin_ctzll(table->mask + 1)];

	table->next_free = *head;
	*head = table;
}

static struct df_json_key_table *table_take(struct df_json_parser *ps, size_t slots)
{
	if (!ps->tables) {
		ps->tables = df_arena_zalloc(ps->arena, sizeof(*ps->tables));
		if (!ps->tables)
			return NULL;
	}

	struct df_json_key_table **head = &ps->tables->unused[__builtin_ctzll(slots)];
	struct df_json_key_table *table = *head;
	if (table)
		*head = table->next_free;
	else
		table = df_arena_alloc(ps->arena, sizeof(*table) + slots * sizeof(table->slot[0]));
	if (!table)
		return NULL;
	table->mask = slots - 1;
	memset(table->slot, 0, slots * sizeof(table->slot[0]));
	return table;
}

/* Makes room in the table for one member more than the container has. False: out of memory. */
static bool table_fit(struct df_json_parser *ps, struct df_json_frame *frame)
{
	size_t slots = frame->table ? frame->table->mask + 1 : TABLE_SLOTS_MIN;
	if (frame->table && (frame->count + 1) * (size_t)2 <= slots)
		return true;
	while ((frame->count + 1) * (size_t)2 > slots)
		slots *= 2;

	struct df_json_key_table *table = table_take(ps, slots);
	if (!table)
		return false;
	*frame->link = NULL;
	df_for_each (member, frame->container)
		*table_find(table, member->key, member->key_len, (uintptr_t)ps) = member;
	if (frame->table)
		df_json_release_table(ps, frame->table);
	frame->table = table;
	return true;
}

/* Most keys of one length differ in the first byte. */
static inline bool same_bytes(const char *a, const char *b, size_t len)
{
	return len == 0 || (a[0] == b[0] && memcmp(a, b, len) == 0);
}

bool df_json_find_member(struct df_json_parser *ps, struct df_json_frame *frame, const char *key, size_t len,
			 struct df_value **ret_old, struct df_value **ret_new)
{
	struct df_value **slot = NULL;

	*ret_old = NULL;
	*ret_new = NULL;
	if (frame->count < TABLE_MEMBERS) {
		struct df_value *member = frame->container->first;
		for (uint32_t i = 0; i < frame->count; i++, member = member->next) {
			if (member->key_len == len && same_bytes(member->key, key, len)) {
				*ret_old = member;
				return true;
			}
		}
	} else {
		if (!table_fit(ps, frame))
			return false;
		slot = table_find(frame->table, key, len, (uintptr_t)ps);
		if (*slot) {
			*ret_old = *slot;
			return true;
		}
	}

	struct df_value *member = df_arena_alloc(ps->arena, sizeof(*member));
	if (!member)
		return false;
	*ret_new = member;
	if (slot) {
		member->key = key; /* the others are filled in by the loop, before the table is looked at again */
		member->key_len = (uint32_t)len;
		*slot = member;
	}
	return true;
}
