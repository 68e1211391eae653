/* headersToPayload: headers that the source put into the metadata become fields of the payload. */
#include <stdlib.h>

#include "transformers/edit.h"
#include "transformers/settings.h"
#include "transformers/texts.h"

struct headers_settings {
	struct df_strings mappings;
};

static int check_mapping(struct df_str text, struct df_error *err)
{
	struct df_str header, path;
	int r = df_pair_cut(text, &header, &path, err);

	return r < 0 ? r : df_check_path_plain(path, err);
}

static const struct df_field headers_fields[] = {
	DF_FIELD(
		struct headers_settings, mappings, "mappings", DF_REQUIRED, .check = check_mapping,
		.doc = "`header:path` each: the header's name, exactly as it is sent, and the path of keys and indices "
		       "where its value is set. In the name `\\:` is a colon and `\\\\` a backslash.",
		.example = "['trace-id:meta.trace', 'X-Source:source']"),
};

static const struct df_table headers_table = DF_TABLE(struct headers_settings, headers_fields);

struct mapping {
	char *header; /* unescaped; NUL-terminated */
	struct df_path *path;
};

struct headers {
	struct df_transformer base;
	size_t count;
	struct mapping mappings[];
};

static void headers_free(struct df_transformer *t)
{
	struct headers *headers = (struct headers *)t;

	if (!headers)
		return;
	for (size_t i = 0; i < headers->count; i++) {
		free(headers->mappings[i].header);
		df_path_free(headers->mappings[i].path);
	}
	free(headers);
}

/* In place: `\:` and `\\` lose their backslash. */
static void unescape(char *text)
{
	char *to = text;

	while (*text) {
		if (text[0] == '\\' && (text[1] == ':' || text[1] == '\\'))
			text++;
		*to++ = *text++;
	}
	*to = '\0';
}

static int compile(const char *text, const struct df_place *place, struct mapping *ret, struct df_diags *diags)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_str header, path;

	if (df_pair_cut(df_str_c(text), &header, &path, &err) < 0)
		return df_tell(diags, place, "mappings", &err);
	ret->header = df_str_dup(header);
	if (!ret->header)
		return DF_ERR_NO_MEMORY;
	unescape(ret->header);
	return df_compile_path(path.ptr, DF_PATH_PLAIN, place, "mappings", &ret->path, diags);
}

static int headers_create(const void *settings, const struct df_place *place, struct df_transformer **ret,
			  struct df_diags *diags)
{
	const struct headers_settings *s = settings;
	struct headers *headers = calloc(1, sizeof(*headers) + s->mappings.count * sizeof(headers->mappings[0]));
	int r = 0;

	if (!headers)
		return DF_ERR_NO_MEMORY;
	for (size_t i = 0; r == 0 && i < s->mappings.count; i++)
		r = compile(s->mappings.items[i], place, &headers->mappings[headers->count++], diags);
	if (r < 0)
		headers_free(&headers->base);
	else
		*ret = &headers->base;
	return r;
}

/* The header as a value of the document: a string, or null. NULL when out of memory. */
static struct df_value *header_value(const struct df_value *header, struct df_arena *arena)
{
	if (header->kind == DF_NULL)
		return df_value_new(arena, DF_NULL);
	if (header->kind == DF_STRING)
		return df_value_clone(header, arena);
	struct df_str text = df_value_text(header, arena);
	return text.ptr ? df_value_string(arena, text) : NULL;
}

static int headers_apply(struct df_transformer *t, const struct df_transform *call, struct df_message *m,
			 struct df_error *err)
{
	const struct headers *headers = (const struct headers *)t;
	const struct df_value *all = df_message_meta(m, "headers");
	struct df_edits edits = { .arena = call->arena };
	struct df_value *root = NULL;
	int r = df_transform_object(call, m, &root, err);

	if (r < 0 || !root || !all)
		return r;
	for (size_t i = 0; r == 0 && i < headers->count; i++) {
		const struct df_value *header = df_object_get_c(all, headers->mappings[i].header);
		if (!header)
			continue;
		struct df_value *value = header_value(header, call->arena);
		r = value ? df_edits_set(&edits, headers->mappings[i].path, root, value, err) : df_error_no_memory(err);
	}
	return df_edits_end(&edits, m, r);
}

static const struct df_example headers_to_payload_examples[] = {
	{
		.title = "Some headers",
		.doc = "Objects on the way are created. A value is always a text. A header that is missing is skipped.",
		.config = "type: headersToPayload\n"
			  "config:\n"
			  "  mappings:\n"
			  "    - trace-id:meta.trace\n"
			  "    - X-Source:source\n",
		.in = "{\"data\": {}, \"metadata\": {\"headers\": {\"trace-id\": \"7f\", \"X-Source\": \"shop\"}}}\n"
		      "{\"data\": {\"id\": 2}, \"metadata\": {\"headers\": {\"x-source\": \"shop\"}}}\n",
		.out = "{\"data\":{\"meta\":{\"trace\":\"7f\"},\"source\":\"shop\"},\"metadata\":{\"headers\":{\"trace-"
		       "id\":\"7f\",\"X-Source\":\"shop\"}}}\n"
		       "{\"data\":{\"id\":2},\"metadata\":{\"headers\":{\"x-source\":\"shop\"}}}\n",
		.envelope = true,
	},
	{
		.title = "A colon in the name",
		.doc = "A `\\` before it makes it a part of the name. A header without a value gives null.",
		.config = "type: headersToPayload\n"
			  "config:\n"
			  "  mappings: ['ns\\:id:id', 'retry:retry']\n",
		.in = "{\"data\": {}, \"metadata\": {\"headers\": {\"ns:id\": \"7\", \"retry\": null}}}\n",
		.out = "{\"data\":{\"id\":\"7\",\"retry\":null},\"metadata\":{\"headers\":{\"ns:id\":\"7\",\"retry\":"
		       "null}}}\n",
		.envelope = true,
	},
	{
		.title = "A path that leads through a text",
		.doc = "The message fails: the text would be lost.",
		.config = "type: headersToPayload\n"
			  "config:\n"
			  "  mappings: [\"trace:meta.trace\"]\n",
		.in = "{\"data\": {\"meta\": \"v1\"}, \"metadata\": {\"headers\": {\"trace\": \"7f\"}}}\n"
		      "{\"data\": {\"meta\": null}, \"metadata\": {\"headers\": {\"trace\": \"80\"}}}\n",
		.out = "{\"data\":{\"meta\":{\"trace\":\"80\"}},\"metadata\":{\"headers\":{\"trace\":\"80\"}}}\n",
		.errors = "{\"index\":0,\"transformer\":\"headersToPayload\",\"transformer_index\":0,\"error\":"
			  "\"cannot set meta.trace: meta is a string, expected an object or array\"}\n",
		.envelope = true,
	},
};

const struct df_transformer_type df_transformer_headers_to_payload = {
	.type = {
		.name = "headersToPayload",
		.title = "Copy headers of the message into its payload",
		.doc = "For each mapping, in order, the header's value is set at the path: a string, or null when the header "
		       "has no value. A field that is there is overwritten, missing objects and arrays on the way are "
		       "created. A header that the message does not have is skipped.\n\n"
		       "Headers are read from the metadata `headers`, where a source puts those that are text (of several "
		       "with one name the last). Payloads that are no JSON object pass unchanged. A path that leads "
		       "through a string, number or bool makes the message fail.",
		.settings = &headers_table,
		.examples = headers_to_payload_examples,
		.example_count = DF_ARRAY_SIZE(headers_to_payload_examples),
	},
	.create = headers_create,
	.apply = headers_apply,
	.free = headers_free,
};
