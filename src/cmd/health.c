#include "cmd/health.h"

#include <stdlib.h>

#include "base/log.h"

#define TIMEOUT_VARIABLE "PROCESSOR_PROGRESS_TIMEOUT_SECONDS"
#define TIMEOUT_DEFAULT_SECONDS 3600
/* More is for ever, and less than what nanoseconds can hold. */
#define TIMEOUT_MAX_SECONDS (INT64_C(10) * 365 * 24 * 3600)

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

static void answer_text(struct df_http_answer *answer, bool well, const char *ill)
{
	answer->status = well ? 200 : 503;
	df_buf_add_c(&answer->body, well ? "ok" : ill);
}

static void handle(void *arg, struct df_str path, struct df_http_answer *answer)
{
	const struct df_health *h = arg;

	if (df_str_equal_c(path, "/metrics")) {
		answer->status = 200;
		answer->content_type = METRICS_TYPE;
		df_processor_metrics(h->processor, &answer->body);
	} else if (df_str_equal_c(path, "/readyz")) {
		answer_text(answer, df_processor_ready(h->processor), "not ready: source and sinks are not connected");
	} else if (df_str_equal_c(path, "/livez")) {
		answer_text(answer, df_processor_alive(h->processor, h->progress_timeout_ns),
			    "stale: no pipeline progress");
	} else if (df_str_equal_c(path, "/healthz")) {
		answer_text(answer, true, "");
	}
}

static int64_t progress_timeout(void)
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

int df_health_start(struct df_health *h, const struct df_processor *processor, const char *address, const char *host,
		    struct df_error *err)
{
	int r;

	h->processor = processor;
	h->progress_timeout_ns = progress_timeout();
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
