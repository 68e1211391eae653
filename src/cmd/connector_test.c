/* `connector test`: the conformance suite (src/conformance) on a user's own manifest and server. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd/common.h"
#include "conformance/rule.h"
#include "connectors/plugin_load.h"
#include "connectors/subprocess/subprocess.h"
#include "spec/secrets.h"

#define RULE_SECONDS_MAX ((uint64_t)24 * 3600)

struct connector_test_options {
	const char *server, *setup, *cleanup, *feed, *dump, *restart, *against, *report, *secrets;
	struct df_option_list rules, wrong_credentials;
	uint64_t time_limit, patience;
	bool quick, list_rules;
};

#define OPTION(...) DF_OPTION(struct connector_test_options, __VA_ARGS__)

static int64_t seconds(uint64_t n)
{
	return (int64_t)(n < RULE_SECONDS_MAX ? n : RULE_SECONDS_MAX) * DF_NS_PER_S;
}

static const struct df_option connector_test_rows[] = {
	OPTION(server, "server", 's', .argument = "HOST:PORT",
	       .doc = "what {address} in the manifest stands for: the server, or the suite's proxy before it"),
	OPTION(setup, "setup", 0, .argument = "COMMAND",
	       .doc = "run before each rule: makes what {name} names, when the sink does not make it itself"),
	OPTION(cleanup, "cleanup", 0, .argument = "COMMAND", .doc = "run after each rule: drops it"),
	OPTION(feed, "feed", 0, .argument = "COMMAND",
	       .doc = "puts rows, JSON lines on its standard input, into the store (else the manifest's sink does)"),
	OPTION(dump, "dump", 0, .argument = "COMMAND",
	       .doc = "prints the rows of the store as JSON lines (else the manifest's source reads them)"),
	OPTION(restart, "restart", 0, .argument = "COMMAND",
	       .doc = "restarts the server and returns when it is up again"),
	OPTION(wrong_credentials, "wrong-credentials", 0, .argument = "PATH=VALUE",
	       .doc = "a setting that cannot authenticate (source.config.password=wrong); repeatable"),
	OPTION(against, "against", 'a', .argument = "FILE",
	       .doc = "the connector: a shared object, or a program called dataflow-connector-TYPE"),
	OPTION(rules, "rule", 'r', .argument = "NAME", .doc = "only this rule, or this group of rules; repeatable"),
	OPTION(report, "report", 0, .argument = "FILE", .doc = "write the JSON report, the connector's passport"),
	OPTION(secrets, "secrets", 0, .argument = "DIR", .doc = "Secrets as files: DIR/<secret>/<key>"),
	OPTION(time_limit, "time-limit", 0, .argument = "SECONDS",
	       .doc = "how long a rule may take that does not say so itself (default 60)"),
	OPTION(patience, "patience", 0, .argument = "SECONDS",
	       .doc = "how long may take what must return soon, close above all (default 1)"),
	OPTION(quick, "quick", 'q', .doc = "fewer rows and rounds"),
	OPTION(list_rules, "list-rules", 0, .doc = "list the rules as a Markdown table and run nothing"),
};

static int list_rules(void)
{
	struct df_buf buf = { 0 };
	size_t n;
	const struct df_conformance_rule *const *rules = df_conformance_rules(&n);

	df_buf_add_c(&buf, "| Rule | What must hold |\n|-|-|\n");
	for (size_t i = 0; i < n; i++)
		df_buf_printf(&buf, "| `%s` | %s |\n", rules[i]->name, rules[i]->doc);
	return df_print(&buf);
}

/* Makes its types known, or takes the place of those of the same name. */
static int load_connector(const struct df_command *command, const char *file)
{
	df_cleanup(df_freep) char *path = realpath(file, NULL);
	struct df_error err = DF_ERROR_INIT;
	int r;

	if (!path)
		return df_usage_error(command, "--against %s: %s", file, strerror(errno));
	if (df_str_ends(df_str_c(path), DF_STR(".so")))
		r = df_plugin_load_file(path, &err);
	else
		r = df_subprocess_add(path, NULL, &err);
	return r < 0 ? df_usage_error(command, "--against: %s", err.text) : DF_EXIT_OK;
}

static void summary(const struct df_conformance_report *report)
{
	int64_t ns = 0;

	for (size_t i = 0; i < report->count; i++)
		ns += report->results[i].ns;
	printf("%zu passed, %zu failed, %zu not applicable in %.1f s\n", report->passed, report->failed,
	       report->not_applicable, (double)ns / (double)DF_NS_PER_S);
}

static int run_suite(const struct df_conformance_options *options)
{
	struct df_conformance_report report;
	struct df_diags diags = { 0 };
	struct df_error err = DF_ERROR_INIT;
	int code = df_conformance_run(options, &report, &diags, &err), r = df_report_diags(&diags);

	if (code < 0 && r == DF_EXIT_OK) {
		fprintf(stderr, "dataflow connector test: %s\n", err.text);
		r = code == DF_ERR_CONFIG ? DF_EXIT_USAGE : DF_EXIT_FAILED;
	}
	if (code == 0) {
		summary(&report);
		r = report.failed ? DF_EXIT_FAILED : DF_EXIT_OK;
	}
	df_conformance_report_done(&report);
	df_diags_done(&diags);
	return r;
}

static int connector_test_run(const struct df_command *command, void *options, int operands, char **operand)
{
	const struct connector_test_options *o = options;
	struct df_secret_store *secrets;
	struct df_buf nothing = { 0 };
	int r;

	if (o->list_rules)
		return list_rules();
	if (operands == 0)
		return df_usage_error(command, "MANIFEST is missing");
	if (o->against && load_connector(command, o->against) != DF_EXIT_OK)
		return DF_EXIT_USAGE;
	secrets = o->secrets ? df_secret_store_new(o->secrets, "default") : NULL;
	r = run_suite(&(struct df_conformance_options){
		.manifest = operand[0],
		.server = o->server,
		.setup = o->setup,
		.cleanup = o->cleanup,
		.feed = o->feed,
		.dump = o->dump,
		.restart = o->restart,
		.wrong_credentials = o->wrong_credentials.items,
		.rules = o->rules.items,
		.report = o->report,
		.out = stdout,
		.secrets = secrets ? df_secret_store_get(secrets) : NULL,
		.rule_ns = seconds(o->time_limit),
		.soon_ns = seconds(o->patience),
		.quick = o->quick,
	});
	df_secret_store_free(secrets);
	return df_print(&nothing) == DF_EXIT_OK ? r : DF_EXIT_FAILED;
}

const struct df_command df_command_connector_test = {
	.name = "connector test",
	.operands = "MANIFEST",
	.min_operands = 0,
	.max_operands = 1,
	.summary = "test a connector against the rules of the contract",
	.doc = "Runs the conformance suite on the source, the sink or both of a DataFlow, on the server that it names.\n"
	       "One line a rule: pass, fail with what was seen, or not applicable with the reason. Each rule runs in a\n"
	       "process of its own. `{name}` in the manifest becomes a name of each rule's own (a table, a topic, a "
	       "file),\n"
	       "`{address}` the server or the suite's proxy. Rows are objects with an integer `id` and a text `name`.\n"
	       "Use a server and names that hold nothing of value. Exit code 1: a rule failed.",
	.examples = "  dataflow connector test flow.yaml\n"
		    "  dataflow connector test --server 127.0.0.1:5432 --report passport.json flow.yaml\n"
		    "  dataflow connector test --rule lifecycle --rule sink.empty flow.yaml\n"
		    "  dataflow connector test --against build/mydb.so flow.yaml\n"
		    "  dataflow connector test --list-rules\n",
	.options = connector_test_rows,
	.option_count = sizeof(connector_test_rows) / sizeof(connector_test_rows[0]),
	.size = sizeof(struct connector_test_options),
	.run = connector_test_run,
};
