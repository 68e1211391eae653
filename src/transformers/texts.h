/* Texts that more than one transformer understands. */
#ifndef DF_TRANSFORMERS_TEXTS_H
#define DF_TRANSFORMERS_TEXTS_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

/* `left:right` of renames and mappings: cut at the one colon that no `\` takes the meaning of; both sides as written,
 * not blank. DF_ERR_CONFIG with the reason. */
int df_pair_cut(struct df_str text, struct df_str *ret_left, struct df_str *ret_right,
		struct df_error *err) df_must_check;

/*
 * A numeric string (transformations reference, `cast`) as a JSON number with the same digits: without `+` and
 * superfluous leading zeros, `.5` as `0.5`, `5.` as `5`. ret->ptr is NULL when the text is none. Points to the text or
 * to the arena. DF_ERR_NO_MEMORY.
 */
int df_numeric_text(struct df_str text, struct df_arena *arena, struct df_str *ret) df_must_check;

#endif
