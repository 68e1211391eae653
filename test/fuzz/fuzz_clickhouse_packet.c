/* Packets of a ClickHouse server: any bytes behind a hello are packets or an error. The first byte chooses the
 * revision. */
#include <stdlib.h>

#include "connectors/clickhouse/packets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_packet(struct df_ch_input *in, uint64_t revision, struct df_ch_block *block)
{
	uint64_t type;
	int code = df_ch_read_varint(in, &type, NULL);

	if (code != 0)
		return code;
	switch (type) {
	case DF_CH_SERVER_DATA:
	case DF_CH_SERVER_LOG:
		code = df_ch_skip_string(in, NULL);
		return code == 0 ? df_ch_block_read(block, in, revision, NULL) : code;
	case DF_CH_SERVER_EXCEPTION:
		return df_ch_read_exception(in, "peer", NULL);
	case DF_CH_SERVER_PROGRESS:
		return df_ch_read_progress(in, revision, NULL);
	case DF_CH_SERVER_PROFILE_INFO:
		return df_ch_read_profile(in, NULL);
	default:
		return DF_ERR_CONNECTION;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct df_ch_server_hello hello = { 0 };
	struct df_ch_block block = { 0 };
	struct df_ch_input in;

	if (size == 0)
		return 0;
	df_ch_input_init(&in, df_str((const char *)data + 1, size - 1));
	if (data[0] & 1) {
		(void)!df_ch_read_hello(&in, "peer", &hello, NULL);
	} else {
		hello.revision = data[0] & 2 ? DF_CH_REVISION : 54412;
		while (read_packet(&in, hello.revision, &block) == 0)
			;
	}
	df_ch_block_done(&block);
	return 0;
}
