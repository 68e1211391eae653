/*
 * Binary fields of PostgreSQL: no bytes make a decoder read or write outside, and what it makes of them is JSON. The
 * first byte chooses the type, the second whether it is an array of it.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "connectors/postgresql/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const sends[] = {
	"numeric_send", "interval_send", "timestamptz_send", "date_send",  "timetz_send",   "inet_send",
	"jsonb_send",	"textsend",	 "bit_send",	     "float4send", "float8send",    "uuid_send",
	"charsend",	"xid8send",	 "time_send",	     "boolsend",   "macaddr8_send", "int8send",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };
	struct df_pg_type element = { .oid = 0 };
	struct df_value v = { .kind = DF_NULL };
	struct df_arena arena;

	if (size < 2)
		return 0;
	element.decoder = df_pg_decoder_of_send(df_str_c(sends[data[0] % DF_ARRAY_SIZE(sends)]));
	element.oid = element.decoder->oid;
	const struct df_pg_type array = { .decoder = &df_pg_decoder_array, .element = &element };
	/* Of its own size, so that a read behind it is seen. */
	char *bytes = malloc(size - 2);
	if (!bytes)
		return 0;
	memcpy(bytes, data + 2, size - 2);
	df_arena_init(&arena, NULL);
	if (df_pg_decode(data[1] & 1 ? &array : &element, df_str(bytes, size - 2), &arena, &v, NULL) == 0) {
		df_value_write(&v, &text);
		if (!text.failed && df_value_check(df_buf_str(&text)) != DF_PARSE_OK)
			abort();
	}
	df_arena_done(&arena);
	free(bytes);
	return 0;
}
