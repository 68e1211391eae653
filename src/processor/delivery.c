#include "processor/delivery.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "connectors/factory.h"

const char *df_delivery_name(enum df_delivery_level level)
{
	static const char *const names[] = { "exactly-once", "effectively-once", "at-least-once", "best-effort" };

	return names[level];
}

const char *df_delivery_meaning(enum df_delivery_level level)
{
	static const char *const meanings[] = {
		"No message is lost, and none is stored twice, whatever happens.",
		"No message is lost. After a crash some are written again, and stand there once all the same.",
		"No message is lost. After a crash some are written again, and stand there twice.",
		"Messages can be lost.",
	};

	return meanings[level];
}

/* ---- collecting ------------------------------------------------------------------------------------------ */

struct explanation {
	const struct df_dataflow_spec *spec;
	struct df_arena *arena;
	struct df_delivery *to;
	bool all_transactional; /* the main sink and every route */
	bool no_memory;
};

static void lower(struct explanation *e, enum df_delivery_level level)
{
	if (level > e->to->level)
		e->to->level = level;
}

static df_printf(6, 7) void add(struct explanation *e, const char *place, const struct df_component *component,
				bool weakens, const char *fix, const char *fmt, ...)
{
	char text[512];
	struct df_str copy;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	copy = df_arena_dup(e->arena, df_str(text, (size_t)len < sizeof(text) ? (size_t)len + 1 : sizeof(text)));
	e->no_memory |= !copy.ptr;
	if (e->to->count < DF_DELIVERY_REASONS)
		e->to->reasons[e->to->count++] =
			(struct df_delivery_reason){ place, component ? component->type->name : NULL, weakens, copy.ptr,
						     fix };
}

static const char *loses(const struct df_component *c)
{
	return c->type->loses ? c->type->loses(c->settings) : NULL;
}

/* ---- source ---------------------------------------------------------------------------------------------- */

static const char *duration(int64_t ns, char *out, size_t size)
{
	if (ns % DF_NS_PER_S == 0)
		snprintf(out, size, "%lld s", (long long)(ns / DF_NS_PER_S));
	else
		snprintf(out, size, "%.3g ms", (double)ns / (double)DF_NS_PER_MS);
	return out;
}

static void explain_source(struct explanation *e, enum df_source_position position)
{
	const struct df_dataflow_spec *spec = e->spec;
	const struct df_component *source = &spec->source;
	const char *loss = loses(source);
	char every[32];

	if (loss) {
		lower(e, DF_DELIVERY_BEST_EFFORT);
		add(e, "source", source, true, NULL, "%s", loss);
	}
	if (e->to->level == DF_DELIVERY_EXACTLY_ONCE)
		add(e, "source", source, false, NULL, "the sink holds its position, in the transaction of the rows");
	else if (position == DF_POSITION_OWN)
		add(e, "source", source, false, NULL,
		    "its server holds the position, and it moves only behind what the sink confirmed");
	else if (position == DF_POSITION_NONE && !loss)
		add(e, "source", source, true, NULL,
		    "it has no position with these settings: every start reads everything again");
	else if (position == DF_POSITION_CHECKPOINT && !spec->checkpoint_persistence)
		add(e, "source", source, true, "remove checkpointPersistence: false",
		    "its position is not kept (checkpointPersistence: false): every start reads everything again");
	else if (position == DF_POSITION_CHECKPOINT)
		add(e, "source", source, false, NULL,
		    "a checkpoint holds its position, only ever behind what the sink confirmed; it is saved every %s "
		    "and when the flow stops",
		    duration(spec->checkpoint_save_interval.ns, every, sizeof(every)));
}

/* ---- transformations ------------------------------------------------------------------------------------- */

static void explain_transformations(struct explanation *e)
{
	if (e->spec->transformations.count > 0)
		add(e, "transformations", NULL, false, NULL,
		    "what they drop is dropped on purpose and counted as filtered; of a message that becomes several, "
		    "all must be stored before the position moves behind it");
}

/* ---- sinks ----------------------------------------------------------------------------------------------- */

static const struct df_sink_ops *sink_ops(const struct df_component *sink)
{
	const struct df_connector *c = df_connector_find(DF_SINK, df_str_c(sink->type->name));

	return c ? c->sink_ops : NULL;
}

static bool transactional(const struct df_component *sink)
{
	const struct df_sink_ops *ops = sink_ops(sink);

	return ops && ops->transactional && ops->transactional(sink->settings);
}

static void look_at_sink(void *arg, const struct df_component *sink, enum df_sink_role role)
{
	struct explanation *e = arg;

	if (role != DF_SINK_ERRORS && !transactional(sink))
		e->all_transactional = false;
}

static void explain_sink(void *arg, const struct df_component *sink, enum df_sink_role role)
{
	static const char *const places[] = { "sink", "route", "errors" };
	struct explanation *e = arg;
	const struct df_type *type = sink->type;
	bool repeatable = type->repeatable && type->repeatable(sink->settings);
	const char *loss = loses(sink), *place = places[role];

	if (loss && role != DF_SINK_ERRORS)
		lower(e, DF_DELIVERY_BEST_EFFORT);
	if (loss) {
		add(e, place, sink, true, NULL, "%s", loss);
	} else if (e->to->level == DF_DELIVERY_EXACTLY_ONCE && role != DF_SINK_ERRORS) {
		add(e, place, sink, false, NULL, "rows and position are stored in one transaction");
	} else if (repeatable) {
		add(e, place, sink, false, NULL, "what is written again replaces what stands there");
	} else if (role == DF_SINK_ERRORS) {
		add(e, place, sink, false, NULL, "after a crash a record may stand there twice");
	} else {
		lower(e, DF_DELIVERY_AT_LEAST_ONCE);
		add(e, place, sink, true, type->repeatable ? "set upsertMode (and conflictKey) on it" : NULL,
		    "it cannot tell that a message stands there already: what is written again stands there twice");
	}
}

static void explain_errors(struct explanation *e)
{
	const struct df_dataflow_spec *spec = e->spec;
	const struct df_errors_extra *extra = spec->errors.extra;

	if (!spec->errors.type && spec->on_error && strcmp(spec->on_error, "drop") == 0) {
		lower(e, DF_DELIVERY_BEST_EFFORT);
		add(e, "errors", NULL, true, "set errors, or remove onError: drop",
		    "a message that cannot be decoded, transformed or stored is dropped and counted (onError: drop)");
	} else if (!spec->errors.type) {
		add(e, "errors", NULL, false, NULL,
		    "there is no error sink: a message that cannot be decoded, transformed or stored stops the flow, "
		    "and the position stays in front of it");
	} else if (extra && strcmp(extra->ack_policy, "afterWrite") != 0) {
		add(e, "errors", &spec->errors, true, "remove ackPolicy (afterWrite)",
		    "the position does not pass a message that went there (ackPolicy: %s): it and all behind it are "
		    "read again at every start",
		    extra->ack_policy);
	} else {
		add(e, "errors", &spec->errors, false, NULL,
		    "a message that cannot be decoded, transformed or stored becomes one record there; when that fails "
		    "too, the flow stops and the position stays in front of it");
	}
}

/* ---- what happens ---------------------------------------------------------------------------------------- */

static void explain_ends(struct explanation *e, enum df_source_position position)
{
	bool from_start = position == DF_POSITION_NONE ||
			  (position == DF_POSITION_CHECKPOINT && !e->spec->checkpoint_persistence);
	char every[32];

	add(e, "stop", NULL, false, NULL, "SIGTERM and SIGINT end reading and write what is in flight%s",
	    from_start ? "" : "; the next start goes on exactly behind it");
	if (e->to->level == DF_DELIVERY_EXACTLY_ONCE)
		add(e, "crash", NULL, false, NULL, "the next start goes on exactly behind the last transaction");
	else if (from_start)
		add(e, "crash", NULL, false, NULL, "the next start begins from the beginning, as every start does");
	else if (position == DF_POSITION_OWN)
		add(e, "crash", NULL, false, NULL,
		    "messages behind the last committed position (about a second) are read and written again");
	else
		add(e, "crash", NULL, false, NULL,
		    "messages behind the last saved position (up to %s) are read and written again",
		    duration(e->spec->checkpoint_save_interval.ns, every, sizeof(every)));
}

int df_delivery_explain(const struct df_dataflow_spec *spec, struct df_arena *arena, struct df_delivery *ret,
			struct df_error *err)
{
	const struct df_connector *c = df_connector_find(DF_SOURCE, df_str_c(spec->source.type->name));
	const struct df_source_ops *ops = c ? c->source_ops : NULL;
	enum df_source_position position = df_source_position(&spec->source);
	struct explanation e = { .spec = spec, .arena = arena, .to = ret, .all_transactional = true };

	*ret = (struct df_delivery){ 0 };
	df_flow_each_sink(spec, look_at_sink, &e);
	if (!e.all_transactional || !ops || !ops->describe)
		ret->level = DF_DELIVERY_EFFECTIVELY_ONCE;
	explain_source(&e, position);
	explain_transformations(&e);
	df_flow_each_sink(spec, explain_sink, &e);
	explain_errors(&e);
	explain_ends(&e, position);
	return e.no_memory ? df_error_no_memory(err) : 0;
}

/* ---- what cannot be -------------------------------------------------------------------------------------- */

static void count_route(void *arg, const struct df_component *sink, enum df_sink_role role)
{
	(void)sink;
	*(size_t *)arg += role == DF_SINK_ROUTE;
}

int df_delivery_conflict(const struct df_dataflow_spec *spec, const struct df_source_ops *source,
			 const struct df_sink_ops *sink, struct df_error *err)
{
	const struct df_errors_extra *extra = spec->errors.extra;
	const char *from = spec->source.type->name, *to = spec->sink.type->name;
	size_t routes = 0;

	df_flow_each_sink(spec, count_route, &routes);
	if (routes > 0)
		return df_error_set(err, DF_ERR_CONFIG,
				    "exactlyOnce stores the position in the transaction of one sink, and a router has "
				    "several: remove one of them");
	if (spec->errors.type && extra && strcmp(extra->ack_policy, "afterWrite") != 0)
		return df_error_set(err, DF_ERR_CONFIG,
				    "exactlyOnce needs errors.ackPolicy afterWrite: with %s no position could ever "
				    "pass a message that failed",
				    extra->ack_policy);
	if (spec->replicas > 1 && sink->held)
		return df_error_set(err, DF_ERR_CONFIG,
				    "exactlyOnce needs replicas: 1, because the sink stores one position a flow");
	if (!source->describe || !source->restore)
		return df_error_set(err, DF_ERR_CONFIG,
				    "exactlyOnce needs a source with an exact position, and %s has none: remove "
				    "exactlyOnce, or make rows unique in the sink (upsertMode)",
				    from);
	if (!sink->held && !source->keeps_own_position)
		return df_error_set(err, DF_ERR_CONFIG,
				    "exactlyOnce of a %s sink needs a %s source: no other's position can be stored in "
				    "its transaction",
				    to, to);
	return 0;
}

struct checking {
	const struct df_dataflow_spec *spec;
	struct df_diags *diags;
};

static void check_sink(void *arg, const struct df_component *sink, enum df_sink_role role)
{
	static const char *const wheres[] = { [DF_SINK_ROUTE] = "route's sink", [DF_SINK_ERRORS] = "error sink" };
	const struct checking *c = arg;
	const struct df_connector *from = df_connector_find(DF_SOURCE, df_str_c(c->spec->source.type->name));
	struct df_place place = { .line = sink->line, .path = sink->settings_path };
	struct df_error err = DF_ERROR_INIT;

	if (!transactional(sink))
		return;
	if (role != DF_SINK_MAIN)
		df_diag_error(c->diags, &place, "exactlyOnce", "exactlyOnce is for spec.sink: remove it from the %s",
			      wheres[role]);
	else if (from && from->source_ops && df_delivery_conflict(c->spec, from->source_ops, sink_ops(sink), &err) < 0)
		df_diag_error(c->diags, &place, "exactlyOnce", "%s", err.text);
}

void df_delivery_check(const struct df_dataflow_spec *spec, struct df_diags *diags)
{
	df_flow_each_sink(spec, check_sink, &(struct checking){ spec, diags });
}
