/* Messages as a program gets them: docs/connector-protocol.md, section 3. */
#ifndef DF_CONNECTORS_SUBPROCESS_COMMAND_H
#define DF_CONNECTORS_SUBPROCESS_COMMAND_H

#include "base/clock.h"
#include "message/message.h"

/* Appends one message. arena: where it may parse. DF_ERR_INVALID_DATA: the protocol cannot say it (protocol 1, bytes
 * that are no UTF-8), out is unchanged; DF_ERR_NO_MEMORY. */
int df_message_to_program(struct df_message *m, int protocol, const struct df_clock *clock, struct df_arena *arena,
			  struct df_buf *out, struct df_error *err) df_must_check;

#endif
