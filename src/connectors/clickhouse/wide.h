/* Integers of 1 to 32 bytes, little endian, and decimal text: Int8 to UInt256, and the Decimals, which are integers
 * with a scale. Nothing is rounded. */
#ifndef DF_CONNECTORS_CLICKHOUSE_WIDE_H
#define DF_CONNECTORS_CLICKHOUSE_WIDE_H

#include "base/str.h"

#define DF_CH_WIDE_MAX 32   /* bytes */
#define DF_CH_WIDE_TEXT 128 /* bytes of text at most */

/* Writes the decimal text of value / 10^scale with exactly `scale` fraction digits; returns the length. */
size_t df_ch_wide_text(const uint8_t *value, size_t size, bool is_signed, unsigned scale, char out[DF_CH_WIDE_TEXT]);

enum df_ch_wide_result {
	DF_CH_WIDE_OK,
	DF_CH_WIDE_FRACTION, /* digits beyond the scale that are not zero */
	DF_CH_WIDE_RANGE,    /* too large for the size, or for max_digits */
};

/* Reads a JSON number (digits, fraction, exponent) as an integer of number * 10^scale. max_digits: of the integer, 0:
 * no limit but the size. */
enum df_ch_wide_result df_ch_wide_parse(struct df_str number, unsigned scale, unsigned max_digits, size_t size,
					bool is_signed, uint8_t *ret);

#endif
