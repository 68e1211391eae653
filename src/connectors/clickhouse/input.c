#include "connectors/clickhouse/input.h"

#include <string.h>

static int at_end(struct df_ch_input *in, struct df_error *err)
{
	(void)in;
	return df_error_set(err, DF_ERR_CONNECTION, "the answer ends in the middle");
}

void df_ch_input_init(struct df_ch_input *in, struct df_str bytes)
{
	in->pos = (const uint8_t *)bytes.ptr;
	in->end = in->pos + bytes.len;
	in->more = at_end;
}

int df_ch_read_slow_varint(struct df_ch_input *in, uint64_t *ret, struct df_error *err)
{
	uint64_t n = 0;
	uint8_t byte = 0x80;

	for (unsigned shift = 0; byte & 0x80; shift += 7) {
		int code = df_ch_read_byte(in, &byte, err);
		if (code != 0)
			return code;
		if (shift > 63 || (shift == 63 && byte > 1))
			return df_error_set(err, DF_ERR_CONNECTION,
					    "a number of more than 64 bits: this is not the "
					    "native protocol, or bytes were lost");
		n |= (uint64_t)(byte & 0x7f) << shift;
	}
	*ret = n;
	return 0;
}

int df_ch_read(struct df_ch_input *in, void *to, size_t len, struct df_error *err)
{
	uint8_t *out = to;

	while (len) {
		size_t n = (size_t)(in->end - in->pos);
		if (n == 0) {
			int code = in->more(in, err);
			if (code != 0)
				return code;
			continue;
		}
		if (n > len)
			n = len;
		memcpy(out, in->pos, n);
		in->pos += n;
		out += n;
		len -= n;
	}
	return 0;
}

int df_ch_skip(struct df_ch_input *in, uint64_t len, struct df_error *err)
{
	while (len) {
		size_t n = (size_t)(in->end - in->pos);
		if (n == 0) {
			int code = in->more(in, err);
			if (code != 0)
				return code;
			continue;
		}
		if (n > len)
			n = (size_t)len;
		in->pos += n;
		len -= n;
	}
	return 0;
}

static int read_length(struct df_ch_input *in, uint64_t *ret, struct df_error *err)
{
	int code = df_ch_read_varint(in, ret, err);

	if (code == 0 && *ret > DF_CH_STRING_MAX)
		return df_error_set(err, DF_ERR_CONNECTION, "a text of %llu bytes: this is not the native protocol",
				    (unsigned long long)*ret);
	return code;
}

int df_ch_read_string(struct df_ch_input *in, struct df_buf *to, struct df_error *err)
{
	uint64_t len = 0;
	int code = read_length(in, &len, err);

	if (code != 0)
		return code;
	to->len = 0;
	/* Room for what is there, not for what is announced. */
	while (len) {
		char piece[4096];
		size_t n = len < sizeof(piece) ? (size_t)len : sizeof(piece);
		code = df_ch_read(in, piece, n, err);
		if (code != 0)
			return code;
		df_buf_add(to, piece, n);
		len -= n;
	}
	return to->failed ? df_error_no_memory(err) : 0;
}

int df_ch_skip_string(struct df_ch_input *in, struct df_error *err)
{
	uint64_t len = 0;
	int code = read_length(in, &len, err);

	return code == 0 ? df_ch_skip(in, len, err) : code;
}

/* ---- writing --------------------------------------------------------------------------------------------- */

size_t df_ch_put_varint(uint8_t out[DF_CH_VARINT_MAX], uint64_t n)
{
	size_t len = 0;

	while (n >= 0x80) {
		out[len++] = (uint8_t)(n | 0x80);
		n >>= 7;
	}
	out[len++] = (uint8_t)n;
	return len;
}

void df_ch_add_varint(struct df_buf *buf, uint64_t n)
{
	uint8_t out[DF_CH_VARINT_MAX];

	df_buf_add(buf, out, df_ch_put_varint(out, n));
}

void df_ch_add_string(struct df_buf *buf, struct df_str s)
{
	df_ch_add_varint(buf, s.len);
	df_buf_add_str(buf, s);
}

void df_ch_add_c(struct df_buf *buf, const char *text)
{
	df_ch_add_string(buf, df_str_c(text));
}
