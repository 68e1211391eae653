/* select: a new flat object of what the paths read. */
#include <stdio.h>
#include <stdlib.h>

#include "transformers/interface.h"
#include "transformers/keys.h"
#include "transformers/settings.h"

struct select_settings {
	struct df_strings fields;
};

static int check_select(struct df_str text, struct df_error *err)
{
	df_cleanup(df_path_freep) struct df_path *path = NULL;
	int r = df_path_compile(text, DF_PATH_READING, &path, err);

	if (r == 0)
		r = df_path_check_select(path, err);
	if (r == DF_ERR_CONFIG)
		df_error_prefix(err, "not a path that can be selected");
	return r;
}

static const struct df_field select_fields[] = {
	DF_FIELD(struct select_settings, fields, "fields", DF_REQUIRED, .check = check_select,
		 .doc = "Paths of what to keep. Each that reads something gives one member, in this order, named like "
			"the last name or index in the path; a wildcard gives one for every match.",
		 .example = "[id, user.name, \"address_*\"]"),
};

static const struct df_table select_table = DF_TABLE(struct select_settings, select_fields);

struct select {
	struct df_transformer base;
	struct df_paths paths; /* without those that stand there twice */
	/* All paths are single names, names[i] the key of path i: one walk through the members finds all. */
	bool by_names;
	struct df_path **plain; /* own the names' texts; NULL where a path is not plain */
	struct df_key_set names;
	struct df_value **found; /* room for one call: of name i, NULL when it is not there */
	/* Documents are alike: the names that were there last time, in the order of the document. Of the others, bit
	 * len % 64 is set in `missing`. */
	struct expected {
		const char *key;
		uint32_t len;
		uint32_t index;
	} * order;
	size_t order_count;
	uint64_t missing;
	/* No path can read what another one reads a part of: what is read can be moved. */
	bool movable;
};

static void select_free(struct df_transformer *t)
{
	struct select *select = (struct select *)t;

	if (!select)
		return;
	for (size_t i = 0; select->plain && i < select->paths.count; i++)
		df_path_free(select->plain[i]);
	free(select->plain);
	free(select->order);
	free(select->found);
	df_key_set_done(&select->names);
	df_paths_done(&select->paths);
	free(select);
}

DF_DEFINE_TRANSFORMER_CLEANUP(struct select *, select_free)

/* ---- compiling ------------------------------------------------------------------------------------------- */

static int check_paths(const struct df_paths *paths, const struct df_place *place, struct df_diags *diags)
{
	int result = 0;

	for (size_t i = 0; i < paths->count; i++) {
		struct df_error err = DF_ERROR_INIT;
		char where[64];

		snprintf(where, sizeof(where), "fields[%zu]", i);
		if (df_path_check_select(paths->items[i], &err) < 0)
			result = df_tell(diags, place, where, &err);
	}
	return result;
}

/* The same path listed again is ignored. */
static void drop_repeated(struct df_paths *paths)
{
	size_t kept = 0;

	for (size_t i = 0; i < paths->count; i++) {
		size_t k = 0;

		while (k < kept && !df_path_equal(paths->items[k], paths->items[i]))
			k++;
		if (k < kept)
			df_path_free(paths->items[i]);
		else
			paths->items[kept++] = paths->items[i];
	}
	paths->count = kept;
}

static bool are_apart(const struct select *select)
{
	for (size_t i = 0; i < select->paths.count; i++) {
		if (!select->plain[i])
			return false;
		for (size_t k = 0; k < i; k++) {
			if (df_path_overlaps(select->plain[i], select->plain[k]))
				return false;
		}
	}
	return true;
}

static int look_for_names(struct select *select)
{
	size_t n = select->paths.count;
	df_cleanup(df_freep) struct df_str *keys = calloc(n + 1, sizeof(*keys));

	select->plain = calloc(n + 1, sizeof(*select->plain));
	select->order = calloc(n + 1, sizeof(*select->order));
	select->found = calloc(n + 1, sizeof(struct df_value *));
	if (!keys || !select->plain || !select->order || !select->found)
		return DF_ERR_NO_MEMORY;
	select->by_names = true;
	select->missing = UINT64_MAX; /* nothing is known yet */
	for (size_t i = 0; i < n; i++) {
		if (df_path_single_key(df_path_text(select->paths.items[i]), &select->plain[i], &keys[i]) < 0)
			return DF_ERR_NO_MEMORY;
		select->by_names = select->by_names && keys[i].ptr;
		/* `[1]` and `1` differ as paths only on an array, and are one key here. */
		for (size_t k = 0; k < i; k++)
			select->by_names = select->by_names && !df_str_equal(keys[k], keys[i]);
	}
	select->movable = are_apart(select);
	return select->by_names ? df_key_set_init(&select->names, keys, n) : 0;
}

static int select_create(const void *settings, const struct df_place *place, struct df_transformer **ret,
			 struct df_diags *diags)
{
	const struct select_settings *s = settings;
	df_cleanup(select_freep) struct select *select = calloc(1, sizeof(*select));

	if (!select)
		return DF_ERR_NO_MEMORY;
	int r = df_compile_paths(&s->fields, DF_PATH_READING, place, "fields", &select->paths, diags);
	if (r == 0)
		r = check_paths(&select->paths, place, diags);
	if (r < 0)
		return r;
	drop_repeated(&select->paths);
	r = look_for_names(select);
	if (r < 0)
		return r;
	*ret = &DF_TAKE(select)->base;
	return 0;
}

/* ---- applying -------------------------------------------------------------------------------------------- */

/* Is everything where it was last time? Then `found` is right: each name is there at most once. */
static bool find_again(struct select *select, const struct df_value *root)
{
	const struct expected *expected = select->order;
	const struct expected *end = expected + select->order_count;
	struct df_value **found = select->found;
	uint64_t missing = select->missing;

	df_for_each (member, root) {
		if (expected < end && expected->len == member->key_len &&
		    df_key_same(expected->key, member->key, expected->len)) {
			found[expected->index] = member;
			expected++;
		} else if (missing >> (member->key_len & 63) & 1 &&
			   df_key_set_find(&select->names, member->key, member->key_len) != SIZE_MAX) {
			return false;
		}
	}
	return expected == end;
}

/* Finds all names, and remembers where they are. */
static __attribute__((noinline)) void find_all(struct select *select, const struct df_value *root)
{
	size_t n = select->names.count;

	memset(select->found, 0, n * sizeof(struct df_value *));
	select->order_count = 0;
	select->missing = 0;
	df_for_each (member, root) {
		size_t i = df_key_set_find(&select->names, member->key, member->key_len);
		if (i == SIZE_MAX)
			continue;
		select->found[i] = member;
		select->order[select->order_count++] =
			(struct expected){ select->names.names[i].key.ptr, member->key_len, (uint32_t)i };
	}
	for (size_t i = 0; i < n; i++) {
		if (!select->found[i])
			select->missing |= (uint64_t)1 << (select->names.names[i].key.len & 63);
	}
}

/* The names are different, so nothing can be there twice. */
static int select_by_names(struct select *select, const struct df_transform *call, struct df_message *m,
			   const struct df_value *root, struct df_error *err)
{
	struct df_value *result = df_value_new(call->arena, DF_OBJECT);
	size_t n = select->names.count;

	if (!result)
		return df_error_no_memory(err);
	if (!find_again(select, root))
		find_all(select, root);

	struct df_value **found = select->found;
	struct df_value **link = &result->first;
	struct df_value *last = NULL;
	for (size_t i = 0; i < n; i++) {
		if (!found[i])
			continue;
		*link = last = found[i];
		link = &last->next;
	}
	*link = NULL;
	result->last = last;
	result->len = (uint32_t)select->order_count;
	df_message_set_document(m, result);
	return 0;
}

struct selection {
	struct select *select;
	const struct df_transform *call;
	struct df_value *result;
	struct df_key_map keys;
	struct df_error *err;
};

/* A place read twice under one key is one match. Which place a member was read from stands in its slot. */
static int add(struct selection *s, const struct df_path *path, const struct df_selected *match)
{
	struct df_key_slot *slot = df_key_map_find(&s->keys, match->key);

	if (slot->key && slot->member == match->value)
		return 0;
	if (slot->key)
		return df_error_set(s->err, DF_ERR_INVALID_DATA,
				    DF_STR_FMT
				    ": two matches have the same last name; select one of them, or rename one before",
				    DF_STR_ARG(df_path_text(path)));
	df_key_map_add(&s->keys, match->key, match->value);

	struct df_value *member = NULL;
	if (s->select->movable || !df_value_is_container(match->value)) {
		/* The original keeps its place until nothing can fail any more. */
		member = df_arena_alloc(s->call->arena, sizeof(*member));
		if (member)
			*member = *match->value;
	} else {
		member = df_value_clone(match->value, s->call->arena);
	}
	if (!member)
		return df_error_no_memory(s->err);
	df_object_append(s->result, match->key, member);
	return 0;
}

struct matches {
	struct df_selected *items;
	size_t count;
};

static int select_by_paths(struct select *select, const struct df_transform *call, struct df_message *m,
			   struct df_value *root, struct df_error *err)
{
	size_t n = select->paths.count;
	struct selection s = { .select = select, .call = call, .err = err };
	struct matches *matches = df_arena_alloc(call->arena, n * sizeof(*matches));
	size_t total = 0;

	s.result = df_value_new(call->arena, DF_OBJECT);
	if (!s.result || !matches)
		return df_error_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		if (df_path_select(select->paths.items[i], root, call->arena, &matches[i].items, &matches[i].count) < 0)
			return df_error_no_memory(err);
		total += matches[i].count;
	}
	if (df_key_map_init(&s.keys, call->arena, total) < 0)
		return df_error_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < matches[i].count; k++) {
			int r = add(&s, select->paths.items[i], &matches[i].items[k]);
			if (r < 0)
				return r;
		}
	}
	df_message_set_document(m, s.result);
	return 0;
}

static int select_apply(struct df_transformer *t, const struct df_transform *call, struct df_message *m,
			struct df_error *err)
{
	struct select *select = (struct select *)t;
	struct df_value *root = NULL;
	int r = df_transform_object(call, m, &root, err);

	if (r < 0 || !root)
		return r;
	return select->by_names ? select_by_names(select, call, m, root, err)
				: select_by_paths(select, call, m, root, err);
}

static const struct df_example select_examples[] = {
	{
		.title = "Some fields, flat",
		.doc = "Each is named like the last part of its path. The order is that of the list.",
		.config = "type: select\n"
			  "config:\n"
			  "  fields: [id, user.name, \"address_*\"]\n",
		.in = "{\"user\": {\"name\": \"Ada\", \"age\": 36}, \"address_zip\": \"10115\", \"address_city\": "
		      "\"Berlin\", \"id\": 1}\n"
		      "{\"id\": 2, \"user\": \"Ada\"}\n"
		      "{\"note\": \"nothing that is asked for\"}\n",
		.out = "{\"id\":1,\"name\":\"Ada\",\"address_zip\":\"10115\",\"address_city\":\"Berlin\"}\n"
		       "{\"id\":2}\n"
		       "{}\n",
	},
	{
		.title = "Values of many elements",
		.doc = "`#.` collects, `#` counts, a query picks.",
		.config = "type: select\n"
			  "config:\n"
			  "  fields: [order, items.#.sku, items.#, 'items.#(qty>1).qty']\n",
		.in = "{\"order\": 7, \"items\": [{\"sku\": \"A\", \"qty\": 1}, {\"sku\": \"B\", \"qty\": 3}, "
		      "{\"sku\": \"C\", \"qty\": 2}]}\n",
		.out = "{\"order\":7,\"sku\":[\"A\",\"B\",\"C\"],\"items\":3,\"qty\":3}\n",
	},
	{
		.title = "Two values with one name",
		.doc = "The message fails: one of the two would be lost. Message 2 has only one.",
		.config = "type: select\n"
			  "config:\n"
			  "  fields: [id, user.id]\n",
		.in = "{\"id\": 1, \"user\": {\"id\": 5}}\n"
		      "{\"id\": 2}\n",
		.out = "{\"id\":2}\n",
		.errors = "{\"index\":0,\"transformer\":\"select\",\"transformer_index\":0,\"error\":\"user.id: two "
			  "matches have the same last name; select one of them, or rename one before\"}\n",
	},
	{
		.title = "Names of your own",
		.doc = "`replaceField` takes one of the two out of its way before.",
		.config = "- type: replaceField\n"
			  "  config:\n"
			  "    renames: [\"user.id:user_id\"]\n"
			  "- type: select\n"
			  "  config:\n"
			  "    fields: [id, user_id]\n",
		.in = "{\"id\": 1, \"user\": {\"id\": 5, \"name\": \"Ada\"}}\n",
		.out = "{\"id\":1,\"user_id\":5}\n",
	},
};

const struct df_transformer_type df_transformer_select = {
	.type = {
		.name = "select",
		.title = "Keep only some fields, in a new flat object",
		.doc = "The payload becomes a new object with one member for each path that reads something, in the order of "
		       "the list. When nothing is found it is `{}`. A member is named like the last name or index of its "
		       "path: `user.name` gives `name`.\n\n"
		       "Two different matches with the same name make the message fail: nothing is silently lost. Payloads "
		       "that are no objects pass unchanged.",
		.settings = &select_table,
		.examples = select_examples,
		.example_count = DF_ARRAY_SIZE(select_examples),
	},
	.create = select_create,
	.apply = select_apply,
	.free = select_free,
};
