/* The list of subcommands, and the one that a command line names. A name may have two words: `connector new`. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cmd/plugins.h"

#define DF_COMMAND(name) extern const struct df_command df_command_##name;
#include "cmd/list.h"
#undef DF_COMMAND

static const struct df_command *const commands[] = {
#define DF_COMMAND(name) &df_command_##name,
#include "cmd/list.h"
#undef DF_COMMAND
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

const struct df_command *const *df_commands(size_t *ret_count)
{
	*ret_count = COMMANDS;
	return commands;
}

const char *df_command_rest(const struct df_command *command, const char *group)
{
	size_t n = strlen(group);

	return strncmp(command->name, group, n) == 0 && command->name[n] == ' ' ? command->name + n + 1 : NULL;
}

struct df_str df_command_word(const struct df_command *command)
{
	return df_str(command->name, strcspn(command->name, " "));
}

/* ---- finding --------------------------------------------------------------------------------------------- */

static bool is_group(const char *word)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (df_command_rest(commands[i], word))
			return true;
	return false;
}

/* The command whose name the words begin with, and how many words that are. */
static const struct df_command *find(int argc, char **argv, int *ret_words)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const char *rest = argc > 0 ? df_command_rest(commands[i], argv[0]) : NULL;

		*ret_words = rest ? 2 : 1;
		if (argc > 0 && strcmp(commands[i]->name, argv[0]) == 0)
			return commands[i];
		if (rest && argc > 1 && strcmp(rest, argv[1]) == 0)
			return commands[i];
	}
	return NULL;
}

/* group NULL: the first words of all commands; else the second words of this group's. Returns how many. */
static size_t words_of(const char *group, struct df_str out[static COMMANDS])
{
	size_t n = 0;

	for (size_t i = 0; i < COMMANDS; i++) {
		const char *rest = group ? df_command_rest(commands[i], group) : NULL;

		if (rest)
			out[n++] = df_str_c(rest);
		else if (!group && (n == 0 || !df_str_equal(out[n - 1], df_command_word(commands[i]))))
			out[n++] = df_command_word(commands[i]);
	}
	return n;
}

#define WORD_MAX 32

static int unknown_command(const char *group, const char *name)
{
	struct df_str words[COMMANDS];
	char texts[COMMANDS][WORD_MAX];
	const char *names[COMMANDS], *near;
	size_t n = words_of(group, words);

	for (size_t i = 0; i < n; i++) {
		snprintf(texts[i], WORD_MAX, DF_STR_FMT, DF_STR_ARG(words[i]));
		names[i] = texts[i];
	}
	near = df_nearest(df_str_c(name), names, n);
	fprintf(stderr, "dataflow: unknown command '%s%s%s'%s%s%s%s%s\nSee 'dataflow %s%s--help'.\n",
		group ? group : "", group ? " " : "", name, near ? "; did you mean '" : "", near && group ? group : "",
		near && group ? " " : "", near ? near : "", near ? "'?" : "", group ? group : "", group ? " " : "");
	return DF_EXIT_USAGE;
}

/* ---- help ------------------------------------------------------------------------------------------------ */

void df_main_help(struct df_buf *buf)
{
	df_buf_add_c(buf,
		     "Usage: dataflow COMMAND [OPTIONS] ...\n\n"
		     "Runs data pipelines that a manifest declares: source -> transformations -> sink.\n\nCommands:\n");
	for (size_t i = 0; i < COMMANDS; i++)
		df_buf_printf(buf, "  %-16s %s\n", commands[i]->name, commands[i]->summary);
	df_buf_add_c(buf, "\n'dataflow COMMAND --help' shows a command's options with examples.\n\n"
			  "Example:\n  dataflow run examples/earthquakes/flow.yaml\n\n"
			  "Exit codes: 0 done, 1 failed, 2 bad usage or manifest.\n");
}

static void group_help(const char *group, struct df_buf *buf)
{
	df_buf_printf(buf, "Usage: dataflow %s COMMAND [OPTIONS] ...\n\nCommands:\n", group);
	for (size_t i = 0; i < COMMANDS; i++)
		if (df_command_rest(commands[i], group))
			df_buf_printf(buf, "  %-16s %s\n", commands[i]->name, commands[i]->summary);
	df_buf_printf(buf, "\n'dataflow %s COMMAND --help' shows a command's options with examples.\n", group);
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

/* `help`, `help COMMAND`. */
static int help(int argc, char **argv)
{
	struct df_buf buf = { 0 };
	int words;
	const struct df_command *command = find(argc, argv, &words);

	if (command)
		df_command_help(command, &buf);
	else if (argc == 0)
		df_main_help(&buf);
	else if (!is_group(argv[0]))
		return unknown_command(NULL, argv[0]);
	else if (argc > 1)
		return unknown_command(argv[0], argv[1]);
	else
		group_help(argv[0], &buf);
	return df_print(&buf);
}

/* Nothing, or only the first word of a command, was said: what there is, as an error. */
static int incomplete(const char *group)
{
	struct df_buf buf = { 0 };

	if (group)
		group_help(group, &buf);
	else
		df_main_help(&buf);
	fputs(df_buf_c(&buf), stderr);
	df_buf_done(&buf);
	return DF_EXIT_USAGE;
}

/* ---- running --------------------------------------------------------------------------------------------- */

/* Links to the program that stand for a command, as the original's images have them. */
static const struct {
	const char *link, *command;
} links[] = {
	{ "processor", "processor" },
	{ "manager", "operator" },
};

/* The command that the program was called by; NULL: it was called by its own name. */
static const struct df_command *linked(char *program)
{
	const char *slash = program ? strrchr(program, '/') : NULL, *name = slash ? slash + 1 : program;
	int words;

	for (size_t i = 0; name && i < DF_ARRAY_SIZE(links); i++)
		if (strcmp(name, links[i].link) == 0)
			return find(1, (char *[]){ (char *)links[i].command }, &words);
	return NULL;
}

int df_commands_main(int argc, char **argv)
{
	const struct df_command *command;
	int words;

	argc = df_take_connector_dirs(argc, argv);
	if (argc < 0)
		return DF_EXIT_USAGE;
	command = argc > 0 ? linked(argv[0]) : NULL;
	if (command)
		return df_command_main(command, argc, argv);
	if (argc < 2)
		return incomplete(NULL);
	if (is_help(argv[1]))
		return help(argc - 2, argv + 2);
	if (strcmp(argv[1], "--version") == 0)
		argv[1] = (char *)"version";
	command = find(argc - 1, argv + 1, &words);
	if (command)
		return df_command_main(command, argc - words, argv + words);
	if (!is_group(argv[1]))
		return unknown_command(NULL, argv[1]);
	if (argc == 2)
		return incomplete(argv[1]);
	if (is_help(argv[2]))
		return help(1, argv + 1);
	return unknown_command(argv[1], argv[2]);
}
