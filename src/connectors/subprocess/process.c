#include "connectors/subprocess/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "connectors/subprocess/limits.h"
#include "connectors/subprocess/log_lines.h"

#define PIPE_BYTES (1 << 20)
#define LOOK_NS (2 * DF_NS_PER_MS) /* between two looks at whether it has ended */

/* ---- the child ------------------------------------------------------------------------------------------- */

struct birth {
	char *path;
	char **environment;
	int in, out, err; /* its ends of the pipes */
	int failed;	  /* where errno goes when it cannot be executed; closed by exec */
	pid_t parent;
};

/* Between vfork and exec: only system calls, on the parent's memory. */
static void become(const struct birth *b)
{
	char *argv[] = { b->path, NULL };
	struct sigaction standard = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		(void)sigaction(s, &standard, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != b->parent)
		_exit(127);
	if (dup2(b->in, 0) == 0 && dup2(b->out, 1) == 1 && dup2(b->err, 2) == 2 && chdir("/") == 0) {
		/* Whatever a library has opened; not the pipe that tells. */
#ifdef SYS_close_range
		if (b->failed > 3)
			(void)syscall(SYS_close_range, 3, b->failed - 1, 0);
		(void)syscall(SYS_close_range, b->failed + 1, ~0U, 0);
#endif
		(void)execve(b->path, argv, b->environment);
	}
	int why = errno;
	(void)!write(b->failed, &why, sizeof(why));
	_exit(127);
}

static pid_t give_birth(const struct birth *b)
{
	sigset_t all, before;

	/* A handler of ours must not run in the child, which shares the memory. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t pid = vfork();
	if (pid == 0)
		become(b);
	int why = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = why;
	return pid;
}

/* ---- starting -------------------------------------------------------------------------------------------- */

static void close_pair(int (*pair)[2])
{
	for (int i = 0; i < 2; i++)
		if ((*pair)[i] >= 0)
			close((*pair)[i]);
}

static int no_pipes(struct df_process *p, struct df_error *err)
{
	return df_error_errno(err, DF_ERR_TRANSIENT, errno, "cannot make pipes for %s", p->path);
}

static int cannot_run(struct df_process *p, int why, struct df_error *err)
{
	bool busy = why == EAGAIN || why == ENOMEM || why == ETXTBSY || why == EMFILE || why == ENFILE;

	return df_error_errno(err, busy ? DF_ERR_TRANSIENT : DF_ERR_CONFIG, why, "cannot run %s", p->path);
}

static int run(struct df_process *p, struct birth *b, int told, struct df_error *err)
{
	int why = 0;

	p->pid = give_birth(b);
	if (p->pid < 0) {
		p->pid = 0;
		return cannot_run(p, errno, err);
	}
	close(b->failed);
	b->failed = -1;
	if (read(told, &why, sizeof(why)) != sizeof(why))
		return 0;
	(void)df_process_wait(p, INT64_MAX);
	return cannot_run(p, why, err);
}

static int spawn(struct df_process *p, struct df_error *err)
{
	df_cleanup(close_pair) int in[2] = { -1, -1 }, out[2] = { -1, -1 }, errors[2] = { -1, -1 },
				   told[2] = { -1, -1 };
	struct birth b = { .path = (char *)p->path, .parent = getpid() };
	int r;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(errors, O_CLOEXEC) < 0 ||
	    pipe2(told, O_CLOEXEC) < 0)
		return no_pipes(p, err);
	/* A few lines in one go; what the limits of the user do not allow stays small. */
	(void)fcntl(in[1], F_SETPIPE_SZ, PIPE_BYTES);
	(void)fcntl(out[0], F_SETPIPE_SZ, PIPE_BYTES);
	(void)fcntl(in[1], F_SETFL, O_NONBLOCK);
	(void)fcntl(out[0], F_SETFL, O_NONBLOCK);
	(void)fcntl(errors[0], F_SETFL, O_NONBLOCK);
	b.environment = df_program_environment();
	if (!b.environment)
		return df_error_no_memory(err);
	b.in = in[0], b.out = out[1], b.err = errors[1], b.failed = told[1];
	r = run(p, &b, told[0], err);
	told[1] = b.failed;
	df_program_environment_free(b.environment);
	if (r < 0)
		return r;
	p->in = DF_TAKE_FD(in[1]);
	p->out = DF_TAKE_FD(out[0]);
	p->err = DF_TAKE_FD(errors[0]);
	return 0;
}

/* ---- the keeper ------------------------------------------------------------------------------------------ */

static void tell_start(struct df_process *p, int outcome)
{
	pthread_mutex_lock(&p->lock);
	p->outcome = outcome;
	pthread_cond_signal(&p->started);
	pthread_mutex_unlock(&p->lock);
}

/* Until the thread is told to stop: the end of the standard error alone is not the end of the program. */
static void *keep(void *arg)
{
	struct df_process *p = arg;
	struct df_log_lines lines;
	bool open = true;
	int r = spawn(p, &p->why);

	tell_start(p, r);
	if (r < 0)
		return NULL;
	df_log_lines_init(&lines, p->logger, p->hidden);
	for (;;) {
		struct pollfd fds[] = { { .fd = p->stop, .events = POLLIN },
					{ .fd = open ? p->err : -1, .events = POLLIN } };
		int timeout = df_log_lines_timeout_ms(&lines);

		if (poll(fds, 2, timeout) < 0 && errno != EINTR)
			break;
		if (open && !df_log_lines_read(&lines, p->err))
			open = false;
		if (fds[0].revents)
			break;
	}
	df_log_lines_done(&lines);
	return NULL;
}

int df_process_start(struct df_process *p, const char *path, const struct df_logger *logger,
		     const struct df_hidden *hidden, struct df_error *err)
{
	int r;

	*p = (struct df_process){ .path = path, .in = -1, .out = -1, .err = -1, .logger = logger, .hidden = hidden };
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->started, NULL);
	p->outcome = 1;
	p->stop = eventfd(0, EFD_CLOEXEC);
	if (p->stop < 0)
		return no_pipes(p, err);
	r = pthread_create(&p->keeper, NULL, keep, p);
	if (r)
		return df_error_errno(err, DF_ERR_TRANSIENT, r, "cannot start a thread for %s", path);
	p->kept = true;
	pthread_mutex_lock(&p->lock);
	while (p->outcome > 0)
		pthread_cond_wait(&p->started, &p->lock);
	pthread_mutex_unlock(&p->lock);
	if (p->outcome < 0 && err)
		*err = p->why;
	return p->outcome;
}

/* ---- the end --------------------------------------------------------------------------------------------- */

/* Looks only: until df_process_done it stays a zombie, and so its group's number is not given to another. */
bool df_process_wait(struct df_process *p, int64_t ns)
{
	int64_t begun = df_clock_monotonic();

	while (p->pid > 0 && !p->ended) {
		siginfo_t info = { 0 };
		int r = waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT);

		p->ended = r < 0 ? errno == ECHILD : info.si_pid == p->pid;
		p->signaled = info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED;
		p->status = info.si_status;
		if (p->ended || df_clock_monotonic() - begun >= ns)
			break;
		(void)poll(NULL, 0, LOOK_NS / DF_NS_PER_MS);
	}
	return p->ended;
}

void df_process_kill(struct df_process *p, int signal)
{
	if (p->pid > 0)
		(void)kill(-p->pid, signal);
}

void df_process_fate(const struct df_process *p, char *out, size_t out_size)
{
	const char *signal = p->signaled ? sigdescr_np(p->status) : NULL;

	if (p->signaled)
		snprintf(out, out_size, "was killed by signal %d (%s)", p->status, signal ? signal : "unknown");
	else
		snprintf(out, out_size, "exited with status %d", p->status);
}

void df_process_done(struct df_process *p)
{
	if (!p->path)
		return;
	/* Its children may have outlived it. */
	df_process_kill(p, SIGKILL);
	while (p->pid > 0 && waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
		;
	p->pid = 0;
	if (p->kept) {
		(void)!eventfd_write(p->stop, 1);
		pthread_join(p->keeper, NULL);
	}
	df_closep(&p->in);
	df_closep(&p->out);
	df_closep(&p->err);
	df_closep(&p->stop);
	pthread_cond_destroy(&p->started);
	pthread_mutex_destroy(&p->lock);
	*p = (struct df_process){ .in = -1, .out = -1, .err = -1, .stop = -1 };
}
