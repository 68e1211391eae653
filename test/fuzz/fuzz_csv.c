/*
 * CSV: any bytes are split into rows that cover them, a row that comes in pieces is the row that comes whole, and what
 * is written is read back. The first byte chooses the delimiter, the second where the text is cut.
 */
#include <stdlib.h>

#include "connectors/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

/* The part of a row must ask for more or find the same row. */
static void check_part(struct df_str text, size_t part, char delimiter, const struct df_csv_row *whole)
{
	struct df_csv_row row = { 0 };

	if (part == 0 || part >= text.len)
		return;
	switch (df_csv_read(df_str(text.ptr, part), delimiter, false, &row)) {
	case DF_CSV_ROW:
		check(row.len == whole->len && row.count == whole->count && !row.bad == !whole->bad);
		for (size_t i = 0; i < row.count; i++)
			check(df_str_equal(row.fields[i].text, whole->fields[i].text));
		break;
	case DF_CSV_MORE:
		check(part <= whole->len || whole->len == text.len);
		break;
	case DF_CSV_NO_MEMORY:
		break;
	}
	df_csv_row_done(&row);
}

static void check_round_trip(const struct df_csv_row *row, char delimiter, struct df_arena *arena)
{
	struct df_csv_row again = { 0 };
	struct df_buf buf = { 0 };

	for (size_t i = 0; i < row->count; i++) {
		if (i > 0)
			df_buf_add_char(&buf, delimiter);
		df_csv_write(df_csv_text(&row->fields[i], arena), delimiter, &buf);
	}
	df_buf_add_char(&buf, '\n');
	check(!buf.failed && df_csv_read(df_buf_str(&buf), delimiter, false, &again) == DF_CSV_ROW);
	check(!again.bad && again.count == row->count && again.len == buf.len);
	for (size_t i = 0; i < row->count; i++)
		check(df_str_equal(df_csv_text(&row->fields[i], arena), df_csv_text(&again.fields[i], arena)));
	df_csv_row_done(&again);
	df_buf_done(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char delimiters[] = ",;\t|";
	struct df_csv_row row = { 0 };
	struct df_arena arena;

	if (size < 2)
		return 0;
	char delimiter = delimiters[data[0] % 4];
	size_t cut = data[1];
	struct df_str text = df_str((const char *)data + 2, size - 2);

	df_arena_init(&arena, NULL);
	while (text.len > 0) {
		check(df_csv_read(text, delimiter, true, &row) == DF_CSV_ROW);
		check(row.len > 0 && row.len <= text.len && row.count > 0);
		check_part(text, cut, delimiter, &row);
		check_round_trip(&row, delimiter, &arena);
		text = df_str(text.ptr + row.len, text.len - row.len);
	}
	df_csv_row_done(&row);
	df_arena_done(&arena);
	return 0;
}
