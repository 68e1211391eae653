/* filter: messages for which the condition does not hold are dropped. */
#include <stdlib.h>

#include "transformers/condition.h"
#include "transformers/interface.h"
#include "transformers/settings.h"

struct filter_settings {
	char *condition;
};

static const struct df_field filter_fields[] = {
	DF_FIELD(struct filter_settings, condition, "condition", DF_REQUIRED, .check = df_check_condition,
		 .doc = "The message goes on when this holds. A path alone asks whether its value is truthy; `==` `!=` "
			"`<` `<=` `>` `>=` compare it with a literal, `=~` and `!~` with a regular expression in "
			"quotes; `&&`, `||`, `!` and parentheses combine.",
		 .example = "\"status == 'active' && amount > 100\""),
};

static const struct df_table filter_table = DF_TABLE(struct filter_settings, filter_fields);

struct filter {
	struct df_transformer base;
	struct df_condition *condition;
};

static void filter_free(struct df_transformer *t)
{
	struct filter *filter = (struct filter *)t;

	if (!filter)
		return;
	df_condition_free(filter->condition);
	free(filter);
}

DF_DEFINE_TRANSFORMER_CLEANUP(struct filter *, filter_free)

static int filter_create(const void *settings, const struct df_place *place, struct df_transformer **ret,
			 struct df_diags *diags)
{
	const struct filter_settings *s = settings;
	df_cleanup(filter_freep) struct filter *filter = calloc(1, sizeof(*filter));

	if (!filter)
		return DF_ERR_NO_MEMORY;
	int r = df_compile_condition(s->condition, place, "condition", &filter->condition, diags);
	if (r < 0)
		return r;
	*ret = &DF_TAKE(filter)->base;
	return 0;
}

static int filter_apply(struct df_transformer *t, const struct df_transform *call, struct df_message *m,
			struct df_error *err)
{
	const struct filter *filter = (const struct filter *)t;
	struct df_value *root = NULL;
	bool holds = false;
	int r = df_message_document(m, call->arena, &root, err);

	if (r < 0)
		return r;
	/* Empty or not JSON: there is nothing for which it could hold. */
	if (!root)
		return DF_DROP;
	r = df_condition_eval(filter->condition, root, call->arena, &holds, err);
	if (r < 0)
		return r;
	return holds ? DF_KEEP : DF_DROP;
}

static const struct df_example filter_examples[] = {
	{
		.title = "A condition",
		.config = "type: filter\n"
			  "config:\n"
			  "  condition: \"status == 'active' && amount > 100\"\n",
		.in = "{\"id\": 1, \"status\": \"active\", \"amount\": 100.01}\n"
		      "{\"id\": 2, \"status\": \"active\", \"amount\": 100.00}\n"
		      "{\"id\": 3, \"status\": \"closed\", \"amount\": 500}\n",
		.out = "{\"id\": 1, \"status\": \"active\", \"amount\": 100.01}\n",
	},
	{
		.title = "Fields that are missing",
		.doc = "A comparison with what is not there is false, also `!=`. To keep those messages, negate the "
		       "equality.",
		.config = "type: filter\n"
			  "config:\n"
			  "  condition: \"!(status == 'closed')\"\n",
		.in = "{\"id\": 1, \"status\": \"open\"}\n"
		      "{\"id\": 2, \"status\": \"closed\"}\n"
		      "{\"id\": 3}\n",
		.out = "{\"id\": 1, \"status\": \"open\"}\n"
		       "{\"id\": 3}\n",
	},
	{
		.title = "Missing, null or empty",
		.doc = "`!` before a path holds for all of them. `deleted_at == null` holds for message 2 alone.",
		.config = "type: filter\n"
			  "config:\n"
			  "  condition: \"!deleted_at\"\n",
		.in = "{\"id\": 1}\n"
		      "{\"id\": 2, \"deleted_at\": null}\n"
		      "{\"id\": 3, \"deleted_at\": \"\"}\n"
		      "{\"id\": 4, \"deleted_at\": \"2024-01-15\"}\n",
		.out = "{\"id\": 1}\n"
		       "{\"id\": 2, \"deleted_at\": null}\n"
		       "{\"id\": 3, \"deleted_at\": \"\"}\n",
	},
	{
		.title = "Numbers that came as texts",
		.doc = "A text is never greater or less than a number: alone, the filter would drop message 1. Numbers "
		       "compare with all their digits.",
		.config = "- type: cast\n"
			  "  config:\n"
			  "    spec: {amount: float64}\n"
			  "- type: filter\n"
			  "  config:\n"
			  "    condition: \"amount > 9007199254740992\"\n",
		.in = "{\"id\": 1, \"amount\": \"9007199254740993\"}\n"
		      "{\"id\": 2, \"amount\": 9007199254740993}\n"
		      "{\"id\": 3, \"amount\": 9007199254740992}\n",
		.out = "{\"id\":1,\"amount\":9007199254740993}\n"
		       "{\"id\": 2, \"amount\": 9007199254740993}\n",
	},
	{
		.title = "Regular expressions, queries in arrays",
		.doc = "The expression is searched anywhere; `^` and `$` bind it.",
		.config = "type: filter\n"
			  "config:\n"
			  "  condition: \"email =~ '@example\\\\.(com|org)$' && items.#(qty>=10)\"\n",
		.in = "{\"email\": \"a@example.com\", \"items\": [{\"qty\": 1}, {\"qty\": 10}]}\n"
		      "{\"email\": \"b@example.com\", \"items\": [{\"qty\": 9}]}\n"
		      "{\"email\": \"c@example.com.invalid\", \"items\": [{\"qty\": 12}]}\n",
		.out = "{\"email\": \"a@example.com\", \"items\": [{\"qty\": 1}, {\"qty\": 10}]}\n",
	},
};

const struct df_transformer_type df_transformer_filter = {
	.type = {
		.name = "filter",
		.title = "Keep the messages for which a condition holds",
		.doc = "Messages for which the condition does not hold are dropped: counted as filtered, and done. So are "
		       "empty payloads and payloads that are not JSON.\n\n"
		       "A path that reads nothing makes its comparison false, also `!=`. `missing != 'x'` is false; "
		       "`!(missing == 'x')` is true.",
		.settings = &filter_table,
		.examples = filter_examples,
		.example_count = DF_ARRAY_SIZE(filter_examples),
	},
	.create = filter_create,
	.apply = filter_apply,
	.free = filter_free,
};
