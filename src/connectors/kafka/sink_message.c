/* A message becomes a record: its topic, its key, its value. */
#include "connectors/kafka/sink.h"

/* A text as it is, anything else as JSON; null is no key. */
static int key_of_value(struct df_value *v, struct df_arena *arena, struct df_str *ret, struct df_error *err)
{
	*ret = df_str(NULL, 0);
	if (v->kind == DF_NULL)
		return 0;
	*ret = df_value_text(v, arena);
	if (ret->ptr && ret->len > 0)
		return 0;
	if (!ret->ptr && v->kind != DF_STRING)
		return df_error_no_memory(err);
	*ret = df_str("", 0); /* an empty key is a key */
	return 0;
}

static int key_from_field(struct df_kafka_sink *s, struct df_message *m, struct df_arena *arena, struct df_str *ret,
			  struct df_error *err)
{
	struct df_value *root = NULL, *v = NULL;
	int r = df_message_document(m, arena, &root, err);

	if (r == 0 && root && df_path_read(s->key_path, root, arena, &v) < 0)
		r = df_error_no_memory(err);
	if (r < 0)
		return r;
	if (!v)
		return df_error_set(err, DF_ERR_INVALID_DATA, "%s, so it has no key (keyField: %s)",
				    root ? "the document has nothing there" : "the payload is not JSON",
				    s->settings->key_field);
	return key_of_value(v, arena, ret, err);
}

static int key_of(struct df_kafka_sink *s, struct df_message *m, struct df_arena *arena, struct df_str *ret,
		  struct df_error *err)
{
	struct df_value *v;

	if (s->key_path)
		return key_from_field(s, m, arena, ret, err);
	if (m->key.ptr) {
		*ret = m->key;
		return 0;
	}
	v = df_message_meta(m, "key");
	if (!v)
		v = df_message_meta(m, "id");
	if (v)
		return key_of_value(v, arena, ret, err);
	*ret = df_str(NULL, 0);
	return 0;
}

static int avro_value(struct df_kafka_sink *s, struct df_context *ctx, struct df_message *m, struct df_str topic,
		      struct df_arena *arena, struct df_str *ret, struct df_error *err)
{
	struct df_value *root = NULL;
	int r = df_message_document(m, arena, &root, err);

	if (r == 0 && !root && m->state == DF_PAYLOAD_EMPTY) {
		*ret = m->payload; /* null, as it was */
		return 0;
	}
	if (r == 0 && !root)
		r = df_error_set(err, DF_ERR_INVALID_DATA,
				 "the payload is not JSON, so that Avro cannot be made of it");
	s->value.len = 0;
	if (r == 0)
		r = df_kafka_avro_writer_encode(s->avro, ctx, topic, root, arena, &s->value, err);
	if (r < 0)
		return r;
	*ret = df_arena_dup(arena, df_buf_str(&s->value)); /* it lives until the report */
	return ret->ptr ? 0 : df_error_no_memory(err);
}

static int value_of(struct df_kafka_sink *s, struct df_context *ctx, struct df_message *m, struct df_str topic,
		    struct df_arena *arena, struct df_str *ret, struct df_error *err)
{
	if (s->avro)
		return avro_value(s, ctx, m, topic, arena, ret, err);
	if (df_message_payload(m, arena, ret) < 0)
		return df_error_no_memory(err);
	if (!ret->ptr)
		*ret = m->payload; /* null or empty, as it was */
	return 0;
}

static int topic_of(struct df_kafka_sink *s, struct df_context *ctx, struct df_message *m, struct df_arena *arena,
		    const struct df_kafka_topic **ret, struct df_error *err)
{
	const struct df_value *v;
	struct df_str name;

	*ret = &s->topic;
	if (!s->settings->topic_from)
		return 0;
	v = df_message_meta(m, s->settings->topic_from);
	if (!v || v->kind != DF_STRING || v->len == 0)
		return 0;
	name = df_value_text(v, arena);
	if (!name.ptr)
		return df_error_no_memory(err);
	return df_kafka_sink_other_topic(s, ctx, name, ret, err);
}

int df_kafka_sink_record(struct df_kafka_sink *s, struct df_context *ctx, struct df_message *m, struct df_arena *arena,
			 struct df_kafka_record *ret, struct df_error *err)
{
	int r = topic_of(s, ctx, m, arena, &ret->topic, err);

	if (r == 0)
		r = key_of(s, m, arena, &ret->key, err);
	return r < 0 ? r : value_of(s, ctx, m, df_str(ret->topic->name, ret->topic->name_len), arena, &ret->value, err);
}

rd_kafka_headers_t *df_kafka_sink_headers(const struct df_message *m, bool *failed)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(m->header_count);

	for (uint32_t i = 0; headers && i < m->header_count; i++) {
		const struct df_header *h = &m->headers[i];

		if (rd_kafka_header_add(headers, h->name.len ? h->name.ptr : "", (ssize_t)h->name.len, h->value.ptr,
					(ssize_t)h->value.len)) {
			rd_kafka_headers_destroy(headers);
			headers = NULL;
		}
	}
	*failed = !headers;
	return headers;
}
