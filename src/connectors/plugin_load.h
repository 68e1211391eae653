/*
 * Loading connectors from shared objects (plugin.h), before anything else looks at the connectors and before there are
 * threads. Nothing is ever unloaded.
 *
 * An object is code that runs with all rights of this process, so it is taken only from where nobody but root and the
 * user can put one: directories by absolute path, never the working directory or PATH; neither the directory nor the
 * file may be writable by everybody or belong to somebody else.
 */
#ifndef DF_CONNECTORS_PLUGIN_LOAD_H
#define DF_CONNECTORS_PLUGIN_LOAD_H

#include "connectors/interface.h"

/*
 * Loads one file, by any path. DF_ERR_CONFIG, and the text names the file and the fix: it is not there, writable by
 * others, no plugin, made for another ABI, needs a function that this program does not have, or a type of it has a name
 * that is taken or lacks a function.
 */
int df_plugin_load_file(const char *path, struct df_error *err) df_must_check;

/* Loads every *.so of a directory, by name. path: absolute, else DF_ERR_CONFIG. The first failure ends it. */
int df_plugin_load_directory(const char *path, struct df_error *err) df_must_check;

/* The file that a connector came from; NULL: it is the program's own. type: of its source or its sink. */
const char *df_plugin_file_of(const struct df_type *type);

struct df_plugin_info {
	const char *file, *name, *version;
};
/* What was loaded, in that order. Static. */
const struct df_plugin_info *df_plugins(size_t *ret_count);

#endif
