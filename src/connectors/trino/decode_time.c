#include <stdio.h>

#include "base/cleanup.h"
#include "connectors/trino/decode_internal.h"

void df_trino_zones_done(struct df_trino_zones *zones)
{
	df_zone_free(DF_TAKE(zones->zone));
	df_buf_done(&zones->name);
}

/* ---- times ----------------------------------------------------------------------------------------------- */

/* Length of a time text without the zeros at the end of its fraction. */
static struct df_str trim_fraction(struct df_str text)
{
	if (!memchr(text.ptr, '.', text.len))
		return text;
	while (text.len && text.ptr[text.len - 1] == '0')
		text.len--;
	if (text.len && text.ptr[text.len - 1] == '.')
		text.len--;
	return text;
}

/* Appends a year as ISO 8601 has it: four digits, else with a sign. `text` begins with the digits of the year. */
static struct df_str add_date(struct df_buf *out, struct df_str text)
{
	bool negative = text.len && text.ptr[0] == '-';
	size_t start = text.len && (negative || text.ptr[0] == '+');
	const char *dash = text.len > start ? memchr(text.ptr + start, '-', text.len - start) : NULL;
	size_t digits = dash ? (size_t)(dash - text.ptr) - start : 0;

	if (negative || digits > 4)
		df_buf_add_char(out, negative ? '-' : '+');
	for (size_t i = digits; digits && i < 4; i++)
		df_buf_add_char(out, '0');
	return df_str(text.ptr + start, text.len - start);
}

int df_trino_decode_date(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
			 struct df_value **ret)
{
	df_cleanup(df_buf_done) struct df_buf out = { 0 };
	struct df_str text;
	int code = df_trino_text_of(type, from, d, &text);

	if (code != 0)
		return code;
	df_buf_add_str(&out, add_date(&out, text));
	return out.failed ? df_error_no_memory(d->err) : df_trino_give_text(df_buf_str(&out), DF_LOGICAL_DATE, d, ret);
}

/* `01:02:03.000000`, `01:02:03.000+02:00` */
int df_trino_decode_time(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
			 struct df_value **ret)
{
	df_cleanup(df_buf_done) struct df_buf out = { 0 };
	struct df_str text;
	int code = df_trino_text_of(type, from, d, &text);

	if (code != 0)
		return code;
	size_t clock = 0;
	while (clock < text.len && text.ptr[clock] != '+' && text.ptr[clock] != '-')
		clock++;
	df_buf_add_str(&out, trim_fraction(df_str(text.ptr, clock)));
	df_buf_add(&out, text.ptr + clock, text.len - clock);
	if (out.failed)
		return df_error_no_memory(d->err);
	return df_trino_give_text(df_buf_str(&out), type->kind == DF_TRINO_TIME ? DF_LOGICAL_TIME : DF_LOGICAL_TIMETZ,
				  d, ret);
}

/* `2020-01-02 03:04:05.678` as RFC 3339, with Z: the logical type tells that it is a wall clock. */
int df_trino_decode_timestamp(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
			      struct df_value **ret)
{
	df_cleanup(df_buf_done) struct df_buf out = { 0 };
	struct df_str text;
	int code = df_trino_text_of(type, from, d, &text);

	if (code != 0)
		return code;
	struct df_str rest = trim_fraction(add_date(&out, text));
	for (size_t i = 0; i < rest.len; i++)
		df_buf_add_char(&out, rest.ptr[i] == ' ' ? 'T' : rest.ptr[i]);
	df_buf_add_char(&out, 'Z');
	return out.failed ? df_error_no_memory(d->err)
			  : df_trino_give_text(df_buf_str(&out), DF_LOGICAL_TIMESTAMP, d, ret);
}

/* Digits of [text], up to n; moves on. -1: none. */
static int64_t take_number(struct df_str *text, size_t n)
{
	int64_t value = -1;

	for (; n && text->len && text->ptr[0] >= '0' && text->ptr[0] <= '9'; n--) {
		value = (value < 0 ? 0 : value * 10) + (text->ptr[0] - '0');
		text->ptr++;
		text->len--;
	}
	return value;
}

static bool take_char(struct df_str *text, char c)
{
	if (!text->len || text->ptr[0] != c)
		return false;
	text->ptr++;
	text->len--;
	return true;
}

/* Reads `[-+]Y-MM-DD HH:MM:SS[.fraction]` and leaves what follows; *ret_fraction is its digits. */
static bool take_wall(struct df_str *text, struct df_civil *ret, struct df_str *ret_fraction)
{
	bool negative = take_char(text, '-');

	if (!negative)
		(void)take_char(text, '+');
	int64_t parts[6];
	static const char between[] = { '-', '-', ' ', ':', ':', '\0' };
	for (size_t i = 0; i < DF_ARRAY_SIZE(parts); i++) {
		parts[i] = take_number(text, i ? 2 : 9);
		if (parts[i] < 0 || (between[i] && !take_char(text, between[i])))
			return false;
	}
	*ret = (struct df_civil){ .year = negative ? -parts[0] : parts[0],
				  .month = (int)parts[1],
				  .day = (int)parts[2],
				  .hour = (int)parts[3],
				  .minute = (int)parts[4],
				  .second = (int)parts[5] };
	*ret_fraction = df_str(NULL, 0);
	if (take_char(text, '.')) {
		const char *begin = text->ptr;
		while (text->len && text->ptr[0] >= '0' && text->ptr[0] <= '9')
			(void)take_char(text, text->ptr[0]);
		*ret_fraction = df_str(begin, (size_t)(text->ptr - begin));
	}
	return df_civil_valid(ret);
}

/* `+02:00` */
static bool take_offset(struct df_str text, int64_t *ret)
{
	bool negative = take_char(&text, '-');

	if (!negative && !take_char(&text, '+'))
		return false;
	int64_t hours = take_number(&text, 2);
	int64_t minutes = take_char(&text, ':') ? take_number(&text, 2) : -1;
	if (hours < 0 || minutes < 0 || text.len)
		return false;
	*ret = (hours * 60 + minutes) * (negative ? -60 : 60);
	return true;
}

/* The offset that the zone at the end of a timestamp stands for at that wall clock. A region's hour that a clock change
 * repeats is the first of the two: the text does not tell which. */
static int zone_offset(struct df_str name, const struct df_civil *wall, const struct decoding *d, int64_t *ret)
{
	struct df_trino_zones *last = d->zones;

	if (df_str_equal_c(name, "UTC") || df_str_equal_c(name, "Z")) {
		*ret = 0;
		return 0;
	}
	if (take_offset(name, ret))
		return 0;
	if (!last->zone || !df_str_equal(df_buf_str(&last->name), name)) {
		df_zone_free(DF_TAKE(last->zone));
		last->name.len = 0;
		df_buf_add_str(&last->name, name);
		if (last->name.failed)
			return df_error_no_memory(d->err);
		int code = df_zone_load(name, &last->zone, d->err);
		if (code != 0)
			return code;
	}
	*ret = df_civil_to_unix(wall).seconds - df_zone_to_unix(last->zone, wall).seconds;
	return 0;
}

/* `2020-01-02 03:04:05.678 Europe/Berlin`, `... +02:00`, `... UTC`: the instant, in UTC. */
int df_trino_decode_instant(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
			    struct df_value **ret)
{
	df_cleanup(df_buf_done) struct df_buf out = { 0 };
	struct df_civil wall;
	struct df_str text, fraction;
	int64_t offset = 0;
	int code = df_trino_text_of(type, from, d, &text);

	if (code != 0)
		return code;
	if (!take_wall(&text, &wall, &fraction) || !take_char(&text, ' '))
		return df_trino_no_such(type, from, d);
	code = zone_offset(text, &wall, d, &offset);
	if (code != 0)
		return df_error_prefix(d->err, "a timestamp's time zone");

	struct df_instant at = df_civil_to_unix(&wall);
	at.seconds -= offset;
	struct df_civil utc = df_civil_from_unix(at, 0);
	if (utc.year < 0 || utc.year > 9999)
		df_buf_add_char(&out, utc.year < 0 ? '-' : '+');
	df_buf_printf(&out, "%04lld-%02d-%02dT%02d:%02d:%02d", (long long)(utc.year < 0 ? -utc.year : utc.year),
		      utc.month, utc.day, utc.hour, utc.minute, utc.second);
	while (fraction.len && fraction.ptr[fraction.len - 1] == '0')
		fraction.len--;
	if (fraction.len)
		df_buf_printf(&out, "." DF_STR_FMT, DF_STR_ARG(fraction));
	df_buf_add_char(&out, 'Z');
	return out.failed ? df_error_no_memory(d->err)
			  : df_trino_give_text(df_buf_str(&out), DF_LOGICAL_TIMESTAMPTZ, d, ret);
}

/* ---- intervals ------------------------------------------------------------------------------------------- */

/* `[-]Y-M` as P1Y2M */
int df_trino_decode_months(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
			   struct df_value **ret)
{
	char out[64];
	struct df_str text;
	int code = df_trino_text_of(type, from, d, &text);

	if (code != 0)
		return code;
	const char *sign = take_char(&text, '-') ? "-" : "";
	int64_t years = take_number(&text, 18);
	int64_t months = take_char(&text, '-') ? take_number(&text, 2) : -1;
	if (years < 0 || months < 0 || text.len)
		return df_trino_no_such(type, from, d);
	int n = snprintf(out, sizeof(out), "P");
	if (years)
		n += snprintf(out + n, sizeof(out) - (size_t)n, "%s%lldY", sign, (long long)years);
	if (months || !years)
		n += snprintf(out + n, sizeof(out) - (size_t)n, "%s%lldM", months ? sign : "", (long long)months);
	return df_trino_give_text(df_str(out, (size_t)n), DF_LOGICAL_INTERVAL, d, ret);
}

/* `[-]D HH:MM:SS.fff` as P3DT4H5M6.789S */
int df_trino_decode_seconds(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
			    struct df_value **ret)
{
	df_cleanup(df_buf_done) struct df_buf out = { 0 };
	static const char units[] = { 'D', 'H', 'M' };
	static const char after[] = { ' ', ':', ':' };
	struct df_str text;
	int code = df_trino_text_of(type, from, d, &text);

	if (code != 0)
		return code;
	const char *sign = take_char(&text, '-') ? "-" : "";
	df_buf_add_char(&out, 'P');
	for (size_t i = 0; i < DF_ARRAY_SIZE(units); i++) {
		int64_t n = take_number(&text, 18);
		if (n < 0 || !take_char(&text, after[i]))
			return df_trino_no_such(type, from, d);
		if (i == 1)
			df_buf_add_char(&out, 'T');
		if (n)
			df_buf_printf(&out, "%s%lld%c", sign, (long long)n, units[i]);
	}
	struct df_str seconds = trim_fraction(text);
	while (seconds.len > 1 && seconds.ptr[0] == '0' && seconds.ptr[1] != '.') {
		seconds.ptr++;
		seconds.len--;
	}
	bool zero = df_str_equal_c(seconds, "0");
	if (!df_number_valid(seconds))
		return df_trino_no_such(type, from, d);
	if (!zero)
		df_buf_printf(&out, "%s" DF_STR_FMT "S", sign, DF_STR_ARG(seconds));
	/* Nothing behind the T: it goes, and nothing at all is zero seconds. */
	if (!out.failed && out.data[out.len - 1] == 'T') {
		out.len--;
		if (out.len == 1)
			df_buf_add_c(&out, "T0S");
	}
	return out.failed ? df_error_no_memory(d->err)
			  : df_trino_give_text(df_buf_str(&out), DF_LOGICAL_INTERVAL, d, ret);
}
