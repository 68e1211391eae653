#include "connectors/clickhouse/wide.h"

#include <string.h>

#define LIMBS 4 /* of 64 bits, lowest first */
#define CHUNK UINT64_C(1000000000000000000)
#define CHUNK_DIGITS 18

typedef unsigned __int128 u128;

static void load(uint64_t limbs[LIMBS], const uint8_t *value, size_t size, bool negative)
{
	memset(limbs, negative ? 0xff : 0, LIMBS * sizeof(limbs[0]));
	memcpy(limbs, value, size);
}

static void negate(uint64_t limbs[LIMBS])
{
	unsigned carry = 1;

	for (size_t i = 0; i < LIMBS; i++) {
		limbs[i] = ~limbs[i] + carry;
		carry = carry && limbs[i] == 0;
	}
}

/* Divides in place by CHUNK; returns the remainder. */
static uint64_t divide(uint64_t limbs[LIMBS])
{
	u128 rest = 0;

	for (size_t i = LIMBS; i-- > 0;) {
		u128 n = rest << 64 | limbs[i];
		limbs[i] = (uint64_t)(n / CHUNK);
		rest = n % CHUNK;
	}
	return (uint64_t)rest;
}

static bool is_zero(const uint64_t limbs[LIMBS])
{
	return !(limbs[0] | limbs[1] | limbs[2] | limbs[3]);
}

size_t df_ch_wide_text(const uint8_t *value, size_t size, bool is_signed, unsigned scale, char out[DF_CH_WIDE_TEXT])
{
	uint64_t limbs[LIMBS];
	char reversed[DF_CH_WIDE_TEXT];
	size_t n = 0;
	size_t len = 0;
	bool negative = is_signed && value[size - 1] & 0x80;

	load(limbs, value, size, negative);
	if (negative)
		negate(limbs);
	if (!(limbs[1] | limbs[2] | limbs[3])) {
		/* Nearly all. */
		for (uint64_t rest = limbs[0]; rest; rest /= 10)
			reversed[n++] = (char)('0' + rest % 10);
		limbs[0] = 0;
	}
	while (!is_zero(limbs)) {
		uint64_t chunk = limbs[0];
		bool last = !(limbs[1] | limbs[2] | limbs[3]) && chunk < CHUNK;
		if (last)
			limbs[0] = 0;
		else
			chunk = divide(limbs);
		for (unsigned i = 0; last ? chunk != 0 : i < CHUNK_DIGITS; i++, chunk /= 10)
			reversed[n++] = (char)('0' + chunk % 10);
	}
	while (n <= scale)
		reversed[n++] = '0';
	if (negative)
		out[len++] = '-';
	while (n > 0) {
		out[len++] = reversed[--n];
		if (n == scale && scale)
			out[len++] = '.';
	}
	return len;
}

/* ---- parsing --------------------------------------------------------------------------------------------- */

/* limbs = limbs * 10 + digit; false when it overflows. */
static bool append(uint64_t limbs[LIMBS], unsigned digit)
{
	u128 carry = digit;

	for (size_t i = 0; i < LIMBS; i++) {
		u128 n = (u128)limbs[i] * 10 + carry;
		limbs[i] = (uint64_t)n;
		carry = n >> 64;
	}
	return carry == 0;
}

/* The exponent of a JSON number, kept within what matters. */
static int64_t exponent_of(struct df_str text)
{
	bool negative = text.len && text.ptr[0] == '-';
	int64_t n = 0;

	for (size_t i = text.len && (negative || text.ptr[0] == '+'); i < text.len && n < 1000000; i++)
		n = n * 10 + (text.ptr[i] - '0');
	return negative ? -n : n;
}

/* Does the magnitude fit? */
static bool fits(const uint64_t limbs[LIMBS], size_t size, bool is_signed, bool negative)
{
	uint64_t most[LIMBS] = { 0 }; /* the greatest magnitude */
	size_t bits = size * 8 - is_signed;

	if (negative && !is_signed)
		return is_zero(limbs);
	for (size_t i = 0; i < LIMBS; i++)
		most[i] = bits >= (i + 1) * 64 ? UINT64_MAX : bits > i * 64 ? (UINT64_C(1) << (bits - i * 64)) - 1 : 0;
	if (negative)
		for (size_t i = 0; i < LIMBS && ++most[i] == 0; i++)
			;
	for (size_t i = LIMBS; i-- > 0;)
		if (limbs[i] != most[i])
			return limbs[i] < most[i];
	return true;
}

enum df_ch_wide_result df_ch_wide_parse(struct df_str number, unsigned scale, unsigned max_digits, size_t size,
					bool is_signed, uint8_t *ret)
{
	uint64_t limbs[LIMBS] = { 0 };
	bool negative = number.len && number.ptr[0] == '-';
	size_t mantissa = negative;
	int64_t point = -1; /* digits before the point */
	int64_t digits = 0;
	unsigned significant = 0;

	while (mantissa < number.len && (number.ptr[mantissa] | 0x20) != 'e')
		mantissa++;
	int64_t exponent =
		mantissa < number.len ? exponent_of(df_str(number.ptr + mantissa + 1, number.len - mantissa - 1)) : 0;
	for (size_t i = negative; i < mantissa; i++) {
		if (number.ptr[i] == '.')
			point = digits;
		else
			digits++;
	}
	/* Digits up to this one are of the integer, the others must be zeros. */
	int64_t whole = (point < 0 ? digits : point) + exponent + scale;
	int64_t at = 0;

	for (size_t i = negative; i < mantissa; i++) {
		unsigned digit = (unsigned)(number.ptr[i] - '0');
		if (number.ptr[i] == '.')
			continue;
		if (at++ >= whole) {
			if (digit)
				return DF_CH_WIDE_FRACTION;
			continue;
		}
		significant += significant || digit;
		if (!append(limbs, digit))
			return DF_CH_WIDE_RANGE;
	}
	for (; at < whole && !is_zero(limbs); at++, significant++)
		if (!append(limbs, 0))
			return DF_CH_WIDE_RANGE;
	if ((max_digits && significant > max_digits) || !fits(limbs, size, is_signed, negative))
		return DF_CH_WIDE_RANGE;
	if (negative)
		negate(limbs);
	memcpy(ret, limbs, size);
	return DF_CH_WIDE_OK;
}
