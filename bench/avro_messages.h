/* What the two Avro benchmarks share: the schema, and a file of messages, each with its length (4 bytes, little-endian)
 * before it. */
#ifndef DF_BENCH_AVRO_MESSAGES_H
#define DF_BENCH_AVRO_MESSAGES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static const char bench_schema[] =
	"{\"type\":\"record\",\"name\":\"shop.Order\",\"fields\":["
	"{\"name\":\"orderId\",\"type\":\"long\"},"
	"{\"name\":\"customerName\",\"type\":\"string\"},"
	"{\"name\":\"customerEmail\",\"type\":\"string\"},"
	"{\"name\":\"totalAmount\",\"type\":\"double\"},"
	"{\"name\":\"currency\",\"type\":\"string\"},"
	"{\"name\":\"status\",\"type\":{\"type\":\"enum\",\"name\":\"Status\",\"symbols\":[\"active\",\"closed\"]}},"
	"{\"name\":\"itemCount\",\"type\":\"int\"},"
	"{\"name\":\"isExpress\",\"type\":\"boolean\"},"
	"{\"name\":\"createdAt\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},"
	"{\"name\":\"note\",\"type\":[\"null\",\"string\"]}]}";

/* The next message of a file that is in memory; its length, or -1 at the end. */
static inline long bench_next(const uint8_t **at, const uint8_t *end, const uint8_t **ret)
{
	const uint8_t *p = *at;
	long len;

	if (end - p < 4)
		return -1;
	len = (long)((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
	*ret = p + 4;
	*at = p + 4 + len;
	return len;
}

static inline uint8_t *bench_read(const char *path, size_t *ret_len)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(1 << 24);

	if (!f || !data) {
		perror(path);
		exit(1);
	}
	*ret_len = fread(data, 1, 1 << 24, f);
	fclose(f);
	return data;
}

#endif
