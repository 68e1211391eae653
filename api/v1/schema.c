/* The editors' JSON Schema of a manifest file. Only the kinds that are ours are checked in depth; a Secret may stand
 * beside them in the same file. */
#include "api/v1/internal.h"
#include "base/cleanup.h"
#include "spec/generate.h"

#define BRANCH(kind)                                                                            \
	"{\"if\":{\"properties\":{\"kind\":{\"const\":\"" kind "\"}},\"required\":[\"kind\"]}," \
	"\"then\":{\"properties\":{\"apiVersion\":{\"const\":\"" DF_API_VERSION "\"},"          \
	"\"spec\":{\"$ref\":\"#/$defs/" kind "\"}},\"required\":[\"apiVersion\",\"spec\"],"     \
	"\"propertyNames\":{\"enum\":[\"apiVersion\",\"kind\",\"metadata\",\"spec\",\"status\"]}}}"

static const char head[] =
	"{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":\"DataFlow "
	"manifest\",\"type\":\"object\","
	"\"required\":[\"apiVersion\",\"kind\",\"metadata\"],\"properties\":{\"apiVersion\":{\"type\":\"string\","
	"\"examples\":[\"" DF_API_VERSION "\"]},"
	"\"kind\":{\"enum\":[\"DataFlow\",\"DataFlowCron\",\"Secret\"]},"
	"\"metadata\":{\"type\":\"object\",\"required\":[\"name\"],\"properties\":{\"name\":{\"type\":\"string\","
	"\"maxLength\":253,\"pattern\":\"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$\"},"
	"\"namespace\":{\"type\":\"string\",\"maxLength\":63,\"pattern\":\"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$\"}}}},"
	"\"allOf\":[" BRANCH("DataFlow") "," BRANCH("DataFlowCron") "],\"$defs\":{\"DataFlow\":";

void df_generate_manifest_schema(const struct df_registry *registry, struct df_buf *buf)
{
	df_cleanup(df_buf_done) struct df_buf compact = { 0 };

	df_buf_add_c(&compact, head);
	df_generate_json_schema_object(&df_dataflow_table, registry, &compact);
	df_buf_add_c(&compact, ",\"DataFlowCron\":");
	df_generate_json_schema_object(&df_dataflowcron_table, registry, &compact);
	df_generate_json_schema_defs(registry, &compact);
	df_buf_add_c(&compact, "}}");
	df_generate_json_indent(df_buf_str(&compact), buf);
	buf->failed |= compact.failed;
}
