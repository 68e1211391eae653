/* `cron`: what a schedule means, without waiting for it. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/cron.h"
#include "cmd/common.h"
#include "connectors/factory.h"

#define COUNT_DEFAULT 5
#define COUNT_MAX 10000

struct cron_options {
	uint64_t count;
	const char *schedule, *time_zone, *from, *name;
};

static const struct df_option cron_option_rows[] = {
	DF_OPTION(struct cron_options, count, "count", 'n', .argument = "N", .doc = "how many times (default 5)"),
	DF_OPTION(struct cron_options, schedule, "schedule", 0, .argument = "CRON",
		  .doc = "instead of a FILE: five fields, or @hourly, @daily, @weekly, @monthly, @yearly"),
	DF_OPTION(struct cron_options, time_zone, "time-zone", 0, .argument = "ZONE",
		  .doc = "of a schedule without a timeZone (default UTC)"),
	DF_OPTION(struct cron_options, from, "from", 0, .argument = "TIME",
		  .doc = "times after this one: 2026-03-28T12:00:00Z (default: now)"),
	DF_OPTION(struct cron_options, name, "name", 0, .argument = "NAME",
		  .doc = "which flow of a file that has several"),
};

static int print_times(const struct df_cron *cron, const struct df_zone *zone, int64_t from, uint64_t count)
{
	struct df_buf buf = { 0 };

	for (uint64_t i = 0; i < count; i++) {
		char text[DF_TIME_TEXT];

		from = df_cron_next(cron, zone, from);
		if (from == DF_CRON_NEVER) {
			df_buf_add_c(&buf, i ? "" : "never\n");
			break;
		}
		df_buf_printf(&buf, "%s\n", df_time_text(from, zone, text));
	}
	return df_print(&buf);
}

static int next(const struct df_command *command, const struct cron_options *o, const char *schedule, const char *zone)
{
	df_cleanup(df_zone_freep) struct df_zone *loaded = NULL;
	struct df_error err = DF_ERROR_INIT;
	struct df_instant from = { .seconds = df_clock_now(NULL) / DF_NS_PER_S };
	struct df_cron cron;

	if (o->from && !df_rfc3339_parse(df_str_c(o->from), &from))
		return df_usage_error(command, "--from: '%s' is not like 2026-03-28T12:00:00Z", o->from);
	if (df_cron_parse(df_str_c(schedule), &cron, &err) < 0)
		return df_usage_error(command, "'%s': %s", schedule, err.text);
	if (df_zone_load(df_str_c(zone ? zone : o->time_zone ? o->time_zone : "UTC"), &loaded, &err) < 0)
		return df_usage_error(command, "%s", err.text);
	if (o->count > COUNT_MAX)
		return df_usage_error(command, "--count: at most %d", COUNT_MAX);
	return print_times(&cron, loaded, from.seconds, o->count ? o->count : COUNT_DEFAULT);
}

static int next_of_file(const struct df_command *command, const struct cron_options *o, const char *file)
{
	struct df_manifests manifests = { 0 };
	struct df_diags diags = { 0 };
	const struct df_manifest *m;
	int r;

	df_manifests_load(file, &(struct df_manifest_options){ .registry = df_registry() }, &manifests, &diags);
	r = df_report_diags(&diags);
	m = r == DF_EXIT_OK ? df_pick_manifest(command, &manifests, o->name) : NULL;
	if (m && m->kind != DF_KIND_DATAFLOWCRON)
		r = df_usage_error(command, "%s is a DataFlow: it has no schedule", m->name);
	else if (m)
		r = next(command, o, m->spec.schedule, m->spec.time_zone);
	else
		r = DF_EXIT_USAGE;
	df_manifests_done(&manifests);
	df_diags_done(&diags);
	return r;
}

static int cron_run(const struct df_command *command, void *options, int operands, char **operand)
{
	const struct cron_options *o = options;

	if (strcmp(operand[0], "next") != 0)
		return df_usage_error(command, "unknown operand '%s'; usage: dataflow cron next FILE", operand[0]);
	if ((operands == 2) == (o->schedule != NULL))
		return df_usage_error(command, "give a FILE, or --schedule");
	return o->schedule ? next(command, o, o->schedule, NULL) : next_of_file(command, o, operand[1]);
}

const struct df_command df_command_cron = {
	.name = "cron",
	.operands = "next [FILE]",
	.min_operands = 1,
	.max_operands = 2,
	.summary = "show when a schedule fires next",
	.doc = "Prints the next times of the schedule of the DataFlowCron in FILE, one a line, in its time zone. A time\n"
	       "that a clock change skips does not fire, one that occurs twice fires twice, as in Kubernetes.",
	.examples = "  dataflow cron next examples/nightly/flow.yaml\n"
		    "  dataflow cron next --schedule '30 2 * * MON-FRI' --time-zone Europe/Berlin -n 3\n",
	.options = cron_option_rows,
	.option_count = sizeof(cron_option_rows) / sizeof(cron_option_rows[0]),
	.size = sizeof(struct cron_options),
	.run = cron_run,
};
