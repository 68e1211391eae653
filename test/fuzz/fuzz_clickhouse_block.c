/*
 * Blocks of ClickHouse: any bytes are a block or an error, in the form of either transport; every value of a block
 * becomes a node or an error, without reading outside it. The first byte chooses the revision, the second whether the
 * bytes come in compressed frames.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "connectors/clickhouse/block.h"
#include "connectors/clickhouse/compress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const struct df_ch_block *block)
{
	df_cleanup(df_arena_done) struct df_arena arena;
	df_cleanup(df_buf_done) struct df_buf text = { 0 };
	size_t rows = block->rows < 50 ? block->rows : 50;

	df_arena_init(&arena, NULL);
	for (size_t f = 0; f < block->count && f < 50; f++) {
		for (size_t row = 0; row < rows; row++) {
			struct df_value *v = NULL;
			bool not_utf8 = false;
			if (df_ch_value(&block->fields[f].column, row, &arena, &v, &not_utf8, NULL) != 0)
				continue;
			text.len = 0;
			df_value_write(v, &text);
			if (df_value_check(df_buf_str(&text)) == DF_PARSE_NOT_JSON)
				abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct df_ch_block block = { 0 };
	struct df_ch_frames frames = { 0 };
	struct df_ch_input in;

	if (size < 2)
		return 0;
	uint64_t revision = data[0] & 1 ? 54464 : data[0] & 2 ? 54412 : 0;
	df_ch_input_init(&in, df_str((const char *)data + 2, size - 2));
	df_ch_frames_init(&frames, &in);
	/* One block after the other: memory is kept between them. */
	for (int i = 0; i < 3; i++) {
		if (df_ch_block_read(&block, data[1] & 1 ? &frames.in : &in, revision, NULL) != 0)
			break;
		look_at(&block);
	}
	df_ch_block_done(&block);
	df_ch_frames_done(&frames);
	return 0;
}
