/* camelCase: first_name becomes FirstName. */
#include <stdlib.h>

#include "transformers/rename_keys.h"
#include "transformers/words.h"

struct camel_case_settings {
	bool deep;
};

static const struct df_field camel_case_fields[] = {
	DF_FIELD(struct camel_case_settings, deep, "deep", 0, .def = "false",
		 .doc = "Also the keys of every object inside, and of objects in arrays. Without it only the keys of "
			"the root object.",
		 .example = "true"),
};

static const struct df_table camel_case_table = DF_TABLE(struct camel_case_settings, camel_case_fields);

struct camel_case {
	struct df_transformer base;
	bool deep;
	struct df_key_renamer *renamer;
};

/* CamelCase already, as far as one look tells: an upper-case letter of ASCII and no `_`. */
static bool camel_case_is_done(const char *key, size_t len)
{
	return len == 0 || (key[0] >= 'A' && key[0] <= 'Z' && !memchr(key, '_', len));
}

static const struct df_key_style camel_case_style = { df_word_camel, camel_case_is_done };

static void camel_case_free(struct df_transformer *t)
{
	struct camel_case *camel = (struct camel_case *)t;

	if (!camel)
		return;
	df_key_renamer_free(camel->renamer);
	free(camel);
}

static int camel_case_create(const void *settings, const struct df_place *place, struct df_transformer **ret,
			     struct df_diags *diags)
{
	const struct camel_case_settings *s = settings;
	struct camel_case *camel = calloc(1, sizeof(*camel));

	(void)place;
	(void)diags;
	if (!camel)
		return DF_ERR_NO_MEMORY;
	camel->deep = s->deep;
	camel->renamer = df_key_renamer_new(&camel_case_style);
	if (!camel->renamer) {
		free(camel);
		return DF_ERR_NO_MEMORY;
	}
	*ret = &camel->base;
	return 0;
}

static int camel_case_apply(struct df_transformer *t, const struct df_transform *call, struct df_message *m,
			    struct df_error *err)
{
	struct camel_case *camel = (struct camel_case *)t;
	struct df_value *root = NULL;
	bool changed = false;
	int r = df_message_document(m, call->arena, &root, err);

	/* An array as root holds objects only for `deep`. */
	if (r < 0 || !root || (root->kind != DF_OBJECT && (root->kind != DF_ARRAY || !camel->deep)))
		return r;
	r = df_key_renamer_apply(camel->renamer, root, camel->deep, call->arena, &changed, err);
	if (changed)
		m->changed = true;
	return r;
}

static const struct df_example camel_case_examples[] = {
	{
		.title = "All keys",
		.config = "type: camelCase\n"
			  "config:\n"
			  "  deep: true\n",
		.in = "{\"first_name\": \"Ada\", \"home_address\": {\"zip_code\": \"10115\"}, \"order_items\": "
		      "[{\"item_id\": 1}]}\n",
		.out = "{\"FirstName\":\"Ada\",\"HomeAddress\":{\"ZipCode\":\"10115\"},\"OrderItems\":[{\"ItemId\":1}]}"
		       "\n",
	},
	{
		.title = "The first letter is upper case too",
		.doc = "`_` at the beginning and the end fall away. Only `_` cuts: `user.first_name` is one key with a "
		       "point in it.",
		.config = "type: camelCase\n",
		.in = "{\"firstName\": 1, \"__op\": \"c\", \"USER_NAME\": 3, \"user.first_name\": 4, \"___\": 5}\n",
		.out = "{\"FirstName\":1,\"Op\":\"c\",\"USERNAME\":3,\"User.firstName\":4,\"___\":5}\n",
	},
	{
		.title = "Two keys become one",
		.doc = "The message fails: one of the two values would be lost.",
		.config = "type: camelCase\n",
		.in = "{\"id\": 1, \"user_id\": 5, \"userId\": 6}\n"
		      "{\"id\": 2, \"user_id\": 5}\n",
		.out = "{\"Id\":2,\"UserId\":5}\n",
		.errors = "{\"index\":0,\"transformer\":\"camelCase\",\"transformer_index\":0,\"error\":\"two keys of "
			  "one object become the same name; rename or remove one of them before\"}\n",
	},
};

const struct df_transformer_type df_transformer_camel_case = {
	.type = {
		.name = "camelCase",
		.title = "Rename keys to CamelCase",
		.doc = "`first_name` becomes `FirstName`: the key is cut at every `_`, and the first letter of each part becomes "
		       "upper case. Order and values stay. A key of nothing but `_` stays. Two keys of one object that become "
		       "the same name make the message fail.",
		.settings = &camel_case_table,
		.settings_optional = true,
		.examples = camel_case_examples,
		.example_count = DF_ARRAY_SIZE(camel_case_examples),
	},
	.create = camel_case_create,
	.apply = camel_case_apply,
	.free = camel_case_free,
};
