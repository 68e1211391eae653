/* config/crd: the CustomResourceDefinitions (apiextensions.k8s.io/v1). The spec's schema comes from the field tables;
 * names, printer columns and status are the manifest reference, sections 1 and 5. */
#include "api/v1/internal.h"
#include "spec/generate.h"

#define FIELD(name, type, doc) name ":\n  description: \"" doc "\"\n  type: " type "\n"
#define TIME(name, doc) FIELD(name, "string", doc) "  format: date-time\n"
#define INT64(name, doc) FIELD(name, "integer", doc) "  format: int64\n"

#define CONDITIONS                                  \
	"conditions:\n"                             \
	"  description: \"What holds, by type.\"\n" \
	"  type: array\n"                           \
	"  x-kubernetes-list-type: map\n"           \
	"  x-kubernetes-list-map-keys:\n"           \
	"  - type\n"                                \
	"  items:\n"                                \
	"    type: object\n"                        \
	"    required:\n"                           \
	"    - type\n"                              \
	"    - status\n"                            \
	"    properties:\n"                         \
	"      type:\n"                             \
	"        type: string\n"                    \
	"      status:\n"                           \
	"        type: string\n"                    \
	"        enum:\n"                           \
	"        - \"True\"\n"                      \
	"        - \"False\"\n"                     \
	"        - Unknown\n"                       \
	"      reason:\n"                           \
	"        type: string\n"                    \
	"      message:\n"                          \
	"        type: string\n"                    \
	"      lastTransitionTime:\n"               \
	"        type: string\n"                    \
	"        format: date-time\n"               \
	"      observedGeneration:\n"               \
	"        type: integer\n"                   \
	"        format: int64\n"

#define MAINTENANCE                                                           \
	"maintenanceStatus:\n"                                                \
	"  description: \"Whether the processor rests, and when it will.\"\n" \
	"  type: object\n"                                                    \
	"  properties:\n"                                                     \
	"    inMaintenance:\n"                                                \
	"      type: boolean\n"                                               \
	"    nextMaintenanceTime:\n"                                          \
	"      type: string\n"                                                \
	"      format: date-time\n"                                           \
	"    lastMaintenanceTime:\n"                                          \
	"      type: string\n"                                                \
	"      format: date-time\n"                                           \
	"    suspended:\n"                                                    \
	"      type: boolean\n"

/* What the operator adds up of each live process (kubernetes reference, section 5). */
#define PROCESSORS                                                                   \
	"processors:\n"                                                              \
	"  description: \"What the counts already contain of each live process.\"\n" \
	"  type: array\n"                                                            \
	"  items:\n"                                                                 \
	"    type: object\n"                                                         \
	"    properties:\n"                                                          \
	"      podUID:\n"                                                            \
	"        type: string\n"                                                     \
	"      restartCount:\n"                                                      \
	"        type: integer\n"                                                    \
	"        format: int32\n"                                                    \
	"      processed:\n"                                                         \
	"        type: integer\n"                                                    \
	"        format: int64\n"                                                    \
	"      errors:\n"                                                            \
	"        type: integer\n"                                                    \
	"        format: int64\n"

#define COMMON                                                                               \
	FIELD("message", "string", "A sentence for people.")                                 \
	INT64("observedGeneration", "The generation of the spec that this status is about.") \
	FIELD("deliveryGuarantee", "string", "Which guarantee this manifest has, and why.")  \
	MAINTENANCE CONDITIONS

static const char dataflow_status[] =
	FIELD("phase", "string", "Pending, Running, Error, or Stopped (suspended or in a maintenance window).")
		COMMON TIME("lastProcessedTime", "When a message was last done with.")
			INT64("processedCount", "Messages done with.") INT64("errorCount", "Messages that failed.")
				PROCESSORS;

static const char dataflowcron_status[] = FIELD("phase", "string",
						"Pending, Running, RunningTriggers, Completed or Failed.")
	COMMON FIELD("currentRunID", "string", "The run in progress or the last one.")
		FIELD("activeJobName", "string", "The Job in progress.")
			FIELD("currentTriggerIndex", "integer", "The trigger in progress.") "  format: int32\n" TIME(
				"lastScheduleTime", "When a run last began.")
				TIME("lastSuccessfulTime", "When a run last succeeded.")
					TIME("lastFailedTime", "When a run last failed.");

struct column {
	const char *name, *type, *path, *doc;
};

static const struct column dataflow_columns[] = {
	{ "PHASE", "string", ".status.phase", "What the flow does" },
	{ "SOURCE", "string", ".spec.source.type", "Where messages come from" },
	{ "SINK", "string", ".spec.sink.type", "Where messages go" },
	{ "PROCESSED", "integer", ".status.processedCount", "Messages done with" },
	{ "ERRORS", "integer", ".status.errorCount", "Messages that failed" },
	{ "AGE", "date", ".metadata.creationTimestamp", NULL },
	{ 0 },
};

static const struct column dataflowcron_columns[] = {
	{ "SCHEDULE", "string", ".spec.schedule", "When it runs" },
	{ "SUSPEND", "boolean", ".spec.suspend", "No further runs" },
	{ "PHASE", "string", ".status.phase", "What the current run does" },
	{ "LAST", "date", ".status.lastScheduleTime", "When a run last began" },
	{ "AGE", "date", ".metadata.creationTimestamp", NULL },
	{ 0 },
};

struct crd {
	const char *plural, *singular, *kind, *short_name, *doc;
	const struct column *columns;
	const struct df_table *table;
	const char *status;
};

static const struct crd crds[] = {
	[DF_KIND_DATAFLOW] = { "dataflows", "dataflow", "DataFlow", "df",
			       "A pipeline: a source, transformations, a sink. It runs until it is removed or "
			       "suspended.",
			       dataflow_columns, &df_dataflow_table, dataflow_status },
	[DF_KIND_DATAFLOWCRON] = { "dataflowcrons", "dataflowcron", "DataFlowCron", "dfc",
				   "A pipeline that runs on a schedule, each time to the end of its source.",
				   dataflowcron_columns, &df_dataflowcron_table, dataflowcron_status },
};

/* Every line of text, indented. */
static void add_lines(const char *text, int indent, struct df_buf *buf)
{
	while (*text) {
		const char *end = strchrnul(text, '\n');

		df_buf_printf(buf, "%*s%.*s\n", indent, "", (int)(end - text), text);
		text = *end ? end + 1 : end;
	}
}

void df_generate_crd(enum df_manifest_kind kind, const struct df_registry *registry, struct df_buf *buf)
{
	const struct crd *c = &crds[kind];

	df_buf_printf(buf,
		      "# Made by `make manifests` from the field tables in api/v1. Do not edit.\n"
		      "apiVersion: apiextensions.k8s.io/v1\n"
		      "kind: CustomResourceDefinition\n"
		      "metadata:\n"
		      "  name: %s." DF_API_GROUP "\n"
		      "spec:\n"
		      "  group: " DF_API_GROUP "\n"
		      "  names:\n"
		      "    kind: %s\n"
		      "    listKind: %sList\n"
		      "    plural: %s\n"
		      "    singular: %s\n"
		      "    shortNames:\n"
		      "    - %s\n"
		      "  scope: Namespaced\n"
		      "  versions:\n"
		      "  - name: v1\n"
		      "    served: true\n"
		      "    storage: true\n"
		      "    subresources:\n"
		      "      status: {}\n"
		      "    additionalPrinterColumns:\n",
		      c->plural, c->kind, c->kind, c->plural, c->singular, c->short_name);
	for (const struct column *column = c->columns; column->name; column++) {
		df_buf_printf(buf, "    - name: %s\n      type: %s\n      jsonPath: %s\n", column->name, column->type,
			      column->path);
		if (column->doc)
			df_buf_printf(buf, "      description: %s\n", column->doc);
	}
	df_buf_printf(buf,
		      "    schema:\n"
		      "      openAPIV3Schema:\n"
		      "        description: \"%s\"\n"
		      "        type: object\n"
		      "        required:\n"
		      "        - spec\n"
		      "        properties:\n"
		      "          apiVersion:\n"
		      "            type: string\n"
		      "          kind:\n"
		      "            type: string\n"
		      "          metadata:\n"
		      "            type: object\n"
		      "          spec:\n"
		      "            description: \"What the pipeline shall be.\"\n",
		      c->doc);
	df_generate_openapi(c->table, registry, 12, buf);
	df_buf_add_c(buf, "          status:\n"
			  "            description: \"What the operator says about it.\"\n"
			  "            type: object\n"
			  "            properties:\n");
	add_lines(c->status, 14, buf);
}
