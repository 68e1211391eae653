/* Manifest files: documents, kinds, names, Secrets, --set, and every rule of sections 3, 4 and 8. */
#include "support.h"

#define HEAD(kind) "apiVersion: dataflow.dataflow.io/v1\nkind: " kind "\nmetadata: {name: x}\nspec:\n"
#define ENDS                                            \
	"  source: {type: queue, config: {topic: a}}\n" \
	"  sink: {type: rows, config: {table: t, upsertMode: true}}\n"
#define FLOW HEAD("DataFlow") ENDS
#define CRON HEAD("DataFlowCron") ENDS "  schedule: '0 * * * *'\n"
#define ROWS(strict)                        \
	HEAD("DataFlow")                    \
	"  strictIdempotency: " strict "\n" \
	"  source: {type: rows, config: {table: s}}\n"

struct load {
	struct df_manifests manifests;
	struct df_diags diags;
	struct df_buf text;
	char file[64];
};

static void load_with(struct load *l, const char *text, const struct df_manifest_options *options)
{
	int fd;

	*l = (struct load){ 0 };
	strcpy(l->file, "/tmp/df_test_manifest_XXXXXX");
	fd = mkstemp(l->file);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	df_manifests_load(l->file, options, &l->manifests, &l->diags);
	unlink(l->file);
	df_diags_print(&l->diags, &l->text);
}

static void load(struct load *l, const char *text)
{
	const struct df_manifest_options options = { .registry = &registry };

	load_with(l, text, &options);
}

static void load_done(struct load *l)
{
	df_manifests_done(&l->manifests);
	df_diags_done(&l->diags);
	df_buf_done(&l->text);
}

static void assert_said(struct load *l, const char *part)
{
	if (!strstr(df_buf_c(&l->text), part))
		fail_msg("expected \"%s\" in:\n%s", part, df_buf_c(&l->text));
}

/* The text gives exactly so many errors and warnings, and says all parts. */
static void expect(const char *text, size_t errors, size_t warnings, const char *part, const char *other)
{
	struct load l;

	load(&l, text);
	if (l.diags.errors != errors || l.diags.count - l.diags.errors != warnings)
		fail_msg("expected %zu errors and %zu warnings in:\n%s\nfound:\n%s", errors, warnings, text,
			 df_buf_c(&l.text));
	if (part)
		assert_said(&l, part);
	if (other)
		assert_said(&l, other);
	load_done(&l);
}

static void good(const char *text)
{
	expect(text, 0, 0, NULL, NULL);
}

static void bad(const char *text, const char *part)
{
	expect(text, 1, 0, part, NULL);
}

static void warns(const char *text, const char *part)
{
	expect(text, 0, 1, part, NULL);
}

/* ---- documents ------------------------------------------------------------------------------------------- */

static void test_defaults(void **state)
{
	struct load l;
	const struct df_dataflow_spec *flow;

	(void)state;
	load(&l, FLOW "---\n" CRON);
	assert_int_equal(l.diags.count, 1); /* queue in a cron: a warning */
	assert_int_equal(l.manifests.count, 2);
	assert_int_equal(l.manifests.items[0].kind, DF_KIND_DATAFLOW);
	assert_string_equal(l.manifests.items[0].name, "x");
	assert_string_equal(l.manifests.items[0].namespace, "default");
	assert_int_equal(l.manifests.items[0].line, 1);
	assert_string_equal(l.manifests.items[0].file, l.file);
	flow = &l.manifests.items[0].spec.flow;
	assert_string_equal(flow->source.type->name, "queue");
	assert_string_equal(flow->source.path, "spec.source");
	assert_string_equal(flow->sink.settings_path, "spec.sink.config");
	assert_null(flow->errors.type);
	assert_null(flow->resources.json);
	assert_true(flow->checkpoint_persistence);
	assert_false(flow->checkpoint_sync_on_ack);
	assert_true(flow->checkpoint_save_interval.set);
	assert_true(flow->checkpoint_save_interval.ns == INT64_C(30000000000));
	assert_string_equal(flow->ack_granularity, "batch");
	assert_true(flow->collapse_batch_on_message_ack);
	assert_int_equal(flow->channel_buffer_size, 100);
	assert_int_equal(flow->transform_workers, 1);
	assert_int_equal(flow->replicas, 1);
	assert_false(flow->strict_idempotency);
	assert_null(flow->maintenance.settings);
	assert_int_equal(flow->termination_grace_period_seconds, 600);
	assert_false(flow->suspended.set);
	assert_int_equal(l.manifests.items[1].kind, DF_KIND_DATAFLOWCRON);
	assert_string_equal(l.manifests.items[1].spec.schedule, "0 * * * *");
	assert_string_equal(l.manifests.items[1].spec.concurrency_policy, "Allow");
	assert_false(l.manifests.items[1].spec.failed_jobs_history_limit.set);
	assert_int_equal(l.manifests.items[1].spec.triggers.count, 0);
	load_done(&l);
}

static void test_documents(void **state)
{
	(void)state;
	bad("", "has no DataFlow or DataFlowCron");
	expect("kind: ConfigMap\napiVersion: v1\n", 1, 1, "has no DataFlow",
	       ": kind: warning: a `ConfigMap` is left out");
	warns(FLOW "---\nkind: ConfigMap\napiVersion: v1\n", "a `ConfigMap` is left out");
	good(FLOW "---\nkind: Secret\napiVersion: v1\nmetadata: {name: s}\nstringData: {k: v}\n");
	bad(FLOW "---\nkind: DataFlw\n", "unknown kind `DataFlw`; did you mean \"DataFlow\"?");
	bad(FLOW "---\nkind: Pipeline\napiVersion: dataflow.dataflow.io/v1\n",
	    "unknown kind `Pipeline`; expected DataFlow or");
	bad(FLOW "---\nmetadata: {name: y}\n", "kind: is required: DataFlow or DataFlowCron");
	bad(FLOW "---\n- 1\n", "expected an object with apiVersion");
	bad("apiVersion: dataflow.io/v1\nkind: DataFlow\nmetadata: {name: x}\nspec:\n" ENDS,
	    ":1: apiVersion: `dataflow.io/v1` is not known; did you mean \"dataflow.dataflow.io/v1\"?");
	bad("kind: DataFlow\nmetadata: {name: x}\nspec:\n" ENDS, "apiVersion: is required: dataflow.dataflow.io/v1");
	bad("apiVersion: dataflow.dataflow.io/v1\nkind: DataFlow\nmetadata: {name: x}\n", "spec: is required");
	bad("apiVersion: dataflow.dataflow.io/v1\nkind: DataFlow\nmetadata: {name: x}\nspec: []\n",
	    "expected an object with source");
	bad(FLOW "sepc: {}\n", "unknown field `sepc`; did you mean \"spec\"?");
	good(FLOW "status: {phase: Running}\n");
	bad(FLOW "---\n" FLOW, "`x` stands twice in this file (first in line 1)");
	good(FLOW "---\napiVersion: dataflow.dataflow.io/v1\nkind: DataFlow\nmetadata: {name: x, namespace: "
		  "n}\nspec:\n" ENDS);
}

#define NAMED(metadata) "apiVersion: dataflow.dataflow.io/v1\nkind: DataFlow\nmetadata: " metadata "\nspec:\n" ENDS
#define TEN "aaaaaaaaaa"

static void test_names(void **state)
{
	(void)state;
	good(NAMED("{name: a.b-1, namespace: n-1, labels: {a: b}}"));
	good(NAMED("{name: " TEN TEN TEN TEN TEN TEN "aaa}"));
	bad(NAMED("{name: " TEN TEN TEN TEN TEN TEN "aaaa}"), "metadata.name: has 64 characters; the most is 63");
	bad(NAMED("{name: " TEN TEN TEN TEN TEN ".aaaaaaaaaaaaa}"), "metadata.name: has 64 characters; the most is 63");
	bad(NAMED("{name: Orders}"), "metadata.name: `Orders` is no name");
	bad(NAMED("{name: a..b}"), "is no name");
	bad(NAMED("{name: -a}"), "is no name");
	bad(NAMED("{name: a, namespace: a.b}"), "metadata.namespace: `a.b` is no name");
	bad(NAMED("{name: 12}"), "metadata.name: expected a text; write it in quotes");
	bad(NAMED("{namespace: a}"), "metadata.name: is required");
	bad(NAMED("null"), "metadata.name: is required");
	bad(NAMED("[a]"), "metadata: expected an object");
	bad("apiVersion: dataflow.dataflow.io/v1\nkind: DataFlowCron\nmetadata: {name: " TEN TEN TEN TEN
	    ".aaaaaaaa}\nspec:\n"
	    "  source: {type: rows, config: {table: s}}\n  sink: {type: rows, config: {table: t, upsertMode: true}}\n"
	    "  schedule: '0 * * * *'\n",
	    "has 49 characters; the most is 48");
}

static void test_components(void **state)
{
	(void)state;
	bad(HEAD("DataFlow") "  source: {type: queue, config: {topic: a}}\n", "spec.sink: required");
	bad(FLOW "  errors: {type: rows, config: {table: e}, ackPolicy: sometimes}\n", "spec.errors.ackPolicy");
	good(FLOW "  errors: {type: rows, config: {table: e}, ackPolicy: afterMainSinkSuccess}\n");
	bad(FLOW "  transformations: [{type: stmap}]\n", "did you mean \"stamp\"");
	bad(FLOW "  transformation: []\n", "did you mean \"transformations\"");
	good(FLOW "  transformations: [{type: stamp}, {type: stamp, stamp: {fieldName: f}}]\n");
	bad(FLOW "  channelBufferSize: 0\n", "spec.channelBufferSize");
	bad(FLOW "  channelBufferSize: 1000001\n", "spec.channelBufferSize");
	bad(FLOW "  transformWorkers: 65\n", "spec.transformWorkers");
	bad(FLOW "  checkpointSaveInterval: 0s\n", "spec.checkpointSaveInterval");
	bad(FLOW "  replicas: -1\n", "spec.replicas");
	good(FLOW "  replicas: 0\n");
	bad(FLOW "  ackGranularity: row\n", "spec.ackGranularity");
	bad(FLOW "  terminationGracePeriodSeconds: -1\n", "spec.terminationGracePeriodSeconds");
	good(FLOW "  terminationGracePeriodSeconds: 5\n");
	warns(FLOW "  lifecycle: {preStop: {}}\n", "spec.lifecycle: warning: has no effect");
	warns(FLOW "  processorImage: a\n  processorVersion: b\n", "`processorVersion` has no effect beside");
}

/* ---- secrets, --set, bare lists -------------------------------------------------------------------------- */

#define SECRET(namespace, value) \
	"---\nkind: Secret\napiVersion: v1\nmetadata: {name: s" namespace "}\nstringData: {k: " value "}\n"
#define WITH_REF                                        \
	HEAD("DataFlow")                                \
	"  source: {type: queue, config: {topic: a}}\n" \
	"  sink: {type: rows, config: {table: t, passwordSecretRef: {name: s, key: k}}}\n"

static void test_secrets(void **state)
{
	struct df_manifest_options options = { .registry = &registry, .resolve_secrets = true };
	const struct rows_settings *rows;
	struct load l;

	(void)state;
	load_with(&l, WITH_REF SECRET("", "hidden"), &options);
	assert_int_equal(l.diags.count, 0);
	rows = l.manifests.items[0].spec.flow.sink.settings;
	assert_string_equal(rows->password.value, "hidden");
	assert_string_equal(rows->password.ref->name, "s");
	load_done(&l);

	load_with(&l, WITH_REF, &options);
	assert_int_equal(l.diags.errors, 1);
	assert_said(&l, "spec.sink.config.passwordSecretRef");
	load_done(&l);

	options.resolve_secrets = false;
	load_with(&l, WITH_REF, &options);
	assert_int_equal(l.diags.count, 0);
	rows = l.manifests.items[0].spec.flow.sink.settings;
	assert_null(rows->password.value);
	load_done(&l);
}

static void test_set(void **state)
{
	const char *const sets[] = { "spec.replicas=3", "spec.source.config.topic=b", "metadata.name=y" };
	const char *const wrong[] = { "spec.source.config.topic[x]=b" };
	struct df_manifest_options options = { .registry = &registry, .sets = sets, .set_count = 3 };
	struct load l;

	(void)state;
	load_with(&l, FLOW, &options);
	assert_int_equal(l.diags.count, 0);
	assert_string_equal(l.manifests.items[0].name, "y");
	assert_int_equal(l.manifests.items[0].spec.flow.replicas, 3);
	assert_string_equal(((struct queue_settings *)l.manifests.items[0].spec.flow.source.settings)->topic, "b");
	load_done(&l);

	options.sets = wrong;
	options.set_count = 1;
	load_with(&l, FLOW, &options);
	assert_int_equal(l.diags.errors, 1);
	assert_said(&l, "--set spec.source.config.topic[x]=b: ");
	load_done(&l);
}

static void test_transformations_only(void **state)
{
	const char *const sets[] = { "spec.transformations[1].config.fieldName=g" };
	struct df_manifest_options options = { .registry = &registry, .transformations_only = true };
	const struct df_components *list;
	struct load l;

	(void)state;
	load_with(&l, "- type: stamp\n- type: stamp\n  config: {fieldName: f}\n", &options);
	assert_int_equal(l.diags.count, 0);
	assert_int_equal(l.manifests.count, 1);
	list = &l.manifests.items[0].spec.flow.transformations;
	assert_int_equal(list->count, 2);
	assert_string_equal(list->items[1].path, "spec.transformations[1]");
	assert_int_equal(list->items[1].line, 2);
	assert_string_equal(((struct stamp_settings *)list->items[1].settings)->field, "f");
	load_done(&l);

	options.sets = sets;
	options.set_count = 1;
	load_with(&l, "- type: stamp\n- type: stamp\n  config: {fieldName: f}\n", &options);
	assert_int_equal(l.diags.count, 0);
	list = &l.manifests.items[0].spec.flow.transformations;
	assert_string_equal(((struct stamp_settings *)list->items[1].settings)->field, "g");
	load_done(&l);
	options.set_count = 0;

	load_with(&l, "- type: stamp\n- type: stamp\n  config: {fieldNme: f}\n", &options);
	assert_int_equal(l.diags.errors, 1);
	assert_said(&l, ":3: spec.transformations[1].config.fieldNme: unknown field; did you mean \"fieldName\"?");
	load_done(&l);

	load_with(&l, HEAD("DataFlow") "  transformations: [{type: stamp}]\n", &options);
	assert_int_equal(l.diags.count, 0);
	load_done(&l);

	bad("- type: stamp\n", "expected an object with apiVersion");
}

/* ---- maintenance ----------------------------------------------------------------------------------------- */

#define WINDOW(text) FLOW "  maintenance: {" text "}\n"

static void test_maintenance(void **state)
{
	(void)state;
	good(WINDOW("suspended: true"));
	good(WINDOW("startTime: 2026-01-31T02:00:00+01:00, duration: 2h, repeat: monthly, timezone: Europe/Berlin, "
		    "description: d"));
	good(WINDOW("startTime: '2026-01-31T02:00:00Z', duration: 2h, repeat: ''"));
	bad(WINDOW("startTime: 2026-01-31T02:00:00, duration: 2h"),
	    "spec.maintenance.startTime: must be RFC 3339 with an offset");
	bad(WINDOW("startTime: 2026-01-31T02:00:00Z"), "duration");
	bad(WINDOW("duration: 2h"), "startTime");
	bad(WINDOW("startTime: 2026-01-31T02:00:00Z, duration: 0s"), "spec.maintenance.duration");
	bad(WINDOW("startTime: 2026-01-31T02:00:00Z, duration: 2h, repeat: hourly"), "spec.maintenance.repeat");
	bad(WINDOW("suspended: true, timezone: Mars/Base"), "spec.maintenance.timezone: unknown time zone");
	bad(WINDOW("suspended: true, timezone: '+02:00'"), "is an offset: give an IANA name");
	bad(FLOW "  maintenance:\n    - {duration: 2h}\n",
	    "spec.maintenance: expected one object, found a list: one window");
	good(WINDOW("startTime: 2026-01-31T02:00:00Z, duration: 23h59m, repeat: daily"));
	warns(WINDOW("startTime: 2026-01-31T02:00:00Z, duration: 24h, repeat: daily"),
	      "not shorter than the daily period");
	good(WINDOW("startTime: 2026-01-31T02:00:00Z, duration: 167h, repeat: weekly"));
	warns(WINDOW("startTime: 2026-01-31T02:00:00Z, duration: 168h, repeat: weekly"),
	      "not shorter than the weekly period");
	warns(WINDOW("startTime: 2026-01-31T02:00:00Z, duration: 744h, repeat: monthly"),
	      "not shorter than the monthly");
	good(WINDOW("startTime: 2026-01-31T02:00:00Z, duration: 744h"));
	warns(FLOW "  suspended: true\n", "spec.suspended: warning: deprecated");
	warns(WINDOW("suspended: true") "  suspended: true\n", "deprecated");
	warns(WINDOW("description: d") "  suspended: true\n", "deprecated");
	expect(WINDOW("suspended: true") "  suspended: false\n", 1, 1,
	       "spec.suspended: is false, but maintenance.suspended is true", NULL);
}

/* ---- objects for the pod --------------------------------------------------------------------------------- */

#define QUANTITY(text) FLOW "  resources: {requests: {cpu: " text "}}\n"

static void test_pod(void **state)
{
	static const char *const quantities[] = { "0",	 "1",	  "'1'",  "0.5", ".5",	   "5.", "500m",
						  "1Gi", "1.5Gi", "100k", "1e3", "'1E-3'", "+1", "2u" };
	static const char *const wrong[] = { "a",    "1Gib", "1 Gi", "''",     "'.'", "1ee3",
					     "'1e'", "true", "[1]",  "'0x10'", "m" };
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(quantities) / sizeof(quantities[0]); i++) {
		snprintf(text, sizeof(text), QUANTITY("%s"), quantities[i]);
		good(text);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), QUANTITY("%s"), wrong[i]);
		bad(text, "spec.resources.requests.cpu: ");
	}
	bad(QUANTITY("-1"), "spec.resources.requests.cpu: must not be negative");
	bad(QUANTITY("-500m"), "must not be negative");
	bad(FLOW "  resources: {limit: {cpu: 1}}\n", "spec.resources.limit: unknown field; did you mean \"limits\"?");
	bad(FLOW "  resources: {limits: 1}\n", "spec.resources.limits: expected an object of quantities");
	bad(FLOW "  resources: []\n", "spec.resources: expected an object");
	good(FLOW "  resources: {claims: [{name: gpu}], limits: null}\n");
	good(FLOW "  nodeSelector: {disk: ssd}\n  affinity: {nodeAffinity: {}}\n  tolerations: [{key: a}]\n"
		  "  imagePullSecrets: [{name: r}]\n");
	bad(FLOW "  nodeSelector: {ssd: true}\n", "spec.nodeSelector.ssd: expected a text; write it in quotes");
	bad(FLOW "  affinity: []\n", "spec.affinity: expected an object");
	bad(FLOW "  tolerations: {key: a}\n", "spec.tolerations: expected a list of objects");
	bad(FLOW "  imagePullSecrets: [r]\n", "spec.imagePullSecrets[0]: expected an object with `name`");
	bad(FLOW "  imagePullSecrets: [{name: r}, {nam: r}]\n", "spec.imagePullSecrets[1].name: is required");
}

/* ---- idempotency, replicas ------------------------------------------------------------------------------- */

static void test_replicas(void **state)
{
	(void)state;
	good(FLOW "  replicas: 3\n");
	bad(HEAD("DataFlow") "  source: {type: rows, config: {table: s}}\n"
			     "  sink: {type: rows, config: {table: t, upsertMode: true}}\n  replicas: 2\n",
	    "spec.replicas: 2: several replicas of a rows source");
	expect(CRON "  replicas: 2\n", 1, 1, "a DataFlowCron runs one processor",
	       "spec.source: warning: a queue source has no end");
	expect(CRON "  replicas: 1\n", 0, 1, "has no end", NULL);
}

static void test_idempotency(void **state)
{
	(void)state;
	good(ROWS("true") "  sink: {type: rows, config: {table: t, upsertMode: true}}\n");
	bad(ROWS("true") "  sink: {type: rows, config: {table: t}}\n",
	    "spec.strictIdempotency: a rows source with a rows sink needs");
	warns(ROWS("false") "  sink: {type: rows, config: {table: t}}\n",
	      "spec.sink: warning: after a restart rows may be");
	bad(ROWS("true") "  sink: {type: queue, config: {topic: t}}\n", "a queue sink cannot tell");
	good(ROWS("false") "  sink: {type: queue, config: {topic: t}}\n");
	good(HEAD("DataFlow") "  strictIdempotency: true\n  source: {type: queue, config: {topic: a}}\n"
			      "  sink: {type: rows, config: {table: t}}\n");
	warns(ROWS("true") "  sink: {type: rows, config: {table: t, upsertMode: true}}\n"
			   "  errors: {type: rows, config: {table: e}}\n",
	      "spec.errors: warning: strictIdempotency: after a restart this rows sink");
	warns(ROWS("true") "  sink: {type: rows, config: {table: t, upsertMode: true}}\n"
			   "  transformations:\n    - type: router\n      config:\n        routes:\n"
			   "          - {condition: a, sink: {type: queue, config: {topic: q}}}\n"
			   "          - {condition: b, sink: {type: rows, config: {table: e}}}\n",
	      ":13: spec.transformations[0].config.routes[1].sink: warning: strictIdempotency");
	good(ROWS("false") "  sink: {type: rows, config: {table: t, upsertMode: true}}\n"
			   "  errors: {type: rows, config: {table: e}}\n");
}

/* ---- cron ------------------------------------------------------------------------------------------------ */

#define BATCH                                          \
	HEAD("DataFlowCron")                           \
	"  source: {type: rows, config: {table: s}}\n" \
	"  sink: {type: rows, config: {table: t, upsertMode: true}}\n"

static void test_trouble(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} limits[] = { { "1000", 1000 }, { "'1000'", 1000 }, { "256Mi", 256 << 20 }, { "1.5Gi", 3 << 29 },
		       { "2k", 2000 },	 { "1e6", 1000000 }, { "500M", 500000000 },  { "1500m", 1 } };
	char text[512];
	struct load l;

	(void)state;
	load(&l, FLOW);
	const struct df_dataflow_spec *spec = &l.manifests.items[0].spec.flow;
	const struct df_retry_settings absent = *df_flow_retry(spec);
	assert_int_equal(df_flow_memory_limit(spec), 0);
	assert_string_equal(spec->on_error, "stop");
	load_done(&l);
	load(&l, FLOW "  retry: {}\n"); /* the rows say the same as the constants */
	assert_memory_equal(df_flow_retry(&l.manifests.items[0].spec.flow), &absent, sizeof(absent));
	load_done(&l);
	load(&l, FLOW "  retry: {attempts: 0, total: 5m}\n  onError: drop\n  maxMessageBytes: 100\n");
	spec = &l.manifests.items[0].spec.flow;
	assert_int_equal(df_flow_retry(spec)->attempts, 0);
	assert_int_equal(df_flow_retry(spec)->total.ns, INT64_C(300000000000));
	assert_string_equal(spec->on_error, "drop");
	assert_int_equal(spec->max_message_bytes, 100);
	load_done(&l);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		snprintf(text, sizeof(text), "%s  memoryLimit: %s\n", FLOW, limits[i].text);
		load(&l, text);
		assert_int_equal(l.diags.errors, 0);
		assert_int_equal(df_flow_memory_limit(&l.manifests.items[0].spec.flow), limits[i].bytes);
		load_done(&l);
	}
	bad(FLOW "  memoryLimit: much\n", "spec.memoryLimit: `much` is no number of bytes");
	bad(FLOW "  memoryLimit: -1\n", "spec.memoryLimit");
	bad(FLOW "  memoryLimit: 0\n", "spec.memoryLimit");
	bad(FLOW "  memoryLimit: [1]\n", "spec.memoryLimit");
	bad(FLOW "  retry: {attempts: -1}\n", "spec.retry.attempts");
	expect(FLOW "  onError: drop\n  errors: {type: queue, config: {topic: e}}\n", 0, 1, "onError", NULL);
}

static void test_schedule(void **state)
{
	static const char *const right[] = {
		"* * * * *",	 "*/15 0-6,22 1,15 jan-MAR mon-FRI",
		"? ? ? ? ?",	 "59 23 31 12 6",
		"0 0 0 1 1 0",	 "5/10 * * * *",
		"0 0 1 1 SUN",	 "  0\t* * * * ",
		"1-5/2 * * * *", "*/100 * * * *",
	};
	static const struct {
		const char *schedule, *text;
	} wrong[] = {
		{ "* * * *", "has 4 fields" },
		{ "* * * * * * *", "has 7 fields" },
		{ "@hourly", "macros are not supported" },
		{ "60 * * * *", "the minute `60` is not 0-59" },
		{ "* 24 * * *", "the hour `24`" },
		{ "* * 0 * *", "the day of month `0`" },
		{ "* * * 13 *", "the month `13`" },
		{ "* * * * 7", "the day of week `7`" },
		{ "* * * foo *", "the month `foo` is not a name or 1-12" },
		{ "jan * * * *", "the minute `jan`" },
		{ "5-1 * * * *", "the range ends before it begins" },
		{ "*/0 * * * *", "the step after / must be 1 or more" },
		{ "*/ * * * *", "the step after /" },
		{ "*/-1 * * * *", "the step after /" },
		{ "1,,2 * * * *", "the minute ``" },
		{ "1- * * * *", "the minute `1-`" },
		{ "-1 * * * *", "the minute `-1`" },
		{ "1-2-3 * * * *", "the minute `1-2-3`" },
		{ "30 0 * * * *", "the seconds `30` must be 0" },
		{ "* 0 * * * *", "the seconds `*` must be 0" },
		{ "99999999999999999999 * * * *", "the minute" },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		snprintf(text, sizeof(text), BATCH "  schedule: \"%s\"\n", right[i]);
		good(text);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), BATCH "  schedule: \"%s\"\n", wrong[i].schedule);
		bad(text, wrong[i].text);
	}
	bad(BATCH, "spec.schedule: required");
}

#define BATCHED BATCH "  schedule: '0 * * * *'\n"

static void test_cron(void **state)
{
	struct load l;
	const struct df_trigger *triggers;

	(void)state;
	good(BATCHED "  concurrencyPolicy: Forbid\n  successfulJobsHistoryLimit: 0\n  startingDeadlineSeconds: 10\n  "
		     "suspend: true\n");
	bad(BATCHED "  concurrencyPolicy: forbid\n", "spec.concurrencyPolicy");
	bad(BATCHED "  failedJobsHistoryLimit: -1\n", "spec.failedJobsHistoryLimit");
	bad(BATCHED "  startingDeadlineSeconds: -1\n", "spec.startingDeadlineSeconds");
	warns(BATCHED "  startingDeadlineSeconds: 9\n", "9 is less than the 10 seconds");
	bad(BATCHED "  triggers: [{name: a}]\n", "spec.triggers[0].image: required");
	bad(BATCHED "  triggers: [{image: ' '}]\n", "spec.triggers[0].image");
	bad(BATCHED "  triggers: [{image: a, name: A}]\n", "spec.triggers[0].name: `A` is no name");
	bad(BATCHED "  triggers: [{image: a}, {image: a, env: [{nam: b}]}]\n",
	    "spec.triggers[1].env[0].name: is required");
	bad(BATCHED "  triggers: [{image: a, resources: {limits: {cpu: -1}}}]\n",
	    "spec.triggers[0].resources.limits.cpu");
	bad(BATCHED "  triggers: [{image: a, imagePullPolicy: always}]\n", "spec.triggers[0].imagePullPolicy");
	bad(FLOW "  schedule: '0 * * * *'\n", "spec.schedule: unknown field");

	load(&l, BATCHED "  triggers: [{image: a}, {image: b, name: n, command: [x], args: [y, z]}]\n");
	assert_int_equal(l.diags.count, 0);
	assert_int_equal(l.manifests.items[0].spec.triggers.count, 2);
	triggers = l.manifests.items[0].spec.triggers.items;
	assert_null(triggers[0].name);
	assert_string_equal(triggers[1].name, "n");
	assert_int_equal(triggers[1].args.count, 2);
	load_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_components),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_transformations_only),
		cmocka_unit_test(test_maintenance),
		cmocka_unit_test(test_pod),
		cmocka_unit_test(test_replicas),
		cmocka_unit_test(test_idempotency),
		cmocka_unit_test(test_trouble),
		cmocka_unit_test(test_schedule),
		cmocka_unit_test(test_cron),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
