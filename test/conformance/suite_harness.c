#include "suite_harness.h"

#include <stdio.h>
#include <string.h>

char suite_manifest[64];
static size_t passed;

void suite_write_manifest(const char *source)
{
	FILE *f = fopen(suite_manifest, "w");

	assert_non_null(f);
	fprintf(f, "apiVersion: dataflow.dataflow.io/v1\nkind: DataFlow\nmetadata: {name: x}\nspec:\n  source: %s\n",
		source);
	assert_int_equal(fclose(f), 0);
}

const struct suite_limits suite_patient = { .rule_ns = 60 * DF_NS_PER_S, .soon_ns = 10 * DF_NS_PER_S };
const struct suite_limits suite_usual = { 0 };

char *suite_verdict(const char *source, const char *server, const char *rule, const struct suite_limits *limits)
{
	const char *rules[] = { rule, NULL };
	struct df_conformance_options options = { .manifest = suite_manifest,
						  .server = server,
						  .rules = rules,
						  .rule_ns = limits->rule_ns,
						  .soon_ns = limits->soon_ns,
						  .quick = true };
	struct df_conformance_report report;
	struct df_diags diags = { 0 };
	struct df_error err = DF_ERROR_INIT;
	char *seen = NULL;

	suite_write_manifest(source);
	if (df_conformance_run(&options, &report, &diags, &err) < 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; !seen && i < report.count; i++)
		if (report.results[i].verdict == DF_VERDICT_FAIL)
			assert_true(asprintf(&seen, "%s: %s", report.results[i].rule, report.results[i].seen) >= 0);
	assert_int_equal(report.passed + report.failed + report.not_applicable, report.count);
	passed = report.passed;
	df_conformance_report_done(&report);
	df_diags_done(&diags);
	return seen;
}

size_t suite_passed(void)
{
	return passed;
}

int suite_add(const struct df_connector *connector)
{
	struct df_error err = DF_ERROR_INIT;

	snprintf(suite_manifest, sizeof(suite_manifest), "/tmp/df-suite-%d.yaml", (int)getpid());
	if (df_connectors_add(connector, false, &err) == 0)
		return 0;
	fprintf(stderr, "%s\n", err.text);
	return -1;
}

int suite_end(int failed)
{
	unlink(suite_manifest);
	return failed;
}
