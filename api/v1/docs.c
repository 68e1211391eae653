/* docs/reference/manifest.md: prose here, tables from the field tables. */
#include "api/v1/internal.h"
#include "spec/generate.h"

static const char head[] =
	"# Manifest reference\n"
	"\n"
	"<!-- Made by `make generate` from the field tables in api/v1. Do not edit. -->\n"
	"\n"
	"A file holds one or more `DataFlow` and `DataFlowCron` documents, in YAML or JSON. `kind: Secret` documents "
	"in the same\n"
	"file resolve references when the file is run locally.\n"
	"\n"
	"```yaml\n"
	"apiVersion: " DF_API_VERSION "\n"
	"kind: DataFlow\n"
	"metadata:\n"
	"  name: orders\n"
	"spec:\n"
	"  source:\n"
	"    type: kafka\n"
	"    config:\n"
	"      brokers: [broker-0:9092]\n"
	"      topic: orders\n"
	"      consumerGroup: orders-to-postgres\n"
	"  transformations:\n"
	"    - type: timestamp\n"
	"  sink:\n"
	"    type: postgresql\n"
	"    config:\n"
	"      connectionStringSecretRef: {name: warehouse-db, key: url}\n"
	"      table: orders\n"
	"```\n"
	"\n"
	"| | DataFlow | DataFlowCron |\n"
	"|-|-|-|\n"
	"| what | runs until it is removed or suspended | runs on a schedule, each time to the end of its source |\n"
	"| plural, short name | `dataflows`, `df` | `dataflowcrons`, `dfc` |\n"
	"| name | at most 63 characters | at most 48 characters |\n"
	"| `kubectl get` shows | PHASE, SOURCE, SINK, PROCESSED, ERRORS, AGE | SCHEDULE, SUSPEND, PHASE, LAST, AGE |\n"
	"\n"
	"## Sources, sinks, transformations\n"
	"\n"
	"Every place that takes one has a `type` and its settings, in one of two forms:\n"
	"\n"
	"| form | shape |\n"
	"|-|-|\n"
	"| the one to write | `type: kafka` and `config: {...}` |\n"
	"| the older one | `type: kafka` and `kafka: {...}`: the key is the type's name |\n"
	"\n"
	"Both at once is an error. A key of another type is ignored with a warning. `config` may be left out where no "
	"setting is\n"
	"required. An unknown key is an error that names the nearest known one; for objects that are already stored in "
	"a cluster it\n"
	"is a warning. `null` is the same as absent.\n";

static const char secrets[] = "\n"
			      "## Secret references\n"
			      "\n"
			      "A field with a `...SecretRef` beside it can be taken from a Secret. The reference wins "
			      "when both are written.\n"
			      "\n"
			      "```yaml\n"
			      "passwordSecretRef:\n"
			      "  name: kafka        # the Secret\n"
			      "  key: password      # the key in it\n"
			      "  namespace: shared  # only for another namespace; the operator must allow it\n"
			      "```\n"
			      "\n"
			      "Values are never copied into ConfigMaps, status, or logs. A local run finds them in "
			      "`kind: Secret` documents of the same\n"
			      "file, or in a directory given with `--secrets`.\n"
			      "\n"
			      "## Durations\n"
			      "\n"
			      "Go's syntax: one or more numbers with a unit out of `ns us ms s m h`, such as `1h30m` "
			      "or `1.5s`; a bare `0`. Fields whose\n"
			      "names end in `Seconds`, and `pollInterval`, are whole seconds.\n";

static const char status[] =
	"\n"
	"## Status\n"
	"\n"
	"| DataFlow | |\n"
	"|-|-|\n"
	"| `phase` | `Pending`, `Running`, `Error`, `Stopped` (suspended or in a maintenance window) |\n"
	"| `message` | a sentence for people; never a secret |\n"
	"| `lastProcessedTime`, `processedCount`, `errorCount` | added up over all processors; they survive restarts "
	"|\n"
	"| `deliveryGuarantee` | which guarantee this manifest has, and why |\n"
	"| `conditions` | `Ready`, `Degraded`, `SpecValid`, `SpecResolved`, `ProcessorDeploymentReady` |\n"
	"| `processors[]` | what the counts already contain of each live process |\n"
	"| `maintenanceStatus` | `inMaintenance`, `nextMaintenanceTime`, `lastMaintenanceTime`, `suspended` |\n"
	"| `observedGeneration` | the generation of the spec that the status is about |\n"
	"\n"
	"| DataFlowCron | |\n"
	"|-|-|\n"
	"| `phase` | `Pending`, `Running`, `RunningTriggers`, `Completed`, `Failed` |\n"
	"| `message`, `currentRunID`, `activeJobName`, `currentTriggerIndex` | the run in progress |\n"
	"| `lastScheduleTime`, `lastSuccessfulTime`, `lastFailedTime` | of earlier runs |\n"
	"| `conditions`, `maintenanceStatus`, `deliveryGuarantee`, `observedGeneration` | as above |\n";

static void add_types(const struct df_registry *registry, enum df_component_kind kind, const char *title,
		      struct df_buf *buf)
{
	df_buf_printf(buf, "\n### %s\n\n| type | |\n|-|-|\n", title);
	for (size_t i = 0; i < registry->count[kind]; i++) {
		const struct df_type *type = registry->types[kind][i];

		df_buf_printf(buf, "| `%s` | %s%s |\n", type->name, type->title ? type->title : "",
			      type->later ? " (settings only; the driver comes later)" : "");
	}
}

/* The rows that a cron has beyond a flow's. */
static void add_cron(struct df_buf *buf)
{
	struct df_table own = df_dataflowcron_table;

	own.fields += df_dataflow_table.field_count;
	own.field_count -= df_dataflow_table.field_count;
	own.rule_count = 0;
	df_buf_add_c(buf, "\n## DataFlowCron: spec\n\nAll fields of a DataFlow, at the same level, and:\n\n");
	df_generate_field_docs(&own, 3, buf);
}

void df_generate_manifest_docs(const struct df_registry *registry, struct df_buf *buf)
{
	df_buf_add_c(buf, head);
	add_types(registry, DF_SOURCE, "Sources", buf);
	add_types(registry, DF_SINK, "Sinks", buf);
	add_types(registry, DF_TRANSFORMATION, "Transformations", buf);
	df_buf_add_c(buf, "\n## DataFlow: spec\n\n");
	df_generate_field_docs(&df_dataflow_table, 3, buf);
	add_cron(buf);
	df_buf_add_c(buf, secrets);
	df_buf_add_c(buf, status);
}
