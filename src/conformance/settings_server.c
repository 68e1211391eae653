/* Servers that refuse: wrong credentials, a port where nobody listens, one where nobody answers. */
#include <stdio.h>
#include <string.h>

#include "conformance/settings.h"
#include "spec/yaml.h"

#define SIDE(kind) df_component_kind_name(kind)
#define PATIENCE_NS (30 * DF_NS_PER_S) /* a connector's own timeout must be no longer */
#define SLACK_NS (3 * DF_NS_PER_S)

/* connect, and use when it does not go to the server itself; what went wrong. */
static int first_contact(struct df_stage *st, struct df_instance *i, struct df_context *ctx, struct df_error *err)
{
	int r = df_instance_connect(st, i, ctx, err);

	return r == 0 ? df_instance_try(st, i, err) : r;
}

struct contact {
	struct df_stage *st;
	struct df_instance *i;
};

static int contact_main(void *arg, struct df_error *err)
{
	struct contact *c = arg;
	struct df_context *ctx = df_context_new(NULL); /* without a deadline: the connector's own must do */
	int r = ctx ? first_contact(c->st, c->i, ctx, err) : DF_ERR_NO_MEMORY;

	df_context_free(ctx);
	return r;
}

static int contact_within(struct df_stage *st, struct df_instance *i, int64_t ns, struct df_error *err)
{
	struct contact c = { st, i };

	return df_task_end(st, df_task_start(st, contact_main, &c), ns,
			   i->kind == DF_SOURCE ? "connecting the source" : "connecting the sink", err);
}

/* ---- credentials ----------------------------------------------------------------------------------------- */

/* "source.config.password=x" for the source: "config.password=x"; NULL: it is the other side's. */
static const char *for_side(const char *assignment, enum df_component_kind kind)
{
	size_t n = strlen(SIDE(kind));

	return strncmp(assignment, SIDE(kind), n) == 0 && assignment[n] == '.' ? assignment + n + 1 : NULL;
}

/* The settings with what cannot authenticate; NULL: nothing was given for this side. */
static struct df_value *wrong_config(struct df_stage *st, enum df_component_kind kind)
{
	struct df_value *root = df_value_new(st->arena, DF_OBJECT), *config = df_stage_config(st, kind);
	struct df_error err = DF_ERROR_INIT;
	size_t n = 0;

	df_rule_check(st, root, "the suite is out of memory");
	df_object_set(root, DF_STR("config"), config);
	for (size_t i = 0; st->options->wrong_credentials[i]; i++) {
		const char *assignment = for_side(st->options->wrong_credentials[i], kind);

		if (!assignment)
			continue;
		df_rule_ok(st, df_yaml_set(root, df_str_c(assignment), st->arena, &err), &err, "--wrong-credentials");
		n++;
	}
	return n ? df_object_get_c(root, "config") : NULL;
}

static const char *credentials_side(struct df_stage *st, enum df_component_kind kind)
{
	struct df_value *config = wrong_config(st, kind);
	struct df_component *component = NULL;
	struct df_diags diags = { 0 };
	struct df_error err = DF_ERROR_INIT;
	struct df_instance i;
	int r;

	if (!config)
		return "--wrong-credentials names none of its settings";
	if (!df_stage_parse(st, kind, config, &component, &diags))
		df_rule_ok(st, df_diags_error(&diags, &err), &err, "the settings with wrong credentials are refused");
	i = df_instance_of(st, component, true);
	r = contact_within(st, &i, PATIENCE_NS, &err);
	df_rule_check(st, r == DF_ERR_AUTH, "%s: wrong credentials: expected auth_error, saw %s%s%s", SIDE(kind),
		      r == 0 ? "success" : df_code_name(r), r ? ": " : "", r ? err.text : "");
	df_instance_end(st, &i);
	return NULL;
}

static void credentials(struct df_stage *st)
{
	df_each_side(st, credentials_side);
}

/* ---- nobody there ---------------------------------------------------------------------------------------- */

static const char *closed_port_side(struct df_stage *st, enum df_component_kind kind)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_instance i;
	int r;

	df_stage_address(st, df_closed_address(st));
	i = df_instance_new(st, kind, true);
	r = contact_within(st, &i, PATIENCE_NS + SLACK_NS, &err);
	df_rule_check(st, r == DF_ERR_CONNECTION, "%s: a closed port: expected connection_error, saw %s%s%s",
		      SIDE(kind), r == 0 ? "success" : df_code_name(r), r ? ": " : "", r ? err.text : "");
	df_instance_end(st, &i);
	df_stage_address(st, NULL);
	return NULL;
}

static void closed_port(struct df_stage *st)
{
	df_each_side(st, closed_port_side);
}

static void end_silent(struct df_stage *st, struct df_task *t, struct df_instance *i, int64_t started)
{
	int64_t left = started + PATIENCE_NS + SLACK_NS - df_clock_monotonic();
	struct df_error err = DF_ERROR_INIT;
	int r;

	if (!df_task_wait(t, left > 0 ? left : 0))
		df_rule_fail(st, "%s: connecting to a server that never answers took more than %.0f s", SIDE(i->kind),
			     (double)(PATIENCE_NS + SLACK_NS) / (double)DF_NS_PER_S);
	r = df_task_end(st, t, 0, "connect", &err);
	df_rule_check(st, r == DF_ERR_CONNECTION || r == DF_ERR_TIMEOUT,
		      "%s: a server that never answers: expected timeout or connection_error, saw %s%s%s",
		      SIDE(i->kind), r == 0 ? "success" : df_code_name(r), r ? ": " : "", r ? err.text : "");
	df_rule_note(st, "%s: %s after %.1f s", SIDE(i->kind), df_code_name(r),
		     (double)(df_clock_monotonic() - started) / (double)DF_NS_PER_S);
	df_instance_end(st, i);
}

/* Half a minute each, so both at once. */
static void silent(struct df_stage *st)
{
	struct df_instance instances[2];
	struct contact contacts[2];
	struct df_task *tasks[2] = { NULL };
	int64_t started = df_clock_monotonic();

	df_prepare_rows(st);
	df_stage_address(st, df_silent_address(st));
	for (int kind = DF_SOURCE; kind <= DF_SINK; kind++) {
		if (!df_has_side(st, (enum df_component_kind)kind))
			continue;
		instances[kind] = df_instance_new(st, (enum df_component_kind)kind, true);
		contacts[kind] = (struct contact){ st, &instances[kind] };
		tasks[kind] = df_task_start(st, contact_main, &contacts[kind]);
	}
	for (int kind = DF_SOURCE; kind <= DF_SINK; kind++)
		if (tasks[kind])
			end_silent(st, tasks[kind], &instances[kind], started);
}

const struct df_conformance_rule df_rules_settings_server[] = {
	{ "settings.credentials", "Wrong credentials give auth_error.", DF_NEEDS_CREDENTIALS, 90, credentials },
	{ "settings.closed-port", "A port where nobody listens gives connection_error within 30 s.", DF_NEEDS_ADDRESS,
	  90, closed_port },
	{ "settings.silent-server",
	  "A server that accepts and never answers gives timeout or connection_error within 30 s.", DF_NEEDS_ADDRESS,
	  90, silent },
	{ 0 },
};
