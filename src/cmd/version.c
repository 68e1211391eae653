#include "cmd/cli.h"

static int version_run(const struct df_command *command, void *options, int operands, char **operand)
{
	struct df_buf buf = { 0 };

	(void)command;
	(void)options;
	(void)operands;
	(void)operand;
	df_buf_add_c(&buf, "dataflow " DF_VERSION "\n");
	return df_print(&buf);
}

const struct df_command df_command_version = {
	.name = "version",
	.operands = "",
	.summary = "print the version",
	.doc = "Prints the version of this program.",
	.examples = "  dataflow version\n",
	.no_connectors = true,
	.run = version_run,
};
