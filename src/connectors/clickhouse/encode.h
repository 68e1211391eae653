/*
 * Rows to a block: a stream of bytes per column (and per part of one: the map of NULLs, the offsets of arrays), in the
 * order in which the Native format has them. A row is appended to all streams or to none. Memory is kept from block to
 * block, so that nothing is allocated per row.
 */
#ifndef DF_CONNECTORS_CLICKHOUSE_ENCODE_H
#define DF_CONNECTORS_CLICKHOUSE_ENCODE_H

#include "connectors/clickhouse/city.h"
#include "connectors/clickhouse/types.h"
#include "value/value.h"

struct df_ch_stream {
	uint8_t *data;
	size_t len, cap;
	size_t mark; /* len before the row that is being appended */
};

/* One distinct value of a LowCardinality column: where it stands in the dictionary's stream. */
struct df_ch_entry {
	size_t start, len;
	uint64_t hash;
};

struct df_ch_dictionary {
	struct df_ch_entry *entries;
	size_t count, cap;
	uint32_t *buckets; /* entry + 1; 0: free */
	size_t bucket_count;
};

/* Values of one type on their way. */
struct df_ch_out {
	const struct df_ch_type *type;
	struct df_ch_stream stream; /* as df_ch_column.data; strings with their lengths; ARRAY, MAP: the offsets;
				       LOW_CARDINALITY: uint32_t indices */
	struct df_ch_out *children;
	size_t child_count;
	struct df_ch_dictionary *dictionary; /* LOW_CARDINALITY */
};

struct df_ch_encoder;

/* type and name are borrowed. */
struct df_ch_target_column {
	const char *name;
	const struct df_ch_type *type;
};

/* DF_ERR_CONFIG: a column of a type that cannot be written, by name. DF_ERR_NO_MEMORY. */
int df_ch_encoder_new(const struct df_ch_target_column *columns, size_t count, struct df_ch_encoder **ret,
		      struct df_error *err) df_must_check;
void df_ch_encoder_free(struct df_ch_encoder *encoder);

/* Appends a row: one value a column. DF_ERR_INVALID_DATA naming the column; the block is then as before. arena: for
 * texts that must be decoded. */
int df_ch_encoder_add(struct df_ch_encoder *encoder, struct df_value *const *values, struct df_arena *arena,
		      struct df_error *err) df_must_check;

size_t df_ch_encoder_rows(const struct df_ch_encoder *encoder);
size_t df_ch_encoder_bytes(const struct df_ch_encoder *encoder);
void df_ch_encoder_reset(struct df_ch_encoder *encoder);

/* Takes the bytes of a block, piece by piece. */
struct df_ch_sink {
	int (*put)(void *arg, struct df_str bytes, struct df_error *err);
	void *arg;
};

/* The block in the form of a protocol revision (0: HTTP). */
int df_ch_encoder_write(struct df_ch_encoder *encoder, uint64_t revision, const struct df_ch_sink *to,
			struct df_error *err) df_must_check;
/* A hash of the rows: the same for the same rows. */
struct df_ch_hash df_ch_encoder_hash(const struct df_ch_encoder *encoder);

/* The block without rows or columns that ends an INSERT of the native protocol. */
void df_ch_empty_block(uint64_t revision, struct df_buf *to);

/* ---- convert.c: one value -------------------------------------------------------------------------------- */

/* Appends a value to the streams of a type. On an error the streams hold a part of it: the caller cuts them. */
int df_ch_put(struct df_ch_out *out, struct df_value *v, struct df_arena *arena, struct df_error *err) df_must_check;
/* Appends what stands for "no value" (behind a NULL). */
int df_ch_put_default(struct df_ch_out *out, struct df_error *err) df_must_check;

/* Room for n more bytes, which the caller fills and counts; NULL: out of memory. */
uint8_t *df_ch_stream_grow(struct df_ch_stream *s, size_t n);
static inline uint8_t *df_ch_stream_room(struct df_ch_stream *s, size_t n)
{
	return n <= s->cap - s->len ? s->data + s->len : df_ch_stream_grow(s, n);
}

/* What the streams of a type hold now, in the arena (NULL: out of memory), and back to it. */
size_t *df_ch_out_save(const struct df_ch_out *out, struct df_arena *arena);
void df_ch_out_restore(struct df_ch_out *out, const size_t *saved);

/* Makes the value that was appended to the dictionary's stream from `start` on an entry, or finds the equal one. */
int df_ch_dictionary_add(struct df_ch_out *out, size_t start, uint32_t *ret, struct df_error *err) df_must_check;

#endif
