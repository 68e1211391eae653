/* The conformance suite as a C library, on a connector that breaks in ways a connector must not break the suite in. */
#include "suite_harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* ---- a source that does what `mode` says ----------------------------------------------------------------- */

struct brittle_settings {
	char *mode;
	char *password;
};

static const struct df_field brittle_fields[] = {
	DF_FIELD(struct brittle_settings, mode, "mode", DF_REQUIRED, .doc = "How it breaks."),
	DF_FIELD(struct brittle_settings, password, "password", DF_SENSITIVE, .doc = "What it tells."),
};
static const struct df_table brittle_table = DF_TABLE(struct brittle_settings, brittle_fields);

struct brittle {
	struct df_base_connector base;
	const struct brittle_settings *settings;
};

static struct brittle *brittle_of(struct df_source *s)
{
	return DF_CONTAINER_OF(s, struct brittle, base.state.source);
}

static bool does(const struct brittle *b, const char *mode)
{
	return strcmp(b->settings->mode, mode) == 0;
}

static const struct df_source_ops brittle_ops;

static int brittle_create(const void *settings, const struct df_connector_env *env, struct df_source **ret,
			  struct df_error *err)
{
	struct brittle *b = df_base_source_new(sizeof(*b), &brittle_ops, env, err);

	if (!b)
		return DF_ERR_NO_MEMORY;
	b->settings = settings;
	*ret = &b->base.state.source;
	return 0;
}

static void *wait_for_ever(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static void leave_something(const struct brittle *b)
{
	static void *volatile lost;
	pthread_t thread;

	if (does(b, "bytes"))
		lost = malloc(24);
	if (does(b, "descriptor") && open("/dev/null", O_RDONLY | O_CLOEXEC) < 0)
		abort();
	if (does(b, "thread") && pthread_create(&thread, NULL, wait_for_ever, NULL) == 0)
		pthread_detach(thread);
	(void)lost;
}

static int brittle_connect(struct df_source *s, struct df_context *ctx, struct df_error *err)
{
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	struct brittle *b = brittle_of(s);
	int r = df_base_connect(&b->base, ctx, &call, err);

	if (r < 0)
		return r;
	if (does(b, "crash"))
		raise(SIGSEGV);
	if (does(b, "exit"))
		_exit(3);
	if (does(b, "stuck"))
		wait_for_ever(NULL);
	if (does(b, "talk"))
		df_debug(b->base.state.env.logger, "connecting with %s", b->settings->password);
	leave_something(b);
	b->base.state.connected = true;
	return 0;
}

static int brittle_read(struct df_source *s, struct df_context *ctx, struct df_emitter *out, struct df_error *err)
{
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	struct brittle *b = brittle_of(s);
	int r = df_base_use(&b->base, ctx, &call, err);
	struct df_batch *batch = r == 0 ? df_emitter_batch(out) : NULL;
	struct df_message *m = batch ? df_batch_add(batch) : NULL;

	if (r < 0)
		return r;
	if (!m)
		return df_error_no_memory(err);
	m->payload = DF_STR("{\"id\":1}");
	batch->bytes = does(b, "miscount") ? 0 : m->payload.len;
	r = does(b, "nowhere") ? 0 : df_emitter_partition(out, DF_STR("all"), &m->partition, err);
	return r < 0 ? r : df_emitter_emit(out, call.ctx, &batch, err);
}

static int brittle_close(struct df_source *s, struct df_error *err)
{
	struct brittle *b = brittle_of(s);

	(void)err;
	if (df_base_guard_close(&b->base))
		return 0;
	DF_UNLOCK_ON_RETURN(&b->base);
	if (does(b, "hang"))
		wait_for_ever(NULL);
	return 0;
}

static void brittle_free(struct df_source *s)
{
	if (s && brittle_close(s, NULL) == 0)
		df_base_connector_free(&brittle_of(s)->base);
}

static const struct df_source_ops brittle_ops = { .create = brittle_create,
						  .connect = brittle_connect,
						  .read = brittle_read,
						  .close = brittle_close,
						  .free = brittle_free };
static const struct df_type brittle_type = { .name = "brittle", .title = "Breaks", .settings = &brittle_table };
static const struct df_connector brittle = { .source = &brittle_type, .source_ops = &brittle_ops };

/* ---- tests ----------------------------------------------------------------------------------------------- */

static char *verdict(const char *mode, const char *rule, const struct suite_limits *limits)
{
	char config[128];

	snprintf(config, sizeof(config), "{type: brittle, config: {mode: %s, password: not-for-anybody}}", mode);
	return suite_verdict(config, NULL, rule, limits);
}

static void must_fail_within(const char *mode, const char *rule, const char *said, const struct suite_limits *limits)
{
	char *seen = verdict(mode, rule, limits);

	if (!seen || !strstr(seen, said))
		fail_msg("%s: the rule %s saw \"%s\", not \"%s\"", mode, rule, seen ? seen : "(it passed)", said);
	free(seen);
}

static void must_fail(const char *mode, const char *rule, const char *said)
{
	must_fail_within(mode, rule, said, &suite_usual);
}

static void test_whole(void **state)
{
	char *seen = verdict("none", "lifecycle", &suite_patient);

	(void)state;
	if (!seen)
		seen = verdict("none", "settings", &suite_patient);
	if (seen)
		fail_msg("%s", seen);
}

/* What ends a process ends a rule, and the suite goes on. */
static void test_ended(void **state)
{
	(void)state;
	must_fail("crash", "lifecycle.close-twice", "the process was killed by SIGSEGV: connecting the source");
	must_fail("exit", "lifecycle.close-twice", "the process ended with exit code 3: connecting the source");
}

static void test_hangs(void **state)
{
	(void)state;
	must_fail("hang", "lifecycle.close-twice", "close of the source did not return within 1.0 s");
	must_fail_within("hang", "lifecycle.close-twice", "close of the source did not return within 0.3 s",
			 &(struct suite_limits){ .soon_ns = 300 * DF_NS_PER_MS });
	must_fail_within("stuck", "lifecycle.close-twice", "still at it after 2 s: connecting the source",
			 &(struct suite_limits){ .rule_ns = 2 * DF_NS_PER_S });
}

static void test_left(void **state)
{
	(void)state;
	must_fail("bytes", "lifecycle.nothing-left", "bytes more are allocated, 32 a cycle");
	must_fail("descriptor", "lifecycle.nothing-left", "after 5 cycles 5 descriptors more are open");
	must_fail("thread", "lifecycle.nothing-left", "after 5 cycles 5 threads more are there");
}

static void test_told(void **state)
{
	(void)state;
	must_fail("talk", "settings.secrets", "source: the secret of `password` stands in a log line");
}

static void test_emitter(void **state)
{
	(void)state;
	must_fail("nowhere", "lifecycle.reopen", "read: a message has no partition");
	must_fail("miscount", "lifecycle.reopen", "read: batch->bytes is less than the bytes of the payloads");
}

/* Errors of the user are errors of the run, and no verdict. */
static void test_refused(void **state)
{
	const char *rules[] = { "lifecycle", "source.no-such", NULL };
	struct df_conformance_report report;
	struct df_diags diags = { 0 };
	struct df_error err = DF_ERROR_INIT;

	(void)state;
	suite_write_manifest("{type: brittle, config: {mode: [1]}}");
	assert_int_equal(df_conformance_run(&(struct df_conformance_options){ .manifest = suite_manifest }, &report,
					    &diags, &err),
			 DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "spec.source.config.mode"));
	assert_int_equal(report.count, 0);
	df_diags_done(&diags);
	diags = (struct df_diags){ 0 };
	suite_write_manifest("{type: brittle, config: {mode: none}}");
	assert_int_equal(
		df_conformance_run(&(struct df_conformance_options){ .manifest = suite_manifest, .rules = rules },
				   &report, &diags, &err),
		DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "source.no-such"));
	df_diags_done(&diags);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),	cmocka_unit_test(test_ended), cmocka_unit_test(test_hangs),
		cmocka_unit_test(test_left),	cmocka_unit_test(test_told),  cmocka_unit_test(test_emitter),
		cmocka_unit_test(test_refused),
	};

	if (suite_add(&brittle) < 0)
		return 1;
	return suite_end(cmocka_run_group_tests(tests, NULL, NULL));
}
