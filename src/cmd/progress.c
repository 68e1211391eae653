#include "cmd/progress.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/common.h"
#include "processor/view.h"

#define LIVE_INTERVAL (200 * DF_NS_PER_MS)
#define PLAIN_INTERVAL (5 * DF_NS_PER_S)
#define JSON_INTERVAL DF_NS_PER_S

struct df_progress {
	const struct df_processor *p;
	const char *name;
	enum df_progress_mode mode;
	struct df_context *stop;
	pthread_t thread;
	int64_t started, last;
	uint64_t last_done;
	pthread_mutex_t screen; /* a log line or the view: guards `lines` and what is written meanwhile */
	size_t lines;		/* of the live view that stand on the terminal */
};

enum df_progress_mode df_progress_mode(const char *text)
{
	if (!text || strcmp(text, "auto") == 0)
		return isatty(STDERR_FILENO) ? DF_PROGRESS_LIVE : DF_PROGRESS_NONE;
	if (strcmp(text, "plain") == 0)
		return DF_PROGRESS_PLAIN;
	return strcmp(text, "json") == 0 ? DF_PROGRESS_JSON : DF_PROGRESS_NONE;
}

/* Messages whose end is known: what the rate counts. */
static uint64_t ended(const struct df_processor_stats *s)
{
	return s->written + s->filtered + s->error_sinked + s->dropped;
}

static const char *phase_name(enum df_phase phase)
{
	static const char *const names[] = { "connecting", "running", "stopping", "done" };

	return names[phase];
}

/* "waiting for sink postgresql: connection refused, attempt 5, 12 s" */
static void wait_text(const struct df_view_wait *w, struct df_buf *buf)
{
	bool connecting = strcmp(w->doing, "connect") == 0;

	df_buf_printf(buf, "waiting for %s %s%s%s: %s", w->connector, w->type, connecting ? "" : ", ",
		      connecting ? "" : w->doing, w->reason);
	if (w->attempts)
		df_buf_printf(buf, ", attempt %u", w->attempts);
	df_buf_printf(buf, ", %lld s", (long long)(w->for_ns / DF_NS_PER_S));
}

static void json_fields(const struct df_processor_stats *s, double rate, struct df_buf *buf)
{
	df_buf_printf(buf,
		      "\"phase\":\"%s\",\"read\":%llu,\"read_bytes\":%llu,\"made\":%llu,\"filtered\":%llu,"
		      "\"written\":%llu,\"unchanged\":%llu,\"error_sinked\":%llu,\"dropped\":%llu,\"failed\":%llu,"
		      "\"retries\":%llu,\"reconnects\":%llu,\"rate\":%.0f,\"resident_bytes\":%lld",
		      phase_name(s->phase), (unsigned long long)s->read, (unsigned long long)s->read_bytes,
		      (unsigned long long)s->made, (unsigned long long)s->filtered, (unsigned long long)s->written,
		      (unsigned long long)s->unchanged, (unsigned long long)s->error_sinked,
		      (unsigned long long)s->dropped, (unsigned long long)s->failed, (unsigned long long)s->retries,
		      (unsigned long long)s->reconnects, rate, (long long)df_memory_resident());
}

/* Of a running pipeline: what waits, and for what. */
static void json_view(const struct df_view *v, struct df_buf *buf)
{
	df_buf_printf(buf, ",\"queued\":{\"routing\":%llu,\"output\":%llu},\"connector_errors\":%llu",
		      (unsigned long long)v->routing, (unsigned long long)v->output,
		      (unsigned long long)v->connector_errors);
	if (v->lag >= 0)
		df_buf_printf(buf, ",\"lag\":%lld", (long long)v->lag);
	df_buf_add_c(buf, ",\"waiting\":[");
	for (size_t i = 0; i < v->wait_count; i++) {
		const struct df_view_wait *w = &v->waits[i];

		df_buf_printf(buf,
			      "%s{\"connector\":\"%s\",\"type\":\"%s\",\"operation\":\"%s\",\"reason\":", i ? "," : "",
			      w->connector, w->type, w->doing);
		df_json_write_string(df_str_c(w->reason), buf);
		df_buf_printf(buf, ",\"attempts\":%u,\"seconds\":%.1f}", w->attempts,
			      (double)w->for_ns / (double)DF_NS_PER_S);
	}
	df_buf_add_char(buf, ']');
}

/* The counts that always matter, then those that are not 0. */
static void text_line(const struct df_progress *progress, const struct df_processor_stats *s, const struct df_view *v,
		      double rate, struct df_buf *buf)
{
	const struct {
		const char *name;
		uint64_t n;
	} more[] = { { "queued", v->routing + v->output },
		     { "lag", v->lag > 0 ? (uint64_t)v->lag : 0 },
		     { "retries", s->retries },
		     { "errors", v->connector_errors },
		     { "dropped", s->dropped } };
	char a[32], b[32], c[32], d[32], e[32];

	df_buf_printf(buf, "%s: read %s, filtered %s, written %s, failed %s, %s/s", progress->name,
		      df_human_count(s->read, a), df_human_count(s->filtered, b), df_human_count(s->written, c),
		      df_human_count(s->failed + s->error_sinked, d), df_human_count((uint64_t)rate, e));
	for (size_t i = 0; i < DF_ARRAY_SIZE(more); i++)
		if (more[i].n > 0)
			df_buf_printf(buf, ", %s %s", more[i].name, df_human_count(more[i].n, a));
	df_buf_printf(buf, ", %s", phase_name(s->phase));
}

/* ---- on a terminal --------------------------------------------------------------------------------------- */

/* The screen is held. Takes away what stands there. */
static void clear_view(struct df_progress *progress)
{
	for (; progress->lines > 1; progress->lines--)
		fputs("\r\033[K\033[A", stderr);
	fputs("\r\033[K", stderr);
	progress->lines = 0;
}

/* A line that is wider than the terminal would take two, and could not be taken away: it is cut. */
static void add_cut(struct df_buf *buf, struct df_str line)
{
	struct winsize size = { 0 };
	size_t width, at = 0;

	ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
	width = size.ws_col > 1 ? size.ws_col - 1U : SIZE_MAX;
	while (at < line.len && width > 0) {
		at++;
		while (at < line.len && ((unsigned char)line.ptr[at] & 0xc0) == 0x80)
			at++;
		width--;
	}
	df_buf_add(buf, line.ptr, at);
}

static void show(struct df_progress *progress, struct df_str line, const struct df_view *v)
{
	struct df_buf frame = { 0 }, wait = { 0 };

	add_cut(&frame, line);
	for (size_t i = 0; i < v->wait_count; i++) {
		wait.len = 0;
		df_buf_add_c(&wait, "  ");
		wait_text(&v->waits[i], &wait);
		df_buf_add_char(&frame, '\n');
		add_cut(&frame, df_buf_str(&wait));
	}
	pthread_mutex_lock(&progress->screen);
	clear_view(progress);
	fputs(df_buf_c(&frame), stderr);
	progress->lines = 1 + v->wait_count;
	pthread_mutex_unlock(&progress->screen);
	df_buf_done(&frame);
	df_buf_done(&wait);
}

/* Around each line of the log. */
static void before_log(void *arg)
{
	struct df_progress *progress = arg;

	pthread_mutex_lock(&progress->screen);
	clear_view(progress);
}

static void after_log(void *arg)
{
	struct df_progress *progress = arg;

	pthread_mutex_unlock(&progress->screen);
}

/* ---- reporting ------------------------------------------------------------------------------------------- */

static void report(struct df_progress *progress)
{
	struct df_processor_stats s;
	struct df_view v;
	struct df_buf buf = { 0 };
	int64_t now = df_clock_monotonic();
	double seconds = (double)(now - progress->last) / (double)DF_NS_PER_S, rate;

	df_processor_get_stats(progress->p, &s);
	df_processor_view(progress->p, &v);
	rate = seconds > 0 ? (double)(ended(&s) - progress->last_done) / seconds : 0;
	progress->last = now;
	progress->last_done = ended(&s);
	if (progress->mode == DF_PROGRESS_JSON) {
		df_buf_add_c(&buf, "{\"name\":");
		df_json_write_string(df_str_c(progress->name), &buf);
		df_buf_add_char(&buf, ',');
		json_fields(&s, rate, &buf);
		json_view(&v, &buf);
		df_buf_add_c(&buf, "}\n");
		fputs(df_buf_c(&buf), stderr);
	} else {
		text_line(progress, &s, &v, rate, &buf);
		if (progress->mode == DF_PROGRESS_LIVE)
			show(progress, df_buf_str(&buf), &v);
		for (size_t i = 0; progress->mode == DF_PROGRESS_PLAIN && i < v.wait_count; i++) {
			df_buf_add_c(&buf, i ? "; " : " (");
			wait_text(&v.waits[i], &buf);
			df_buf_add_c(&buf, i + 1 == v.wait_count ? ")" : "");
		}
		if (progress->mode == DF_PROGRESS_PLAIN)
			fprintf(stderr, "%s\n", df_buf_c(&buf));
	}
	df_buf_done(&buf);
}

static void *progress_main(void *arg)
{
	struct df_progress *progress = arg;
	int64_t interval = progress->mode == DF_PROGRESS_LIVE	? LIVE_INTERVAL
			   : progress->mode == DF_PROGRESS_JSON ? JSON_INTERVAL
								: PLAIN_INTERVAL;

	while (df_context_sleep(progress->stop, interval) == 0)
		report(progress);
	report(progress); /* where it stood at the end */
	return NULL;
}

struct df_progress *df_progress_start(const struct df_processor *p, const char *name, enum df_progress_mode mode)
{
	struct df_progress *progress = mode == DF_PROGRESS_NONE ? NULL : calloc(1, sizeof(*progress));

	if (!progress)
		return NULL;
	*progress = (struct df_progress){ .p = p, .name = name, .mode = mode, .last = df_clock_monotonic() };
	pthread_mutex_init(&progress->screen, NULL);
	progress->stop = df_context_new(NULL);
	if (!progress->stop || pthread_create(&progress->thread, NULL, progress_main, progress)) {
		df_context_free(progress->stop);
		free(progress);
		return NULL;
	}
	if (mode == DF_PROGRESS_LIVE)
		df_log_set_hook(before_log, after_log, progress);
	return progress;
}

void df_progress_stop(struct df_progress *progress)
{
	if (!progress)
		return;
	df_context_cancel(progress->stop);
	pthread_join(progress->thread, NULL);
	if (progress->mode == DF_PROGRESS_LIVE) {
		df_log_set_hook(NULL, NULL, NULL);
		clear_view(progress);
	}
	pthread_mutex_destroy(&progress->screen);
	df_context_free(progress->stop);
	free(progress);
}

/* ---- summary --------------------------------------------------------------------------------------------- */

static void summary_text(const struct df_processor_stats *s, double seconds, struct df_buf *buf)
{
	char a[32], b[32];

	df_buf_printf(buf, "  read         %s", df_human_count(s->read, a));
	if (s->read_bytes)
		df_buf_printf(buf, " (%s)", df_human_bytes(s->read_bytes, b));
	if (s->made)
		df_buf_printf(buf, ", made into %s", df_human_count(s->read + s->made, a));
	df_buf_printf(buf, "\n  filtered     %s\n", df_human_count(s->filtered, a));
	df_buf_printf(buf, "  written      %s", df_human_count(s->written, a));
	if (s->unchanged)
		df_buf_printf(buf, " (%s stood there already, unchanged)", df_human_count(s->unchanged, b));
	df_buf_printf(buf, "\n  failed       %s", df_human_count(s->failed + s->error_sinked, a));
	if (s->error_sinked)
		df_buf_printf(buf, " (%s stored in the error sink)", df_human_count(s->error_sinked, b));
	df_buf_add_char(buf, '\n');
	if (s->dropped)
		df_buf_printf(buf, "  dropped      %s\n", df_human_count(s->dropped, a));
	if (s->retries || s->reconnects)
		df_buf_printf(buf, "  retries      %s, reconnects %s\n", df_human_count(s->retries, a),
			      df_human_count(s->reconnects, b));
	df_buf_printf(buf, "  rate         %s messages/s\n",
		      df_human_count(seconds > 0 ? (uint64_t)((double)(s->read + s->made) / seconds) : 0, a));
	df_buf_printf(buf, "  peak memory  %s\n", df_human_bytes((uint64_t)df_memory_peak(), a));
}

void df_progress_summary(const struct df_processor *p, const char *name, enum df_progress_mode mode, double seconds,
			 bool failed)
{
	struct df_processor_stats s;
	struct df_buf buf = { 0 };

	df_processor_get_stats(p, &s);
	if (mode == DF_PROGRESS_JSON) {
		df_buf_add_c(&buf, "{\"summary\":true,\"name\":");
		df_json_write_string(df_str_c(name), &buf);
		df_buf_printf(&buf, ",\"failed_run\":%s,\"seconds\":%.3f,\"peak_bytes\":%lld,",
			      failed ? "true" : "false", seconds, (long long)df_memory_peak());
		json_fields(&s, seconds > 0 ? (double)(s.read + s.made) / seconds : 0, &buf);
		df_buf_add_c(&buf, "}\n");
	} else {
		df_buf_printf(&buf, "%s: %s %.2f s\n", name, failed ? "failed after" : "done in", seconds);
		summary_text(&s, seconds, &buf);
	}
	fputs(df_buf_c(&buf), stderr);
	df_buf_done(&buf);
}
