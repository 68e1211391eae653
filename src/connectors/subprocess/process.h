/*
 * A running program: three pipes and a thread that keeps it. That thread starts it, so that it lives exactly as long
 * (the kernel kills a child when the *thread* that made it ends), and reads its standard error.
 */
#ifndef DF_CONNECTORS_SUBPROCESS_PROCESS_H
#define DF_CONNECTORS_SUBPROCESS_PROCESS_H

#include <pthread.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/log.h"
#include "connectors/subprocess/secrets.h"

struct df_process {
	const char *path;
	pid_t pid;   /* 0: none */
	int in, out; /* its standard input and output; do not block. -1: closed */
	bool ended;
	bool signaled; /* status is a signal, else what it exited with */
	int status;

	/* Private. */
	const struct df_logger *logger;
	const struct df_hidden *hidden;
	pthread_t keeper;
	bool kept; /* the thread runs */
	int err, stop;
	pthread_mutex_t lock;
	pthread_cond_t started;
	int outcome; /* of the start: 1 not known yet, else 0 or a code */
	struct df_error why;
};

/*
 * Starts it and returns when it runs. path, logger and hidden are borrowed until df_process_done. DF_ERR_CONFIG: it
 * cannot be executed (not there, not allowed, no interpreter); DF_ERR_TRANSIENT: no processes or descriptors left;
 * DF_ERR_NO_MEMORY. Whatever the outcome, df_process_done.
 */
int df_process_start(struct df_process *p, const char *path, const struct df_logger *logger,
		     const struct df_hidden *hidden, struct df_error *err) df_must_check;

/* Has it ended? Waits up to ns for it; 0 only looks. */
bool df_process_wait(struct df_process *p, int64_t ns);

/* A signal to its whole group, also when the program itself has ended. */
void df_process_kill(struct df_process *p, int signal);

/* "exited with status 3", "was killed by signal 11 (Segmentation fault)". Of one that ended. */
void df_process_fate(const struct df_process *p, char *out, size_t out_size);

/* Kills what is left, waits for it, ends the thread, closes everything. Accepts a zeroed one. */
void df_process_done(struct df_process *p);

#endif
