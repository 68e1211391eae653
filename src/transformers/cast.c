/* cast: values change their type, without going through a double. */
#include <stdlib.h>
#include <strings.h>

#include "transformers/edit.h"
#include "transformers/settings.h"
#include "transformers/texts.h"

struct cast_settings {
	struct df_pairs spec;
};

enum target { TO_STRING, TO_INT64, TO_FLOAT64, TO_BOOL, TO_NULL };

static const char *const target_names[] = { "string", "int64", "float64", "bool", "null", NULL };

/* What sinks that create columns make of the result. */
static const uint8_t target_logical[] = {
	[TO_STRING] = DF_LOGICAL_TEXT, [TO_INT64] = DF_LOGICAL_INT64, [TO_FLOAT64] = DF_LOGICAL_FLOAT64,
	[TO_BOOL] = DF_LOGICAL_NONE,   [TO_NULL] = DF_LOGICAL_NONE,
};

static const struct df_field cast_fields[] = {
	DF_FIELD(struct cast_settings, spec, "spec", DF_REQUIRED, .check = df_check_path_location,
		 .values = target_names,
		 .doc = "Path to type. The paths are applied in the order written, each on the result of the one "
			"before; what is not there is skipped.",
		 .example = "{amount: float64, 'items[*].id': string}"),
};

/* The table checks the names of types; a null is one of them, any other value that is no text is wrong. */
static void check_kinds(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	const struct cast_settings *s = settings;

	for (size_t i = 0; i < s->spec.count; i++) {
		const struct df_pair *pair = &s->spec.items[i];
		df_cleanup(df_buf_done) struct df_buf sub = { 0 };

		if (!pair->key || pair->kind == DF_STRING || pair->kind == DF_NULL)
			continue;
		df_buf_printf(&sub, "spec.%s", pair->key);
		df_diag_error(diags, place, df_buf_c(&sub),
			      "expected the name of a type, found %s; possible are: string, int64, float64, bool, null",
			      df_kind_words((enum df_kind)pair->kind));
	}
}

static const struct df_rule cast_rules[] = {
	{ .kind = DF_RULE_CHECK, .partial = true, .fn = check_kinds },
};

static const struct df_table cast_table = DF_TABLE_RULES(struct cast_settings, cast_fields, cast_rules);

/* ---- making ---------------------------------------------------------------------------------------------- */

struct entry {
	struct df_path *path;
	enum target target;
};

struct cast {
	struct df_transformer base;
	size_t count;
	struct entry entries[];
};

static void cast_free(struct df_transformer *t)
{
	struct cast *cast = (struct cast *)t;

	if (!cast)
		return;
	for (size_t i = 0; i < cast->count; i++)
		df_path_free(cast->entries[i].path);
	free(cast);
}

DF_DEFINE_TRANSFORMER_CLEANUP(struct cast *, cast_free)

static enum target target_of(const struct df_pair *pair)
{
	int i = 0;

	while (i < TO_NULL && (pair->kind != DF_STRING || strcmp(pair->text, target_names[i]) != 0))
		i++;
	return (enum target)i;
}

static int cast_create(const void *settings, const struct df_place *place, struct df_transformer **ret,
		       struct df_diags *diags)
{
	const struct cast_settings *s = settings;
	df_cleanup(cast_freep) struct cast *cast = calloc(1, sizeof(*cast) + s->spec.count * sizeof(cast->entries[0]));

	if (!cast)
		return DF_ERR_NO_MEMORY;
	for (size_t i = 0; i < s->spec.count; i++) {
		struct entry *entry = &cast->entries[cast->count++];

		entry->target = target_of(&s->spec.items[i]);
		int r = df_compile_path(s->spec.items[i].key, DF_PATH_LOCATION, place, "spec", &entry->path, diags);
		if (r < 0)
			return r;
	}
	*ret = &DF_TAKE(cast)->base;
	return 0;
}

/* ---- one value ---------------------------------------------------------------------------------------------------
 *
 * Each gives the new value, or v itself when its text stays the same. DF_ERR_INVALID_DATA: *ret_why completes "found";
 * else DF_ERR_NO_MEMORY.
 */

static int given(struct df_value *v, struct df_value **ret)
{
	*ret = v;
	return v ? 0 : DF_ERR_NO_MEMORY;
}

static int refused(const char *why, const char **ret_why)
{
	*ret_why = why;
	return DF_ERR_INVALID_DATA;
}

/* The digits of a number or of a numeric string. */
static int digits_of(const struct df_value *v, struct df_arena *arena, struct df_str *ret, const char **ret_why)
{
	if (v->kind != DF_NUMBER && v->kind != DF_STRING)
		return refused(df_kind_words((enum df_kind)v->kind), ret_why);
	*ret = df_value_text(v, arena);
	if (!ret->ptr)
		return DF_ERR_NO_MEMORY;
	if (v->kind == DF_NUMBER)
		return 0;
	int r = df_numeric_text(*ret, arena, ret);
	return r < 0 || ret->ptr ? r : refused("a string that is not a number", ret_why);
}

static int to_string(struct df_value *v, struct df_arena *arena, struct df_value **ret, const char **ret_why)
{
	if (v->kind == DF_NULL || df_value_is_container(v))
		return refused(df_kind_words((enum df_kind)v->kind), ret_why);
	/* Bytes and doubles that are no numbers: their text becomes the content. */
	if (v->kind == DF_STRING && v->repr != DF_REPR_BYTES && v->repr != DF_REPR_FLOAT64)
		return given(v, ret);
	struct df_str text = df_value_text(v, arena);
	return given(text.ptr ? df_value_string(arena, text) : NULL, ret);
}

static int to_int64(struct df_value *v, struct df_arena *arena, struct df_value **ret, const char **ret_why)
{
	char plain[DF_NUMBER_MAX];
	struct df_str digits;
	int64_t number;
	int r = digits_of(v, arena, &digits, ret_why);

	if (r < 0)
		return r;
	if (!df_number_to_int64(digits, &number))
		return refused(v->kind == DF_NUMBER ? "a number that is not whole or not in the range of int64"
						    : "a string whose number is not whole or not in the range of int64",
			       ret_why);
	if (v->kind == DF_NUMBER && v->repr != DF_REPR_FLOAT64 &&
	    df_str_equal(digits, df_str(plain, df_number_from_int64(number, plain))))
		return given(v, ret);
	return given(df_value_int64(arena, number), ret);
}

static int to_float64(struct df_value *v, struct df_arena *arena, struct df_value **ret, const char **ret_why)
{
	struct df_str digits;
	double unused;
	int r = digits_of(v, arena, &digits, ret_why);

	if (r < 0)
		return r;
	if (!df_number_to_double(digits, &unused))
		return refused(v->kind == DF_NUMBER ? "a number that is too large for float64"
						    : "a string whose number is too large for float64",
			       ret_why);
	/* A float32 has fewer digits than the same double would be written with. */
	bool same = v->kind == DF_NUMBER && (v->repr != DF_REPR_FLOAT64 || v->logical == DF_LOGICAL_FLOAT64);
	return given(same ? v : df_value_number(arena, digits), ret);
}

static bool is_word(struct df_str text, const char *word, size_t len)
{
	return text.len == len && strncasecmp(text.ptr, word, len) == 0;
}

static int to_bool(struct df_value *v, struct df_arena *arena, struct df_value **ret, const char **ret_why)
{
	bool yes, no;

	if (v->kind == DF_TRUE || v->kind == DF_FALSE)
		return given(v, ret);
	if (v->kind == DF_NULL || df_value_is_container(v))
		return refused(df_kind_words((enum df_kind)v->kind), ret_why);
	struct df_str text = df_value_text(v, arena);
	if (!text.ptr)
		return DF_ERR_NO_MEMORY;
	if (v->kind == DF_NUMBER) {
		no = df_number_is_zero(text);
		yes = !no && df_number_compare(text, DF_STR("1")) == 0;
	} else {
		no = is_word(text, "false", 5);
		yes = is_word(text, "true", 4);
	}
	if (!yes && !no)
		return refused(v->kind == DF_NUMBER ? "a number that is neither 0 nor 1"
						    : "a string that is neither true nor false",
			       ret_why);
	return given(df_value_new(arena, yes ? DF_TRUE : DF_FALSE), ret);
}

static int convert(enum target target, struct df_value *v, struct df_arena *arena, struct df_value **ret,
		   const char **ret_why)
{
	switch (target) {
	case TO_STRING:
		return to_string(v, arena, ret, ret_why);
	case TO_INT64:
		return to_int64(v, arena, ret, ret_why);
	case TO_FLOAT64:
		return to_float64(v, arena, ret, ret_why);
	case TO_BOOL:
		return to_bool(v, arena, ret, ret_why);
	case TO_NULL:
		break;
	}
	return given(v->kind == DF_NULL ? v : df_value_new(arena, DF_NULL), ret);
}

/* ---- one message ----------------------------------------------------------------------------------------- */

static int cast_value(const struct entry *entry, struct df_edits *edits, struct df_value *v, struct df_error *err)
{
	struct df_value *to = NULL;
	const char *why = NULL;
	int r = convert(entry->target, v, edits->arena, &to, &why);

	if (r == DF_ERR_INVALID_DATA)
		return df_error_set(err, r, "cannot cast " DF_STR_FMT " to %s: found %s",
				    DF_STR_ARG(df_path_text(entry->path)), target_names[entry->target], why);
	if (r < 0)
		return df_error_no_memory(err);
	if (to == v && v->logical == target_logical[entry->target])
		return 0;
	struct df_value with = *to;
	with.logical = target_logical[entry->target];
	edits->changed = edits->changed || to != v;
	return df_edits_replace(edits, v, &with) < 0 ? df_error_no_memory(err) : 0;
}

static int cast_places(const struct entry *entry, struct df_edits *edits, struct df_value *root, struct df_error *err)
{
	struct df_places places;
	int r = 0;

	if (df_path_locate(entry->path, root, edits->arena, &places) < 0)
		return df_error_no_memory(err);
	for (size_t i = 0; r == 0 && i < places.count; i++)
		r = cast_value(entry, edits, places.items[i].value, err);
	return r;
}

static int cast_apply(struct df_transformer *t, const struct df_transform *call, struct df_message *m,
		      struct df_error *err)
{
	const struct cast *cast = (const struct cast *)t;
	struct df_edits edits = { .arena = call->arena };
	struct df_value *root = NULL;
	int r = df_message_document(m, call->arena, &root, err);

	if (r < 0 || !root)
		return r;
	for (size_t i = 0; r == 0 && i < cast->count; i++)
		r = cast_places(&cast->entries[i], &edits, root, err);
	return df_edits_end(&edits, m, r);
}

static const struct df_example cast_examples[] = {
	{
		.title = "Types for columns",
		.config = "type: cast\n"
			  "config:\n"
			  "  spec:\n"
			  "    id: int64\n"
			  "    amount: float64\n"
			  "    paid: bool\n"
			  "    items[*].code: string\n",
		.in = "{\"id\": \"17\", \"amount\": \"1.10\", \"paid\": 1, \"items\": [{\"code\": 5}, {\"code\": "
		      "\"x\"}, {}]}\n"
		      "{\"id\": 17.0, \"amount\": 2}\n",
		.out = "{\"id\":17,\"amount\":1.10,\"paid\":true,\"items\":[{\"code\":\"5\"},{\"code\":\"x\"},{}]}\n"
		       "{\"id\":17,\"amount\":2}\n",
	},
	{
		.title = "Every digit is kept",
		.doc = "Whole numbers may be written as `5.0` or `1e3`. A text of a number keeps its digits without "
		       "superfluous zeros.",
		.config = "type: cast\n"
			  "config:\n"
			  "  spec: {i: int64, f: float64, s: string}\n",
		.in = "{\"i\": \"9007199254740993\", \"f\": \"0012.3400\", \"s\": 1.10}\n"
		      "{\"i\": 1e3, \"f\": 12345678901234567890.5, \"s\": true}\n",
		.out = "{\"i\":9007199254740993,\"f\":12.3400,\"s\":\"1.10\"}\n"
		       "{\"i\":1000,\"f\":12345678901234567890.5,\"s\":\"true\"}\n",
	},
	{
		.title = "What does not fit",
		.doc = "The message fails as it came, and the error tells the path. An empty text and null are no "
		       "numbers either.",
		.config = "type: cast\n"
			  "config:\n"
			  "  spec: {n: int64}\n",
		.in = "{\"id\": 1, \"n\": \"12\"}\n"
		      "{\"id\": 2, \"n\": \"1.5\"}\n"
		      "{\"id\": 3, \"n\": \" 12\"}\n"
		      "{\"id\": 4, \"n\": null}\n"
		      "{\"id\": 5, \"n\": 9223372036854775808}\n"
		      "{\"id\": 6}\n",
		.out = "{\"id\":1,\"n\":12}\n"
		       "{\"id\": 6}\n",
		.errors = "{\"index\":1,\"transformer\":\"cast\",\"transformer_index\":0,\"error\":\"cannot cast n to "
			  "int64: found a string whose number is not whole or not in the range of int64\"}\n"
			  "{\"index\":2,\"transformer\":\"cast\",\"transformer_index\":0,\"error\":\"cannot cast n to "
			  "int64: found a string that is not a number\"}\n"
			  "{\"index\":3,\"transformer\":\"cast\",\"transformer_index\":0,\"error\":\"cannot cast n to "
			  "int64: found null\"}\n"
			  "{\"index\":4,\"transformer\":\"cast\",\"transformer_index\":0,\"error\":\"cannot cast n to "
			  "int64: found a number that is not whole or not in the range of int64\"}\n",
	},
	{
		.title = "Nulls before a cast",
		.doc = "A query takes only the elements that have a value: `!=~null`.",
		.config = "type: cast\n"
			  "config:\n"
			  "  spec: {'readings.#(v!=~null)#.v': float64}\n",
		.in = "{\"readings\": [{\"v\": \"1.5\"}, {\"v\": null}, {}, {\"v\": \"2\"}]}\n",
		.out = "{\"readings\":[{\"v\":1.5},{\"v\":null},{},{\"v\":2}]}\n",
	},
};

const struct df_transformer_type df_transformer_cast = {
	.type = {
		.name = "cast",
		.title = "Change the type of values",
		.doc = "- `string`: a number becomes its digits, a bool `true` or `false`.\n"
		       "- `int64`: a whole number, also `5.0` and `1e3`, becomes plain digits.\n"
		       "- `float64`: a number stays as it is; every digit is kept.\n"
		       "- `bool`: 0 and 1, and the strings `true` and `false` in any case.\n"
		       "- `null`: any value becomes null.\n\n"
		       "For `int64` and `float64` a string that holds a number counts as that number: an optional sign, "
		       "digits with an optional point, an optional exponent, nothing else.\n\n"
		       "Everything else makes the message fail, as it came: a number that does not fit, a string that is "
		       "no number, a null, an object or an array. A field that is not there is skipped. Empty payloads, "
		       "and payloads that are not JSON, pass unchanged.\n\n"
		       "Sinks that create tables make columns of the type that was cast to.",
		.settings = &cast_table,
		.examples = cast_examples,
		.example_count = DF_ARRAY_SIZE(cast_examples),
	},
	.create = cast_create,
	.apply = cast_apply,
	.free = cast_free,
};
