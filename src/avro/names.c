#include "avro/names_internal.h"

static size_t hash(struct df_str s)
{
	uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (uint8_t)s.ptr[i]) * UINT64_C(1099511628211);
	return (size_t)(h ^ h >> 32);
}

struct df_avro_entry *df_avro_names_find(const struct df_avro_names *n, struct df_str name)
{
	size_t i = hash(name) & (n->cap - 1);

	if (n->cap == 0)
		return NULL;
	while (n->entries[i].name.ptr && !df_str_equal(n->entries[i].name, name))
		i = (i + 1) & (n->cap - 1);
	return &n->entries[i];
}

int df_avro_names_add(struct df_avro_names *n, struct df_arena *arena, struct df_str name, void *value)
{
	struct df_avro_entry *e;

	if (2 * (n->count + 1) > n->cap) {
		struct df_avro_names bigger = { .cap = n->cap ? 2 * n->cap : 16 };

		bigger.entries = df_arena_zalloc(arena, bigger.cap * sizeof(*bigger.entries));
		if (!bigger.entries)
			return DF_ERR_NO_MEMORY;
		for (size_t i = 0; i < n->cap; i++)
			if (n->entries[i].name.ptr)
				*df_avro_names_find(&bigger, n->entries[i].name) = n->entries[i];
		bigger.count = n->count;
		*n = bigger;
	}
	e = df_avro_names_find(n, name);
	if (e->name.ptr)
		return 0;
	*e = (struct df_avro_entry){ name, value };
	n->count++;
	return 1;
}
