/*
 * Strict conversions of a value to what a column takes (connectors reference, section 4): nothing is rounded, cut or
 * guessed.
 *
 * Each returns 0, DF_ERR_INVALID_DATA, or DF_ERR_NO_MEMORY. The text of an error completes "column "c": ..." and never
 * contains the value, which may be secret. Text that had to be decoded is in the arena or points into the value.
 */
#ifndef DF_TABLE_CONVERT_H
#define DF_TABLE_CONVERT_H

#include "base/time.h"
#include "value/value.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

/* A whole number in range, `5.0` too; a string that is one; true and false as 1 and 0. */
int df_convert_int64(const struct df_value *v, struct df_arena *arena, int64_t *ret,
		     struct df_error *err) df_must_check;

/* A number that is written as an integer of up to 18 digits: the fast and usual case of the above. */
bool df_convert_plain_int64(const struct df_value *v, int64_t *ret);

/* A number whose digits a double holds: its shortest text is the same number. Also as a string; "NaN" and "Infinity".
 */
int df_convert_double(const struct df_value *v, struct df_arena *arena, double *ret,
		      struct df_error *err) df_must_check;

/* true, false, 0, 1, also as strings. */
int df_convert_bool(const struct df_value *v, struct df_arena *arena, bool *ret, struct df_error *err) df_must_check;

/* What a text column holds: a string's content, a number's digits, `true`, compact JSON of an object or array. UTF-8: a
 * lone surrogate is refused. v is decoded in place. */
int df_convert_text(struct df_value *v, struct df_arena *arena, struct df_str *ret, struct df_error *err) df_must_check;

/* Bytes; a string in strict base64, or `\x` and hexadecimal digits. */
int df_convert_bytes(const struct df_value *v, struct df_arena *arena, struct df_str *ret,
		     struct df_error *err) df_must_check;

/* `YYYY-MM-DD[T ]HH:MM:SS[.f][offset]` or `YYYY-MM-DD`; an offset is applied: the reading is UTC's, or the wall clock
 * of a timestamp without zone. */
int df_convert_timestamp(const struct df_value *v, struct df_arena *arena, struct df_civil *ret,
			 struct df_error *err) df_must_check;

/* "a fraction", "an object" ...: what an error says was found. Static. */
const char *df_convert_kind(const struct df_value *v);

#pragma GCC visibility pop

#endif
