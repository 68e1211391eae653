#include "cmd/progress.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/common.h"

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
	if (s->waiting)
		df_buf_printf(buf, ",\"waiting\":\"%s\"", s->waiting);
}

static void text_line(const struct df_progress *progress, const struct df_processor_stats *s, double rate,
		      struct df_buf *buf)
{
	char a[32], b[32], c[32], d[32], e[32];

	df_buf_printf(buf, "%s: read %s, filtered %s, written %s, failed %s, %s/s, %s", progress->name,
		      df_human_count(s->read, a), df_human_count(s->filtered, b), df_human_count(s->written, c),
		      df_human_count(s->failed + s->error_sinked, d), df_human_count((uint64_t)rate, e),
		      phase_name(s->phase));
	if (s->waiting)
		df_buf_printf(buf, " (%s)", s->waiting);
}

static void report(struct df_progress *progress)
{
	struct df_processor_stats s;
	struct df_buf buf = { 0 };
	int64_t now = df_clock_monotonic();
	double seconds = (double)(now - progress->last) / (double)DF_NS_PER_S, rate;

	df_processor_get_stats(progress->p, &s);
	rate = seconds > 0 ? (double)(ended(&s) - progress->last_done) / seconds : 0;
	progress->last = now;
	progress->last_done = ended(&s);
	if (progress->mode == DF_PROGRESS_JSON) {
		df_buf_add_c(&buf, "{\"name\":");
		df_json_write_string(df_str_c(progress->name), &buf);
		df_buf_add_char(&buf, ',');
		json_fields(&s, rate, &buf);
		df_buf_add_c(&buf, "}\n");
	} else {
		bool live = progress->mode == DF_PROGRESS_LIVE;

		df_buf_add_c(&buf, live ? "\r\033[K" : "");
		text_line(progress, &s, rate, &buf);
		df_buf_add_c(&buf, live ? "" : "\n");
	}
	fputs(df_buf_c(&buf), stderr);
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

static void clear_line(void *arg)
{
	(void)arg;
	fputs("\r\033[K", stderr);
}

struct df_progress *df_progress_start(const struct df_processor *p, const char *name, enum df_progress_mode mode)
{
	struct df_progress *progress = mode == DF_PROGRESS_NONE ? NULL : calloc(1, sizeof(*progress));

	if (!progress)
		return NULL;
	*progress = (struct df_progress){ .p = p, .name = name, .mode = mode, .last = df_clock_monotonic() };
	progress->stop = df_context_new(NULL);
	if (!progress->stop || pthread_create(&progress->thread, NULL, progress_main, progress)) {
		df_context_free(progress->stop);
		free(progress);
		return NULL;
	}
	if (mode == DF_PROGRESS_LIVE)
		df_log_set_hook(clear_line, NULL, NULL);
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
		clear_line(NULL);
	}
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
