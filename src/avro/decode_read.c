#include "avro/decode_read_internal.h"

bool df_avro_read_varint(struct df_avro_in *in, uint64_t *ret)
{
	uint64_t bits = 0;

	for (unsigned shift = 0; shift < 70 && in->p < in->end; shift += 7) {
		uint8_t byte = *in->p++;

		if (shift == 63 && byte > 1)
			return false;
		bits |= (uint64_t)(byte & 0x7F) << shift;
		if (byte < 0x80) {
			*ret = bits;
			return true;
		}
	}
	return false;
}

static int read_bits(struct df_avro_in *in, size_t size, uint64_t *ret)
{
	struct df_str bytes;
	int code = read_fixed(in, size, &bytes);

	*ret = 0;
	for (size_t i = size; code == 0 && i-- > 0;)
		*ret = *ret << 8 | (uint8_t)bytes.ptr[i];
	return code;
}

int df_avro_read_real(struct df_avro_in *in, const struct df_avro_op *op, double *ret)
{
	uint64_t bits;
	int64_t number = 0;
	int code;

	if (op->code == OP_LONG_AS_FLOAT) {
		code = read_long(in, &number);
		*ret = op->logical == DF_LOGICAL_FLOAT32 ? (double)(float)number : (double)number;
	} else if (op->code == OP_FLOAT) {
		uint32_t half;
		float real;

		code = read_bits(in, 4, &bits);
		half = (uint32_t)bits;
		memcpy(&real, &half, sizeof(real));
		*ret = (double)real;
	} else {
		code = read_bits(in, 8, &bits);
		memcpy(ret, &bits, sizeof(*ret));
	}
	return code;
}

int df_avro_read_block(struct df_avro_in *in, const struct df_avro_op *element, size_t least, int64_t *ret,
		       int64_t *ret_bytes)
{
	int code = read_long(in, ret);

	*ret_bytes = -1;
	if (code == 0 && *ret < 0) {
		if (*ret == INT64_MIN)
			return df_avro_invalid(in, "a block's count is out of range");
		*ret = -*ret;
		code = read_long(in, ret_bytes);
		if (code == 0 && (*ret_bytes < 0 || *ret_bytes > in->end - in->p))
			return df_avro_invalid(in, "a block is larger than what is left");
	}
	least += element->min_bytes;
	if (code == 0 && *ret > 0 && least > 0 && *ret > (in->end - in->p) / (int64_t)least)
		return df_avro_invalid(in, "a block has more items than what is left can hold");
	return code;
}

/* ---- reading over ---------------------------------------------------------------------------------------- */

static int skip_items(struct df_avro_in *in, const struct df_avro_op *op)
{
	bool map = op->code == OP_MAP;
	struct df_str text;
	int64_t n, bytes;
	int code = df_avro_enter(in, 1);

	while (code == 0 && (code = df_avro_read_block(in, op->element, map, &n, &bytes)) == 0 && n > 0) {
		if (bytes >= 0) {
			in->p += bytes;
			continue;
		}
		code = df_avro_enter(in, (uint64_t)n);
		in->depth--;
		for (int64_t i = 0; i < n && code == 0; i++) {
			code = map ? read_bytes(in, &text) : 0;
			if (code == 0)
				code = df_avro_skip(in, op->element);
		}
	}
	in->depth--;
	return code;
}

int df_avro_skip(struct df_avro_in *in, const struct df_avro_op *op)
{
	struct df_avro_op *branch;
	struct df_str text;
	int64_t number;
	double real;
	int code = 0;

	switch (op->code) {
	case OP_NULL:
		return 0;
	case OP_BOOLEAN:
		return read_fixed(in, 1, &text);
	case OP_FLOAT:
	case OP_DOUBLE:
		return df_avro_read_real(in, op, &real);
	case OP_BYTES:
	case OP_STRING:
	case OP_DECIMAL:
	case OP_UUID:
		return read_bytes(in, &text);
	case OP_FIXED:
	case OP_DECIMAL_FIXED:
	case OP_UUID_FIXED:
	case OP_DURATION:
		return read_fixed(in, op->size, &text);
	case OP_ARRAY:
	case OP_MAP:
		return skip_items(in, op);
	case OP_RECORD:
		code = df_avro_enter(in, 1);
		for (uint32_t i = 0; i < op->count && code == 0; i++)
			code = df_avro_skip(in, op->record.steps[i].op);
		in->depth--;
		return code;
	case OP_UNION:
		code = read_branch(in, op, &branch);
		return code < 0 ? code : df_avro_skip(in, branch);
	case OP_WRAP:
		return df_avro_skip(in, op->wrap.inner);
	case OP_ERROR:
		return df_error_set(in->err, DF_ERR_INVALID_DATA, DF_STR_FMT, DF_STR_ARG(op->why));
	default:
		return read_long(in, &number);
	}
}
