/*
 * Arrays: the number of dimensions, whether there are NULLs, the element's OID, length and lower bound of each
 * dimension, and the elements as fields (array_send of src/backend/utils/adt/arrayfuncs.c).
 */
#include "connectors/postgresql/decode_internal.h"

#define HEADER 12
#define DIMENSION 8
#define DIMENSIONS_MAX 6 /* MAXDIM */
#define FIELD_NULL UINT32_MAX

struct reading {
	const struct df_pg_type *element;
	struct df_arena *arena;
	struct df_str left;
	uint32_t dimensions;
	uint32_t sizes[DIMENSIONS_MAX];
};

static int read_element(struct reading *r, struct df_value *v)
{
	if (r->left.len < 4)
		return DF_ERR_INVALID_DATA;
	uint32_t len = df_pg_get32(r->left.ptr);
	r->left = df_str(r->left.ptr + 4, r->left.len - 4);
	if (len == FIELD_NULL)
		return df_pg_set_text(v, DF_NULL, DF_LOGICAL_NONE, DF_REPR_TEXT, df_str(NULL, 0));
	if (len > r->left.len)
		return DF_ERR_INVALID_DATA;
	struct df_str data = df_str(r->left.ptr, len);
	r->left = df_str(r->left.ptr + len, r->left.len - len);
	return r->element->decoder->decode(r->element, data, r->arena, v);
}

static void make_array(struct df_value *v)
{
	v->kind = DF_ARRAY;
	v->logical = DF_LOGICAL_NONE;
	v->repr = DF_REPR_TEXT;
	v->len = 0;
	v->first = v->last = NULL;
}

/* One dimension and what is below it; the depth is at most DIMENSIONS_MAX. */
static int read_dimension(struct reading *r, uint32_t dimension, struct df_value *v)
{
	bool last = dimension + 1 == r->dimensions;
	int code = 0;

	make_array(v);
	for (uint32_t i = 0; code == 0 && i < r->sizes[dimension]; i++) {
		struct df_value *child = df_value_new(r->arena, DF_NULL);

		if (!child)
			return DF_ERR_NO_MEMORY;
		code = last ? read_element(r, child) : read_dimension(r, dimension + 1, child);
		df_array_append(v, child);
	}
	return code;
}

static int decode_array(DF_PG_DECODE_ARGS)
{
	struct reading r = { .element = type->element, .arena = arena };
	uint64_t elements = 1;

	if (data.len < HEADER)
		return DF_ERR_INVALID_DATA;
	r.dimensions = df_pg_get32(data.ptr);
	uint32_t oid = df_pg_get32(data.ptr + 8);
	r.left = df_str(data.ptr + HEADER, data.len - HEADER);
	if (r.dimensions > DIMENSIONS_MAX || oid != type->element->oid || r.left.len < (size_t)r.dimensions * DIMENSION)
		return DF_ERR_INVALID_DATA;
	for (uint32_t i = 0; i < r.dimensions; i++) {
		r.sizes[i] = df_pg_get32(r.left.ptr);
		r.left = df_str(r.left.ptr + DIMENSION, r.left.len - DIMENSION);
		/* Every element has a length of four bytes, so that sizes that lie are found before they cost much. */
		elements *= r.sizes[i];
		if (r.sizes[i] == 0 || elements > r.left.len / 4)
			return DF_ERR_INVALID_DATA;
	}
	if (r.dimensions == 0) {
		make_array(v);
		return r.left.len ? DF_ERR_INVALID_DATA : 0;
	}
	int code = read_dimension(&r, 0, v);
	return code == 0 && r.left.len ? DF_ERR_INVALID_DATA : code;
}

const struct df_pg_decoder df_pg_decoder_array = { 0, 0, "array_send", DF_LOGICAL_NONE, decode_array };
