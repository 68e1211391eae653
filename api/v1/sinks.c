/* Where a flow's messages may end. */
#include "api/v1/dataflow.h"

/* Every sink inside a transformation's settings, however deep. */
static void each_nested_sink(const struct df_table *table, const void *settings, df_sink_visit *visit, void *arg)
{
	for (size_t i = 0; table && i < table->field_count; i++) {
		const struct df_field *f = &table->fields[i];
		const void *member = (const char *)settings + f->offset;
		const struct df_component *component = member;
		const struct df_object *object = member;
		const struct df_objects *objects = member;

		if (f->alias_of || (f->flags & DF_IGNORED))
			continue;
		if (f->type == DF_TYPE_COMPONENT && f->component == DF_SINK && component->type)
			visit(arg, component, DF_SINK_ROUTE);
		else if (f->type == DF_TYPE_OBJECT && object->settings)
			each_nested_sink(f->table, object->settings, visit, arg);
		else if (f->type == DF_TYPE_OBJECTS)
			for (size_t n = 0; n < objects->count; n++)
				each_nested_sink(f->table, (const char *)objects->items + n * f->table->size, visit,
						 arg);
	}
}

void df_flow_each_sink(const struct df_dataflow_spec *spec, df_sink_visit *visit, void *arg)
{
	if (spec->sink.type)
		visit(arg, &spec->sink, DF_SINK_MAIN);
	for (size_t i = 0; i < spec->transformations.count; i++) {
		const struct df_component *t = &spec->transformations.items[i];

		if (t->type && t->settings)
			each_nested_sink(t->type->settings, t->settings, visit, arg);
	}
	if (spec->errors.type)
		visit(arg, &spec->errors, DF_SINK_ERRORS);
}
