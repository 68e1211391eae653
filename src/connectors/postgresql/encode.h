/*
 * A value as the binary field of a column: the bytes that COPY BINARY and binary parameters share (PostgreSQL manual,
 * "Binary Format" of COPY; the types' `recv` functions). Conversions are strict (connectors reference, section 4):
 * nothing is rounded, guessed or replaced; a time's digits beyond the column's precision are cut.
 *
 * Types are told apart by the name of their receive function, so that a domain, an extension's copy of text, or an enum
 * needs no number of its own. A type without an encoder travels as text and is cast by the server.
 *
 * Pure functions; nothing here knows a connection.
 */
#ifndef DF_CONNECTORS_POSTGRESQL_ENCODE_H
#define DF_CONNECTORS_POSTGRESQL_ENCODE_H

#include "value/value.h"

struct df_pg_field;

/* When are two values of a type equal? */
enum df_pg_equality {
	DF_PG_EQUAL_UNKNOWN, /* ask the server: -0 and 0, texts without case */
	DF_PG_EQUAL_BYTES,
	DF_PG_EQUAL_NUMERIC, /* equal bytes but for the display scale: 1.0 and 1.00 */
};

struct df_pg_encoder {
	const char *receive; /* the type's receive function in pg_catalog */
	enum df_pg_equality equality;
	/* Appends the content, without its length. DF_ERR_INVALID_DATA with err->remote the SQLSTATE that the server
	 * would answer; DF_ERR_NO_MEMORY. */
	int (*encode)(const struct df_pg_field *f, struct df_value *v, struct df_arena *arena, struct df_buf *out,
		      struct df_error *err);
};

/* How values enter a column. */
struct df_pg_field {
	const struct df_pg_encoder *encoder;
	int32_t modifier;		     /* atttypmod: length, precision and scale; -1: none */
	uint32_t element_oid;		     /* arrays: what the header says its elements are */
	const struct df_pg_encoder *element; /* and their encoder */
};

/* By receive function; NULL: travels as text. */
const struct df_pg_encoder *df_pg_encoder_find(struct df_str receive);
extern const struct df_pg_encoder df_pg_encoder_text;  /* any text, to be cast */
extern const struct df_pg_encoder df_pg_encoder_array; /* needs element and element_oid */

/* Is it SQL's null there? The null of a JSON document is a value to a column of documents. */
bool df_pg_is_null(const struct df_pg_field *f, const struct df_value *v);

/* Appends the field: its length and its content; -1 alone for null. On an error *out is as it was. */
int df_pg_encode(const struct df_pg_field *f, struct df_value *v, struct df_arena *arena, struct df_buf *out,
		 struct df_error *err) df_must_check;

/* ---- big-endian numbers ---------------------------------------------------------------------------------- */

static inline void df_pg_put16(char *to, uint16_t n)
{
	n = __builtin_bswap16(n);
	memcpy(to, &n, sizeof(n));
}

static inline void df_pg_put32(char *to, uint32_t n)
{
	n = __builtin_bswap32(n);
	memcpy(to, &n, sizeof(n));
}

/* df_buf_add for few bytes, of a number known when it is compiled: mostly there is room. */
static inline void df_pg_add(struct df_buf *out, const void *data, size_t len)
{
	if (__builtin_expect(out->failed || out->cap - out->len < len, 0)) {
		df_buf_add(out, data, len);
		return;
	}
	memcpy(out->data + out->len, data, len);
	out->len += len;
}

static inline void df_pg_add16(struct df_buf *out, uint16_t n)
{
	n = __builtin_bswap16(n);
	df_pg_add(out, &n, sizeof(n));
}

static inline void df_pg_add32(struct df_buf *out, uint32_t n)
{
	n = __builtin_bswap32(n);
	df_pg_add(out, &n, sizeof(n));
}

static inline void df_pg_add64(struct df_buf *out, uint64_t n)
{
	n = __builtin_bswap64(n);
	df_pg_add(out, &n, sizeof(n));
}

#endif
