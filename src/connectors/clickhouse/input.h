/*
 * Bytes that come in pieces, and what both transports read from them: variable-length integers and strings of the
 * native protocol (ClickHouse's VarInt.h: 7 bits a byte, lowest first, the top bit says that more follow).
 */
#ifndef DF_CONNECTORS_CLICKHOUSE_INPUT_H
#define DF_CONNECTORS_CLICKHOUSE_INPUT_H

#include "base/error.h"
#include "base/str.h"

struct df_ch_input {
	const uint8_t *pos, *end;
	/* Called when pos == end: sets both to at least one byte more. DF_ERR_CONNECTION at the end of the bytes. */
	int (*more)(struct df_ch_input *in, struct df_error *err);
};

/* Names and texts of packets; data has limits of its own. */
#define DF_CH_STRING_MAX ((size_t)16 << 20)

/* Over fixed bytes: tests, buffered answers. */
void df_ch_input_init(struct df_ch_input *in, struct df_str bytes);

int df_ch_read_slow_varint(struct df_ch_input *in, uint64_t *ret, struct df_error *err) df_must_check;
int df_ch_read(struct df_ch_input *in, void *to, size_t len, struct df_error *err) df_must_check;
int df_ch_skip(struct df_ch_input *in, uint64_t len, struct df_error *err) df_must_check;
/* Replaces what is in `to`. DF_ERR_CONNECTION when it is longer than DF_CH_STRING_MAX: not this protocol. */
int df_ch_read_string(struct df_ch_input *in, struct df_buf *to, struct df_error *err) df_must_check;
int df_ch_skip_string(struct df_ch_input *in, struct df_error *err) df_must_check;

static inline int df_ch_read_varint(struct df_ch_input *in, uint64_t *ret, struct df_error *err)
{
	if (in->pos < in->end && *in->pos < 0x80) {
		*ret = *in->pos++;
		return 0;
	}
	return df_ch_read_slow_varint(in, ret, err);
}

static inline int df_ch_read_byte(struct df_ch_input *in, uint8_t *ret, struct df_error *err)
{
	if (in->pos == in->end) {
		int code = in->more(in, err);
		if (code != 0)
			return code;
	}
	*ret = *in->pos++;
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------------------- */

#define DF_CH_VARINT_MAX 10
size_t df_ch_put_varint(uint8_t out[DF_CH_VARINT_MAX], uint64_t n);
void df_ch_add_varint(struct df_buf *buf, uint64_t n);
void df_ch_add_string(struct df_buf *buf, struct df_str s);
void df_ch_add_c(struct df_buf *buf, const char *text);

#endif
