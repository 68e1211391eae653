#include "cmd/health.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define TIMEOUT_VARIABLE "PROCESSOR_PROGRESS_TIMEOUT_SECONDS"
#define TIMEOUT_DEFAULT_SECONDS 3600
/* More is for ever, and less than what nanoseconds can hold. */
#define TIMEOUT_MAX_SECONDS (INT64_C(10) * 365 * 24 * 3600)

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define OPEN_METRICS "application/openmetrics-text"
#define OPEN_METRICS_TYPE OPEN_METRICS "; version=1.0.0; charset=utf-8"

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

#define HEAD_LEN (sizeof("# HELP ") - 1) /* and of "# TYPE " */
#define TOTAL_LEN (sizeof("_total") - 1)

/* Prometheus' text as OpenMetrics 1.0: a counter's family is called without `_total`, and there is an end. */
static void add_open_metrics(struct df_str text, struct df_buf *out)
{
	while (text.len > 0) {
		const char *end = memchr(text.ptr, '\n', text.len);
		struct df_str line = df_str(text.ptr, end ? (size_t)(end - text.ptr) + 1 : text.len);
		const char *name_end = line.ptr[0] == '#' && line.len > HEAD_LEN
					       ? memchr(line.ptr + HEAD_LEN, ' ', line.len - HEAD_LEN)
					       : NULL;
		size_t head = name_end ? (size_t)(name_end - line.ptr) : 0;

		text = df_str(line.ptr + line.len, text.len - line.len);
		if (head > HEAD_LEN + TOTAL_LEN && memcmp(name_end - TOTAL_LEN, "_total", TOTAL_LEN) == 0) {
			df_buf_add(out, line.ptr, head - TOTAL_LEN);
			line = df_str(name_end, line.len - head);
		}
		df_buf_add(out, line.ptr, line.len);
	}
	df_buf_add_c(out, "# EOF\n");
}

static void answer_metrics(const struct df_health_source *s, struct df_str accept, struct df_http_answer *a)
{
	struct df_buf text = { 0 };

	a->status = 200;
	if (df_http_accepts(accept, OPEN_METRICS) <= df_http_accepts(accept, "text/plain")) {
		a->content_type = METRICS_TYPE;
		s->metrics(s->arg, &a->body);
		return;
	}
	a->content_type = OPEN_METRICS_TYPE;
	s->metrics(s->arg, &text);
	add_open_metrics(df_buf_str(&text), &a->body);
	a->body.failed |= text.failed;
	df_buf_done(&text);
}

static void handle(void *arg, const struct df_http_incoming *request, struct df_http_answer *a)
{
	const struct df_health *h = arg;
	const struct df_health_source *s = &h->source;
	struct df_str path = request->path;

	if (df_str_equal_c(path, "/metrics")) {
		answer_metrics(s, request->accept, a);
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
