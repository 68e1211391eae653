/* Messages to rows: which plan, which bytes, which key. */
#include "connectors/postgresql/sink.h"

void df_pg_refuse_message(struct df_pg_job *job, size_t message, const struct df_error *why)
{
	job->s->done[message / 64] |= UINT64_C(1) << message % 64;
	job->refused++;
	df_write_fail(job->w, message, why);
}

/* ---- keys ------------------------------------------------------------------------------------------------ */

#define HASH_START UINT64_C(14695981039346656037)
/* In a numeric's field: behind length, digits, weight, sign. The scale is no part of the value. */
#define NUMERIC_SCALE_AT 10

static uint64_t hash_bytes(uint64_t hash, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)data[i]) * UINT64_C(1099511628211);
	return hash;
}

/* Of fields that only the server can compare nothing is known: they all count as equal. */
static uint64_t hash_field(uint64_t hash, enum df_pg_equality equality, const char *field, size_t len)
{
	switch (equality) {
	case DF_PG_EQUAL_UNKNOWN:
		return hash;
	case DF_PG_EQUAL_BYTES:
		return hash_bytes(hash, field, len);
	case DF_PG_EQUAL_NUMERIC:
		hash = hash_bytes(hash, field, NUMERIC_SCALE_AT);
		return hash_bytes(hash, field + NUMERIC_SCALE_AT + 2, len - NUMERIC_SCALE_AT - 2);
	}
	return hash;
}

/* ---- one row --------------------------------------------------------------------------------------------- */

static int no_null(const struct df_pg_slot *slot, const struct df_pg_plan *plan, struct df_error *err)
{
	const struct df_column *column = slot->column;
	int code;

	if (plan->removes)
		code = df_error_set(err, DF_ERR_INVALID_DATA, "a delete needs a value for the key column \"%s\"",
				    column->name);
	else
		code = df_error_set(err, DF_ERR_INVALID_DATA, "column \"%s\" %s: null, and the column is %s",
				    column->name, column->type,
				    slot->key ? "part of the key" : "NOT NULL, or the upsert's version");
	df_error_remote(err, "23502");
	return code;
}

/* The fields, behind their count, and the hash of the key among them. */
static int encode_fields(struct df_pg_job *job, const struct df_pg_plan *plan, struct df_value *const *values,
			 uint64_t *ret_hash, struct df_error *err)
{
	struct df_buf *row = &job->s->row;
	uint64_t hash = HASH_START;
	bool keyed = false;

	row->len = 0;
	df_pg_add16(row, (uint16_t)plan->count);
	for (size_t i = 0; i < plan->count; i++) {
		const struct df_pg_slot *slot = &plan->slots[i];
		size_t start = row->len;

		if (slot->required && df_pg_is_null(&slot->detail->field, values[i]))
			return no_null(slot, plan, err);
		int code = df_pg_encode(&slot->detail->field, values[i], job->w->arena, row, err);
		if (code != 0) {
			df_error_prefix(err, "column \"%s\" %s", slot->column->name, slot->column->type);
			return code;
		}
		if (slot->key) {
			hash = hash_field(hash, slot->detail->equality, row->data + start, row->len - start);
			keyed = true;
		}
	}
	*ret_hash = !keyed ? 0 : hash ? hash : 1;
	return 0;
}

static int new_plan(struct df_pg_sink *s, const struct df_column_set *set, struct df_pg_plan **ret,
		    struct df_error *err)
{
	return df_pg_plan_new(&s->target, set, s->plans++, ret, err);
}

static int encode_row(struct df_pg_job *job, struct df_message *m, struct df_pg_plan **ret, uint64_t *ret_hash,
		      struct df_error *err)
{
	struct df_pg_sink *s = job->s;
	struct df_value *object;
	struct df_row row;
	int code = df_pg_target_row(&s->target, m, job->w->arena, &object, err);

	if (code == 0)
		code = df_rows_map(s->rows, object, NULL, &row, err);
	if (code != 0)
		return code;
	if (row.unknown && !job->columns_added && strcmp(s->settings->table_sink.unknown_fields, "addColumn") == 0) {
		s->flush.new_columns = true;
		return df_error_set(err, DF_ERR_UNKNOWN, "the table needs more columns");
	}
	if (!row.set->user) {
		struct df_pg_plan *plan;
		code = new_plan(s, row.set, &plan, err);
		if (code != 0)
			return code;
		row.set->user = plan;
	}
	*ret = row.set->user;
	if ((*ret)->lacks) {
		code = df_error_set(err, DF_ERR_INVALID_DATA, "%s", (*ret)->lacks);
		df_error_remote(err, "23502");
		return code;
	}
	code = encode_fields(job, *ret, row.values, ret_hash, err);
	if (code == 0)
		s->flush.unknown_fields += row.unknown;
	return code;
}

/* Key values come from the payload, or, for a single key, from metadata `id` (a tombstone has no payload). */
static int encode_remove(struct df_pg_job *job, struct df_message *m, struct df_pg_plan **ret, uint64_t *ret_hash,
			 struct df_error *err)
{
	struct df_pg_sink *s = job->s;
	const struct df_strings *key = &s->target.key;
	struct df_value *object = NULL;
	int code = s->remove ? 0 : new_plan(s, NULL, &s->remove, err);

	if (code != 0)
		return code;
	if (df_pg_target_row(&s->target, m, job->w->arena, &object, NULL) != 0)
		object = NULL;
	struct df_value **values = df_arena_alloc(job->w->arena, key->count * sizeof(struct df_value *));
	if (!values)
		return df_error_no_memory(err);
	for (size_t i = 0; i < key->count; i++) {
		values[i] = object ? df_object_get_c(object, key->items[i]) : NULL;
		if (!values[i] && key->count == 1)
			values[i] = df_message_meta(m, "id");
		if (!values[i] || values[i]->kind == DF_NULL)
			return no_null(&s->remove->slots[i], s->remove, err);
	}
	*ret = s->remove;
	return encode_fields(job, s->remove, values, ret_hash, err);
}

int df_pg_encode_message(struct df_pg_job *job, size_t i, struct df_pg_plan **ret, uint64_t *ret_hash,
			 struct df_error *err)
{
	struct df_message *m = job->w->messages[i];

	if (df_pg_removes(job->s->settings) && df_row_operation(m) == DF_OP_DELETE)
		return encode_remove(job, m, ret, ret_hash, err);
	return encode_row(job, m, ret, ret_hash, err);
}
