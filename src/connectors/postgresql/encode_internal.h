/* What the encode files share. Private to them. */
#ifndef DF_CONNECTORS_POSTGRESQL_ENCODE_INTERNAL_H
#define DF_CONNECTORS_POSTGRESQL_ENCODE_INTERNAL_H

#include "connectors/postgresql/encode.h"

#define DF_PG_ENCODE_ARGS                                                                            \
	const struct df_pg_field *f, struct df_value *v, struct df_arena *arena, struct df_buf *out, \
		struct df_error *err

/* SQLSTATEs that a value can earn (PostgreSQL manual, appendix A). */
#define DF_PG_TRUNCATION "22001"
#define DF_PG_RANGE "22003"
#define DF_PG_BAD_TIME "22007"
#define DF_PG_TIME_RANGE "22008"
#define DF_PG_BAD_INTERVAL "22015"
#define DF_PG_BAD_CHARACTER "22021"
#define DF_PG_BAD_TEXT "22P02"
#define DF_PG_BAD_UNICODE "22P05"
#define DF_PG_BAD_ARRAY "2202E"

/* DF_ERR_INVALID_DATA with the SQLSTATE as its remote code. */
int df_pg_refuse(struct df_error *err, const char *state, const char *fmt, ...) df_printf(3, 4);
/* "<a string> does not fit <a column of dates>". */
int df_pg_refuse_kind(struct df_error *err, const struct df_value *v, const char *wanted);

/* The content of a string that is no raw bytes; ptr NULL: something else, or no memory. */
struct df_str df_pg_string(const struct df_value *v, struct df_arena *arena);

int df_pg_encode_numeric(DF_PG_ENCODE_ARGS);
int df_pg_encode_date(DF_PG_ENCODE_ARGS);
int df_pg_encode_time(DF_PG_ENCODE_ARGS);
int df_pg_encode_timetz(DF_PG_ENCODE_ARGS);
int df_pg_encode_timestamp(DF_PG_ENCODE_ARGS); /* with and without zone */
int df_pg_encode_interval(DF_PG_ENCODE_ARGS);
int df_pg_encode_array(DF_PG_ENCODE_ARGS);

#endif
