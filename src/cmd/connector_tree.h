/* What a new connector changes in a DataFlow tree outside its own folder: a row and an option. */
#ifndef DF_CMD_CONNECTOR_TREE_H
#define DF_CMD_CONNECTOR_TREE_H

#include "base/error.h"

/* DF_ERR_CONFIG: this is not the top of a DataFlow tree, or the name is taken in it. */
int df_connector_tree_check(const char *top, const char *name, struct df_error *err) df_must_check;

/* Adds the row to src/connectors/list.h and the option to meson_options.txt, and prints which files it changed. */
int df_connector_tree_add(const char *top, const char *name, struct df_error *err) df_must_check;

#endif
