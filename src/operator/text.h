/* Texts of this floor. */
#ifndef DF_OPERATOR_TEXT_H
#define DF_OPERATOR_TEXT_H

#include "base/arena.h"

/* As printf, in the arena. NULL: out of memory. */
const char *df_text(struct df_arena *arena, const char *fmt, ...) df_printf(2, 3);

#endif
