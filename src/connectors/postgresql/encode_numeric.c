/*
 * Decimal text to the binary form of numeric: groups of four digits around the point (numeric_recv in PostgreSQL's
 * src/backend/utils/adt/numeric.c; limits from the manual, section 8.1.2).
 */
#include "connectors/postgresql/encode_internal.h"

#define DIGITS_BEFORE_MAX 131072
#define DIGITS_BEHIND_MAX 16383
#define EXPONENT_MAX 1000000 /* beyond every limit */

enum sign { POSITIVE = 0x0000, NEGATIVE = 0x4000, NAN_SIGN = 0xc000, PLUS_INFINITY = 0xd000, MINUS_INFINITY = 0xf000 };

/* A number taken apart: all digits d[0..count) as written, the point stands before d[point]. */
struct decimal {
	bool negative;
	const char *text;    /* of the digits; one '.' may be among them */
	int64_t point_char;  /* index of that '.', or count */
	int64_t count;	     /* digits */
	int64_t point;	     /* may be negative or beyond count */
	int64_t first, last; /* the first and last digit that is not zero; first == count: zero */
	int64_t scale;	     /* digits behind the point as written, after the exponent moved it */
};

static int digit_at(const struct decimal *d, int64_t i)
{
	if (i < 0 || i >= d->count)
		return 0;
	return d->text[i + (i >= d->point_char)] - '0';
}

/* text is a JSON number. */
static void decimal_read(struct df_str text, struct decimal *d)
{
	const char *p = text.ptr, *end = text.ptr + text.len;
	int64_t exponent = 0;

	*d = (struct decimal){ .negative = *p == '-' };
	d->text = p += d->negative;
	d->point_char = -1;
	for (; p < end && *p != 'e' && *p != 'E'; p++)
		if (*p == '.')
			d->point_char = p - d->text;
	d->count = p - d->text - (d->point_char >= 0);
	if (d->point_char < 0)
		d->point_char = d->count;
	if (p < end) {
		bool down = p[1] == '-';
		for (p += 1 + (p[1] == '-' || p[1] == '+'); p < end && exponent < EXPONENT_MAX; p++)
			exponent = exponent * 10 + (*p - '0');
		exponent = down ? -exponent : exponent;
	}
	d->point = d->point_char + exponent;
	d->scale = d->count - d->point > 0 ? d->count - d->point : 0;
	while (d->first < d->count && digit_at(d, d->first) == 0)
		d->first++;
	d->last = d->count - 1;
	while (d->last > d->first && digit_at(d, d->last) == 0)
		d->last--;
}

/* numeric(precision, scale): the fraction fits the scale, what stands before the point fits the rest. */
static int check_modifier(const struct decimal *d, int32_t modifier, int64_t *ret_scale, struct df_error *err)
{
	int precision = (modifier - 4) >> 16 & 0xffff;
	int scale = (((modifier - 4) & 0x7ff) ^ 1024) - 1024;

	*ret_scale = scale > 0 ? scale : 0;
	if (d->first == d->count)
		return 0;
	if (d->last + 1 - d->point > scale)
		return df_pg_refuse(err, DF_PG_RANGE, "the number has more than %d digits behind the point", scale);
	if (d->point - d->first > precision - scale)
		return df_pg_refuse(err, DF_PG_RANGE, "the number has more than %d digits before the point",
				    precision - scale);
	return 0;
}

static int64_t floor_div4(int64_t n)
{
	return n >= 0 ? n / 4 : -((3 - n) / 4);
}

static void add_header(struct df_buf *out, int64_t count, int64_t weight, enum sign sign, int64_t scale)
{
	char header[8];

	df_pg_put16(header, (uint16_t)count);
	df_pg_put16(header + 2, (uint16_t)weight);
	df_pg_put16(header + 4, (uint16_t)sign);
	df_pg_put16(header + 6, (uint16_t)scale);
	df_pg_add(out, header, sizeof(header));
}

static int add_number(struct df_str text, int32_t modifier, struct df_buf *out, struct df_error *err)
{
	struct decimal d;

	decimal_read(text, &d);
	int64_t scale = d.scale;
	int code = modifier >= 4 ? check_modifier(&d, modifier, &scale, err) : 0;
	if (code != 0)
		return code;
	if (d.first == d.count) {
		add_header(out, 0, 0, POSITIVE, scale > DIGITS_BEHIND_MAX ? DIGITS_BEHIND_MAX : scale);
		return 0;
	}
	if (d.point - d.first > DIGITS_BEFORE_MAX || d.last + 1 - d.point > DIGITS_BEHIND_MAX)
		return df_pg_refuse(err, DF_PG_RANGE, "the number has more digits than numeric holds");
	if (scale > DIGITS_BEHIND_MAX)
		scale = DIGITS_BEHIND_MAX;

	int64_t highest = floor_div4(d.point - 1 - d.first);
	int64_t lowest = floor_div4(d.point - 1 - d.last);
	add_header(out, highest - lowest + 1, highest, d.negative ? NEGATIVE : POSITIVE, scale);
	for (int64_t group = highest; group >= lowest; group--) {
		int64_t at = d.point - 4 * (group + 1);
		int n = 0;
		for (int i = 0; i < 4; i++)
			n = n * 10 + digit_at(&d, at + i);
		df_pg_add16(out, (uint16_t)n);
	}
	return 0;
}

/* "NaN", "Infinity", "-Infinity". */
static bool special_sign(struct df_str text, enum sign *ret)
{
	if (df_str_equal_c(text, "NaN"))
		*ret = NAN_SIGN;
	else if (df_str_equal_c(text, "Infinity"))
		*ret = PLUS_INFINITY;
	else if (df_str_equal_c(text, "-Infinity"))
		*ret = MINUS_INFINITY;
	else
		return false;
	return true;
}

int df_pg_encode_numeric(DF_PG_ENCODE_ARGS)
{
	char local[DF_NUMBER_MAX];
	struct df_str text;
	enum sign sign;

	if (v->kind == DF_NUMBER && v->repr == DF_REPR_INT64)
		text = df_str(local, df_number_from_int64(v->int64, local));
	else if (v->kind == DF_NUMBER || (v->kind == DF_STRING && v->repr != DF_REPR_BYTES))
		text = df_value_text(v, arena);
	else
		return df_pg_refuse_kind(err, v, "a column of numbers");
	if (!text.ptr)
		return df_error_no_memory(err);
	if (v->kind == DF_NUMBER || df_number_valid(text))
		return add_number(text, f->modifier, out, err);
	if (!special_sign(text, &sign))
		return df_pg_refuse(err, DF_PG_BAD_TEXT, "the string is not a number");
	if (sign != NAN_SIGN && f->modifier >= 4)
		return df_pg_refuse(err, DF_PG_RANGE, "infinity does not fit a numeric with a precision");
	add_header(out, 0, 0, sign, 0);
	return 0;
}
