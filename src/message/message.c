#include "message/message.h"

#include <inttypes.h>
#include <stdio.h>

#include "message/ledger.h"

int df_message_parse(struct df_message *m, struct df_arena *arena, struct df_value **ret, struct df_error *err)
{
	struct df_value *root = NULL;

	*ret = m->document;
	if (m->document || m->state != DF_PAYLOAD_UNKNOWN)
		return 0;
	if (m->payload.len == 0) {
		m->state = DF_PAYLOAD_EMPTY;
		return 0;
	}
	switch (df_value_parse(m->payload, arena, &root, NULL)) {
	case DF_PARSE_OK:
		m->state = DF_PAYLOAD_JSON;
		m->document = root;
		*ret = root;
		return 0;
	case DF_PARSE_NOT_JSON:
		m->state = DF_PAYLOAD_OTHER;
		return 0;
	/* These two leave the state unknown, so that whoever asks again gets the same error and not "no JSON". */
	case DF_PARSE_TOO_DEEP:
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "payload nests deeper than %d levels; flatten it before it comes here",
				    DF_VALUE_DEPTH_MAX);
	case DF_PARSE_TOO_LARGE:
		return df_error_set(err, DF_ERR_INVALID_DATA, "payload of %zu bytes is larger than %zu bytes",
				    m->payload.len, DF_VALUE_SIZE_MAX);
	case DF_PARSE_NO_MEMORY:
		break;
	}
	return df_error_no_memory(err);
}

/* Does the message leave as its document? A document beside an empty payload cannot have come from it. */
static bool df_message_is_rewritten(const struct df_message *m)
{
	return m->document && (m->changed || m->payload.len == 0);
}

void df_message_write(const struct df_message *m, struct df_buf *buf)
{
	if (df_message_is_rewritten(m))
		df_value_write(m->document, buf);
	else
		df_buf_add_str(buf, m->payload);
}

int df_message_payload(const struct df_message *m, struct df_arena *arena, struct df_str *ret)
{
	*ret = df_str(NULL, 0);
	if (df_message_is_rewritten(m)) {
		struct df_str text = df_value_to_arena(m->document, arena);

		if (!text.ptr)
			return DF_ERR_NO_MEMORY;
		*ret = text;
	} else if (m->payload.len) {
		*ret = m->payload;
	}
	return 0;
}

struct df_value *df_message_meta(const struct df_message *m, const char *key)
{
	return m->metadata ? df_object_get_c(m->metadata, key) : NULL;
}

int df_message_set_meta(struct df_message *m, struct df_arena *arena, struct df_str key, struct df_value *value)
{
	struct df_value *copy = m->metadata ? df_value_clone(m->metadata, arena) : df_value_new(arena, DF_OBJECT);

	if (!copy)
		return DF_ERR_NO_MEMORY;
	df_object_set(copy, key, value);
	m->metadata = copy;
	return 0;
}

void df_message_drop_meta(struct df_message *m, const char *key)
{
	struct df_value *value = df_message_meta(m, key);

	if (value)
		df_container_remove(m->metadata, df_container_prev(m->metadata, value), value);
	if (m->metadata && m->metadata->len == 0)
		m->metadata = NULL;
}

/* Copies what fits, cut at a code point, with a NUL behind it. size is at least 1. */
static void df_id_copy(struct df_str text, char *out, size_t size)
{
	size_t len = text.len;

	if (len >= size) {
		len = size - 1;
		while (len > 0 && ((unsigned char)text.ptr[len] & 0xC0) == 0x80)
			len--;
	}
	if (len)
		memcpy(out, text.ptr, len);
	out[len] = '\0';
}

/* False when there is no such key, or nothing in it that could name the message. */
static bool df_id_from_meta(const struct df_message *m, const char *key, char *out, size_t size)
{
	const struct df_value *v = df_message_meta(m, key);
	bool found = false;

	if (!v || v->kind == DF_NULL)
		return false;
	/* Most ids are held as text and take nothing from it; it is for escapes and numbers. */
	struct df_arena arena;
	df_arena_init(&arena, NULL);
	struct df_str text = df_value_text(v, &arena);
	if (text.len) {
		df_id_copy(text, out, size);
		found = true;
	}
	df_arena_done(&arena);
	return found;
}

void df_message_id(const struct df_message *m, char *out, size_t out_size)
{
	if (out_size == 0)
		return;
	if (df_id_from_meta(m, "message_id", out, out_size) || df_id_from_meta(m, "id", out, out_size))
		return;

	char number[24];
	int digits = snprintf(number, sizeof(number), "/%" PRId64, m->position.number);
	struct df_str key = m->partition ? df_partition_key(m->partition) : df_str(NULL, 0);

	/* A long partition name is cut before the number, which tells messages apart. */
	if ((size_t)digits < out_size) {
		df_id_copy(key, out, out_size - (size_t)digits);
		memcpy(out + strlen(out), number, (size_t)digits + 1);
	} else {
		df_id_copy(df_str(number, (size_t)digits), out, out_size);
	}
}
