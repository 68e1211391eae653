/* Connectors that are programs of their own: docs/connector-protocol.md. They are found here and become connectors like
 * all others. */
#ifndef DF_CONNECTORS_SUBPROCESS_SUBPROCESS_H
#define DF_CONNECTORS_SUBPROCESS_SUBPROCESS_H

#include "base/error.h"

/*
 * When DATAFLOW_USE_SUBPROCESS_CONNECTORS says so: finds the programs, asks each what it is, and adds them. Call it
 * before the registry is used, from one thread. Takes at most some seconds, also when a program hangs; what is wrong
 * with a single program is a warning in the log. DF_ERR_CONFIG: a variable is wrong; DF_ERR_NO_MEMORY.
 */
int df_subprocess_load(struct df_error *err) df_must_check;

/* Adds one program, whatever the environment says; type NULL: as its file name tells. DF_ERR_CONFIG: it cannot be run,
 * or the name is no type's. */
int df_subprocess_add(const char *path, const char *type, struct df_error *err) df_must_check;

#endif
