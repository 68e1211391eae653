/* Trino's types, compiled from the typeSignature of a result's column. (information_schema prints the names of a row's
 * fields without quotes, which cannot be read back.) */
#ifndef DF_CONNECTORS_TRINO_TYPES_H
#define DF_CONNECTORS_TRINO_TYPES_H

#include "value/value.h"

enum df_trino_kind {
	DF_TRINO_OTHER, /* has no form of its own: its text, or whatever JSON it comes as */
	DF_TRINO_BOOLEAN,
	DF_TRINO_TINYINT,
	DF_TRINO_SMALLINT,
	DF_TRINO_INTEGER,
	DF_TRINO_BIGINT,
	DF_TRINO_REAL,
	DF_TRINO_DOUBLE,
	DF_TRINO_DECIMAL,
	DF_TRINO_VARCHAR,
	DF_TRINO_CHAR,
	DF_TRINO_VARBINARY,
	DF_TRINO_DIGEST, /* HyperLogLog and kin: read as bytes, never written */
	DF_TRINO_JSON,
	DF_TRINO_DATE,
	DF_TRINO_TIME,
	DF_TRINO_TIME_TZ,
	DF_TRINO_TIMESTAMP,
	DF_TRINO_TIMESTAMP_TZ,
	DF_TRINO_INTERVAL_MONTH,  /* year to month */
	DF_TRINO_INTERVAL_SECOND, /* day to second */
	DF_TRINO_UUID,
	DF_TRINO_IPADDRESS,
	DF_TRINO_UNKNOWN, /* the type of NULL */
	DF_TRINO_ARRAY,
	DF_TRINO_MAP,
	DF_TRINO_ROW,
};

#define DF_TRINO_UNBOUNDED INT64_MAX /* length of a varchar without one */

struct df_trino_type {
	enum df_trino_kind kind;
	/* decimal: digits in all, and behind the point. varchar, char: characters in `precision`. time, timestamp:
	 * fraction digits in `precision`. */
	int64_t precision;
	int32_t scale;
	/* array: 1; map: key and value; row: its fields, with their names (empty: none). */
	size_t count;
	struct df_trino_type **parts;
	struct df_str *names;
	struct df_str text; /* as SQL writes it, for CAST */
};

static inline bool df_trino_is_container(const struct df_trino_type *type)
{
	return type->kind == DF_TRINO_ARRAY || type->kind == DF_TRINO_MAP || type->kind == DF_TRINO_ROW;
}

/* All in the arena. DF_ERR_UNKNOWN: not a signature; DF_ERR_NO_MEMORY. */
int df_trino_type_from_signature(const struct df_value *signature, struct df_arena *arena, struct df_trino_type **ret,
				 struct df_error *err) df_must_check;
/* A copy that lives in the arena; NULL when out of memory. */
struct df_trino_type *df_trino_type_copy(const struct df_trino_type *type, struct df_arena *arena) df_must_check;

#endif
