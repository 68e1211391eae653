/* extractField: one value of the document becomes the payload. */
#include <stdlib.h>

#include "transformers/interface.h"
#include "transformers/settings.h"

struct extract_settings {
	char *field;
};

static int check_field(struct df_str text, struct df_error *err)
{
	if (df_str_equal(text, DF_STR("$")))
		return df_error_set(err, DF_ERR_CONFIG, "$ is the payload itself; write the path of a value inside it");
	return df_check_path_reading(text, err);
}

static const struct df_field extract_fields[] = {
	DF_FIELD(struct extract_settings, field, "field", DF_REQUIRED, .check = check_field,
		 .doc = "The path of the value that becomes the payload; queries, `#` and modifiers can be used. `$` "
			"alone, which would change nothing, is refused.",
		 .example = "payload.after"),
};

static const struct df_table extract_table = DF_TABLE(struct extract_settings, extract_fields);

struct extract {
	struct df_transformer base;
	struct df_path *path;
};

static void extract_free(struct df_transformer *t)
{
	struct extract *extract = (struct extract *)t;

	if (!extract)
		return;
	df_path_free(extract->path);
	free(extract);
}

DF_DEFINE_TRANSFORMER_CLEANUP(struct extract *, extract_free)

static int extract_create(const void *settings, const struct df_place *place, struct df_transformer **ret,
			  struct df_diags *diags)
{
	const struct extract_settings *s = settings;
	df_cleanup(extract_freep) struct extract *extract = calloc(1, sizeof(*extract));

	if (!extract)
		return DF_ERR_NO_MEMORY;
	int r = df_compile_path(s->field, DF_PATH_READING, place, "field", &extract->path, diags);
	if (r < 0)
		return r;
	*ret = &DF_TAKE(extract)->base;
	return 0;
}

static int extract_apply(struct df_transformer *t, const struct df_transform *call, struct df_message *m,
			 struct df_error *err)
{
	const struct extract *extract = (const struct extract *)t;
	struct df_value *root = NULL;
	struct df_value *value = NULL;
	int r = df_message_document(m, call->arena, &root, err);

	if (r < 0 || !root)
		return r;
	if (df_path_read(extract->path, root, call->arena, &value) < 0)
		return df_error_no_memory(err);
	if (!value || value == root) /* `@this` reads the root */
		return DF_KEEP;
	/* A root has neither key nor sibling. What is below the value can be taken over: nothing else of the document
	 * stays. */
	struct df_value *taken = df_value_new(call->arena, DF_NULL);
	if (!taken)
		return df_error_no_memory(err);
	df_value_replace(taken, value);
	df_message_set_document(m, taken);
	return DF_KEEP;
}

static const struct df_example extract_field_examples[] = {
	{
		.title = "A part becomes the payload",
		.config = "type: extractField\n"
			  "config:\n"
			  "  field: payload.after\n",
		.in = "{\"payload\": {\"before\": null, \"after\": {\"id\": 1, \"price\": 1.10}}}\n"
		      "{\"payload\": {\"before\": {\"id\": 1}, \"after\": null}}\n"
		      "{\"note\": \"nothing is read, so it stays\"}\n",
		.out = "{\"id\":1,\"price\":1.10}\n"
		       "null\n"
		       "{\"note\": \"nothing is read, so it stays\"}\n",
	},
	{
		.title = "Without what has no such part",
		.doc = "A filter before it: null and nothing are both not true.",
		.config = "- type: filter\n"
			  "  config:\n"
			  "    condition: payload.after\n"
			  "- type: extractField\n"
			  "  config:\n"
			  "    field: payload.after\n",
		.in = "{\"payload\": {\"after\": {\"id\": 1}}}\n"
		      "{\"payload\": {\"after\": null}}\n"
		      "{\"note\": \"x\"}\n",
		.out = "{\"id\":1}\n",
	},
	{
		.title = "A value out of an array",
		.doc = "The first element for which the query holds. `hoistField` makes an object of a bare value, "
		       "which most sinks want.",
		.config = "- type: extractField\n"
			  "  config:\n"
			  "    field: 'contacts.#(kind==\"mail\").value'\n"
			  "- type: hoistField\n"
			  "  config:\n"
			  "    field: mail\n",
		.in = "{\"contacts\": [{\"kind\": \"phone\", \"value\": \"030\"}, {\"kind\": \"mail\", \"value\": "
		      "\"a@b.de\"}]}\n",
		.out = "{\"mail\":\"a@b.de\"}\n",
	},
};

const struct df_transformer_type df_transformer_extract_field = {
	.type = {
		.name = "extractField",
		.title = "Replace the payload by one value of it",
		.doc = "The value that the path reads becomes the payload, whatever it is: an object, an array, a string, "
		       "a number, a bool. Null becomes the JSON text `null`, which is not an empty payload (a "
		       "tombstone).\n\n"
		       "When the path reads nothing the message is unchanged; so are empty payloads and payloads that are "
		       "not JSON. Metadata stays.",
		.settings = &extract_table,
		.examples = extract_field_examples,
		.example_count = DF_ARRAY_SIZE(extract_field_examples),
	},
	.create = extract_create,
	.apply = extract_apply,
	.free = extract_free,
};
