/* A program's `error` as ours: docs/connector-protocol.md, section 7. */
#ifndef DF_CONNECTORS_SUBPROCESS_ERRORS_H
#define DF_CONNECTORS_SUBPROCESS_ERRORS_H

#include "connectors/subprocess/answer.h"
#include "connectors/subprocess/secrets.h"

/* Sets err from the members `message`, `code` and `retryable`; secrets are masked. Returns its code. */
int df_program_error(const struct df_members *members, const struct df_hidden *hidden, struct df_error *err);

#endif
