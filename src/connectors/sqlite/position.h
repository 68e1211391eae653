/* exactlyOnce: the source's position in a table of ours, which the transaction of the rows updates. Private to the
 * sink.
 */
#ifndef DF_CONNECTORS_SQLITE_POSITION_H
#define DF_CONNECTORS_SQLITE_POSITION_H

#include "connectors/sqlite/db.h"

#define DF_SQLITE_POSITIONS "dataflow_positions"

struct df_sqlite_position {
	struct df_sqlite *db;
	char *flow;  /* "<namespace>/<name>" */
	char *known; /* what is stored, as far as this connection knows; NULL: nothing */
	char *next;  /* what the transaction under way stores */
	sqlite3_stmt *store;
};

/* Makes the table when it is missing, and reads what it holds for the flow. Errors as df_sqlite_error. */
int df_sqlite_position_open(struct df_sqlite_position *p, struct df_sqlite *db, const struct df_connector_env *env,
			    struct df_error *err) df_must_check;
/* Before the connection is closed. Accepts a zeroed one. */
void df_sqlite_position_close(struct df_sqlite_position *p);

/* Within the transaction. DF_ERR_CONFIG: another process has stored a position of the flow meanwhile. */
int df_sqlite_position_store(struct df_sqlite_position *p, struct df_str checkpoint,
			     struct df_error *err) df_must_check;
/* The transaction was committed. */
void df_sqlite_position_stored(struct df_sqlite_position *p);

#endif
