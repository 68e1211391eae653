/* The one thing that is read from a plugin's file before it is loaded. Private to plugin_load.c. */
#ifndef DF_CONNECTORS_PLUGIN_ELF_H
#define DF_CONNECTORS_PLUGIN_ELF_H

#include <stdint.h>

#include "base/error.h"

/* The ABI number in the note of an open file. DF_ERR_CONFIG: it is no shared object for this machine, or it has no such
 * note; the texts complete "FILE: ...". */
int df_plugin_read_abi(int fd, uint32_t *ret, struct df_error *err) df_must_check;

#endif
