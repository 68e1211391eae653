/* A small registry, temporary files, and loading from text. */
#ifndef TEST_API_SUPPORT_H
#define TEST_API_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/v1/dataflow.h"

struct queue_settings {
	char *topic;
};

struct rows_settings {
	char *table;
	struct df_secret password;
	bool upsert;
};

struct route_settings {
	char *condition;
	struct df_component sink;
};

struct router_settings {
	struct df_objects routes;
};

struct stamp_settings {
	char *field;
};

static const struct df_field queue_fields[] = {
	DF_FIELD(struct queue_settings, topic, "topic", DF_REQUIRED, .doc = "The topic."),
};
static const struct df_table queue_table = DF_TABLE(struct queue_settings, queue_fields);

static const struct df_field rows_fields[] = {
	DF_FIELD(struct rows_settings, table, "table", DF_REQUIRED, .doc = "The table."),
	DF_FIELD(struct rows_settings, password, "password", DF_SENSITIVE, .doc = "The password."),
	DF_FIELD(struct rows_settings, upsert, "upsertMode", 0, .doc = "Replace."),
};
static const struct df_table rows_table = DF_TABLE(struct rows_settings, rows_fields);

static const struct df_field route_fields[] = {
	DF_FIELD(struct route_settings, condition, "condition", DF_REQUIRED, .doc = "When."),
	DF_FIELD(struct route_settings, sink, "sink", DF_REQUIRED, .component = DF_SINK, .doc = "Where."),
};
static const struct df_table route_table = DF_TABLE(struct route_settings, route_fields);

static const struct df_field router_fields[] = {
	DF_FIELD(struct router_settings, routes, "routes", DF_REQUIRED, .table = &route_table, .doc = "The routes."),
};
static const struct df_table router_table = DF_TABLE(struct router_settings, router_fields);

static const struct df_field stamp_fields[] = {
	DF_FIELD(struct stamp_settings, field, "fieldName", 0, .def = "created_at", .doc = "The field."),
};
static const struct df_table stamp_table = DF_TABLE(struct stamp_settings, stamp_fields);

static inline bool rows_keep(const void *settings)
{
	(void)settings;
	return true;
}

static inline bool rows_repeatable(const void *settings)
{
	return ((const struct rows_settings *)settings)->upsert;
}

static const struct df_type queue_source = {
	.name = "queue", .title = "A queue.", .settings = &queue_table, .scales_out = true
};
static const struct df_type queue_sink = { .name = "queue", .title = "A queue.", .settings = &queue_table };
static const struct df_type rows_source = {
	.name = "rows",
	.title = "A table.",
	.settings = &rows_table,
	.keeps_position = rows_keep,
};
static const struct df_type rows_sink = {
	.name = "rows",
	.title = "A table.",
	.settings = &rows_table,
	.repeatable = rows_repeatable,
};
static const struct df_type router_type = { .name = "router", .title = "Routes.", .settings = &router_table };
static const struct df_type stamp_type = {
	.name = "stamp", .title = "A time.", .settings = &stamp_table, .settings_optional = true
};

static const struct df_type *const source_types[] = { &queue_source, &rows_source };
static const struct df_type *const sink_types[] = { &queue_sink, &rows_sink };
static const struct df_type *const transformation_types[] = { &stamp_type, &router_type };
static const struct df_registry registry = { { source_types, sink_types, transformation_types }, { 2, 2, 2 } };

#endif
