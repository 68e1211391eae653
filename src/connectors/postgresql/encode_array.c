/* JSON arrays to PostgreSQL arrays (array_recv): rectangular, NULLs allowed, lower bounds 1. */
#include "connectors/postgresql/encode_internal.h"
#include "table/convert.h"

#define DIMENSIONS_MAX 6 /* MAXDIM */

struct shape {
	uint32_t count;
	uint32_t lengths[DIMENSIONS_MAX];
};

/* The dimensions as the first elements show them. An empty array has none. */
static bool shape_of(const struct df_value *v, struct shape *ret)
{
	for (ret->count = 0; v && v->kind == DF_ARRAY; v = v->first) {
		if (ret->count == DIMENSIONS_MAX)
			return false;
		if (v->len == 0) {
			ret->count = 0;
			return true;
		}
		ret->lengths[ret->count++] = v->len;
	}
	return true;
}

static int add_elements(const struct df_pg_field *element, struct df_value *v, const struct shape *shape,
			uint32_t dimension, struct df_arena *arena, struct df_buf *out, bool *nulls,
			struct df_error *err)
{
	bool json = df_str_starts(df_str_c(element->encoder->receive), DF_STR("json"));

	if (dimension == shape->count) {
		if (v->kind == DF_ARRAY && !json)
			return df_pg_refuse(err, DF_PG_BAD_ARRAY, "the arrays inside do not all have the same length");
		*nulls |= df_pg_is_null(element, v);
		return df_pg_encode(element, v, arena, out, err);
	}
	if (v->kind != DF_ARRAY || v->len != shape->lengths[dimension])
		return df_pg_refuse(err, DF_PG_BAD_ARRAY, "the arrays inside do not all have the same length");
	df_for_each (child, v) {
		int code = add_elements(element, child, shape, dimension + 1, arena, out, nulls, err);
		if (code != 0)
			return code;
	}
	return 0;
}

int df_pg_encode_array(DF_PG_ENCODE_ARGS)
{
	struct df_pg_field element = { .encoder = f->element, .modifier = f->modifier };
	struct shape shape = { 0 };
	bool nulls = false;
	size_t start = out->len;

	if (v->kind != DF_ARRAY)
		return df_pg_refuse_kind(err, v, "an array column");
	if (!shape_of(v, &shape))
		return df_pg_refuse(err, DF_PG_BAD_ARRAY, "the array is nested more than %d deep", DIMENSIONS_MAX);
	/* An array of documents is one-dimensional: arrays inside are documents. */
	if (shape.count > 1 && df_str_starts(df_str_c(f->element->receive), DF_STR("json")))
		shape.count = 1;
	df_pg_add32(out, shape.count);
	df_pg_add32(out, 0);
	df_pg_add32(out, f->element_oid);
	for (uint32_t i = 0; i < shape.count; i++) {
		df_pg_add32(out, shape.lengths[i]);
		df_pg_add32(out, 1);
	}
	if (shape.count == 0)
		return 0;
	int code = add_elements(&element, v, &shape, 0, arena, out, &nulls, err);
	if (code == 0 && !out->failed)
		df_pg_put32(out->data + start + 4, nulls);
	return code;
}
