/* What the decode files share. Private to them. */
#ifndef DF_CONNECTORS_POSTGRESQL_DECODE_INTERNAL_H
#define DF_CONNECTORS_POSTGRESQL_DECODE_INTERNAL_H

#include "connectors/postgresql/decode.h"

#define DF_PG_DECODE_ARGS                                                          \
	const struct df_pg_type *type __attribute__((unused)), struct df_str data, \
		struct df_arena *arena __attribute__((unused)), struct df_value *v

static inline int df_pg_set_text(struct df_value *v, enum df_kind kind, enum df_logical logical, enum df_repr repr,
				 struct df_str text)
{
	v->kind = (uint8_t)kind;
	v->logical = (uint8_t)logical;
	v->repr = (uint8_t)repr;
	v->text = text.ptr;
	v->len = (uint32_t)text.len;
	return 0;
}

/* A copy of short ASCII text that needs no escaping. */
static inline int df_pg_set_plain(struct df_value *v, enum df_logical logical, struct df_arena *arena, const char *text,
				  size_t len)
{
	char *copy = df_arena_alloc(arena, len);

	if (!copy)
		return DF_ERR_NO_MEMORY;
	memcpy(copy, text, len);
	return df_pg_set_text(v, DF_STRING, logical, DF_REPR_PLAIN, df_str(copy, len));
}

/* Appends n (at least `width` digits, with leading zeros); returns the end. */
char *df_pg_put_digits(char *out, uint64_t n, int width);

int df_pg_decode_numeric(DF_PG_DECODE_ARGS);
int df_pg_decode_date(DF_PG_DECODE_ARGS);
int df_pg_decode_time(DF_PG_DECODE_ARGS);
int df_pg_decode_timetz(DF_PG_DECODE_ARGS);
int df_pg_decode_timestamp(DF_PG_DECODE_ARGS);
int df_pg_decode_timestamptz(DF_PG_DECODE_ARGS);
int df_pg_decode_interval(DF_PG_DECODE_ARGS);
int df_pg_decode_inet(DF_PG_DECODE_ARGS); /* and cidr */

#endif
