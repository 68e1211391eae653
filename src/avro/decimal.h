/* Decimals: Avro's big-endian two's complement with a scale, and decimal text. */
#ifndef DF_AVRO_DECIMAL_H
#define DF_AVRO_DECIMAL_H

#include "base/str.h"
#include "value/value.h"

#define DF_AVRO_DECIMAL_BYTES 1008 /* longest unscaled value: 2427 digits */
#define DF_AVRO_DECIMAL_TEXT 4900  /* enough for its text, whatever the scale (at most DF_AVRO_SCALE_MAX) */
#define DF_AVRO_SCALE_MAX 2400

/* Writes the text of the unscaled value with that scale to out, all fraction digits kept (10.50), and returns its
 * length. 0: the value is longer than DF_AVRO_DECIMAL_BYTES. No bytes at all are zero. */
size_t df_avro_decimal_to_text(struct df_str unscaled, uint32_t scale, char *out);

/*
 * The other way: the shortest two's complement of a JSON number times 10^scale to out (DF_AVRO_DECIMAL_BYTES), its
 * length to *ret_len. false: it has more fraction digits than the scale (zeros do not count), or more digits in all
 * than precision.
 */
bool df_avro_decimal_from_text(struct df_str number, uint32_t precision, uint32_t scale, uint8_t *out, size_t *ret_len);

#endif
