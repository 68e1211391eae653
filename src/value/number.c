/*
 * Numbers as decimal text, exactly. Every function is linear in the length of the text and allocates nothing; the
 * digits of the mantissa and those of the exponent may both be arbitrarily many.
 *
 * A number that is not zero is taken as 0.d1d2d3... * 10^magnitude with d1 != 0; its magnitude is the exponent as
 * written plus a shift that comes from the place of the point and is bounded by the length of the text.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "value/value.h"

/* An exponent this far out is as good as infinite: no mantissa that fits into memory brings it back. */
#define EXPONENT_FAR ((int64_t)1 << 56)
/* No double and no midpoint of two has more significant digits (767); one more digit stands for all that follow. */
#define SIGNIFICANT_MAX 800

struct decimal {
	bool negative;
	bool exponent_negative;
	const char *digits;	/* the first digit that is not zero; NULL: the number is zero */
	const char *digits_end; /* behind the mantissa; a point may be in between */
	const char *exponent;	/* digits without leading zeros, may be empty */
	size_t exponent_len;
	int64_t shift;
};

static inline bool is_digit(char c)
{
	return (uint8_t)(c - '0') < 10;
}

bool df_number_valid(struct df_str text)
{
	const char *p = text.ptr;
	const char *end = p + text.len;

	if (p < end && *p == '-')
		p++;
	if (p == end || !is_digit(*p))
		return false;
	if (*p++ != '0') {
		while (p < end && is_digit(*p))
			p++;
	}
	if (p < end && *p == '.') {
		if (++p == end || !is_digit(*p))
			return false;
		while (p < end && is_digit(*p))
			p++;
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		if (++p < end && (*p == '+' || *p == '-'))
			p++;
		if (p == end || !is_digit(*p))
			return false;
		while (p < end && is_digit(*p))
			p++;
	}
	return p == end;
}

static void decimal_read(struct df_str text, struct decimal *d)
{
	const char *p = text.ptr;
	const char *end = p + text.len;
	const char *point = NULL;

	*d = (struct decimal){ 0 };
	if (p < end && *p == '-') {
		d->negative = true;
		p++;
	}
	for (; p < end && (is_digit(*p) || *p == '.'); p++) {
		if (*p == '.')
			point = p;
		else if (!d->digits && *p != '0')
			d->digits = p;
	}
	d->digits_end = p;
	if (!d->digits)
		return;
	if (!point)
		d->shift = p - d->digits;
	else if (point > d->digits)
		d->shift = point - d->digits;
	else
		d->shift = -(d->digits - point - 1);

	if (p < end)
		p++;
	if (p < end && (*p == '+' || *p == '-'))
		d->exponent_negative = *p++ == '-';
	while (p < end && *p == '0')
		p++;
	d->exponent = p;
	d->exponent_len = (size_t)(end - p);
}

/* The magnitude, cut off at +-EXPONENT_FAR. */
static int64_t decimal_magnitude(const struct decimal *d)
{
	int64_t exponent = 0;

	for (size_t i = 0; i < d->exponent_len; i++) {
		exponent = exponent * 10 + (d->exponent[i] - '0');
		if (exponent > EXPONENT_FAR) {
			exponent = EXPONENT_FAR;
			break;
		}
	}
	return (d->exponent_negative ? -exponent : exponent) + d->shift;
}

/* Exponent of a minus exponent of b, as written, cut off at +-EXPONENT_FAR. */
static int64_t exponent_difference(const struct decimal *a, const struct decimal *b)
{
	size_t len = a->exponent_len > b->exponent_len ? a->exponent_len : b->exponent_len;
	int64_t difference = 0;

	/* A difference of two or more only grows with every further digit, so it may be cut off. */
	for (size_t i = len; i-- > 0;) {
		int digit_a = i < a->exponent_len ? a->exponent[a->exponent_len - 1 - i] - '0' : 0;
		int digit_b = i < b->exponent_len ? b->exponent[b->exponent_len - 1 - i] - '0' : 0;
		difference = difference * 10 + (a->exponent_negative ? -digit_a : digit_a) -
			     (b->exponent_negative ? -digit_b : digit_b);
		if (difference > EXPONENT_FAR)
			return EXPONENT_FAR;
		if (difference < -EXPONENT_FAR)
			return -EXPONENT_FAR;
	}
	return difference;
}

/* The next digit of a mantissa; 0 when there are no more. */
static inline char digit_next(const char **p, const char *end)
{
	if (*p < end && **p == '.')
		++*p;
	return *p < end ? *(*p)++ : '0';
}

static int digits_compare(const struct decimal *a, const struct decimal *b)
{
	const char *p = a->digits;
	const char *q = b->digits;

	while (p < a->digits_end || q < b->digits_end) {
		char digit_a = digit_next(&p, a->digits_end);
		char digit_b = digit_next(&q, b->digits_end);
		if (digit_a != digit_b)
			return digit_a < digit_b ? -1 : 1;
	}
	return 0;
}

int df_number_compare(struct df_str a, struct df_str b)
{
	struct decimal x;
	struct decimal y;

	if (df_str_equal(a, b))
		return 0;
	decimal_read(a, &x);
	decimal_read(b, &y);

	int sign_x = !x.digits ? 0 : x.negative ? -1 : 1;
	int sign_y = !y.digits ? 0 : y.negative ? -1 : 1;
	if (sign_x != sign_y)
		return sign_x < sign_y ? -1 : 1;
	if (sign_x == 0)
		return 0;

	int64_t difference = exponent_difference(&x, &y) + x.shift - y.shift;
	int order = difference ? (difference < 0 ? -1 : 1) : digits_compare(&x, &y);
	return x.negative ? -order : order;
}

bool df_number_is_zero(struct df_str text)
{
	struct decimal d;

	decimal_read(text, &d);
	return !d.digits;
}

bool df_number_to_int64(struct df_str text, int64_t *ret)
{
	struct decimal d;

	decimal_read(text, &d);
	if (!d.digits) {
		*ret = 0;
		return true;
	}
	int64_t magnitude = decimal_magnitude(&d);
	if (magnitude < 1 || magnitude > 19)
		return false;

	const char *p = d.digits;
	uint64_t value = 0;
	for (int64_t i = 0; i < magnitude; i++)
		value = value * 10 + (uint64_t)(digit_next(&p, d.digits_end) - '0');
	while (p < d.digits_end) {
		if (digit_next(&p, d.digits_end) != '0')
			return false;
	}
	if (value > (uint64_t)INT64_MAX + d.negative)
		return false;
	*ret = (int64_t)(d.negative ? 0 - value : value);
	return true;
}

/* Clinger's fast path: both the digits and the power of ten are exact doubles, so that one rounding is all there is. */
static bool double_fast(struct df_str text, double *ret)
{
	static const double power[] = { 1e0,  1e1,  1e2,  1e3,	1e4,  1e5,  1e6,  1e7,	1e8,  1e9,  1e10, 1e11,
					1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
	size_t i = 0;
	bool negative = text.len > 0 && text.ptr[0] == '-';
	uint64_t digits = 0;
	int scale = 0;
	bool fraction = false;

	if (text.len > 18 || FLT_EVAL_METHOD != 0)
		return false;
	for (i = negative; i < text.len; i++) {
		if (is_digit(text.ptr[i])) {
			digits = digits * 10 + (uint64_t)(text.ptr[i] - '0');
			scale += fraction;
		} else if (text.ptr[i] == '.') {
			fraction = true;
		} else {
			return false;
		}
	}
	if (digits > (uint64_t)1 << DBL_MANT_DIG)
		return false;
	double value = (double)digits / power[scale];
	*ret = negative ? -value : value;
	return true;
}

bool df_number_to_double(struct df_str text, double *ret)
{
	struct decimal d;
	char copy[SIGNIFICANT_MAX + 32];
	size_t len = 0;

	if (double_fast(text, ret))
		return true;
	decimal_read(text, &d);
	if (!d.digits) {
		*ret = d.negative ? -0.0 : 0.0;
		return true;
	}
	int64_t magnitude = decimal_magnitude(&d);
	if (magnitude > 400)
		return false;
	if (magnitude < -400) {
		*ret = d.negative ? -0.0 : 0.0;
		return true;
	}

	/* strtod gets an integer with an exponent: there is no point in it, so the locale does not matter. */
	const char *p = d.digits;
	while (p < d.digits_end && len < SIGNIFICANT_MAX)
		copy[len++] = digit_next(&p, d.digits_end);
	bool more = false;
	while (p < d.digits_end && !more)
		more = digit_next(&p, d.digits_end) != '0';
	if (more)
		copy[len++] = '1';
	snprintf(copy + len, sizeof(copy) - len, "e%d", (int)(magnitude - (int64_t)len));

	double value = strtod(copy, NULL);
	if (isinf(value))
		return false;
	*ret = d.negative ? -value : value;
	return true;
}

/* Both digits of each number below 100: half as many divisions. */
static const char digit_pairs[] = "0001020304050607080910111213141516171819"
				  "2021222324252627282930313233343536373839"
				  "4041424344454647484950515253545556575859"
				  "6061626364656667686970717273747576777879"
				  "8081828384858687888990919293949596979899";

/* How many digits: the logarithm of base 2 gives it but for one (Hacker's Delight, 11-4). */
static size_t count_digits(uint64_t u)
{
	static const uint64_t powers[] = {
		0,
		UINT64_C(10),
		UINT64_C(100),
		UINT64_C(1000),
		UINT64_C(10000),
		UINT64_C(100000),
		UINT64_C(1000000),
		UINT64_C(10000000),
		UINT64_C(100000000),
		UINT64_C(1000000000),
		UINT64_C(10000000000),
		UINT64_C(100000000000),
		UINT64_C(1000000000000),
		UINT64_C(10000000000000),
		UINT64_C(100000000000000),
		UINT64_C(1000000000000000),
		UINT64_C(10000000000000000),
		UINT64_C(100000000000000000),
		UINT64_C(1000000000000000000),
		UINT64_C(10000000000000000000),
	};
	size_t log10 = (64 - (size_t)__builtin_clzll(u | 1)) * 1233 >> 12;

	return log10 + (u >= powers[log10]);
}

size_t df_number_from_int64(int64_t i, char *out)
{
	uint64_t rest = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
	size_t len = count_digits(rest) + (i < 0);
	char *at = out + len;

	if (i < 0)
		*out = '-';
	for (; rest >= 100; rest /= 100)
		memcpy(at -= 2, digit_pairs + rest % 100 * 2, 2);
	if (rest >= 10)
		memcpy(at - 2, digit_pairs + rest * 2, 2);
	else
		at[-1] = (char)('0' + rest);
	return len;
}

/* Lays out 0.DIGITS * 10^magnitude as ECMAScript's Number::toString does (ECMA-262, 6.1.6.1.20). */
static size_t format_digits(bool negative, const char *digits, int n, int magnitude, char *out)
{
	char *p = out;

	if (negative)
		*p++ = '-';
	if (magnitude > 0 && magnitude <= 21) {
		for (int i = 0; i < n || i < magnitude; i++) {
			if (i == magnitude)
				*p++ = '.';
			*p++ = i < n ? digits[i] : '0';
		}
		return (size_t)(p - out);
	}
	if (magnitude > -6 && magnitude <= 0) {
		*p++ = '0';
		*p++ = '.';
		for (int i = magnitude; i < 0; i++)
			*p++ = '0';
		memcpy(p, digits, (size_t)n);
		return (size_t)(p + n - out);
	}
	*p++ = digits[0];
	if (n > 1) {
		*p++ = '.';
		memcpy(p, digits + 1, (size_t)n - 1);
		p += n - 1;
	}
	*p++ = 'e';
	*p++ = magnitude - 1 < 0 ? '-' : '+';
	p += df_number_from_int64(magnitude - 1 < 0 ? 1 - magnitude : magnitude - 1, p);
	return (size_t)(p - out);
}

/* The first precision from `least` to `most` whose text reads back. */
static size_t format_shortest(double d, bool single, int least, int most, char *out)
{
	char text[64];
	char digits[32];
	int n = 0;
	int exponent = 0;

	for (int precision = least; precision <= most; precision++) {
		snprintf(text, sizeof(text), "%.*e", precision - 1, fabs(d));
		const char *p = text;
		n = 0;
		for (; *p && *p != 'e'; p++) { /* the point may be anything: the locale chooses it */
			if (is_digit(*p))
				digits[n++] = *p;
		}
		exponent = atoi(p + 1);

		char back[48];
		snprintf(back, sizeof(back), "%.*se%d", n, digits, exponent - n + 1);
		if (single ? (double)strtof(back, NULL) == fabs(d) : strtod(back, NULL) == fabs(d))
			break;
	}
	while (n > 1 && digits[n - 1] == '0')
		n--;
	return format_digits(signbit(d), digits, n, exponent + 1, out);
}

static size_t format_zero(double d, char *out)
{
	return format_digits(signbit(d), "0", 1, 1, out);
}

size_t df_number_from_double(double d, char *out)
{
	if (d == 0)
		return format_zero(d, out);
	if (fabs(d) < 9007199254740992.0 && d == (double)(int64_t)d)
		return df_number_from_int64((int64_t)d, out);
	/* A decimal of up to 15 digits survives a normal double, so that 15 digits find it; subnormals have fewer. */
	return format_shortest(d, false, fabs(d) < DBL_MIN ? 1 : DBL_DIG, DBL_DIG + 2, out);
}

size_t df_number_from_float(float f, char *out)
{
	double d = (double)f;

	if (d == 0)
		return format_zero(d, out);
	return format_shortest(d, true, fabs(d) < (double)FLT_MIN ? 1 : FLT_DIG, FLT_DIG + 3, out);
}
