#include "connectors/sqlite/reading.h"

#include <math.h>
#include <stdlib.h>

#include "base/time.h"
#include "table/identifier.h"

/* ---- the statement --------------------------------------------------------------------------------------- */

static int look_at_columns(struct df_sqlite_reading *r, struct df_sqlite *db, struct df_error *err)
{
	int count = sqlite3_column_count(r->stmt);

	r->fields = calloc((size_t)count + 1, sizeof(*r->fields));
	if (!r->fields)
		return df_error_no_memory(err);
	for (r->count = 0; r->count < count; r->count++) {
		struct df_sqlite_field *field = &r->fields[r->count];
		const char *name = sqlite3_column_name(r->stmt, r->count);
		const char *type = sqlite3_column_decltype(r->stmt, r->count);

		if (!name)
			return df_error_no_memory(err);
		int code = df_name_check_key(df_str_c(name), err);
		if (code != 0)
			return df_error_prefix(err, "database %s", db->path);
		if (df_sqlite_reading_find(r, name) != DF_SQLITE_NO_FIELD)
			return df_error_set(
				err, DF_ERR_CONFIG,
				"database %s: the query gives two columns with the name \"%s\"; rename one with AS",
				db->path, name);
		field->name = strdup(name);
		if (!field->name)
			return df_error_no_memory(err);
		field->kind = df_sqlite_kind_of(type ? type : "");
	}
	return 0;
}

int df_sqlite_reading_open(struct df_sqlite_reading *r, struct df_sqlite *db, struct df_str sql, struct df_error *err)
{
	*r = (struct df_sqlite_reading){ .t = DF_SQLITE_NO_FIELD,
					 .t_fallback = DF_SQLITE_NO_FIELD,
					 .k = DF_SQLITE_NO_FIELD };
	int code = df_sqlite_prepare(db, sql, &r->stmt, err);

	if (code == 0)
		code = look_at_columns(r, db, err);
	if (code == 0 && (!sqlite3_stmt_readonly(r->stmt) || r->count == 0))
		code = df_error_set(err, DF_ERR_CONFIG, "database %s: the query must be a SELECT", db->path);
	if (code != 0) {
		df_sqlite_reading_done(r);
		return code;
	}
	r->created_at = df_sqlite_reading_find(r, "created_at");
	r->updated_at = df_sqlite_reading_find(r, "updated_at");
	return 0;
}

void df_sqlite_reading_done(struct df_sqlite_reading *r)
{
	for (int i = 0; i < r->count; i++)
		free(r->fields[i].name);
	free(DF_TAKE(r->fields));
	r->count = 0;
	sqlite3_finalize(DF_TAKE(r->stmt));
}

int df_sqlite_reading_find(const struct df_sqlite_reading *r, const char *name)
{
	for (int i = 0; i < r->count; i++)
		if (strcmp(r->fields[i].name, name) == 0)
			return i;
	return DF_SQLITE_NO_FIELD;
}

/* ---- the cursor's values --------------------------------------------------------------------------------- */

/* Infinity has no JSON digits: these are read as it. */
#define DIGITS_INFINITY "9e999"

static int key_value(const struct df_sqlite_reading *r, int field, char digits[DF_NUMBER_MAX],
		     struct df_cursor_value *ret, struct df_error *err)
{
	double d;

	*ret = (struct df_cursor_value){ .kind = DF_CURSOR_NULL };
	switch (sqlite3_column_type(r->stmt, field)) {
	case SQLITE_INTEGER:
		ret->kind = DF_CURSOR_NUMBER;
		ret->text = df_str(digits, df_number_from_int64(sqlite3_column_int64(r->stmt, field), digits));
		return 0;
	case SQLITE_FLOAT:
		ret->kind = DF_CURSOR_NUMBER;
		d = sqlite3_column_double(r->stmt, field);
		ret->text = df_str_c(d > 0 ? DIGITS_INFINITY : "-" DIGITS_INFINITY);
		if (isfinite(d))
			ret->text = df_str(digits, df_number_from_double(d, digits));
		return 0;
	case SQLITE_TEXT:
		ret->kind = DF_CURSOR_TEXT;
		ret->text.ptr = (const char *)sqlite3_column_text(r->stmt, field);
		ret->text.len = (size_t)sqlite3_column_bytes(r->stmt, field);
		if (!ret->text.ptr)
			return df_error_no_memory(err);
		if (!df_utf8_valid(ret->text, NULL))
			return df_error_set(
				err, DF_ERR_UNKNOWN,
				"column %s holds a text that is not UTF-8, which no position can keep; correct it, "
				"or use another column to order by",
				r->fields[field].name);
		return 0;
	case SQLITE_BLOB:
		ret->kind = DF_CURSOR_BYTES;
		ret->text.ptr = sqlite3_column_blob(r->stmt, field);
		ret->text.len = (size_t)sqlite3_column_bytes(r->stmt, field);
		return 0;
	default:
		return 0;
	}
}

int df_sqlite_row_key(const struct df_sqlite_reading *r, struct df_sqlite_row_key *ret, struct df_error *err)
{
	int code = 0;

	ret->t = ret->k = (struct df_cursor_value){ .kind = DF_CURSOR_NONE };
	if (r->t != DF_SQLITE_NO_FIELD)
		code = key_value(r, r->t, ret->t_digits, &ret->t, err);
	if (code == 0 && ret->t.kind == DF_CURSOR_NULL && r->t_fallback != DF_SQLITE_NO_FIELD)
		code = key_value(r, r->t_fallback, ret->t_digits, &ret->t, err);
	if (code == 0 && r->k != DF_SQLITE_NO_FIELD)
		code = key_value(r, r->k, ret->k_digits, &ret->k, err);
	return code;
}

static int bind_value(sqlite3_stmt *stmt, int n, const struct df_cursor_value *v)
{
	const char *text = v->text.len ? v->text.ptr : "";
	int64_t whole;
	double d;

	switch (v->kind) {
	case DF_CURSOR_NUMBER:
		if (df_number_to_int64(v->text, &whole))
			return sqlite3_bind_int64(stmt, n, whole);
		if (!df_number_to_double(v->text, &d))
			d = text[0] == '-' ? -INFINITY : INFINITY;
		return sqlite3_bind_double(stmt, n, d);
	case DF_CURSOR_BYTES:
		return sqlite3_bind_blob64(stmt, n, text, v->text.len, SQLITE_TRANSIENT);
	default:
		return sqlite3_bind_text64(stmt, n, text, v->text.len, SQLITE_TRANSIENT, SQLITE_UTF8);
	}
}

int df_sqlite_bind_cursor(struct df_sqlite_reading *r, const struct df_cursor_params *params, struct df_error *err)
{
	for (size_t i = 0; i < params->count; i++)
		if (bind_value(r->stmt, (int)i + 1, params->values[i]) != SQLITE_OK)
			return df_error_no_memory(err);
	return 0;
}

/* ---- messages -------------------------------------------------------------------------------------------- */

int df_sqlite_reading_begin(struct df_sqlite_reading *r, struct df_arena *arena)
{
	for (int i = 0; i < r->count; i++) {
		r->fields[i].key = df_arena_dup(arena, df_str_c(r->fields[i].name));
		if (!r->fields[i].key.ptr)
			return DF_ERR_NO_MEMORY;
	}
	return 0;
}

/* A moment of the current row, as text or as a number of seconds. */
static bool moment(const struct df_sqlite_reading *r, int field, struct df_instant *ret)
{
	struct df_civil civil;
	bool has_offset;
	int32_t offset = 0;

	if (sqlite3_column_type(r->stmt, field) == SQLITE_INTEGER) {
		*ret = (struct df_instant){ .seconds = sqlite3_column_int64(r->stmt, field) };
		return true;
	}
	if (sqlite3_column_type(r->stmt, field) != SQLITE_TEXT)
		return false;
	struct df_str text =
		df_str((const char *)sqlite3_column_text(r->stmt, field), (size_t)sqlite3_column_bytes(r->stmt, field));
	if (!text.ptr || !df_time_parse(text, &civil, &has_offset, &offset))
		return false;
	*ret = df_civil_to_unix(&civil);
	ret->seconds -= offset;
	return true;
}

/* An update is a row that changed after it was made. */
static struct df_str operation(const struct df_sqlite_reading *r)
{
	struct df_instant created, updated;

	if (r->created_at == DF_SQLITE_NO_FIELD || r->updated_at == DF_SQLITE_NO_FIELD ||
	    !moment(r, r->created_at, &created) || !moment(r, r->updated_at, &updated))
		return DF_STR("insert");
	bool later = updated.seconds > created.seconds ||
		     (updated.seconds == created.seconds && updated.nanoseconds > created.nanoseconds);
	return later ? DF_STR("update") : DF_STR("insert");
}

/* False when out of memory; v may be NULL, which is that. */
static bool append(struct df_value *object, struct df_str key, struct df_value *v)
{
	if (v)
		df_object_append(object, key, v);
	return v != NULL;
}

/* id is the order column's value in the document, or NULL; base64_fields the columns whose text became bytes, or NULL.
 */
static struct df_value *make_metadata(const struct df_sqlite_reading *r, const struct df_value *id,
				      struct df_value *base64_fields, struct df_arena *arena)
{
	struct df_value *metadata = df_value_new(arena, DF_OBJECT);

	if (!metadata)
		return NULL;
	if (r->table && !append(metadata, DF_STR("table"), df_value_string_copy(arena, df_str_c(r->table))))
		return NULL;
	if (!append(metadata, DF_STR("operation"), df_value_string(arena, operation(r))))
		return NULL;
	if (id && !append(metadata, DF_STR("id"), df_value_clone(id, arena)))
		return NULL;
	if (base64_fields)
		df_object_append(metadata, DF_STR("base64_fields"), base64_fields);
	return metadata;
}

int df_sqlite_row_message(const struct df_sqlite_reading *r, struct df_message *m, struct df_arena *arena,
			  size_t *bytes)
{
	struct df_value *document = df_value_new(arena, DF_OBJECT);
	struct df_value *base64_fields = NULL;
	const struct df_value *id = NULL;

	if (!document)
		return DF_ERR_NO_MEMORY;
	for (int i = 0; i < r->count; i++) {
		const struct df_sqlite_field *field = &r->fields[i];
		bool not_utf8 = false;
		struct df_value *v = df_sqlite_read(r->stmt, i, field->kind, arena, &not_utf8);

		if (!append(document, field->key, v))
			return DF_ERR_NO_MEMORY;
		if (i == r->k)
			id = v;
		if (not_utf8) {
			struct df_value *name = df_value_string(arena, field->key);
			base64_fields = base64_fields ? base64_fields : df_value_new(arena, DF_ARRAY);
			if (!name || !base64_fields)
				return DF_ERR_NO_MEMORY;
			df_array_append(base64_fields, name);
		}
		*bytes += field->key.len + (v->repr == DF_REPR_INT64 || v->repr == DF_REPR_FLOAT64 ? 8 : v->len);
	}
	m->metadata = make_metadata(r, id, base64_fields, arena);
	if (!m->metadata)
		return DF_ERR_NO_MEMORY;
	df_message_set_document(m, document);
	return 0;
}
