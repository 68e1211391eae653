#include "connectors/clickhouse/convert_time.h"

#include "base/clock.h"
#include "base/time.h"
#include "table/convert.h"

#define DAY INT64_C(86400)
#define YEAR_1900 INT64_C(-2208988800)
#define YEAR_2300 INT64_C(10413792000)

static const int64_t powers[] = { 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000 };

static int refuse(struct df_error *err, const char *what)
{
	return df_error_set(err, DF_ERR_INVALID_DATA, "%s", what);
}

/* Two digits at p, or -1. */
static int two(const char *p)
{
	unsigned high = (unsigned)(p[0] - '0');
	unsigned low = (unsigned)(p[1] - '0');

	return high < 10 && low < 10 ? (int)(high * 10 + low) : -1;
}

/* Days since 1970 of a proleptic Gregorian date (Howard Hinnant, "chrono-compatible low-level date algorithms"). */
static int64_t days_from_civil(int64_t y, int m, int d)
{
	y -= m <= 2;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400;
	int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * 146097 + doe - 719468;
}

/* The usual text, `2006-01-02[T ]15:04:05[.fraction][Z]`, without the general parser. */
static bool plain_instant(struct df_str s, struct df_instant *ret)
{
	static const uint8_t last_day[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	const char *p = s.ptr;
	int64_t fraction = 0;
	size_t digits = 0;
	size_t at = 19;

	if (s.len < 19 || p[4] != '-' || p[7] != '-' || (p[10] != 'T' && p[10] != ' ') || p[13] != ':' || p[16] != ':')
		return false;
	int century = two(p), year = two(p + 2), month = two(p + 5), day = two(p + 8);
	int hour = two(p + 11), minute = two(p + 14), second = two(p + 17);
	if (century < 0 || year < 0 || month < 1 || month > 12 || day < 1 || day > last_day[month - 1] || hour < 0 ||
	    hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
		return false; /* also the 29th of February: the general parser knows */
	if (at < s.len && p[at] == '.') {
		for (at++; at < s.len && (unsigned)(p[at] - '0') < 10 && digits < 10; at++, digits++)
			fraction = fraction * 10 + (p[at] - '0');
		if (digits == 0 || digits > 9)
			return false;
	}
	if (at < s.len && p[at] == 'Z')
		at++;
	if (at != s.len)
		return false;
	ret->seconds = days_from_civil(century * 100 + year, month, day) * DAY + hour * 3600 + minute * 60 + second;
	ret->nanoseconds = (int32_t)(fraction * powers[9 - digits]);
	return true;
}

/* Seconds below 10^10 in size, else milliseconds; fractions are kept to the nanosecond. */
static int instant_of_number(const struct df_value *v, struct df_arena *arena, struct df_instant *ret,
			     struct df_error *err)
{
	const int64_t seconds_max = INT64_C(10000000000);
	struct df_str text = df_value_text(v, arena);
	int64_t whole;
	double d;

	if (!text.ptr)
		return df_error_no_memory(err);
	*ret = (struct df_instant){ 0 };
	if (df_value_to_int64(v, &whole)) {
		bool seconds = whole > -seconds_max && whole < seconds_max;
		int64_t ms = seconds ? 0 : whole % 1000;
		ret->seconds = seconds ? whole : whole / 1000 - (ms < 0);
		ret->nanoseconds = (int32_t)((ms < 0 ? ms + 1000 : ms) * 1000000);
		return 0;
	}
	/* The digits behind the point, as text: a double has not enough of them. */
	const char *point = memchr(text.ptr, '.', text.len);
	bool plain = point && !memchr(text.ptr, 'e', text.len) && !memchr(text.ptr, 'E', text.len);
	if (!plain || !df_str_to_int64(df_str(text.ptr, (size_t)(point - text.ptr)), &whole) ||
	    !df_number_to_double(text, &d))
		return refuse(err, "the number is no count of seconds or milliseconds since 1970");
	int64_t nano = 0;
	for (size_t i = 0; i < 9; i++) {
		const char *digit = point + 1 + i;
		nano = nano * 10 + (digit < text.ptr + text.len ? *digit - '0' : 0);
	}
	bool negative = text.ptr[0] == '-';
	if (whole <= -seconds_max || whole >= seconds_max) {
		int64_t ms = whole % 1000;
		whole /= 1000;
		nano = (ms < 0 ? -ms : ms) * 1000000 + nano / 1000;
	}
	ret->seconds = negative && nano ? whole - 1 : whole;
	ret->nanoseconds = (int32_t)(negative && nano ? 1000000000 - nano : nano);
	return 0;
}

static int instant_of(const struct df_value *v, struct df_arena *arena, struct df_instant *ret, struct df_error *err)
{
	struct df_civil civil;

	if (v->kind == DF_NUMBER)
		return instant_of_number(v, arena, ret, err);
	if (v->kind == DF_STRING && v->repr <= DF_REPR_PLAIN && plain_instant(df_str(v->text, v->len), ret))
		return 0;
	int code = df_convert_timestamp(v, arena, &civil, err);
	if (code == 0)
		*ret = df_civil_to_unix(&civil);
	return code;
}

static int date_of(const struct df_ch_type *t, struct df_instant at, int64_t *ret, struct df_error *err)
{
	int64_t days = at.seconds / DAY - (at.seconds % DAY < 0);

	if (at.seconds % DAY != 0 || at.nanoseconds)
		return refuse(err, "the time of day does not fit a date");
	if (t->size == 2 ? days < 0 || days > UINT16_MAX : at.seconds < YEAR_1900 || at.seconds >= YEAR_2300)
		return refuse(err, "the date is outside what the type holds");
	*ret = days;
	return 0;
}

/* Digits finer than the column's are cut. */
static int ticks_of(const struct df_ch_type *t, struct df_instant at, int64_t *ret, struct df_error *err)
{
	int64_t ticks;

	if (at.seconds < YEAR_1900 || at.seconds >= YEAR_2300 ||
	    __builtin_mul_overflow(at.seconds, powers[t->scale], &ticks) ||
	    __builtin_add_overflow(ticks, at.nanoseconds / powers[9 - t->scale], ret))
		return refuse(err, "the time is outside what the type holds");
	return 0;
}

/* `[-]H+:MM:SS[.f]`, or a number of seconds. */
static int time_of_day(const struct df_ch_type *t, const struct df_value *v, struct df_arena *arena, int64_t *ret,
		       struct df_error *err)
{
	struct df_str s = df_value_text(v, arena);
	bool negative = s.len && s.ptr[0] == '-';
	int64_t hours = 0;
	int64_t ticks = 0;
	size_t i = negative;

	if (v->kind == DF_NUMBER && df_value_to_int64(v, ret) && *ret > -3600000 && *ret < 3600000) {
		*ret *= powers[t->scale];
		return 0;
	}
	if (v->kind != DF_STRING || v->repr == DF_REPR_BYTES || !s.ptr)
		return refuse(err, "expected a time, such as 15:04:05");
	for (; i < s.len && (unsigned)(s.ptr[i] - '0') < 10 && hours < 1000; i++)
		hours = hours * 10 + (s.ptr[i] - '0');
	if (i == negative || hours > 999 || s.len < i + 6 || s.ptr[i] != ':' || s.ptr[i + 3] != ':' ||
	    two(s.ptr + i + 1) < 0 || two(s.ptr + i + 1) > 59 || two(s.ptr + i + 4) < 0 || two(s.ptr + i + 4) > 59)
		return refuse(err, "the string is no time; expected 15:04:05");
	int64_t seconds = hours * 3600 + two(s.ptr + i + 1) * 60 + two(s.ptr + i + 4);
	i += 6;
	if (i < s.len && (s.ptr[i] != '.' || i + 1 == s.len))
		return refuse(err, "the string is no time; expected 15:04:05");
	ticks = seconds * powers[t->scale];
	for (int64_t unit = powers[t->scale] / 10; ++i < s.len; unit /= 10) {
		if ((unsigned)(s.ptr[i] - '0') > 9)
			return refuse(err, "the string is no time; expected 15:04:05");
		ticks += (s.ptr[i] - '0') * unit;
	}
	*ret = negative ? -ticks : ticks;
	return 0;
}

int df_ch_convert_time(const struct df_ch_type *t, const struct df_value *v, struct df_arena *arena, int64_t *ret,
		       struct df_error *err)
{
	struct df_instant at = { 0 };

	if (t->kind == DF_CH_TIME)
		return time_of_day(t, v, arena, ret, err);
	int code = instant_of(v, arena, &at, err);
	if (code != 0)
		return code;
	switch (t->kind) {
	case DF_CH_DATE:
		return date_of(t, at, ret, err);
	case DF_CH_DATETIME:
		if (at.seconds < 0 || at.seconds > UINT32_MAX)
			return refuse(err, "the time is outside what the type holds");
		*ret = at.seconds;
		return 0;
	default:
		return ticks_of(t, at, ret, err);
	}
}
