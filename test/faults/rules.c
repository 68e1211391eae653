/* The rules: reading them, counting how often a place was reached, doing what they say. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "test/faults/faults.h"
#include "value/value.h"

#define RULES_MAX 32
#define HANG_NS (3600 * DF_NS_PER_S)

enum action { DO_FAIL, DO_POISON, DO_DELAY, DO_HANG, DO_DEAF, DO_CRASH, DO_LATER, DO_COUNT, DO_STEP };

static const char *const point_names[] = {
	[FAULTS_SOURCE_CONNECT] = "source_connect",
	[FAULTS_READ] = "read",
	[FAULTS_COMMIT] = "commit",
	[FAULTS_COMMITTED] = "committed",
	[FAULTS_TRANSFORM] = "transform",
	[FAULTS_SINK_CONNECT] = "sink_connect",
	[FAULTS_WRITE] = "write",
	[FAULTS_WRITTEN] = "written",
	[FAULTS_SYNC] = "sync",
	[FAULTS_SYNCED] = "synced",
	[FAULTS_SAVE] = "save",
	[FAULTS_SAVING] = "saving",
	[FAULTS_SAVED] = "saved",
	[FAULTS_CLOCK] = "clock",
};

static const char *const action_names[] = {
	[DO_FAIL] = "fail",   [DO_POISON] = "poison", [DO_DELAY] = "delay", [DO_HANG] = "hang", [DO_DEAF] = "deaf",
	[DO_CRASH] = "crash", [DO_LATER] = "later",   [DO_COUNT] = "count", [DO_STEP] = "step",
};

struct faults_rule {
	enum faults_point point;
	enum action action;
	const char *type, *while_path, *code_text, *text;
	int output, error;
	int64_t from, times, every, ms, n, seconds;
	const struct df_value *ids;
	atomic_llong reached, messages; /* times, and messages looked at */
};

static struct {
	pthread_once_t once;
	struct df_arena arena;
	struct faults_rule rules[RULES_MAX];
	size_t count;
	int64_t started_ns;
} faults = { .once = PTHREAD_ONCE_INIT };

/* ---- reading --------------------------------------------------------------------------------------------- */

static _Noreturn void refuse(const char *what, const char *name)
{
	fprintf(stderr, "DATAFLOW_FAULTS: %s `%s`\n", what, name);
	exit(3);
}

static int index_of(const char *const *names, size_t n, const char *name, const char *what)
{
	for (size_t i = 0; i < n; i++)
		if (name && strcmp(names[i], name) == 0)
			return (int)i;
	refuse(what, name ? name : "");
}

static int error_of(const char *name)
{
	for (int code = DF_ERR_CONNECTION; code >= DF_ERR_CLOSED; code--)
		if (strcmp(df_code_name(code), name) == 0)
			return code;
	refuse("there is no error", name);
}

static const char *text_of(const struct df_value *rule, const char *key, const char *otherwise)
{
	const struct df_value *v = df_object_get_c(rule, key);
	struct df_str text;
	char *copy;

	if (!v)
		return otherwise;
	text = df_value_text(v, &faults.arena);
	copy = df_arena_zalloc(&faults.arena, text.len + 1);
	return memcpy(copy, text.ptr, text.len);
}

static int64_t number_of(const struct df_value *rule, const char *key, int64_t otherwise)
{
	const struct df_value *v = df_object_get_c(rule, key);
	int64_t n;

	return v && df_value_to_int64(v, &n) ? n : otherwise;
}

static void add_rule(const struct df_value *from)
{
	struct faults_rule *rule = &faults.rules[faults.count++];

	if (faults.count > RULES_MAX)
		refuse("there are more rules than", "RULES_MAX");
	*rule = (struct faults_rule){
		.point = (enum faults_point)index_of(point_names, DF_ARRAY_SIZE(point_names), text_of(from, "at", NULL),
						     "there is no point"),
		.action = (enum action)index_of(action_names, DF_ARRAY_SIZE(action_names), text_of(from, "do", NULL),
						"there is no action"),
		.type = text_of(from, "type", NULL),
		.while_path = text_of(from, "while", NULL),
		.code_text = text_of(from, "code", ""),
		.text = text_of(from, "text", "injected"),
		.output = (int)number_of(from, "output", -1),
		.error = error_of(text_of(from, "error", "unknown")),
		.from = number_of(from, "from", 1),
		.every = number_of(from, "every", 0),
		.ms = number_of(from, "ms", 0),
		.n = number_of(from, "n", 0),
		.seconds = number_of(from, "seconds", 0),
		.ids = df_object_get_c(from, "ids"),
	};
	rule->times = number_of(from, "times", rule->while_path ? 0 : 1);
}

static void add_rules_of(const char *path)
{
	static char text[1 << 16];
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(text, 1, sizeof(text), f) : 0;
	struct df_value *list = NULL;
	struct df_error err = DF_ERROR_INIT;

	if (f)
		fclose(f);
	if (!f || df_value_parse_text(df_str(text, n), &faults.arena, &list, &err) < 0 || list->kind != DF_ARRAY)
		refuse("this is no list of rules:", path);
	df_for_each (rule, list)
		add_rule(rule);
}

/* POINT:N */
static void add_crash(const char *text)
{
	const char *colon = strchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : strlen(text);
	char name[32];

	snprintf(name, sizeof(name), "%.*s", (int)len, text);
	faults.rules[faults.count++] = (struct faults_rule){
		.point = (enum faults_point)index_of(point_names, DF_ARRAY_SIZE(point_names), name,
						     "DATAFLOW_CRASH_AT: there is no point"),
		.action = DO_CRASH,
		.output = -1,
		.from = colon ? atoll(colon + 1) : 1,
		.times = 1,
	};
}

static void load(void)
{
	struct timespec now;
	const char *path = getenv("DATAFLOW_FAULTS"), *crash = getenv("DATAFLOW_CRASH_AT");

	clock_gettime(CLOCK_MONOTONIC, &now);
	faults.started_ns = (int64_t)now.tv_sec * DF_NS_PER_S + now.tv_nsec;
	df_arena_init(&faults.arena, NULL);
	if (path)
		add_rules_of(path);
	if (crash)
		add_crash(crash);
}

/* ---- matching -------------------------------------------------------------------------------------------- */

static bool means(const struct faults_rule *rule, const struct faults_place *place)
{
	return rule->point == place->point && (!rule->type || (place->type && strcmp(rule->type, place->type) == 0)) &&
	       (rule->output < 0 || rule->output == place->output);
}

static bool is_while(const struct faults_rule *rule)
{
	return !rule->while_path || access(rule->while_path, F_OK) == 0;
}

/* Counts this time; true when the rule applies to it. */
static bool due(struct faults_rule *rule)
{
	int64_t n = atomic_fetch_add(&rule->reached, 1) + 1;

	if (n < rule->from || (rule->times > 0 && n >= rule->from + rule->times))
		return false;
	return is_while(rule);
}

static bool is_whole(enum action action)
{
	return action != DO_POISON && action != DO_LATER && action != DO_COUNT && action != DO_STEP;
}

static int act(const struct faults_rule *rule, struct df_context *ctx, struct df_error *err)
{
	struct timespec pause = { rule->ms / 1000, rule->ms % 1000 * DF_NS_PER_MS };
	int r = 0;

	switch (rule->action) {
	case DO_FAIL:
		r = df_error_set(err, rule->error, "%s", rule->text);
		df_error_remote(err, rule->code_text);
		break;
	case DO_DELAY:
	case DO_HANG:
		r = df_context_sleep(ctx, rule->action == DO_HANG ? HANG_NS : rule->ms * DF_NS_PER_MS);
		if (r < 0)
			df_error_set(err, r, "cancelled while it was made to wait");
		break;
	case DO_DEAF:
		nanosleep(&pause, NULL);
		break;
	case DO_CRASH:
		kill(getpid(), SIGKILL);
		pause.tv_sec = 60; /* until it arrives */
		nanosleep(&pause, NULL);
		break;
	default:
		break;
	}
	return r;
}

int faults_at(const struct faults_place *place, struct df_context *ctx, struct df_error *err)
{
	int r = 0;

	pthread_once(&faults.once, load);
	for (size_t i = 0; i < faults.count && r == 0; i++) {
		struct faults_rule *rule = &faults.rules[i];

		if (is_whole(rule->action) && means(rule, place) && due(rule))
			r = act(rule, ctx, err);
	}
	return r;
}

struct faults_rule *faults_choose(const struct faults_place *place)
{
	pthread_once(&faults.once, load);
	for (size_t i = 0; i < faults.count; i++) {
		struct faults_rule *rule = &faults.rules[i];

		if (rule->action == DO_POISON && means(rule, place) && due(rule))
			return rule;
	}
	return NULL;
}

int64_t faults_later(const struct faults_place *place)
{
	pthread_once(&faults.once, load);
	for (size_t i = 0; i < faults.count; i++) {
		struct faults_rule *rule = &faults.rules[i];

		if (rule->action == DO_LATER && means(rule, place) && due(rule))
			return rule->ms;
	}
	return -1;
}

bool faults_any_later(const struct faults_place *place)
{
	bool any = false;

	pthread_once(&faults.once, load);
	for (size_t i = 0; i < faults.count; i++)
		any |= faults.rules[i].action == DO_LATER && means(&faults.rules[i], place);
	return any;
}

size_t faults_count(const struct faults_place *place)
{
	size_t n = 0;

	pthread_once(&faults.once, load);
	for (size_t i = 0; i < faults.count; i++)
		if (faults.rules[i].action == DO_COUNT && means(&faults.rules[i], place) && due(&faults.rules[i]))
			n += (size_t)faults.rules[i].n;
	return n;
}

/* The message is looked at in a copy: parsing is the pipeline's. */
static bool has_id(const struct df_message *m, const struct df_value *ids)
{
	struct df_arena arena;
	struct df_buf text = { 0 };
	struct df_value *root = NULL, *id = NULL;
	bool found = false;

	df_arena_init(&arena, NULL);
	df_message_write(m, &text);
	if (df_value_parse(df_buf_str(&text), &arena, &root, NULL) == DF_PARSE_OK)
		id = df_object_get_c(root, "id");
	df_for_each (wanted, ids) {
		int64_t a, b;

		found |= id && df_value_to_int64(id, &a) && df_value_to_int64(wanted, &b) && a == b;
	}
	df_buf_done(&text);
	df_arena_done(&arena);
	return found;
}

bool faults_chosen(struct faults_rule *rule, const struct df_message *m, struct df_error *err)
{
	bool chosen = rule->every && (atomic_fetch_add(&rule->messages, 1) + 1) % rule->every == 0;

	if (!chosen && rule->ids)
		chosen = has_id(m, rule->ids);
	if (chosen) {
		df_error_set(err, rule->error, "%s", rule->text);
		df_error_remote(err, rule->code_text);
	}
	return chosen;
}

int64_t faults_clock_step(void)
{
	struct timespec now;
	int64_t ms, seconds = 0;
	int saved_errno = errno; /* clock_gettime leaves it alone */

	pthread_once(&faults.once, load);
	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = ((int64_t)now.tv_sec * DF_NS_PER_S + now.tv_nsec - faults.started_ns) / DF_NS_PER_MS;
	for (size_t i = 0; i < faults.count; i++)
		if (faults.rules[i].action == DO_STEP && ms >= faults.rules[i].ms && is_while(&faults.rules[i]))
			seconds += faults.rules[i].seconds;
	errno = saved_errno;
	return seconds;
}
