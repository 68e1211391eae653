/* Connectors that are not part of the program: where they are said to be, and loading them. */
#ifndef DF_CMD_PLUGINS_H
#define DF_CMD_PLUGINS_H

#include "cmd/cli.h"

/* `--connector-dir DIR`, which every command takes, before its name or behind: for help and completion. */
extern const struct df_option df_connector_dir_option;

/* Takes it out of the arguments, as often as it is there. Returns the new argc, or -1 after a message. */
int df_take_connector_dirs(int argc, char **argv);

/* Loads what is in the directories of `--connector-dir` and $DATAFLOW_CONNECTOR_DIR. Once, before anything looks at
 * the connectors. DF_EXIT_OK, or DF_EXIT_USAGE after a message. */
int df_load_connectors(const struct df_command *command);

#endif
