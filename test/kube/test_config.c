/* kubeconfig files: what is taken, and what is refused with its reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kube/config.h"

static char dir[] = "/tmp/df_kube_config_XXXXXX";
static struct df_error err;

/* Writes the text as DIR/config and loads it. */
static int load(const char *text, struct df_kube_config *ret)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/config", dir);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	err = DF_ERROR_INIT;
	return df_kube_config_load(path, ret, &err);
}

#define CONTEXT                \
	"current-context: c\n" \
	"contexts: [{name: b, context: {cluster: x}}, {name: c, context: {cluster: k, user: u, namespace: ns}}]\n"

static void test_everything(void **state)
{
	struct df_kube_config c;
	char path[64];

	(void)state;
	assert_int_equal(load(CONTEXT "clusters: [{name: k, cluster: {server: 'https://h:6443//', "
				      "certificate-authority-data: UEVN, certificate-authority: gone}}]\n"
				      "users: [{name: u, user: {client-certificate: crt.pem, client-key: /k/key.pem, "
				      "tokenFile: /t}}]\n",
			      &c),
			 0);
	assert_string_equal(c.server, "https://h:6443");
	assert_string_equal(c.ca, "PEM"); /* data wins, as in kubectl */
	snprintf(path, sizeof(path), "%s/crt.pem", dir);
	assert_string_equal(c.cert, path); /* relative to the file */
	assert_string_equal(c.key, "/k/key.pem");
	assert_string_equal(c.token_file, "/t");
	assert_string_equal(c.namespace, "ns");
	assert_false(c.insecure);
	df_kube_config_done(&c);
}

static void test_little(void **state)
{
	struct df_kube_config c;

	(void)state;
	assert_int_equal(
		load("{\"current-context\": \"c\", \"contexts\": [{\"name\": \"c\", \"context\": {\"cluster\": "
		     "\"k\"}}], \"clusters\": [{\"name\": \"k\", \"cluster\": {\"server\": \"http://h\", "
		     "\"insecure-skip-tls-verify\": true}}]}",
		     &c),
		0);
	assert_string_equal(c.namespace, "default");
	assert_true(c.insecure);
	assert_null(c.token);
	df_kube_config_done(&c);
}

static void test_refused(void **state)
{
#define CLUSTER "clusters: [{name: k, cluster: {server: 'https://h'}}]\n"
	static const struct {
		const char *text, *reason;
	} cases[] = {
		{ "[]", "not a kubeconfig" },
		{ "", "not a kubeconfig" },
		{ "a: [", "config" },
		{ "clusters: []", "current-context is missing" },
		{ "current-context: z\ncontexts: []", "there is no `z` in contexts" },
		{ "current-context: z", "there is no `z` in contexts" },
		{ CONTEXT, "there is no `k` in clusters" },
		{ CONTEXT "clusters: [{name: k}]", "has no `cluster`" },
		{ CONTEXT "clusters: [{name: k, cluster: {}}]", "has no server" },
		{ CONTEXT "clusters: [{name: k, cluster: {server: 5}}]", "server is not a string" },
		{ CONTEXT "clusters: [{name: k, cluster: {server: s, certificate-authority-data: '*'}}]",
		  "certificate-authority-data is not base64" },
		{ CONTEXT CLUSTER, "there is no `u` in users" },
		{ CONTEXT CLUSTER "users: [{name: u, user: {exec: {command: aws}}}]", "come from a program (`exec`)" },
		{ CONTEXT CLUSTER "users: [{name: u, user: {auth-provider: {}}}]", "(`auth-provider`)" },
		{ CONTEXT CLUSTER "users: [{name: u, user: {username: a, password: secret}}]",
		  "user name and password" },
		{ CONTEXT CLUSTER "users: [{name: u, user: {client-certificate: a}}]", "go together" },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(cases); i++) {
		struct df_kube_config c;

		assert_int_equal(load(cases[i].text, &c), DF_ERR_CONFIG);
		if (!strstr(err.text, cases[i].reason) || !strstr(err.text, dir))
			fail_msg("%s: %s", cases[i].text, err.text);
		assert_null(strstr(err.text, "secret"));
		assert_null(c.server);
	}
}

static void test_which(void **state)
{
	struct df_kube_config c;

	(void)state;
	unsetenv("KUBECONFIG");
	unsetenv("KUBERNETES_SERVICE_HOST");
	setenv("HOME", dir, 1);
	assert_int_equal(df_kube_config_load(NULL, &c, &err), DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "no cluster to talk to"));
	setenv("KUBECONFIG", "/a:/b", 1);
	assert_int_equal(df_kube_config_load(NULL, &c, &err), DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "several files"));
	setenv("KUBECONFIG", "/nowhere", 1);
	assert_int_equal(df_kube_config_load(NULL, &c, &err), DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "/nowhere"));
	unsetenv("KUBECONFIG");
	setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
	assert_int_equal(df_kube_config_load(NULL, &c, &err), DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "the pod has no token"));
	unsetenv("KUBERNETES_SERVICE_HOST");
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "%s/config", dir);
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_little),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_which),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
