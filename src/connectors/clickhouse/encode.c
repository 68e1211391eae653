#include "connectors/clickhouse/encode.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "connectors/clickhouse/block.h"
#include "connectors/clickhouse/input.h"

struct df_ch_encoder {
	const struct df_ch_target_column *columns;
	struct df_ch_out *outs;
	size_t count;
	struct df_ch_stream **streams; /* of all columns: to mark and cut */
	size_t stream_count, stream_cap;
	size_t rows;
	struct df_buf small; /* names, types, versions on their way out */
};

/* ---- streams --------------------------------------------------------------------------------------------- */

uint8_t *df_ch_stream_grow(struct df_ch_stream *s, size_t n)
{
	size_t cap = s->cap ? s->cap : 1024;

	if (n > SIZE_MAX / 4 - s->len)
		return NULL;
	while (cap < s->len + n)
		cap *= 2;
	uint8_t *data = realloc(s->data, cap);
	if (!data)
		return NULL;
	s->data = data;
	s->cap = cap;
	return data + s->len;
}

static size_t count_streams(const struct df_ch_out *out)
{
	size_t n = 1;

	for (size_t i = 0; i < out->child_count; i++)
		n += count_streams(&out->children[i]);
	return n;
}

static size_t *save_into(const struct df_ch_out *out, size_t *to)
{
	*to++ = out->stream.len;
	for (size_t i = 0; i < out->child_count; i++)
		to = save_into(&out->children[i], to);
	return to;
}

size_t *df_ch_out_save(const struct df_ch_out *out, struct df_arena *arena)
{
	size_t *saved = df_arena_alloc(arena, count_streams(out) * sizeof(*saved));

	if (saved)
		save_into(out, saved);
	return saved;
}

static const size_t *restore_from(struct df_ch_out *out, const size_t *from)
{
	size_t len = *from++;

	out->stream.len = len;
	for (size_t i = 0; i < out->child_count; i++) {
		/* A dictionary keeps what was added: its entries are only not used. */
		if (out->dictionary)
			from += count_streams(&out->children[i]);
		else
			from = restore_from(&out->children[i], from);
	}
	return from;
}

void df_ch_out_restore(struct df_ch_out *out, const size_t *saved)
{
	restore_from(out, saved);
}

/* ---- dictionaries ---------------------------------------------------------------------------------------- */

static void dictionary_free(struct df_ch_dictionary *d)
{
	if (!d)
		return;
	free(d->entries);
	free(d->buckets);
	free(d);
}

static int dictionary_grow(struct df_ch_dictionary *d)
{
	size_t count = d->bucket_count ? d->bucket_count * 2 : 256;
	uint32_t *buckets = calloc(count, sizeof(*buckets));
	struct df_ch_entry *entries = reallocarray(d->entries, count / 2, sizeof(*entries));

	if (entries) {
		d->entries = entries;
		d->cap = count / 2;
	}
	if (!buckets || !entries) {
		free(buckets);
		return DF_ERR_NO_MEMORY;
	}
	for (size_t i = 0; i < d->count; i++) {
		size_t at = d->entries[i].hash & (count - 1);
		while (buckets[at])
			at = (at + 1) & (count - 1);
		buckets[at] = (uint32_t)i + 1;
	}
	free(d->buckets);
	d->buckets = buckets;
	d->bucket_count = count;
	return 0;
}

int df_ch_dictionary_add(struct df_ch_out *out, size_t start, uint32_t *ret, struct df_error *err)
{
	struct df_ch_dictionary *d = out->dictionary;
	struct df_ch_stream *s = &out->children[0].stream;
	size_t len = s->len - start;
	uint64_t hash = df_ch_city128(s->data + start, len).low;

	if (d->count >= d->cap && dictionary_grow(d) != 0)
		return df_error_no_memory(err);
	size_t at = hash & (d->bucket_count - 1);
	for (; d->buckets[at]; at = (at + 1) & (d->bucket_count - 1)) {
		const struct df_ch_entry *e = &d->entries[d->buckets[at] - 1];
		if (e->hash == hash && e->len == len && memcmp(s->data + e->start, s->data + start, len) == 0) {
			s->len = start;
			*ret = d->buckets[at] - 1;
			return 0;
		}
	}
	*ret = (uint32_t)d->count;
	d->entries[d->count++] = (struct df_ch_entry){ start, len, hash };
	d->buckets[at] = *ret + 1;
	return 0;
}

/* Entry 0 of a dictionary of Nullable values is NULL; no value is equal to it. */
static int dictionary_begin(struct df_ch_out *out)
{
	struct df_ch_dictionary *d = out->dictionary;

	d->count = 0;
	if (d->buckets)
		memset(d->buckets, 0, d->bucket_count * sizeof(*d->buckets));
	if (out->type->children[0]->kind != DF_CH_NULLABLE)
		return 0;
	if (!d->cap && dictionary_grow(d) != 0)
		return DF_ERR_NO_MEMORY;
	d->entries[d->count++] = (struct df_ch_entry){ 0 };
	return df_ch_put_default(&out->children[0], NULL);
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static void out_done(struct df_ch_out *out)
{
	for (size_t i = 0; i < out->child_count; i++)
		out_done(&out->children[i]);
	free(out->children);
	free(out->stream.data);
	dictionary_free(out->dictionary);
}

static int add_stream(struct df_ch_encoder *e, struct df_ch_stream *stream)
{
	if (e->stream_count == e->stream_cap) {
		size_t cap = e->stream_cap ? e->stream_cap * 2 : 16;
		struct df_ch_stream **streams = reallocarray(e->streams, cap, sizeof(*streams));
		if (!streams)
			return DF_ERR_NO_MEMORY;
		e->streams = streams;
		e->stream_cap = cap;
	}
	e->streams[e->stream_count++] = stream;
	return 0;
}

static int out_init(struct df_ch_encoder *e, struct df_ch_out *out, const struct df_ch_type *type, bool rows)
{
	bool dictionary = type->kind == DF_CH_LOW_CARDINALITY;

	out->type = type;
	if (rows && add_stream(e, &out->stream) != 0)
		return DF_ERR_NO_MEMORY;
	if (!type->children)
		return 0;
	out->children = calloc(type->count, sizeof(*out->children));
	if (!out->children)
		return DF_ERR_NO_MEMORY;
	if (dictionary) {
		out->dictionary = calloc(1, sizeof(*out->dictionary));
		if (!out->dictionary)
			return DF_ERR_NO_MEMORY;
	}
	for (; out->child_count < type->count; out->child_count++) {
		const struct df_ch_type *inner = type->children[out->child_count];
		if (dictionary)
			inner = df_ch_type_inner(inner, NULL);
		if (out_init(e, &out->children[out->child_count], inner, rows && !dictionary) != 0) {
			out->child_count++;
			return DF_ERR_NO_MEMORY;
		}
	}
	return dictionary ? dictionary_begin(out) : 0;
}

/* The first type within that cannot be written, or NULL. */
static const struct df_ch_type *unwritable(const struct df_ch_type *t)
{
	if (t->kind == DF_CH_OPAQUE || t->kind == DF_CH_NOTHING)
		return t;
	for (size_t i = 0; t->children && i < t->count; i++) {
		const struct df_ch_type *inner = unwritable(t->children[i]);
		if (inner)
			return inner;
	}
	return NULL;
}

int df_ch_encoder_new(const struct df_ch_target_column *columns, size_t count, struct df_ch_encoder **ret,
		      struct df_error *err)
{
	for (size_t i = 0; i < count; i++) {
		const struct df_ch_type *bad = unwritable(columns[i].type);
		if (bad)
			return df_error_set(err, DF_ERR_CONFIG,
					    "column \"%s\" has the type " DF_STR_FMT
					    ", which cannot be written; leave its "
					    "key out with the `remove` transformation",
					    columns[i].name, DF_STR_ARG(bad->name));
	}
	struct df_ch_encoder *e = calloc(1, sizeof(*e));
	if (!e)
		return df_error_no_memory(err);
	e->columns = columns;
	e->outs = calloc(count + 1, sizeof(*e->outs));
	for (; e->outs && e->count < count; e->count++)
		if (out_init(e, &e->outs[e->count], columns[e->count].type, true) != 0) {
			e->count++;
			break;
		}
	if (!e->outs || e->count < count) {
		df_ch_encoder_free(e);
		return df_error_no_memory(err);
	}
	*ret = e;
	return 0;
}

void df_ch_encoder_free(struct df_ch_encoder *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < e->count; i++)
		out_done(&e->outs[i]);
	free(e->outs);
	free(e->streams);
	df_buf_done(&e->small);
	free(e);
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

int df_ch_encoder_add(struct df_ch_encoder *e, struct df_value *const *values, struct df_arena *arena,
		      struct df_error *err)
{
	for (size_t i = 0; i < e->stream_count; i++)
		e->streams[i]->mark = e->streams[i]->len;
	for (size_t i = 0; i < e->count; i++) {
		int code = df_ch_put(&e->outs[i], values[i], arena, err);
		if (code != 0) {
			for (size_t s = 0; s < e->stream_count; s++)
				e->streams[s]->len = e->streams[s]->mark;
			return code == DF_ERR_INVALID_DATA
				       ? df_error_prefix(err, "column \"%s\" " DF_STR_FMT, e->columns[i].name,
							 DF_STR_ARG(e->columns[i].type->name))
				       : code;
		}
	}
	e->rows++;
	return 0;
}

size_t df_ch_encoder_rows(const struct df_ch_encoder *e)
{
	return e->rows;
}

size_t df_ch_encoder_bytes(const struct df_ch_encoder *e)
{
	size_t bytes = 0;

	for (size_t i = 0; i < e->stream_count; i++)
		bytes += e->streams[i]->len;
	return bytes;
}

static void reset_dictionaries(struct df_ch_out *out)
{
	for (size_t i = 0; i < out->child_count; i++) {
		if (out->dictionary)
			out->children[i].stream.len = 0;
		else
			reset_dictionaries(&out->children[i]);
	}
	/* Memory for the one default value is there since the beginning. */
	if (out->dictionary)
		(void)!dictionary_begin(out);
}

void df_ch_encoder_reset(struct df_ch_encoder *e)
{
	for (size_t i = 0; i < e->stream_count; i++)
		e->streams[i]->len = 0;
	for (size_t i = 0; i < e->count; i++)
		reset_dictionaries(&e->outs[i]);
	e->rows = 0;
}

/* ---- writing --------------------------------------------------------------------------------------------- */

static void add_u64(struct df_buf *buf, uint64_t n)
{
	df_buf_add(buf, &n, sizeof(n));
}

/* What stands before the values, once a column: versions. */
static void add_prefix(const struct df_ch_type *t, struct df_buf *to)
{
	if (t->kind == DF_CH_LOW_CARDINALITY || t->kind == DF_CH_JSON)
		add_u64(to, 1); /* keys come with the block; the values are JSON text */
	if (t->kind == DF_CH_LOW_CARDINALITY)
		return;
	if (t->kind == DF_CH_VARIANT)
		add_u64(to, 0);
	for (size_t i = 0; t->children && i < t->count; i++)
		add_prefix(t->children[i], to);
}

static int flush_small(struct df_ch_encoder *e, const struct df_ch_sink *to, struct df_error *err)
{
	int code = e->small.failed ? df_error_no_memory(err) : 0;

	if (code == 0 && e->small.len)
		code = to->put(to->arg, df_buf_str(&e->small), err);
	e->small.len = 0;
	return code;
}

static int put_stream(struct df_ch_encoder *e, const struct df_ch_stream *s, const struct df_ch_sink *to,
		      struct df_error *err)
{
	struct df_str bytes = df_str((const char *)s->data, s->len);

	if (s->len < 4096) {
		df_buf_add_str(&e->small, bytes);
		return 0;
	}
	int code = flush_small(e, to, err);
	return code == 0 ? to->put(to->arg, bytes, err) : code;
}

/* See read_low_cardinality in block.c; 0x400: the dictionary is new. */
static int put_low_cardinality(struct df_ch_encoder *e, const struct df_ch_out *out, const struct df_ch_sink *to,
			       struct df_error *err)
{
	size_t rows = out->stream.len / sizeof(uint32_t);

	if (rows == 0)
		return 0; /* elements of arrays that are all empty */
	add_u64(&e->small, 0x600 | 2);
	add_u64(&e->small, out->dictionary->count);
	int code = put_stream(e, &out->children[0].stream, to, err);
	add_u64(&e->small, rows);
	return code == 0 ? put_stream(e, &out->stream, to, err) : code;
}

static int put_values(struct df_ch_encoder *e, const struct df_ch_out *out, const struct df_ch_sink *to,
		      struct df_error *err)
{
	if (out->type->kind == DF_CH_LOW_CARDINALITY)
		return put_low_cardinality(e, out, to, err);
	int code = put_stream(e, &out->stream, to, err);
	for (size_t i = 0; i < out->child_count && code == 0; i++)
		code = put_values(e, &out->children[i], to, err);
	return code;
}

static void add_info(uint64_t revision, struct df_buf *to)
{
	static const char info[] = { 1, 0, 2, -1, -1, -1, -1, 0 }; /* is_overflows = 0, bucket_num = -1 */

	if (revision >= DF_CH_REVISION_BLOCK_INFO)
		df_buf_add(to, info, sizeof(info));
}

int df_ch_encoder_write(struct df_ch_encoder *e, uint64_t revision, const struct df_ch_sink *to, struct df_error *err)
{
	int code = 0;

	e->small.len = 0;
	add_info(revision, &e->small);
	df_ch_add_varint(&e->small, e->count);
	df_ch_add_varint(&e->small, e->rows);
	for (size_t i = 0; i < e->count && code == 0; i++) {
		df_ch_add_c(&e->small, e->columns[i].name);
		df_ch_add_string(&e->small, e->columns[i].type->name);
		if (revision >= DF_CH_REVISION_CUSTOM_SERIALIZATION)
			df_buf_add_char(&e->small, 0);
		add_prefix(e->columns[i].type, &e->small);
		code = put_values(e, &e->outs[i], to, err);
	}
	return code == 0 ? flush_small(e, to, err) : code;
}

static void hash_streams(const struct df_ch_out *out, struct df_ch_hash *h)
{
	struct df_ch_hash one = df_ch_city128(out->stream.data, out->stream.len);

	h->low = (h->low ^ one.low) * UINT64_C(0x9ddfea08eb382d69);
	h->high = (h->high ^ one.high ^ h->low >> 29) * UINT64_C(0xb492b66fbe98f273);
	for (size_t i = 0; i < out->child_count; i++)
		hash_streams(&out->children[i], h);
}

struct df_ch_hash df_ch_encoder_hash(const struct df_ch_encoder *e)
{
	struct df_ch_hash h = { e->rows + 1, e->count + 1 };

	for (size_t i = 0; i < e->count; i++)
		hash_streams(&e->outs[i], &h);
	return h;
}

void df_ch_empty_block(uint64_t revision, struct df_buf *to)
{
	add_info(revision, to);
	df_buf_add(to, "\0\0", 2);
}
