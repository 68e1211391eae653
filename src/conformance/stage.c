/* Names, settings and instances of a rule. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "conformance/internal.h"

#define CONNECT_NS (30 * DF_NS_PER_S)
#define SETUP_NS (60 * DF_NS_PER_S)

/* Settings that were parsed as the manifest says, with these texts in place of the placeholders: instances that are
 * made again and again cost nothing more. */
struct df_written {
	struct df_written *next;
	enum df_component_kind kind;
	const char *name, *address;
	struct df_component component;
};

static _Noreturn void no_memory(struct df_stage *st)
{
	df_rule_fail(st, "the suite is out of memory");
}

static const char *copy(struct df_stage *st, const char *text)
{
	struct df_str s = df_arena_dup(st->arena, df_str_c(text));

	if (!s.ptr)
		no_memory(st);
	return s.ptr;
}

/* ---- opening --------------------------------------------------------------------------------------------- */

static uint64_t random_number(void)
{
	uint64_t n = 0;

	if (getrandom(&n, sizeof(n), 0) != (ssize_t)sizeof(n))
		n = (uint64_t)df_clock_now(NULL) ^ (uint64_t)getpid() << 40;
	return n;
}

static void make_logger(struct df_stage *st, enum df_component_kind kind)
{
	const struct df_type *type = st->p->subject->type[kind];
	char text[128];

	snprintf(text, sizeof(text), "%s-%s", type ? type->name : "no", df_component_kind_name(kind));
	st->p->loggers[kind] = (struct df_logger){ "conformance", st->p->flow, copy(st, text) };
}

struct df_stage *df_stage_open(const struct df_subject *subject, const struct df_conformance_rule *rule,
			       struct df_testimony *testimony, int log)
{
	struct df_stage *st = calloc(1, sizeof(*st));
	struct df_stage_private *p = calloc(1, sizeof(*p));

	if (!st || !p)
		_exit(DF_EXIT_VERDICT);
	p->subject = subject;
	p->testimony = testimony;
	p->log = log;
	p->run = random_number();
	df_arena_init(&p->arena, NULL);
	snprintf(p->flow, sizeof(p->flow), "df-%llx", (unsigned long long)random_number());
	*st = (struct df_stage){ .options = subject->options,
				 .rule = rule,
				 .address = subject->options->server,
				 .arena = &p->arena,
				 .quick = subject->options->quick,
				 .p = p };
	make_logger(st, DF_SOURCE);
	make_logger(st, DF_SINK);
	df_stage_name(st, NULL);
	return st;
}

/* ---- names ----------------------------------------------------------------------------------------------- */

static void remember_name(struct df_stage *st)
{
	struct df_testimony *t = st->p->testimony;
	size_t len = strlen(st->name) + 1, at = atomic_load(&t->names_len);

	if (len > DF_NAMES_MAX - at)
		df_rule_fail(st, "the suite has no room for more names");
	memcpy(t->names + at, st->name, len);
	atomic_store(&t->names_len, at + len);
}

static void run_setup(struct df_stage *st)
{
	struct df_shell shell = {
		.command = st->options->setup, .name = st->name, .server = st->options->server, .in = -1, .out = -1
	};
	struct df_error err = DF_ERROR_INIT;

	df_stage_doing(st, "running the setup command");
	if (df_shell_run(&shell, df_clock_monotonic() + SETUP_NS, &err) < 0)
		df_rule_fail(st, "the setup command: %s", err.text);
}

void df_stage_name(struct df_stage *st, const char *name)
{
	char fresh[32];

	if (!name) {
		snprintf(fresh, sizeof(fresh), "df_%012llx", (unsigned long long)(random_number() & 0xffffffffffffull));
		name = fresh;
	}
	st->name = copy(st, name);
	remember_name(st);
	if (st->options->setup)
		run_setup(st);
}

void df_stage_address(struct df_stage *st, const char *address)
{
	st->address = address ? copy(st, address) : st->options->server;
}

/* ---- settings -------------------------------------------------------------------------------------------- */

struct df_value *df_stage_config(struct df_stage *st, enum df_component_kind kind)
{
	struct df_value *config = df_subject_config(st->p->subject, kind, st->name, st->address, st->arena);

	if (!config)
		no_memory(st);
	return config;
}

static struct df_written *find_written(struct df_stage *st, enum df_component_kind kind)
{
	for (struct df_written *w = st->p->written; w; w = w->next)
		if (w->kind == kind && w->name == st->name && w->address == st->address)
			return w;
	return NULL;
}

bool df_stage_parse(struct df_stage *st, enum df_component_kind kind, const struct df_value *config,
		    struct df_component **ret, struct df_diags *diags)
{
	struct df_written *w = config ? NULL : find_written(st, kind);

	if (!w) {
		w = df_arena_zalloc(&st->p->arena, sizeof(*w)); /* st->arena may be one for a while only */
		if (!w)
			no_memory(st);
		df_subject_parse(st->p->subject, kind, config ? config : df_stage_config(st, kind), st->arena,
				 &w->component, diags);
		if (!config && diags->errors == 0) {
			*w = (struct df_written){ st->p->written, kind, st->name, st->address, w->component };
			st->p->written = w;
		}
	}
	*ret = &w->component;
	return diags->errors == 0;
}

const struct df_component *df_stage_as_written(struct df_stage *st, enum df_component_kind kind)
{
	struct df_component *component = NULL;
	struct df_diags diags = { 0 };
	struct df_error err = DF_ERROR_INIT;

	if (!df_stage_parse(st, kind, NULL, &component, &diags))
		df_rule_ok(st, df_diags_error(&diags, &err), &err, "the settings are refused");
	df_diags_done(&diags);
	return component;
}

/* ---- instances ------------------------------------------------------------------------------------------- */

static struct df_connector_env env_of(struct df_stage *st, enum df_component_kind kind, bool once)
{
	return (struct df_connector_env){ .logger = &st->p->loggers[kind],
					  .clock = &st->p->clock,
					  .namespace = "conformance",
					  .name = st->p->flow,
					  .once = once,
					  .run = st->p->run };
}

struct df_source *df_stage_source_of(struct df_stage *st, const struct df_component *component, bool once)
{
	struct df_connector_env env = env_of(st, DF_SOURCE, once);
	struct df_error err = DF_ERROR_INIT;
	struct df_source *s = NULL;

	df_stage_doing(st, "creating the source");
	df_rule_ok(st, df_source_create(df_str_c(component->type->name), component->settings, &env, &s, &err), &err,
		   "creating the source");
	df_rule_check(st, s, "creating the source: it said that it succeeded, and there is none");
	return s;
}

struct df_sink *df_stage_sink_of(struct df_stage *st, const struct df_component *component)
{
	struct df_connector_env env = env_of(st, DF_SINK, true);
	struct df_error err = DF_ERROR_INIT;
	struct df_sink *s = NULL;

	df_stage_doing(st, "creating the sink");
	df_rule_ok(st, df_sink_create(df_str_c(component->type->name), component->settings, &env, &s, &err), &err,
		   "creating the sink");
	df_rule_check(st, s, "creating the sink: it said that it succeeded, and there is none");
	return s;
}

struct df_source *df_stage_source(struct df_stage *st)
{
	return df_stage_source_of(st, df_stage_as_written(st, DF_SOURCE), true);
}

struct df_sink *df_stage_sink(struct df_stage *st)
{
	return df_stage_sink_of(st, df_stage_as_written(st, DF_SINK));
}

struct df_source *df_stage_connected_source(struct df_stage *st)
{
	df_cleanup(df_context_freep) struct df_context *ctx = df_context_new(NULL);
	struct df_source *s = df_stage_source(st);
	struct df_error err = DF_ERROR_INIT;

	if (!ctx)
		no_memory(st);
	df_context_deadline(ctx, df_clock_monotonic() + CONNECT_NS);
	df_stage_doing(st, "connecting the source");
	df_rule_ok(st, s->ops->connect(s, ctx, &err), &err, "connecting the source");
	return s;
}

struct df_sink *df_stage_connected_sink(struct df_stage *st)
{
	df_cleanup(df_context_freep) struct df_context *ctx = df_context_new(NULL);
	struct df_sink *s = df_stage_sink(st);
	struct df_error err = DF_ERROR_INIT;

	if (!ctx)
		no_memory(st);
	df_context_deadline(ctx, df_clock_monotonic() + CONNECT_NS);
	df_stage_doing(st, "connecting the sink");
	df_rule_ok(st, s->ops->connect(s, ctx, &err), &err, "connecting the sink");
	return s;
}

struct df_str df_stage_log(struct df_stage *st)
{
	struct df_buf buf = { 0 };
	struct df_str text;

	df_memory_file_read(st->p->log, &buf);
	text = df_arena_dup(st->arena, df_buf_str(&buf));
	df_buf_done(&buf);
	if (!text.ptr)
		no_memory(st);
	return text;
}
