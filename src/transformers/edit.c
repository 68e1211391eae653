#include "transformers/edit.h"

struct df_edit {
	struct df_edit *before;
	struct df_value *at;
	struct df_value was;
};

static int remember(struct df_edits *edits, struct df_value *at)
{
	struct df_edit *edit = df_arena_alloc(edits->arena, sizeof(*edit));

	if (!edit)
		return DF_ERR_NO_MEMORY;
	*edit = (struct df_edit){ .before = edits->last, .at = at, .was = *at };
	edits->last = edit;
	return 0;
}

int df_edits_replace(struct df_edits *edits, struct df_value *at, const struct df_value *from)
{
	int r = remember(edits, at);

	if (r == 0)
		df_value_replace(at, from);
	return r;
}

/* Would setting b where a stands leave every byte as it is? Only told for scalars; for others false. */
static bool is_same(const struct df_value *a, const struct df_value *b)
{
	if (a->kind != b->kind || a->logical != b->logical)
		return false;
	switch (a->kind) {
	case DF_STRING:
		return df_value_equal(a, b);
	case DF_NUMBER:
		return a->repr == DF_REPR_TEXT && b->repr == DF_REPR_TEXT &&
		       df_str_equal(df_str(a->text, a->len), df_str(b->text, b->len));
	default:
		return !df_value_is_container(a);
	}
}

/* The last node on the path's way that is there: what setting the path changes. *ret_whole: it is the path's own. */
static struct df_value *last_there(const struct df_path *path, struct df_value *root, bool *ret_whole)
{
	struct df_value *v = root;
	size_t steps = df_path_steps(path);

	for (size_t i = 0; i < steps; i++) {
		size_t index;
		struct df_str key = df_path_step(path, i, &index);
		struct df_value *child = v->kind == DF_OBJECT			    ? df_object_get(v, key)
					 : v->kind == DF_ARRAY && index != SIZE_MAX ? df_array_get(v, index)
										    : NULL;
		*ret_whole = child;
		if (!child)
			break;
		v = child;
	}
	return v;
}

int df_edits_set(struct df_edits *edits, const struct df_path *path, struct df_value *root, struct df_value *value,
		 struct df_error *err)
{
	bool whole = false;
	struct df_value *at = last_there(path, root, &whole);

	if (whole && is_same(at, value))
		return 0;
	if (remember(edits, at) < 0)
		return df_error_no_memory(err);
	int r = df_path_set(path, root, edits->arena, value, err);
	edits->changed = edits->changed || r == 0;
	return r;
}

int df_edits_end(struct df_edits *edits, struct df_message *m, int r)
{
	if (r >= 0) {
		m->changed = m->changed || edits->changed;
		return r;
	}
	/* The newest first, so that a node that was edited twice ends as it was before the first. */
	for (struct df_edit *edit = edits->last; edit; edit = edit->before) {
		df_value_replace(edit->at, &edit->was);
		/* Children that were appended hang behind the last one. */
		if (df_value_is_container(edit->at) && edit->at->first)
			edit->at->last->next = NULL;
	}
	edits->last = NULL;
	edits->changed = false;
	return r;
}
