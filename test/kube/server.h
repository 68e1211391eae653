/* A namespace on the API server of `test/services/kubernetes env`, for the tests of one program. Include it after
 * <cmocka.h>. */
#ifndef TEST_KUBE_SERVER_H
#define TEST_KUBE_SERVER_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "kube/build.h"
#include "kube/client.h"

static struct df_kube_config config;
static struct df_kube_client *client;
static struct df_error err;
static char namespace[40];

static void ok(int code)
{
	if (code != 0)
		fail_msg("%s: %s", err.remote, err.text);
}

/* restricted: its pods must be what Pod Security calls so. */
static void open_server(const char *prefix, const char *manager, bool restricted)
{
	struct df_kube_client_options options = { .config = &config, .field_manager = manager };
	struct df_kube_ref ref = { .resource = &df_kube_namespaces, .name = namespace };
	struct df_arena own = { 0 };
	struct df_value *v;

	snprintf(namespace, sizeof(namespace), "%s-%d", prefix, getpid());
	ok(df_kube_config_load(NULL, &config, &err));
	ok(df_kube_client_new(&options, &client, &err));
	ok(df_kube_build(&own, &v, &err,
			 "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':%s,'labels':"
			 "{'pod-security.kubernetes.io/enforce':%s}}}",
			 namespace, restricted ? "restricted" : NULL));
	ok(df_kube_create(client, NULL, &ref, v, &own, NULL, &err));
	df_arena_done(&own);
}

static void close_server(void)
{
	struct df_kube_ref ref = { .resource = &df_kube_namespaces, .name = namespace };

	ok(df_kube_delete(client, NULL, &ref, NULL, NULL, &err));
	df_kube_client_free(client);
	df_kube_config_done(&config);
}

/* Our CRDs, from the folder that has them. */
static inline void apply_crds(const char *folder)
{
	char command[1024];

	snprintf(command, sizeof(command),
		 "%1$s apply --server-side --force-conflicts -f %2$s >/dev/null && "
		 "%1$s wait --for=condition=Established --timeout=30s -f %2$s >/dev/null",
		 getenv("KUBECTL"), folder);
	assert_int_equal(system(command), 0);
}

#endif
