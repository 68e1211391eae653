/*
 * JSON text to the builder. YAML 1.2 is nearly a superset of JSON, libyaml's 1.1 is not (surrogate pairs, long keys),
 * hence a reader of its own. The text was checked before: nothing here looks for errors of syntax.
 */
#include "spec/spec_internal.h"

struct json {
	const char *at, *end;
	uint32_t line;
	struct df_yaml_builder *b;
};

/* The content of the string at j->at, decoded; ptr NULL when out of memory. */
static struct df_str read_string(struct json *j)
{
	const char *start = ++j->at;
	bool escaped = false;

	for (; *j->at != '"'; j->at++) {
		if (*j->at == '\\') {
			escaped = true;
			j->at++;
		}
	}
	struct df_str raw = df_str(start, (size_t)(j->at++ - start));
	if (!escaped)
		return raw;
	struct df_value *node = df_value_string(j->b->arena, raw);
	if (!node)
		return df_str(NULL, 0);
	node->repr = DF_REPR_ESCAPED;
	if (df_value_unescape(node, j->b->arena) < 0)
		return df_str(NULL, 0);
	return df_str(node->text ? node->text : "", node->len);
}

static bool string(struct json *j)
{
	struct df_str text = read_string(j);

	if (!text.ptr)
		return df_build_no_memory(j->b);
	if (!df_utf8_valid(text, NULL))
		return df_build_error(j->b, j->line, "half of a surrogate pair (\\ud800 to \\udfff) is no character");
	if (df_build_wants_key(j->b))
		return df_build_key(j->b, text, j->line, false);
	return df_build_add(j->b, df_value_string(j->b->arena, text), j->line);
}

static bool number(struct json *j)
{
	const char *start = j->at;

	while (j->at < j->end && strchr("+-.0123456789eE", *j->at) && *j->at)
		j->at++;
	return df_build_add(j->b, df_value_number(j->b->arena, df_str(start, (size_t)(j->at - start))), j->line);
}

static bool word(struct json *j)
{
	enum df_kind kind = *j->at == 't' ? DF_TRUE : *j->at == 'f' ? DF_FALSE : DF_NULL;

	j->at += kind == DF_FALSE ? 5 : 4;
	return df_build_add(j->b, df_value_new(j->b->arena, kind), j->line);
}

static bool token(struct json *j)
{
	switch (*j->at) {
	case '\n':
		j->line++;
		j->at++;
		return true;
	case ' ':
	case '\t':
	case '\r':
	case ',':
	case ':':
		j->at++;
		return true;
	case '{':
	case '[':
		return df_build_open(j->b, *j->at++ == '{' ? DF_OBJECT : DF_ARRAY, df_str(NULL, 0), j->line);
	case '}':
	case ']':
		j->at++;
		return df_build_close(j->b);
	case '"':
		return string(j);
	case 't':
	case 'f':
	case 'n':
		return word(j);
	default:
		return number(j);
	}
}

bool df_build_json(struct df_yaml_builder *b, struct df_str text)
{
	struct json j = { .at = text.ptr, .end = text.ptr + text.len, .line = 1, .b = b };

	while (j.at < j.end) {
		if (!token(&j))
			return false;
	}
	return df_build_document(b);
}
