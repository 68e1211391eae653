/*
 * Conditions of `filter` and `router`: the transformations reference, section 3, compiled once when the configuration
 * is read. A compiled condition may be used by several threads at once.
 */
#ifndef DF_TRANSFORMERS_CONDITION_H
#define DF_TRANSFORMERS_CONDITION_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"
#include "value/value.h"

struct df_condition;

/* text is copied where it is needed. DF_ERR_CONFIG: "column N: what" with N 1-based in bytes; DF_ERR_NO_MEMORY. */
int df_condition_compile(struct df_str text, struct df_condition **ret, struct df_error *err) df_must_check;
void df_condition_free(struct df_condition *condition);
DF_DEFINE_CLEANUP(struct df_condition *, df_condition_free)

/* Does the condition hold for the document? Changes nothing in it; allocates in the arena where it must. *ret is set on
 * success. DF_ERR_NO_MEMORY, or DF_ERR_INVALID_DATA when a regular expression hits its limit on this document. */
int df_condition_eval(const struct df_condition *condition, struct df_value *root, struct df_arena *arena, bool *ret,
		      struct df_error *err) df_must_check;

#endif
