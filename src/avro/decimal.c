#include "avro/decimal.h"

#define LIMB 1000000000U
#define LIMBS (DF_AVRO_DECIMAL_BYTES / 4 + 1)

/* The bytes of a value without those that only repeat its sign. */
static struct df_str trim_sign(struct df_str s)
{
	const uint8_t *p = (const uint8_t *)s.ptr;

	while (s.len > 1 && ((p[0] == 0 && p[1] < 0x80) || (p[0] == 0xFF && p[1] >= 0x80))) {
		p++;
		s.len--;
	}
	return df_str((const char *)p, s.len);
}

/* The digits of a magnitude that fits 64 bits; returns where they begin before `end`. */
static char *digits_small(uint64_t magnitude, char *end)
{
	do {
		*--end = (char)('0' + magnitude % 10);
	} while (magnitude /= 10);
	return end;
}

/* The same for any: division of 32-bit words by 10^9, until nothing is left. */
static char *digits_large(struct df_str s, bool negative, char *end)
{
	uint32_t words[LIMBS] = { 0 };
	size_t count = (s.len + 3) / 4, first = 0;
	uint64_t carry = negative;

	for (size_t i = 0; i < count * 4; i++) { /* from the last byte on */
		uint8_t byte = i < s.len ? (uint8_t)s.ptr[s.len - 1 - i] : negative ? 0xFF : 0;

		words[count - 1 - i / 4] |= (uint32_t)byte << i % 4 * 8;
	}
	for (size_t i = count; negative && i-- > 0;) {
		carry += (uint32_t)~words[i];
		words[i] = (uint32_t)carry;
		carry >>= 32;
	}
	while (first < count && words[first] == 0)
		first++;
	while (first < count) {
		uint64_t rest = 0;

		for (size_t i = first; i < count; i++) {
			rest = rest << 32 | words[i];
			words[i] = (uint32_t)(rest / LIMB);
			rest %= LIMB;
		}
		while (first < count && words[first] == 0)
			first++;
		for (int i = 0; i < 9; i++, rest /= 10) {
			*--end = (char)('0' + rest % 10);
			if (first == count && rest < 10)
				break;
		}
	}
	return end;
}

size_t df_avro_decimal_to_text(struct df_str unscaled, uint32_t scale, char *out)
{
	char buffer[DF_AVRO_DECIMAL_TEXT];
	char *end = buffer + sizeof(buffer), *digits, *to = out;
	struct df_str s = trim_sign(unscaled);
	bool negative = s.len && (uint8_t)s.ptr[0] >= 0x80;
	size_t len;

	if (s.len > DF_AVRO_DECIMAL_BYTES)
		return 0;
	if (s.len <= 8) {
		uint64_t bits = negative ? UINT64_MAX : 0;

		for (size_t i = 0; i < s.len; i++)
			bits = bits << 8 | (uint8_t)s.ptr[i];
		digits = digits_small(negative ? 0 - bits : bits, end);
	} else {
		digits = digits_large(s, negative, end);
	}
	while ((size_t)(end - digits) <= scale)
		*--digits = '0';
	len = (size_t)(end - digits);
	if (negative)
		*to++ = '-';
	memcpy(to, digits, len - scale);
	to += len - scale;
	if (scale) {
		*to++ = '.';
		memcpy(to, digits + len - scale, scale);
		to += scale;
	}
	return (size_t)(to - out);
}

/* ---- from text ------------------------------------------------------------------------------------------- */

/* A JSON number taken apart: its digits without point, and the power of ten of the last one. */
struct number {
	bool negative;
	char digits[DF_AVRO_DECIMAL_TEXT];
	size_t count;
	int64_t exponent;
};

/* false: more significant digits than any precision has, or an exponent beyond reason. */
static bool take_apart(struct df_str text, struct number *n)
{
	size_t i = 0, zeros = 0;
	bool fraction = false;

	n->negative = text.len && text.ptr[0] == '-';
	n->count = 0;
	n->exponent = 0;
	for (i = n->negative; i < text.len && (text.ptr[i] | 0x20) != 'e'; i++) {
		if (text.ptr[i] == '.') {
			fraction = true;
			continue;
		}
		n->exponent -= fraction;
		if (text.ptr[i] == '0') { /* zeros count when another digit follows */
			zeros += n->count > 0;
			continue;
		}
		if (n->count + zeros >= sizeof(n->digits))
			return false;
		memset(n->digits + n->count, '0', zeros);
		n->count += zeros;
		zeros = 0;
		n->digits[n->count++] = text.ptr[i];
	}
	n->exponent += (int64_t)zeros;
	if (i < text.len) {
		struct df_str exponent = df_str(text.ptr + i + 1, text.len - i - 1);
		int64_t e;

		if (exponent.len && exponent.ptr[0] == '+')
			exponent = df_str(exponent.ptr + 1, exponent.len - 1);
		if (!df_str_to_int64(exponent, &e) || e > 100000 || e < -100000)
			return n->count == 0;
		n->exponent += e;
	}
	return true;
}

bool df_avro_decimal_from_text(struct df_str number, uint32_t precision, uint32_t scale, uint8_t *out, size_t *ret_len)
{
	uint32_t words[LIMBS] = { 0 }; /* little-endian */
	size_t used = 0, len;
	struct number n;
	int64_t shift;

	if (!df_number_valid(number) || !take_apart(number, &n))
		return false;
	shift = n.exponent + scale;
	if (n.count == 0) {
		*out = 0;
		*ret_len = 1;
		return true;
	}
	/* The last digit is not zero: what is right of the scale would be lost. */
	if (shift < 0 || (int64_t)n.count + shift > (int64_t)precision || precision > DF_AVRO_SCALE_MAX)
		return false;
	for (size_t i = 0; i < n.count + (size_t)shift; i++) {
		uint64_t carry = i < n.count ? (uint64_t)(n.digits[i] - '0') : 0;

		for (size_t w = 0; w < used || carry; w++) {
			carry += (uint64_t)words[w] * 10;
			words[w] = (uint32_t)carry;
			carry >>= 32;
			if (w == used)
				used++;
		}
	}
	if (n.negative) {
		uint64_t carry = 1;

		for (size_t w = 0; w < LIMBS; w++) {
			carry += (uint32_t)~words[w];
			words[w] = (uint32_t)carry;
			carry >>= 32;
		}
	}
	/* One word more than the magnitude has holds the sign; then what only repeats it goes. */
	len = (used + 1) * 4;
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(words[(len - 1 - i) / 4] >> (len - 1 - i) % 4 * 8);
	struct df_str trimmed = trim_sign(df_str((const char *)out, len));
	memmove(out, trimmed.ptr, trimmed.len);
	*ret_len = trimmed.len;
	return true;
}
