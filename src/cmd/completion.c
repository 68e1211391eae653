/* Shell completion, written from the option tables. */
#include <string.h>

#include "cmd/common.h"
#include "cmd/plugins.h"
#include "connectors/factory.h"

static void add_words(const struct df_command *command, struct df_buf *buf)
{
	for (size_t i = 0; i < command->option_count; i++)
		df_buf_printf(buf, "--%s ", command->options[i].name);
	df_buf_printf(buf, "--%s --help", df_connector_dir_option.name);
}

static void add_names(enum df_component_kind kind, bool but_sources, struct df_buf *buf)
{
	const struct df_registry *registry = df_registry();

	for (size_t i = 0; i < registry->count[kind]; i++) {
		const char *name = registry->types[kind][i]->name;

		if (!but_sources || !df_registry_find(registry, DF_SOURCE, df_str_c(name)))
			df_buf_printf(buf, " %s", name);
	}
}

/* The words an operand may be, for commands that take a type; "" where files are meant. */
static void add_operands(const struct df_command *command, struct df_buf *buf)
{
	if (strcmp(command->name, "transformations") == 0) {
		add_names(DF_TRANSFORMATION, false, buf);
	} else if (strcmp(command->name, "connectors") == 0) {
		add_names(DF_SOURCE, false, buf);
		add_names(DF_SINK, true, buf);
	} else if (strcmp(command->name, "completion") == 0) {
		df_buf_add_c(buf, "bash zsh fish");
	} else if (strcmp(command->name, "generate") == 0) {
		df_buf_add_c(buf, "crd docs schema");
	} else if (strcmp(command->name, "cron") == 0) {
		df_buf_add_c(buf, "next");
	}
}

/* Is it the first command with its first word? So each word comes once; a group's rows stand together. */
static bool opens_word(const struct df_command *const *commands, size_t i)
{
	return i == 0 || !df_str_equal(df_command_word(commands[i - 1]), df_command_word(commands[i]));
}

static bool is_second(const struct df_command *command)
{
	return strchr(command->name, ' ') != NULL;
}

/* The second words of the group that command i opens. */
static void add_second_words(const struct df_command *const *commands, size_t n, size_t i, struct df_buf *buf)
{
	struct df_str group = df_command_word(commands[i]);

	for (const char *gap = ""; i < n && df_str_equal(df_command_word(commands[i]), group); i++, gap = " ")
		df_buf_printf(buf, "%s%s", gap, commands[i]->name + group.len + 1);
}

/* A command of two words is looked up as both; while the second is typed, the first alone has its words. */
static void bash_groups(const struct df_command *const *commands, size_t n, struct df_buf *buf)
{
	for (size_t i = 0; i < n; i++)
		if (is_second(commands[i]) && opens_word(commands, i))
			df_buf_printf(buf,
				      "    " DF_STR_FMT ") [ \"$COMP_CWORD\" -gt 2 ] && command+=\" "
				      "${COMP_WORDS[2]}\" ;;\n",
				      DF_STR_ARG(df_command_word(commands[i])));
}

static void bash(struct df_buf *buf)
{
	size_t n;
	const struct df_command *const *commands = df_commands(&n);

	df_buf_add_c(buf, "# bash completion for dataflow: source <(dataflow completion bash)\n_dataflow() {\n"
			  "  local cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} words=\n"
			  "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    words=\"");
	for (size_t i = 0; i < n; i++)
		if (opens_word(commands, i))
			df_buf_printf(buf, DF_STR_FMT " ", DF_STR_ARG(df_command_word(commands[i])));
	df_buf_add_c(buf, "--help --version\"\n  else\n    case $command in\n");
	bash_groups(commands, n, buf);
	df_buf_add_c(buf, "    esac\n    case $command in\n");
	for (size_t i = 0; i < n; i++) {
		if (is_second(commands[i]) && opens_word(commands, i)) {
			df_buf_printf(buf, "    " DF_STR_FMT ") words=\"", DF_STR_ARG(df_command_word(commands[i])));
			add_second_words(commands, n, i, buf);
			df_buf_add_c(buf, " --help\" ;;\n");
		}
		df_buf_printf(buf, "    '%s') words=\"", commands[i]->name);
		add_words(commands[i], buf);
		df_buf_add_char(buf, ' ');
		add_operands(commands[i], buf);
		df_buf_add_c(buf, "\" ;;\n");
	}
	df_buf_add_c(buf, "    esac\n  fi\n  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
			  "  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$cur\"))\n}\n"
			  "complete -o filenames -F _dataflow dataflow\n");
}

/* Text inside single quotes, for zsh and fish; zsh also wants brackets and colons escaped. */
static void add_quoted(const char *text, const char *escape, struct df_buf *buf)
{
	for (; *text; text++) {
		if (*text == '\'')
			df_buf_add_c(buf, "'\\'");
		else if (strchr(escape, *text))
			df_buf_add_char(buf, '\\');
		df_buf_add_char(buf, *text);
	}
}

static void zsh_option(const struct df_option *option, struct df_buf *buf)
{
	df_buf_printf(buf, " '--%s[", option->name);
	add_quoted(option->doc, "[]", buf);
	df_buf_add_c(buf, option->type == DF_OPTION_FLAG ? "]'" : "]:value:_files'");
}

static void zsh_arguments(const struct df_command *command, const char *indent, const char *word, struct df_buf *buf)
{
	df_buf_printf(buf, "%s%s) _arguments", indent, word);
	for (size_t o = 0; o < command->option_count; o++)
		zsh_option(&command->options[o], buf);
	zsh_option(&df_connector_dir_option, buf);
	df_buf_add_c(buf, " '*:operand:(");
	add_operands(command, buf);
	df_buf_add_c(buf, ")' '*:file:_files' ;;\n");
}

/* The second words of a group, then the arguments with the first word gone. */
static void zsh_group(const struct df_command *const *commands, size_t n, size_t i, struct df_buf *buf)
{
	struct df_str group = df_command_word(commands[i]);

	df_buf_printf(buf, "    " DF_STR_FMT ") if (( CURRENT == 3 )); then compadd ", DF_STR_ARG(group));
	add_second_words(commands, n, i, buf);
	df_buf_add_c(buf, "; return; fi\n      shift words; (( CURRENT-- ))\n      case $words[2] in\n");
	for (; i < n && df_str_equal(df_command_word(commands[i]), group); i++)
		zsh_arguments(commands[i], "      ", commands[i]->name + group.len + 1, buf);
	df_buf_add_c(buf, "      esac ;;\n");
}

static void zsh(struct df_buf *buf)
{
	size_t n;
	const struct df_command *const *commands = df_commands(&n);

	df_buf_add_c(buf, "#compdef dataflow\n# zsh completion for dataflow: dataflow completion zsh > "
			  "\"${fpath[1]}/_dataflow\"\n"
			  "_dataflow() {\n  local -a commands=(\n");
	for (size_t i = 0; i < n; i++) {
		if (!opens_word(commands, i))
			continue;
		df_buf_printf(buf, "    '" DF_STR_FMT ":", DF_STR_ARG(df_command_word(commands[i])));
		if (is_second(commands[i]))
			add_second_words(commands, n, i, buf);
		else
			add_quoted(commands[i]->summary, ":", buf);
		df_buf_add_c(buf, "'\n");
	}
	df_buf_add_c(buf, "  )\n  if (( CURRENT == 2 )); then _describe command commands; return; fi\n"
			  "  case $words[2] in\n");
	for (size_t i = 0; i < n; i++) {
		if (!is_second(commands[i]))
			zsh_arguments(commands[i], "    ", commands[i]->name, buf);
		else if (opens_word(commands, i))
			zsh_group(commands, n, i, buf);
	}
	df_buf_add_c(buf, "  esac\n}\n_dataflow \"$@\"\n");
}

/* "complete -c dataflow -n <the command is on the line>". */
static void fish_seen(const struct df_command *command, struct df_buf *buf)
{
	struct df_str word = df_command_word(command);

	df_buf_printf(buf, "complete -c dataflow -n '__fish_seen_subcommand_from " DF_STR_FMT, DF_STR_ARG(word));
	if (is_second(command))
		df_buf_printf(buf, "; and __fish_seen_subcommand_from %s", command->name + word.len + 1);
	df_buf_add_char(buf, '\'');
}

static void fish_word(const struct df_command *const *commands, size_t n, size_t i, struct df_buf *buf)
{
	struct df_str word = df_command_word(commands[i]);

	df_buf_printf(buf, "complete -c dataflow -n __fish_use_subcommand -f -a " DF_STR_FMT " -d '", DF_STR_ARG(word));
	if (!is_second(commands[i])) {
		add_quoted(commands[i]->summary, "", buf);
		df_buf_add_c(buf, "'\n");
		return;
	}
	add_second_words(commands, n, i, buf);
	df_buf_printf(buf, "'\ncomplete -c dataflow -n '__fish_seen_subcommand_from " DF_STR_FMT "' -f -a '",
		      DF_STR_ARG(word));
	add_second_words(commands, n, i, buf);
	df_buf_add_c(buf, "'\n");
}

static void fish_option(const struct df_command *command, const struct df_option *option, struct df_buf *buf)
{
	fish_seen(command, buf);
	df_buf_printf(buf, " -l %s%s -d '", option->name, option->type == DF_OPTION_FLAG ? "" : " -r");
	add_quoted(option->doc, "", buf);
	df_buf_add_c(buf, "'\n");
}

static void fish(struct df_buf *buf)
{
	size_t n;
	const struct df_command *const *commands = df_commands(&n);

	df_buf_add_c(buf, "# fish completion for dataflow: dataflow completion fish > "
			  "~/.config/fish/completions/dataflow.fish\n");
	for (size_t i = 0; i < n; i++) {
		if (opens_word(commands, i))
			fish_word(commands, n, i, buf);
		for (size_t o = 0; o < commands[i]->option_count; o++)
			fish_option(commands[i], &commands[i]->options[o], buf);
		fish_option(commands[i], &df_connector_dir_option, buf);
		fish_seen(commands[i], buf);
		df_buf_add_c(buf, " -a '");
		add_operands(commands[i], buf);
		df_buf_add_c(buf, "'\n");
	}
}

static const struct {
	const char *name;
	void (*write)(struct df_buf *buf);
} shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };

static int completion_run(const struct df_command *command, void *options, int operands, char **operand)
{
	struct df_buf buf = { 0 };

	(void)options;
	(void)operands;
	for (size_t i = 0; i < DF_ARRAY_SIZE(shells); i++) {
		if (strcmp(shells[i].name, operand[0]) == 0) {
			shells[i].write(&buf);
			return df_print(&buf);
		}
	}
	return df_usage_error(command, "unknown shell '%s'; bash, zsh and fish are known", operand[0]);
}

const struct df_command df_command_completion = {
	.name = "completion",
	.operands = "bash|zsh|fish",
	.min_operands = 1,
	.max_operands = 1,
	.summary = "print a completion script for a shell",
	.doc = "Prints a script that completes commands, options, connector and transformation types.",
	.examples = "  source <(dataflow completion bash)\n",
	.no_connectors = true,
	.run = completion_run,
};
