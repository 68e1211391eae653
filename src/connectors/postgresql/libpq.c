#include "connectors/postgresql/libpq.h"

struct df_libpq df_libpq;

DF_LIBRARY_DEFINE(libpq, "libpq.so.5", "PostgreSQL needs it; Debian: package libpq5", DF_LIBPQ_FUNCTIONS)
