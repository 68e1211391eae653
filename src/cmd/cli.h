/*
 * The command line: one table of options a subcommand. Parsing, --help, "did you mean", shell completion and
 * docs/cli.md all come from the tables; there is no second list.
 */
#ifndef DF_CMD_CLI_H
#define DF_CMD_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

/* Exit codes, documented in --help and docs/cli.md. */
enum df_exit {
	DF_EXIT_OK = 0,	    /* done */
	DF_EXIT_FAILED = 1, /* it ran and failed */
	DF_EXIT_USAGE = 2,  /* bad usage or bad manifest: nothing was started */
};

enum df_option_type { DF_OPTION_FLAG, DF_OPTION_TEXT, DF_OPTION_NUMBER, DF_OPTION_LIST };

/* A repeatable option's values, in order; borrowed from argv. */
struct df_option_list {
	const char **items;
	size_t count;
};

struct df_option {
	const char *name; /* without the dashes */
	char letter;	  /* short form, or 0 */
	enum df_option_type type;
	size_t offset;
	const char *argument;	    /* "FILE", "DIR" ...: for help; completion completes files for FILE and DIR */
	const char *const *choices; /* NULL-terminated, or NULL */
	const char *optional;	    /* the value when it is given without one (`--envelope[=raw]`); NULL: required */
	const char *doc;
};

#define DF_OPTION_TYPE_OF(S, member) \
	_Generic(((S *)0)->member,                                                                                     \
		bool: DF_OPTION_FLAG,                                                                                  \
		const char *: DF_OPTION_TEXT,                                                                          \
		uint64_t: DF_OPTION_NUMBER,                                                                            \
		struct df_option_list: DF_OPTION_LIST)

#define DF_OPTION(S, member, long_name, short_letter, ...)                                           \
	{                                                                                            \
		.name = (long_name), .letter = (short_letter), .type = DF_OPTION_TYPE_OF(S, member), \
		.offset = offsetof(S, member), __VA_ARGS__                                           \
	}

struct df_command {
	const char *name;		/* one word, or two: "connector new" */
	const char *operands;		/* "FILE...": for usage */
	int min_operands, max_operands; /* max -1: any */
	const char *summary;		/* one line */
	const char *doc;		/* paragraphs */
	const char *examples;		/* lines, each a command that runs */
	const struct df_option *options;
	size_t option_count;
	size_t size;	    /* of the options struct */
	bool no_connectors; /* none is loaded: it asks for none, or loads them itself (plugins.h) */
	int (*run)(const struct df_command *command, void *options, int operands, char **operand);
};

/* All subcommands in the order of the help; from src/cmd/list.h. */
const struct df_command *const *df_commands(size_t *ret_count);
/* The second word of a command whose first is `group`; NULL: it is another's. */
const char *df_command_rest(const struct df_command *command, const char *group);
/* The first word. */
struct df_str df_command_word(const struct df_command *command);

/* The command that argv[1] (and argv[2]) name, with the rest of the arguments. Handles help and --version. Returns an
 * enum df_exit. */
int df_commands_main(int argc, char **argv);

/* Parses argv[1..] of one subcommand and runs it. Handles --help. Returns an enum df_exit. */
int df_command_main(const struct df_command *command, int argc, char **argv);

void df_command_help(const struct df_command *command, struct df_buf *buf);
void df_main_help(struct df_buf *buf);

/* Writes the buffer to standard output; DF_EXIT_OK, or DF_EXIT_FAILED with a message when that fails (closed, full
 * disk). */
int df_print(struct df_buf *buf);

/* "dataflow <command>: text" on stderr; returns DF_EXIT_USAGE. */
int df_usage_error(const struct df_command *command, const char *fmt, ...) df_printf(2, 3);

#endif
