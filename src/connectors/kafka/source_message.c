/*
 * A record becomes a message: payload and key are copied into the batch's arena, because keeping librdkafka's buffer
 * alive instead would hold whole fetches; its metadata are nodes that are made in one piece from a template.
 */
#include "connectors/kafka/source.h"

enum { TEXT_SECOND = 20 }; /* "2024-01-15T10:30:00." */

static void node(struct df_value *v, const char *key, enum df_kind kind, enum df_logical logical, enum df_repr repr)
{
	*v = (struct df_value){ .key = key,
				.key_len = key ? (uint32_t)strlen(key) : 0,
				.key_plain = true,
				.kind = (uint8_t)kind,
				.logical = (uint8_t)logical,
				.repr = (uint8_t)repr };
}

void df_kafka_source_template(struct df_kafka_source *s)
{
	struct df_kafka_metadata *t = &s->template;

	node(&t->object, NULL, DF_OBJECT, DF_LOGICAL_NONE, DF_REPR_TEXT);
	node(&t->topic, "topic", DF_STRING, DF_LOGICAL_TEXT, DF_REPR_TEXT);
	node(&t->partition, "partition", DF_NUMBER, DF_LOGICAL_INT32, DF_REPR_INT64);
	node(&t->offset, "offset", DF_NUMBER, DF_LOGICAL_INT64, DF_REPR_INT64);
	node(&t->key, "key", DF_STRING, DF_LOGICAL_TEXT, DF_REPR_TEXT);
	node(&t->timestamp, "timestamp", DF_STRING, DF_LOGICAL_TIMESTAMPTZ, DF_REPR_PLAIN);
	node(&t->headers, "headers", DF_OBJECT, DF_LOGICAL_NONE, DF_REPR_TEXT);
	t->topic.text = df_kafka_source_topic(s);
	t->topic.len = (uint32_t)strlen(t->topic.text);
	s->second = INT64_MIN;
}

static void link_node(struct df_value *object, struct df_value *child)
{
	if (object->last)
		object->last->next = child;
	else
		object->first = child;
	object->last = child;
	object->len++;
}

/* RFC 3339 with three fraction digits; the seconds are those of the message before, mostly. */
static void set_timestamp(struct df_kafka_source *s, struct df_kafka_metadata *meta, int64_t ms)
{
	int64_t second = ms / 1000 - (ms % 1000 < 0);
	int fraction = (int)(ms - second * 1000);

	if (second != s->second) {
		s->template.timestamp.len = (uint32_t)df_rfc3339_format((struct df_instant){ second, 0 }, 0,
									DF_FRACTION_3, s->template.text);
		s->second = second;
		memcpy(meta->text, s->template.text, sizeof(meta->text));
		meta->timestamp.len = s->template.timestamp.len;
	}
	if (meta->timestamp.len == TEXT_SECOND + 4) {
		meta->text[TEXT_SECOND] = (char)('0' + fraction / 100);
		meta->text[TEXT_SECOND + 1] = (char)('0' + fraction / 10 % 10);
		meta->text[TEXT_SECOND + 2] = (char)('0' + fraction % 10);
	}
	meta->timestamp.text = meta->text;
	link_node(&meta->object, &meta->timestamp);
}

static int set_key(struct df_message *to, struct df_kafka_metadata *meta, const rd_kafka_message_t *m,
		   struct df_arena *arena)
{
	if (!m->key)
		return 0;
	to->key = df_arena_dup(arena, df_str(m->key, m->key_len));
	if (!to->key.ptr)
		return -1;
	if (!df_utf8_valid(to->key, NULL)) {
		node(&meta->key, "key_base64", DF_STRING, DF_LOGICAL_BYTES, DF_REPR_BYTES);
	}
	meta->key.text = to->key.ptr;
	meta->key.len = (uint32_t)to->key.len;
	link_node(&meta->object, &meta->key);
	return 0;
}

/* ---- headers --------------------------------------------------------------------------------------------- */

static int copy_headers(struct df_message *to, const rd_kafka_headers_t *headers, struct df_arena *arena)
{
	size_t count = rd_kafka_header_cnt(headers);

	to->headers = df_arena_zalloc(arena, count * sizeof(*to->headers));
	if (!to->headers)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct df_header *h = &to->headers[i];
		const char *name;
		const void *value;
		size_t len;

		if (rd_kafka_header_get_all(headers, i, &name, &value, &len))
			break;
		h->name = df_arena_dup(arena, df_str_c(name));
		if (value)
			h->value = df_arena_dup(arena, df_str(value, len));
		if (!h->name.ptr || (value && !h->value.ptr))
			return -1;
		to->header_count++;
	}
	return 0;
}

/* Sets one header in `headers`, or in `headers_base64` when it is not text. The last of equal names wins. */
static int add_header(struct df_kafka_metadata *meta, struct df_value **binary, const struct df_header *h,
		      struct df_arena *arena)
{
	bool text = df_utf8_valid(h->value, NULL);
	struct df_value *value = !h->value.ptr ? df_value_new(arena, DF_NULL)
				 : text	       ? df_value_string(arena, h->value)
					       : df_value_bytes(arena, h->value);

	if (!value || !df_utf8_valid(h->name, NULL))
		return value ? 0 : -1; /* such a name is no key of a document; a Kafka sink still gets it */
	if (text) {
		df_object_set(&meta->headers, h->name, value);
		return 0;
	}
	if (!*binary)
		*binary = df_value_new(arena, DF_OBJECT);
	if (!*binary)
		return -1;
	df_object_set(*binary, h->name, value);
	return 0;
}

static int set_headers(struct df_message *to, struct df_kafka_metadata *meta, const rd_kafka_message_t *m,
		       struct df_arena *arena)
{
	rd_kafka_headers_t *headers;
	struct df_value *binary = NULL;

	if (rd_kafka_message_headers(m, &headers))
		return 0;
	if (copy_headers(to, headers, arena) < 0)
		return -1;
	for (uint32_t i = 0; i < to->header_count; i++) {
		if (add_header(meta, &binary, &to->headers[i], arena) < 0)
			return -1;
	}
	if (meta->headers.len > 0)
		link_node(&meta->object, &meta->headers);
	if (binary)
		df_object_append(&meta->object, DF_STR("headers_base64"), binary);
	return 0;
}

/* ---- the message ----------------------------------------------------------------------------------------- */

static int set_metadata(struct df_kafka_source *s, struct df_message *to, const rd_kafka_message_t *m,
			struct df_arena *arena)
{
	struct df_kafka_metadata *meta = df_arena_alloc(arena, sizeof(*meta));
	rd_kafka_timestamp_type_t kind;
	int64_t ms = rd_kafka_message_timestamp(m, &kind);

	if (!meta)
		return -1;
	*meta = s->template;
	link_node(&meta->object, &meta->topic);
	meta->partition.int64 = m->partition;
	link_node(&meta->object, &meta->partition);
	meta->offset.int64 = m->offset;
	link_node(&meta->object, &meta->offset);
	to->metadata = &meta->object;
	if (set_key(to, meta, m, arena) < 0)
		return -1;
	if (kind != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && ms >= 0) {
		to->timestamp_ns = ms * DF_NS_PER_MS;
		set_timestamp(s, meta, ms);
	}
	return set_headers(to, meta, m, arena);
}

/* format raw: one text, whatever the bytes are; a sink that takes bytes gets them as they came. */
static int set_raw(const struct df_kafka_source *s, struct df_message *to, struct df_arena *arena)
{
	bool text = df_str_equal_c(df_str_c(s->settings->raw_encoding), "text") && df_utf8_valid(to->payload, NULL);

	if (to->payload.len == 0)
		return 0;
	to->document = text ? df_value_string(arena, to->payload) : df_value_bytes(arena, to->payload);
	to->state = DF_PAYLOAD_JSON;
	return to->document ? 0 : -1;
}

/* format avro. What the registry does not answer is no message's fault and comes again; the rest is poison. */
static int decode(struct df_kafka_source *s, struct df_str payload, struct df_arena *arena, struct df_value **ret,
		  struct df_error **ret_failure, struct df_error *err)
{
	int r = df_kafka_avro_reader_decode(s->avro, s->ctx, payload, ret, err);

	if (r != DF_ERR_INVALID_DATA)
		return r;
	*ret_failure = df_arena_alloc(arena, sizeof(**ret_failure));
	if (!*ret_failure)
		return df_error_no_memory(err);
	**ret_failure = *err;
	return 0;
}

int df_kafka_source_add(struct df_kafka_source *s, struct df_batch *batch, const struct df_kafka_partition *p,
			const rd_kafka_message_t *m, struct df_error *err)
{
	struct df_str payload = { 0 };
	struct df_value *document = NULL;
	struct df_error *failure = NULL;
	struct df_message *to;
	int r;

	if (m->payload) {
		payload = df_arena_dup(&batch->arena, df_str(m->payload, m->len));
		if (!payload.ptr)
			return df_error_no_memory(err);
	}
	if (s->avro && payload.len > 0) {
		r = decode(s, payload, &batch->arena, &document, &failure, err);
		if (r < 0)
			return r;
	}
	to = df_batch_add(batch);
	if (!to || set_metadata(s, to, m, &batch->arena) < 0)
		return df_error_no_memory(err);
	to->partition = p->ledger;
	to->position.number = m->offset;
	to->failure = failure;
	batch->bytes += m->len;
	if (document)
		df_message_set_document(to, document);
	else
		to->payload = payload;
	if (s->raw && set_raw(s, to, &batch->arena) < 0)
		return df_error_no_memory(err);
	return 0;
}
