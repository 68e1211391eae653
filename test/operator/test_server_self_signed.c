/* The webhook's own certificate on a real API server: replicas that make it at once, and its life in fast motion.
 * KUBECONFIG of `test/services/kubernetes env`. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/certificate.h"
#include "operator/self_signed.h"
#include "test/operator/resources.h"

#include "test/kube/server.h"

#define REPLICAS 6
#define DAY ((int64_t)24 * 3600)

static struct df_kube_client_options options = { .config = &config, .field_manager = "dataflow-operator" };
static int64_t today;

static struct df_operator_settings settings_for(const char *secret)
{
	return (struct df_operator_settings){ .webhook_secret = (char *)secret,
					      .webhook_service = (char *)"hook",
					      .webhook_configuration = namespace };
}

static void look(const struct df_operator_settings *settings, int64_t now, struct df_identity *ret)
{
	struct df_self_signed s = { settings, namespace, client, NULL };

	ok(df_self_signed_look(&s, now, &arena, ret, &err));
	if (!ret->trusted)
		fail_msg("%s", ret->untrusted.text);
}

static struct df_certificate_facts facts_of(const struct df_identity *identity)
{
	struct df_certificate_facts facts;

	ok(df_certificate_look(identity->chain, identity->key, "127.0.0.1", &facts, &err));
	assert_true(facts.names);
	return facts;
}

/* Every webhook of the configuration trusts exactly this. */
static void assert_trusted(struct df_str ca)
{
	struct df_kube_ref ref = { &df_kube_webhooks, NULL, namespace, NULL };
	struct df_value *live;
	struct df_buf base64 = { 0 };

	ok(df_kube_get(client, NULL, &ref, &arena, &live, &err));
	df_buf_add_base64(&base64, ca);
	for (const char *const *path = (const char *const[]){ "webhooks 0 clientConfig caBundle",
							      "webhooks 1 clientConfig caBundle", NULL };
	     *path; path++)
		assert_true(df_value_string_equal(at(live, *path), df_buf_str(&base64)));
	df_buf_done(&base64);
}

/* ---- at once --------------------------------------------------------------------------------------------- */

struct replica {
	pthread_barrier_t *barrier;
	struct df_arena arena;
	struct df_identity identity;
	struct df_error err;
	int code;
};

static void *start(void *arg)
{
	struct replica *r = arg;
	struct df_operator_settings settings = settings_for("together");
	struct df_self_signed s = { &settings, namespace, NULL, NULL };

	r->code = df_kube_client_new(&options, &s.client, &r->err);
	pthread_barrier_wait(r->barrier);
	if (r->code == 0)
		r->code = df_self_signed_look(&s, today, &r->arena, &r->identity, &r->err);
	df_kube_client_free(s.client);
	return NULL;
}

static void replicas_at_once_agree(void **state)
{
	pthread_barrier_t barrier;
	struct replica replicas[REPLICAS] = { 0 };
	pthread_t threads[REPLICAS];
	struct df_operator_settings settings = settings_for("together");
	struct df_identity last;

	(void)state;
	pthread_barrier_init(&barrier, NULL, REPLICAS);
	for (size_t i = 0; i < REPLICAS; i++) {
		replicas[i].barrier = &barrier;
		assert_int_equal(pthread_create(&threads[i], NULL, start, &replicas[i]), 0);
	}
	for (size_t i = 0; i < REPLICAS; i++)
		pthread_join(threads[i], NULL);
	look(&settings, today, &last);
	for (size_t i = 0; i < REPLICAS; i++) {
		if (replicas[i].code < 0)
			fail_msg("%s", replicas[i].err.text);
		assert_true(df_str_equal(replicas[i].identity.chain, last.chain));
		df_arena_done(&replicas[i].arena);
	}
	assert_trusted(last.ca);
	pthread_barrier_destroy(&barrier);
}

/* ---- one after the other --------------------------------------------------------------------------------- */

static void it_is_renewed_at_two_thirds(void **state)
{
	struct df_operator_settings settings = settings_for("renewed");
	struct df_identity first, same, second, third;
	struct df_certificate_facts facts;

	(void)state;
	look(&settings, today, &first);
	facts = facts_of(&first);
	assert_in_range(facts.until - today, 364 * DAY, 366 * DAY);
	look(&settings, today + 240 * DAY, &same);
	assert_true(df_str_equal(first.chain, same.chain));
	look(&settings, today + 245 * DAY, &second);
	assert_false(df_str_equal(first.chain, second.chain));
	assert_in_range(facts_of(&second).until - today, (245 + 364) * DAY, (245 + 366) * DAY);
	/* Both CAs, until the next time: others serve the one before for a while. */
	assert_true(df_str_ends(second.ca, first.ca));
	assert_true(second.ca.len > first.ca.len);
	assert_trusted(second.ca);
	look(&settings, today + 500 * DAY, &third);
	assert_true(df_str_ends(third.ca, df_str(second.ca.ptr, second.ca.len - first.ca.len)));
	assert_null(memmem(third.ca.ptr, third.ca.len, first.ca.ptr, first.ca.len));
	assert_trusted(third.ca);
}

static void what_is_no_certificate_is_replaced(void **state)
{
	struct df_operator_settings settings = settings_for("broken"), other = settings_for("broken");
	struct df_kube_ref ref = { &df_kube_secrets, namespace, "broken", NULL };
	struct df_identity first, second;

	(void)state;
	ok(df_kube_create(
		client, NULL, &ref,
		json("{'apiVersion':'v1','kind':'Secret','metadata':{'name':'broken'},'data':{'tls.crt':'eA==',"
		     "'ca.crt':'eA==','other':'eA=='}}"),
		&arena, NULL, &err));
	look(&settings, today, &first);
	facts_of(&first);
	assert_trusted(first.ca);
	/* Nor does one of another Service serve. */
	other.webhook_service = (char *)"another";
	look(&other, today, &second);
	assert_false(df_str_equal(first.chain, second.chain));
}

static void without_a_configuration_it_is_told(void **state)
{
	struct df_operator_settings settings = settings_for("alone");
	struct df_self_signed s = { &settings, namespace, client, NULL };
	struct df_identity identity;

	(void)state;
	settings.webhook_configuration = (char *)"no-such-configuration";
	ok(df_self_signed_look(&s, today, &arena, &identity, &err));
	assert_false(identity.trusted);
	assert_non_null(strstr(identity.untrusted.text, "no-such-configuration"));
	facts_of(&identity); /* there is one all the same */
}

/* ---------------------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
	struct df_kube_ref webhooks = { .resource = &df_kube_webhooks, .name = namespace };
	struct df_value *v;

	(void)state;
	today = df_clock_now(NULL) / DF_NS_PER_S;
	open_server("self-signed", options.field_manager, false);
	ok(df_kube_build(&arena, &v, &err,
			 "{'apiVersion':'admissionregistration.k8s.io/v1','kind':'ValidatingWebhookConfiguration',"
			 "'metadata':{'name':%s},'webhooks':[{'name':'a.example.org','sideEffects':'None',"
			 "'admissionReviewVersions':['v1'],'clientConfig':{'url':'https://127.0.0.1:1/'}},"
			 "{'name':'b.example.org','sideEffects':'None','admissionReviewVersions':['v1'],"
			 "'clientConfig':{'url':'https://127.0.0.1:1/'}}]}",
			 namespace));
	ok(df_kube_create(client, NULL, &webhooks, v, &arena, NULL, &err));
	return 0;
}

static int tear_down(void **state)
{
	struct df_kube_ref webhooks = { .resource = &df_kube_webhooks, .name = namespace };

	ok(df_kube_delete(client, NULL, &webhooks, NULL, NULL, &err));
	close_server();
	return free_arena(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replicas_at_once_agree),
		cmocka_unit_test(it_is_renewed_at_two_thirds),
		cmocka_unit_test(what_is_no_certificate_is_replaced),
		cmocka_unit_test(without_a_configuration_it_is_told),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
