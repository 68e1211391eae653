#include "connectors/clickhouse/block.h"

#include "base/cleanup.h"

#define PIECE ((size_t)1 << 20)

static int damaged(struct df_error *err, const char *what)
{
	return df_error_set(err, DF_ERR_CONNECTION, "a block of the server is damaged: %s", what);
}

/* ---- columns --------------------------------------------------------------------------------------------- */

static void column_done(struct df_ch_column *c)
{
	for (size_t i = 0; i < c->child_count; i++)
		column_done(&c->children[i]);
	free(c->children);
	df_buf_done(&c->data);
	df_buf_done(&c->ends);
	*c = (struct df_ch_column){ 0 };
}

/* An empty column for a type. */
static int column_init(struct df_ch_column *c, const struct df_ch_type *type, struct df_error *err)
{
	column_done(c);
	c->type = type;
	c->data.max = c->ends.max = SIZE_MAX / 2;
	if (!type->children)
		return 0;
	/* A dictionary holds the values without NULL, which is its entry 0. */
	bool dictionary = type->kind == DF_CH_LOW_CARDINALITY;
	c->children = calloc(type->count, sizeof(*c->children));
	if (!c->children)
		return df_error_no_memory(err);
	for (; c->child_count < type->count; c->child_count++) {
		const struct df_ch_type *inner = type->children[c->child_count];
		if (dictionary)
			inner = df_ch_type_inner(inner, NULL);
		int code = column_init(&c->children[c->child_count], inner, err);
		if (code != 0)
			return code;
	}
	return 0;
}

/* Appends bytes in pieces, so that memory is taken for what is there. */
static int append_pieces(struct df_buf *to, struct df_ch_input *in, uint64_t len, struct df_error *err)
{
	while (len) {
		size_t n = len < PIECE ? (size_t)len : PIECE;
		char *room = df_buf_reserve(to, n);
		if (!room)
			return df_error_no_memory(err);
		int code = df_ch_read(in, room, n, err);
		if (code != 0)
			return code;
		to->len += n;
		len -= n;
	}
	return 0;
}

static inline int append_bytes(struct df_buf *to, struct df_ch_input *in, uint64_t len, struct df_error *err)
{
	if (len - 1 >= (uint64_t)(in->end - in->pos) || len > to->cap - to->len)
		return append_pieces(to, in, len, err); /* also nothing at all */
	memcpy(to->data + to->len, in->pos, (size_t)len);
	to->len += (size_t)len;
	in->pos += len;
	return 0;
}

static int read_fixed(struct df_ch_column *c, struct df_ch_input *in, size_t size, uint64_t rows, struct df_error *err)
{
	c->data.len = 0;
	return append_bytes(&c->data, in, rows * size, err);
}

/* One more end of a row; the caller has made room. */
static inline void add_end(struct df_ch_column *c, uint64_t end)
{
	memcpy(c->ends.data + c->ends.len, &end, sizeof(end));
	c->ends.len += sizeof(end);
}

static int read_strings(struct df_ch_column *c, struct df_ch_input *in, uint64_t rows, struct df_error *err)
{
	const uint64_t step = 65536;

	c->data.len = c->ends.len = 0;
	if (!df_buf_reserve(&c->data, 1)) /* a place for empty strings to point to */
		return df_error_no_memory(err);
	for (uint64_t row = 0; row < rows; row++) {
		uint64_t len;
		if (row % step == 0 && !df_buf_reserve(&c->ends, (size_t)(rows - row < step ? rows - row : step) * 8))
			return df_error_no_memory(err);
		int code = df_ch_read_varint(in, &len, err);
		if (code == 0 && len > DF_BUF_MAX_DEFAULT)
			code = damaged(err, "a string of more than 1 GiB");
		if (code == 0)
			code = append_bytes(&c->data, in, len, err);
		if (code != 0)
			return code;
		add_end(c, c->data.len);
	}
	return 0;
}

static int read_values(struct df_ch_column *c, struct df_ch_input *in, uint64_t rows, struct df_error *err);

static int read_children(struct df_ch_column *c, struct df_ch_input *in, uint64_t rows, struct df_error *err)
{
	int code = 0;

	for (size_t i = 0; i < c->child_count && code == 0; i++)
		code = read_values(&c->children[i], in, rows, err);
	return code;
}

/* Offsets of all rows, then the elements of all rows. */
static int read_array(struct df_ch_column *c, struct df_ch_input *in, uint64_t rows, struct df_error *err)
{
	uint64_t last = 0;

	c->ends.len = 0;
	int code = append_bytes(&c->ends, in, rows * sizeof(uint64_t), err);
	for (size_t i = 0; i < rows && code == 0; i++) {
		uint64_t end = df_ch_end(c, i);
		if (end < last || end > DF_CH_BLOCK_ROWS_MAX)
			code = damaged(err, "an array ends before it begins, or is too long");
		last = end;
	}
	return code == 0 ? read_values(&c->children[0], in, last, err) : code;
}

/* Where null, then the values, also of the nulls. */
static int read_nullable(struct df_ch_column *c, struct df_ch_input *in, uint64_t rows, struct df_error *err)
{
	int code = read_fixed(c, in, 1, rows, err);

	return code == 0 ? read_children(c, in, rows, err) : code;
}

/* Tuple() has a byte a row, in order not to have nothing. */
static int read_tuple(struct df_ch_column *c, struct df_ch_input *in, uint64_t rows, struct df_error *err)
{
	return c->child_count ? read_children(c, in, rows, err) : df_ch_skip(in, rows, err);
}

/* Which type each row has (255: NULL), then the rows of each type. */
static int read_variant(struct df_ch_column *c, struct df_ch_input *in, uint64_t rows, struct df_error *err)
{
	uint64_t counts[256] = { 0 };
	int code = read_fixed(c, in, 1, rows, err);

	c->ends.len = 0;
	if (code == 0 && !df_buf_reserve(&c->ends, (size_t)(rows + 1) * sizeof(uint64_t)))
		return df_error_no_memory(err);
	for (size_t i = 0; i < rows && code == 0; i++) {
		uint8_t which = (uint8_t)c->data.data[i];
		if (which != 255 && which >= c->child_count)
			code = damaged(err, "a variant has a type that it does not declare");
		add_end(c, counts[which]++);
	}
	for (size_t i = 0; i < c->child_count && code == 0; i++)
		code = read_values(&c->children[i], in, counts[i], err);
	return code;
}

static int read_u64(struct df_ch_input *in, uint64_t *ret, struct df_error *err)
{
	return df_ch_read(in, ret, sizeof(*ret), err);
}

/* SerializationLowCardinality: flags (the low byte is log2 of the index size; 0x100 another dictionary is needed, 0x200
 * keys follow), the keys, the indices. */
static int read_low_cardinality(struct df_ch_column *c, struct df_ch_input *in, uint64_t rows, struct df_error *err)
{
	uint64_t flags = 0, keys = 0, indices = 0;

	c->data.len = 0;
	if (rows == 0)
		return 0;
	int code = read_u64(in, &flags, err);
	if (code == 0)
		code = read_u64(in, &keys, err);
	if (code != 0)
		return code;
	if ((flags & 0xff) > 3 || flags & 0x100 || !(flags & 0x200) || keys > DF_CH_BLOCK_ROWS_MAX)
		return damaged(err, "a LowCardinality column has a dictionary elsewhere");
	c->width = 1U << (flags & 0xff);
	code = read_values(&c->children[0], in, keys, err);
	if (code == 0)
		code = read_u64(in, &indices, err);
	if (code == 0 && indices != rows)
		code = damaged(err, "a LowCardinality column has another number of rows");
	if (code == 0)
		code = append_bytes(&c->data, in, rows * c->width, err);
	for (size_t i = 0; i < rows && code == 0; i++) {
		uint64_t index = 0;
		memcpy(&index, c->data.data + i * c->width, c->width);
		if (index >= keys)
			code = damaged(err, "a LowCardinality column points outside its dictionary");
	}
	return code;
}

static int unreadable(const struct df_ch_type *type, struct df_error *err)
{
	return df_error_set(err, DF_ERR_CONFIG,
			    "values of type " DF_STR_FMT
			    " cannot be read; convert them in a query (finalizeAggregation, "
			    "toString)",
			    DF_STR_ARG(type->name));
}

static int read_values(struct df_ch_column *c, struct df_ch_input *in, uint64_t rows, struct df_error *err)
{
	c->rows = (size_t)rows;
	switch (c->type->kind) {
	case DF_CH_STRING:
		return read_strings(c, in, rows, err);
	case DF_CH_ARRAY:
	case DF_CH_MAP:
		return read_array(c, in, rows, err);
	case DF_CH_TUPLE:
		return read_tuple(c, in, rows, err);
	case DF_CH_NULLABLE:
		return read_nullable(c, in, rows, err);
	case DF_CH_LOW_CARDINALITY:
		return read_low_cardinality(c, in, rows, err);
	case DF_CH_VARIANT:
		return read_variant(c, in, rows, err);
	case DF_CH_JSON:
	case DF_CH_OPAQUE:
		return unreadable(c->type, err);
	default:
		return read_fixed(c, in, c->type->size, rows, err);
	}
}

/* What stands before the values of a column, once: versions. */
static int read_prefix(const struct df_ch_type *type, struct df_ch_input *in, struct df_error *err)
{
	uint64_t version = 0;
	int code = 0;

	if (type->kind == DF_CH_LOW_CARDINALITY || type->kind == DF_CH_VARIANT) {
		code = read_u64(in, &version, err);
		if (code == 0 && version != (type->kind == DF_CH_LOW_CARDINALITY))
			code = damaged(err, "a column has a version that is not known");
	}
	if (type->kind == DF_CH_LOW_CARDINALITY)
		return code;
	for (size_t i = 0; type->children && i < type->count && code == 0; i++)
		code = read_prefix(type->children[i], in, err);
	return code;
}

/* ---- blocks ---------------------------------------------------------------------------------------------- */

static int read_info(struct df_ch_input *in, struct df_error *err)
{
	uint64_t field;

	for (;;) {
		int code = df_ch_read_varint(in, &field, err);
		if (code != 0 || field == 0)
			return code;
		if (field > 2)
			return damaged(err, "it begins with something unknown");
		code = df_ch_skip(in, field == 1 ? 1 : 4, err); /* is_overflows; bucket_num */
		if (code != 0)
			return code;
	}
}

static int set_type(struct df_ch_field *f, struct df_error *err)
{
	column_done(&f->column);
	df_arena_reset(&f->arena);
	int code = df_ch_type_parse(df_buf_str(&f->type_name), &f->arena, &f->type, err);
	if (code == 0)
		code = column_init(&f->column, f->type, err);
	if (code != 0) {
		/* A half-made column is never looked at: the text does not match any more. */
		f->type_name.len = 0;
	}
	return code;
}

/* Reads a text into `to`; *changed becomes true when it is another than before. */
static int read_text(struct df_ch_input *in, struct df_buf *to, struct df_buf *scratch, bool *changed,
		     struct df_error *err)
{
	int code = df_ch_read_string(in, scratch, err);

	if (code != 0 || df_str_equal(df_buf_str(to), df_buf_str(scratch)))
		return code;
	*changed = true;
	to->len = 0;
	df_buf_add_str(to, df_buf_str(scratch));
	return to->failed ? df_error_no_memory(err) : 0;
}

static int read_field(struct df_ch_field *f, struct df_ch_input *in, uint64_t rows, uint64_t revision, bool *changed,
		      struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf scratch = { 0 };
	bool other_type = f->type == NULL;
	uint8_t custom = 0;
	int code = read_text(in, &f->name, &scratch, changed, err);

	if (code == 0)
		code = read_text(in, &f->type_name, &scratch, &other_type, err);
	if (code == 0 && other_type)
		code = set_type(f, err);
	*changed |= other_type;
	if (code == 0 && revision >= DF_CH_REVISION_CUSTOM_SERIALIZATION)
		code = df_ch_read_byte(in, &custom, err);
	if (code == 0 && custom)
		code = damaged(err, "a column comes in a form that was not agreed on");
	if (code != 0 || rows == 0) {
		f->column.rows = 0;
		return code;
	}
	code = read_prefix(f->type, in, err);
	return code == 0 ? read_values(&f->column, in, rows, err) : code;
}

static int reserve_fields(struct df_ch_block *b, size_t count, struct df_error *err)
{
	if (count <= b->cap)
		return 0;
	size_t cap = count < 2 * b->cap ? 2 * b->cap : count;
	struct df_ch_field *fields = reallocarray(b->fields, cap, sizeof(*fields));
	if (!fields)
		return df_error_no_memory(err);
	memset(fields + b->cap, 0, (cap - b->cap) * sizeof(*fields));
	b->fields = fields;
	b->cap = cap;
	return 0;
}

int df_ch_block_read(struct df_ch_block *b, struct df_ch_input *in, uint64_t revision, struct df_error *err)
{
	uint64_t columns = 0, rows = 0;
	int code = revision >= DF_CH_REVISION_BLOCK_INFO ? read_info(in, err) : 0;

	if (code == 0)
		code = df_ch_read_varint(in, &columns, err);
	if (code == 0)
		code = df_ch_read_varint(in, &rows, err);
	if (code == 0 && (columns > DF_CH_BLOCK_COLUMNS_MAX || rows > DF_CH_BLOCK_ROWS_MAX))
		code = damaged(err, "it has too many rows or columns");
	b->changed = b->count != columns;
	b->rows = 0;
	for (size_t i = 0; i < columns && code == 0; i++) {
		/* As they come: a damaged count asks for nothing. */
		code = reserve_fields(b, i + 1, err);
		if (code == 0)
			code = read_field(&b->fields[i], in, rows, revision, &b->changed, err);
	}
	b->count = code == 0 ? (size_t)columns : 0;
	b->rows = code == 0 ? (size_t)rows : 0;
	return code;
}

void df_ch_block_done(struct df_ch_block *b)
{
	for (size_t i = 0; i < b->cap; i++) {
		column_done(&b->fields[i].column);
		df_arena_done(&b->fields[i].arena);
		df_buf_done(&b->fields[i].name);
		df_buf_done(&b->fields[i].type_name);
	}
	free(b->fields);
	*b = (struct df_ch_block){ 0 };
}

size_t df_ch_block_find(const struct df_ch_block *b, struct df_str name)
{
	for (size_t i = 0; i < b->count; i++)
		if (df_str_equal(df_ch_field_name(&b->fields[i]), name))
			return i;
	return SIZE_MAX;
}

bool df_ch_resolve(const struct df_ch_column **column, size_t *row)
{
	for (;;) {
		const struct df_ch_column *c = *column;

		if (c->type->kind == DF_CH_NULLABLE) {
			if (c->data.data[*row])
				return false;
			*column = &c->children[0];
		} else if (c->type->kind == DF_CH_LOW_CARDINALITY) {
			size_t index = 0;
			memcpy(&index, c->data.data + *row * c->width, c->width);
			if (index == 0 && c->type->children[0]->kind == DF_CH_NULLABLE)
				return false;
			*column = &c->children[0];
			*row = index;
		} else {
			return true;
		}
	}
}
