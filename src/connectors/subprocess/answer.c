#include "connectors/subprocess/answer.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/time.h"
#include "connectors/subprocess/scan.h"

/* ---- members --------------------------------------------------------------------------------------------- */

static const struct member {
	struct df_str name;
	size_t offset;
} member_table[] = {
#define MEMBER(m)                                                      \
	{                                                              \
		{ #m, sizeof(#m) - 1 }, offsetof(struct df_members, m) \
	}
	/* what every message has comes first */
	MEMBER(json),	  MEMBER(position), MEMBER(data),      MEMBER(metadata),   MEMBER(type),   MEMBER(batch),
	MEMBER(messages), MEMBER(message),  MEMBER(code),      MEMBER(retryable),  MEMBER(failed), MEMBER(index),
	MEMBER(end),	  MEMBER(protocol), MEMBER(features),  MEMBER(in_flight),  MEMBER(base64), MEMBER(timestamp),
	MEMBER(key),	  MEMBER(headers),  MEMBER(partition), MEMBER(key_base64), MEMBER(joined),
#undef MEMBER
};

bool df_members_parse(struct df_str object, struct df_members *ret)
{
	struct df_scan scan;
	struct df_str key, value;

	*ret = (struct df_members){ 0 };
	if (!df_scan_object(&scan, object))
		return false;
	while (df_scan_member(&scan, &key, &value)) {
		for (size_t i = 0; i < DF_ARRAY_SIZE(member_table); i++) {
			if (!df_str_equal(member_table[i].name, key))
				continue;
			if (!df_str_equal(value, DF_STR("null")) || df_str_equal(key, DF_STR("json")) ||
			    df_str_equal(key, DF_STR("position")))
				*(struct df_str *)((char *)ret + member_table[i].offset) = value;
			break;
		}
	}
	return true;
}

/* ---- answers --------------------------------------------------------------------------------------------- */

static const char *const type_names[DF_ANSWER_TYPES] = {
	[DF_ANSWER_READY] = "ready",	   [DF_ANSWER_MESSAGE] = "message",
	[DF_ANSWER_MESSAGES] = "messages", [DF_ANSWER_DONE] = "done",
	[DF_ANSWER_ERROR] = "error",	   [DF_ANSWER_CHECKPOINT] = "checkpoint",
	[DF_ANSWER_PONG] = "pong",	   [DF_ANSWER_IDLE] = "idle",
	[DF_ANSWER_LAG] = "lag",	   [DF_ANSWER_DESCRIPTION] = "description",
};

const char *df_answer_name(enum df_answer_type type)
{
	return type_names[type];
}

int df_answer_parse(struct df_str line, struct df_answer *ret, struct df_error *err)
{
	if (df_value_check(line) != DF_PARSE_OK || !df_members_parse(line, &ret->members))
		return df_error_set(err, DF_ERR_CONNECTION,
				    "sent a line of %zu bytes that is no JSON object: only answers may go to the "
				    "standard output, everything else to the standard error",
				    line.len);
	struct df_str type = ret->members.type;
	for (size_t i = 0; i < DF_ANSWER_TYPES; i++) {
		if (type.len != strlen(type_names[i]) + 2 || memcmp(type.ptr + 1, type_names[i], type.len - 2) != 0)
			continue;
		ret->type = (enum df_answer_type)i;
		return 0;
	}
	return df_error_set(err, DF_ERR_CONNECTION, "sent a line without a `type` of the protocol");
}

/* ---- messages -------------------------------------------------------------------------------------------- */

/* "sent a message whose `what` is not <expected>" */
static int wrong(const char *what, const char *expected, struct df_error *err)
{
	return df_error_set(err, DF_ERR_CONNECTION, "sent a message whose `%s` is not %s", what, expected);
}

static int take_text(struct df_str value, const char *what, struct df_arena *arena, struct df_str *ret,
		     struct df_error *err)
{
	if (df_scan_text(value, arena, ret))
		return 0;
	return ret->len ? df_error_no_memory(err) : wrong(what, "text", err);
}

static int take_base64(struct df_str value, const char *what, struct df_arena *arena, struct df_str *ret,
		       struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf bytes = { 0 };
	struct df_str text;
	int r = take_text(value, what, arena, &text, err);

	if (r < 0)
		return r;
	bool valid = df_buf_add_base64_decoded(&bytes, text);
	if (bytes.failed)
		return df_error_no_memory(err);
	if (!valid)
		return wrong(what, "base64", err);
	*ret = df_arena_dup(arena, df_buf_str(&bytes));
	return ret->ptr ? 0 : df_error_no_memory(err);
}

static int take_payload(const struct df_members *members, struct df_arena *arena, struct df_message *m,
			struct df_error *err)
{
	int forms = (members->json.ptr != NULL) + (members->data.ptr != NULL) + (members->base64.ptr != NULL);

	if (forms > 1)
		return df_error_set(err, DF_ERR_CONNECTION,
				    "sent a message with more than one of `json`, `data` and `base64`");
	if (members->json.ptr)
		m->payload = members->json;
	else if (members->data.ptr)
		return take_text(members->data, "data", arena, &m->payload, err);
	else if (members->base64.ptr)
		return take_base64(members->base64, "base64", arena, &m->payload, err);
	return 0;
}

static int take_metadata(struct df_str text, struct df_arena *arena, struct df_message_memo *memo, struct df_message *m,
			 struct df_error *err)
{
	if (!memo->metadata || !df_str_equal(memo->metadata_text, text)) {
		struct df_value *metadata;

		if (text.ptr[0] != '{')
			return wrong("metadata", "an object", err);
		if (df_value_parse(text, arena, &metadata, NULL) != DF_PARSE_OK)
			return df_error_no_memory(err);
		*memo = (struct df_message_memo){ text, metadata };
	}
	m->metadata = memo->metadata;
	return 0;
}

static int take_timestamp(struct df_str value, struct df_arena *arena, struct df_message *m, struct df_error *err)
{
	struct df_instant at;
	struct df_str text;
	int r = take_text(value, "timestamp", arena, &text, err);

	if (r < 0)
		return r;
	if (text.len == 0)
		return 0;
	if (!df_rfc3339_parse(text, &at))
		return wrong("timestamp", "RFC 3339 (2024-01-15T10:30:00Z)", err);
	/* Outside of what 64 bits of nanoseconds hold: as good as unknown. */
	if (__builtin_mul_overflow(at.seconds, DF_NS_PER_S, &m->timestamp_ns) ||
	    __builtin_add_overflow(m->timestamp_ns, at.nanoseconds, &m->timestamp_ns))
		m->timestamp_ns = 0;
	return 0;
}

/* [name, value], [name, null] or [name, null, base64] */
static int take_header(struct df_str text, struct df_arena *arena, struct df_header *ret, struct df_error *err)
{
	struct df_scan scan;
	struct df_str part[3] = { { 0 } };
	size_t n = 0;
	int r;

	if (df_scan_array(&scan, text))
		while (n < 3 && df_scan_element(&scan, &part[n]))
			n++;
	if (n < 2)
		return wrong("headers", "a list of [name, value]", err);
	*ret = (struct df_header){ 0 };
	r = take_text(part[0], "headers", arena, &ret->name, err);
	if (r == 0 && n == 3)
		return take_base64(part[2], "headers", arena, &ret->value, err);
	if (r == 0 && !df_str_equal(part[1], DF_STR("null")))
		r = take_text(part[1], "headers", arena, &ret->value, err);
	return r;
}

static int take_headers(struct df_str text, struct df_arena *arena, struct df_message *m, struct df_error *err)
{
	struct df_scan scan;
	struct df_str element;
	uint32_t count = 0;

	if (!df_scan_array(&scan, text))
		return wrong("headers", "a list of [name, value]", err);
	while (df_scan_element(&scan, &element))
		count++;
	m->headers = df_arena_alloc(arena, count * sizeof(*m->headers));
	if (!m->headers)
		return df_error_no_memory(err);
	(void)df_scan_array(&scan, text);
	while (df_scan_element(&scan, &element)) {
		int r = take_header(element, arena, &m->headers[m->header_count], err);

		if (r < 0)
			return r;
		m->header_count++;
	}
	return 0;
}

int df_message_from_members(const struct df_members *in, struct df_arena *arena, struct df_message_memo *memo,
			    struct df_message *m, struct df_error *err)
{
	int r = take_payload(in, arena, m, err);

	if (r == 0 && in->metadata.ptr)
		r = take_metadata(in->metadata, arena, memo, m, err);
	if (r == 0 && in->timestamp.ptr)
		r = take_timestamp(in->timestamp, arena, m, err);
	if (r == 0 && in->key.ptr)
		r = take_text(in->key, "key", arena, &m->key, err);
	else if (r == 0 && in->key_base64.ptr)
		r = take_base64(in->key_base64, "key_base64", arena, &m->key, err);
	if (r == 0 && in->headers.ptr)
		r = take_headers(in->headers, arena, m, err);
	if (r == 0 && in->joined.ptr && !df_scan_bool(in->joined, &m->joined))
		r = wrong("joined", "true or false", err);
	return r;
}
