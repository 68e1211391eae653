/* A path in the first line, a JSON document behind it: compiled for every use, and used. */
#include <stdlib.h>

#include "value/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void read_path(const struct df_path *path, struct df_value *root, struct df_arena *arena)
{
	struct df_str before = df_value_to_arena(root, arena);
	struct df_selected *selected = NULL;
	struct df_value *found = NULL;
	size_t count = 0;

	check(df_path_equal(path, path) && df_path_starts(path, path));
	check(df_path_read(path, root, arena, &found) == 0);
	if (found)
		check(df_value_to_arena(found, arena).ptr != NULL);
	if (df_path_check_select(path, NULL) == 0)
		check(df_path_select(path, root, arena, &selected, &count) == 0);
	for (size_t i = 0; i < count; i++)
		check(selected[i].key.ptr != NULL && df_value_to_arena(selected[i].value, arena).ptr != NULL);
	check(df_str_equal(before, df_value_to_arena(root, arena)));
}

static void remove_places(const struct df_path *path, const struct df_value *root, struct df_arena *arena)
{
	struct df_value *copy = df_value_clone(root, arena);
	struct df_places places;

	check(copy != NULL && df_path_locate(path, copy, arena, &places) == 0);
	for (size_t i = 0; i < places.count; i++)
		check(df_container_prev(places.items[i].container, places.items[i].value) == places.items[i].prev);
	df_places_remove(&places);
	check(df_value_to_arena(copy, arena).ptr != NULL);
}

/* What was set is read back, and nothing happens when it cannot be set. */
static void set_place(const struct df_path *path, const struct df_value *root, struct df_arena *arena)
{
	struct df_value *copy = df_value_clone(root, arena);
	struct df_value *value = df_value_new(arena, DF_TRUE);
	struct df_value *found;

	check(copy != NULL && value != NULL);
	if (copy->kind != DF_OBJECT)
		return;
	bool can = df_path_can_set(path, copy, NULL) == 0;
	check((df_path_set(path, copy, arena, value, NULL) == 0) == can);
	found = df_path_get(path, copy, NULL);
	check(can ? found && found->kind == DF_TRUE : df_value_equal(root, copy));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *line = size ? memchr(text, '\n', size) : NULL;
	size_t len = line ? (size_t)(line - text) : size;
	size_t behind = line ? len + 1 : size;
	struct df_arena arena;
	struct df_value *root = NULL;
	size_t scanned;

	df_arena_init(&arena, NULL);
	if (df_path_scan(df_str(text, len), &scanned, NULL) == 0)
		check(scanned <= len);
	if (df_value_parse(df_str(text + behind, size - behind), &arena, &root, NULL) != DF_PARSE_OK)
		root = df_value_new(&arena, DF_OBJECT);
	for (int use = DF_PATH_READING; use <= DF_PATH_PLAIN; use++) {
		df_cleanup(df_path_freep) struct df_path *path = NULL;
		struct df_error err = DF_ERROR_INIT;

		if (df_path_compile(df_str(text, len), (enum df_path_use)use, &path, &err) < 0) {
			check(err.code != DF_ERR_CONFIG || strncmp(err.text, "column ", 7) == 0 || len == 0);
			continue;
		}
		if (use == DF_PATH_READING)
			read_path(path, root, &arena);
		else
			remove_places(path, root, &arena);
		if (use == DF_PATH_PLAIN)
			set_place(path, root, &arena);
	}
	df_arena_done(&arena);
	return 0;
}
