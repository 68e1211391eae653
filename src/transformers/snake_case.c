/* snakeCase: firstName becomes first_name. */
#include <stdlib.h>

#include "transformers/rename_keys.h"
#include "transformers/words.h"

struct snake_case_settings {
	bool deep;
};

static const struct df_field snake_case_fields[] = {
	DF_FIELD(struct snake_case_settings, deep, "deep", 0, .def = "false",
		 .doc = "Also the keys of every object inside, and of objects in arrays. Without it only the keys of "
			"the root object.",
		 .example = "true"),
};

static const struct df_table snake_case_table = DF_TABLE(struct snake_case_settings, snake_case_fields);

struct snake_case {
	struct df_transformer base;
	bool deep;
	struct df_key_renamer *renamer;
};

/* All ASCII and no upper-case letter among it: eight bytes a step. */
static bool snake_case_is_done(const char *key, size_t len)
{
	const uint64_t every = UINT64_C(0x0101010101010101);
	uint64_t found = 0;
	uint64_t word;

/* The high bit of each byte that is A..Z or not ASCII; where a byte is not ASCII a wrong one beside it does no harm. */
#define UPPER(w) ((((w) + every * (0x80 - 'A')) & ~((w) + every * (0x7F - 'Z'))) | (w))
	if (len >= 8) {
		for (size_t i = 0; i < len - 8; i += 8) {
			memcpy(&word, key + i, 8);
			found |= UPPER(word);
		}
		memcpy(&word, key + len - 8, 8);
		found |= UPPER(word);
	} else if (len >= 4) {
		uint32_t low;
		uint32_t high;

		memcpy(&low, key, 4);
		memcpy(&high, key + len - 4, 4);
		word = (uint64_t)high << 32 | low;
		found = UPPER(word);
	} else if (len) {
		word = (uint64_t)(uint8_t)key[0] << 16 | (uint64_t)(uint8_t)key[len >> 1] << 8 | (uint8_t)key[len - 1];
		found = UPPER(word);
	}
#undef UPPER
	return !(found & every << 7);
}

static const struct df_key_style snake_case_style = { df_word_snake, snake_case_is_done };

static void snake_case_free(struct df_transformer *t)
{
	struct snake_case *snake = (struct snake_case *)t;

	if (!snake)
		return;
	df_key_renamer_free(snake->renamer);
	free(snake);
}

static int snake_case_create(const void *settings, const struct df_place *place, struct df_transformer **ret,
			     struct df_diags *diags)
{
	const struct snake_case_settings *s = settings;
	struct snake_case *snake = calloc(1, sizeof(*snake));

	(void)place;
	(void)diags;
	if (!snake)
		return DF_ERR_NO_MEMORY;
	snake->deep = s->deep;
	snake->renamer = df_key_renamer_new(&snake_case_style);
	if (!snake->renamer) {
		free(snake);
		return DF_ERR_NO_MEMORY;
	}
	*ret = &snake->base;
	return 0;
}

static int snake_case_apply(struct df_transformer *t, const struct df_transform *call, struct df_message *m,
			    struct df_error *err)
{
	struct snake_case *snake = (struct snake_case *)t;
	struct df_value *root = NULL;
	bool changed = false;
	int r = df_message_document(m, call->arena, &root, err);

	/* An array as root holds objects only for `deep`. */
	if (r < 0 || !root || (root->kind != DF_OBJECT && (root->kind != DF_ARRAY || !snake->deep)))
		return r;
	r = df_key_renamer_apply(snake->renamer, root, snake->deep, call->arena, &changed, err);
	if (changed)
		m->changed = true;
	return r;
}

static const struct df_example snake_case_examples[] = {
	{
		.title = "All keys",
		.config = "type: snakeCase\n"
			  "config:\n"
			  "  deep: true\n",
		.in = "{\"firstName\": \"Ada\", \"homeAddress\": {\"zipCode\": \"10115\"}, \"orderItems\": "
		      "[{\"itemID\": 1}]}\n",
		.out = "{\"first_name\":\"Ada\",\"home_address\":{\"zip_code\":\"10115\"},\"order_items\":[{\"item_"
		       "id\":1}]}\n",
	},
	{
		.title = "Abbreviations, digits, other characters",
		.doc = "Without `deep` only the keys of the root. No `_` is put behind a character that is no letter "
		       "and no digit.",
		.config = "type: snakeCase\n",
		.in = "{\"userID\": 1, \"XMLHttpRequest\": 2, \"address2Line\": 3, \"first-Name\": 4, \"ÉtéFin\": "
		      "{\"innerKey\": 5}}\n",
		.out = "{\"user_id\":1,\"xml_http_request\":2,\"address2_line\":3,\"first-name\":4,\"été_fin\":{"
		       "\"innerKey\":5}}\n",
	},
	{
		.title = "Two keys become one",
		.doc = "The message fails: one of the two values would be lost.",
		.config = "type: snakeCase\n",
		.in = "{\"id\": 1, \"userId\": 5, \"user_id\": 6}\n"
		      "{\"id\": 2, \"userId\": 5}\n",
		.out = "{\"id\":2,\"user_id\":5}\n",
		.errors = "{\"index\":0,\"transformer\":\"snakeCase\",\"transformer_index\":0,\"error\":\"two keys of "
			  "one object become the same name; rename or remove one of them before\"}\n",
	},
};

const struct df_transformer_type df_transformer_snake_case = {
	.type = {
		.name = "snakeCase",
		.title = "Rename keys to snake_case",
		.doc = "`firstName` becomes `first_name`, `XMLHttpRequest` becomes `xml_http_request`. Order and values stay. "
		       "Letters are Unicode's. Two keys of one object that become the same name make the message fail.",
		.settings = &snake_case_table,
		.settings_optional = true,
		.examples = snake_case_examples,
		.example_count = DF_ARRAY_SIZE(snake_case_examples),
	},
	.create = snake_case_create,
	.apply = snake_case_apply,
	.free = snake_case_free,
};
