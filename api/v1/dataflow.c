/* The field tables of DataFlow and DataFlowCron: the manifest reference, sections 3 and 4. */
#include "api/v1/internal.h"
#include "base/clock.h"

/* ---- errors, maintenance, triggers ----------------------------------------------------------------------- */

static const char *const ack_policies[] = { "afterWrite", "never", "afterMainSinkSuccess", NULL };

static const struct df_field errors_fields[] = {
	DF_FIELD(struct df_errors_extra, ack_policy, "ackPolicy", 0, .def = "afterWrite", .values = ack_policies,
		 .doc = "What becomes of a message in the error sink. `afterWrite`: it is done with. `never`, "
			"`afterMainSinkSuccess`: it stays open, the source's position cannot pass it, and after a "
			"restart it and what follows is read again."),
};

static const struct df_table errors_table = DF_TABLE(struct df_errors_extra, errors_fields);

static const char *const repeats[] = { "daily", "weekly", "monthly", NULL };

#define S struct df_maintenance

static const struct df_field maintenance_fields[] = {
	DF_FIELD(S, start_time, "startTime", 0, .check = df_check_rfc3339, .example = "\"2026-01-31T02:00:00+01:00\"",
		 .doc = "When the first window begins: RFC 3339 with offset. Together with `duration`."),
	DF_FIELD(S, duration, "duration", 0, .min = 1, .max = INT64_MAX, .example = "2h",
		 .doc = "How long a window is. Together with `startTime`."),
	DF_FIELD(S, repeat, "repeat", 0, .values = repeats, .def_doc = "one time",
		 .doc = "Repeats keep the wall-clock time in `timezone`, across daylight saving; monthly on the last "
			"day of months that are too short."),
	DF_FIELD(S, timezone, "timezone", 0, .def = "UTC", .check = df_check_timezone, .example = "Europe/Berlin",
		 .doc = "An IANA time zone name."),
	DF_FIELD(S, description, "description", 0, .example = "nightly vacuum", .doc = "Free text."),
	DF_FIELD(S, suspended, "suspended", 0, .def_doc = "`false`",
		 .doc = "Stop the processor until this is false again. Works alone, without a window."),
};

#undef S

static const struct df_rule maintenance_rules[] = {
	{ DF_RULE_TOGETHER, { "startTime", "duration" } },
	{ DF_RULE_POINTLESS, { "repeat", "startTime" } },
	{ DF_RULE_CHECK, .fn = df_check_maintenance,
	  .text = "A `repeat` whose `duration` is not shorter than its period never runs: a warning." },
};

static const struct df_table maintenance_table =
	DF_TABLE_RULES(struct df_maintenance, maintenance_fields, maintenance_rules);

static const char *const pull_policies[] = { "Always", "IfNotPresent", "Never", NULL };

#define S struct df_trigger

static const struct df_field trigger_fields[] = {
	DF_FIELD(S, image, "image", DF_REQUIRED | DF_NO_BLANK, .example = "example/report:1.2",
		 .doc = "The image to run. `dataflow up --allow-triggers` runs `command` on the machine instead."),
	DF_FIELD(S, name, "name", 0, .check = df_check_dns_label, .def_doc = "`trigger-<index>`", .example = "report",
		 .doc = "The container's name."),
	DF_FIELD(S, command, "command", 0, .example = "[/bin/report]",
		 .doc = "The command, as in a container. Required by `dataflow up`."),
	DF_FIELD(S, args, "args", 0, .example = "[--since, yesterday]", .doc = "Its arguments."),
	DF_FIELD(S, env, "env", 0, .json = DF_ARRAY,
		 .doc = "Environment variables, as in a container, also from Secrets and ConfigMaps."),
	DF_FIELD(S, resources, "resources", 0, .json = DF_OBJECT,
		 .doc = "Requests and limits of the container. Absent: none."),
	DF_FIELD(S, image_pull_policy, "imagePullPolicy", 0, .values = pull_policies, .def_doc = "Kubernetes'",
		 .doc = "When the image is pulled."),
};

#undef S

static const struct df_rule trigger_rules[] = {
	{ DF_RULE_CHECK, .fn = df_check_trigger },
};

static const struct df_table trigger_table = DF_TABLE_RULES(struct df_trigger, trigger_fields, trigger_rules);

#define S struct df_retry_settings

/* As the defaults of the rows below: for a flow without `retry`. */
static const struct df_retry_settings retry_defaults = {
	.attempts = 5,
	.initial = { 2 * DF_NS_PER_S, true },
	.max = { 60 * DF_NS_PER_S, true },
	.total = { 0, true },
	.connect = { 800 * DF_NS_PER_MS, true },
};

static const struct df_field retry_fields[] = {
	DF_FIELD(S, attempts, "attempts", DF_OURS, .def = "5", .min = 0, .max = INT32_MAX,
		 .doc = "How often a flush is written at most, on a live connection; then its messages go to the error "
			"sink, or the pipeline stops. 0: no limit."),
	DF_FIELD(S, initial, "initial", DF_OURS, .def = "2s", .min = 1, .max = INT64_MAX,
		 .doc = "The longest wait before the second attempt. It doubles with each attempt; each wait is drawn "
			"at random between nothing and that."),
	DF_FIELD(S, max, "max", DF_OURS, .def = "60s", .min = 1, .max = INT64_MAX, .doc = "What it doubles up to."),
	DF_FIELD(S, total, "total", DF_OURS, .def = "0s", .min = 0, .max = INT64_MAX, .example = "5m",
		 .doc = "How long a flush is tried at most, without the time in which there was no connection. 0: no "
			"limit."),
	DF_FIELD(S, connect, "connect", DF_OURS, .def = "800ms", .min = 1, .max = INT64_MAX,
		 .doc = "The longest wait between two attempts to connect, which go on for ever: so soon a pipeline "
			"goes on when a server is back."),
};

#undef S

static const struct df_table retry_table = DF_TABLE(struct df_retry_settings, retry_fields);

const struct df_retry_settings *df_flow_retry(const struct df_dataflow_spec *spec)
{
	return spec->retry.settings ? spec->retry.settings : &retry_defaults;
}

/* ---- DataFlow -------------------------------------------------------------------------------------------- */

static const char *const granularities[] = { "batch", "message", NULL };
static const char *const on_error_values[] = { "stop", "drop", NULL };

#define S struct df_dataflow_spec

/* need: DF_REQUIRED, or 0 for files that only hold transformations. Valid in a cron's table too: its struct begins with
 * a flow's. */
#define PIPELINE_FIELDS(need)                                                                                         \
	DF_FIELD(S, source, "source", need, .component = DF_SOURCE, .doc = "Where messages come from."),              \
		DF_FIELD(S, sink, "sink", need, .component = DF_SINK, .doc = "Where messages go."),                   \
		DF_FIELD(S, transformations, "transformations", 0, .component = DF_TRANSFORMATION,                    \
			 .doc = "What happens to messages on the way, in this order."),                               \
		DF_FIELD(S, errors, "errors", 0, .component = DF_SINK, .table = &errors_table,                        \
			 .doc = "A sink for messages that fail in a transformation or in the sink. Without one such " \
				"a message "                                                                          \
				"stops the pipeline.")

#define POD_FIELDS                                                                                                   \
	DF_FIELD(S, resources, "resources", DF_OPERATOR_ONLY, .json = DF_OBJECT,                                     \
		 .def_doc = "requests 100m / 128Mi, limits 500m / 512Mi",                                            \
		 .doc = "Requests and limits of the processor's container; used as given, not merged with the "      \
			"default."),                                                                                 \
		DF_FIELD(S, node_selector, "nodeSelector", DF_OPERATOR_ONLY, .json = DF_OBJECT,                      \
			 .doc = "Copied to the pod."),                                                               \
		DF_FIELD(S, affinity, "affinity", DF_OPERATOR_ONLY, .json = DF_OBJECT, .doc = "Copied to the pod."), \
		DF_FIELD(S, tolerations, "tolerations", DF_OPERATOR_ONLY, .json = DF_ARRAY,                          \
			 .doc = "Copied to the pod."),                                                               \
		DF_FIELD(S, image_pull_secrets, "imagePullSecrets", DF_OPERATOR_ONLY, .json = DF_ARRAY,              \
			 .doc = "Secrets for pulling the image, each `{name: ...}`. Copied to the pod."),            \
		DF_FIELD(S, processor_image, "processorImage", DF_OPERATOR_ONLY, .def_doc = "the operator's",        \
			 .example = "registry.example/dataflow:0.1.0", .doc = "The processor's image."),             \
		DF_FIELD(S, processor_version, "processorVersion", DF_OPERATOR_ONLY, .def_doc = "the operator's",    \
			 .example = "0.1.0", .doc = "A tag of the operator's image repository.")

#define CHECKPOINT_FIELDS                                                                                             \
	DF_FIELD(S, checkpoint_persistence, "checkpointPersistence", 0, .def = "true",                                \
		 .doc = "Keep the source's position in a ConfigMap, so that a restart goes on where it stood."),      \
		DF_FIELD(S, checkpoint_sync_on_ack, "checkpointSyncOnAck", 0, .def = "false",                         \
			 .doc = "Save the position after each confirmed write, at most once per "                     \
				"`checkpointSaveInterval`."),                                                         \
		DF_FIELD(S, checkpoint_save_interval, "checkpointSaveInterval", 0, .def = "30s", .min = 1,            \
			 .max = INT64_MAX, .doc = "How often the position is saved."),                                \
		DF_FIELD(S, checkpoint_reset, "checkpointReset", DF_OPERATOR_ONLY, .def = "false",                    \
			 .doc = "Forget the position once: the operator clears this field after it acted on it. The " \
				"annotation "                                                                         \
				"`dataflow.dataflow.io/reset-checkpoint: \"true\"` does the same.")

#define RUNNING_FIELDS                                                                                                 \
	DF_FIELD(S, ack_granularity, "ackGranularity", 0, .def = "batch", .values = granularities,                     \
		 .doc = "Whether the source's position moves after each batch or after each message."),                \
		DF_FIELD(S, collapse_batch_on_message_ack, "collapseBatchOnMessageAck", 0, .def = "true",              \
			 .doc = "With `ackGranularity: message`: sinks write one row at a time. `false`: batches "     \
				"stay, the "                                                                           \
				"position moves message by message."),                                                 \
		DF_FIELD(S, channel_buffer_size, "channelBufferSize", 0, .def = "100", .min = 1, .max = 1000000,       \
			 .doc = "Messages that may wait between two stages. A limit in bytes applies as well."),       \
		DF_FIELD(S, transform_workers, "transformWorkers", 0, .def = "1", .min = 1, .max = 64,                 \
			 .doc = "Threads that transform. The order of messages is kept."),                             \
		DF_FIELD(S, replicas, "replicas", DF_OPERATOR_ONLY, .def = "1", .min = 0, .max = INT32_MAX,            \
			 .doc = "Processor pods. More than 1 only with a `kafka` source, whose consumer group shares " \
				"the work."),                                                                          \
		DF_FIELD(S, strict_idempotency, "strictIdempotency", 0, .def = "false",                                \
			 .doc = "Refuse a manifest whose sink could store a row twice after a restart, instead of "    \
				"warning."),                                                                           \
		DF_FIELD(S, maintenance, "maintenance", DF_OPERATOR_ONLY, .table = &maintenance_table,                 \
			 .doc = "When the processor rests."),                                                          \
		DF_FIELD(S, termination_grace_period_seconds, "terminationGracePeriodSeconds", DF_OPERATOR_ONLY,       \
			 .def = "600", .min = 0, .max = INT64_MAX,                                                     \
			 .doc = "Seconds a processor has to flush and save when it is stopped."),                      \
		DF_FIELD(S, suspended, "suspended", DF_OPERATOR_ONLY | DF_DEPRECATED,                                  \
			 .doc = "Use `maintenance.suspended`, which means the same."),                                 \
		DF_FIELD(S, lifecycle, "lifecycle", DF_OPERATOR_ONLY | DF_IGNORED,                                     \
			 .doc = "The pod always gets its own preStop hook of 5 seconds.")

#define TROUBLE_FIELDS                                                                                                 \
	DF_FIELD(S, retry, "retry", DF_OURS, .table = &retry_table,                                                    \
		 .doc = "How writes that failed for a reason that may pass, and lost connections, are tried again."),  \
		DF_FIELD(S, on_error, "onError", DF_OURS, .def = "stop", .values = on_error_values,                    \
			 .doc = "What becomes of a message that cannot be decoded, transformed or stored when there "  \
				"is no `errors` sink. `stop`: the pipeline stops in front of it. `drop`: it is "       \
				"dropped for good, counted and warned about."),                                        \
		DF_FIELD(S, memory_limit, "memoryLimit", DF_OURS,                                                      \
			 .def_doc = "half of the memory that the process may use (its cgroup's limit, or the "         \
				    "machine's)",                                                                      \
			 .example = "256Mi",                                                                           \
			 .doc = "Memory for messages in flight, in bytes or as a quantity. The source waits while it " \
				"is used up."),                                                                        \
		DF_FIELD(S, max_message_bytes, "maxMessageBytes", DF_OURS, .def = "0", .min = 0, .max = INT64_MAX,     \
			 .def_doc = "a quarter of the memory limit", .example = "16777216",                            \
			 .doc = "A longer payload is refused like one that cannot be decoded.")

#define FLOW_FIELDS(need) PIPELINE_FIELDS(need), POD_FIELDS, CHECKPOINT_FIELDS, RUNNING_FIELDS, TROUBLE_FIELDS

#define FLOW_RULES                                                              \
	{ DF_RULE_FORBIDS,                                                      \
	  { "processorImage", "processorVersion" },                             \
	  .warning = true,                                                      \
	  .text = "`processorVersion` has no effect beside `processorImage`" }, \
	{                                                                       \
		DF_RULE_CHECK, .fn = df_check_flow                              \
	}

static const struct df_field dataflow_fields[] = { FLOW_FIELDS(DF_REQUIRED) };
static const struct df_field dataflow_parts_fields[] = { FLOW_FIELDS(0) };
static const struct df_rule dataflow_rules[] = { FLOW_RULES };

const struct df_table df_dataflow_table = DF_TABLE_RULES(S, dataflow_fields, dataflow_rules);
const struct df_table df_dataflow_parts_table = DF_TABLE_RULES(S, dataflow_parts_fields, dataflow_rules);

/* ---- DataFlowCron ---------------------------------------------------------------------------------------- */

_Static_assert(offsetof(struct df_dataflowcron_spec, flow) == 0, "a cron's spec begins with a flow's");

static const char *const concurrency_policies[] = { "Allow", "Forbid", "Replace", NULL };

#define C struct df_dataflowcron_spec

#define CRON_FIELDS                                                                                                  \
	DF_FIELD(C, schedule, "schedule", DF_REQUIRED | DF_OPERATOR_ONLY, .check = df_check_schedule,                \
		 .example = "\"*/15 * * * *\"",                                                                      \
		 .doc = "When to run: minute, hour, day of month, month, day of week. A sixth field in front, the "  \
			"seconds, must be `0`."),                                                                    \
		DF_FIELD(C, time_zone, "timeZone", DF_OPERATOR_ONLY, .check = df_check_timezone,                     \
			 .example = "Europe/Berlin", .def_doc = "UTC",                                               \
			 .doc = "The IANA time zone in which the schedule is read."),                                \
		DF_FIELD(C, concurrency_policy, "concurrencyPolicy", DF_OPERATOR_ONLY, .def = "Allow",               \
			 .values = concurrency_policies,                                                             \
			 .doc = "What happens when a run is due while the last one is still going."),                \
		DF_FIELD(C, successful_jobs_history_limit, "successfulJobsHistoryLimit", DF_OPERATOR_ONLY, .min = 0, \
			 .max = INT32_MAX, .def_doc = "3", .doc = "Successful Jobs to keep."),                       \
		DF_FIELD(C, failed_jobs_history_limit, "failedJobsHistoryLimit", DF_OPERATOR_ONLY, .min = 0,         \
			 .max = INT32_MAX, .def_doc = "1", .doc = "Failed Jobs to keep."),                           \
		DF_FIELD(C, starting_deadline_seconds, "startingDeadlineSeconds", DF_OPERATOR_ONLY, .min = 0,        \
			 .max = INT64_MAX, .doc = "Seconds after its time that a missed run may still begin."),      \
		DF_FIELD(C, suspend, "suspend", DF_OPERATOR_ONLY, .def = "false", .doc = "Start no further runs."),  \
		DF_FIELD(C, triggers, "triggers", DF_OPERATOR_ONLY, .table = &trigger_table,                         \
			 .doc = "Containers to run, one after the other, when the processor's run has succeeded.")

static const struct df_field cron_fields[] = { FLOW_FIELDS(DF_REQUIRED), CRON_FIELDS };
static const struct df_field cron_parts_fields[] = { FLOW_FIELDS(0), CRON_FIELDS };
static const struct df_rule cron_rules[] = { FLOW_RULES, { DF_RULE_CHECK, .fn = df_check_cron } };

const struct df_table df_dataflowcron_table = DF_TABLE_RULES(C, cron_fields, cron_rules);
const struct df_table df_dataflowcron_parts_table = DF_TABLE_RULES(C, cron_parts_fields, cron_rules);
