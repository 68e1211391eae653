/*
 * The schedule of a DataFlowCron, with the semantics of a Kubernetes CronJob: a time that was missed (the process was
 * down, the run before it took too long) is made up for once, the newest one, unless startingDeadlineSeconds has
 * passed. What must survive the process is in <state-dir>/.cron/<namespace>/<name>/checkpoint.json.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "cmd/up.h"

#define SUCCESSFUL_DEFAULT 3
#define FAILED_DEFAULT 1
#define RETRY_NS (10 * DF_NS_PER_S)

static const struct df_dataflowcron_spec *spec_of(const struct up_flow *f)
{
	return &f->manifest->m->spec;
}

/* ---- what is kept ---------------------------------------------------------------------------------------- */

static void add_time(struct df_buf *buf, const char *key, int64_t seconds)
{
	char text[DF_TIME_TEXT];

	df_buf_printf(buf, "\"%s\":\"%s\"", key, df_time_text(seconds, NULL, text));
}

/* Runs that have not ended, newest first: one that is stopped before its end is begun again by the next process. */
static void write_active(const struct up_run *run, bool *any, struct df_buf *buf)
{
	char text[DF_TIME_TEXT];

	if (!run)
		return;
	write_active(run->next, any, buf);
	if (run->replaced || up_run_ended(run))
		return;
	df_buf_printf(buf, "%s\"%s\"", *any ? "," : "", df_time_text(run->scheduled, NULL, text));
	*any = true;
}

static void write_schedule(const struct up_flow *f, struct df_buf *buf)
{
	const struct up_schedule *s = &f->schedule;
	char text[DF_TIME_TEXT];
	bool any = false;

	df_buf_add_char(buf, '{');
	add_time(buf, "lastScheduleTime", s->last);
	df_buf_add_c(buf, ",\"activeScheduleTimes\":[");
	write_active(f->runs, &any, buf);
	for (size_t i = 0; i < s->queued; i++, any = true)
		df_buf_printf(buf, "%s\"%s\"", any ? "," : "", df_time_text(s->queue[i], NULL, text));
	df_buf_add_c(buf, "],\"runs\":[");
	for (size_t i = 0; i < s->run_count; i++) {
		const struct up_history *h = &s->runs[i];

		df_buf_add_c(buf, i ? ",{" : "{");
		add_time(buf, "scheduleTime", h->scheduled);
		df_buf_add_char(buf, ',');
		add_time(buf, "startTime", h->started);
		df_buf_add_char(buf, ',');
		add_time(buf, "completionTime", h->ended);
		df_buf_printf(buf, ",\"result\":\"%s\",\"message\":", h->failed ? "failed" : "succeeded");
		df_json_write_string(df_str_c(h->message ? h->message : ""), buf);
		df_buf_add_char(buf, '}');
	}
	df_buf_add_c(buf, "]}");
}

static void save(struct up_flow *f)
{
	struct df_logger logger = up_logger(f->manifest);
	struct up_schedule *s = &f->schedule;
	struct df_error err = DF_ERROR_INIT;
	struct df_buf buf = { 0 };
	struct df_arena arena;
	struct df_value *value;
	int r;

	if (!s->store)
		return;
	df_arena_init(&arena, NULL);
	write_schedule(f, &buf);
	r = buf.failed ? df_error_no_memory(&err) : df_value_parse_text(df_buf_str(&buf), &arena, &value, &err);
	if (r == 0)
		r = s->store->save(s->store, value, &err);
	if (r < 0)
		df_log_error(&logger, DF_LOG_WARN, &err,
			     "the schedule's state is not saved: after a restart a run may come twice");
	df_buf_done(&buf);
	df_arena_done(&arena);
}

static void add_history(struct up_flow *f, struct up_history h)
{
	struct up_schedule *s = &f->schedule;
	struct up_history *runs = reallocarray(s->runs, s->run_count + 1, sizeof(*runs));

	if (!runs) {
		free(h.message);
		return;
	}
	s->runs = runs;
	runs[s->run_count++] = h;
}

/* The oldest beyond the limits go. */
static void trim_history(struct up_flow *f)
{
	const struct df_dataflowcron_spec *spec = spec_of(f);
	const struct df_opt_int *limits[] = { &spec->successful_jobs_history_limit, &spec->failed_jobs_history_limit };
	int64_t left[] = { limits[0]->set ? limits[0]->value : SUCCESSFUL_DEFAULT,
			   limits[1]->set ? limits[1]->value : FAILED_DEFAULT };
	struct up_schedule *s = &f->schedule;

	for (size_t i = s->run_count; i-- > 0;) {
		if (left[s->runs[i].failed]-- > 0)
			continue;
		free(s->runs[i].message);
		memmove(&s->runs[i], &s->runs[i + 1], (--s->run_count - i) * sizeof(*s->runs));
	}
}

static int64_t time_in(const struct df_value *v, struct df_arena *arena, int64_t otherwise)
{
	struct df_instant t;

	return v && v->kind == DF_STRING && df_rfc3339_parse(df_value_text(v, arena), &t) ? t.seconds : otherwise;
}

static int64_t time_of(const struct df_value *object, const char *key, struct df_arena *arena, int64_t otherwise)
{
	return time_in(df_object_get_c(object, key), arena, otherwise);
}

static void read_history(struct up_flow *f, const struct df_value *list, struct df_arena *arena)
{
	if (!list || list->kind != DF_ARRAY)
		return;
	df_for_each (entry, list) {
		const struct df_value *message = df_object_get_c(entry, "message");
		const struct df_value *result = df_object_get_c(entry, "result");

		add_history(f, (struct up_history){
				       .scheduled = time_of(entry, "scheduleTime", arena, 0),
				       .started = time_of(entry, "startTime", arena, 0),
				       .ended = time_of(entry, "completionTime", arena, 0),
				       .failed = result && df_value_string_equal(result, DF_STR("failed")),
				       .message = message && message->kind == DF_STRING
							  ? df_str_dup(df_value_text(message, arena))
							  : NULL,
			       });
	}
}

static void push(struct up_flow *f, int64_t scheduled)
{
	struct df_logger logger = up_logger(f->manifest);
	struct up_schedule *s = &f->schedule;

	if (s->queued == UP_QUEUE) {
		df_warn(&logger, "%d runs wait for the one under way: this one is left out", UP_QUEUE);
		return;
	}
	s->queue[s->queued++] = scheduled;
}

/* A cron that is seen for the first time has missed nothing. */
static int load(struct up_flow *f, int64_t now, struct df_error *err)
{
	struct up_schedule *s = &f->schedule;
	struct df_arena arena;
	struct df_value *value;
	const struct df_value *active;
	int r;

	s->last = now;
	if (!f->up->state_dir)
		return 0;
	df_cleanup(df_buf_done) struct df_buf dir = { 0 };
	df_buf_printf(&dir, "%s/.cron", f->up->state_dir);
	if (dir.failed)
		return df_error_no_memory(err);
	r = df_checkpoint_directory_open(df_buf_c(&dir), f->manifest->m->namespace, f->manifest->m->name, &s->store,
					 err);
	if (r < 0)
		return r;
	df_arena_init(&arena, NULL);
	r = s->store->load(s->store, &arena, &value, err);
	if (r == 0) {
		s->last = time_of(value, "lastScheduleTime", &arena, now);
		active = df_object_get_c(value, "activeScheduleTimes");
		if (active && active->kind == DF_ARRAY)
			df_for_each (entry, active)
				push(f, time_in(entry, &arena, now));
		read_history(f, df_object_get_c(value, "runs"), &arena);
	}
	df_arena_done(&arena);
	if (r < 0) {
		df_checkpoint_store_free(s->store);
		s->store = NULL;
	}
	return r;
}

static bool open_schedule(struct up_flow *f, int64_t now)
{
	struct df_logger logger = up_logger(f->manifest);
	struct df_error err = DF_ERROR_INIT;

	if (f->schedule.open)
		return true;
	if (f->schedule.retry_ns <= df_clock_monotonic()) {
		if (load(f, now, &err) == 0) {
			f->schedule.open = true;
			save(f);
			return true;
		}
		f->schedule.retry_ns = df_clock_monotonic() + RETRY_NS;
		df_log_error(&logger, DF_LOG_ERROR, &err, "its schedule does not run");
	}
	up_at_monotonic(f->up, f->schedule.retry_ns);
	return false;
}

void up_cron_close(struct up_flow *f)
{
	struct up_schedule *s = &f->schedule;

	df_checkpoint_store_free(s->store);
	for (size_t i = 0; i < s->run_count; i++)
		free(s->runs[i].message);
	free(s->runs);
	*s = (struct up_schedule){ 0 };
}

/* ---- what is due ----------------------------------------------------------------------------------------- */

enum policy { ALLOW, FORBID, REPLACE };

static enum policy policy_of(const struct up_flow *f)
{
	const char *text = spec_of(f)->concurrency_policy;

	return text && strcmp(text, "Forbid") == 0 ? FORBID : text && strcmp(text, "Replace") == 0 ? REPLACE : ALLOW;
}

/* Takes the newest time that is due out of the schedule, unless it has to wait. */
static void take_due(struct up_flow *f, int64_t now)
{
	struct df_logger logger = up_logger(f->manifest);
	const struct df_opt_int64 *deadline = &spec_of(f)->starting_deadline_seconds;
	struct up_schedule *s = &f->schedule;
	char text[DF_TIME_TEXT];
	int64_t due;
	uint64_t missed = df_cron_missed(&f->manifest->cron, f->manifest->zone, s->last, now, &due);

	if (missed == 0)
		return;
	df_time_text(due, f->manifest->zone, text);
	if (deadline->set && now - due > deadline->value) {
		df_warn(&logger,
			"the run of %s is left out: it is %" PRId64 " s late, startingDeadlineSeconds is %" PRId64,
			text, now - due, deadline->value);
		s->last = due;
		save(f);
		return;
	}
	if (policy_of(f) == FORBID && (f->runs || s->queued)) {
		if (s->waiting_told != due)
			df_info(&logger, "the run of %s waits: the one before it is not through (Forbid)", text);
		s->waiting_told = due;
		return;
	}
	if (missed > 1)
		df_warn(&logger, "%" PRIu64 " runs were missed, the newest is made up for", missed);
	if (policy_of(f) == REPLACE) {
		for (struct up_run *run = f->runs; run; run = run->next) {
			if (!run->replaced)
				df_info(&logger, "the run under way is replaced by that of %s", text);
			run->replaced = true;
			up_run_stop(run);
		}
		s->queued = 0;
	}
	s->last = due;
	push(f, due);
	save(f);
}

/* Runs of a source that keeps its position take turns; others run beside each other when the policy allows it. */
static void start_queued(struct up_flow *f)
{
	struct df_logger logger = up_logger(f->manifest);
	struct up_schedule *s = &f->schedule;

	while (s->queued > 0 && (!f->runs || (policy_of(f) == ALLOW && !up_keeps_position(f->manifest)))) {
		char text[DF_TIME_TEXT];

		if (!up_flow_start(f, s->queue[0]))
			return;
		df_time_text(s->queue[0], f->manifest->zone, text);
		df_info(&logger, "the run of %s begins", text);
		memmove(s->queue, s->queue + 1, --s->queued * sizeof(*s->queue));
		save(f);
	}
}

/* A window stops the pipeline under way, which begins again behind it; triggers run to their end. */
static void pause_runs(struct up_flow *f)
{
	for (struct up_run *run = f->runs; run; run = run->next) {
		pthread_mutex_lock(&f->up->lock);
		bool in_pipeline = run->phase < UP_TRIGGERS;
		pthread_mutex_unlock(&f->up->lock);
		if (in_pipeline && !run->stopped_ns) {
			run->paused = true;
			up_run_stop(run);
		}
	}
}

void up_cron_step(struct up_flow *f, int64_t now)
{
	int64_t next;

	if (!open_schedule(f, now))
		return;
	if (f->maintenance.suspended || f->maintenance.in_window) {
		pause_runs(f);
		return;
	}
	if (!spec_of(f)->suspend)
		take_due(f, now);
	start_queued(f);
	next = df_cron_next(&f->manifest->cron, f->manifest->zone, f->schedule.last > now ? f->schedule.last : now);
	if (!spec_of(f)->suspend && next != DF_CRON_NEVER)
		up_at_wall(f->up, next);
}

void up_cron_ended(struct up_flow *f, const struct up_run *run)
{
	bool stopping = df_context_canceled(f->up->stop) || (run->stopped_ns && !run->replaced && !run->paused);

	if (run->paused && !run->replaced) {
		push(f, run->scheduled);
		return;
	}
	/* Stopped with the process: begun again by the next one. A trigger is not repeated, it may have done its work.
	 */
	if (stopping && !run->triggers_began)
		return;
	if (!run->replaced)
		add_history(f, (struct up_history){
				       .scheduled = run->scheduled,
				       .started = run->started,
				       .ended = df_clock_now(NULL) / DF_NS_PER_S,
				       .failed = run->err.code != 0,
				       .message = run->err.code ? df_str_dup(df_str_c(run->err.text)) : NULL,
			       });
	trim_history(f);
	save(f);
}
