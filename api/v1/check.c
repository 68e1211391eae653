/* Checks of fields, of one object, and across the whole manifest: the manifest reference, sections 3, 4 and 8. */
#include <inttypes.h>

#include "api/v1/internal.h"
#include "base/cleanup.h"
#include "base/cron.h"
#include "base/time.h"

/* ---- names ----------------------------------------------------------------------------------------------- */

static bool dns_label(struct df_str s)
{
	if (s.len == 0 || s.len > 63 || s.ptr[0] == '-' || s.ptr[s.len - 1] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!((s.ptr[i] >= 'a' && s.ptr[i] <= 'z') || (s.ptr[i] >= '0' && s.ptr[i] <= '9') || s.ptr[i] == '-'))
			return false;
	return true;
}

int df_check_dns_label(struct df_str text, struct df_error *err)
{
	if (!dns_label(text))
		return df_error_set(err, DF_ERR_CONFIG,
				    "`" DF_STR_FMT "` is no name: use a-z, 0-9 and -, up to 63, without - at the ends",
				    DF_STR_ARG(text));
	return 0;
}

int df_check_dns_subdomain(struct df_str text, struct df_error *err)
{
	struct df_str rest = text;
	bool good = text.len <= 253;

	for (bool more = true; good && more;) {
		const char *dot = rest.len ? memchr(rest.ptr, '.', rest.len) : NULL;
		size_t len = dot ? (size_t)(dot - rest.ptr) : rest.len;

		good = dns_label(df_str(rest.ptr, len));
		more = dot;
		if (more)
			rest = df_str(dot + 1, rest.len - len - 1);
	}
	if (!good)
		return df_error_set(err, DF_ERR_CONFIG,
				    "`" DF_STR_FMT
				    "` is no name: use a-z, 0-9, - and ., beginning and ending with a letter or digit",
				    DF_STR_ARG(text));
	return 0;
}

/* ---- times ----------------------------------------------------------------------------------------------- */

int df_check_timezone(struct df_str text, struct df_error *err)
{
	df_cleanup(df_zone_freep) struct df_zone *zone = NULL;

	if (text.len && (text.ptr[0] == '+' || text.ptr[0] == '-'))
		return df_error_set(err, DF_ERR_CONFIG,
				    "`" DF_STR_FMT "` is an offset: give an IANA name such as Europe/Berlin",
				    DF_STR_ARG(text));
	return df_zone_load(text, &zone, err);
}

int df_check_rfc3339(struct df_str text, struct df_error *err)
{
	struct df_instant t;

	if (!df_rfc3339_parse(text, &t))
		return df_error_set(
			err, DF_ERR_CONFIG,
			"must be RFC 3339 with an offset, such as 2026-01-31T02:00:00+01:00 or 2026-01-31T01:00:00Z");
	return 0;
}

#define HOUR_NS (INT64_C(3600) * 1000 * 1000 * 1000)

void df_check_maintenance(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	static const struct {
		const char *repeat;
		int64_t hours; /* of the longest period */
	} periods[] = { { "daily", 24 }, { "weekly", 7 * 24 }, { "monthly", 31 * 24 } };
	const struct df_maintenance *m = settings;

	for (size_t i = 0; i < DF_ARRAY_SIZE(periods); i++)
		if (m->duration.set && df_str_equal_c(df_str_c(m->repeat), periods[i].repeat) &&
		    m->duration.ns >= periods[i].hours * HOUR_NS)
			df_diag_warning(diags, place, "duration",
					"is not shorter than the %s period: the flow would never run",
					periods[i].repeat);
}

int df_check_schedule(struct df_str text, struct df_error *err)
{
	struct df_str trimmed = df_str_trim(text);
	struct df_cron cron;

	/* The original's webhook counts fields. */
	if (trimmed.len && trimmed.ptr[0] == '@')
		return df_error_set(err, DF_ERR_CONFIG,
				    "`" DF_STR_FMT "`: macros are not supported; write 5 fields, such as `0 * * * *`",
				    DF_STR_ARG(trimmed));
	return df_cron_parse(text, &cron, err);
}

/* ---- one object ------------------------------------------------------------------------------------------ */

void df_check_flow(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	const struct df_dataflow_spec *spec = settings;
	const struct df_maintenance *m = spec->maintenance.settings;

	if (spec->suspended.set && m && m->suspended.set && spec->suspended.value != m->suspended.value)
		df_diag_error(diags, place, "suspended",
			      "is %s, but maintenance.suspended is %s: keep the latter alone",
			      spec->suspended.value ? "true" : "false", m->suspended.value ? "true" : "false");
	df_check_bytes(&spec->memory_limit, "memoryLimit", place, diags);
	if (spec->errors.type && spec->on_error && strcmp(spec->on_error, "drop") == 0)
		df_diag_warning(diags, place, "onError",
				"has no effect beside `errors`: messages that fail are stored there");
	df_check_resources(&spec->resources, "resources", place, diags);
	df_check_string_map(&spec->node_selector, "nodeSelector", place, diags);
	df_check_object(&spec->affinity, "affinity", place, diags);
	df_check_object_list(&spec->tolerations, "tolerations", false, place, diags);
	df_check_object_list(&spec->image_pull_secrets, "imagePullSecrets", true, place, diags);
}

void df_check_cron(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	const struct df_dataflowcron_spec *spec = settings;
	struct df_error ignored = DF_ERROR_INIT;
	struct df_cron cron;

	if (df_cron_parse(df_str_c(spec->schedule), &cron, &ignored) == 0 && df_cron_never(&cron))
		df_diag_warning(diags, place, "schedule", "never fires: none of these months has such a day");
	if (spec->starting_deadline_seconds.set && spec->starting_deadline_seconds.value < 10)
		df_diag_warning(diags, place, "startingDeadlineSeconds",
				"%" PRId64
				" is less than the 10 seconds between two looks of Kubernetes: runs may never start",
				spec->starting_deadline_seconds.value);
}

void df_check_trigger(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	const struct df_trigger *trigger = settings;

	df_check_resources(&trigger->resources, "resources", place, diags);
	df_check_object_list(&trigger->env, "env", true, place, diags);
	df_check_env_values(&trigger->env, "env", place, diags);
}

/* ---- across the manifest --------------------------------------------------------------------------------- */

static bool repeatable(const struct df_component *sink)
{
	return sink->type->repeatable && sink->type->repeatable(sink->settings);
}

struct side_sinks {
	const struct df_place *place;
	struct df_diags *diags;
};

/* Error sinks and routes only warn; a sink type that can never be repeatable (kafka) is not worth a word. */
static void warn_side_sink(void *arg, const struct df_component *sink, enum df_sink_role role)
{
	const struct side_sinks *side = arg;
	struct df_place at = { side->place->file, sink->line, sink->path, NULL };

	if (role != DF_SINK_MAIN && sink->type->repeatable && !repeatable(sink))
		df_diag_warning(side->diags, &at, NULL,
				"strictIdempotency: after a restart this %s sink may store a message twice; upsertMode "
				"would not",
				sink->type->name);
}

static void check_idempotency(const struct df_dataflow_spec *spec, const struct df_place *place, struct df_diags *diags)
{
	const struct df_type *source = spec->source.type;
	const struct df_type *sink = spec->sink.type;

	if (!source || !sink || !source->keeps_position || !source->keeps_position(spec->source.settings))
		return;
	if (!repeatable(&spec->sink)) {
		if (spec->strict_idempotency)
			df_diag_error(
				diags, place, "strictIdempotency",
				sink->repeatable
					? "a %s source with a %s sink needs upsertMode (and its conflictKey) on the "
					  "sink: after a restart rows are read again"
					: "a %s source reads rows again after a restart, and a %s sink cannot tell",
				source->name, sink->name);
		else if (sink->repeatable)
			df_diag_warning(diags, place, "sink",
					"after a restart rows may be written twice; upsertMode (with its conflictKey) "
					"prevents it");
	}
	if (spec->strict_idempotency)
		df_flow_each_sink(spec, warn_side_sink, &(struct side_sinks){ place, diags });
}

static void check_replicas(enum df_manifest_kind kind, const struct df_dataflow_spec *spec,
			   const struct df_place *place, struct df_diags *diags)
{
	static const char advice[] = "for more throughput raise the sink's batchSize, channelBufferSize, or resources";

	if (spec->replicas <= 1)
		return;
	if (kind == DF_KIND_DATAFLOWCRON)
		df_diag_error(diags, place, "replicas", "%d: a DataFlowCron runs one processor; %s",
			      (int)spec->replicas, advice);
	else if (spec->source.type && !spec->source.type->scales_out)
		df_diag_error(diags, place, "replicas",
			      "%d: several replicas of a %s source would each read everything, only kafka shares the "
			      "work; %s",
			      (int)spec->replicas, spec->source.type->name, advice);
}

void df_manifest_check(enum df_manifest_kind kind, const struct df_dataflowcron_spec *spec,
		       const struct df_place *place, struct df_diags *diags)
{
	const struct df_dataflow_spec *flow = &spec->flow;

	check_replicas(kind, flow, place, diags);
	check_idempotency(flow, place, diags);
	if (kind == DF_KIND_DATAFLOWCRON && flow->source.type && flow->source.type->scales_out)
		df_diag_warning(diags, place, "source",
				"a %s source has no end: a run ends at the offsets that were the end when it started",
				flow->source.type->name);
}
