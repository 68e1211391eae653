/* What a program says about itself: its settings become a field table. */
#ifndef DF_CONNECTORS_SUBPROCESS_DESCRIBE_H
#define DF_CONNECTORS_SUBPROCESS_DESCRIBE_H

#include "connectors/subprocess/program.h"

/* What it can be. */
struct df_roles {
	bool source, sink;
};

/*
 * Asks the program (at most some seconds) and fills program->source and sink. *ret is what it said it can be; both,
 * when it said nothing: then any settings are accepted. Everything it makes lives for ever. DF_ERR_NO_MEMORY; what is
 * wrong with the program is told in the log.
 */
int df_program_describe(struct df_program *program, struct df_roles *ret, struct df_error *err) df_must_check;

/* The same from the line of the answer; for tests. DF_ERR_CONFIG: what in it cannot be used. */
int df_program_take_description(struct df_program *program, struct df_str line, struct df_roles *ret,
				struct df_error *err) df_must_check;

#endif
