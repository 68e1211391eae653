/*
 * Members of a JSON object without building a document. The text must be one valid JSON value already
 * (df_value_check): then finding where a value ends is all that is left, and a payload is a slice of the line.
 */
#ifndef DF_CONNECTORS_SUBPROCESS_SCAN_H
#define DF_CONNECTORS_SUBPROCESS_SCAN_H

#include "base/arena.h"
#include "base/str.h"

struct df_scan {
	const char *at, *end;
	bool first;
};

/* The members of an object, or the elements of an array. False: the text is no such container. */
bool df_scan_object(struct df_scan *scan, struct df_str text);
bool df_scan_array(struct df_scan *scan, struct df_str text);

/* The next member: its key as it is written between the quotes, and its value's text. False: there are no more. */
bool df_scan_member(struct df_scan *scan, struct df_str *ret_key, struct df_str *ret_value);
bool df_scan_element(struct df_scan *scan, struct df_str *ret_value);

/* The content of a JSON string; it points into the text when nothing is escaped, else into the arena. False: the value
 * is no string (or memory ran out: ret->ptr NULL and ret->len not 0). */
bool df_scan_text(struct df_str value, struct df_arena *arena, struct df_str *ret);
bool df_scan_int64(struct df_str value, int64_t *ret);
bool df_scan_bool(struct df_str value, bool *ret);

#endif
