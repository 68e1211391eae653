/*
 * The types of a connection's results: how each column is decoded. Built-in types are known by their numbers; what else
 * there is (enums, domains in arrays, types of extensions) is asked of the catalog once and remembered, so that reading
 * on costs no catalog query.
 */
#ifndef DF_CONNECTORS_POSTGRESQL_TYPES_H
#define DF_CONNECTORS_POSTGRESQL_TYPES_H

#include "connectors/postgresql/connection.h"
#include "connectors/postgresql/decode.h"

/* Zero-initialised is valid and empty. */
struct df_pg_types {
	struct df_pg_type **items;
	size_t count, cap;
};

/* Learns these types; those that are known cost nothing. Moves nothing: a type stays where it is. Errors as
 * df_pg_query, DF_ERR_NO_MEMORY. */
int df_pg_types_learn(struct df_pg_types *types, struct df_pg *pg, struct df_context *ctx, const uint32_t *oids,
		      size_t count, struct df_error *err) df_must_check;
/* One that was learned; NULL: it was not. */
const struct df_pg_type *df_pg_types_get(const struct df_pg_types *types, uint32_t oid);
void df_pg_types_done(struct df_pg_types *types);

#endif
