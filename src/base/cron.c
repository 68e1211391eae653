#include "base/cron.h"

#include <ctype.h>
#include <inttypes.h>
#include <strings.h>

#include "base/cleanup.h"

#define DAY INT64_C(86400)
/* 29 February occurs once in eight years around a century that is no leap year. */
#define HORIZON (9 * 366 * DAY)

/* ---- parsing --------------------------------------------------------------------------------------------- */

struct field {
	const char *name;
	int64_t min, max;
	const char *const *names; /* NULL-terminated, the first is `min` */
};

static const char *const month_names[] = { "jan", "feb", "mar", "apr", "may", "jun", "jul",
					   "aug", "sep", "oct", "nov", "dec", NULL };
static const char *const weekday_names[] = { "sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL };

enum { MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK, FIELDS };

static const struct field fields[FIELDS] = {
	[MINUTE] = { "minute", 0, 59, NULL },
	[HOUR] = { "hour", 0, 23, NULL },
	[DAY_OF_MONTH] = { "day of month", 1, 31, NULL },
	[MONTH] = { "month", 1, 12, month_names },
	[DAY_OF_WEEK] = { "day of week", 0, 6, weekday_names },
};

static const struct {
	const char *name, *schedule;
} macros[] = {
	{ "@yearly", "0 0 1 1 *" }, { "@annually", "0 0 1 1 *" }, { "@monthly", "0 0 1 * *" },
	{ "@weekly", "0 0 * * 0" }, { "@daily", "0 0 * * *" },	  { "@midnight", "0 0 * * *" },
	{ "@hourly", "0 * * * *" },
};

static int field_error(const struct field *f, struct df_str text, struct df_error *err)
{
	return df_error_set(err, DF_ERR_CONFIG, "the %s `" DF_STR_FMT "` is not %s%" PRId64 "-%" PRId64 "%s", f->name,
			    DF_STR_ARG(text), f->names ? "a name or " : "", f->min, f->max,
			    ", *, a range a-b, a step /n, or a list of these");
}

static bool parse_number(struct df_str text, int64_t *ret)
{
	return text.len > 0 && isdigit((unsigned char)text.ptr[0]) && df_str_to_int64(text, ret);
}

static bool parse_value(const struct field *f, struct df_str text, int64_t *ret)
{
	for (int64_t i = 0; f->names && f->names[i]; i++)
		if (text.len == strlen(f->names[i]) && strncasecmp(text.ptr, f->names[i], text.len) == 0) {
			*ret = f->min + i;
			return true;
		}
	return parse_number(text, ret) && *ret >= f->min && *ret <= f->max;
}

/* Up to the separator; *rest is what is behind it, with ptr NULL when there is none. */
static struct df_str cut(struct df_str text, char separator, struct df_str *rest)
{
	const char *at = text.len ? memchr(text.ptr, separator, text.len) : NULL;

	if (!at) {
		*rest = (struct df_str){ 0 };
		return text;
	}
	*rest = df_str(at + 1, text.len - (size_t)(at - text.ptr) - 1);
	return df_str(text.ptr, (size_t)(at - text.ptr));
}

/* One element of a list: its bits, and whether it stands for "any". */
static int parse_element(const struct field *f, struct df_str text, uint64_t *bits, bool *any, struct df_error *err)
{
	struct df_str step_text, high_text;
	struct df_str range = cut(text, '/', &step_text);
	struct df_str low_text = cut(range, '-', &high_text);
	int64_t low = f->min, high = f->max, step = 1;

	if (step_text.ptr && (!parse_number(step_text, &step) || step < 1))
		return df_error_set(err, DF_ERR_CONFIG, "the %s `" DF_STR_FMT "`: the step after / must be 1 or more",
				    f->name, DF_STR_ARG(text));
	if (df_str_equal_c(range, "*") || df_str_equal_c(range, "?")) {
		*any = *any || step == 1;
	} else {
		if (!parse_value(f, low_text, &low) || (high_text.ptr && !parse_value(f, high_text, &high)))
			return field_error(f, text, err);
		if (!high_text.ptr && !step_text.ptr)
			high = low;
	}
	if (high < low)
		return df_error_set(err, DF_ERR_CONFIG, "the %s `" DF_STR_FMT "`: the range ends before it begins",
				    f->name, DF_STR_ARG(text));
	/* A step beyond the field is one value; as a difference it cannot overflow. */
	for (int64_t n = low;; n += step) {
		*bits |= UINT64_C(1) << n;
		if (step > high - n)
			return 0;
	}
}

static int parse_field(const struct field *f, struct df_str text, uint64_t *bits, bool *any, struct df_error *err)
{
	*bits = 0;
	*any = false;
	for (struct df_str rest = text; rest.ptr;) {
		int r = parse_element(f, cut(rest, ',', &rest), bits, any, err);

		if (r)
			return r;
	}
	return 0;
}

static size_t split(struct df_str text, struct df_str *parts, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < text.len;) {
		size_t begin;

		while (i < text.len && isspace((unsigned char)text.ptr[i]))
			i++;
		begin = i;
		while (i < text.len && !isspace((unsigned char)text.ptr[i]))
			i++;
		if (i > begin && count++ < max)
			parts[count - 1] = df_str(text.ptr + begin, i - begin);
	}
	return count;
}

static int unknown_macro(struct df_str text, struct df_error *err)
{
	return df_error_set(err, DF_ERR_CONFIG,
			    "`" DF_STR_FMT "` is not known: @yearly, @monthly, @weekly, @daily and @hourly are",
			    DF_STR_ARG(text));
}

int df_cron_parse(struct df_str text, struct df_cron *ret, struct df_error *err)
{
	struct df_str parts[FIELDS + 1];
	uint64_t bits[FIELDS];
	bool any[FIELDS];
	size_t count = split(text, parts, DF_ARRAY_SIZE(parts));

	if (count == 1 && parts[0].ptr[0] == '@') {
		for (size_t i = 0; i < DF_ARRAY_SIZE(macros); i++)
			if (df_str_equal_c(parts[0], macros[i].name))
				return df_cron_parse(df_str_c(macros[i].schedule), ret, err);
		return unknown_macro(parts[0], err);
	}
	if (count != FIELDS && count != FIELDS + 1)
		return df_error_set(
			err, DF_ERR_CONFIG,
			"has %zu fields; expected 5 (minute, hour, day of month, month, day of week), or 6 with the "
			"seconds in front",
			count);
	if (count == FIELDS + 1 && !df_str_equal_c(parts[0], "0"))
		return df_error_set(err, DF_ERR_CONFIG,
				    "the seconds `" DF_STR_FMT "` must be 0: Kubernetes starts runs by the minute",
				    DF_STR_ARG(parts[0]));
	for (size_t i = 0; i < FIELDS; i++) {
		int r = parse_field(&fields[i], parts[count - FIELDS + i], &bits[i], &any[i], err);

		if (r)
			return r;
	}
	*ret = (struct df_cron){
		.minutes = bits[MINUTE],
		.hours = (uint32_t)bits[HOUR],
		.days = (uint32_t)bits[DAY_OF_MONTH],
		.months = (uint32_t)bits[MONTH],
		.weekdays = (uint32_t)bits[DAY_OF_WEEK],
		.any_day = any[DAY_OF_MONTH],
		.any_weekday = any[DAY_OF_WEEK],
	};
	return 0;
}

/* ---- firing ---------------------------------------------------------------------------------------------- */

static bool day_matches(const struct df_cron *cron, const struct df_civil *c)
{
	bool day = cron->days >> c->day & 1, weekday = cron->weekdays >> c->weekday & 1;

	return cron->any_day || cron->any_weekday ? day && weekday : day || weekday;
}

/* The first minute of the day that is not before `minute`; -1 when there is none. */
static int minute_of_day(const struct df_cron *cron, int minute)
{
	for (int hour = minute / 60, first = minute % 60; hour < 24; hour++, first = 0) {
		uint64_t left = cron->minutes >> first;

		if ((cron->hours >> hour & 1) && left)
			return hour * 60 + first + __builtin_ctzll(left);
	}
	return -1;
}

static int days_of_month(const struct df_civil *c)
{
	struct df_civil last = { .year = c->year, .month = c->month, .day = 31 };

	while (!df_civil_valid(&last))
		last.day--;
	return last.day;
}

/* The first time of the schedule in [from, to) on a clock that no one changes; DF_CRON_NEVER when there is none. */
static int64_t next_local(const struct df_cron *cron, int64_t from, int64_t to)
{
	int64_t day = from / DAY - (from % DAY < 0);
	int minute = (int)((from - day * DAY + 59) / 60);

	while (day * DAY < to) {
		struct df_civil c = df_civil_from_unix((struct df_instant){ .seconds = day * DAY }, 0);
		int found = -1;

		if (!(cron->months >> c.month & 1)) {
			day += days_of_month(&c) - c.day + 1;
			minute = 0;
			continue;
		}
		if (day_matches(cron, &c))
			found = minute_of_day(cron, minute);
		if (found >= 0)
			return day * DAY + found * INT64_C(60) < to ? day * DAY + found * INT64_C(60) : DF_CRON_NEVER;
		day++;
		minute = 0;
	}
	return DF_CRON_NEVER;
}

int64_t df_cron_next(const struct df_cron *cron, const struct df_zone *zone, int64_t after)
{
	int64_t horizon = after + HORIZON;

	/* From one change of the zone's offset to the next the wall clock just runs. */
	for (int64_t t = after + 1; t < horizon;) {
		int32_t offset = df_zone_offset(zone, t);
		int64_t change = df_zone_change_after(zone, t), end = change < horizon ? change : horizon;
		int64_t local = next_local(cron, t + offset, end + offset);

		if (local != DF_CRON_NEVER)
			return local - offset;
		t = end;
	}
	return DF_CRON_NEVER;
}

bool df_cron_never(const struct df_cron *cron)
{
	/* On a clock that no one changes, from 2000, a leap year. */
	const int64_t from = 10957 * DAY;

	return next_local(cron, from, from + HORIZON) == DF_CRON_NEVER;
}

uint64_t df_cron_missed(const struct df_cron *cron, const struct df_zone *zone, int64_t after, int64_t now,
			int64_t *ret_last)
{
	uint64_t n = 0;

	for (int64_t t = df_cron_next(cron, zone, after); t <= now && t != DF_CRON_NEVER;
	     t = df_cron_next(cron, zone, t)) {
		*ret_last = t;
		n++;
	}
	return n;
}
