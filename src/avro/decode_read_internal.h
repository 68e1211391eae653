/*
 * Reading Avro binary: what every message goes through many times stands here, inlined; the rest is in decode_read.c.
 * All fail with DF_ERR_INVALID_DATA.
 */
#ifndef DF_AVRO_DECODE_READ_INTERNAL_H
#define DF_AVRO_DECODE_READ_INTERNAL_H

#include "avro/decode_internal.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* A number of more than one byte; false: it is cut off or too long. */
bool df_avro_read_varint(struct df_avro_in *in, uint64_t *ret);
/* A float, a double, or an integer that becomes one. */
int df_avro_read_real(struct df_avro_in *in, const struct df_avro_op *op, double *ret);
/* The count of the next block of an array or map, 0 at its end; *ret_bytes its size, when it is told, else -1. least:
 * bytes of an item beside its element. */
int df_avro_read_block(struct df_avro_in *in, const struct df_avro_op *element, size_t least, int64_t *ret,
		       int64_t *ret_bytes);
/* Reads over a value that nobody wants. */
int df_avro_skip(struct df_avro_in *in, const struct df_avro_op *op);

static inline int read_long(struct df_avro_in *in, int64_t *ret)
{
	uint64_t bits;

	if (likely(in->p < in->end && *in->p < 0x80))
		bits = *in->p++;
	else if (!df_avro_read_varint(in, &bits))
		return df_avro_invalid(in, "a number is cut off or longer than 64 bits");
	*ret = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
	return 0;
}

static inline int read_int(struct df_avro_in *in, int64_t *ret)
{
	int code = read_long(in, ret);

	if (unlikely(code < 0))
		return code;
	return likely(*ret == (int32_t)*ret) ? 0 : df_avro_invalid(in, "an int is longer than 32 bits");
}

static inline int read_fixed(struct df_avro_in *in, size_t size, struct df_str *ret)
{
	if (unlikely(size > (size_t)(in->end - in->p)))
		return df_avro_invalid(in, "the value is cut off");
	*ret = df_str((const char *)in->p, size);
	in->p += size;
	return 0;
}

static inline int read_bytes(struct df_avro_in *in, struct df_str *ret)
{
	int64_t len;
	int code = read_long(in, &len);

	if (unlikely(code < 0))
		return code;
	if (unlikely(len < 0 || len > in->end - in->p))
		return df_avro_invalid(in, "a length is larger than what is left");
	return read_fixed(in, (size_t)len, ret);
}

static inline int read_branch(struct df_avro_in *in, const struct df_avro_op *op, struct df_avro_op **ret)
{
	int64_t index;
	int code = read_long(in, &index);

	if (unlikely(code < 0))
		return code;
	if (unlikely(index < 0 || index >= op->count))
		return df_avro_invalid(in, "a union has no such branch");
	*ret = op->branches[index];
	return 0;
}

/* Into a container with so many values. */
static inline int df_avro_enter(struct df_avro_in *in, uint64_t values)
{
	if (unlikely(values > in->values_left))
		return df_avro_invalid(in, "a few bytes stand for too many values");
	in->values_left -= values;
	if (unlikely(++in->depth > DF_VALUE_DEPTH_MAX))
		return df_avro_invalid(in, "values are nested too deep");
	return 0;
}

#endif
