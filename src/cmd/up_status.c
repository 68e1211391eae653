/* What `up` tells: metrics of all flows in one text, health, a JSON object, the service manager's status line. */
#include "base/exposition.h"
#include "base/time.h"
#include "cmd/health.h"
#include "cmd/up.h"

/* How long a thread that was told to stop may take beyond its grace period. */
#define STUCK_NS (60 * DF_NS_PER_S)

/* ---- states ---------------------------------------------------------------------------------------------- */

enum state {
	STATE_STARTING,
	STATE_RUNNING,
	STATE_FAILING,
	STATE_TRIGGERS,
	STATE_STOPPING,
	STATE_PAUSED,
	STATE_SCHEDULED,
	STATE_DONE,
	STATES
};

static const char *const state_names[STATES] = { "starting", "running",	  "failing",   "running triggers",
						 "stopping", "suspended", "scheduled", "done" };

static enum state state_of(const struct up_flow *f)
{
	static const enum state of_phase[] = { STATE_STARTING, STATE_RUNNING, STATE_FAILING, STATE_TRIGGERS,
					       STATE_STOPPING };

	if (f->runs)
		return f->removed || f->runs->stopped_ns ? STATE_STOPPING : of_phase[f->runs->phase];
	if (f->maintenance.suspended || f->maintenance.in_window || (up_is_cron(f) && f->manifest->m->spec.suspend))
		return STATE_PAUSED;
	if (up_is_cron(f))
		return STATE_SCHEDULED;
	return f->done ? STATE_DONE : STATE_STARTING;
}

const char *up_flow_state(const struct up_flow *f)
{
	return state_names[state_of(f)];
}

void up_status_line(struct up *up, struct df_buf *buf)
{
	size_t counts[STATES] = { 0 }, files, invalid, flows = 0;

	DF_LOCK_SCOPE(&up->lock);
	for (const struct up_flow *f = up->flows; f; f = f->next, flows++)
		counts[state_of(f)]++;
	df_buf_printf(buf, "%zu flows", flows);
	for (size_t i = 0; i < STATES; i++)
		if (counts[i])
			df_buf_printf(buf, ", %zu %s", counts[i], state_names[i]);
	up_files_counts(up, &files, &invalid);
	if (invalid)
		df_buf_printf(buf, "; %zu of %zu files are not valid", invalid, files);
}

/* ---- is it stuck? ---------------------------------------------------------------------------------------- */

static uint64_t in_flight(const struct df_processor_stats *s)
{
	uint64_t begun = s->read + s->made, ended = s->written + s->filtered + s->error_sinked + s->dropped + s->failed;

	return begun > ended ? begun - ended : 0;
}

/* When the run last had to do with trouble outside: it waited, or tried again since the last look. */
static int64_t last_trouble(struct up_run *run, const struct df_processor_stats *s, int64_t now)
{
	uint64_t troubles = s->retries + s->reconnects;

	if (s->waiting || troubles != run->troubles)
		run->troubled_ns = now;
	run->troubles = troubles;
	return run->troubled_ns;
}

/* Told to stop, and still there long after it should have gone; or it holds messages that nothing moves, and it has not
 * to do with a server that is down. */
static const char *why_stuck(const struct up *up, struct up_run *run, int64_t now)
{
	int64_t grace = (int64_t)up->options.grace_seconds * DF_NS_PER_S, timeout = up->progress_timeout_ns;
	struct df_processor_stats s;
	int64_t troubled;

	if (run->phase == UP_ENDED)
		return NULL;
	if (run->stopped_ns && now - run->stopped_ns > grace + STUCK_NS)
		return "was told to stop and does not end";
	if (run->phase != UP_RUNNING || timeout == 0)
		return NULL;
	df_processor_get_stats(run->pipeline.processor, &s);
	troubled = last_trouble(run, &s, now);
	if (in_flight(&s) == 0 || (troubled && now - troubled < timeout) ||
	    !df_processor_ready(run->pipeline.processor) || df_processor_alive(run->pipeline.processor, timeout))
		return NULL;
	return "has messages in flight that nothing moves";
}

bool up_not_stuck(struct up *up, struct df_buf *why)
{
	int64_t now = df_clock_monotonic();
	bool well = true;

	DF_LOCK_SCOPE(&up->lock);
	for (const struct up_flow *f = up->flows; f; f = f->next)
		for (struct up_run *run = f->runs; run; run = run->next) {
			const char *text = why_stuck(up, run, now);

			if (!text)
				continue;
			df_buf_printf(why, "%s%s/%s %s", well ? "stuck: " : "; ", run->manifest->m->namespace,
				      run->manifest->m->name, text);
			well = false;
		}
	return well;
}

/* ---- metrics --------------------------------------------------------------------------------------------- */

static void own_metrics(const struct up *up, struct df_buf *buf)
{
	df_buf_add_c(buf, "# HELP dataflow_flow_state 1 for the state that the flow is in, of `dataflow up`.\n"
			  "# TYPE dataflow_flow_state gauge\n");
	for (const struct up_flow *f = up->flows; f; f = f->next)
		for (size_t i = 0; i < STATES; i++)
			df_buf_printf(buf, "dataflow_flow_state{namespace=\"%s\",name=\"%s\",state=\"%s\"} %d\n",
				      f->manifest->m->namespace, f->manifest->m->name, state_names[i],
				      state_of(f) == i);
	df_buf_add_c(buf, "# HELP dataflow_flow_attempts_total Pipelines that were started for the run that is shown.\n"
			  "# TYPE dataflow_flow_attempts_total counter\n");
	for (const struct up_flow *f = up->flows; f; f = f->next)
		df_buf_printf(buf, "dataflow_flow_attempts_total{namespace=\"%s\",name=\"%s\"} %llu\n",
			      f->manifest->m->namespace, f->manifest->m->name,
			      (unsigned long long)(f->shown ? f->shown->attempts : 0));
}

/* A family stands once in the text, whoever has samples of it. */
static void write_metrics(void *arg, struct df_buf *buf)
{
	df_cleanup(df_families_freep) struct df_families *all = df_families_new();
	const struct df_families_from anything = { 0 };
	struct up *up = arg;
	bool complete = all;

	DF_LOCK_SCOPE(&up->lock);
	for (const struct up_flow *f = up->flows; f && complete; f = f->next) {
		df_cleanup(df_buf_done) struct df_buf text = { 0 };

		if (f->shown && f->shown->pipeline.processor)
			df_processor_metrics(f->shown->pipeline.processor, &text);
		complete = !text.failed && df_families_add(all, df_buf_str(&text), &anything, NULL) == 0;
	}
	if (complete)
		df_families_write(all, buf);
	own_metrics(up, buf);
	buf->failed = buf->failed || !complete;
}

/* ---- health ---------------------------------------------------------------------------------------------- */

/* What shall run is connected. */
static bool ready(void *arg, struct df_buf *why)
{
	struct up *up = arg;

	DF_LOCK_SCOPE(&up->lock);
	for (const struct up_flow *f = up->flows; f; f = f->next) {
		enum state state = state_of(f);
		bool connected =
			f->shown && f->shown->pipeline.processor && df_processor_ready(f->shown->pipeline.processor);

		if (up_is_cron(f) ||
		    (state != STATE_STARTING && state != STATE_FAILING && (state != STATE_RUNNING || connected)))
			continue;
		df_buf_printf(why, "%s%s/%s", why->len ? ", " : "not ready: ", f->manifest->m->namespace,
			      f->manifest->m->name);
	}
	return why->len == 0;
}

static bool alive(void *arg, int64_t timeout_ns, struct df_buf *why)
{
	(void)timeout_ns;
	return up_not_stuck(arg, why);
}

static void add_member(struct df_buf *json, const char *key, const char *text)
{
	df_buf_printf(json, "\"%s\":", key);
	df_json_write_string(df_str_c(text), json);
}

static void add_flow(const struct up_flow *f, struct df_buf *json)
{
	char time[DF_TIME_TEXT];
	int64_t next = DF_CRON_NEVER;

	df_buf_add_char(json, '{');
	add_member(json, "namespace", f->manifest->m->namespace);
	df_buf_add_char(json, ',');
	add_member(json, "name", f->manifest->m->name);
	df_buf_add_char(json, ',');
	add_member(json, "kind", up_is_cron(f) ? "DataFlowCron" : "DataFlow");
	df_buf_add_char(json, ',');
	add_member(json, "file", f->file);
	df_buf_add_char(json, ',');
	add_member(json, "state", up_flow_state(f));
	df_buf_printf(json, ",\"attempts\":%llu", (unsigned long long)(f->shown ? f->shown->attempts : 0));
	if (f->shown && f->shown->err.code) {
		df_buf_add_char(json, ',');
		add_member(json, "error", f->shown->err.text);
	}
	if (up_is_cron(f))
		next = df_cron_next(&f->manifest->cron, f->manifest->zone, df_clock_now(NULL) / DF_NS_PER_S);
	if (next != DF_CRON_NEVER) {
		df_buf_add_char(json, ',');
		add_member(json, "next", df_time_text(next, f->manifest->zone, time));
	}
	df_buf_add_char(json, '}');
}

static void write_status(void *arg, struct df_buf *json)
{
	struct up *up = arg;

	DF_LOCK_SCOPE(&up->lock);
	df_buf_add_c(json, "{\"flows\":[");
	for (const struct up_flow *f = up->flows; f; f = f->next) {
		df_buf_add_c(json, f == up->flows ? "\n" : ",\n");
		add_flow(f, json);
	}
	df_buf_add_c(json, "\n]}\n");
}

struct df_health_source up_health(struct up *up)
{
	return (struct df_health_source){ write_metrics, ready, alive, write_status, up };
}
