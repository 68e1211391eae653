/* Series and the bucket of each object, with a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "operator/event_series.h"

#define START (1700000000 * DF_NS_PER_S)
#define MINUTE (60 * DF_NS_PER_S)

static struct df_event_series *series;
static int64_t stamp, count;

static enum df_event_verdict add(const char *object, const char *what, int64_t at_ns)
{
	return df_event_series_add(series, df_str_c(object), df_str_c(what), START + at_ns, &stamp, &count);
}

static int set_up(void **state)
{
	(void)state;
	series = df_event_series_new();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	df_event_series_free(series);
	return 0;
}

static void test_the_same_again(void **state)
{
	int64_t first;

	(void)state;
	assert_int_equal(add("u1", "Warning/A/text", 0), DF_EVENT_CREATE);
	assert_int_equal(count, 1);
	first = stamp;
	assert_int_equal(add("u1", "Warning/A/text", MINUTE), DF_EVENT_RAISE);
	assert_int_equal(count, 2);
	assert_int_equal(stamp, first);
	/* Ten minutes after the last one, not after the first. */
	assert_int_equal(add("u1", "Warning/A/text", 11 * MINUTE), DF_EVENT_RAISE);
	assert_int_equal(count, 3);
	assert_int_equal(add("u1", "Warning/A/text", 21 * MINUTE + 1), DF_EVENT_CREATE);
	assert_int_equal(count, 1);
	assert_true(stamp > first);
}

static void test_what_differs(void **state)
{
	int64_t first;

	(void)state;
	assert_int_equal(add("u1", "Warning/A/text", 0), DF_EVENT_CREATE);
	first = stamp;
	assert_int_equal(add("u1", "Warning/A/other", 0), DF_EVENT_CREATE);
	assert_int_not_equal(stamp, first); /* though at the same time */
	assert_int_equal(add("u1", "Normal/A/text", 0), DF_EVENT_CREATE);
	assert_int_equal(add("u2", "Warning/A/text", 0), DF_EVENT_CREATE);
	assert_int_equal(add("u1", "Warning/A/text", 0), DF_EVENT_RAISE);
	df_event_series_forget(series, df_str_c("u1"), df_str_c("Warning/A/text"));
	assert_int_equal(add("u1", "Warning/A/text", 0), DF_EVENT_CREATE);
}

static void test_bucket(void **state)
{
	char what[32];

	(void)state;
	for (int i = 0; i < DF_EVENT_BURST; i++) {
		snprintf(what, sizeof(what), "%d", i);
		assert_int_equal(add("u1", what, 0), DF_EVENT_CREATE);
	}
	assert_int_equal(add("u1", "more", 0), DF_EVENT_DROP);
	assert_int_equal(add("u1", "0", 0), DF_EVENT_DROP);
	assert_int_equal(add("u2", "more", 0), DF_EVENT_CREATE); /* each object for itself */
	assert_int_equal(add("u1", "more", 5 * MINUTE - 1), DF_EVENT_DROP);
	assert_int_equal(add("u1", "0", 5 * MINUTE), DF_EVENT_RAISE);
	assert_int_equal(count, 3); /* the one that was not sent is counted */
	assert_int_equal(add("u1", "more", 5 * MINUTE), DF_EVENT_DROP);
	/* Two come back in ten minutes. */
	assert_int_equal(add("u1", "a", 15 * MINUTE), DF_EVENT_CREATE);
	assert_int_equal(add("u1", "b", 15 * MINUTE), DF_EVENT_CREATE);
	assert_int_equal(add("u1", "c", 15 * MINUTE), DF_EVENT_DROP);
	/* Not more than a whole bucket, however long it is quiet. */
	for (int i = 0; i < DF_EVENT_BURST; i++) {
		snprintf(what, sizeof(what), "again %d", i);
		assert_int_equal(add("u1", what, 10000 * MINUTE), DF_EVENT_CREATE);
	}
	assert_int_equal(add("u1", "d", 10000 * MINUTE), DF_EVENT_DROP);
}

/* Many objects, in a table of fixed size: each is told once, and what goes on, or has told too much, stays known. */
static void test_many(void **state)
{
	char text[32];

	(void)state;
	for (int i = 0; i < DF_EVENT_BURST; i++) {
		snprintf(text, sizeof(text), "%d", i);
		assert_int_equal(add("loud", text, 0), DF_EVENT_CREATE);
	}
	assert_int_equal(add("steady", "x", 0), DF_EVENT_CREATE);
	for (int i = 0; i < 50000; i++) {
		snprintf(text, sizeof(text), "u%d", i);
		assert_int_equal(add(text, "x", i), DF_EVENT_CREATE);
		if (i % 1000)
			continue;
		assert_int_equal(add("loud", "more", i), DF_EVENT_DROP);
		if (i < 20000)
			assert_int_equal(add("steady", "x", i), DF_EVENT_RAISE);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_same_again),
		TEST(test_what_differs),
		TEST(test_bucket),
		TEST(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
