/* CityHash128 of version 1.0.2, which ClickHouse's compressed frames are checked with. Later versions differ. */
#ifndef DF_CONNECTORS_CLICKHOUSE_CITY_H
#define DF_CONNECTORS_CLICKHOUSE_CITY_H

#include <stddef.h>
#include <stdint.h>

struct df_ch_hash {
	uint64_t low, high;
};

struct df_ch_hash df_ch_city128(const void *data, size_t len);

#endif
