/* Times into columns. Private to the encoder. */
#ifndef DF_CONNECTORS_CLICKHOUSE_CONVERT_TIME_H
#define DF_CONNECTORS_CLICKHOUSE_CONVERT_TIME_H

#include "connectors/clickhouse/types.h"
#include "value/value.h"

/* The stored number of a DATE, DATETIME, DATETIME64 or TIME. DF_ERR_INVALID_DATA: no time, or outside what the type
 * holds (the server would saturate or wrap). */
int df_ch_convert_time(const struct df_ch_type *type, const struct df_value *v, struct df_arena *arena, int64_t *ret,
		       struct df_error *err) df_must_check;

#endif
