/* Defaults of fields: JSON to Avro binary ("default" of the specification's "Complex Types"). */
#include <math.h>

#include "avro/binary.h"
#include "avro/plan_internal.h"

#define DEPTH_MAX 200
#define VALUES_MAX 100000U	    /* of one default, with those of the records in it */
#define BYTES_MAX ((size_t)1 << 20) /* likewise */

struct encoder {
	struct df_buf *buf;
	struct df_arena arena;
	unsigned depth, values;
	struct df_error *err;
};

static int encode(struct encoder *e, const struct df_avro_node *node, const struct df_value *v);

static int misfit(struct encoder *e, const struct df_avro_node *node, const struct df_value *v)
{
	return df_error_set(e->err, DF_ERR_CONFIG, "the default is %s, which is no `" DF_STR_FMT "`",
			    df_kind_words((enum df_kind)v->kind), DF_STR_ARG(node->name));
}

/* Bytes in JSON: each code point from 0 to 255 is a byte. */
static int encode_bytes(struct encoder *e, const struct df_avro_node *node, const struct df_value *v)
{
	struct df_str text = v->kind == DF_STRING ? df_value_text(v, &e->arena) : DF_STR("");
	df_cleanup(df_buf_done) struct df_buf bytes = { .max = BYTES_MAX };

	if (v->kind != DF_STRING)
		return misfit(e, node, v);
	if (!text.ptr)
		return df_error_no_memory(e->err);
	while (text.len) {
		uint32_t code_point;
		size_t n = df_utf8_decode(text, &code_point);

		if (n == 0 || code_point > 255)
			return misfit(e, node, v);
		df_buf_add_char(&bytes, (char)code_point);
		text = df_str(text.ptr + n, text.len - n);
	}
	if (node->type == DF_AVRO_FIXED && bytes.len != node->size)
		return misfit(e, node, v);
	if (bytes.failed)
		return df_error_no_memory(e->err);
	if (node->type == DF_AVRO_FIXED)
		df_buf_add_str(e->buf, df_buf_str(&bytes));
	else
		df_avro_put_bytes(e->buf, df_buf_str(&bytes));
	return 0;
}

static int encode_string(struct encoder *e, const struct df_avro_node *node, const struct df_value *v)
{
	struct df_str text;

	if (v->kind != DF_STRING)
		return misfit(e, node, v);
	text = df_value_text(v, &e->arena);
	if (!text.ptr)
		return df_error_no_memory(e->err);
	if (node->type == DF_AVRO_STRING) {
		df_avro_put_bytes(e->buf, text);
		return 0;
	}
	for (size_t i = 0; i < node->count; i++)
		if (df_str_equal(node->symbols[i], text)) {
			df_avro_put_long(e->buf, (int64_t)i);
			return 0;
		}
	return df_error_set(e->err, DF_ERR_CONFIG, "the default is no symbol of `" DF_STR_FMT "`",
			    DF_STR_ARG(node->name));
}

static int encode_number(struct encoder *e, const struct df_avro_node *node, const struct df_value *v)
{
	bool whole = node->type == DF_AVRO_INT || node->type == DF_AVRO_LONG;
	double real = 0;
	int64_t number = 0;

	if (whole ? !df_value_to_int64(v, &number) : !df_value_to_double(v, &real)) {
		/* What Java writes for a default that JSON has no number for. */
		if (whole || v->kind != DF_STRING)
			return misfit(e, node, v);
		if (df_value_string_equal(v, DF_STR("NaN")))
			real = NAN;
		else if (df_value_string_equal(v, DF_STR("Infinity")))
			real = INFINITY;
		else if (df_value_string_equal(v, DF_STR("-Infinity")))
			real = -INFINITY;
		else
			return misfit(e, node, v);
	}
	if (node->type == DF_AVRO_INT && number != (int32_t)number)
		return misfit(e, node, v);
	if (whole)
		df_avro_put_long(e->buf, number);
	else if (node->type == DF_AVRO_FLOAT)
		df_avro_put_float(e->buf, (float)real);
	else
		df_avro_put_double(e->buf, real);
	return 0;
}

static int encode_container(struct encoder *e, const struct df_avro_node *node, const struct df_value *v)
{
	int code = 0;

	if (v->kind != (node->type == DF_AVRO_MAP ? DF_OBJECT : DF_ARRAY))
		return misfit(e, node, v);
	if (v->len)
		df_avro_put_long(e->buf, v->len);
	df_for_each (child, v) {
		if (code == 0 && node->type == DF_AVRO_MAP)
			df_avro_put_bytes(e->buf, df_value_key(child));
		if (code == 0)
			code = encode(e, node->element, child);
	}
	df_avro_put_long(e->buf, 0);
	return code;
}

static int encode_record(struct encoder *e, const struct df_avro_node *node, const struct df_value *v)
{
	int code = 0;

	if (v->kind != DF_OBJECT)
		return misfit(e, node, v);
	for (size_t i = 0; i < node->count && code == 0; i++) {
		const struct df_avro_field *field = &node->fields[i];
		const struct df_value *member = df_object_get(v, field->name);

		if (!member)
			member = field->def;
		code = member ? encode(e, field->node, member)
			      : df_error_set(e->err, DF_ERR_CONFIG,
					     "the default of `" DF_STR_FMT "` has no field `" DF_STR_FMT "`",
					     DF_STR_ARG(node->name), DF_STR_ARG(field->name));
	}
	return code;
}

/* Could that JSON be of this type? By kind alone, so that choosing a branch needs no going back. */
static bool may_be(const struct df_avro_node *node, const struct df_value *v)
{
	switch (v->kind) {
	case DF_NULL:
		return node->type == DF_AVRO_NULL;
	case DF_FALSE:
	case DF_TRUE:
		return node->type == DF_AVRO_BOOLEAN;
	case DF_NUMBER:
		return node->type >= DF_AVRO_INT && node->type <= DF_AVRO_DOUBLE;
	case DF_STRING:
		return node->type == DF_AVRO_STRING || node->type == DF_AVRO_BYTES || node->type == DF_AVRO_ENUM ||
		       node->type == DF_AVRO_FIXED;
	case DF_ARRAY:
		return node->type == DF_AVRO_ARRAY;
	default:
		return df_avro_is_object(node);
	}
}

/* The first branch, says the older specification; any, says the newer. */
static int encode_union(struct encoder *e, const struct df_avro_node *node, const struct df_value *v)
{
	for (size_t i = 0; i < node->count; i++)
		if (may_be(node->branches[i], v)) {
			df_avro_put_long(e->buf, (int64_t)i);
			return encode(e, node->branches[i], v);
		}
	return misfit(e, node, v);
}

static int encode(struct encoder *e, const struct df_avro_node *node, const struct df_value *v)
{
	int code;

	if (++e->depth > DEPTH_MAX || ++e->values > VALUES_MAX)
		return df_error_set(e->err, DF_ERR_CONFIG, "the default is too large or nests too deep");
	switch (node->type) {
	case DF_AVRO_NULL:
		code = v->kind == DF_NULL ? 0 : misfit(e, node, v);
		break;
	case DF_AVRO_BOOLEAN:
		code = v->kind == DF_TRUE || v->kind == DF_FALSE ? 0 : misfit(e, node, v);
		df_buf_add_char(e->buf, v->kind == DF_TRUE);
		break;
	case DF_AVRO_BYTES:
	case DF_AVRO_FIXED:
		code = encode_bytes(e, node, v);
		break;
	case DF_AVRO_STRING:
	case DF_AVRO_ENUM:
		code = encode_string(e, node, v);
		break;
	case DF_AVRO_ARRAY:
	case DF_AVRO_MAP:
		code = encode_container(e, node, v);
		break;
	case DF_AVRO_RECORD:
		code = encode_record(e, node, v);
		break;
	case DF_AVRO_UNION:
		code = encode_union(e, node, v);
		break;
	default:
		code = encode_number(e, node, v);
	}
	e->depth--;
	return code;
}

int df_avro_default_encode(const struct df_avro_node *node, const struct df_value *def, struct df_buf *buf,
			   struct df_error *err)
{
	struct encoder e = { .buf = buf, .err = err };
	int code = encode(&e, node, def);

	df_arena_done(&e.arena);
	if (code == 0 && buf->failed)
		code = df_error_no_memory(err);
	return code;
}
