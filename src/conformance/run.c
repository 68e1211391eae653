/* Running the rules: which, each in a process of its own, and what it said. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "conformance/internal.h"

#define RULE_NS (60 * DF_NS_PER_S)
#define CLEANUP_NS (60 * DF_NS_PER_S)
#define LOG_SHOWN 2000 /* bytes of what was logged, below a rule that failed */

/* The process group of the rule that runs, for the handler of signals that end the suite. */
static volatile sig_atomic_t group, stopped;

struct run {
	struct df_subject subject;
	struct df_testimony *testimony;
	FILE *out;
};

/* ---- which rules ----------------------------------------------------------------------------------------- */

/* "source" names the group, "source.empty" the rule. */
static bool names_rule(const char *name, const char *rule)
{
	size_t n = strlen(name);

	return strncmp(name, rule, n) == 0 && (rule[n] == '\0' || rule[n] == '.');
}

static bool is_wanted(const struct df_conformance_options *o, const char *rule)
{
	if (!o->rules || !o->rules[0])
		return true;
	for (size_t i = 0; o->rules[i]; i++)
		if (names_rule(o->rules[i], rule))
			return true;
	return false;
}

static const char *const groups[] = { "lifecycle", "settings", "source", "sink", "types", "identifiers" };

static int check_names(const struct df_conformance_options *o, struct df_error *err)
{
	size_t n;
	const struct df_conformance_rule *const *rules = df_conformance_rules(&n);

	for (size_t i = 0; o->rules && o->rules[i]; i++) {
		const char *names[DF_RULES_MAX + DF_ARRAY_SIZE(groups)], *near;
		size_t known = 0;

		for (size_t k = 0; k < n; k++) {
			known += names_rule(o->rules[i], rules[k]->name);
			names[k] = rules[k]->name;
		}
		if (known)
			continue;
		memcpy(names + n, groups, sizeof(groups));
		near = df_nearest(df_str_c(o->rules[i]), names, n + DF_ARRAY_SIZE(groups));
		return df_error_set(err, DF_ERR_CONFIG, "there is no rule and no group of rules `%s`%s%s%s",
				    o->rules[i], near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
	}
	return 0;
}

/* ---- the process of a rule ------------------------------------------------------------------------------- */

static _Noreturn void be_the_rule(struct run *run, const struct df_conformance_rule *rule, int log)
{
	static const int defaults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGINT, SIGTERM, SIGHUP };
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct df_stage *st;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
	/* Who calls the suite may catch them; here a crash is a verdict. */
	for (size_t i = 0; i < DF_ARRAY_SIZE(defaults); i++)
		signal(defaults[i], SIG_DFL);
	mallopt(M_PERTURB, 0xa5); /* what is used after free, or before it is set, shows */
	dup2(nothing, STDIN_FILENO);
	dup2(nothing, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	close(nothing);
	df_log_setup(DF_LOG_TEXT, "debug");
	st = df_stage_open(&run->subject, rule, run->testimony, log);
	rule->run(st);
	if (atomic_exchange(&run->testimony->taken, 1) == 0)
		atomic_store(&run->testimony->given, 1 + DF_VERDICT_PASS);
	_exit(DF_EXIT_VERDICT);
}

static const int stops[] = { SIGINT, SIGTERM, SIGHUP };

/* The rule ends, and the suite behind its cleanup. */
static void stop(int signal_number)
{
	int saved = errno;

	stopped = signal_number;
	if (group > 0)
		kill(-(pid_t)group, SIGKILL);
	errno = saved;
}

/* What the caller ignores or catches itself stays so. */
static void catch_stops(struct sigaction *old)
{
	const struct sigaction ours = { .sa_handler = stop };

	stopped = 0;
	for (size_t i = 0; i < DF_ARRAY_SIZE(stops); i++)
		if (sigaction(stops[i], NULL, &old[i]) == 0 && old[i].sa_handler == SIG_DFL)
			sigaction(stops[i], &ours, NULL);
}

static void release_stops(const struct sigaction *old)
{
	for (size_t i = 0; i < DF_ARRAY_SIZE(stops); i++)
		sigaction(stops[i], &old[i], NULL);
}

/* Everything that it started goes with it. */
static bool await_rule(pid_t pid, int64_t ns, int *ret_status)
{
	bool ended = df_child_wait(pid, df_clock_monotonic() + ns, ret_status);

	kill(-pid, SIGKILL);
	if (!ended) {
		kill(pid, SIGKILL);
		waitpid(pid, ret_status, 0);
	}
	return ended;
}

static void cleanup(struct run *run)
{
	const struct df_conformance_options *o = run->subject.options;
	const struct df_testimony *t = run->testimony;
	size_t len = atomic_load(&t->names_len);

	for (size_t at = 0; o->cleanup && at < len; at += strlen(t->names + at) + 1) {
		struct df_shell shell = {
			.command = o->cleanup, .name = t->names + at, .server = o->server, .in = -1, .out = -1
		};
		struct df_error err = DF_ERROR_INIT;

		if (df_shell_run(&shell, df_clock_monotonic() + CLEANUP_NS, &err) < 0 && run->out)
			fprintf(run->out, "      the cleanup command: %s\n", err.text);
	}
}

/* ---- verdicts -------------------------------------------------------------------------------------------- */

/* One line of valid UTF-8: what connectors say may be anything. The caller frees. */
static char *tidy(const char *text)
{
	struct df_buf buf = { 0 };
	struct df_str rest = df_str_trim(df_str_c(text));

	while (rest.len) {
		size_t bad = 0;
		bool valid = df_utf8_valid(rest, &bad);

		df_buf_add(&buf, rest.ptr, valid ? rest.len : bad);
		if (valid)
			break;
		df_buf_add_char(&buf, '?');
		rest = df_str(rest.ptr + bad + 1, rest.len - bad - 1);
	}
	for (size_t i = 0; i < buf.len; i++)
		if ((unsigned char)buf.data[i] < ' ')
			buf.data[i] = ' ';
	return df_buf_take(&buf);
}

static void judge(struct run *run, const struct df_conformance_rule *rule, bool ended, int status, int64_t limit_ns,
		  struct df_conformance_result *ret)
{
	const struct df_testimony *t = run->testimony;
	int given = atomic_load(&t->given);
	char text[DF_SEEN_MAX + 2 * DF_DOING_MAX], how[64];

	*ret = (struct df_conformance_result){ .rule = rule->name, .verdict = DF_VERDICT_FAIL };
	if (given && ended) {
		ret->verdict = (enum df_verdict)(given - 1);
		snprintf(text, sizeof(text), "%s", ret->verdict == DF_VERDICT_PASS ? t->note : t->seen);
	} else if (!ended) {
		snprintf(text, sizeof(text), "still at it after %.0f s: %s", (double)limit_ns / (double)DF_NS_PER_S,
			 t->doing);
	} else {
		df_child_describe(status, how, sizeof(how));
		snprintf(text, sizeof(text), "the process %s: %s", how, t->doing);
	}
	ret->seen = text[0] ? tidy(text) : NULL;
}

static int64_t limit_of(const struct run *run, const struct df_conformance_rule *rule)
{
	int64_t asked = run->subject.options->rule_ns > 0 ? run->subject.options->rule_ns : RULE_NS;
	int64_t own = rule->seconds * DF_NS_PER_S;

	return own > asked ? own : asked;
}

static int run_rule(struct run *run, const struct df_conformance_rule *rule, struct df_buf *ret_log,
		    struct df_conformance_result *ret, struct df_error *err)
{
	df_cleanup(df_closep) int log = df_memory_file((struct df_str){ 0 });
	int64_t limit = limit_of(run, rule), started = df_clock_monotonic();
	int status = 0;
	bool ended;
	pid_t pid;

	if (log < 0)
		return df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot make a file in memory");
	/* Both ends may write: each at the end of what is there. */
	fcntl(log, F_SETFL, O_APPEND);
	memset(run->testimony, 0, offsetof(struct df_testimony, names));
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot fork");
	if (pid == 0)
		be_the_rule(run, rule, log);
	setpgid(pid, pid);
	group = pid;
	if (stopped)
		stop(stopped);
	ended = await_rule(pid, limit, &status);
	group = 0;
	judge(run, rule, ended, status, limit, ret);
	ret->ns = df_clock_monotonic() - started;
	df_memory_file_read(log, ret_log);
	cleanup(run);
	return 0;
}

/* ---- telling --------------------------------------------------------------------------------------------- */

static const char *const verdict_words[] = { "pass", "FAIL", "n/a " };

/* The end of what was logged, each line indented. */
static void tell_log(FILE *out, struct df_str log)
{
	if (log.len > LOG_SHOWN) {
		const char *from = memchr(log.ptr + log.len - LOG_SHOWN, '\n', LOG_SHOWN);

		log = from ? df_str(from + 1, (size_t)(log.ptr + log.len - from - 1)) : (struct df_str){ 0 };
	}
	while (log.len) {
		const char *end = memchr(log.ptr, '\n', log.len);
		size_t n = end ? (size_t)(end - log.ptr) : log.len;

		fprintf(out, "      | %.*s\n", (int)n, log.ptr);
		log = end ? df_str(end + 1, log.len - n - 1) : (struct df_str){ 0 };
	}
}

static void tell(const struct run *run, const struct df_conformance_result *result, const struct df_buf *log)
{
	if (!run->out)
		return;
	fprintf(run->out, "%s  %-34s", verdict_words[result->verdict], result->rule);
	if (result->verdict == DF_VERDICT_NOT_APPLICABLE)
		fprintf(run->out, "%9s", "");
	else
		fprintf(run->out, " %6.2f s", (double)result->ns / (double)DF_NS_PER_S);
	fprintf(run->out, "%s%s\n", result->seen ? "  " : "", result->seen ? result->seen : "");
	if (result->verdict == DF_VERDICT_FAIL)
		tell_log(run->out, df_buf_str(log));
	fflush(run->out);
}

static void count(struct df_conformance_report *report, enum df_verdict verdict)
{
	if (verdict == DF_VERDICT_PASS)
		report->passed++;
	else if (verdict == DF_VERDICT_FAIL)
		report->failed++;
	else
		report->not_applicable++;
}

static int run_one(struct run *run, const struct df_conformance_rule *rule, struct df_conformance_report *ret,
		   struct df_error *err)
{
	struct df_conformance_result *result = &ret->results[ret->count];
	const char *lacks = df_subject_lacks(&run->subject, rule->needs);
	struct df_buf log = { 0 };
	int r = 0;

	if (lacks)
		*result = (struct df_conformance_result){ rule->name, DF_VERDICT_NOT_APPLICABLE, strdup(lacks), 0 };
	else
		r = run_rule(run, rule, &log, result, err);
	if (r == 0) {
		ret->count++;
		count(ret, result->verdict);
		tell(run, result, &log);
	}
	df_buf_done(&log);
	return r;
}

static int run_all(struct run *run, struct df_conformance_report *ret, struct df_error *err)
{
	size_t n;
	const struct df_conformance_rule *const *rules = df_conformance_rules(&n);
	int r = 0;

	ret->results = calloc(n + 1, sizeof(*ret->results));
	if (!ret->results)
		return df_error_no_memory(err);
	for (size_t i = 0; r == 0 && !stopped && i < n; i++)
		if (is_wanted(run->subject.options, rules[i]->name))
			r = run_one(run, rules[i], ret, err);
	return r == 0 && stopped ? df_error_set(err, DF_ERR_CANCELED, "stopped by SIG%s", sigabbrev_np(stopped)) : r;
}

int df_conformance_run(const struct df_conformance_options *options, struct df_conformance_report *ret,
		       struct df_diags *diags, struct df_error *err)
{
	struct run run = { .out = options->out };
	struct sigaction old[DF_ARRAY_SIZE(stops)];
	int r = check_names(options, err);

	*ret = (struct df_conformance_report){ 0 };
	if (r < 0)
		return r;
	run.testimony = mmap(NULL, sizeof(*run.testimony), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (run.testimony == MAP_FAILED)
		return df_error_no_memory(err);
	r = df_subject_load(&run.subject, options, diags, err);
	catch_stops(old);
	if (r == 0)
		r = run_all(&run, ret, err);
	release_stops(old);
	if (r == 0 && options->report)
		r = df_report_write(&run.subject, ret, err);
	df_subject_done(&run.subject);
	munmap(run.testimony, sizeof(*run.testimony));
	return r;
}

void df_conformance_report_done(struct df_conformance_report *report)
{
	for (size_t i = 0; i < report->count; i++)
		free(report->results[i].seen);
	free(report->results);
	*report = (struct df_conformance_report){ 0 };
}
