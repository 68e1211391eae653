#include "cmd/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/plugins.h"

int df_usage_error(const struct df_command *command, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "dataflow %s: ", command->name);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\nSee 'dataflow %s --help'.\n", command->name);
	return DF_EXIT_USAGE;
}

int df_print(struct df_buf *buf)
{
	bool ok = !buf->failed && (buf->len == 0 || fwrite(buf->data, 1, buf->len, stdout) == buf->len);

	if (fflush(stdout) != 0)
		ok = false;
	if (!ok)
		fprintf(stderr, "dataflow: cannot write to standard output: %s\n",
			buf->failed ? "out of memory" : strerror(errno));
	df_buf_done(buf);
	return ok ? DF_EXIT_OK : DF_EXIT_FAILED;
}

/* ---- help ------------------------------------------------------------------------------------------------ */

static void option_synopsis(const struct df_option *o, struct df_buf *buf)
{
	if (o->letter)
		df_buf_printf(buf, "-%c, ", o->letter);
	else
		df_buf_add_c(buf, "    ");
	df_buf_printf(buf, "--%s", o->name);
	if (o->type == DF_OPTION_FLAG)
		return;
	df_buf_add_c(buf, o->optional ? "[=" : " ");
	if (o->choices) {
		for (size_t i = 0; o->choices[i]; i++)
			df_buf_printf(buf, "%s%s", i ? "|" : "", o->choices[i]);
	} else {
		df_buf_add_c(buf, o->argument);
	}
	if (o->optional)
		df_buf_add_char(buf, ']');
}

#define DOC_COLUMN 32

static void option_help(const struct df_option *o, struct df_buf *buf)
{
	size_t start = buf->len;

	df_buf_add_c(buf, "  ");
	option_synopsis(o, buf);
	if (buf->len - start >= DOC_COLUMN) {
		df_buf_add_char(buf, '\n');
		start = buf->len;
	}
	df_buf_printf(buf, "%*s%s\n", (int)(DOC_COLUMN - (buf->len - start)), "", o->doc);
}

void df_command_help(const struct df_command *command, struct df_buf *buf)
{
	df_buf_printf(buf, "Usage: dataflow %s%s%s%s\n\n%s\n", command->name, command->option_count ? " [OPTIONS]" : "",
		      command->operands[0] ? " " : "", command->operands, command->doc);
	df_buf_add_c(buf, "\nOptions:\n");
	for (size_t i = 0; i < command->option_count; i++)
		option_help(&command->options[i], buf);
	option_help(&df_connector_dir_option, buf);
	option_help(&(const struct df_option){ .name = "help", .letter = 'h', .doc = "show this help" }, buf);
	df_buf_printf(buf, "\nExamples:\n%s", command->examples);
	df_buf_add_c(buf, "\nExit codes: 0 done, 1 failed, 2 bad usage or manifest.\n");
}

/* ---- parsing --------------------------------------------------------------------------------------------- */

static const struct df_option *find_long(const struct df_command *command, struct df_str name)
{
	for (size_t i = 0; i < command->option_count; i++)
		if (df_str_equal_c(name, command->options[i].name))
			return &command->options[i];
	return NULL;
}

static const struct df_option *find_letter(const struct df_command *command, char letter)
{
	for (size_t i = 0; i < command->option_count; i++)
		if (command->options[i].letter == letter)
			return &command->options[i];
	return NULL;
}

static int unknown_option(const struct df_command *command, struct df_str name, const char *written)
{
	const char *names[64];
	const char *near;
	size_t n = 0;

	for (size_t i = 0; i < command->option_count && n < 64; i++)
		names[n++] = command->options[i].name;
	if (n < 64)
		names[n++] = df_connector_dir_option.name;
	near = df_nearest(name, names, n);
	if (near)
		return df_usage_error(command, "unknown option %s; did you mean --%s?", written, near);
	return df_usage_error(command, "unknown option %s", written);
}

static bool is_choice(const struct df_option *o, const char *value)
{
	for (size_t i = 0; o->choices[i]; i++)
		if (strcmp(o->choices[i], value) == 0)
			return true;
	return false;
}

static int bad_choice(const struct df_command *command, const struct df_option *o, const char *value)
{
	struct df_buf list = { 0 };
	int r;

	for (size_t i = 0; o->choices[i]; i++)
		df_buf_printf(&list, "%s%s", i ? ", " : "", o->choices[i]);
	r = df_usage_error(command, "--%s: '%s' is not one of %s", o->name, value, df_buf_c(&list));
	df_buf_done(&list);
	return r;
}

static int store(const struct df_command *command, const struct df_option *o, void *options, const char *value)
{
	void *at = (char *)options + o->offset;
	struct df_option_list *list = at;
	int64_t number;

	switch (o->type) {
	case DF_OPTION_FLAG:
		*(bool *)at = true;
		return 0;
	case DF_OPTION_TEXT:
		if (!value[0])
			return df_usage_error(command, "--%s needs a value, not an empty one", o->name);
		if (o->choices && !is_choice(o, value))
			return bad_choice(command, o, value);
		*(const char **)at = value;
		return 0;
	case DF_OPTION_NUMBER:
		if (!df_str_to_int64(df_str_c(value), &number) || number < 0)
			return df_usage_error(command, "--%s: '%s' is not a whole number from 0", o->name, value);
		*(uint64_t *)at = (uint64_t)number;
		return 0;
	case DF_OPTION_LIST:
		list->items[list->count++] = value;
		return 0;
	}
	return 0;
}

/* What parsing needs to know as it walks argv. */
struct walk {
	const struct df_command *command;
	void *options;
	int argc, at;
	char **argv;
};

static int with_value(struct walk *w, const struct df_option *o, const char *attached)
{
	if (o->type == DF_OPTION_FLAG)
		return attached ? df_usage_error(w->command, "--%s takes no value", o->name)
				: store(w->command, o, w->options, NULL);
	if (attached)
		return store(w->command, o, w->options, attached);
	if (o->optional)
		return store(w->command, o, w->options, o->optional);
	if (w->at + 1 >= w->argc)
		return df_usage_error(w->command, "--%s needs a value (%s)", o->name,
				      o->argument ? o->argument : "one of its choices");
	return store(w->command, o, w->options, w->argv[++w->at]);
}

static int parse_long(struct walk *w, const char *arg)
{
	const char *equals = strchr(arg, '=');
	struct df_str name = df_str(arg + 2, equals ? (size_t)(equals - arg - 2) : strlen(arg + 2));
	const struct df_option *o = find_long(w->command, name);

	return o ? with_value(w, o, equals ? equals + 1 : NULL) : unknown_option(w->command, name, arg);
}

static int parse_short(struct walk *w, const char *arg)
{
	const struct df_option *o = find_letter(w->command, arg[1]);

	if (!o)
		return unknown_option(w->command, df_str_c(arg + 1), arg);
	return with_value(w, o, arg[2] ? arg + 2 : NULL);
}

/* Options anywhere, operands collected at the front of argv; "--" ends the options. Returns the number of operands, or
 * -1 - exit code. */
static int parse(struct walk *w)
{
	int operands = 0;

	for (w->at = 1; w->at < w->argc; w->at++) {
		char *arg = w->argv[w->at];
		int r;

		if (strcmp(arg, "--") == 0) {
			while (++w->at < w->argc)
				w->argv[operands++] = w->argv[w->at];
			break;
		}
		if (arg[0] != '-' || arg[1] == '\0') {
			w->argv[operands++] = arg;
			continue;
		}
		r = arg[1] == '-' ? parse_long(w, arg) : parse_short(w, arg);
		if (r)
			return -1 - r;
	}
	return operands;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

static int check_operands(const struct df_command *command, int n)
{
	if (n < command->min_operands)
		return df_usage_error(command, "%s is missing", command->operands);
	if (command->max_operands >= 0 && n > command->max_operands)
		return df_usage_error(command, "too many operands; usage: dataflow %s %s", command->name,
				      command->operands);
	return 0;
}

/* Every list option gets room for as many values as there are arguments. */
static int reserve_lists(const struct df_command *command, void *options, int argc)
{
	for (size_t i = 0; i < command->option_count; i++) {
		struct df_option_list *list = (void *)((char *)options + command->options[i].offset);

		if (command->options[i].type != DF_OPTION_LIST)
			continue;
		list->items = calloc((size_t)argc + 1, sizeof(*list->items));
		if (!list->items)
			return -1;
	}
	return 0;
}

static void free_options(const struct df_command *command, void *options)
{
	for (size_t i = 0; options && i < command->option_count; i++)
		if (command->options[i].type == DF_OPTION_LIST)
			free(((struct df_option_list *)(void *)((char *)options + command->options[i].offset))->items);
	free(options);
}

int df_command_main(const struct df_command *command, int argc, char **argv)
{
	void *options = calloc(1, command->size ? command->size : 1);
	struct walk w = { .command = command, .options = options, .argc = argc, .argv = argv };
	int n, r;

	if (!options || reserve_lists(command, options, argc) < 0) {
		free_options(command, options);
		fprintf(stderr, "dataflow: out of memory\n");
		return DF_EXIT_FAILED;
	}
	if (wants_help(argc, argv)) {
		struct df_buf buf = { 0 };

		df_command_help(command, &buf);
		free_options(command, options);
		return df_print(&buf);
	}
	n = parse(&w);
	r = n < 0 ? -1 - n : check_operands(command, n);
	if (r == 0 && !command->no_connectors)
		r = df_load_connectors(command);
	if (r == 0) {
		argv[n] = NULL;
		r = command->run(command, options, n, argv);
	}
	free_options(command, options);
	return r;
}
