/* What a pod tells about what it is there for, `who` as it is called within a sentence: "processor". `container` is
 * what it says of that one (df_pod_container); NULL: nothing. Texts are in the arena; NULL: it tells nothing of that
 * kind, or memory ran out, which sets *no_memory. */
#ifndef DF_OPERATOR_POD_WORDS_H
#define DF_OPERATOR_POD_WORDS_H

#include "value/value.h"

/* "Cannot start processor: ErrImagePull: ...": it will not without somebody's doing. */
const char *df_container_cannot_start(const struct df_value *container, const char *who, struct df_arena *arena,
				      bool *no_memory);
/* "Processor pod cannot be scheduled: ..." */
const char *df_pod_not_scheduled(const struct df_value *pod, const char *who, struct df_arena *arena, bool *no_memory);
/* "Processor failed (<error_type>): <message>": how its latest process ended, when that was with an error. From its
 * last words; what it could not say itself (killed), the kubelet says. */
const char *df_container_failure(const struct df_value *container, const char *who, struct df_arena *arena,
				 bool *no_memory);

#endif
