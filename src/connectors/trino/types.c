#include "connectors/trino/types.h"

#include <stdio.h>
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

/* ---- SQL ------------------------------------------------------------------------------------------------- */

static void add_parts(const struct df_trino_type *type, struct df_buf *sql)
{
	for (size_t i = 0; i < type->count; i++) {
		df_buf_add_c(sql, i ? ", " : "");
		if (type->names[i].len) {
			df_name_quote(sql, DF_QUOTE_DOUBLE, type->names[i]);
			df_buf_add_char(sql, ' ');
		}
		df_buf_add_str(sql, type->parts[i]->text);
	}
}

/* One number stands behind the name: a length, or fraction digits. */
static bool has_precision(const struct df_trino_type *type)
{
	switch (type->kind) {
	case DF_TRINO_VARCHAR:
		return type->precision != DF_TRINO_UNBOUNDED;
	case DF_TRINO_CHAR:
	case DF_TRINO_TIME:
	case DF_TRINO_TIME_TZ:
	case DF_TRINO_TIMESTAMP:
	case DF_TRINO_TIMESTAMP_TZ:
		return true;
	default:
		return false;
	}
}

/* The type as SQL writes it, in the place of its name. */
static int set_text(struct df_trino_type *type, struct df_arena *arena, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	size_t word = strcspn(type->text.ptr, " ");

	df_buf_add(&sql, type->text.ptr, word);
	if (type->kind == DF_TRINO_DECIMAL) {
		df_buf_printf(&sql, "(%lld, %d)", (long long)type->precision, (int)type->scale);
	} else if (has_precision(type)) {
		df_buf_printf(&sql, "(%lld)", (long long)type->precision);
	} else if (df_trino_is_container(type)) {
		df_buf_add_char(&sql, '(');
		add_parts(type, &sql);
		df_buf_add_char(&sql, ')');
	}
	df_buf_add(&sql, type->text.ptr + word, type->text.len - word);
	type->text = sql.failed ? df_str(NULL, 0) : df_arena_dup(arena, df_buf_str(&sql));
	return type->text.ptr ? 0 : df_error_no_memory(err);
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
	int code = check_parts(type, err);
	*ret = type;
	return code == 0 ? set_text(type, arena, err) : code;
}

int df_trino_type_from_signature(const struct df_value *signature, struct df_arena *arena, struct df_trino_type **ret,
				 struct df_error *err)
{
	return from_signature(signature, 0, arena, ret, err);
}

struct df_trino_type *df_trino_type_copy(const struct df_trino_type *type, struct df_arena *arena)
{
	struct df_trino_type *copy = df_arena_alloc(arena, sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *type;
	copy->text = df_arena_dup(arena, type->text);
	copy->parts = df_arena_alloc(arena, type->count * sizeof(struct df_trino_type *));
	copy->names = df_arena_alloc(arena, type->count * sizeof(struct df_str));
	if (!copy->text.ptr || !copy->parts || !copy->names)
		return NULL;
	for (size_t i = 0; i < type->count; i++) {
		copy->parts[i] = df_trino_type_copy(type->parts[i], arena);
		copy->names[i] = df_arena_dup(arena, type->names[i]);
		if (!copy->parts[i] || !copy->names[i].ptr)
			return NULL;
	}
	return copy;
}
