/* Flows: which of them run, and what happens when a run ends. */
#include <stdlib.h>
#include <string.h>

#include "cmd/trigger.h"
#include "cmd/up.h"

#define RETRY_NS (10 * DF_NS_PER_S)

/* ---- manifests ------------------------------------------------------------------------------------------- */

static int prepare_cron(const struct up *up, struct up_manifest *m, struct df_diags *diags)
{
	const struct df_dataflowcron_spec *spec = &m->m->spec;
	struct df_place place = { m->m->file, m->m->line, "spec", NULL };
	struct df_logger logger = up_logger(m);
	const char *zone = spec->time_zone ? spec->time_zone : up->options.time_zone;
	struct df_error err = DF_ERROR_INIT;

	if (df_cron_parse(df_str_c(spec->schedule), &m->cron, &err) < 0 ||
	    df_zone_load(zone ? df_str_c(zone) : DF_STR("UTC"), &m->zone, &err) < 0) {
		df_diag_error(diags, &place, NULL, "%s", err.text);
		return err.code;
	}
	if (!up->options.allow_triggers && spec->triggers.count)
		df_warn(&logger, "its %zu triggers will not be run: --allow-triggers would", spec->triggers.count);
	for (size_t i = 0; up->options.allow_triggers && i < spec->triggers.count; i++) {
		char path[40];

		snprintf(path, sizeof(path), "spec.triggers[%zu]", i);
		place.path = path;
		df_trigger_check((const struct df_trigger *)spec->triggers.items + i, &place, diags);
	}
	return diags->errors ? DF_ERR_CONFIG : 0;
}

struct up_manifest *up_manifest_new(const struct up *up, struct df_manifest *m, struct df_diags *diags)
{
	struct up_manifest *own = calloc(1, sizeof(*own));

	if (own)
		own->one.items = calloc(1, sizeof(*own->one.items));
	if (!own || !own->one.items) {
		free(own);
		diags->failed = true;
		return NULL;
	}
	own->one.count = 1;
	own->m = own->one.items;
	*own->m = *m;
	*m = (struct df_manifest){ .kind = m->kind };
	own->users = 1;
	if (own->m->kind == DF_KIND_DATAFLOWCRON && prepare_cron(up, own, diags) < 0) {
		up_manifest_drop(own);
		return NULL;
	}
	return own;
}

struct up_manifest *up_manifest_use(struct up_manifest *m)
{
	m->users++;
	return m;
}

void up_manifest_drop(struct up_manifest *m)
{
	if (!m || --m->users > 0)
		return;
	df_zone_free(m->zone);
	df_manifests_done(&m->one);
	free(m);
}

/* ---- the list -------------------------------------------------------------------------------------------- */

static bool same_name(const struct up_manifest *a, const struct up_manifest *b)
{
	return strcmp(a->m->name, b->m->name) == 0 && strcmp(a->m->namespace, b->m->namespace) == 0;
}

struct up_flow *up_flow_find(const struct up *up, const struct up_manifest *m)
{
	for (struct up_flow *f = up->flows; f; f = f->next)
		if (!f->removed && same_name(f->manifest, m))
			return f;
	return NULL;
}

int up_flow_add(struct up *up, const char *file, struct up_manifest *m, struct df_error *err)
{
	struct up_flow *f = calloc(1, sizeof(*f)), **end = &up->flows;

	if (f)
		f->file = df_str_dup(df_str_c(file));
	if (!f || !f->file) {
		free(f);
		up_manifest_drop(m);
		return df_error_no_memory(err);
	}
	f->up = up;
	f->manifest = m;
	f->keep = true;
	DF_LOCK_SCOPE(&up->lock);
	while (*end)
		end = &(*end)->next;
	*end = f;
	return 0;
}

static void set_done(struct up_flow *f, bool done)
{
	DF_LOCK_SCOPE(&f->up->lock);
	f->done = done;
}

void up_flow_replace(struct up_flow *f, struct up_manifest *m)
{
	pthread_mutex_lock(&f->up->lock);
	struct up_manifest *old = f->manifest;
	f->manifest = m;
	pthread_mutex_unlock(&f->up->lock);
	up_manifest_drop(old);
	set_done(f, false);
	for (struct up_run *run = up_is_cron(f) ? NULL : f->runs; run; run = run->next)
		up_run_stop(run);
}

static void free_list(struct up_run *runs)
{
	while (runs) {
		struct up_run *run = runs;

		runs = run->next;
		up_run_free(run);
	}
}

static void flow_free(struct up_flow *f)
{
	up_cron_close(f);
	if (f->shown)
		up_run_free(f->shown);
	free_list(f->retired);
	up_manifest_drop(f->manifest);
	free(f->file);
	free(f);
}

/* ---- runs ------------------------------------------------------------------------------------------------ */

static void tell_end(struct up_flow *f, const struct up_run *run)
{
	struct df_logger logger = up_logger(run->manifest);
	bool stopped = run->stopped_ns || df_context_canceled(f->up->stop);

	if (run->err.code == DF_ERR_CANCELED && stopped) {
		df_warn(&logger, "stopped at once: %s", run->err.text);
		f->up->failed_stop = true;
	} else if (run->err.code) {
		df_log_error(&logger, DF_LOG_ERROR, &run->err, "the run failed, the position is kept");
		f->up->failed_stop = f->up->failed_stop || df_context_canceled(f->up->stop);
	} else if (stopped) {
		df_info(&logger, "stopped, the position is saved");
	} else {
		df_info(&logger, up_is_cron(f) ? "the run is complete" : "the source is exhausted, the flow is done");
	}
}

/* Out of the list. An ended run goes, unless its processor still stands for the flow. */
static void release(struct up_flow *f, struct up_run **at)
{
	struct up_run *run = *at, *retired;

	pthread_mutex_lock(&f->up->lock);
	*at = run->next;
	run->reaped = true;
	retired = f->retired;
	f->retired = NULL;
	if (f->shown == run)
		run = NULL;
	pthread_mutex_unlock(&f->up->lock);
	if (run)
		up_run_free(run);
	free_list(retired);
}

static void reap(struct up_flow *f)
{
	for (struct up_run **at = &f->runs; *at;) {
		struct up_run *run = *at;

		if (!up_run_ended(run)) {
			at = &run->next;
			continue;
		}
		pthread_join(run->thread, NULL);
		tell_end(f, run);
		if (up_is_cron(f))
			up_cron_ended(f, run);
		else if (!run->err.code && !run->stopped_ns && run->manifest == f->manifest &&
			 !df_context_canceled(f->up->stop))
			set_done(f, true);
		release(f, at);
	}
}

/* A manifest that says nothing about memory gets as much as any other flow. Once, before its first run. */
static void share_memory(struct up_flow *f)
{
	struct df_raw *limit = &f->manifest->m->spec.flow.memory_limit;
	int64_t total = f->up->options.memory_limit, flows = 0;
	struct df_buf text = { 0 };

	if (!total || f->manifest->started || limit->json)
		return;
	for (const struct up_flow *other = f->up->flows; other; other = other->next)
		flows += !other->removed;
	df_buf_printf(&text, "%lld", (long long)(total / (flows ? flows : 1)));
	limit->len = text.len;
	limit->json = df_buf_take(&text);
}

bool up_flow_start(struct up_flow *f, int64_t scheduled)
{
	struct df_logger logger = up_logger(f->manifest);
	struct df_error err = DF_ERROR_INIT;
	struct up_run *run;

	if (f->retry_ns > df_clock_monotonic()) {
		up_at_monotonic(f->up, f->retry_ns);
		return false;
	}
	share_memory(f);
	f->manifest->started = true;
	run = up_run_start(f, scheduled, &err);
	if (!run) {
		df_log_error(&logger, DF_LOG_ERROR, &err, "cannot start, tried again in 10 s");
		f->retry_ns = df_clock_monotonic() + RETRY_NS;
		up_at_monotonic(f->up, f->retry_ns);
		return false;
	}
	DF_LOCK_SCOPE(&f->up->lock);
	run->next = f->runs;
	f->runs = run;
	return true;
}

static void look_at_maintenance(struct up_flow *f, int64_t now)
{
	struct df_maintenance_state before = f->maintenance, after;
	struct df_logger logger = up_logger(f->manifest);
	struct df_error err = DF_ERROR_INIT;

	if (df_maintenance_at(&f->manifest->m->spec.flow, now, &after, &err) < 0)
		df_log_error(&logger, DF_LOG_WARN, &err, "its maintenance window cannot be honoured");
	pthread_mutex_lock(&f->up->lock);
	f->maintenance = after;
	pthread_mutex_unlock(&f->up->lock);
	if (after.next_change != INT64_MAX)
		up_at_wall(f->up, after.next_change);
	if (after.suspended && !before.suspended)
		df_info(&logger, "suspended manually");
	else if (after.in_window != before.in_window)
		df_info(&logger, after.in_window ? "paused for the scheduled maintenance window"
						 : "the maintenance window is over");
}

static void step_dataflow(struct up_flow *f)
{
	bool paused = f->maintenance.suspended || f->maintenance.in_window;

	if (paused && f->runs)
		up_run_stop(f->runs);
	if (!f->runs && !f->done && !paused)
		up_flow_start(f, 0);
}

/* One of the same name that goes away must be gone first: it has the position. */
static bool has_predecessor(const struct up_flow *f)
{
	for (const struct up_flow *other = f->up->flows; other != f; other = other->next)
		if (other->removed && same_name(other->manifest, f->manifest))
			return true;
	return false;
}

static void step(struct up_flow *f, int64_t now)
{
	reap(f);
	if (f->removed || df_context_canceled(f->up->stop)) {
		for (struct up_run *run = f->runs; run; run = run->next)
			up_run_stop(run);
		return;
	}
	if (has_predecessor(f))
		return;
	look_at_maintenance(f, now);
	if (up_is_cron(f))
		up_cron_step(f, now);
	else
		step_dataflow(f);
}

void up_flows_step(struct up *up)
{
	int64_t now = df_clock_now(NULL) / DF_NS_PER_S;

	for (struct up_flow **at = &up->flows; *at;) {
		struct up_flow *f = *at;

		step(f, now);
		if (!f->removed || f->runs) {
			at = &f->next;
			continue;
		}
		pthread_mutex_lock(&up->lock);
		*at = f->next;
		pthread_mutex_unlock(&up->lock);
		flow_free(f);
		up_wake(up); /* one of the same name may wait for it */
	}
}

bool up_flows_idle(const struct up *up)
{
	for (const struct up_flow *f = up->flows; f; f = f->next)
		if (f->runs)
			return false;
	return true;
}

void up_flows_free(struct up *up)
{
	while (up->flows) {
		struct up_flow *f = up->flows;

		up->flows = f->next;
		flow_free(f);
	}
}
