#include "connectors/clickhouse/compress.h"

#include <lz4.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "connectors/clickhouse/city.h"

#define CHECKSUM 16
#define HEADER 9

enum { METHOD_NONE = 0x02, METHOD_LZ4 = 0x82, METHOD_ZSTD = 0x90 };

/* ---- reading --------------------------------------------------------------------------------------------- */

static uint32_t load32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int damaged(struct df_error *err, const char *what)
{
	return df_error_set(err, DF_ERR_CONNECTION, "a compressed frame %s: bytes were changed on the way", what);
}

/* Undoes the compression of `size` bytes behind the header into exactly `plain` bytes. */
static int unpack(uint8_t method, const char *packed, size_t size, char *plain, size_t plain_size, struct df_error *err)
{
	switch (method) {
	case METHOD_NONE:
		if (size != plain_size)
			return damaged(err, "has a wrong size");
		memcpy(plain, packed, size);
		return 0;
	case METHOD_LZ4:
		if (LZ4_decompress_safe(packed, plain, (int)size, (int)plain_size) != (int)plain_size)
			return damaged(err, "is not LZ4");
		return 0;
	case METHOD_ZSTD:
		if (ZSTD_decompress(plain, plain_size, packed, size) != plain_size)
			return damaged(err, "is not zstd");
		return 0;
	default:
		return df_error_set(err, DF_ERR_CONFIG,
				    "the server compresses with method 0x%02x, which is not LZ4 or zstd; set "
				    "network_compression_method or compress=none",
				    method);
	}
}

static int next_frame(struct df_ch_input *in, struct df_error *err)
{
	struct df_ch_frames *f = DF_CONTAINER_OF(in, struct df_ch_frames, in);
	uint8_t head[CHECKSUM + HEADER];
	int code = df_ch_read(f->from, head, sizeof(head), err);

	if (code != 0)
		return code;
	size_t packed = load32(head + CHECKSUM + 1);
	size_t plain = load32(head + CHECKSUM + 5);
	if (packed < HEADER || packed > DF_CH_FRAME_MAX || plain > DF_CH_FRAME_MAX || plain == 0)
		return damaged(err, "has an impossible size");

	f->packed.len = f->plain.len = 0;
	char *data = df_buf_reserve(&f->packed, packed);
	char *to = df_buf_reserve(&f->plain, plain);
	if (!data || !to)
		return df_error_no_memory(err);
	memcpy(data, head + CHECKSUM, HEADER);
	code = df_ch_read(f->from, data + HEADER, packed - HEADER, err);
	if (code != 0)
		return code;
	struct df_ch_hash expected;
	struct df_ch_hash hash = df_ch_city128(data, packed);
	memcpy(&expected, head, sizeof(expected));
	if (hash.low != expected.low || hash.high != expected.high)
		return damaged(err, "does not have its checksum");
	code = unpack(head[CHECKSUM], data + HEADER, packed - HEADER, to, plain, err);
	in->pos = (const uint8_t *)to;
	in->end = in->pos + (code == 0 ? plain : 0);
	return code;
}

void df_ch_frames_init(struct df_ch_frames *frames, struct df_ch_input *from)
{
	frames->in = (struct df_ch_input){ .more = next_frame };
	frames->from = from;
}

void df_ch_frames_done(struct df_ch_frames *frames)
{
	df_buf_done(&frames->packed);
	df_buf_done(&frames->plain);
}

/* ---- writing --------------------------------------------------------------------------------------------- */

static void store32(uint8_t *p, uint32_t n)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(n >> (8 * i));
}

static size_t compress(struct df_ch_packer *p, struct df_str bytes, char *to, size_t cap)
{
	if (p->codec == DF_CH_CODEC_LZ4) {
		int n = LZ4_compress_default(bytes.ptr, to, (int)bytes.len, (int)cap);
		return n > 0 ? (size_t)n : 0;
	}
	if (!p->zstd)
		p->zstd = ZSTD_createCCtx();
	if (!p->zstd)
		return 0;
	size_t n = ZSTD_compressCCtx(p->zstd, to, cap, bytes.ptr, bytes.len, p->level ? p->level : 1);
	return ZSTD_isError(n) ? 0 : n;
}

static void add_frame(struct df_ch_packer *p, struct df_str bytes, struct df_buf *out)
{
	size_t bound =
		p->codec == DF_CH_CODEC_LZ4 ? (size_t)LZ4_compressBound((int)bytes.len) : ZSTD_compressBound(bytes.len);
	uint8_t *frame = (uint8_t *)df_buf_reserve(out, CHECKSUM + HEADER + bound);

	if (!frame)
		return;
	uint8_t *head = frame + CHECKSUM;
	size_t n = compress(p, bytes, (char *)head + HEADER, bound);
	if (n == 0) {
		out->failed = true;
		return;
	}
	head[0] = p->codec == DF_CH_CODEC_LZ4 ? METHOD_LZ4 : METHOD_ZSTD;
	store32(head + 1, (uint32_t)(n + HEADER));
	store32(head + 5, (uint32_t)bytes.len);
	struct df_ch_hash hash = df_ch_city128(head, n + HEADER);
	memcpy(frame, &hash, sizeof(hash));
	out->len += CHECKSUM + HEADER + n;
}

void df_ch_pack(struct df_ch_packer *p, struct df_str bytes, bool flush, struct df_buf *out)
{
	while (bytes.len) {
		/* Large runs are compressed where they are. */
		if (p->plain.len == 0 && bytes.len >= DF_CH_FRAME_CHUNK) {
			add_frame(p, df_str(bytes.ptr, DF_CH_FRAME_CHUNK), out);
			bytes = df_str(bytes.ptr + DF_CH_FRAME_CHUNK, bytes.len - DF_CH_FRAME_CHUNK);
			continue;
		}
		size_t n = DF_CH_FRAME_CHUNK - p->plain.len;
		if (n > bytes.len)
			n = bytes.len;
		df_buf_add(&p->plain, bytes.ptr, n);
		bytes = df_str(bytes.ptr + n, bytes.len - n);
		if (p->plain.len >= DF_CH_FRAME_CHUNK) {
			add_frame(p, df_buf_str(&p->plain), out);
			p->plain.len = 0;
		}
	}
	if (flush && p->plain.len) {
		add_frame(p, df_buf_str(&p->plain), out);
		p->plain.len = 0;
	}
	out->failed |= p->plain.failed;
}

void df_ch_packer_done(struct df_ch_packer *p)
{
	df_buf_done(&p->plain);
	ZSTD_freeCCtx(p->zstd);
	p->zstd = NULL;
}
