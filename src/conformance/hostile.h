/* Names that are hostile to SQL, to formats and to people. */
#ifndef DF_CONFORMANCE_HOSTILE_H
#define DF_CONFORMANCE_HOSTILE_H

#include "conformance/deliver.h"

/* Those of a group: quotes, separators, comments, paths, injections, formats, keywords, hidden, unicode, starts, long.
 * canary: a store that some of them try to get at. Arena memory. */
const char **df_hostile_names(struct df_stage *st, const char *group, const char *canary, size_t *ret_count);

/* Does the text show the name: as it is, as JSON writes it, or with other quotes and backslashes; of a long one the
 * beginning? */
bool df_hostile_named(const char *text, const char *name);

#endif
