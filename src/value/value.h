/*
 * The document: JSON without loss. Numbers keep their digits as text, object keys keep their order, strings are slices
 * of the input where nothing needs unescaping, and a scalar can carry a logical type.
 *
 * A document is a tree of nodes in one arena. A node belongs to at most one container; the children of a container are
 * a singly linked list in document order, so that appending, removing, renaming and replacing never move anything. Text
 * that a node points to lives in the same arena or in memory that outlives it (the payload). Nothing is freed one by
 * one.
 *
 * A document belongs to one thread at a time. Functions that allocate return NULL or DF_ERR_NO_MEMORY when the arena
 * cannot grow; the document is then unchanged.
 */
#ifndef DF_VALUE_VALUE_H
#define DF_VALUE_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

enum df_kind { DF_NULL, DF_FALSE, DF_TRUE, DF_NUMBER, DF_STRING, DF_ARRAY, DF_OBJECT };

/* What a scalar means beyond its JSON kind. The text form of each is in the connectors reference, section 1. */
enum df_logical {
	DF_LOGICAL_NONE,
	DF_LOGICAL_INT32,
	DF_LOGICAL_INT64,
	DF_LOGICAL_DECIMAL,
	DF_LOGICAL_FLOAT32,
	DF_LOGICAL_FLOAT64,
	DF_LOGICAL_TEXT,
	DF_LOGICAL_BYTES, /* JSON text: base64 */
	DF_LOGICAL_DATE,  /* YYYY-MM-DD */
	DF_LOGICAL_TIME,
	DF_LOGICAL_TIMETZ,
	DF_LOGICAL_TIMESTAMP, /* wall clock without zone; JSON text: RFC 3339 with Z */
	DF_LOGICAL_TIMESTAMPTZ,
	DF_LOGICAL_INTERVAL,
	DF_LOGICAL_UUID,
	DF_LOGICAL_JSON,
};

/* How a scalar is held. Readers use the accessors below and need not care. */
enum df_repr {
	DF_REPR_TEXT,	 /* `text`: number digits, or the decoded string (WTF-8: a lone surrogate is its 3-byte form) */
	DF_REPR_PLAIN,	 /* string: as TEXT, and known to need no escaping when written */
	DF_REPR_ESCAPED, /* string: `text` is the source between the quotes, with escapes still in it */
	DF_REPR_INT64,	 /* number: `int64` */
	DF_REPR_FLOAT64, /* `float64`; kind NUMBER when finite, else STRING ("NaN", "Infinity", "-Infinity") */
	DF_REPR_BYTES,	 /* string: `text` is raw bytes, JSON text is their base64; logical BYTES */
};

struct df_value {
	struct df_value *next; /* next sibling; NULL in the last and in a root */
	const char *key;       /* member of an object: decoded key; else NULL */
	uint32_t key_len;
	uint32_t len; /* scalar: bytes of text. container: number of children */
	union {
		const char *text;
		int64_t int64;
		double float64;
		struct df_value *first; /* container: first child */
	};
	struct df_value *last; /* container: last child; else undefined */
	uint8_t kind;	       /* enum df_kind */
	uint8_t logical;       /* enum df_logical */
	uint8_t repr;	       /* enum df_repr */
	uint8_t key_plain;     /* the key needs no escaping when written */
	uint32_t line;	       /* configuration documents: 1-based source line; 0 unknown */
};

#define DF_VALUE_DEPTH_MAX 1000			    /* containers open at once */
#define DF_VALUE_SIZE_MAX ((size_t)UINT32_MAX - 16) /* bytes of one document */

#define df_for_each(child, container) \
	for (struct df_value *child = (container)->first; child != NULL; child = child->next)

/* "null", "a bool", "a string", "an object" ...: what errors call a value, whose content they must not show. Static. */
const char *df_kind_words(enum df_kind kind);

static inline bool df_value_is_container(const struct df_value *v)
{
	return v->kind >= DF_ARRAY;
}

static inline struct df_str df_value_key(const struct df_value *v)
{
	return (struct df_str){ v->key, v->key_len };
}

/* ---- reading --------------------------------------------------------------------------------------------- */

enum df_parse_result {
	DF_PARSE_OK = 0,
	DF_PARSE_NOT_JSON,  /* not one RFC 8259 value in UTF-8 */
	DF_PARSE_TOO_DEEP,  /* more than DF_VALUE_DEPTH_MAX levels; may be JSON or not */
	DF_PARSE_TOO_LARGE, /* more than DF_VALUE_SIZE_MAX bytes */
	DF_PARSE_NO_MEMORY,
};

struct df_parse_error {
	size_t offset;	  /* byte offset of the first byte that cannot be; the input's length at an unexpected end */
	size_t line;	  /* 1-based */
	size_t column;	  /* 1-based, in bytes */
	const char *what; /* static text: "unexpected character", "invalid UTF-8", "unterminated string" ... */
};

/*
 * Parses one JSON text (RFC 8259, strict; blanks around it allowed, no BOM). The tree is in `arena` and its strings
 * and numbers point into `text`, which must outlive it. A key that stands twice in one object: the last value wins and
 * stands where the first stood. err may be NULL (positions are computed only when it is not).
 */
enum df_parse_result df_value_parse(struct df_str text, struct df_arena *arena, struct df_value **ret,
				    struct df_parse_error *err) df_must_check;

/* As df_value_parse, with a df_error: DF_ERR_INVALID_DATA "line L, column C: what", or DF_ERR_NO_MEMORY. */
int df_value_parse_text(struct df_str text, struct df_arena *arena, struct df_value **ret,
			struct df_error *err) df_must_check;

/* Is it one JSON text? Builds nothing, same verdict as df_value_parse. */
enum df_parse_result df_value_check(struct df_str text) df_must_check;

/* ---- writing --------------------------------------------------------------------------------------------- */

/* Appends the compact JSON text. Strings are written by their code points with the fewest escapes (\" \\ \b \f \n \r
 * \t, other controls \u00xx); lone surrogates as \udxxx, as written in the source when they came from it. */
void df_value_write(const struct df_value *v, struct df_buf *buf);

/* The compact JSON text in the arena; ptr NULL when out of memory. */
struct df_str df_value_to_arena(const struct df_value *v, struct df_arena *arena);

/* Appends `text` (UTF-8 or WTF-8) as a JSON string with quotes. */
void df_json_write_string(struct df_str text, struct df_buf *buf);

/* ---- scalars --------------------------------------------------------------------------------------------- */

/*
 * The text of a scalar: a string's decoded content (for FLOAT64 non-finite and BYTES: their JSON text), a number's
 * digits, "true", "false", "null". For a container: its compact JSON. Points into the document when it can, else into
 * the arena; ptr NULL only when out of memory.
 */
struct df_str df_value_text(const struct df_value *v, struct df_arena *arena);

/* A string's decoded content, caching it in the node, so that v->text is the text afterwards (repr TEXT or PLAIN). */
int df_value_unescape(struct df_value *v, struct df_arena *arena) df_must_check;

/* Is the value a string with exactly this decoded content? Decodes without allocating. */
bool df_value_string_equal(const struct df_value *v, struct df_str text);

/* An integral number (also 5.0, 1e3) in range as int64; false otherwise, and for anything but a number. Exact. */
bool df_value_to_int64(const struct df_value *v, int64_t *ret);
/* A number as the nearest double; false when not a number or when it overflows. */
bool df_value_to_double(const struct df_value *v, double *ret);

/* ---- numbers as text (src/value/number.c) ---------------------------------------------------------------- */

/* Is the slice exactly one JSON number? */
bool df_number_valid(struct df_str text);
/* Compares two JSON numbers as decimals, exactly, at any length and exponent: <0, 0, >0. */
int df_number_compare(struct df_str a, struct df_str b);
bool df_number_is_zero(struct df_str text);
/* The value when whole and within int64 (`5.0`, `1e3`, `-0`), without going through a double. */
bool df_number_to_int64(struct df_str text, int64_t *ret);
/* Nearest double, correctly rounded, independent of the locale; false when it overflows. */
bool df_number_to_double(struct df_str text, double *ret);
#define DF_NUMBER_MAX 32
/* The shortest text that reads back to the same double ("0.1", "1e+22" style of ECMAScript), finite only; returns its
 * length; out has DF_NUMBER_MAX bytes. */
size_t df_number_from_double(double d, char *out);
size_t df_number_from_float(float f, char *out);
size_t df_number_from_int64(int64_t i, char *out);

/* ---- building -------------------------------------------------------------------------------------------- */

struct df_value *df_value_new(struct df_arena *arena, enum df_kind kind); /* null, bools, empty containers */
/* text is referenced, not copied; it must be a valid JSON number. */
struct df_value *df_value_number(struct df_arena *arena, struct df_str digits);
struct df_value *df_value_int64(struct df_arena *arena, int64_t i);
/* Kind NUMBER when finite, else STRING; logical FLOAT64. */
struct df_value *df_value_float64(struct df_arena *arena, double d);
/* text is referenced, not copied: UTF-8. */
struct df_value *df_value_string(struct df_arena *arena, struct df_str text);
/* As string, with a copy in the arena. */
struct df_value *df_value_string_copy(struct df_arena *arena, struct df_str text);
/* Raw bytes, referenced; JSON text is base64. */
struct df_value *df_value_bytes(struct df_arena *arena, struct df_str bytes);

/* Deep copy of the nodes; text is shared. The copy has no key and no sibling. */
struct df_value *df_value_clone(const struct df_value *v, struct df_arena *arena);
/* Deep copy with all text copied too: independent of everything but `arena`. */
struct df_value *df_value_clone_deep(const struct df_value *v, struct df_arena *arena);

/* Same JSON value? Objects regardless of key order, numbers as decimals, strings by code points; logical types ignored.
 */
bool df_value_equal(const struct df_value *a, const struct df_value *b);

/* ---- objects --------------------------------------------------------------------------------------------- */

/* The member, or NULL (also when `object` is no object or NULL). O(members). */
struct df_value *df_object_get(const struct df_value *object, struct df_str key);
struct df_value *df_object_get_c(const struct df_value *object, const char *key);

/* Sets key to value: an existing member is replaced where it stands, else appended. key is referenced. `value` must be
 * in no container; it becomes a member. */
void df_object_set(struct df_value *object, struct df_str key, struct df_value *value);
/* Appends without looking for the key. */
void df_object_append(struct df_value *object, struct df_str key, struct df_value *value);
/* Changes a member's key in place, position kept; does not look for an equal key. key is referenced. */
void df_object_rename(struct df_value *member, struct df_str key);

/* ---- containers ------------------------------------------------------------------------------------------ */

void df_array_append(struct df_value *array, struct df_value *value);
/* Element i from 0, or NULL. O(i). */
struct df_value *df_array_get(const struct df_value *array, size_t i);

/* Unlinks child from container; prev is the sibling before it, or NULL when it is the first (df_container_prev finds
 * it). */
void df_container_remove(struct df_value *container, struct df_value *prev, struct df_value *child);
struct df_value *df_container_prev(const struct df_value *container, const struct df_value *child);

/* Makes `at` hold what `from` holds (kind, content, logical type); at keeps its place and key. `from` is used up. */
void df_value_replace(struct df_value *at, const struct df_value *from);

/* Puts the members of every object in it into the order of their keys' bytes: written, it is canonical. */
void df_value_sort_keys(struct df_value *v);

/* Unlinks all children; the container is empty afterwards. Returns the first child; they stay linked by `next`. */
struct df_value *df_container_take(struct df_value *container);

#pragma GCC visibility pop

#endif
