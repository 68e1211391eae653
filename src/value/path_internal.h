/* What the three path files share: the compiled form of a path. Private to src/value. */
#ifndef DF_VALUE_PATH_INTERNAL_H
#define DF_VALUE_PATH_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "value/path.h"
#include "value/value.h"

#define DF_PATH_TEXT_MAX ((size_t)64 * 1024) /* bytes of one path */
#define DF_PATH_STEPS_MAX 256 /* steps of one path, those of its queries included: bounds every recursion */

enum df_step_kind {
	DF_STEP_KEY,	  /* a name; an index too when `index` is not SIZE_MAX */
	DF_STEP_WILD,	  /* a name with * or ? */
	DF_STEP_LENGTH,	  /* `#` with nothing, or a `|`, behind it */
	DF_STEP_EACH,	  /* `#` with a rest */
	DF_STEP_ALL,	  /* `[*]` */
	DF_STEP_FIRST,	  /* `#(query)` */
	DF_STEP_MATCHING, /* `#(query)#` */
	DF_STEP_MODIFIER,
};

enum df_modifier {
	DF_MODIFIER_SAME, /* @this @valid @ugly @pretty: a document has no blanks to change */
	DF_MODIFIER_REVERSE,
	DF_MODIFIER_KEYS,
	DF_MODIFIER_VALUES,
	DF_MODIFIER_FLATTEN,
	DF_MODIFIER_FLATTEN_DEEP,
	DF_MODIFIER_TOSTR,
	DF_MODIFIER_FROMSTR,
};

enum df_query_op {
	DF_QUERY_EXISTS, /* no operator */
	DF_QUERY_EQ,
	DF_QUERY_NE,
	DF_QUERY_LT,
	DF_QUERY_LE,
	DF_QUERY_GT,
	DF_QUERY_GE,
	DF_QUERY_LIKE,
	DF_QUERY_NOT_LIKE,
};

enum df_query_tilde { DF_TILDE_NONE, DF_TILDE_TRUE, DF_TILDE_FALSE, DF_TILDE_NULL, DF_TILDE_ANY };

struct df_query {
	struct df_path *path; /* NULL: the element itself */
	char *value;	      /* decoded, owned; its length beside it */
	size_t value_len;
	uint8_t op;	/* enum df_query_op */
	uint8_t tilde;	/* enum df_query_tilde; only with EQ and NE */
	bool is_number; /* the value is a JSON number */
};

struct df_step {
	uint8_t kind;		/* enum df_step_kind */
	uint8_t modifier;	/* enum df_modifier */
	bool piped;		/* a `|` that ends the reach of a step before it stands before this step */
	struct df_str key;	/* KEY: unescaped. WILD: pattern, `\` before a literal * ? \ */
	size_t index;		/* KEY: SIZE_MAX when it cannot be an index */
	size_t column;		/* 1-based byte in the path's text */
	struct df_query *query; /* FIRST, MATCHING */
};

struct df_path {
	char *text;
	size_t len;
	char *keys; /* what the steps' keys point into; len bytes are always enough */
	size_t keys_len;
	struct df_step *steps;
	size_t count; /* 0: the root */
	size_t cap;
};

/*
 * Does the whole text match the pattern (`*` any run, `?` one code point, `\x` the character x)? Both UTF-8 or WTF-8.
 * Backtracks to the last star only: at most O(text * pattern).
 */
bool df_path_glob(struct df_str text, struct df_str pattern);

/* Does the element match the query? DF_ERR_NO_MEMORY only. */
int df_query_match(const struct df_query *query, struct df_value *element, struct df_arena *arena,
		   bool *ret) df_must_check;

#endif
