/* Types: what a column's type name means, as a tree. */
#ifndef DF_CONNECTORS_CLICKHOUSE_TYPES_H
#define DF_CONNECTORS_CLICKHOUSE_TYPES_H

#include "base/arena.h"
#include "base/error.h"

enum df_ch_kind {
	/* Fixed size: `size` bytes a value, little endian. */
	DF_CH_INT,
	DF_CH_UINT,
	DF_CH_BOOL,
	DF_CH_FLOAT, /* 2 bytes: BFloat16 */
	DF_CH_DECIMAL,
	DF_CH_DATE,	  /* days since 1970: unsigned, or signed (Date32) by size */
	DF_CH_DATETIME,	  /* seconds */
	DF_CH_DATETIME64, /* ticks of 10^-scale seconds */
	DF_CH_TIME,	  /* seconds (Time), or ticks of 10^-scale (Time64) */
	DF_CH_ENUM,
	DF_CH_UUID,
	DF_CH_IPV4,
	DF_CH_IPV6,
	DF_CH_FIXED_STRING,
	DF_CH_NOTHING,
	/* Others. */
	DF_CH_STRING,
	DF_CH_ARRAY,	/* children[0] */
	DF_CH_TUPLE,	/* children, names or NULL */
	DF_CH_MAP,	/* children[0]: the tuple of key and value */
	DF_CH_NULLABLE, /* children[0] */
	DF_CH_LOW_CARDINALITY,
	DF_CH_VARIANT, /* children, in the order of their discriminators */
	DF_CH_JSON,    /* not read or written natively: its text is */
	DF_CH_OPAQUE,  /* AggregateFunction, Dynamic, and what this program does not know */
};

struct df_ch_label {
	struct df_str name;
	int16_t value;
};

struct df_ch_type {
	enum df_ch_kind kind;
	uint8_t scale;	    /* DECIMAL, DATETIME64, TIME */
	uint8_t precision;  /* DECIMAL: digits in all */
	uint32_t size;	    /* bytes of a value; 0: it varies */
	struct df_str name; /* as the server wrote it */
	size_t count;	    /* children or labels */
	struct df_ch_type **children;
	struct df_str *names;	    /* TUPLE: of the elements; NULL: not all have one in UTF-8 */
	struct df_ch_label *labels; /* ENUM */
};

#define DF_CH_TYPE_DEPTH_MAX 50

/*
 * Compiles a type name; everything is in the arena, also a copy of the text. A name that is not known gives OPAQUE, for
 * whoever needs the values to refuse. DF_ERR_UNKNOWN: it cannot be taken apart (brackets, quotes); DF_ERR_NO_MEMORY.
 */
int df_ch_type_parse(struct df_str text, struct df_arena *arena, struct df_ch_type **ret,
		     struct df_error *err) df_must_check;

/* The first type within that blocks do not carry in a form that is read here, or NULL. */
const struct df_ch_type *df_ch_type_unreadable(const struct df_ch_type *type);

/* The type without Nullable and LowCardinality around it. *ret_nullable: NULL is a value of it. */
const struct df_ch_type *df_ch_type_inner(const struct df_ch_type *type, bool *ret_nullable);

static inline bool df_ch_type_is_enum8(const struct df_ch_type *type)
{
	return type->kind == DF_CH_ENUM && type->size == 1;
}

#endif
