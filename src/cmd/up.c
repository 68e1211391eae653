/* `up`: every manifest of a directory in one process, as a service. */
#include "cmd/up.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "cmd/health.h"
#include "cmd/signals.h"

#define GRACE_DEFAULT 30
#define RETRIES_DEFAULT 6
#define KILL_NS (5 * DF_NS_PER_S) /* after the second signal */

struct command_options {
	bool allow_triggers;
	const char *state_dir, *secrets, *metrics, *time_zone, *log_format, *grace, *retries, *memory;
};

static const struct df_option up_option_rows[] = {
	DF_OPTION(struct command_options, state_dir, "state-dir", 0, .argument = "DIR",
		  .doc = "where positions and schedules are kept (default: $DATAFLOW_STATE_DIR or "
			 "~/.local/state/dataflow)"),
	DF_OPTION(struct command_options, secrets, "secrets", 0, .argument = "DIR",
		  .doc = "Secrets as files: DIR/<secret>/<key>"),
	DF_OPTION(struct command_options, metrics, "metrics", 0, .argument = "[HOST:]PORT",
		  .doc = "serve /metrics, /readyz, /livez, /healthz and /status of all flows (host: 127.0.0.1)"),
	DF_OPTION(struct command_options, grace, "grace", 0, .argument = "SECONDS",
		  .doc = "how long a flow's flush may take when it is stopped (default 30)"),
	DF_OPTION(
		struct command_options, memory, "memory-limit", 0, .argument = "SIZE",
		.doc = "memory for messages in flight of all flows (512Mi), shared evenly by those without a memoryLimit"),
	DF_OPTION(struct command_options, allow_triggers, "allow-triggers", 0,
		  .doc = "run the triggers of a DataFlowCron as local commands"),
	DF_OPTION(struct command_options, time_zone, "time-zone", 0, .argument = "ZONE",
		  .doc = "of schedules without a timeZone (default UTC)"),
	DF_OPTION(struct command_options, retries, "cron-retries", 0, .argument = "N",
		  .doc = "how often a failed run of a DataFlowCron is tried again (default 6)"),
	DF_OPTION(struct command_options, log_format, "log-format", 0, .choices = df_log_choices,
		  .doc = "auto: text on a terminal, else JSON lines (level: LOG_LEVEL)"),
};

/* ---- waking the manager ---------------------------------------------------------------------------------- */

void up_wake(struct up *up)
{
	const uint64_t one = 1;

	(void)!write(up->wake_fd, &one, sizeof(one));
}

void up_at_wall(struct up *up, int64_t seconds)
{
	if (seconds < up->next_wall)
		up->next_wall = seconds;
}

void up_at_monotonic(struct up *up, int64_t ns)
{
	if (ns < up->next_monotonic)
		up->next_monotonic = ns;
}

static void on_hangup(void *arg)
{
	struct up *up = arg;

	atomic_store(&up->rescan, true);
	up_wake(up);
}

/* ---- the manager ----------------------------------------------------------------------------------------- */

/* Readable when the wall clock is set: what was computed from it is computed again. -1 where there is no such thing. */
static int watch_the_clock(void)
{
	int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	const struct itimerspec never = { .it_value = { .tv_sec = (time_t)1 << 40 } };

	if (fd >= 0 && timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void drain(int fd)
{
	uint64_t n;

	/* A timer whose clock was set says ECANCELED. */
	while (read(fd, &n, sizeof(n)) > 0)
		;
}

static int timeout_ms(const struct up *up)
{
	int64_t monotonic = up->next_monotonic == INT64_MAX ? INT64_MAX : up->next_monotonic - df_clock_monotonic();
	int64_t wall =
		up->next_wall > INT64_MAX / DF_NS_PER_S ? INT64_MAX : up->next_wall * DF_NS_PER_S - df_clock_now(NULL);
	int64_t ns = wall < monotonic ? wall : monotonic;

	if (ns == INT64_MAX)
		return -1;
	ns = ns < 0 ? 0 : ns / DF_NS_PER_MS + 1;
	return ns > 3600000 ? 3600000 : (int)ns;
}

static void ping(struct up *up, int64_t *last)
{
	int64_t now = df_clock_monotonic(), period = up->notify.watchdog_ns / 2;
	struct df_buf why = { 0 };

	if (period == 0)
		return;
	if (now - *last >= period || *last == 0) {
		*last = now;
		if (up_not_stuck(up, &why))
			df_notify_send(&up->notify, "WATCHDOG=1");
		else
			df_log(NULL, DF_LOG_ERROR, NULL, "the watchdog is not answered: %s", df_buf_c(&why));
		df_buf_done(&why);
	}
	up_at_monotonic(up, *last + period);
}

/* To the service manager, when it is another line than the last one. */
static void tell_status(struct up *up, struct df_buf *last, const char *before)
{
	struct df_buf line = { 0 };

	up_status_line(up, &line);
	if (before[0] || !df_str_equal(df_buf_str(&line), df_buf_str(last))) {
		df_notify_send(&up->notify, "%sSTATUS=%s", before, df_buf_c(&line));
		df_debug(NULL, "%s", df_buf_c(&line));
	}
	df_buf_done(last);
	*last = line;
}

static void begin_reload(const struct up *up)
{
	df_info(NULL, "SIGHUP: %s is read again", up->options.dir);
	df_notify_send(&up->notify, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)(df_clock_monotonic() / 1000));
}

/* True while there is something to wait for. */
static bool go_on(struct up *up, bool *stopping, int64_t *killed)
{
	if (df_context_canceled(up->stop) && !*stopping) {
		*stopping = true;
		df_notify_send(&up->notify, "STOPPING=1");
	}
	if (df_context_canceled(up->kill)) {
		*killed = *killed ? *killed : df_clock_monotonic();
		up_at_monotonic(up, *killed + KILL_NS);
	}
	return !*stopping || (!up_flows_idle(up) && (!*killed || df_clock_monotonic() - *killed < KILL_NS));
}

/* Until all flows have ended. False when some have not and never may. */
static bool manage(struct up *up)
{
	df_cleanup(df_closep) int clock_fd = watch_the_clock();
	df_cleanup(df_buf_done) struct df_buf status = { 0 };
	bool stopping = false, first = true;
	int64_t killed = 0, pinged = 0;

	for (;;) {
		bool reload = atomic_exchange(&up->rescan, false);
		struct pollfd fds[4] = {
			{ up->wake_fd, POLLIN, 0 },
			{ clock_fd, POLLIN, 0 },
			{ up_files_fd(up), POLLIN, 0 },
			{ stopping ? -1 : df_context_fd(up->stop), POLLIN, 0 },
		};

		up->next_wall = up->next_monotonic = INT64_MAX;
		if (reload)
			begin_reload(up);
		if (!stopping)
			up_files_step(up, reload || first);
		up_flows_step(up);
		if (!go_on(up, &stopping, &killed))
			return up_flows_idle(up);
		tell_status(up, &status, reload || first ? "READY=1\n" : "");
		first = false;
		ping(up, &pinged);
		if (stopping)
			fds[3].fd = killed ? -1 : df_context_fd(up->kill);
		poll(fds, 4, timeout_ms(up));
		drain(up->wake_fd);
		if (clock_fd >= 0)
			drain(clock_fd);
	}
}

/* A flow has a dozen descriptors: the soft limit, which is low for the sake of select(2), would be met by 80 flows. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		df_debug(NULL, "the limit of descriptors cannot be raised: %s", strerror(errno));
}

static int up_open(struct up *up, struct df_signals **signals, struct df_health *health, struct df_error *err)
{
	int r;

	raise_descriptor_limit();
	up->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	up->stop = df_context_new(NULL);
	up->kill = df_context_new(NULL);
	up->state_dir = up->options.state_dir ? strdup(up->options.state_dir) : df_default_state_dir();
	if (up->wake_fd < 0 || !up->stop || !up->kill || !up->state_dir)
		return df_error_no_memory(err);
	r = df_signals_start(&(struct df_signals_options){ up->stop, up->kill, on_hangup, up }, signals, err);
	if (r == 0)
		r = up_files_open(up, err);
	if (r == 0 && up->options.metrics)
		r = df_health_start(health, up_health(up), up->options.metrics, "127.0.0.1", err);
	return r;
}

static int up_main(struct up *up)
{
	struct df_signals *signals = NULL;
	struct df_health health = { 0 };
	struct df_error err = DF_ERROR_INIT;
	int exit_code = DF_EXIT_OK;
	int r = up_open(up, &signals, &health, &err);

	if (r < 0) {
		df_log_error(NULL, DF_LOG_ERROR, &err, "cannot start");
		exit_code = r == DF_ERR_CONFIG && !up->files ? DF_EXIT_USAGE : DF_EXIT_FAILED;
	} else if (!manage(up)) {
		/* Threads that do not even end when they are told a second time cannot be waited for. */
		df_log(NULL, DF_LOG_ERROR, NULL, "stopped at once; what was in flight will be read again");
		_exit(DF_EXIT_FAILED);
	}
	df_health_stop(&health);
	up_flows_free(up);
	up_files_close(up);
	df_signals_stop(signals);
	df_context_free(up->stop);
	df_context_free(up->kill);
	if (up->wake_fd >= 0)
		close(up->wake_fd);
	free(up->state_dir);
	return exit_code != DF_EXIT_OK || !up->failed_stop ? exit_code : DF_EXIT_FAILED;
}

/* A number that is there, or the default. */
static bool number(const char *text, uint64_t otherwise, uint64_t *ret)
{
	int64_t n;

	*ret = otherwise;
	if (!text)
		return true;
	if (!df_str_to_int64(df_str_c(text), &n) || n < 0 || n > INT32_MAX)
		return false;
	*ret = (uint64_t)n;
	return true;
}

/* A quantity, as in a manifest. */
static bool size(const char *text, int64_t *ret)
{
	struct df_dataflow_spec spec = { 0 };
	struct df_buf json = { 0 };

	*ret = 0;
	if (!text)
		return true;
	df_json_write_string(df_str_c(text), &json);
	spec.memory_limit = (struct df_raw){ json.data, json.len };
	*ret = df_flow_memory_limit(&spec);
	df_buf_done(&json);
	return *ret > 0;
}

static int up_run(const struct df_command *command, void *options, int operands, char **operand)
{
	const struct command_options *o = options;
	struct df_error err = DF_ERROR_INIT;
	struct df_zone *zone = NULL;
	struct up up = { .options = { .dir = operand[0],
				      .state_dir = o->state_dir,
				      .secrets = o->secrets,
				      .metrics = o->metrics,
				      .time_zone = o->time_zone,
				      .allow_triggers = o->allow_triggers } };
	int r;

	(void)operands;
	if (!number(o->grace, GRACE_DEFAULT, &up.options.grace_seconds))
		return df_usage_error(command, "--grace: '%s' is not a whole number from 0", o->grace);
	if (!number(o->retries, RETRIES_DEFAULT, &up.options.cron_retries))
		return df_usage_error(command, "--cron-retries: '%s' is not a whole number from 0", o->retries);
	if (!size(o->memory, &up.options.memory_limit))
		return df_usage_error(command,
				      "--memory-limit: '%s' is no number of bytes, such as 268435456, 256Mi or 1.5Gi",
				      o->memory);
	if (o->time_zone && df_zone_load(df_str_c(o->time_zone), &zone, &err) < 0)
		return df_usage_error(command, "--time-zone: %s", err.text);
	df_zone_free(zone);
	df_log_setup(df_log_format_of(o->log_format), getenv("LOG_LEVEL"));
	df_notify_open(&up.notify);
	up.progress_timeout_ns = df_health_progress_timeout();
	pthread_mutex_init(&up.lock, NULL);
	r = up_main(&up);
	pthread_mutex_destroy(&up.lock);
	df_notify_close(&up.notify);
	return r;
}

const struct df_command df_command_up = {
	.name = "up",
	.operands = "DIR",
	.min_operands = 1,
	.max_operands = 1,
	.summary = "run every manifest of a directory",
	.doc = "Runs every DataFlow and DataFlowCron in DIR (*.yaml, *.yml, *.json; not in folders below it) in one\n"
	       "process, each by itself: one that fails is started again, with growing delays, and the others do not\n"
	       "notice. Files that are added, changed or removed are picked up; a file that is not valid is told, and\n"
	       "its flows go on as they were. A DataFlowCron runs on its schedule.\n"
	       "SIGTERM and SIGINT flush and save all flows, a second one stops at once; SIGHUP reads the directory and\n"
	       "the Secrets again. Under systemd it tells when it is ready, its status, and that it is alive.",
	.examples = "  dataflow up --metrics 9090 /etc/dataflow/flows\n"
		    "  dataflow up --state-dir ./state --secrets ./secrets --allow-triggers ./flows\n"
		    "  curl http://127.0.0.1:9090/status\n",
	.options = up_option_rows,
	.option_count = sizeof(up_option_rows) / sizeof(up_option_rows[0]),
	.size = sizeof(struct command_options),
	.run = up_run,
};
