#include "operator/operator.h"

#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/retry.h"
#include "operator/internal.h"

/* Requests a second: a new leader looks at everything, and must not be what others wait for. */
#define REQUESTS_RATE 300
#define REQUESTS_BURST 600
/* A key that fails waits so long, then twice as long, up to the cap. */
#define RETRY_FIRST_NS (1 * DF_NS_PER_S)
#define RETRY_CAP_NS (300 * DF_NS_PER_S)
/* What is under way may end within that, when the operator stops. */
#define FINISH_NS (10 * DF_NS_PER_S)

#define LEASE_NAME "dataflow-operator.dataflow.io"

struct servers {
	struct df_http_server *metrics, *health;
};

/* ---- what others ask ------------------------------------------------------------------------------------- */

/* A scrape takes as long as the slowest pod; two scrapers at once are usual. */
#define METRICS_THREADS 2
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* What a scraper says it waits, less half a second, and never more than eight. */
static int64_t scrape_timeout(const struct df_http_incoming *request)
{
	const int64_t max = 8 * DF_NS_PER_S;
	struct df_str text = df_http_incoming_header(request, "X-Prometheus-Scrape-Timeout-Seconds");
	double seconds;

	if (!text.len || !df_number_to_double(text, &seconds) || seconds > 60)
		return max;
	int64_t ns = (int64_t)(seconds * (double)DF_NS_PER_S) - DF_NS_PER_S / 2;

	return ns > max ? max : ns > 0 ? ns : 1;
}

static void answer_metrics(void *arg, const struct df_http_incoming *request, struct df_http_answer *answer)
{
	struct df_operator *op = arg;

	if (!df_str_equal_c(request->path, "/metrics"))
		return;
	answer->status = 200;
	answer->content_type = METRICS_TYPE;
	df_operator_metrics_write(op->metrics, op->leads ? op->counts : NULL, request->query, scrape_timeout(request),
				  &answer->body);
}

static void answer_health(void *arg, const struct df_http_incoming *request, struct df_http_answer *answer)
{
	struct df_operator *op = arg;
	const char *why = NULL;

	if (df_str_equal_c(request->path, "/readyz"))
		why = !op->answered				      ? "the API server has not answered yet"
		      : op->webhook && !df_webhook_ready(op->webhook) ? "the webhook has no certificate yet"
								      : NULL;
	else if (!df_str_equal_c(request->path, "/healthz"))
		return;
	answer->status = why ? 503 : 200;
	df_buf_add_c(&answer->body, why ? why : "ok");
}

static int serve(struct df_operator *op, struct servers *servers, struct df_error *err)
{
	const struct df_operator_settings *s = op->settings;
	int code = 0;

	if (s->metrics_address) {
		code = df_http_server_start(&(struct df_http_options){ .address = s->metrics_address,
								       .handle = answer_metrics,
								       .arg = op,
								       .threads = METRICS_THREADS },
					    &servers->metrics, err);
		if (code < 0)
			return df_error_prefix(err, "--metrics-bind-address");
	}
	if (s->health_address) {
		code = df_http_server_start(
			&(struct df_http_options){ .address = s->health_address, .handle = answer_health, .arg = op },
			&servers->health, err);
		if (code < 0)
			return df_error_prefix(err, "--health-probe-bind-address");
	}
	return code;
}

/* ---- leading --------------------------------------------------------------------------------------------- */

/* No unwinding is as quick as another thread's next request. */
static void lost(void *arg, const struct df_error *why)
{
	(void)arg;
	df_log(NULL, DF_LOG_ERROR, NULL, "the Lease is lost, another operator may lead now: %s", why->text);
	_exit(1);
}

/* A process that stood still knows by its clock that it may not write, before its Lease's thread says so. */
static bool still_leads(void *arg)
{
	struct df_operator *op = arg;

	return df_kube_lease_held(op->lease);
}

/* <host>_<uuid> */
static void identity_of(char *ret, size_t size)
{
	unsigned char b[16];
	char host[64] = "operator";

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		memset(b, (int)getpid(), sizeof(b));
	gethostname(host, sizeof(host) - 1);
	snprintf(ret, size, "%s_%02x%02x%02x%02x-%02x%02x-4%01x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", host, b[0],
		 b[1], b[2], b[3], b[4], b[5], b[6] & 15, b[7], (b[8] & 0x3f) | 0x80, b[9], b[10], b[11], b[12], b[13],
		 b[14], b[15]);
}

/* Until the API server answers: it may start later than we do. */
static int await_server(struct df_operator *op, struct df_context *stop, struct df_error *err)
{
	static const struct df_retry_policy policy = {
		.first_ns = 500 * DF_NS_PER_MS, .cap_ns = 5 * DF_NS_PER_S, .factor = 2, .jitter = 0.2
	};
	const struct df_kube_ref ref = { &df_kube_leases, op->namespace, LEASE_NAME, NULL };
	struct df_kube_client *client;
	struct df_retry retry;
	int code = df_kube_client_new(&op->client, &client, err);

	if (code < 0)
		return code;
	df_retry_init(&retry, &policy, (uint64_t)df_clock_monotonic() | 1);
	do {
		df_cleanup(df_arena_done) struct df_arena arena = { 0 };
		struct df_value *lease;

		code = df_kube_get(client, stop, &ref, &arena, &lease, err);
		if (!df_code_retryable(code))
			break;
		df_log_error(NULL, DF_LOG_WARN, err, "waiting for the API server at %s", op->config.server);
		code = df_context_sleep(stop, df_retry_next(&retry));
	} while (code == 0);
	df_kube_client_free(client);
	op->answered = code == 0;
	return code < 0 && !df_context_canceled(stop) ? df_error_prefix(err, "%s", op->config.server) : code;
}

/* The image of the pod that this is; of a program that is in none: this version's. */
static int find_own_image(struct df_operator *op, struct df_operator_settings *s, struct df_context *stop,
			  struct df_error *err)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	char host[HOST_NAME_MAX + 1] = "";
	const struct df_kube_ref ref = { &df_kube_pods, op->namespace, host, NULL };
	struct df_kube_client *client;
	struct df_value *pod = NULL;
	struct df_str image;
	int code;

	if (s->processor_image)
		return 0;
	code = df_kube_client_new(&op->client, &client, err);
	if (code < 0)
		return code;
	gethostname(host, sizeof(host) - 1); /* of a pod: its name */
	(void)!df_kube_get(client, stop, &ref, &arena, &pod, NULL);
	df_kube_client_free(client);
	const struct df_value *containers = df_kube_at(pod, "spec", "containers", NULL);

	image = df_kube_text(containers && containers->kind == DF_ARRAY ? containers->first : NULL, &arena, "image",
			     NULL);
	s->processor_image = df_str_dup(image.len ? image : DF_STR("dataflow:" DF_VERSION));
	if (!s->processor_image)
		return df_error_no_memory(err);
	df_info(NULL, "processors run %s", s->processor_image);
	return 0;
}

static int take_lease(struct df_operator *op, struct df_context *stop, struct df_error *err)
{
	const struct df_operator_settings *s = op->settings;
	char identity[128];

	identity_of(identity, sizeof(identity));
	df_info(NULL, "waiting to lead: Lease %s/" LEASE_NAME " as %s", op->namespace, identity);
	op->identity = strdup(identity);
	if (!op->identity)
		return df_error_no_memory(err);
	return df_kube_lease_acquire(&(struct df_kube_lease_options){ .client = op->client,
								      .namespace = op->namespace,
								      .name = LEASE_NAME,
								      .identity = op->identity,
								      .duration_ns = s->lease_duration_ns,
								      .deadline_ns = s->lease_deadline_ns,
								      .retry_ns = s->lease_retry_ns,
								      .create = true,
								      .on_lost = lost,
								      .arg = op },
				     stop, &op->lease, err);
}

/* Counts of a resource have changed: its status may. */
static void counted(void *arg, enum df_manifest_kind kind, const char *namespace, const char *name)
{
	df_operator_add(arg, kind, namespace, name);
}

static int start_leading(struct df_operator *op, struct df_context *stop, struct df_error *err)
{
	int code = df_recorder_start(&(struct df_recorder_options){ op->client, op->identity }, &op->events, err);

	if (code == 0)
		code = df_counts_start(op->settings, &op->counts, err);
	if (code < 0)
		return code;
	df_counts_on_change(op->counts, counted, op);
	code = df_operator_watch(op, stop, err);
	malloc_trim(0); /* of the lists little stays */
	return code;
}

/* Works until `stop`; then what is under way may end. */
static int work(struct df_operator *op, struct df_context *stop, struct df_error *err)
{
	pthread_t *workers = calloc(op->settings->workers, sizeof(*workers));
	unsigned started = 0;

	if (!workers)
		return df_error_no_memory(err);
	while (started < op->settings->workers && pthread_create(&workers[started], NULL, df_operator_worker, op) == 0)
		started++;
	if (started > 0)
		(void)!df_context_sleep(stop, INT64_MAX);
	df_context_cancel(op->take);
	df_context_deadline(op->work, df_clock_monotonic() + FINISH_NS);
	for (unsigned i = 0; i < started; i++)
		pthread_join(workers[i], NULL);
	free(workers);
	return started > 0 ? 0 : df_error_set(err, DF_ERR_NO_MEMORY, "no thread for a worker");
}

static int lead(struct df_operator *op, struct df_context *stop, struct df_error *err)
{
	int code;

	op->client.may_write = still_leads;
	op->client.arg = op;
	code = start_leading(op, stop, err);
	if (code == 0) {
		op->leads = true;
		df_operator_metrics_leader(op->metrics, true);
		df_info(NULL, "leading");
		code = work(op, stop, err);
		op->leads = false;
	}
	df_operator_unwatch(op);
	df_counts_cancel(op->counts); /* a scraper may still be answered from it */
	df_recorder_stop(op->events);
	return code;
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static int open_operator(struct df_operator *op, struct df_error *err)
{
	int code = df_kube_config_load(op->settings->kubeconfig, &op->config, err);

	if (code < 0)
		return code;
	op->namespace = op->settings->namespace ? op->settings->namespace : op->config.namespace;
	op->limiter = df_kube_limiter_new(REQUESTS_RATE, REQUESTS_BURST);
	op->client = (struct df_kube_client_options){ .config = &op->config,
						      .limiter = op->limiter,
						      .field_manager = DF_FIELD_MANAGER };
	op->queue = df_kube_queue_new(RETRY_FIRST_NS, RETRY_CAP_NS);
	op->verified = df_verified_new();
	op->metrics = df_operator_metrics_new();
	op->take = df_context_new(NULL);
	op->work = df_context_new(NULL);
	if (!op->limiter || !op->queue || !op->verified || !op->metrics || !op->take || !op->work)
		return df_error_no_memory(err);
	if (!op->settings->webhook_cert_dir && !op->settings->webhook_secret)
		return 0;
	return df_webhook_start(op->settings, &op->client, &op->webhook, err);
}

static void close_operator(struct df_operator *op)
{
	df_webhook_stop(op->webhook);
	df_counts_stop(op->counts);
	df_kube_lease_release(op->lease);
	df_kube_queue_free(op->queue);
	df_verified_free(op->verified);
	df_operator_metrics_free(op->metrics);
	df_context_free(op->take);
	df_context_free(op->work);
	df_kube_limiter_free(op->limiter);
	df_kube_config_done(&op->config);
	free(op->identity);
}

int df_operator_run(struct df_operator_settings *settings, struct df_context *stop, struct df_error *err)
{
	struct df_operator op = { .settings = settings };
	struct servers servers = { 0 };
	int code;

	/* Threads that mostly wait need no heaps of their own: with 500 flows that was a third of the memory. */
	mallopt(M_ARENA_MAX, 1);
	code = open_operator(&op, err);
	if (code == 0)
		code = serve(&op, &servers, err);
	if (code == 0)
		code = await_server(&op, stop, err);
	if (code == 0)
		code = find_own_image(&op, settings, stop, err);
	if (code == 0)
		code = take_lease(&op, stop, err);
	if (code == 0)
		code = lead(&op, stop, err);
	df_http_server_stop(servers.metrics);
	df_http_server_stop(servers.health);
	close_operator(&op);
	return df_context_canceled(stop) ? 0 : code;
}
