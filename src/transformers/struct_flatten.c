/* structFlatten: {"a":{"b":1}} becomes {"a.b":1}. */
#include <stdlib.h>

#include "transformers/interface.h"
#include "transformers/keys.h"
#include "transformers/settings.h"

#define LEVELS_MAX 64

struct struct_flatten_settings {
	char *delimiter;
};

static int check_delimiter(struct df_str text, struct df_error *err)
{
	return text.len ? 0 : df_error_set(err, DF_ERR_CONFIG, "the delimiter must not be empty");
}

static const struct df_field struct_flatten_fields[] = {
	DF_FIELD(struct struct_flatten_settings, delimiter, "delimiter", DF_KEEP_EMPTY, .def = ".",
		 .check = check_delimiter, .doc = "What joins the keys.", .example = "_"),
};

static const struct df_table struct_flatten_table = DF_TABLE(struct struct_flatten_settings, struct_flatten_fields);

struct struct_flatten {
	struct df_transformer base;
	struct df_str delimiter; /* the settings' */
};

static void struct_flatten_free(struct df_transformer *t)
{
	free(t);
}

static int struct_flatten_create(const void *settings, const struct df_place *place, struct df_transformer **ret,
				 struct df_diags *diags)
{
	const struct struct_flatten_settings *s = settings;
	struct struct_flatten *flatten = calloc(1, sizeof(*flatten));

	(void)place;
	(void)diags;
	if (!flatten)
		return DF_ERR_NO_MEMORY;
	flatten->delimiter = df_str_c(s->delimiter);
	*ret = &flatten->base;
	return 0;
}

/* ---- looking --------------------------------------------------------------------------------------------- */

struct size {
	size_t members; /* of the result */
	size_t bytes;	/* of their keys */
};

/* prefix: bytes of the keys on the way, delimiters included. False: nested too deep. */
static bool measure(const struct df_value *object, size_t level, size_t prefix, size_t delimiter, struct size *size)
{
	if (level > LEVELS_MAX)
		return false;
	df_for_each (member, object) {
		if (member->kind == DF_OBJECT) {
			if (!measure(member, level + 1, prefix + member->key_len + delimiter, delimiter, size))
				return false;
		} else {
			size->members++;
			size->bytes += prefix + member->key_len;
		}
	}
	return true;
}

static bool is_flat(const struct df_value *root)
{
	df_for_each (member, root) {
		if (member->kind == DF_OBJECT)
			return false;
	}
	return true;
}

/* ---- doing ----------------------------------------------------------------------------------------------- */

struct flat {
	struct df_value *member;
	struct df_str key;
	bool plain;
};

struct work {
	struct df_str delimiter;
	bool delimiter_plain;
	struct flat *items; /* room for all members */
	size_t count;
	char *keys; /* room for all keys */
	struct df_key_map map;
};

/* Writes the key behind the prefix's bytes. False when the key is there already. */
static bool add(struct work *w, struct df_str prefix, bool plain, struct df_value *member)
{
	char *start = w->keys;

	memcpy(start, prefix.ptr, prefix.len);
	if (member->key_len)
		memcpy(start + prefix.len, member->key, member->key_len);
	struct df_str key = df_str(start, prefix.len + member->key_len);
	w->keys += key.len;
	w->items[w->count++] = (struct flat){ member, key, plain && member->key_plain };
	return df_key_map_add(&w->map, key, member);
}

/* prefix has room behind its end for the keys of all levels below. */
static bool collect(struct work *w, const struct df_value *object, char *prefix, size_t len, bool plain)
{
	df_for_each (member, object) {
		if (member->kind != DF_OBJECT) {
			if (!add(w, df_str(prefix, len), plain, member))
				return false;
			continue;
		}
		size_t end = len + member->key_len;
		if (member->key_len)
			memcpy(prefix + len, member->key, member->key_len);
		memcpy(prefix + end, w->delimiter.ptr, w->delimiter.len);
		if (!collect(w, member, prefix, end + w->delimiter.len,
			     plain && member->key_plain && w->delimiter_plain))
			return false;
	}
	return true;
}

/* The longest run of keys and delimiters on the way to any object. */
static size_t longest_prefix(const struct df_value *object, size_t delimiter)
{
	size_t longest = 0;

	df_for_each (member, object) {
		if (member->kind == DF_OBJECT) {
			size_t len = member->key_len + delimiter + longest_prefix(member, delimiter);
			longest = len > longest ? len : longest;
		}
	}
	return longest;
}

static int struct_flatten_apply(struct df_transformer *t, const struct df_transform *call, struct df_message *m,
				struct df_error *err)
{
	const struct struct_flatten *flatten = (const struct struct_flatten *)t;
	struct df_arena *arena = call->arena;
	struct work w = { .delimiter = flatten->delimiter };
	struct df_value *root = NULL;
	struct size size = { 0 };
	int r = df_transform_object(call, m, &root, err);

	if (r < 0 || !root || is_flat(root))
		return r;
	if (!measure(root, 1, 0, w.delimiter.len, &size))
		return df_error_set(err, DF_ERR_INVALID_DATA, "objects nest deeper than %d levels", LEVELS_MAX);
	if (size.bytes > DF_VALUE_SIZE_MAX)
		return df_error_set(err, DF_ERR_INVALID_DATA, "the joined keys would take %zu bytes", size.bytes);

	char *prefix = df_arena_alloc(arena, longest_prefix(root, w.delimiter.len) + 1);
	struct df_value *result = df_value_new(arena, DF_OBJECT);
	w.items = df_arena_alloc(arena, size.members * sizeof(*w.items));
	w.keys = df_arena_alloc(arena, size.bytes);
	if (!prefix || !result || !w.items || !w.keys || df_key_map_init(&w.map, arena, size.members) < 0)
		return df_error_no_memory(err);
	w.delimiter_plain = df_text_is_plain(w.delimiter);
	if (!collect(&w, root, prefix, 0, true))
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "two joined keys are equal; rename one before, or use another delimiter");
	for (size_t i = 0; i < w.count; i++) {
		df_object_append(result, w.items[i].key, w.items[i].member);
		w.items[i].member->key_plain = w.items[i].plain;
	}
	df_message_set_document(m, result);
	return 0;
}

static const struct df_example struct_flatten_examples[] = {
	{
		.title = "Columns for a table",
		.doc = "Arrays are values and stay as they are. Empty objects give nothing.",
		.config = "type: structFlatten\n"
			  "config:\n"
			  "  delimiter: _\n",
		.in = "{\"id\": 1, \"user\": {\"name\": \"Ada\", \"home\": {\"zip\": \"10115\"}}, \"tags\": [\"a\", "
		      "{\"b\": 1}], \"extra\": {}}\n",
		.out = "{\"id\":1,\"user_name\":\"Ada\",\"user_home_zip\":\"10115\",\"tags\":[\"a\",{\"b\":1}]}\n",
	},
	{
		.title = "With points",
		.doc = "Later steps reach such a key with `\\`: the key is `user.id`, not an `id` in `user`.",
		.config = "- type: structFlatten\n"
			  "- type: mask\n"
			  "  config:\n"
			  "    fields: ['user\\.email']\n",
		.in = "{\"user\": {\"id\": 1, \"email\": \"a@example.com\"}}\n",
		.out = "{\"user.id\":1,\"user.email\":\"***\"}\n",
	},
	{
		.title = "Two names become one",
		.doc = "The message fails: one of the two values would be lost. Another delimiter helps.",
		.config = "type: structFlatten\n"
			  "config:\n"
			  "  delimiter: _\n",
		.in = "{\"id\": 1, \"user\": {\"id\": 5}, \"user_id\": 6}\n"
		      "{\"id\": 2, \"user\": {\"id\": 5}}\n",
		.out = "{\"id\":2,\"user_id\":5}\n",
		.errors = "{\"index\":0,\"transformer\":\"structFlatten\",\"transformer_index\":0,\"error\":\"two "
			  "joined keys are equal; rename one before, or use another delimiter\"}\n",
	},
};

const struct df_transformer_type df_transformer_struct_flatten = {
	.type = {
		.name = "structFlatten",
		.title = "Make nested objects flat",
		.doc = "Every member that is not an object becomes a member of the root, named by the keys on the way to it: "
		       "`{\"user\": {\"id\": 1}}` becomes `{\"user.id\": 1}`. Arrays are values and stay as they are; empty "
		       "objects give nothing.\n\n"
		       "The message fails when two names would be equal, or when objects nest deeper than 64 levels.",
		.settings = &struct_flatten_table,
		.settings_optional = true,
		.examples = struct_flatten_examples,
		.example_count = DF_ARRAY_SIZE(struct_flatten_examples),
	},
	.create = struct_flatten_create,
	.apply = struct_flatten_apply,
	.free = struct_flatten_free,
};
