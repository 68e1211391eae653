/* Children: waiting for them, commands of the user, figures of this process. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "conformance/internal.h"

extern char **environ;

/* ---- waiting --------------------------------------------------------------------------------------------- */

bool df_child_wait(pid_t pid, int64_t until_ns, int *ret_status)
{
	df_cleanup(df_closep) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd watched = { .fd = fd, .events = POLLIN };

	while (waitpid(pid, ret_status, WNOHANG) == 0) {
		int64_t left = until_ns - df_clock_monotonic();

		if (left <= 0)
			return false;
		/* Where there are no such descriptors, it is looked at every 10 ms. */
		poll(&watched, 1, fd < 0 ? 10 : (int)(left / DF_NS_PER_MS) + 1);
	}
	return true;
}

void df_child_describe(int status, char *out, size_t size)
{
	const char *name = WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : NULL;

	if (name)
		snprintf(out, size, "was killed by SIG%s", name);
	else if (WIFSIGNALED(status))
		snprintf(out, size, "was killed by signal %d", WTERMSIG(status));
	else
		snprintf(out, size, "ended with exit code %d", WEXITSTATUS(status));
}

/* ---- files in memory ------------------------------------------------------------------------------------- */

int df_memory_file(struct df_str content)
{
	df_cleanup(df_closep) int fd = memfd_create("dataflow-conformance", MFD_CLOEXEC);

	for (size_t at = 0; fd >= 0 && at < content.len;) {
		ssize_t n = write(fd, content.ptr + at, content.len - at);

		if (n < 0)
			return -1;
		at += (size_t)n;
	}
	if (fd >= 0)
		lseek(fd, 0, SEEK_SET);
	return DF_TAKE_FD(fd);
}

void df_memory_file_read(int fd, struct df_buf *ret)
{
	for (off_t at = 0;;) {
		char *room = df_buf_reserve(ret, 65536);
		ssize_t n = room ? pread(fd, room, 65536, at) : 0;

		if (n <= 0)
			return;
		ret->len += (size_t)n;
		at += n;
	}
}

/* ---- commands -------------------------------------------------------------------------------------------- */

/* The environment with two more variables; the caller frees the array and the texts. */
static char **command_environment(const struct df_shell *shell, char **ret_name, char **ret_server)
{
	size_t n = 0, out = 0;
	char **env;

	while (environ[n])
		n++;
	env = calloc(n + 3, sizeof(*env));
	if (!env || asprintf(ret_name, "DATAFLOW_TEST_NAME=%s", shell->name ? shell->name : "") < 0 ||
	    asprintf(ret_server, "DATAFLOW_TEST_SERVER=%s", shell->server ? shell->server : "") < 0) {
		free(env);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "DATAFLOW_TEST_NAME=", 19) != 0 &&
		    strncmp(environ[i], "DATAFLOW_TEST_SERVER=", 21) != 0)
			env[out++] = environ[i];
	env[out++] = *ret_name;
	env[out] = *ret_server;
	return env;
}

static void redirect(posix_spawn_file_actions_t *actions, int from, int to, int flags)
{
	if (from < 0)
		posix_spawn_file_actions_addopen(actions, to, "/dev/null", flags, 0);
	else
		posix_spawn_file_actions_adddup2(actions, from, to);
}

static int spawn(const struct df_shell *shell, int said, pid_t *ret)
{
	df_cleanup(df_freep) char *name = NULL;
	df_cleanup(df_freep) char *server = NULL;
	df_cleanup(df_freep) char **env = command_environment(shell, &name, &server);
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)shell->command, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t defaults;
	int r;

	if (!env)
		return ENOMEM;
	posix_spawn_file_actions_init(&actions);
	redirect(&actions, shell->in, STDIN_FILENO, O_RDONLY);
	redirect(&actions, shell->out, STDOUT_FILENO, O_WRONLY);
	redirect(&actions, said, STDERR_FILENO, O_WRONLY);
	posix_spawnattr_init(&attr);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE); /* this program ignores them, commands expect them */
	sigaddset(&defaults, SIGXFSZ);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setflags(&attr, (short)(POSIX_SPAWN_SETSIGDEF | (shell->detached ? POSIX_SPAWN_SETSID : 0)));
	r = posix_spawn(ret, "/bin/sh", &actions, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return r;
}

/* The last lines that a command said, on one. */
static struct df_str last_words(struct df_buf *said)
{
	struct df_str text = df_str_trim(df_buf_str(said));

	if (text.len > 400)
		text = df_str(text.ptr + text.len - 400, 400);
	for (size_t i = 0; i < said->len; i++)
		if (said->data[i] == '\n')
			said->data[i] = ' ';
	return text;
}

int df_shell_run(const struct df_shell *shell, int64_t until_ns, struct df_error *err)
{
	df_cleanup(df_closep) int said = df_memory_file((struct df_str){ 0 });
	struct df_buf words = { 0 };
	char how[64] = "did not end in time and was killed";
	int status = 0;
	pid_t pid = 0;
	int r = spawn(shell, said, &pid);

	if (r != 0)
		return df_error_errno(err, DF_ERR_UNKNOWN, r, "cannot run /bin/sh");
	if (df_child_wait(pid, until_ns, &status)) {
		if (status == 0)
			return 0;
		df_child_describe(status, how, sizeof(how));
	} else {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	df_memory_file_read(said, &words);
	struct df_str last = last_words(&words);
	df_error_set(err, DF_ERR_UNKNOWN, "`%.200s` %s%s" DF_STR_FMT, shell->command, how, last.len ? ": " : "",
		     DF_STR_ARG(last));
	df_buf_done(&words);
	return DF_ERR_UNKNOWN;
}

/* ---- a child of a rule ----------------------------------------------------------------------------------- */

int df_stage_in_child(struct df_stage *st, void (*fn)(struct df_stage *st, void *shared), size_t size, int64_t ns,
		      void **ret_shared)
{
	void *shared = mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char how[64];
	int status = 0;
	pid_t pid;

	if (shared == MAP_FAILED)
		df_rule_fail(st, "the suite has no memory for a child: %s", strerror(errno));
	if (ret_shared)
		*ret_shared = shared;
	pid = fork();
	if (pid < 0)
		df_rule_fail(st, "the suite cannot fork: %s", strerror(errno));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fn(st, shared);
		_exit(0);
	}
	if (!df_child_wait(pid, df_clock_monotonic() + ns, &status)) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		df_rule_fail(st, "a process of the rule still ran after %.1f s: %s", (double)ns / (double)DF_NS_PER_S,
			     st->p->testimony->doing);
	}
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return SIGKILL;
	if (WIFEXITED(status) && WEXITSTATUS(status) == DF_EXIT_VERDICT)
		_exit(DF_EXIT_VERDICT); /* it gave the rule's verdict */
	if (status == 0)
		return 0;
	df_child_describe(status, how, sizeof(how));
	df_rule_fail(st, "a process of the rule %s: %s", how, st->p->testimony->doing);
}

_Noreturn void df_stage_die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/* ---- figures --------------------------------------------------------------------------------------------- */

static size_t count_entries(const char *path)
{
	DIR *dir = opendir(path);
	size_t n = 0;

	for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
		if (e->d_name[0] != '.')
			n++;
	if (dir)
		closedir(dir);
	return n;
}

void df_stage_footprint(struct df_footprint *ret)
{
	struct mallinfo2 heap;

	ret->threads = count_entries("/proc/self/task");
	ret->descriptors = count_entries("/proc/self/fd") - 1; /* the one that counts */
	ret->resident_bytes = (size_t)df_memory_resident();
	heap = mallinfo2();
	ret->heap_bytes = heap.uordblks + heap.hblkhd;
}
