#include "operator/references.h"

#include <pthread.h>
#include <stdlib.h>

#include "kube/build.h"
#include "operator/mirrors.h"

#define ANSWER_NS (300 * DF_NS_PER_S) /* so long the API server's answer about our rights counts */

/* ---- where we may look ----------------------------------------------------------------------------------- */

/* What the API server said of each namespace; there are as many as the cluster has. */
static struct {
	pthread_mutex_t lock;
	struct answer {
		char *namespace;
		bool allowed;
		int64_t until_ns; /* monotonic */
	} * items;
	size_t count;
} answers = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct answer *find_answer(const char *namespace)
{
	for (size_t i = 0; i < answers.count; i++)
		if (strcmp(answers.items[i].namespace, namespace) == 0)
			return &answers.items[i];
	return NULL;
}

/* False: it must be asked (again). */
static bool recall(const char *namespace, bool *ret_allowed)
{
	DF_LOCK_SCOPE(&answers.lock);
	const struct answer *a = find_answer(namespace);

	if (!a || a->until_ns <= df_clock_monotonic())
		return false;
	*ret_allowed = a->allowed;
	return true;
}

/* Forgetting it (no memory) costs no more than another question. */
static void remember(const char *namespace, bool allowed)
{
	DF_LOCK_SCOPE(&answers.lock);
	struct answer *a = find_answer(namespace), *items;

	if (!a) {
		char *copy = strdup(namespace);

		items = copy ? reallocarray(answers.items, answers.count + 1, sizeof(*items)) : NULL;
		if (!items) {
			free(copy);
			return;
		}
		answers.items = items;
		a = &items[answers.count++];
		a->namespace = copy;
	}
	a->allowed = allowed;
	a->until_ns = df_clock_monotonic() + ANSWER_NS;
}

/* May the operator `get` the Secrets of r's namespace? Asking first leaves no refusal in the audit log. */
static int may_look(struct df_reconcile *r, bool *ret, struct df_error *err)
{
	const struct df_kube_ref ref = { .resource = &df_kube_self_access_reviews };
	struct df_value *review, *answer = NULL;
	const struct df_value *allowed;
	int code;

	if (recall(r->namespace, ret))
		return 0;
	code = df_kube_build(r->arena, &review, err,
			     "{'apiVersion':'authorization.k8s.io/v1','kind':'SelfSubjectAccessReview','spec':"
			     "{'resourceAttributes':{'namespace':%s,'verb':'get','resource':'secrets'}}}",
			     r->namespace);
	if (code == 0)
		code = df_kube_create(r->client, r->ctx, &ref, review, r->arena, &answer, err);
	if (code < 0)
		return code;
	allowed = df_kube_at(answer, "status", "allowed", NULL);
	*ret = allowed && allowed->kind == DF_TRUE;
	remember(r->namespace, *ret);
	return 0;
}

/* ---- Secrets of the own namespace ------------------------------------------------------------------------ */

int df_references_keys(const struct df_secret_use *use, const char *namespace, const struct df_value *secret,
		       struct df_error *err)
{
	const struct df_value *data = df_object_get_c(secret, "data");

	if (!secret)
		return df_error_set(err, DF_ERR_CONFIG, "there is no Secret %s in namespace %s (%s names it)",
				    use->name, namespace, use->path);
	for (size_t i = 0; i < use->key_count; i++) {
		const struct df_value *value = df_object_get_c(data, use->keys[i]);

		if (!value || df_value_string_equal(value, DF_STR("")))
			return df_error_set(err, DF_ERR_CONFIG, "the Secret %s in namespace %s has %s `%s` (see %s)",
					    use->name, namespace, value ? "nothing under the key" : "no key",
					    use->keys[i], use->path);
	}
	return 0;
}

static int check_own(struct df_reconcile *r, const struct df_secret_use *use, struct df_error *err)
{
	const struct df_kube_ref ref = { &df_kube_secrets, r->namespace, use->name, NULL };
	struct df_value *secret;
	int code = df_kube_get(r->client, r->ctx, &ref, r->arena, &secret, err);

	return code < 0 ? code : df_references_keys(use, r->namespace, secret, err);
}

/* Only where we may look; else the kubelet finds out. */
static int check_all_own(struct df_reconcile *r, const struct df_resource *resource, struct df_error *err)
{
	size_t own = 0;
	bool may = false;
	int code = 0;

	for (size_t i = 0; i < resource->secret_count; i++)
		own += !resource->secrets[i].namespace;
	if (own > 0)
		code = may_look(r, &may, err);
	for (size_t i = 0; code == 0 && may && i < resource->secret_count; i++)
		if (!resource->secrets[i].namespace)
			code = check_own(r, &resource->secrets[i], err);
	return code;
}

/* ---- all ------------------------------------------------------------------------------------------------- */

int df_references_ensure(struct df_reconcile *r, const struct df_resource *resource, struct df_error *err)
{
	int code = df_mirrors_revoke(r, resource, err);

	if (code == 0)
		code = check_all_own(r, resource, err);
	return code < 0 ? code : df_mirrors_ensure(r, resource, err);
}
