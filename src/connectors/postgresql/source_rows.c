#include "connectors/postgresql/source_rows.h"

#include <stdlib.h>

#define BUFFER_FIRST ((size_t)16 * 1024)
#define BUFFER_MAX ((size_t)INT32_MAX)

/* The metadata's members in the template. */
enum { META_TABLE, META_OPERATION, META_ID, META_BASE64, META_COUNT };

/* ---- the statement --------------------------------------------------------------------------------------- */

void df_pg_rows_done(struct df_pg_rows *r)
{
	df_pg_rows_end(r);
	df_arena_done(&r->scratch);
	free(DF_TAKE(r->fields));
	free(DF_TAKE(r->data));
	r->cap = r->field_cap = 0;
}

void df_pg_rows_end(struct df_pg_rows *r)
{
	r->len = r->at = 0;
	if (!r->open)
		return;
	r->open = false;
	if (r->pg->broken || PQstatus(r->pg->conn) == CONNECTION_BAD)
		return;
	df_pg_cancel(r->pg);
	(void)!df_pg_drain(r->pg, r->ctx, NULL);
}

static int no_rows(struct df_pg_rows *r, struct df_error *err)
{
	return df_error_set(err, DF_ERR_CONNECTION, "%s: the answer to COPY is no binary COPY", r->pg->server);
}

/* The columns, then the beginning of the rows. */
static int read_head(struct df_pg_rows *r, bool *ret_same, struct df_error *err)
{
	df_cleanup(PQclearp) PGresult *probe = NULL;
	df_cleanup(PQclearp) PGresult *copy = NULL;
	int code = df_pg_result(r->pg, r->ctx, &probe, err);

	if (code == 0 && PQresultStatus(probe) != PGRES_TUPLES_OK)
		code = no_rows(r, err);
	if (code != 0)
		return code;
	*ret_same = df_pg_source_plan_holds(r->plan, probe);
	if (!*ret_same)
		return 0;
	code = df_pg_result(r->pg, r->ctx, &copy, err);
	if (code == 0 && (PQresultStatus(copy) != PGRES_COPY_OUT || PQbinaryTuples(copy) != 1))
		code = no_rows(r, err);
	return code;
}

int df_pg_rows_open(struct df_pg_rows *r, struct df_pg *pg, const struct df_pg_source_plan *plan,
		    struct df_context *ctx, struct df_str sql, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };
	bool same = false;

	r->pg = pg;
	r->plan = plan;
	r->ctx = ctx;
	r->begun = false;
	r->len = r->at = 0;
	r->field_count = plan->count + plan->hidden;
	if (r->field_count > r->field_cap) {
		free(r->fields);
		r->fields = calloc(r->field_count, sizeof(*r->fields));
		r->field_cap = r->fields ? r->field_count : 0;
	}
	df_buf_add_str(&text, df_buf_str(&plan->probe));
	df_buf_add_c(&text, "; COPY (");
	df_buf_add_str(&text, sql);
	df_buf_add_c(&text, ") TO STDOUT (FORMAT BINARY)");
	const char *statement = df_buf_c(&text);
	if (text.failed || (r->field_count && !r->fields))
		return df_error_no_memory(err);

	int code = df_pg_send(pg, statement, err);
	if (code != 0)
		return code;
	code = read_head(r, &same, err);
	if (code != 0) { /* which has ended the statement */
		(void)!df_pg_drain(pg, ctx, NULL);
		return code;
	}
	r->open = true;
	if (same)
		return 0;
	df_pg_rows_end(r);
	return DF_POLLING_CHANGED;
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

static int grow(struct df_pg_rows *r, struct df_error *err)
{
	size_t cap = r->cap ? r->cap * 2 : BUFFER_FIRST;
	char *data = cap <= BUFFER_MAX ? realloc(r->data, cap) : NULL;

	if (!data)
		return df_error_no_memory(err);
	r->data = data;
	r->cap = cap;
	return 0;
}

/*
 * What libpq has of the next message, which is there as a whole or not at all; waits for it. PQgetlineAsync copies a
 * message into our buffer, without an allocation a row (PQgetCopyData makes one); what does not fit comes with the next
 * call. *ret_more false: there are no more.
 */
static int fetch(struct df_pg_rows *r, bool *ret_more, struct df_error *err)
{
	int code = 0;

	r->len = r->at = 0;
	*ret_more = true;
	if (df_context_canceled(r->ctx)) {
		df_pg_give_up(r->pg);
		r->open = false;
		return df_context_check(r->ctx, err);
	}
	for (;;) {
		if (r->len == r->cap && (code = grow(r, err)) != 0)
			return code;
		int got = PQgetlineAsync(r->pg->conn, r->data + r->len, (int)(r->cap - r->len));

		if (got > 0)
			r->len += (size_t)got;
		if (got > 0 && r->len == r->cap)
			continue;
		if (r->len > 0)
			return 0;
		*ret_more = got == 0;
		if (got < 0)
			return 0;
		code = df_pg_receive(r->pg, r->ctx, err);
		if (code != 0)
			return code;
	}
}

static int bad_row(struct df_error *err)
{
	return df_error_set(err, DF_ERR_CONNECTION, "a row of a binary COPY has no such form");
}

/* The signature, flags, and an extension that is skipped. */
static int read_header(struct df_pg_rows *r, struct df_error *err)
{
	static const char signature[11] = "PGCOPY\n\377\r\n";
	size_t size = sizeof(signature) + 8;

	if (r->len < size || memcmp(r->data, signature, sizeof(signature)) != 0)
		return no_rows(r, err);
	uint32_t extension = df_pg_get32(r->data + sizeof(signature) + 4);
	if (extension > r->len - size)
		return no_rows(r, err);
	r->at = size + extension;
	r->begun = true;
	return 0;
}

/* The fields of the row at r->at. */
static int read_fields(struct df_pg_rows *r, struct df_error *err)
{
	const char *at = r->data + r->at, *end = r->data + r->len;

	for (size_t i = 0; i < r->field_count; i++) {
		if (end - at < 4)
			return bad_row(err);
		uint32_t len = df_pg_get32(at);
		at += 4;
		if (len == UINT32_MAX) {
			r->fields[i] = df_str(NULL, 0);
			continue;
		}
		if ((size_t)(end - at) < len)
			return bad_row(err);
		r->fields[i] = df_str(at, len);
		at += len;
	}
	r->at = (size_t)(at - r->data);
	return 0;
}

/* The end of the rows: the rest of the answer must be well, too. */
static int read_tail(struct df_pg_rows *r, struct df_error *err)
{
	int code = df_pg_drain(r->pg, r->ctx, err);

	r->open = false;
	return code;
}

int df_pg_rows_next(struct df_pg_rows *r, bool *ret_row, struct df_error *err)
{
	bool more = true;
	int code = 0;

	*ret_row = false;
	while (r->at == r->len && code == 0) {
		code = fetch(r, &more, err);
		if (code == 0 && !more) {
			code = read_tail(r, err);
			return code != 0 ? code : no_rows(r, err);
		}
		if (code == 0 && !r->begun)
			code = read_header(r, err);
	}
	if (code != 0)
		return code;
	if (r->len - r->at < 2)
		return bad_row(err);
	uint16_t count = df_pg_get16(r->data + r->at);
	r->at += 2;
	if (count == UINT16_MAX)
		return read_tail(r, err);
	if (count != r->field_count)
		return bad_row(err);
	r->row_start = r->at;
	*ret_row = true;
	return read_fields(r, err);
}

/* ---- the cursor's values --------------------------------------------------------------------------------- */

static struct df_str time_key(int64_t microseconds, char text[DF_PG_TIME_MAX], enum df_cursor_kind *ret_kind)
{
	/* What RFC 3339 cannot say is kept as PostgreSQL says it. */
	bool plain = df_pg_timestamp_is_plain(microseconds);

	*ret_kind = plain ? DF_CURSOR_TIME : DF_CURSOR_TEXT;
	return df_str(text,
		      plain ? df_pg_timestamp_text(microseconds, text) : df_pg_timestamp_literal(microseconds, text));
}

/* A decoded value. */
static int scalar_key(struct df_pg_rows *r, const struct df_value *v, char text[DF_PG_TIME_MAX],
		      struct df_cursor_value *ret, struct df_error *err)
{
	ret->kind = v->kind == DF_NUMBER ? DF_CURSOR_NUMBER : DF_CURSOR_TEXT;
	if (v->repr == DF_REPR_INT64)
		ret->text = df_str(text, df_number_from_int64(v->int64, text));
	else if (v->kind == DF_STRING && v->repr == DF_REPR_BYTES)
		*ret = (struct df_cursor_value){ DF_CURSOR_BYTES, df_str(v->text, v->len) };
	else
		ret->text = df_value_text(v, &r->scratch);
	return ret->text.ptr || ret->text.len == 0 ? 0 : df_error_no_memory(err);
}

static int key_value(struct df_pg_rows *r, const struct df_pg_key_column *key, char text[DF_PG_TIME_MAX],
		     struct df_cursor_value *ret, struct df_error *err)
{
	const struct df_pg_column *column = &r->plan->columns[key->column];
	struct df_str field = r->fields[key->text != DF_PG_NO_COLUMN ? key->text : key->column];
	struct df_value v = { .kind = DF_NULL };

	*ret = (struct df_cursor_value){ .kind = DF_CURSOR_NULL };
	if (!field.ptr)
		return 0;
	if (key->text != DF_PG_NO_COLUMN) {
		*ret = (struct df_cursor_value){ DF_CURSOR_TEXT, field };
		return 0;
	}
	if ((column->oid == DF_PG_OID_TIMESTAMP || column->oid == DF_PG_OID_TIMESTAMPTZ) && field.len == 8) {
		ret->text = time_key((int64_t)df_pg_get64(field.ptr), text, &ret->kind);
		return 0;
	}
	if (column->oid == DF_PG_OID_DATE && field.len == 4) {
		ret->text = time_key(df_pg_date_to_timestamp((int32_t)df_pg_get32(field.ptr)), text, &ret->kind);
		return 0;
	}
	int code = df_pg_decode(column->type, field, &r->scratch, &v, err);
	if (code == 0 && v.repr == DF_REPR_BYTES && column->type->decoder->logical == DF_LOGICAL_TEXT)
		code = df_error_set(err, DF_ERR_UNKNOWN,
				    "column %s holds a text that is not UTF-8, which no position can keep; correct it, "
				    "or use another column to order by",
				    column->name);
	return code == 0 ? scalar_key(r, &v, text, ret, err) : code;
}

int df_pg_rows_key(struct df_pg_rows *r, struct df_polling_key *ret, struct df_error *err)
{
	const struct df_pg_source_plan *p = r->plan;
	int code = 0;

	ret->t = ret->k = (struct df_cursor_value){ .kind = DF_CURSOR_NONE };
	df_arena_reset(&r->scratch);
	if (p->t.column != DF_PG_NO_COLUMN)
		code = key_value(r, &p->t, r->t_text, &ret->t, err);
	if (code == 0 && ret->t.kind == DF_CURSOR_NULL && p->t_fallback.column != DF_PG_NO_COLUMN)
		code = key_value(r, &p->t_fallback, r->t_text, &ret->t, err);
	if (code == 0 && p->k.column != DF_PG_NO_COLUMN)
		code = key_value(r, &p->k, r->k_text, &ret->k, err);
	return code;
}

/* ---- messages -------------------------------------------------------------------------------------------- */

/* A null with a key, in no container. */
static void make_template(struct df_value *v, struct df_str key)
{
	struct df_value object = { .kind = DF_OBJECT };

	*v = (struct df_value){ .kind = DF_NULL };
	df_object_append(&object, key, v);
}

/* Nodes with their keys, to be copied for every row. */
int df_pg_rows_begin(struct df_pg_rows *r, struct df_arena *arena, struct df_error *err)
{
	static const struct df_str meta_keys[META_COUNT] = {
		[META_TABLE] = { "table", 5 },
		[META_OPERATION] = { "operation", 9 },
		[META_ID] = { "id", 2 },
		[META_BASE64] = { "base64_fields", 13 },
	};
	const struct df_pg_source_plan *p = r->plan;
	const char *table = p->settings->polling.table.value;

	r->template = df_arena_alloc(arena, (p->count + META_COUNT) * sizeof(*r->template));
	if (!r->template)
		return df_error_no_memory(err);
	for (size_t i = 0; i < p->count; i++) {
		struct df_str key = df_arena_dup(arena, df_str_c(p->columns[i].name));

		if (!key.ptr)
			return df_error_no_memory(err);
		make_template(&r->template[i], key);
	}
	struct df_value *meta = r->template + p->count;
	for (size_t i = 0; i < META_COUNT; i++)
		make_template(&meta[i], meta_keys[i]);
	struct df_str name = df_arena_dup(arena, df_str_c(table));
	if (!name.ptr)
		return df_error_no_memory(err);
	meta[META_TABLE].kind = meta[META_OPERATION].kind = DF_STRING;
	meta[META_OPERATION].repr = DF_REPR_PLAIN;
	meta[META_TABLE].repr = DF_REPR_TEXT;
	meta[META_TABLE].text = name.ptr;
	meta[META_TABLE].len = (uint32_t)name.len;
	return 0;
}

/* Appends a node that has its key, from the template. */
static void link_node(struct df_value *object, struct df_value *v)
{
	if (object->last)
		object->last->next = v;
	else
		object->first = v;
	object->last = v;
	object->len++;
}

/* An update is a row that changed after it was made. */
static struct df_str operation(const struct df_pg_rows *r)
{
	const struct df_pg_source_plan *p = r->plan;

	if (p->created_at == DF_PG_NO_COLUMN || p->updated_at == DF_PG_NO_COLUMN)
		return DF_STR("insert");
	struct df_str created = r->fields[p->created_at], updated = r->fields[p->updated_at];
	bool later = created.len == 8 && updated.len == 8 &&
		     (int64_t)df_pg_get64(updated.ptr) > (int64_t)df_pg_get64(created.ptr);
	return later ? DF_STR("update") : DF_STR("insert");
}

/* The nodes of one row: the document and its members, the metadata and its members. */
struct nodes {
	struct df_value *document, *columns, *metadata, *meta;
};

static int new_nodes(const struct df_pg_rows *r, struct df_arena *arena, struct nodes *ret)
{
	size_t count = r->plan->count;
	struct df_value *all = df_arena_alloc(arena, (2 + count + META_COUNT) * sizeof(*all));

	if (!all)
		return DF_ERR_NO_MEMORY;
	*ret = (struct nodes){ all, all + 2, all + 1, all + 2 + count };
	all[0] = all[1] = (struct df_value){ .kind = DF_OBJECT };
	memcpy(ret->columns, r->template, (count + META_COUNT) * sizeof(*all));
	return 0;
}

static int add_base64_field(struct nodes *n, struct df_arena *arena, const struct df_value *column)
{
	struct df_value *list = &n->meta[META_BASE64];
	struct df_value *name = df_value_string(arena, df_value_key(column));

	if (!name)
		return DF_ERR_NO_MEMORY;
	list->kind = DF_ARRAY;
	df_array_append(list, name);
	return 0;
}

static void fill_metadata(const struct df_pg_rows *r, struct nodes *n, bool decoded)
{
	const struct df_pg_source_plan *p = r->plan;
	struct df_str what = operation(r);

	if (p->settings->polling.table.value)
		link_node(n->metadata, &n->meta[META_TABLE]);
	n->meta[META_OPERATION].text = what.ptr;
	n->meta[META_OPERATION].len = (uint32_t)what.len;
	link_node(n->metadata, &n->meta[META_OPERATION]);
	if (p->k.column != DF_PG_NO_COLUMN && decoded) {
		struct df_value *id = &n->meta[META_ID];
		const struct df_value *k = &n->columns[p->k.column];

		/* A container would belong to two. */
		if (!df_value_is_container(k)) {
			id->kind = k->kind;
			id->logical = k->logical;
			id->repr = k->repr;
			id->len = k->len;
			id->text = k->text;
			link_node(n->metadata, id);
		}
	}
	if (n->meta[META_BASE64].kind == DF_ARRAY)
		link_node(n->metadata, &n->meta[META_BASE64]);
}

/* Decodes all columns. DF_ERR_INVALID_DATA with the column's name. */
static int fill_document(const struct df_pg_rows *r, struct nodes *n, const char *row, struct df_arena *arena,
			 struct df_error *err)
{
	const struct df_pg_source_plan *p = r->plan;

	for (size_t i = 0; i < p->count; i++) {
		const struct df_pg_column *column = &p->columns[i];
		struct df_value *v = &n->columns[i];
		struct df_str field = r->fields[i];

		link_node(n->document, v);
		if (!field.ptr)
			continue;
		field.ptr = row + (field.ptr - (r->data + r->row_start));
		int code = df_pg_decode(column->type, field, arena, v, err);
		if (code != 0)
			return df_error_prefix(err, "column %s", column->name);
		if (v->repr == DF_REPR_BYTES && column->type->decoder->logical == DF_LOGICAL_TEXT &&
		    add_base64_field(n, arena, v) != 0)
			return df_error_no_memory(err);
	}
	return 0;
}

static int set_failure(struct df_message *m, struct df_arena *arena, const struct df_error *error, struct df_error *err)
{
	struct df_error *copy = df_arena_alloc(arena, sizeof(*copy));

	if (!copy)
		return df_error_no_memory(err);
	*copy = *error;
	m->failure = copy;
	return 0;
}

int df_pg_rows_message(struct df_pg_rows *r, struct df_message *m, struct df_arena *arena, size_t *bytes,
		       struct df_error *err)
{
	struct df_error why;
	struct nodes n;
	size_t size = r->at - r->row_start;
	/* Texts stay where they are in it. */
	struct df_str row = df_arena_dup(arena, df_str(r->data + r->row_start, size));

	if (!row.ptr || new_nodes(r, arena, &n) != 0)
		return df_error_no_memory(err);
	int code = fill_document(r, &n, row.ptr, arena, &why);
	if (code == DF_ERR_NO_MEMORY)
		return df_error_no_memory(err);
	fill_metadata(r, &n, code == 0);
	m->metadata = n.metadata;
	*bytes += size;
	if (code != 0)
		return set_failure(m, arena, &why, err);
	df_message_set_document(m, n.document);
	return 0;
}
