/*
 * Blocks as they are read: columns of values, and a row of them as a document.
 *
 * The layout is ClickHouse's Native format (NativeReader.cpp and the Serialization* classes): a count of columns and of
 * rows; of each column its name, its type, and all its values. Memory is kept from block to block.
 */
#ifndef DF_CONNECTORS_CLICKHOUSE_BLOCK_H
#define DF_CONNECTORS_CLICKHOUSE_BLOCK_H

#include "connectors/clickhouse/input.h"
#include "connectors/clickhouse/types.h"
#include "value/value.h"

/* Revisions of the protocol that change a block. */
#define DF_CH_REVISION_BLOCK_INFO 51903
#define DF_CH_REVISION_CUSTOM_SERIALIZATION 54454

#define DF_CH_BLOCK_ROWS_MAX ((uint64_t)UINT32_MAX)
#define DF_CH_BLOCK_COLUMNS_MAX 100000

/* Values of one type. Children follow the type's. */
struct df_ch_column {
	const struct df_ch_type *type;
	size_t rows;
	struct df_buf data; /* fixed size: the values; STRING: all bytes; NULLABLE: 1 where null; LOW_CARDINALITY:
			       indices; VARIANT: discriminators */
	struct df_buf ends; /* uint64_t a row. STRING: where the bytes end; ARRAY, MAP: where the elements end; VARIANT:
			       the row within the child */
	unsigned width;	    /* LOW_CARDINALITY: bytes of an index */
	struct df_ch_column *children;
	size_t child_count;
};

struct df_ch_field {
	struct df_buf name, type_name;
	struct df_arena arena; /* of the type */
	struct df_ch_type *type;
	struct df_ch_column column;
	bool text_json; /* set by the reader: a String that is JSON text (what was asked for as text) */
};

/* Zero-initialised is valid and empty. */
struct df_ch_block {
	struct df_ch_field *fields;
	size_t count, cap;
	size_t rows;
	bool changed; /* the last read found other names or types than the one before */
};

/* Reads one block. revision 0: the Native format of HTTP. DF_ERR_CONNECTION: these bytes are no block; DF_ERR_CONFIG: a
 * type that cannot be read; what `in` returns; DF_ERR_NO_MEMORY. */
int df_ch_block_read(struct df_ch_block *block, struct df_ch_input *in, uint64_t revision,
		     struct df_error *err) df_must_check;
void df_ch_block_done(struct df_ch_block *block);

/* The field of that name, or SIZE_MAX. */
size_t df_ch_block_find(const struct df_ch_block *block, struct df_str name);

static inline struct df_str df_ch_field_name(const struct df_ch_field *field)
{
	return df_buf_str(&field->name);
}

/*
 * One value, with everything it points to in the arena. *not_utf8 becomes true for a text that had to become bytes.
 * DF_ERR_INVALID_DATA: a map with equal keys; DF_ERR_NO_MEMORY.
 */
int df_ch_value(const struct df_ch_column *column, size_t row, struct df_arena *arena, struct df_value **ret,
		bool *not_utf8, struct df_error *err) df_must_check;

/* The bytes of a value of fixed size. */
static inline const uint8_t *df_ch_fixed(const struct df_ch_column *column, size_t row)
{
	return (const uint8_t *)column->data.data + row * column->type->size;
}

static inline uint64_t df_ch_end(const struct df_ch_column *column, size_t row)
{
	return ((const uint64_t *)(const void *)column->ends.data)[row];
}

/* A value of a STRING column. */
static inline struct df_str df_ch_string(const struct df_ch_column *column, size_t row)
{
	uint64_t start = row ? df_ch_end(column, row - 1) : 0;
	return df_str(column->data.data + start, (size_t)(df_ch_end(column, row) - start));
}

/* Follows Nullable and LowCardinality to the column and row that hold the value; false: it is NULL. */
bool df_ch_resolve(const struct df_ch_column **column, size_t *row);

#endif
