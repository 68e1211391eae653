#include "operator/self_signed.h"

#include "base/log.h"
#include "kube/build.h"
#include "net/certificate.h"
#include "operator/names.h"
#include "operator/reconcile.h"
#include "operator/text.h"

#define VALID_SECONDS ((int64_t)365 * 24 * 3600)
#define SKEW_SECONDS 300 /* clocks of others may be that late */

bool df_certificate_is_old(int64_t from, int64_t until, int64_t now)
{
	return now >= from + (until - from) / 3 * 2;
}

static struct df_kube_ref secret_ref(const struct df_self_signed *s)
{
	return (struct df_kube_ref){ &df_kube_secrets, s->namespace, s->settings->webhook_secret, NULL };
}

/* ---- what the Secret holds ------------------------------------------------------------------------------- */

static struct df_str decode(const struct df_value *secret, const char *key, struct df_arena *arena)
{
	struct df_str base64 = df_kube_text(secret, arena, "data", key, NULL), text = { 0 };
	struct df_buf buf = { 0 };

	if (df_buf_add_base64_decoded(&buf, base64) && !buf.failed)
		text = df_arena_dup(arena, df_buf_str(&buf));
	df_buf_done(&buf);
	return text;
}

static const char *host_of(const struct df_self_signed *s, struct df_arena *arena)
{
	return df_text(arena, "%s.%s.svc", s->settings->webhook_service, s->namespace);
}

/* False: it is to be made anew. `ret` has what can still be used of it. */
static bool read_identity(const struct df_self_signed *s, const struct df_value *secret, int64_t now,
			  struct df_arena *arena, struct df_identity *ret)
{
	struct df_certificate_facts facts;
	const char *host = host_of(s, arena);

	ret->ca = decode(secret, "ca.crt", arena);
	ret->chain = decode(secret, "tls.crt", arena);
	ret->key = decode(secret, "tls.key", arena);
	return host && ret->ca.len && ret->chain.len && ret->key.len &&
	       df_certificate_look(ret->chain, ret->key, host, &facts, NULL) == 0 && facts.names &&
	       !df_certificate_is_old(facts.from, facts.until, now);
}

/* ---- making it ------------------------------------------------------------------------------------------- */

static int make(const struct df_self_signed *s, int64_t now, struct df_arena *arena, struct df_certificate *ret,
		struct df_error *err)
{
	const char *service = s->settings->webhook_service;
	/* The last two for whoever asks it through a forwarded port. */
	const char *names[] = { host_of(s, arena),
				df_text(arena, "%s.%s.svc.cluster.local", service, s->namespace),
				df_text(arena, "%s.%s", service, s->namespace),
				service,
				"localhost",
				"127.0.0.1" };

	for (size_t i = 0; i < DF_ARRAY_SIZE(names); i++)
		if (!names[i])
			return df_error_no_memory(err);
	return df_certificate_make(names, DF_ARRAY_SIZE(names), now - SKEW_SECONDS, now + VALID_SECONDS, ret, err);
}

/* The first certificate of a bundle: the newest. */
static struct df_str first_of(struct df_str bundle)
{
	static const char end[] = "-----END CERTIFICATE-----\n";
	const char *found = df_str_starts(bundle, DF_STR("-----BEGIN CERTIFICATE-----"))
				    ? memmem(bundle.ptr, bundle.len, end, sizeof(end) - 1)
				    : NULL;

	return found ? df_str(bundle.ptr, (size_t)(found - bundle.ptr) + sizeof(end) - 1) : df_str("", 0);
}

static struct df_str base64(struct df_str text, struct df_arena *arena)
{
	struct df_buf buf = { 0 };
	struct df_str ret = { 0 };

	df_buf_add_base64(&buf, text);
	if (!buf.failed)
		ret = df_arena_dup(arena, df_buf_str(&buf));
	df_buf_done(&buf);
	return ret;
}

/* The CA before this one stays in the bundle: other replicas serve its certificate until they look again. */
static struct df_str bundle_of(const struct df_certificate *made, struct df_str old, struct df_arena *arena)
{
	struct df_str before = first_of(old);
	const char *text = df_text(arena, "%s" DF_STR_FMT, made->ca, DF_STR_ARG(before));

	return df_str_c(text);
}

/* Only when the Secret is still the one that was read. */
static int write_secret(const struct df_self_signed *s, const struct df_value *secret,
			const struct df_certificate *made, struct df_str old_ca, struct df_arena *arena,
			struct df_value **ret, struct df_error *err)
{
	const struct df_kube_ref ref = secret_ref(s);
	struct df_str bundle = bundle_of(made, old_ca, arena);
	struct df_str ca = base64(bundle, arena), cert = base64(df_str_c(made->cert), arena);
	struct df_str key = base64(df_str_c(made->key), arena);
	struct df_value *patch;
	int code;

	if (!ca.ptr || !cert.ptr || !key.ptr)
		return df_error_no_memory(err);
	code = df_kube_build(arena, &patch, err,
			     "{'metadata':{'resourceVersion':%S},'data':{'ca.crt':%S,'tls.crt':%S,'tls.key':%S}}",
			     df_kube_text(secret, arena, "metadata", "resourceVersion", NULL), ca, cert, key);
	if (code == 0)
		code = df_kube_patch(s->client, s->ctx, &ref, DF_KUBE_MERGE_PATCH, patch, arena, ret, err);
	return code;
}

/* An empty one when there is none: as apply, which does not take anything out that a quicker replica has written. */
static int ensure_secret(const struct df_self_signed *s, struct df_arena *arena, struct df_value **ret,
			 struct df_error *err)
{
	const struct df_kube_ref ref = secret_ref(s);
	struct df_value *object;
	int code = df_kube_get(s->client, s->ctx, &ref, arena, ret, err);

	if (code < 0 || *ret)
		return code;
	code = df_kube_build(arena, &object, err,
			     "{'apiVersion':'v1','kind':'Secret','type':'Opaque','metadata':{'name':%s,'namespace':%s,"
			     "'labels':{'app.kubernetes.io/managed-by':'" DF_FIELD_MANAGER "'}}}",
			     ref.name, s->namespace);
	return code < 0 ? code : df_kube_apply(s->client, s->ctx, &ref, object, arena, ret, err);
}

static int renew(const struct df_self_signed *s, int64_t now, const struct df_value *secret, struct df_arena *arena,
		 struct df_identity *ret, struct df_error *err)
{
	const struct df_kube_ref ref = secret_ref(s);
	struct df_certificate made = { 0 };
	struct df_error why = DF_ERROR_INIT;
	struct df_value *written;
	int code = make(s, now, arena, &made, err);

	if (code < 0)
		return code;
	code = write_secret(s, secret, &made, ret->ca, arena, &written, &why);
	df_certificate_done(&made);
	if (code == 0)
		df_info(NULL, "made a certificate for the webhook, in Secret %s/%s", s->namespace, ref.name);
	else if (df_kube_is(&why, "Conflict")) /* another replica was quicker: its certificate is ours */
		code = df_kube_get(s->client, s->ctx, &ref, arena, &written, &why);
	if (code == 0 && !read_identity(s, written, now, arena, ret))
		code = df_error_set(&why, DF_ERR_TRANSIENT, "the Secret %s/%s holds no certificate for the webhook",
				    s->namespace, ref.name);
	if (code < 0 && err)
		*err = why;
	return code;
}

/* ---- who trusts it --------------------------------------------------------------------------------------- */

/* Two operations for the webhook at that place: it is still that one, and its CA is this. */
static int add_operations(const struct df_value *webhook, size_t place, struct df_str bundle, struct df_arena *arena,
			  struct df_value *patch, struct df_error *err)
{
	const char *name = df_text(arena, "/webhooks/%zu/name", place);
	const char *path = df_text(arena, "/webhooks/%zu/clientConfig/caBundle", place);
	struct df_value *test, *add;
	int code;

	if (!name || !path)
		return df_error_no_memory(err);
	code = df_kube_build(arena, &test, err, "{'op':'test','path':%s,'value':%S}", name,
			     df_kube_text(webhook, arena, "name", NULL));
	if (code == 0)
		code = df_kube_build(arena, &add, err, "{'op':'add','path':%s,'value':%S}", path, bundle);
	if (code < 0)
		return code;
	df_array_append(patch, test);
	df_array_append(patch, add);
	return 0;
}

int df_webhook_trust(struct df_kube_client *client, struct df_context *ctx, const char *configuration, struct df_str ca,
		     struct df_arena *arena, struct df_error *err)
{
	const struct df_kube_ref ref = { &df_kube_webhooks, NULL, configuration, NULL };
	struct df_value *object, *patch = df_value_new(arena, DF_ARRAY);
	struct df_str bundle = base64(ca, arena);
	const struct df_value *webhooks;
	size_t place = 0;
	int code = df_kube_get(client, ctx, &ref, arena, &object, err);

	if (code < 0)
		return code;
	if (!patch || !bundle.ptr)
		return df_error_no_memory(err);
	webhooks = df_object_get_c(object, "webhooks");
	if (!webhooks || webhooks->kind != DF_ARRAY)
		return df_error_set(err, DF_ERR_CONFIG, "there is no ValidatingWebhookConfiguration %s with webhooks",
				    configuration);
	df_for_each (webhook, webhooks) {
		struct df_str has = df_kube_text(webhook, arena, "clientConfig", "caBundle", NULL);

		if (!df_str_equal(has, bundle))
			code = add_operations(webhook, place, bundle, arena, patch, err);
		if (code < 0)
			return code;
		place++;
	}
	if (patch->len == 0)
		return 0;
	code = df_kube_patch(client, ctx, &ref, DF_KUBE_JSON_PATCH, patch, arena, NULL, err);
	if (code == 0)
		df_info(NULL, "the ValidatingWebhookConfiguration %s has the webhook's CA", configuration);
	return code;
}

/* ---- all ------------------------------------------------------------------------------------------------- */

int df_self_signed_look(const struct df_self_signed *s, int64_t now, struct df_arena *arena, struct df_identity *ret,
			struct df_error *err)
{
	struct df_value *secret;
	int code = ensure_secret(s, arena, &secret, err);

	*ret = (struct df_identity){ .trusted = true };
	if (code == 0 && !read_identity(s, secret, now, arena, ret))
		code = renew(s, now, secret, arena, ret, err);
	if (code == 0 && s->settings->webhook_configuration)
		ret->trusted = df_webhook_trust(s->client, s->ctx, s->settings->webhook_configuration, ret->ca, arena,
						&ret->untrusted) == 0;
	return code;
}
