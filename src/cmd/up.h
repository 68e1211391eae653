/*
 * What the files of `dataflow up` share: many flows in one process.
 *
 * One thread, the caller's, manages: it reads the directory, starts and stops runs, keeps the schedules. A run is one
 * thread that takes a manifest through one life: the pipeline, with its own backoff when it fails, and for a
 * DataFlowCron the triggers behind it. Runs share nothing with each other but the process; what a run tells about
 * itself is below `up.lock`.
 */
#ifndef DF_CMD_UP_H
#define DF_CMD_UP_H

#include <pthread.h>
#include <stdatomic.h>

#include "api/v1/maintenance.h"
#include "base/clock.h"
#include "base/cron.h"
#include "base/log.h"
#include "base/retry.h"
#include "cmd/flow.h"
#include "cmd/notify.h"

struct up_options {
	const char *dir, *state_dir, *secrets, *metrics, *time_zone, *log_format;
	bool allow_triggers;
	uint64_t grace_seconds;
	uint64_t cron_retries;
	int64_t memory_limit; /* bytes for what is in flight in all flows; 0: each flow has its own default */
};

/* ---- manifests and runs ---------------------------------------------------------------------------------- */

/* Of a flow, and of each run that was started from it; the manager's thread counts. */
struct up_manifest {
	size_t users;
	struct df_manifests one; /* owns it; count is 1 */
	struct df_manifest *m;	 /* one.items[0] */
	struct df_cron cron;
	struct df_zone *zone; /* of the schedule; NULL for a DataFlow */
	bool started;	      /* a run was; from then on runs read it without a lock */
};

enum up_phase { UP_STARTING, UP_RUNNING, UP_FAILING /* waits before the next attempt */, UP_TRIGGERS, UP_ENDED };

struct up_flow;

struct up_run {
	struct up_flow *flow;
	struct up_manifest *manifest;
	struct df_context *stop, *kill;
	pthread_t thread;
	int64_t scheduled;  /* cron: for which time, seconds since 1970 */
	int64_t started;    /* seconds since 1970 */
	int64_t stopped_ns; /* the manager's: monotonic, when it was told to stop; 0: it was not */
	bool replaced;	    /* the manager's: a newer run takes its place */
	bool paused;	    /* the manager's: it begins again when the window is over */
	struct up_run *next;

	/* below up.lock */
	enum up_phase phase;
	bool triggers_began;
	bool reaped;		     /* it has ended and is in no list, but is the one that is shown */
	struct df_pipeline pipeline; /* of the attempt under way or the last one; the run's thread alone replaces it */
	struct df_error err;	     /* of the last attempt that failed, of a trigger */
	uint64_t attempts;
	uint64_t troubles;   /* retries and reconnects, when it was last looked at */
	int64_t troubled_ns; /* monotonic: when there was a new one, or it waited for something outside */
};

/* ---- flows ----------------------------------------------------------------------------------------------- */

#define UP_QUEUE 16

struct up_history {
	int64_t scheduled, started, ended;
	bool failed;
	char *message; /* NULL: none */
};

/* What a cron keeps between its runs and between two lives of the process. */
struct up_schedule {
	struct df_checkpoint_store *store; /* NULL: not opened yet, or there is no --state-dir */
	bool open;
	int64_t retry_ns;	 /* monotonic: when opening is tried again */
	int64_t last;		 /* the newest time that was dealt with */
	int64_t queue[UP_QUEUE]; /* times that are due and wait for the run before them */
	size_t queued;
	int64_t waiting_told;	 /* the time of which it was told that it waits */
	struct up_history *runs; /* oldest first */
	size_t run_count;
};

struct up_flow {
	struct up *up;
	char *file;
	struct up_manifest *manifest;
	bool keep;    /* while the directory is read: it is still there */
	bool removed; /* ends, and is freed behind its last run */
	bool done;    /* the source was exhausted: nothing to do until the manifest changes */
	struct df_maintenance_state maintenance;
	int64_t retry_ns; /* monotonic: a thread could not be started; 0: none */
	struct up_schedule schedule;
	struct up_run *runs; /* newest first; changed below up.lock */
	struct up_run
		*shown; /* below up.lock: whose processor stands for the flow in metrics; kept when it has ended */
	struct up_run *retired; /* below up.lock: was shown, and is to be freed by the manager */
	struct up_flow *next;
};

struct up {
	struct up_options options;
	char *state_dir;
	struct df_context *stop, *kill;
	struct df_notify notify;
	int wake_fd;
	atomic_bool rescan; /* SIGHUP */
	int64_t progress_timeout_ns;
	bool failed_stop; /* a run could not end in peace */
	struct up_files *files;
	/* when the manager must look again at the latest */
	int64_t next_wall, next_monotonic; /* seconds since 1970; ns */

	pthread_mutex_t lock; /* the list of flows, and what says so above */
	struct up_flow *flows;
};

static inline struct df_logger up_logger(const struct up_manifest *m)
{
	return (struct df_logger){ m->m->namespace, m->m->name, NULL };
}

static inline bool up_is_cron(const struct up_flow *f)
{
	return f->manifest->m->kind == DF_KIND_DATAFLOWCRON;
}

void up_wake(struct up *up); /* any thread */
/* The manager looks again then. */
void up_at_wall(struct up *up, int64_t seconds);
void up_at_monotonic(struct up *up, int64_t ns);

/* ---- up_run.c -------------------------------------------------------------------------------------------- */

/* Starts a thread. NULL with the reason when it cannot. */
struct up_run *up_run_start(struct up_flow *f, int64_t scheduled, struct df_error *err);
void up_run_stop(struct up_run *run);
bool up_run_ended(const struct up_run *run);
/* It has ended and is in no list any more. */
void up_run_free(struct up_run *run);
/* Two runs of it at once would share a position. */
bool up_keeps_position(const struct up_manifest *m);

/* ---- up_flow.c ------------------------------------------------------------------------------------------- */

/* Takes the manifest out of the list (which keeps an empty one). NULL when out of memory, or its zone cannot be loaded:
 * told in diags. */
struct up_manifest *up_manifest_new(const struct up *up, struct df_manifest *m, struct df_diags *diags);
struct up_manifest *up_manifest_use(struct up_manifest *m);
void up_manifest_drop(struct up_manifest *m); /* accepts NULL */

/* The one of that name that is not going away; NULL. */
struct up_flow *up_flow_find(const struct up *up, const struct up_manifest *m);
/* Takes the manifest. */
int up_flow_add(struct up *up, const char *file, struct up_manifest *m, struct df_error *err) df_must_check;
/* Takes the manifest: a DataFlow is stopped and started again, of a cron the runs under way end as they began. */
void up_flow_replace(struct up_flow *f, struct up_manifest *m);
/* Starts a run; false when it cannot, then it is tried again later. */
bool up_flow_start(struct up_flow *f, int64_t scheduled);
/* All that is due for all flows: called after each wake-up. */
void up_flows_step(struct up *up);
bool up_flows_idle(const struct up *up); /* no run is left */
void up_flows_free(struct up *up);

/* ---- up_cron.c ------------------------------------------------------------------------------------------- */

void up_cron_step(struct up_flow *f, int64_t now);
void up_cron_ended(struct up_flow *f, const struct up_run *run);
void up_cron_close(struct up_flow *f);

/* ---- up_files.c ------------------------------------------------------------------------------------------ */

/* Watches the directory. DF_ERR_CONFIG: it is none, or cannot be read. */
int up_files_open(struct up *up, struct df_error *err) df_must_check;
void up_files_close(struct up *up);
int up_files_fd(const struct up *up); /* -1: nothing to wait for */
/* Notes what changed; reads the directory when it has been quiet for a moment, or at once when told to. */
void up_files_step(struct up *up, bool now);
/* Each as a line of the log. */
void up_tell(const struct df_diags *diags);
void up_files_counts(const struct up *up, size_t *ret_files, size_t *ret_invalid);

/* ---- up_status.c ----------------------------------------------------------------------------------------- */

struct df_health_source up_health(struct up *up);
/* One line for the service manager. */
void up_status_line(struct up *up, struct df_buf *buf);
/* A thread of ours that does not do what it must; never because of a server that is down. False with the reason. */
bool up_not_stuck(struct up *up, struct df_buf *why);
/* "running", "failing" ...: below up.lock. */
const char *up_flow_state(const struct up_flow *f);

#endif
