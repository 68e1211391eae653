#include "transformers/keys.h"

#include <stdlib.h>

bool df_text_is_plain(struct df_str text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		/* 0xED may begin a surrogate in WTF-8. */
		if (c < 0x20 || c == '"' || c == '\\' || c == 0xED)
			return false;
	}
	return true;
}

int df_key_set_init(struct df_key_set *names, const struct df_str *keys, size_t n)
{
	size_t slots = 64;

	*names = (struct df_key_set){ 0 };
	while (slots < n * 4)
		slots *= 2;
	names->slots = calloc(slots, sizeof(*names->slots));
	names->names = calloc(n + 1, sizeof(*names->names));
	if (!names->slots || !names->names)
		return DF_ERR_NO_MEMORY;
	names->mask = (uint32_t)slots - 1;
	for (size_t i = 0; i < n; i++) {
		uint32_t *slot = &names->slots[df_name_slot(keys[i].ptr, keys[i].len) & names->mask];

		names->names[i] = (struct df_name){ .key = keys[i], .next = *slot };
		*slot = (uint32_t)i + 1;
		names->lengths |= (uint64_t)1 << (keys[i].len & 63);
		names->filter |= keys[i].len ? df_key_bit(keys[i].ptr, keys[i].len) : UINT64_MAX;
	}
	names->count = (uint32_t)n;
	return 0;
}

void df_key_set_done(struct df_key_set *names)
{
	free(names->slots);
	free(names->names);
	*names = (struct df_key_set){ 0 };
}

int df_path_single_key(struct df_str path, struct df_path **ret_plain, struct df_str *ret_key)
{
	int r = df_path_compile(path, DF_PATH_PLAIN, ret_plain, NULL);

	*ret_key = df_str(NULL, 0);
	if (r == DF_ERR_NO_MEMORY)
		return r;
	if (r == 0 && df_path_steps(*ret_plain) == 1)
		*ret_key = df_path_step(*ret_plain, 0, NULL);
	return 0;
}

bool df_path_overlaps(const struct df_path *a, const struct df_path *b)
{
	size_t i = 0;

	while (i < df_path_steps(a) && i < df_path_steps(b) &&
	       df_str_equal(df_path_step(a, i, NULL), df_path_step(b, i, NULL)))
		i++;
	return i == df_path_steps(a) || i == df_path_steps(b);
}

static uint32_t hash(const struct df_key_map *map, struct df_str key)
{
	uint64_t h = (uintptr_t)map->slots ^ key.len;
	uint64_t word;
	size_t i = 0;

	for (; key.len - i >= 8; i += 8) {
		memcpy(&word, key.ptr + i, 8);
		h = (h ^ word) * UINT64_C(0x9E3779B97F4A7C15);
		h ^= h >> 29;
	}
	word = 0;
	if (key.len > i)
		memcpy(&word, key.ptr + i, key.len - i);
	h = (h ^ word) * UINT64_C(0xBF58476D1CE4E5B9);
	h ^= h >> 32;
	return (uint32_t)h;
}

int df_key_map_init(struct df_key_map *map, struct df_arena *arena, size_t n)
{
	size_t slots = 16;

	while (slots < n * 2)
		slots *= 2;
	map->slots = df_arena_alloc(arena, slots * sizeof(*map->slots));
	map->mask = slots - 1;
	if (!map->slots)
		return DF_ERR_NO_MEMORY;
	df_key_map_clear(map);
	return 0;
}

void df_key_map_clear(struct df_key_map *map)
{
	memset(map->slots, 0, (map->mask + 1) * sizeof(*map->slots));
}

struct df_key_slot *df_key_map_find(struct df_key_map *map, struct df_str key)
{
	uint32_t h = hash(map, key);

	for (size_t i = h & map->mask;; i = (i + 1) & map->mask) {
		struct df_key_slot *slot = &map->slots[i];

		if (!slot->key) {
			slot->hash = h;
			return slot;
		}
		if (slot->hash == h && slot->len == key.len && memcmp(slot->key, key.ptr, key.len) == 0)
			return slot;
	}
}

bool df_key_map_add(struct df_key_map *map, struct df_str key, struct df_value *member)
{
	struct df_key_slot *slot = df_key_map_find(map, key);

	if (slot->key)
		return false;
	slot->key = key.len ? key.ptr : "";
	slot->len = (uint32_t)key.len;
	slot->member = member;
	return true;
}
