/*
 * Answers of Trino: whatever columns and rows they have, types and values are refused or understood; what is made of a
 * value is JSON, and so is the cell that it would be sent as.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "connectors/trino/cell.h"
#include "connectors/trino/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COLUMNS_MAX 64

static void check_json(const struct df_buf *text)
{
	if (!text->failed && df_value_check(df_buf_str(text)) != DF_PARSE_OK)
		abort();
}

static void fuzz_value(const struct df_trino_type *type, struct df_value *from, struct df_trino_zones *zones)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 }, cell = { 0 };
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	struct df_value *v;

	df_arena_init(&arena, NULL);
	if (df_trino_decode(type, from, &arena, zones, &v, NULL) != 0)
		return;
	df_value_write(v, &text);
	check_json(&text);
	if (df_trino_cell(type, v, &arena, &cell, NULL) == 0)
		check_json(&cell);
	cell.len = 0;
	df_trino_shape(type, &cell);
	df_trino_from_shape(type, DF_STR("c0"), &cell);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	df_cleanup(df_buf_done) struct df_buf body = { 0 };
	struct df_trino_type *types[COLUMNS_MAX];
	struct df_trino_zones zones = { 0 };
	struct df_arena arena;
	struct df_value *answer;
	size_t count = 0;

	df_arena_init(&arena, NULL);
	df_buf_add(&body, (const char *)data, size);
	if (!body.failed && df_value_parse(df_buf_str(&body), &arena, &answer, NULL) == DF_PARSE_OK) {
		const struct df_value *columns = df_object_get_c(answer, "columns");
		const struct df_value *rows = df_object_get_c(answer, "data");

		if (columns && columns->kind == DF_ARRAY && columns->len && columns->len <= COLUMNS_MAX)
			df_for_each (item, columns) {
				if (df_trino_type_from_signature(df_object_get_c(item, "typeSignature"), &arena,
								 &types[count], NULL) != 0)
					break;
				count++;
			}
		if (count && rows && rows->kind == DF_ARRAY && rows->len)
			df_for_each (row, rows) {
				size_t i = 0;

				if (row->kind == DF_ARRAY && row->len == count)
					df_for_each (value, row)
						fuzz_value(types[i++], value, &zones);
			}
	}
	df_trino_zones_done(&zones);
	df_arena_done(&arena);
	return 0;
}
