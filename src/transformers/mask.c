/* mask: values become characters that tell nothing about them. */
#include <stdlib.h>

#include "transformers/edit.h"
#include "transformers/settings.h"

#define FIXED 3 /* mask characters without keepLength, and for objects and arrays */

struct mask_settings {
	struct df_strings fields;
	char *mask_char;
	bool keep_length;
};

static int check_mask_char(struct df_str text, struct df_error *err)
{
	uint32_t code_point;

	if (df_utf8_decode(text, &code_point) == text.len)
		return 0;
	return df_error_set(err, DF_ERR_CONFIG, "expected exactly one character (one Unicode code point)");
}

static const struct df_field mask_fields[] = {
	DF_FIELD(
		struct mask_settings, fields, "fields", DF_REQUIRED, .check = df_check_path_location,
		.doc = "Paths of the values to mask, applied in this order, each on the result of the one before. `*` "
		       "and `?` match names, `[*]` all elements of an array, `#(...)` those that a query selects. What "
		       "is not there is skipped.",
		.example = "[password, 'cards[*].number']"),
	DF_FIELD(struct mask_settings, mask_char, "maskChar", 0, .def = "*", .check = check_mask_char,
		 .doc = "The character that takes the place of others: exactly one code point.", .example = "\"#\""),
	DF_FIELD(struct mask_settings, keep_length, "keepLength", 0,
		 .doc = "`true`: one mask character for each character of the value. `false`: always three, so that "
			"the length stays secret as well.",
		 .example = "true"),
};

static const struct df_table mask_table = DF_TABLE(struct mask_settings, mask_fields);

struct mask {
	struct df_transformer base;
	struct df_paths paths;
	struct df_str mark; /* the mask character; in the settings */
	bool keep_length;
};

static void mask_free(struct df_transformer *t)
{
	struct mask *mask = (struct mask *)t;

	if (!mask)
		return;
	df_paths_done(&mask->paths);
	free(mask);
}

DF_DEFINE_TRANSFORMER_CLEANUP(struct mask *, mask_free)

static int mask_create(const void *settings, const struct df_place *place, struct df_transformer **ret,
		       struct df_diags *diags)
{
	const struct mask_settings *s = settings;
	df_cleanup(mask_freep) struct mask *mask = calloc(1, sizeof(*mask));

	if (!mask)
		return DF_ERR_NO_MEMORY;
	mask->mark = df_str_c(s->mask_char);
	mask->keep_length = s->keep_length;
	int r = df_compile_paths(&s->fields, DF_PATH_LOCATION, place, "fields", &mask->paths, diags);
	if (r < 0)
		return r;
	*ret = &DF_TAKE(mask)->base;
	return 0;
}

static size_t count_code_points(struct df_str text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
	return n;
}

/* How many mask characters stand for v. DF_ERR_NO_MEMORY. */
static int mask_length(const struct mask *mask, const struct df_value *v, struct df_arena *arena, size_t *ret)
{
	*ret = FIXED;
	if (!mask->keep_length || df_value_is_container(v))
		return 0;
	struct df_str text = df_value_text(v, arena);
	if (!text.ptr)
		return DF_ERR_NO_MEMORY;
	*ret = count_code_points(text);
	return 0;
}

/* n mask characters; ptr NULL when out of memory. */
static struct df_str mask_text(const struct mask *mask, size_t n, struct df_arena *arena)
{
	size_t len = n * mask->mark.len;
	char *text = df_arena_alloc(arena, len);

	if (text && mask->mark.len == 1)
		memset(text, mask->mark.ptr[0], len);
	for (size_t i = 0; text && mask->mark.len > 1 && i < n; i++)
		memcpy(text + i * mask->mark.len, mask->mark.ptr, mask->mark.len);
	return df_str(text, len);
}

static int mask_value(const struct mask *mask, struct df_edits *edits, struct df_value *v)
{
	size_t n;

	if (v->kind == DF_NULL)
		return 0;
	if (mask_length(mask, v, edits->arena, &n) < 0)
		return DF_ERR_NO_MEMORY;
	struct df_str text = mask_text(mask, n, edits->arena);
	if (!text.ptr)
		return DF_ERR_NO_MEMORY;
	if (df_value_string_equal(v, text)) /* nothing, or a mask already */
		return 0;
	const struct df_value *masked = df_value_string(edits->arena, text);
	if (!masked)
		return DF_ERR_NO_MEMORY;
	edits->changed = true;
	return df_edits_replace(edits, v, masked);
}

static int mask_path(const struct mask *mask, const struct df_path *path, struct df_edits *edits, struct df_value *root)
{
	struct df_places places;
	int r = df_path_locate(path, root, edits->arena, &places);

	for (size_t i = 0; r == 0 && i < places.count; i++)
		r = mask_value(mask, edits, places.items[i].value);
	return r;
}

static int mask_apply(struct df_transformer *t, const struct df_transform *call, struct df_message *m,
		      struct df_error *err)
{
	const struct mask *mask = (const struct mask *)t;
	struct df_edits edits = { .arena = call->arena };
	struct df_value *root = NULL;
	int r = df_message_document(m, call->arena, &root, err);

	if (r < 0 || !root)
		return r;
	for (size_t i = 0; r == 0 && i < mask->paths.count; i++)
		r = mask_path(mask, mask->paths.items[i], &edits, root);
	if (r < 0)
		df_error_no_memory(err);
	return df_edits_end(&edits, m, r);
}

static const struct df_example mask_examples[] = {
	{
		.title = "Keep the length",
		.doc = "One mask character for each character; `ä` is one. Missing fields are skipped.",
		.config = "type: mask\n"
			  "config:\n"
			  "  fields:\n"
			  "    - password\n"
			  "    - user.email\n"
			  "    - cards[*].number\n"
			  "  keepLength: true\n",
		.in = "{\"password\": \"Schlüssel\", \"cards\": [{\"number\": 4111}, {\"number\": \"42\", \"name\": "
		      "\"x\"}]}\n"
		      "{\"id\": 2, \"user\": {\"email\": \"a@b.de\", \"id\": 5}}\n",
		.out = "{\"password\":\"*********\",\"cards\":[{\"number\":\"****\"},{\"number\":\"**\",\"name\":\"x\"}"
		       "]}\n"
		       "{\"id\":2,\"user\":{\"email\":\"******\",\"id\":5}}\n",
	},
	{
		.title = "Hide the length too",
		.doc = "Three characters whatever the value was, also for an empty text. The result is a text, also of "
		       "a number: a column of a number type does not take it, remove the field then. Null stays null.",
		.config = "type: mask\n"
			  "config:\n"
			  "  fields: [secret]\n"
			  "  maskChar: \"#\"\n",
		.in = "{\"id\": 1, \"secret\": \"a long one\"}\n"
		      "{\"id\": 2, \"secret\": \"\"}\n"
		      "{\"id\": 3, \"secret\": -1.50}\n"
		      "{\"id\": 4, \"secret\": {\"key\": \"k\"}}\n"
		      "{\"id\": 5, \"secret\": null}\n",
		.out = "{\"id\":1,\"secret\":\"###\"}\n"
		       "{\"id\":2,\"secret\":\"###\"}\n"
		       "{\"id\":3,\"secret\":\"###\"}\n"
		       "{\"id\":4,\"secret\":\"###\"}\n"
		       "{\"id\": 5, \"secret\": null}\n",
	},
	{
		.title = "Some of many",
		.doc = "A wildcard masks every member that matches, a query every element for which it holds.",
		.config = "type: mask\n"
			  "config:\n"
			  "  fields:\n"
			  "    - \"*_token\"\n"
			  "    - 'contacts.#(kind==\"phone\")#.value'\n",
		.in = "{\"api_token\": \"x1\", \"web_token\": \"x2\"}\n"
		      "{\"contacts\": [{\"kind\": \"phone\", \"value\": \"030\"}, {\"kind\": \"web\", \"value\": "
		      "\"a.de\"}]}\n",
		.out = "{\"api_token\":\"***\",\"web_token\":\"***\"}\n"
		       "{\"contacts\":[{\"kind\":\"phone\",\"value\":\"***\"},{\"kind\":\"web\",\"value\":\"a.de\"}]}"
		       "\n",
	},
};

const struct df_transformer_type df_transformer_mask = {
	.type = {
		.name = "mask",
		.title = "Hide values behind a mask character",
		.doc = "Each value that a path finds becomes a string of mask characters: three, or with `keepLength: "
		       "true` one for each character of a string, of a number's digits, or of `true` and `false`. "
		       "Objects and arrays become three in any case; null stays null.\n\n"
		       "A field that is not there is skipped. Empty payloads, and payloads that are not JSON, pass "
		       "unchanged.",
		.settings = &mask_table,
		.examples = mask_examples,
		.example_count = DF_ARRAY_SIZE(mask_examples),
	},
	.create = mask_create,
	.apply = mask_apply,
	.free = mask_free,
};
