/* jq: a jq program makes any number of messages of one. Its settings; the driver is jq_run.c. */
#include "transformers/jq_settings.h"

static const struct df_field jq_fields[] = {
	DF_FIELD(
		struct df_jq_settings, program, "program", DF_REQUIRED | DF_NO_BLANK | DF_OURS,
		.doc = "The program, in the language of jq 1.6. `.` is the payload, `$metadata` the message's metadata, an "
		       "object. Compiled once for each transform worker.",
		.example = "'.items[] | {id, total: (.price * .count)}'"),
	DF_FIELD(
		struct df_jq_settings, allow_lossy, "allowLossy", DF_OURS, .def = "false",
		.doc = "Lets numbers pass that jq changes: those that no double holds (`9007199254740993`, `1e400`), and "
		       "results that are not finite. Without it such a message fails.",
		.example = "true"),
	DF_FIELD(struct df_jq_settings, timeout, "timeout", DF_OURS, .def = "1s", .min = DF_NS_PER_MS,
		 .max = 600 * DF_NS_PER_S,
		 .doc = "How long the program may take for one message. A message for which it takes longer fails.",
		 .example = "250ms"),
	DF_FIELD(struct df_jq_settings, max_outputs, "maxOutputs", DF_OURS, .def = "10000", .min = 1, .max = 10000000,
		 .doc = "How many results one message may have. A message that has more fails.", .example = "1000"),
	DF_FIELD(
		struct df_jq_settings, max_output_bytes, "maxOutputBytes", DF_OURS, .def = "67108864", .min = 1024,
		.max = INT64_C(1) << 40,
		.doc = "How much memory the results of one message may take. A message that takes more fails. A short value "
		       "takes 56 bytes beside its text.",
		.example = "1048576"),
};

static const struct df_table jq_table = DF_TABLE(struct df_jq_settings, jq_fields);

static const struct df_example jq_examples[] = {
	{
		.title = "A message for each element",
		.doc = "Each result is a message. Without one the message is filtered, as the second here.",
		.config =
			"type: jq\n"
			"config:\n"
			"  program: '.order as $id | .items[] | select(.count > 0) | {$id, sku, total: (.price * .count)}'\n",
		.in = "{\"order\": 7, \"items\": [{\"sku\": \"a\", \"price\": 1.10, \"count\": 3}, {\"sku\": \"b\", \"price\": 2, "
		      "\"count\": 0}, {\"sku\": \"c\", \"price\": 2.50, \"count\": 2}]}\n"
		      "{\"order\": 8, \"items\": []}\n",
		.out = "{\"id\":7,\"sku\":\"a\",\"total\":3.3000000000000003}\n"
		       "{\"id\":7,\"sku\":\"c\",\"total\":5}\n",
	},
	{
		.title = "Metadata",
		.config = "type: jq\n"
			  "config:\n"
			  "  program: '. + {topic: $metadata.topic}'\n",
		.in = "{\"data\": {\"id\": 1}, \"metadata\": {\"topic\": \"orders\"}}\n",
		.out = "{\"data\":{\"id\":1,\"topic\":\"orders\"},\"metadata\":{\"topic\":\"orders\"}}\n",
		.envelope = true,
	},
	{
		.title = "Errors",
		.doc = "A failing message is as it came in. What jq says of a failure would quote the message, so only its kind is "
		       "told; a text that the program itself has is.",
		.config = "type: jq\n"
			  "config:\n"
			  "  program: |\n"
			  "    if has(\"id\") then .amount += 1\n"
			  "    else error(\"no id\") end\n",
		.in = "{\"id\": 1, \"amount\": 2}\n"
		      "{\"amount\": 2}\n"
		      "{\"id\": 3, \"amount\": \"12 EUR\"}\n",
		.out = "{\"id\":1,\"amount\":3}\n",
		.errors =
			"{\"index\":1,\"transformer\":\"jq\",\"transformer_index\":0,\"error\":\"the program failed: no id\"}\n"
			"{\"index\":2,\"transformer\":\"jq\",\"transformer_index\":0,\"error\":\"the program failed: string and number cannot be added\"}\n",
	},
	{
		.title = "Numbers that jq would change",
		.doc = "9007199254740993 is no double. `1.10` is, but jq writes it in its own way.",
		.config = "type: jq\n"
			  "config:\n"
			  "  program: '{id, price}'\n",
		.in = "{\"id\": 9007199254740992, \"price\": 1.10}\n"
		      "{\"id\": 9007199254740993, \"price\": 1.10}\n",
		.out = "{\"id\":9007199254740992,\"price\":1.1}\n",
		.errors =
			"{\"index\":1,\"transformer\":\"jq\",\"transformer_index\":0,\"error\":\"`.id` of the payload is a number that jq would change, which computes in doubles; `allowLossy: true` accepts that\"}\n",
	},
	{
		.title = "Changed numbers, on purpose",
		.config = "type: jq\n"
			  "config:\n"
			  "  program: '{id}'\n"
			  "  allowLossy: true\n",
		.in = "{\"id\": 9007199254740993}\n",
		.out = "{\"id\":9007199254740992}\n",
	},
};

#if !DF_WITH_JQ
static int without_jq(const void *settings, const struct df_place *place, struct df_transformer **ret,
		      struct df_diags *diags)
{
	(void)settings;
	*ret = NULL;
	df_diag_error(
		diags, place, NULL,
		"this build has no jq: libjq was missing or its option disabled when it was built; install libjq-dev "
		"and build with -Djq=enabled");
	return DF_ERR_CONFIG;
}
#endif

const struct df_transformer_type df_transformer_jq = {
	.type = {
		.name = "jq",
		.title = "Run a jq program on each message",
		.doc = "Each result of the program is a message, in order, with the metadata of the one it came from. Without a "
		       "result the message is dropped: counted as filtered, and done. Payloads of every JSON kind are given to "
		       "the program; empty payloads and payloads that are not JSON pass unchanged.\n\n"
		       "**Numbers.** jq 1.6 computes in doubles and writes the shortest decimal that gives the same double. A "
		       "message whose payload (or metadata, when the program names it) has a number that is not equal to what jq "
		       "would write fails unless `allowLossy`: `9007199254740993`, `1e400`, more than 17 digits. `1.10` is equal "
		       "to `1.1` and passes, but comes out as `1.1`. What the program itself computes, parses with `tonumber` or "
		       "`fromjson`, or writes as a literal is a double without a check. Logical types of values (those that "
		       "databases know beyond JSON) are lost. Likewise a text with half of a surrogate pair fails, which jq would "
		       "replace by U+FFFD.\n\n"
		       "**What a program cannot do.** It sees the message and nothing else: `env`, `input`, `inputs`, "
		       "`debug`, `stderr`, `input_filename`, `input_line_number`, `halt`, `halt_error`, `modulemeta`, `import` and "
		       "`include` are configuration errors, `$ENV` is an empty object, `~/.jq` is not read. `error(null)`, "
		       "which ends a program of jq 1.6 like `empty`, is an error.\n\n"
		       "**Errors.** When the program fails, the message fails as a whole, results that it gave before included. "
		       "jq's messages quote values, so they are not shown: an error says what kind of failure it was "
		       "(`string and number cannot be added`). The text of `error(\"...\")` is shown when it stands in the program "
		       "as a literal without escapes.\n\n"
		       "**Limits.** The time limit ends any loop of the program, but not a single call of a builtin that libjq has "
		       "in C (sorting, joining, printing a large value); it takes effect right after that call. Memory "
		       "that the program uses on its way is bounded by the time limit alone: up to 1 GB in a second. libjq "
		       "runs in this process, and ends it when memory runs out or when a program builds a value that nests "
		       "hundreds of thousands of levels deep; nothing is lost then, but the message comes again. Give programs "
		       "that recurse a condition that ends.",
		.settings = &jq_table,
		.examples = jq_examples,
		.example_count = DF_ARRAY_SIZE(jq_examples),
	},
#if DF_WITH_JQ
	.create = df_jq_create,
	.apply = df_jq_apply,
	.free = df_jq_free,
#else
	.create = without_jq,
#endif
};
