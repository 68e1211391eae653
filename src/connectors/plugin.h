/*
 * Connectors in shared objects: what such an object tells about itself. One line in one of its files does it:
 *
 *	DF_PLUGIN("mydb", "1.0.0", &df_connector_mydb);
 *
 * Program and plugin share struct layouts, so both must come from the same headers, as one number says. A plugin that
 * was compiled with another number is refused before any of its code runs.
 */
#ifndef DF_CONNECTORS_PLUGIN_H
#define DF_CONNECTORS_PLUGIN_H

#include "connectors/base.h"
#include "connectors/bytes.h"
#include "connectors/polling.h"
#include "connectors/records.h"
#include "connectors/settings.h"
#include "net/http_client.h"
#include "table/rows.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

/*
 * Counts up with every change of an installed header that compiled plugins cannot follow: a struct's size or the place
 * of a member, a function's parameters, an enumerator's value. test/plugin/abi.py knows which changes are; test/plugin
 * fails when the number was forgotten. New functions and enumerators need none, nor do new members at the end of the
 * structs in DF_PLUGIN_GROWING: there zero must mean what was before.
 */
#define DF_PLUGIN_ABI 1

/* A plugin fills these in and only points to them, so they may be shorter there than here: the rest is zero. The list
 * itself stays what it is until the number changes. */
#define DF_PLUGIN_GROWING(S) \
	S(df_connector)      \
	S(df_source_ops)     \
	S(df_sink_ops)       \
	S(df_type)

/* These are embedded, or stand in arrays, or are the program's: the same size on both sides. Add at the end. */
#define DF_PLUGIN_FIXED(S)        \
	S(df_connector_env)       \
	S(df_field)               \
	S(df_rule)                \
	S(df_table)               \
	S(df_base_connector)      \
	S(df_base_connector_rw)   \
	S(df_base_call)           \
	S(df_emitter)             \
	S(df_write)               \
	S(df_batching)            \
	S(df_batch)               \
	S(df_message)             \
	S(df_commit)              \
	S(df_value)               \
	S(df_arena)               \
	S(df_buf)                 \
	S(df_error)               \
	S(df_secret)              \
	S(df_polling_source)      \
	S(df_polling_settings)    \
	S(df_table_sink_settings) \
	S(df_tls_settings)        \
	S(df_records_settings)    \
	S(df_row)                 \
	S(df_columns)             \
	S(df_http_request)        \
	S(df_http_response)

/* All of them, in an order that only ever gets longer. */
#define DF_PLUGIN_STRUCTS(S) DF_PLUGIN_GROWING(S) DF_PLUGIN_FIXED(S)

struct df_plugin {
	uint32_t abi;	       /* DF_PLUGIN_ABI */
	uint32_t size;	       /* of this struct */
	const char *name;      /* of the plugin, for people */
	const char *version;   /* of the plugin, for people */
	const uint32_t *sizes; /* of DF_PLUGIN_STRUCTS as the plugin was compiled with */
	size_t size_count;
	const struct df_connector *const *connectors;
	size_t connector_count;
};

/* The number again, in an ELF note, where it can be read without running anything. */
struct df_plugin_note {
	uint32_t name_size, text_size, type;
	char name[12];
	uint32_t abi;
};
#define DF_PLUGIN_NOTE_NAME "DataFlow"
#define DF_PLUGIN_NOTE_TYPE 1
#define DF_PLUGIN_NOTE_INIT                                                                                            \
	{                                                                                                              \
		sizeof(DF_PLUGIN_NOTE_NAME), sizeof(uint32_t), DF_PLUGIN_NOTE_TYPE, DF_PLUGIN_NOTE_NAME, DF_PLUGIN_ABI \
	}

#define DF_PLUGIN_SIZE_(name) sizeof(struct name),

/* Once in a plugin: its name, its version, and the descriptors of its connectors (const struct df_connector *). */
#define DF_PLUGIN(plugin_name, plugin_version, ...)                                                           \
	__attribute__((used, section(".note.dataflow"),                                                       \
		       aligned(4))) static const struct df_plugin_note df_plugin_note_ = DF_PLUGIN_NOTE_INIT; \
	static const uint32_t df_plugin_sizes_[] = { DF_PLUGIN_STRUCTS(DF_PLUGIN_SIZE_) };                    \
	static const struct df_connector *const df_plugin_connectors_[] = { __VA_ARGS__ };                    \
	extern const struct df_plugin df_plugin;                                                              \
	__attribute__((visibility("default"))) const struct df_plugin df_plugin = {                           \
		.abi = DF_PLUGIN_ABI,                                                                         \
		.size = sizeof(struct df_plugin),                                                             \
		.name = (plugin_name),                                                                        \
		.version = (plugin_version),                                                                  \
		.sizes = df_plugin_sizes_,                                                                    \
		.size_count = sizeof(df_plugin_sizes_) / sizeof(df_plugin_sizes_[0]),                         \
		.connectors = df_plugin_connectors_,                                                          \
		.connector_count = sizeof(df_plugin_connectors_) / sizeof(df_plugin_connectors_[0]),          \
	}

#pragma GCC visibility pop

#endif
