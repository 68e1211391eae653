/* What the encoder's files share. */
#ifndef DF_AVRO_ENCODE_INTERNAL_H
#define DF_AVRO_ENCODE_INTERNAL_H

#include "avro/place_internal.h"
#include "avro/schema.h"
#include "base/arena.h"

struct df_avro_out {
	struct df_buf *buf;
	struct df_arena *arena;
	unsigned depth;
	struct df_avro_place place;
	struct df_error *err;
};

/* DF_ERR_INVALID_DATA: "a string does not fit `int`", with a reason behind it that may be "". */
int df_avro_misfit(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v, const char *why);

/* Anything that is no container and no union. */
int df_avro_encode_scalar(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v);

#endif
