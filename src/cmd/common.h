/* What several subcommands share. */
#ifndef DF_CMD_COMMON_H
#define DF_CMD_COMMON_H

#include "api/v1/dataflow.h"
#include "cmd/cli.h"

/* Prints diagnostics to stderr; DF_EXIT_USAGE when one is an error, else DF_EXIT_OK. */
int df_report_diags(const struct df_diags *diags);

/* "1,234,567"; out has 32 bytes. */
const char *df_human_count(uint64_t n, char *out);
/* "12.3 MiB"; out has 32 bytes. */
const char *df_human_bytes(uint64_t n, char *out);

/* The flow that a command works on: the only one of the file, or the one called `name`. NULL, with a message, when
 * there is no such one or several. */
struct df_manifest *df_pick_manifest(const struct df_command *command, struct df_manifests *manifests,
				     const char *name);

/* Where checkpoints are kept unless --state-dir says so: $DATAFLOW_STATE_DIR, $XDG_STATE_HOME/dataflow,
 * ~/.local/state/dataflow, else ./.dataflow. The caller frees; NULL when out of memory. */
char *df_default_state_dir(void);

#endif
