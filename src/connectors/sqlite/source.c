#include "connectors/sqlite/db.h"
#include "connectors/sqlite/settings.h"
const struct df_source_ops df_sqlite_source_ops = { 0 };
