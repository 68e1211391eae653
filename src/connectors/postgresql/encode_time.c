/*
 * Dates, times and intervals from the text forms of the connectors reference, section 1: RFC 3339 and ISO 8601, also
 * with expanded years (+10000-01-01, -0043-03-15: the year 0 is 1 BC) and infinity. PostgreSQL counts days and
 * microseconds from 2000-01-01.
 */
#include "base/time.h"
#include "connectors/postgresql/encode_internal.h"

#define DAY_SECONDS 86400
#define EPOCH_DAYS 10957 /* from 1970-01-01 to 2000-01-01 */
#define MICROSECONDS INT64_C(1000000)

/* PostgreSQL's ranges (src/include/datatype/timestamp.h); days from 2000-01-01. */
#define DAY_MIN INT64_C(-2451545)	     /* 4714-11-24 BC */
#define DATE_END INT64_C(2145031949)	     /* 5874898-06-03 */
#define TIMESTAMP_DAY_END INT64_C(106751983) /* 294277-01-01 */

struct text {
	const char *p, *end;
};

static bool take(struct text *t, char c)
{
	if (t->p == t->end || *t->p != c)
		return false;
	t->p++;
	return true;
}

/* least..most digits. */
static bool take_digits(struct text *t, int least, int most, int64_t *ret)
{
	const char *start = t->p;

	*ret = 0;
	while (t->p < t->end && t->p - start < most && (uint8_t)(*t->p - '0') < 10)
		*ret = *ret * 10 + (*t->p++ - '0');
	return t->p - start >= least;
}

/* Two digits, at most max. */
static inline bool take_two(struct text *t, int max, int *ret)
{
	unsigned high, low;

	if (t->end - t->p < 2)
		return false;
	high = (unsigned)(t->p[0] - '0');
	low = (unsigned)(t->p[1] - '0');
	if (high > 9 || low > 9)
		return false;
	t->p += 2;
	*ret = (int)(high * 10 + low);
	return *ret <= max;
}

/* Days from 2000-01-01. */
static bool take_date(struct text *t, int64_t *ret)
{
	struct df_civil civil = { 0 };
	bool negative = take(t, '-');

	if (!negative)
		(void)!take(t, '+');
	if (!take_digits(t, 4, 7, &civil.year) || !take(t, '-') || !take_two(t, 12, &civil.month) || !take(t, '-') ||
	    !take_two(t, 31, &civil.day))
		return false;
	civil.year = negative ? -civil.year : civil.year;
	if (!df_civil_valid(&civil))
		return false;
	*ret = df_civil_to_unix(&civil).seconds / DAY_SECONDS - EPOCH_DAYS;
	return true;
}

static const int64_t powers[] = { 1000000, 100000, 10000, 1000, 100, 10, 1 };

/* Microseconds of the day; digits beyond the precision are cut. 24:00:00 is the end of the day. */
static bool take_clock(struct text *t, int precision, int64_t *ret)
{
	int hour, minute, second;
	int64_t fraction = 0;

	if (!take_two(t, 24, &hour) || !take(t, ':') || !take_two(t, 59, &minute) || !take(t, ':') ||
	    !take_two(t, 59, &second))
		return false;
	if (take(t, '.')) {
		int digits = 0;
		for (; t->p < t->end && (uint8_t)(*t->p - '0') < 10; t->p++, digits++)
			if (digits < precision)
				fraction = fraction * 10 + (*t->p - '0');
		if (digits == 0)
			return false;
		fraction *= powers[digits < precision ? digits : precision];
	}
	*ret = (hour * INT64_C(3600) + minute * 60 + second) * MICROSECONDS + fraction;
	return *ret <= DAY_SECONDS * MICROSECONDS;
}

/* `Z` or `±HH[:MM[:SS]]` in seconds; nothing at all is 0. */
static bool take_offset(struct text *t, int *ret)
{
	int hour, minute = 0, second = 0;

	*ret = 0;
	if (t->p == t->end || take(t, 'Z') || take(t, 'z'))
		return true;
	bool west = take(t, '-');
	if ((!west && !take(t, '+')) || !take_two(t, 15, &hour) || (take(t, ':') && !take_two(t, 59, &minute)) ||
	    (take(t, ':') && !take_two(t, 59, &second)))
		return false;
	*ret = hour * 3600 + minute * 60 + second;
	if (west)
		*ret = -*ret;
	return true;
}

/* "infinity", "-infinity": 1, -1; else 0. */
static int infinity(struct df_str text)
{
	if (df_str_equal_c(text, "infinity"))
		return 1;
	return df_str_equal_c(text, "-infinity") ? -1 : 0;
}

/* Digits of a second that the column keeps. */
static int precision_of(int32_t modifier)
{
	return modifier >= 0 && modifier <= 6 ? (int)modifier : 6;
}

/* The string, or why there is none. */
static int text_of(const struct df_value *v, struct df_arena *arena, const char *wanted, struct df_str *ret,
		   struct df_error *err)
{
	if (v->kind == DF_STRING && (v->repr == DF_REPR_PLAIN || v->repr == DF_REPR_TEXT)) {
		*ret = df_str(v->text, v->len);
		return 0;
	}
	*ret = df_pg_string(v, arena);
	return ret->ptr ? 0 : df_pg_refuse_kind(err, v, wanted);
}

int df_pg_encode_timestamp(DF_PG_ENCODE_ARGS)
{
	struct df_str text;
	int64_t days, clock = 0;
	int offset = 0;
	int code =
		text_of(v, arena, "a column of timestamps (the `timezone` transformation makes one of epoch numbers)",
			&text, err);
	if (code != 0)
		return code;

	struct text t = { text.ptr, text.ptr + text.len };
	bool ok = take_date(&t, &days);
	if (ok && t.p < t.end)
		ok = (take(&t, 'T') || take(&t, ' ') || take(&t, 't')) &&
		     take_clock(&t, precision_of(f->modifier), &clock) && take_offset(&t, &offset) && t.p == t.end;
	if (!ok) {
		int sign = infinity(text);
		if (sign == 0)
			return df_pg_refuse(err, DF_PG_BAD_TIME,
					    "the string is not a time; expected 2006-01-02T15:04:05Z");
		df_pg_add64(out, (uint64_t)(sign > 0 ? INT64_MAX : INT64_MIN));
		return 0;
	}
	if (days < DAY_MIN || days >= TIMESTAMP_DAY_END)
		return df_pg_refuse(err, DF_PG_TIME_RANGE, "the time is outside the range of timestamps");
	df_pg_add64(out, (uint64_t)((days * DAY_SECONDS - offset) * MICROSECONDS + clock));
	return 0;
}

int df_pg_encode_date(DF_PG_ENCODE_ARGS)
{
	struct df_str text;
	int64_t days, clock = 0;
	int offset = 0;
	int code = text_of(v, arena, "a column of dates", &text, err);

	(void)f;
	if (code != 0)
		return code;
	struct text t = { text.ptr, text.ptr + text.len };
	bool ok = take_date(&t, &days);
	if (ok && t.p < t.end)
		ok = (take(&t, 'T') || take(&t, ' ')) && take_clock(&t, 6, &clock) && take_offset(&t, &offset) &&
		     t.p == t.end;
	if (!ok) {
		int sign = infinity(text);
		if (sign == 0)
			return df_pg_refuse(err, DF_PG_BAD_TIME, "the string is not a date; expected 2006-01-02");
		df_pg_add32(out, (uint32_t)(sign > 0 ? INT32_MAX : INT32_MIN));
		return 0;
	}
	if (clock != 0 || offset != 0)
		return df_pg_refuse(err, DF_PG_BAD_TIME, "the time of day does not fit a column of dates");
	if (days < DAY_MIN || days >= DATE_END)
		return df_pg_refuse(err, DF_PG_TIME_RANGE, "the date is outside the range of dates");
	df_pg_add32(out, (uint32_t)days);
	return 0;
}

static int encode_clock(const struct df_pg_field *f, const struct df_value *v, struct df_arena *arena, bool zone,
			struct df_buf *out, struct df_error *err)
{
	struct df_str text;
	int64_t clock;
	int offset = 0;
	int code = text_of(v, arena, "a column of times", &text, err);

	if (code != 0)
		return code;
	struct text t = { text.ptr, text.ptr + text.len };
	if (!take_clock(&t, precision_of(f->modifier), &clock) || (zone && !take_offset(&t, &offset)) || t.p != t.end)
		return df_pg_refuse(err, DF_PG_BAD_TIME, "the string is not a time of day; expected 15:04:05%s",
				    zone ? "+00:00" : "");
	df_pg_add64(out, (uint64_t)clock);
	if (zone)
		df_pg_add32(out, (uint32_t)-offset); /* seconds west */
	return 0;
}

int df_pg_encode_time(DF_PG_ENCODE_ARGS)
{
	return encode_clock(f, v, arena, false, out, err);
}

int df_pg_encode_timetz(DF_PG_ENCODE_ARGS)
{
	return encode_clock(f, v, arena, true, out, err);
}

/* ---- intervals ------------------------------------------------------------------------------------------- */

struct interval {
	int64_t months, days, microseconds;
};

/* What a letter of an ISO 8601 duration counts, before and behind the T. */
static const struct unit {
	char letter;
	bool time;
	int64_t months, days, microseconds;
} units[] = {
	{ 'Y', false, 12, 0, 0 },
	{ 'M', false, 1, 0, 0 },
	{ 'W', false, 0, 7, 0 },
	{ 'D', false, 0, 1, 0 },
	{ 'H', true, 0, 0, 3600 * MICROSECONDS },
	{ 'M', true, 0, 0, 60 * MICROSECONDS },
	{ 'S', true, 0, 0, MICROSECONDS },
};

static bool add_part(struct interval *i, const struct unit *unit, int64_t n, int64_t fraction)
{
	int64_t product;

	return (fraction == 0 || unit->letter == 'S') && !__builtin_mul_overflow(n, unit->months, &product) &&
	       !__builtin_add_overflow(i->months, product, &i->months) &&
	       !__builtin_mul_overflow(n, unit->days, &product) &&
	       !__builtin_add_overflow(i->days, product, &i->days) &&
	       !__builtin_mul_overflow(n, unit->microseconds, &product) &&
	       !__builtin_add_overflow(i->microseconds, product, &i->microseconds) &&
	       !__builtin_add_overflow(i->microseconds, fraction, &i->microseconds);
}

/* One number and its letter; `at` is the unit that may come next at the earliest. */
static bool take_part(struct text *t, bool time, size_t *at, struct interval *i)
{
	int64_t n, fraction = 0;
	bool negative = take(t, '-');

	if (!take_digits(t, 1, 18, &n))
		return false;
	if (take(t, '.')) {
		const char *start = t->p;
		while (t->p < t->end && (uint8_t)(*t->p - '0') < 10) {
			if (t->p - start < 6)
				fraction = fraction * 10 + (*t->p - '0');
			t->p++;
		}
		if (t->p == start)
			return false;
		fraction *= powers[t->p - start < 6 ? t->p - start : 6];
	}
	if (t->p == t->end)
		return false;
	for (; *at < sizeof(units) / sizeof(units[0]); ++*at) {
		const struct unit *unit = &units[*at];
		if (unit->time != time || unit->letter != *t->p)
			continue;
		t->p++;
		++*at;
		return add_part(i, unit, negative ? -n : n, negative ? -fraction : fraction);
	}
	return false;
}

static bool take_interval(struct text *t, struct interval *i)
{
	size_t at = 0;
	bool time = false, any = false;

	if (!take(t, 'P'))
		return false;
	while (t->p < t->end) {
		if (!time && take(t, 'T'))
			time = true;
		if (!take_part(t, time, &at, i))
			return false;
		any = true;
	}
	return any;
}

int df_pg_encode_interval(DF_PG_ENCODE_ARGS)
{
	struct interval i = { 0 };
	struct df_str text;
	int code = text_of(v, arena, "a column of intervals", &text, err);

	if (code != 0)
		return code;
	struct text t = { text.ptr, text.ptr + text.len };
	if (!take_interval(&t, &i))
		return df_pg_refuse(err, DF_PG_BAD_TIME,
				    "the string is not an ISO 8601 duration such as P1DT2H30M, or is too long");
	if (i.months < INT32_MIN || i.months > INT32_MAX || i.days < INT32_MIN || i.days > INT32_MAX)
		return df_pg_refuse(err, DF_PG_BAD_INTERVAL, "the duration is outside the range of intervals");
	if (f->modifier >= 0 && (f->modifier & 0xffff) < 6)
		i.microseconds -= i.microseconds % powers[f->modifier & 0xffff];
	df_pg_add64(out, (uint64_t)i.microseconds);
	df_pg_add32(out, (uint32_t)i.days);
	df_pg_add32(out, (uint32_t)i.months);
	return 0;
}
