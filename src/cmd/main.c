#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

#include "base/log.h"
#include "cmd/cli.h"

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
	occupy_standard_streams();
	/* A closed pipe and a file size limit are errors of the write that met them. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	df_log_setup(DF_LOG_AUTO, getenv("LOG_LEVEL"));
	return df_commands_main(argc, argv);
}
