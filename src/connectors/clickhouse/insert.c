#include "connectors/clickhouse/insert.h"

#include <stdio.h>

#include "connectors/clickhouse/errors.h"

struct df_ch_key_slot {
	uint64_t key; /* 0: free */
	struct df_ch_insert *insert;
};

/* A Dynamic column is sent as a Variant, which the server makes the column's own: the types that JSON has. */
#define DYNAMIC "Dynamic"
#define DYNAMIC_SENT "Variant(Bool, Float64, Int64, String, UInt64)"

static bool is_dynamic(const struct df_ch_type *type)
{
	return df_str_equal_c(type->name, DYNAMIC) || df_str_starts(type->name, DF_STR(DYNAMIC "("));
}

static int sent_type(struct df_ch_insert *insert, struct df_ch_type *type, const struct df_ch_type **ret,
		     struct df_error *err)
{
	struct df_ch_type *sent = type;
	int code = is_dynamic(type) ? df_ch_type_parse(DF_STR(DYNAMIC_SENT), &insert->arena, &sent, err) : 0;

	*ret = sent;
	return code;
}

/* ---- life ------------------------------------------------------------------------------------------------ */

int df_ch_insert_new(struct df_ch_target *t, const struct df_column_set *set, struct df_ch_insert **ret,
		     struct df_error *err)
{
	struct df_ch_insert *insert;
	int code = 0;

	if (set->count == 0)
		return df_error_set(err, DF_ERR_INVALID_DATA, "the row has no key that is a column of the table");
	insert = calloc(1, sizeof(*insert));
	if (!insert)
		return df_error_no_memory(err);
	insert->columns = calloc(set->count, sizeof(*insert->columns));
	insert->null_slots = calloc(set->count, sizeof(*insert->null_slots));
	if (!insert->columns || !insert->null_slots) {
		df_ch_insert_free(insert);
		return df_error_no_memory(err);
	}
	for (size_t i = 0; i < set->count && code == 0; i++) {
		const struct df_column *c = &t->columns.items[set->columns[i]];
		insert->columns[i].name = c->name;
		code = sent_type(insert, t->description.columns[set->columns[i]].type, &insert->columns[i].type, err);
		if (c->not_null && c->has_default)
			insert->null_slots[insert->null_slot_count++] = (uint32_t)i;
	}
	df_ch_target_insert(t, set, &insert->sql);
	if (code == 0)
		code = insert->sql.failed ? df_error_no_memory(err)
					  : df_ch_encoder_new(insert->columns, set->count, &insert->encoder, err);
	if (code != 0) {
		df_ch_insert_free(insert);
		return code;
	}
	*ret = insert;
	return 0;
}

void df_ch_insert_free(struct df_ch_insert *insert)
{
	if (!insert)
		return;
	df_ch_encoder_free(insert->encoder);
	df_buf_done(&insert->sql);
	df_buf_done(&insert->indices);
	df_arena_done(&insert->arena);
	free(insert->columns);
	free(insert->null_slots);
	free(insert);
}

static void reset(struct df_ch_insert *insert)
{
	df_ch_encoder_reset(insert->encoder);
	insert->pending = false;
	insert->origin = (struct df_ch_hash){ 0 };
	insert->indices.len = 0;
}

void df_ch_inserts_drop(struct df_ch_inserts *s)
{
	for (size_t i = 0; i < s->pending_count; i++)
		reset(s->pending[i]);
	s->pending_count = 0;
	if (s->open)
		df_ch_cancel(s->client);
	s->open = NULL;
	s->last_position = s->before.last_position;
	s->repeats = s->before.repeats;
}

void df_ch_inserts_done(struct df_ch_inserts *s)
{
	free(DF_TAKE(s->pending));
	s->pending_count = s->pending_cap = 0;
}

int df_ch_inserts_begin(struct df_ch_inserts *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	s->ctx = ctx;
	s->w = w;
	s->keys = NULL;
	s->before.last_position = s->last_position;
	s->before.repeats = s->repeats;
	if (s->target->key_count == 0)
		return 0;
	for (s->key_mask = 15; s->key_mask < 2 * w->count;)
		s->key_mask = s->key_mask * 2 + 1;
	s->keys = df_arena_zalloc(w->arena, (s->key_mask + 1) * sizeof(*s->keys));
	return s->keys ? 0 : df_error_no_memory(err);
}

/* ---- sending --------------------------------------------------------------------------------------------- */

static bool is_of_type(const struct df_ch_type *type, const struct df_ch_type *sent)
{
	return df_str_equal(sent->name, is_dynamic(type) ? DF_STR(DYNAMIC_SENT) : type->name);
}

/* The table may be another than the one that the rows were made for: a server casts, and may cut, what does not fit. */
static int check_header(const struct df_ch_insert *insert, const struct df_ch_client *c, struct df_error *err)
{
	const struct df_ch_block *header = &c->block;

	if (c->revision == 0)
		return 0;
	for (size_t i = 0; i < header->count; i++)
		if (!df_str_equal_c(df_ch_field_name(&header->fields[i]), insert->columns[i].name) ||
		    !is_of_type(header->fields[i].type, insert->columns[i].type)) {
			df_error_set(err, DF_ERR_CONFIG, "column \"%s\" has another type than before",
				     insert->columns[i].name);
			df_error_remote(err, "53");
			return DF_ERR_CONFIG;
		}
	return 0;
}

static void write_token(const struct df_ch_insert *insert, char out[33])
{
	struct df_ch_hash rows = df_ch_encoder_hash(insert->encoder);

	snprintf(out, 33, "%016llx%016llx", (unsigned long long)(insert->origin.low ^ rows.low),
		 (unsigned long long)(insert->origin.high ^ rows.high));
}

static bool uses_token(const struct df_ch_inserts *s)
{
	return s->client->use_token && s->target->deduplicates;
}

static int begin_statement(struct df_ch_inserts *s, struct df_ch_insert *insert, struct df_error *err)
{
	char token[33];
	const struct df_ch_setting setting = { "insert_deduplication_token", token };
	struct df_ch_statement statement = { .sql = df_buf_str(&insert->sql) };

	if (uses_token(s)) {
		write_token(insert, token);
		statement.settings = &setting;
		statement.setting_count = 1;
	}
	int code = df_ch_insert(s->client, s->ctx, &statement, err);
	if (code == 0)
		s->open = insert;
	return code == 0 ? check_header(insert, s->client, err) : code;
}

static int send_block(struct df_ch_inserts *s, struct df_ch_insert *insert, struct df_error *err)
{
	size_t rows = df_ch_encoder_rows(insert->encoder);
	int code = s->open == insert ? 0 : begin_statement(s, insert, err);

	if (code == 0 && rows)
		code = df_ch_send(s->client, insert->encoder, err);
	if (code == 0) {
		s->rows += rows;
		df_ch_encoder_reset(insert->encoder);
	}
	return code;
}

static int finish(struct df_ch_inserts *s, struct df_ch_insert *insert, struct df_error *err)
{
	int code = send_block(s, insert, err);

	if (code == 0) {
		code = df_ch_finish(s->client, err);
		s->open = NULL;
	}
	if (code == 0) {
		s->statements++;
		s->parts += s->client->stats.parts;
		s->w->parts += s->client->stats.parts;
		s->parts_known |= s->client->stats.parts_known;
	}
	return code;
}

/* These messages are written, whatever becomes of the others. */
static void confirm(struct df_ch_inserts *s, const struct df_ch_insert *insert)
{
	const uint32_t *indices = (const uint32_t *)(const void *)insert->indices.data;

	for (size_t i = 0; i < insert->indices.len / sizeof(*indices); i++)
		df_write_done(s->w, indices[i]);
}

int df_ch_inserts_flush(struct df_ch_inserts *s, bool last, struct df_error *err)
{
	for (size_t i = 0; i < s->pending_count; i++) {
		int code = finish(s, s->pending[i], err);
		if (code != 0)
			return code;
		if (!last || i + 1 < s->pending_count)
			confirm(s, s->pending[i]);
		reset(s->pending[i]);
	}
	s->pending_count = 0;
	if (s->keys)
		memset(s->keys, 0, (s->key_mask + 1) * sizeof(*s->keys));
	return 0;
}

/* ---- adding ---------------------------------------------------------------------------------------------- */

/* Rows of one key must be inserted in their order: is this one's last row in another INSERT that waits? */
static int keep_order(struct df_ch_inserts *s, struct df_ch_insert *insert, const struct df_row *row,
		      struct df_arena *arena, struct df_error *err)
{
	uint64_t key = df_row_key_hash(row, s->target->key_columns, s->target->key_count, arena);
	size_t at = (size_t)(key ^ key >> 29) & s->key_mask;
	int code = 0;

	if (key == 0)
		return 0;
	while (s->keys[at].key && s->keys[at].key != key)
		at = (at + 1) & s->key_mask;
	if (s->keys[at].key && s->keys[at].insert != insert) {
		code = df_ch_inserts_flush(s, false, err);
		at = (size_t)(key ^ key >> 29) & s->key_mask;
	}
	s->keys[at] = (struct df_ch_key_slot){ key, insert };
	return code;
}

/* Where a row comes from, as a number: its partition, its position, and which row of that position it is. */
static void add_origin(struct df_ch_inserts *s, struct df_ch_insert *insert, const struct df_message *m)
{
	struct df_str key = m->partition ? df_partition_key(m->partition) : df_str("", 0);
	struct df_ch_hash a = df_ch_city128(key.ptr, key.len);
	struct df_ch_hash b = df_ch_city128(m->position.data.ptr, m->position.data.len);
	uint64_t position = (a.low ^ b.high ^ (uint64_t)m->position.number) * UINT64_C(0x9ddfea08eb382d69) ^ b.low;

	s->repeats = position == s->last_position ? s->repeats + 1 : 0;
	s->last_position = position;
	insert->origin.low = (insert->origin.low ^ position) * UINT64_C(0xb492b66fbe98f273) + s->repeats;
	insert->origin.high = (insert->origin.high ^ insert->origin.low >> 31) * UINT64_C(0x9ae16a3b2f90404f);
}

static int make_pending(struct df_ch_inserts *s, struct df_ch_insert *insert, struct df_error *err)
{
	if (insert->pending)
		return 0;
	if (s->pending_count == s->pending_cap) {
		size_t cap = s->pending_cap ? 2 * s->pending_cap : 8;
		struct df_ch_insert **pending = reallocarray(s->pending, cap, sizeof(struct df_ch_insert *));
		if (!pending)
			return df_error_no_memory(err);
		s->pending = pending;
		s->pending_cap = cap;
	}
	s->pending[s->pending_count++] = insert;
	insert->pending = true;
	return 0;
}

/* Blocks leave as they fill, where no token must be known before. */
static int make_room(struct df_ch_inserts *s, struct df_ch_insert *insert, struct df_error *err)
{
	const size_t look_every = 256;
	size_t bytes;

	if (df_ch_encoder_rows(insert->encoder) % look_every != 0)
		return 0;
	bytes = df_ch_encoder_bytes(insert->encoder);
	if (bytes >= DF_CH_BLOCK_BYTES && insert == s->pending[0] && !uses_token(s))
		return send_block(s, insert, err);
	return bytes >= DF_CH_PENDING_BYTES ? df_ch_inserts_flush(s, false, err) : 0;
}

int df_ch_inserts_add(struct df_ch_inserts *s, struct df_ch_insert *insert, const struct df_row *row, size_t i,
		      struct df_arena *arena, struct df_error *err)
{
	uint32_t index = (uint32_t)i;
	int code = s->keys ? keep_order(s, insert, row, arena, err) : 0;

	if (code == 0)
		code = df_ch_encoder_add(insert->encoder, row->values, arena, err);
	if (code == 0)
		code = make_pending(s, insert, err);
	if (code != 0)
		return code;
	df_buf_add(&insert->indices, &index, sizeof(index));
	if (insert->indices.failed)
		return df_error_no_memory(err);
	if (uses_token(s))
		add_origin(s, insert, s->w->messages[i]);
	return make_room(s, insert, err);
}
