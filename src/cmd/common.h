/* What several subcommands share. */
#ifndef DF_CMD_COMMON_H
#define DF_CMD_COMMON_H

#include "api/v1/dataflow.h"
#include "base/log.h"
#include "base/time.h"
#include "cmd/cli.h"

/* Prints diagnostics to stderr; DF_EXIT_USAGE when one is an error, else DF_EXIT_OK. */
int df_report_diags(const struct df_diags *diags);

/* SENTRY_DSN and what belongs to it are accepted: one line says that they have no effect. */
void df_note_sentry(void);

/* Of --log-format: the choices, and what one means (NULL: auto). */
extern const char *const df_log_choices[];
enum df_log_format df_log_format_of(const char *text);

/* "1,234,567"; out has 32 bytes. */
const char *df_human_count(uint64_t n, char *out);
/* "12.3 MiB"; out has 32 bytes. */
const char *df_human_bytes(uint64_t n, char *out);

/* RFC 3339, to the second, at the zone's offset (NULL: UTC); out has DF_TIME_TEXT bytes. */
#define DF_TIME_TEXT (DF_RFC3339_MAX + 1)
const char *df_time_text(int64_t unix_seconds, const struct df_zone *zone, char *out);

/* The flow that a command works on: the only one of the file, or the one called `name`. NULL, with a message, when
 * there is no such one or several. */
struct df_manifest *df_pick_manifest(const struct df_command *command, struct df_manifests *manifests,
				     const char *name);

/* Where checkpoints are kept unless --state-dir says so: $DATAFLOW_STATE_DIR, $XDG_STATE_HOME/dataflow,
 * ~/.local/state/dataflow, else ./.dataflow. The caller frees; NULL when out of memory. */
char *df_default_state_dir(void);

#endif
