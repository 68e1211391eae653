/*
 * numeric: digits in base 10,000, the weight of the first one, the sign, and how many decimal digits stand behind the
 * point (numeric_send of src/backend/utils/adt/numeric.c).
 */
#include "connectors/postgresql/decode_internal.h"

#define HEADER 8
#define DIGITS 4 /* decimal ones in one of base 10,000 */
#define SIGN_POSITIVE 0x0000
#define SIGN_NEGATIVE 0x4000
#define SIGN_NAN 0xC000
#define SIGN_INFINITY 0xD000
#define SIGN_MINUS_INFINITY 0xF000
#define SCALE_MASK 0x3FFF

struct numeric {
	const char *digits;
	int count;
	int weight; /* of the first digit: 0 stands before the point */
	int scale;
};

/* Digit i, of base 10,000, where i counts from the first; those that are not sent are 0. Its four decimal digits are
 * written to out. False: it is none. */
static bool put_digit(const struct numeric *n, int i, char out[DIGITS])
{
	unsigned digit = i >= 0 && i < n->count ? df_pg_get16(n->digits + 2 * (size_t)i) : 0;

	if (digit > 9999)
		return false;
	out[0] = (char)('0' + digit / 1000);
	out[1] = (char)('0' + digit / 100 % 10);
	out[2] = (char)('0' + digit / 10 % 10);
	out[3] = (char)('0' + digit % 10);
	return true;
}

static int set_special(struct df_value *v, const char *text)
{
	return df_pg_set_text(v, DF_STRING, DF_LOGICAL_DECIMAL, DF_REPR_PLAIN, df_str_c(text));
}

/* Digit i has the weight n->weight - i. Returns the end, or NULL for a digit that is none. */
static char *write_digits(const struct numeric *n, char *out)
{
	char four[DIGITS];
	bool started = false;

	for (int i = 0; i <= n->weight; i++) {
		int skip = 0;

		if (!put_digit(n, i, four))
			return NULL;
		while (!started && skip < DIGITS && four[skip] == '0')
			skip++;
		started = started || skip < DIGITS;
		memcpy(out, four + skip, (size_t)(DIGITS - skip));
		out += DIGITS - skip;
	}
	if (!started)
		*out++ = '0';
	if (n->scale == 0)
		return out;
	*out++ = '.';
	for (int left = n->scale, i = n->weight + 1; left > 0; left -= DIGITS, i++) {
		int take = left < DIGITS ? left : DIGITS;

		if (!put_digit(n, i, four))
			return NULL;
		memcpy(out, four, (size_t)take);
		out += take;
	}
	return out;
}

int df_pg_decode_numeric(DF_PG_DECODE_ARGS)
{
	if (data.len < HEADER)
		return DF_ERR_INVALID_DATA;
	struct numeric n = {
		.digits = data.ptr + HEADER,
		.count = df_pg_get16(data.ptr),
		.weight = (int16_t)df_pg_get16(data.ptr + 2),
		.scale = df_pg_get16(data.ptr + 6) & SCALE_MASK,
	};
	unsigned sign = df_pg_get16(data.ptr + 4);

	if (data.len != HEADER + 2 * (size_t)n.count)
		return DF_ERR_INVALID_DATA;
	switch (sign) {
	case SIGN_POSITIVE:
	case SIGN_NEGATIVE:
		break;
	case SIGN_NAN:
		return set_special(v, "NaN");
	case SIGN_INFINITY:
		return set_special(v, "Infinity");
	case SIGN_MINUS_INFINITY:
		return set_special(v, "-Infinity");
	default:
		return DF_ERR_INVALID_DATA;
	}
	/* A sign, digits before the point (one at least), the point, digits behind it. */
	size_t before = n.weight < 0 ? 1 : ((size_t)n.weight + 1) * DIGITS;
	char *text = df_arena_alloc(arena, before + (size_t)n.scale + 2);
	if (!text)
		return DF_ERR_NO_MEMORY;
	char *at = text;
	if (sign == SIGN_NEGATIVE)
		*at++ = '-';
	at = write_digits(&n, at);
	if (!at)
		return DF_ERR_INVALID_DATA;
	return df_pg_set_text(v, DF_NUMBER, DF_LOGICAL_DECIMAL, DF_REPR_TEXT, df_str(text, (size_t)(at - text)));
}
