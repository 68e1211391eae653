/* Resources for unit tests: what the API has, from texts in which ' stands for ", and looking into documents by words.
 * Include it after <cmocka.h>. */
#ifndef TEST_OPERATOR_RESOURCES_H
#define TEST_OPERATOR_RESOURCES_H

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "operator/resource.h"

static struct df_arena arena;
static const char *resource_namespace = "team";

static inline struct df_value *json(const char *text)
{
	struct df_str copy = df_arena_dup(&arena, df_str_c(text));
	struct df_error err = DF_ERROR_INIT;
	struct df_value *v;

	for (char *c = (char *)copy.ptr; *c; c++)
		if (*c == '\'')
			*c = '"';
	if (df_value_parse_text(copy, &arena, &v, &err))
		fail_msg("%s: %s", err.text, text);
	return v;
}

/* The compact text, with ' for ", so that it can be compared with what tests write. */
static inline const char *text_of(const struct df_value *v)
{
	char *text = v ? (char *)df_arena_dup(&arena, df_value_to_arena(v, &arena)).ptr : NULL;

	for (char *c = text; c && *c; c++)
		if (*c == '"')
			*c = '\'';
	return text;
}

/* `metadata labels app`, `spec containers 0 env LOG_LEVEL value`: members; elements by index, or by their name. NULL:
 * there is none. */
static inline struct df_value *at(const struct df_value *v, const char *path)
{
	while (v && *path) {
		struct df_str word = df_str(path, strcspn(path, " "));
		const struct df_value *next = NULL;

		path += word.len;
		path += *path == ' ';
		if (v->kind == DF_OBJECT) {
			next = df_object_get(v, word);
		} else if (v->kind == DF_ARRAY && isdigit((unsigned char)word.ptr[0])) {
			next = df_array_get(v, strtoul(word.ptr, NULL, 10));
		} else if (v->kind == DF_ARRAY) {
			df_for_each (item, v) {
				const struct df_value *name = df_object_get_c(item, "name");

				if (name && df_value_string_equal(name, word))
					next = item;
			}
		}
		v = next;
	}
	return (struct df_value *)v;
}

/* A resource `name` in resource_namespace. */
static inline struct df_value *object(enum df_manifest_kind kind, const char *name, const char *spec)
{
	struct df_value *v = json("{'apiVersion':'dataflow.dataflow.io/v1','metadata':{'generation':3,"
				  "'uid':'5f0c9f0e-0000-4000-8000-000000000001'}}");
	struct df_value *metadata = df_object_get_c(v, "metadata");

	df_object_set(v, DF_STR("kind"),
		      df_value_string(&arena, df_str_c(kind == DF_KIND_DATAFLOW ? "DataFlow" : "DataFlowCron")));
	df_object_set(metadata, DF_STR("namespace"), df_value_string(&arena, df_str_c(resource_namespace)));
	df_object_set(metadata, DF_STR("name"), df_value_string_copy(&arena, df_str_c(name)));
	df_object_set(v, DF_STR("spec"), json(spec));
	return v;
}

/* Parsed; with errors too. */
static inline void parse(enum df_manifest_kind kind, const char *name, const char *spec, struct df_resource *ret)
{
	struct df_error err = DF_ERROR_INIT;

	if (df_resource_parse(kind, object(kind, name, spec), &arena, ret, &err))
		fail_msg("%s", err.text);
}

/* Parsed; there must be no error. */
static inline void parse_good(enum df_manifest_kind kind, const char *name, const char *spec, struct df_resource *ret)
{
	parse(kind, name, spec, ret);
	for (size_t i = 0; ret->diags.errors && i < ret->diags.count; i++)
		print_message("%s: %s\n", ret->diags.items[i].path, ret->diags.items[i].text);
	assert_int_equal(ret->diags.errors, 0);
}

static inline int free_arena(void **state)
{
	(void)state;
	df_arena_done(&arena);
	return 0;
}

#endif
