#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/retry.h"

static const struct df_retry_policy few = { 2 * DF_NS_PER_S, 60 * DF_NS_PER_S, 2, 0.2, false, 5 };
static const struct df_retry_policy many = { DF_NS_PER_S, 120 * DF_NS_PER_S, 2, 0.2, false, 0 };

static void assert_near(int64_t ns, double seconds)
{
	double s = (double)ns / (double)DF_NS_PER_S;
	if (s < seconds * 0.8 || s > seconds * 1.2)
		fail_msg("%f s is not within 20 %% of %f s", s, seconds);
}

static void test_few_attempts(void **state)
{
	(void)state;
	struct df_retry retry;
	df_retry_init(&retry, &few, 42);
	for (int round = 0; round < 2; round++) {
		assert_near(df_retry_next(&retry), 2);
		assert_near(df_retry_next(&retry), 4);
		assert_near(df_retry_next(&retry), 8);
		assert_near(df_retry_next(&retry), 16);
		assert_int_equal(df_retry_next(&retry), -1); /* five tries, four delays */
		assert_int_equal(df_retry_next(&retry), -1);
		df_retry_reset(&retry);
	}
}

static void test_no_limit(void **state)
{
	(void)state;
	struct df_retry retry;
	df_retry_init(&retry, &many, 0);
	for (double seconds = 1; seconds < 100; seconds *= 2)
		assert_near(df_retry_next(&retry), seconds);
	for (int i = 0; i < 5000; i++) {
		int64_t ns = df_retry_next(&retry);
		assert_in_range(ns, 96 * DF_NS_PER_S, 120 * DF_NS_PER_S);
	}
}

static void test_jitter_spreads(void **state)
{
	(void)state;
	int low = 0, high = 0;
	int64_t last = 0;
	for (uint64_t seed = 0; seed < 1000; seed++) {
		struct df_retry retry;
		df_retry_init(&retry, &few, seed);
		int64_t ns = df_retry_next(&retry);
		assert_true(ns != last); /* seeds side by side do not give the same delay */
		last = ns;
		low += ns < 1700 * DF_NS_PER_MS;
		high += ns > 2300 * DF_NS_PER_MS;
	}
	assert_in_range(low, 60, 190);
	assert_in_range(high, 60, 190);
}

static void test_full_jitter(void **state)
{
	(void)state;
	const struct df_retry_policy policy = {
		.first_ns = 1000000, .cap_ns = 8000000, .factor = 2, .full_jitter = true
	};
	int64_t longest = 0, sum = 0;
	for (uint64_t seed = 0; seed < 1000; seed++) {
		struct df_retry retry;
		df_retry_init(&retry, &policy, seed);
		assert_in_range(df_retry_next(&retry), 0, 1000000);
		assert_in_range(df_retry_next(&retry), 0, 2000000);
		for (int i = 0; i < 5; i++)
			(void)df_retry_next(&retry);
		int64_t ns = df_retry_next(&retry);
		sum += ns;
		longest = ns > longest ? ns : longest;
	}
	assert_in_range(longest, 7800000, 8000000);
	assert_in_range(sum / 1000, 3600000, 4400000);
}

static void test_without_jitter(void **state)
{
	(void)state;
	const struct df_retry_policy policy = { .first_ns = 10, .cap_ns = 35, .factor = 1.5 };
	struct df_retry retry;
	df_retry_init(&retry, &policy, 1);
	static const int64_t want[] = { 10, 15, 22, 33, 35, 35 };
	for (int i = 0; i < 6; i++)
		assert_int_equal(df_retry_next(&retry), want[i]);
	const struct df_retry_policy once = { .first_ns = 10, .cap_ns = 35, .factor = 1, .max_attempts = 1 };
	df_retry_init(&retry, &once, 1);
	assert_int_equal(df_retry_next(&retry), -1);
}

static void test_random(void **state)
{
	(void)state;
	uint64_t x = 1; /* first outputs of xorshift64* for the state 1 */
	assert_true(df_random_next(&x) == UINT64_C(5180492295206395165));
	assert_true(df_random_next(&x) == UINT64_C(12380297144915551517));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few_attempts),   cmocka_unit_test(test_no_limit),
		cmocka_unit_test(test_jitter_spreads), cmocka_unit_test(test_full_jitter),
		cmocka_unit_test(test_without_jitter), cmocka_unit_test(test_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
