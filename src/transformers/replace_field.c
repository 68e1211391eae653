/* replaceField: keep or remove places, then rename some. */
#include <stdio.h>
#include <stdlib.h>

#include "transformers/interface.h"
#include "transformers/keys.h"
#include "transformers/settings.h"
#include "transformers/texts.h"

struct replace_field_settings {
	struct df_strings include, exclude, renames;
};

/* ---- settings -------------------------------------------------------------------------------------------- */

struct rename {
	struct df_path *from, *to;
	bool stays; /* both paths lead to the same container */
};

static void rename_done(struct rename *rename)
{
	df_path_free(rename->from);
	df_path_free(rename->to);
}

static int compile_rename(struct df_str text, struct rename *ret, struct df_error *err)
{
	struct df_str from, to;
	int r = df_pair_cut(text, &from, &to, err);

	*ret = (struct rename){ 0 };
	if (r < 0)
		return r;
	r = df_path_compile(from, DF_PATH_PLAIN, &ret->from, err);
	if (r == DF_ERR_CONFIG)
		df_error_prefix(err, "the old path");
	if (r < 0)
		return r;
	r = df_path_compile(to, DF_PATH_PLAIN, &ret->to, err);
	if (r == DF_ERR_CONFIG)
		df_error_prefix(err, "the new path");
	return r;
}

static int check_rename(struct df_str text, struct df_error *err)
{
	struct rename rename = { 0 };
	int r = compile_rename(text, &rename, err);

	rename_done(&rename);
	return r;
}

static void check_settings(const void *settings, const struct df_place *place, struct df_diags *diags);

static const struct df_field replace_field_fields[] = {
	DF_FIELD(struct replace_field_settings, include, "include", 0, .check = df_check_path_location,
		 .doc = "Paths of what to keep: the places, whole, and the objects and arrays on the way to them. "
			"Everything else goes. Not together with `exclude`.",
		 .example = "[id, user.name]"),
	DF_FIELD(struct replace_field_settings, exclude, "exclude", 0, .check = df_check_path_location,
		 .doc = "Paths of what to remove, as `remove` does it. Not together with `include`.",
		 .example = "[password]"),
	DF_FIELD(struct replace_field_settings, renames, "renames", 0, .check = check_rename,
		 .doc = "Pairs `old:new` of paths; `\\:` is a colon in a name. All happen at once and after `include` "
			"or `exclude`. Within one object the place stays; else the value moves, and objects and "
			"arrays that this emptied go.",
		 .example = "[\"ts:created_at\", \"user.id:user_id\"]"),
};

static const struct df_rule replace_field_rules[] = {
	{ .kind = DF_RULE_ONE_OF, .fields = { "include", "exclude", "renames" } },
	{ .kind = DF_RULE_CHECK, .partial = true, .fn = check_settings },
};

static const struct df_table replace_field_table =
	DF_TABLE_RULES(struct replace_field_settings, replace_field_fields, replace_field_rules);

/* The old paths of two renames must lead to places apart from each other; told at the later. */
static void check_overlaps(const struct rename *renames, size_t n, const struct df_place *place, struct df_diags *diags)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < i; k++) {
			char where[64];

			if (!renames[i].from || !renames[k].from || !df_path_overlaps(renames[i].from, renames[k].from))
				continue;
			snprintf(where, sizeof(where), "renames[%zu]", i);
			df_diag_error(diags, place, where,
				      "the old path is that of renames[%zu], or a part of it or around it; each place "
				      "can be renamed once",
				      k);
			break;
		}
	}
}

static int compile_renames(const struct df_strings *list, const struct df_place *place, struct rename **ret,
			   struct df_diags *diags)
{
	int result = 0;

	*ret = calloc(list->count + 1, sizeof(**ret));
	if (!*ret)
		return DF_ERR_NO_MEMORY;
	for (size_t i = 0; i < list->count; i++) {
		struct df_error err = DF_ERROR_INIT;
		char where[64];

		if (!list->items[i]) /* told already */
			continue;
		snprintf(where, sizeof(where), "renames[%zu]", i);
		if (compile_rename(df_str_c(list->items[i]), &(*ret)[i], &err) < 0)
			result = df_tell(diags, place, where, &err);
		if (result == DF_ERR_NO_MEMORY)
			return result;
	}
	return result;
}

static void renames_free(struct rename *renames, size_t n)
{
	for (size_t i = 0; renames && i < n; i++)
		rename_done(&renames[i]);
	free(renames);
}

static void check_settings(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	const struct replace_field_settings *s = settings;
	struct rename *renames = NULL;

	if (s->include.count > 0 && s->exclude.count > 0)
		df_diag_error(diags, place, NULL, "only one of `include` and `exclude` may be set; remove the other");
	if (compile_renames(&s->renames, place, &renames, diags) == 0)
		check_overlaps(renames, s->renames.count, place, diags);
	renames_free(renames, s->renames.count);
}

/* ---- compiling ------------------------------------------------------------------------------------------- */

struct replace_field {
	struct df_transformer base;
	struct df_paths include, exclude;
	struct rename *renames; /* without those that change nothing */
	size_t rename_count;
	size_t rename_room; /* to be freed */
	bool all_stay;
};

static void replace_field_free(struct df_transformer *t)
{
	struct replace_field *replace = (struct replace_field *)t;

	if (!replace)
		return;
	df_paths_done(&replace->include);
	df_paths_done(&replace->exclude);
	renames_free(replace->renames, replace->rename_room);
	free(replace);
}

DF_DEFINE_TRANSFORMER_CLEANUP(struct replace_field *, replace_field_free)

/* Do all steps but the last agree? */
static bool same_container(const struct df_path *a, const struct df_path *b)
{
	size_t n = df_path_steps(a);

	if (df_path_steps(b) != n)
		return false;
	for (size_t i = 0; i + 1 < n; i++) {
		size_t x, y;

		if (!df_str_equal(df_path_step(a, i, &x), df_path_step(b, i, &y)) || x != y)
			return false;
	}
	return true;
}

/* Leaves `x:x` out. */
static void sort_renames(struct replace_field *replace)
{
	struct rename *renames = replace->renames;
	size_t kept = 0;

	replace->all_stay = true;
	for (size_t i = 0; i < replace->rename_room; i++) {
		struct rename rename = renames[i];

		if (df_path_equal(rename.from, rename.to))
			continue;
		rename.stays = same_container(rename.from, rename.to);
		replace->all_stay = replace->all_stay && rename.stays;
		/* Exchanged and not overwritten: what is left out stays behind the others, to be freed. */
		renames[i] = renames[kept];
		renames[kept++] = rename;
	}
	replace->rename_count = kept;
}

static int replace_field_create(const void *settings, const struct df_place *place, struct df_transformer **ret,
				struct df_diags *diags)
{
	const struct replace_field_settings *s = settings;
	df_cleanup(replace_field_freep) struct replace_field *replace = calloc(1, sizeof(*replace));

	if (!replace)
		return DF_ERR_NO_MEMORY;
	replace->rename_room = s->renames.count;
	int r = df_compile_paths(&s->include, DF_PATH_LOCATION, place, "include", &replace->include, diags);
	if (r == 0)
		r = df_compile_paths(&s->exclude, DF_PATH_LOCATION, place, "exclude", &replace->exclude, diags);
	if (r == 0)
		r = compile_renames(&s->renames, place, &replace->renames, diags);
	if (r < 0)
		return r;
	sort_renames(replace);
	*ret = &DF_TAKE(replace)->base;
	return 0;
}

/* ---- include, exclude
 * ------------------------------------------------------------------------------------------------ */

static struct df_str pointer_key(struct df_value *const *value)
{
	return df_str((const char *)value, sizeof(*value));
}

/* Takes everything out that is not in `places` and not on the way to one of them. Recursive as deep as the document. */
static void keep_places(struct df_value *container, struct df_key_map *places, bool *ret_changed)
{
	struct df_value *prev = NULL;
	struct df_value *next;

	for (struct df_value *child = container->first; child; child = next) {
		bool kept = df_key_map_find(places, pointer_key(&child))->key != NULL;

		next = child->next;
		if (!kept && df_value_is_container(child)) {
			keep_places(child, places, ret_changed);
			kept = child->len > 0;
		}
		if (kept) {
			prev = child;
		} else {
			df_container_remove(container, prev, child);
			*ret_changed = true;
		}
	}
}

static int include(const struct df_paths *paths, struct df_value *root, struct df_arena *arena, bool *ret_changed)
{
	struct df_places *places = df_arena_alloc(arena, paths->count * sizeof(*places));
	struct df_key_map map;
	size_t total = 0;

	if (!places)
		return DF_ERR_NO_MEMORY;
	for (size_t i = 0; i < paths->count; i++) {
		if (df_path_locate(paths->items[i], root, arena, &places[i]) < 0)
			return DF_ERR_NO_MEMORY;
		total += places[i].count;
	}
	if (df_key_map_init(&map, arena, total) < 0)
		return DF_ERR_NO_MEMORY;
	for (size_t i = 0; i < paths->count; i++) {
		for (size_t k = 0; k < places[i].count; k++)
			df_key_map_add(&map, pointer_key(&places[i].items[k].value), NULL);
	}
	keep_places(root, &map, ret_changed);
	return 0;
}

static int exclude(const struct df_paths *paths, struct df_value *root, struct df_arena *arena, bool *ret_changed)
{
	for (size_t i = 0; i < paths->count; i++) {
		struct df_places places;

		if (df_path_locate(paths->items[i], root, arena, &places) < 0)
			return DF_ERR_NO_MEMORY;
		df_places_remove(&places);
		if (places.count > 0)
			*ret_changed = true;
	}
	return 0;
}

/* ---- renames
 * ----------------------------------------------------------------------------------------------------------- */

struct found {
	const struct rename *rename;
	struct df_value *value;
	struct df_value *container;
	struct df_value **way; /* the containers of all steps, the root first */
};

static struct df_str new_key(const struct found *f)
{
	return df_path_step(f->rename->to, df_path_steps(f->rename->to) - 1, NULL);
}

static struct df_value *child_at(const struct df_path *path, size_t i, const struct df_value *v)
{
	size_t index;
	struct df_str key = df_path_step(path, i, &index);

	return v->kind == DF_OBJECT ? df_object_get(v, key) : v->kind == DF_ARRAY ? df_array_get(v, index) : NULL;
}

/* Looks all old paths up. *ret: those that are there. */
static int find_all(const struct replace_field *replace, struct df_value *root, struct df_arena *arena,
		    struct found **ret, size_t *ret_count)
{
	struct found *found = df_arena_alloc(arena, replace->rename_count * sizeof(*found));
	size_t n = 0;

	if (!found)
		return DF_ERR_NO_MEMORY;
	for (size_t i = 0; i < replace->rename_count; i++) {
		const struct df_path *from = replace->renames[i].from;
		size_t steps = df_path_steps(from);
		struct df_value **way = df_arena_alloc(arena, steps * sizeof(struct df_value *));
		struct df_value *v = root;

		if (!way)
			return DF_ERR_NO_MEMORY;
		for (size_t k = 0; k < steps && v; k++) {
			way[k] = v;
			v = child_at(from, k, v);
		}
		if (v)
			found[n++] = (struct found){ &replace->renames[i], v, way[steps - 1], way };
	}
	*ret = found;
	*ret_count = n;
	return 0;
}

static int exists(const struct rename *rename, struct df_error *err)
{
	return df_error_set(err, DF_ERR_INVALID_DATA,
			    "cannot rename " DF_STR_FMT " to " DF_STR_FMT ": the new name exists already",
			    DF_STR_ARG(df_path_text(rename->from)), DF_STR_ARG(df_path_text(rename->to)));
}

/* Will the new name be free once all old names are gone, and those of the renames before are there? */
static bool is_free(const struct found *found, size_t n, size_t i)
{
	const struct found *f = &found[i];
	const struct df_value *there = df_object_get(f->container, new_key(f));
	bool free_name = !there;

	for (size_t k = 0; k < n; k++) {
		if (found[k].value == there)
			free_name = true;
		if (k < i && found[k].container == f->container && df_str_equal(new_key(&found[k]), new_key(f)))
			return false;
	}
	return free_name;
}

/* Only keys change. All is checked before the first does. */
static int rename_keys(const struct found *found, size_t n, struct df_error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (!is_free(found, n, i))
			return exists(found[i].rename, err);
	}
	for (size_t i = 0; i < n; i++)
		df_object_rename(found[i].value, new_key(&found[i]));
	return 0;
}

/* No member has this length of key: nothing finds it until it gets its new name. */
#define NO_NAME UINT32_MAX

static bool keeps_place(const struct found *f)
{
	return f->rename->stays && f->container->kind == DF_OBJECT;
}

static void unlink_child(struct df_value *container, struct df_value *child)
{
	df_container_remove(container, df_container_prev(container, child), child);
}

static bool has_child(const struct df_value *container, const struct df_value *child)
{
	df_for_each (v, container) {
		if (v == child)
			return true;
	}
	return false;
}

/* Takes objects and arrays on the old path away that are empty now, up to below the root. */
static void remove_emptied(const struct found *f)
{
	for (size_t k = df_path_steps(f->rename->from) - 1; k > 0 && f->way[k]->len == 0; k--) {
		if (has_child(f->way[k - 1], f->way[k]))
			unlink_child(f->way[k - 1], f->way[k]);
	}
}

static int put(const struct found *f, struct df_value *root, struct df_arena *arena, struct df_error *err)
{
	if (keeps_place(f)) {
		if (df_object_get(f->container, new_key(f)))
			return exists(f->rename, err);
		df_object_rename(f->value, new_key(f));
		return 0;
	}
	if (df_path_get(f->rename->to, root, NULL))
		return exists(f->rename, err);
	return df_path_set(f->rename->to, root, arena, f->value, err);
}

/* Values move. The root is a copy: it is no matter what it looks like when this fails. */
static int rename_and_move(const struct found *found, size_t n, struct df_value *root, struct df_arena *arena,
			   struct df_error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (keeps_place(&found[i]))
			found[i].value->key_len = NO_NAME;
		else
			unlink_child(found[i].container, found[i].value);
	}
	for (size_t i = 0; i < n; i++) {
		int r = put(&found[i], root, arena, err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < n; i++) {
		if (!keeps_place(&found[i]))
			remove_emptied(&found[i]);
	}
	return 0;
}

/* ---- applying
 * ----------------------------------------------------------------------------------------------------------- */

/* *root is exchanged for a copy where it must be changed before it is known whether all succeeds. */
static int rename_all(const struct replace_field *replace, struct df_value **root, bool is_copy, struct df_arena *arena,
		      bool *ret_changed, struct df_error *err)
{
	struct found *found;
	size_t n = 0;
	bool moves = false;

	if (find_all(replace, *root, arena, &found, &n) < 0)
		return df_error_no_memory(err);
	if (n == 0)
		return 0;
	*ret_changed = true;
	for (size_t i = 0; i < n; i++)
		moves = moves || !keeps_place(&found[i]);
	if (!moves)
		return rename_keys(found, n, err);
	if (!is_copy) {
		*root = df_value_clone(*root, arena);
		if (!*root || find_all(replace, *root, arena, &found, &n) < 0)
			return df_error_no_memory(err);
	}
	return rename_and_move(found, n, *root, arena, err);
}

static int replace_field_apply(struct df_transformer *t, const struct df_transform *call, struct df_message *m,
			       struct df_error *err)
{
	const struct replace_field *replace = (const struct replace_field *)t;
	bool filters = replace->include.count > 0 || replace->exclude.count > 0;
	bool is_copy = filters && replace->rename_count > 0;
	struct df_value *root = NULL;
	bool changed = false;
	int r = df_transform_object(call, m, &root, err);

	if (r < 0 || !root)
		return r;
	/* A rename can fail when something is gone already. */
	if (is_copy)
		root = df_value_clone(root, call->arena);
	if (!root)
		return df_error_no_memory(err);
	if (replace->include.count > 0)
		r = include(&replace->include, root, call->arena, &changed);
	else if (replace->exclude.count > 0)
		r = exclude(&replace->exclude, root, call->arena, &changed);
	if (r < 0)
		return df_error_no_memory(err);
	if (replace->rename_count > 0)
		r = rename_all(replace, &root, is_copy, call->arena, &changed, err);
	if (r < 0)
		return r;
	if (changed)
		df_message_set_document(m, root);
	return 0;
}

static const struct df_example replace_field_examples[] = {
	{
		.title = "Remove and rename",
		.doc = "A key that is renamed within its object stays in its place. One that moves elsewhere is "
		       "appended there, and what it leaves empty goes.",
		.config = "type: replaceField\n"
			  "config:\n"
			  "  exclude: [password]\n"
			  "  renames: [\"ts:created_at\", \"user.id:user_id\"]\n",
		.in = "{\"ts\": 5, \"user\": {\"id\": 1}, \"password\": \"x\", \"total\": 9.90}\n"
		      "{\"ts\": 6, \"user\": {\"id\": 2, \"name\": \"Ada\"}}\n"
		      "{\"total\": 1}\n",
		.out = "{\"created_at\":5,\"total\":9.90,\"user_id\":1}\n"
		       "{\"created_at\":6,\"user\":{\"name\":\"Ada\"},\"user_id\":2}\n"
		       "{\"total\": 1}\n",
	},
	{
		.title = "Keep only some, as they stand",
		.doc = "Unlike `select`, objects and arrays on the way stay. Elements without a match go.",
		.config = "type: replaceField\n"
			  "config:\n"
			  "  include: [id, user.name, items.#.sku]\n",
		.in = "{\"id\": 1, \"user\": {\"name\": \"Ada\", \"age\": 36}, \"items\": [{\"sku\": \"A\", \"qty\": "
		      "1}, {\"qty\": 2}]}\n"
		      "{\"note\": \"nothing that is asked for\"}\n",
		.out = "{\"id\":1,\"user\":{\"name\":\"Ada\"},\"items\":[{\"sku\":\"A\"}]}\n"
		       "{}\n",
	},
	{
		.title = "All renames happen at once",
		.doc = "They speak of the old names, so two fields can be exchanged, and a chain does not run on.",
		.config = "type: replaceField\n"
			  "config:\n"
			  "  renames: [\"first:last\", \"last:first\", \"a:b\", \"b:c\"]\n",
		.in = "{\"first\": \"Lovelace\", \"last\": \"Ada\", \"a\": 1, \"b\": 2}\n",
		.out = "{\"last\":\"Lovelace\",\"first\":\"Ada\",\"b\":1,\"c\":2}\n",
	},
	{
		.title = "The new name exists",
		.doc = "The message fails: nothing is overwritten. `exclude: [name]` would make room.",
		.config = "type: replaceField\n"
			  "config:\n"
			  "  renames: [\"user.name:name\"]\n",
		.in = "{\"name\": \"x\", \"user\": {\"name\": \"Ada\"}}\n"
		      "{\"user\": {\"name\": \"Ada\"}}\n",
		.out = "{\"name\":\"Ada\"}\n",
		.errors = "{\"index\":0,\"transformer\":\"replaceField\",\"transformer_index\":0,\"error\":\"cannot "
			  "rename user.name to name: the new name exists already\"}\n",
	},
};

const struct df_transformer_type df_transformer_replace_field = {
	.type = {
		.name = "replaceField",
		.title = "Keep, remove and rename fields",
		.doc = "First `include` or `exclude`, then `renames`; all of them speak of the old names. All renames happen at "
		       "once: `[\"a:b\", \"b:a\"]` exchanges two fields. Missing fields are skipped. A new name that exists "
		       "already makes the message fail: nothing is overwritten.\n\n"
		       "Payloads that are no objects pass unchanged.",
		.settings = &replace_field_table,
		.examples = replace_field_examples,
		.example_count = DF_ARRAY_SIZE(replace_field_examples),
	},
	.create = replace_field_create,
	.apply = replace_field_apply,
	.free = replace_field_free,
};
