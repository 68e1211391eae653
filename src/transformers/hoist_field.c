/* hoistField: the payload becomes the only field of an object. */
#include <stdlib.h>

#include "transformers/interface.h"
#include "transformers/settings.h"

struct hoist_settings {
	char *field;
};

static int check_field(struct df_str text, struct df_error *err)
{
	if (text.len > 0 && memchr(text.ptr, '.', text.len))
		return df_error_set(
			err, DF_ERR_CONFIG,
			"a name, not a path: it must not contain a dot; use hoistField twice to wrap twice");
	return 0;
}

static const struct df_field hoist_fields[] = {
	DF_FIELD(struct hoist_settings, field, "field", DF_REQUIRED, .check = check_field,
		 .doc = "The name of the field. It is taken as it is, not as a path, and must not contain a dot.",
		 .example = "payload"),
};

static const struct df_table hoist_table = DF_TABLE(struct hoist_settings, hoist_fields);

struct hoist {
	struct df_transformer base;
	struct df_str field; /* in the settings */
};

static void hoist_free(struct df_transformer *t)
{
	free(t);
}

static int hoist_create(const void *settings, const struct df_place *place, struct df_transformer **ret,
			struct df_diags *diags)
{
	const struct hoist_settings *s = settings;
	struct hoist *hoist = calloc(1, sizeof(*hoist));

	(void)place;
	(void)diags;
	if (!hoist)
		return DF_ERR_NO_MEMORY;
	hoist->field = df_str_c(s->field);
	*ret = &hoist->base;
	return 0;
}

static int hoist_apply(struct df_transformer *t, const struct df_transform *call, struct df_message *m,
		       struct df_error *err)
{
	const struct hoist *hoist = (const struct hoist *)t;
	struct df_value *root = NULL;
	int r = df_message_document(m, call->arena, &root, err);

	if (r < 0 || !root)
		return r;
	struct df_value *object = df_value_new(call->arena, DF_OBJECT);
	struct df_str key = df_arena_dup(call->arena, hoist->field);
	if (!object || !key.ptr)
		return df_error_no_memory(err);
	df_object_append(object, key, root);
	df_message_set_document(m, object);
	return DF_KEEP;
}

static const struct df_example hoist_field_examples[] = {
	{
		.title = "An object around anything",
		.doc = "Not JSON, as in the last line, passes unchanged.",
		.config = "type: hoistField\n"
			  "config:\n"
			  "  field: payload\n",
		.in = "{\"id\": 1}\n"
		      "[1, 2]\n"
		      "21.50\n"
		      "null\n"
		      "not JSON\n",
		.out = "{\"payload\":{\"id\":1}}\n"
		       "{\"payload\":[1,2]}\n"
		       "{\"payload\":21.50}\n"
		       "{\"payload\":null}\n"
		       "not JSON\n",
	},
	{
		.title = "Two levels",
		.doc = "The name is no path: `a.b` is refused. Wrap twice.",
		.config = "- type: hoistField\n"
			  "  config:\n"
			  "    field: celsius\n"
			  "- type: hoistField\n"
			  "  config:\n"
			  "    field: sensor\n",
		.in = "21.50\n",
		.out = "{\"sensor\":{\"celsius\":21.50}}\n",
	},
	{
		.title = "The elements of an array as rows",
		.config = "- type: flatten\n"
			  "  config:\n"
			  "    field: $\n"
			  "- type: hoistField\n"
			  "  config:\n"
			  "    field: value\n",
		.in = "[3, 4.0, \"five\"]\n",
		.out = "{\"value\":3}\n"
		       "{\"value\":4.0}\n"
		       "{\"value\":\"five\"}\n",
	},
};

const struct df_transformer_type df_transformer_hoist_field = {
	.type = {
		.name = "hoistField",
		.title = "Wrap the payload into an object with one field",
		.doc = "`{\"<field>\": <payload>}` for any JSON payload: objects, arrays, strings, numbers, bools and null. "
		       "Empty payloads and payloads that are not JSON pass unchanged.\n\n"
		       "Before `debeziumUnwrap` it gives an envelope that comes without one the `payload` around it.",
		.settings = &hoist_table,
		.examples = hoist_field_examples,
		.example_count = DF_ARRAY_SIZE(hoist_field_examples),
	},
	.create = hoist_create,
	.apply = hoist_apply,
	.free = hoist_free,
};
