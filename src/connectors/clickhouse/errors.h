/* What the server's error codes mean: connectors reference, section 7. */
#ifndef DF_CONNECTORS_CLICKHOUSE_ERRORS_H
#define DF_CONNECTORS_CLICKHOUSE_ERRORS_H

#include "base/error.h"
#include "base/str.h"

/* Codes that are looked at by number. */
enum {
	DF_CH_NO_SUCH_COLUMN_IN_TABLE = 16,
	DF_CH_UNKNOWN_IDENTIFIER = 47,
	DF_CH_TYPE_MISMATCH = 53,
	DF_CH_UNKNOWN_TABLE = 60,
	DF_CH_READONLY = 164,
	DF_CH_TOO_MANY_PARTS = 252,
};

/* The class of a code: enum df_code. */
int df_ch_code_class(int code);

/* Sets err from an exception: "<peer>: <message>", remote = the code. What the message quotes of the query is cut off.
 * Returns the class. */
int df_ch_server_error(const char *peer, int code, struct df_str message, struct df_error *err);

/* Of an error that df_ch_server_error made: the code, else 0. */
int df_ch_error_code(const struct df_error *err);

#endif
