#include "connectors/trino/fate.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "connectors/trino/connection.h"
#include "connectors/trino/text.h"

#define LOOK_AGAIN (250 * DF_NS_PER_MS)

void df_trino_comment(char out[DF_TRINO_COMMENT_MAX], uint64_t run, uint64_t rows)
{
	(void)snprintf(out, DF_TRINO_COMMENT_MAX, "/*dataflow %016" PRIx64 "-%016" PRIx64 "*/ ", run, rows);
}

/* The states of the statements with the comment: one that was written counts before one that runs, that before one that
 * failed. */
static int look(struct df_trino_client *client, struct df_context *ctx, const char *comment, enum df_trino_fate *ret,
		bool *ret_running, struct df_error *err)
{
	df_cleanup(df_trino_query_done) struct df_trino_query q = { 0 };
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	struct df_value *row = NULL;

	*ret = DF_TRINO_FATE_NONE;
	*ret_running = false;
	df_buf_add_c(&sql, "SELECT state FROM system.runtime.queries WHERE starts_with(\"query\", ");
	df_trino_quote_text(&sql, df_str_c(comment));
	df_buf_add_char(&sql, ')');
	if (sql.failed)
		return df_error_no_memory(err);
	int code = df_trino_query_start(client, ctx, df_buf_str(&sql), &q, err);
	while (code == 0 && (code = df_trino_query_row(&q, &row, err)) == 0 && row) {
		struct df_str state = df_trino_text(row->first, &q.arena);

		if (df_str_equal_c(state, "FINISHED"))
			*ret = DF_TRINO_FATE_WRITTEN;
		else if (!df_str_equal_c(state, "FAILED"))
			*ret_running = true;
		else if (*ret == DF_TRINO_FATE_NONE)
			*ret = DF_TRINO_FATE_FAILED;
	}
	return code;
}

int df_trino_find_fate(struct df_trino_client *client, struct df_context *ctx, const char *comment,
		       enum df_trino_fate *ret, struct df_error *err)
{
	bool running;

	for (;;) {
		int code = look(client, ctx, comment, ret, &running, err);

		if (code != 0 || *ret == DF_TRINO_FATE_WRITTEN || !running)
			return code;
		/* Nobody asks for its answers any more, so the server ends it at the latest after its client timeout.
		 */
		if (df_context_sleep(ctx, LOOK_AGAIN) != 0)
			return df_context_check(ctx, err);
	}
}
