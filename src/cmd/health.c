#include "cmd/health.h"

#include <stdlib.h>

#include "base/log.h"

#define TIMEOUT_VARIABLE "PROCESSOR_PROGRESS_TIMEOUT_SECONDS"
#define TIMEOUT_DEFAULT_SECONDS 3600
/* More is for ever, and less than what nanoseconds can hold. */
#define TIMEOUT_MAX_SECONDS (INT64_C(10) * 365 * 24 * 3600)

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

static void processor_metrics(void *arg, struct df_buf *buf)
{
	df_processor_metrics(arg, buf);
}

static bool processor_ready(void *arg, struct df_buf *why)
{
	if (!df_processor_ready(arg))
		df_buf_add_c(why, "not ready: source and sinks are not connected");
	return why->len == 0;
}

static bool processor_alive(void *arg, int64_t timeout_ns, struct df_buf *why)
{
	if (!df_processor_alive(arg, timeout_ns))
		df_buf_add_c(why, "stale: no pipeline progress");
	return why->len == 0;
}

struct df_health_source df_health_of(const struct df_processor *processor)
{
	return (struct df_health_source){ processor_metrics, processor_ready, processor_alive, NULL,
					  (void *)processor };
}

static void answer(struct df_http_answer *answer, bool well)
{
	answer->status = well ? 200 : 503;
	if (well)
		df_buf_add_c(&answer->body, "ok");
}

static void handle(void *arg, struct df_str path, struct df_http_answer *a)
{
	const struct df_health *h = arg;
	const struct df_health_source *s = &h->source;

	if (df_str_equal_c(path, "/metrics")) {
		a->status = 200;
		a->content_type = METRICS_TYPE;
		s->metrics(s->arg, &a->body);
	} else if (df_str_equal_c(path, "/readyz")) {
		answer(a, s->ready(s->arg, &a->body));
	} else if (df_str_equal_c(path, "/livez")) {
		answer(a, s->alive(s->arg, h->progress_timeout_ns, &a->body));
	} else if (df_str_equal_c(path, "/healthz")) {
		answer(a, true);
	} else if (s->status && df_str_equal_c(path, "/status")) {
		a->status = 200;
		a->content_type = "application/json";
		s->status(s->arg, &a->body);
	}
}

int64_t df_health_progress_timeout(void)
{
	const char *text = getenv(TIMEOUT_VARIABLE);
	int64_t seconds = TIMEOUT_DEFAULT_SECONDS;

	if (text && (!df_str_to_int64(df_str_c(text), &seconds) || seconds < 0)) {
		df_warn(NULL, TIMEOUT_VARIABLE " is `%s`, not a number of seconds from 0: %d is used", text,
			TIMEOUT_DEFAULT_SECONDS);
		seconds = TIMEOUT_DEFAULT_SECONDS;
	}
	return (seconds < TIMEOUT_MAX_SECONDS ? seconds : TIMEOUT_MAX_SECONDS) * DF_NS_PER_S;
}

int df_health_start(struct df_health *h, struct df_health_source source, const char *address, const char *host,
		    struct df_error *err)
{
	int r;

	h->source = source;
	h->progress_timeout_ns = df_health_progress_timeout();
	r = df_http_server_start(&(struct df_http_options){ address, host, handle, h }, &h->server, err);
	if (r < 0)
		return df_error_prefix(err, "--metrics");
	df_info(NULL, "metrics and health are at http://%s/metrics", df_http_server_address(h->server));
	return 0;
}

void df_health_stop(struct df_health *h)
{
	df_http_server_stop(h->server);
	h->server = NULL;
}
