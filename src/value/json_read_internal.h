/* What the files of the JSON parser share: its state, the classes of bytes, and what the loop leaves to others. */
#ifndef DF_VALUE_JSON_READ_INTERNAL_H
#define DF_VALUE_JSON_READ_INTERNAL_H

#include "value/value_internal.h"

struct df_json_key_table;
struct df_json_key_tables;

struct df_json_frame {
	struct df_value *container;
	struct df_value **link; /* where the next child goes */
	uint64_t bloom;		/* one bit a key; ~0 once `table` is in use */
	struct df_json_key_table *table;
	uint32_t count;
};

struct df_json_parser {
	const char *begin;
	const char *end;
	struct df_arena *arena;
	struct df_value *root;
	struct df_json_frame *frames;
	size_t frames_max;
	struct df_json_key_tables *tables;
	const char *bad; /* the first byte that cannot be */
	const char *what;
};

/* ---- bytes and strings (json_string.c) ------------------------------------------------------------------- */

enum df_json_class {
	DF_JSON_BLANK = 1,
	DF_JSON_DIGIT = 2,
	DF_JSON_STOP = 4,    /* a quote, a backslash, a control: not as it is in a string */
	DF_JSON_HEX = 8,     /* digits and letters */
	DF_JSON_ESCAPE = 16, /* behind a backslash, but `u` */
	DF_JSON_NUMBER = 32, /* goes on with a number behind its first digits */
};

extern const uint8_t df_json_classes[256];

static inline bool df_json_is(char c, unsigned class)
{
	return df_json_classes[(uint8_t)c] & class;
}

/* The rest of a string that is not plain ASCII: from p, its first byte that is not, to the closing quote. `start` is
 * behind the opening one. NULL: broken, told in ps. */
const char *df_json_scan_string(struct df_json_parser *ps, const char *start, const char *p, bool *ret_escaped);

/* ---- duplicate keys (json_keys.c) ------------------------------------------------------------------------ */

/* The bit of a key in the filter of its object. */
static inline unsigned df_json_bloom_bit(const char *key, size_t len)
{
	/* For an empty key both bytes are the quotes around it. The factors separate common names of columns well. */
	return (unsigned)(len + (uint8_t)key[(ptrdiff_t)len - 1] * 2 + (uint8_t)key[0] * 8) & 63;
}

/*
 * The bloom filter says that the object of `frame` may have the key: looks. Sets *ret_old to the member or, when the
 * key is new, to NULL and *ret_new to a node for it. False: out of memory.
 */
bool df_json_find_member(struct df_json_parser *ps, struct df_json_frame *frame, const char *key, size_t len,
			 struct df_value **ret_old, struct df_value **ret_new);

/* Its object is closed: another one can have the table. */
void df_json_release_table(struct df_json_parser *ps, struct df_json_key_table *table);

#endif
