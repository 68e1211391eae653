#include "base/time.h"

#define DF_SECONDS_PER_DAY INT64_C(86400)
#define DF_YEAR_LIMIT INT64_C(10000000000) /* years beyond are clamped, so that nothing overflows */

static int64_t df_floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Days since 1970-01-01 (Howard Hinnant, chrono-Compatible Low-Level Date Algorithms). */
static int64_t df_days_from_civil(int64_t year, int month, int day)
{
	year -= month <= 2;
	int64_t era = df_floor_div(year, 400);
	int64_t year_of_era = year - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * 146097 + day_of_era - 719468;
}

static bool df_is_leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

struct df_civil df_civil_from_unix(struct df_instant t, int32_t offset_seconds)
{
	int64_t days = df_floor_div(t.seconds, DF_SECONDS_PER_DAY);
	int64_t second = (t.seconds % DF_SECONDS_PER_DAY + DF_SECONDS_PER_DAY) % DF_SECONDS_PER_DAY + offset_seconds;
	struct df_civil civil = { .nanosecond = t.nanoseconds };

	days += df_floor_div(second, DF_SECONDS_PER_DAY);
	second -= df_floor_div(second, DF_SECONDS_PER_DAY) * DF_SECONDS_PER_DAY;
	civil.hour = (int)(second / 3600);
	civil.minute = (int)(second / 60 % 60);
	civil.second = (int)(second % 60);
	civil.weekday = (int)((days % 7 + 11) % 7);

	int64_t shifted = days + 719468; /* since 0000-03-01 */
	int64_t era = df_floor_div(shifted, 146097);
	int64_t day_of_era = shifted - era * 146097;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month = (5 * day_of_year + 2) / 153; /* 0 March .. 11 February */
	civil.day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
	civil.month = (int)(month < 10 ? month + 3 : month - 9);
	civil.year = era * 400 + year_of_era + (civil.month <= 2);
	civil.yearday = (int)(civil.month <= 2 ? day_of_year - 305 : day_of_year + 60 + df_is_leap(civil.year));
	return civil;
}

struct df_instant df_civil_to_unix(const struct df_civil *civil)
{
	int64_t year = civil->year;

	if (year > DF_YEAR_LIMIT)
		year = DF_YEAR_LIMIT;
	if (year < -DF_YEAR_LIMIT)
		year = -DF_YEAR_LIMIT;
	int64_t days = df_days_from_civil(year, civil->month, civil->day);
	return (struct df_instant){
		.seconds = days * DF_SECONDS_PER_DAY + civil->hour * 3600 + civil->minute * 60 + civil->second,
		.nanoseconds = civil->nanosecond,
	};
}

bool df_civil_valid(const struct df_civil *c)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if (c->month < 1 || c->month > 12 || c->day < 1)
		return false;
	if (c->day > days[c->month - 1] + (c->month == 2 && df_is_leap(c->year)))
		return false;
	return c->hour >= 0 && c->hour <= 23 && c->minute >= 0 && c->minute <= 59 && c->second >= 0 &&
	       c->second <= 59 && c->nanosecond >= 0 && c->nanosecond <= 999999999;
}

/* Reads exactly n digits at *at and moves on. */
static bool df_time_digits(struct df_str text, size_t *at, size_t n, int *ret)
{
	int value = 0;

	if (text.len - *at < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = text.ptr[*at + i];
		if (c < '0' || c > '9')
			return false;
		value = value * 10 + (c - '0');
	}
	*at += n;
	*ret = value;
	return true;
}

static bool df_time_char(struct df_str text, size_t *at, const char *any)
{
	if (*at >= text.len || text.ptr[*at] == '\0' || !strchr(any, text.ptr[*at]))
		return false;
	++*at;
	return true;
}

static bool df_time_fraction(struct df_str text, size_t *at, int *ret_ns)
{
	int scale = 100000000;

	*ret_ns = 0;
	if (!df_time_char(text, at, "."))
		return true;
	size_t start = *at;
	for (; *at < text.len && text.ptr[*at] >= '0' && text.ptr[*at] <= '9'; ++*at, scale /= 10)
		*ret_ns += (text.ptr[*at] - '0') * scale;
	return *at - start >= 1 && *at - start <= 9;
}

static bool df_time_offset(struct df_str text, size_t *at, bool *ret_has_offset, int32_t *ret_offset)
{
	int hours, minutes;

	*ret_has_offset = *at < text.len;
	*ret_offset = 0;
	if (*at == text.len || df_time_char(text, at, "Zz"))
		return true;
	int sign = text.ptr[*at] == '-' ? -1 : 1;
	if (!df_time_char(text, at, "+-") || !df_time_digits(text, at, 2, &hours) || !df_time_char(text, at, ":") ||
	    !df_time_digits(text, at, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret_offset = sign * (hours * 3600 + minutes * 60);
	return true;
}

bool df_time_parse(struct df_str text, struct df_civil *ret, bool *ret_has_offset, int32_t *ret_offset)
{
	struct df_civil c = { 0 };
	bool has_offset;
	int32_t offset;
	int year = 0;
	size_t at = 0;

	if (!df_time_digits(text, &at, 4, &year) || !df_time_char(text, &at, "-") ||
	    !df_time_digits(text, &at, 2, &c.month) || !df_time_char(text, &at, "-") ||
	    !df_time_digits(text, &at, 2, &c.day) || !df_time_char(text, &at, "Tt ") ||
	    !df_time_digits(text, &at, 2, &c.hour) || !df_time_char(text, &at, ":") ||
	    !df_time_digits(text, &at, 2, &c.minute) || !df_time_char(text, &at, ":") ||
	    !df_time_digits(text, &at, 2, &c.second) || !df_time_fraction(text, &at, &c.nanosecond) ||
	    !df_time_offset(text, &at, &has_offset, &offset) || at != text.len)
		return false;
	c.year = year;
	if (!df_civil_valid(&c))
		return false;
	*ret = c;
	*ret_has_offset = has_offset;
	*ret_offset = offset;
	return true;
}

bool df_rfc3339_parse(struct df_str text, struct df_instant *ret)
{
	struct df_civil civil;
	bool has_offset;
	int32_t offset;

	if (!df_time_parse(text, &civil, &has_offset, &offset) || !has_offset)
		return false;
	*ret = df_civil_to_unix(&civil);
	ret->seconds -= offset;
	return true;
}

/* Writes value with at least `width` digits. */
static char *df_time_number(char *out, uint64_t value, int width)
{
	char digits[20];
	int n = 0;

	do {
		digits[n++] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	for (; width > n; width--)
		*out++ = '0';
	while (n > 0)
		*out++ = digits[--n];
	return out;
}

static char *df_time_put_fraction(char *out, int nanosecond, enum df_fraction fraction)
{
	char *start = out;
	size_t keep = fraction == DF_FRACTION_3 ? 3 : fraction == DF_FRACTION_6 ? 6 : 9;

	if (fraction == DF_FRACTION_NONE || (fraction == DF_FRACTION_SHORT && nanosecond == 0))
		return out;
	*out++ = '.';
	df_time_number(out, (uint64_t)nanosecond, 9);
	out = start + 1 + keep;
	while (fraction == DF_FRACTION_SHORT && out[-1] == '0')
		out--;
	return out;
}

size_t df_rfc3339_format(struct df_instant t, int32_t offset_seconds, enum df_fraction fraction, char *out)
{
	struct df_civil c = df_civil_from_unix(t, offset_seconds);
	char *p = out;

	if (c.year < 0)
		*p++ = '-';
	p = df_time_number(p, c.year < 0 ? 0 - (uint64_t)c.year : (uint64_t)c.year, 4);
	*p++ = '-';
	p = df_time_number(p, (uint64_t)c.month, 2);
	*p++ = '-';
	p = df_time_number(p, (uint64_t)c.day, 2);
	*p++ = 'T';
	p = df_time_number(p, (uint64_t)c.hour, 2);
	*p++ = ':';
	p = df_time_number(p, (uint64_t)c.minute, 2);
	*p++ = ':';
	p = df_time_number(p, (uint64_t)c.second, 2);
	p = df_time_put_fraction(p, c.nanosecond, fraction);
	if (offset_seconds == 0) {
		*p++ = 'Z';
		return (size_t)(p - out);
	}
	uint64_t offset = offset_seconds < 0 ? 0 - (uint64_t)offset_seconds : (uint64_t)offset_seconds;
	*p++ = offset_seconds < 0 ? '-' : '+';
	p = df_time_number(p, offset / 3600, 2);
	*p++ = ':';
	p = df_time_number(p, offset / 60 % 60, 2);
	if (offset % 60 != 0) { /* local mean time; no RFC 3339 any more, but no wrong instant either */
		*p++ = ':';
		p = df_time_number(p, offset % 60, 2);
	}
	return (size_t)(p - out);
}

#define DF_DURATION_MAX (UINT64_C(1) << 63) /* of a negative one; one more than of a positive one */

static bool df_duration_unit(struct df_str text, uint64_t *ret_ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{ "ns", 1 },
		{ "us", 1000 },
		{ "\xc2\xb5s", 1000 }, /* U+00B5, micro sign */
		{ "\xce\xbcs", 1000 }, /* U+03BC, Greek mu */
		{ "ms", 1000000 },
		{ "s", 1000000000 },
		{ "m", UINT64_C(60000000000) },
		{ "h", UINT64_C(3600000000000) },
	};

	for (size_t i = 0; i < DF_ARRAY_SIZE(units); i++) {
		if (df_str_equal_c(text, units[i].name)) {
			*ret_ns = units[i].ns;
			return true;
		}
	}
	return false;
}

static bool df_duration_is_number(char c)
{
	return c == '.' || (c >= '0' && c <= '9');
}

/* Reads one number and its unit from the front of *text; nanoseconds, cut. */
static bool df_duration_part(struct df_str *text, uint64_t *ret_ns)
{
	const char *p = text->ptr, *end = p + text->len;
	uint64_t whole = 0, fraction = 0, scale = 1, unit;
	bool digits = false;

	for (; p < end && *p >= '0' && *p <= '9'; p++, digits = true) {
		if (__builtin_mul_overflow(whole, 10u, &whole) ||
		    __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole))
			return false;
	}
	if (p < end && *p == '.') {
		for (p++; p < end && *p >= '0' && *p <= '9'; p++, digits = true) {
			if (scale >= UINT64_C(10000000000000000000))
				continue; /* less than a nanosecond, whatever the unit */
			fraction = fraction * 10 + (uint64_t)(*p - '0');
			scale *= 10;
		}
	}
	const char *name = p;
	while (p < end && !df_duration_is_number(*p))
		p++;
	if (!digits || !df_duration_unit(df_str(name, (size_t)(p - name)), &unit))
		return false;
	/* In integers: exact, where Go's float64 is so only nearly. */
	uint64_t rest = (uint64_t)((unsigned __int128)fraction * unit / scale);
	if (__builtin_mul_overflow(whole, unit, &whole) || __builtin_add_overflow(whole, rest, &whole))
		return false;
	*text = df_str(p, (size_t)(end - p));
	*ret_ns = whole;
	return true;
}

/* The grammar and range of Go's time.ParseDuration. */
bool df_duration_parse(struct df_str text, int64_t *ret_ns)
{
	bool negative = text.len > 0 && text.ptr[0] == '-';
	uint64_t sum = 0, part;

	if (text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+'))
		text = df_str(text.ptr + 1, text.len - 1);
	if (text.len == 0)
		return false;
	if (df_str_equal_c(text, "0")) {
		*ret_ns = 0;
		return true;
	}
	while (text.len > 0) {
		if (!df_duration_part(&text, &part) || __builtin_add_overflow(sum, part, &sum))
			return false;
	}
	if (sum > DF_DURATION_MAX - !negative)
		return false;
	*ret_ns = negative ? (int64_t)(0 - sum) : (int64_t)sum;
	return true;
}

/* value / 10^digits without trailing zeros. */
static char *df_duration_put(char *p, uint64_t value, int digits)
{
	uint64_t scale = 1;
	char *start;

	for (int i = 0; i < digits; i++)
		scale *= 10;
	p = df_time_number(p, value / scale, 1);
	if (value % scale == 0)
		return p;
	*p++ = '.';
	start = p;
	p = df_time_number(p, value % scale, digits);
	while (p > start && p[-1] == '0')
		p--;
	return p;
}

/* Go's Duration.String. */
size_t df_duration_format(int64_t ns, char *out)
{
	uint64_t u = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
	char *p = out;

	if (ns < 0)
		*p++ = '-';
	if (u > 0 && u < 1000000000) {
		int digits = u < 1000 ? 0 : u < 1000000 ? 3 : 6;
		p = df_duration_put(p, u, digits);
		if (digits == 3)
			*p++ = '\xc2'; /* U+00B5 */
		*p++ = digits == 0 ? 'n' : digits == 3 ? '\xb5' : 'm';
		*p++ = 's';
		return (size_t)(p - out);
	}
	uint64_t minutes = u / UINT64_C(60000000000);
	if (minutes >= 60) {
		p = df_time_number(p, minutes / 60, 1);
		*p++ = 'h';
	}
	if (minutes > 0) {
		p = df_time_number(p, minutes % 60, 1);
		*p++ = 'm';
	}
	p = df_duration_put(p, u % UINT64_C(60000000000), 9);
	*p++ = 's';
	return (size_t)(p - out);
}
