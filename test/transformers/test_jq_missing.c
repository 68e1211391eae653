/* A build without libjq: the settings are known, using it is refused. test_jq.c is what is skipped then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "transform_test.h"

static void says_what_to_do(void **state)
{
	static const struct transform_config_case cases[] = {
		{ "{type: jq, config: {program: .}}",
		  "spec.transformations[0].config: this build has no jq: libjq was missing or its option disabled when it was "
		  "built; install libjq-dev and build with -Djq=enabled" },
		{ "{type: jq, config: {prgram: .}}", "spec.transformations[0].config.prgram: " },
	};

	(void)state;
	transform_check_config(cases, DF_ARRAY_SIZE(cases));
}

static void runs_programs(void **state)
{
	(void)state;
	print_message("SKIPPED: libjq was not there when this was built (install libjq-dev)\n");
	skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_to_do),
		cmocka_unit_test(runs_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
