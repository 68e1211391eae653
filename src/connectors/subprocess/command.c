#include "connectors/subprocess/command.h"

#include "base/cleanup.h"
#include "base/time.h"

/* Before a member. */
static void separate(struct df_buf *out)
{
	if (out->len > 0 && out->data[out->len - 1] != '{')
		df_buf_add_char(out, ',');
}

static void add_time(int64_t ns, struct df_buf *out)
{
	struct df_instant at = { ns / DF_NS_PER_S, (int32_t)(ns % DF_NS_PER_S) };
	char text[DF_RFC3339_MAX];

	if (at.nanoseconds < 0)
		at = (struct df_instant){ at.seconds - 1, at.nanoseconds + (int32_t)DF_NS_PER_S };
	separate(out);
	df_buf_add_c(out, "\"timestamp\":\"");
	df_buf_add(out, text, df_rfc3339_format(at, 0, DF_FRACTION_SHORT, text));
	df_buf_add_char(out, '"');
}

static void add_metadata(const struct df_message *m, struct df_buf *out)
{
	separate(out);
	df_buf_add_c(out, "\"metadata\":");
	df_value_write(m->metadata, out);
}

/* ---- protocol 1 ------------------------------------------------------------------------------------------ */

/* Everything is always there: its programs may count on it. */
static int plain_message(const struct df_message *m, const struct df_clock *clock, struct df_buf *out,
			 struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf payload = { 0 };

	df_message_write(m, &payload);
	if (payload.failed)
		return df_error_no_memory(err);
	if (!df_utf8_valid(df_buf_str(&payload), NULL))
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "the message is not UTF-8, and the program's protocol 1 has only text");
	df_buf_add_c(out, "{\"data\":");
	df_json_write_string(payload.len ? df_buf_str(&payload) : DF_STR(""), out);
	if (m->metadata)
		add_metadata(m, out);
	else
		df_buf_add_c(out, ",\"metadata\":{}");
	add_time(m->timestamp_ns ? m->timestamp_ns : df_clock_now(clock), out);
	df_buf_add_char(out, '}');
	return 0;
}

/* ---- protocol 2 ------------------------------------------------------------------------------------------ */

static void add_text_or_bytes(struct df_str bytes, const char *text_key, const char *bytes_key, struct df_buf *out)
{
	bool text = df_utf8_valid(bytes, NULL);

	df_buf_printf(out, "\"%s\":", text ? text_key : bytes_key);
	if (text) {
		df_json_write_string(bytes, out);
		return;
	}
	df_buf_add_char(out, '"');
	df_buf_add_base64(out, bytes);
	df_buf_add_char(out, '"');
}

static bool has_line_break(struct df_str text)
{
	return memchr(text.ptr, '\n', text.len) || memchr(text.ptr, '\r', text.len);
}

/* JSON goes out as it came in, but on one line. */
static int add_payload(struct df_message *m, struct df_arena *arena, struct df_buf *out, struct df_error *err)
{
	struct df_str payload = m->payload;
	struct df_value *document = m->document;

	if (document && m->changed) {
		df_buf_add_c(out, "\"json\":");
		df_message_write(m, out);
	} else if (payload.len == 0) {
		return 0;
	} else if (!document && df_value_check(payload) != DF_PARSE_OK) {
		add_text_or_bytes(payload, "data", "base64", out);
	} else if (!has_line_break(payload)) {
		df_buf_add_c(out, "\"json\":");
		df_buf_add_str(out, payload);
	} else {
		if (!document && df_value_parse(payload, arena, &document, NULL) != DF_PARSE_OK)
			return df_error_no_memory(err);
		df_buf_add_c(out, "\"json\":");
		df_value_write(document, out);
	}
	return 0;
}

static void add_headers(const struct df_message *m, struct df_buf *out)
{
	df_buf_add_c(out, "\"headers\":[");
	for (uint32_t i = 0; i < m->header_count; i++) {
		const struct df_header *header = &m->headers[i];

		df_buf_add_c(out, i ? ",[" : "[");
		df_json_write_string(header->name, out);
		if (!header->value.ptr) {
			df_buf_add_c(out, ",null]");
		} else if (df_utf8_valid(header->value, NULL)) {
			df_buf_add_char(out, ',');
			df_json_write_string(header->value, out);
			df_buf_add_char(out, ']');
		} else {
			df_buf_add_c(out, ",null,\"");
			df_buf_add_base64(out, header->value);
			df_buf_add_c(out, "\"]");
		}
	}
	df_buf_add_char(out, ']');
}

static int message(struct df_message *m, struct df_arena *arena, struct df_buf *out, struct df_error *err)
{
	df_buf_add_char(out, '{');
	int r = add_payload(m, arena, out, err);
	if (r < 0)
		return r;
	if (m->key.ptr) {
		separate(out);
		add_text_or_bytes(m->key, "key", "key_base64", out);
	}
	if (m->header_count > 0) {
		separate(out);
		add_headers(m, out);
	}
	if (m->metadata && m->metadata->len > 0)
		add_metadata(m, out);
	if (m->timestamp_ns)
		add_time(m->timestamp_ns, out);
	df_buf_add_char(out, '}');
	return 0;
}

int df_message_to_program(struct df_message *m, int protocol, const struct df_clock *clock, struct df_arena *arena,
			  struct df_buf *out, struct df_error *err)
{
	size_t before = out->len;
	int r = protocol == 1 ? plain_message(m, clock, out, err) : message(m, arena, out, err);

	if (r < 0)
		out->len = before;
	return r < 0 ? r : out->failed ? df_error_no_memory(err) : 0;
}
