/* What the decoder's files share. */
#ifndef DF_AVRO_DECODE_INTERNAL_H
#define DF_AVRO_DECODE_INTERNAL_H

#include "avro/place_internal.h"
#include "avro/plan_internal.h"
#include "value/value.h"

/* One message being read. */
struct df_avro_in {
	const uint8_t *start, *p, *end;
	struct df_arena *arena;
	uint64_t batch;
	uint64_t values_left; /* how many values the message may still have */
	unsigned depth;
	struct df_avro_place place;
	struct df_error *err;
};

/* DF_ERR_INVALID_DATA, in a way that the compiler sees that it is no success. */
static inline int df_avro_invalid(struct df_avro_in *in, const char *why)
{
	df_error_set(in->err, DF_ERR_INVALID_DATA, "%s", why);
	return DF_ERR_INVALID_DATA;
}

/* A text, or bytes when it is not UTF-8. */
int df_avro_out_text(struct df_avro_in *in, struct df_value *out, struct df_str text, enum df_logical logical);

/* A value of a logical type from what stands for it: bytes or a number. */
int df_avro_out_logical(struct df_avro_in *in, const struct df_avro_op *op, struct df_value *out, struct df_str bytes,
			int64_t number);

#endif
