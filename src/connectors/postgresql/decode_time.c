/*
 * Dates, times and intervals in the text forms of the connectors reference, section 1. PostgreSQL counts days and
 * microseconds from 2000-01-01 in the proleptic Gregorian calendar; its year 0 is 1 BC.
 */
#include "base/time.h"
#include "connectors/postgresql/decode_internal.h"

#define EPOCH_DAYS 10957 /* from 1970-01-01 to 2000-01-01 */
#define SECOND INT64_C(1000000)
#define DAY (INT64_C(86400) * SECOND)

/* ---- pieces ---------------------------------------------------------------------------------------------- */

char *df_pg_put_digits(char *out, uint64_t n, int width)
{
	char reversed[20];
	int len = 0;

	do {
		reversed[len++] = (char)('0' + n % 10);
		n /= 10;
	} while (n || len < width);
	while (len)
		*out++ = reversed[--len];
	return out;
}

static char *put_two(char *out, unsigned n)
{
	out[0] = (char)('0' + n / 10);
	out[1] = (char)('0' + n % 10);
	return out + 2;
}

static char *put_text(char *out, const char *text)
{
	size_t len = strlen(text);

	memcpy(out, text, len);
	return out + len;
}

/* `.ffffff` without trailing zeros; nothing for 0. */
static char *put_fraction(char *out, unsigned microseconds)
{
	if (microseconds == 0)
		return out;
	*out++ = '.';
	for (unsigned unit = 100000; microseconds; unit /= 10) {
		*out++ = (char)('0' + microseconds / unit);
		microseconds %= unit;
	}
	return out;
}

/* HH:MM:SS[.ffffff]; 24:00:00 is a time, too. */
static char *put_clock(char *out, int64_t microseconds)
{
	unsigned seconds = (unsigned)(microseconds / SECOND);

	out = put_two(out, seconds / 3600);
	*out++ = ':';
	out = put_two(out, seconds / 60 % 60);
	*out++ = ':';
	out = put_two(out, seconds % 60);
	return put_fraction(out, (unsigned)(microseconds % SECOND));
}

struct date {
	int64_t year;
	unsigned month, day;
};

/* Days since 1970-01-01 as a date: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days. */
static struct date date_of_days(int64_t days)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	unsigned day_of_era = (unsigned)(days - era * 146097);
	unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	unsigned month = (5 * day_of_year + 2) / 153; /* from March */

	return (struct date){
		.year = (int64_t)year_of_era + era * 400 + (month >= 10),
		.month = month < 10 ? month + 3 : month - 9,
		.day = day_of_year - (153 * month + 2) / 5 + 1,
	};
}

/* YYYY-MM-DD; expanded, with a sign, outside the years 0001..9999. */
static char *put_date(char *out, struct date date)
{
	if (date.year >= 1 && date.year <= 9999) {
		out = put_two(out, (unsigned)date.year / 100);
		out = put_two(out, (unsigned)date.year % 100);
	} else {
		*out++ = date.year < 0 ? '-' : '+';
		out = df_pg_put_digits(out, (uint64_t)(date.year < 0 ? -date.year : date.year), 4);
	}
	*out++ = '-';
	out = put_two(out, date.month);
	*out++ = '-';
	return put_two(out, date.day);
}

/* ---- timestamps ------------------------------------------------------------------------------------------ */

static const char *infinite(int64_t microseconds)
{
	if (microseconds == INT64_MAX)
		return "infinity";
	return microseconds == INT64_MIN ? "-infinity" : NULL;
}

/* Splits into days since 1970 and microseconds of the day. */
static int64_t split_days(int64_t microseconds, int64_t *ret_of_day)
{
	int64_t days = microseconds / DAY;
	int64_t of_day = microseconds % DAY;

	if (of_day < 0) {
		of_day += DAY;
		days--;
	}
	*ret_of_day = of_day;
	return days + EPOCH_DAYS;
}

size_t df_pg_timestamp_text(int64_t microseconds, char *out)
{
	const char *special = infinite(microseconds);
	int64_t of_day;
	char *at;

	if (special)
		return (size_t)(put_text(out, special) - out);
	at = put_date(out, date_of_days(split_days(microseconds, &of_day)));
	*at++ = 'T';
	at = put_clock(at, of_day);
	*at++ = 'Z';
	return (size_t)(at - out);
}

bool df_pg_timestamp_is_plain(int64_t microseconds)
{
	/* 0001-01-01 and 10000-01-01, in days from 2000-01-01 */
	return microseconds >= -730119 * DAY && microseconds < 2921940 * DAY;
}

size_t df_pg_timestamp_literal(int64_t microseconds, char *out)
{
	const char *special = infinite(microseconds);
	int64_t of_day;

	if (special)
		return (size_t)(put_text(out, special) - out);
	struct date date = date_of_days(split_days(microseconds, &of_day));
	bool bc = date.year < 1;
	char *at = df_pg_put_digits(out, (uint64_t)(bc ? 1 - date.year : date.year), 4);
	*at++ = '-';
	at = put_two(at, date.month);
	*at++ = '-';
	at = put_two(at, date.day);
	*at++ = ' ';
	at = put_clock(at, of_day);
	if (bc)
		at = put_text(at, " BC");
	return (size_t)(at - out);
}

static int decode_moment(enum df_logical logical, struct df_str data, struct df_arena *arena, struct df_value *v)
{
	char text[DF_PG_TIME_MAX];

	if (data.len != 8)
		return DF_ERR_INVALID_DATA;
	return df_pg_set_plain(v, logical, arena, text, df_pg_timestamp_text((int64_t)df_pg_get64(data.ptr), text));
}

int df_pg_decode_timestamp(DF_PG_DECODE_ARGS)
{
	return decode_moment(DF_LOGICAL_TIMESTAMP, data, arena, v);
}

int df_pg_decode_timestamptz(DF_PG_DECODE_ARGS)
{
	return decode_moment(DF_LOGICAL_TIMESTAMPTZ, data, arena, v);
}

/* ---- dates and times ------------------------------------------------------------------------------------- */

int64_t df_pg_date_to_timestamp(int32_t days)
{
	int64_t microseconds;

	if (days == INT32_MAX || days == INT32_MIN)
		return days > 0 ? INT64_MAX : INT64_MIN;
	/* A date reaches further than a timestamp. */
	if (__builtin_mul_overflow((int64_t)days, DAY, &microseconds))
		return days > 0 ? INT64_MAX : INT64_MIN;
	return microseconds;
}

int df_pg_decode_date(DF_PG_DECODE_ARGS)
{
	char text[DF_PG_TIME_MAX];
	char *end;

	if (data.len != 4)
		return DF_ERR_INVALID_DATA;
	int32_t days = (int32_t)df_pg_get32(data.ptr);
	if (days == INT32_MAX || days == INT32_MIN)
		end = put_text(text, days > 0 ? "infinity" : "-infinity");
	else
		end = put_date(text, date_of_days((int64_t)days + EPOCH_DAYS));
	return df_pg_set_plain(v, DF_LOGICAL_DATE, arena, text, (size_t)(end - text));
}

int df_pg_decode_time(DF_PG_DECODE_ARGS)
{
	char text[DF_PG_TIME_MAX];

	if (data.len != 8)
		return DF_ERR_INVALID_DATA;
	uint64_t microseconds = df_pg_get64(data.ptr);
	if (microseconds > (uint64_t)DAY)
		return DF_ERR_INVALID_DATA;
	return df_pg_set_plain(v, DF_LOGICAL_TIME, arena, text,
			       (size_t)(put_clock(text, (int64_t)microseconds) - text));
}

/* The zone is in seconds west of Greenwich. */
int df_pg_decode_timetz(DF_PG_DECODE_ARGS)
{
	char text[DF_PG_TIME_MAX];

	if (data.len != 12)
		return DF_ERR_INVALID_DATA;
	uint64_t microseconds = df_pg_get64(data.ptr);
	int64_t west = (int32_t)df_pg_get32(data.ptr + 8);
	unsigned zone = (unsigned)(west < 0 ? -west : west);
	if (microseconds > (uint64_t)DAY || zone >= 24 * 3600)
		return DF_ERR_INVALID_DATA;

	char *at = put_clock(text, (int64_t)microseconds);
	*at++ = west > 0 ? '-' : '+';
	at = put_two(at, zone / 3600);
	if (zone % 3600) {
		*at++ = ':';
		at = put_two(at, zone / 60 % 60);
	}
	if (zone % 60) {
		*at++ = ':';
		at = put_two(at, zone % 60);
	}
	return df_pg_set_plain(v, DF_LOGICAL_TIMETZ, arena, text, (size_t)(at - text));
}

/* ---- intervals ------------------------------------------------------------------------------------------- */

/* `<sign><n><letter>`; nothing for 0. */
static char *put_part(char *out, int64_t n, char letter)
{
	if (n == 0)
		return out;
	if (n < 0)
		*out++ = '-';
	out = df_pg_put_digits(out, n < 0 ? 0 - (uint64_t)n : (uint64_t)n, 1);
	*out++ = letter;
	return out;
}

static char *put_interval_clock(char *out, int64_t microseconds)
{
	int64_t fraction = microseconds % SECOND;
	int64_t seconds = microseconds / SECOND;

	if (microseconds == 0)
		return out;
	*out++ = 'T';
	out = put_part(out, seconds / 3600, 'H');
	out = put_part(out, seconds / 60 % 60, 'M');
	seconds %= 60;
	if (seconds == 0 && fraction == 0)
		return out;
	if (microseconds < 0)
		*out++ = '-';
	out = df_pg_put_digits(out, (uint64_t)(seconds < 0 ? -seconds : seconds), 1);
	out = put_fraction(out, (unsigned)(fraction < 0 ? -fraction : fraction));
	*out++ = 'S';
	return out;
}

/* Microseconds, days, months, each with its own sign; all extremes are infinity (PostgreSQL 17). */
int df_pg_decode_interval(DF_PG_DECODE_ARGS)
{
	char text[128];
	char *at = text;

	if (data.len != 16)
		return DF_ERR_INVALID_DATA;
	int64_t microseconds = (int64_t)df_pg_get64(data.ptr);
	int32_t days = (int32_t)df_pg_get32(data.ptr + 8);
	int32_t months = (int32_t)df_pg_get32(data.ptr + 12);

	if (microseconds == INT64_MAX && days == INT32_MAX && months == INT32_MAX) {
		at = put_text(at, "infinity");
	} else if (microseconds == INT64_MIN && days == INT32_MIN && months == INT32_MIN) {
		at = put_text(at, "-infinity");
	} else if (microseconds == 0 && days == 0 && months == 0) {
		at = put_text(at, "PT0S");
	} else {
		*at++ = 'P';
		at = put_part(at, months / 12, 'Y');
		at = put_part(at, months % 12, 'M');
		at = put_part(at, days, 'D');
		at = put_interval_clock(at, microseconds);
	}
	return df_pg_set_plain(v, DF_LOGICAL_INTERVAL, arena, text, (size_t)(at - text));
}
