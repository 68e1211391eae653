/* Paths: setting and removing. */
#include "value/path_internal.h"

void df_places_remove(const struct df_places *places)
{
	/* From the last to the first: the sibling before a place is then always still there. */
	for (size_t i = places->count; i > 0; i--) {
		const struct df_location *place = &places->items[i - 1];

		df_container_remove(place->container, place->prev, place->value);
	}
}

/* How far a path reaches into a document. */
struct reach {
	size_t step;	    /* the first step that finds nothing; count when all find something */
	struct df_value *v; /* what the steps before it reach; all of them when step is count */
};

/* The path's first n steps as written, for errors: what stands before step n and its separator. */
static struct df_str written_before(const struct df_path *path, size_t n)
{
	size_t len = path->steps[n].column - 1;

	if (n == 0)
		return DF_STR("$");
	if (path->text[len - 1] == '.' || path->text[len - 1] == '|')
		len--;
	return df_str(path->text, len);
}

/* May step i be set in v, which has no such child or is null? */
static int check_step(const struct df_path *path, size_t i, const struct df_value *v, size_t len, struct df_error *err)
{
	const struct df_step *step = &path->steps[i];
	struct df_str at = written_before(path, i);

	if (v && v->kind != DF_NULL && !df_value_is_container(v))
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "cannot set " DF_STR_FMT ": " DF_STR_FMT " is %s, expected an object or array",
				    DF_STR_ARG(df_path_text(path)), DF_STR_ARG(at), df_kind_words(v->kind));
	if (v && v->kind == DF_ARRAY && step->index == SIZE_MAX)
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "cannot set " DF_STR_FMT ": " DF_STR_FMT " is an array and " DF_STR_FMT
				    " is no index",
				    DF_STR_ARG(df_path_text(path)), DF_STR_ARG(at), DF_STR_ARG(step->key));
	if ((!v || v->kind != DF_OBJECT) && step->index != SIZE_MAX && step->index > len)
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "cannot set " DF_STR_FMT ": index " DF_STR_FMT " is past the end of " DF_STR_FMT
				    ", which has %zu elements",
				    DF_STR_ARG(df_path_text(path)), DF_STR_ARG(step->key), DF_STR_ARG(at), len);
	return 0;
}

static struct df_value *child_of(const struct df_step *step, const struct df_value *v)
{
	if (v->kind == DF_OBJECT)
		return df_object_get(v, step->key);
	if (v->kind == DF_ARRAY && step->index < v->len)
		return df_array_get(v, step->index);
	return NULL;
}

static int follow(const struct df_path *path, struct df_value *root, struct reach *ret, struct df_error *err)
{
	struct reach r = { .v = root };

	for (; r.step < path->count; r.step++) {
		struct df_value *child = child_of(&path->steps[r.step], r.v);

		if (!child)
			break;
		r.v = child;
	}
	/* The rest is created: its first step in what is there, every later one in a new container. */
	for (size_t i = r.step; i < path->count; i++) {
		const struct df_value *v = i == r.step ? r.v : NULL;
		int rc = check_step(path, i, v, v && v->kind == DF_ARRAY ? v->len : 0, err);

		if (rc)
			return rc;
	}
	*ret = r;
	return 0;
}

int df_path_can_set(const struct df_path *path, const struct df_value *root, struct df_error *err)
{
	struct reach unused;

	return follow(path, (struct df_value *)root, &unused, err);
}

/* value in new containers for steps [from, count), from > 0: what step from - 1 then holds. NULL when out of memory. */
static struct df_value *wrap(const struct df_path *path, size_t from, struct df_arena *arena, struct df_value *value)
{
	for (size_t i = path->count; i > from; i--) {
		const struct df_step *step = &path->steps[i - 1];
		bool is_index = step->index != SIZE_MAX;
		struct df_value *container = df_value_new(arena, is_index ? DF_ARRAY : DF_OBJECT);

		if (!container)
			return NULL;
		if (is_index) {
			df_array_append(container, value);
		} else {
			/* A copy: the document may outlive the path. */
			struct df_str key = df_arena_dup(arena, step->key);

			if (!key.ptr)
				return NULL;
			df_object_append(container, key, value);
		}
		value = container;
	}
	return value;
}

int df_path_set(const struct df_path *path, struct df_value *root, struct df_arena *arena, struct df_value *value,
		struct df_error *err)
{
	struct reach r = { 0 };
	struct df_str key = { 0 };
	int rc = follow(path, root, &r, err);

	if (rc)
		return rc;
	/* Everything that can fail comes before the first change. */
	if (r.step == path->count) {
		df_value_replace(r.v, value);
		return 0;
	}
	value = wrap(path, r.v->kind == DF_NULL ? r.step : r.step + 1, arena, value);
	if (value && r.v->kind == DF_OBJECT) {
		key = df_arena_dup(arena, path->steps[r.step].key);
		if (!key.ptr)
			value = NULL;
	}
	if (!value)
		return df_error_no_memory(err);
	if (r.v->kind == DF_OBJECT)
		df_object_append(r.v, key, value);
	else if (r.v->kind == DF_ARRAY)
		df_array_append(r.v, value);
	else
		df_value_replace(r.v, value);
	return 0;
}
