#include "connectors/trino/replaced.h"

static bool same_key(const struct df_row *a, const struct df_row *b, const size_t *key_columns, size_t key_count,
		     struct df_arena *arena)
{
	for (size_t i = 0; i < key_count; i++) {
		struct df_value *x = a->values[df_column_set_find(a->set, key_columns[i])];
		struct df_value *y = b->values[df_column_set_find(b->set, key_columns[i])];
		struct df_str text = df_value_text(x, arena);

		if (x->kind != y->kind || !text.ptr || !df_str_equal(text, df_value_text(y, arena)))
			return false;
	}
	return true;
}

int df_trino_drop_replaced(struct df_group_row *rows, size_t *count, const size_t *key_columns, size_t key_count,
			   const bool *removes, const struct df_group_row **earlier, struct df_arena *arena)
{
	size_t mask = 15, kept = 0, n = *count;

	while (mask < n * 2)
		mask = mask * 2 + 1;
	/* The last row of every key, by its hash. */
	struct df_group_row **last = df_arena_zalloc(arena, (mask + 1) * sizeof(struct df_group_row *));
	struct df_group_row *all = df_arena_alloc(arena, n * sizeof(*all));
	bool *dropped = df_arena_zalloc(arena, n);
	if (!last || !all || !dropped)
		return DF_ERR_NO_MEMORY;
	if (n)
		memcpy(all, rows, n * sizeof(*all));
	for (size_t i = 0; i < n; i++) {
		struct df_group_row *row = &all[i];
		size_t slot = (size_t)(row->key ^ row->key >> 29) & mask;

		if (row->key == 0)
			continue;
		while (last[slot] && last[slot]->key != row->key)
			slot = (slot + 1) & mask;
		struct df_group_row *before = last[slot];
		last[slot] = row;
		if (before && (removes[row->index] || (row->row.set == before->row.set && !removes[before->index])) &&
		    same_key(&row->row, &before->row, key_columns, key_count, arena)) {
			earlier[row->index] = before;
			dropped[before - all] = true;
		}
	}
	for (size_t i = 0; i < n; i++)
		if (!dropped[i])
			rows[kept++] = all[i];
	*count = kept;
	return 0;
}
