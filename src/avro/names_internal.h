/* A set of texts, each with something to find by it: open addressing in an arena. Zeroed it is empty. */
#ifndef DF_AVRO_NAMES_INTERNAL_H
#define DF_AVRO_NAMES_INTERNAL_H

#include "base/arena.h"

struct df_avro_names {
	struct df_avro_entry {
		struct df_str name; /* ptr NULL: free */
		void *value;
	} * entries;
	size_t count, cap;
};

/* The entry, or the free one where it belongs; NULL when the set is empty. */
struct df_avro_entry *df_avro_names_find(const struct df_avro_names *n, struct df_str name);
/* 1 added, 0 it was there already, or DF_ERR_NO_MEMORY. The name is referenced. */
int df_avro_names_add(struct df_avro_names *n, struct df_arena *arena, struct df_str name, void *value);

#endif
