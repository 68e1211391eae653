#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cmd/cli.h"

static int unknown_command(const char *name)
{
	const char *names[32];
	size_t n;
	const struct df_command *const *commands = df_commands(&n);
	const char *near;

	for (size_t i = 0; i < n && i < 32; i++)
		names[i] = commands[i]->name;
	near = df_nearest(df_str_c(name), names, n < 32 ? n : 32);
	fprintf(stderr, "dataflow: unknown command '%s'%s%s%s\nSee 'dataflow --help'.\n", name,
		near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	return DF_EXIT_USAGE;
}

/*
 * A standard stream that the caller closed would go to the next file that is opened, and the database or the checkpoint
 * would be read or written as if it were the stream. As in glibc's csu/check_fds.c the place is taken by something that
 * every read or write of it fails on. What cannot be opened stays closed.
 */
static void occupy_standard_streams(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
	struct df_buf buf = { 0 };
	const struct df_command *command;

	occupy_standard_streams();
	/* A closed pipe and a file size limit are errors of the write that met them. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	df_log_setup(DF_LOG_AUTO, getenv("LOG_LEVEL"));
	if (argc < 2) {
		df_main_help(&buf);
		fputs(df_buf_c(&buf), stderr);
		df_buf_done(&buf);
		return DF_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		command = argc > 2 ? df_command_find(argv[2]) : NULL;
		if (argc > 2 && !command)
			return unknown_command(argv[2]);
		if (command)
			df_command_help(command, &buf);
		else
			df_main_help(&buf);
		return df_print(&buf);
	}
	if (strcmp(argv[1], "--version") == 0)
		argv[1] = (char *)"version";
	command = df_command_find(argv[1]);
	return command ? df_command_main(command, argc - 1, argv + 1) : unknown_command(argv[1]);
}
