/* Avro's binary encoding of numbers ("Binary Encoding" of the specification), for writers. */
#ifndef DF_AVRO_BINARY_H
#define DF_AVRO_BINARY_H

#include "base/str.h"

/* int and long: zigzag, then 7 bits a byte. */
static inline void df_avro_put_long(struct df_buf *buf, int64_t value)
{
	uint64_t bits = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
	char bytes[10];
	size_t n = 0;

	for (; bits >= 0x80; bits >>= 7)
		bytes[n++] = (char)(bits | 0x80);
	bytes[n++] = (char)bits;
	df_buf_add(buf, bytes, n);
}

/* bytes and string. */
static inline void df_avro_put_bytes(struct df_buf *buf, struct df_str bytes)
{
	df_avro_put_long(buf, (int64_t)bytes.len);
	df_buf_add_str(buf, bytes);
}

/* float and double: IEEE 754, little-endian, whatever this machine is. */
static inline void df_avro_put_bits(struct df_buf *buf, uint64_t bits, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		df_buf_add_char(buf, (char)(bits >> 8 * i));
}

static inline void df_avro_put_float(struct df_buf *buf, float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	df_avro_put_bits(buf, bits, sizeof(bits));
}

static inline void df_avro_put_double(struct df_buf *buf, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	df_avro_put_bits(buf, bits, sizeof(bits));
}

#endif
