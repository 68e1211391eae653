#include "connectors/trino/cell.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "connectors/trino/text.h"
#include "table/convert.h"

/* What one call works with. */
struct writing {
	struct df_arena *arena;
	struct df_buf *out;
	struct df_error *err;
};

static int refuse(const struct df_trino_type *type, const struct df_value *v, const struct writing *w)
{
	return df_error_set(w->err, DF_ERR_INVALID_DATA, "%s does not fit the type " DF_STR_FMT, df_convert_kind(v),
			    DF_STR_ARG(type->text));
}

/* Is there a scalar in it that a cast from text does not make? */
static bool needs_function(const struct df_trino_type *type)
{
	bool needed = df_trino_function(type);

	for (size_t i = 0; i < type->count && !needed; i++)
		needed = needs_function(type->parts[i]);
	return needed;
}

/* ---- cells ----------------------------------------------------------------------------------------------- */

static int cell_array(const struct df_trino_type *type, struct df_value *v, const struct writing *w)
{
	int code = v->kind == DF_ARRAY ? 0 : refuse(type, v, w);

	if (code != 0)
		return code;
	df_buf_add_char(w->out, '[');
	for (struct df_value *item = v->len ? v->first : NULL; code == 0 && item; item = item->next) {
		if (item != v->first)
			df_buf_add_char(w->out, ',');
		code = df_trino_cell(type->parts[0], item, w->arena, w->out, w->err);
	}
	df_buf_add_char(w->out, ']');
	return code;
}

/* A document's keys are text; each must be one of the key type's. */
static int cell_map(const struct df_trino_type *type, struct df_value *v, const struct writing *w)
{
	int code = v->kind == DF_OBJECT ? 0 : refuse(type, v, w);

	if (code == 0 && df_trino_is_container(type->parts[0]))
		code = df_error_set(w->err, DF_ERR_INVALID_DATA,
				    "maps with keys of the type " DF_STR_FMT " cannot be written",
				    DF_STR_ARG(type->parts[0]->text));
	if (code != 0)
		return code;
	df_buf_add_char(w->out, '{');
	for (struct df_value *m = v->len ? v->first : NULL; code == 0 && m; m = m->next) {
		struct df_value *key = df_value_string(w->arena, df_value_key(m));
		if (!key)
			return df_error_no_memory(w->err);
		if (m != v->first)
			df_buf_add_char(w->out, ',');
		code = df_trino_cell(type->parts[0], key, w->arena, w->out, w->err);
		df_buf_add_char(w->out, ':');
		if (code == 0)
			code = df_trino_cell(type->parts[1], m, w->arena, w->out, w->err);
	}
	df_buf_add_char(w->out, '}');
	return code;
}

/* An object by the fields' names (a missing one is null, a foreign one refused), or an array by position. */
static int cell_row(const struct df_trino_type *type, struct df_value *v, const struct writing *w)
{
	struct df_value null = { .kind = DF_NULL };
	struct df_value *item = v->kind == DF_ARRAY && v->len ? v->first : NULL;
	size_t known = 0;
	int code = 0;

	if (v->kind != DF_OBJECT && (v->kind != DF_ARRAY || v->len != type->count))
		return refuse(type, v, w);
	df_buf_add_char(w->out, '[');
	for (size_t i = 0; code == 0 && i < type->count; i++) {
		struct df_value *field = v->kind == DF_OBJECT ? df_object_get(v, type->names[i]) : item;

		known += field != NULL;
		if (i)
			df_buf_add_char(w->out, ',');
		code = df_trino_cell(type->parts[i], field ? field : &null, w->arena, w->out, w->err);
		if (item)
			item = item->next;
	}
	if (code == 0 && v->kind == DF_OBJECT && known != v->len)
		return df_error_set(w->err, DF_ERR_INVALID_DATA, "an object has keys that are no fields of " DF_STR_FMT,
				    DF_STR_ARG(type->text));
	df_buf_add_char(w->out, ']');
	return code;
}

static int cell_scalar(const struct df_trino_type *type, struct df_value *v, const struct writing *w)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };
	int code = df_trino_scalar(type, v, w->arena, &text, w->err);

	if (code != 0)
		return code;
	df_json_write_string(df_buf_str(&text), w->out);
	return w->out->failed ? df_error_no_memory(w->err) : 0;
}

int df_trino_cell(const struct df_trino_type *type, struct df_value *v, struct df_arena *arena, struct df_buf *json,
		  struct df_error *err)
{
	const struct writing w = { .arena = arena, .out = json, .err = err };

	if (v->kind == DF_NULL) {
		df_buf_add_c(json, "null");
		return 0;
	}
	switch (type->kind) {
	case DF_TRINO_ARRAY:
		return cell_array(type, v, &w);
	case DF_TRINO_MAP:
		return cell_map(type, v, &w);
	case DF_TRINO_ROW:
		return cell_row(type, v, &w);
	default:
		return cell_scalar(type, v, &w);
	}
}

/* ---- shapes ---------------------------------------------------------------------------------------------- */

void df_trino_shape(const struct df_trino_type *type, struct df_buf *sql)
{
	if (!df_trino_is_container(type)) {
		df_buf_add_c(sql, "varchar");
		return;
	}
	df_buf_add_c(sql, type->kind == DF_TRINO_ARRAY ? "array(" : type->kind == DF_TRINO_MAP ? "map(" : "row(");
	for (size_t i = 0; i < type->count; i++) {
		if (i)
			df_buf_add_c(sql, ", ");
		if (type->kind == DF_TRINO_ROW) {
			df_buf_printf(sql, "f%zu ", i);
		}
		df_trino_shape(type->parts[i], sql);
	}
	df_buf_add_char(sql, ')');
}

/* A container with bytes or documents in it, part by part. Names of lambda arguments are as deep as they are nested. */
static void convert_parts(const struct df_trino_type *type, struct df_str expression, unsigned depth,
			  struct df_buf *sql);

static void convert(const struct df_trino_type *type, struct df_str expression, unsigned depth, struct df_buf *sql)
{
	if (df_trino_is_container(type) && needs_function(type)) {
		convert_parts(type, expression, depth, sql);
	} else if (df_trino_function(type)) {
		df_buf_printf(sql, "%s(" DF_STR_FMT ")", df_trino_function(type), DF_STR_ARG(expression));
	} else {
		df_buf_printf(sql, "CAST(" DF_STR_FMT " AS " DF_STR_FMT ")", DF_STR_ARG(expression),
			      DF_STR_ARG(type->text));
	}
}

static void convert_named(const struct df_trino_type *type, const char *name, unsigned depth, struct df_buf *sql)
{
	char text[24];

	convert(type, df_str(text, (size_t)snprintf(text, sizeof(text), "%s%u", name, depth)), depth + 1, sql);
}

static void convert_parts(const struct df_trino_type *type, struct df_str expression, unsigned depth,
			  struct df_buf *sql)
{
	df_cleanup(df_buf_done) struct df_buf field = { 0 };

	if (type->kind == DF_TRINO_ARRAY) {
		df_buf_printf(sql, "transform(" DF_STR_FMT ", x%u -> ", DF_STR_ARG(expression), depth);
		convert_named(type->parts[0], "x", depth, sql);
	} else if (type->kind == DF_TRINO_MAP) {
		df_buf_printf(sql, "transform_values(transform_keys(" DF_STR_FMT ", (k%u, v%u) -> ",
			      DF_STR_ARG(expression), depth, depth);
		convert_named(type->parts[0], "k", depth, sql);
		df_buf_printf(sql, "), (k%u, v%u) -> ", depth, depth);
		convert_named(type->parts[1], "v", depth, sql);
	} else {
		df_buf_printf(sql, "IF(" DF_STR_FMT " IS NOT NULL, CAST(ROW(", DF_STR_ARG(expression));
		for (size_t i = 0; i < type->count; i++) {
			field.len = 0;
			df_buf_printf(&field, DF_STR_FMT ".f%zu", DF_STR_ARG(expression), i);
			df_buf_add_c(sql, i ? ", " : "");
			convert(type->parts[i], df_buf_str(&field), depth, sql);
		}
		df_buf_printf(sql, ") AS " DF_STR_FMT ")", DF_STR_ARG(type->text));
		sql->failed |= field.failed;
	}
	df_buf_add_char(sql, ')');
}

void df_trino_from_shape(const struct df_trino_type *type, struct df_str expression, struct df_buf *sql)
{
	convert(type, expression, 0, sql);
}
