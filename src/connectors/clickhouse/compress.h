/*
 * Compressed frames, as the native protocol and HTTP's compress=1 and decompress=1 carry blocks (ClickHouse's
 * CompressedReadBuffer and ICompressionCodec):
 *
 *   16 bytes  CityHash128 of what follows
 *    1 byte   method: 0x02 none, 0x82 LZ4, 0x90 zstd
 *    4 bytes  size of this header (9) and the compressed bytes, little endian
 *    4 bytes  size when uncompressed
 *   the compressed bytes
 */
#ifndef DF_CONNECTORS_CLICKHOUSE_COMPRESS_H
#define DF_CONNECTORS_CLICKHOUSE_COMPRESS_H

#include "connectors/clickhouse/dsn.h"
#include "connectors/clickhouse/input.h"

#define DF_CH_FRAME_CHUNK ((size_t)1 << 20) /* bytes a frame of ours holds, uncompressed */
#define DF_CH_FRAME_MAX ((size_t)256 << 20) /* of either size of a frame that is read */

/* Frames as an input of their bytes. `from` is borrowed. */
struct df_ch_frames {
	struct df_ch_input in; /* first */
	struct df_ch_input *from;
	struct df_buf packed, plain;
};
void df_ch_frames_init(struct df_ch_frames *frames, struct df_ch_input *from);
void df_ch_frames_done(struct df_ch_frames *frames);

/* Bytes to frames: collects DF_CH_FRAME_CHUNK bytes and compresses them into `out`. */
struct df_ch_packer {
	enum df_ch_codec codec; /* LZ4 or ZSTD */
	int level;
	struct df_buf plain;
	void *zstd;
};
void df_ch_packer_done(struct df_ch_packer *packer);
/* Appends whole frames to out. flush: also what is left. */
void df_ch_pack(struct df_ch_packer *packer, struct df_str bytes, bool flush, struct df_buf *out);

#endif
