#include "connectors/trino/types.h"

#include <strings.h>

#include "base/cleanup.h"
#include "table/identifier.h"

#define DEPTH_MAX 64

/* What the parameters of a type mean, and what they are when they are not written. */
struct known {
	const char *name;
	enum df_trino_kind kind;
	int64_t precision;
};

static const struct known known_types[] = {
	{ "boolean", DF_TRINO_BOOLEAN, 0 },
	{ "tinyint", DF_TRINO_TINYINT, 0 },
	{ "smallint", DF_TRINO_SMALLINT, 0 },
	{ "integer", DF_TRINO_INTEGER, 0 },
	{ "bigint", DF_TRINO_BIGINT, 0 },
	{ "real", DF_TRINO_REAL, 0 },
	{ "double", DF_TRINO_DOUBLE, 0 },
	{ "decimal", DF_TRINO_DECIMAL, 38 },
	{ "varchar", DF_TRINO_VARCHAR, DF_TRINO_UNBOUNDED },
	{ "char", DF_TRINO_CHAR, 1 },
	{ "varbinary", DF_TRINO_VARBINARY, 0 },
	{ "HyperLogLog", DF_TRINO_DIGEST, 0 },
	{ "P4HyperLogLog", DF_TRINO_DIGEST, 0 },
	{ "SetDigest", DF_TRINO_DIGEST, 0 },
	{ "qdigest", DF_TRINO_DIGEST, 0 },
	{ "tdigest", DF_TRINO_DIGEST, 0 },
	{ "json", DF_TRINO_JSON, 0 },
	{ "date", DF_TRINO_DATE, 0 },
	{ "time", DF_TRINO_TIME, 3 },
	{ "time with time zone", DF_TRINO_TIME_TZ, 3 },
	{ "timestamp", DF_TRINO_TIMESTAMP, 3 },
	{ "timestamp with time zone", DF_TRINO_TIMESTAMP_TZ, 3 },
	{ "interval year to month", DF_TRINO_INTERVAL_MONTH, 0 },
	{ "interval day to second", DF_TRINO_INTERVAL_SECOND, 0 },
	{ "uuid", DF_TRINO_UUID, 0 },
	{ "ipaddress", DF_TRINO_IPADDRESS, 0 },
	{ "unknown", DF_TRINO_UNKNOWN, 0 },
	{ "array", DF_TRINO_ARRAY, 0 },
	{ "map", DF_TRINO_MAP, 0 },
	{ "row", DF_TRINO_ROW, 0 },
};

static struct df_trino_type *new_type(struct df_str name, struct df_arena *arena)
{
	struct df_trino_type *type = df_arena_zalloc(arena, sizeof(*type));

	if (!type)
		return NULL;
	for (size_t i = 0; i < DF_ARRAY_SIZE(known_types); i++) {
		const struct known *k = &known_types[i];

		if (strlen(k->name) == name.len && strncasecmp(k->name, name.ptr, name.len) == 0) {
			type->kind = k->kind;
			type->precision = k->precision;
			break;
		}
	}
	type->text = name;
	return type;
}

/* A numeric parameter: the first is the length or precision, the second the scale. */
static void set_number(struct df_trino_type *type, size_t index, int64_t n)
{
	if (index == 0)
		type->precision = n;
	else
		type->scale = (int32_t)n;
}

static int add_part(struct df_trino_type *type, struct df_str name, struct df_trino_type *part, struct df_arena *arena,
		    struct df_error *err)
{
	size_t n = type->count;

	type->parts = df_arena_extend(arena, type->parts, n * sizeof(struct df_trino_type *),
				      (n + 1) * sizeof(struct df_trino_type *));
	struct df_str *names = df_arena_alloc(arena, (n + 1) * sizeof(struct df_str));
	if (!type->parts || !names)
		return df_error_no_memory(err);
	if (n)
		memcpy(names, type->names, n * sizeof(struct df_str));
	type->names = names;
	type->parts[n] = part;
	type->names[n] = name;
	type->count++;
	return 0;
}

/* A container without its parts is nothing that can be read. */
static int check_parts(const struct df_trino_type *type, struct df_error *err)
{
	size_t wanted = type->kind == DF_TRINO_ARRAY ? 1 : type->kind == DF_TRINO_MAP ? 2 : 0;

	if ((wanted && type->count != wanted) || (type->kind == DF_TRINO_ROW && type->count == 0))
		return df_error_set(err, DF_ERR_UNKNOWN, "the type " DF_STR_FMT " has %zu parts",
				    DF_STR_ARG(type->text), type->count);
	return 0;
}

/* ---- typeSignature --------------------------------------------------------------------------------------- */

static int from_signature(const struct df_value *signature, unsigned depth, struct df_arena *arena,
			  struct df_trino_type **ret, struct df_error *err);

/* {"kind": "LONG", "value": 38}, {"kind": "TYPE", "value": {...}}, {"kind": "NAMED_TYPE", "value": {"fieldName":
 * {"name": "a"}, "typeSignature": {...}}} */
static int add_argument(struct df_trino_type *type, size_t index, const struct df_value *argument, unsigned depth,
			struct df_arena *arena, struct df_error *err)
{
	const struct df_value *value = df_object_get_c(argument, "value");
	const struct df_value *inner = df_object_get_c(value, "typeSignature");
	struct df_value *name = df_object_get_c(df_object_get_c(value, "fieldName"), "name");
	struct df_trino_type *part;
	struct df_str text = { 0 };
	int64_t n;

	if (value && value->kind == DF_NUMBER) {
		/* A varchar without a length has the largest one. */
		if (df_value_to_int64(value, &n))
			set_number(type, index,
				   type->kind == DF_TRINO_VARCHAR && n >= INT32_MAX ? DF_TRINO_UNBOUNDED : n);
		return 0;
	}
	if (!value || value->kind != DF_OBJECT)
		return 0; /* a variable or something newer: the type is known without it */
	int code = from_signature(inner ? inner : value, depth + 1, arena, &part, err);
	if (code != 0)
		return code;
	if (name && name->kind == DF_STRING) {
		text = df_arena_dup(arena, df_value_text(name, arena));
		if (!text.ptr)
			return df_error_no_memory(err);
	}
	return add_part(type, text, part, arena, err);
}

static int from_signature(const struct df_value *signature, unsigned depth, struct df_arena *arena,
			  struct df_trino_type **ret, struct df_error *err)
{
	struct df_value *raw = df_object_get_c(signature, "rawType");
	const struct df_value *arguments = df_object_get_c(signature, "arguments");
	size_t index = 0;

	if (!raw || raw->kind != DF_STRING || depth > DEPTH_MAX)
		return df_error_set(err, DF_ERR_UNKNOWN, "the server describes a column by no type that can be read");
	struct df_str name = df_arena_dup(arena, df_value_text(raw, arena));
	struct df_trino_type *type = name.ptr ? new_type(name, arena) : NULL;
	if (!type)
		return df_error_no_memory(err);
	if (arguments && arguments->kind == DF_ARRAY)
		df_for_each (argument, arguments) {
			int code = add_argument(type, index++, argument, depth, arena, err);
			if (code != 0)
				return code;
		}
	*ret = type;
	return check_parts(type, err);
}

int df_trino_type_from_signature(const struct df_value *signature, struct df_arena *arena, struct df_trino_type **ret,
				 struct df_error *err)
{
	return from_signature(signature, 0, arena, ret, err);
}

/* ---- text ------------------------------------------------------------------------------------------------ */

struct parser {
	struct df_str left;
	struct df_str all;
	struct df_arena *arena;
	struct df_error *err;
};

static int bad(const struct parser *p)
{
	return df_error_set(p->err, DF_ERR_UNKNOWN, "the type `" DF_STR_FMT "` cannot be read (at character %zu)",
			    DF_STR_ARG(p->all), p->all.len - p->left.len + 1);
}

static void skip(struct parser *p, size_t n)
{
	p->left.ptr += n;
	p->left.len -= n;
}

static void skip_blanks(struct parser *p)
{
	while (p->left.len && p->left.ptr[0] == ' ')
		skip(p, 1);
}

static bool take(struct parser *p, char c)
{
	skip_blanks(p);
	if (!p->left.len || p->left.ptr[0] != c)
		return false;
	skip(p, 1);
	return true;
}

static bool starts_with_word(struct df_str text, const char *word)
{
	size_t n = strlen(word);

	return text.len >= n && strncasecmp(text.ptr, word, n) == 0;
}

/* "a""b": in the arena. */
static int quoted_name(struct parser *p, struct df_str *ret)
{
	size_t end = 1, len = 0;
	char *out = df_arena_alloc(p->arena, p->left.len);

	if (!out)
		return df_error_no_memory(p->err);
	for (; end < p->left.len; end++) {
		if (p->left.ptr[end] == '"') {
			if (end + 1 == p->left.len || p->left.ptr[end + 1] != '"')
				break;
			end++;
		}
		out[len++] = p->left.ptr[end];
	}
	if (end >= p->left.len)
		return bad(p);
	skip(p, end + 1);
	*ret = df_str(out, len);
	return 0;
}

static int parse_type(struct parser *p, unsigned depth, struct df_trino_type **ret);

/* Length of the type's name: letters and what follows them as words of the same type (`interval day to second`). */
static size_t name_length(struct df_str text)
{
	static const char *const intervals[] = { "interval year to month", "interval day to second" };
	size_t n = 0;

	for (size_t i = 0; i < DF_ARRAY_SIZE(intervals); i++)
		if (starts_with_word(text, intervals[i]))
			return strlen(intervals[i]);
	while (n < text.len && !strchr("(), ", text.ptr[n]))
		n++;
	return n;
}

/* A field of a row: `"name" type`, `name type`, or `type` alone. A bare name is one word, as it is only quoted when it
 * is more; without one the whole must be a type. */
static int parse_field(struct parser *p, unsigned depth, struct df_trino_type *row)
{
	struct df_trino_type *part;
	struct df_str name = { 0 };
	int code = 0;

	skip_blanks(p);
	if (p->left.len && p->left.ptr[0] == '"') {
		code = quoted_name(p, &name);
	} else {
		size_t n = name_length(p->left);
		bool anonymous = n == p->left.len || p->left.ptr[n] != ' ' ||
				 starts_with_word(df_str(p->left.ptr + n, p->left.len - n), " with time zone");
		if (!anonymous) {
			name = df_str(p->left.ptr, n);
			skip(p, n);
		}
	}
	if (code == 0)
		code = parse_type(p, depth + 1, &part);
	return code == 0 ? add_part(row, name, part, p->arena, p->err) : code;
}

static int parse_parameters(struct parser *p, unsigned depth, struct df_trino_type *type)
{
	size_t index = 0;

	do {
		struct df_trino_type *part;
		int64_t n = 0;
		int code = 0;

		skip_blanks(p);
		size_t digits = strspn(p->left.ptr, "0123456789");
		if (digits > p->left.len)
			digits = p->left.len;
		if (digits) {
			if (!df_str_to_int64(df_str(p->left.ptr, digits), &n))
				return bad(p);
			set_number(type, index++, n);
			skip(p, digits);
		} else if (type->kind == DF_TRINO_ROW) {
			code = parse_field(p, depth, type);
		} else {
			code = parse_type(p, depth + 1, &part);
			if (code == 0)
				code = add_part(type, df_str(NULL, 0), part, p->arena, p->err);
		}
		if (code != 0)
			return code;
	} while (take(p, ','));
	return take(p, ')') ? 0 : bad(p);
}

static int parse_type(struct parser *p, unsigned depth, struct df_trino_type **ret)
{
	int code = 0;

	skip_blanks(p);
	struct df_str begin = p->left;
	size_t n = name_length(p->left);
	if (n == 0 || depth > DEPTH_MAX)
		return bad(p);
	struct df_trino_type *type = new_type(df_str(p->left.ptr, n), p->arena);
	if (!type)
		return df_error_no_memory(p->err);
	skip(p, n);
	if (p->left.len && p->left.ptr[0] == '(') {
		skip(p, 1);
		code = parse_parameters(p, depth, type);
	}
	if (code == 0 && (type->kind == DF_TRINO_TIME || type->kind == DF_TRINO_TIMESTAMP) &&
	    starts_with_word(p->left, " with time zone")) {
		skip(p, strlen(" with time zone"));
		type->kind = type->kind == DF_TRINO_TIME ? DF_TRINO_TIME_TZ : DF_TRINO_TIMESTAMP_TZ;
	}
	if (code != 0)
		return code;
	type->text = df_str(begin.ptr, begin.len - p->left.len);
	*ret = type;
	return check_parts(type, p->err);
}

int df_trino_type_parse(struct df_str text, struct df_arena *arena, struct df_trino_type **ret, struct df_error *err)
{
	/* strspn above needs an end. */
	struct df_str copy = df_arena_dup(arena, text);
	struct parser p = { .left = copy, .all = copy, .arena = arena, .err = err };

	if (!copy.ptr)
		return df_error_no_memory(err);
	int code = parse_type(&p, 0, ret);
	if (code != 0)
		return code;
	skip_blanks(&p);
	return p.left.len ? bad(&p) : 0;
}
