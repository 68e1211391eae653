/* Looking for keys fast: names known when the configuration is read, and the keys of one object while it is worked on.
 */
#ifndef DF_TRANSFORMERS_KEYS_H
#define DF_TRANSFORMERS_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "value/path.h"
#include "value/value.h"

/* memcmp(a, b, len) == 0 for keys, which are short: overlapping words instead of a call. Most have 8 to 16 bytes. */
static inline bool df_key_same(const char *a, const char *b, size_t len)
{
	uint64_t x, y, u, v;
	uint32_t p, q, r, s;

	if (__builtin_expect(len - 8 <= 8, 1)) {
		memcpy(&x, a, 8);
		memcpy(&y, b, 8);
		memcpy(&u, a + len - 8, 8);
		memcpy(&v, b + len - 8, 8);
		return x == y && u == v;
	}
	if (len > 16)
		return memcmp(a, b, len) == 0;
	if (len >= 4) {
		memcpy(&p, a, 4);
		memcpy(&q, b, 4);
		memcpy(&r, a + len - 4, 4);
		memcpy(&s, b + len - 4, 4);
		return p == q && r == s;
	}
	return len == 0 || (a[0] == b[0] && a[len >> 1] == b[len >> 1] && a[len - 1] == b[len - 1]);
}

/* The member with this key, or NULL. */
static inline struct df_value *df_object_find(const struct df_value *object, const char *key, uint32_t len)
{
	df_for_each (member, object) {
		if (member->key_len == len && df_key_same(member->key, key, len))
			return member;
	}
	return NULL;
}

/* Can the text be written as a JSON string without any escape? */
bool df_text_is_plain(struct df_str text);

/* ---- names ----------------------------------------------------------------------------------------------- */

struct df_name {
	struct df_str key; /* borrowed */
	uint32_t next;	   /* 1 + the next one of the same slot, or 0 */
};

/* Immutable once it is built. Zeroed is valid: no names. */
struct df_key_set {
	/* Most other keys are told apart by these: bit len % 64, and df_key_bit, of each name. */
	uint64_t lengths, filter;
	uint32_t mask;
	uint32_t *slots; /* 1 + the first name, or 0 */
	struct df_name *names;
	uint32_t count;
};

/* keys[0..n) must be different and outlive the set. DF_ERR_NO_MEMORY. */
int df_key_set_init(struct df_key_set *names, const struct df_str *keys, size_t n) df_must_check;
void df_key_set_done(struct df_key_set *names);

/* Of an empty key, whose first byte is any, it means nothing: a filter that it is in must have all bits. */
static inline uint64_t df_key_bit(const char *key, size_t len)
{
	return (uint64_t)1 << ((len + (uint8_t)key[0] * 5u) & 63);
}

static inline uint32_t df_name_slot(const char *key, size_t len)
{
	return len ? (uint32_t)(len + (uint8_t)key[0] * 8u + (uint8_t)key[len - 1] * 2u) : 0;
}

/* Which name is it? SIZE_MAX: none. */
static inline size_t df_key_set_find(const struct df_key_set *names, const char *key, uint32_t len)
{
	if (!(names->lengths >> (len & 63) & 1) || !(names->filter & df_key_bit(key, len)))
		return SIZE_MAX;
	for (uint32_t i = names->slots[df_name_slot(key, len) & names->mask]; i; i = names->names[i - 1].next) {
		if (names->names[i - 1].key.len == len && df_key_same(names->names[i - 1].key.ptr, key, len))
			return i - 1;
	}
	return SIZE_MAX;
}

/* The key of a path that is one plain name, as `name`, and no wildcard or query; ptr NULL when it is anything else. The
 * text lives as long as *ret_plain, which the caller frees. DF_ERR_NO_MEMORY. */
int df_path_single_key(struct df_str path, struct df_path **ret_plain, struct df_str *ret_key) df_must_check;

/* Does one of two plain paths begin with the other? By keys: which steps may be indices is no matter in an object. */
bool df_path_overlaps(const struct df_path *a, const struct df_path *b);

/* ---- the keys of one object ------------------------------------------------------------------------------ */

struct df_key_slot {
	const char *key; /* NULL: free */
	uint32_t len;
	uint32_t hash;
	struct df_value *member; /* the user's */
};

struct df_key_map {
	struct df_key_slot *slots;
	size_t mask;
};

/* Room for n keys, from the arena. DF_ERR_NO_MEMORY. */
int df_key_map_init(struct df_key_map *map, struct df_arena *arena, size_t n) df_must_check;
void df_key_map_clear(struct df_key_map *map);
/* The slot of this key, or the free one where it can be put with df_key_map_put. */
struct df_key_slot *df_key_map_find(struct df_key_map *map, struct df_str key);

/* False when the key is already there. */
bool df_key_map_add(struct df_key_map *map, struct df_str key, struct df_value *member);

#endif
