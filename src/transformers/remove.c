/* remove: takes places out of the document. */
#include <stdlib.h>

#include "transformers/interface.h"
#include "transformers/keys.h"
#include "transformers/settings.h"

struct remove_settings {
	struct df_strings fields;
};

static const struct df_field remove_fields[] = {
	DF_FIELD(struct remove_settings, fields, "fields", DF_REQUIRED, .check = df_check_path_location,
		 .doc = "Paths of what to remove: all members for a wildcard, all elements for `#.` and `[*]`, the "
			"first match for `#(query)`, all for `#(query)#`. Missing places are skipped.",
		 .example = "[password, \"internal_*\", \"items.#.secret\"]"),
};

static const struct df_table remove_table = DF_TABLE(struct remove_settings, remove_fields);

struct remove {
	struct df_transformer base;
	struct df_paths paths;
	/* All paths are single names: one walk through the members of an object removes all. */
	bool by_names;
	struct df_key_set names;
	struct df_path **plain; /* own the names' texts */
};

static void remove_free(struct df_transformer *t)
{
	struct remove *remover = (struct remove *)t;

	if (!remover)
		return;
	for (size_t i = 0; remover->plain && i < remover->paths.count; i++)
		df_path_free(remover->plain[i]);
	free(remover->plain);
	df_key_set_done(&remover->names);
	df_paths_done(&remover->paths);
	free(remover);
}

DF_DEFINE_TRANSFORMER_CLEANUP(struct remove *, remove_free)

static int look_for_names(struct remove *remover)
{
	size_t n = remover->paths.count;
	df_cleanup(df_freep) struct df_str *keys = calloc(n + 1, sizeof(*keys));
	size_t different = 0;

	remover->plain = calloc(n + 1, sizeof(*remover->plain));
	if (!keys || !remover->plain)
		return DF_ERR_NO_MEMORY;
	for (size_t i = 0; i < n; i++) {
		struct df_str *key = &keys[different];

		if (df_path_single_key(df_path_text(remover->paths.items[i]), &remover->plain[i], key) < 0)
			return DF_ERR_NO_MEMORY;
		if (!key->ptr)
			return 0;
		/* Removing a key a second time finds nothing. */
		size_t k = 0;
		while (!df_str_equal(keys[k], *key))
			k++;
		different += k == different;
	}
	remover->by_names = true;
	return df_key_set_init(&remover->names, keys, different);
}

static int remove_create(const void *settings, const struct df_place *place, struct df_transformer **ret,
			 struct df_diags *diags)
{
	const struct remove_settings *s = settings;
	df_cleanup(remove_freep) struct remove *remover = calloc(1, sizeof(*remover));

	if (!remover)
		return DF_ERR_NO_MEMORY;
	int r = df_compile_paths(&s->fields, DF_PATH_LOCATION, place, "fields", &remover->paths, diags);
	if (r == 0)
		r = look_for_names(remover);
	if (r < 0)
		return r;
	*ret = &DF_TAKE(remover)->base;
	return 0;
}

static bool remove_names(const struct remove *remover, struct df_value *root)
{
	struct df_value *prev = NULL;
	struct df_value *next;
	bool removed = false;

	for (struct df_value *member = root->first; member; member = next) {
		next = member->next;
		if (df_key_set_find(&remover->names, member->key, member->key_len) == SIZE_MAX) {
			prev = member;
			continue;
		}
		df_container_remove(root, prev, member);
		removed = true;
	}
	return removed;
}

static int remove_apply(struct df_transformer *t, const struct df_transform *call, struct df_message *m,
			struct df_error *err)
{
	const struct remove *remover = (const struct remove *)t;
	struct df_value *root = NULL;
	int r = df_message_document(m, call->arena, &root, err);

	if (r < 0 || !root)
		return r;
	if (remover->by_names && root->kind == DF_OBJECT) {
		if (remove_names(remover, root))
			m->changed = true;
		return 0;
	}
	for (size_t i = 0; i < remover->paths.count; i++) {
		struct df_places places;

		if (df_path_locate(remover->paths.items[i], root, call->arena, &places) < 0)
			return df_error_no_memory(err);
		df_places_remove(&places);
		if (places.count > 0)
			m->changed = true;
	}
	return 0;
}

static const struct df_example remove_examples[] = {
	{
		.title = "By name, by pattern, in every element",
		.doc = "A message in which nothing is found leaves byte for byte as it came.",
		.config = "type: remove\n"
			  "config:\n"
			  "  fields: [password, \"internal_*\", \"items.#.secret\"]\n",
		.in = "{\"id\": 1, \"password\": \"x\", \"internal_id\": 5, \"items\": [{\"sku\": \"A\", \"secret\": "
		      "1}, {\"secret\": 2}]}\n"
		      "{ \"id\":2, \"total\":1.10 }\n",
		.out = "{\"id\":1,\"items\":[{\"sku\":\"A\"},{}]}\n"
		       "{ \"id\":2, \"total\":1.10 }\n",
	},
	{
		.title = "Keys with a point in them",
		.doc = "A `\\` takes the meaning off the next character. Without it `user.email` is the `email` in "
		       "`user`.",
		.config = "type: remove\n"
			  "config:\n"
			  "  fields: ['user\\.email']\n",
		.in = "{\"user.email\": \"a@example.com\", \"user\": {\"email\": \"b@example.com\"}}\n",
		.out = "{\"user\":{\"email\":\"b@example.com\"}}\n",
	},
	{
		.title = "Elements of an array",
		.doc = "`#(...)` is the first element for which the query holds, `#(...)#` all of them. The others "
		       "close up. What became empty stays.",
		.config = "type: remove\n"
			  "config:\n"
			  "  fields: ['tags.#(%\"tmp*\")#', 'log.#(level==\"debug\")', 'log.#.at']\n",
		.in = "{\"tags\": [\"tmp1\", \"new\", \"tmp2\"], \"log\": [{\"level\": \"debug\"}, {\"level\": "
		      "\"debug\", \"at\": 3}]}\n"
		      "{\"tags\": [\"tmp\"], \"log\": [{\"at\": 4}]}\n",
		.out = "{\"tags\":[\"new\"],\"log\":[{\"level\":\"debug\"}]}\n"
		       "{\"tags\":[],\"log\":[{}]}\n",
	},
};

const struct df_transformer_type df_transformer_remove = {
	.type = {
		.name = "remove",
		.title = "Remove fields",
		.doc = "Takes the places of all paths out of the document, path by path in the order of the list. Elements "
		       "removed from an array close up; objects and arrays that become empty stay. A message in which "
		       "nothing is found leaves byte for byte as it came.",
		.settings = &remove_table,
		.examples = remove_examples,
		.example_count = DF_ARRAY_SIZE(remove_examples),
	},
	.create = remove_create,
	.apply = remove_apply,
	.free = remove_free,
};
