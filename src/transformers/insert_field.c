/* insertField: fields with fixed values, metadata or the time. */
#include <stdlib.h>

#include "base/time.h"
#include "transformers/edit.h"
#include "transformers/settings.h"

struct insert_settings {
	struct df_pairs fields;
};

enum source { FROM_TEXT, FROM_METADATA, FROM_NOW, FROM_JSON };

struct entry {
	struct df_path *path;
	enum source source;
	char *text;		/* TEXT: the value; METADATA: the key */
	struct df_value *value; /* JSON: in the transformer's arena */
};

/* ---- settings -------------------------------------------------------------------------------------------- */

/* What the text asks for; *ret is its part that matters. */
static enum source source_of(struct df_str text, struct df_str *ret)
{
	static const struct df_str metadata = { "${metadata.", 11 };
	static const struct df_str json = { "json:", 5 };

	*ret = text;
	if (df_str_starts(text, json)) {
		*ret = df_str(text.ptr + json.len, text.len - json.len);
		return FROM_JSON;
	}
	if (df_str_equal(text, DF_STR("${now}")))
		return FROM_NOW;
	if (df_str_starts(text, metadata) && text.len > metadata.len + 1 &&
	    memchr(text.ptr, '}', text.len) == text.ptr + text.len - 1) {
		*ret = df_str(text.ptr + metadata.len, text.len - metadata.len - 1);
		return FROM_METADATA;
	}
	return FROM_TEXT;
}

static void check_value(const struct df_pair *pair, const struct df_place *place, const char *sub,
			struct df_diags *diags)
{
	struct df_arena arena = { 0 };
	struct df_error err = DF_ERROR_INIT;
	struct df_value *value = NULL;
	struct df_str text;

	if (pair->kind != DF_STRING) {
		df_diag_error(diags, place, sub,
			      "expected a text, found %s; put a text in quotes, write \"json:...\" for any other value",
			      df_kind_words((enum df_kind)pair->kind));
		return;
	}
	if (source_of(df_str_c(pair->text), &text) != FROM_JSON)
		return;
	df_arena_init(&arena, NULL);
	if (df_value_parse_text(text, &arena, &value, &err) == DF_ERR_INVALID_DATA)
		df_diag_error(diags, place, sub, "what stands behind json: is not JSON: %s", err.text);
	df_arena_done(&arena);
}

static void check_values(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	const struct insert_settings *s = settings;

	for (size_t i = 0; i < s->fields.count; i++) {
		df_cleanup(df_buf_done) struct df_buf sub = { 0 };

		if (!s->fields.items[i].key)
			continue;
		df_buf_printf(&sub, "fields.%s", s->fields.items[i].key);
		check_value(&s->fields.items[i], place, df_buf_c(&sub), diags);
	}
}

static const struct df_field insert_fields[] = {
	DF_FIELD(struct insert_settings, fields, "fields", DF_REQUIRED, .check = df_check_path_plain,
		 .doc = "Path of keys and indices to the text that is set there, in the order written. "
			"`${metadata.KEY}` is the metadata of that key as a string, `${now}` the time in UTC; `json:` "
			"with JSON behind it is that value. Every other text stands for itself, also one with a "
			"placeholder inside.",
		 .example = "{source.topic: '${metadata.topic}', loaded_at: '${now}', version: 'json:2'}"),
};

static const struct df_rule insert_rules[] = {
	{ .kind = DF_RULE_CHECK, .partial = true, .fn = check_values },
};

static const struct df_table insert_table = DF_TABLE_RULES(struct insert_settings, insert_fields, insert_rules);

/* ---- making ---------------------------------------------------------------------------------------------- */

struct insert {
	struct df_transformer base;
	struct df_arena arena; /* JSON values */
	size_t count;
	struct entry entries[];
};

static void insert_free(struct df_transformer *t)
{
	struct insert *insert = (struct insert *)t;

	if (!insert)
		return;
	for (size_t i = 0; i < insert->count; i++) {
		df_path_free(insert->entries[i].path);
		free(insert->entries[i].text);
	}
	df_arena_done(&insert->arena);
	free(insert);
}

DF_DEFINE_TRANSFORMER_CLEANUP(struct insert *, insert_free)

static int compile(struct insert *insert, const struct df_pair *pair, const struct df_place *place, struct entry *ret,
		   struct df_diags *diags)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_str text;

	ret->source = source_of(df_str_c(pair->text), &text);
	ret->text = df_str_dup(text);
	if (!ret->text)
		return DF_ERR_NO_MEMORY;
	if (ret->source == FROM_JSON && df_value_parse_text(text, &insert->arena, &ret->value, &err) < 0) {
		int r = df_tell(diags, place, "fields", &err);
		return r == DF_ERR_NO_MEMORY ? r : DF_ERR_CONFIG;
	}
	return df_compile_path(pair->key, DF_PATH_PLAIN, place, "fields", &ret->path, diags);
}

static int insert_create(const void *settings, const struct df_place *place, struct df_transformer **ret,
			 struct df_diags *diags)
{
	const struct insert_settings *s = settings;
	df_cleanup(insert_freep) struct insert *insert =
		calloc(1, sizeof(*insert) + s->fields.count * sizeof(insert->entries[0]));

	if (!insert)
		return DF_ERR_NO_MEMORY;
	df_arena_init(&insert->arena, NULL);
	for (size_t i = 0; i < s->fields.count; i++) {
		int r = compile(insert, &s->fields.items[i], place, &insert->entries[insert->count++], diags);
		if (r < 0)
			return r;
	}
	*ret = &DF_TAKE(insert)->base;
	return 0;
}

/* ---- one message ----------------------------------------------------------------------------------------- */

/* All values are made for the message alone: later transformers may edit them. NULL when out of memory. */
static struct df_value *metadata_value(const struct df_message *m, const char *key, struct df_arena *arena)
{
	const struct df_value *v = df_message_meta(m, key);

	if (!v || v->kind == DF_NULL)
		return df_value_new(arena, DF_STRING);
	struct df_str text = df_value_text(v, arena);
	return text.ptr ? df_value_string(arena, text) : NULL;
}

/* *now is the clock's time, read when the first entry asks for it. */
static struct df_value *now_value(const struct df_transform *call, struct df_str *now)
{
	if (!now->ptr) {
		char text[DF_RFC3339_MAX];
		int64_t ns = df_clock_now(call->clock);
		int64_t seconds = ns / DF_NS_PER_S - (ns % DF_NS_PER_S < 0);
		size_t len = df_rfc3339_format((struct df_instant){ .seconds = seconds }, 0, DF_FRACTION_NONE, text);

		*now = df_arena_dup(call->arena, df_str(text, len));
		if (!now->ptr)
			return NULL;
	}
	return df_value_string(call->arena, *now);
}

static struct df_value *entry_value(const struct entry *entry, const struct df_transform *call,
				    const struct df_message *m, struct df_str *now)
{
	switch (entry->source) {
	case FROM_METADATA:
		return metadata_value(m, entry->text, call->arena);
	case FROM_NOW:
		return now_value(call, now);
	case FROM_JSON:
		return df_value_clone_deep(entry->value, call->arena);
	case FROM_TEXT:
		break;
	}
	return df_value_string_copy(call->arena, df_str_c(entry->text));
}

static int insert_apply(struct df_transformer *t, const struct df_transform *call, struct df_message *m,
			struct df_error *err)
{
	const struct insert *insert = (const struct insert *)t;
	struct df_edits edits = { .arena = call->arena };
	struct df_str now = { 0 };
	struct df_value *root = NULL;
	int r = df_transform_object(call, m, &root, err);

	if (r < 0 || !root)
		return r;
	for (size_t i = 0; r == 0 && i < insert->count; i++) {
		const struct entry *entry = &insert->entries[i];
		struct df_value *value = entry_value(entry, call, m, &now);
		r = value ? df_edits_set(&edits, entry->path, root, value, err) : df_error_no_memory(err);
	}
	return df_edits_end(&edits, m, r);
}

static const struct df_example insert_field_examples[] = {
	{
		.title = "Where it came from, and when",
		.doc = "Metadata always comes as a text, also a number. A key that the message does not have gives an "
		       "empty text.",
		.config = "type: insertField\n"
			  "config:\n"
			  "  fields:\n"
			  "    source.topic: ${metadata.topic}\n"
			  "    source.offset: ${metadata.offset}\n"
			  "    loaded_at: ${now}\n"
			  "    environment: production\n"
			  "    version: json:2\n",
		.in = "{\"data\": {\"id\": 1, \"version\": 1}, \"metadata\": {\"topic\": \"orders\", \"offset\": 42}}\n"
		      "{\"data\": {\"id\": 2}}\n",
		.out = "{\"data\":{\"id\":1,\"version\":2,\"source\":{\"topic\":\"orders\",\"offset\":\"42\"},\"loaded_"
		       "at\":\"2024-01-15T09:50:00Z\",\"environment\":\"production\"},\"metadata\":{\"topic\":"
		       "\"orders\",\"offset\":42}}\n"
		       "{\"data\":{\"id\":2,\"source\":{\"topic\":\"\",\"offset\":\"\"},\"loaded_at\":\"2024-01-15T09:"
		       "50:00Z\",\"environment\":\"production\",\"version\":2},\"metadata\":{}}\n",
		.envelope = true,
	},
	{
		.title = "Values that are no texts",
		.doc = "`json:` in front. Paths are set in the order written, so the second sees what the first made.",
		.config = "type: insertField\n"
			  "config:\n"
			  "  fields:\n"
			  "    price: \"json:1.10\"\n"
			  "    tags: 'json:[\"new\"]'\n"
			  "    tags[1]: gift\n"
			  "    note: \"json:null\"\n"
			  "    paid: \"true\"\n",
		.in = "{\"id\": 1}\n",
		.out = "{\"id\":1,\"price\":1.10,\"tags\":[\"new\",\"gift\"],\"note\":null,\"paid\":\"true\"}\n",
	},
	{
		.title = "Placeholders stand alone",
		.doc = "A text around one makes it plain text.",
		.config = "type: insertField\n"
			  "config:\n"
			  "  fields:\n"
			  "    a: ${now}\n"
			  "    b: \"at ${now}\"\n",
		.in = "{}\n",
		.out = "{\"a\":\"2024-01-15T09:50:00Z\",\"b\":\"at ${now}\"}\n",
	},
	{
		.title = "A path that leads through a number",
		.doc = "The message fails: the number would be lost. A null gives way.",
		.config = "type: insertField\n"
			  "config:\n"
			  "  fields: {meta.env: test}\n",
		.in = "{\"meta\": 5}\n"
		      "{\"meta\": null}\n",
		.out = "{\"meta\":{\"env\":\"test\"}}\n",
		.errors = "{\"index\":0,\"transformer\":\"insertField\",\"transformer_index\":0,\"error\":\"cannot set "
			  "meta.env: meta is a number, expected an object or array\"}\n",
	},
};

const struct df_transformer_type df_transformer_insert_field = {
	.type = {
		.name = "insertField",
		.title = "Add fields with fixed values, metadata or the time",
		.doc = "Sets each path to its value, in the order written. A field that is there is overwritten where it "
		       "stands, a new one is appended; missing objects and arrays on the way are created.\n\n"
		       "- `${metadata.KEY}`: the metadata of exactly that key, always as a string; empty when there is "
		       "none.\n"
		       "- `${now}`: the time in UTC, `2024-01-15T09:50:00Z`; the same in all fields of one message.\n"
		       "- `json:` and JSON: that value, with all its digits.\n"
		       "- anything else: the text itself.\n\n"
		       "Payloads that are no JSON object pass unchanged. A path that leads through a string, number or bool "
		       "makes the message fail.",
		.settings = &insert_table,
		.examples = insert_field_examples,
		.example_count = DF_ARRAY_SIZE(insert_field_examples),
	},
	.create = insert_create,
	.apply = insert_apply,
	.free = insert_free,
};
