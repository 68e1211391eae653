/*
 * Objects written as they look: one text with holes.
 *
 *   df_kube_build(arena, &pod, err, "{'kind':'Pod','metadata':{'name':%s,'labels':%v},'spec':{'priority':%d}}",
 *                 name, labels, priority);
 *
 * Single quotes stand for double ones; the text has no other quotes, and no % but holes:
 *   %s  const char *, as a JSON string; NULL: null      %S  struct df_str, likewise; ptr NULL: null
 *   %d  int64_t                                          %b  bool (as int)
 *   %v  const struct df_value *, copied; NULL: null
 * A member that is null in the end is left out, at any depth.
 */
#ifndef DF_KUBE_BUILD_H
#define DF_KUBE_BUILD_H

#include "value/value.h"

/* Everything is in the arena; it shares nothing with the arguments. DF_ERR_NO_MEMORY; a shape that is no JSON ends the
 * process, for it is a mistake of the program. */
int df_kube_build(struct df_arena *arena, struct df_value **ret, struct df_error *err, const char *shape,
		  ...) df_must_check;

#endif
