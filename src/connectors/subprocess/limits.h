/* What the environment says about programs: docs/connector-protocol.md, section 1. */
#ifndef DF_CONNECTORS_SUBPROCESS_LIMITS_H
#define DF_CONNECTORS_SUBPROCESS_LIMITS_H

#include <stdint.h>

#include "base/str.h"

struct df_program_limits {
	int64_t timeout_ns; /* silence while an answer is due */
	int64_t grace_ns;   /* between close and SIGTERM, and SIGTERM and SIGKILL */
	size_t line_bytes;
};

/* DF_ERR_CONFIG: a variable has a value that is none. */
int df_program_limits_read(struct df_program_limits *ret, struct df_error *err) df_must_check;

/* The environment that a program gets: a heap array, NULL at its end, free with df_program_environment_free. NULL when
 * out of memory. */
char **df_program_environment(void);
void df_program_environment_free(char **environment); /* accepts NULL */

#endif
