/*
 * Avro schemas (Avro 1.12 specification): read from JSON, immutable, shared by any number of threads.
 *
 * Unknown attributes are ignored, and so is a logical type that does not fit its type, as the specification says. Type
 * names need not follow the specification's letters, because those of other systems' converters do not.
 */
#ifndef DF_AVRO_SCHEMA_H
#define DF_AVRO_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"
#include "value/value.h"

enum df_avro_type {
	DF_AVRO_NULL,
	DF_AVRO_BOOLEAN,
	DF_AVRO_INT,
	DF_AVRO_LONG,
	DF_AVRO_FLOAT,
	DF_AVRO_DOUBLE,
	DF_AVRO_BYTES,
	DF_AVRO_STRING,
	DF_AVRO_RECORD, /* also `error` */
	DF_AVRO_ENUM,
	DF_AVRO_ARRAY,
	DF_AVRO_MAP,
	DF_AVRO_UNION,
	DF_AVRO_FIXED,
};

enum df_avro_logical {
	DF_AVRO_PLAIN,
	DF_AVRO_DECIMAL,
	DF_AVRO_UUID, /* of a string or 16 bytes */
	DF_AVRO_DATE,
	DF_AVRO_TIME_MILLIS,
	DF_AVRO_TIME_MICROS,
	DF_AVRO_TIMESTAMP_MILLIS,
	DF_AVRO_TIMESTAMP_MICROS,
	DF_AVRO_TIMESTAMP_NANOS,
	DF_AVRO_LOCAL_MILLIS,
	DF_AVRO_LOCAL_MICROS,
	DF_AVRO_LOCAL_NANOS,
	DF_AVRO_DURATION,
};

struct df_avro_node;

struct df_avro_field {
	struct df_str name;
	struct df_str *aliases;
	size_t alias_count;
	const struct df_avro_node *node;
	const struct df_value *def; /* the default as JSON; NULL: none */
};

struct df_avro_node {
	enum df_avro_type type;
	enum df_avro_logical logical;
	uint32_t precision, scale; /* DECIMAL */
	size_t size;		   /* FIXED: bytes */
	struct df_str name; /* RECORD, ENUM, FIXED: the full name; else the type's: what a union's branch is called */
	struct df_str *aliases; /* full names */
	size_t alias_count;

	size_t count; /* of fields, symbols, branches */
	union {
		struct df_avro_field *fields;
		struct df_str *symbols;
		const struct df_avro_node **branches;
		const struct df_avro_node *element; /* ARRAY, MAP */
	};
	const struct df_str *symbol_default; /* ENUM: what a reader takes for a symbol it does not know; or NULL */
};

struct df_avro_schema;

/*
 * The last of the texts is the schema; those before it define types that it and later ones name (a registry's
 * references). DF_ERR_CONFIG with what is wrong and where; DF_ERR_NO_MEMORY.
 */
int df_avro_schema_parse(const struct df_str *texts, size_t count, struct df_avro_schema **ret,
			 struct df_error *err) df_must_check;
void df_avro_schema_free(struct df_avro_schema *schema); /* accepts NULL */
DF_DEFINE_CLEANUP(struct df_avro_schema *, df_avro_schema_free)

const struct df_avro_node *df_avro_schema_root(const struct df_avro_schema *schema);

/* The name without its namespace. */
struct df_str df_avro_short_name(struct df_str full_name);

/* Is it what JSON shows as an object, so that a union of several types must say which one it is? */
static inline bool df_avro_is_object(const struct df_avro_node *node)
{
	return node->type == DF_AVRO_RECORD || node->type == DF_AVRO_MAP;
}

/* Does the union have two or more branches beside null? */
bool df_avro_union_is_wide(const struct df_avro_node *node);

#endif
