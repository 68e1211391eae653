#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/v1/maintenance.h"
#include "base/clock.h"
#include "base/time.h"

#define NO_LAST INT64_MIN
#define NEVER INT64_MAX

static int64_t at(const char *text)
{
	struct df_instant t;

	if (!text)
		return NEVER;
	if (!df_rfc3339_parse(df_str_c(text), &t))
		fail_msg("%s", text);
	return t.seconds;
}

/* A window of one hour. */
static const struct {
	const char *start, *repeat, *zone, *now;
	bool in_window;
	const char *last, *next, *change;
} cases[] = {
	/* one time */
	{ "2026-03-01T02:00:00Z", NULL, "UTC", "2026-03-01T01:59:59Z", false, NULL, "2026-03-01T02:00:00Z",
	  "2026-03-01T02:00:00Z" },
	{ "2026-03-01T02:00:00Z", NULL, "UTC", "2026-03-01T02:00:00Z", true, "2026-03-01T02:00:00Z", NULL,
	  "2026-03-01T03:00:00Z" },
	{ "2026-03-01T02:00:00Z", NULL, "UTC", "2026-03-01T03:00:00Z", false, "2026-03-01T02:00:00Z", NULL, NULL },
	/* daily: never before the first, also when it began yesterday, across clock changes */
	{ "2026-03-01T23:30:00Z", "daily", "UTC", "2026-02-27T23:45:00Z", false, NULL, "2026-03-01T23:30:00Z",
	  "2026-03-01T23:30:00Z" },
	{ "2026-03-01T23:30:00Z", "daily", "UTC", "2026-03-05T00:29:59Z", true, "2026-03-04T23:30:00Z",
	  "2026-03-05T23:30:00Z", "2026-03-05T00:30:00Z" },
	{ "2026-03-01T23:30:00Z", "daily", "UTC", "2026-03-05T00:30:00Z", false, "2026-03-04T23:30:00Z",
	  "2026-03-05T23:30:00Z", "2026-03-05T23:30:00Z" },
	{ "2026-03-01T03:00:00+01:00", "daily", "Europe/Berlin", "2026-03-29T00:30:00Z", false,
	  "2026-03-28T03:00:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:00:00+02:00" },
	{ "2026-03-01T03:00:00+01:00", "daily", "Europe/Berlin", "2026-07-01T01:30:00Z", true,
	  "2026-07-01T03:00:00+02:00", "2026-07-02T03:00:00+02:00", "2026-07-01T04:00:00+02:00" },
	/* 02:30 is skipped: forward by the gap; 02:30 twice: the first */
	{ "2026-03-01T02:30:00+01:00", "daily", "Europe/Berlin", "2026-03-29T00:00:00Z", false,
	  "2026-03-28T02:30:00+01:00", "2026-03-29T03:30:00+02:00", "2026-03-29T03:30:00+02:00" },
	{ "2026-03-01T02:30:00+01:00", "daily", "Europe/Berlin", "2026-10-25T01:40:00Z", false,
	  "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00", "2026-10-26T02:30:00+01:00" },
	/* weekly: the wall clock, not 168 hours */
	{ "2026-03-23T02:00:00+01:00", "weekly", "Europe/Berlin", "2026-03-30T00:10:00Z", true,
	  "2026-03-30T02:00:00+02:00", "2026-04-06T02:00:00+02:00", "2026-03-30T03:00:00+02:00" },
	/* monthly: the last day of shorter months, and back */
	{ "2026-01-31T00:00:00Z", "monthly", "UTC", "2026-02-28T00:30:00Z", true, "2026-02-28T00:00:00Z",
	  "2026-03-31T00:00:00Z", "2026-02-28T01:00:00Z" },
	{ "2026-01-31T00:00:00Z", "monthly", "UTC", "2028-02-15T00:00:00Z", false, "2028-01-31T00:00:00Z",
	  "2028-02-29T00:00:00Z", "2028-02-29T00:00:00Z" },
	{ "2026-11-30T23:30:00Z", "monthly", "UTC", "2027-01-01T00:00:00Z", false, "2026-12-30T23:30:00Z",
	  "2027-01-30T23:30:00Z", "2027-01-30T23:30:00Z" },
	/* the instant is moved into the zone: 23:30 of the day before there */
	{ "2026-03-01T00:30:00+02:00", "monthly", "America/New_York", "2026-03-28T21:00:00Z", false,
	  "2026-02-28T17:30:00-05:00", "2026-03-28T17:30:00-04:00", "2026-03-28T17:30:00-04:00" },
};

static void test_windows(void **state)
{
	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(cases); i++) {
		struct df_maintenance m = { .start_time = (char *)cases[i].start,
					    .repeat = (char *)cases[i].repeat,
					    .timezone = (char *)cases[i].zone,
					    .duration = { 3600 * DF_NS_PER_S, true } };
		struct df_dataflow_spec spec = { .maintenance = { &m } };
		struct df_error err = DF_ERROR_INIT;
		struct df_maintenance_state s;

		assert_int_equal(df_maintenance_at(&spec, at(cases[i].now), &s, &err), 0);
		if (s.in_window != cases[i].in_window || s.suspended ||
		    s.last_start != (cases[i].last ? at(cases[i].last) : NO_LAST) ||
		    s.next_start != at(cases[i].next) || s.next_change != at(cases[i].change))
			fail_msg("%s %s in %s at %s: in %d, last %lld, next %lld, change %lld", cases[i].start,
				 cases[i].repeat ? cases[i].repeat : "once", cases[i].zone, cases[i].now, s.in_window,
				 (long long)s.last_start, (long long)s.next_start, (long long)s.next_change);
	}
}

static void test_suspended(void **state)
{
	struct df_maintenance m = { .timezone = (char *)"UTC", .suspended = { true, true } };
	struct df_dataflow_spec spec = { 0 };
	struct df_error err = DF_ERROR_INIT;
	struct df_maintenance_state s;

	(void)state;
	assert_int_equal(df_maintenance_at(&spec, 0, &s, &err), 0);
	assert_false(s.suspended || s.in_window);
	assert_int_equal(s.next_change, NEVER);
	spec.suspended.set = spec.suspended.value = true;
	assert_int_equal(df_maintenance_at(&spec, 0, &s, &err), 0);
	assert_true(s.suspended);
	spec = (struct df_dataflow_spec){ .maintenance = { &m } };
	assert_int_equal(df_maintenance_at(&spec, 0, &s, &err), 0);
	assert_true(s.suspended);
	m.suspended.value = false;
	assert_int_equal(df_maintenance_at(&spec, 0, &s, &err), 0);
	assert_false(s.suspended);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_windows), cmocka_unit_test(test_suspended) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
