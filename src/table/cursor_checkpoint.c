/* Positions as JSON: in a message's position, and in the checkpoint. */
#include <inttypes.h>
#include <stdio.h>

#include "base/time.h"
#include "table/cursor_internal.h"

/* The keys of the checkpoint reference. */
#define KEY_TIME "lastReadChangeTime"
#define KEY_VALUE "lastReadChangeValue"
#define KEY_ORDER "lastReadOrderByValue"
#define KEY_NULL_ORDER "lastReadNullOrderByValue"
#define KEY_SOURCE "source"
#define MEMBER(key) DF_STR("\"" key "\":")
#define OLD_KEY_TIME "lastReadTime"
#define OLD_KEY_ORDER "lastReadID"

/* ---- writing --------------------------------------------------------------------------------------------- */

/* NULL as null; bytes, which JSON has not, as {"base64": "..."}. */
static void write_value(struct df_buf *out, const struct df_cursor_value *v)
{
	switch (v->kind) {
	case DF_CURSOR_NUMBER:
		df_buf_add_str(out, v->text);
		break;
	case DF_CURSOR_TEXT:
	case DF_CURSOR_TIME:
		df_json_write_string(v->text, out);
		break;
	case DF_CURSOR_BYTES:
		df_buf_add_c(out, "{\"base64\":\"");
		df_buf_add_base64(out, v->text);
		df_buf_add_c(out, "\"}");
		break;
	default:
		df_buf_add_c(out, "null");
	}
}

/* member is `"key":`. Every row has its position: this is done for each. */
static void write_member(struct df_buf *out, struct df_str member, const struct df_cursor_value *v)
{
	if (v->kind == DF_CURSOR_NONE)
		return;
	if (out->len > 1)
		df_buf_add_char(out, ',');
	df_buf_add_str(out, member);
	write_value(out, v);
}

int df_cursor_write_position(struct df_cursor *cursor)
{
	const struct df_cursor_place *place = &cursor->place;
	struct df_buf *out = &cursor->position;

	out->len = 0;
	df_buf_add_char(out, '{');
	write_member(out, place->t.kind == DF_CURSOR_TIME ? MEMBER(KEY_TIME) : MEMBER(KEY_VALUE), &place->t);
	write_member(out, MEMBER(KEY_ORDER), &place->k);
	write_member(out, MEMBER(KEY_NULL_ORDER), &place->null_k);
	df_buf_add_char(out, '}');
	return out->failed ? DF_ERR_NO_MEMORY : 0;
}

/* FNV-1a, 64 bit: tells one query's text from another's without keeping it. */
static uint64_t hash_text(const char *text)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return hash;
}

#define HASH_TEXT_MAX 17

static const char *query_hash(const struct df_cursor_source *source, char out[HASH_TEXT_MAX])
{
	if (!source->query)
		return NULL;
	snprintf(out, HASH_TEXT_MAX, "%016" PRIx64, hash_text(source->query));
	return out;
}

static int set_text(struct df_value *object, const char *key, const char *text, struct df_arena *arena)
{
	if (!text)
		return 0;
	struct df_value *v = df_value_string_copy(arena, df_str_c(text));
	if (!v)
		return DF_ERR_NO_MEMORY;
	df_object_append(object, df_str_c(key), v);
	return 0;
}

static struct df_value *source_object(const struct df_cursor_source *source, struct df_arena *arena)
{
	char hash[HASH_TEXT_MAX];
	struct df_value *object = df_value_new(arena, DF_OBJECT);

	if (!object || set_text(object, "table", source->table, arena) != 0 ||
	    set_text(object, "changeTrackingColumn", source->change_column, arena) != 0 ||
	    set_text(object, "orderByColumn", source->order_column, arena) != 0 ||
	    set_text(object, "queryHash", query_hash(source, hash), arena) != 0)
		return NULL;
	return object;
}

static void remove_key(struct df_value *object, const char *key)
{
	struct df_value *member = df_object_get_c(object, key);

	if (member)
		df_container_remove(object, df_container_prev(object, member), member);
}

int df_cursor_commit(const struct df_cursor_source *source, struct df_str position, struct df_value *checkpoint,
		     struct df_arena *arena, struct df_error *err)
{
	static const char *const keys[] = { KEY_TIME,	KEY_VALUE,    KEY_ORDER,    KEY_NULL_ORDER,
					    KEY_SOURCE, OLD_KEY_TIME, OLD_KEY_ORDER };
	struct df_value *members = NULL;

	if (position.len == 0)
		return 0;
	struct df_str copy = df_arena_dup(arena, position);
	struct df_value *owner = source_object(source, arena);

	if (!copy.ptr || !owner)
		return df_error_no_memory(err);
	int code = df_value_parse_text(copy, arena, &members, err);
	if (code != 0)
		return code;

	for (size_t i = 0; i < DF_ARRAY_SIZE(keys); i++)
		remove_key(checkpoint, keys[i]);
	struct df_value *member = df_container_take(members);
	while (member) {
		struct df_value *next = member->next;
		member->next = NULL;
		df_object_append(checkpoint, df_value_key(member), member);
		member = next;
	}
	df_object_append(checkpoint, DF_STR(KEY_SOURCE), owner);
	return 0;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

#define START_OVER "; set checkpointReset: true to start over"

static int damaged(const char *key, const char *expected, struct df_error *err)
{
	return df_error_set(err, DF_ERR_CONFIG, "the checkpoint's %s is no %s" START_OVER, key, expected);
}

/* A number, a string, null, or {"base64": ...}. */
static int read_value(struct df_cursor *cursor, enum df_cursor_text slot, struct df_cursor_value *to,
		      const struct df_value *v, const char *key, struct df_arena *arena, struct df_error *err)
{
	struct df_cursor_value value = { .kind = DF_CURSOR_NULL };
	df_cleanup(df_buf_done) struct df_buf bytes = { 0 };

	if (v->kind == DF_NUMBER || v->kind == DF_STRING) {
		value.kind = v->kind == DF_NUMBER ? DF_CURSOR_NUMBER : DF_CURSOR_TEXT;
		value.text = df_value_text(v, arena);
		if (!value.text.ptr)
			return df_error_no_memory(err);
	} else if (v->kind == DF_OBJECT) {
		const struct df_value *base64 = df_object_get_c(v, "base64");
		struct df_str text =
			base64 && base64->kind == DF_STRING ? df_value_text(base64, arena) : df_str(NULL, 0);
		if (!text.ptr || !df_buf_add_base64_decoded(&bytes, text))
			return damaged(key, "number or string", err);
		value = (struct df_cursor_value){ DF_CURSOR_BYTES, df_buf_str(&bytes) };
	} else if (v->kind != DF_NULL) {
		return damaged(key, "number or string", err);
	}
	return df_cursor_keep(cursor, slot, to, &value) == 0 ? 0 : df_error_no_memory(err);
}

/* RFC 3339, or `YYYY-MM-DD HH:MM:SS` in UTC; kept as RFC 3339 in UTC. */
static int read_time(struct df_cursor *cursor, const struct df_value *v, const char *key, struct df_arena *arena,
		     struct df_error *err)
{
	char text[DF_RFC3339_MAX];
	struct df_civil civil;
	bool has_offset;
	int32_t offset = 0;

	if (v->kind != DF_STRING || !df_time_parse(df_value_text(v, arena), &civil, &has_offset, &offset))
		return damaged(key, "time", err);
	struct df_instant t = df_civil_to_unix(&civil);
	t.seconds -= offset;
	struct df_cursor_value value = { DF_CURSOR_TIME,
					 df_str(text, df_rfc3339_format(t, 0, DF_FRACTION_SHORT, text)) };
	return df_cursor_keep(cursor, DF_TEXT_T, &cursor->place.t, &value) == 0 ? 0 : df_error_no_memory(err);
}

static bool same_text(const struct df_value *object, const char *key, const char *text)
{
	const struct df_value *v = df_object_get_c(object, key);

	return text && v ? df_value_string_equal(v, df_str_c(text)) : !text && (!v || v->kind == DF_NULL);
}

static int check_source(const struct df_value *owner, const struct df_cursor_source *source, bool *ret_query_changed,
			struct df_error *err)
{
	const struct {
		const char *key, *text;
	} parts[] = {
		{ "table", source->table },
		{ "changeTrackingColumn", source->change_column },
		{ "orderByColumn", source->order_column },
	};
	char hash[HASH_TEXT_MAX];

	if (!owner || owner->kind != DF_OBJECT)
		return 0;
	for (size_t i = 0; i < DF_ARRAY_SIZE(parts); i++)
		if (!same_text(owner, parts[i].key, parts[i].text))
			return df_error_set(
				err, DF_ERR_CONFIG,
				"the checkpoint was written for another source: its %s is not %s" START_OVER,
				parts[i].key, parts[i].text ? parts[i].text : "empty");
	*ret_query_changed = !same_text(owner, "queryHash", query_hash(source, hash));
	return 0;
}

/* The first of two keys that is there. */
static const struct df_value *either(const struct df_value *object, const char *first, const char *second,
				     const char **ret_key)
{
	const struct df_value *v = df_object_get_c(object, first);

	*ret_key = first;
	if (!v && (v = df_object_get_c(object, second)))
		*ret_key = second;
	return v;
}

static int read_place(struct df_cursor *cursor, const struct df_value *checkpoint, struct df_arena *arena,
		      struct df_error *err)
{
	struct df_cursor_place *place = &cursor->place;
	const char *key;
	const struct df_value *v = df_object_get_c(checkpoint, KEY_VALUE);
	int code = 0;

	if (v) {
		code = read_value(cursor, DF_TEXT_T, &place->t, v, KEY_VALUE, arena, err);
	} else {
		v = either(checkpoint, KEY_TIME, OLD_KEY_TIME, &key);
		if (v && v->kind != DF_NULL)
			code = read_time(cursor, v, key, arena, err);
	}
	v = either(checkpoint, KEY_ORDER, OLD_KEY_ORDER, &key);
	if (code == 0 && v)
		code = read_value(cursor, DF_TEXT_K, &place->k, v, key, arena, err);
	v = df_object_get_c(checkpoint, KEY_NULL_ORDER);
	if (code == 0 && v)
		code = read_value(cursor, DF_TEXT_NULL_K, &place->null_k, v, KEY_NULL_ORDER, arena, err);
	if (code == 0 && (place->t.kind != DF_CURSOR_NONE || place->k.kind != DF_CURSOR_NONE ||
			  place->null_k.kind != DF_CURSOR_NONE))
		code = df_cursor_write_position(cursor) == 0 ? 0 : df_error_no_memory(err);
	return code;
}

int df_cursor_restore(struct df_cursor *cursor, const struct df_cursor_source *source,
		      const struct df_value *checkpoint, bool *ret_query_changed, struct df_error *err)
{
	struct df_arena arena;

	*ret_query_changed = false;
	if (checkpoint->kind != DF_OBJECT)
		return damaged("content", "object", err);
	int code = check_source(df_object_get_c(checkpoint, KEY_SOURCE), source, ret_query_changed, err);
	if (code != 0)
		return code;
	df_arena_init(&arena, NULL);
	code = read_place(cursor, checkpoint, &arena, err);
	df_arena_done(&arena);
	return code;
}
