/* Admission: what the API server asks, and what it is answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "operator/webhook.h"

#include "test/operator/resources.h"

static struct df_allowed_reference allowed[] = { { (char *)"shop", (char *)"vault", (char *)"db" } };
static const struct df_operator_settings settings = { .allowed = allowed, .allowed_count = 1 };

#define GENERATE "'source':{'type':'generate','config':{'template':'{}'}}"
#define DISCARD "'sink':{'type':'discard','config':{}}"
#define GOOD "{" GENERATE "," DISCARD "}"
/* What is wrong, in three places. */
#define BAD                                                                                                       \
	"{'source':{'type':'generate','config':{'template':'{}','rat':5}},'sink':{'type':'discrad','config':{}}," \
	"'transformations':[{'type':'select','config':{}}]}"

/* ---- asking ---------------------------------------------------------------------------------------------- */

static struct df_value *answered;

/* *request is what the review holds beside its uid, with ' for ". Returns the code; the answer is in `answered`. */
static int ask_text(enum df_manifest_kind kind, struct df_str text)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_buf buf = { 0 };
	int code = df_review(&settings, kind, text, &buf, &err);

	answered = NULL;
	if (code == 0) {
		struct df_str copy = df_arena_dup(&arena, df_buf_str(&buf));

		assert_int_equal(df_value_parse(copy, &arena, &answered, NULL), DF_PARSE_OK);
	} else {
		assert_int_not_equal(err.text[0], 0);
		assert_int_equal(buf.len, 0);
	}
	df_buf_done(&buf);
	return code;
}

static int ask(enum df_manifest_kind kind, const char *fmt, ...) df_printf(2, 3);
static int ask(enum df_manifest_kind kind, const char *fmt, ...)
{
	char *request = NULL, *review = NULL;
	va_list args;
	int code;

	va_start(args, fmt);
	assert_true(vasprintf(&request, fmt, args) >= 0);
	va_end(args);
	assert_true(asprintf(&review,
			     "{'apiVersion':'admission.k8s.io/v1','kind':'AdmissionReview','request':{'uid':'u-1',"
			     "'namespace':'shop',%s}}",
			     request) >= 0);
	for (char *c = review; *c; c++)
		if (*c == '\'')
			*c = '"';
	code = ask_text(kind, df_str_c(review));
	free(review);
	free(request);
	return code;
}

static void create(const char *spec)
{
	assert_int_equal(ask(DF_KIND_DATAFLOW,
			     "'operation':'CREATE','object':{'kind':'DataFlow','metadata':{'name':'f',"
			     "'namespace':'shop'},'spec':%s}",
			     spec),
			 0);
}

static const char *answer_at(const char *path)
{
	const struct df_value *v = at(answered, path);

	return v ? df_arena_dup(&arena, df_value_text(v, &arena)).ptr : "";
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("`%s` has no `%s`", text, part);
}

static void assert_allowed(void)
{
	if (strcmp(answer_at("response allowed"), "true") != 0)
		fail_msg("refused: %s", answer_at("response status message"));
	assert_string_equal(answer_at("response uid"), "u-1");
	assert_string_equal(answer_at("apiVersion"), "admission.k8s.io/v1");
	assert_string_equal(answer_at("kind"), "AdmissionReview");
	assert_null(at(answered, "response status"));
}

static void assert_refused(const char *code)
{
	assert_string_equal(answer_at("response allowed"), "false");
	assert_string_equal(answer_at("response uid"), "u-1");
	assert_string_equal(answer_at("response status code"), code);
	assert_string_equal(answer_at("response status status"), "Failure");
}

/* ---- what is refused ------------------------------------------------------------------------------------- */

static void all_errors_at_once(void **state)
{
	const char *message;

	(void)state;
	create(BAD);
	assert_refused("422");
	message = answer_at("response status message");
	assert_has(message, "spec.source.config.rat: unknown field; did you mean \"rate\"?");
	assert_has(message, "; spec.sink.type: ");
	assert_has(message, "spec.transformations[0].config.fields: required");
	assert_string_equal(answer_at("response status reason"), "Invalid");
	assert_string_equal(answer_at("response status details kind"), "DataFlow");
	assert_string_equal(answer_at("response status details name"), "f");
	assert_int_equal(at(answered, "response status details causes")->len, 3);
	assert_string_equal(answer_at("response status details causes 0 field"), "spec.source.config.rat");
	assert_null(at(answered, "response warnings"));
}

static const struct {
	enum df_manifest_kind kind;
	const char *object; /* "metadata, spec" */
	const char *message;
} refused[] = {
	{ DF_KIND_DATAFLOW, "'metadata':{'name':'f'}", "spec: " },
	{ DF_KIND_DATAFLOW, "'metadata':{'name':'f'},'spec':null", "spec: " },
	{ DF_KIND_DATAFLOW, "'metadata':{'name':'f'},'spec':[1]", "spec: " },
	{ DF_KIND_DATAFLOW, "'metadata':{'name':'f'},'spec':{}", "spec.sink" },
	{ DF_KIND_DATAFLOW, "'metadata':{'name':'f'},'spec':{" GENERATE "," DISCARD ",'replicas':2}",
	  "spec.replicas: " },
	{ DF_KIND_DATAFLOW,
	  "'metadata':{'name':'a23456789012345678901234567890123456789012345678901234567890123x'},'spec':" GOOD,
	  "metadata.name: has 64 characters; the most is 63" },
	{ DF_KIND_DATAFLOWCRON,
	  "'metadata':{'name':'a2345678901234567890123456789012345678901234567x9'},'spec':{" GENERATE "," DISCARD
	  ",'schedule':'* * * * *'}",
	  "metadata.name: has 49 characters; the most is 48" },
	{ DF_KIND_DATAFLOWCRON,
	  "'metadata':{'generateName':'a2345678901234567890123456789012345678901234'},'spec':{" GENERATE "," DISCARD
	  ",'schedule':'* * * * *'}",
	  "metadata.generateName: has 44 characters; the most is 43" },
	{ DF_KIND_DATAFLOWCRON, "'metadata':{'name':'c'},'spec':" GOOD, "spec.schedule: " },
	/* only compiling finds it */
	{ DF_KIND_DATAFLOW,
	  "'metadata':{'name':'f'},'spec':{" GENERATE "," DISCARD
	  ",'transformations':[{'type':'filter','config':{'condition':'a =='}}]}",
	  "spec.transformations[0].config.condition: column 5" },
};

static void what_is_refused(void **state)
{
	static const char *const kinds[] = { "DataFlow", "DataFlowCron" };

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(refused); i++) {
		assert_int_equal(ask(refused[i].kind, "'operation':'CREATE','object':{'kind':'%s',%s}",
				     kinds[refused[i].kind], refused[i].object),
				 0);
		assert_refused("422");
		assert_has(answer_at("response status message"), refused[i].message);
		/* The same as an update of what was good. */
		assert_int_equal(ask(refused[i].kind,
				     "'operation':'UPDATE','object':{'kind':'%s',%s},'oldObject':{'spec':" GOOD "}",
				     kinds[refused[i].kind], refused[i].object),
				 0);
		if (!strstr(refused[i].message, "metadata") && !strstr(refused[i].object, GOOD))
			assert_refused("422");
	}
}

#define REFERENCE(namespace)                                                                                   \
	"{" GENERATE ",'sink':{'type':'sqlite','config':{'path':'/d','tableSecretRef':{'name':'db','key':'t'," \
	"'namespace':'" namespace "'}}}}"

static void references_to_other_namespaces(void **state)
{
	(void)state;
	create(REFERENCE("elsewhere"));
	assert_refused("403");
	assert_string_equal(answer_at("response status reason"), "Forbidden");
	assert_has(answer_at("response status message"),
		   "spec.sink.config.tableSecretRef: the Secret db is in namespace elsewhere, ");
	assert_has(answer_at("response status message"), "`crossNamespaceSecrets`");
	create(REFERENCE("vault")); /* on the list */
	assert_allowed();
	create(REFERENCE("shop")); /* its own */
	assert_allowed();
	/* Of another namespace than the list says. */
	assert_int_equal(ask(DF_KIND_DATAFLOW,
			     "'operation':'CREATE','object':{'kind':'DataFlow','metadata':{'name':'f',"
			     "'namespace':'other'},'spec':" REFERENCE("vault") "}"),
			 0);
	assert_refused("403");
	/* Both kinds of errors: it is not only forbidden. */
	create("{'source':{'type':'generate','config':{'template':'{}','rat':1}},'sink':{'type':'sqlite','config':"
	       "{'path':'/d','tableSecretRef':{'name':'db','key':'t','namespace':'elsewhere'}}}}");
	assert_refused("422");
}

/* ---- what passes ----------------------------------------------------------------------------------------- */

static void what_is_allowed(void **state)
{
	static const char *const requests[] = {
		"'operation':'CREATE','object':{'kind':'DataFlow','metadata':{'name':'f'},'spec':" GOOD "}",
		"'operation':'CREATE','object':{'kind':'DataFlow','metadata':{'generateName':'f-'},'spec':" GOOD "}",
		/* a wrong spec that stays; keys in another order */
		"'operation':'UPDATE','object':{'kind':'DataFlow','metadata':{'labels':{'a':'b'}},'spec':{'a':1,'b':2}},"
		"'oldObject':{'spec':{'b':2.0,'a':1}}",
		/* a wrong spec that loses its wish for a reset, which the operator does itself */
		"'operation':'UPDATE','object':{'kind':'DataFlow','spec':{'a':1}},"
		"'oldObject':{'spec':{'checkpointReset':true,'a':1}}",
		"'operation':'UPDATE','object':{'kind':'DataFlow','spec':{'checkpointReset':false,'a':1}},"
		"'oldObject':{'spec':{'a':1,'checkpointReset':true}}",
		/* a wrong spec of what is being deleted: the finalizer must go */
		"'operation':'UPDATE','object':{'kind':'DataFlow','metadata':{'deletionTimestamp':'2026-01-01T00:00:00Z'},"
		"'spec':{'a':1}},'oldObject':{'spec':{'b':2}}",
		"'operation':'UPDATE','subResource':'status','object':{'kind':'DataFlow','spec':{'a':1}},"
		"'oldObject':{'spec':{'b':2}}",
		"'operation':'DELETE','object':null,'oldObject':{'spec':" BAD "}",
		"'operation':'CONNECT'",
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(requests); i++) {
		assert_int_equal(ask(DF_KIND_DATAFLOW, "%s", requests[i]), 0);
		assert_allowed();
		assert_null(at(answered, "response warnings"));
	}
}

/* Nothing else comes in beside it. */
static void what_a_reset_lets_in(void **state)
{
	static const char *const specs[] = {
		"{'a':2}", "{'a':1,'b':1}", "{}", "{'a':1,'checkpointReset':'x'}", "{'b':1,'checkpointReset':false}",
		"null",
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(specs); i++) {
		assert_int_equal(ask(DF_KIND_DATAFLOW,
				     "'operation':'UPDATE','object':{'kind':'DataFlow','spec':%s},"
				     "'oldObject':{'spec':{'a':1,'checkpointReset':true}}",
				     specs[i]),
				 0);
		assert_refused("422");
	}
	/* Asking for one is looked at. */
	assert_int_equal(ask(DF_KIND_DATAFLOW, "'operation':'UPDATE','object':{'kind':'DataFlow','spec':{'a':1,"
					       "'checkpointReset':true}},'oldObject':{'spec':{'a':1}}"),
			 0);
	assert_refused("422");
}

static const struct {
	const char *spec, *warning;
} warned[] = {
	{ "{" GENERATE "," DISCARD ",'suspended':true}", "spec.suspended: deprecated" },
	{ "{" GENERATE ",'sink':{'type':'discard','config':{},'kafka':{}}}", "spec.sink.kafka: " },
	{ "{'source':{'type':'sqlite','config':{'path':'/d','table':'t'}},'sink':{'type':'sqlite','config':"
	  "{'path':'/e','table':'t'}}}",
	  "spec.sink" },
	{ "{'source':{'type':'kafka','config':{'brokers':['b:1'],'topic':'t','sasl':{'username':'u','password':'geheim'}}}," DISCARD
	  "}",
	  "spec.source.config.sasl.password: is a credential that everyone who may read this resource sees; put it into a "
	  "Secret and set `passwordSecretRef`" },
	{ "{'source':{'type':'postgresql','config':{'connectionString':'postgres://u:geheim@h/d','table':'t'}}," DISCARD
	  "}",
	  "spec.source.config.connectionString: is a credential" },
	{ "{'source':{'type':'postgresql','config':{'connectionString':'host=h password=geheim','table':'t'}}," DISCARD
	  "}",
	  "spec.source.config.connectionString: is a credential" },
	{ "{" GENERATE ",'sink':{'type':'kafka','config':{'brokers':['b:1'],'topic':'t','requiredAcks':'none',"
	  "'idempotent':false}}}",
	  "spec.sink.config.requiredAcks: " },
};

static void what_is_warned_of(void **state)
{
	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(warned); i++) {
		create(warned[i].spec);
		assert_allowed();
		assert_has(answer_at("response warnings"), warned[i].warning);
		assert_null(strstr(answer_at("response warnings"), "geheim"));
	}
	/* No password in it: nothing to hide. */
	create("{'source':{'type':'postgresql','config':{'connectionString':'postgres://u@h/d','table':'t'}}," DISCARD
	       "}");
	assert_allowed();
	assert_null(strstr(answer_at("response warnings"), "credential"));
	/* Warnings come with refusals too. */
	create("{" GENERATE ",'sink':{'type':'discard','config':{'x':1}},'suspended':true}");
	assert_refused("422");
	assert_has(answer_at("response warnings"), "spec.suspended");
}

static void many_errors_are_counted(void **state)
{
	struct df_buf spec = { 0 };

	(void)state;
	df_buf_add_c(&spec, "{" GENERATE "," DISCARD);
	for (int i = 0; i < 1000; i++)
		df_buf_printf(&spec, ",'unknown%d':1", i);
	df_buf_add_c(&spec, "}");
	create(df_buf_c(&spec));
	assert_refused("422");
	assert_int_equal(at(answered, "response status details causes")->len, 100);
	assert_has(answer_at("response status message"), "; and 900 more");
	/* One that is very long, and not ASCII. */
	spec.len = 0;
	df_buf_add_c(&spec, "{" GENERATE "," DISCARD ",'");
	for (int i = 0; i < 2000; i++)
		df_buf_add_c(&spec, "ä");
	df_buf_add_c(&spec, "':1}");
	create(df_buf_c(&spec));
	assert_refused("422");
	assert_in_range(strlen(answer_at("response status message")), 500, 1024);
	assert_true(df_utf8_valid(df_str_c(answer_at("response status message")), NULL));
	df_buf_done(&spec);
}

/* As many as a review may hold, in time that grows with them and not with their square (which took a minute). */
static void very_many_errors_take_no_time(void **state)
{
	clock_t began = clock();
	struct df_buf spec = { 0 };

	(void)state;
	df_buf_add_c(&spec, "{" DISCARD ",'source':{'type':'generate','config':{'template':'{}'");
	for (int i = 0; i < 150000; i++)
		df_buf_printf(&spec, ",'unknown%d':1", i);
	df_buf_add_c(&spec, "}}}");
	create(df_buf_c(&spec));
	df_buf_done(&spec);
	assert_refused("422");
	assert_has(answer_at("response status message"), "; and 149900 more");
	assert_in_range((clock() - began) / CLOCKS_PER_SEC, 0, 20);
}

/* ---- what is no review ----------------------------------------------------------------------------------- */

static void garbage(void **state)
{
	static const char *const texts[] = {
		"",
		"x",
		"{}",
		"[]",
		"null",
		"{\"apiVersion\":\"admission.k8s.io/v1beta1\",\"kind\":\"AdmissionReview\",\"request\":{\"uid\":\"u\"}}",
		"{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"Pod\",\"request\":{\"uid\":\"u\"}}",
		"{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\"}",
		"{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{\"uid\":\"\"}}",
		"{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":[\"uid\"]}",
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(texts); i++)
		assert_int_equal(ask_text(DF_KIND_DATAFLOW, df_str_c(texts[i])), DF_ERR_INVALID_DATA);
	/* Without an object; one of another kind than the path says. */
	assert_int_equal(ask(DF_KIND_DATAFLOW, "'operation':'CREATE'"), DF_ERR_INVALID_DATA);
	assert_int_equal(ask(DF_KIND_DATAFLOW, "'operation':'CREATE','object':7"), DF_ERR_INVALID_DATA);
	assert_int_equal(ask(DF_KIND_DATAFLOWCRON, "'operation':'CREATE','object':{'kind':'DataFlow','spec':" GOOD "}"),
			 DF_ERR_INVALID_DATA);
}

/* The depth that documents may have is refused where it ends, and costs no stack below. */
static void deep_and_huge(void **state)
{
	struct df_buf spec = { 0 };

	(void)state;
	for (int i = 0; i < 5000; i++)
		df_buf_add_c(&spec, "[");
	assert_int_equal(ask_text(DF_KIND_DATAFLOW, df_buf_str(&spec)), DF_ERR_INVALID_DATA);
	spec.len = 0;
	for (int i = 0; i < 900; i++)
		df_buf_add_c(&spec, "{'transformations':");
	df_buf_add_c(&spec, "1");
	for (int i = 0; i < 900; i++)
		df_buf_add_c(&spec, "}");
	create(df_buf_c(&spec));
	assert_refused("422");
	spec.len = 0;
	df_buf_add_c(&spec, "{" GENERATE "," DISCARD ",'affinity':{'a':'");
	for (int i = 0; i < 3000000; i++)
		df_buf_add_char(&spec, 'x');
	df_buf_add_c(&spec, "'}}");
	create(df_buf_c(&spec));
	assert_allowed();
	df_buf_done(&spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_errors_at_once),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(references_to_other_namespaces),
		cmocka_unit_test(what_is_allowed),
		cmocka_unit_test(what_a_reset_lets_in),
		cmocka_unit_test(what_is_warned_of),
		cmocka_unit_test(many_errors_are_counted),
		cmocka_unit_test(very_many_errors_take_no_time),
		cmocka_unit_test(garbage),
		cmocka_unit_test(deep_and_huge),
	};

	return cmocka_run_group_tests(tests, NULL, free_arena);
}
