#include "table/raw.h"

#include <stdlib.h>

#include "table/rows.h"

/* A metadata key and the name of its column, which is prefix + key. */
struct name {
	struct name *next;
	size_t prefix_len, len;
	char text[];
};

struct df_raw {
	enum df_raw_data data;
	bool flatten;
	char *prefix;
	struct name *names; /* metadata has few keys, and they recur */
};

struct df_raw *df_raw_new(enum df_raw_data data, bool flatten, const char *prefix)
{
	struct df_raw *raw = calloc(1, sizeof(*raw));

	if (!raw)
		return NULL;
	raw->data = data;
	raw->flatten = flatten;
	raw->prefix = strdup(prefix ? prefix : "");
	if (!raw->prefix) {
		free(raw);
		return NULL;
	}
	return raw;
}

void df_raw_free(struct df_raw *raw)
{
	if (!raw)
		return;
	while (raw->names) {
		struct name *name = raw->names;
		raw->names = name->next;
		free(name);
	}
	free(raw->prefix);
	free(raw);
}

/* The column's name for a metadata key; ptr NULL when out of memory. */
static struct df_str column_name(struct df_raw *raw, struct df_str key)
{
	size_t prefix_len = strlen(raw->prefix);
	struct name **link = &raw->names;

	for (; *link; link = &(*link)->next)
		if (df_str_equal(df_str((*link)->text + prefix_len, (*link)->len - prefix_len), key))
			return df_str((*link)->text, (*link)->len);

	struct name *name = malloc(sizeof(*name) + prefix_len + key.len);
	if (!name)
		return df_str(NULL, 0);
	*name = (struct name){ .prefix_len = prefix_len, .len = prefix_len + key.len };
	memcpy(name->text, raw->prefix, prefix_len);
	if (key.len)
		memcpy(name->text + prefix_len, key.ptr, key.len);
	*link = name; /* at the end: keys are met in the order of the list */
	return df_str(name->text, name->len);
}

/* ---- data ------------------------------------------------------------------------------------------------ */

static struct df_value *json_text(struct df_str text, struct df_arena *arena)
{
	struct df_value *v = text.ptr ? df_value_string(arena, text) : NULL;

	if (v)
		v->logical = DF_LOGICAL_JSON;
	return v;
}

/* A payload that is not JSON. *ret_encoded: it had to become base64. */
static struct df_value *data_of_bytes(const struct df_raw *raw, struct df_str payload, struct df_arena *arena,
				      bool *ret_encoded)
{
	struct df_value *v;

	*ret_encoded = !df_utf8_valid(payload, NULL);
	if (*ret_encoded) {
		v = df_value_bytes(arena, payload);
		struct df_str base64 = v ? df_value_text(v, arena) : df_str(NULL, 0);
		v = base64.ptr ? df_value_string(arena, base64) : NULL;
	} else {
		v = df_value_string(arena, payload);
	}
	if (v && raw->data == DF_RAW_JSON)
		v = json_text(df_value_to_arena(v, arena), arena);
	return v;
}

/* ---- metadata -------------------------------------------------------------------------------------------- */

/* {"data_encoding": "base64"} added to a copy. */
static struct df_value *with_encoding(const struct df_value *metadata, struct df_arena *arena)
{
	struct df_value *copy = metadata ? df_value_clone(metadata, arena) : df_value_new(arena, DF_OBJECT);
	struct df_value *base64 = df_value_string(arena, DF_STR("base64"));

	if (!copy || !base64)
		return NULL;
	df_object_set(copy, DF_STR("data_encoding"), base64);
	return copy;
}

/* One member per metadata key. */
static int flatten_into(struct df_raw *raw, struct df_value *row, const struct df_value *metadata,
			struct df_arena *arena)
{
	df_for_each (member, metadata) {
		struct df_str name = column_name(raw, df_value_key(member));
		struct df_value *v = df_value_is_container(member) ? json_text(df_value_to_arena(member, arena), arena)
								   : df_value_clone(member, arena);

		if (!name.ptr || !v)
			return DF_ERR_NO_MEMORY;
		if (!df_str_equal(name, DF_STR("data")))
			df_object_append(row, name, v);
	}
	return 0;
}

int df_raw_row(struct df_raw *raw, struct df_message *m, struct df_arena *arena, struct df_value **ret,
	       struct df_error *err)
{
	struct df_value *document = NULL;
	struct df_value *metadata = m->metadata;
	struct df_value *inner, *inner_metadata;
	struct df_value *data = NULL;
	struct df_str payload;

	int code = df_message_document(m, arena, &document, err);
	if (code != 0)
		return code;

	if (document && df_row_unwrap(document, &inner, &inner_metadata)) {
		data = json_text(df_value_to_arena(inner, arena), arena);
		metadata = inner_metadata;
	} else if (df_message_payload(m, arena, &payload) != 0) {
		return df_error_no_memory(err);
	} else if (document) {
		data = json_text(payload, arena);
	} else {
		bool encoded;
		data = data_of_bytes(raw, payload, arena, &encoded);
		if (encoded) {
			metadata = with_encoding(metadata, arena);
			data = metadata ? data : NULL;
		}
	}

	struct df_value *row = df_value_new(arena, DF_OBJECT);
	if (!row || !data)
		return df_error_no_memory(err);
	df_object_append(row, DF_STR("data"), data);
	if (raw->flatten) {
		if (metadata && flatten_into(raw, row, metadata, arena) != 0)
			return df_error_no_memory(err);
	} else {
		struct df_str text = metadata ? df_value_to_arena(metadata, arena) : DF_STR("{}");
		struct df_value *v = json_text(text, arena);
		if (!v)
			return df_error_no_memory(err);
		df_object_append(row, DF_STR("_metadata"), v);
	}
	*ret = row;
	return 0;
}

/* ---- types ----------------------------------------------------------------------------------------------- */

enum df_class df_raw_class(const struct df_raw *raw, const struct df_inferred *column)
{
	struct df_str key = df_str(column->name.ptr + strlen(raw->prefix), column->name.len - strlen(raw->prefix));

	switch (column->class) {
	case DF_CLASS_BOOL:
	case DF_CLASS_TIMESTAMPTZ:
		return column->class;
	case DF_CLASS_INT32:
	case DF_CLASS_INT64:
	case DF_CLASS_DECIMAL:
	case DF_CLASS_FLOAT32:
	case DF_CLASS_FLOAT64:
	case DF_CLASS_NUMBER:
		if (!column->int64)
			return column->exact ? DF_CLASS_FLOAT64 : DF_CLASS_TEXT;
		return df_str_equal(key, DF_STR("partition")) && column->integer_digits < 10 ? DF_CLASS_INT32
											     : DF_CLASS_INT64;
	default:
		return df_str_equal(key, DF_STR("timestamp")) && column->rfc3339 ? DF_CLASS_TIMESTAMPTZ : DF_CLASS_TEXT;
	}
}
