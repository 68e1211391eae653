#include "sqlite_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>

/* ---- life ------------------------------------------------------------------------------------------------ */

int kit_setup(void **state)
{
	struct kit *kit = calloc(1, sizeof(*kit));

	assert_non_null(kit);
	strcpy(kit->dir, "/tmp/df-sqlite-XXXXXX");
	assert_non_null(mkdtemp(kit->dir));
	snprintf(kit->path, sizeof(kit->path), "%s/t.db", kit->dir);
	kit->pool = df_batch_pool_new(1 << 20);
	assert_non_null(kit->pool);
	df_arena_init(&kit->arena, NULL);
	*state = kit;
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int kit_teardown(void **state)
{
	struct kit *kit = *state;

	df_arena_done(&kit->arena);
	df_batch_pool_free(kit->pool);
	nftw(kit->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(kit);
	return 0;
}

static sqlite3 *open_database(const struct kit *kit)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(kit->path, &db), SQLITE_OK);
	return db;
}

void kit_sql(const struct kit *kit, const char *sql)
{
	sqlite3 *db = open_database(kit);
	char *error = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
		fail_msg("%s: %s", sql, error);
	sqlite3_close(db);
}

static int add_row(void *arg, int count, char **values, char **names)
{
	struct df_buf *out = arg;

	(void)names;
	for (int i = 0; i < count; i++) {
		df_buf_add_c(out, i ? "|" : "");
		df_buf_add_c(out, values[i] ? values[i] : "NULL");
	}
	df_buf_add_c(out, "\n");
	return 0;
}

const char *kit_query(struct kit *kit, const char *sql)
{
	df_cleanup(df_buf_done) struct df_buf out = { 0 };
	sqlite3 *db = open_database(kit);
	char *error = NULL;

	if (sqlite3_exec(db, sql, add_row, &out, &error) != SQLITE_OK)
		fail_msg("%s: %s", sql, error);
	sqlite3_close(db);
	return df_arena_dup(&kit->arena, df_buf_str(&out)).ptr;
}

struct df_value *kit_json(struct kit *kit, const char *text)
{
	struct df_value *v = NULL;

	if (df_value_parse(df_str_c(text), &kit->arena, &v, NULL) != DF_PARSE_OK)
		fail_msg("not JSON: %s", text);
	return v;
}

/* settings with `path` added, parsed by the connector's own table. */
static void parse_settings(struct kit *kit, const struct df_type *type, const char *text, void *ret)
{
	struct df_value *object = kit_json(kit, text);
	struct df_parse_options options = { .path = "config" };
	struct df_diags diags = { 0 };

	if (!df_object_get_c(object, "path"))
		df_object_set(object, DF_STR("path"), df_value_string(&kit->arena, df_str_c(kit->path)));
	df_settings_parse(type->settings, object, &options, ret, &diags);
	if (diags.errors)
		fail_msg("%s: %s", diags.items[0].path, diags.items[0].text);
	df_diags_done(&diags);
}

static const struct df_connector_env once = { .once = true };

/* ---- sink ------------------------------------------------------------------------------------------------ */

int kit_sink_open(struct kit *kit, struct kit_sink *s, const char *settings)
{
	*s = (struct kit_sink){ 0 };
	parse_settings(kit, df_connector_sqlite.sink, settings, &s->settings);
	assert_int_equal(df_connector_sqlite.sink_ops->create(&s->settings, &once, &s->sink, &s->err), 0);
	return s->sink->ops->connect(s->sink, NULL, &s->err);
}

void kit_sink_close(struct kit_sink *s)
{
	if (s->sink)
		s->sink->ops->free(s->sink);
	df_settings_done(df_connector_sqlite.sink->settings, &s->settings);
}

struct kit_result kit_write_messages(struct kit *kit, struct kit_sink *s, const struct kit_message *messages,
				     size_t count)
{
	struct df_batch *batch = df_batch_new(kit->pool);
	struct df_message **list = calloc(count, sizeof(*list));
	struct kit_result result = { 0 };
	struct df_arena arena;
	struct df_write w;

	assert_int_equal(df_batch_reserve(batch, count), 0);
	for (size_t i = 0; i < count; i++) {
		list[i] = df_batch_add(batch);
		list[i]->payload = df_str_c(messages[i].payload);
		if (messages[i].metadata)
			list[i]->metadata = kit_json(kit, messages[i].metadata);
	}
	df_arena_init(&arena, NULL);
	assert_int_equal(df_write_init(&w, list, count, &arena, NULL), 0);
	result.code = df_write_run(s->sink, NULL, &w, &result.err);
	result.unchanged = w.unchanged;
	result.unknown_fields = w.unknown_fields;
	for (size_t i = count; i-- > 0 && result.code == 0;) {
		const struct df_error *err = df_write_result(&w, i);
		if (!err)
			continue;
		result.failed++;
		result.index = i;
		result.err = *err;
	}
	df_write_destroy(&w);
	df_arena_done(&arena);
	df_batch_free(batch);
	free(list);
	return result;
}

struct kit_result kit_write(struct kit *kit, struct kit_sink *s, const char *lines)
{
	struct kit_message messages[1024];
	char *text = (char *)df_arena_dup(&kit->arena, df_str_c(lines)).ptr;
	size_t count = 0;

	for (char *line = strtok(text, "\n"); line && count < DF_ARRAY_SIZE(messages); line = strtok(NULL, "\n"))
		messages[count++] = (struct kit_message){ line, NULL };
	return kit_write_messages(kit, s, messages, count);
}

/* ---- source ---------------------------------------------------------------------------------------------- */

static struct df_batch *new_batch(struct df_emitter *e)
{
	return df_batch_new(((struct kit_source *)e)->kit->pool);
}

static void commit(struct kit_source *s)
{
	struct df_commit *commits;
	size_t count;

	assert_int_equal(df_ledger_collect(s->ledger, &s->kit->arena, &commits, &count, NULL), 0);
	if (count)
		assert_int_equal(
			s->source->ops->commit(s->source, commits, count, s->checkpoint, &s->kit->arena, &s->err), 0);
}

static int emit(struct df_emitter *e, struct df_context *ctx, struct df_batch **batch, struct df_error *err)
{
	struct kit_source *s = (struct kit_source *)e;
	struct df_batch *b = DF_TAKE(*batch);

	assert_int_equal(df_ledger_open(b, err), 0);
	for (size_t i = 0; i < b->count; i++) {
		struct df_message *m = &b->messages[i];
		df_message_write(m, &s->rows);
		df_buf_add_char(&s->rows, '\n');
		df_value_write(m->metadata, &s->metadata);
		df_buf_add_char(&s->metadata, '\n');
		if (s->count++ < s->done_at_most)
			df_ledger_done_one(m);
	}
	commit(s);
	df_batch_free(b);
	if (s->stop_after && s->count >= s->stop_after)
		df_context_cancel(s->ctx);
	return df_context_check(ctx, err);
}

static int partition(struct df_emitter *e, struct df_str key, struct df_partition **ret, struct df_error *err)
{
	return df_ledger_partition(((struct kit_source *)e)->ledger, key, ret, err);
}

static void idle(struct df_emitter *e)
{
	((struct kit_source *)e)->idle++;
}

int kit_source_open(struct kit *kit, struct kit_source *s, const char *settings, struct df_value *checkpoint)
{
	*s = (struct kit_source){ .emitter = { .batch_messages = 3,
					       .batch_bytes = 1 << 20,
					       .batch = new_batch,
					       .emit = emit,
					       .partition = partition,
					       .idle = idle },
				  .kit = kit,
				  .done_at_most = SIZE_MAX,
				  .checkpoint = checkpoint };
	parse_settings(kit, df_connector_sqlite.source, settings, &s->settings);
	s->ledger = df_ledger_new();
	s->ctx = df_context_new(NULL);
	assert_non_null(s->ledger);
	int code = df_connector_sqlite.source_ops->create(&s->settings, &once, &s->source, &s->err);
	if (code == 0 && checkpoint)
		code = s->source->ops->restore(s->source, checkpoint, &s->err);
	if (!checkpoint)
		s->checkpoint = df_value_new(&kit->arena, DF_OBJECT);
	return code == 0 ? s->source->ops->connect(s->source, s->ctx, &s->err) : code;
}

int kit_source_read(struct kit_source *s)
{
	return s->source->ops->read(s->source, s->ctx, &s->emitter, &s->err);
}

void kit_source_close(struct kit_source *s)
{
	if (s->source)
		s->source->ops->free(s->source);
	df_settings_done(df_connector_sqlite.source->settings, &s->settings);
	df_ledger_free(s->ledger);
	df_context_free(s->ctx);
	df_buf_done(&s->rows);
	df_buf_done(&s->metadata);
}

const char *kit_checkpoint(struct kit_source *s)
{
	return df_arena_dup(&s->kit->arena, df_value_to_arena(s->checkpoint, &s->kit->arena)).ptr;
}
