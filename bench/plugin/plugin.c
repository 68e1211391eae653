/* `generate` and `discard`, from the sources that the program is built of, as a plugin: the same connectors under other
 * names. */
#include <dataflow/connector.h>

extern const struct df_connector df_connector_generate, df_connector_discard;

static struct df_type source, sink;
static struct df_source_ops source_ops;
static struct df_sink_ops sink_ops;

static const struct df_connector loaded_generate = { .source = &source, .source_ops = &source_ops };
static const struct df_connector loaded_discard = { .sink = &sink, .sink_ops = &sink_ops };

__attribute__((constructor)) static void rename_types(void)
{
	source = *df_connector_generate.source;
	sink = *df_connector_discard.sink;
	source_ops = *df_connector_generate.source_ops;
	sink_ops = *df_connector_discard.sink_ops;
	source.name = "generate-loaded";
	sink.name = "discard-loaded";
}

DF_PLUGIN("bench", "1", &loaded_generate, &loaded_discard);
