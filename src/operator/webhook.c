/*
 * The admission webhook: an HTTPS server with a path for each kind, and a thread that looks after its certificate.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/context.h"
#include "base/digest.h"
#include "base/log.h"
#include "net/certificate.h"
#include "net/http_server.h"
#include "operator/self_signed.h"
#include "operator/text.h"
#include "operator/webhook.h"

#define BODY_MAX ((size_t)3 << 20)
#define THREADS 4
#define LARGE ((size_t)256 << 10)
#define FILE_SIZE_MAX ((size_t)1 << 20)
#define FILES_NS (2 * DF_NS_PER_S)   /* between two looks at the directory */
#define SECRET_NS (10 * DF_NS_PER_S) /* at the Secret */

struct df_webhook {
	const struct df_operator_settings *settings;
	struct df_kube_client *client;
	const char *namespace;
	struct df_http_server *server;
	struct df_context *stop;
	pthread_t thread;
	bool running;
	_Atomic bool ready;
	/* of the thread alone */
	char served[DF_SHA256_HEX]; /* the identity that is live; "": none */
	int64_t until;		    /* of the one that is live */
	bool told;		    /* that there is something wrong */
};

/* ---- requests -------------------------------------------------------------------------------------------- */

static const struct {
	const char *path;
	enum df_manifest_kind kind;
} paths[] = {
	{ "/validate-dataflow-dataflow-io-v1-dataflow", DF_KIND_DATAFLOW },
	{ "/validate-dataflow-dataflow-io-v1-dataflowcron", DF_KIND_DATAFLOWCRON },
};

/* It takes fifty times its size: no second one beside it, and what it took goes back, for it may not come again. */
static int review_large(const struct df_webhook *w, enum df_manifest_kind kind, struct df_str body,
			struct df_buf *answer, struct df_error *err)
{
	static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
	int code;

	DF_LOCK_SCOPE(&one);
	code = df_review(w->settings, kind, body, answer, err);
	malloc_trim(0);
	return code;
}

static void review(const struct df_webhook *w, enum df_manifest_kind kind, struct df_str body,
		   struct df_http_answer *answer)
{
	struct df_error err = DF_ERROR_INIT;
	int code = body.len >= LARGE ? review_large(w, kind, body, &answer->body, &err)
				     : df_review(w->settings, kind, body, &answer->body, &err);

	if (code == 0) {
		answer->status = 200;
		answer->content_type = "application/json";
		return;
	}
	df_log_error(NULL, DF_LOG_WARN, &err, "an admission review cannot be answered");
	answer->status = code == DF_ERR_INVALID_DATA ? 400 : 500;
	answer->body.len = 0;
	df_buf_printf(&answer->body, "%s\n", err.text);
}

static void handle(void *arg, const struct df_http_incoming *request, struct df_http_answer *answer)
{
	for (size_t i = 0; i < DF_ARRAY_SIZE(paths); i++) {
		if (!df_str_equal_c(request->path, paths[i].path))
			continue;
		if (df_str_equal_c(request->method, "POST")) {
			review(arg, paths[i].kind, request->body, answer);
		} else {
			answer->status = 405;
			df_buf_add_c(&answer->body, "an AdmissionReview is asked with POST\n");
		}
	}
}

/* ---- the certificate that is served ---------------------------------------------------------------------- */

static void digest_of(struct df_str chain, struct df_str key, char ret[static DF_SHA256_HEX])
{
	char hex[2 * DF_SHA256_HEX];

	df_sha256_hex(chain, hex);
	df_sha256_hex(key, hex + DF_SHA256_HEX - 1);
	df_sha256_hex(df_str_c(hex), ret);
}

/* DF_ERR_CONFIG: it is no pair; the one before stays. */
static int serve(struct df_webhook *w, struct df_str chain, struct df_str key, struct df_error *err)
{
	struct df_certificate_facts facts;
	char digest[DF_SHA256_HEX];
	int code;

	digest_of(chain, key, digest);
	if (strcmp(digest, w->served) == 0)
		return 0;
	code = df_certificate_look(chain, key, NULL, &facts, err);
	if (code == 0)
		code = df_http_server_identity(w->server, chain, key, err);
	if (code < 0)
		return code;
	memcpy(w->served, digest, sizeof(digest));
	w->until = facts.until;
	w->ready = true;
	df_log(NULL, facts.until < df_clock_now(NULL) / DF_NS_PER_S ? DF_LOG_WARN : DF_LOG_INFO,
	       DF_LOG_FIELDS(DF_LOG_NUM("valid_until", facts.until)), "the webhook serves a new certificate");
	return 0;
}

/* Once, until it is well again. */
static void complain(struct df_webhook *w, const struct df_error *err, const char *what)
{
	if (!w->told)
		df_log_error(NULL, DF_LOG_WARN, err, "%s%s", what,
			     w->ready ? "; the one before goes on being served" : "");
	w->told = true;
}

/* ---- from a directory ------------------------------------------------------------------------------------ */

static int read_file(const struct df_webhook *w, const char *name, struct df_arena *arena, struct df_str *ret,
		     struct df_error *err)
{
	const char *path = df_text(arena, "%s/%s", w->settings->webhook_cert_dir, name);
	df_cleanup(df_fclosep) FILE *file = path ? fopen(path, "re") : NULL;
	struct df_buf buf = { .max = FILE_SIZE_MAX };
	char piece[4096];
	size_t n;

	if (!path)
		return df_error_no_memory(err);
	if (!file)
		return df_error_errno(err, DF_ERR_CONFIG, errno, "the webhook's certificate: %s", path);
	while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
		df_buf_add(&buf, piece, n);
	*ret = buf.failed ? df_str(NULL, 0) : df_arena_dup(arena, df_buf_str(&buf));
	if (buf.data)
		explicit_bzero(buf.data, buf.len);
	df_buf_done(&buf);
	explicit_bzero(piece, sizeof(piece));
	return ret->ptr ? 0 : df_error_set(err, DF_ERR_CONFIG, "%s is larger than 1 MiB", path);
}

/* The CA beside it is what the API server shall trust, where we are told whose business that is. */
static int trust_file(struct df_webhook *w, struct df_arena *arena, struct df_error *err)
{
	struct df_str ca;

	if (!w->settings->webhook_configuration || read_file(w, "ca.crt", arena, &ca, NULL) < 0)
		return 0;
	return df_webhook_trust(w->client, w->stop, w->settings->webhook_configuration, ca, arena, err);
}

static int look_at_files(struct df_webhook *w, struct df_arena *arena, struct df_error *err)
{
	struct df_str chain, key;
	int code = read_file(w, "tls.crt", arena, &chain, err);

	if (code == 0)
		code = read_file(w, "tls.key", arena, &key, err);
	if (code == 0)
		code = serve(w, chain, key, err);
	return code;
}

/* The two files are not replaced in one step: what does not fit now may in a moment. */
static int from_files(struct df_webhook *w, struct df_arena *arena, struct df_error *err)
{
	int code = look_at_files(w, arena, err);

	if (code == DF_ERR_CONFIG && df_context_sleep(w->stop, 200 * DF_NS_PER_MS) == 0)
		code = look_at_files(w, arena, err);
	return code < 0 ? df_error_prefix(err, "%s", w->settings->webhook_cert_dir) : trust_file(w, arena, err);
}

/* ---- from the Secret ------------------------------------------------------------------------------------- */

/* A new certificate is served when the API server trusts it; or when the one before is of no use any more. */
static int from_secret(struct df_webhook *w, struct df_arena *arena, struct df_error *err)
{
	struct df_self_signed self = { w->settings, w->namespace, w->client, w->stop };
	int64_t now = df_clock_now(NULL) / DF_NS_PER_S;
	struct df_identity identity;
	int code = df_self_signed_look(&self, now, arena, &identity, err);

	if (code == 0 && (identity.trusted || !w->ready || w->until <= now))
		code = serve(w, identity.chain, identity.key, err);
	if (code == 0 && !identity.trusted) {
		*err = identity.untrusted;
		code = df_error_prefix(err, "the webhook's CA");
	}
	return code;
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static void *watch(void *arg)
{
	struct df_webhook *w = arg;
	bool secret = w->settings->webhook_secret;
	int code;

	do {
		df_cleanup(df_arena_done) struct df_arena arena = { 0 };
		struct df_error err = DF_ERROR_INIT;

		code = secret ? from_secret(w, &arena, &err) : from_files(w, &arena, &err);
		if (code == 0)
			w->told = false;
		else if (!df_context_canceled(w->stop))
			complain(w, &err, "no new certificate for the webhook");
	} while (df_context_sleep(w->stop, secret && code == 0 ? SECRET_NS : FILES_NS) == 0);
	return NULL;
}

static int start(struct df_webhook *w, const struct df_kube_client_options *client, struct df_error *err)
{
	const struct df_operator_settings *s = w->settings;
	int code;

	if (s->webhook_secret && !s->webhook_service)
		return df_error_set(err, DF_ERR_CONFIG,
				    "WEBHOOK_SELF_SIGNED_SECRET needs WEBHOOK_SERVICE_NAME: whose certificate it is");
	w->stop = df_context_new(NULL);
	if (!w->stop)
		return df_error_no_memory(err);
	w->namespace = s->namespace ? s->namespace : client->config->namespace;
	code = df_kube_client_new(client, &w->client, err);
	if (code == 0)
		code = df_http_server_start(&(struct df_http_options){ .address = s->webhook_address,
								       .handle = handle,
								       .arg = w,
								       .max_body = BODY_MAX,
								       .threads = THREADS,
								       .tls = true },
					    &w->server, err);
	if (code < 0)
		return df_error_prefix(err, "the webhook");
	if (pthread_create(&w->thread, NULL, watch, w) != 0)
		return df_error_set(err, DF_ERR_NO_MEMORY, "no thread for the webhook");
	w->running = true;
	return 0;
}

int df_webhook_start(const struct df_operator_settings *settings, const struct df_kube_client_options *client,
		     struct df_webhook **ret, struct df_error *err)
{
	struct df_webhook *w = calloc(1, sizeof(*w));
	int code;

	*ret = NULL;
	if (!w)
		return df_error_no_memory(err);
	w->settings = settings;
	code = start(w, client, err);
	if (code < 0) {
		df_webhook_stop(w);
		return code;
	}
	df_info(NULL, "the webhook is at https://%s", df_http_server_address(w->server));
	*ret = w;
	return 0;
}

void df_webhook_stop(struct df_webhook *webhook)
{
	if (!webhook)
		return;
	if (webhook->stop)
		df_context_cancel(webhook->stop);
	if (webhook->running)
		pthread_join(webhook->thread, NULL);
	df_http_server_stop(webhook->server);
	df_kube_client_free(webhook->client);
	df_context_free(webhook->stop);
	free(webhook);
}

bool df_webhook_ready(struct df_webhook *webhook)
{
	return webhook->ready;
}
