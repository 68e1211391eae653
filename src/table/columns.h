/*
 * Columns: what a table has, and what a table that must be made should have, inferred from documents.
 */
#ifndef DF_TABLE_COLUMNS_H
#define DF_TABLE_COLUMNS_H

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"
#include "value/value.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

/* ---- the columns of a table ------------------------------------------------------------------------------ */

struct df_column {
	char *name;
	char *type;   /* as the database prints it; "" when it has none */
	int kind;     /* the connector's own class of the type */
	unsigned key; /* place in the primary key, from 1; 0: not in it */
	bool not_null;
	bool has_default;
	bool read_only; /* generated, computed: it is there and cannot be written */
};

/* Zero-initialised is valid: a table that does not exist. */
struct df_columns {
	struct df_column *items; /* in the table's order */
	size_t count;
	bool any_case; /* the store does not tell names apart by the case of ASCII letters */
};

#define DF_NO_COLUMN SIZE_MAX

/* Appends a column with copies of the texts; NULL when out of memory. Moves earlier columns. */
struct df_column *df_columns_add(struct df_columns *columns, struct df_str name, struct df_str type);
/* Index by name (exact, or in any case), or DF_NO_COLUMN. */
size_t df_columns_find(const struct df_columns *columns, struct df_str name);
void df_columns_done(struct df_columns *columns);

/* ---- inference ------------------------------------------------------------------------------------------- */

/*
 * What fits every value of one key. Logical types keep their class; without one the JSON kind decides. Two classes that
 * differ widen: within the numbers, within dates and timestamps; with an object or array to JSON; else to TEXT.
 */
enum df_class {
	DF_CLASS_NULL, /* no value but null */
	DF_CLASS_BOOL,
	DF_CLASS_INT32, /* these five: every number carried its logical type */
	DF_CLASS_INT64,
	DF_CLASS_DECIMAL,
	DF_CLASS_FLOAT32,
	DF_CLASS_FLOAT64,
	DF_CLASS_NUMBER, /* bare JSON numbers, or a mixture: see the digits below */
	DF_CLASS_DATE,
	DF_CLASS_TIME,
	DF_CLASS_TIMETZ,
	DF_CLASS_TIMESTAMP,
	DF_CLASS_TIMESTAMPTZ,
	DF_CLASS_INTERVAL,
	DF_CLASS_UUID,
	DF_CLASS_BYTES,
	DF_CLASS_TEXT,
	DF_CLASS_JSON, /* objects and arrays */
};

/* One key of the rows seen. */
struct df_inferred {
	struct df_str name; /* borrowed from the documents */
	enum df_class class;
	size_t rows;  /* that have the key */
	size_t nulls; /* of them with null */
	/* Over all numbers, whatever their class; digits are of the plain decimal form (1e3 has 4). */
	bool negative;
	bool whole;   /* no fraction but zeros */
	bool int64;   /* whole, and within int64 */
	bool float64; /* the nearest double's shortest text is the same number */
	bool exact;   /* each is the one or the other */
	uint32_t integer_digits, fraction_digits;
	uint32_t
		scale; /* fraction digits as they are written, zeros at the end too: of a decimal, its column's scale */
	/* Over all strings. */
	bool rfc3339;		/* every one is RFC 3339 with an offset; false when there was none */
	uint32_t second_digits; /* of their fractions of a second, at most */
};

/* Zero-initialised is valid and empty. */
struct df_inference {
	struct df_inferred *items; /* in order of first appearance */
	size_t count, cap;
	size_t rows; /* seen */
};

#define DF_INFERENCE_MAX 2000 /* columns: more is no table (SQLite's and PostgreSQL's own limits are about that) */

/* Looks at one more row. The documents must outlive the inference. DF_ERR_INVALID_DATA: a key that cannot be a column
 * name, too many keys; DF_ERR_NO_MEMORY. */
int df_inference_add(struct df_inference *inference, const struct df_value *row, struct df_error *err) df_must_check;
/* The key's column, or NULL. */
const struct df_inferred *df_inference_find(const struct df_inference *inference, struct df_str name);
/* Puts the keys in order of their bytes (PostgreSQL, ClickHouse: "keys sorted"). */
void df_inference_sort(struct df_inference *inference);
/* Does every row seen have this key, and not null? */
bool df_inferred_always(const struct df_inference *inference, const struct df_inferred *column);
void df_inference_done(struct df_inference *inference);

#pragma GCC visibility pop

#endif
