/*
 * The binary field of a column as a value: the bytes that the types' `send` functions make (COPY BINARY, binary
 * results), with the texts of the connectors reference, section 1. The counterpart of encode.h.
 *
 * Pure functions; nothing here knows a connection. They trust no length: bytes that no server sends are
 * DF_ERR_INVALID_DATA.
 */
#ifndef DF_CONNECTORS_POSTGRESQL_DECODE_H
#define DF_CONNECTORS_POSTGRESQL_DECODE_H

#include "value/value.h"

/* OIDs of built-in types that are asked for by name (src/include/catalog/pg_type.dat). */
enum {
	DF_PG_OID_BYTEA = 17,
	DF_PG_OID_TEXT = 25,
	DF_PG_OID_DATE = 1082,
	DF_PG_OID_TIMESTAMP = 1114,
	DF_PG_OID_TIMESTAMPTZ = 1184,
	DF_PG_OID_TEXT_ARRAY = 1009,
};

struct df_pg_type;

struct df_pg_decoder {
	uint32_t oid;	  /* of the built-in type; 0: there is none, or many */
	uint32_t array;	  /* of its array type */
	const char *send; /* the type's send function in pg_catalog */
	uint8_t logical;  /* of its values, enum df_logical; what has none of its own differs by value */
	/*
	 * Sets kind, content and logical type of *v; key and sibling stay. Texts point into data, which must outlive
	 * the document, or into the arena. DF_ERR_INVALID_DATA; DF_ERR_NO_MEMORY.
	 */
	int (*decode)(const struct df_pg_type *type, struct df_str data, struct df_arena *arena, struct df_value *v);
};

/* A type of a column. */
struct df_pg_type {
	uint32_t oid;
	const struct df_pg_decoder *decoder; /* NULL: only its text is understood */
	const struct df_pg_type *element;    /* of an array; it may have no decoder, then the array has none */
	char *output, *name;		     /* of a type that was asked of the catalog, quoted: its output
						function, its own name */
};

/* By OID of a built-in type or by send function; NULL: none. */
const struct df_pg_decoder *df_pg_decoder_find(uint32_t oid);
const struct df_pg_decoder *df_pg_decoder_of_array(uint32_t array_oid); /* of the element */
const struct df_pg_decoder *df_pg_decoder_of_send(struct df_str send);
extern const struct df_pg_decoder df_pg_decoder_array; /* needs the type's element */

/* Decodes one field; DF_ERR_INVALID_DATA naming the OID. */
int df_pg_decode(const struct df_pg_type *type, struct df_str data, struct df_arena *arena, struct df_value *v,
		 struct df_error *err) df_must_check;

/* ---- times ----------------------------------------------------------------------------------------------- */

#define DF_PG_TIME_MAX 48
/* Microseconds from 2000-01-01 as RFC 3339 with Z, expanded or infinite where need be; returns the length. out has
 * DF_PG_TIME_MAX bytes. */
size_t df_pg_timestamp_text(int64_t microseconds, char *out);
/* Is the moment within the years 0001..9999, which RFC 3339 can say? */
bool df_pg_timestamp_is_plain(int64_t microseconds);
/* As PostgreSQL writes it, for literals: `0044-03-15 00:00:00 BC`, `infinity`. */
size_t df_pg_timestamp_literal(int64_t microseconds, char *out);
/* Of a date, days from 2000-01-01, as the midnight it begins with; saturated, so that infinity stays it. */
int64_t df_pg_date_to_timestamp(int32_t days);

/* ---- big-endian numbers ---------------------------------------------------------------------------------- */

static inline uint16_t df_pg_get16(const char *at)
{
	uint16_t n;

	memcpy(&n, at, sizeof(n));
	return __builtin_bswap16(n);
}

static inline uint32_t df_pg_get32(const char *at)
{
	uint32_t n;

	memcpy(&n, at, sizeof(n));
	return __builtin_bswap32(n);
}

static inline uint64_t df_pg_get64(const char *at)
{
	uint64_t n;

	memcpy(&n, at, sizeof(n));
	return __builtin_bswap64(n);
}

#endif
