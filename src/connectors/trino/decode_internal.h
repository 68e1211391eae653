/* What decode.c and decode_time.c share. */
#ifndef DF_CONNECTORS_TRINO_DECODE_INTERNAL_H
#define DF_CONNECTORS_TRINO_DECODE_INTERNAL_H

#include "connectors/trino/decode.h"

/* What one call works with. */
struct decoding {
	struct df_arena *arena;
	struct df_trino_zones *zones;
	struct df_error *err;
};

typedef int decode_fn(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
		      struct df_value **ret);

/* DF_ERR_INVALID_DATA that names what was sent and the type. */
int df_trino_no_such(const struct df_trino_type *type, const struct df_value *from, const struct decoding *d);
/* The content of a string, still in the page's memory. */
int df_trino_text_of(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
		     struct df_str *ret) df_must_check;
/* A string of that logical type with a copy of the text. */
int df_trino_give_text(struct df_str text, enum df_logical logical, const struct decoding *d,
		       struct df_value **ret) df_must_check;

decode_fn df_trino_decode_date, df_trino_decode_time, df_trino_decode_timestamp, df_trino_decode_instant,
	df_trino_decode_months, df_trino_decode_seconds;

#endif
