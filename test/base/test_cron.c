#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/cron.h"
#include "base/retry.h"

static struct df_zone *zone_of(const char *name)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_zone *zone = NULL;

	if (df_zone_load(df_str_c(name), &zone, &err) < 0)
		fail_msg("%s", err.text);
	return zone;
}

static int64_t at(const char *text)
{
	struct df_instant t;

	if (!df_rfc3339_parse(df_str_c(text), &t))
		fail_msg("%s", text);
	return t.seconds;
}

static struct df_cron cron_of(const char *schedule)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_cron cron;

	if (df_cron_parse(df_str_c(schedule), &cron, &err) < 0)
		fail_msg("%s: %s", schedule, err.text);
	return cron;
}

/* ---- tables ---------------------------------------------------------------------------------------------- */

/* The next four firings, as instants with the offset that is in force. */
static const struct {
	const char *schedule, *zone, *after, *next[4];
} firings[] = {
	/* single fields, ranges, lists, steps, names */
	{ "* * * * *",
	  "UTC",
	  "2026-01-31T23:58:59Z",
	  { "2026-01-31T23:59:00Z", "2026-02-01T00:00:00Z", "2026-02-01T00:01:00Z", "2026-02-01T00:02:00Z" } },
	{ "* * * * *", "UTC", "2026-01-31T23:59:00Z", { "2026-02-01T00:00:00Z" } },
	{ "*/25 * * * *",
	  "UTC",
	  "2026-03-01T10:26:00Z",
	  { "2026-03-01T10:50:00Z", "2026-03-01T11:00:00Z", "2026-03-01T11:25:00Z", "2026-03-01T11:50:00Z" } },
	{ "7/20 * * * *",
	  "UTC",
	  "2026-03-01T10:00:00Z",
	  { "2026-03-01T10:07:00Z", "2026-03-01T10:27:00Z", "2026-03-01T10:47:00Z", "2026-03-01T11:07:00Z" } },
	{ "0 9-17/4 * * MON-fri",
	  "UTC",
	  "2026-01-02T16:00:00Z", /* a Friday */
	  { "2026-01-02T17:00:00Z", "2026-01-05T09:00:00Z", "2026-01-05T13:00:00Z", "2026-01-05T17:00:00Z" } },
	{ "59,0 0,23 * * *",
	  "UTC",
	  "2026-01-02T00:00:00Z",
	  { "2026-01-02T00:59:00Z", "2026-01-02T23:00:00Z", "2026-01-02T23:59:00Z", "2026-01-03T00:00:00Z" } },
	{ "0 0 1 jan,JUL *",
	  "UTC",
	  "2026-01-01T00:00:00Z",
	  { "2026-07-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027-07-01T00:00:00Z", "2028-01-01T00:00:00Z" } },
	{ "0 0 29 2 *",
	  "UTC",
	  "2024-02-29T00:00:00Z",
	  { "2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z", "2036-02-29T00:00:00Z" } },
	{ "0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", { "2104-02-29T00:00:00Z" } },
	{ "0 0 31 * *",
	  "UTC",
	  "2026-01-31T00:00:00Z",
	  { "2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z", "2026-07-31T00:00:00Z", "2026-08-31T00:00:00Z" } },
	{ "*/90 */30 * * *", "UTC", "2026-01-01T00:00:00Z", { "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z" } },
	{ "0 30 4 * * *", "UTC", "2026-01-01T00:00:00Z", { "2026-01-01T04:30:00Z", "2026-01-02T04:30:00Z" } },
	/* day of month or day of week: one is enough when neither is a star; a star with a step is none */
	{ "0 0 13 * FRI",
	  "UTC",
	  "2026-02-01T00:00:00Z",
	  { "2026-02-06T00:00:00Z", "2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z", "2026-02-27T00:00:00Z" } },
	{ "0 0 15 * MON",
	  "UTC",
	  "2026-01-13T00:00:00Z",
	  { "2026-01-15T00:00:00Z", "2026-01-19T00:00:00Z", "2026-01-26T00:00:00Z", "2026-02-02T00:00:00Z" } },
	{ "0 0 ? * MON", "UTC", "2026-01-13T00:00:00Z", { "2026-01-19T00:00:00Z", "2026-01-26T00:00:00Z" } },
	{ "0 0 */10 * MON",
	  "UTC",
	  "2026-01-01T00:00:00Z",
	  { "2026-01-05T00:00:00Z", "2026-01-11T00:00:00Z", "2026-01-12T00:00:00Z", "2026-01-19T00:00:00Z" } },
	{ "0 0 */1 * MON", "UTC", "2026-01-01T00:00:00Z", { "2026-01-05T00:00:00Z", "2026-01-12T00:00:00Z" } },
	{ "0 0 1 * */1", "UTC", "2026-01-02T00:00:00Z", { "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z" } },
	{ "0 0 1 * */3",
	  "UTC",
	  "2026-01-30T00:00:00Z",
	  { "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z", "2026-02-04T00:00:00Z", "2026-02-07T00:00:00Z" } },
	/* macros */
	{ "@yearly", "UTC", "2026-01-01T00:00:00Z", { "2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z" } },
	{ "@annually", "UTC", "2026-01-01T00:00:00Z", { "2027-01-01T00:00:00Z" } },
	{ "@monthly", "UTC", "2026-01-01T00:00:00Z", { "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z" } },
	{ "@weekly", "UTC", "2026-01-01T00:00:00Z", { "2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z" } },
	{ "@daily", "UTC", "2026-01-01T00:00:00Z", { "2026-01-02T00:00:00Z" } },
	{ "@midnight", "Asia/Tokyo", "2026-01-01T00:00:00Z", { "2026-01-02T00:00:00+09:00" } },
	{ " @hourly ", "UTC", "2026-01-01T00:00:00Z", { "2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z" } },
	/* Berlin: 02:00 to 03:00 is skipped on 29 March 2026, occurs twice on 25 October 2026 */
	{ "30 2 * * *",
	  "Europe/Berlin",
	  "2026-03-27T12:00:00Z",
	  { "2026-03-28T02:30:00+01:00", "2026-03-30T02:30:00+02:00", "2026-03-31T02:30:00+02:00" } },
	{ "0 */2 * * *",
	  "Europe/Berlin",
	  "2026-03-28T22:30:00Z",
	  { "2026-03-29T00:00:00+01:00", "2026-03-29T04:00:00+02:00", "2026-03-29T06:00:00+02:00" } },
	{ "30 2 * * *",
	  "Europe/Berlin",
	  "2026-10-24T12:00:00Z",
	  { "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-26T02:30:00+01:00" } },
	{ "59 * * * *",
	  "Europe/Berlin",
	  "2026-10-25T00:00:00Z",
	  { "2026-10-25T02:59:00+02:00", "2026-10-25T02:59:00+01:00", "2026-10-25T03:59:00+01:00" } },
	/* midnight is skipped: Santiago, 6 September 2026; Asuncion has no such day after 2024 */
	{ "0 0 * * *",
	  "America/Santiago",
	  "2026-09-05T12:00:00Z",
	  { "2026-09-07T00:00:00-03:00", "2026-09-08T00:00:00-03:00" } },
	/* half an hour: Lord Howe, 4 October 2026, from 02:00 to 02:30 */
	{ "*/15 2 * * *",
	  "Australia/Lord_Howe",
	  "2026-10-03T12:00:00Z",
	  { "2026-10-04T02:30:00+11:00", "2026-10-04T02:45:00+11:00", "2026-10-05T02:00:00+11:00" } },
	{ "0 12 * * *", "Asia/Kathmandu", "2026-01-01T06:15:00Z", { "2026-01-02T12:00:00+05:45" } },
	/* a whole day is skipped: Apia had no 30 December 2011 */
	{ "0 8 29-31 12 *",
	  "Pacific/Apia",
	  "2011-12-29T00:00:00Z",
	  { "2011-12-29T08:00:00-10:00", "2011-12-31T08:00:00+14:00", "2012-12-29T08:00:00+14:00" } },
	{ "0 0 1 1 *", "-05:30", "2026-01-01T05:00:00Z", { "2026-01-01T00:00:00-05:30" } },
	/* before 1970 */
	{ "0 0 * * *", "UTC", "1969-12-30T12:00:00Z", { "1969-12-31T00:00:00Z", "1970-01-01T00:00:00Z" } },
};

static void test_firings(void **state)
{
	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(firings); i++) {
		df_cleanup(df_zone_freep) struct df_zone *zone = zone_of(firings[i].zone);
		struct df_cron cron = cron_of(firings[i].schedule);
		int64_t t = at(firings[i].after);

		for (size_t n = 0; n < 4 && firings[i].next[n]; n++) {
			char text[DF_RFC3339_MAX];

			t = df_cron_next(&cron, zone, t);
			df_rfc3339_format((struct df_instant){ .seconds = t }, df_zone_offset(zone, t),
					  DF_FRACTION_NONE, text);
			if (t != at(firings[i].next[n]))
				fail_msg("`%s` in %s after %s, firing %zu: %s, not %s", firings[i].schedule,
					 firings[i].zone, firings[i].after, n, text, firings[i].next[n]);
		}
	}
}

static void test_never(void **state)
{
	df_cleanup(df_zone_freep) struct df_zone *utc = zone_of("UTC"), *berlin = zone_of("Europe/Berlin");
	struct df_cron cron = cron_of("0 0 30 2 *");

	(void)state;
	assert_int_equal(df_cron_next(&cron, utc, at("2026-01-01T00:00:00Z")), DF_CRON_NEVER);
	assert_int_equal(df_cron_next(&cron, berlin, at("2026-01-01T00:00:00Z")), DF_CRON_NEVER);
	cron = cron_of("0 0 31 4,6,9,11 *");
	assert_int_equal(df_cron_next(&cron, utc, 0), DF_CRON_NEVER);
	cron = cron_of("0 0 30 2 MON"); /* or a Monday of February */
	assert_int_equal(df_cron_next(&cron, utc, at("2026-01-01T00:00:00Z")), at("2026-02-02T00:00:00Z"));
}

static void test_errors(void **state)
{
	static const struct {
		const char *schedule, *text;
	} wrong[] = {
		{ "", "has 0 fields" },
		{ "* * * *", "has 4 fields" },
		{ "* * * * * * *", "has 7 fields" },
		{ "1 * * * * *", "the seconds `1` must be 0" },
		{ "60 * * * *", "the minute `60` is not 0-59" },
		{ "-1 * * * *", "the minute `-1` is not 0-59" },
		{ "* 24 * * *", "the hour `24` is not 0-23" },
		{ "* * 0 * *", "the day of month `0` is not 1-31" },
		{ "* * * 13 *", "the month `13` is not a name or 1-12" },
		{ "* * * * 7", "the day of week `7` is not a name or 0-6" },
		{ "* * * * sunday", "the day of week `sunday` is not a name" },
		{ "mon * * * *", "the minute `mon` is not" },
		{ "5-1 * * * *", "the range ends before it begins" },
		{ "1- * * * *", "the minute `1-` is not" },
		{ "*/0 * * * *", "the step after / must be 1 or more" },
		{ "*/ * * * *", "the step after / must be 1 or more" },
		{ "*/x * * * *", "the step after / must be 1 or more" },
		{ "1,,2 * * * *", "the minute `` is not" },
		{ "1, * * * *", "the minute `` is not" },
		{ "*-5 * * * *", "the minute `*-5` is not" },
		{ "+1 * * * *", "the minute `+1` is not" },
		{ "99999999999999999999 * * * *", "is not 0-59" },
		{ "@reboot", "`@reboot` is not known" },
		{ "@every 5m", "has 2 fields" },
		{ "TZ=UTC * * * * *", "the seconds `TZ=UTC` must be 0" },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(wrong); i++) {
		struct df_error err = DF_ERROR_INIT;
		struct df_cron cron;

		if (df_cron_parse(df_str_c(wrong[i].schedule), &cron, &err) != DF_ERR_CONFIG ||
		    !strstr(err.text, wrong[i].text))
			fail_msg("`%s`: %s", wrong[i].schedule, err.text);
	}
}

static void test_missed(void **state)
{
	df_cleanup(df_zone_freep) struct df_zone *utc = zone_of("UTC");
	struct df_cron cron = cron_of("0 * * * *");
	int64_t last = -1;

	(void)state;
	assert_int_equal(df_cron_missed(&cron, utc, at("2026-01-01T10:00:00Z"), at("2026-01-01T10:59:59Z"), &last), 0);
	assert_int_equal(last, -1);
	assert_int_equal(df_cron_missed(&cron, utc, at("2026-01-01T10:00:00Z"), at("2026-01-01T11:00:00Z"), &last), 1);
	assert_int_equal(last, at("2026-01-01T11:00:00Z"));
	assert_int_equal(df_cron_missed(&cron, utc, at("2026-01-01T10:30:00Z"), at("2026-01-03T10:30:00Z"), &last), 48);
	assert_int_equal(last, at("2026-01-03T10:00:00Z"));
	/* the clock went back */
	assert_int_equal(df_cron_missed(&cron, utc, at("2026-01-01T10:00:00Z"), at("2025-01-01T10:00:00Z"), &last), 0);
	cron = cron_of("0 0 30 2 *");
	assert_int_equal(df_cron_missed(&cron, utc, 0, INT64_MAX, &last), 0);
}

/* ---- against a scan of every minute ---------------------------------------------------------------------- */

/* The sets as a schedule's text is written from them: nothing of the parser or of df_cron_next is used. */
struct model {
	bool minute[60], hour[24], day[32], month[13], weekday[7];
	bool any_day, any_weekday;
	char text[512];
};

static uint64_t below(uint64_t *random, uint64_t n)
{
	return df_random_next(random) % n;
}

static void model_field(struct model *m, uint64_t *random, bool *set, int min, int max, bool *any)
{
	char *end = m->text + strlen(m->text);
	size_t room = sizeof(m->text) - (size_t)(end - m->text);
	int step = 1 + (int)below(random, 9);
	int low = min + (int)below(random, (uint64_t)(max - min + 1));
	int high = low + (int)below(random, (uint64_t)(max - low + 1));

	*any = false;
	switch (below(random, 6)) {
	case 0:
		*any = true;
		for (int i = min; i <= max; i++)
			set[i] = true;
		snprintf(end, room, "* ");
		return;
	case 1:
		*any = step == 1;
		for (int i = min; i <= max; i += step)
			set[i] = true;
		snprintf(end, room, "*/%d ", step);
		return;
	case 2:
		for (int i = low; i <= high; i += step)
			set[i] = true;
		snprintf(end, room, "%d-%d/%d ", low, high, step);
		return;
	case 3:
		for (int i = low; i <= max; i += step)
			set[i] = true;
		snprintf(end, room, "%d/%d ", low, step);
		return;
	case 4:
		set[low] = set[high] = true;
		snprintf(end, room, "%d,%d ", low, high);
		return;
	default:
		set[low] = true;
		snprintf(end, room, "%d ", low);
	}
}

static void model_draw(struct model *m, uint64_t *random)
{
	bool ignored;

	*m = (struct model){ 0 };
	model_field(m, random, m->minute, 0, 59, &ignored);
	model_field(m, random, m->hour, 0, 23, &ignored);
	model_field(m, random, m->day, 1, 31, &m->any_day);
	model_field(m, random, m->month, 1, 12, &ignored);
	model_field(m, random, m->weekday, 0, 6, &m->any_weekday);
}

static bool model_fires(const struct model *m, const struct df_zone *zone, int64_t t)
{
	struct df_civil c = df_civil_from_unix((struct df_instant){ .seconds = t }, df_zone_offset(zone, t));
	bool day = m->any_day || m->any_weekday ? m->day[c.day] && m->weekday[c.weekday]
						: m->day[c.day] || m->weekday[c.weekday];

	return c.second == 0 && m->minute[c.minute] && m->hour[c.hour] && m->month[c.month] && day;
}

#define SCHEDULES 120
#define SCAN_MINUTES (45 * 24 * 60)

static void test_against_a_scan(void **state)
{
	static const char *const zones[] = { "UTC",
					     "Europe/Berlin",
					     "America/New_York",
					     "America/Santiago",
					     "Asia/Kathmandu",
					     "Australia/Lord_Howe",
					     "Africa/Cairo",
					     "Pacific/Apia" };
	uint64_t random = 20260101, firing = 0;

	(void)state;
	for (int round = 0; round < SCHEDULES; round++) {
		df_cleanup(df_zone_freep) struct df_zone *zone = zone_of(zones[below(&random, DF_ARRAY_SIZE(zones))]);
		/* 2000 to 2060: from tables and from the rules behind them; often just before a clock change */
		int64_t begin = at("2000-01-01T00:00:00Z") + (int64_t)below(&random, 60 * 365) * 86400;
		int64_t change = df_zone_change_after(zone, begin), expected;
		struct model m;
		struct df_cron cron;

		if (round % 2 && change != INT64_MAX)
			begin = change - 86400 - (int64_t)below(&random, 86400);
		model_draw(&m, &random);
		cron = cron_of(m.text);
		expected = df_cron_next(&cron, zone, begin);
		for (int64_t t = (begin / 60 + 1) * 60, end = t + (int64_t)SCAN_MINUTES * 60; t < end; t += 60) {
			if (model_fires(&m, zone, t) != (t == expected))
				fail_msg("`%s` at %lld: expected %lld", m.text, (long long)t, (long long)expected);
			if (t == expected) {
				expected = df_cron_next(&cron, zone, t);
				firing++;
			}
		}
	}
	assert_true(firing > 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_firings), cmocka_unit_test(test_never),	       cmocka_unit_test(test_errors),
		cmocka_unit_test(test_missed),	cmocka_unit_test(test_against_a_scan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
