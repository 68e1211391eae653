/*
 * Structured log lines on stderr: JSON in a pod, readable on a terminal. Level by LOG_LEVEL. Nothing per message above
 * debug, never a payload or a secret. Thread-safe: one write(2) a line.
 */
#ifndef DF_BASE_LOG_H
#define DF_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

enum df_log_level { DF_LOG_DEBUG, DF_LOG_INFO, DF_LOG_WARN, DF_LOG_ERROR };
enum df_log_format { DF_LOG_AUTO /* JSON unless stderr is a terminal */, DF_LOG_TEXT, DF_LOG_JSON };

/* What every line of one owner carries. All borrowed; NULL fields are left out. */
struct df_logger {
	const char *namespace;	    /* dataflow_namespace */
	const char *name;	    /* dataflow_name */
	const char *connector_type; /* "<type>-source" or "<type>-sink" */
};

struct df_log_field {
	const char *key; /* NULL ends the list */
	enum { DF_FIELD_TEXT, DF_FIELD_INT } kind;
	struct df_str text;
	int64_t number;
};

#define DF_LOG_STR(k, v)                                       \
	{                                                      \
		.key = (k), .kind = DF_FIELD_TEXT, .text = (v) \
	}
#define DF_LOG_C(k, v)                                                 \
	{                                                              \
		.key = (k), .kind = DF_FIELD_TEXT, .text = df_str_c(v) \
	}
#define DF_LOG_NUM(k, v)                                        \
	{                                                       \
		.key = (k), .kind = DF_FIELD_INT, .number = (v) \
	}

/* Process-wide; called once from main before threads start. level_text NULL or unknown: info (and one warning when it
 * is not NULL and unknown). Names in any case. */
void df_log_setup(enum df_log_format format, const char *level_text);
bool df_log_enabled(enum df_log_level level);

/* Called around each line while a progress display owns the terminal's last line; NULL removes it. */
void df_log_set_hook(void (*before)(void *arg), void (*after)(void *arg), void *arg);

/* logger and fields may be NULL; fields end with a NULL key. */
void df_log(const struct df_logger *logger, enum df_log_level level, const struct df_log_field *fields, const char *fmt,
	    ...) df_printf(4, 5);

#define DF_LOG_FIELDS(...) ((const struct df_log_field[]){ __VA_ARGS__, { .key = NULL } })

#define df_debug(logger, ...)                                              \
	do {                                                               \
		if (df_log_enabled(DF_LOG_DEBUG))                          \
			df_log((logger), DF_LOG_DEBUG, NULL, __VA_ARGS__); \
	} while (0)
#define df_info(logger, ...) df_log((logger), DF_LOG_INFO, NULL, __VA_ARGS__)
#define df_warn(logger, ...) df_log((logger), DF_LOG_WARN, NULL, __VA_ARGS__)

/* An error with its class and the other side's code as fields. */
void df_log_error(const struct df_logger *logger, enum df_log_level level, const struct df_error *err, const char *fmt,
		  ...) df_printf(4, 5);

#pragma GCC visibility pop

#endif
