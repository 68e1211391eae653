#include "connectors/trino/spool.h"

#include <lz4.h>
#include <zstd.h>

#include "base/cleanup.h"

#define SEGMENT_MAX ((int64_t)1 << 30)
#define HEADERS_MAX 16

enum encoding { JSON, JSON_ZSTD, JSON_LZ4 };

struct df_trino_spool {
	struct df_arena arena; /* the segments' descriptions */
	enum encoding encoding;
	const struct df_value *next; /* the segment to read next */
};

static struct df_str text_of(const struct df_value *object, const char *key, struct df_arena *arena)
{
	struct df_value *v = df_object_get_c(object, key);

	return v && v->kind == DF_STRING ? df_value_text(v, arena) : df_str(NULL, 0);
}

static int bad(struct df_error *err, const char *what)
{
	return df_error_set(err, DF_ERR_UNKNOWN, "a segment of the result %s", what);
}

int df_trino_spool_open(struct df_trino_query *q, const struct df_value *data, struct df_error *err)
{
	static const char *const encodings[] = { "json", "json+zstd", "json+lz4" };
	struct df_str encoding = text_of(data, "encoding", &q->arena);
	const struct df_value *segments = df_object_get_c(data, "segments");
	size_t i = 0;

	while (i < DF_ARRAY_SIZE(encodings) && !df_str_equal_c(encoding, encodings[i]))
		i++;
	if (i == DF_ARRAY_SIZE(encodings))
		return bad(err, "has an encoding that was not asked for");
	if (!segments || segments->kind != DF_ARRAY || segments->len == 0)
		return 0;
	struct df_trino_spool *spool = calloc(1, sizeof(*spool));
	if (!spool)
		return df_error_no_memory(err);
	q->spool = spool;
	spool->encoding = (enum encoding)i;
	/* The page they stand in is replaced by their rows. */
	const struct df_value *copy = df_value_clone_deep(segments, &spool->arena);
	if (!copy)
		return df_error_no_memory(err);
	spool->next = copy->first;
	return 0;
}

void df_trino_spool_close(struct df_trino_query *q)
{
	if (!q->spool)
		return;
	df_arena_done(&q->spool->arena);
	free(DF_TAKE(q->spool));
}

/* Exactly `size` bytes, appended to out. */
static bool decompress(enum encoding encoding, struct df_str in, size_t size, struct df_buf *out)
{
	char *room = df_buf_reserve(out, size);
	size_t got = 0;

	if (!room)
		return false;
	if (encoding == JSON_ZSTD)
		got = ZSTD_decompress(room, size, in.ptr, in.len);
	else if (in.len <= INT32_MAX && size <= INT32_MAX)
		got = (size_t)LZ4_decompress_safe(in.ptr, room, (int)in.len, (int)size);
	out->len += size;
	return got == size;
}

/* The bytes of a segment become the page: `[[row], [row], ...]`. Small ones are sent as they are whatever the encoding;
 * `uncompressedSize` tells. */
static int take_segment(struct df_trino_query *q, const struct df_value *segment, struct df_buf *bytes,
			struct df_error *err)
{
	const struct df_value *plain = df_object_get_c(df_object_get_c(segment, "metadata"), "uncompressedSize");
	struct df_value *rows;
	int64_t size;

	if (q->spool->encoding == JSON || !plain) {
		q->body = *bytes;
		*bytes = (struct df_buf){ 0 };
	} else if (!df_value_to_int64(plain, &size) || size < 0 || size > SEGMENT_MAX) {
		return bad(err, "has no size");
	} else if (!decompress(q->spool->encoding, df_buf_str(bytes), (size_t)size, &q->body)) {
		return q->body.failed ? df_error_no_memory(err) : bad(err, "cannot be decompressed");
	}
	if (df_value_parse(df_buf_str(&q->body), &q->arena, &rows, NULL) != DF_PARSE_OK || rows->kind != DF_ARRAY)
		return bad(err, "is not a JSON array of rows");
	q->row = rows->len ? rows->first : NULL;
	return 0;
}

/* {"name": ["value", ...]} */
static size_t segment_headers(const struct df_value *segment, struct df_arena *arena, struct df_http_header *headers)
{
	const struct df_value *object = df_object_get_c(segment, "headers");
	size_t n = 0;

	if (!object || object->kind != DF_OBJECT || object->len == 0)
		return 0;
	df_for_each (member, object) {
		struct df_value *value = member->kind == DF_ARRAY && member->len ? member->first : NULL;

		if (!value || value->kind != DF_STRING || n == HEADERS_MAX)
			continue;
		headers[n].name = df_arena_dup(arena, df_value_key(member)).ptr;
		headers[n].value = df_arena_dup(arena, df_value_text(value, arena)).ptr;
		n += headers[n].name && headers[n].value;
	}
	return n;
}

/* Fetches a spooled segment, and tells the server that it may go. */
static int fetch_segment(struct df_trino_query *q, const struct df_value *segment, struct df_buf *bytes,
			 struct df_error *err)
{
	df_cleanup(df_http_response_done) struct df_http_response response = { 0 }, thanks = { 0 };
	struct df_http_header headers[HEADERS_MAX];
	struct df_arena *arena = &q->spool->arena;
	size_t count = segment_headers(segment, arena, headers);
	struct df_str url = text_of(segment, "uri", arena);
	struct df_str ack = text_of(segment, "ackUri", arena);

	if (!url.ptr)
		return bad(err, "has no address");
	url = df_arena_dup(arena, url);
	if (!url.ptr)
		return df_error_no_memory(err);
	int code = df_trino_fetch(q->client, q->ctx, url.ptr, headers, count, &response, err);
	if (code != 0)
		return df_error_prefix(err, "a segment of the result");
	*bytes = response.body;
	response.body = (struct df_buf){ 0 };
	ack = ack.ptr ? df_arena_dup(arena, ack) : ack;
	if (ack.ptr) /* what is not acknowledged goes when it has expired */
		(void)!df_trino_fetch(q->client, q->ctx, ack.ptr, headers, count, &thanks, NULL);
	return 0;
}

int df_trino_spool_next(struct df_trino_query *q, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf bytes = { 0 };
	const struct df_value *segment = q->spool->next;
	int code = 0;

	struct df_str type = text_of(segment, "type", &q->spool->arena);
	df_trino_drop_page(q);
	if (df_str_equal_c(type, "inline")) {
		if (!df_buf_add_base64_decoded(&bytes, text_of(segment, "data", &q->spool->arena)))
			code = bytes.failed ? df_error_no_memory(err) : bad(err, "is not base64");
	} else {
		code = fetch_segment(q, segment, &bytes, err);
	}
	if (code == 0)
		code = take_segment(q, segment, &bytes, err);
	q->spool->next = segment->next;
	if (code == 0 && !q->spool->next)
		df_trino_spool_close(q);
	return code;
}
