#include "cmd/trigger.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "cmd/common.h"
#include "spec/secrets.h"

#define PIDFD_POLL_MS 100 /* where the kernel has no pidfd_open (before 5.3) */

/* What a command gets of the environment of this process: enough to find programs, nothing that may be a secret. */
static const char *const inherited[] = { "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR" };

const char *df_trigger_name(const struct df_trigger *trigger, size_t index, char *out)
{
	if (trigger->name && trigger->name[0])
		snprintf(out, 80, "%s", trigger->name);
	else
		snprintf(out, 80, "trigger-%zu", index);
	return out;
}

/* ---- the environment ------------------------------------------------------------------------------------- */

struct environment {
	const struct df_trigger_options *o;
	struct df_arena arena; /* of the manifest's list */
	char **items;	       /* NULL-terminated; each is freed */
	size_t count;
};

static void environment_done(struct environment *e)
{
	for (size_t i = 0; i < e->count; i++) {
		explicit_bzero(e->items[i], strlen(e->items[i]));
		free(e->items[i]);
	}
	free(e->items);
	df_arena_done(&e->arena);
}

/* The last one of a name counts, as in a container. */
static int set_variable(struct environment *e, struct df_str name, struct df_str value, struct df_error *err)
{
	char **items = reallocarray(e->items, e->count + 2, sizeof(*items));
	struct df_buf buf = { 0 };
	char *text;

	if (!items)
		return df_error_no_memory(err);
	e->items = items;
	df_buf_add_str(&buf, name);
	df_buf_add_char(&buf, '=');
	df_buf_add_str(&buf, value);
	text = df_buf_take(&buf);
	if (!text)
		return df_error_no_memory(err);
	for (size_t i = 0; i < e->count; i++)
		if (strncmp(e->items[i], text, name.len + 1) == 0) {
			free(e->items[i]);
			e->items[i] = text;
			return 0;
		}
	items[e->count++] = text;
	items[e->count] = NULL;
	return 0;
}

static struct df_str value_of(const struct environment *e, struct df_str name, bool *ret_found)
{
	for (size_t i = 0; i < e->count; i++)
		if (strncmp(e->items[i], name.ptr, name.len) == 0 && e->items[i][name.len] == '=') {
			*ret_found = true;
			return df_str_c(e->items[i] + name.len + 1);
		}
	*ret_found = false;
	return (struct df_str){ 0 };
}

/* `$(NAME)` is the variable's value, or stays as it is when there is none; `$$` is one `$`. As in a container
 * (Container.command in the Kubernetes API). */
static void expand(const struct environment *e, struct df_str text, struct df_buf *buf)
{
	for (size_t i = 0; i < text.len; i++) {
		const char *at = text.ptr + i, *end;
		size_t left = text.len - i;
		struct df_str value;
		bool found;

		if (left < 2 || at[0] != '$') {
			df_buf_add_char(buf, at[0]);
		} else if (at[1] == '$') {
			df_buf_add_char(buf, '$');
			i++;
		} else if (at[1] == '(' && (end = memchr(at, ')', left)) != NULL) {
			value = value_of(e, df_str(at + 2, (size_t)(end - at) - 2), &found);
			df_buf_add_str(buf, found ? value : df_str(at, (size_t)(end - at) + 1));
			i += (size_t)(end - at);
		} else {
			df_buf_add_char(buf, '$');
		}
	}
}

static int set_expanded(struct environment *e, struct df_str name, struct df_str value, struct df_error *err)
{
	struct df_buf buf = { 0 };
	int r;

	expand(e, value, &buf);
	r = buf.failed ? df_error_no_memory(err) : set_variable(e, name, df_buf_str(&buf), err);
	df_buf_done(&buf);
	return r;
}

static struct df_str text_of(const struct df_value *object, const char *key, struct df_arena *arena)
{
	const struct df_value *v = df_object_get_c(object, key);

	return v && v->kind == DF_STRING ? df_value_text(v, arena) : (struct df_str){ 0 };
}

/* The Secret's key as a file below --secrets. An optional one that is not there leaves the variable unset. */
static int set_from_secret(struct environment *e, struct df_str name, const struct df_value *ref, struct df_error *err)
{
	const struct df_value *optional = df_object_get_c(ref, "optional");
	struct df_secret_store *store = df_secret_store_new(e->o->secrets_dir, e->o->namespace);
	struct df_secret_ref wanted = { 0 };
	const struct df_secrets *secrets;
	char *value = NULL;
	int r = DF_ERR_NO_MEMORY;

	wanted.name = df_str_dup(text_of(ref, "name", &e->arena));
	wanted.key = df_str_dup(text_of(ref, "key", &e->arena));
	if (!store || !wanted.name || !wanted.key) {
		df_error_no_memory(err);
		goto out;
	}
	secrets = df_secret_store_get(store);
	r = secrets->get(secrets, &wanted, &value, err);
	if (r == 0 && value)
		r = set_variable(e, name, df_str_c(value), err);
	else if (optional && optional->kind == DF_TRUE)
		r = 0;
	else if (r < 0)
		df_error_prefix(err, "env " DF_STR_FMT, DF_STR_ARG(name));
out:
	if (value)
		explicit_bzero(value, strlen(value));
	free(value);
	free(wanted.name);
	free(wanted.key);
	df_secret_store_free(store);
	return r;
}

static int set_from_manifest(struct environment *e, struct df_error *err)
{
	const struct df_raw *raw = &e->o->trigger->env;
	struct df_value *list = NULL;
	int r;

	if (!raw->json)
		return 0;
	r = df_value_parse_text(df_str(raw->json, raw->len), &e->arena, &list, err);
	if (r < 0)
		return r;
	df_for_each (entry, list) {
		struct df_str name = text_of(entry, "name", &e->arena);
		const struct df_value *from = df_object_get_c(entry, "valueFrom");
		const struct df_value *secret = from ? df_object_get_c(from, "secretKeyRef") : NULL;

		if (from && !secret)
			return df_error_set(err, DF_ERR_CONFIG,
					    "env " DF_STR_FMT ": only values and secretKeyRef are there outside of "
					    "Kubernetes",
					    DF_STR_ARG(name));
		r = secret ? set_from_secret(e, name, secret, err)
			   : set_expanded(e, name, text_of(entry, "value", &e->arena), err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int set_about_the_run(struct environment *e, struct df_error *err)
{
	const struct df_trigger_options *o = e->o;
	char time[DF_TIME_TEXT], index[24];
	const struct {
		const char *name, *value;
	} all[] = {
		{ "DATAFLOW_NAMESPACE", o->namespace },
		{ "DATAFLOW_NAME", o->name },
		{ "DATAFLOW_SCHEDULED_TIME", time },
		{ "DATAFLOW_TRIGGER_INDEX", index },
	};
	int r = 0;

	df_time_text(o->scheduled, NULL, time);
	snprintf(index, sizeof(index), "%zu", o->index);
	for (size_t i = 0; i < DF_ARRAY_SIZE(all) && r == 0; i++)
		r = set_variable(e, df_str_c(all[i].name), df_str_c(all[i].value), err);
	for (size_t i = 0; i < DF_ARRAY_SIZE(inherited) && r == 0; i++)
		if (getenv(inherited[i]))
			r = set_variable(e, df_str_c(inherited[i]), df_str_c(getenv(inherited[i])), err);
	return r;
}

/* ---- the process ----------------------------------------------------------------------------------------- */

static void free_argv(char **argv)
{
	for (size_t i = 0; argv && argv[i]; i++)
		free(argv[i]);
	free(argv);
}

/* command and args behind each other; NULL when out of memory. */
static char **make_argv(const struct environment *e)
{
	const struct df_trigger *t = e->o->trigger;
	char **argv = calloc(t->command.count + t->args.count + 1, sizeof(*argv));

	for (size_t i = 0; argv && i < t->command.count + t->args.count; i++) {
		struct df_buf buf = { 0 };

		expand(e, df_str_c(i < t->command.count ? t->command.items[i] : t->args.items[i - t->command.count]),
		       &buf);
		argv[i] = df_buf_take(&buf);
		if (!argv[i]) {
			free_argv(argv);
			return NULL;
		}
	}
	return argv;
}

/* In a process group of its own, so that what it starts ends with it; with no signal blocked or ignored. Standard input
 * is empty, what it writes goes to our standard error. */
static int spawn(char **argv, char **env, pid_t *ret)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, ordinary;
	int e;

	sigemptyset(&none);
	sigemptyset(&ordinary);
	sigaddset(&ordinary, SIGPIPE);
	sigaddset(&ordinary, SIGXFSZ);
	e = posix_spawn_file_actions_init(&files);
	if (e)
		return e;
	e = posix_spawnattr_init(&attributes);
	if (e) {
		posix_spawn_file_actions_destroy(&files);
		return e;
	}
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &ordinary);
	e = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	if (!e)
		e = posix_spawn_file_actions_adddup2(&files, 2, 1);
	if (!e)
		e = posix_spawnp(ret, argv[0], &files, &attributes, argv, env);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return e;
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == pid;
}

/* Until the process ends, or the context is cancelled, or the time has come. */
static void wait_for(pid_t pid, int pidfd, struct df_context *ctx, int64_t until)
{
	while (!has_ended(pid) && !df_context_canceled(ctx)) {
		int64_t left = until == INT64_MAX ? INT64_MAX : (until - df_clock_monotonic()) / DF_NS_PER_MS + 1;
		int timeout = pidfd < 0 ? PIDFD_POLL_MS : left > 3600000 ? 3600000 : (int)left;
		struct pollfd fds[2] = { { df_context_fd(ctx), POLLIN, 0 }, { pidfd, POLLIN, 0 } };

		if (left <= 0)
			return;
		poll(fds, pidfd < 0 ? 1 : 2, timeout);
	}
}

/* SIGTERM at stop, SIGKILL when the grace period is over or at kill. Whatever it left behind ends with it. */
static int supervise(const struct df_trigger_options *o, pid_t pid, int *ret_status)
{
	df_cleanup(df_closep) int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	bool stopped;

	wait_for(pid, pidfd, o->stop, INT64_MAX);
	stopped = !has_ended(pid);
	if (stopped) {
		kill(-pid, SIGTERM);
		wait_for(pid, pidfd, o->kill, df_clock_monotonic() + o->grace_ns);
	}
	kill(-pid, SIGKILL);
	while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
		;
	return stopped ? DF_ERR_CANCELED : 0;
}

static int judge(int status, struct df_error *err)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status))
		return df_error_set(err, DF_ERR_UNKNOWN, "it ended with exit status %d", WEXITSTATUS(status));
	return df_error_set(err, DF_ERR_UNKNOWN, "it was ended by signal %d (%s)", WTERMSIG(status),
			    strsignal(WTERMSIG(status)));
}

static int run_command(const struct df_trigger_options *o, char **argv, char **env, struct df_error *err)
{
	int status = 0, e;
	pid_t pid;

	e = spawn(argv, env, &pid);
	if (e)
		return df_error_errno(err, DF_ERR_UNKNOWN, e, "cannot start %s", argv[0]);
	if (supervise(o, pid, &status) < 0)
		return df_error_set(err, DF_ERR_CANCELED, "it was stopped");
	return judge(status, err);
}

void df_trigger_check(const struct df_trigger *trigger, const struct df_place *place, struct df_diags *diags)
{
	if (trigger->command.count == 0)
		df_diag_error(diags, place, "command",
			      "is required outside of Kubernetes: it is run as a local command, the image `%s` is not",
			      trigger->image);
}

int df_trigger_run(const struct df_trigger_options *options, struct df_error *err)
{
	struct environment e = { .o = options };
	char **argv = NULL;
	char name[80];
	int r;

	df_arena_init(&e.arena, NULL);
	r = set_about_the_run(&e, err);
	if (r == 0)
		r = set_from_manifest(&e, err);
	if (r == 0) {
		argv = make_argv(&e);
		r = argv ? 0 : df_error_no_memory(err);
	}
	if (r == 0)
		r = run_command(options, argv, e.items, err);
	if (r < 0)
		df_error_prefix(err, "trigger %s", df_trigger_name(options->trigger, options->index, name));
	environment_done(&e);
	free_argv(argv);
	return r;
}
