/* A value of a result page to a document value with its logical type (connectors reference, sections 1 and 8). */
#ifndef DF_CONNECTORS_TRINO_DECODE_H
#define DF_CONNECTORS_TRINO_DECODE_H

#include "base/time.h"
#include "connectors/trino/types.h"

/* The time zone that was looked up last. Zero-initialised is valid: none. One thread at a time. */
struct df_trino_zones {
	struct df_buf name;
	struct df_zone *zone;
};
void df_trino_zones_done(struct df_trino_zones *zones);

/*
 * `from` belongs to a page and may be decoded in place; the result is independent of it, all in the arena.
 * DF_ERR_INVALID_DATA: a value that is not what its type says, without its text; DF_ERR_NO_MEMORY.
 */
int df_trino_decode(const struct df_trino_type *type, struct df_value *from, struct df_arena *arena,
		    struct df_trino_zones *zones, struct df_value **ret, struct df_error *err) df_must_check;

#endif
